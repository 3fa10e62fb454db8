//! The memory plan: what the program will hold, by part, stated before it starts and held against the budget.
//!
//! What counts is the resident set, as `/proc/self/smaps_rollup` sums it up: the heap, stacks, code as far as it was used,
//! mapped files and the mapped buffers of a camera. Sizes that follow from the pack are computed; what libraries hold is
//! bounded by constants that were measured, each with its measurement beside it, on x86-64 with glibc 2.36 and the debug
//! profile. The end-to-end tests hold the peaks of runs against the sum.

use std::path::Path;
use std::{fmt, fs};

use ocelli_drivers::{PANEL_STACK_BYTES, RESOLVER_STACK_BYTES};
use ocelli_infer::{EMBEDDING, Narrator, Pack, Stab, Taught, Vocabulary};
use ocelli_journal::HEAP_BYTES;
use ocelli_pipeline::{Lexicon, MemoryRing, PatchSlot, TokenGate, TokenSlot};
use ocelli_types::SizePx;
use serde::Serialize;

use crate::additions;
use crate::config::{CameraTable, Config};
use crate::courier;
use crate::gateway;
use crate::journal::{SCRIBE_STACK_BYTES, WAITING};
use crate::recording::RECORDER_STACK_BYTES;
use crate::sentences::{Room, WATCHER_STACK_BYTES};
use crate::setup;
use crate::signs;
use crate::state::{KEEPER_STACK_BYTES, Store};
use crate::thermal::WARDEN_STACK_BYTES;
use crate::wiring;

/// Pages of the program and its libraries that were read from their files, and the few that the loader wrote to.
/// Measured: `RssFile` of `run` and `replay` with H.264, JPEG, Y4M and a command peaks at 17.8 to 25.6 MiB, and smaps shows
/// 0.9 MiB of relocated pages. Most of the files are never read: operators of tract that no pack uses, and what is not configured.
/// Right after the program was written it is up to 29.5 MiB on Linux 6.18: the file then lies in the cache in large pieces,
/// each mapped whole, until it leaves the cache and is read from the disk.
const CODE: &str = "code and libraries";
const CODE_BYTES: u64 = 26 << 20;

/// Parts that are code. Each was measured with a program that has every operator of tract and no link-time optimisation.
const CODES: [&str; 5] = [CODE, GATEWAY_CODE, COURIER_CODE, SESSION_CODE, RECORDING_CODE];

/// Stack of each of the capture and the STAB thread. Measured: smaps shows 20 KiB touched by capture, H.264 decoder
/// included, and 48 KiB by STAB. Small, because `RLIMIT_DATA` counts all of it, and the default is 2 MiB.
pub const STACK_BYTES: usize = 512 << 10;

/// The two threads' whole stacks, the main thread's (measured 60 KiB, of the 132 KiB that the kernel sets up), and that of
/// the listener to a command, 128 KiB. A keeper of snapshots has its own.
const STACKS: &str = "thread stacks";
const STACKS_BYTES: u64 = 2 * STACK_BYTES as u64 + (256 << 10) + (128 << 10);

/// Stack of a helper of STAB's team, and the room in which it quantizes rows: 48 of the widest product, 28 KiB in `home`.
pub const TEAM_STACK_BYTES: usize = 256 << 10;
const HELPER_BYTES: u64 = TEAM_STACK_BYTES as u64 + (64 << 10);

/// What the system's allocator holds beside the blocks that it lent. Measured: `RssAnon` less stacks and relocated pages
/// is 0.1 to 0.8 MiB below the heap's peak in runs without the H.264 decoder, which has blocks that the heap does
/// not count: not every block is touched. `VmData`, which `--enforce` limits, is 0.9 MiB above the peak.
const SLACK: &str = "allocator's slack";
const SLACK_BYTES: u64 = 2 << 20;

/// Lines on their way out: 1 KiB of standard output's buffer, a line of JSON or of a pulse, each below 1 KiB.
const OUTPUT: &str = "output";
const OUTPUT_BYTES: u64 = 64 << 10;

/// 4:2:0 pictures that the largest source, the H.264 decoder, holds at a time, in its C++ part and in ours. Measured with
/// clips from 160x120 to 1920x1080 by x264's default preset: 4.3, 10.9, 24.1, 48.2 MiB, which is at most 4 MiB, and
/// [`SOURCE_BYTES`] has one to spare, and these. A camera holds fewer.
const SOURCE_PICTURES: u64 = 18;
const SOURCE_BYTES: u64 = 5 << 20;

