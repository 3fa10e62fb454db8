"""Whether the pack's tokens hold what only time tells: order, direction, speed, count, duration, change (temporal probes).

    python temporal.py data/checkpoints/home.pt --train data/scenes/train data/scenes/practice/probes \\
        --test data/scenes/probes --out data/reports/temporal.json

STAB and narrator stay as they are. Of every frame of a clip the head gets what they and the heads of their training read from the
tokens (`FACTS`: kinds, person, keypoints, the frame's own token), and a question, and chooses among its answers. It is trained on
stretches of rendered clips, with the questions that the labels of the stretch answer, and asked about sets of clips that
differ in one thing only (tools/scenes/probes.py), in rooms and of people that nothing was trained on. Every answer of a set is
right once, so chance is one in the number of answers. Two controls: the same test clips with their frames shuffled before they
come to the gate, and the question without the clip. Intervals are 95%, by bootstrap over sets.
"""

import argparse
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import evaluate as ev
import export
import heads
import labels
import tokens as tok
import train as training
import vocabulary
import words

WIDTH, NARROW, MOST_CHOICES = 96, 12, 4
DETECTORS, SPAN = 4, 5  # what is looked for by a question, and over how many frames at a time
MOST_FRAMES, LEAST_FRAMES = 64, 10
STRETCHES = 12  # of each clip and its mirror image
FACTS = len(words.KINDS) + 5 + 3 * data.KEYPOINTS  # then the frame's token and the mean of its windows

# By its path: there is a labels.py here too.
_spec = importlib.util.spec_from_file_location("scene_labels", Path(__file__).parents[1] / "scenes/labels.py")
scene_labels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scene_labels)


@dataclass
class Seen:
    """A clip, or a stretch of one: facts f32 [T, FACTS + 2 H], its questions, and its set (None but for probes)."""

    facts: torch.Tensor
    questions: list
    probe: str | None = None
    set: str | None = None


class Eyes:
    """A checkpoint's networks, with the heads of their training."""

    def __init__(self, checkpoint, vocabulary):
        self.stab, self.narrator, saved = export.load_models(checkpoint)
        if "trunk" not in saved:
            raise SystemExit(f"{checkpoint} was made of a pack and has no heads of a training; this needs what train.py wrote")
        self.head = heads.TrunkHead(self.narrator.config.width)
        self.head.load_state_dict(saved["trunk"])
        self.vocabulary, self.tau = training.vocabulary_tensors(vocabulary), saved["tau"]

    @torch.no_grad()
    def __call__(self, frames):
        """u8 [T, h, w, 3] -> f32 [T, FACTS + 2 H]"""
        canvas, keep = ev.behind_gate(frames)
        video, stands, out = ev.see(self.stab, canvas), ev.shown(keep), []
        for start in range(0, len(video), ev.CHUNK):
            chosen = [tok.select(stands, t) for t in range(start, min(start + ev.CHUNK, len(video)))]
            picked = torch.stack([tok.gather(video, *c) for c in chosen])
            index, valid = (torch.from_numpy(np.stack([c[i] for c in chosen])) for i in (1, 2))
            trunk = self.narrator.trunk(picked, index, valid)
            kinds = training.kind_log_prob(self.narrator.place(trunk[:, -1]), *self.vocabulary, self.tau).clamp(min=-10)
            out.append(torch.cat([kinds, person(self.head(trunk))], 1))
        return torch.cat([torch.cat(out), video[:, 0], video[:, 1:].mean(1)], 1)


