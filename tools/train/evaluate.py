"""How well a checkpoint tells what happens: gate, STAB, token selection, narrator and speak policy over whole clips.

    python evaluate.py data/checkpoints/base.pt --vocabulary models/home --out data/reports/base.json
    python evaluate.py data/checkpoints/base.pt --int8 --out data/reports/base-int8.json
    python evaluate.py x.pt --set mine=data/real/gmdcsa24/subject-1_*.npz --set other=some/folder

Sets with a real clip that the checkpoint was trained or calibrated on are left out. `--int8` evaluates the int8 form, as the
pack's graphs compute it, and says how far it is from f32 on all sets.

Frame by frame as the runtime does it; frames are batched, which gives the same numbers (test_train.py). Five classes
a half second are the yardstick of the design notes: scored where the label is one of the five, the prediction is the
most probable of the five by smoothed P(kind). Intervals are 95%, by bootstrap over real clips and over households of rendered ones.
"""

import argparse
import glob
import json
from pathlib import Path

import numpy as np
import torch

import data
import export
import gate
import int8
import labels
import speak as sp
import tokens as tok
import train
import words

FIVE = [words.KINDS.index(k) for k in ("stand", "walk", "sit", "lie", "fall")]
FALL, LIE, LIE_STILL = (words.KINDS.index(k) for k in ("fall", "lie", "lie_still"))
HALF_S = 0.5
BEFORE_S, AFTER_S = 1.0, 3.0  # a fall counts as found when told from 1 s before its start to 3 s after its end
SHORTEST_S = {"fall": 0.3}  # shorter runs are no happenings
SHORTEST_OTHER_S = 0.6
EARLY_S, LATE_S = 1.0, 1.5  # a narration is right from so long before its happening to so long after it
CHUNK, PAST = 48, 7  # frames a batch; STAB sees 2 + 2 + 3 frames back
SETS = {
    "scenes-val": "data/scenes/val",
    "subject-1": "data/real/gmdcsa24/subject-1_*.npz",
    "subject-3": "data/real/gmdcsa24/subject-3_*.npz",
    "assist-iot": "data/real/assist-iot",
}


def behind_gate(frames):
    """u8 [T, h, w, 3] -> what STAB sees u8 [T, 256, 588], patches kept bool [T, 256]."""
    return gate.run_gate(gate.patchify(gate.letterbox(frames)), gate.content_patches(*frames.shape[1:3]))


def shown(keep):
    """Patches kept bool [T, 256] -> what stands i64 [T, 64]."""
    return tok.of_kept(gate.window_kept(keep))


@torch.no_grad()
def see(stab, canvas):
    """u8 [T, 256, 588] -> tokens f32 [T, 65, H]."""
    video = []
    for start in range(0, len(canvas), CHUNK):
        past = min(start, PAST)
        part = torch.from_numpy(canvas[start - past : start + CHUNK]).unsqueeze(0)
        video.append(stab(part)[0, past:])
    return torch.cat(video)


@torch.no_grad()
def narrate(narrator, video, stands, lasts=None):
    """tokens f32 [T, 65, H], what stands i64 [T, 64] and lasts bool [T, 64] (tokens.py) -> z f32 [T, 384]."""
    if isinstance(narrator, int8.Int8Narrator):
        video = int8.remembered(video)
    z = []
    for start in range(0, len(video), CHUNK):
        chosen = [tok.select(stands, t, lasts) for t in range(start, min(start + CHUNK, len(video)))]
        picked = torch.stack([tok.gather(video, *c) for c in chosen])
        index, valid = (torch.from_numpy(np.stack([c[i] for c in chosen])) for i in (1, 2))
        z.append(narrator(picked, index, valid))
    return torch.cat(z).numpy()


def describe(stab, narrator, frames):
    """u8 [T, h, w, 3] -> (z f32 [T, 384], share of patches kept f32 [T])."""
    canvas, keep = behind_gate(frames)
    return narrate(narrator, see(stab, canvas), shown(keep)), keep.mean(1)


