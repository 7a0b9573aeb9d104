//! Work on many cores, whose answer does not depend on how many there are.

use std::collections::BTreeMap;
use std::iter::Enumerate;
use std::num::NonZero;
use std::panic;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many threads work at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(NonZero<usize>);

impl Cores {
    /// The calling thread alone.
    pub const ONE: Cores = Cores(NonZero::<usize>::MIN);

    /// So many.
    pub const fn new(count: NonZero<usize>) -> Self {
        Cores(count)
    }

    /// As many as this process may use.
    pub fn all() -> Self {
        thread::available_parallelism().map_or(Cores::ONE, Cores)
    }

    /// How many.
    pub const fn count(self) -> usize {
        self.0.get()
    }

    /// What `work` makes of each of `items`, in their order. Items are begun in their order, the calling thread works along,
    /// and a panic in `work` is a panic here.
    pub fn map<T, R>(self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R>
    where
        T: Send,
        R: Send,
    {
        let threads = self.count().min(items.len());
        if threads <= 1 {
            return items.into_iter().map(work).collect();
        }
        let queue = Mutex::new(items.into_iter().enumerate());
        let work = || -> Vec<(usize, R)> {
            let mut done = Vec::new();
            while let Some((at, item)) = next(&queue) {
                done.push((at, work(item)));
            }
            done
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                done.extend(other.join().unwrap_or_else(|why| panic::resume_unwind(why)));
            }
            done
        });
        done.sort_unstable_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, made)| made).collect()
    }

    /// Gives what `work` makes of each of `items` to `take`, in their order, up to the first error: one at a time, while others
    /// are worked on. No more is kept than what was made before its turn.
    pub fn each<T, R, E>(
        self,
        items: Vec<T>,
        work: impl Fn(T) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), E> + Send,
    ) -> Result<(), E>
    where
        T: Send,
        R: Send,
        E: Send,
    {
        if self.count().min(items.len()) <= 1 {
            return items.into_iter().try_for_each(|item| take(work(item)));
        }
        let made = Mutex::new(BTreeMap::new());
        let turn = Mutex::new((0, Ok(()), &mut take));
        // The lock is held for no longer.
        let out = |at: &usize| locked(&made).remove(at);
        // Whoever takes goes on with what is there; who comes meanwhile leaves it to them.
        let take_some = |(next, taken, take): &mut (usize, Result<(), E>, &mut _)| {
            while let Some(item) = out(next) {
                *next += 1;
                if taken.is_ok() {
                    *taken = take(item);
                }
            }
        };
        self.map(items.into_iter().enumerate().collect(), |(at, item)| {
            let item = work(item);
            locked(&made).insert(at, item);
            if let Ok(mut turn) = turn.try_lock() {
                take_some(&mut turn);
            }
        });
        let mut turn = turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        take_some(&mut turn);
        turn.1
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the next item; the lock is held for no longer.
fn next<I: Iterator>(queue: &Mutex<Enumerate<I>>) -> Option<(usize, I::Item)> {
    locked(queue).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(count: usize) -> Cores {
        Cores::new(NonZero::new(count).unwrap())
    }

    #[test]
    fn answers_are_in_order() {
        for count in [1, 2, 3, 64] {
            for items in [0, 1, 2, 1_000] {
                let made = cores(count).map((0..items).collect(), |item: u64| item * item);
                assert_eq!(made, (0..items).map(|item| item * item).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_is_made_is_taken_in_order_up_to_an_error() {
        for count in [1, 2, 5] {
            for (items, wrong) in
                [(0, 9), (1, 0), (1, 9), (500, 900), (500, 0), (500, 321), (500, 499)]
            {
                let mut taken = Vec::new();
                let take = |item: u32| {
                    taken.push(item);
                    if item == wrong { Err(item) } else { Ok(()) }
                };
                let done = cores(count).each((0..items).collect(), |item| item, take);
                assert_eq!(done, if wrong < items { Err(wrong) } else { Ok(()) });
                assert_eq!(taken, (0..items.min(wrong + 1)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn threads_work_at_the_same_time() {
        let barrier = std::sync::Barrier::new(3);
        assert_eq!(cores(3).map(vec![1, 2, 3], |_| barrier.wait().is_leader() as u8).len(), 3);
    }

    #[test]
    #[should_panic(expected = "of item 5")]
    fn a_panic_comes_out() {
        cores(2).map((0..10).collect(), |item: u8| assert!(item != 5, "of item 5"));
    }
}
