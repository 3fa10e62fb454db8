//! Alerts that nobody has acknowledged yet: an alarm is told again and again, a few times, until somebody says that it was seen.

use std::collections::VecDeque;

use ocelli_types::{EntryId, Micros, Severity};

/// The most that are waited for; of more the oldest are waited for no longer.
const MOST: usize = 32;

/// An alert as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub id: u64,
    pub camera: usize,
    pub text: String,
    pub severity: Severity,
    pub start_us: Micros,
    pub score: f32,
    pub entries: Option<(EntryId, EntryId)>,
}

#[derive(Debug)]
struct Waiting {
    told: Told,
    times: u32,
    /// When it is told again; `None` for what is told once.
    due_us: Option<Micros>,
}

/// Alerts that wait for somebody.
#[derive(Debug, Default)]
pub struct Escalation {
    /// After how long an alarm is told again; `None` for never.
    after_us: Option<Micros>,
    /// How often it is told again at most.
    times: u32,
    waiting: VecDeque<Waiting>,
}

impl Escalation {
    /// Tells alarms again after this time, and so often at most; without a time, never.
    pub fn new(after_us: Option<Micros>, times: u32) -> Self {
        Self { after_us, times, waiting: VecDeque::with_capacity(MOST) }
    }

    /// An alert was told at this stream time of its camera.
    pub fn told(&mut self, told: Told, now_us: Micros) {
        if self.waiting.len() == MOST {
            self.waiting.pop_front();
        }
        let after_us = self.after_us.filter(|_| told.severity == Severity::Alarm && self.times > 0);
        self.waiting.push_back(Waiting { told, times: 1, due_us: after_us.map(|after_us| now_us + after_us) });
    }

    /// Somebody knows of it. Gives it back, once.
    pub fn acknowledged(&mut self, id: u64) -> Option<Told> {
        let place = self.waiting.iter().position(|waiting| waiting.told.id == id)?;
        self.waiting.remove(place).map(|waiting| waiting.told)
    }

    /// Somebody knows of all: gives back the one that has waited longest.
    pub fn oldest(&mut self) -> Option<Told> {
        self.waiting.pop_front().map(|waiting| waiting.told)
    }

    /// Somebody knows of this one and of all before it. Gives them back one after the other.
    pub fn acknowledged_up_to(&mut self, newest: u64) -> Option<Told> {
        let id = self.waiting.iter().map(|waiting| waiting.told.id).find(|id| *id <= newest)?;
        self.acknowledged(id)
    }

    /// An alarm of this camera that is due again, and how often it will have been told.
    pub fn due(&mut self, camera: usize, now_us: Micros) -> Option<(Told, u32)> {
        let is_due = |waiting: &&mut Waiting| {
            waiting.told.camera == camera && waiting.due_us.is_some_and(|due_us| now_us >= due_us)
        };
        let waiting = self.waiting.iter_mut().find(is_due)?;
        waiting.times += 1;
        let again_us = self.after_us.filter(|_| waiting.times <= self.times);
        waiting.due_us = again_us.map(|after_us| now_us + after_us);
        Some((waiting.told.clone(), waiting.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: u64) -> Told {
        let (text, severity) = ("Somebody fell".into(), Severity::Alarm);
        Told { id, camera: 0, text, severity, start_us: Micros(0), score: 0.5, entries: None }
    }

    fn second(n: u64) -> Micros {
        Micros(n * 1_000_000)
    }

    /// When alarms are told again, in seconds, with how often by then.
    fn again(escalation: &mut Escalation, camera: usize, from: u64, to: u64) -> Vec<(u64, u64, u32)> {
        let mut told = Vec::new();
        for n in from..to {
            while let Some((alarm, times)) = escalation.due(camera, second(n)) {
                told.push((n, alarm.id, times));
            }
        }
        told
    }

    #[test]
    fn an_alarm_is_told_again_a_few_times_and_no_more() {
        let mut escalation = Escalation::new(Some(second(60)), 3);
        let notice = Told { severity: Severity::Notice, ..told(8) };
        escalation.told(told(7), second(10));
        escalation.told(notice.clone(), second(10));
        assert_eq!(again(&mut escalation, 0, 0, 1000), [(70, 7, 2), (130, 7, 3), (190, 7, 4)]);
        assert_eq!(escalation.acknowledged(7), Some(told(7)), "it still can be");
        assert_eq!(escalation.acknowledged(8), Some(notice));
    }

    #[test]
    fn who_acknowledges_is_not_told_again() {
        let mut escalation = Escalation::new(Some(second(60)), 3);
        escalation.told(told(7), second(0));
        escalation.told(Told { camera: 1, ..told(9) }, second(0));
        assert_eq!(again(&mut escalation, 0, 0, 100), [(60, 7, 2)]);
        assert_eq!((escalation.acknowledged(7), escalation.acknowledged(7)), (Some(told(7)), None));
        assert_eq!(again(&mut escalation, 0, 100, 1000), []);
        assert_eq!(again(&mut escalation, 1, 100, 130), [(100, 9, 2)], "each camera has its time");
        escalation.told(Told { severity: Severity::Notice, ..told(12) }, second(0));
        let ids = std::iter::from_fn(|| escalation.acknowledged_up_to(11).map(|told| told.id));
        assert_eq!(ids.collect::<Vec<_>>(), [9], "what came after it was not seen");
    }

    #[test]
    fn without_a_time_nothing_is_told_again_and_what_waits_is_bounded() {
        let mut escalation = Escalation::new(None, 3);
        (0..100).for_each(|id| escalation.told(told(id), second(id)));
        assert_eq!(again(&mut escalation, 0, 0, 10_000), []);
        assert_eq!((escalation.acknowledged(67), escalation.acknowledged(68)), (None, Some(told(68))));
    }
}
