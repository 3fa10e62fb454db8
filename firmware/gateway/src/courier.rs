//! The courier: a thread of its own that brings what is said to a broker and to webhooks, so that nobody who watches waits for a
//! network or for its disk.
//!
//! ```text
//!  Feed --> outbox (disk) --> MQTT
//!                         --> webhook, webhook ...
//! ```
//!
//! All of it is one thread with one event loop; what may block for longer, a question or the state of the program, runs in another.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::mqtt::{MOST_AGAIN, Mqtt};
use crate::outbox::{HELD, Outbox};
use crate::target::{Controls, OutboxTable, Queue, Stop};
use crate::webhook::Webhook;
use crate::{Feed, Heard, House, MqttTable, Reader, WebhookTable};

/// Stacks of the courier's thread, and of those that answer.
const STACK_BYTES: usize = 512 << 10;

/// Threads that answer what is asked, at a time.
const BLOCKING: usize = 2;

/// Whole stacks of its threads.
pub const COURIER_STACKS_BYTES: u64 = ((1 + BLOCKING) * STACK_BYTES) as u64;

/// Its code that was read, and that of its libraries. Measured: `run` with a broker holds 3.4 to 3.9 MiB more of files, and 0.2 of its own,
/// than without, in a build without optimisation and without TLS.
pub const COURIER_CODE_BYTES: u64 = 9 << 19;

/// What it holds at most: the feed, what waits in memory and what may be sent again, 1 KiB an event, certificates, buffers of TLS and of the broker's connection.
pub const COURIER_HEAP_BYTES: u64 = (2 * HELD + MOST_AGAIN) as u64 * 1024 + (1 << 20);

/// How long what waits may still go when the program ends.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is noted what is done.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The name of MQTT's place in the outbox.
const MQTT: &str = "mqtt";

/// How far a target is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetState {
    /// `mqtt`, or the name of a webhook.
    pub name: String,
    /// Messages since the start that were told, also those that it does not want.
    pub told: u64,
    /// Messages that it does not have yet.
    pub waiting: u64,
    /// Messages since the start that it will never have.
    pub dropped: u64,
}

/// Whom to tell, and what to do it with.
pub struct Targets {
    /// Where messages wait.
    pub outbox: OutboxTable,
    /// The broker.
    pub mqtt: Option<MqttTable>,
    /// Webhooks, each with a name.
    pub webhooks: Vec<WebhookTable>,
    /// Who tells, in `CloudEvents`: `/ocelli/<site>/<device>`.
    pub source: String,
}

/// The thread.
#[derive(Debug)]
pub struct Courier {
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
    states: Arc<Mutex<Vec<TargetState>>>,
}

impl Courier {
    /// Starts it: what `feed` is told from now on goes to all targets. `note` tells the person in front of the program.
    ///
    /// # Errors
    /// A secret or certificate cannot be read, another program has the outbox, or there is no thread: in words.
    pub fn start(
        targets: Targets,
        feed: &Feed,
        house: &Arc<dyn House>,
        controls: &Arc<dyn Controls>,
        note: fn(&str),
    ) -> Result<Self, String> {
        let Targets { outbox: table, mqtt, webhooks, source } = targets;
        let mqtt = mqtt.map(|mqtt| Mqtt::open(mqtt, Arc::clone(house), Arc::clone(controls), feed.reader(), note));
        let mqtt = mqtt.transpose()?;
        let hooks = webhooks.into_iter().map(|hook| Webhook::open(hook, &source, note));
        let hooks = hooks.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> =
            mqtt.iter().map(|_| MQTT.to_owned()).chain(hooks.iter().map(|hook| hook.name().to_owned())).collect();
        let run = getrandom::u64().map_err(|error| format!("this system gives no random numbers: {error}"))?;
        let folder = table.folder.as_deref().map(|folder| (folder, table.size_bytes));
        let outbox = Outbox::open(folder, &names, run).map_err(|error| error.to_string())?;
        if let Some(why) = outbox.trouble() {
            note(&format!("outbox {why}; messages wait in memory"));
        }
        let states = Arc::new(Mutex::new(tell_states(&outbox, &names)));
        let (stop, stopped) = watch::channel(Stop::Not);
        let (reader, shared) = (feed.reader(), Arc::clone(&states));
        let deliver = move || {
            let built = runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING)
                .thread_stack_size(STACK_BYTES)
                .build();
            match built {
                Ok(runtime) => {
                    let work = deliver(outbox, names, mqtt, hooks, reader, stopped, shared, note);
                    LocalSet::new().block_on(&runtime, work);
                    // A question that hangs is not waited for.
                    runtime.shutdown_background();
                }
                Err(error) => note(&format!("nothing is sent: {error}")),
            }
        };
        let thread = std::thread::Builder::new().name("courier".into()).stack_size(STACK_BYTES).spawn(deliver);
        Ok(Self { stop, thread: Some(thread.map_err(|error| format!("a thread: {error}"))?), states })
    }

    /// How far each target is.
    pub fn states(&self) -> Vec<TargetState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends what can still go in a moment, keeps the rest, and ends.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(Stop::By(Instant::now() + GRACE));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Courier {
    /// However a run ends: what was told is kept.
    fn drop(&mut self) {
        self.end();
    }
}

