//! What others are told waits until the journal has it: nothing is published that a kill or a power cut could take back.
//!
//! ```text
//!  Voice --entry--> journal's thread --written and synced--.
//!        `-event--> Held (in order) ----------------------> Feed --> page, MQTT, webhooks, recordings
//! ```
//!
//! An alert is written at once, anything else within 100 ms, so that is what it costs. A disk that takes longer than [`PATIENCE`], as a
//! card that cleans up does, holds nobody up: then it is told before it is written, in its order. What a failing journal does not take is
//! told too, and that it is not kept.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ocelli_gateway::{Event, Feed};

/// How long an event waits for the disk at most.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The most that wait: those of seconds in which everything happens.
const MOST: usize = 256;

#[derive(Debug, Default)]
struct Queue {
    /// After how many entries of the journal, and since when.
    waiting: VecDeque<(u64, Instant, Event)>,
    /// Entries that the journal has, or will never have.
    written: u64,
}

/// The queue before the feed.
#[derive(Debug, Default)]
pub struct Held {
    feed: Feed,
    queue: Mutex<Queue>,
}

impl Held {
    /// What is said, for those who bring it to others.
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it once the journal is done with so many entries and all before it is told.
    pub fn hold(&self, after: u64, event: Event) {
        let mut queue = self.queue();
        queue.waiting.push_back((after, Instant::now(), event));
        let (written, mut beyond) = (queue.written, queue.waiting.len().saturating_sub(MOST));
        self.tell(&mut queue, |after, _| {
            let due = after <= written || beyond > 0;
            beyond = beyond.saturating_sub(1);
            due
        });
    }

    /// The journal is done with so many entries.
    pub fn written(&self, entries: u64) {
        let mut queue = self.queue();
        queue.written = queue.written.max(entries);
        let written = queue.written;
        self.tell(&mut queue, |after, _| after <= written);
    }

    /// Tells what has waited for so long.
    pub fn overdue(&self, patience: Duration) {
        let mut queue = self.queue();
        self.tell(&mut queue, |_, since| since.elapsed() >= patience);
    }

    /// The first ones, as long as they are `due`. Under the lock, so that their order is that of the queue.
    fn tell(&self, queue: &mut Queue, mut due: impl FnMut(u64, Instant) -> bool) {
        while let Some((_, _, event)) = queue.waiting.pop_front_if(|(after, since, _)| due(*after, *since)) {
            self.feed.tell(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_gateway::Heard;

    use super::*;

    fn event(id: u64) -> Event {
        Event { id: Some(id), ..Event::default() }
    }

    #[test]
    fn events_wait_for_the_journal_in_their_order_and_not_for_ever() {
        let held = Held::default();
        let mut reader = held.feed().reader();
        let mut heard = || -> Vec<u64> {
            let id = |heard| match heard {
                Heard::Event(event) => event.id.unwrap_or_default(),
                Heard::Missed(_) => 0,
            };
            std::iter::from_fn(|| reader.try_next().map(id)).collect()
        };
        held.hold(0, event(1));
        assert_eq!(heard(), [1], "without a journal at once");
        (2..=4).for_each(|id| held.hold(id - 1, event(id)));
        // Not kept, as the camera's pulse is not: it still comes behind those before it.
        held.hold(3, event(5));
        held.written(2);
        assert_eq!(heard(), [2, 3]);
        held.overdue(Duration::from_hours(1));
        assert!(heard().is_empty());
        held.written(3);
        assert_eq!(heard(), [4, 5]);
        held.written(9);
        held.hold(9, event(6));
        assert_eq!(heard(), [6], "written before it was held");
        held.hold(10, event(7));
        held.overdue(Duration::ZERO);
        assert_eq!(heard(), [7], "a disk that hangs");
        (8..8 + MOST as u64 + 2).for_each(|id| held.hold(id + 10, event(id)));
        assert_eq!(heard(), [8, 9], "no more than fits waits");
    }
}
