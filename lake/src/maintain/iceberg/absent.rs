//! What stands in the place of the maintenance of Iceberg tables in a program that was built without the feature
//! `iceberg`.

use std::sync::Arc;

use super::check::Checked;
use super::report::{Action, Options, TableReport};
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::lake::Lake;
use crate::store::Object;
use crate::table::definition::Definition;

pub(super) fn adopt(
    _: &Arc<Lake>,
    _: &(Object, Definition),
    _: &Survey,
    _: bool,
) -> Result<Action> {
    Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
}

pub(super) fn checked(_: &Lake, _: &Definition) -> Result<Checked> {
    Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
}

pub(super) fn maintain(
    _: &Arc<Lake>,
    _: &Definition,
    _: Encoding,
    _: &Options,
) -> Result<TableReport> {
    Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
}
