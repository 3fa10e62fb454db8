"""The mean of the weights of checkpoints that began as one, which bears new rooms better than the last of them (WiSE-FT, Wortsman et al. 2022).

    python mean.py data/checkpoints/base.pt data/checkpoints/next.pt --out data/checkpoints/mean.pt

All else (progress, the clips seen, what only training uses) is that of the last one, which has seen all that the others have.
"""

import argparse
from pathlib import Path

import torch

import train

TRAINING = ("dense", "trunk")  # which a reopened pack has not
PARTS = ("stab", "narrator", *TRAINING)


def mean(checkpoints):
    """Contents of checkpoints -> content of one."""
    out = dict(checkpoints[-1])
    for part in PARTS:
        if part in TRAINING and any(part not in c for c in checkpoints):
            out.pop(part, None)
            continue
        names = [list(c[part]) for c in checkpoints]
        shapes = [[v.shape for v in c[part].values()] for c in checkpoints]
        if any(n != names[-1] for n in names) or any(s != shapes[-1] for s in shapes):
            raise SystemExit(f"the checkpoints have other weights in {part}: only what began as one network has a mean")
        average = lambda values: sum(values) / len(values) if values[-1].is_floating_point() else values[-1]  # noqa: E731
        out[part] = {name: average([c[part][name] for c in checkpoints]) for name in names[-1]}
    # Moments of an optimizer belong to the weights that it has moved.
    return out | {"optimizer": None}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoints", type=Path, nargs="+")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    train.write(args.out, mean([torch.load(path, map_location="cpu", weights_only=True) for path in args.checkpoints]))


if __name__ == "__main__":
    main()
