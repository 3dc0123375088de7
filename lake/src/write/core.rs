//! What every load of a table works with: the definition, the rows on the way, and the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::defined::Defined;
use super::doubt::Doubts;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::writer::PartWriter;
use crate::format::iceberg;
use crate::lake::Lake;
use crate::room::Part;
use crate::schema::fields;
use crate::stage::{Cut, Group, Stage, cut};
use crate::store::Condition;
use crate::table::bucket::bucket_column;
use crate::table::definition::{Definition, LoadMethod};
use crate::table::file_name;
use crate::table::key_range::KeyRange;
use crate::table::partition::Partitioner;
use crate::table::projection::Projection;
use crate::table::spec::Spec;

/// Size at which a file is full, in bytes: what Redshift, Athena and Spark read in one piece
/// (<https://docs.aws.amazon.com/athena/latest/ug/performance-tuning-data-optimization-techniques.html>).
pub(crate) const FILE_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of rows that are encoded to see what all are worth.
const SAMPLE_BYTES: usize = 16 * 1024 * 1024;

/// A table's definition and rows in one run.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) lake: Arc<Lake>,
    pub(super) encoding: Encoding,
    pub(super) defined: Defined,
    pub(super) stage: Stage,
    /// Rows that are there already, and may come again.
    doubts: Doubts,
    /// Whether keys leave the partitions that they come from, where their partition value has changed.
    pub(super) moves_keys: bool,
    /// Whether rows whose partition value is too long for a folder's name are in the default partition.
    keeps_long: bool,
    /// Where the keys of the rows on the way lie, those of the first key column.
    pub(super) key_range: KeyRange,
    /// What is known of it where it is one of Iceberg.
    pub(super) iceberg: Option<Arc<iceberg::table::Table>>,
    /// What the run says in the summaries of the table's snapshots.
    pub(super) notes: BTreeMap<String, String>,
    /// The newest commit that an Iceberg table has of this pipeline, once it was looked for.
    pub(super) preceding: Option<Option<String>>,
    /// The table's columns as its files have them, where these have more than a name: ids.
    pub(super) file_schema: Option<SchemaRef>,
    /// How batches of each spec become the table's columns.
    projections: Vec<(Arc<Spec>, Projection)>,
}

impl Core {
    pub(super) fn new(lake: Arc<Lake>, spec: &Spec, defined: Defined, stage: Stage) -> Self {
        let doubts = Doubts::none(&spec.incidental);
        let moves_keys = spec.moves_keys && spec.partition_by.is_some();
        let key_range = if moves_keys { KeyRange::Empty } else { KeyRange::Any };
        Self {
            lake,
            encoding: spec.encoding,
            defined,
            stage,
            doubts,
            moves_keys,
            keeps_long: spec.keeps_long_values,
            key_range,
            iceberg: None,
            notes: BTreeMap::new(),
            preceding: None,
            file_schema: None,
            projections: Vec::new(),
        }
    }

    /// Forgets the rows after they were committed.
    pub(super) fn clear(&mut self) {
        self.stage.clear();
        if self.moves_keys {
            self.key_range = KeyRange::Empty;
        }
    }

    /// The rows of these files may come again, and are left out then.
    pub(super) fn doubt(&mut self, files: &[String]) -> Result<()> {
        let schema = SchemaRef::clone(self.stage.schema());
        self.doubts.add(&self.lake, files, &schema)
    }

    /// Bytes in memory of rows on the way and of hashes of those in doubt.
    pub(super) fn memory(&self) -> usize {
        self.stage.memory() + self.doubts.memory()
    }

    /// Moves what is known of rows in doubt to the temporary file, if it takes more memory than the rows
    /// on the way, or than these many bytes. Whether it was done.
    pub(super) fn spill_doubts(&mut self, others: usize) -> Result<bool> {
        if self.doubts.spillable() <= others.max(self.stage.memory()) {
            return Ok(false);
        }
        self.doubts.spill(&self.lake.spill).map(|()| true)
    }

