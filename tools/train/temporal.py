"""Whether the pack's tokens hold what only time tells: order, direction, speed, count, duration, change (temporal probes).

    python temporal.py data/checkpoints/base.pt --train data/scenes/train data/scenes/probes-train \\
        --test data/scenes/probes --out data/reports/temporal.json

STAB and narrator stay as they are. What can be read off them in every frame (`read`: the person's mask, keypoints and kind, by the
heads with which they were trained, and the kinds that the narration has) and the frame's token go to a small head with a question,
and it chooses among the question's answers; it is trained on questions about rendered clips and asked about sets of clips that
differ in one thing only (tools/scenes/probes.py), in rooms and of people that nothing was trained on. Every answer of a set is
right once, so chance is one in the number of answers. How long it trains is chosen by a sixth of the training clips that are held back. Two
controls: the same test clips with their frames shuffled before they come to the gate, and the question without the clip. Intervals are
95%, by bootstrap over sets.

A head that was given all tokens and z as they are learnt some hundred clips of a question by heart, and of the probes the change of
light only.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import evaluate as ev
import heads
import narrator as nar
import stab as st
import train as training
import vocabulary
import words

WIDTH, NARROW, MOST_FRAMES, MOST_CHOICES = 96, 12, 64, 4
NARRATED = 3  # the narrator is asked at every so manyth frame
HELD_BACK, EVERY_STEPS = 6, 50


@dataclass
class Seen:
    """A clip: what is read of its frames f32 [T, R], frame tokens f32 [T, H], its questions, and its set (None but for probes)."""

    read: torch.Tensor
    frame: torch.Tensor
    questions: list
    probe: str | None
    set: str | None


def read(dense, tokens):
    """Tokens f32 [T, 65, H] -> what the head with which STAB was trained makes of them f32 [T, 143]: mask in 8 x 8, its area, place and
    extent, keypoints, presence, kind."""
    out = dense(tokens)
    mask = torch.sigmoid(out["mask"] - np.log(heads.INSIDE_WEIGHT))
    at = (torch.arange(data.MASK_GRID) + 0.5) / data.MASK_GRID
    area = mask.sum((1, 2)).clamp(min=1e-3)
    along = [mask.sum(1), mask.sum(2)]  # x, y
    middle = [(side * at).sum(1) / area for side in along]
    extent = [((side * (at - m[:, None]) ** 2).sum(1) / area).sqrt() for side, m in zip(along, middle)]
    shape = torch.stack([area / data.MASK_GRID, *middle, *extent], 1)
    coarse = F.avg_pool2d(mask.unsqueeze(1), heads.SUB).flatten(1)
    points = heads.decode_keypoints(out).flatten(1)
    return torch.cat([coarse, shape, points, torch.sigmoid(out["present"])[:, None], out["kind"].softmax(-1)], 1)


class Reader:
    """The frozen networks of a checkpoint, and the head by which tokens were taught to see."""

    def __init__(self, checkpoint, pack):
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model = training.Model(st.StabConfig(**saved["stab_config"]), nar.NarratorConfig(**saved["narrator_config"]))
        training.load_into(model, checkpoint)
        self.model, self.vocabulary, self.tau = model.eval(), words.load(pack), saved["tau"]

    @torch.no_grad()
    def __call__(self, path, shuffle=None):
        """What is seen of a clip, its frames shuffled by the generator `shuffle` where there is one; None without a question."""
        with np.load(path) as z:
            frames, meta = z["frames"], json.loads(str(z["meta"]))
            questions = json.loads(str(z["qa"])) if "qa" in z else []
        if not questions:
            return None
        if shuffle is not None:
            frames = frames[shuffle.permutation(len(frames))]
        canvas, keep = ev.behind_gate(frames[-MOST_FRAMES:])
        video = ev.see(self.model.stab, canvas)
        at = list(range(0, len(video), NARRATED))
        kinds = words.probabilities(ev.narrate(self.model.narrator, video, keep, at), self.vocabulary, self.tau)[1]
        kinds = torch.from_numpy(np.repeat(kinds, NARRATED, 0)[: len(video)].astype(np.float32))
        if "probe" in meta:
            questions = questions[:1]  # the others are about what the set has in common
        both = torch.cat([read(self.model.dense, video), kinds], 1)
        return Seen(both, video[:, 0].clone(), questions, meta.get("probe"), meta.get("probe_set"))


class Answerer(nn.Module):
    """Read [B, T, R], frame tokens [B, T, H], mask bool [B, T], question and choices f32 [B, 384], [B, C, 384] -> scores [B, C]."""

    def __init__(self, read_width, token_width):
        super().__init__()
        self.narrow = nn.Sequential(nn.LayerNorm(token_width), nn.Linear(token_width, NARROW))
        self.frame = nn.Sequential(nn.Dropout(0.1), nn.Linear(read_width + NARROW, WIDTH))
        self.time = nn.Parameter(torch.randn(MOST_FRAMES, WIDTH) * 0.1)
        self.asked, self.answer = nn.Linear(384, WIDTH), nn.Linear(384, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, 0.2, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH))

    def forward(self, read, frame, mask, question, choices):
        x = self.frame(torch.cat([read, self.narrow(frame)], -1)) + self.time[: read.shape[1]]
        x = torch.cat([self.asked(question).unsqueeze(1), x], 1)
        hidden = torch.cat([mask.new_zeros(len(mask), 1), ~mask], 1)
        x = self.out(self.layers(x, src_key_padding_mask=hidden)[:, 0])
        return torch.einsum("bd,bcd->bc", x, self.answer(choices)) * WIDTH**-0.5


def batch(items, embedding, blind=False):
    """[(Seen, question)] -> inputs of `Answerer`, which choices exist bool [B, C], the right one i64 [B]."""
    longest = max(len(s.read) for s, _ in items)
    pad = lambda v: F.pad(v, (0, 0, 0, longest - len(v)))  # noqa: E731
    seen, frame = torch.stack([pad(s.read) for s, _ in items]), torch.stack([pad(s.frame) for s, _ in items])
    if blind:
        seen, frame = torch.zeros_like(seen), torch.zeros_like(frame)
    mask = torch.stack([torch.arange(longest) < len(s.read) for s, _ in items])
    question = torch.stack([embedding[q["question"]] for _, q in items])
    choices = torch.zeros(len(items), MOST_CHOICES, 384)
    real = torch.zeros(len(items), MOST_CHOICES, dtype=torch.bool)
    for i, (_, q) in enumerate(items):
        for c, text in enumerate(q["choices"]):
            choices[i, c], real[i, c] = embedding[text], True
    right = torch.tensor([list(q["choices"]).index(q["answer"]) for _, q in items])
    return (seen, frame, mask, question, choices), real, right


def train(clips, embedding, args, kinds):
    """(the head, its steps): trained on questions of these kinds, each kind and each of its answers as often as any other, and taken when it
    answered best, of what was held back, in the mean over kinds."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    groups, back = {}, {}
    for number, seen in enumerate(clips):
        for q in seen.questions:
            if q["kind"] in kinds and len(q["choices"]) <= MOST_CHOICES:
                if number % HELD_BACK == 0:
                    back.setdefault(q["kind"], []).append((seen, q))
                else:
                    groups.setdefault(q["kind"], {}).setdefault(q["answer"], []).append((seen, q))
    model = Answerer(clips[0].read.shape[1], clips[0].frame.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.1)
    names, mean, best = sorted(groups), 0.0, (0.0, 0, None)
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
        optimizer.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if (step + 1) % EVERY_STEPS == 0:
            share = {kind: answered(model, items, embedding) for kind, items in back.items()}
            value = float(np.mean(list(share.values())))
            if value > best[0]:
                best = value, step + 1, {k: v.clone() for k, v in model.state_dict().items()}
            print(f"step {step + 1} loss {mean:.3f}, held back {value:.3f}: " + ", ".join(f"{k} {v:.2f}" for k, v in sorted(share.items())), flush=True)
    model.load_state_dict(best[2])
    return model.eval(), best[1]


