//! `ocelli vocab suggest`: what went on and had no name, in groups of what looked alike, and how each can be named.

use std::fmt::Write as _;

use ocelli_infer::{EMBEDDING, Evidence};
use ocelli_journal::{Journal, Ring, Seen};
use serde_json::json;

use crate::cli::SuggestArgs;
use crate::error::{Error, note};
use crate::events;
use crate::sentences::SEEN_FLOOR;
use crate::vocab::Place;
use crate::wiring;

/// The cosine from which two look alike: that from which a sentence is meant that is placed by one of them.
const ALIKE: f32 = SEEN_FLOOR;

/// How many of a group, and of the sentences near it, are shown.
const SHOWN: usize = 8;
const NEAREST: usize = 3;

/// One that was seen and had no name.
struct Unknown {
    number: u64,
    seen: Seen,
    unit: [f32; EMBEDDING],
}

/// Shows the groups, the largest first.
pub fn command(args: &SuggestArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let place = Place::of(&config)?;
    let journal = Journal::open(&events::file(args.journal.as_ref(), &config)?)?;
    let all = wiring::open(&config)?.vocabulary;
    let (mut unknown, mut others, mut named) = (Vec::new(), 0, 0);
    let all_seen = journal.seen(Ring::Unknowns, args.camera.as_deref())?;
    if all_seen.is_empty() {
        events::require_camera(&journal, args.camera.as_deref())?;
    }
    for (number, seen) in all_seen {
        let evidence = Evidence::kept(&seen.vector.mark, &seen.vector.values);
        let unit = evidence.unit();
        if !evidence.is_of(&place.pack) {
            others += 1;
        } else if all.is_placed(&unit) {
            named += 1;
        } else {
            unknown.push(Unknown { number, seen, unit });
        }
    }
    let groups = group(unknown.iter().map(|unknown| &unknown.unit));
    if others > 0 {
        note(format_args!("{others} were seen by other models, and are left out"));
    }
    if named > 0 {
        note(format_args!("{named} have a name by now"));
    }
    if groups.is_empty() {
        note("nothing without a name is in the journal");
    }
    let mut lines = String::new();
    for group in groups.iter().take(args.limit.into()) {
        let members: Vec<&Unknown> = group.iter().map(|index| &unknown[*index]).collect();
        let mut near: Vec<(usize, f32)> = all.cosines(&members[0].unit).into_iter().enumerate().collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        near.truncate(NEAREST);
        let near: Vec<(String, f32)> =
            near.into_iter().map(|(entry, cosine)| (all.entry(entry).into_owned().text, cosine)).collect();
        if args.json {
            let of = |unknown: &&Unknown| {
                let Seen { camera, start_us, start_ms, .. } = &unknown.seen;
                json!({"id": format!("u{}", unknown.number), "camera": camera, "start": start_ms.map(events::date), "t_start_s": events::rounded(start_us.seconds())})
            };
            let near: Vec<_> = near
                .iter()
                .map(|(text, cosine)| json!({"text": text, "cosine": events::rounded((*cosine).into())}))
                .collect();
            let line =
                json!({"count": members.len(), "seen": members.iter().map(of).collect::<Vec<_>>(), "nearest": near});
            lines += &line.to_string();
            lines.push('\n');
            continue;
        }
        let times: Vec<String> = members
            .iter()
            .take(SHOWN)
            .map(|Unknown { number, seen, .. }| {
                format!(
                    "u{number} {} {}",
                    seen.camera,
                    events::when(seen.start_ms, seen.start_us, &events::local()).trim()
                )
            })
            .collect();
        let more = if members.len() > SHOWN { ", …" } else { "" };
        let _ = writeln!(lines, "{} times: {}{more}", members.len(), times.join(", "));
        let near: Vec<String> = near.iter().map(|(text, cosine)| format!("`{text}` {cosine:.2}")).collect();
        let _ = writeln!(lines, "    nearest: {}", near.join(", "));
        let ids: Vec<String> = members.iter().take(SHOWN).map(|unknown| format!("u{}", unknown.number)).collect();
        let _ = writeln!(lines, "    ocelli vocab add 'what it was' --seen {}", ids.join(","));
    }
    events::print(&lines)
}

/// Groups of what is alike, each with its leader first, the largest group first (leader clustering, Hartigan 1975): one after the
/// other joins the nearest leader that it is like, or leads.
fn group<'a>(units: impl Iterator<Item = &'a [f32; EMBEDDING]>) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&[f32; EMBEDDING], Vec<usize>)> = Vec::new();
    for (index, unit) in units.enumerate() {
        let cosine = |leader: &[f32; EMBEDDING]| leader.iter().zip(unit).map(|(a, b)| a * b).sum::<f32>();
        let near = groups.iter_mut().map(|(leader, members)| (cosine(leader), members));
        match near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(cosine, _)| *cosine >= ALIKE) {
            Some((_, members)) => members.push(index),
            None => groups.push((unit, vec![index])),
        }
    }
    // The older of equals first.
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    groups.into_iter().map(|(_, members)| members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_one_group_and_the_largest_comes_first() {
        let at = |radians: f32| {
            let mut unit = [0.0; EMBEDDING];
            (unit[0], unit[1]) = (radians.cos(), radians.sin());
            unit
        };
        let units = [0.0, 1.0, 1.1, 2.0, 0.9, 0.1].map(at);
        assert_eq!(group(units.iter()), [vec![1, 2, 4], vec![0, 5], vec![3]]);
        assert!(group([].iter()).is_empty());
    }
}
