"""Runs the pack through the program on clips of people and rooms that it never saw, beside two baselines, and prints how well
each tells what happens. `cargo xtask eval home` builds the program and the two environments, and calls this.

    .venv/bin/python tools/eval/home.py --json eval.json        from the project's root
"""

import argparse
import json
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

import numpy as np
import torch
import words

import clips
import prepare
import score
from frame_classifier import Features, FrameClassifier
from frame_classifier import macs as classifier_macs
from ocelli import Ocelli, Untested, fair, held_out, with_thresholds
from pose_rules import PoseRules

SYSTEMS = ("ocelli", "pose_rules", "frame_classifier")
REAL = "gmdcsa24"
LAB = "assist-iot"
SCENES = "scenes-test"
VAL_CLIPS = 200  # all that the pack's thresholds were chosen on
FIGURES = {
    "activity_accuracy": "activity", "event_recall_1s": "events 1 s", "told_after_s": "told after s", "fall_recall_2s": "falls 2 s",
    "false_falls_per_hour": "false an hour", "ece": "ECE",
}  # fmt: skip


@dataclass(frozen=True)
class TestSet:
    """`tested` and what the baselines may learn from: `real` clips of others. Rules are chosen on `rules`."""

    name: str
    tested: list
    real: list
    rules: list


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def test_sets(args, rendered, val):
    """Each person of the real set against all others, and the rendered scenes."""
    people = {name: clips.real(args.real, args.data, name) for name in clips.subjects(args.real)}
    lab = clips.real(args.real, args.data, LAB)
    sets = []
    for name, tested in people.items():
        if not all(c.video.exists() for c in tested):
            # Their labels and frames are kept from before; the program needs the clips themselves.
            say(f"SKIPPED {name}: the clips are not in {args.data}")
            continue
        others = [c for other, theirs in people.items() if other != name for c in theirs] + lab
        sets.append(TestSet(name, tested, others, others))
    everybody = [c for theirs in people.values() for c in theirs] + lab
    return [*sets, TestSet(SCENES, rendered, everybody, val)]


class Poses:
    """Keypoints of clips: of real ones as `real.py` left them, of rendered ones as `pose.py` did."""

    def __init__(self, real, kept):
        self.real, self.kept = real, kept

    def __call__(self, clip):
        frames = clip.frames()
        path = self.kept / f"{clips.key(clip.name, frames)}.npz"
        if clip.real:
            path = self.real / "teacher" / f"{clip.name}.npz.cache"
        with np.load(path) as z:
            return z["keypoints"], z["found"], frames.shape[2] / frames.shape[1]


def by_ocelli(args, test_set, thresholds):
    option = fair(thresholds, test_set.tested)
    pack = with_thresholds(args.pack, option, args.work / f"pack-{option['name']}")
    say(f"{test_set.name}: ocelli, thresholds `{option['name']}`, {len(test_set.tested)} clips")
    system = Ocelli(args.program, pack, args.work)
    for clip in test_set.tested:
        if not clip.real:
            clips.encode(clip)
    return [system.answer(clip) for clip in test_set.tested]


def by_pose_rules(test_set, poses):
    say(f"{test_set.name}: pose_rules, trying its thresholds on {len(test_set.rules)} other clips")
    system = PoseRules(poses, test_set.rules)
    say(f"{test_set.name}: pose_rules: {system}")
    return [system.answer(clip) for clip in test_set.tested]


def by_frame_classifier(test_set, features, train, val):
    say(f"{test_set.name}: frame_classifier, training on {len(test_set.real)} real and {len(train)} rendered clips")
    system = FrameClassifier(features, test_set.real, train, val if test_set.name == SCENES else None)
    say(f"{test_set.name}: frame_classifier: {system}")
    return [system.answer(clip) for clip in test_set.tested]


def shown(value, low, high):
    if value is None:
        return "-"
    digits = 0 if (high or 0) > 10 else 2
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(results):
    """The systems side by side."""
    lines = [f"{'set':<20} {'system':<17} {'clips':>5} {'min':>5} " + " ".join(f"{t:>18}" for t in FIGURES.values()) + f" {'falls in 2 s of start':>22}"]
    together = {}
    for (name, system), answers in results.items():
        if name.startswith(REAL):
            together.setdefault((f"{REAL}, all", system), []).extend(answers)
    for (name, system), answers in (results | together).items():
        figures = score.figures(answers)
        cells = [shown(*figures[key]) for key in FIGURES]
        start = shown(*score.share(answers, [score.from_the_start(a) for a in answers]))
        minutes = sum(a.clip.seconds for a in answers) / 60
        lines.append(f"{name:<20} {system:<17} {len(answers):>5} {minutes:>5.1f} " + " ".join(f"{c:>18}" for c in cells) + f" {start:>22}")
    return lines


