"""Trains STAB and the narrator together on whatever clips there are.

    python train.py --clips data/scenes/train --val data/scenes/val --out data/checkpoints/base.pt

One run, one loss: dense targets on every frame (person mask, keypoints, presence)
teach STAB to see, and the narrator reads the 128 selected tokens at a few frames of each
window. Windows are whole, or as the gate or a drop on features leaves them (`--show`). The
schedule follows the clock (`--minutes`), because on a CPU time is what is rationed; a stopped
run goes on where it was (`--fresh` starts over).
"""

import argparse
import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import corpus
import data
import gate
import heads
import muon
import narrator as nar
import stab as st
import switches
import teacher
import tokens as tok
import words

READS = 4  # frames of a window at which the narrator is asked
WARM_UP_STEPS = 50
COOL_DOWN_SHARE = 0.3  # of the budget
VALIDATED = 80  # clips
REFRESH_FRAMES = gate.GateConfig().refresh_frames


@dataclass(frozen=True)
class Drop:
    """What leaves tokens out of a window as it is shown the second time."""

    by_pixels: bool  # behind the gate; else whole pictures
    cosine: float  # features more alike than this are dropped; 2 drops none

    @classmethod
    def draw(cls, rng):
        by_pixels = rng.random() < 0.9
        return cls(by_pixels, 2.0 if by_pixels and rng.random() < 0.75 else rng.uniform(0.7, 0.99))


GATE_ALONE = Drop(True, 2.0)

SHOW = {
    "either": "a quarter of the windows whole, the others with what is dropped left out, as a camera's stream is",
    "twice": "each window in both ways, at twice the cost, and the narrator should tell the same of both (--agreement)",
    "whole": "no window with anything left out",
}
TARGETS = ("mask", "keypoints", "kind", "dense")
PRECISION = ("auto", "bf16", "f32")  # of products


def collate(items, rng, drop=Drop.draw, corpus=None, hard=0, reads_each=READS, see=None, show="twice"):
    """N `data.prepare` dicts of equal T -> tensors of V views, as SHOW says: of each window one that is whole and undropped, or
    one as a `Drop` leaves it, or both. Whole views come first. Picks frames of each window to read, the same in both views,
    with the rows of a corpus that are true there, `hard` negatives of each row, and what the teacher `see`s in whole views."""
    drops = [drop(rng) for _ in items]
    count = len(items)
    quarter = int(count / 4 + rng.random())
    whole, dropped = {"either": (quarter, quarter), "twice": (count, 0), "whole": (count, count)}[show]
    views = [(i, None) for i in range(whole)] + [(i, drops[i]) for i in range(dropped, count)]
    shown = [items[i]["canvas" if d and d.by_pixels else "whole"] for i, d in views]
    batch = {"patches": torch.from_numpy(np.stack(shown))}
    batch |= {k: torch.from_numpy(np.stack([items[i][k] for i, _ in views])) for k in TARGETS}
    picked = []
    for item in items:
        labelled = np.flatnonzero(item["kind"] >= 0)
        if len(labelled) == 0:
            picked.append([])
            continue
        # Even over kinds inside the window, and rather late than early.
        often = np.bincount(item["kind"][labelled], minlength=len(words.KINDS))
        weight = (labelled + 3) / often[item["kind"][labelled]]
        size = min(reads_each, len(labelled))
        picked.append(rng.choice(labelled, size, replace=False, p=weight / weight.sum()).tolist())
    reads = [(v, t) for v, (i, _) in enumerate(views) for t in picked[i]]
    item = lambda v: items[views[v][0]]  # noqa: E731
    said = [item(v)["said"][t] for v, t in reads]
    batch["drawn"] = int(rng.integers(1 << 62))  # what a switch draws, comes from here, so that windows are the same without it
    own = np.random.default_rng(batch["drawn"])
    negatives = sorted({n for row in sorted(set().union(*said)) for n in corpus.negatives(own, row, hard)} if hard else ())
    undropped = [(v, t) for v, t in reads if views[v][1] is None]
    batch |= {"reads": reads, "whole": len(undropped), "drops": [d for _, d in views], "said": said, "negatives": negatives}
    batch["speak"] = [switches.speak_labels(item(v)["kind"], t) for v, t in reads]
    if see is not None and undropped:
        features = see(np.stack([item(v)["whole"][t] for v, t in undropped]))
        batch |= {"features": torch.from_numpy(features), "codes": torch.from_numpy(see.codes(features))}
    return batch | {k: [items[i][k] for i, _ in views] for k in ("kept", "waited")}


