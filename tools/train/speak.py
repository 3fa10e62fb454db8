"""When to speak: the policy of runtime/pipeline/src/speak.rs in numpy, for calibration and evaluation.

Fed once a frame with P(entry). Each kind has the summed probability of its entries, smoothed over frames; the kind
furthest above its threshold is the candidate, and one that stays the candidate for its hold-off becomes current and
is said, once. The kind "silence" is never said. Arithmetic is f32, as in Rust.
"""

from dataclasses import dataclass

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

    def __init__(self, speak, kind_of, severities, kinds=words.KINDS):
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
        if self.current == kind or captured_us - self.pending[1] < self.hold_off_us[kind]:
            return []
        self.current = kind
        return [] if self.kinds[kind] == SILENCE else self._say(kind, p, captured_us)

    def _say(self, kind, p, now_us):
        entry = int(np.where(self.kind_of == kind, p, -1).argmax())
        score = calibrated(self.speak, self.kinds[kind], self.smoothed[kind])
        _, since_us, since = self.pending
        said = Spoken("narration", entry, self.kinds[kind], since_us, now_us, score, since, self.frames)
        out = [said]
        if self.rank[entry] == RANK["alarm"] and self.alert is None:
            self.alert = Spoken("alert", *list(said.__dict__.values())[1:])
            out.append(self.alert)
        elif self.alert is not None and self.rank[entry] < RANK["notice"]:
            a = self.alert
            out.append(Spoken("alert_end", a.entry, a.kind, a.start_us, now_us, score, a.start_entry, self.frames))
            self.alert = None
        return out


def run(speak, vocabulary, p, times_us):
    """P(entry) f32 [T, N] of a whole clip -> everything said."""
    policy = SpeakPolicy(speak, vocabulary.kind, vocabulary.severities)
    return [s for row, t in zip(p, times_us) for s in policy.hear(row, int(t))]


def smooth(p_kind, smoothing):
    """P(kind) [T, K] -> smoothed as the policy does."""
    out = np.array(p_kind, np.float32)
    for t in range(1, len(out)):
        out[t] = np.float32(smoothing) * out[t - 1] + np.float32(1 - smoothing) * out[t]
    return out