/// What a further camera, which is no clip and has no H.264 decoder, holds for each pixel at most: four mapped buffers of 2
/// bytes, the picture of a command or a copy of it without gaps (3), a decoded JPEG (3), the coefficients of a progressive
/// one (6); and beside that.
const CAMERA_PIXEL_BYTES: u64 = 4 * 2 + 3 + 3 + 6;
const CAMERA_BYTES: u64 = 1 << 20;

/// What a further camera adds to the slack, and what tract and the policy keep for it.
const CAMERA_SLACK_BYTES: u64 = 512 << 10;

/// The whole stacks of its capture thread, and of the listener to its command.
const CAMERA_STACKS_BYTES: u64 = STACK_BYTES as u64 + (128 << 10);

/// The part that depends on the picture; of a further camera that is in the network, whose decoder is as large as the first one's.
const SOURCE: &str = "camera or decoder";
const DECODER: &str = "decoder";

/// A camera of the network: what its session holds (64 KiB that are read at a time and as much that is written, a packet with the
/// picture in it that is put together, 2 MiB at most where it is a JPEG), and the stack of the thread that looks its name up.
const SESSION: &str = "network camera";
const SESSION_BYTES: u64 = (3 << 20) + RESOLVER_STACK_BYTES as u64;

/// Code of the session and of what waits for the network that is read from the program's file when it runs.
const SESSION_CODE: &str = "network camera: code";
const SESSION_CODE_BYTES: u64 = 2 << 20;

/// Parts that each camera has, of the same size.
const STAB_STATE: &str = "STAB canvas, states and activations";
const RECENT: &str = "memory: recent";
const ABSTRACT: &str = "memory: abstract";
const LESSONS: &str = "lessons";
const PICTURE: &str = "picture, gate and slots";

/// The memory's parts that depend on the profile.
const SEGMENTS: &str = "memory: segments";
const SNAPSHOT: &str = "memory: snapshot";

/// A journal: SQLite's own ceiling for its heap, code of it that was read, and the thread's whole stack. Events that wait for it
/// are output, 1 KiB each. Measured: a replay of the demonstration clip holds 1.7 to 1.9 MiB more with one, code included.
const JOURNAL: &str = "journal";
const JOURNAL_CODE_BYTES: u64 = 1 << 20;

/// Threads that read sensors, drive pins and draw, with their whole stacks, the pictures of a display, and fonts as far as they
/// were read.
const SIGNS: &str = "display, pins and sensors";

/// Sentences beside the pack's, where a file of them is named: those that are said, the next ones, and what is held while those are
/// read; and what each camera has of each (its probability, of its kind that of now and the smoothed one, what the best lessons
/// for and against it say, and whether it is rest). Beside the vocabulary are what the policy knows of it, and which old number
/// each sentence and kind has in the next one.
const SENTENCES: &str = "your sentences";
const LIKELIHOODS: &str = "how likely your sentences are";
const LIKELIHOOD_BYTES: usize = 3 * size_of::<f32>() + 2 * size_of::<f32>() + 1;

/// Conditions beside the config's, where a file of them is named.
const CONDITIONS: &str = "conditions that are added";

/// Cameras and zones that are set up on the page.
const SET_UP: &str = "what is set up on the page";

/// The gateway: what it holds at most, its code that was read, and its threads' whole stacks.
const GATEWAY: &str = "gateway";
const GATEWAY_CODE: &str = "gateway: code and libraries";
const GATEWAY_STACKS: &str = "gateway: thread stacks";

/// What a process that answers somebody by the gateway or MQTT has more than a start, whose memory it has: nobody is answered before the
/// models are loaded and what is kept is read. There is one at a time, and its limit holds it to what is its own; its code is that of the
/// program that runs, and there already.
const COMMAND: &str = "answering: a process";
const LOADING: &str = "loading";

/// Recordings: what each camera's last seconds take, pictures on their way, and at each a clip that goes on, with its encoder; the thread's
/// whole stack; code of the encoder that was read. Measured: a run that records has 1.1 MiB more of files, and 3.7 of its own.
const RECORDING: &str = "recordings";
const RECORDING_STACK: &str = "recordings: thread stack";
const RECORDING_CODE: &str = "recordings: code";
const RECORDING_CODE_BYTES: u64 = 2 << 20;

/// MQTT and webhooks: as the gateway.
const COURIER: &str = "MQTT and webhooks";
const COURIER_CODE: &str = "MQTT and webhooks: code";
const COURIER_STACKS: &str = "MQTT and webhooks: thread stacks";

/// The part that depends on the clip's length.
const INDEX: &str = "index of the clip";

/// The largest amount that is counted with: sums of items do not overflow.
const MOST_BYTES: u64 = 1 << 50;

