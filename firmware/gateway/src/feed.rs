//! The newest events, from the thread that says them to whoever listens.
//!
//! A ring of a fixed number of events and one count. Telling takes a lock that nobody holds for longer than it takes to clone an
//! [`Arc`], and waits for no reader; a reader that falls behind the ring is told where, and goes on with the oldest that is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Event;

/// The most events that are held, each below 1 KiB.
pub const HELD: usize = 256;

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the oldest event in it, counted from the start of the program.
    oldest: u64,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// Number of the next event.
    next: watch::Sender<u64>,
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said, for many readers. A clone is the same feed.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

impl Default for Feed {
    fn default() -> Self {
        let ring = Ring { events: VecDeque::with_capacity(HELD), oldest: 0 };
        Self(Arc::new(Shared { ring: Mutex::new(ring), next: watch::Sender::new(0) }))
    }
}

impl Feed {
    /// Tells all readers, and waits for none.
    pub fn tell(&self, event: Event) {
        let mut ring = self.0.ring();
        if ring.events.len() == HELD {
            ring.events.pop_front();
            ring.oldest += 1;
        }
        ring.events.push_back(Arc::new(event));
        let next = ring.oldest + ring.events.len() as u64;
        drop(ring);
        self.0.next.send_replace(next);
    }

    /// One that hears what is told from now on.
    pub fn reader(&self) -> Reader {
        let news = self.0.next.subscribe();
        let next = *news.borrow();
        Reader { shared: Arc::clone(&self.0), news, next }
    }

    /// One that hears all that is still held.
    pub fn reader_from_oldest(&self) -> Reader {
        let news = self.0.next.subscribe();
        let next = self.0.ring().oldest;
        Reader { shared: Arc::clone(&self.0), news, next }
    }

    /// One that goes on at this [`Reader::place`], where the ring still has it.
    pub fn reader_at(&self, place: u64) -> Option<Reader> {
        let news = self.0.next.subscribe();
        let held = self.0.ring().oldest..=*news.borrow();
        held.contains(&place).then(|| Reader { shared: Arc::clone(&self.0), news, next: place })
    }
}

/// What a reader hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The next event.
    Event(Arc<Event>),
    /// It was too slow for so many events; the next one that it hears comes after them. The journal has them.
    Missed(u64),
}

/// One listener.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    news: watch::Receiver<u64>,
    next: u64,
}

impl Reader {
    /// Waits for what comes next; `None` when the program has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.try_next() {
                return Some(heard);
            }
            self.news.changed().await.ok()?;
        }
    }

    /// Number of the event that it hears next, counted from the start of the program. An event's id would not do: what is told
    /// of an alert later has the alert's.
    pub fn place(&self) -> u64 {
        self.next
    }

    /// What comes next, if it is there.
    pub fn try_next(&mut self) -> Option<Heard> {
        let ring = self.shared.ring();
        if self.next < ring.oldest {
            let missed = ring.oldest - self.next;
            self.next = ring.oldest;
            return Some(Heard::Missed(missed));
        }
        let event = ring.events.get((self.next - ring.oldest) as usize)?;
        self.next += 1;
        Some(Heard::Event(Arc::clone(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64) -> Event {
        Event { id: Some(id), r#type: "narration".into(), text: format!("event {id}"), ..Event::default() }
    }

    fn ids(reader: &mut Reader) -> Vec<Option<u64>> {
        let id = |heard| match heard {
            Heard::Event(event) => event.id,
            Heard::Missed(_) => None,
        };
        std::iter::from_fn(|| reader.try_next().map(id)).collect()
    }

    #[test]
    fn a_reader_hears_what_is_told_from_then_on_in_order() {
        let feed = Feed::default();
        feed.tell(event(1));
        let (mut one, mut other) = (feed.reader(), feed.reader());
        (2..5).for_each(|id| feed.tell(event(id)));
        assert_eq!(ids(&mut one), [Some(2), Some(3), Some(4)]);
        feed.tell(event(5));
        assert_eq!(ids(&mut one), [Some(5)]);
        assert_eq!(ids(&mut other).len(), 4);
    }

    #[test]
    fn a_slow_reader_is_told_what_it_missed_and_costs_no_memory() {
        let feed = Feed::default();
        let mut slow = feed.reader();
        (1..=1000).for_each(|id| feed.tell(event(id)));
        assert_eq!(slow.try_next(), Some(Heard::Missed(1000 - HELD as u64)));
        assert_eq!(slow.try_next(), Some(Heard::Event(Arc::new(event(1000 - HELD as u64 + 1)))));
        assert_eq!(feed.0.ring().events.len(), HELD);
        assert_eq!(feed.0.ring().events.capacity(), VecDeque::<Arc<Event>>::with_capacity(HELD).capacity());
    }

    #[test]
    fn one_that_comes_back_goes_on_where_it_was_as_far_as_the_ring_goes() {
        let feed = Feed::default();
        let mut reader = feed.reader();
        (1..=3).for_each(|id| feed.tell(event(id)));
        let (_, place) = (reader.try_next(), reader.place());
        drop(reader);
        // The sentence of alert 1 comes after 3.
        feed.tell(event(1));
        assert_eq!(ids(&mut feed.reader_at(place).expect("it is held")), [Some(2), Some(3), Some(1)]);
        assert!(feed.reader_at(5).is_none(), "a place of another time");
        (4..=300).for_each(|id| feed.tell(event(id)));
        assert!(feed.reader_at(place).is_none(), "it has left");
    }
}
