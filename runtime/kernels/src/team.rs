//! Threads that share the rows of large products.
//!
//! A product of STAB takes some ten microseconds: less than it takes to wake a thread twice. So the helpers wake with the
//! first large product of a [led](Team::lead) piece of work, spin until that work ends, and sleep in between. They take rows a
//! portion at a time, as the leader does, which waits for nobody who has not begun: a helper that comes late costs nothing. One
//! that loses its CPU in the middle of a portion is waited for; a team is for CPUs that are idle.

use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};

use crate::linear::Scratch;

/// Computes one portion, in this room.
type Task<'a> = dyn Fn(usize, &mut Scratch) + Sync + 'a;

thread_local! {
    /// The team that this thread leads just now.
    static LED: Cell<Option<NonNull<Shared>>> = const { Cell::new(None) };
}

/// A leader's helpers. They end when it is dropped.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

/// What leader and helpers share.
#[derive(Debug)]
pub(crate) struct Shared {
    threads: usize,
    sleepers: OnceLock<Vec<Thread>>,
    /// Odd while there is something to do.
    turn: Line<AtomicU32>,
    /// Helpers that may be at it.
    active: Line<AtomicUsize>,
    /// The next portion that nobody has.
    next: Line<AtomicUsize>,
    /// What there is to do, and in how many portions.
    task: UnsafeCell<Option<(NonNull<Task<'static>>, usize)>>,
    awake: AtomicBool,
    ended: AtomicBool,
    panicked: AtomicBool,
}

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

// SAFETY: `task` is written by the leader alone, while `turn` is even and nobody is active, and read by who became active and saw
// `turn` odd after that. What it points to is `Sync`, and the leader stays in `each`, where it lives, until nobody is active.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Team {
    /// A team of so many threads, the one that leads being among them; the others, of this name, start now, on the CPUs that this
    /// thread may use.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn new(threads: usize, name: &str, stack_bytes: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            threads,
            sleepers: OnceLock::new(),
            turn: Line::default(),
            active: Line::default(),
            next: Line::default(),
            task: UnsafeCell::new(None),
            awake: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let mut team = Self { shared, helpers: Vec::new() };
        for _ in 1..threads {
            let shared = Arc::clone(&team.shared);
            let helper = thread::Builder::new().name(name.into()).stack_size(stack_bytes);
            team.helpers.push(helper.spawn(move || shared.help())?);
        }
        let sleepers = team.helpers.iter().map(|helper| helper.thread().clone()).collect();
        team.shared.sleepers.get_or_init(|| sleepers);
        Ok(team)
    }

    /// Does this work on this thread, with help where it has large products.
    pub fn lead<T>(&mut self, work: impl FnOnce() -> T) -> T {
        /// Ends it also where the work panics.
        struct Lead<'a>(&'a Shared, Option<NonNull<Shared>>);
        impl Drop for Lead<'_> {
            fn drop(&mut self) {
                LED.set(self.1);
                self.0.awake.store(false, SeqCst);
            }
        }
        let _lead = Lead(&self.shared, LED.replace(Some(NonNull::from(&*self.shared))));
        work()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            let ended = helper.join();
            debug_assert!(ended.is_ok(), "a helper catches what panics");
        }
    }
}

/// The team that this thread leads, for as long as it is in `with`.
pub(crate) fn with<T>(work: impl FnOnce(Option<&Shared>) -> T) -> T {
    // SAFETY: it is set only within `lead`, which borrows the team, and taken back at its end.
    work(LED.get().map(|shared| unsafe { shared.as_ref() }))
}

