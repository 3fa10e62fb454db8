"""Whether the pack's tokens hold what only time tells: order, direction, speed, count, duration, change (temporal probes).

    python temporal.py data/checkpoints/base.pt --train data/scenes/train data/scenes/probes-train \\
        --test data/scenes/probes --out data/reports/temporal.json

STAB and narrator stay as they are. A small head reads what they make of every frame of a clip (all tokens, and z) and a question,
and chooses among the question's answers; it is trained on questions about rendered clips and asked about sets of clips that
differ in one thing only (tools/scenes/probes.py), in rooms and of people that nothing was trained on. Every answer of a set is
right once, so chance is one in the number of answers. Two controls: the same test clips with their frames shuffled before they
come to the gate, and the question without the clip. Intervals are 95%, by bootstrap over sets.
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
import export
import tokens as tok
import vocabulary

WIDTH, NARROW, MOST_FRAMES, MOST_CHOICES = 128, 12, 64, 4


@dataclass
class Seen:
    """A clip: tokens f16 [T, 65, H], z f32 [T, 384], its questions, and its set (None but for probes)."""

    tokens: torch.Tensor
    z: torch.Tensor
    questions: list
    probe: str | None
    set: str | None


def see(path, stab, narrator, shuffle=None):
    """What the networks make of a clip, its frames shuffled by the generator `shuffle` where there is one."""
    with np.load(path) as z:
        frames, meta = z["frames"], json.loads(str(z["meta"]))
        questions = json.loads(str(z["qa"])) if "qa" in z else []
    if not questions:
        return None
    if shuffle is not None:
        frames = frames[shuffle.permutation(len(frames))]
    canvas, keep = ev.behind_gate(frames[-MOST_FRAMES:])
    video = ev.see(stab, canvas)
    told = torch.from_numpy(ev.narrate(narrator, video, ev.shown(keep)))
    if "probe" in meta:
        questions = questions[:1]  # the others are about what the set has in common
    return Seen(video.half(), told, questions, meta.get("probe"), meta.get("probe_set"))


class Answerer(nn.Module):
    """Tokens [B, T, 65, H], z [B, T, 384], mask bool [B, T], question and choices f32 [B, 384], [B, C, 384] -> scores [B, C]."""

    def __init__(self, token_width):
        super().__init__()
        self.narrow = nn.Sequential(nn.LayerNorm(token_width), nn.Linear(token_width, NARROW))
        self.frame = nn.Linear((tok.WINDOWS + 1) * NARROW + 384, WIDTH)
        self.time = nn.Parameter(torch.randn(MOST_FRAMES, WIDTH) * 0.1)
        self.asked, self.answer = nn.Linear(384, WIDTH), nn.Linear(384, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, 0.1, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH))

    def forward(self, tokens, z, mask, question, choices):
        x = self.frame(torch.cat([self.narrow(tokens).flatten(2), z], -1)) + self.time[: z.shape[1]]
        x = torch.cat([self.asked(question).unsqueeze(1), x], 1)
        hidden = torch.cat([mask.new_zeros(len(mask), 1), ~mask], 1)
        x = self.out(self.layers(x, src_key_padding_mask=hidden)[:, 0])
        return torch.einsum("bd,bcd->bc", x, self.answer(choices)) * WIDTH**-0.5


def batch(items, embedding, blind=False):
    """[(Seen, question)] -> inputs of `Answerer`, which choices exist bool [B, C], the right one i64 [B]."""
    longest = max(len(s.z) for s, _ in items)
    pad = lambda v: F.pad(v.float(), (0, 0) * (v.dim() - 1) + (0, longest - len(v)))  # noqa: E731
    tokens = torch.stack([pad(s.tokens) for s, _ in items])
    z = torch.stack([pad(s.z) for s, _ in items])
    if blind:
        tokens, z = torch.zeros_like(tokens), torch.zeros_like(z)
    mask = torch.stack([torch.arange(longest) < len(s.z) for s, _ in items])
    question = torch.stack([embedding[q["question"]] for _, q in items])
    choices = torch.zeros(len(items), MOST_CHOICES, 384)
    real = torch.zeros(len(items), MOST_CHOICES, dtype=torch.bool)
    for i, (_, q) in enumerate(items):
        for c, text in enumerate(q["choices"]):
            choices[i, c], real[i, c] = embedding[text], True
    right = torch.tensor([list(q["choices"]).index(q["answer"]) for _, q in items])
    return (tokens, z, mask, question, choices), real, right


def train(clips, embedding, token_width, args, kinds):
    """The head, trained on questions of these kinds, each kind and each of its answers as often as any other."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    groups = {}
    for seen in clips:
        for q in seen.questions:
            if q["kind"] in kinds and len(q["choices"]) <= MOST_CHOICES:
                groups.setdefault(q["kind"], {}).setdefault(q["answer"], []).append((seen, q))
    model = Answerer(token_width)
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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--train", nargs="+", required=True)
    p.add_argument("--test", required=True, help="folder of probes")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--steps", type=int, default=700)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    stab, narrator, _ = export.load_models(args.checkpoint)

    def look(paths):
        out = []
        for done, path in enumerate(paths, 1):
            out.append(see(path, stab, narrator))
            if done % 100 == 0:
                print(f"{done} of {len(paths)} clips seen", flush=True)
        return [seen for seen in out if seen]

    paths = data.find_clips([args.test])
    test = look(paths)
    shuffled = [s for i, path in enumerate(paths) if (s := see(path, stab, narrator, np.random.default_rng([7, i])))]
    if not test:
        raise SystemExit(f"no probes in {args.test}: generate.py --split probes makes them")
    print(f"{len(test)} probes; now {args.train}", flush=True)
    clips = look(data.find_clips(args.train))
    questions = [q for s in clips + test for q in s.questions]
    texts = sorted({q["question"] for q in questions} | {c for q in questions for c in q["choices"]})
    embedding = dict(zip(texts, torch.from_numpy(vocabulary.embed(texts))))
    kinds = {s.questions[0]["kind"] for s in test}
    model = train(clips, embedding, test[0].tokens.shape[-1], args, kinds)
    report = {"checkpoint": args.checkpoint.name, "trained_on": len(clips), "steps": args.steps, "in order": summary(ask(model, test, embedding))}
    report |= {"shuffled": summary(ask(model, shuffled, embedding)), "question alone": summary(ask(model, test, embedding, blind=True))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))
    for name in report["in order"]:
        rows = [report[way][name] for way in ("in order", "shuffled", "question alone")]
        print(f"{name:12} " + "  ".join(f"{r['accuracy']:.2f} {r['interval']}" for r in rows) + f"  chance {rows[0]['chance']:.2f}")


if __name__ == "__main__":
    main()