def drift(paths, models, int8_models, vocabulary, tau):
    """How far int8 is from f32, frame by frame: ||difference|| / ||f32|| of a frame's tokens, cosine between the two z,
    share of frames with the same kind most probable."""
    error, cosine, same = [], [], []
    for path in paths:
        canvas, keep = behind_gate(data.load_clip(path).frames)
        video, video8 = (see(stab, canvas) for stab, _ in (models, int8_models))
        error.append(((video8 - video).flatten(1).norm(dim=1) / video.flatten(1).norm(dim=1)).numpy())
        z, z8 = narrate(models[1], video, shown(keep)), narrate(int8_models[1], video8, shown(keep))
        cosine.append((z * z8).sum(1))
        kind, kind8 = (words.probabilities(v, vocabulary, tau)[1].argmax(1) for v in (z, z8))
        same.append(kind == kind8)
    error, cosine, same = (np.concatenate(v) for v in (error, cosine, same))
    return {
        "clips": len(paths), "frames": len(error),
        "tokens": {"mean": round(float(error.mean()), 5), "worst": round(float(error.max()), 5)},
        "z": {"mean": round(float(cosine.mean()), 6), "worst": round(float(cosine.min()), 6)},
        "same_kind": round(float(same.mean()), 4),
    }  # fmt: skip


class Told:
    """A clip as the model sees it: `z`, times, labels. `table` are the labels of the data set itself."""

    def __init__(self, path, stab, narrator):
        clip = data.load_clip(path)
        with np.load(path) as raw:
            self.times = raw["times"] if "times" in raw else np.arange(len(clip.kind)) / 5
            self.table = raw["table"] if "table" in raw and (raw["table"] >= 0).any() else clip.kind
        self.kind = clip.kind.astype(int)
        self.table = self.table.astype(int)
        self.real = clip.meta.get("source") == "real"
        self.group = labels.household(clip.meta)
        self.z, self.kept = describe(stab, narrator, clip.frames)

    @property
    def seconds(self):
        return float(self.times[-1]) + 0.2

    def probabilities(self, vocabulary, tau):
        return words.probabilities(self.z, vocabulary, tau)


def runs(kind):
    """[(kind, first frame, frame after the last)] of equal labels, unlabelled left out."""
    edge = np.flatnonzero(np.diff(kind)) + 1
    starts, ends = np.r_[0, edge], np.r_[edge, len(kind)]
    return [(int(kind[a]), int(a), int(b)) for a, b in zip(starts, ends) if kind[a] >= 0]


def half_seconds(times, kind, score):
    """Labels and predictions i64 [n] (indices into FIVE) of the half seconds whose label is one of the five. Who lies still
    on the floor lies."""
    kind, score = np.where(kind == LIE_STILL, LIE, kind), score.copy()
    score[:, LIE] += score[:, LIE_STILL]
    bins = np.floor(times / HALF_S + 1e-6).astype(int)
    truth, guess = [], []
    for b in np.unique(bins):
        inside = kind[bins == b]
        inside = inside[inside >= 0]
        if len(inside) and (label := int(np.bincount(inside).argmax())) in FIVE:
            truth.append(FIVE.index(label))
            guess.append(int(score[bins == b][:, FIVE].mean(0).argmax()))
    return np.array(truth, int), np.array(guess, int)


def falls(told, said, table=True, after_s=AFTER_S):
    """(found, labelled, false alarms) of one clip; found up to `after_s` after its end."""
    kind = told.table if table else told.kind
    spans = [(told.times[a], told.times[b - 1]) for k, a, b in runs(kind) if k == FALL]
    alarms = [s.end_us / 1e6 for s in said if s.what == "narration" and s.kind == "fall"]
    near = lambda t, span: span[0] - BEFORE_S <= t <= span[1] + after_s  # noqa: E731
    found = sum(any(near(t, s) for t in alarms) for s in spans)
    false = sum(not any(near(t, s) for s in spans) for t in alarms)
    return found, len(spans), false


def happenings(told):
    """[(kind name, start_s, end_s)] worth telling, from the labels."""
    out = []
    for kind, a, b in runs(told.kind):
        name, start, end = words.KINDS[kind], told.times[a], told.times[b - 1] + 0.2
        if name != sp.SILENCE and end - start >= SHORTEST_S.get(name, SHORTEST_OTHER_S) - 1e-6:
            out.append((name, start, end))
    return out