impl Shared {
    /// Of the leader and its helpers.
    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Computes all portions, here in the room `own` and wherever a helper has time. For the leader alone.
    ///
    /// # Panics
    /// If a portion does, wherever it was computed.
    pub(crate) fn each(&self, portions: usize, own: &mut Scratch, task: &Task<'_>) {
        /// Nobody may be at a task that is gone, also where a portion panics.
        struct Close<'a>(&'a Shared);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.turn.0.fetch_add(1, SeqCst);
                while self.0.active.0.load(SeqCst) > 0 {
                    spin_loop();
                }
            }
        }
        if !self.awake.swap(true, SeqCst) {
            self.sleepers.get().into_iter().flatten().for_each(Thread::unpark);
        }
        let task_now = NonNull::from(task);
        // SAFETY: the lifetime is forgotten, and `close` sees to it that nobody uses it beyond. Nobody is active, for the last `close`
        // has seen that; whoever becomes active sees that `turn` is even, and leaves.
        unsafe {
            let task_now = std::mem::transmute::<NonNull<Task<'_>>, NonNull<Task<'static>>>(task_now);
            *self.task.get() = Some((task_now, portions));
        }
        self.next.0.store(0, SeqCst);
        // What a helper told of a turn in which the leader panicked as well was not taken back.
        self.panicked.store(false, SeqCst);
        self.turn.0.fetch_add(1, SeqCst);
        let close = Close(self);
        self.take_portions(portions, own, task);
        drop(close);
        assert!(!self.panicked.load(SeqCst), "a helper of the team panicked");
    }

    fn take_portions(&self, portions: usize, room: &mut Scratch, task: &Task<'_>) {
        loop {
            let portion = self.next.0.fetch_add(1, SeqCst);
            if portion >= portions {
                return;
            }
            task(portion, room);
        }
    }

    /// What a helper does.
    fn help(&self) {
        let (mut room, mut seen) = (Scratch::default(), 0);
        while !self.ended.load(SeqCst) {
            if !self.awake.load(SeqCst) {
                thread::park();
                continue;
            }
            let turn = self.turn.0.load(SeqCst);
            if turn.is_multiple_of(2) || turn == seen {
                spin_loop();
                continue;
            }
            seen = turn;
            self.active.0.fetch_add(1, SeqCst);
            if self.turn.0.load(SeqCst) == turn {
                // SAFETY: `turn` is odd, and was so after the leader could see that somebody is active: until that ends, the task stays.
                let (task, portions) = unsafe { (*self.task.get()).expect("a turn has a task") };
                // SAFETY: as above.
                let task = unsafe { task.as_ref() };
                if catch_unwind(AssertUnwindSafe(|| self.take_portions(portions, &mut room, task))).is_err() {
                    self.panicked.store(true, SeqCst);
                }
            }
            self.active.0.fetch_sub(1, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};
    use std::thread::ThreadId;

    use super::*;
    use crate::{Act, Input, Isa, Linear, linear};

    fn share(portions: usize, task: &Task<'_>) {
        with(|team| team.expect("somebody leads").each(portions, &mut Scratch::default(), task));
    }

    #[test]
    fn all_of_a_team_are_at_it_and_each_portion_is_computed_once() {
        let mut team = Team::new(3, "helper", 128 << 10).unwrap();
        for _ in 0..if cfg!(miri) { 2 } else { 20 } {
            let (all_here, who) = (Barrier::new(3), Mutex::new(HashSet::<ThreadId>::new()));
            let times: Vec<AtomicUsize> = (0..40).map(|_| AtomicUsize::new(0)).collect();
            team.lead(|| {
                // Who has a portion waits until the others have one, too.
                share(3, &|_, _| {
                    who.lock().unwrap().insert(thread::current().id());
                    all_here.wait();
                });
                for portions in [40, 0, 1] {
                    share(portions, &|portion, _| {
                        times[portion].fetch_add(1, SeqCst);
                    });
                }
            });
            assert_eq!(who.into_inner().unwrap().len(), 3);
            let times: Vec<usize> = times.into_iter().map(AtomicUsize::into_inner).collect();
            assert_eq!((times[0], &times[1..]), (2, &[1; 39][..]));
        }
    }

    /// Turns as short as can be, so that helpers come to many when they are over: an interpreter (Miri) sees whether one of them
    /// looks at a task that is gone.
    #[test]
    fn who_comes_late_leaves_a_turn_alone() {
        let mut team = Team::new(3, "helper", 128 << 10).unwrap();
        team.lead(|| {
            for turn in 0..if cfg!(miri) { 300 } else { 20_000 } {
                let times = [AtomicUsize::new(0), AtomicUsize::new(0)];
                share(turn % 3, &|portion, _| {
                    times[portion].fetch_add(1, SeqCst);
                });
                let times = times.map(AtomicUsize::into_inner);
                assert_eq!(times, [usize::from(turn % 3 > 0), usize::from(turn % 3 > 1)], "turn {turn}");
            }
        });
    }

    #[test]
    fn what_panics_is_told_to_the_leader_and_leaves_a_team_that_works() {
        let mut team = Team::new(2, "helper", 128 << 10).unwrap();
        let leader = thread::current().id();
        // The leader, its helper, both of them.
        let who_fails: [fn(bool) -> bool; 3] = [|leads| leads, |leads| !leads, |_| true];
        for fails in who_fails {
            let both_here = Barrier::new(2);
            let told = catch_unwind(AssertUnwindSafe(|| {
                team.lead(|| {
                    share(2, &|_, _| {
                        both_here.wait();
                        assert!(!fails(thread::current().id() == leader), "a test's panic");
                    });
                });
            }));
            assert!(told.is_err());
            assert!(with(|team| team.is_none()), "nobody leads any more");
        }
        let done = AtomicUsize::new(0);
        team.lead(|| {
            share(5, &|_, _| {
                done.fetch_add(1, SeqCst);
            });
        });
        assert_eq!(done.into_inner(), 5);
    }

    #[test]
    fn a_large_product_is_shared_and_a_small_one_wakes_nobody() {
        let awake = |k: usize, rows: u32, to: &[u32]| {
            let weights = vec![1; k.div_ceil(4) * 64 * 16];
            let weights = Linear::new(1, k, 256, &weights, &[1.0; 256], &[0.0; 256]).expect("the sizes go together");
            let (x, mut out) = (vec![1.0; rows as usize * k], vec![0.0; rows as usize * 256]);
            let mut scratch = Scratch::for_any([&weights]);
            let mut team = Team::new(2, "helper", 128 << 10).unwrap();
            let awake = team.lead(|| {
                linear(Isa::PORTABLE, &weights, Input::Rows(&x), to, to, Act::None, None, &mut scratch, &mut out);
                with(|team| team.expect("this thread leads").awake.load(SeqCst))
            });
            assert!(!team.shared.awake.load(SeqCst), "with the work, helpers end to spin");
            awake
        };
        let (k, rows) = if cfg!(miri) { (4, 2) } else { (256, 16) };
        let all: Vec<u32> = (0..rows).collect();
        assert!(awake(k, rows, &all));
        assert!(!awake(k, rows, &[]));
        assert!(cfg!(miri) || !awake(k, rows, &all[1..]), "a row less, and it is small");
        // Where rows do not ascend, portions could write to the same places.
        assert!(!awake(k, rows, &all.iter().rev().copied().collect::<Vec<_>>()));
        assert!(!awake(k, rows, &vec![0; all.len()]));
    }

    /// The output ends within a larger buffer, so that what is written beyond it would show.
    #[test]
    fn rows_that_are_not_there_are_refused_before_they_are_shared() {
        let (k, rows) = if cfg!(miri) { (4, 2) } else { (256, 16) };
        let weights = vec![1; k / 4 * 64 * 16];
        let weights = Linear::new(1, k, 256, &weights, &[1.0; 256], &[0.0; 256]).expect("the sizes go together");
        let (x, residual, all) = (vec![1.0; rows * k], vec![0.0; rows * 256], (0..rows as u32).collect::<Vec<_>>());
        let mut team = Team::new(2, "helper", 128 << 10).unwrap();
        let mut is_refused = |from: &[u32], residual: &[f32], out_rows: usize| {
            let mut buffer = vec![7.0f32; rows * 256];
            let (out, beyond) = buffer.split_at_mut(out_rows * 256);
            let done = catch_unwind(AssertUnwindSafe(|| {
                team.lead(|| {
                    let mut scratch = Scratch::for_any([&weights]);
                    let (input, residual) = (Input::Rows(&x), Some(residual));
                    linear(Isa::PORTABLE, &weights, input, from, &all, Act::None, residual, &mut scratch, out);
                });
            }));
            assert!(beyond.iter().all(|value| value.to_bits() == 7f32.to_bits()), "beyond the output");
            done.is_err()
        };
        assert!(!is_refused(&all, &residual, rows));
        assert!(is_refused(&all, &residual, rows - 1));
        assert!(is_refused(&all, &residual[256..], rows));
        assert!(is_refused(&all[1..], &residual, rows));
        assert!(is_refused(&[&all[..], &[0]].concat(), &residual, rows));
    }

    #[test]
    fn one_alone_is_a_team_and_who_leads_two_is_helped_by_the_inner() {
        let (mut outer, mut inner) = (Team::new(2, "helper", 128 << 10).unwrap(), Team::new(1, "", 0).unwrap());
        let threads = || with(|team| team.map(Shared::threads));
        outer.lead(|| {
            inner.lead(|| {
                assert_eq!(threads(), Some(1));
                share(3, &|_, _| {});
            });
            assert_eq!(threads(), Some(2));
        });
        assert_eq!(threads(), None);
    }
}
