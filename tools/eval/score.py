"""Figures of what a system said of a set of clips, with intervals.

- activity accuracy: five classes (stand, walk, sit, lie, fall) a half second, `evaluate.half_seconds`; labels of the data
  set's own table.
- event recall at 1 s: a labelled change to one of the five kinds (also the first of a clip) that lasts for 0.6 s, a fall for
  0.3 s, is recalled when the system says that kind and dates its start within 1 s of the labelled start; each saying counts
  once. Labels of the table.
- fall recall within 2 s: a labelled fall is found when "fall" is said between 1 s before its start and 2 s after its end.
  *From the start*: not later than 2 s after its start.
- false falls an hour: sayings of "fall" that are near no labelled fall, in that sense.
- ECE: labelled frames in 15 bins by the largest smoothed P(kind); mean distance of hits and that probability, bins weighing
  as many frames as they have. All kinds; labels by table and by eye.
- a narration is right when it comes between 1 s before and 1.5 s after a labelled happening of its kind, each once
  (`evaluate.matched`); those where nothing is labelled do not count. Labels by table and by eye.

Intervals are 95%, by bootstrap over groups: real clips, or the households of rendered ones. Where all units hit or all miss, resampling knows no
other outcome: there the far end is the exact one (Clopper-Pearson with as many trials as there are groups that have the
unit, Poisson for rates).
"""

from collections import Counter

import evaluate as ev
import numpy as np
import words

FIVE = tuple(words.KINDS[k] for k in ev.FIVE)
NEAR_S = 1.0
FALL_S = 2.0
BINS = 15
TAIL = 0.025
NARROW = (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # bins of a kind's reliability


def grouped(answers, parts):
    """[(hits, total)] of clips -> f64 [groups, 2]."""
    return ev.grouped(parts, [a.clip.group for a in answers])


def share(answers, parts):
    """[(hits, total)] of clips -> (share, low, high); None where there is nothing."""
    parts = grouped(answers, parts)
    hits, total = parts.sum(0)
    if not total:
        return None, None, None
    low, high = ev.bootstrap(parts)
    trials = (parts[:, 1] > 0).sum()
    if hits == 0:
        high = round(float(1 - TAIL ** (1 / trials)), 3)
    if hits == total:
        low = round(float(TAIL ** (1 / trials)), 3)
    return round(float(hits / total), 3), low, high


def rate(answers, counts):
    """Counts of clips -> (an hour, low, high)."""
    seconds = [a.clip.seconds for a in answers]
    parts = grouped(answers, [(3600 * n, s) for n, s in zip(counts, seconds)])
    low, high = ev.bootstrap(parts)
    if not sum(counts):
        high = round(float(-np.log(TAIL) * 3600 / sum(seconds)), 3)
    return round(3600 * sum(counts) / sum(seconds), 3), low, high


def activity(answers):
    """[(right, half seconds)] of clips, and the confusion i64 [5, 5] of labels and guesses."""
    pairs = [ev.half_seconds(a.clip.times, a.clip.table, a.p) for a in answers]
    confusion = np.zeros((len(FIVE),) * 2, int)
    for truth, guess in pairs:
        np.add.at(confusion, (truth, guess), 1)
    return [((truth == guess).sum(), len(truth)) for truth, guess in pairs], confusion


def changes(times, kind, only=FIVE):
    """[(kind, start_s)]: where a kind begins that was not there before, and lasts. Unlabelled frames between do not count."""
    out, before = [], None
    for k, a, b in ev.runs(kind):
        name, before_this = words.KINDS[k], before
        before = name
        long = times[b - 1] + 0.2 - times[a] >= ev.SHORTEST_S.get(name, ev.SHORTEST_OTHER_S) - 1e-6
        if name != before_this and name in only and long:
            out.append((name, float(times[a])))
    return out


def tellings(wanted, said):
    """The saying of each change that is recalled: [(start_s, saying)]; `wanted` as `changes` gives them."""
    open_, out = [s for s in said if s.what == "narration"], []
    for kind, start_s in wanted:
        near = [s for s in open_ if s.kind == kind and abs(s.start_us / 1e6 - start_s) <= NEAR_S + 1e-6]
        if near:
            nearest = min(near, key=lambda s: abs(s.start_us / 1e6 - start_s))
            open_.remove(nearest)
            out.append((start_s, nearest))
    return out


def recalled(wanted, said):
    """(recalled, wanted)"""
    return len(tellings(wanted, said)), len(wanted)


def told_after(answers, rounds=2000):
    """(median seconds, low, high) from a change to its telling; None where nothing is told."""
    each = {}
    for a in answers:
        times = [s.end_us / 1e6 - start_s for start_s, s in tellings(changes(a.clip.times, a.clip.table), a.said)]
        if times:
            each.setdefault(a.clip.group, []).extend(times)
    if not each:
        return None, None, None
    groups, dice = list(each.values()), np.random.default_rng(0)
    drawn = (np.median(np.concatenate([groups[k] for k in dice.integers(len(groups), size=len(groups))])) for _ in range(rounds))
    low, high = np.percentile(list(drawn), [100 * TAIL, 100 - 100 * TAIL])
    return tuple(round(float(v), 3) for v in (np.median(np.concatenate(groups)), low, high))


def from_the_start(answer):
    """(found, labelled) falls, told within FALL_S of their start."""
    starts = [answer.clip.times[a] for k, a, _ in ev.runs(answer.clip.table) if k == ev.FALL]
    told = [s.end_us / 1e6 for s in answer.said if s.what == "narration" and s.kind == "fall"]
    return sum(any(-ev.BEFORE_S <= t - start <= FALL_S for t in told) for start in starts), len(starts)


def bins_of(p, hit, edges):
    """f64 [bins, 3]: frames, sum of p, hits."""
    index = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)
    out = np.zeros((len(edges) - 1, 3))
    for column, value in enumerate((np.ones(len(p)), p, hit)):
        np.add.at(out[:, column], index, value)
    return out


