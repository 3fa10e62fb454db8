"""Whether what the pack says, frame by frame, holds order, direction, speed, count, duration and change (temporal probes).

    python temporal.py data/checkpoints/home.pt --train data/scenes/practice/probes --test data/scenes/probes \\
        --out data/reports/temporal.json

Networks and vocabulary stay as they are. Of each frame is kept how probable the pack finds each kind, and where the head of its
training sees the person. What a question asks for is worked out of that (`evidence`: which of two kinds leans to the earlier
frames, how often and how long one is there, how far the person moved), a few figures a clip, and a softmax regression for each
kind of question says what they mean. It is trained on sets of clips of their own and asked about others, in rooms and of people
that nothing was trained on. The clips of a set differ in one thing only (tools/scenes/probes.py), and every answer is right once
in a set, so chance is one in the number of answers. The control: the same test clips with their frames shuffled before they come
to the gate. Intervals are 95%, by bootstrap over households (sets of the same people are drawn together).
"""

import argparse
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import data
import evaluate as ev
import export
import heads
import labels
import tokens as tok
import train as training
import words

MOST_FRAMES = 64
LEAST_LOG_PROB = -10.0
BIASES = (0.0, 1.0, 2.0)  # by how much a kind is taken for more probable than the pack says when its bouts are counted
SWITCH_COST = 2.0  # log-odds that a bout's beginning or end must be worth
STRIDE = 3  # frames over which speed is measured
PENALTY = 0.01  # on the squares of the regression's weights

# By its path: there is a labels.py here too.
_spec = importlib.util.spec_from_file_location("scene_labels", Path(__file__).parents[1] / "scenes/labels.py")
scene_labels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scene_labels)
KIND_OF = {deed: kind for kind, deed in scene_labels.DEED.items()} | {"sit": "sit", "hold the hands up": "raise_hands"}


@dataclass
class Seen:
    """A clip of a set as the pack sees it: log P(kind) f32 [T, 39], the person's middle f32 [T, 2] and how sure it is there [T]."""

    log_prob: np.ndarray
    at: np.ndarray
    there: np.ndarray
    question: dict
    probe: str
    set: str
    group: str

    def of(self, kind):
        return self.log_prob[:, words.KINDS.index(kind)]


class Eyes:
    """A checkpoint's networks, with the head of their training that marks the person."""

    def __init__(self, checkpoint, vocabulary):
        self.stab, self.narrator, saved = export.load_models(checkpoint)
        if "trunk" not in saved:
            raise SystemExit(f"{checkpoint} was made of a pack and has no heads of a training; this needs what train.py wrote")
        self.head = heads.TrunkHead(self.narrator.config.width)
        self.head.load_state_dict(saved["trunk"])
        self.vocabulary, self.tau = training.vocabulary_tensors(vocabulary), saved["tau"]

    @torch.no_grad()
    def __call__(self, frames):
        """u8 [T, h, w, 3] -> log P(kind) [T, 39], middle of the person's mask [T, 2] in 0..1 of the canvas, its area [T]"""
        canvas, keep = ev.behind_gate(frames)
        video, stands, out = ev.see(self.stab, canvas), ev.shown(keep), []
        for start in range(0, len(video), ev.CHUNK):
            chosen = [tok.select(stands, t) for t in range(start, min(start + ev.CHUNK, len(video)))]
            picked = torch.stack([tok.gather(video, *c) for c in chosen])
            index, valid = (torch.from_numpy(np.stack([c[i] for c in chosen])) for i in (1, 2))
            trunk = self.narrator.trunk(picked, index, valid)
            kinds = training.kind_log_prob(self.narrator.place(trunk[:, -1]), *self.vocabulary, self.tau)
            out.append((kinds.clamp(min=LEAST_LOG_PROB), *middle(self.head(trunk)["mask"].sigmoid())))
        return tuple(torch.cat(part).numpy() for part in zip(*out))


