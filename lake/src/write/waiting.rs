//! Rows of a generation wait in a staging prefix until it is complete, and are promoted then.

use std::collections::HashSet;
use std::io::{self, Seek};

use arrow::datatypes::SchemaRef;

use super::committed::Committed;
use super::core::Core;
use super::{iceberg, replace, upsert, widen};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::store::{Condition, Object};
use crate::table::definition::{Generation, LoadMethod};
use crate::table::file_name::{self, GENERATIONS};
use crate::table::key;
use crate::table::key_range::KeyRange;
use crate::table::spec::Refresh;

/// The staging prefix where the rows of a run wait, if they replace what is there. `known` is the generation of the
/// table, where there is a table.
pub(super) fn root(
    table: &str,
    refresh: &Refresh,
    known: Option<Option<Generation>>,
) -> Option<String> {
    let Refresh { generation, minimum, overwrite } = *refresh;
    let (Some(id), Some(minimum)) = (generation, minimum) else {
        return overwrite.then(|| format!("{GENERATIONS}/{table}/none/"));
    };
    let replaces = minimum > 0
        && match known? {
            // A run of this generation that broke off goes on. One that ended is replaced: some
            // sources give all their generations the same number.
            Some(known) if known.id == id => overwrite && known.ended,
            Some(known) => overwrite || known.id < minimum,
            // Rows of no generation are older than none.
            None => overwrite,
        };
    replaces.then(|| format!("{GENERATIONS}/{table}/{id}/"))
}

/// How files that wait enter their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promotion {
    /// Beside the rows that are there.
    Beside,
    /// In the place of every other row.
    Alone,
}

/// Brings files that wait into the table.
pub(super) fn promote(
    core: &mut Core,
    waiting: Vec<&Object>,
    how: Promotion,
    committed: &mut Committed,
) -> Result<()> {
    match core.definition().load_method {
        LoadMethod::Append if !core.definition().is_iceberg() => {
            copy(core, waiting, how, committed)
        }
        // Their columns get ids.
        LoadMethod::Append => merge(core, waiting, how, committed),
        LoadMethod::Upsert | LoadMethod::Overwrite => merge(core, waiting, how, committed),
    }
}

fn copy(
    core: &Core,
    waiting: Vec<&Object>,
    how: Promotion,
    committed: &mut Committed,
) -> Result<()> {
    let (store, table) = (&core.lake.store, core.prefix());
    let old = match how {
        Promotion::Alone => store.list(&table)?,
        Promotion::Beside => Vec::new(),
    };
    let (mut current, mut narrow) = (HashSet::new(), false);
    let copied = |object: &Object| -> Result<(Object, String, bool, u64)> {
        let _room = core.lake.room_for(0, object.size);
        // `_lake/generations/<table>/<generation>/` goes, the partition stays.
        let name = object.key.splitn(5, '/').nth(4).ok_or_else(|| {
            Error::internal(format!("{} is below the prefix of a generation", object.key))
        })?;
        let key = format!("{table}{name}");
        let from = store.locate(&object.key);
        let failed = |error: io::Error| Error::store("copy", &from, error);
        let mut file = store.fetch(object)?;
        let part = PartReader::open(file.try_clone().map_err(failed)?, &from)?;
        // An earlier run of the generation may have known a narrower type.
        let is_narrow = !widen::are_of_current_type(part.schema().fields(), core.stage.schema());
        let mut upload = store.create(&key, Condition::Always)?;
        file.rewind().and_then(|()| io::copy(&mut file, &mut upload)).map_err(failed)?;
        let written = upload.finish()?;
        let folder = file_name::split(name).0.to_owned();
        Ok((written, folder, is_narrow, part.rows()))
    };
    at_once(core.lake.at_once, waiting, copied, |copied| {
        let (written, folder, is_narrow, rows) = copied?;
        committed.rows += rows;
        narrow |= is_narrow;
        committed.count(&written, &folder);
        current.insert(written.key);
        Ok(())
    })?;
    committed.replaced = how == Promotion::Alone;
    replace::remove(core, &old, |key| current.contains(key))?;
    if narrow {
        widen::widen(&core.lake, core.definition(), &core.encoding, committed)?;
    }
    Ok(())
}

pub(super) fn delete<'a>(core: &Core, objects: impl IntoIterator<Item = &'a Object>) -> Result<()> {
    core.lake.remove(objects.into_iter().map(|object| &object.key))
}

fn merge(
    core: &mut Core,
    mut waiting: Vec<&Object>,
    how: Promotion,
    committed: &mut Committed,
) -> Result<()> {
    // By the name of the file, that is in the order in which the rows came.
    waiting.sort_by_key(|object| object.key.rsplit('/').next());
    core.stage = core.keyed_stage(core.defined.cut())?;
    let keys = core.defined.key_positions()?;
    for object in waiting {
        let name = core.lake.store.locate(&object.key);
        let part = PartReader::open(core.lake.store.fetch(object)?, &name)?;
        let schema = SchemaRef::clone(core.stage.schema());
        for batch in part.batches(&schema)? {
            let batch = batch?;
            let hashes = keys
                .as_ref()
                .map_or_else(|| Ok(Vec::new()), |keys| key::hash_rows(&batch, keys))?;
            core.stage.push(batch, &hashes)?;
            if core.stage.memory() > core.lake.budget / 2 {
                core.stage.spill(&core.lake.spill)?;
            }
        }
    }
    core.key_range = KeyRange::Any;
    core.choose_cut()?;
    core.cut()?;
    let adds = core.definition().load_method == LoadMethod::Append;
    match how {
        Promotion::Alone if core.iceberg.is_some() => iceberg::replace(core, committed)?,
        Promotion::Beside if core.iceberg.is_some() && adds => {
            iceberg::add_staged(core, committed)?;
        }
        Promotion::Beside if core.iceberg.is_some() => iceberg::upsert(core, committed)?,
        Promotion::Alone => replace::commit(core, committed)?,
        Promotion::Beside => upsert::commit(core, committed)?,
    }
    core.stage.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(id: i64, minimum: i64, overwrite: bool, known: Option<Option<(i64, bool)>>) -> bool {
        let refresh = Refresh { generation: Some(id), minimum: Some(minimum), overwrite };
        let known = known.map(|known| known.map(|(id, ended)| Generation { id, ended }));
        root("t", &refresh, known).is_some()
    }

    #[test]
    fn rows_wait_where_they_replace_older_ones() {
        let ended = |id| Some(Some((id, true)));
        let broken = |id| Some(Some((id, false)));
        for (id, minimum, overwrite, known, expected) in [
            // A new table has nothing to lose.
            (1, 1, true, None, false),
            (42, 42, true, ended(41), true),
            (42, 42, false, ended(41), true),
            // The same generation goes on …
            (42, 42, true, broken(42), false),
            (42, 42, false, ended(42), false),
            // … unless a run ended and another one overwrites, as PyAirbyte does.
            (1, 1, true, ended(1), true),
            (43, 0, false, broken(41), false),
            (43, 0, true, ended(41), false),
            // A table that was not written by Airbyte.
            (1, 1, false, Some(None), false),
            (1, 1, true, Some(None), true),
        ] {
            assert_eq!(waits(id, minimum, overwrite, known), expected, "{id} {minimum} {known:?}");
        }
        let legacy = Refresh { generation: None, minimum: None, overwrite: true };
        assert_eq!(root("t", &legacy, None).as_deref(), Some("_lake/generations/t/none/"));
    }
}