    /// Takes the rows out of the staged ones that came again: they were held back, and enter beside those
    /// in doubt after all.
    pub(super) fn sift(&mut self) -> Result<()> {
        if self.doubts.is_empty() {
            return Ok(());
        }
        let mut sifted = self.keyed_stage(Cut::Into(self.definition().shards))?;
        let reader = self.stage.reader()?;
        for group in self.stage.groups() {
            reader.each(*group, |batch| {
                let (batch, hashes) = self.doubts.take_out(batch, &[])?;
                sifted.push(batch, &hashes)?;
                if sifted.memory() > self.lake.budget / 2 {
                    sifted.spill(&self.lake.spill)?;
                }
                Ok(())
            })?;
        }
        sifted.cover()?;
        drop(reader);
        sifted.follow(&self.stage);
        self.stage = sifted;
        Ok(())
    }

    /// An empty stage for rows of the table.
    pub(super) fn keyed_stage(&self, cut: Cut) -> Result<Stage> {
        keyed_stage(&self.lake, self.definition(), cut, self.keeps_long)
    }

    /// Decides into how many objects the partitions of a new table are cut, by what its rows are worth, where
    /// the settings leave that open.
    pub(super) fn choose_cut(&mut self) -> Result<()> {
        let Some(partitions) = self.stage.open_partitions() else { return Ok(()) };
        if self.defined.is_stored() {
            return Ok(());
        }
        // What cannot be cut otherwise is not.
        let is_cuttable =
            !self.definition().is_iceberg() || bucket_column(self.definition()).is_some();
        let is_large = is_cuttable && partitions.iter().any(|bytes| *bytes > FILE_BYTES);
        // Encoded, rows take less than they do now.
        let shards = if is_large {
            let (before, after) = self.encoded_sample()?;
            let encoded = |bytes: usize| bytes as u64 * after as u64 / before.max(1) as u64;
            cut::objects(partitions.into_iter().map(encoded), FILE_BYTES as u64)
        } else {
            1
        };
        if shards > 1 {
            let table = &self.definition().table;
            tracing::info!(table, shards, "{table}: each partition is cut into {shards} objects");
        }
        self.defined.propose(shards);
        Ok(())
    }

    /// Bytes of some of the rows that wait, and of these rows in a file.
    fn encoded_sample(&self) -> Result<(usize, usize)> {
        let format = self.lake.format(&self.encoding, self.definition().shards);
        let (sample, before) = self.stage.sample(SAMPLE_BYTES)?;
        let after = self.lake.measure(&sample, self.stage.schema(), &format)?;
        Ok((before, after))
    }

    /// Cuts the rows that wait as the definition says, where that was open.
    pub(super) fn cut(&mut self) -> Result<()> {
        if self.stage.is_open() {
            self.defined.close_cut();
            self.stage.cut(self.defined.definition.shards)?;
        }
        Ok(())
    }

    /// How many rows came again, and were left out.
    pub(super) fn recognised(&self) -> u64 {
        self.doubts.recognised()
    }

    /// The definition as this run knows it.
    pub(super) fn definition(&self) -> &Definition {
        &self.defined.definition
    }

