"""Measures, one implementation each. Spans are (start_s, end_s), boxes (x0, y0, x1, y1)."""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from .parse import plain


def tiou(a, b):
    """Temporal intersection over union; 0 where a span is empty or runs backwards."""
    inter = min(a[1], b[1]) - max(a[0], b[0])
    union = (a[1] - a[0]) + (b[1] - b[0]) - max(inter, 0)
    return max(inter, 0) / union if union > 0 and a[1] >= a[0] and b[1] >= b[0] else 0.0


def matched(overlaps, least):
    """How many pairs at most, each row and column once, of an overlap of at least `least`."""
    near = np.asarray(overlaps, float) >= least
    if not near.size:
        return 0
    rows, columns = linear_sum_assignment(~near)
    return int(near[rows, columns].sum())


def f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def set_f1(found, wanted, least, one_to_one=True):
    """F1 of spans at an IoU. Without `one_to_one` a wanted span may be found more than once, as E.T. Bench's script has it."""
    if not found or not wanted:
        return float(not found and not wanted)
    overlaps = np.array([[tiou(f, w) for w in wanted] for f in found])
    if one_to_one:
        hits = matched(overlaps, least)
        return f1(hits / len(found), hits / len(wanted))
    near = overlaps >= least
    return f1(float(near.any(1).mean()), float(near.any(0).mean()))


def seconds_f1(found, wanted, length_s=1000):
    """F1 of two sets of spans, second by second."""

    def marked(spans):
        out = np.zeros(length_s, bool)
        for start, end in spans:
            out[max(round(start), 0) : max(round(end), 0)] = True
        return out

    a, b = marked(found), marked(wanted)
    both = (a & b).sum()
    return f1(both / a.sum(), both / b.sum()) if a.any() and b.any() else 0.0


def box_iou(a, b):
    """Intersection over union; 0 where a box is none."""
    if len(a) != 4 or len(b) != 4:
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def average_precision(scores, labels):
    """Mean of the precision at each positive, by falling score; equal scores count together. NaN without a positive."""
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    if not labels.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.append(scores[1:] != scores[:-1], True)  # ends of runs of equal scores
    hits, seen = np.cumsum(labels)[last], (np.arange(len(labels)) + 1)[last]
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / seen).sum() / labels.sum())


def runs(labels):
    """[(label, start, end)] of stretches of equal labels."""
    out = []
    for at, label in enumerate(labels):
        if out and out[-1][0] == label:
            out[-1] = (label, out[-1][1], at + 1)
        else:
            out.append((label, at, at + 1))
    return out


def edit_score(found, wanted):
    """1 - Levenshtein distance of the orders of segments over the longer one (Lea et al. 2016)."""
    a, b = [r[0] for r in runs(found)], [r[0] for r in runs(wanted)]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return 1 - row[-1] / max(len(a), len(b), 1)


def segment_f1(found, wanted, least):
    """F1@k of action segmentation (Lea et al. 2017): a segment hits the wanted one of its label that it overlaps most, each
    once."""
    a, b = runs(found), runs(wanted)
    taken, hits = set(), 0
    for label, start, end in a:
        near = [(tiou((start, end), w[1:]), k) for k, w in enumerate(b) if w[0] == label]
        best = max(near, default=(0, None))
        if best[0] >= least and best[1] not in taken:
            taken.add(best[1])
            hits += 1
    return f1(hits / len(a), hits / len(b)) if a and b else float(not a and not b)


def token_f1(answer, truth):
    """F1 of the words of two answers, in their normal form, with counts (SQuAD)."""
    a, b = plain(answer).split(), plain(truth).split()
    both = sum(min(a.count(word), b.count(word)) for word in set(a))
    return f1(both / len(a), both / len(b)) if a and b else float(a == b)


def log_mean(shares):
    """V-STaR's logarithmic geometric mean, -mean ln(1 - x); x is kept below 1 - 1e-6, where the script would fail."""
    return -sum(math.log(1 - min(share, 1 - 1e-6)) for share in shares) / len(shares)
