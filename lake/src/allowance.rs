//! A number of bytes that is shared by all that is on its way.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// How many bytes may be on their way at a time: who brings more waits.
#[derive(Debug, Clone)]
pub struct Allowance {
    limit: usize,
    taken: Arc<(Mutex<usize>, Condvar)>,
}

/// Bytes of the allowance; dropping it returns them.
#[derive(Debug)]
pub struct Permit {
    bytes: usize,
    taken: Arc<(Mutex<usize>, Condvar)>,
}

impl Allowance {
    /// An allowance of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Waits until the bytes fit, or until nothing else is on its way.
    pub fn take(&self, bytes: usize) -> Permit {
        let (taken, returned) = &*self.taken;
        let mut sum = taken.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.fits(*sum, bytes) {
            sum = returned.wait(sum).unwrap_or_else(PoisonError::into_inner);
        }
        *sum += bytes;
        Permit { bytes, taken: Arc::clone(&self.taken) }
    }

    /// What is larger than the limit goes alone.
    fn fits(&self, sum: usize, bytes: usize) -> bool {
        sum == 0 || sum + bytes <= self.limit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (taken, returned) = &*self.taken;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        // Who was first to wait may want more than there is, and another less.
        returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_goes_and_what_never_fits_goes_alone() {
        let allowance = Allowance::new(10);
        for (sum, bytes, fits) in
            [(0, 10, true), (0, 100, true), (4, 6, true), (4, 7, false), (1, 100, false)]
        {
            assert_eq!(allowance.fits(sum, bytes), fits, "{sum} and {bytes}");
        }
    }

    #[test]
    fn what_waits_goes_on_once_enough_is_returned() {
        let allowance = Allowance::new(10);
        let first = allowance.take(6);
        let second = allowance.take(4);
        let waiting = allowance.clone();
        let thread = std::thread::spawn(move || waiting.take(100));
        drop(first);
        drop(second);
        // It would wait for ever if what is returned were not counted.
        assert_eq!(thread.join().unwrap().bytes, 100);
        assert_eq!(*allowance.taken.0.lock().unwrap(), 0, "it was returned");
    }
}
