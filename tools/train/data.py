"""Training clips: loading, augmentation, gate simulation and targets.

Clip files are `.npz` as tools/scenes writes them: frames u8 [T, h, w, 3] at 5 fps,
mask_bits/mask_shape, keypoints f32 [T, 17, 3] (COCO order, x and y in 0..1 of the
picture), background u8 [h, w, 3] or [0, 0, 3], kind i8 [T] (-1 = not labelled),
meta JSON. Newer ones hold more (see tools/scenes/README.md) that is not read here.
Everything here is numpy on one thread; a window of 16 frames costs about 50 ms on
one Zen 4 core.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import gate
import words

KEYPOINTS = 17
MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]  # left <-> right
MASK_GRID = 32  # cells of 7x7 px over the 224 px canvas: 4x4 in each window token
CELL_PX = gate.SIDE_PX // MASK_GRID
# How often a kind is drawn by itself, where another one is drawn once: posture is what most cameras are asked about, and hands
# at a table, close to the camera, teach nothing of it.
OFTEN = dict.fromkeys(("walk", "stand", "sit", "sit_down", "get_up", "lie_down", "fall", "bend"), 2.0) | dict.fromkeys(
    ("reach", "pick_up", "put_down", "pour", "stir", "cut", "open", "close", "drink"), 0.5
)


@dataclass
class Clip:
    """One loaded clip; `mask` bool [T, h, w]."""

    frames: np.ndarray
    mask: np.ndarray
    keypoints: np.ndarray
    background: np.ndarray
    kind: np.ndarray
    meta: dict = field(default_factory=dict)
    said: list = None  # rows of the corpus that are true at each frame; None without a corpus

    def __post_init__(self):
        if self.said is None:
            self.said = [()] * len(self.frames)

    def cut(self, start, length):
        s = slice(start, start + length)
        return Clip(self.frames[s], self.mask[s], self.keypoints[s], self.background, self.kind[s], self.meta, self.said[s])

    def wait(self, frames):
        """The clip after `frames` times its first picture, for clips shorter than a window."""
        longer = lambda v: np.concatenate([np.repeat(v[:1], frames, 0), v])  # noqa: E731
        return Clip(longer(self.frames), longer(self.mask), longer(self.keypoints), self.background,
                    longer(self.kind), self.meta, self.said[:1] * frames + self.said)  # fmt: skip


def load_clip(path, corpus=None):
    """The clip in a file; with a corpus also what is said of it."""
    with np.load(path) as z:
        shape = z["mask_shape"]
        mask = np.unpackbits(z["mask_bits"], count=int(np.prod(shape))).reshape(shape).astype(bool)
        narrations = json.loads(str(z["narrations"])) if corpus is not None and "narrations" in z else []
        said = corpus.said(narrations, shape[0]) if narrations else None
        return Clip(
            z["frames"], mask, z["keypoints"].astype(np.float32), z["background"], z["kind"],
            json.loads(str(z["meta"])), said,
        )  # fmt: skip


class Pool:
    """An index of clip files: which kinds appear at which frames of which clip."""

    def __init__(self, paths, corpus=None):
        self.corpus = corpus
        self.paths, self.kinds, self.metas, self.has_background = [], [], [], []
        for path in paths:
            with np.load(path) as z:
                self.kinds.append(z["kind"])
                self.metas.append(json.loads(str(z["meta"])))
            self.paths.append(Path(path))
        self.where = {k: [] for k in range(len(words.KINDS))}
        for i, kind in enumerate(self.kinds):
            for k in np.unique(kind[kind >= 0]):
                self.where[int(k)].append(i)
        self.labelled = [i for i, kind in enumerate(self.kinds) if (kind >= 0).any()]
        self.drawn = [k for k, clips in self.where.items() if clips]
        often = np.array([OFTEN.get(words.KINDS[k], 1.0) for k in self.drawn])
        self.often = often / max(often.sum(), 1.0)

    def __len__(self):
        return len(self.paths)

    def draw(self, rng, length):
        """A random window: (Clip, index). Half of them hold a frame of a kind drawn by itself (`OFTEN`), so that rare ones are
        learnt; the others one of any clip, so that the usual stays the most probable."""
        if rng.random() < 0.5:
            kind = int(rng.choice(self.drawn, p=self.often))
            i = int(rng.choice(self.where[kind]))
        else:
            i = int(rng.choice(self.labelled))
            kind = int(rng.choice(self.kinds[i][self.kinds[i] >= 0]))
        frames = len(self.kinds[i])
        if frames < length:
            return load_clip(self.paths[i], self.corpus).wait(length - frames), i
        target = rng.choice(np.flatnonzero(self.kinds[i] == kind))
        # The target frame goes into the later part of the window: it needs a past.
        start = int(np.clip(target - rng.integers(length // 2, length), 0, frames - length))
        return load_clip(self.paths[i], self.corpus).cut(start, length), i


def find_clips(roots):
    """All .npz below the given folders, sorted."""
    return sorted(p for root in roots for p in Path(root).rglob("*.npz"))


def resize(frames, h, w):
    """u8 [T, a, b, 3] -> u8 [T, h, w, 3], antialiased."""
    if frames.shape[1:3] == (h, w):
        return frames
    x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    x = F.interpolate(x, size=(h, w), mode="bilinear", antialias=True, align_corners=False)
    return x.permute(0, 2, 3, 1).contiguous().numpy()


class Augment:
    """Random changes that keep the label. One draw a window, so motion stays real."""

    def __init__(self, rng, pool=None, swap=0.25, swap_real=0.5):
        self.rng, self.pool, self.swap, self.swap_real = rng, pool, swap, swap_real
        noise = np.random.default_rng(0).standard_normal(1 << 22).astype(np.float32)
        self.noise = [np.clip(np.rint(noise * s), -127, 127).astype(np.int16) for s in (0.7, 1.5, 2.5, 4, 6)]

    def __call__(self, clip):
        clip = self.swap_background(clip)
        clip = self.crop(clip)
        clip = self.flip(clip)
        frames = self.soften(clip.frames)
        frames = self.grain(self.light(frames))
        return replace(clip, frames=frames)

    def swap_background(self, clip):
        """The person on another room. Not where something else moves: it would vanish."""
        real = clip.meta.get("source") != "scenes"
        share = self.swap_real if real else self.swap
        if self.pool is None or self.rng.random() > share or (clip.kind == words.SILENCE).any():
            return clip
        if not clip.meta.get("swap", True):
            return clip  # a pet, a door, a lamp that is switched: it would be lost
        if (~clip.mask.any((1, 2)) & (clip.kind != 0) & real).any():
            return clip  # a person whose mask is not known would vanish
        other = load_clip(self.pool.paths[self.rng.integers(len(self.pool))]).background
        if other.size == 0:
            return clip
        h, w = clip.frames.shape[1:3]
        other = resize(other[None], h, w)
        frames = np.where(clip.mask[..., None], clip.frames, other)
        # What the narrations name may not be in this room.
        return replace(clip, frames=frames, background=other[0], said=[()] * len(frames))

    def crop(self, clip):
        """Zoom in by up to 1.6 and shift, keeping the person's box inside; little where a pet or a thing might be cut off."""
        rng, (h, w) = self.rng, clip.frames.shape[1:3]
        if rng.random() < 0.25:
            return clip
        scale = rng.uniform(0.62 if clip.meta.get("swap", True) else 0.92, 1.0)
        cw, ch = scale * rng.uniform(0.92, 1.08), scale * rng.uniform(0.92, 1.08)
        cw, ch = min(cw, 1), min(ch, 1)
        x0, y0 = rng.uniform(0, 1 - cw), rng.uniform(0, 1 - ch)
        x1, y1 = x0 + cw, y0 + ch
        if clip.mask.any():
            rows = np.flatnonzero(clip.mask.any((0, 2)))
            columns = np.flatnonzero(clip.mask.any((0, 1)))
            x0, x1 = min(x0, columns[0] / w), max(x1, (columns[-1] + 1) / w)
            y0, y1 = min(y0, rows[0] / h), max(y1, (rows[-1] + 1) / h)
        a, b, c, d = int(y0 * h), max(int(y1 * h), 1), int(x0 * w), max(int(x1 * w), 1)
        frames = resize(clip.frames[:, a:b, c:d], h, w)
        yy = (a + (np.arange(h) + 0.5) * (b - a) / h).astype(int)
        xx = (c + (np.arange(w) + 0.5) * (d - c) / w).astype(int)
        mask = clip.mask[:, yy][:, :, xx]
        keypoints = clip.keypoints.copy()
        keypoints[..., 0] = (keypoints[..., 0] * w - c) / (d - c)
        keypoints[..., 1] = (keypoints[..., 1] * h - a) / (b - a)
        return replace(clip, frames=frames, mask=mask, keypoints=keypoints)

    def flip(self, clip):
        if self.rng.random() < 0.5:
            return clip
        keypoints = clip.keypoints[:, MIRROR].copy()
        keypoints[..., 0] = 1 - keypoints[..., 0]
        said = [tuple(int(self.pool.corpus.mirrored[row]) for row in rows) for rows in clip.said]
        return replace(clip, frames=clip.frames[:, :, ::-1], mask=clip.mask[:, :, ::-1], keypoints=keypoints, said=said)

    def soften(self, frames):
        if self.rng.random() > 0.2:
            return frames
        h, w = frames.shape[1:3]
        s = self.rng.uniform(0.45, 0.8)
        return resize(resize(frames, int(h * s), int(w * s)), h, w)

    def _curve(self):
        """A u8 look-up table per channel: gamma, gain, contrast and white balance."""
        rng = self.rng
        v = np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.65, 1.5)
        v = (v - 0.45) * rng.uniform(0.65, 1.3) + 0.45 + rng.uniform(-0.12, 0.12)
        v = v * rng.uniform(0.85, 1.15, 3)
        return np.clip(v * 255, 0, 255).astype(np.uint8)

    def light(self, frames):
        """Colour curve of the window; at times the exposure steps in the middle, by less than a lamp that is switched."""
        rng = self.rng
        curve = self._curve() if rng.random() < 0.85 else np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
        out = np.stack([curve[:, c][frames[..., c]] for c in range(3)], -1)
        if rng.random() < 0.1:
            out = np.repeat(out.mean(-1, keepdims=True).astype(np.uint8), 3, -1)  # night vision
        if rng.random() < 0.1 and len(out) > 4:
            at = int(rng.integers(2, len(out) - 1))
            gain = rng.uniform(0.85, 1.18)
            out[at:] = np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)[out[at:]]
        return out

    def grain(self, frames):
        if self.rng.random() < 0.15:
            return frames
        noise = self.noise[self.rng.integers(len(self.noise))]
        size = frames[0].size
        out = np.empty_like(frames)
        for t, frame in enumerate(frames):
            at = int(self.rng.integers(len(noise) - size))
            out[t] = np.clip(frame + noise[at : at + size].reshape(frame.shape), 0, 255)
        return out


