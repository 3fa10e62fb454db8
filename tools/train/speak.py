"""When to speak: the policy of runtime/pipeline/src/speak.rs and telling.rs in numpy, for calibration and evaluation.

Fed once a frame with P(entry). Each kind has the summed probability of its entries, smoothed over frames; the kind
furthest above its threshold is the candidate, and one that stays the candidate for its hold-off becomes current and
is said, once, as far as `Telling` finds it worth telling; without one, always. The kind "silence" is never said.
Arithmetic is f32, as in Rust.
"""

from dataclasses import dataclass, replace

import numpy as np

import words

SILENCE = "silence"
RANK = {"none": 0, "info": 1, "notice": 2, "alarm": 3}


@dataclass(frozen=True)
class Spoken:
    """Something said. `what` narration, alert or alert_end; times in microseconds; `start_entry` and `end_entry`
    count frames from 1, as the memory ring numbers its entries."""

    what: str
    entry: int
    kind: str
    start_us: int
    end_us: int
    score: float
    start_entry: int
    end_entry: int
    relation: str | None = None


# As in telling.rs; times in microseconds.
ALIKE = 0.9
WINDOW_US, ALARM_WINDOW_US, LASTED_US, AGAIN_US = 300_000_000, 10_000_000, 2_000_000, 120_000_000
STILL_FIRST_US, STILL_LAST_US = 300_000_000, 3_600_000_000
KNOWN = 16
QUIET, NORMAL, FULL = range(3)


@dataclass
class Told:
    kind: str
    about: str
    rank: int
    said: Spoken
    held_us: int


class Telling:
    """What of what is seen is told. `likeness(entry, entry)` is the cosine of two sentences."""

    def __init__(self, verbosity=NORMAL, who=words.WHO, things=words.THINGS, likeness=lambda a, b: float(a == b)):
        self.verbosity, self.who, self.things, self.likeness = verbosity, who, things, likeness
        self.told, self.owed, self.still = [], None, None

    def weigh(self, said, rank, must, holds):
        """A narration -> as it is told, or None."""
        self.owed = None
        about = "who" if said.kind in self.who else "thing" if said.kind in self.things else "deed"
        if not must and self.verbosity == QUIET and rank < RANK["notice"] and about != "who":
            return None
        new, now = Told(said.kind, about, rank, said, said.end_us), said.end_us
        alike = lambda t: t.kind == new.kind or (self.verbosity < FULL and self.likeness(t.said.entry, said.entry) >= ALIKE)  # noqa: E731
        index = next((i for i in reversed(range(len(self.told))) if alike(self.told[i])), None)
        again = lambda t: "again" if now - t.held_us <= AGAIN_US else None  # noqa: E731
        relation = None
        if index is not None and index + 1 == len(self.told):
            before = self.told[index]
            window = ALARM_WINDOW_US if rank == RANK["alarm"] else WINDOW_US
            if not must and now - before.held_us < window:
                new.said = replace(said, start_us=before.said.start_us, start_entry=before.said.start_entry)
                self.told[index] = new
                return None
            relation = again(before)
        elif index is not None:
            if not must and self.verbosity < FULL and said.start_us - self.told[index].held_us < LASTED_US:
                self.owed = new
                return None
            relation = again(self.told[index])
        elif self.told:
            last = self.told[-1]
            if last.about != about and min(last.rank, rank) > RANK["none"] and holds(last.kind):
                relation = "also"
        new.said = replace(said, relation=relation)
        return self._tell(new)

    def goes_on(self, kind, score, now_us, frame):
        """The current kind goes on -> what has lasted, or None."""
        now = lambda said, relation: replace(said, end_us=now_us, end_entry=frame, score=score, relation=relation)  # noqa: E731
        if self.owed is not None and self.owed.kind == kind:
            if now_us - self.owed.said.start_us < LASTED_US:
                return None
            owed, self.owed = self.owed, None
            return self._tell(replace(owed, said=now(owed.said, "again"), held_us=now_us))
        if not self.told or self.told[-1].kind != kind:
            return None
        self.told[-1].held_us = now_us
        if self.still is None or now_us < self.still[0]:
            return None
        at_us, gap_us = self.still
        gap_us = min(2 * gap_us, STILL_LAST_US)
        self.still = (at_us + gap_us, gap_us)
        return now(self.told[-1].said, "still")

    def _tell(self, told):
        self.told = [*self.told, told][-KNOWN:]
        self.still = (told.said.end_us + STILL_FIRST_US, STILL_FIRST_US) if self.verbosity == FULL else None
        return told.said


