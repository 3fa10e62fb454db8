"""How much a camera learns from what its user says of a few events (`ocelli teach`): no training, the network stays as it is.

    python learn.py base-a=data/real/gmdcsa24/subject-3_*.npz base-b=data/real/gmdcsa24/subject-1_*.npz \\
        home=data/scenes/cameras --out data/reports/learn.json
    python learn.py --choose home=data/scenes/practice/cameras base-a base-b --out data/reports/reach.json

Each argument is a checkpoint and the recordings of one camera, or a folder with those of several (tools/scenes/cameras.py), which
the checkpoint was neither trained nor calibrated on. Of each camera half of the recordings come first: the model narrates
them, and its user says of ten narrations, or as many as there are, what they should have been. The other half are scored,
before and after, in int8. Over `--rounds` random halves; the intervals are of the gains, over recordings, or over cameras
where there are several. With `--choose` it is how far a lesson reaches that is looked for, on cameras that nothing is tested on
afterwards: the weight and sharpness with the largest sum of F1 and of the gain in five-class accuracy, that by the lower end of its
interval. They are written into the checkpoint, and into those of the same network whose names follow; the pack has them in `[lessons]`.

What is learnt is `Lessons` of runtime/infer/src/lessons.rs: the likeness of what is seen to each example is added to the
logits of the example's kind (Tip-Adapter, Zhang et al. 2022), and taken from those of what was said in its place.
"""

import argparse
import json
from pathlib import Path

import evaluate as ev
import export
import int8
import numpy as np
import speak as sp
import torch
import train
import words

REACH = {"weight": 2.0, "sharpness": 10.0}  # where a pack says nothing, see pack.rs
WEIGHTS, SHARPNESSES = (1.0, 2.0, 3.0, 4.0, 6.0), (3.0, 5.0, 10.0, 20.0)
EVENTS = 10
ANSWERS = ("what it was", "yes or no")


def apply(lessons, z, vocabulary, p, weight, sharpness):
    """Lessons [(kind, right, unit key f32 [384])], z f32 [T, 384] unit, P(entry) [T, N] -> P(entry) [T, N]."""
    like = np.zeros((2, len(z), len(words.KINDS)), np.float32)
    for kind, right, key in lessons:
        best = like[int(right), :, kind]
        np.maximum(best, np.exp(-sharpness * (1 - z @ key)), out=best)
    p = p * np.exp(weight * (like[1] - like[0]))[:, vocabulary.kind]
    return p / p.sum(1, keepdims=True)


def recent(z, smoothing):
    """Unit z smoothed over frames as the probabilities are, [T, 384]: the evidence of what is said there."""
    out = sp.smooth(z, smoothing)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def events(told, vocabulary, tau, speak):
    """[(kind said, kind that was, evidence)] of the narrations of a recording whose truth is known."""
    p, _ = told.probabilities(vocabulary, tau)
    keys, out = recent(told.z, speak["smoothing"]), []
    for said in sp.run(speak, vocabulary, p, np.rint(told.times * 1e6)):
        was = told.kind[said.end_entry - 1]
        if said.what == "narration" and was >= 0:
            out.append((words.KINDS.index(said.kind), int(was), keys[said.end_entry - 1]))
    return out


def answered(happened, answer):
    """Events -> lessons."""
    if answer == "yes or no":
        return [(said, said == was, key) for said, was, key in happened]
    return [(was, True, key) for _, was, key in happened] + [(said, False, key) for said, was, key in happened if said != was]


def score(told, vocabulary, tau, speak, lessons, reach):
    """(half seconds right, half seconds, narrations right, narrations, happenings) of a recording."""
    p, _ = told.probabilities(vocabulary, tau)
    p = apply(lessons, told.z, vocabulary, p, **reach)
    smoothed = sp.smooth(p @ vocabulary.kind_matrix(), speak["smoothing"])
    truth, guess = ev.half_seconds(told.times, told.table, smoothed)
    said = sp.run(speak, vocabulary, p, np.rint(told.times * 1e6))
    return np.array([(truth == guess).sum(), len(truth), *ev.matched(told, said)])


