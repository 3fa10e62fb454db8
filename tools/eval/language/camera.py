"""Whether the program tells how the camera moves: windows of real clips that are moved over their pictures, so that the truth is exact.

A window of half of a picture's width stands for STILL pictures, moves for some, and stands again, while the clip plays in it: people
move as they do. How fast, in pixels of the model's input from one picture to the next; roll and scale at 0.35 of its side from the
centre. A movement is told right when an event of its name lies over half of it; any other event is false, and all are where
nothing moves: windows that stand, and the real clips as they are, whose cameras are fixed.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import clips
import numpy as np
from PIL import Image

NAMES = {
    "pan_left": "The camera pans left.", "pan_right": "The camera pans right.", "tilt_up": "The camera tilts up.",
    "tilt_down": "The camera tilts down.", "roll_left": "The camera rolls to the left.",
    "roll_right": "The camera rolls to the right.", "in": "The camera moves or zooms in.", "out": "The camera moves or zooms out.",
}  # fmt: skip
SPEEDS = (2.5, 5, 10)
STILL, MOVING = 10, {2.5: 15, 5: 15, 10: 8}
INPUT, SIZE, ARM = 224, (224, 168), 0.35 * 224


def pictures(video):
    """u8 [T, 480, 640, 3]: the middle 4:3 of a clip, 5 a second."""
    crop = "crop='min(iw,ih*4/3)':'min(ih,iw*3/4)',scale=640:480"
    command = ["ffmpeg", "-v", "error", "-i", video, "-vf", f"fps={clips.FPS},{crop}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 480, 640, 3)


def path(name, speed):
    """[(x, y, radians, width)] of the window: its centre in units of the input's pixels from the middle, and its share."""
    count = MOVING.get(speed, 15)
    moved = np.clip(np.arange(2 * STILL + count + 1) - STILL, 0, count) * speed
    middle = moved - moved[-1] / 2
    zero = np.zeros_like(moved)
    x = {"pan_right": middle, "pan_left": -middle}.get(name, zero)
    y = {"tilt_down": middle, "tilt_up": -middle}.get(name, zero)
    turn = {"roll_right": middle, "roll_left": -middle}.get(name, zero) / ARM
    grown = {"in": -moved, "out": moved - moved[-1]}.get(name, zero) / ARM
    return list(zip(x, y, turn, (0.6 if name in ("in", "out") else 0.5) * np.exp(grown)))


def window(picture, x, y, turn, share):
    """What a camera sees there, SIZE: drawn at twice of it."""
    h, w = picture.shape[:2]
    per = w * share / (2 * SIZE[0])  # source pixels a pixel that is drawn
    unit = w * 0.5 / INPUT
    c, s = math.cos(turn) * per, math.sin(turn) * per
    left, top = -SIZE[0] + 0.5, -SIZE[1] + 0.5
    where = (c, -s, w / 2 + x * unit + c * left - s * top, s, c, h / 2 + y * unit + s * left + c * top)
    drawn = Image.fromarray(picture).transform((2 * SIZE[0], 2 * SIZE[1]), Image.Transform.AFFINE, where, Image.Resampling.BILINEAR)
    return np.asarray(drawn.reduce(2))


def moved(source, name, speed):
    """u8 [T, 168, 224, 3], and from when to when it moves in seconds; `name` None stands."""
    way = path(name, speed)
    frames = np.stack([window(source[min(t, len(source) - 1)], *at) for t, at in enumerate(way)])
    return frames, (STILL / clips.FPS, (STILL + MOVING.get(speed, 15)) / clips.FPS)


def judged(told, text, start_s, end_s):
    """(whether it is told, other events): `told` [(text, start_s, end_s)]."""
    over = lambda e: min(e[2], end_s) - max(e[1], start_s)  # noqa: E731
    right = [e for e in told if e[0] == text and over(e) >= (end_s - start_s) / 2]
    return bool(right), len(told) - len(right)


def watch(tools, video):
    """The camera's movements in a clip."""
    command = [tools.program, "replay", video, "--json", "--pack", tools.pack]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    return [(e["text"], e["t_start_s"], e["t_end_s"]) for e in events if e["type"] == "camera"]


def measure(tools):
    videos = sorted(tools.data.glob("gmdcsa24/*/*/*.mp4"))
    sources = videos[:: 8 if tools.quick else 3]
    by_speed = {s: {n: 0 for n in NAMES} for s in SPEEDS}
    wrong, still = 0, 0
    for video in sources:
        source = pictures(video)
        for speed in SPEEDS:
            for name, text in NAMES.items():
                frames, span = moved(source, name, speed)
                clips.write(tools.work / "moved.mp4", frames)
                hit, others = judged(watch(tools, tools.work / "moved.mp4"), text, *span)
                by_speed[speed][name] += hit
                wrong += others
        frames, _ = moved(source, None, 0)
        clips.write(tools.work / "moved.mp4", frames)
        still += len(watch(tools, tools.work / "moved.mp4"))
    fixed = [len(watch(tools, video)) for video in videos]
    return {
        "camera_recall": {str(s): {n: round(c / max(len(sources), 1), 3) for n, c in each.items()} for s, each in by_speed.items()},
        "camera_wrong": wrong, "camera_windows": len(sources) * len(SPEEDS) * len(NAMES),
        "camera_false_still": still, "camera_false_fixed": sum(fixed), "camera_fixed_clips": len(videos),
    }  # fmt: skip


def tell(figures):
    lines = [f"{'px a picture':<12} " + " ".join(f"{n:>10}" for n in NAMES)]
    lines += [f"{s:<12} " + " ".join(f"{v:>10.2f}" for v in each.values()) for s, each in figures["camera_recall"].items()]
    lines.append(f"other events in {figures['camera_windows']} windows that move: {figures['camera_wrong']}; where they stand: {figures['camera_false_still']}")
    lines.append(f"events in {figures['camera_fixed_clips']} real clips of fixed cameras: {figures['camera_false_fixed']}")
    return "\n".join(lines)