def judged(told, said):
    """[(narration, whether it is right)], each happening once. Narrations where nothing is labelled do not count."""
    wanted = happenings(told)
    open_ = list(range(len(wanted)))
    out = []
    for s in said:
        if s.what != "narration":
            continue
        t = s.end_us / 1e6
        frame = min(int(np.searchsorted(told.times, t - 1e-3)), len(told.kind) - 1)
        fits = lambda w: w[0] == s.kind and w[1] - EARLY_S <= t <= w[2] + LATE_S  # noqa: B023, E731
        hit = next((i for i in open_ if fits(wanted[i])), None)
        if hit is not None:
            open_.remove(hit)
        if hit is not None or told.kind[frame] >= 0:
            out.append((s, hit is not None))
    return out


def matched(told, said):
    """(right narrations, narrations, happenings)."""
    judgement = judged(told, said)
    return sum(right for _, right in judgement), len(judgement), len(happenings(told))


def calibration_error(scores, right, bins=10):
    """Expected calibration error: mean over `bins` of |mean score - share right|, weighted by what is in each."""
    scores, right = np.asarray(scores, float), np.asarray(right, float)
    at = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[at == b].sum() - right[at == b].sum()) for b in range(bins)]
    return round(float(sum(gaps) / len(scores)), 3) if len(scores) else None


def grouped(parts, groups):
    """[(right, total)] of clips, and the group of each -> f64 [groups, 2]."""
    names = sorted(set(groups))
    out = np.zeros((len(names), np.shape(parts)[-1]))
    np.add.at(out, [names.index(g) for g in groups], np.array(parts, float))
    return out


def bootstrap(parts, rounds=2000, seed=0):
    """[(right, total)] of groups -> [low, high] of right / total over groups drawn anew."""
    parts = np.array(parts, float)
    if len(parts) == 0 or parts[:, 1].sum() == 0:
        return [None, None]
    pick = np.random.default_rng(seed).integers(len(parts), size=(rounds, len(parts)))
    total = parts[pick].sum(1)
    share = total[:, 0] / np.maximum(total[:, 1], 1)
    return [round(float(v), 3) for v in np.percentile(share, [2.5, 97.5])]


def ratio(a, b):
    return round(a / b, 3) if b else None


def assess(clips, vocabulary, tau, speak):
    """The report on a list of `Told`."""
    five, frames, found, labelled, false, narrated, minutes = [], [], 0, 0, 0, [], 0.0
    judgement, plain = [], []
    truth_all, confusion = [], np.zeros((len(words.KINDS),) * 2, int)
    five_confusion = np.zeros((5, 5), int)
    for told in clips:
        entry, kind = told.probabilities(vocabulary, tau)
        smoothed = sp.smooth(kind, speak["smoothing"])
        truth, guess = half_seconds(told.times, told.table, smoothed)
        five.append(((truth == guess).sum(), len(truth)))
        np.add.at(five_confusion, (truth, guess), 1)
        truth_all.append(truth)
        known = told.kind >= 0
        np.add.at(confusion, (told.kind[known], smoothed[known].argmax(1)), 1)
        frames.append(((smoothed[known].argmax(1) == told.kind[known]).sum(), known.sum()))
        said = sp.run(speak, vocabulary, entry, np.rint(told.times * 1e6))
        judgement += judged(told, said)
        plain += judged(told, sp.run(speak | {"calibration": None}, vocabulary, entry, np.rint(told.times * 1e6)))
        f, n, wrong = falls(told, said)
        found, labelled, false = found + f, labelled + n, false + wrong
        narrated.append(sum(s.what == "narration" for s in said))
        minutes += told.seconds / 60
    truth_all = np.concatenate(truth_all)
    interval = lambda parts: bootstrap(grouped(parts, [told.group for told in clips]))  # noqa: E731
    share = lambda parts: ratio(float(sum(p[0] for p in parts)), float(sum(p[1] for p in parts)))  # noqa: E731
    majority = np.bincount(truth_all, minlength=5)
    recall = [five_confusion[i, i] / five_confusion[i].sum() for i in range(5) if five_confusion[i].sum()]
    error = lambda j: calibration_error([s.score for s, _ in j], [right for _, right in j])  # noqa: E731
    mean = lambda j: round(float(np.mean([s.score for s, _ in j])), 3) if j else None  # noqa: E731
    return {
        "scores": {
            "narrations": len(judgement), "right": sum(right for _, right in judgement),
            "mean": mean(judgement), "mean_plain": mean(plain),
            "calibration_error": error(judgement), "calibration_error_plain": error(plain),
        },
        "clips": len(clips), "minutes": round(minutes, 2),
        "five": {
            "accuracy": share(five), "interval": interval(five), "half_seconds": len(truth_all),
            "balanced": ratio(sum(recall), len(recall)),
            "chance_majority": ratio(int(majority.max(initial=0)), len(truth_all)),
            "confusion": {words.KINDS[FIVE[i]]: five_confusion[i].tolist() for i in range(5)},
        },
        "kinds": {
            "accuracy": share(frames), "interval": interval(frames), "frames": int(confusion.sum()),
            "each": {name: kind_report(confusion, k) for k, name in enumerate(words.KINDS)},
        },
        "falls": {"found": found, "labelled": labelled, "false": false,
                  "false_per_hour": round(false / minutes * 60, 1)},
        "narrations_per_minute": round(sum(narrated) / minutes, 2),
        "clips_with_narration": ratio(sum(n > 0 for n in narrated), len(narrated)),
    }  # fmt: skip