def canvas_targets(clip):
    """(mask share f32 [T, 32, 32], keypoints f32 [T, 17, 3] in 0..1 of the 224 px canvas)."""
    t, h, w = clip.mask.shape
    top, left = (gate.SIDE_PX - h) // 2, (gate.SIDE_PX - w) // 2
    full = np.zeros((t, gate.SIDE_PX, gate.SIDE_PX), np.float32)
    full[:, top : top + h, left : left + w] = clip.mask
    cells = full.reshape(t, MASK_GRID, CELL_PX, MASK_GRID, CELL_PX).mean((2, 4))
    keypoints = clip.keypoints.copy()
    keypoints[..., 0] = (keypoints[..., 0] * w + left) / gate.SIDE_PX
    keypoints[..., 1] = (keypoints[..., 1] * h + top) / gate.SIDE_PX
    inside = (keypoints[..., :2] >= 0).all(-1) & (keypoints[..., :2] < 1).all(-1)
    keypoints[..., 2] *= inside
    return cells, keypoints


def prepare(clip, frames_before=0):
    """What the network sees and should say: a dict of arrays with leading T.

    canvas u8 [T, 256, 588] (what STAB sees behind the gate), whole u8 [T, 256, 588] (the pictures themselves),
    kept bool [T, 64], waited i64 [64] (frames since a window was remembered, at the first picture), mask [T, 32, 32], keypoints [T, 17, 3], kind i64 [T],
    dense bool [T] (mask and keypoints are known: a person is marked, or the kind says nobody is there), said (a list of
    T tuples of rows of the corpus).
    """
    h, w = clip.frames.shape[1:3]
    whole = gate.patchify(gate.letterbox(clip.frames))
    canvas, keep = gate.run_gate(whole, gate.content_patches(h, w), frames_before=frames_before)
    mask, keypoints = canvas_targets(clip)
    if clip.meta.get("people", 1) > 1:
        keypoints[..., 2] = 0  # of the first actor, and nothing in the picture says who that is
    seen = clip.mask.any((1, 2))
    synthetic = clip.meta.get("source") == "scenes"
    return {
        "canvas": canvas,
        "whole": whole,
        "kept": gate.window_kept(keep),
        "waited": gate.waited(frames_before),
        "mask": mask,
        "keypoints": keypoints,
        "kind": clip.kind.astype(np.int64),
        "dense": seen | synthetic | (clip.kind == 0) | (clip.kind == words.SILENCE),
        "said": clip.said,
    }