def chosen(tokens, batch):
    """What the narrator is given at each read, R of (view, frame i64 [128], index i64 [128, 2], valid f32 [128])."""
    everything = np.ones((tokens.shape[1], tok.WINDOWS), bool)
    left = []
    for v, drop in enumerate(batch["drops"]):
        kept = batch["kept"][v] if drop and drop.by_pixels else everything
        if drop and drop.cosine < 1:
            left.append(tok.drop_features(tokens[v].detach().float().cpu(), kept, drop.cosine))
        else:
            left.append((tok.of_kept(kept), None))
    out = []
    for v, t in batch["reads"]:
        stands, lasts = left[v]
        frame, index, valid = tok.select(stands, t, lasts)
        if batch["drops"][v]:
            still = index[: tok.WINDOWS, 0]
            old = np.minimum(still + batch["waited"][v], tok.AGE_CLIP)
            # Nothing has stood there since the window's first frame, before which the stream had begun.
            since_first = (frame[: tok.WINDOWS] == 0) & (still == min(t, tok.AGE_CLIP))
            index[: tok.WINDOWS, 0] = np.where(since_first, old, still)
        out.append((v, frame, index, valid))
    return out


def gather_reads(tokens, reads):
    """tokens [B, T, 65, H], R of `chosen` -> (picked [R, 128, H], index [R, 128, 2], valid [R, 128])."""
    device = tokens.device
    which = torch.tensor([r[0] for r in reads], device=device)[:, None]
    frame, index, valid = (torch.from_numpy(np.stack([r[i] for r in reads])).to(device) for i in (1, 2, 3))
    row = torch.from_numpy(np.stack([tok.token_row(r[2]) for r in reads])).to(device)
    return tokens[which, frame, row] * valid.unsqueeze(-1), index, valid


def kind_log_prob(z, embedding, kind_of, tau):
    """z [R, 384], unit embedding [N, 384], kind_of [N] -> log P(kind) [R, 14]."""
    logit = z.float() @ embedding.t() / tau
    logit = logit.log_softmax(-1)
    out = []
    for k in range(len(words.KINDS)):
        picked = logit[:, kind_of == k]
        out.append(picked.logsumexp(-1) if picked.shape[1] else torch.full_like(logit[:, 0], -30.0))
    return torch.stack(out, -1)


def vocabulary_tensors(folder):
    """Unit embeddings [N, 384] and kinds [N] of a pack folder's vocabulary."""
    v = words.load(folder)
    e = torch.from_numpy(v.embedding.copy())
    return e / e.norm(dim=1, keepdim=True), torch.from_numpy(v.kind)


class Model(torch.nn.Module):
    """The two shipped parts and their training heads."""

    def __init__(self, stab_config, narrator_config):
        super().__init__()
        self.stab, self.narrator = st.Stab(stab_config), nar.Narrator(narrator_config)
        self.dense, self.trunk = heads.DenseHead(stab_config.width), heads.TrunkHead(narrator_config.width)
        self.switches = switches.Heads(narrator_config.token_width, narrator_config.width)


def agreement(log_prob):
    """log P(kind) [2R, K] of the undropped reads, then of the dropped ones -> mean of both Kullback-Leibler divergences:
    what is dropped should not change what is told."""
    whole, dropped = log_prob.chunk(2)
    return ((whole.exp() - dropped.exp()) * (whole - dropped)).sum(-1).mean() / 2