def settings(speak, kinds):
    """`speak` as in export.SPEAK -> (smoothing, thresholds f32 [K], hold-offs in microseconds i64 [K])."""
    default = (speak["threshold"], speak["hold_off_s"])
    each = [speak["kinds"].get(k, default) for k in kinds]
    thresholds = np.array([t for t, _ in each], np.float32)
    return np.float32(speak["smoothing"]), thresholds, np.array([round(h * 1e6) for _, h in each])


NEVER = np.float32(1e-4)  # nobody is surer than this


def log_odds(p):
    """Of smoothed probabilities, as the runtime bounds them."""
    p = np.clip(p, NEVER, 1 - NEVER)
    return np.log(p / (1 - p))


def calibrated(speak, kind, smoothed):
    """Probability that what is said of a kind is right; without a calibration the smoothed probability itself."""
    c = speak.get("calibration") or {"slope": 1.0, "offset": 0.0, "offsets": {}}
    return float(1 / (1 + np.exp(-(c["slope"] * log_odds(smoothed) + c["offsets"].get(kind, c["offset"])))))


class SpeakPolicy:
    """The state of one stream. `kind_of` i64 [N] and `severities` [N] describe the vocabulary's entries."""

    def __init__(self, speak, kind_of, severities, kinds=words.KINDS, telling=None):
        self.telling = telling
        self.kinds, self.kind_of = kinds, np.asarray(kind_of)
        self.rank = [RANK[s] for s in severities]
        self.speak = speak
        self.smoothing, self.thresholds, self.hold_off_us = settings(speak, kinds)
        self.matrix = np.eye(len(kinds), dtype=np.float32)[self.kind_of]
        # A kind without entries is never the candidate (Rust refuses such a vocabulary).
        self.thresholds = np.where(self.matrix.any(0), self.thresholds, np.float32(np.inf))
        self.smoothed = None
        self.pending = self.current = self.alert = None
        self.frames = 0

    def hear(self, p, captured_us):
        """P(entry) f32 [N] of one frame -> list of Spoken (two at most)."""
        p = np.asarray(p, np.float32)
        self.frames += 1
        fresh = p @ self.matrix
        past = self.smoothing
        self.smoothed = fresh if self.smoothed is None else past * self.smoothed + (np.float32(1) - past) * fresh
        margin = self.smoothed - self.thresholds
        kind = int(margin.argmax())
        if not margin[kind] >= 0:
            self.pending = None
            return []
        if self.pending is None or self.pending[0] != kind:
            self.pending = (kind, captured_us, self.frames)
        if self.current == kind:
            if self.telling is None:
                return []
            score = calibrated(self.speak, self.kinds[kind], self.smoothed[kind])
            told = self.telling.goes_on(self.kinds[kind], score, captured_us, self.frames)
            return [told] if told else []
        if captured_us - self.pending[1] < self.hold_off_us[kind]:
            return []
        self.current = kind
        return [] if self.kinds[kind] == SILENCE else self._say(kind, p, captured_us)

    def _say(self, kind, p, now_us):
        entry = int(np.where(self.kind_of == kind, p, -1).argmax())
        score = calibrated(self.speak, self.kinds[kind], self.smoothed[kind])
        _, since_us, since = self.pending
        said = Spoken("narration", entry, self.kinds[kind], since_us, now_us, score, since, self.frames)
        opens = self.rank[entry] == RANK["alarm"] and self.alert is None
        told = said if self.telling is None else self.telling.weigh(said, self.rank[entry], opens, self._holds)
        out = [told] if told else []
        if opens:
            self.alert = Spoken("alert", *list(said.__dict__.values())[1:])
            out.append(self.alert)
        elif self.alert is not None and self.rank[entry] < RANK["notice"]:
            a = self.alert
            out.append(Spoken("alert_end", a.entry, a.kind, a.start_us, now_us, score, a.start_entry, self.frames))
            self.alert = None
        return out

    def _holds(self, kind):
        index = self.kinds.index(kind)
        return self.smoothed[index] >= self.thresholds[index]


def run(speak, vocabulary, p, times_us, telling=None):
    """P(entry) f32 [T, N] of a whole clip -> everything said, or of that what is told."""
    policy = SpeakPolicy(speak, vocabulary.kind, vocabulary.severities, telling=telling)
    return [s for row, t in zip(p, times_us) for s in policy.hear(row, int(t))]


def smooth(p_kind, smoothing):
    """P(kind) [T, K] -> smoothed as the policy does."""
    out = np.array(p_kind, np.float32)
    for t in range(1, len(out)):
        out[t] = np.float32(smoothing) * out[t - 1] + np.float32(1 - smoothing) * out[t]
    return out
