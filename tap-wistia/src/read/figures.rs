//! What is answered for one media.

use chrono::NaiveDate;

use super::days::Days;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;

/// What is answered for one media.
pub(crate) trait MediaFigures: Resource {
    /// For figures by day: asks for these days. They are read in increments.
    const BY_DAY: Option<fn(Request, Days) -> Request> = None;

    /// For figures by day: the earliest day that can be asked for with this last one.
    const EARLIEST: fn(NaiveDate) -> NaiveDate = |_| NaiveDate::MIN;

    /// The request for a media, without days.
    fn request(media_id: &str) -> Request;

    /// How many rows of figures are in it. Of figures by day without any, the days are asked for again.
    fn rows(&self) -> usize;

    /// Writes the records of a media, as they are in a sync that began `today`; nothing where anything
    /// of it is no record.
    fn emit(self, media_id: &str, today: NaiveDate, output: &mut Output) -> Result<()>;
}
