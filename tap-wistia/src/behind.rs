//! Medias that could not be read in the last sync: each is read from where it was left, and a state is
//! small whatever their number.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Ranges at most. Two streams have them, and a state stays below 4 kB.
const RANGES: usize = 12;

/// Ranges of medias by number, in their order. A range may hold medias that were read: those are read
/// again from its day, which costs no request and changes no row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Behind(Vec<Range>);

/// Medias of neighbouring numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    /// The smallest number.
    from: i64,
    /// The largest number.
    to: i64,
    /// The first day that is missing of any of them.
    since: NaiveDate,
}

impl Behind {
    /// These medias, each with the first day that is missing of it.
    pub(crate) fn of(medias: impl IntoIterator<Item = (i64, NaiveDate)>) -> Self {
        Self::small(
            medias.into_iter().map(|(id, since)| Range { from: id, to: id, since }).collect(),
        )
    }

    /// These and others, all of which have larger numbers.
    #[must_use]
    pub(crate) fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        Self::small(self.0)
    }

    fn small(mut ranges: Vec<Range>) -> Self {
        ranges.sort_by_key(|range| (range.from, range.since));
        ranges.dedup_by_key(|range| range.from);
        while ranges.len() > RANGES {
            let gap = |at: &usize| ranges[at + 1].from.saturating_sub(ranges[*at].to);
            let Some(at) = (0..ranges.len() - 1).min_by_key(gap) else { break };
            let next = ranges.remove(at + 1);
            let range = &mut ranges[at];
            (range.to, range.since) = (next.to, range.since.min(next.since));
        }
        Self(ranges)
    }

    /// Whether none is behind.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those with larger numbers.
    pub(crate) fn after(&self, id: i64) -> Self {
        let rest = self.0.iter().filter(|range| range.to > id);
        Self(
            rest.map(|range| Range { from: range.from.max(id.saturating_add(1)), ..*range })
                .collect(),
        )
    }

    /// The first day that may be missing of a media.
    pub(crate) fn since(&self, id: i64) -> Option<NaiveDate> {
        let range = self.0.iter().find(|range| (range.from..=range.to).contains(&id))?;
        Some(range.since)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::day;

    #[test]
    fn each_media_is_behind_since_its_own_day_while_they_are_few() {
        let behind = Behind::of([(9, day("2026-11-02")), (3, day("2026-10-01"))]);
        assert_eq!(behind.since(3), Some(day("2026-10-01")));
        assert_eq!(behind.since(9), Some(day("2026-11-02")));
        assert_eq!((behind.since(4), behind.since(1)), (None, None));
        assert!(Behind::of([]).is_empty());
    }

    proptest! {
        #[test]
        fn none_is_forgotten_and_the_state_stays_small(
            medias in proptest::collection::btree_map(0_i64..2_000_000_000, 0_u64..800, 0..300),
        ) {
            let since = |days: u64| day("2024-11-24") + chrono::Days::new(days);
            let behind = Behind::of(medias.iter().map(|(id, days)| (*id, since(*days))));
            for (id, days) in &medias {
                prop_assert!(behind.since(*id).unwrap() <= since(*days));
            }
            prop_assert!(serde_json::to_string(&behind).unwrap().len() < 900);
        }
    }
}