def caption_loss(z, said, negatives, embedding, tau):
    """Symmetric contrastive loss of what reads see and what is said of them (VLog; with hard negatives EgoNCE++, which has
    them on the side of the text only, too). z [R, 384], said R tuples of rows, negatives rows, embedding [N, 384]."""
    rows = sorted(set().union(*said))
    if not rows:
        return z.sum() * 0
    read = [r for r, true in enumerate(said) if true]
    column = {row: c for c, row in enumerate(rows)}
    true = torch.zeros(len(read), len(rows), dtype=torch.bool)
    for r, at in enumerate(read):
        true[r, [column[row] for row in said[at]]] = True
    true = true.to(z.device)
    logit = z[read].float() @ embedding[rows + [n for n in negatives if n not in column]].t() / tau
    hit = logit[:, : len(rows)].masked_fill(~true, -torch.inf)
    of_reads = logit.logsumexp(1) - hit.logsumexp(1)
    of_texts = logit[:, : len(rows)].logsumexp(0) - hit.logsumexp(0)
    return (of_reads.mean() + of_texts.mean()) / 2


def losses(model, batch, vocabulary, args, corpus=None):
    """Dict of weighted loss terms, and the narrator's kind log-probabilities. `corpus` f32 [N, 384]."""
    tokens = model.stab(batch["patches"])
    flat = lambda v: v.flatten(0, 1)  # noqa: E731
    loss = heads.dense_loss(model.dense(flat(tokens)), *(flat(batch[k]) for k in TARGETS))
    if not batch["reads"]:
        return loss, None, None
    reads = chosen(tokens, batch)
    taken = gather_reads(tokens, reads)
    trunk = model.narrator.trunk(*taken)
    b, t = torch.tensor(batch["reads"]).unbind(1)
    kind, points = batch["kind"][b, t], batch["keypoints"][b, t].clone()
    points[..., 2] *= batch["dense"][b, t][:, None]
    out = model.trunk(trunk)
    log_prob = out["kind"].float().log_softmax(-1)
    loss["kind"] = F.nll_loss(log_prob, kind)
    loss["trunk_points"] = 0.4 * heads.keypoint_loss(out, points)
    loss["trunk_mask"] = 4 * heads.mask_loss(out["mask"], batch["mask"][b, t], batch["dense"][b, t].float())
    if vocabulary is not None:
        z = model.narrator.place(trunk[:, -1])
        log_prob = kind_log_prob(z, *vocabulary, args.tau)
        loss["retrieval"] = F.nll_loss(log_prob, kind)
        if corpus is not None:
            loss["captions"] = args.captions * caption_loss(z, batch["said"], batch["negatives"], corpus, args.tau)
    if args.show == "twice":
        loss["agreement"] = args.agreement * agreement(log_prob)
    undropped = batch["whole"]
    whole, rng = [v[:undropped] for v in taken], np.random.default_rng(batch["drawn"])
    if args.distil and undropped:
        loss["distil"] = args.distil * switches.distil_loss(model.switches, tokens[b[:undropped], t[:undropped], 1:], batch["features"])
    if args.masked and undropped:
        hidden = switches.blocks(undropped, rng).to(tokens.device)
        loss["masked"] = args.masked * switches.masked_loss(model.switches, model.narrator, *whole, batch["codes"], hidden)
    if args.order and undropped:
        loss["order"] = args.order * switches.order_loss(model.switches, model.narrator, *whole, rng)
    if args.speak:
        loss["speak"] = args.speak * switches.speak_loss(model.switches, trunk[:, -1], batch["speak"])
    return loss, log_prob, kind


