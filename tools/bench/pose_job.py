"""A user's usual way, measured: a pose network on each picture, or on those in which something moves, as Frigate does it
with its detector.

data/teacher-venv/bin/python tools/bench/pose_job.py CLIP [--motion]

Five pictures a second are taken, as the runtime takes them. Motion is Frigate's recipe: 100 lines of grey, blurred, against
a running mean; some of it changed by more than 30. Writes one JSON object: pictures, how many the network saw, CPU seconds,
peak resident set, and times of each picture.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")
import cv2
import mediapipe
import numpy as np

FPS = 5
LINES, CHANGED, LEAST_SHARE, KEEP = 100, 30, 0.002, 0.8
IMPORTED_KIB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Motion:
    """Whether anything moves."""

    def __init__(self):
        self.mean = None

    def seen(self, picture):
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (round(LINES * grey.shape[1] / grey.shape[0]), LINES), interpolation=cv2.INTER_LINEAR)
        small = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
        if self.mean is None:
            self.mean = small
            return True
        moved = (np.abs(small - self.mean) > CHANGED).mean() > LEAST_SHARE
        self.mean = KEEP * self.mean + (1 - KEEP) * small
        return moved


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clip", type=Path)
    p.add_argument("--motion", action="store_true", help="the network sees only what moves, and finds people anew each time")
    args = p.parse_args()
    cv2.setNumThreads(1)
    motion, video = Motion(), cv2.VideoCapture(str(args.clip))
    every = max((video.get(cv2.CAP_PROP_FPS) or FPS) / FPS, 1)
    pose = mediapipe.solutions.pose.Pose(static_image_mode=args.motion, model_complexity=1)
    times_ms, number, taken, computed, found = [], 0, 0, 0, 0
    began = time.process_time()
    while True:
        ok, picture = video.read()
        if not ok:
            break
        if number >= taken * every - 1e-6:
            start = time.perf_counter()
            taken += 1
            if not args.motion or motion.seen(picture):
                computed += 1
                found += pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).pose_landmarks is not None
            times_ms.append(1000 * (time.perf_counter() - start))
        number += 1
    print(json.dumps({
        "pictures": taken, "computed": computed, "found": int(found), "cpu_s": time.process_time() - began, "times_ms": times_ms,
        "rss_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, "imported_bytes": IMPORTED_KIB << 10,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