def person(out):
    """What a `TrunkHead` says of N frames -> f32 [N, 5 + 51]: area, middle and extent of the mask; x, y, certainty of keypoints."""
    mask = out["mask"].sigmoid()
    at = (torch.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    weight = mask / mask.sum((1, 2), keepdim=True).clamp(min=1e-6)
    x, y = (weight.sum(1) * at).sum(1), (weight.sum(2) * at).sum(1)
    wide = ((weight.sum(1) * at**2).sum(1) - x**2).clamp(min=0).sqrt()
    high = ((weight.sum(2) * at**2).sum(1) - y**2).clamp(min=0).sqrt()
    heat = out["heat"].softmax(2)
    cell = torch.arange(heads.SIDE**2)
    columns = ((cell % heads.SIDE + out["dx"]) / heads.SIDE * heat).sum(2)
    rows = ((cell // heads.SIDE + out["dy"]) / heads.SIDE * heat).sum(2)
    points = torch.stack([columns, rows, heat.amax(2)], 2).flatten(1)
    return torch.cat([torch.stack([mask.mean((1, 2)), x, y, wide, high], 1), points], 1)


def lit(kinds):
    """How bright the room is by what is said of it [T]; where a change is cut off, nothing that a question could be made of."""
    light, at = np.ones(len(kinds)), 1.0
    for kind, a, b in scene_labels.runs(kinds):
        light[a:b] = at
        if kind in ("light_on", "light_off"):
            if a == 0 or b == len(kinds):
                return np.linspace(1, 1.1, len(kinds))
            at += 0.5 if kind == "light_on" else -0.5
    return light


def asked(kind, hips, alone):
    """Labels i8 [T] and hips [T, 2] of a stretch -> the questions that they answer. Of a person only where there is one `alone`."""
    kinds = [words.KINDS[k] if k >= 0 else "unclear" for k in kind]
    people = [("", None, kinds, None)] if alone else []
    return scene_labels.questions(kinds, people, hips, lit(kinds), labels.FPS)


def load(path):
    """A clip's frames, labels, hips [T, 2] (NaN where not seen), whether somebody is alone there, questions, and meta."""
    with np.load(path) as z:
        points = z["keypoints"][:, 11:13].astype(np.float32)
        hips = np.where((points[..., 2] > 0).all(1)[:, None], points[..., :2].mean(1), np.nan)
        meta = json.loads(str(z["meta"]))
        questions = json.loads(str(z["qa"])) if "qa" in z else []
        return z["frames"][-MOST_FRAMES:], z["kind"][-MOST_FRAMES:], hips[-MOST_FRAMES:], meta.get("people") == 1, questions, meta


def stretches(path, eyes, rng):
    """Parts of a clip and of its mirror image, with questions."""
    frames, kind, hips, alone, questions, meta = load(path)
    out = []
    for mirrored in (False, True):
        facts = eyes(frames[:, :, ::-1] if mirrored else frames)
        at = np.stack([1 - hips[:, 0], hips[:, 1]], 1) if mirrored else hips
        if "probe" in meta:  # a set for training: its first question is what it was made for
            first = dict(questions[0])
            if mirrored and first["kind"] == "direction":
                first["answer"] = {"left": "right", "right": "left"}[first["answer"]]
            out += [Seen(facts, [first])] * (STRETCHES // 2)
        for _ in range(STRETCHES if len(kind) > LEAST_FRAMES else 0):
            length = int(rng.integers(LEAST_FRAMES, len(kind) + 1))
            start = int(rng.integers(len(kind) - length + 1))
            part = slice(start, start + length)
            out.append(Seen(facts[part], asked(kind[part], at[part], alone)))
    return out


def probe(path, eyes, shuffle=None):
    """A clip of a set, its frames shuffled by the generator `shuffle` where there is one."""
    frames, _, _, _, questions, meta = load(path)
    if shuffle is not None:
        frames = frames[shuffle.permutation(len(frames))]
    # The other questions are about what the set has in common.
    return Seen(eyes(frames), questions[:1], meta["probe"], meta["probe_set"])


class Answerer(nn.Module):
    """Facts [B, T, F], mask bool [B, T], question and choices f32 [B, 384], [B, C, 384] -> scores [B, C]. Made with the facts
    [N, F] of many frames, N > 1, of which it takes the middle and the spread.

    What a question and an answer look for is found frame by frame, and told by how strongly it was there at most, how often,
    when, at first and at last: what an order, a count, a duration or a change is made of."""

    def __init__(self, facts):
        super().__init__()
        self.register_buffer("middle", facts.mean(0))
        self.register_buffer("spread", facts.std(0).clamp(min=1e-3))
        self.told = min(FACTS, len(facts[0]))
        self.narrow = nn.Linear(len(facts[0]) - self.told, NARROW) if len(facts[0]) > self.told else None
        self.frame = nn.Linear(self.told + (NARROW if self.narrow else 0), WIDTH)
        self.time = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, SPAN, padding=SPAN // 2, groups=4) for _ in range(2))
        self.asked, self.answer = nn.Linear(384, WIDTH), nn.Linear(384, WIDTH)
        self.wanted = nn.Sequential(nn.Linear(3 * WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, DETECTORS * (WIDTH + 1)))
        self.out = nn.Sequential(nn.Linear(5 * DETECTORS + 2 * WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.1), nn.Linear(WIDTH, 1))
        self.drop = nn.Dropout(0.1)

    def forward(self, facts, mask, question, choices):
        x = ((facts - self.middle) / self.spread).clamp(-5, 5)
        if self.narrow:
            x = torch.cat([x[..., : self.told], self.narrow(self.drop(x[..., self.told :]))], -1)
        live = mask.unsqueeze(-1)
        x = self.frame(self.drop(x)) * live
        for conv in self.time:
            x = (x + F.gelu(conv(x.transpose(1, 2)).transpose(1, 2))) * live
        b, t, c = len(x), x.shape[1], choices.shape[1]
        q, a = self.asked(question).unsqueeze(1).expand(-1, c, -1), self.answer(choices)
        wanted = self.wanted(torch.cat([q, a, q * a], -1)).view(b, c, DETECTORS, WIDTH + 1)
        there = torch.einsum("bckw,btw->bckt", wanted[..., :-1], x) * WIDTH**-0.5 + wanted[..., -1:]
        hidden = there.masked_fill(~mask[:, None, None, :], -1e4)
        share = hidden.softmax(-1)
        frames = torch.arange(t, dtype=x.dtype) / 10  # by 10, as sums by 5: figures about as large as the others
        first = hidden.masked_fill(torch.arange(t) >= SPAN, -1e4)
        last = hidden.masked_fill(torch.arange(t) < (mask.sum(1) - SPAN)[:, None, None, None], -1e4)
        mean = lambda v: (v.clamp(min=-20) * (v > -1e3)).sum(-1) / (v > -1e3).sum(-1).clamp(min=1)  # noqa: E731
        told = [hidden.amax(-1), hidden.sigmoid().sum(-1) / 5, (share * frames).sum(-1), mean(first), mean(last)]
        return self.out(torch.cat([torch.cat(told, -1), q, a], -1))[..., 0]


def batch(items, embedding, blind=False):
    """[(Seen, question)] -> inputs of `Answerer`, which choices exist bool [B, C], the right one i64 [B]."""
    longest = max(len(s.facts) for s, _ in items)
    facts = torch.stack([F.pad(s.facts.float(), (0, 0, 0, longest - len(s.facts))) for s, _ in items])
    if blind:
        facts = torch.zeros_like(facts)
    mask = torch.stack([torch.arange(longest) < len(s.facts) for s, _ in items])
    question = torch.stack([embedding[q["question"]] for _, q in items])
    choices = torch.zeros(len(items), MOST_CHOICES, 384)
    real = torch.zeros(len(items), MOST_CHOICES, dtype=torch.bool)
    for i, (_, q) in enumerate(items):
        for c, text in enumerate(q["choices"]):
            choices[i, c], real[i, c] = embedding[text], True
    right = torch.tensor([list(q["choices"]).index(q["answer"]) for _, q in items])
    return (facts, mask, question, choices), real, right


def train(clips, embedding, args, wordings):
    """The head, trained on questions worded so, each kind of them and each of its answers as often as any other."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    groups = {}
    for seen in clips:
        for q in seen.questions:
            if q["question"] in wordings:
                groups.setdefault(q["kind"], {}).setdefault((q["question"], q["answer"]), []).append((seen, q))
    if not groups:
        raise SystemExit("none of the clips to train on answers a question of the probes")
    model = Answerer(torch.cat([s.facts for s in clips[:: max(len(clips) // 2000, 1)]]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.05)
    names, mean = sorted(groups), 0.0
    for step in range(args.steps):
        items = []
        while len(items) < args.batch:
            of = groups[names[rng.integers(len(names))]]
            answer = sorted(of)[rng.integers(len(of))]
            items.append(of[answer][rng.integers(len(of[answer]))])
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1, (step + 1) / 50) * 0.5 * (1 + np.cos(np.pi * step / args.steps))
        inputs, real, right = batch(items, embedding)
        loss = F.cross_entropy(model(*inputs).masked_fill(~real, -1e4), right)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"step {step + 1} loss {mean:.3f}", flush=True)
    return model.eval()


@torch.no_grad()
def ask(model, clips, embedding, blind=False):
    """[(probe, set, right, number of answers)]"""
    out = []
    for seen in clips:
        q = seen.questions[0]
        inputs, real, right = batch([(seen, q)], embedding, blind)
        guess = model(*inputs).masked_fill(~real, -1e4).argmax(1)
        out.append((seen.probe, seen.set, bool(guess == right), len(q["choices"])))
    return out


def summary(answers):
    """Accuracy with interval, chance, for each probe and over all."""
    out = {}
    for name in ["all", *sorted({a[0] for a in answers})]:
        part = [a for a in answers if name in ("all", a[0])]
        sets = sorted({a[1] for a in part})
        counts = np.array([[sum(a[2] for a in part if a[1] == s), sum(a[1] == s for a in part)] for s in sets], float)
        drawn = np.random.default_rng(0).integers(len(sets), size=(2000, len(sets)))
        shares = counts[drawn, 0].sum(1) / counts[drawn, 1].sum(1)
        out[name] = {
            "accuracy": round(float(counts[:, 0].sum() / counts[:, 1].sum()), 4),
            "interval": np.percentile(shares, [2.5, 97.5]).round(4).tolist(),
            "chance": round(float(np.mean([1 / a[3] for a in part])), 4),
            "sets": len(sets), "clips": len(part),
        }  # fmt: skip
    return out


def look(args):
    """What the networks see of the stretches to train on, of the probes, and of the probes shuffled."""
    paths = data.find_clips([args.test])
    if not paths:
        raise SystemExit(f"no probes in {args.test}: generate.py --split probes makes them")
    eyes = Eyes(args.checkpoint, args.vocabulary)
    test = [probe(path, eyes) for path in paths]
    shuffled = [probe(path, eyes, np.random.default_rng([7, i])) for i, path in enumerate(paths)]
    clips, paths = [], data.find_clips(args.train)
    print(f"{len(test)} probes seen; now {len(paths)} clips to train on", flush=True)
    for done, path in enumerate(paths, 1):
        clips += [s for s in stretches(path, eyes, np.random.default_rng([8, done])) if s.questions]
        if done % 100 == 0:
            print(f"{done} of {len(paths)} clips seen", flush=True)
    return clips, test, shuffled


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--train", nargs="+", required=True)
    p.add_argument("--test", required=True, help="folder of probes")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--vocabulary", type=Path, default=Path("models/home"))
    p.add_argument("--steps", type=int, default=2000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    clips, test, shuffled = look(args)
    wordings = {s.questions[0]["question"] for s in test}
    texts = sorted({t for s in clips + test for q in s.questions for t in (q["question"], *q["choices"])})
    embedding = dict(zip(texts, torch.from_numpy(vocabulary.embed(texts))))
    model = train(clips, embedding, args, wordings)
    report = {"checkpoint": args.checkpoint.name, "stretches": len(clips), "steps": args.steps, "in order": summary(ask(model, test, embedding))}
    report |= {"shuffled": summary(ask(model, shuffled, embedding)), "question alone": summary(ask(model, test, embedding, blind=True))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))
    for name in report["in order"]:
        rows = [report[way][name] for way in ("in order", "shuffled", "question alone")]
        print(f"{name:12} " + "  ".join(f"{r['accuracy']:.2f} {r['interval']}" for r in rows) + f"  chance {rows[0]['chance']:.2f}")


if __name__ == "__main__":
    main()
