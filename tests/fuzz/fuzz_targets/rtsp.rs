//! What a camera of the network answers, one answer (up to a line `--`) to each request; what is left comes behind the last,
//! with its pictures.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ocelli_drivers::{Rtsp, RtspAddress, RtspConfig};
use ocelli_types::FrameSource as _;

/// A camera that answers on each connection what it was told last.
struct Server {
    answers: Arc<Mutex<Vec<u8>>>,
    config: RtspConfig,
}

/// Panics that `Rtsp` takes for an error of the server.
fn is_known(panic: &PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|at| at.file().contains("/sdp-types-0.1"))
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // That of the fuzzer, which ends it.
    let end = take_hook();
    set_hook(Box::new(move |panic| {
        if !is_known(panic) {
            end(panic);
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address is free");
    let address = format!("rtsp://{}/stream", listener.local_addr().expect("it listens"));
    let answers = Arc::<Mutex<Vec<u8>>>::default();
    let told = Arc::clone(&answers);
    thread::spawn(move || serve(&listener, &told));
    let address = RtspAddress::parse(&address).expect("it is one");
    Server { answers, config: RtspConfig { address, timeout: Duration::from_millis(200), stop: Arc::default() } }
});

fn serve(listener: &TcpListener, told: &Mutex<Vec<u8>>) {
    while let Ok((stream, _)) = listener.accept() {
        let bytes = told.lock().expect("a panic ends all").clone();
        // A client that goes is no fault of ours.
        thread::spawn(move || answer(stream, &bytes));
    }
}

fn answer(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut rest, mut buffer) = (bytes, [0; 4096]);
    while !rest.is_empty() && stream.read(&mut buffer)? > 0 {
        let end = rest.windows(4).position(|four| four == b"\n--\n");
        let (now, after) = end.map_or((rest, &[][..]), |end| (&rest[..=end], &rest[end + 4..]));
        stream.write_all(now)?;
        rest = after;
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    *SERVER.answers.lock().expect("a panic ends all") = bytes.to_vec();
    let Ok(mut camera) = Rtsp::open(&SERVER.config) else { return };
    for _ in 0..4 {
        if camera.next().is_err() {
            break;
        }
    }
});