@torch.no_grad()
def validate(model, items, vocabulary, args, corpus=None, reads_each=READS):
    """Mask IoU, mean keypoint error (share of the canvas side), kind accuracy (linear and z) behind the gate, how often
    the undropped reads have the same most probable kind, and how often what is said of a read is nearer than each of its 16
    nearest sentences with another verb (of the same kind, another noun), where chance would be 1 in 17 or more. `clips` has
    (right, asked) of each; `informative_auc` means nothing without the switch."""
    model.eval()
    inter = union = 0.0  # of the narrator's trunk, at the frames it is asked about
    error, right, right_z, same, total = [], 0, 0, 0, 0
    per_kind = np.zeros((len(words.KINDS), 2), int)
    nearer, speak, clips = {"verb": [], "noun": []}, [], []
    for item in items:
        batch = collate([item], np.random.default_rng(0), lambda _: GATE_ALONE, reads_each=reads_each)
        batch = {k: v.to(args.device) if torch.is_tensor(v) else v for k, v in batch.items()}
        tokens = model.stab(batch["patches"])
        out = model.dense(tokens[1])
        seen = batch["keypoints"][1, ..., 2] > 0.5
        if seen.any():
            gap = (heads.decode_keypoints(out) - batch["keypoints"][1, ..., :2]).norm(dim=-1)
            error.append(gap[seen].mean().item())
        trunk = model.narrator.trunk(*gather_reads(tokens, chosen(tokens, batch)))
        whole, trunk = trunk.chunk(2)
        at = [t for _, t in batch["reads"][: batch["whole"]]]
        kind, told = batch["kind"][0, at], model.trunk(trunk)
        guess, truth = told["mask"] > 0, batch["mask"][0, at] > 0.5
        inter += (guess & truth).sum().item()
        union += (guess | truth).sum().item()
        hit = told["kind"].argmax(-1) == kind
        right += hit.sum().item()
        for k, ok in zip(kind.tolist(), hit.tolist()):
            per_kind[k] += (ok, 1)
        if vocabulary is not None:
            z = model.narrator.place(trunk[:, -1])
            guess, undropped = (
                kind_log_prob(v, *vocabulary, args.tau).argmax(-1) for v in (z, model.narrator.place(whole[:, -1]))
            )
            for true, cosine in zip(batch["said"], z.float().cpu().numpy() @ corpus.embedding.T if corpus else ()):
                for row in true:
                    for name, others in (("verb", corpus.verbs[row]), ("noun", corpus.nouns[row])):
                        others = [o for o in others if o >= 0 and o not in true]
                        if others:
                            nearer[name].append(cosine[row] > cosine[others].max())
            right_z += (guess == kind).sum().item()
            clips.append([(guess == kind).sum().item(), len(kind)])
            same += (guess == undropped).sum().item()
        total += len(kind)
        scores = model.switches.speak(trunk[:, -1]).float().cpu().numpy()
        speak += [(score, label) for score, label in zip(scores, batch["speak"]) if label is not None]
    model.train()
    report = {"mask_iou": inter / max(union, 1), "keypoint_error": float(np.mean(error)), "kind": right / total}
    if vocabulary is not None:
        report |= {"kind_z": right_z / total, "same_undropped": same / total, "clips": clips}
    for i, name in enumerate(("informative", "relevant")):
        report[f"{name}_auc"] = switches.auc([s[i] for s, _ in speak], [label[i] for _, label in speak])
    report |= {name: float(np.mean(of)) for name, of in nearer.items() if of}
    report["per_kind"] = {words.KINDS[k]: f"{a}/{n}" for k, (a, n) in enumerate(per_kind.tolist()) if n}
    return report


def save(path, model, optimizer, state, args):
    """The checkpoint: weights, sizes, progress."""
    content = {
        "stab": model.stab.state_dict(), "narrator": model.narrator.state_dict(),
        "dense": model.dense.state_dict(), "trunk": model.trunk.state_dict(), "switches": model.switches.state_dict(),
        "stab_config": model.stab.config.as_dict(), "narrator_config": model.narrator.config.as_dict(),
        "tau": args.tau, "state": state,
        "optimizer": optimizer.state_dict() if optimizer else None,
    }  # fmt: skip
    write(path, content)


def write(path, content):
    """Write to a temporary name and rename: a reader never sees half a file."""
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, temporary)
    os.replace(temporary, path)


