//! What a table is: the definition that its writer asks for, what of the one in the lake is fixed,
//! and how the two stay one while several runs are at work.

use super::retry::MERGE_ATTEMPTS;
use crate::error::{Error, Result};
use crate::format::TableFormat;
use crate::lake::{Lake, definition_key};
use crate::schema::evolve::{Incompatible, evolve};
use crate::schema::{Column, Kind};
use crate::stage::Cut;
use crate::store::{Condition, Object};
use crate::table::definition::{
    Definition, FolderForm, Generation, Granularity, LoadMethod, format_of,
};
use crate::table::spec::Spec;
use crate::table::{key, partition};

/// The definition of a table in one run.
#[derive(Debug)]
pub(super) struct Defined {
    /// As it is after the next commit.
    pub(super) definition: Definition,
    /// The object in the lake, if it is there.
    stored: Option<Object>,
    /// Whether the object in the lake says something else.
    changed: bool,
    /// Whether its rows are yet to decide into how many objects its partitions are cut.
    is_open: bool,
}

impl Defined {
    /// The wanted definition beside one that is found, which must agree in what is fixed.
    pub(super) fn reconciled(
        wanted: Definition,
        found: Option<(Object, Definition)>,
        shards: Option<u32>,
    ) -> Result<Self> {
        Ok(match found {
            Some((object, found)) => {
                let definition = reconcile(&found, &wanted)?;
                if let Some(setting) = shards.filter(|shards| *shards != found.shards) {
                    tracing::warn!(
                        table = found.table,
                        shards = found.shards,
                        setting,
                        "the shards of a table are fixed when it is made; the setting is ignored"
                    );
                }
                let changed = definition != found;
                Self { definition, stored: Some(object), changed, is_open: false }
            }
            None => {
                let is_open = shards.is_none() && wanted.is_keyed();
                Self { definition: wanted, stored: None, changed: true, is_open }
            }
        })
    }

    /// The wanted definition, whatever is found: all that is there goes, so nothing of it binds what
    /// comes.
    pub(super) fn anew(
        mut wanted: Definition,
        found: Option<(Object, Definition)>,
        shards: Option<u32>,
    ) -> Result<Self> {
        match found {
            Some((object, found)) if found.resharding.is_none() => {
                wanted.follow(&found);
                if shards.is_none() {
                    wanted.shards = found.shards;
                }
                Ok(Self { definition: wanted, stored: Some(object), changed: true, is_open: false })
            }
            found => Self::reconciled(wanted, found, shards),
        }
    }

    /// The definition as this run knows it.
    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Takes in columns that others have given the table.
    pub(super) fn take_in(&mut self, columns: &[Column]) -> Result<()> {
        let named = |column: &Column| {
            // By its name alone it is known: what its source calls it is not.
            let known = self.definition.columns.iter().find(|known| known.name == column.name);
            let source = known.map_or(&column.name, |known| &known.source).clone();
            Column { source, ..column.clone() }
        };
        let columns: Vec<Column> = columns.iter().map(named).collect();
        let (stream, table) = (&self.definition.stream, &self.definition.table);
        let evolution = evolve(&self.definition.columns, &columns)
            .map_err(|fault| incompatible(stream, table, fault))?;
        self.changed |= evolution.columns != self.definition.columns;
        self.definition.columns = evolution.columns;
        Ok(())
    }

    /// Positions of the key columns, where the newest row of each key counts.
    pub(super) fn key_positions(&self) -> Result<Option<Vec<usize>>> {
        let is_keyed = self.definition.is_keyed();
        is_keyed.then(|| self.definition.key_positions()).transpose()
    }

    /// How the table's partitions are cut into objects.
    pub(super) fn cut(&self) -> Cut {
        if self.is_open { Cut::Open } else { Cut::Into(self.definition.shards) }
    }

    /// The rows decide into how many objects partitions are cut, unless another run makes the table first.
    pub(super) fn propose(&mut self, shards: u32) {
        self.changed |= self.definition.shards != shards;
        self.definition.shards = shards;
    }