def kind_report(confusion, k):
    """Frames, recall and precision of kind `k` in confusion [truth, guess]."""
    right, truth, guessed = int(confusion[k, k]), int(confusion[k].sum()), int(confusion[:, k].sum())
    return {"frames": truth, "recall": ratio(right, truth), "precision": ratio(right, guessed)}


def find(pattern):
    """Files of a comma-separated list of globs and folders."""
    out = []
    for part in str(pattern).split(","):
        out += data.find_clips([part]) if Path(part).is_dir() else sorted(Path(p) for p in glob.glob(part))
    return out


def seen_of(saved, paths):
    """How many real clips of `paths` the checkpoint was trained or calibrated on. A set with one gives no figure."""
    seen = export.seen_by(saved)
    return sum(train.clip_name(p) in seen for p in paths)


def tell(paths, stab, narrator):
    return [Told(p, stab, narrator) for p in paths]


def summary(name, r):
    five, fall = r["five"], r["falls"]
    return " | ".join([
        f"{name}: {r['clips']} clips, {r['minutes']} min",
        f"five classes {five['accuracy']} {five['interval']}",
        f"balanced {five['balanced']}, majority {five['chance_majority']}",
        f"all kinds {r['kinds']['accuracy']}",
        f"falls {fall['found']} of {fall['labelled']}, {fall['false']} false ({fall['false_per_hour']} an hour)",
        f"{r['narrations_per_minute']} narrations a minute, in {r['clips_with_narration']} of clips",
    ])  # fmt: skip


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--vocabulary", default="models/home", help="pack folder")
    p.add_argument("--set", action="append", default=[], metavar="NAME=GLOB[,GLOB]", help="instead of the usual sets")
    p.add_argument("--out", type=Path, help="JSON report")
    p.add_argument("--int8", action="store_true", help="the int8 form")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--note", default="", help="kept in the report")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    stab, narrator, saved = export.load_models(args.checkpoint)
    plain = stab, narrator
    if args.int8:
        stab, narrator = int8.Int8Stab(stab), int8.Int8Narrator(narrator)
    vocabulary = words.load(args.vocabulary)
    speak, tau = saved.get("speak") or export.SPEAK, saved.get("tau", 0.05)
    report = {"checkpoint": args.checkpoint.name, "note": args.note, "int8": args.int8, "tau": tau, "speak": speak,
              "state": saved.get("state"), "sets": {}, "against_f32": {}}  # fmt: skip
    for name, pattern in (dict(s.split("=", 1) for s in args.set) or SETS).items():
        paths = find(pattern)
        if not paths:
            print(f"{name}: no clips at {pattern}; left out", flush=True)
            continue
        if args.int8:
            report["against_f32"][name] = far = drift(paths, plain, (stab, narrator), vocabulary, tau)
            print(f"{name}, int8 against f32: {far}", flush=True)
        if seen := seen_of(saved, paths):
            print(f"{name}: {seen} of {len(paths)} clips are known to it; left out", flush=True)
            continue
        report["sets"][name] = assess(tell(paths, stab, narrator), vocabulary, tau, speak)
        print(summary(name, report["sets"][name]), flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
