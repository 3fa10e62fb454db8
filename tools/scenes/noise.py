"""Shapes that only motion shows, in the manner of SpookyBench ("Time Blindness", Upadhyay et al. 2025): a field of binary noise
moves one way, the noise inside a shape moves the other way. A single frame is noise and nothing else.

    python noise.py sheet.png          # what a clip looks like, and the difference of its frames, which shows the shape
"""

import sys

import numpy as np

SIDE_PX = 224
HEADINGS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))  # the opposite is 4 further
SHAPES = ("circle", "square", "triangle", "cross", "ring", "star", "bar", "arrow", "heart", "crescent")


def inside(name, x, y):
    """bool: which points of a shape that fills about -1..1 (y up) are inside."""
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    if name == "circle":
        return r < 0.9
    if name == "square":
        return np.maximum(abs(x), abs(y)) < 0.8
    if name == "triangle":
        return (y > -0.6) & (y < 1.0 - 1.7 * abs(x))
    if name == "cross":
        return (np.minimum(abs(x), abs(y)) < 0.28) & (np.maximum(abs(x), abs(y)) < 0.95)
    if name == "ring":
        return (r < 1.0) & (r > 0.55)
    if name == "star":
        # Between the radii of tips and notches by the angle to the nearest tip.
        turn = abs((angle - np.pi / 2 + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
        return r < 0.95 * (1 - 0.9 * turn / (np.pi / 5) * 0.6)
    if name == "bar":
        return (abs(x) < 1.0) & (abs(y) < 0.28)
    if name == "arrow":
        return ((abs(y) < 0.24) & (x > -1) & (x < 0.2)) | ((x >= 0.2) & (x < 1.0) & (abs(y) < 0.95 * (1.0 - x)))
    if name == "heart":
        a, b = x * 1.25, y * 1.2 + 0.15
        return (a * a + b * b - 0.9) ** 3 - a * a * b**3 < 0
    if name == "crescent":
        return (r < 0.95) & (np.hypot(x - 0.45, y) > 0.72)
    raise ValueError(name)


def mask_of(name, centre, half_px, radians):
    """bool [224, 224]"""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    x, y = (x - centre[0]) / half_px, (centre[1] - y) / half_px
    c, s = np.cos(radians), np.sin(radians)
    return inside(name, c * x + s * y, c * y - s * x)


def clip(rng, shape=None, frames=16, easy=False):
    """(frames u8 [T, 224, 224, 3], mask bool [224, 224], index into SHAPES, index into HEADINGS of what moves inside). Dots of 1
    to 4 px of two greys; both fields move along one line, 1 to 3 dots a frame. Easy are larger dots that move by one, straight."""
    index = int(rng.integers(len(SHAPES))) if shape is None else shape
    half = rng.uniform(60, 100)
    centre = rng.uniform(half, SIDE_PX - half, 2)
    mask = mask_of(SHAPES[index], centre, half, rng.uniform(-0.3, 0.3))
    dot, step = (int(rng.integers(2, 5)), 1) if easy else (int(rng.integers(1, 5)), int(rng.integers(1, 4)))
    heading = int(rng.integers(4)) * 2 if easy else int(rng.integers(8))
    along = np.array(HEADINGS[heading]) * step
    cells = -(-SIDE_PX // dot)
    dark, light = sorted(rng.uniform(10, 245, 2)) if rng.random() < 0.5 else (10, 245)
    light = max(light, dark + 60)
    near, far = (rng.random((2, cells, cells)) < 0.5).astype(np.uint8)
    grow = lambda field: field.repeat(dot, 0).repeat(dot, 1)[:SIDE_PX, :SIDE_PX]  # noqa: E731
    out = np.empty((frames, SIDE_PX, SIDE_PX, 3), np.uint8)
    for t in range(frames):
        fore, back = (np.roll(f, tuple(sign * t * along), (1, 0)) for f, sign in ((near, 1), (far, -1)))
        on = np.where(mask, grow(fore), grow(back))
        out[t] = np.clip(dark + (light - dark) * on, 0, 255).astype(np.uint8)[..., None]
    return out, mask, index, heading


def main():
    from PIL import Image

    rows = []
    for index in range(len(SHAPES)):
        frames, mask, _, _ = clip(np.random.default_rng(index), index)
        difference = abs(frames[1:].astype(int) - frames[:-1]).mean(0).clip(0, 255).astype(np.uint8)
        rows.append(np.concatenate([frames[0], frames[8], difference, np.repeat(mask[..., None] * np.uint8(255), 3, -1)], 1))
    half = len(rows) // 2
    Image.fromarray(np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], 1)).save(sys.argv[1])


if __name__ == "__main__":
    main()
