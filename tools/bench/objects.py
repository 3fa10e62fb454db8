"""What a detector of objects needs around it: where it looks, what its network's outputs mean, and when an object is told of."""

import numpy as np

FPS = 5
SIZE, STRIDES, BINS = 416, (8, 16, 32), 11
SEEN, GONE_S = 3, 5


def around(boxes, width, height):
    """(x, y, side) of the smallest square that holds the boxes with a fifth more, of SIZE at least where the picture has as much."""
    x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
    x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
    side = round(min(max(1.2 * (x1 - x0), 1.2 * (y1 - y0), SIZE), max(width, height)))
    place = lambda middle, most: round(min(max(middle - side / 2, 0), max(most - side, 0)))  # noqa: E731
    return place((x0 + x1) / 2, width), place((y0 + y1) / 2, height), side


def decoded(outputs):
    """NanoDet's heads {(places, 80): scores, (places, 4 * BINS): distances} -> (boxes [n, 4] in pixels of SIZE, scores [n, 80])."""
    boxes, scores = [], []
    for stride in STRIDES:
        cells = -(-SIZE // stride)
        likely, sides = outputs[cells * cells, 80], outputs[cells * cells, 4 * BINS].reshape(-1, 4, BINS)
        sides = np.exp(sides - sides.max(2, keepdims=True))
        apart = (sides / sides.sum(2, keepdims=True)) @ np.arange(BINS) * stride  # left, top, right, bottom of a place
        places = (np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), 2).reshape(-1, 2) + 0.5) * stride
        boxes.append(np.concatenate([places - apart[:, :2], places + apart[:, 2:]], 1))
        scores.append(likely)
    return np.concatenate(boxes), np.concatenate(scores)


class Objects:
    """What is there, by its label: told of once it was found often enough."""

    def __init__(self):
        self.there = {}  # label: [found in a row, last found at, boxes, told]

    def boxes(self):
        return [box for _, _, boxes, _ in self.there.values() for box in boxes]

    def put(self, found, at_s):
        """What this picture adds, as [{"label", "from_s", "told_s"}]."""
        news = []
        for label in {f[0] for f in found} | set(self.there):
            boxes = [f[2] for f in found if f[0] == label]
            row, last_s, before, told = self.there.get(label, (0, at_s, [], False))
            if boxes:
                row, last_s, before = row + 1, at_s, boxes
            elif not told:
                row = 0
            if not told and row >= SEEN:
                told = True
                news.append({"label": label, "from_s": at_s - (SEEN - 1) / FPS, "told_s": at_s})
            if boxes or at_s - last_s <= GONE_S and (told or row):
                self.there[label] = row, last_s, before, told
            else:
                del self.there[label]
        return news
