//! What manifests say of a data file: sizes, counts and bounds of its columns, from its footer.
//!
//! Bounds are kept of top-level columns and of fields of structs; of what lies in a list only counts are
//! (<https://iceberg.apache.org/spec/#data-file-fields>).

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use parquet::basic::{LogicalType, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

/// Characters of a text that a bound keeps, as `truncate(16)` of Iceberg's default metrics.
const CHARACTERS: usize = 16;

/// What is known of a data file by its footer. A commit of ten thousand files has as many: they are packed, and clones
/// share what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metrics {
    rows: i64,
    /// In the order of their ids.
    columns: Arc<[Packed]>,
    /// The bytes of their bounds, one behind the other.
    bounds: Arc<[u8]>,
    /// Where the row groups begin.
    offsets: Arc<[i64]>,
}

/// A column, with how many bytes its bounds have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    id: i32,
    size: i64,
    values: i64,
    nulls: Option<i64>,
    lower: Option<u8>,
    upper: Option<u8>,
}

/// What is known of a column of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column<'a> {
    pub(super) id: i32,
    /// In bytes.
    pub(super) size: i64,
    pub(super) values: i64,
    pub(super) nulls: Option<i64>,
    pub(super) lower: Option<&'a [u8]>,
    pub(super) upper: Option<&'a [u8]>,
}

/// A column while its row groups are gone through.
struct Summed {
    size: i64,
    values: i64,
    /// Nothing where a row group does not say.
    nulls: Option<i64>,
    /// Nothing as long as there was no value; then nothing where of one row group nothing is known.
    bounds: Option<Option<Bounds>>,
}

impl Metrics {
    /// How many rows the file has.
    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// Where the row groups begin.
    pub(super) fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    /// Of a file whose columns have ids. Columns without one are counted under none.
    #[expect(clippy::unnecessary_wraps, reason = "without the feature there are none")]
    pub(crate) fn of(groups: &[RowGroupMetaData]) -> Option<Self> {
        let own_id = |column: &ColumnChunkMetaData| {
            let info = column.column_descr().self_type().get_basic_info();
            info.has_id().then(|| info.id())
        };
        Some(Self::by(groups, own_id))
    }

    /// Of a file whose columns are known by the paths of their leaves.
    pub(crate) fn by_path(groups: &[RowGroupMetaData], ids: &HashMap<String, i32>) -> Self {
        Self::by(groups, |column| ids.get(&column.column_path().string()).copied())
    }

    fn by(groups: &[RowGroupMetaData], id: impl Fn(&ColumnChunkMetaData) -> Option<i32>) -> Self {
        let mut columns: BTreeMap<i32, Summed> = BTreeMap::new();
        for group in groups {
            for column in group.columns() {
                let Some(id) = id(column) else { continue };
                let of_group = Summed::of(column);
                match columns.entry(id) {
                    Entry::Vacant(new) => _ = new.insert(of_group),
                    Entry::Occupied(mut known) => known.get_mut().add(of_group),
                }
            }
        }
        let mut bounds = Vec::new();
        let mut kept = |bound: Option<Vec<u8>>| {
            // No bound is longer: a text keeps 16 characters, and a decimal has 16 bytes.
            let length = u8::try_from(bound.as_ref()?.len()).ok()?;
            bounds.extend(bound?);
            Some(length)
        };
        let columns = columns.into_iter().map(|(id, summed)| {
            let Summed { size, values, nulls, bounds } = summed;
            let (lower, upper) = bounds.flatten().map_or((None, None), |bounds| bounds.bytes());
            Packed { id, size, values, nulls, lower: kept(lower), upper: kept(upper) }
        });
        let columns = columns.collect();
        let begins = groups.iter().filter_map(|group| group.columns().first());
        Self {
            rows: groups.iter().map(RowGroupMetaData::num_rows).sum(),
            columns,
            bounds: bounds.into(),
            offsets: begins.map(|first| i64::try_from(first.byte_range().0).unwrap_or(0)).collect(),
        }
    }

    /// What is known of each column, in the order of their ids.
    pub(super) fn columns(&self) -> impl Iterator<Item = Column<'_>> {
        let mut rest: &[u8] = &self.bounds;
        let mut next = move |length: Option<u8>| {
            let (bound, behind) = rest.split_at_checked(usize::from(length?))?;
            rest = behind;
            Some(bound)
        };
        self.columns.iter().map(move |packed| {
            let Packed { id, size, values, nulls, lower, upper } = *packed;
            Column { id, size, values, nulls, lower: next(lower), upper: next(upper) }
        })
    }
}

