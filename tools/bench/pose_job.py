"""A user's usual way, measured: a pose network on each picture.

data/teacher-venv/bin/python tools/bench/pose_job.py CLIP [--keypoints FILE]

Five pictures a second are taken, as the runtime takes them. Writes one JSON object: pictures, how many the network saw, CPU seconds,
what its libraries keep resident, and times of each picture. The keypoints go into a file, for the rules that make postures and falls of them.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")
import cv2
import mediapipe
import numpy as np

FPS = 5
# BlazePose's 33 landmarks -> COCO's 17 keypoints.
COCO = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
IMPORTED_BYTES = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clip", type=Path)
    p.add_argument("--keypoints", type=Path, help="write keypoints [T, 17, 3], found [T] and aspect here")
    args = p.parse_args()
    cv2.setNumThreads(1)
    video = cv2.VideoCapture(str(args.clip))
    every = max((video.get(cv2.CAP_PROP_FPS) or FPS) / FPS, 1)
    pose = mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=1)
    times_ms, number, taken, aspect = [], 0, 0, 1.0
    keypoints, found = [], []
    began = time.process_time()
    while True:
        ok, picture = video.read()
        if not ok:
            break
        if number >= taken * every - 1e-6:
            start = time.perf_counter()
            taken += 1
            aspect = picture.shape[1] / picture.shape[0]
            seen = pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).pose_landmarks
            marks = seen and np.array([[m.x, m.y, m.visibility] for m in seen.landmark], np.float32)[COCO]
            keypoints.append(np.zeros((len(COCO), 3), np.float32) if marks is None else marks)
            found.append(marks is not None)
            times_ms.append(1000 * (time.perf_counter() - start))
        number += 1
    if args.keypoints:
        np.savez(args.keypoints, keypoints=np.array(keypoints), found=np.array(found), aspect=aspect)
    print(json.dumps({
        "pictures": taken, "computed": taken, "found": sum(found), "cpu_s": time.process_time() - began, "times_ms": times_ms,
        "imported_bytes": IMPORTED_BYTES,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
