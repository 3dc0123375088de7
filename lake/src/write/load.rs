//! How the rows of a table enter it, and what ACTIVATE_VERSION makes of that.
//!
//! ```text
//!             record of another version          ACTIVATE_VERSION
//! Upsert  ─┐                          ┌─────────┐               ┌───────────┐
//! Append  ─┼────────────────────────► │Undecided│ ────────────► │ Activated │
//! Whole   ─┘                          └────┬────┘               └─────┬─────┘
//!    ▲                                     │ end of the input         │ end of the stream
//!    └──────── the load before ◄───────────┴──────────────────────────┘
//! ```
//!
//! `Waiting` stands apart: its rows lie in a staging prefix until their generation is complete.

use super::append::NewFiles;
use crate::table::definition::LoadMethod;

/// How rows enter a table, with what that has under way.
#[derive(Debug)]
pub(super) enum Load {
    /// They take the place of rows with their keys.
    Upsert,
    /// They are added, in files that are written while rows arrive.
    Append(NewFiles),
    /// They are held back until the end of their stream.
    Replace(Replace),
    /// They are added to a staging prefix until their generation is complete.
    Waiting(Waiting),
}

/// Rows that are held back, because they may take the place of all that the table holds.
#[derive(Debug)]
pub(super) enum Replace {
    /// They do, whatever their version: the table is loaded by overwriting.
    Whole,
    /// They are of another version than the table's. Without ACTIVATE_VERSION they enter by `base`.
    Undecided {
        /// The load before, with the files it had open.
        base: Box<Load>,
    },
    /// They do, because ACTIVATE_VERSION said so.
    Activated {
        /// The version that stays.
        version: i64,
        /// Something has come behind the message. Some taps send it when a stream begins, so that by
        /// itself it does not say that a stream without rows has ended.
        covered: bool,
        /// The load before, for what comes after the replacement.
        base: Box<Load>,
    },
}

/// Rows of a new generation.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The staging prefix, with a slash behind it.
    pub(super) root: String,
    /// The files that are being written there.
    pub(super) files: NewFiles,
}

impl From<LoadMethod> for Load {
    fn from(method: LoadMethod) -> Self {
        match method {
            LoadMethod::Upsert => Self::Upsert,
            LoadMethod::Append => Self::Append(NewFiles::default()),
            LoadMethod::Overwrite => Self::Replace(Replace::Whole),
        }
    }
}

impl Load {
    /// Whether rows are added to others, whatever their keys: those that come twice are doubled.
    pub(super) fn adds(&self) -> bool {
        match self {
            Self::Append(_) | Self::Waiting(_) => true,
            Self::Upsert | Self::Replace(Replace::Whole) => false,
            Self::Replace(Replace::Undecided { base, .. } | Replace::Activated { base, .. }) => {
                base.adds()
            }
        }
    }

    /// Whether the table may only change once its stream was seen to its end.
    pub(super) fn must_be_complete(&self) -> bool {
        match self {
            Self::Upsert | Self::Append(_) | Self::Waiting(_) => false,
            Self::Replace(Replace::Whole | Replace::Activated { .. }) => true,
            Self::Replace(Replace::Undecided { base, .. }) => base.must_be_complete(),
        }
    }

    /// Whether there is something to do at the end of the stream even without a row.
    pub(super) fn is_activated(&self) -> bool {
        match self {
            Self::Replace(Replace::Activated { .. }) => true,
            Self::Replace(Replace::Whole | Replace::Undecided { .. })
            | Self::Upsert
            | Self::Append(_)
            | Self::Waiting(_) => false,
        }
    }

    /// Whether ACTIVATE_VERSION was the last that came.
    pub(super) fn is_uncovered(&self) -> bool {
        match self {
            Self::Replace(Replace::Activated { covered, .. }) => !covered,
            Self::Replace(Replace::Whole | Replace::Undecided { .. })
            | Self::Upsert
            | Self::Append(_)
            | Self::Waiting(_) => false,
        }
    }

    /// The files that were begun, if the load writes files while rows arrive or did so before.
    pub(super) fn files(&self) -> Option<&NewFiles> {
        match self {
            Self::Append(files) | Self::Waiting(Waiting { files, .. }) => Some(files),
            Self::Upsert | Self::Replace(Replace::Whole) => None,
            Self::Replace(Replace::Undecided { base, .. } | Replace::Activated { base, .. }) => {
                base.files()
            }
        }
    }

    /// The same, to change them.
    pub(super) fn files_mut(&mut self) -> Option<&mut NewFiles> {
        match self {
            Self::Append(files) | Self::Waiting(Waiting { files, .. }) => Some(files),
            Self::Upsert | Self::Replace(Replace::Whole) => None,
            Self::Replace(Replace::Undecided { base, .. } | Replace::Activated { base, .. }) => {
                base.files_mut()
            }
        }
    }

