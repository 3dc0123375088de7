//! How the API sends things. What is described is the usual form; what is known to come instead is
//! a rare one. Which form a thing has depends on nothing but its key.

mod event;
mod form;
mod lists;
mod media;
mod stats;

pub use event::{event, event_row, rows_of_event, visitor};
pub use lists::{caption, channel, deleted, episode, project, subfolder, tag};
pub use media::{media, media_stats, of_project};
pub use stats::{day, engagement, lifetime, measured, project_stats, sums};
