"""The baseline of a pose network with the usual rules: BlazePose's keypoints, and thresholds on what they show.

- lie: the trunk leans by more than `lie_deg`, or the box around the keypoints is wider than `lie_box` times its height;
- sit: knees are less than `sit_thigh` trunk lengths below the hips;
- walk: the hips move by more than `walk_speed` trunk lengths a second; else stand;
- fall: the shoulders went down by more than `fall_speed` trunk lengths a second within the last `fall_window_s`, and the
  trunk now leans by more than `fall_deg`; it lasts as long as a labelled fall;
- nobody: no person found for `patience_s`; before that, the last posture stands.

The posture is the commonest of the last `smoothing` frames. All rules look back only. Thresholds are chosen by trying all
combinations on the training side: posture by five-class accuracy, falls by the share found less `calibrate.COST` x false alarms an
hour, as `calibrate.py` does for the pack; the hold-off by the same score as the pack's. The network is given more than the
pack: a picture of 640 px, and second looks turned by 90 degrees where it finds nobody.
"""

from dataclasses import dataclass, fields, replace
from itertools import product

import calibrate
import evaluate as ev
import labels
import numpy as np
import words

from answers import ALONE, Guessed

VISIBLE = 0.5
SHOULDERS, HIPS, KNEES = (5, 6), (11, 12), (13, 14)
SPEED_S, DROP_S, LENGTH_S = 0.6, 0.4, 2.0  # over which speeds are taken; the longest trunk of the last while is its length
NOBODY, WALK, STAND, SIT, LIE, FALL = (words.KINDS.index(k) for k in ("nobody", "walk", "stand", "sit", "lie", "fall"))


@dataclass(frozen=True)
class Rules:
    lie_deg: float = 50
    lie_box: float = 1.2
    sit_thigh: float = 0.5
    walk_speed: float = 0.5
    patience_s: float = 1.0
    smoothing: int = 3
    fall_speed: float = 1.4
    fall_window_s: float = 1.0
    fall_deg: float = 45


POSTURES = {
    "lie_deg": (40, 50, 60), "lie_box": (0.9, 1.2, 1.6), "sit_thigh": (0.3, 0.45, 0.6),
    "walk_speed": (0.1, 0.2, 0.35, 0.5, 0.8), "patience_s": (1, 1e9), "smoothing": (1, 3, 5),
}  # fmt: skip
FALLS = {
    "fall_speed": (0.6, 1.0, 1.4, 1.8, 2.4, 3.0), "fall_window_s": (0.4, 0.6, 1.0, 1.4), "fall_deg": (20, 30, 45, 60),
}  # fmt: skip


def past(times, t, seconds):
    """First frame within the last `seconds` of frame `t`."""
    return int(np.searchsorted(times, times[t] - seconds - 1e-3))


@dataclass(frozen=True)
class Seen:
    """What the keypoints show, frame by frame, [T] each; lengths in trunks. Where nobody is found, what was seen last."""

    found: np.ndarray
    missing_s: np.ndarray
    lean_deg: np.ndarray
    box: np.ndarray
    thigh: np.ndarray
    speed: np.ndarray
    drop: np.ndarray


def see(keypoints, found, times, aspect):
    """keypoints f32 [T, 17, 3], `aspect` width / height of the picture -> Seen."""
    frames = len(times)
    out = {f.name: np.zeros(frames) for f in fields(Seen)}
    places = {}  # frame -> (shoulders, hips), lengths in picture heights
    trunk = np.zeros(frames)
    last_s = -np.inf
    for t in range(frames):
        out["missing_s"][t] = 0 if found[t] else times[t] - last_s
        if not found[t]:
            for name in ("lean_deg", "box", "thigh"):
                out[name][t] = out[name][t - 1] if t else 0
            continue
        last_s = times[t]
        xy = keypoints[t, :, :2] * [aspect, 1]
        shoulders, hips, knees = (xy[list(pair)].mean(0) for pair in (SHOULDERS, HIPS, KNEES))
        places[t] = shoulders, hips
        across, down = hips - shoulders
        trunk[t] = max(np.hypot(across, down), 1e-3)
        length = trunk[past(times, t, LENGTH_S) : t + 1].max()
        shown = xy[keypoints[t, :, 2] > VISIBLE]
        width, height = np.ptp(shown if len(shown) > 2 else xy, axis=0)
        out["found"][t] = 1
        out["lean_deg"][t] = np.degrees(np.arctan2(abs(across), down))
        out["box"][t] = width / max(height, 1e-3)
        out["thigh"][t] = (knees[1] - hips[1]) / length
        for name, part, seconds in (("drop", 0, DROP_S), ("speed", 1, SPEED_S)):
            before = [b for b in range(past(times, t, seconds), t) if b in places]
            if before:
                way = (places[t][part] - places[before[0]][part]) / length / (times[t] - times[before[0]])
                out[name][t] = way[1] if name == "drop" else np.hypot(*way)
    return Seen(**out)


