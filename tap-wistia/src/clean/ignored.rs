//! Objects and lists where neither belongs: they are read to their ends, and only their shape is kept.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};

/// The length of a list.
pub(super) fn length<'de, A: SeqAccess<'de>>(mut list: A) -> Result<usize, A::Error> {
    let mut length = 0;
    while list.next_element::<IgnoredAny>()?.is_some() {
        length += 1;
    }
    Ok(length)
}

/// The names of the members of an object.
pub(super) fn names<'de, A: MapAccess<'de>>(mut map: A) -> Result<Vec<String>, A::Error> {
    let mut names = Vec::new();
    while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
        names.push(name);
    }
    Ok(names)
}
