//! A clip played into the loopback camera, a JPEG at a time, as a camera would see it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use crate::v4l2::Node;

/// The camera that the clip is played into, as the host numbers it.
pub const CAMERA: &str = "/dev/video10";

/// Pictures of the clip, one file each.
const PICTURES: &str = "/clip";

const SIZE_PX: (u32, u32) = (640, 480);

/// Pictures a second.
const FPS: u32 = 10;

/// A clip that can be played.
pub struct Player {
    node: Node,
    pictures: Vec<Vec<u8>>,
    written: Arc<AtomicU64>,
}

impl Player {
    /// Opens the camera and shows the first picture, without which it is none yet.
    pub fn open() -> Self {
        let mut files: Vec<_> = fs::read_dir(PICTURES).expect("the host puts it there").flatten().collect();
        files.sort_by_key(fs::DirEntry::file_name);
        // Each picture once in memory: its file goes.
        let take = |file: fs::DirEntry| {
            let picture = fs::read(file.path()).expect("it is there");
            fs::remove_file(file.path()).expect("it is ours");
            picture
        };
        let pictures: Vec<_> = files.into_iter().map(take).collect();
        let node = Node::open(Path::new(CAMERA)).expect("the module makes it");
        node.will_write_jpeg(SIZE_PX);
        Self { node, pictures, written: Arc::default() }
    }

    /// How many pictures were shown so far.
    pub fn written(&self) -> impl Fn() -> u64 + use<> {
        let written = Arc::clone(&self.written);
        move || written.load(Ordering::Relaxed)
    }

    /// Plays the first picture until it hears of it, and for `lead_s` more, then the clip, and then its last picture without end. The
    /// clip begins so many pictures after the first that was seen, so that it is the same pictures of it that are looked at each time.
    pub fn play_once(self, seen: Receiver<()>, lead_s: u32) {
        let last = self.pictures.len() - 1;
        let wait = std::iter::repeat(0).take_while(move |_| seen.try_recv().is_err());
        let lead = std::iter::repeat_n(0, (lead_s * FPS) as usize);
        self.play(wait.chain(lead).chain(0..=last).chain(std::iter::repeat(last)));
    }

    /// Plays the clip from this picture on, and again and again from its beginning.
    pub fn play_round(self, first: usize) {
        let pictures = self.pictures.len();
        self.play((first..pictures).chain((0..pictures).cycle()));
    }

    fn play(mut self, order: impl Iterator<Item = usize> + Send + 'static) {
        thread::spawn(move || {
            let start = Instant::now();
            for (n, picture) in order.enumerate() {
                let due = Duration::from_secs(1) * n as u32 / FPS;
                thread::sleep(due.saturating_sub(start.elapsed()));
                self.node.write(&self.pictures[picture]);
                self.written.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}
