//! HTTP: who comes in, how long they may take, what they may do, and where each route is.
//!
//! [`routes`](routes::routes) is the one table: the router, what each route asks of whom, the `OpenAPI` document and the test of all
//! routes with all roles come from it.

mod api;
mod audit;
mod auth;
mod chat;
mod connection;
mod events;
mod fill;
mod guard;
mod metrics;
mod openapi;
mod page;
mod recordings;
mod refusal;
mod routes;
mod setup;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

pub use self::auth::{Account, Role};
pub use self::fill::fill_with;

use self::audit::Audit;
use self::auth::Accounts;
use self::refusal::Refusal;
use crate::settings::{BLOCKING, CONNECTIONS, PATIENCE, STACK_BYTES, STREAMS, Settings, VIEWERS, WAITING};
use crate::{Feed, GatewayError, House, HouseError};

/// What all requests share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    house: Arc<dyn House>,
    feed: Feed,
    settings: Settings,
    accounts: Mutex<Accounts>,
    audit: Audit,
    /// Whether somebody can log in.
    claimed: watch::Sender<bool>,
    /// Room for what blocks, for passwords and chats, for streams and for viewers.
    blocking: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    /// Room for those who ask what takes a process, and whose turn it is.
    line: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    viewers: Arc<Semaphore>,
    /// Tells places in the feed of this program from those of one before.
    boot: u64,
}

impl App {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what blocks on a thread of its own, of which there are few. What waits for too long is refused.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn House) -> Result<T, HouseError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = Arc::clone(&self.0.blocking).acquire_owned();
        let permit = tokio::time::timeout(Duration::from_secs(10), permit).await.map_err(|_| Refusal::busy())?;
        let house = Arc::clone(&self.0.house);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&*house)
        });
        Ok(done.await.map_err(|_| Refusal::failed())??)
    }

    /// Asks for what takes a process, one at a time. Who waits for it holds no thread, so that what is quick is answered
    /// meanwhile, and leaves the line with the connection.
    async fn errand<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn House) -> Result<T, HouseError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.0.line).try_acquire_owned().map_err(|_| Refusal::busy())?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.turn).acquire_owned());
        let turn = turn.await.map_err(|_| Refusal::busy())?;
        self.ask(move |house| {
            // It goes on where the connection does not.
            let _until_it_ends = (place, turn);
            work(house)
        })
        .await
    }

    /// Does what takes much memory, one at a time.
    async fn labour<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let permit = Arc::clone(&self.0.heavy).acquire_owned();
        let permit = tokio::time::timeout(Duration::from_secs(10), permit).await.map_err(|_| Refusal::busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Refusal::failed())
    }
}

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    stop: watch::Sender<bool>,
    address: Arc<Mutex<SocketAddr>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Listens, and answers from a thread of its own. `threads` is called at the start of each of its threads.
    ///
    /// # Errors
    /// The address is taken, or a file that the settings name cannot be used.
    pub fn start(
        settings: Settings,
        house: Arc<dyn House>,
        feed: Feed,
        threads: impl Fn() + Send + Sync + Clone + 'static,
    ) -> Result<Self, GatewayError> {
        let tls = settings.tls.as_ref().map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?;
        let accounts = Accounts::open(settings.users.as_deref(), settings.password_file.as_deref(), settings.session)?;
        let audit = Audit::open(settings.audit.as_deref())?;
        let system = |source: io::Error| GatewayError::System { source };
        let begun = threads.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING)
            .thread_stack_size(STACK_BYTES)
            .thread_keep_alive(Duration::from_secs(5))
            .on_thread_start(begun)
            .build()
            .map_err(system)?;
        let boot = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let claimed = watch::Sender::new(accounts.claimed());
        let listen = settings.listen;
        let app = App(Arc::new(Shared {
            house,
            feed,
            settings,
            accounts: Mutex::new(accounts),
            audit,
            claimed,
            blocking: Arc::new(Semaphore::new(BLOCKING)),
            heavy: Arc::new(Semaphore::new(1)),
            line: Arc::new(Semaphore::new(1 + WAITING)),
            turn: Arc::new(Semaphore::new(1)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            viewers: Arc::new(Semaphore::new(VIEWERS)),
            boot,
        }));
        let listener = bound(&runtime, if *app.0.claimed.borrow() { listen } else { loopback(listen) })?;
        let address = Arc::new(Mutex::new(listener.local_addr().map_err(system)?));
        let (stop, stopped) = watch::channel(false);
        let told = Arc::clone(&address);
        let thread = thread::Builder::new().name("gateway".into()).stack_size(STACK_BYTES).spawn(move || {
            threads();
            runtime.block_on(run(app, listener, tls, stopped, &told));
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        Ok(Self { stop, address, thread: Some(thread.map_err(system)?) })
    }

    /// Where it listens now.
    pub fn address(&self) -> SocketAddr {
        *lock(&self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The loopback address of the same kind and port.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn bound(runtime: &tokio::runtime::Runtime, address: SocketAddr) -> Result<TcpListener, GatewayError> {
    let bound = runtime.block_on(TcpListener::bind(address));
    bound.map_err(|source| GatewayError::Listen { address, source })
}

/// Takes connections until it is told to stop. Once somebody can log in it listens where the settings say.
async fn run(
    app: App,
    mut listener: TcpListener,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
    told: &Mutex<SocketAddr>,
) {
    let router = routes::router(&app);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let guests = connection::Guests::default();
    let mut claimed = app.0.claimed.subscribe();
    let listen = app.0.settings.listen;
    let mut narrow = *lock(told) != listen && lock(told).ip() != listen.ip();
    loop {
        let accepted = async {
            let room = Arc::clone(&room).acquire_owned().await;
            (room, listener.accept().await)
        };
        tokio::select! {
            // What is waited for must not be held while the rest goes on.
            () = async { drop(stopped.wait_for(|stop| *stop).await) } => return,
            () = async { drop(claimed.wait_for(|claimed| *claimed).await) }, if narrow => {
                narrow = false;
                let wide = SocketAddr::new(listen.ip(), lock(told).port());
                // An address that stands for all of them takes the loopback one too.
                drop(listener);
                let (bound, at) = match TcpListener::bind(wide).await {
                    Ok(bound) => (Ok(bound), wide),
                    Err(error) => {
                        app.0.audit.say(&format!("cannot listen at {wide} ({error}); staying where it was"));
                        let before = *lock(told);
                        (TcpListener::bind(before).await, before)
                    }
                };
                let Ok(bound) = bound else { return };
                (listener, *lock(told)) = (bound, at);
            }
            (room, accepted) = accepted => match (room, accepted) {
                (Ok(room), Ok((stream, peer))) => {
                    let Some(guest) = guests.admit(peer.ip()) else { continue };
                    let (router, tls, patience) = (router.clone(), tls.clone(), app.0.settings.patience);
                    tokio::spawn(async move {
                        let _held = (room, guest);
                        connection::serve(stream, peer, tls, router, patience).await;
                    });
                }
                // Such as too many open files, which pass.
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}
