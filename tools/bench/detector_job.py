"""Motion first and a detector of objects where something moves, as Frigate works, measured.

target/bench/venv/bin/python tools/bench/detector_job.py CLIP --model data/nanodet.onnx

Five pictures a second are taken, as the runtime takes them. Motion is Frigate's recipe: 100 lines of grey, blurred, against a running
mean; what changed by more than 30. The detector sees one square around what moves and around what was found before, once a picture, or
nothing. An object is told of when it was found in three pictures in a row, and is gone when it was not found for five seconds. The
detector is NanoDet-g (`detector.sh`) at 416 px, by ONNX Runtime on one thread. Writes one JSON object: pictures, how many the detector
saw, what was told and when, CPU seconds, what its libraries keep resident, and times of each picture.
"""

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from objects import FPS, SIZE, Objects, around, decoded

LINES, CHANGED, LEAST_SHARE, KEEP = 100, 30, 0.002, 0.8
# Of the pictures that NanoDet was trained on: blue, green, red.
MEAN, DEVIATION = np.array([103.53, 116.28, 123.675], np.float32), np.array([57.375, 57.12, 58.395], np.float32)
LEAST_SCORE, SAME_IOU = 0.4, 0.5
LABELS = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck", 15: "cat", 16: "dog"}
IMPORTED_BYTES = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Motion:
    """What moves."""

    def __init__(self):
        self.mean = None

    def seen(self, picture):
        """The box (x0, y0, x1, y1) in pixels around all that changed; None where too little did. All of the first picture."""
        height, width = picture.shape[:2]
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (round(LINES * width / height), LINES), interpolation=cv2.INTER_LINEAR)
        small = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
        if self.mean is None:
            self.mean = small
            return 0, 0, width, height
        moved = np.abs(small - self.mean) > CHANGED
        self.mean = KEEP * self.mean + (1 - KEEP) * small
        if moved.mean() <= LEAST_SHARE:
            return None
        (rows, columns), scale = np.nonzero(moved), height / LINES
        return tuple(float(v * scale) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


class Detector:
    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def found(self, picture, region):
        """[(label, score, (x0, y0, x1, y1))] in pixels of the picture; beyond its edge the square is grey."""
        x, y, side = region
        part = picture[y : y + side, x : x + side]
        part = cv2.copyMakeBorder(part, 0, side - part.shape[0], 0, side - part.shape[1], cv2.BORDER_CONSTANT, value=(114, 114, 114))
        part = (cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) - MEAN) / DEVIATION
        told = self.session.run(None, {self.input: part.transpose(2, 0, 1)[None].astype(np.float32)})
        boxes, scores = decoded({o.shape[1:]: o[0] for o in told})
        keep = cv2.dnn.NMSBoxesBatched([(a, b, c - a, d - b) for a, b, c, d in boxes], scores.max(1).tolist(), scores.argmax(1).tolist(), LEAST_SCORE, SAME_IOU)
        scale, shift = side / SIZE, np.array([x, y, x, y])
        return [(LABELS[label], float(scores[k, label]), tuple(boxes[k] * scale + shift)) for k in keep if (label := int(scores[k].argmax())) in LABELS]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clip", type=Path)
    p.add_argument("--model", type=Path, required=True)
    args = p.parse_args()
    cv2.setNumThreads(1)
    motion, detector, objects, video = Motion(), Detector(args.model), Objects(), cv2.VideoCapture(str(args.clip))
    every = max((video.get(cv2.CAP_PROP_FPS) or FPS) / FPS, 1)
    times_ms, told, number, taken, computed = [], [], 0, 0, 0
    began = time.process_time()
    while True:
        ok, picture = video.read()
        if not ok:
            break
        if number >= taken * every - 1e-6:
            start, at_s = time.perf_counter(), taken / FPS
            taken += 1
            moved = motion.seen(picture)
            if moved is not None:
                computed += 1
                region = around([moved, *objects.boxes()], picture.shape[1], picture.shape[0])
                told += objects.put(detector.found(picture, region), at_s)
            times_ms.append(1000 * (time.perf_counter() - start))
        number += 1
    print(json.dumps({
        "pictures": taken, "computed": computed, "told": told, "cpu_s": time.process_time() - began, "times_ms": times_ms,
        "imported_bytes": IMPORTED_BYTES,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
