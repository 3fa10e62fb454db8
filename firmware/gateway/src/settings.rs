//! What the gateway is told at its start, and what it costs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Canvas;
use crate::feed::HELD;

/// How others reach the program.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen once somebody can log in. Before that, and beside it, on the loopback address with the same port.
    pub listen: SocketAddr,
    /// The file of users and tokens, which the program writes.
    pub users: Option<PathBuf>,
    /// A file with the password of the user `admin`, such as a credential of systemd.
    pub password_file: Option<PathBuf>,
    /// Certificate chain and key in PEM; where neither file is there, a self-signed pair is written.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where it is written who changed what. Default: standard error.
    pub audit: Option<PathBuf>,
    /// How long somebody stays logged in.
    pub session: Duration,
    /// How long a client has for its request's head, its body, and for taking what it asked for.
    pub patience: Duration,
}

impl Settings {
    /// On this address, with nobody who may log in.
    pub fn new(listen: SocketAddr) -> Self {
        let (users, password_file, tls, audit) = (None, None, None, None);
        let (session, patience) = (Duration::from_hours(12), Duration::from_secs(15));
        Self { listen, users, password_file, tls, audit, session, patience }
    }
}

/// The most connections at a time, and from one address. What is above waits to be accepted.
pub(crate) const CONNECTIONS: usize = 24;
pub(crate) const CONNECTIONS_OF_ONE: usize = 16;

/// The most connections that stay open: events, pictures and recordings.
pub(crate) const STREAMS: usize = 12;

/// What is read of a recording at a time. Each of those that take one has a part on its way, one that waits and one being read.
pub(crate) const PART_BYTES: usize = 16 << 10;

/// What those hold who take recordings.
pub const MEDIA_BYTES: u64 = 3 * (STREAMS * PART_BYTES) as u64;

/// The most viewers of pictures.
pub(crate) const VIEWERS: usize = 3;

/// What one connection reads ahead and has to write: hyper's buffers, and those of TLS.
pub(crate) const BUFFER_BYTES: usize = 16 << 10;
const CONNECTION_BYTES: u64 = 96 << 10;

/// The longest body, and that of a chat, which has pictures in it. One of the latter is held at a time.
pub(crate) const BODY_BYTES: usize = 64 << 10;
pub(crate) const CHAT_BYTES: usize = 7 << 19;

/// Argon2id with 7 MiB and 5 passes, the least memory of those that OWASP's cheat sheet on password storage (2024) gives as equal.
/// One at a time.
pub(crate) const ARGON_KIB: u32 = 7 << 10;
pub(crate) const ARGON_PASSES: u32 = 5;

/// Threads for what blocks, and their stacks and that of the gateway's own.
pub(crate) const BLOCKING: usize = 2;
pub(crate) const STACK_BYTES: usize = 512 << 10;

/// Those who may wait for what takes a process, of which one runs, and for how long. Further ones are refused at once.
pub(crate) const WAITING: usize = 2;
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Code of the gateway and its libraries that is read from the program's file when it runs.
pub const CODE_BYTES: u64 = 4 << 20;

/// Pages of events and answers on their way out: a thousand events, as found and as JSON, for each thread that looks.
const PAGE_BYTES: u64 = 2 << 20;

/// Its threads' whole stacks.
pub const STACKS_BYTES: u64 = (1 + BLOCKING as u64) * STACK_BYTES as u64;

/// What is heavy, one at a time: a password, or the body of a chat with what is read of it.
const HEAVY_BYTES: u64 = max((ARGON_KIB as u64) << 10, 2 * CHAT_BYTES as u64);

/// What it holds at most on the heap, without pictures; of the newest events each is below 1 KiB.
pub const HEAP_BYTES: u64 =
    CONNECTIONS as u64 * CONNECTION_BYTES + HEAVY_BYTES + BLOCKING as u64 * PAGE_BYTES + ((HELD as u64) << 10);

/// What viewers of pictures hold: each has one message on its way, one being written, and one being made.
pub const fn viewer_bytes(across: usize, patch_px: usize) -> u64 {
    3 * VIEWERS as u64 * Canvas::bytes(across, patch_px) as u64
}

const fn max(one: u64, other: u64) -> u64 {
    if one > other { one } else { other }
}