fn tell_states(outbox: &Outbox, names: &[String]) -> Vec<TargetState> {
    let state = |(target, name): (usize, &String)| TargetState {
        name: name.clone(),
        told: outbox.told(),
        waiting: outbox.waiting(target),
        dropped: outbox.dropped(target),
    };
    names.iter().enumerate().map(state).collect()
}

#[expect(clippy::too_many_arguments, reason = "what the thread begins with")]
async fn deliver(
    outbox: Outbox,
    names: Vec<String>,
    mqtt: Option<Mqtt>,
    hooks: Vec<Webhook>,
    mut reader: Reader,
    stop: watch::Receiver<Stop>,
    states: Arc<Mutex<Vec<TargetState>>>,
    note: fn(&str),
) {
    let outbox = Rc::new(RefCell::new(outbox));
    let (tell, news) = watch::channel(());
    let queue = |target| Queue { outbox: Rc::clone(&outbox), target, news: news.clone(), stop: stop.clone() };
    let first_hook = usize::from(mqtt.is_some());
    let mut tasks = Vec::new();
    if let Some(mqtt) = mqtt {
        tasks.push(tokio::task::spawn_local(mqtt.run(queue(0))));
    }
    for (index, hook) in hooks.into_iter().enumerate() {
        tasks.push(tokio::task::spawn_local(hook.run(queue(first_hook + index))));
    }
    let mut stopping = stop.clone();
    let mut save = interval(SAVE_EVERY);
    save.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut troubled = outbox.borrow().trouble().is_some();
    while *stopping.borrow() == Stop::Not {
        tokio::select! {
            heard = reader.next() => if take(&outbox, heard, &mut reader) {
                *states.lock().unwrap_or_else(PoisonError::into_inner) = tell_states(&outbox.borrow(), &names);
                tell.send_replace(());
            },
            _ = save.tick() => {
                let mut outbox = outbox.borrow_mut();
                outbox.flush();
                outbox.save();
                *states.lock().unwrap_or_else(PoisonError::into_inner) = tell_states(&outbox, &names);
                let trouble = outbox.trouble().map(ToOwned::to_owned);
                match (trouble, troubled) {
                    (Some(why), false) => note(&format!("outbox {why}; the newest messages wait in memory")),
                    (None, true) => note("outbox: it is written again"),
                    _ => {}
                }
                troubled = outbox.trouble().is_some();
            }
            _ = stopping.changed() => {}
        }
    }
    // What was told until now is kept, and may go for a moment.
    let last = reader.try_next();
    if last.is_some() {
        take(&outbox, last, &mut reader);
    }
    tell.send_replace(());
    let until = if let Stop::By(until) = *stopping.borrow() { until } else { Instant::now() };
    let all = async {
        for task in &mut tasks {
            let _ = task.await;
        }
    };
    // Beside the grace, what parting takes.
    let _ = tokio::time::timeout_at(until + GRACE, all).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let mut outbox = outbox.borrow_mut();
    outbox.flush();
    outbox.save();
}

/// Takes what was heard, and all that has come with it, so that the disk is waited for once. Whether there is anything.
fn take(outbox: &RefCell<Outbox>, heard: Option<Heard>, reader: &mut Reader) -> bool {
    let mut outbox = outbox.borrow_mut();
    let mut next = heard;
    let mut any = false;
    while let Some(heard) = next {
        match heard {
            Heard::Event(event) => outbox.push((*event).clone()),
            Heard::Missed(count) => outbox.missed(count),
        }
        any = true;
        next = reader.try_next();
    }
    outbox.flush();
    any
}