def clip_name(path):
    """`gmdcsa24/subject-1_adl_20`"""
    return f"{Path(path).parent.name}/{Path(path).stem}"


def digest(path):
    """Of the weights of a checkpoint's networks."""
    saved, whole = torch.load(path, map_location="cpu", weights_only=True), hashlib.sha256()
    for part in ("stab", "narrator"):
        for name, value in saved[part].items():
            whole.update(name.encode() + value.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def load_into(model, path, optimizer=None):
    """Weights of a checkpoint into `model`, and its progress. A checkpoint of fewer kinds (they are only ever appended)
    keeps its rows of the kind heads; the new rows, and then the optimizer too, begin afresh, as where it is older than the
    switches. Of a pack that was reopened only what a pack has is there: the other parts begin afresh."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    grown = False
    for name in ("stab", "narrator", "dense", "trunk", "switches"):
        if name not in saved:
            grown = True
            continue
        part, weights = getattr(model, name), saved[name]
        if name in ("dense", "trunk"):
            fresh = part.state_dict()
            for key in ("kind.weight", "kind.bias"):
                old, new = weights[key], fresh[key]
                if len(old) < len(new):
                    weights[key], grown = torch.cat([old, new[len(old) :].cpu()]), True
        part.load_state_dict(weights)
    if optimizer is not None and saved["optimizer"] is not None and not grown:
        optimizer.load_state_dict(saved["optimizer"])
    return saved["state"]


def sizes(path):
    """Sizes of the networks in a checkpoint, the usual ones without."""
    if path is None:
        return st.StabConfig(), nar.NarratorConfig()
    saved = torch.load(path, map_location="cpu", weights_only=True)
    return st.StabConfig(**saved["stab_config"]), nar.NarratorConfig(**saved["narrator_config"])


def product_s(dtype, device):
    """Seconds of the fastest of three products as a step has them, of 8 windows of 12 frames."""
    a, b = torch.randn(8 * 12 * 65, 192, dtype=dtype, device=device), torch.randn(192, 576, dtype=dtype, device=device)
    times = []
    for _ in range(4):
        begun = time.perf_counter()
        (a @ b)[-1, -1].item()  # a GPU is waited for
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def takes_bf16(precision, device):
    """One of PRECISION -> whether products are in bf16. `auto` asks the clock: CPUs with AVX-512 alone need twice as long for
    them, those with AMX or AVX512-BF16 a part of it, and f32 is slow on some that are not the library's maker's."""
    if precision == "auto":
        half, single = product_s(torch.bfloat16, device), product_s(torch.float32, device)
        precision = "bf16" if half < single else "f32"
        print(f"{precision}: a product takes {half * 1e3:.2f} ms in bf16, {single * 1e3:.2f} ms in f32", flush=True)
    return precision == "bf16"


def learning_rate(args, done, step):
    """Warm-up by steps, then level, and down in a straight line over the last part of the budget (Hu et al. 2024, MiniCPM): a run
    can be made longer until then and has lost nothing."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    left = min(1.0, (1.0 - min(done, 1.0)) / COOL_DOWN_SHARE)
    return float(args.lr * warm * (0.02 + 0.98 * left))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clips", nargs="+", default=["data/scenes/train"])
    p.add_argument("--extra", nargs="*", default=[], help="real clips: files or folders, drawn with --extra-share")
    p.add_argument("--extra-share", type=float, default=0.3)
    p.add_argument("--val", nargs="+", default=["data/scenes/val"])
    p.add_argument("--out", type=Path, default=Path("data/checkpoints/base.pt"))
    p.add_argument("--start", type=Path, help="weights to begin with (not the optimizer)")
    p.add_argument("--vocabulary", type=Path, help="pack folder; adds the retrieval loss")
    p.add_argument("--corpus", type=Path, help="what corpus.py made of the clips; adds a contrastive loss on what is said of them")
    p.add_argument("--captions", type=float, default=0.3, help="weight of that loss")
    p.add_argument("--hard", type=int, default=8, help="hard negatives of each sentence; 0 leaves those of the batch")
    p.add_argument("--teacher", type=Path, help="what teacher.py made; needed by --distil and --masked")
    for name in ("distil", "masked", "order", "speak"):
        p.add_argument(f"--{name}", type=float, default=0, help="weight of that switch (switches.py)")
    p.add_argument("--qat", action="store_true", help="train with int8 products (switches.py), without --compile")
    p.add_argument("--minutes", type=float, default=20)
    p.add_argument("--steps", type=int, help="end after so many steps in place of minutes, which makes runs comparable")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--batch", type=int, default=4, help="windows")
    p.add_argument("--show", choices=SHOW, default="either", help="; ".join(f"{k}: {v}" for k, v in SHOW.items()))
    p.add_argument("--agreement", type=float, default=1.0, help="weight of telling the same of both")
    p.add_argument("--reads", type=int, default=READS, help="frames of a window at which the narrator is asked")
    p.add_argument("--adamw", action="store_true", help="AdamW for the matrices, too, in place of Muon")
    p.add_argument("--length", type=int, default=16, help="frames a window")
    p.add_argument("--tau", type=float, default=0.05)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--precision", choices=PRECISION, default="auto", help="of products; auto takes the faster one here")
    p.add_argument("--compile", action="store_true", help="fuse operations: a quarter faster after two minutes")
    p.add_argument("--fresh", action="store_true", help="do not resume from --out")
    p.add_argument("--save-every", type=float, default=120, help="seconds")
    p.add_argument("--val-every", type=float, default=300, help="seconds")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    if (args.distil or args.masked) and not args.teacher:
        p.error("--distil and --masked need --teacher, which teacher.py makes")
    if args.qat and args.compile:
        p.error("--qat and --compile do not go together: what is compiled does not see that its products are int8")
    return args


class Batches(torch.utils.data.IterableDataset):
    """Endless batches, made in a process of their own while the last one is trained on."""

    def __init__(self, args, step):
        self.args, self.step = args, step

    def __iter__(self):
        args = self.args
        # A resumed run must not repeat the draws it began with.
        rng = np.random.default_rng([args.seed, self.step])
        said = corpus.load(args.corpus) if args.corpus else None
        pool = data.Pool(data.find_clips(args.clips), said)
        extra = data.Pool(real_files(args.extra)) if args.extra else None
        print(f"{len(pool)} clips, {len(extra) if extra else 0} extra", flush=True)
        augment = data.Augment(rng, pool)
        see = teacher.Teacher(args.teacher) if args.distil or args.masked else None

        def window():
            while True:
                source = extra if extra and rng.random() < args.extra_share else pool
                clip, _ = source.draw(rng, args.length)
                if len(clip.frames) == args.length:
                    before = int(rng.integers(1, REFRESH_FRAMES)) if rng.random() < 0.6 else 0
                    return data.prepare(augment(clip), before)

        while True:
            windows = [window() for _ in range(args.batch)]
            yield collate(windows, rng, corpus=said, hard=args.hard if said else 0, see=see, reads_each=args.reads,
                          show=args.show)  # fmt: skip


def as_it_is(batch):
    """The loader would make tensors of what stays numpy."""
    return batch


def real_files(extra):
    """Files as they are, folders searched."""
    files = [Path(e) for e in extra if str(e).endswith(".npz")]
    return files + data.find_clips([e for e in extra if not str(e).endswith(".npz")])


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    resumes = args.out.exists() and not args.fresh
    model = Model(*sizes(args.out if resumes else args.start)).to(args.device)
    if args.adamw:
        optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.02, betas=(0.9, 0.98))
    else:
        optimizer = muon.Muon(model, lr=args.lr, weight_decay=0.02, betas=(0.9, 0.98))
    state = {"step": 0, "elapsed_s": 0.0, "seen": [], "before": []}  # before: steps and seconds of what it started from
    start = digest(args.start) if args.start else None
    if resumes:
        state = load_into(model, args.out, optimizer)
        if start and state.get("start", start) != start:
            raise SystemExit(f"{args.out} began with other weights than those of {args.start}: take it away, or --fresh, to begin with these")
        print(f"resumed at step {state['step']}, {state['elapsed_s'] / 60:.1f} min", flush=True)
    elif args.start:
        earlier = load_into(model, args.start)
        state["seen"] = earlier["seen"]
        own = [{k: earlier[k] for k in ("step", "elapsed_s")}] if "step" in earlier else []  # a reopened pack does not know
        state["before"] = earlier.get("before", []) + own
        state["start"] = start
    # Nothing is tested on what is in this list, see evaluate.py.
    state["seen"] = sorted({*state["seen"], *map(clip_name, real_files(args.extra))})
    vocabulary = None
    if args.vocabulary:
        vocabulary = tuple(v.to(args.device) for v in vocabulary_tensors(args.vocabulary))

    said = corpus.load(args.corpus) if args.corpus else None
    embedding = torch.from_numpy(said.embedding).to(args.device) if said else None
    # Evenly from all folders, which differ in what happens.
    val = [p for root in args.val for p in data.find_clips([root])[: VALIDATED // len(args.val)]]
    if not val:
        raise SystemExit(f"no clips to validate on below {', '.join(args.val)}")
    val = [data.prepare(data.load_clip(p, said)) for p in val]
    batches = iter(torch.utils.data.DataLoader(Batches(args, state["step"]), batch_size=None, num_workers=1,
                                               collate_fn=as_it_is, prefetch_factor=4))  # fmt: skip

    if args.compile:
        for part, name in ((model.stab, "forward"), (model.dense, "forward"), (model.narrator, "trunk")):
            setattr(part, name, torch.compile(getattr(part, name), dynamic=part is model.narrator))
    budget = args.minutes * 60
    begun, offset = time.time(), state["elapsed_s"]
    saved = validated = printed = time.time()
    mean, load_s, steps = {}, 0.0, 0
    model.train()
    products = switches.Int8Products if args.qat else contextlib.nullcontext
    bf16 = takes_bf16(args.precision, args.device)
    progress = lambda: state["step"] / args.steps if args.steps else state["elapsed_s"] / budget  # noqa: E731
    while progress() < 1:
        t0 = time.time()
        batch = next(batches)
        batch = {k: v.to(args.device) if torch.is_tensor(v) else v for k, v in batch.items()}
        load_s += time.time() - t0
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, progress(), state["step"])
        with torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=bf16):
            with products():
                loss, log_prob, kind = losses(model, batch, vocabulary, args, embedding)
        total = sum(loss.values())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss["hit"] = (log_prob.argmax(-1) == kind).float().mean() if kind is not None else torch.tensor(0.0)
        for k, v in loss.items():
            mean[k] = 0.95 * mean.get(k, v.item()) + 0.05 * v.item()
        state["step"] += 1
        steps += 1
        now = time.time()
        state["elapsed_s"] = offset + now - begun
        if now - printed > 15:
            printed = now
            terms = " ".join(f"{k} {v:.3f}" for k, v in mean.items())
            left = state["elapsed_s"] * (1 / progress() - 1)
            print(f"step {state['step']} {terms} | {(now - begun) / steps:.2f} s/step, waited {load_s / steps:.2f}, "
                  f"eta {left / 60:.1f} min", flush=True)  # fmt: skip
        if now - validated > args.val_every:
            validated = now
            print("val", json.dumps(validate(model, val, vocabulary, args, said)), flush=True)
        if now - saved > args.save_every:
            saved = now
            save(args.out, model, optimizer, state, args)
    # Every labelled frame, to compare runs by.
    state["validated"] = validate(model, val, vocabulary, args, said, reads_each=1 << 20)
    save(args.out, model, optimizer, state, args)
    print("val", json.dumps(state["validated"]), flush=True)


if __name__ == "__main__":
    main()