/// What loading holds for a while above the graph itself, in sizes of the file: its content, of which each weight is freed
/// when it was taken over, and the graph being rewritten.
const LOADING_COPIES: u64 = 2;

/// Slots that go round between two threads: patches between each capture and STAB, tokens between STAB and narrator.
pub const SLOTS: usize = 2;

/// One part of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Which part.
    pub name: &'static str,
    /// The further camera that it is for; none for what is there with one camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// What it holds at most.
    pub bytes: u64,
}

/// What is told apart where a plan does not fit: an item, or all that a further camera adds.
struct Share {
    name: String,
    bytes: u64,
    lowered_by: Option<&'static str>,
}

impl Item {
    fn new(name: &'static str, bytes: u64) -> Self {
        Self { name, camera: None, bytes }
    }

    /// What a person can choose to make it smaller, if anything.
    fn lowered_by(&self) -> Option<&'static str> {
        match self.name {
            CODE | STACKS | SLACK | OUTPUT | JOURNAL => None,
            COMMAND => Some("no [gateway], and `commands = false` in [mqtt]"),
            COURIER | COURIER_CODE | COURIER_STACKS => Some("no [mqtt] and [[webhook]]"),
            GATEWAY | GATEWAY_CODE | GATEWAY_STACKS => Some("no [gateway]"),
            SOURCE | DECODER => Some("a smaller picture (size_px)"),
            SESSION | SESSION_CODE => Some("no `rtsp`"),
            RECORDING | RECORDING_STACK | RECORDING_CODE => Some("no [recording]"),
            INDEX => Some("a shorter clip"),
            SEGMENTS | SNAPSHOT => Some("profile = \"pico\""),
            CONDITIONS => Some("no `file` in [alerts]"),
            SET_UP => Some("no `setup` in [gateway]"),
            SIGNS => Some("no display"),
            SENTENCES | LIKELIHOODS => Some("fewer sentences of your own (the file, or vocabulary_room)"),
            _ => Some("a smaller pack"),
        }
    }
}

/// The whole plan, as `ocelli check --json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What may be planned for.
    pub budget_bytes: u64,
    /// Sum of the items.
    pub planned_bytes: u64,
    /// The parts.
    pub items: Vec<Item>,
    /// Whether the sum is within the budget.
    pub fits: bool,
}

/// The plan exceeds the budget.
#[derive(Debug, thiserror::Error)]
#[error(
    "the plan needs {} and the budget is {}; the largest parts are {largest}: raise memory_budget, or take {smaller}",
    mebibytes(*planned_bytes), mebibytes(*budget_bytes)
)]
pub struct OverBudget {
    planned_bytes: u64,
    budget_bytes: u64,
    largest: String,
    smaller: String,
}

