//! What to do about an error.

use program::settings::SettingsError;

use super::Error;

impl Error {
    /// What to do about it, where the text does not say it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Settings(error) => settings_hint(error),
            Self::Line { .. } => Some(
                "the input must be one JSON message a line; is another program printing to the same pipe?",
            ),
            Self::RecordBeforeSchema { .. } => {
                Some("a tap must send the SCHEMA of a stream before its first RECORD")
            }
            Self::MissingKey { .. } => Some(
                "every record needs its key; set `key_properties` of the stream in `streams`, or [] to append without keys",
            ),
            Self::Value { .. } => Some(
                "set `on_invalid` to `null` to write null and count such values, unless it is a key, or give the column another type by `columns` of its stream",
            ),
            Self::Invalid { .. } => Some("set `validate_records` to false to check types only"),
            Self::Memory { .. } => {
                Some("set `memory_mb` to that or more, or take fewer streams or columns")
            }
            Self::Lake(error) => lake_hint(error),
            Self::Incomplete { .. } => Some(
                "run the tap again to the end; overwrite replaces a table only when a STATE follows its records",
            ),
            Self::Uncovered { .. } => {
                Some("run the tap again to the end; a tap must send a STATE behind its last record")
            }
            Self::Unproven { .. } => Some(
                "nothing was changed; `maintain --compact` ends what is half done, the next run brings the catalog up, and a table \
                 whose rows or files are wrong is loaded anew under another name (`table` of its stream)",
            ),
            Self::Map(_)
            | Self::Setting { .. }
            | Self::Input { .. }
            | Self::Batch { .. }
            | Self::Schema { .. }
            | Self::State { .. }
            | Self::Unfinished { .. }
            | Self::CatalogFile { .. }
            | Self::Stopped { .. } => None,
        }
    }
}

fn settings_hint(error: &SettingsError) -> Option<&'static str> {
    match error {
        SettingsError::Missing { .. } => Some(
            "write it into the --config file, or set TARGET_S3_PARQUET_<SETTING> and pass --config ENV",
        ),
        SettingsError::Unreadable { .. }
        | SettingsError::Syntax { .. }
        | SettingsError::NotAnObject { .. }
        | SettingsError::NotOneFile
        | SettingsError::Invalid { .. } => None,
    }
}

fn lake_hint(error: &lake::Error) -> Option<&'static str> {
    match error {
        lake::Error::Absent { .. } => Some(
            "`make run` builds what a folder needs; a release has everything, and so has what `cargo build --release` builds (README.md, Install)",
        ),
        lake::Error::Incompatible { .. } => Some(
            "columns widen from int to bigint to double; for any other change load into a new table (`table` in `streams`)",
        ),
        lake::Error::Superseded { .. } => {
            Some("let one run of a pipeline end before the next begins, and run again")
        }
        lake::Error::Locked { .. } => {
            Some("wait for that run to end; the lock of a run that has died is free at once")
        }
        lake::Error::Conflict { .. } => {
            Some("run again: nothing of this run's state was given back for it")
        }
        lake::Error::Conditions { .. } => Some(
            "use a server that keeps the conditions of S3 (docs/stores.md has a list), or, where one run at a time is all that ever writes to this lake, set `s3.conditional_writes` to false",
        ),
        lake::Error::Spill { .. } => {
            Some("set `temp_dir` to a folder with room and write permission")
        }
        lake::Error::CatalogBehind { .. } => Some(
            "mend that and run again: the next run brings the catalog up, with or without new rows",
        ),
        lake::Error::Option { .. }
        | lake::Error::Table { .. }
        | lake::Error::Store { .. }
        | lake::Error::Parquet { .. }
        | lake::Error::Newer { .. }
        | lake::Error::Catalog { .. }
        | lake::Error::CatalogUnreachable { .. }
        | lake::Error::Interrupted { .. }
        | lake::Error::Internal { .. } => None,
    }
}