    /// Something covers all that has come.
    pub(super) fn cover(&mut self) {
        match self {
            Self::Replace(Replace::Activated { covered, .. }) => *covered = true,
            Self::Replace(Replace::Whole | Replace::Undecided { .. })
            | Self::Upsert
            | Self::Append(_)
            | Self::Waiting(_) => {}
        }
        if let Some(files) = self.files_mut() {
            files.cover();
        }
    }

    /// A record of another version than the table's has come.
    #[must_use]
    pub(super) fn of_version(self, version: i64) -> Self {
        Self::Replace(match self {
            undecided @ Self::Replace(Replace::Undecided { .. }) => return undecided,
            Self::Replace(Replace::Activated { covered, base, .. }) => {
                Replace::Activated { version, covered, base }
            }
            // A generation replaces the table anyway.
            waiting @ Self::Waiting(_) => return waiting,
            base @ (Self::Upsert | Self::Append(_) | Self::Replace(Replace::Whole)) => {
                Replace::Undecided { base: Box::new(base) }
            }
        })
    }

    /// ACTIVATE_VERSION has come.
    #[must_use]
    pub(super) fn activated(self, version: i64) -> Self {
        Self::Replace(match self {
            Self::Replace(Replace::Undecided { base, .. }) => {
                Replace::Activated { version, covered: false, base }
            }
            // The message before it is covered by this one.
            Self::Replace(Replace::Activated { base, .. }) => {
                Replace::Activated { version, covered: true, base }
            }
            waiting @ Self::Waiting(_) => return waiting,
            base @ (Self::Upsert | Self::Append(_) | Self::Replace(Replace::Whole)) => {
                Replace::Activated { version, covered: false, base: Box::new(base) }
            }
        })
    }

    /// Nothing is held back any more: rows enter as they did before a version came.
    #[must_use]
    pub(super) fn after_commit(self) -> Self {
        match self {
            Self::Replace(Replace::Undecided { base, .. } | Replace::Activated { base, .. }) => {
                *base
            }
            same @ (Self::Upsert
            | Self::Append(_)
            | Self::Replace(Replace::Whole)
            | Self::Waiting(_)) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be asked of a load, by name.
    fn traits(load: &Load) -> Vec<&'static str> {
        let all = [
            (load.adds(), "adds"),
            (load.must_be_complete(), "must be complete"),
            (load.is_activated(), "is activated"),
            (load.is_uncovered(), "is uncovered"),
            (load.files().is_some(), "has files"),
        ];
        all.into_iter().filter_map(|(holds, name)| holds.then_some(name)).collect()
    }

    fn of(method: LoadMethod) -> Load {
        Load::from(method)
    }

    #[test]
    fn rows_enter_as_the_method_says_until_a_version_comes() {
        assert_eq!(traits(&of(LoadMethod::Upsert)), [""; 0]);
        assert_eq!(traits(&of(LoadMethod::Append)), ["adds", "has files"]);
        assert_eq!(traits(&of(LoadMethod::Overwrite)), ["must be complete"]);
    }

    #[test]
    fn rows_of_another_version_are_held_back_and_enter_as_before_without_activation() {
        let held = of(LoadMethod::Append).of_version(2);
        assert!(matches!(held, Load::Replace(Replace::Undecided { .. })));
        assert_eq!(traits(&held), ["adds", "has files"]);
        assert!(matches!(held.after_commit(), Load::Append(_)));
        let held = of(LoadMethod::Overwrite).of_version(2);
        assert_eq!(traits(&held), ["must be complete"]);
        assert!(matches!(held.after_commit(), Load::Replace(Replace::Whole)));
        assert_eq!(traits(&of(LoadMethod::Upsert).of_version(2)), [""; 0]);
    }

    #[test]
    fn activation_waits_for_something_behind_it() {
        let mut load = of(LoadMethod::Upsert).of_version(2).activated(3);
        assert!(matches!(load, Load::Replace(Replace::Activated { version: 3, .. })));
        assert_eq!(traits(&load), ["must be complete", "is activated", "is uncovered"]);
        load.cover();
        assert_eq!(traits(&load), ["must be complete", "is activated"]);
        assert!(matches!(load.after_commit(), Load::Upsert));
        let twice = of(LoadMethod::Append).activated(2).activated(2);
        assert!(!twice.is_uncovered(), "the second message is something behind the first");
    }

    #[test]
    fn a_record_after_activation_changes_the_version_and_not_what_was_said() {
        let mut load = of(LoadMethod::Upsert).activated(2);
        load.cover();
        let load = load.of_version(4);
        assert!(matches!(
            load,
            Load::Replace(Replace::Activated { version: 4, covered: true, .. })
        ));
    }

    #[test]
    fn a_generation_knows_no_versions() {
        let waiting = || Load::Waiting(Waiting { root: "r/".into(), files: NewFiles::default() });
        for load in [waiting().of_version(1), waiting().activated(1), waiting().after_commit()] {
            assert!(matches!(load, Load::Waiting(_)));
            assert_eq!(traits(&load), ["adds", "has files"]);
        }
    }
}
