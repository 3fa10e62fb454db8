"""Writes what the Rust of this crate must agree with, by the Python that models are trained with.

    python runtime/pipeline/tests/reference.py

selection.bin (tools/train/tokens.py), per history: u8 frames; then per frame u64 windows
kept (bit = window) and the 128 slots after it as u8 age, u8 position (255, 255 = empty).
Ages are not clipped.

gate.bin (tools/train/gate.py), per frame of the pictures of `picture`: u256 patches kept, u256 sent.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools" / "train"))
from gate import GRID, PATCH_BYTES, PATCHES, Gate  # noqa: E402
from tokens import WINDOWS, select  # noqa: E402

# (frames, share of windows kept): nothing, little (ages beyond 31), some, much, everything
HISTORIES = [(3, 0.0), (60, 0.01), (45, 0.05), (45, 0.15), (30, 0.5), (20, 1.0)]
PICTURES = 240


def selections():
    rng = np.random.default_rng(2)
    for frames, share in HISTORIES:
        kept = rng.random((frames, WINDOWS)) < share
        kept[rng.random(frames) < 0.3] = False  # still frames in between
        kept[0] = True
        yield bytes([frames])
        for t in range(frames):
            frame, index, valid = select(kept, t)
            slots = np.stack([t - frame, index[:, 1]], axis=1).astype(np.uint8)
            slots[valid == 0] = 255
            yield np.packbits(kept[t], bitorder="little").tobytes() + slots.tobytes()


def picture(t):
    """u8 [256, 588]: drift, a bright bar that moves, noise that comes and goes, two cuts."""
    i = np.arange(PATCHES * PATCH_BYTES, dtype=np.uint32)
    column = i // PATCH_BYTES % GRID
    noise = (i * np.uint32(2654435761) + np.uint32(t * 40503)) * np.uint32(2246822519) >> 24
    bar = np.where(column == t // 3 % GRID, 90, 0)
    level = 60 + 40 * (t // 100) + column * (t % 100) // 32 + bar
    level = level + (noise * [0, 12, 40, 3][t // 30 % 4] >> 8)
    return level.astype(np.uint8).reshape(PATCHES, PATCH_BYTES)


def gate_choices():
    row = np.arange(PATCHES) // GRID
    gate = Gate((row >= 2) & (row < 14))
    for t in range(PICTURES):
        for mask in (gate.step(picture(t)), gate.sent):
            yield np.packbits(mask, bitorder="little").tobytes()


(HERE / "selection.bin").write_bytes(b"".join(selections()))
(HERE / "gate.bin").write_bytes(b"".join(gate_choices()))
