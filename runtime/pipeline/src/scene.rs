//! A new scene, told by token drop alone: where far less of a picture is dropped than of most before it, the camera shows something else
//! (TimeChat-Online's trigger in causal form: its demonstration ranks a whole video, its paper takes 60% as a hard limit; here it is
//! what a quantile of the last minutes says, within that limit).

use ocelli_types::Micros;

/// Pictures of which the shares are held: five minutes at 5 a second.
const WINDOW: usize = 1500;
/// Pictures before the quantile is believed.
const LEAST: usize = 50;
/// A picture is rare of which as little was dropped as of less than one in so many.
const RARE: usize = 10;
/// A picture of which as much or more is dropped begins no scene, in percent.
const MOST_DROPPED: u8 = 60;
/// After a new scene there is none for so long.
const REFRACTORY_US: Micros = Micros(2_000_000);

/// The shares that were dropped of the newest pictures, and when a scene began last.
#[derive(Debug)]
pub(crate) struct SceneTrigger {
    /// Percent, `[WINDOW]` at most; where there are so many the oldest is at `next`.
    dropped: heapless::Vec<u8, WINDOW>,
    next: usize,
    fired_us: Option<Micros>,
}

impl SceneTrigger {
    pub const fn new() -> Self {
        Self { dropped: heapless::Vec::new(), next: 0, fired_us: None }
    }

    /// Takes how many patches of a picture changed, and says whether it begins a new scene.
    pub fn see(&mut self, changed: u32, content: u32, at_us: Micros) -> bool {
        let kept = (u64::from(changed) * 100).div_ceil(u64::from(content.max(1)));
        let dropped = 100 - kept.min(100) as u8;
        // Of those before, of which as little was dropped; the rank of this one, so nothing is sorted.
        let as_little = self.dropped.iter().filter(|before| **before <= dropped).count();
        let is_rare = self.dropped.len() >= LEAST && as_little * RARE < self.dropped.len();
        if self.dropped.push(dropped).is_err() {
            self.dropped[self.next] = dropped;
            self.next = (self.next + 1) % WINDOW;
        }
        let rested = self.fired_us.is_none_or(|fired_us| at_us.since(fired_us) >= REFRACTORY_US);
        let fires = is_rare && rested && dropped < MOST_DROPPED;
        if fires {
            self.fired_us = Some(at_us);
        }
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it fires, of the percent that are dropped at 5 pictures a second.
    fn fired(shares: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut trigger = SceneTrigger::new();
        let times = (0..).map(|frame| Micros(frame * 200_000));
        let fires = shares.into_iter().zip(times).map(|(dropped, at_us)| trigger.see(100 - dropped, 100, at_us));
        fires.enumerate().filter(|(_, fires)| *fires).map(|(frame, _)| frame).collect()
    }

    #[test]
    fn a_picture_unlike_those_before_begins_a_scene_and_rests_for_two_seconds() {
        let still = |frames: usize| vec![97; frames];
        assert_eq!(fired([still(100), vec![20], still(60), vec![30; 12], still(9)].concat()), [100, 161, 171]);
        assert_eq!(fired([still(49), vec![20], still(60)].concat()), [], "too early to know what is rare");
        assert_eq!(fired([still(50), vec![20], still(60)].concat()), [50]);
        assert_eq!(fired([still(100), vec![60], still(20), vec![59], still(9)].concat()), [121], "60% is dropped");
    }

    #[test]
    fn a_busy_camera_has_its_own_measure() {
        // A street: half of the time a third is dropped.
        let street: Vec<u32> = (0..600).map(|frame| if frame / 10 % 2 == 0 { 35 } else { 80 }).collect();
        assert_eq!(fired(street.iter().copied().skip(20)), []);
        assert_eq!(fired([street, vec![5]].concat()), [600]);
    }

    #[test]
    fn what_is_older_than_the_window_counts_no_more() {
        let busy = vec![10; 2 * WINDOW];
        let still = |frames: usize| vec![97; frames];
        // One in ten of the window is still as busy, then one less.
        let of_window = |frames: usize| [busy.clone(), still(frames), vec![10]].concat();
        assert_eq!(fired(of_window(WINDOW - WINDOW / RARE)), []);
        assert_eq!(fired(of_window(WINDOW - WINDOW / RARE + 1)), [2 * WINDOW + WINDOW - WINDOW / RARE + 1]);
    }

    #[test]
    fn a_picture_of_nothing_is_dropped_and_more_than_all_of_it_cannot_change() {
        let mut trigger = SceneTrigger::new();
        (0..60).for_each(|frame| assert!(!trigger.see(0, 0, Micros(frame))));
        assert!(trigger.see(9, 4, Micros(60)));
    }
}
