"""Token gate: which 14x14 patches of a new frame are worth sending to STAB.

Integer arithmetic throughout, so that the Rust runtime (`runtime/pipeline`) and
this file agree to the bit; `golden/gate_*.npy` in each pack checks that. The rule
is TimeChat-Online's differential token drop in pixel mode, with the reference
being the last SENT patch (slow drift then shows in the end), a threshold that
follows the sensor's noise, and a forced refresh: every window is kept anew in
turn, and the whole picture is sent once in as many frames. Pixels that moved by
less than the threshold are not sent with their window's turn, because each sent
patch makes STAB compute a neighbourhood of it for five frames.
"""

from dataclasses import dataclass

import numpy as np

SIDE_PX = 224
PATCH_PX = 14
GRID = SIDE_PX // PATCH_PX  # 16 patches a side
PATCHES = GRID * GRID
PATCH_BYTES = PATCH_PX * PATCH_PX * 3
WINDOWS = (GRID // 2) ** 2  # 64 windows of 2x2 patches
WINDOW_PHASE = np.arange(WINDOWS) * 7  # windows take turns in being refreshed
GREY = 114  # letter-box value


@dataclass(frozen=True)
class GateConfig:
    """The `[gate]` table of pack.toml."""

    min_mad: int = 4  # smallest threshold, mean absolute difference per byte
    noise_factor_num: int = 5
    noise_factor_den: int = 2
    refresh_frames: int = 25
    whole_frame_tenths: int = 6


def letterbox(frames):
    """u8 [T, h, w, 3], longer side 224 -> u8 [T, 224, 224, 3], content centred."""
    t, h, w, _ = frames.shape
    if max(h, w) > SIDE_PX:
        raise ValueError(f"picture {w}x{h} is larger than {SIDE_PX}")
    out = np.full((t, SIDE_PX, SIDE_PX, 3), GREY, np.uint8)
    top, left = (SIDE_PX - h) // 2, (SIDE_PX - w) // 2
    out[:, top : top + h, left : left + w] = frames
    return out


def content_patches(h, w):
    """bool [256]: patches that touch the h x w picture inside the letter-box."""
    y0, x0 = (SIDE_PX - h) // 2, (SIDE_PX - w) // 2
    start = np.arange(GRID) * PATCH_PX
    rows = (start + PATCH_PX > y0) & (start < y0 + h)
    columns = (start + PATCH_PX > x0) & (start < x0 + w)
    return (rows[:, None] & columns[None, :]).reshape(-1)


def patchify(frames):
    """u8 [T, S, S, 3] -> u8 [T, P, 588]: row-major patches, each [row][col][channel]."""
    t, side = frames.shape[0], frames.shape[1] // PATCH_PX
    x = frames.reshape(t, side, PATCH_PX, side, PATCH_PX, 3)
    return np.ascontiguousarray(x.transpose(0, 1, 3, 2, 4, 5)).reshape(t, side * side, PATCH_BYTES)


def window_kept(keep):
    """bool [..., 256] -> bool [..., 64]: a window is kept when any of its patches is."""
    shape = keep.shape[:-1] + (GRID // 2, 2, GRID // 2, 2)
    return keep.reshape(shape).any(axis=(-3, -1)).reshape(keep.shape[:-1] + (WINDOWS,))


def _sad(a, b):
    """Sum of absolute differences per patch: i64 [P]."""
    return np.abs(a.astype(np.int16) - b.astype(np.int16)).sum(axis=1, dtype=np.int64)


def _div(a, b):
    """Integer division truncating toward zero, as Rust's `/` does."""
    return a // b if a >= 0 else -((-a) // b)


class Gate:
    """State of one stream. `reference` u8 [256, 588] is the canvas STAB sees."""

    def __init__(self, content, config=GateConfig()):
        self.content = np.asarray(content, bool)
        self.config = config
        self.reference = None
        self.previous = None
        self.sent = None
        self.noise16 = 0  # 16 x the running lower quartile of frame-to-frame SAD
        self.seq = 0
        row, column = np.divmod(np.arange(PATCHES), GRID)
        self._window_of = (row // 2) * (GRID // 2) + column // 2
        self._window_phase = WINDOW_PHASE

    def step(self, current):
        """u8 [256, 588] -> keep bool [256]: patches whose windows are remembered. Updates `sent`
        bool [256], the patches whose pixels STAB gets, and `reference`."""
        if self.reference is None:
            self.reference, self.previous = current.copy(), current.copy()
            self.seq = 1
            self.sent = np.ones(PATCHES, bool)
            return self.sent
        c = self.config
        sad_ref = _sad(current, self.reference)
        quiet = np.sort(_sad(current, self.previous)[self.content])
        quartile = int(quiet[len(quiet) // 4])
        self.noise16 += _div(quartile * 16 - self.noise16, 8)
        self.noise16 = min(max(self.noise16, 0), 16 * PATCH_BYTES * 6)
        threshold = max(
            PATCH_BYTES * c.min_mad,
            self.noise16 // 16 * c.noise_factor_num // c.noise_factor_den,
        )
        changed = self.content & (sad_ref > threshold)
        if int(changed.sum()) * 10 > int(self.content.sum()) * c.whole_frame_tenths:
            changed = self.content.copy()
        forced = (self.seq + self._window_phase) % c.refresh_frames == 0
        keep = changed | forced[self._window_of]
        self.sent = changed | (self.seq % c.refresh_frames == 0)
        self.reference[self.sent] = current[self.sent]
        self.previous = current.copy()
        self.seq += 1
        return keep


def run_gate(patches, content, config=GateConfig(), frames_before=0):
    """u8 [T, 256, 588] -> (canvas u8 [T, 256, 588], keep bool [T, 256]: whose windows are remembered). As in a stream
    that began `frames_before` frames earlier: its refresh then falls on other frames."""
    gate = Gate(content, config)
    canvas, keep = np.empty_like(patches), np.empty(patches.shape[:2], bool)
    for t, current in enumerate(patches):
        keep[t] = gate.step(current)
        canvas[t] = gate.reference
        if t == 0:
            gate.seq += frames_before
    return canvas, keep


def waited(frames_before, config=GateConfig()):
    """i64 [64]: for how many frames each window was not remembered when the stream began `frames_before` frames ago and
    nothing moved since."""
    if frames_before == 0:
        return np.zeros(WINDOWS, np.int64)
    return np.minimum((frames_before + WINDOW_PHASE) % config.refresh_frames, frames_before)