def distance(bins):
    """f64 [..., bins, 3] -> expected calibration error [...]."""
    return np.abs(bins[..., 1] - bins[..., 2]).sum(-1) / np.maximum(bins[..., 0].sum(-1), 1)


def ece(answers, kind=None, rounds=2000):
    """(ECE, low, high) of the most probable kind, or of P(kind) alone."""
    each = []
    for a in answers:
        known = a.clip.kind >= 0
        p, truth = a.p[known], a.clip.kind[known]
        if kind is None:
            part = bins_of(p.max(1), p.argmax(1) == truth, np.linspace(0, 1, BINS + 1)) if len(p) else np.zeros((BINS, 3))
        else:
            part = bins_of(p[:, kind], truth == kind, np.linspace(0, 1, BINS + 1))
        each.append(part.ravel())
    bins = grouped(answers, each).reshape(-1, BINS, 3)
    if not bins[..., 0].sum():
        return None, None, None
    pick = np.random.default_rng(0).integers(len(bins), size=(rounds, len(bins)))
    low, high = np.percentile(distance(bins[pick].sum(1)), [100 * TAIL, 100 - 100 * TAIL])
    return tuple(round(float(v), 3) for v in (distance(bins.sum(0)), low, high))


def figures(answers):
    """{name: (value, low, high)}"""
    falls = [ev.falls(a.clip, a.said, after_s=FALL_S) for a in answers]
    out = {
        "activity_accuracy": share(answers, activity(answers)[0]),
        "event_recall_1s": share(answers, [recalled(changes(a.clip.times, a.clip.table), a.said) for a in answers]),
        "told_after_s": told_after(answers),
        "fall_recall_2s": share(answers, [f[:2] for f in falls]),
        "false_falls_per_hour": rate(answers, [f[2] for f in falls]),
        "ece": ece(answers) if all(a.is_probable for a in answers) else (None, None, None),
    }
    return out


def row(name, system, answers):
    """One row of the machine-readable list."""
    out = {"set": name, "system": system, "clips": len(answers)}
    for key, (value, low, high) in figures(answers).items():
        out |= {key: value, f"{key}_low": low, f"{key}_high": high}
    return out | {"hours": round(sum(a.clip.seconds for a in answers) / 3600, 4)}


def narrations(answers):
    """[{kind, happenings, recall, told, precision, at_1s, ece}] of kinds that are labelled or told."""
    out = []
    for index, kind in enumerate(words.KINDS):
        said = [[s for s in a.said if s.kind == kind] for a in answers]
        counted = [ev.matched(a.clip, s) for a, s in zip(answers, said)]
        wanted = [sum(h[0] == kind for h in ev.happenings(a.clip)) for a in answers]
        told = sum(total for _, total, _ in counted)
        if sum(wanted) or told:
            begun = [recalled(changes(a.clip.times, a.clip.kind, (kind,)), s) for a, s in zip(answers, said)]
            out.append({
                "kind": kind, "happenings": sum(wanted), "told": told,
                "recall": share(answers, [(c[0], w) for c, w in zip(counted, wanted)]),
                "precision": share(answers, [c[:2] for c in counted]),
                "at_1s": share(answers, begun), "ece": ece(answers, index),
            })  # fmt: skip
    return out


def confusion(answers):
    """Counter of (kind told, kind labelled when it was told, or None)."""
    out = Counter()
    for a in answers:
        for s in a.said:
            if s.what == "narration":
                frame = min(int(np.searchsorted(a.clip.times, s.end_us / 1e6 - 1e-3)), len(a.clip.kind) - 1)
                label = a.clip.kind[frame]
                out[s.kind, words.KINDS[label] if label >= 0 else None] += 1
    return out


def reliability(answers, kind):
    """[(frames, mean P(kind), share of frames that are labelled so)] in the bins NARROW."""
    known = [(a.p[a.clip.kind >= 0][:, kind], a.clip.kind[a.clip.kind >= 0] == kind) for a in answers]
    bins = bins_of(np.concatenate([p for p, _ in known]), np.concatenate([h for _, h in known]), NARROW)
    return [(int(n), p / max(n, 1), h / max(n, 1)) for n, p, h in bins]