impl Plan {
    /// The plan for this pack and one camera with pictures of `picture`.
    pub fn new(
        budget_bytes: u64,
        config: &Config,
        pack: &Pack,
        stab: &Stab,
        narrator: &Narrator,
        picture: SizePx,
    ) -> Self {
        let item = Item::new;
        let manifest = &pack.manifest;
        let stab_file = pack.bytes_of(&manifest.stab.file);
        let memory = wiring::memory(pack, config.profile);
        let narrator_file = pack.bytes_of(&manifest.narrator.file);
        // What tract's own ops allocate between ours: a few rows of tokens for each slot.
        let between = (manifest.narrator.slots * manifest.stab.token_width * 4 * 8) as u64;
        let keeper_bytes = if config.memory.state.is_some() { KEEPER_STACK_BYTES as u64 } else { 0 };
        let watcher_bytes = if config.vocabulary.is_some() { WATCHER_STACK_BYTES as u64 } else { 0 };
        let panel_bytes = if config.panel.device.is_some() { PANEL_STACK_BYTES as u64 } else { 0 };
        let helpers_bytes = u64::from(config.threads.stab_team - 1) * HELPER_BYTES;
        let items = vec![
            item(CODE, CODE_BYTES),
            item(STACKS, STACKS_BYTES + keeper_bytes + watcher_bytes + panel_bytes + helpers_bytes),
            item(SLACK, SLACK_BYTES),
            item(OUTPUT, OUTPUT_BYTES),
            item("STAB weights", stab.weight_bytes().max(stab_file)),
            item("narrator weights", narrator.weight_bytes().max(narrator_file)),
            item(LOADING, LOADING_COPIES * stab_file.max(narrator_file)),
            item(STAB_STATE, stab.state_bytes()),
            item("narrator activations", narrator.state_bytes() + between),
            item(RECENT, MemoryRing::recent_bytes(&memory) as u64),
            item(SEGMENTS, MemoryRing::segments_bytes(&memory) as u64),
            item(ABSTRACT, MemoryRing::abstract_bytes(&memory) as u64),
            item(LESSONS, Taught::bytes() as u64),
            item("vocabulary", (2 * pack.vocabulary.of_pack() * (EMBEDDING + 64)) as u64),
            item(PICTURE, picture_bytes(pack) + token_slot_bytes(pack)),
            item(SOURCE, source_bytes(picture)),
        ];
        let mut plan = Self::of(budget_bytes, items);
        if config.journal.file.is_some() {
            let waiting = plan.items.iter_mut().find(|item| item.name == OUTPUT);
            waiting.expect("there is always output").bytes += (WAITING << 10) as u64;
            plan.items.push(item(JOURNAL, HEAP_BYTES + JOURNAL_CODE_BYTES + SCRIBE_STACK_BYTES as u64));
        }
        if config.gateway.listen.is_some() {
            let shown = if config.gateway.live { config.cameras.len() } else { 0 };
            let canvas = ocelli_gateway::Canvas::bytes(pack.grid.side, pack.grid.patch_px);
            let viewers = if shown > 0 { ocelli_gateway::viewer_bytes(pack.grid.side, pack.grid.patch_px) } else { 0 };
            plan.items.push(item(GATEWAY, ocelli_gateway::HEAP_BYTES + (shown * canvas) as u64 + viewers));
            plan.items.push(item(GATEWAY_CODE, ocelli_gateway::CODE_BYTES));
            plan.items.push(item(GATEWAY_STACKS, ocelli_gateway::STACKS_BYTES + gateway::ANSWER_STACKS_BYTES));
        }
        if config.recording.folder.is_some() {
            let held = config.recording.bytes(pack.grid, pack.manifest.input.fps, config.cameras.len());
            let looked = if config.gateway.listen.is_some() { ocelli_gateway::MEDIA_BYTES } else { 0 };
            plan.items.push(item(RECORDING, held + looked));
            plan.items.push(item(RECORDING_STACK, RECORDER_STACK_BYTES as u64));
            plan.items.push(item(RECORDING_CODE, RECORDING_CODE_BYTES));
        }
        if config.cameras.iter().any(|camera| camera.rtsp.is_some()) {
            plan.items.push(item(SESSION_CODE, SESSION_CODE_BYTES));
        }
        if config.cameras[0].rtsp.is_some() {
            plan.items.push(item(SESSION, SESSION_BYTES));
        }
        if courier::is_wanted(config) {
            plan.items.push(item(COURIER, ocelli_gateway::COURIER_HEAP_BYTES));
            plan.items.push(item(COURIER_CODE, ocelli_gateway::COURIER_CODE_BYTES));
            plan.items.push(item(COURIER_STACKS, ocelli_gateway::COURIER_STACKS_BYTES));
        }
        if config.vocabulary.is_some() {
            let Room { sentences, text_bytes } = wiring::room(config, pack);
            let [held, reading] = Vocabulary::bytes_of(sentences, text_bytes);
            let numbers = 2 * sentences * size_of::<Option<usize>>();
            let bytes = 2 * (held + Lexicon::bytes(sentences)) + reading + numbers;
            plan.items.push(item(SENTENCES, bytes as u64));
            plan.items.push(item(LIKELIHOODS, (sentences * LIKELIHOOD_BYTES) as u64));
        }
        if config.alerting.file.is_some() {
            plan.items.push(item(CONDITIONS, additions::bytes(config.cameras.len()) as u64));
        }
        if config.gateway.setup.is_some() {
            plan.items.push(item(SET_UP, setup::BYTES));
        }
        let sensors = if config.thermal.watches() { WARDEN_STACK_BYTES as u64 } else { 0 };
        if sensors + signs::bytes(config) > 0 {
            plan.items.push(item(SIGNS, sensors + signs::bytes(config)));
        }
        let kept_bytes = Store::most_bytes(pack.grid.bytes(), wiring::own_kinds(pack), &memory) as u64;
        if config.memory.state.is_some() {
            // What is composed, what a start reads, the last picture and its copy.
            plan.items.push(item(SNAPSHOT, 2 * kept_bytes + 2 * pack.grid.bytes() as u64));
        }
        if let Some(command_bytes) = gateway::command_bytes(config, pack) {
            let start_bytes = plan.bytes_of(&[LOADING]) + if config.memory.state.is_some() { kept_bytes } else { 0 };
            plan.items.push(item(COMMAND, command_bytes.saturating_sub(start_bytes)));
        }
        fit_code(&mut plan.items, mapped_code_bytes());
        Self::of(budget_bytes, plan.items)
    }

