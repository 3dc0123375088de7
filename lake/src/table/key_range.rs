//! Between which values keys lie, so that row groups are passed over that can have none of them.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use parquet::file::statistics::Statistics;

/// Between which values those of a key column lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum KeyRange {
    /// There is none.
    #[default]
    Empty,
    /// Between these.
    Whole(i64, i64),
    /// Between these bytes.
    Text(Vec<u8>, Vec<u8>),
    /// They may be any.
    Any,
}

impl KeyRange {
    /// The range of a column's values.
    fn of(column: &ArrayRef) -> Self {
        let whole = match column.data_type() {
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                return match (min_string(texts), max_string(texts)) {
                    (Some(low), Some(high)) => Self::Text(low.into(), high.into()),
                    _ => Self::Empty,
                };
            }
            DataType::Int32 => ends::<Int32Type>(column),
            DataType::Date32 => ends::<Date32Type>(column),
            DataType::Int64 => ends::<Int64Type>(column),
            DataType::Timestamp(..) => ends::<TimestampMicrosecondType>(column),
            _ => return Self::Any,
        };
        whole.map_or(Self::Empty, |(low, high)| Self::Whole(low, high))
    }

    /// Adds a column's values. One of another type than those before may be any.
    pub(crate) fn add(&mut self, column: &ArrayRef) {
        *self = match (std::mem::take(self), Self::of(column)) {
            (Self::Empty, other) | (other, Self::Empty) => other,
            (Self::Whole(low, high), Self::Whole(other_low, other_high)) => {
                Self::Whole(low.min(other_low), high.max(other_high))
            }
            (Self::Text(low, high), Self::Text(other_low, other_high)) => {
                Self::Text(low.min(other_low), high.max(other_high))
            }
            _ => Self::Any,
        };
    }

    /// Whether a row group may have one of them, by the statistics of the column. A text may be cut
    /// in them, its ends hold all the same
    /// (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).
    pub(crate) fn meets(&self, statistics: Option<&Statistics>) -> bool {
        let Some(statistics) = statistics else { return true };
        match (self, statistics) {
            (Self::Empty, _) => false,
            (Self::Whole(low, high), Statistics::Int64(of)) => {
                overlap((low, high), (of.min_opt(), of.max_opt()))
            }
            (Self::Whole(low, high), Statistics::Int32(of)) => {
                let (min, max) = (of.min_opt().copied(), of.max_opt().copied());
                overlap((low, high), (min.map(i64::from).as_ref(), max.map(i64::from).as_ref()))
            }
            (Self::Text(low, high), Statistics::ByteArray(of)) => {
                let (min, max) = (of.min_bytes_opt(), of.max_bytes_opt());
                overlap((low.as_slice(), high.as_slice()), (min, max))
            }
            _ => true,
        }
    }
}

/// The least and the largest value.
fn ends<T>(column: &ArrayRef) -> Option<(i64, i64)>
where
    T: ArrowNumericType,
    T::Native: Into<i64>,
{
    let values = column.as_primitive::<T>();
    Some((min(values)?.into(), max(values)?.into()))
}

/// Whether two ranges have something in common, of which the second may not be known.
fn overlap<T: PartialOrd + ?Sized>(own: (&T, &T), other: (Option<&T>, Option<&T>)) -> bool {
    other.0.is_none_or(|low| low <= own.1) && other.1.is_none_or(|high| high >= own.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int32Array, Int64Array, StringArray};

    use super::*;

    fn range(columns: &[ArrayRef]) -> KeyRange {
        let mut range = KeyRange::default();
        for column in columns {
            range.add(column);
        }
        range
    }

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    #[test]
    fn it_holds_all_values_and_none_beyond() {
        let whole: [ArrayRef; 3] = [
            Arc::new(Int64Array::from(vec![5, -2])),
            Arc::new(Int64Array::from(Vec::<i64>::new())),
            Arc::new(Int64Array::from(vec![9])),
        ];
        assert_eq!(range(&whole), KeyRange::Whole(-2, 9));
        assert_eq!(range(&[Arc::new(Int32Array::from(vec![7]))]), KeyRange::Whole(7, 7));
        let text = range(&[texts(&["m", "k"]), texts(&["x"])]);
        assert_eq!(text, KeyRange::Text(b"k".into(), b"x".into()));
        assert_eq!(range(&[texts(&["a"]), Arc::clone(&whole[0])]), KeyRange::Any);
        assert_eq!(range(&[Arc::new(BooleanArray::from(vec![true]))]), KeyRange::Any);
        assert_eq!(range(&[]), KeyRange::Empty);
    }

    #[test]
    fn a_row_group_is_passed_over_only_where_it_can_have_none() {
        let group = |low, high| Statistics::int64(low, high, None, None, false);
        let keys = KeyRange::Whole(10, 20);
        for (low, high, meets) in [
            (Some(0), Some(9), false),
            (Some(21), Some(30), false),
            (Some(0), Some(10), true),
            (Some(20), Some(30), true),
            (Some(12), Some(13), true),
            (None, Some(9), false),
            (Some(0), None, true),
            (None, None, true),
        ] {
            assert_eq!(keys.meets(Some(&group(low, high))), meets, "{low:?} {high:?}");
        }
        assert!(keys.meets(None));
        assert!(KeyRange::Any.meets(Some(&group(Some(0), Some(1)))));
        assert!(!KeyRange::Empty.meets(Some(&group(Some(0), Some(1)))));
        let small = Statistics::int32(Some(0), Some(9), None, None, false);
        assert!(!keys.meets(Some(&small)));
        let text = |low: &str, high: &str| {
            Statistics::byte_array(Some(low.into()), Some(high.into()), None, None, false)
        };
        let keys = range(&[texts(&["berlin", "paris"])]);
        assert!(keys.meets(Some(&text("a", "c"))) && !keys.meets(Some(&text("q", "z"))));
    }
}
