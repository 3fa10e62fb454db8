"""Keypoints of a pose network on rendered clips; `tools/train/real.py` does the same for real ones.

    data/teacher-venv/bin/python tools/eval/pose.py data/eval/pose data/scenes/val/*.npz

For each clip a file `<key>.npz` with keypoints f32 [T, 17, 3] (x and y in 0..1 of the picture, visibility)
and found bool [T]. BlazePose of mediapipe, with `real.py`'s second look for people who lie. What exists stays.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
os.environ.setdefault("GLOG_minloglevel", "2")
import clips
import cv2
import real


def observe(teacher, frames):
    """u8 [T, h, w, 3] -> dict of keypoints, found."""
    teacher.tracker.reset()
    keypoints, found = np.zeros((len(frames), 17, 3), np.float32), np.zeros(len(frames), bool)
    for t, frame in enumerate(frames):
        if seen := teacher.see(frame):
            keypoints[t], found[t] = seen[0], True
    return {"keypoints": keypoints, "found": found}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("clips", nargs="+", type=Path)
    args = p.parse_args()
    cv2.setNumThreads(1)
    # One for all: what mediapipe holds of each is never given back.
    teacher = real.Teacher()
    for done, path in enumerate(args.clips, 1):
        with np.load(path) as z:
            frames = z["frames"]
        out = args.out / f"{clips.key(f'{path.parent.name}/{path.stem}', frames)}.npz"
        if not out.exists():
            real.write(out, observe(teacher, frames))
        if done % 20 == 0 or done == len(args.clips):
            print(f"keypoints of {done} of {len(args.clips)} rendered clips", file=sys.stderr)


if __name__ == "__main__":
    main()