    fn of(budget_bytes: u64, items: Vec<Item>) -> Self {
        let planned_bytes = items.iter().map(|item| item.bytes).sum();
        Self { budget_bytes, planned_bytes, items, fits: planned_bytes <= budget_bytes }
    }

    /// One without parts.
    #[cfg(test)]
    pub fn empty(budget_bytes: u64) -> Self {
        Self::of(budget_bytes, Vec::new())
    }

    /// The same plan with these cameras beside the first, which share its weights, narrator and slots for tokens.
    #[must_use]
    pub fn with_further(mut self, cameras: &[CameraTable], pack: &Pack) -> Self {
        let each: Vec<Item> =
            self.items.iter().filter_map(|item| Some(Item::new(item.name, of_further(item, pack)?))).collect();
        for camera in cameras {
            let is_far = camera.rtsp.is_some();
            let own = each.iter().map(|item| match item.name {
                SOURCE if is_far => (DECODER, source_bytes(camera.size_px)),
                SOURCE => (SOURCE, camera_bytes(camera.size_px)),
                name => (name, item.bytes),
            });
            let session = is_far.then_some((SESSION, SESSION_BYTES));
            let named = |(name, bytes)| Item { name, camera: Some(camera.name.clone()), bytes };
            self.items.extend(own.chain(session).map(named));
        }
        Self::of(self.budget_bytes, self.items)
    }

    /// The same plan with the index of a clip, which grows with its length.
    #[must_use]
    pub fn with_index(mut self, bytes: u64) -> Self {
        if bytes > 0 {
            self.items.push(Item::new(INDEX, bytes));
        }
        Self::of(self.budget_bytes, self.items)
    }

    /// The same plan with pictures of the size that the source, counted from 0, really gives.
    #[must_use]
    pub fn with_picture(&self, source: usize, picture: SizePx) -> Self {
        let mut items = self.items.clone();
        let item = items.iter_mut().filter(|item| [SOURCE, DECODER].contains(&item.name)).nth(source);
        let item = item.expect("each source should have its item");
        let is_plain = item.camera.is_some() && item.name == SOURCE;
        item.bytes = if is_plain { camera_bytes(picture) } else { source_bytes(picture) };
        Self::of(self.budget_bytes, items)
    }

    /// Names of the further cameras, and what each adds.
    fn further(&self) -> impl Iterator<Item = (&str, u64)> {
        let groups = self.items.chunk_by(|a, b| a.camera == b.camera);
        groups.filter_map(|group| Some((group[0].camera.as_deref()?, group.iter().map(|item| item.bytes).sum())))
    }

    /// Code, which is mapped from files and not written.
    pub fn code_bytes(&self) -> u64 {
        self.bytes_of(&CODES)
    }

    /// What a process that answers may hold beside this one, once it has started: with what the start had, and no less than its limit.
    pub fn command_bytes(&self) -> u64 {
        let answers = self.items.iter().any(|item| item.name == COMMAND);
        if answers { self.bytes_of(&[COMMAND, LOADING]) + self.bytes_of(&[SNAPSHOT]) / 2 } else { 0 }
    }

    /// All that is held beside blocks of this process' heap. SQLite has one of its own.
    pub fn beside_heap_bytes(&self) -> u64 {
        let beside = self.bytes_of(&[
            CODE,
            STACKS,
            SLACK,
            JOURNAL,
            GATEWAY_CODE,
            GATEWAY_STACKS,
            COURIER_CODE,
            COURIER_STACKS,
            SESSION_CODE,
            RECORDING_STACK,
            RECORDING_CODE,
            SIGNS,
        ]);
        beside + self.command_bytes()
    }

    fn bytes_of(&self, names: &[&str]) -> u64 {
        self.items.iter().filter(|item| names.contains(&item.name)).map(|item| item.bytes).sum()
    }

    /// Refuses a plan above the budget, with its largest items.
    pub fn require(&self) -> Result<(), OverBudget> {
        if self.fits {
            return Ok(());
        }
        let alone = self.items.iter().filter(|item| item.camera.is_none());
        let mut shares: Vec<Share> = alone
            .map(|item| Share { name: item.name.into(), bytes: item.bytes, lowered_by: item.lowered_by() })
            .collect();
        shares.extend(self.further().map(|(camera, bytes)| Share {
            name: format!("the further camera `{camera}`"),
            bytes,
            lowered_by: Some("fewer cameras"),
        }));
        shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        let largest: Vec<String> =
            shares.iter().take(3).map(|share| format!("{} ({})", share.name, mebibytes(share.bytes))).collect();
        let mut smaller: Vec<&str> = Vec::new();
        // The two that help most.
        for what in shares.iter().filter_map(|share| share.lowered_by) {
            if smaller.len() < 2 && !smaller.contains(&what) {
                smaller.push(what);
            }
        }
        Err(OverBudget {
            planned_bytes: self.planned_bytes,
            budget_bytes: self.budget_bytes,
            largest: largest.join(", "),
            smaller: smaller.join(" or "),
        })
    }
}

