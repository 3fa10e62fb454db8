"""Chooses the vocabulary's temperature and the speak thresholds of a checkpoint, and writes them into it.

    python calibrate.py data/checkpoints/home.pt --clips data/scenes/val data/real/gmdcsa24/subject-1_*.npz

Give only clips that nothing is tested on afterwards: synthetic ones and those of the people trained on. Steps:
1. temperature: least negative log-likelihood of the kinds, each kind weighing the same;
2. smoothing, common threshold and hold-off: largest F1 of narrations against labelled happenings (runs of one kind; one
   told within 1 s before its start to 1.5 s after its end is right, each once), less the share of clips in which something
   happens and nothing is said, averaged over synthetic and real clips;
3. thresholds of single kinds, one after the other: raised or lowered where that score grows by more than a trifle;
4. falls by themselves: share found - cost x false alarms an hour (`--cost`, 0.02: one more false alarm in
   an hour of such clips must buy two falls more in a hundred), and of thresholds that differ by a trifle in that the one
   that finds most, of those with as many the best, then the most cautious. The clips are full of staged trouble, so a quiet home hears far fewer;
5. the score: from the smoothed probability of what is said to that of being right (Platt), one slope, and an offset of each
   kind that is drawn to the common one (`PRIOR`), since few kinds are told often enough for one of their own. By the clips
   that the network was not trained on.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import evaluate as ev
import export
import speak as sp
import train
import words

TEMPERATURES = np.round(np.geomspace(0.02, 0.3, 14), 4)
SMOOTHINGS = (0.3, 0.5, 0.65, 0.8)
# Higher ones win up to 0.06 of F1 on real clips. They were left out for one clip of ASSIST-IoT, multiple_jumps, which passes in
# silence with them: there is no word for jumping, and what is said of it now is not right either.
THRESHOLDS = (0.2, 0.25, 0.3)
HOLD_OFFS_S = (0.2, 0.4, 0.6, 1.0)
PRIOR = 4.0  # what an offset of its own costs: as much as the evidence of so many narrations
TRIFLE = 0.004  # score that a threshold of its own must bring
COST = 0.02  # share of falls that a false alarm an hour is worth


def temperature(clips, vocabulary):
    """The one of TEMPERATURES with the least balanced negative log-likelihood."""
    known = [t.kind >= 0 for t in clips]
    kind = np.concatenate([t.kind[k] for t, k in zip(clips, known)])
    z = np.concatenate([t.z[k] for t, k in zip(clips, known)])
    weight = 1 / np.bincount(kind, minlength=len(words.KINDS))[kind]
    rate = {}
    for tau in TEMPERATURES:
        p = words.probabilities(z, vocabulary, float(tau))[1][np.arange(len(kind)), kind]
        rate[float(tau)] = float((weight * -np.log(p + 1e-9)).sum() / weight.sum())
    return min(rate, key=rate.get), rate


def happens(told):
    """Whether anything does, by the labels; also what they have no word for."""
    return any(words.KINDS[k] not in ("nobody", sp.SILENCE) for k in told.kind if k >= 0) or (told.kind < 0).all()


class Trial:
    """All calibration clips with their probabilities: what a setting would say."""

    def __init__(self, clips, vocabulary, tau):
        self.clips, self.vocabulary = clips, vocabulary
        self.entries = [t.probabilities(vocabulary, tau)[0] for t in clips]
        self.groups = [[i for i, t in enumerate(clips) if t.real == real] for real in (False, True)]

    def say(self, speak):
        return [sp.run(speak, self.vocabulary, p, np.rint(t.times * 1e6)) for p, t in zip(self.entries, self.clips)]

    def score(self, speak):
        """F1 less the share of clips that leave their watcher without a word, mean over synthetic and real clips."""
        said, scores = self.say(speak), []
        for group in self.groups:
            if group:
                right, total, wanted = np.sum([ev.matched(self.clips[i], said[i]) for i in group], 0)
                silent = np.mean([happens(self.clips[i]) and not said[i] for i in group])
                scores.append(2 * right / max(total + wanted, 1) - silent)
        return float(np.mean(scores))

    def falls(self, speak):
        """(found, labelled, false alarms an hour)."""
        said = self.say(speak)
        found, labelled, false = np.sum([ev.falls(t, s, table=False) for t, s in zip(self.clips, said)], 0)
        hours = sum(t.seconds for t in self.clips) / 3600
        return int(found), int(labelled), float(false / hours)


def with_kind(speak, kind, threshold, hold_off_s):
    return {**speak, "kinds": {**speak["kinds"], kind: (threshold, hold_off_s)}}


def common(trial, fall, thresholds=THRESHOLDS):
    """Step 2: (speak, score)."""
    best = None
    for smoothing in SMOOTHINGS:
        for threshold in thresholds:
            for hold_off_s in HOLD_OFFS_S:
                speak = {"smoothing": smoothing, "threshold": threshold, "hold_off_s": hold_off_s}
                speak["kinds"] = {"fall": fall}
                score = trial.score(speak)
                if best is None or score > best[1]:
                    best = speak, score
    return best


def single_kinds(trial, speak, score, thresholds=THRESHOLDS):
    """Step 3."""
    for kind in words.KINDS:
        if kind in ("fall", sp.SILENCE):
            continue
        options = [with_kind(speak, kind, t, speak["hold_off_s"]) for t in thresholds if t != speak["threshold"]]
        option, value = max(((o, trial.score(o)) for o in options), key=lambda x: x[1])
        if value > score + TRIFLE:
            speak, score = option, value
    return speak, score


def for_falls(trial, speak, cost):
    """Step 4: (speak, table of all trials)."""
    table, tried = [], []
    for hold_off_s in (0.2, 0.4):
        for threshold in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8):
            option = with_kind(speak, "fall", threshold, hold_off_s)
            found, labelled, rate = trial.falls(option)
            value = found / max(labelled, 1) - cost * rate
            table.append({"threshold": threshold, "hold_off_s": hold_off_s, "found": found, "labelled": labelled,
                          "false_per_hour": round(rate, 1), "value": round(value, 3)})  # fmt: skip
            tried.append((found, value, option))
    # Cautious ones come last, and `max` takes the first of equals.
    good = max(value for _, value, _ in tried) - TRIFLE
    return max(reversed([t for t in tried if t[1] >= good]), key=lambda t: t[:2])[2], table


def scores(judgement, prior=PRIOR, steps=50):
    """[(kind, smoothed probability, whether it was right)] -> the `calibration` of a speak table, by Newton's method on the
    likelihood with a normal prior on what kinds have of their own."""
    kinds = sorted({kind for kind, _, _ in judgement})
    x = np.zeros((len(judgement), 2 + len(kinds)))
    x[:, 0], x[:, 1] = sp.log_odds(np.array([p for _, p, _ in judgement])), 1
    x[np.arange(len(x)), [2 + kinds.index(kind) for kind, _, _ in judgement]] = 1
    right = np.array([r for _, _, r in judgement], float)
    # A slope of 1 and no offset is where it begins and what it is drawn to, weakly.
    mean, weight = np.array([1.0, 0.0] + [0.0] * len(kinds)), np.array([0.5, 0.1] + [prior] * len(kinds))
    w = mean.copy()
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (p - right) + weight * (w - mean)
        curve = (x * (p * (1 - p))[:, None]).T @ x + np.diag(weight)
        w = w - np.linalg.solve(curve, slope)
    offsets = {kind: round(float(w[1] + own), 4) for kind, own in zip(kinds, w[2:])}
    return {"slope": round(max(float(w[0]), 0.05), 4), "offset": round(float(w[1]), 4), "offsets": offsets}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--clips", nargs="+", required=True)
    p.add_argument("--out", type=Path, help="write here, and leave the checkpoint as it is")
    p.add_argument("--vocabulary", default="models/home")
    p.add_argument("--cost", type=float, default=COST, help="share of falls that a false alarm an hour is worth")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    stab, narrator, saved = export.load_models(args.checkpoint)
    vocabulary = words.load(args.vocabulary)
    paths = [f for c in args.clips for f in ev.find(c)]
    clips = ev.tell(paths, stab, narrator)
    tau, rate = temperature(clips, vocabulary)
    print(f"temperature {tau}: {rate[tau]:.3f} nats (at 0.05: {rate[min(rate, key=lambda v: abs(v - 0.05))]:.3f})")
    trial = Trial(clips, vocabulary, tau)
    speak, score = common(trial, (0.4, 0.2))
    print(f"common: {speak}, score {score:.3f}")
    speak, score = single_kinds(trial, speak, score)
    speak, table = for_falls(trial, speak, args.cost)
    for row in table:
        print(row)
    print(f"score {trial.score(speak):.3f} with {speak}")
    # Of what was trained on it is surer than of anything else.
    trained = (saved.get("state") or {}).get("seen", [])
    new = [train.clip_name(p) not in trained for p in paths]
    judgement = [j for t, said, n in zip(clips, trial.say(speak), new) if n for j in ev.judged(t, said)]
    speak["calibration"] = scores([(s.kind, s.score, right) for s, right in judgement])
    print(f"{len(judgement)} narrations, {np.mean([r for _, r in judgement]):.2f} right: {speak['calibration']}")
    seen = [train.clip_name(p) for p, t in zip(paths, clips) if t.real]
    calibration = {"clips": len(clips), "seen": seen, "cost": args.cost, "falls": table}
    saved |= {"tau": tau, "speak": speak, "calibration": calibration}
    train.write(args.out or args.checkpoint, saved)


if __name__ == "__main__":
    main()
