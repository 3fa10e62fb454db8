"""What a system says of a clip, in one form for all systems, and when the baselines speak."""

from dataclasses import dataclass

import calibrate
import numpy as np
import speak as sp
import words

from clips import Clip


@dataclass(frozen=True)
class Answer:
    """`p` f32 [T, K] smoothed P(kind) of each frame, by which the system decides; all that it said; whether `p` are
    probabilities, or only mark the kind."""

    clip: Clip
    p: np.ndarray
    said: list
    is_probable: bool = True


# What a pack's probabilities need (`calibrate.THRESHOLDS`) need not be what a baseline's need.
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)

# A sentence for each kind: what the policy needs to know where a system tells kinds and not sentences.
ALONE = words.Vocabulary(
    texts=list(words.KINDS),
    severities=["alarm" if k == "fall" else "none" if k in ("nobody", sp.SILENCE) else "info" for k in words.KINDS],
    kind=np.arange(len(words.KINDS)),
    embedding=np.zeros((len(words.KINDS), 1), np.float32),
)


@dataclass(frozen=True)
class Guessed:
    """A clip with P(kind) f32 [T, K] of each frame, in the form that `calibrate.Trial` takes."""

    clip: Clip
    p: np.ndarray

    def __getattr__(self, name):
        return getattr(self.clip, name)

    def probabilities(self, _vocabulary, _tau):
        return self.p, self.p

    def answer(self, speak, is_probable=True):
        said = sp.run(speak, ALONE, self.p, np.rint(self.clip.times * 1e6), sp.Telling())
        return Answer(self.clip, sp.smooth(self.p, speak["smoothing"]), said, is_probable)


def chosen(guessed):
    """When to speak, chosen on these clips as `calibrate.py` does for the pack."""
    trial = calibrate.Trial(guessed, ALONE, None)
    speak, score = calibrate.common(trial, (0.4, 0.2), THRESHOLDS)
    speak, _ = calibrate.single_kinds(trial, speak, score, THRESHOLDS)
    return calibrate.for_falls(trial, speak, calibrate.COST)[0]
