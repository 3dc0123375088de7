//! Which medias a sync has read, told in a few bytes: a media that the next one finds beside them was
//! not there, or not wanted, and is read from the beginning.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Groups that medias fall into by their number. Where one media joins or leaves a group, the others of
/// it are read from the beginning too: that costs no request and changes no row.
const GROUPS: usize = 32;

/// Hexadecimal digits of a group.
const DIGITS: usize = 8;

/// A digest of the medias of each group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Members([u32; GROUPS]);

impl Members {
    /// These medias, by number.
    pub(crate) fn of(ids: impl IntoIterator<Item = i64>) -> Self {
        let mut groups = [0; GROUPS];
        for id in ids {
            let (group, digest) = digest(id);
            groups[group] ^= digest;
        }
        Self(groups)
    }

    /// Whether a media is of a group that has the same medias in both.
    pub(crate) fn agrees(&self, other: &Self, id: i64) -> bool {
        let (group, _) = digest(id);
        self.0[group] == other.0[group]
    }

    /// All groups in one.
    pub(crate) fn short(&self) -> String {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|group| hash.update(group.to_le_bytes()));
        hex::encode(&hash.finalize()[..DIGITS / 2])
    }
}

/// The group of a media, and what it adds to the digest of it.
fn digest(id: i64) -> (usize, u32) {
    let hash = Sha256::digest(id.to_le_bytes());
    (usize::from(hash[0]) % GROUPS, u32::from_le_bytes([hash[1], hash[2], hash[3], hash[4]]))
}

impl From<Members> for String {
    fn from(members: Members) -> Self {
        members.0.iter().fold(Self::with_capacity(GROUPS * DIGITS), |mut text, group| {
            // Writing to a string cannot fail.
            _ = write!(text, "{group:08x}");
            text
        })
    }
}

impl TryFrom<String> for Members {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a digest of medias has 256 hexadecimal digits";
        if text.len() != GROUPS * DIGITS || !text.is_ascii() {
            return Err(WRONG);
        }
        let mut groups = [0; GROUPS];
        for (at, group) in groups.iter_mut().enumerate() {
            let digits = &text[at * DIGITS..(at + 1) * DIGITS];
            *group = u32::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_agrees_while_its_medias_are_the_same() {
        let ids = || 90_000_001..90_000_400_i64;
        let before = Members::of(ids());
        assert_eq!(before, Members::of(ids().rev()), "the order does not matter");
        let after = Members::of(ids().filter(|id| *id != 90_000_123));
        assert!(!after.agrees(&before, 90_000_123));
        let others = ids().filter(|id| !after.agrees(&before, *id)).count();
        assert!((1..40).contains(&others), "{others} of 399 are of its group");
        assert_ne!(before.short(), after.short());
    }

    #[test]
    fn a_digest_comes_back_as_it_was_written() {
        let members = Members::of([1, -7, i64::MAX]);
        let text = serde_json::to_string(&members).unwrap();
        assert_eq!(serde_json::from_str::<Members>(&text).unwrap(), members);
        assert_eq!(text.len(), 258);
        for wrong in [
            r#""""#.to_owned(),
            format!("\"{}\"", "x".repeat(256)),
            format!("\"{}\"", "é".repeat(128)),
        ] {
            assert!(serde_json::from_str::<Members>(&wrong).is_err(), "{wrong}");
        }
    }
}
