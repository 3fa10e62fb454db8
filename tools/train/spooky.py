"""Can this architecture see what only motion shows? Video in the manner of SpookyBench, made by tools/scenes/noise.py: moving noise,
and shapes in it whose noise moves the other way. Every published video-language model that was asked answered 0%.

    python spooky.py --easy --out data/checkpoints/spooky-easy.pt --report data/reports/spooky-easy.json
    python spooky.py --start data/checkpoints/spooky-easy.pt --out data/checkpoints/spooky.pt --report data/reports/spooky.json

STAB and narrator of the pack's sizes, from nothing, with linear heads on the narrator's trunk: what is asked is whether the networks can,
not what the pack `home` tells. Shapes are named in two ways. `mask`: the trunk is asked which 7 px cells are inside, and that of
ten shapes is named which explains its answer best at any place, size and turn (a fit, nothing learnt). `head`: ten outputs on the retrieval token. Noise is drawn anew for every clip; the test has seeds of its own, runs
behind the gate, and has two controls that should fall to chance (10%): the same frames shuffled, and the first one repeated. A
run goes on where it stopped.

First STAB learns alone (`--stab-minutes`): a token is asked which way its noise moves, for that it can know, while 28 px of noise do
not tell whether they are inside of a shape. Then STAB stays as it is, and the trunk, which sees all tokens, is asked for the mask and the
shape; since it has to compare headings, which takes it many steps, each clip's tokens are shown to it several times. All of it in one go
had learnt nothing in the time in which STAB alone learns the headings. `--easy` has dots of 2 to 4 px that
move straight by one a frame; without it, dots of 1 px, 1 to 3 dots a frame and diagonals come in, and a run of it goes on from an easy one.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binomtest

import data
import evaluate as ev
import gate
import heads
import narrator as nar
import stab as st
import tokens as tok
import train

sys.path.append(str(Path(__file__).parents[1] / "scenes"))
import noise  # noqa: E402

FRAMES = 8  # as many as a token that reads GSTRA sees
SHORT = 5  # as many as a window's token sees
SHOWN = 4  # times that a clip's tokens are shown to the trunk, about
RING = 2048  # clips whose tokens are kept for that
TEST_SEED = 1_000_000
CONTROLS = {
    "in order": lambda frames, rng: frames,
    "shuffled": lambda frames, rng: frames[shuffle(len(frames), rng)],
    "first frame only": lambda frames, rng: np.repeat(frames[:1], len(frames), 0),
}


def shuffle(count, rng):
    """An order in which none stands beside one that it stood beside: fields that go apart forwards do so backwards, too."""
    while (abs(np.diff(order := rng.permutation(count))) == 1).any():
        pass
    return order


def shown(frames):
    """u8 [T, 224, 224, 3] -> canvas behind the gate u8 [T, 256, 588], windows kept bool [T, 64]."""
    canvas, keep = ev.behind_gate(frames)
    return canvas, gate.window_kept(keep)


class Shapes(torch.nn.Module):
    """STAB, narrator, and training heads; `shape` reads the retrieval token."""

    def __init__(self):
        super().__init__()
        stab, narrator = st.StabConfig(), nar.NarratorConfig()
        self.stab, self.narrator = st.Stab(stab), nar.Narrator(narrator)
        self.heading = torch.nn.Linear(stab.width, len(noise.HEADINGS))
        self.trunk = torch.nn.Linear(narrator.width, heads.SUB**2)
        self.shape = torch.nn.Linear(narrator.width, len(noise.SHAPES))

    def forward(self, canvas, kept):
        """[B, T, 256, 588], [B][T, 64] -> tokens [B, T, 65, H], trunk [B, 129, W] at the last frame."""
        tokens = self.stab(canvas)
        last = canvas.shape[1] - 1
        return tokens, self.narrator.trunk(*train.gather_reads(tokens, [(b, *tok.select(tok.of_kept(k), last)) for b, k in enumerate(kept)]))


class Batches(torch.utils.data.IterableDataset):
    """Endless, made in a process of their own. Everything in them moves: the gate would keep every window."""

    def __init__(self, batch, seed, frames, easy):
        self.batch, self.seed, self.frames, self.easy = batch, seed, frames, easy

    def __iter__(self):
        rng = np.random.default_rng([1, self.seed])
        while True:
            made = [noise.clip(rng, frames=self.frames, easy=self.easy) for _ in range(self.batch)]
            masks = np.stack([cells(mask) for _, mask, _, _ in made])
            yield (torch.from_numpy(np.stack([gate.patchify(frames) for frames, _, _, _ in made])), torch.from_numpy(masks),
                   torch.from_numpy(np.stack([headings(m, h) for m, (_, _, _, h) in zip(masks, made)])),
                   torch.tensor([index for _, _, index, _ in made]))  # fmt: skip


def headings(mask, heading):
    """share f32 [32, 32] inside, index of its heading -> share of each heading in each window f32 [64, 8]"""
    side = heads.SIDE
    inside = mask.reshape(side, heads.SUB, side, heads.SUB).mean((1, 3)).reshape(-1)
    out = np.zeros((side * side, len(noise.HEADINGS)), np.float32)
    out[:, heading] = inside
    out[:, (heading + len(noise.HEADINGS) // 2) % len(noise.HEADINGS)] = 1 - inside
    return out


def cells(mask):
    """bool [224, 224] -> share f32 [32, 32]"""
    n = data.MASK_GRID
    return mask.reshape(n, data.CELL_PX, n, data.CELL_PX).mean((1, 3), dtype=np.float32)


def heading_loss(model, canvas, heading):
    """Of the frames at which a token sees as much as it can; it sees two before its own, and DPE two before those."""
    each = model.heading(model.stab(canvas)[:, SHORT - 1 :, 1:]).float().log_softmax(-1)
    return -(each * heading.unsqueeze(1)).sum(-1).mean()


def shape_losses(model, taken, mask, shape):
    """`taken` as the narrator takes it, of the last frame."""
    trunk = model.narrator.trunk(*taken)
    return {
        "trunk_mask": heads.mask_loss(heads.unfold_mask(model.trunk(trunk[:, : tok.WINDOWS])), mask, torch.ones(len(mask))),
        "shape": F.cross_entropy(model.shape(trunk[:, -1]).float(), shape),
    }


class Ring:
    """What STAB made of the newest clips, and their answers."""

    def __init__(self, rng):
        self.rng, self.kept = rng, []

    @torch.no_grad()
    def see(self, stab, canvas, mask, heading, shape):
        everything = np.ones((canvas.shape[1], tok.WINDOWS), bool)
        taken = train.gather_reads(stab(canvas), [(b, *tok.select(tok.of_kept(everything), canvas.shape[1] - 1)) for b in range(len(canvas))])
        self.kept = [*self.kept, *zip(*taken, mask, shape)][-RING:]

    def draw(self, count):
        """(taken, mask, shape) of clips drawn evenly."""
        *taken, mask, shape = (torch.stack(v) for v in zip(*(self.kept[i] for i in self.rng.integers(len(self.kept), size=count))))
        return taken, mask, shape


class Fit:
    """Names the shape whose cells are the likeliest, as cells are independent."""

    PLACES = 2 * data.MASK_GRID  # so that what leaves on one side does not come in on the other

    def __init__(self):
        sizes, turns = np.linspace(62, 98, 7), np.linspace(-0.26, 0.26, 5)
        kinds = [(index, half, turn) for index in range(len(noise.SHAPES)) for half in sizes for turn in turns]
        middle = (noise.SIDE_PX / 2, noise.SIDE_PX / 2)
        self.index = np.array([index for index, _, _ in kinds])
        masks = np.stack([cells(noise.mask_of(noise.SHAPES[index], middle, half, turn)) for index, half, turn in kinds])
        self.spectrum = np.conj(np.fft.rfft2(masks, (self.PLACES,) * 2))

    def __call__(self, logit):
        """Log-odds f32 [32, 32] of being inside -> index into SHAPES. Their sum over a shape's cells is its likelihood, but for what
        all shapes have in common."""
        seen = np.fft.rfft2(np.clip(logit, -6, 6), (self.PLACES,) * 2)
        return int(self.index[np.fft.irfft2(seen * self.spectrum, (self.PLACES,) * 2).max((1, 2)).argmax()])


@torch.no_grad()
def test(model, clips, easy, batch=8):
    """{(way of naming, control): right of each clip bool [N]}, IoU of masks in order [N], shapes [N]"""
    model.eval()
    fit, right, iou, truth = Fit(), {}, [], []
    for start in range(0, clips, batch):
        made = [noise.clip(np.random.default_rng(TEST_SEED + i), frames=FRAMES, easy=easy) for i in range(start, min(start + batch, clips))]
        shape = [index for _, _, index, _ in made]
        truth += shape
        for control, change in CONTROLS.items():
            rng = np.random.default_rng(start)
            seen = [shown(change(frames, rng)) for frames, _, _, _ in made]
            _, trunk = model(torch.from_numpy(np.stack([c for c, _ in seen])), [k for _, k in seen])
            logit = heads.unfold_mask(model.trunk(trunk[:, : tok.WINDOWS])).numpy() - np.log(heads.INSIDE_WEIGHT)
            named = {"mask": [fit(each) for each in logit], "head": model.shape(trunk[:, -1]).argmax(-1).tolist()}
            for way, guess in named.items():
                right.setdefault((way, control), []).extend(g == s for g, s in zip(guess, shape))
            if control == "in order":
                wanted = [cells(mask) > 0.5 for _, mask, _, _ in made]
                iou += [(g & w).sum() / (g | w).sum() for g, w in zip(logit > 0, wanted)]
    model.train()
    return right, iou, truth


def run(model, optimizer, state, budget_s, args, save):
    """One stage, until it had its time."""
    frames = SHORT if state["stage"] == "stab" else FRAMES
    batches = iter(torch.utils.data.DataLoader(
        Batches(args.batch, state["step"], frames, args.easy), batch_size=None, num_workers=1, collate_fn=train.as_it_is, prefetch_factor=4))  # fmt: skip
    alone = state["stage"] == "stab"
    model.stab.train(alone).requires_grad_(alone)
    ring = Ring(np.random.default_rng(state["step"]))
    mean, offset, first = {}, state["elapsed_s"], state["step"]
    bf16 = train.takes_bf16(args.precision, "cpu")
    begun = printed = kept = time.time()
    while state["elapsed_s"] < budget_s:
        for group in optimizer.param_groups:
            group["lr"] = train.learning_rate(args, state["elapsed_s"] / budget_s, state["step"] - first) / (1 if alone else 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if alone:
                canvas, _, heading, _ = next(batches)
                loss = {"heading": heading_loss(model, canvas, heading)}
            else:
                if (state["step"] - first) % SHOWN == 0:
                    ring.see(model.stab, *next(batches))
                loss = shape_losses(model, *ring.draw(args.batch))
        optimizer.zero_grad()
        sum(loss.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for k, v in loss.items():
            mean[k] = 0.95 * mean.get(k, v.item()) + 0.05 * v.item()
        state["step"] += 1
        now = time.time()
        state["elapsed_s"] = offset + now - begun
        if now - printed > 15:
            printed = now
            terms = " ".join(f"{k} {v:.3f}" for k, v in mean.items())
            print(f"{state['stage']} step {state['step']} {terms}, eta {(budget_s - state['elapsed_s']) / 60:.1f} min", flush=True)
        if now - kept > 60:
            kept = now
            save()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=Path("data/checkpoints/spooky.pt"))
    p.add_argument("--start", type=Path, help="a checkpoint of this tool to begin with")
    p.add_argument("--report", type=Path)
    p.add_argument("--easy", action="store_true")
    p.add_argument("--stab-minutes", type=float, default=10, help="STAB alone")
    p.add_argument("--minutes", type=float, default=20, help="the trunk, after that")
    p.add_argument("--lr", type=float, default=1e-3, help="of STAB alone; the trunk has half of it")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--test-clips", type=int, default=400)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--precision", choices=train.PRECISION, default="auto", help="of products; auto takes the faster one here")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = Shapes()
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.02, betas=(0.9, 0.98))
    state = {"stage": "stab", "step": 0, "elapsed_s": 0.0}
    if args.out.exists():
        saved = torch.load(args.out, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = saved["state"]
        print(f"resumed in {state['stage']} at step {state['step']}, {state['elapsed_s'] / 60:.1f} min", flush=True)
    elif args.start:
        model.load_state_dict(torch.load(args.start, map_location="cpu", weights_only=True)["model"])
    save = lambda: train.write(args.out, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state})  # noqa: E731
    stages = {"stab": args.stab_minutes, "shapes": args.minutes}
    for stage, minutes in list(stages.items())[list(stages).index(state["stage"]) :]:
        if stage != state["stage"]:
            state |= {"stage": stage, "elapsed_s": 0.0}
        run(model, optimizer, state, minutes * 60, args, save)
    save()
    right, iou, truth = test(model, args.test_clips, args.easy)
    report = {"easy": args.easy, "clips": len(truth), "chance": 1 / len(noise.SHAPES), "minutes": stages, "step": state["step"]}
    for (way, control), hits in right.items():
        interval = binomtest(sum(hits), len(hits)).proportion_ci()  # exact (Clopper, Pearson): clips have nothing in common
        report.setdefault(way, {})[control] = {"accuracy": round(float(np.mean(hits)), 4), "interval": [round(float(v), 4) for v in interval]}
    each = {s: [h for h, t in zip(right["mask", "in order"], truth) if t == i] for i, s in enumerate(noise.SHAPES)}
    report |= {"mask_iou": round(float(np.mean(iou)), 3), "each": {s: round(float(np.mean(hits)), 2) for s, hits in each.items() if hits}}
    print(json.dumps(report, indent=1))
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