def trial(recordings, vocabulary, tau, speak, answer, rounds, reach):
    """Scores before and after [recordings, 5], each summed over the rounds in which the recording came later; and the mean
    number of lessons."""
    (before, after), count = np.zeros((2, len(recordings), 5)), 0
    happened = [events(t, vocabulary, tau, speak) for t in recordings]
    plain = [score(t, vocabulary, tau, speak, [], reach) for t in recordings]
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(recordings))
        first, later = np.split(order, [len(order) // 2])
        known = [e for i in first for e in happened[i]]
        known = [known[i] for i in rng.permutation(len(known))[:EVENTS]]
        lessons = answered(known, answer)
        count += len(known)
        for i in later:
            before[i] += plain[i]
            after[i] += score(recordings[i], vocabulary, tau, speak, lessons, reach)
    return before, after, count / rounds


def share(parts):
    """(five-class accuracy, F1 of narrations) of summed scores [recordings, 5]."""
    right, of, narrated, narrations, happenings = parts.sum(0)
    return right / max(of, 1), 2 * narrated / max(narrations + happenings, 1)


def gain_intervals(before, after, rounds=2000):
    """95% intervals of the gains in five-class accuracy and in F1, over recordings or cameras."""
    pick = np.random.default_rng(0).integers(len(before), size=(rounds, len(before)))
    gains = [np.subtract(share(after[drawn]), share(before[drawn])) for drawn in pick]
    return np.percentile(gains, [2.5, 97.5], axis=0).T.round(3).tolist()


def cameras(paths):
    """Lists of the files of each camera; files that name none are of one."""
    out = {}
    for path in paths:
        with np.load(path) as z:
            out.setdefault(json.loads(str(z["meta"])).get("camera"), []).append(path)
    return list(out.values())


class Cameras:
    """What a checkpoint sees on the recordings `CHECKPOINT=CLIPS` of one or more cameras, in int8."""

    def __init__(self, text, vocabulary, checkpoints):
        self.name, self.pattern = text.split("=", 1)
        stab, narrator, saved = export.load_models(checkpoints / f"{self.name}.pt")
        self.vocabulary, self.tau, self.speak = vocabulary, saved["tau"], saved["speak"]
        self.reach = saved.get("lessons", REACH)
        paths = ev.find(self.pattern)
        if known := ev.seen_of(saved, paths):
            raise SystemExit(f"{known} clips of {self.pattern} are known to {self.name}")
        models = int8.Int8Stab(stab), int8.Int8Narrator(narrator)
        self.seen = [ev.tell(of_one, *models) for of_one in cameras(paths)]
        self.recordings = len(paths)

    def trials(self, answer, rounds, reach):
        """`trial` of all cameras: scores of recordings where there is one camera, else of cameras."""
        each = [trial(seen, self.vocabulary, self.tau, self.speak, answer, rounds, reach) for seen in self.seen]
        if len(each) == 1:
            return each[0]
        before, after = (np.stack([e[i].sum(0) for e in each]) for i in (0, 1))
        return before, after, np.mean([e[2] for e in each])

    def report(self, answer, rounds, reach):
        before, after, lessons = self.trials(answer, rounds, reach)
        (accuracy, f1), (accuracy_after, f1_after) = share(before), share(after)
        gain_interval, f1_interval = gain_intervals(before, after)
        return {
            "checkpoint": self.name, "clips": self.pattern, "cameras": len(self.seen), "recordings": self.recordings,
            "answer": answer, **reach, "lessons": round(float(lessons), 1), "accuracy": round(accuracy, 3),
            "accuracy_after": round(accuracy_after, 3), "gain_interval": gain_interval, "f1": round(f1, 3),
            "f1_after": round(f1_after, 3), "f1_interval": f1_interval,
        }  # fmt: skip


def choose(seen, rounds):
    """Reports of every reach, and the best one."""
    rows = []
    for weight in WEIGHTS:
        for sharpness in SHARPNESSES:
            rows.append(seen.report(ANSWERS[0], rounds, {"weight": weight, "sharpness": sharpness}))
            row = rows[-1]
            print(f"weight {weight}, sharpness {sharpness}: {row['accuracy']:.3f} -> {row['accuracy_after']:.3f} "
                  f"{row['gain_interval']}, F1 {row['f1']:.3f} -> {row['f1_after']:.3f}", flush=True)  # fmt: skip
    best = max(rows, key=lambda row: row["gain_interval"][0] + row["f1_after"])
    return rows, {"weight": best["weight"], "sharpness": best["sharpness"]}


def same_network(a, b):
    parts = [(a[part], b[part]) for part in ("stab", "narrator")]
    return all(x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x) for x, y in parts)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cameras", nargs="+", metavar="CHECKPOINT=CLIPS")
    p.add_argument("--checkpoints", type=Path, default=Path("data/checkpoints"), help="where they are")
    p.add_argument("--vocabulary", default="models/home", help="pack folder")
    p.add_argument("--rounds", type=int, default=40)
    p.add_argument("--choose", action="store_true", help="how far a lesson reaches, and write it into the checkpoints")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    if plain := [text for text in args.cameras[: 1 if args.choose else None] if "=" not in text]:
        p.error(f"{plain[0]} names no clips: CHECKPOINT=CLIPS, such as home=data/scenes/cameras")
    torch.set_num_threads(args.threads)
    vocabulary, report = words.load(args.vocabulary), []
    if args.choose:
        seen = Cameras(args.cameras[0], vocabulary, args.checkpoints)
        paths = [args.checkpoints / f"{name}.pt" for name in (seen.name, *args.cameras[1:])]
        saved = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
        for path, other in zip(paths, saved):
            if not same_network(saved[0], other):
                raise SystemExit(f"{path} is another network than {paths[0]}")
        report, best = choose(seen, args.rounds)
        print(f"lessons: {best}")
        for path, content in zip(paths, saved):
            train.write(path, content | {"lessons": best})
    else:
        for text in args.cameras:
            seen = Cameras(text, vocabulary, args.checkpoints)
            for answer in ANSWERS:
                report.append(seen.report(answer, args.rounds, seen.reach))
                print(report[-1], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