impl Summed {
    /// Of one row group.
    fn of(column: &ColumnChunkMetaData) -> Self {
        let values = column.num_values();
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        let nulls = nulls.and_then(|nulls| i64::try_from(nulls).ok());
        // What has no value has no bounds, and bounds nothing.
        let bounds = (nulls != Some(values)).then(|| Bounds::of(column));
        Self { size: column.compressed_size(), values, nulls, bounds }
    }

    /// With what another row group has.
    fn add(&mut self, other: Self) {
        self.size += other.size;
        self.values += other.values;
        self.nulls = self.nulls.zip(other.nulls).map(|(known, more)| known + more);
        self.bounds = match (self.bounds.take(), other.bounds) {
            (Some(known), Some(found)) => {
                Some(known.zip(found).and_then(|(known, found)| known.wider(&found)))
            }
            (known, found) => known.or(found),
        };
    }
}

/// The least and the greatest value of a column, as far as they are known.
#[derive(Debug, Clone, PartialEq)]
enum Bounds {
    Boolean(bool, bool),
    /// 4 bytes.
    Int(i32, i32),
    /// 8 bytes.
    Long(i64, i64),
    Double(f64, f64),
    Decimal(i128, i128),
    /// Bytes of texts, and whether the greatest is whole.
    Text(Vec<u8>, Vec<u8>, bool),
}

impl Bounds {
    fn of(column: &ColumnChunkMetaData) -> Option<Self> {
        let leaf = column.column_descr();
        if leaf.max_rep_level() > 0 {
            return None;
        }
        let statistics = column.statistics()?;
        let is_decimal = matches!(leaf.logical_type_ref(), Some(LogicalType::Decimal { .. }));
        Some(match statistics {
            Statistics::Boolean(known) => Self::Boolean(*known.min_opt()?, *known.max_opt()?),
            Statistics::Int32(known) if is_decimal => {
                Self::Decimal(i128::from(*known.min_opt()?), i128::from(*known.max_opt()?))
            }
            Statistics::Int64(known) if is_decimal => {
                Self::Decimal(i128::from(*known.min_opt()?), i128::from(*known.max_opt()?))
            }
            Statistics::Int32(known) => Self::Int(*known.min_opt()?, *known.max_opt()?),
            Statistics::Int64(known) => Self::Long(*known.min_opt()?, *known.max_opt()?),
            Statistics::Double(known) => {
                let (least, greatest) = (*known.min_opt()?, *known.max_opt()?);
                if least.is_nan() || greatest.is_nan() {
                    return None;
                }
                Self::Double(least, greatest)
            }
            Statistics::FixedLenByteArray(known) if is_decimal => Self::Decimal(
                big_endian(known.min_opt()?.data())?,
                big_endian(known.max_opt()?.data())?,
            ),
            Statistics::ByteArray(known)
                if matches!(leaf.logical_type_ref(), Some(LogicalType::String)) =>
            {
                Self::Text(
                    known.min_opt()?.data().to_vec(),
                    known.max_opt()?.data().to_vec(),
                    statistics.max_is_exact(),
                )
            }
            _ => return None,
        })
        .filter(|_| statistics.physical_type() != Physical::INT96)
    }

    fn wider(self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Boolean(least, greatest), Self::Boolean(less, more)) => {
                Self::Boolean(least & less, greatest | more)
            }
            (Self::Int(least, greatest), Self::Int(less, more)) => {
                Self::Int(least.min(*less), greatest.max(*more))
            }
            (Self::Long(least, greatest), Self::Long(less, more)) => {
                Self::Long(least.min(*less), greatest.max(*more))
            }
            (Self::Double(least, greatest), Self::Double(less, more)) => {
                Self::Double(least.min(*less), greatest.max(*more))
            }
            (Self::Decimal(least, greatest), Self::Decimal(less, more)) => {
                Self::Decimal(least.min(*less), greatest.max(*more))
            }
            (Self::Text(least, greatest, is_whole), Self::Text(less, more, is_other_whole)) => {
                let (greatest, is_whole) = match greatest.cmp(more) {
                    std::cmp::Ordering::Less => (more.clone(), *is_other_whole),
                    std::cmp::Ordering::Equal => (greatest, is_whole && *is_other_whole),
                    std::cmp::Ordering::Greater => (greatest, is_whole),
                };
                Self::Text(least.min(less.clone()), greatest, is_whole)
            }
            _ => return None,
        })
    }

    /// The bytes of both bounds.
    fn bytes(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        match self {
            Self::Boolean(least, greatest) => {
                (Some(vec![u8::from(*least)]), Some(vec![u8::from(*greatest)]))
            }
            Self::Int(least, greatest) => {
                (Some(least.to_le_bytes().to_vec()), Some(greatest.to_le_bytes().to_vec()))
            }
            Self::Long(least, greatest) => {
                (Some(least.to_le_bytes().to_vec()), Some(greatest.to_le_bytes().to_vec()))
            }
            Self::Double(least, greatest) => {
                // Either zero may be among the values, and -0.0 is below +0.0.
                let least = if *least == 0.0 { -0.0 } else { *least };
                let greatest = if *greatest == 0.0 { 0.0 } else { *greatest };
                (Some(least.to_le_bytes().to_vec()), Some(greatest.to_le_bytes().to_vec()))
            }
            Self::Decimal(least, greatest) => (Some(shortest(*least)), Some(shortest(*greatest))),
            Self::Text(least, greatest, is_whole) => (Some(start(least)), end(greatest, *is_whole)),
        }
    }
}