fn source_bytes(picture: SizePx) -> u64 {
    picture.area().saturating_mul(SOURCE_PICTURES * 3 / 2).saturating_add(SOURCE_BYTES).min(MOST_BYTES)
}

fn camera_bytes(picture: SizePx) -> u64 {
    picture.area().saturating_mul(CAMERA_PIXEL_BYTES).saturating_add(CAMERA_BYTES).min(MOST_BYTES)
}

/// The eye and what goes from it to STAB.
fn picture_bytes(pack: &Pack) -> u64 {
    let grid = pack.grid;
    (grid.bytes() + TokenGate::bytes(grid) + SLOTS * PatchSlot::bytes(grid)) as u64
}

/// What goes from STAB to the narrator.
fn token_slot_bytes(pack: &Pack) -> u64 {
    (SLOTS * TokenSlot::bytes(pack.grid, pack.manifest.stab.token_width)) as u64
}

/// This program and its libraries as they are mapped, of which no more can be resident; without a bound where the system does not say.
fn mapped_code_bytes() -> u64 {
    let mapped = || {
        let program = fs::read_link("/proc/self/exe").ok()?;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        // `START-END rights offset device inode path`; the path may have spaces in it.
        let of_code = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let path = rest.split_once('/').map(|(_, path)| format!("/{path}"))?;
            let (file, is_library) = (Path::new(&path), path.contains(".so."));
            let is_code = file == program || is_library || file.extension().is_some_and(|extension| extension == "so");
            let (start, end) = range.split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            is_code.then_some(address(end)? - address(start)?)
        };
        Some(maps.lines().filter_map(of_code).sum())
    };
    mapped().unwrap_or(u64::MAX)
}

/// Makes parts that are code smaller, in proportion, where all of them are more than `bound_bytes`.
fn fit_code(items: &mut [Item], bound_bytes: u64) {
    let is_code = |item: &&mut Item| CODES.contains(&item.name);
    let in_all: u64 = items.iter_mut().filter(is_code).map(|item| item.bytes).sum();
    if in_all > bound_bytes {
        for item in items.iter_mut().filter(is_code) {
            item.bytes = (u128::from(item.bytes) * u128::from(bound_bytes) / u128::from(in_all)) as u64;
        }
    }
}

/// What a further camera has of a part that the first one has; `None` where one is enough for all.
fn of_further(item: &Item, pack: &Pack) -> Option<u64> {
    match item.name {
        // With a keeper of its own where the first has one. The stacks of the one watcher and the one panel are in it too: a little more than is true.
        STACKS => Some(item.bytes - STACKS_BYTES + CAMERA_STACKS_BYTES),
        SLACK => Some(CAMERA_SLACK_BYTES),
        PICTURE => Some(picture_bytes(pack)),
        // What a start reads is freed before the next file is read.
        SNAPSHOT => Some(item.bytes / 2 + pack.grid.bytes() as u64),
        STAB_STATE | RECENT | SEGMENTS | ABSTRACT | LESSONS | SOURCE | LIKELIHOODS => Some(item.bytes),
        _ => None,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut further = self.further();
        for group in self.items.chunk_by(|a, b| a.camera == b.camera) {
            let mut indent = "";
            if group[0].camera.is_some()
                && let Some((camera, bytes)) = further.next()
            {
                let title = format!("further camera {camera}");
                writeln!(f, "  {title:<40} {:>11}", mebibytes(bytes))?;
                indent = "  ";
            }
            for item in group {
                writeln!(f, "  {indent}{:<40} {:>11}", item.name, mebibytes(item.bytes))?;
            }
        }
        let verdict = if self.fits { "fits" } else { "does not fit" };
        let (planned, budget) = (mebibytes(self.planned_bytes), mebibytes(self.budget_bytes));
        write!(f, "  {:<40} {planned:>11}   {verdict} the budget of {budget}", "in all")
    }
}