def posture(seen, rules):
    """Kind of each frame without falls, i64 [T]."""
    kind = np.where(seen.speed > rules.walk_speed, WALK, STAND)
    kind = np.where(seen.thigh < rules.sit_thigh, SIT, kind)
    kind = np.where((seen.lean_deg > rules.lie_deg) | (seen.box > rules.lie_box), LIE, kind)
    for t in np.flatnonzero(seen.found == 0):
        kind[t] = NOBODY if seen.missing_s[t] > rules.patience_s else kind[t - 1]
    return commonest(kind, rules.smoothing)


def commonest(kind, frames):
    """The commonest of the last `frames`; of equals the newest."""
    votes = np.eye(len(words.KINDS))[kind]
    total = sum((1 + 0.01 * (frames - back)) * np.pad(votes, ((back, 0), (0, 0)))[: len(kind)] for back in range(frames))
    return total.argmax(1)


def classify(seen, times, rules):
    """Kind of each frame, i64 [T]."""
    kind, until_s = posture(seen, rules), -np.inf
    leaning = (seen.lean_deg > rules.fall_deg) & (seen.found > 0)
    fast = seen.drop > rules.fall_speed
    for t in range(len(times)):
        window = slice(past(times, t, rules.fall_window_s), t + 1)
        if times[t] > until_s and leaning[t] and fast[window].any():
            until_s = times[t] + labels.FALL_S
        if times[t] <= until_s:
            kind[t] = FALL
    return kind


class HalfSeconds:
    """`evaluate.half_seconds` of one clip without its falls, for many answers."""

    def __init__(self, clip):
        kind = np.where(clip.kind == FALL, -1, np.where(clip.kind == ev.LIE_STILL, ev.LIE, clip.kind))
        bins = np.floor(clip.times / ev.HALF_S + 1e-6).astype(int)
        inside = np.unique(bins)[:, None] == bins
        five = np.eye(len(words.KINDS))[kind] * (kind >= 0)[:, None]
        label = (inside @ five).argmax(1)
        counts = (inside @ five).any(1) & np.isin(label, ev.FIVE)
        self.inside = inside[counts].astype(np.float32)
        self.truth = np.array([ev.FIVE.index(k) for k in label[counts]], int)

    def hits(self, p):
        return int(((self.inside @ p[:, ev.FIVE]).argmax(1) == self.truth).sum())


class PoseRules:
    """Chosen on `clips`, none of which is tested. `poses` gives keypoints and found of a clip."""

    def __init__(self, poses, clips):
        self.poses, self.known = poses, {}
        seen = [self._seen(c) for c in clips]
        kinds = np.concatenate([c.kind for c in clips])
        five = np.array([(kinds == k).sum() for k in ev.FIVE], float) + 1
        # What it says where it has found nobody: the kind that is commonest on the training side, of the five.
        self.guess = np.zeros(len(words.KINDS), np.float32)
        self.guess[ev.FIVE] = five / five.sum()

        halves = [HalfSeconds(c) for c in clips]

        def right(rules):
            hits = [h.hits(self._guessed(c, posture(s, rules)).p) for c, s, h in zip(clips, seen, halves)]
            return sum(hits) / max(sum(len(h.truth) for h in halves), 1)

        self.rules = max(combinations(Rules(), POSTURES), key=right)
        self.hold_off_s = 0.0

        def falls(rules):
            answers = [self._guessed(c, classify(s, c.times, rules)).answer(self._speak()) for c, s in zip(clips, seen)]
            found, labelled, false = np.sum([ev.falls(a.clip, a.said, table=False) for a in answers], 0)
            hours = sum(c.seconds for c in clips) / 3600
            return found / max(labelled, 1) - calibrate.COST * false / hours

        self.rules = max(combinations(self.rules, FALLS), key=falls)
        self.trained = right(self.rules), falls(self.rules)
        trial = calibrate.Trial([self._guessed(c, classify(s, c.times, self.rules)) for c, s in zip(clips, seen)], ALONE, None)
        self.hold_off_s = max(calibrate.HOLD_OFFS_S, key=lambda s: trial.score(self._speak(s)))

    def _speak(self, hold_off_s=None):
        hold_off_s = self.hold_off_s if hold_off_s is None else hold_off_s
        return {"smoothing": 0.0, "threshold": 0.5, "hold_off_s": hold_off_s, "kinds": {"fall": (0.5, 0.0)}}

    def _seen(self, clip):
        if clip.name not in self.known:
            keypoints, found, aspect = self.poses(clip)
            self.known[clip.name] = see(keypoints, found, clip.times, aspect)
        return self.known[clip.name]

    def _guessed(self, clip, kind):
        p = 0.99 * np.eye(len(words.KINDS), dtype=np.float32)[kind] + 0.01 * self.guess
        return Guessed(clip, p.astype(np.float32))

    def answer(self, clip):
        kind = classify(self._seen(clip), clip.times, self.rules)
        return self._guessed(clip, kind).answer(self._speak(), is_probable=False)

    def __str__(self):
        return f"postures right {self.trained[0]:.2f}, falls' score {self.trained[1]:.2f} on what they were chosen by; {self.rules}"


def combinations(rules, grid):
    return [replace(rules, **dict(zip(grid, values))) for values in product(*grid.values())]
