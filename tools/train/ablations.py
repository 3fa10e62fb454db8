"""What each switch of the training brings: the same steps on the same draws, each with one thing changed.

    python ablations.py --start data/checkpoints/base.pt --out data/ablations --steps 400

Every run goes on from the same weights and is validated on every labelled frame of clips that nothing was trained on. A run that is
there, of the same command and the same weights, is not repeated. Writes `ablations.json`: accuracies, and the difference to the run without a switch, with an interval
by clips drawn anew, both runs alike. So short a run tells what a switch costs or brings at once, not where it ends.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import train as training

BASE = "nothing added"
RUNS = {
    BASE: [],
    "nothing ever dropped (e)": ["--show", "whole"],
    "told the same of both (e)": ["--show", "twice"],
    "captions, negatives of the batch (c)": ["--corpus", "data/corpus.npz", "--hard", "0"],
    "captions, hard negatives (c)": ["--corpus", "data/corpus.npz"],
    "distil (a)": ["--distil", "0.5"],
    "masked (b)": ["--masked", "0.2"],
    "order (b)": ["--order", "0.5"],
    "speak (d)": ["--speak", "0.5"],
    "qat (f)": ["--qat"],
}
SHOWN = ("kind", "kind_z", "same_undropped", "verb", "noun", "mask_iou", "keypoint_error", "informative_auc", "relevant_auc")


def gain_interval(clips, base, rounds=2000):
    """[low, high] of the gain in accuracy, clips [(right, asked)] of two runs on the same clips."""
    a, b = np.array(clips, float), np.array(base, float)
    drawn = np.random.default_rng(0).integers(len(a), size=(rounds, len(a)))
    share = lambda v: v[drawn, 0].sum(1) / v[drawn, 1].sum(1)  # noqa: E731
    return np.percentile(share(a) - share(b), [2.5, 97.5]).round(4).tolist()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--start", type=Path, default=Path("data/checkpoints/base.pt"))
    p.add_argument("--out", type=Path, default=Path("data/ablations"))
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--only", nargs="*", metavar="WORD", help="of the switches only those with such a word in their name; the rest stays not run")
    p.add_argument("rest", nargs="*", help="after --: what train.py gets besides, such as -- --clips data/scenes/train --lr 2e-4")
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train = Path(__file__).with_name("train.py")
    rows = []
    wanted = lambda name: name == BASE or args.only is None or any(word in name for word in args.only)  # noqa: E731
    if not args.start.exists():
        p.error(f"{args.start} is not there: it is what each run goes on from (recipe.sh, step 5)")
    begun = training.digest(args.start)
    for name, switch in RUNS.items():
        if not wanted(name):
            continue
        # Validation tells of captions for all; without weight they teach nothing.
        told = [] if "--corpus" in switch else ["--corpus", "data/corpus.npz", "--captions", "0"]
        options = [str(o) for o in ("--steps", args.steps, "--teacher", "data/teacher", *told, *switch, *args.rest)]
        kept = hashlib.sha256("\0".join([begun, *options]).encode()).hexdigest()[:8]
        checkpoint = args.out / f"{name.split(' (')[0].replace(',', '').replace(' ', '-')}-{kept}.pt"
        if not checkpoint.exists() or "validated" not in torch.load(checkpoint, weights_only=True)["state"]:
            print(f"== {name}", flush=True)
            subprocess.run([sys.executable, str(train), "--out", str(checkpoint), "--start", str(args.start), *options], check=True)
        state = torch.load(checkpoint, weights_only=True)["state"]
        row = {"name": name, "steps": state["step"], "seconds": round(state["elapsed_s"])}
        row |= {k: state["validated"].get(k) for k in SHOWN}
        rows.append(row | {"clips": state["validated"]["clips"]})
    for row in rows:
        row["gain"], row["interval"] = row["kind_z"] - rows[0]["kind_z"], gain_interval(row["clips"], rows[0]["clips"])
    clips = len(rows[0]["clips"])
    for row in rows:
        del row["clips"]
        print(f"{row['name']:40} {row['kind_z']:.3f} {row['gain']:+.3f} {row['interval']}")
    report = {"start": args.start.name, "clips": clips, "runs": rows}
    (args.out / "ablations.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
