//! Date slices that adapt: wide where little happened, narrow where much did.

use chrono::{Days, NaiveDate};

use crate::client::PAGE;

/// Events that a slice should hold. Each slice costs a page that is nearly empty, and one beyond it to
/// see that it is the last; each open slice is held in memory.
const TARGET: u64 = 24 * PAGE as u64;

/// Days of the first slice.
const FIRST: u64 = 64;

/// Days of a slice at most.
const WIDEST: u64 = 365;

/// Pages after which a slice of more than a day is cut: pages get slower with their depth. No page is
/// known to be refused for its depth.
pub(super) const DEEP: usize = 300;

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// The first day.
    pub(super) start: NaiveDate,
    /// The last day.
    pub(super) end: NaiveDate,
}

impl Slice {
    /// How many days it has: one at least.
    pub(super) fn days(self) -> u64 {
        (self.end - self.start).num_days().unsigned_abs() + 1
    }
}

/// Cuts a period into slices, oldest first, by what the slices before them held.
#[derive(Debug)]
pub(super) struct Slicer {
    next: Option<NaiveDate>,
    end: NaiveDate,
    width: u64,
    /// Whether the width rests on what slices held.
    calibrated: bool,
    /// Events that the next slice is likely to hold.
    likely: u64,
}

impl Slicer {
    /// Cuts the days from `start` to `end`; there are none where `start` is after `end`.
    pub(super) fn new(start: NaiveDate, end: NaiveDate) -> Self {
        Self {
            next: (start <= end).then_some(start),
            end,
            width: FIRST,
            calibrated: false,
            likely: 0,
        }
    }

    /// Slices of other days, as wide as the next one here.
    #[must_use]
    pub(super) fn over(&self, start: NaiveDate, end: NaiveDate) -> Self {
        Self { next: (start <= end).then_some(start), end, ..*self }
    }

    /// Slices from another day to the same last one, as wide as the next one here.
    #[must_use]
    pub(super) fn from(&self, start: NaiveDate) -> Self {
        self.over(start, self.end)
    }

    /// The next slice; none after that of the last day.
    pub(super) fn take(&mut self) -> Option<Slice> {
        let start = self.next?;
        let end =
            start.checked_add_days(Days::new(self.width - 1)).unwrap_or(self.end).min(self.end);
        self.next = end.succ_opt().filter(|next| *next <= self.end);
        Some(Slice { start, end })
    }

    /// Whether the next slices are likely to be of a good size. As long as they are not, they are
    /// better read one after another.
    pub(super) fn is_calibrated(&self) -> bool {
        self.calibrated
    }

    /// How many slices may be open at the same time: as many as are likely to hold so many events.
    pub(super) fn open_at_once(&self, events: usize) -> usize {
        let slices = (events as u64).checked_div(self.likely).unwrap_or(u64::MAX);
        usize::try_from(slices).unwrap_or(usize::MAX).max(1)
    }

    /// Fits the width of the next slices to what this one held.
    pub(super) fn observe(&mut self, slice: Slice, events: usize) {
        let events = events as u64;
        let fitting = (slice.days() * TARGET).checked_div(events).unwrap_or(WIDEST);
        // One quiet month says little about the next: grow in steps, shrink at once.
        self.width = fitting.clamp(1, (slice.days().max(FIRST / 4) * 4).min(WIDEST));
        // A slice that was empty in part says little about the next; a wide one after it, many at a
        // time, would hold too much in memory.
        self.calibrated = events >= TARGET / 8 && self.width <= 2 * slice.days();
        self.likely = events * self.width / slice.days();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(offset: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 11, 23).unwrap() + Days::new(offset)
    }

    /// Slices of a period with so many events each day, and the pages that they cost.
    fn slices(days: u64, events: impl Fn(u64) -> usize) -> (Vec<Slice>, usize) {
        let mut slicer = Slicer::new(day(0), day(days - 1));
        let (mut slices, mut pages) = (Vec::new(), 0);
        while let Some(slice) = slicer.take() {
            let first = u64::try_from((slice.start - day(0)).num_days()).unwrap();
            let held = (first..first + slice.days()).map(&events).sum::<usize>();
            pages += held / PAGE + 1;
            slicer.observe(slice, held);
            slices.push(slice);
        }
        (slices, pages)
    }

    #[test]
    fn two_empty_years_cost_a_handful_of_requests() {
        let (slices, pages) = slices(730, |_| 0);
        assert_eq!((slices.len(), pages), (4, 4));
    }

    #[test]
    fn a_steady_account_has_slices_near_the_target() {
        let (slices, pages) = slices(730, |_| 500);
        assert!(slices.iter().skip(1).all(|slice| slice.days() <= 5));
        assert!(pages <= 3650 + slices.len());
    }

    #[test]
    fn slices_are_open_at_the_same_time_while_their_events_fit_into_memory() {
        let mut slicer = Slicer::new(day(0), day(700));
        assert!(slicer.open_at_once(10_000) > 64, "nothing is known of them");
        let slice = slicer.take().unwrap();
        slicer.observe(slice, 64 * 500);
        assert_eq!(slicer.open_at_once(10_000), 10_000 / 2000);
        slicer.observe(Slice { start: day(9), end: day(9) }, 50_000);
        assert_eq!(slicer.open_at_once(10_000), 1);
    }

    #[test]
    fn a_busy_day_makes_the_next_slice_narrow() {
        let mut slicer = Slicer::new(day(0), day(700));
        let slice = slicer.take().unwrap();
        slicer.observe(slice, 160_000);
        assert_eq!(slicer.take().unwrap().days(), 1);
    }

    proptest! {
        #[test]
        fn slices_partition_the_period(days in 1_u64..900, seed in proptest::collection::vec(0_usize..4000, 1..40)) {
            let (slices, _) = slices(days, |day| {
                let quiet = day % 7 < 3;
                if quiet { 0 } else { seed[usize::try_from(day).unwrap() % seed.len()] }
            });
            prop_assert_eq!(slices[0].start, day(0));
            prop_assert_eq!(slices[slices.len() - 1].end, day(days - 1));
            for pair in slices.windows(2) {
                prop_assert_eq!(pair[0].end.succ_opt(), Some(pair[1].start));
                prop_assert!(pair[0].start <= pair[0].end);
            }
        }
    }
}
