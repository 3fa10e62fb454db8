//! A clip played into the loopback camera, a JPEG at a time, as a camera would see it.

use std::fs;
use std::path::Path;
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
        Self { node, pictures }
    }

    /// Plays `lead_s` of the first picture, then the clip, and then its last picture without end; or, of a clip that goes
    /// `round`, itself again from `first` on.
    pub fn play(mut self, lead_s: u32, first: usize, round: bool) {
        let lead = std::iter::repeat_n(0, (lead_s * FPS) as usize);
        let last = self.pictures.len() - 1;
        let order = lead.chain(first..=last);
        let again = std::iter::repeat_with(move || if round { (0..=last).collect() } else { vec![last] });
        let order = order.chain(again.flatten());
        thread::spawn(move || {
            let start = Instant::now();
            for (n, picture) in order.enumerate() {
                let due = Duration::from_secs(1) * n as u32 / FPS;
                thread::sleep(due.saturating_sub(start.elapsed()));
                self.node.write(&self.pictures[picture]);
            }
        });
    }
}