    /// Partitions are cut as the definition says.
    pub(super) fn close_cut(&mut self) {
        self.is_open = false;
    }

    /// Takes a new schema of the rows. Whether the columns have changed.
    pub(super) fn evolve(&mut self, spec: &Spec, has_old_files: bool) -> Result<bool> {
        let keyed = match self.definition.load_method {
            LoadMethod::Append => false,
            LoadMethod::Upsert | LoadMethod::Overwrite => true,
        };
        let keys = known_names(&self.definition, &spec.columns, &spec.keys);
        if keyed && keys != self.definition.keys {
            return Err(other_keys(&self.definition, &spec.keys, &spec.stream));
        }
        let evolution = evolve(&self.definition.columns, &spec.columns)
            .map_err(|fault| incompatible(&spec.stream, &self.definition.table, fault))?;
        let has_changed = evolution.columns != self.definition.columns;
        if has_changed {
            self.changed = true;
            self.definition.widening |= evolution.widened && self.stored.is_some() && has_old_files;
            self.definition.columns = evolution.columns;
        }
        Ok(has_changed)
    }

    /// Whether the object in the lake says something else, as far as is known.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Whether the table is in the lake.
    pub(super) fn is_stored(&self) -> bool {
        self.stored.is_some()
    }

    pub(super) fn set_version(&mut self, version: i64) {
        self.changed |= self.definition.version != Some(version);
        self.definition.version = Some(version);
    }

    pub(super) fn set_generation(&mut self, generation: Option<Generation>) {
        self.changed |= self.definition.generation != generation;
        self.definition.generation = generation;
    }

    /// Files of a narrower type are about to become visible.
    pub(super) fn set_widening(&mut self) {
        self.changed |= !self.definition.widening;
        self.definition.widening = true;
    }

    /// No file of a narrower type is left.
    pub(super) fn set_widened(&mut self) {
        self.changed |= self.definition.widening;
        self.definition.widening = false;
    }

