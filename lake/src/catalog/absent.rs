//! What stands in the place of the catalog in a program that was built without the feature `glue`.

mod event;
pub(crate) mod options;

use std::sync::Arc;

pub use event::{Activity, Event, Hooks, Status};
pub use options::{CrawlerOptions, Method, Options, Wait};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::table::Definition;
use crate::write::Committed;

/// None is ever open.
#[derive(Debug)]
pub enum Catalog {}

#[expect(missing_docs, reason = "they are those of the catalog")]
impl Catalog {
    pub fn open(_: &Arc<Lake>, _: Options, _: Option<Options>, _: Hooks) -> Result<Self> {
        Err(Error::Absent { what: "the Glue Data Catalog", feature: "glue" })
    }

    pub fn track(&mut self, _: &Definition) {
        match *self {}
    }

    pub fn mark_dirty<'a>(&mut self, _: impl IntoIterator<Item = &'a Definition>) -> Result<()> {
        match *self {}
    }

    pub fn changed(&mut self, _: &Definition, _: &Committed) {
        match *self {}
    }

    pub fn sync(&mut self, _: Wait, _: &dyn Fn() -> bool) -> Result<()> {
        match *self {}
    }

    pub fn table_arn(&self, _: &Definition) -> Option<String> {
        match *self {}
    }

    pub fn differences(&self, _: &Definition) -> Result<Vec<String>> {
        match *self {}
    }

    pub fn events(&self) -> std::slice::Iter<'_, Event> {
        match *self {}
    }
}
