//! Replace: new objects take the place of all old ones, once the stream was seen whole.

use std::collections::HashSet;

use super::Committed;
use super::core::Core;
use crate::error::Result;
use crate::store::Condition;

/// Puts the staged groups in place and removes every other object of the table.
pub(super) fn commit(table: &mut Core, committed: &mut Committed) -> Result<()> {
    let old = table.lake.store.list(&table.prefix())?;
    let reader = table.stage.reader()?;
    let mut current = HashSet::new();
    for group in table.stage.groups() {
        let key = table.object_key(*group)?;
        let mut part = table.part(&key, Condition::Always)?;
        reader.each(*group, |batch| part.write(batch))?;
        committed.count(&part.finish()?.object, &table.stage.folder(*group)?);
        current.insert(key);
    }
    for object in old.iter().filter(|object| !current.contains(&object.key)) {
        table.lake.store.delete(&object.key)?;
    }
    committed.replaced = true;
    // Whatever types the old objects had, none of them is left.
    table.defined.set_widened();
    Ok(())
}