/// `12.3 MiB`
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &'static str, mib: u64) -> Item {
        Item::new(name, mib << 20)
    }

    fn cameras(names: &[&str]) -> Vec<CameraTable> {
        names.iter().map(|name| CameraTable { name: (*name).into(), ..CameraTable::default() }).collect()
    }

    #[test]
    fn code_is_no_more_than_what_is_mapped() {
        let mut items = vec![item(CODE, 26), item(RECENT, 40), item(GATEWAY_CODE, 4)];
        fit_code(&mut items, 30 << 20);
        assert_eq!(items, [item(CODE, 26), item(RECENT, 40), item(GATEWAY_CODE, 4)], "it fits");
        fit_code(&mut items, 15 << 20);
        assert_eq!(items, [item(CODE, 13), item(RECENT, 40), item(GATEWAY_CODE, 2)]);
    }

    #[test]
    fn what_is_mapped_holds_what_is_resident_of_it() {
        let mapped_bytes = mapped_code_bytes();
        let program_bytes = fs::metadata("/proc/self/exe").expect("this program").len();
        // With debug information the file is larger than what is mapped.
        assert!((1 << 20..program_bytes + (64 << 20)).contains(&mapped_bytes), "{mapped_bytes}");
        let status = fs::read_to_string("/proc/self/status").expect("the status");
        let resident = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("RssFile");
        let resident_kib: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(mapped_bytes >= resident_kib << 10, "{mapped_bytes} {resident_kib}");
    }

    #[test]
    fn a_further_camera_adds_what_is_its_own_and_no_weights() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home");
        let (pack, stab, narrator) = wiring::load(root.to_str().expect("a plain path")).expect("the pack");
        let (picture, mut config) = (SizePx::new(640, 480), Config::default());
        config.memory.state = Some("state".into());
        let one = Plan::new(128 << 20, &config, &pack, &stab, &narrator, picture);
        let [two, four] = [&["b"][..], &["b", "c", "d"]].map(|names| one.clone().with_further(&cameras(names), &pack));
        let added = two.planned_bytes - one.planned_bytes;
        assert_eq!(four.planned_bytes - one.planned_bytes, 3 * added, "the fourth costs what the second does");
        let names: Vec<&str> = two.items[one.items.len()..].iter().map(|item| item.name).collect();
        let own = [STACKS, SLACK, STAB_STATE, RECENT, SEGMENTS, ABSTRACT, LESSONS, PICTURE, SOURCE, SNAPSHOT];
        assert_eq!(names, own);
        assert!(two.items.iter().zip(&one.items).all(|(two, one)| (two.name, two.bytes) == (one.name, one.bytes)));
        assert_eq!(two.further().collect::<Vec<_>>(), [("b", added)]);
        let beside = CAMERA_STACKS_BYTES + KEEPER_STACK_BYTES as u64 + CAMERA_SLACK_BYTES;
        assert_eq!(two.beside_heap_bytes() - one.beside_heap_bytes(), beside, "what the heap may not take");
        let shown = four.to_string();
        for line in ["  further camera d ", "    STAB canvas, states and activations ", "  in all "] {
            assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line}: {shown}");
        }
        assert_eq!(one.with_further(&[], &pack).to_string().matches("further").count(), 0);
    }

    #[test]
    fn a_further_camera_is_named_where_the_plan_does_not_fit_and_has_its_own_picture() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        let (pack, stab, narrator) = wiring::load(root.to_str().expect("a plain path")).expect("the pack");
        let picture = SizePx::new(640, 480);
        let plan = Plan::new(68 << 20, &Config::default(), &pack, &stab, &narrator, picture);
        let plan = plan.with_further(&cameras(&["hall", "porch"]), &pack);
        assert!(plan.require().is_ok(), "{plan}");
        let large = plan.with_picture(2, SizePx::new(1920, 1080));
        assert_eq!(large.planned_bytes - plan.planned_bytes, CAMERA_PIXEL_BYTES * (1920 * 1080 - 640 * 480));
        let said = large.require().expect_err("39.6 MiB of pictures").to_string();
        assert!(said.contains("the largest parts are the further camera `porch` ("), "{said}");
        assert!(said.contains("or take fewer cameras or a smaller picture (size_px)"), "{said}");
        let first = plan.with_picture(0, SizePx::new(320, 240));
        assert_eq!(plan.planned_bytes - first.planned_bytes, SOURCE_PICTURES * 3 / 2 * (640 * 480 - 320 * 240));
    }

    #[test]
    fn a_command_of_the_gateway_or_of_mqtt_has_a_line_which_the_limits_of_the_program_leave_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        let (pack, stab, narrator) = wiring::load(root.to_str().expect("a plain path")).expect("the pack");
        let plan = |text: &str| {
            let config = Config::parse(Path::new("ocelli.toml"), text).expect("a config");
            Plan::new(128 << 20, &config, &pack, &stab, &narrator, SizePx::new(640, 480))
        };
        let (gateway, mqtt) = ("[gateway]\nlisten = \"127.0.0.1:8080\"\n", "[mqtt]\nbroker = \"mqtt://broker\"\n");
        let both = format!("{gateway}{mqtt}");
        for text in [gateway, mqtt, &both] {
            let plan = plan(text);
            assert_eq!(plan.command_bytes(), gateway::GLANCE_BYTES, "{text}");
            assert!(plan.beside_heap_bytes() > plan.command_bytes());
        }
        let told_only = "[mqtt]\nbroker = \"mqtt://broker\"\ncommands = false\n";
        assert_eq!(plan(told_only).command_bytes(), 0, "nobody can ask");
        assert_eq!(plan("").command_bytes(), 0);
        assert_eq!(plan(&format!("profile = \"pico\"\n{mqtt}")).command_bytes(), 0, "it runs none");
    }

    #[test]
    fn home_with_all_services_on_is_within_its_budget() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home");
        let (pack, stab, narrator) = wiring::load(root.to_str().expect("a plain path")).expect("the pack");
        let text = "vocabulary = \"own\"\n[camera]\nname = \"hall\"\n[journal]\nfile = \"journal\"\n[memory]\nstate = \"state\"\n\
                    [gateway]\nlisten = \"127.0.0.1:8971\"\nlive = true\n[recording]\nfolder = \"recordings\"\n\
                    [mqtt]\nbroker = \"mqtt://broker\"\nimages = true\n[[webhook]]\nurl = \"https://hook/\"\n";
        let config = Config::parse(Path::new("ocelli.toml"), text).expect("a config");
        let plan = Plan::new(128 << 20, &config, &pack, &stab, &narrator, SizePx::new(640, 480));
        let named = [JOURNAL, GATEWAY, RECORDING, COURIER, SENTENCES, SNAPSHOT, COMMAND];
        assert!(named.iter().all(|name| plan.bytes_of(&[name]) > 0), "{plan}");
        assert!(plan.with_index(1 << 20).fits, "with the index of a clip");
    }

    #[test]
    fn a_camera_of_the_network_has_a_session_and_a_decoder_of_its_own() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        let (pack, stab, narrator) = wiring::load(root.to_str().expect("a plain path")).expect("the pack");
        let picture = SizePx::new(640, 480);
        let far = |name: &str| CameraTable { rtsp: Some("rtsp://h/".into()), ..cameras(&[name]).remove(0) };
        let plan = |cameras: Vec<CameraTable>| {
            let config = Config { cameras, ..Config::default() };
            let plan = Plan::new(128 << 20, &config, &pack, &stab, &narrator, picture);
            plan.with_further(&config.cameras[1..], &pack)
        };
        let near = plan(cameras(&["hall", "porch"]));
        let mixed = plan(vec![cameras(&["hall"]).remove(0), far("porch")]);
        let more = SESSION_BYTES + SESSION_CODE_BYTES + source_bytes(picture) - camera_bytes(picture);
        assert_eq!(mixed.planned_bytes - near.planned_bytes, more);
        let large = mixed.with_picture(1, SizePx::new(1280, 720));
        assert_eq!(large.planned_bytes - mixed.planned_bytes, SOURCE_PICTURES * 3 / 2 * (1280 * 720 - 640 * 480));
        let both = plan(vec![far("hall"), far("porch")]);
        assert_eq!(both.planned_bytes - mixed.planned_bytes, SESSION_BYTES, "the first one has a decoder anyway");
        assert_eq!(both.code_bytes() - near.code_bytes(), SESSION_CODE_BYTES, "once");
    }

    #[test]
    fn a_plan_over_budget_names_its_largest_parts_and_what_makes_them_smaller() {
        let items = vec![item(CODE, 22), item(SLACK, 2), item("memory ring", 3), item(SOURCE, 30), item(INDEX, 1)];
        let plan = Plan::of(48 << 20, items);
        let said = plan.require().expect_err("58 are more than 48").to_string();
        let wanted = "the plan needs 58.0 MiB and the budget is 48.0 MiB; the largest parts are camera or decoder \
                      (30.0 MiB), code and libraries (22.0 MiB), memory ring (3.0 MiB): raise memory_budget, or take a \
                      smaller picture (size_px) or a smaller pack";
        assert_eq!(said, wanted);
        assert_eq!((plan.code_bytes(), plan.beside_heap_bytes()), (22 << 20, 24 << 20));
        assert!(Plan::of(58 << 20, plan.items).require().is_ok());
    }
}