    /// What the keys of the table's objects begin with.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.definition().table)
    }

    /// The key of a group's object.
    pub(super) fn object_key(&self, group: Group) -> Result<String> {
        let folder = self.stage.folder(group)?;
        let number = self.definition().first_shard + group.shard;
        Ok(format!("{}{folder}{}", self.prefix(), file_name::part(number)))
    }

    /// Room for a file that is begun.
    pub(super) fn room(&self) -> Part<'_> {
        self.lake.room_for(self.stage.schema().flattened_fields().len(), 0)
    }

    /// Begins a file of the table.
    pub(super) fn part(&self, key: &str, condition: Condition) -> Result<PartWriter> {
        let format = self.lake.format(&self.encoding, self.definition().shards);
        let schema = self.file_schema.as_ref().unwrap_or_else(|| self.stage.schema());
        self.lake.part(key, condition, schema, &format)
    }

    /// A key for a file of a group, of an Iceberg table: nothing ever had it.
    pub(super) fn new_key(&self, group: Option<Group>) -> Result<String> {
        let folder = group.map_or_else(|| Ok(String::new()), |group| self.stage.folder(group))?;
        let root = match &self.iceberg {
            Some(table) => table.root(self.definition())?,
            None => self.definition().table.clone(),
        };
        let number = self.lake.next_number();
        Ok(format!("{root}/data/{folder}{}-{number:05}.parquet", self.lake.run))
    }

    /// Batches of this spec can be made the table's from now on.
    pub(super) fn know(&mut self, spec: &Arc<Spec>) {
        if self.projection(spec).is_none() {
            let projection =
                Projection::from_columns(&spec.columns, &self.defined.definition.columns);
            self.projections.push((Arc::clone(spec), projection));
        }
    }

    /// Whether batches of this spec can be made the table's.
    pub(super) fn knows(&self, spec: &Arc<Spec>) -> bool {
        self.projection(spec).is_some()
    }

    fn projection(&self, spec: &Arc<Spec>) -> Option<&Projection> {
        // The newest is the one in use.
        let mut known = self.projections.iter().rev();
        known.find(|(known, _)| Arc::ptr_eq(known, spec)).map(|(_, projection)| projection)
    }

    /// Stages rows of a spec that is known.
    pub(super) fn push(
        &mut self,
        spec: &Arc<Spec>,
        batch: &RecordBatch,
        hashes: &[u128],
        may_come_again: bool,
    ) -> Result<()> {
        let Some(projection) = self.projection(spec) else {
            return Err(Error::internal(format!(
                "rows of stream `{}` came by columns that table `{}` knows",
                spec.stream, spec.table
            )));
        };
        let batch = projection.apply(batch).map_err(Error::arrow)?;
        if self.moves_keys
            && let Some(first) = self.definition().keys.first()
            && let Some(column) = batch.column_by_name(first)
        {
            self.key_range.add(column);
        }
        if !may_come_again || self.doubts.is_empty() {
            return self.stage.push(batch, hashes);
        }
        let (batch, hashes) = self.doubts.take_out(&batch, hashes)?;
        self.stage.push(batch, &hashes)
    }

    /// How staged rows become those of the definition's columns, where these have changed.
    pub(super) fn realignment(&self) -> Option<Projection> {
        let schema = schema_of(self.definition());
        (*self.stage.schema() != schema)
            .then(|| Projection::between(self.stage.schema().fields(), &schema))
    }

    /// Takes over what another run has changed in the definition, and brings the staged rows to it. `begun` as
    /// in [`Defined::refresh`]. Whether there was something.
    pub(super) fn catch_up(&mut self, begun: bool) -> Result<bool> {
        let is_other = self.defined.refresh(&self.lake, begun)?;
        let mut has_changed = is_other;
        while has_changed {
            let projection = self.realignment();
            self.realign(projection.as_ref())?;
            has_changed = self.defined.store(&self.lake, begun)?;
        }
        Ok(is_other)
    }

    /// Brings the staged rows to the columns of the definition.
    pub(super) fn realign(&mut self, projection: Option<&Projection>) -> Result<()> {
        self.projections.clear();
        projection.map_or(Ok(()), |projection| self.stage.realign(projection))
    }

    /// The rows of this run are cut for another number of shards than the table now has.
    pub(super) fn resharded(&self, shards: u32) -> Error {
        self.defined.resharded(shards)
    }
}

/// The Arrow schema of a table's files.
pub(crate) fn schema_of(definition: &Definition) -> SchemaRef {
    Arc::new(Schema::new(fields(&definition.columns)))
}

/// A stage for the rows of a table, by partition and shard, of which the newest of each key counts.
pub(super) fn keyed_stage(
    lake: &Lake,
    definition: &Definition,
    cut: Cut,
    keeps_long: bool,
) -> Result<Stage> {
    let partitioner = Partitioner::of(definition, lake.store.longest_key(), keeps_long)?;
    let stage = Stage::new(schema_of(definition), partitioner, cut, definition.is_keyed());
    let is_bucketed = definition.is_iceberg() && definition.is_keyed();
    let bucketed = bucket_column(definition).filter(|_| is_bucketed);
    Ok(match bucketed.and_then(|column| definition.columns.iter().position(|own| own == column)) {
        Some(column) => stage.with_buckets_of(column),
        None => stage,
    })
}

/// A stage for rows that wait for their generation: in the order in which they come, keys or not.
pub(super) fn waiting_stage(
    lake: &Lake,
    definition: &Definition,
    keeps_long: bool,
) -> Result<Stage> {
    match definition.load_method {
        LoadMethod::Append => {
            keyed_stage(lake, definition, Cut::Into(definition.shards), keeps_long)
        }
        LoadMethod::Upsert | LoadMethod::Overwrite => {
            Ok(Stage::new(schema_of(definition), Partitioner::new(None), Cut::Into(1), false))
        }
    }
}