    /// Checks that the table's rows are in the objects that this run knows: where one of these is not there,
    /// they may not be.
    ///
    /// # Errors
    ///
    /// [`Error::Table`] where the table was cut anew, or is about to be.
    pub(super) fn check_cut(&self, lake: &Lake) -> Result<()> {
        let current = lake.store.head(&definition_key(&self.definition.table))?;
        if current.is_some() && current == self.stored {
            return Ok(());
        }
        match lake.definition(&self.definition.table)? {
            Some((_, found)) if !found.is_cut_as(&self.definition) => {
                reconcile(&found, &self.definition)?;
                Err(self.resharded(found.shards))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes over what another run has changed since the definition was read. `begun` says that rows
    /// of this run are in the lake. Whether there was something.
    pub(super) fn refresh(&mut self, lake: &Lake, begun: bool) -> Result<bool> {
        let version = |object: &Object| object.version.clone();
        let current = lake.store.head(&definition_key(&self.definition.table))?;
        if current.as_ref().map(version) == self.stored.as_ref().map(version) {
            return Ok(false);
        }
        match lake.definition(&self.definition.table)? {
            Some((object, found)) => self.adopt(&found, object, begun)?,
            None => {
                self.stored = None;
                self.changed = true;
            }
        }
        Ok(true)
    }

    /// Writes the definition if it is new. Another run that was faster is taken into account; whether
    /// there was one.
    pub(super) fn store(&mut self, lake: &Lake, begun: bool) -> Result<bool> {
        let key = definition_key(&self.definition.table);
        let mut adopted = false;
        for _ in 0..MERGE_ATTEMPTS {
            if !self.changed {
                return Ok(adopted);
            }
            let condition = Condition::still(self.stored.as_ref());
            match lake.store.put(&key, &self.definition.text()?, condition) {
                Ok(object) => {
                    self.stored = Some(object);
                    self.changed = false;
                }
                Err(Error::Conflict { .. }) => match lake.definition(&self.definition.table)? {
                    Some((object, found)) => {
                        self.adopt(&found, object, begun)?;
                        adopted = true;
                    }
                    None => self.stored = None,
                },
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict { object: lake.store.locate(&key) })
    }

    /// Takes over a definition that another run has written meanwhile.
    fn adopt(&mut self, found: &Definition, object: Object, begun: bool) -> Result<()> {
        let stream = self.definition.stream.clone();
        let mut definition = reconcile(found, &self.definition)?;
        if definition.folders != self.definition.folders {
            return Err(Error::Table {
                table: found.table.clone(),
                reason: "another version of this program has made it while this run was at work; run again".into(),
            });
        }
        if !self.is_open && !definition.is_cut_as(&self.definition) {
            return Err(self.resharded(definition.shards));
        }
        let incompatible = |fault| incompatible(&stream, &found.table, fault);
        let evolution =
            evolve(&definition.columns, &self.definition.columns).map_err(incompatible)?;
        let theirs = evolve(&self.definition.columns, &definition.columns).map_err(incompatible)?;
        definition.widening |=
            evolution.widened || self.definition.widening || (begun && theirs.widened);
        definition.columns = evolution.columns;
        self.changed = definition != *found;
        self.stored = Some(object);
        self.definition = definition;
        Ok(())
    }

    /// The rows of this run are cut for another number of shards than the table now has.
    pub(super) fn resharded(&self, shards: u32) -> Error {
        resharded(&self.definition, shards)
    }
}

/// The rows of a run are cut otherwise than the table now is.
pub(super) fn resharded(definition: &Definition, shards: u32) -> Error {
    Error::Table {
        table: definition.table.clone(),
        reason: format!(
            "it was cut into {shards} objects per partition while this run was at work; run again"
        ),
    }
}

fn incompatible(stream: &str, table: &str, fault: Incompatible) -> Error {
    Error::Incompatible {
        stream: stream.to_owned(),
        table: table.to_owned(),
        column: fault.column,
        old: fault.old,
        new: fault.new,
    }
}

fn other_keys(definition: &Definition, keys: &[String], stream: &str) -> Error {
    Error::Table {
        table: definition.table.clone(),
        reason: format!(
            "its keys are {:?}, those of stream `{stream}` are {keys:?}; load into a new table to change that",
            definition.keys
        ),
    }
}

/// The definition that a spec asks for, and the one that there is. A table that has the name which the first
/// release gave it keeps that.
pub(super) fn look_up(
    lake: &Lake,
    spec: &Spec,
) -> Result<(Definition, Option<(Object, Definition)>)> {
    let mut wanted = define(spec)?;
    let mut found = lake.definition(&spec.table)?;
    if let (Some(former), None) = (&spec.former_table, &found) {
        // Another stream's may have that name by itself.
        let own = |(_, found): &(_, Definition)| found.stream == spec.stream;
        found = lake.definition(former)?.filter(own);
        if found.is_some() {
            wanted.table.clone_from(former);
        }
    }
    Ok((wanted, found))
}

/// The definition that a spec asks for.
fn define(spec: &Spec) -> Result<Definition> {
    let fault = |reason: String| Error::Table { table: spec.table.clone(), reason };
    if spec.load == LoadMethod::Upsert && spec.keys.is_empty() {
        return Err(fault(
            "its rows shall replace those of the same key, but it has no keys".into(),
        ));
    }
    for name in &spec.keys {
        match spec.columns.iter().find(|column| column.name == *name) {
            None => return Err(fault(format!("its key `{name}` is none of its columns"))),
            Some(column) if !key::is_hashable(&column.kind) => {
                let kind = &column.kind;
                return Err(fault(format!("its key `{name}` is {kind}, which cannot be a key")));
            }
            Some(_) => {}
        }
    }
    let folders = FolderForm::of_new(spec.partition_by.as_ref());
    let definition = Definition {
        format: format_of(folders, spec.table_format),
        table: spec.table.clone(),
        stream: spec.stream.clone(),
        columns: spec.columns.clone(),
        keys: spec.keys.clone(),
        load_method: spec.load,
        table_format: spec.table_format,
        partition_by: spec.partition_by.clone(),
        folders,
        shards: spec.shards.unwrap_or(1),
        first_shard: 0,
        resharding: None,
        resharding_first: None,
        version: None,
        generation: None,
        widening: false,
    };
    if let Some(by) = &definition.partition_by {
        let key = by.key(folders);
        let column =
            definition.columns.iter().find(|column| column.is_called(&by.column)).ok_or_else(
                || {
                    fault(format!(
                        "`partition_by` names the column `{}`, which its schema has not",
                        by.column
                    ))
                },
            )?;
        if let Some(part) = by.granularity
            && !partition::is_dated(&column.kind.data_type(), part)
        {
            let what = if part == Granularity::Hour { "hours" } else { "a part of its date" };
            return Err(fault(format!(
                "`partition_by` cuts `{}` by {what}, but it is {}",
                by.column, column.kind
            )));
        }
        if matches!(column.kind, Kind::Struct(_) | Kind::List(_)) {
            return Err(fault(format!(
                "`partition_by` names `{}`, but {} is no value for a partition",
                by.column, column.kind
            )));
        }
        if definition.columns.iter().any(|column| column.name == key) {
            return Err(fault(format!(
                "its partition key `{key}` is also one of its columns, which Redshift forbids; set `name` in `partition_by`"
            )));
        }
    }
    Ok(definition)
}

/// The names that a table has for some of the columns of its rows: it may have called them otherwise when it
/// was made.
fn known_names(found: &Definition, columns: &[Column], names: &[String]) -> Vec<String> {
    let known = |name: &String| {
        let own = columns.iter().find(|column| column.name == *name)?;
        let known = found.columns.iter().find(|column| column.source == own.source)?;
        Some(known.name.clone())
    };
    names.iter().map(|name| known(name).unwrap_or_else(|| name.clone())).collect()
}

/// Checks what is fixed when a table is made, and takes over what is not.
fn reconcile(found: &Definition, wanted: &Definition) -> Result<Definition> {
    let fault = |reason: String| Err(Error::Table { table: found.table.clone(), reason });
    if let Some(shards) = found.resharding {
        return fault(format!(
            "it is being cut into {shards} objects per partition; wait for that `maintain`, or run `target-s3-parquet maintain --table {} --shards {shards}` if it has died",
            found.table
        ));
    }
    if found.table_format != wanted.table_format {
        let [is, wanted] = [found.table_format, wanted.table_format].map(TableFormat::name);
        return fault(format!(
            "it is {is}, the settings ask for {wanted}; set `table_format` as it is, or load into a new table"
        ));
    }
    if found.partition_by != wanted.partition_by {
        return fault(format!(
            "it is partitioned by {}, the settings say {}; load into a new table to change that",
            describe_partition(found),
            describe_partition(wanted),
        ));
    }
    let (old, new) = (found.load_method, wanted.load_method);
    let keys = known_names(found, &wanted.columns, &wanted.keys);
    if new == LoadMethod::Upsert {
        if found.keys != keys {
            return Err(other_keys(found, &wanted.keys, &wanted.stream));
        }
        if old == LoadMethod::Append {
            return fault(
                "it was made by appending, so its keys may be doubled; load into a new table, or overwrite it once".into(),
            );
        }
    }
    let generation = wanted.generation.or(found.generation);
    Ok(Definition { keys, load_method: new, generation, ..found.clone() })
}

fn describe_partition(definition: &Definition) -> String {
    definition.partition_by.as_ref().map_or_else(
        || "nothing".into(),
        |by| format!("`{}` as `{}`", by.column, by.key(definition.folders)),
    )
}
