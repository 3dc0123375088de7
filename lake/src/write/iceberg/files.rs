//! New files of a table, with the ids of its columns.

use super::attempt::{Start, discard, no_metrics};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::file::writer::PartWriter;
use crate::format::iceberg::manifest::DataFile;
use crate::format::iceberg::spec::Plan;
use crate::stage::Group;
use crate::store::Condition;
use crate::write::append::Made;
use crate::write::core::{Core, FILE_BYTES};

/// The columns of the table's files, by what is known of it now.
pub(crate) fn number(core: &mut Core) -> Result<()> {
    let Some(work) = core.iceberg.clone() else { return Ok(()) };
    Start::look(core, &work)?;
    Ok(())
}

/// Files of all staged groups.
pub(super) fn written(core: &mut Core) -> Result<Vec<Made>> {
    number(core)?;
    let core = &*core;
    let reader = core.stage.reader()?;
    let begin = |group: &Group| core.part(&core.new_key(Some(*group))?, Condition::Absent);
    let end = |group: &Group, part: PartWriter| -> Result<Made> {
        let mut file = part.end()?;
        let metrics = file.take_metrics();
        Ok(Made { group: *group, object: file.finish()?, metrics })
    };
    let files = |group: &Group| -> Result<Vec<Made>> {
        let mut room = core.room();
        let (mut open, mut made) = (None, Vec::new());
        reader.each(*group, |batch| {
            let is_full = |part: &PartWriter| part.bytes() >= FILE_BYTES;
            if open.as_ref().is_none_or(is_full)
                && let Some(full) = open.replace(begin(group)?)
            {
                made.push(end(group, full)?);
            }
            let part = open.as_mut().ok_or_else(|| Error::internal("a file was begun"))?;
            part.write(batch)?;
            room.resize(part.memory());
            Ok(())
        })?;
        made.extend(open.map(|open| end(group, open)).transpose()?);
        Ok(made)
    };
    let mut made = Vec::new();
    at_once(core.lake.merges, core.stage.groups(), files, |files| {
        made.extend(files?);
        Ok(())
    })?;
    Ok(made)
}

pub(super) fn data_files(core: &Core, plan: &Plan, made: &[Made]) -> Result<Vec<DataFile>> {
    let file = |made: &Made| -> Result<DataFile> {
        Ok(DataFile {
            key: made.object.key.clone(),
            size: made.object.size,
            partition: plan.values(core.stage.hidden(made.group)?, made.group.shard)?,
            metrics: made.metrics.clone().ok_or_else(no_metrics)?,
        })
    };
    made.iter().map(file).collect()
}

/// A file with the ids that its columns have by now.
pub(super) fn renumbered(core: &Core, old: &Made) -> Result<Made> {
    let name = core.lake.store.locate(&old.object.key);
    let read = PartReader::open(core.lake.store.fetch(&old.object)?, &name)?;
    let mut part = core.part(&core.new_key(Some(old.group))?, Condition::Absent)?;
    read.batches(core.stage.schema())?.try_for_each(|batch| part.write(&batch?))?;
    let mut file = part.end()?;
    let metrics = file.take_metrics();
    let made = Made { group: old.group, object: file.finish()?, metrics };
    discard(core, [&old.object.key]);
    Ok(made)
}