def details(name, answers):
    """Each narration by itself: how often right, taken for what, how far its probability can be believed."""
    lines = [f"{name}: ocelli, narration by narration", ""]
    lines.append(f"{'kind':<12} {'labelled':>8} {'told':>5} {'recall':>18} {'precision':>18} {'start within 1 s':>18} {'ECE':>18}")
    rows = score.narrations(answers)
    for r in rows:
        cells = [shown(*r[key]) for key in ("recall", "precision", "at_1s", "ece")]
        lines.append(f"{r['kind']:<12} {r['happenings']:>8} {r['told']:>5} " + " ".join(f"{c:>18}" for c in cells))
    lines += ["", "told (rows) when it was labelled (columns):", ""]
    counts = score.confusion(answers)
    columns = [k for k in (*words.KINDS, None) if any(label == k for _, label in counts)]
    lines.append(f"{'':<12} " + " ".join(f"{k or 'no label':>11}" for k in columns))
    for kind in words.KINDS:
        if any(k == kind for k, _ in counts):
            lines.append(f"{kind:<12} " + " ".join(f"{counts[kind, k] or '':>11}" for k in columns))
    edges = score.NARROW
    lines += ["", "reliability: mean P(kind) > share of frames labelled so (frames)", ""]
    lines.append(f"{'':<12} " + " ".join(f"{f'{a:.1f} to {b:.1f}':>18}" for a, b in zip(edges, edges[1:])))
    for r in rows:
        cells = [f"{p:.2f} > {h:.2f} ({n})" if n else "" for n, p, h in score.reliability(answers, words.KINDS.index(r["kind"]))]
        lines.append(f"{r['kind']:<12} " + " ".join(f"{c:>18}" for c in cells))
    _, five = score.activity(answers)
    lines += ["", "five classes, half seconds: labelled (rows), guessed (columns)", ""]
    lines.append(f"{'':<12} " + " ".join(f"{k:>7}" for k in score.FIVE))
    lines += [f"{k:<12} " + " ".join(f"{n:>7}" for n in line) for k, line in zip(score.FIVE, five)]
    return [*lines, ""]


def budget(pack):
    """What the networks compute on a picture."""
    most = tomllib.loads((pack / "pack.toml").read_text())["budget"]["multiply_adds"]
    return (f"multiply-adds a picture: frame_classifier {classifier_macs() / 1e6:.0f} M, ocelli at most {most / 1e6:.0f} M, "
            "narration included, where every patch changed")  # fmt: skip


def main():
    p = argparse.ArgumentParser(description=__doc__, epilog=score.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pack", type=Path, default=Path("models/home"))
    p.add_argument("--program", type=Path, default=Path("target/debug/ocelli"))
    p.add_argument("--data", type=Path, default=Path("../shared/data"), help="real clips")
    p.add_argument("--real", type=Path, default=Path("data/real"), help="their labels, frames and keypoints, by real.py")
    p.add_argument("--scenes", type=Path, default=Path("data/scenes"), help="rendered clips for the baselines: train, val")
    p.add_argument("--train-clips", type=int, default=300, help="how many the frame classifier is trained on")
    p.add_argument("--test-clips", type=int, default=360, help="how many rendered clips to test on")
    p.add_argument("--teacher", type=Path, default=Path("data/teacher-venv/bin/python"), help="Python with mediapipe")
    p.add_argument("--kept", type=Path, default=Path("data/eval"), help="test clips, and what the baselines' networks saw")
    p.add_argument("--work", type=Path, default=Path("target/eval"), help="packs and traces of this run")
    p.add_argument("--json", type=prepare.outcome, help="write a list with a row for each set and system")
    args = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # What the pack has no word for is no test of it.
    vocabulary = words.load(args.pack)
    kinds = [words.KINDS[k] for k in sorted(set(vocabulary.kind.tolist()))]
    # A pack that knows everything is tested on everything, as often as it comes.
    focus = () if len(kinds) == len(words.KINDS) else kinds
    train, val, test = args.scenes / "train", args.scenes / "val", prepare.test_folder(args.kept, focus)
    for folder, count, about in ((train, args.train_clips, ()), (val, VAL_CLIPS, ()), (test, args.test_clips, focus)):
        prepare.scenes(folder, count, args.scenes / "assets", about)
    prepare.real_clips(args.data, args.real, args.teacher, (REAL, LAB))
    poses, features = Poses(args.real, args.kept / "pose"), Features(args.kept / "lite0")
    train, val, rendered = clips.scenes(train, args.train_clips), clips.scenes(val, VAL_CLIPS), clips.scenes(test, args.test_clips)
    prepare.poses(args.teacher, poses.kept, val + rendered)
    results, left_out = {}, [f"{LAB}: all three systems were trained or tuned on it"]
    for test_set in test_sets(args, rendered, val):
        try:
            results[test_set.name, "ocelli"] = by_ocelli(args, test_set, held_out(args.pack))
        except Untested as why:
            left_out.append(f"{test_set.name}, ocelli: {why}")
        results[test_set.name, "pose_rules"] = by_pose_rules(test_set, poses)
        results[test_set.name, "frame_classifier"] = by_frame_classifier(test_set, features, train, val)
    groups = {REAL: [], SCENES: []}
    for (name, system), answers in results.items():
        if system == "ocelli":
            groups[SCENES if name == SCENES else REAL].extend(answers)
    lines = [line for name, answers in groups.items() if answers for line in details(name, answers)]
    lines += table(results)
    lines += [*(f"left out: {why}" for why in left_out), budget(args.pack)]
    print("\n".join(lines))
    if args.json:
        rows = [score.row(name, system, answers) for (name, system), answers in results.items()]
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
