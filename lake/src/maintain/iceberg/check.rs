//! The files of a snapshot as a check reads them: where their rows belong, and what manifests say of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};
use crate::format::iceberg::said::{Leaf, Said, leaves};
use crate::format::iceberg::spec::Plan;
use crate::format::iceberg::value::Single;
use crate::lake::Lake;
use crate::maintain::check::belonging::{Belongs, strangers};
use crate::maintain::check::suspect::{Claims, Suspect, Told};
use crate::maintain::check::{Checked, FaultKind, check};
use crate::table::bucket::{bucket_column, hashes};
use crate::table::definition::Definition;
use crate::table::partition::Partitioner;

/// Checks the current snapshot of a table.
pub(crate) fn checked(lake: &Lake, definition: &Definition) -> Result<Checked> {
    let table = lake.iceberg(&definition.table)?;
    let Some(found) = table.load()? else { return check(lake, definition, Vec::new()) };
    let plan = Plan::of(definition)?;
    let is_own = plan.divides(&found.metadata);
    let said = table.said(&found.metadata)?;
    let leaves = Arc::new(leaves(&found.metadata));
    let mut others = 0;
    let mut suspects = Vec::new();
    for file in table.live(&found.metadata, None)? {
        let partition = format!("{} {:?}", file.spec, file.partition);
        let place: Box<dyn Belongs> = if is_own && file.spec == found.metadata.default_spec_id() {
            Box::new(Hidden::new(lake, definition, &plan, file.partition, partition)?)
        } else {
            others += 1;
            Box::new(Somewhere { partition })
        };
        let claims = said.get(&file.path).cloned().map(|said| -> Box<dyn Claims> {
            Box::new(OfManifest { said, leaves: Arc::clone(&leaves) })
        });
        suspects.push(Suspect { key: file.key, object: None, place, claims });
    }
    let mut checked = check(lake, definition, suspects)?;
    if others > 0 {
        checked.notes.push(format!(
            "files that are divided otherwise than the table is now, by another writer or as it was before: {others}; where \
             their rows belong was not checked"
        ));
    }
    Ok(checked)
}

/// In no place that is known.
#[derive(Debug)]
struct Somewhere {
    partition: String,
}

impl Belongs for Somewhere {
    fn strangers(&mut self, _: &RecordBatch, _: &[u128]) -> Result<Vec<(FaultKind, u64, usize)>> {
        Ok(Vec::new())
    }

    fn partition(&self) -> &str {
        &self.partition
    }
}

/// In a partition, as the metadata has its values.
#[derive(Debug)]
struct Hidden {
    partition: String,
    values: Vec<Single>,
    plan: Plan,
    /// The column by which rows are cut, and into how many.
    bucketed: Option<(usize, u32)>,
    partitioner: Partitioner,
}

impl Hidden {
    fn new(
        lake: &Lake,
        definition: &Definition,
        plan: &Plan,
        values: Vec<Single>,
        partition: String,
    ) -> Result<Self> {
        let is_cut = definition.is_keyed() && definition.shards > 1;
        let column = bucket_column(definition).filter(|_| is_cut);
        let place =
            column.and_then(|column| definition.columns.iter().position(|own| own == column));
        let partitioner = Partitioner::of(definition, lake.store().longest_key(), true)?;
        Ok(Self {
            partition,
            values,
            plan: plan.clone(),
            bucketed: place.map(|place| (place, definition.shards)),
            partitioner,
        })
    }
}

impl Belongs for Hidden {
    fn strangers(
        &mut self,
        rows: &RecordBatch,
        _: &[u128],
    ) -> Result<Vec<(FaultKind, u64, usize)>> {
        let numbers = self.partitioner.assign(rows)?;
        let buckets = match self.bucketed {
            Some((column, buckets)) => {
                let column = rows.columns().get(column);
                let column = column.ok_or_else(|| Error::internal("a key is a column"))?;
                hashes(column).into_iter().map(|hash| hash % buckets).collect()
            }
            None => vec![0; numbers.len()],
        };
        let mut known: HashMap<(u32, u32), bool> = HashMap::new();
        let mut here = Vec::with_capacity(numbers.len());
        for place in numbers.into_iter().zip(buckets) {
            let is_here = match known.get(&place) {
                Some(is_here) => *is_here,
                None => {
                    let own = self.plan.values(self.partitioner.hidden(place.0)?, place.1)?;
                    *known.entry(place).or_insert(own == self.values)
                }
            };
            here.push(is_here);
        }
        Ok(strangers(FaultKind::Partition, here.into_iter()).into_iter().collect())
    }

    fn partition(&self) -> &str {
        &self.partition
    }
}

/// What a manifest says.
#[derive(Debug)]
struct OfManifest {
    said: Said,
    leaves: Arc<HashMap<String, Leaf>>,
}

impl Claims for OfManifest {
    fn compare(&self, footer: &ParquetMetaData, told: &mut Told<'_>) {
        for difference in self.said.differences(footer.row_groups(), &self.leaves) {
            told.add(FaultKind::Manifest, 1, &difference);
        }
    }
}
