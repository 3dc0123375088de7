//! How staged rows become visible: as the load and the format of the table say.

use super::committed::Committed;
use super::load::{Load, Replace, Waiting};
use super::table::Table;
use super::{iceberg, obsolete, replace, upsert, widen};
use crate::error::{Error, Result};

impl Table {
    /// Where the table was cut meanwhile, what this run has written for the cut before goes, and comes
    /// again. What cannot be removed, the next run removes.
    pub(super) fn stopped(&self, error: Error) -> Error {
        let Error::Table { table, .. } = &error else { return error };
        let removed = self.core.lake.definition(table).and_then(|found| match found {
            Some((_, definition)) => obsolete::remove(&self.core.lake, &definition),
            None => Ok(0),
        });
        if let Err(left) = removed {
            tracing::warn!(table, error = %left, "objects of before the table was cut are left");
        }
        error
    }

    /// Where a column has become wider, brings all objects that are there to the new type.
    pub(super) fn widen(&mut self, committed: &mut Committed) -> Result<()> {
        if self.core.definition().is_iceberg() {
            // The commit itself does what is to be done.
            self.core.defined.set_widened();
        } else if self.core.definition().widening {
            let core = &self.core;
            widen::widen(&core.lake, core.definition(), &core.encoding, committed)?;
            self.core.defined.set_widened();
        }
        Ok(())
    }

    /// Makes what is staged visible as the load says.
    pub(super) fn publish(&mut self, committed: &mut Committed) -> Result<()> {
        match &mut self.load {
            Load::Upsert if self.core.iceberg.is_some() => {
                iceberg::upsert(&mut self.core, committed)?;
            }
            Load::Append(files) if self.core.iceberg.is_some() => {
                committed.rows += self.core.stage.rows() + files.rows();
                files.prepare(&mut self.core, None)?;
                iceberg::append(&mut self.core, files, committed)?;
            }
            Load::Replace(Replace::Whole | Replace::Activated { .. })
                if self.core.iceberg.is_some() =>
            {
                iceberg::replace(&mut self.core, committed)?;
            }
            Load::Upsert => {
                self.widen(committed)?;
                upsert::commit(&mut self.core, committed)?;
            }
            Load::Append(files) => {
                committed.rows += self.core.stage.rows() + files.rows();
                files.prepare(&mut self.core, None)?;
                if self.core.definition().widening {
                    // They were begun in the type that the others have.
                    files.commit_narrow(&self.core, committed)?;
                    self.widen(committed)?;
                }
                if let Some(files) = self.load.files_mut() {
                    files.commit(&self.core, committed)?;
                }
            }
            Load::Waiting(Waiting { root, files }) => {
                files.prepare(&mut self.core, Some(root))?;
                // No reader sees them, so they are no files of the table yet.
                files.commit(&self.core, &mut Committed::default())?;
            }
            Load::Replace(Replace::Whole | Replace::Activated { .. }) => {
                replace::commit(&mut self.core, committed)?;
            }
            Load::Replace(Replace::Undecided { .. }) => {
                return Err(Error::internal("a load that holds rows back rests on none such"));
            }
        }
        self.change_load(Load::after_commit);
        Ok(())
    }
}
