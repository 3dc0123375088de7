//! The bucket of a key: Murmur3 of its bytes, which every writer of Iceberg computes alike
//! (<https://iceberg.apache.org/spec/#appendix-b-32-bit-hash-requirements>).

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use super::definition::Definition;
use crate::schema::Column;

/// Whether keys of this type can decide the bucket.
fn is_hashable(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Utf8
    )
}

/// The hash of each value of a column, without its sign; 0 where there is none. `n` buckets are its rest by `n`.
pub(crate) fn hashes(column: &dyn Array) -> Vec<u32> {
    let of_number = |number: i64| murmur3(&number.to_le_bytes());
    let rows = 0..column.len();
    match column.data_type() {
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            rows.map(|row| of_number(i64::from(values.value(row)))).collect()
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>();
            rows.map(|row| of_number(i64::from(values.value(row)))).collect()
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            rows.map(|row| of_number(values.value(row))).collect()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            rows.map(|row| of_number(values.value(row))).collect()
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            rows.map(|row| murmur3(values.value(row).as_bytes())).collect()
        }
        // Refused when the table is made.
        _ => vec![0; column.len()],
    }
}

/// The column whose values are cut into shards: the first key that can be hashed.
pub(crate) fn bucket_column(definition: &Definition) -> Option<&Column> {
    let mut keys = definition.keys.iter();
    keys.find_map(|key| {
        let column = definition.columns.iter().find(|column| column.name == *key)?;
        is_hashable(&column.kind.data_type()).then_some(column)
    })
}

/// Murmur3, x86, 32 bits, seed 0, without the sign.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, rest) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !rest.is_empty() {
        hash ^= mix(rest.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte)));
    }
    // The length enters as 32 bits.
    hash ^= u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    /// The values that the specification gives.
    #[test]
    fn hashes_are_those_of_the_specification() {
        let at = TimestampMicrosecondArray::from(vec![1_510_871_468_000_000]).with_timezone("UTC");
        for (column, hash) in [
            (Arc::new(Int32Array::from(vec![34])) as ArrayRef, 2_017_239_379_i32),
            (Arc::new(Int64Array::from(vec![34])), 2_017_239_379),
            (Arc::new(Date32Array::from(vec![17486])), -653_330_422),
            (Arc::new(at), -2_047_944_441),
            (Arc::new(StringArray::from(vec!["iceberg"])), 1_210_000_089),
        ] {
            assert!(is_hashable(column.data_type()));
            assert_eq!(hashes(&column), [hash.cast_unsigned() & 0x7fff_ffff], "{column:?}");
        }
    }

    #[test]
    fn every_length_of_text_is_hashed_by_all_its_bytes() {
        // Of `mmh3` 5.2, by which PyIceberg hashes.
        let texts = StringArray::from(vec!["", "a", "ab", "abc", "abcd", "größe"]);
        let expected =
            [0, 1_009_084_850, -1_681_926_305_i32, -1_277_324_294, 1_139_631_978, -472_672_705];
        assert_eq!(hashes(&texts), expected.map(|hash| hash.cast_unsigned() & 0x7fff_ffff));
    }
}
