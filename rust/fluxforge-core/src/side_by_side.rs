//! The same job for many things, on several threads.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does a job for each item, on at most so many threads, and returns the results in the items'
/// order. Each thread makes a worker of its own, which may keep what it needs from job to job.
///
/// The heaviest items come first: whoever takes the last one should not be the one all wait for.
pub(crate) fn side_by_side<T: Send, R: Send, W: FnMut(T) -> R>(
    items: Vec<T>,
    threads: usize,
    weight: impl Fn(&T) -> usize,
    worker: impl Fn() -> W + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.into_iter().map(worker()).collect();
    }
    let mut queue: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    queue.sort_by_key(|(_, item)| Reverse(weight(item)));
    let queue = Mutex::new(queue.into_iter());
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next()
    };
    let work = || {
        let mut work = worker();
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, work(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let start = || {
            let thread = thread::Builder::new().name("work".into());
            thread.spawn_scoped(scope, work).ok() // those that there are do it
        };
        let others: Vec<_> = (1..threads).map_while(|_| start()).collect();
        let mut done = work();
        for other in others {
            let more = other.join();
            done.extend(more.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for threads in [0, 1, 2, 7, 100] {
            let items: Vec<usize> = (0..50).collect();
            let tripled = side_by_side(items, threads, |item| item % 7, || |item| item * 3);
            assert_eq!(tripled, (0..150).step_by(3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn so_many_threads_work_at_once() {
        // With fewer this would wait for ever.
        let all = Barrier::new(3);
        side_by_side(vec![(); 3], 3, |()| 0, || |()| all.wait());
    }
}
