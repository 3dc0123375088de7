//! Replace: new objects take the place of all old ones, once the stream was seen whole. All are written
//! before the first becomes visible, so that a reader sees old and new ones for as short as can be.

use std::collections::HashSet;

use super::committed::Committed;
use super::core::Core;
use super::together::Together;
use crate::error::Result;
use crate::store::{Condition, Object};
use crate::table::file_name;

/// Puts the staged groups in place and removes every other file of the table.
pub(super) fn commit(table: &mut Core, committed: &mut Committed) -> Result<()> {
    let old = table.lake.store.list(&table.prefix())?;
    let reader = table.stage.reader()?;
    let files = table.stage.groups().iter().map(|group| {
        let mut room = table.room();
        let mut part = table.part(&table.object_key(*group)?, Condition::Always)?;
        reader.each(*group, |batch| {
            part.write(batch)?;
            room.resize(part.memory());
            Ok(())
        })?;
        // A partition that was cut after its rows had come may have an object without any.
        if part.rows() == 0 {
            return Ok(None);
        }
        let rows = part.rows();
        let file = part.end()?;
        room.resize(file.bytes());
        Ok(Some(((*group, rows), file, room)))
    });
    let mut current = HashSet::new();
    let files = Together::write(&table.lake, files, |file| file)?;
    for ((group, rows), written) in files.finish(&table.lake)? {
        let written = written?;
        committed.rows += rows;
        committed.count(&written, &table.stage.folder(group)?);
        current.insert(written.key);
    }
    remove(table, &old, |key| current.contains(key))?;
    committed.replaced = true;
    // Whatever types the old objects had, none of them is left.
    table.defined.set_widened();
    Ok(())
}

/// Removes the files of the table but those that are kept. What no lake has written stays, and is told.
pub(super) fn remove(
    table: &Core,
    objects: &[Object],
    is_kept: impl Fn(&String) -> bool,
) -> Result<()> {
    let prefix = table.prefix();
    let foreign = file_name::foreign(&prefix, objects);
    if !foreign.is_empty() {
        tracing::warn!(
            table = table.definition().table,
            files = foreign.len(),
            "files in the folder of table `{}` are not its own and stay: {}",
            table.definition().table,
            file_name::told(&foreign)
        );
    }
    let own = |key: &&String| key.strip_prefix(&prefix).is_some_and(file_name::is_own);
    let keys = objects.iter().map(|object| &object.key);
    table.lake.remove(keys.filter(own).filter(|key| !is_kept(key)))
}