def middle(mask):
    """Shares [T, 32, 32] -> their middle [T, 2] in 0..1, their mean [T]."""
    weight = mask / mask.sum((1, 2), keepdim=True).clamp(min=1e-6)
    at = (torch.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    return torch.stack([(weight.sum(1) * at).sum(1), (weight.sum(2) * at).sum(1)], 1), mask.mean((1, 2))


def look(path, eyes, shuffle=None):
    """A clip of a set, its frames shuffled by the generator `shuffle` where there is one."""
    with np.load(path) as z:
        frames, meta = z["frames"][-MOST_FRAMES:], json.loads(str(z["meta"]))
        question = json.loads(str(z["qa"]))[0]  # the others are about what the set has in common
    if shuffle is not None:
        frames = frames[shuffle.permutation(len(frames))]
    return Seen(*eyes(frames), question, meta["probe"], meta["probe_set"], labels.household(meta))


def lean(values, weight=None):
    """Values [T] -> by how much they grow from the first frame to the last; zero for what time does not change."""
    weight = np.full(len(values), 1 / len(values)) if weight is None else weight / weight.sum()
    time = np.linspace(-1, 1, len(values))
    return float((weight * (time - (weight * time).sum()) * values).sum())


def bouts(log_prob, bias):
    """log P [T] of a kind -> [(first, last + 1)] of the most probable path in and out of it (Viterbi)."""
    odds = log_prob - np.log1p(-np.exp(np.minimum(log_prob, -1e-4))) + bias
    score, came = np.zeros(2), []
    for step in odds:
        before = np.stack([score, score[::-1] - SWITCH_COST])
        came.append(before.argmax(0) == 1)  # [out, in]: switched
        score = before.max(0) + [0, step]
    inside, state = np.zeros(len(odds), bool), int(score[1] > score[0])
    for t in range(len(odds) - 1, -1, -1):
        inside[t] = state == 1
        state ^= int(came[t][state])
    edge = np.flatnonzero(np.diff(np.r_[False, inside, False]))
    return list(zip(edge[::2].tolist(), edge[1::2].tolist()))


def order(seen):
    """Which of two kinds leans to the end: by their odds against each other, and by where their shares lie."""
    a, b = (seen.of(KIND_OF[text]) for text in seen.question["choices"])
    share = lambda v: np.exp(v - v.max()) / np.exp(v - v.max()).sum() * len(v)  # noqa: E731
    return [lean(b - a), lean(share(b) - share(a))]


def direction(seen):
    """Where the person's middle goes, where it is sure to be."""
    return [lean(seen.at[:, 0], seen.there)]


def speed(seen):
    step = np.linalg.norm(seen.at[STRIDE:] - seen.at[:-STRIDE], axis=1) * np.minimum(seen.there[STRIDE:], seen.there[:-STRIDE])
    run, walk = seen.of("run"), seen.of("walk")
    return [1, run.max() - walk.max(), (run - walk).max(), step.max()]


def count(seen):
    log_prob = seen.of(KIND_OF[seen.question["question"].removeprefix("How many times does somebody ").removesuffix("?")])
    found = [bouts(log_prob, bias) for bias in BIASES]
    return [1, np.exp(log_prob).sum(), *(len(f) for f in found), *(sum(b - a for a, b in f) for f in found)]


def duration(seen):
    log_prob = seen.of(KIND_OF[seen.question["question"].removeprefix("How long does the person ").removesuffix("?")])
    found = [bouts(log_prob, bias) for bias in BIASES]
    return [1, np.exp(log_prob).sum(), *(max((b - a for a, b in f), default=0) for f in found)]


def light(seen):
    return [1, seen.of("light_on").max(), seen.of("light_off").max()]


def door(seen):
    opens, closes = seen.of("door_opens"), seen.of("door_closes")
    moved = np.exp(np.logaddexp(opens, closes))
    return [1, opens.max() - closes.max(), ((opens - closes) * moved).sum() / moved.sum()]


EVIDENCE = {f.__name__: f for f in (order, direction, speed, count, duration, light, door)}


def evidence(seen):
    """The figures of a clip f32 [F] that its question is answered by. Without a 1 among them their signs alone count."""
    return np.array(EVIDENCE[seen.probe](seen), np.float32)


def right(seen):
    return list(seen.question["choices"]).index(seen.question["answer"])


class Reading:
    """What the evidence for one kind of question means: a softmax regression, of clips [(f32 [F], right answer)]."""

    def __init__(self, clips):
        x, y = torch.from_numpy(np.stack([f for f, _ in clips])), torch.tensor([r for _, r in clips])
        constant = (x == 1).all(0)
        self.middle = x.mean(0) * (constant.any() & ~constant)
        self.spread = x.std(0, correction=0).masked_fill(constant, 1).clamp(min=1e-6)
        x = self.standard(x)
        self.weight = torch.zeros(x.shape[1], int(y.max()) + 1, requires_grad=True)
        solver = torch.optim.LBFGS([self.weight], max_iter=200, line_search_fn="strong_wolfe")

        def loss():
            solver.zero_grad()
            value = F.cross_entropy(x @ self.weight, y) + PENALTY * self.weight.square().sum()
            value.backward()
            return value

        solver.step(loss)

    def standard(self, figures):
        return (figures - self.middle) / self.spread

    def __call__(self, figures):
        return int((self.standard(torch.from_numpy(figures)) @ self.weight.detach()).argmax())


def learn(clips):
    """A reading of each kind of question."""
    names = sorted({s.probe for s in clips})
    return {name: Reading([(evidence(s), right(s)) for s in clips if s.probe == name]) for name in names}


def ask(readings, clips):
    """[(probe, set, right, number of answers, household)]"""
    return [(s.probe, s.set, readings[s.probe](evidence(s)) == right(s), len(s.question["choices"]), s.group) for s in clips]


def summary(answers):
    """Accuracy with interval, chance, for each probe and over all."""
    out = {}
    for name in ["all", *sorted({a[0] for a in answers})]:
        part = [a for a in answers if name in ("all", a[0])]
        hits = [(a[2], 1) for a in part]
        out[name] = {
            "accuracy": round(float(np.mean([a[2] for a in part])), 4),
            "interval": ev.bootstrap(ev.grouped(hits, [a[4] for a in part])),
            "chance": round(float(np.mean([1 / a[3] for a in part])), 4),
            "sets": len({a[1] for a in part}), "clips": len(part),
        }  # fmt: skip
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--train", required=True, help="folder of sets to learn from")
    p.add_argument("--test", required=True, help="folder of sets to be asked about")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--vocabulary", type=Path, default=Path("models/home"))
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    paths = {"train": data.find_clips([args.train]), "test": data.find_clips([args.test])}
    for name, found in paths.items():
        if not found:
            raise SystemExit(f"no sets in {getattr(args, name)}: generate.py --split probes makes them")
    eyes = Eyes(args.checkpoint, args.vocabulary)
    test, shuffled, practice = [], [], []
    for i, path in enumerate(paths["test"]):
        test.append(look(path, eyes))
        shuffled.append(look(path, eyes, np.random.default_rng([7, i])))
        progress("to be asked about", i, paths["test"])
    for i, path in enumerate(paths["train"]):
        practice.append(look(path, eyes))
        progress("to learn from", i, paths["train"])
    if both := {s.set for s in practice} & {s.set for s in test}:
        raise SystemExit(f"sets to learn from are asked about: {', '.join(sorted(both))}")
    readings = learn(practice)
    if missing := {s.probe for s in test} - readings.keys():
        raise SystemExit(f"nothing to learn {', '.join(sorted(missing))} from in {args.train}")
    report = {"checkpoint": args.checkpoint.name, "sets": len({s.set for s in practice}), "clips": len(practice)}
    report |= {"in order": summary(ask(readings, test)), "shuffled": summary(ask(readings, shuffled))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))
    for name, told in report["in order"].items():
        rows = (told, report["shuffled"][name])
        print(f"{name:12} " + "  ".join(f"{r['accuracy']:.2f} {r['interval']}" for r in rows) + f"  chance {told['chance']:.2f}")


def progress(what, done, of):
    if done % 50 == 49 or done + 1 == len(of):
        print(f"{done + 1} of {len(of)} clips {what} seen", flush=True)


if __name__ == "__main__":
    main()