@torch.no_grad()
def answered(model, items, embedding, size=64):
    """Share of [(Seen, question)] with the right answer, each answer weighing the same."""
    model.eval()
    hits = {}
    for start in range(0, len(items), size):
        part = items[start : start + size]
        inputs, real, right = batch(part, embedding)
        for (_, q), hit in zip(part, (model(*inputs).masked_fill(~real, -1e4).argmax(1) == right).tolist()):
            hits.setdefault(q["answer"], []).append(hit)
    model.train()
    return float(np.mean([np.mean(h) for h in hits.values()]))


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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--train", nargs="+", required=True)
    p.add_argument("--test", required=True, help="folder of probes")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--vocabulary", default="models/home", help="pack folder")
    p.add_argument("--kept", type=Path, help="what was seen is written here, and taken from here where it is there")
    p.add_argument("--steps", type=int, default=1000)
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    reader = Reader(args.checkpoint, args.vocabulary)

    def look(paths):
        out = []
        for done, path in enumerate(paths, 1):
            out.append(reader(path))
            if done % 100 == 0:
                print(f"{done} of {len(paths)} clips seen", flush=True)
        return [seen for seen in out if seen]

    if args.kept and args.kept.exists():
        test, shuffled, clips = torch.load(args.kept, weights_only=False)
    else:
        paths = data.find_clips([args.test])
        test = look(paths)
        shuffled = [s for i, path in enumerate(paths) if (s := reader(path, np.random.default_rng([7, i])))]
        if not test:
            raise SystemExit(f"no probes in {args.test}: generate.py --split probes makes them")
        print(f"{len(test)} probes; now {args.train}", flush=True)
        clips = look(data.find_clips(args.train))
        if args.kept:
            torch.save((test, shuffled, clips), args.kept)
    questions = [q for s in clips + test for q in s.questions]
    texts = sorted({q["question"] for q in questions} | {c for q in questions for c in q["choices"]})
    embedding = dict(zip(texts, torch.from_numpy(vocabulary.embed(texts))))
    kinds = {s.questions[0]["kind"] for s in test}
    model, steps = train(clips, embedding, args, kinds)
    report = {"checkpoint": args.checkpoint.name, "trained_on": len(clips), "steps": steps, "in order": summary(ask(model, test, embedding))}
    report |= {"shuffled": summary(ask(model, shuffled, embedding)), "question alone": summary(ask(model, test, embedding, blind=True))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))
    for name in report["in order"]:
        rows = [report[way][name] for way in ("in order", "shuffled", "question alone")]
        print(f"{name:12} " + "  ".join(f"{r['accuracy']:.2f} {r['interval']}" for r in rows) + f"  chance {rows[0]['chance']:.2f}")


if __name__ == "__main__":
    main()