/// The number of a decimal's bytes.
pub(super) fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    (bytes.len() <= 16)
        .then(|| bytes.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte)))
}

/// The fewest bytes that hold a number in two's complement, the highest first.
fn shortest(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0 };
    let is_needless = |at: usize| {
        bytes.get(at) == Some(&sign)
            && bytes.get(at + 1).is_some_and(|next| (next ^ sign) & 0x80 == 0)
    };
    let from = (0..bytes.len() - 1).find(|at| !is_needless(*at)).unwrap_or(bytes.len() - 1);
    bytes.get(from..).unwrap_or_default().to_vec()
}

/// The whole characters at the start of a text that may have been cut inside of one.
fn whole(text: &[u8]) -> &str {
    match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let valid = text.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

/// A text that is not above any other that begins so.
fn start(text: &[u8]) -> Vec<u8> {
    whole(text).chars().take(CHARACTERS).collect::<String>().into_bytes()
}

/// A text that is not below one, or below any that begins so where it `is_whole` is not; nothing where there is none.
fn end(text: &[u8], is_whole: bool) -> Option<Vec<u8>> {
    let known = whole(text);
    if is_whole && known.len() == text.len() && known.chars().count() <= CHARACTERS {
        return Some(text.to_vec());
    }
    let mut start: Vec<char> = known.chars().take(CHARACTERS).collect();
    while let Some(last) = start.pop() {
        let next = match u32::from(last) + 1 {
            // What lies between is no character.
            0xd800 => 0xe000,
            next => next,
        };
        if let Some(next) = char::from_u32(next) {
            start.push(next);
            return Some(start.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_fewest_bytes() {
        for (number, bytes) in [
            (0_i128, &[0][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (1_234_567, &[0x12, 0xd6, 0x87]),
        ] {
            assert_eq!(shortest(number), bytes, "{number}");
            assert_eq!(big_endian(bytes), Some(number));
        }
    }

    #[test]
    fn bounds_of_texts_are_cut_at_characters() {
        let long = "ü".repeat(20);
        assert_eq!(start(long.as_bytes()), "ü".repeat(16).into_bytes());
        let raised = format!("{}ý", "ü".repeat(15));
        assert_eq!(end(long.as_bytes(), true).unwrap(), raised.as_bytes());
        assert_eq!(end(b"abc", true).unwrap(), b"abc");
        // Cut by the writer of the footer, inside a character or behind one.
        assert_eq!(end(b"ab\xc3", true).unwrap(), b"ac");
        assert_eq!(end(b"abc", false).unwrap(), b"abd");
        let last = char::MAX.to_string();
        assert_eq!(end(last.repeat(20).as_bytes(), true), None);
        assert_eq!(end(format!("a{}", last.repeat(20)).as_bytes(), true).unwrap(), b"b");
        let before_gap = "\u{d7ff}".repeat(17);
        let end = String::from_utf8(end(before_gap.as_bytes(), true).unwrap()).unwrap();
        assert!(end.ends_with('\u{e000}') && end > before_gap);
    }

    #[test]
    fn a_row_group_of_which_nothing_is_known_leaves_nothing_known() {
        let known = Bounds::Long(1, 2);
        assert_eq!(known.clone().wider(&Bounds::Long(-5, 1)), Some(Bounds::Long(-5, 2)));
        assert_eq!(known.wider(&Bounds::Int(1, 1)), None);
        let zero = Bounds::Double(0.0, -0.0).bytes();
        assert_eq!(zero.0.unwrap(), (-0.0_f64).to_le_bytes());
        assert_eq!(zero.1.unwrap(), 0.0_f64.to_le_bytes());
    }
}
