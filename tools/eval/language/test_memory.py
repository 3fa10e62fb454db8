"""What the memory's tiers are asked, and when their answers count as right."""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import memory
import numpy as np
import words


@dataclass
class Day:
    times: np.ndarray
    kind: np.ndarray


def day():
    """Two clips of five seconds: somebody walks, then somebody sits; a second without labels behind each."""
    walk, sit = words.KINDS.index("walk"), words.KINDS.index("sit")
    kind = np.array(([walk] * 25 + [-1] * 5) + ([sit] * 25 + [-1] * 5))
    return Day(np.arange(len(kind)) / 5, kind)


def test_a_question_is_of_a_clip_and_a_kind_that_was_not_told_there():
    recalled = {
        "told": [{"kind": "walk", "start_s": 0.4, "end_s": 0.8}],
        "moments": [{"kind": "sit", "at_s": 1.0, "probability": 0.3}, {"kind": "sit", "at_s": 7.0, "probability": 0.2}],
    }
    assert memory.spans(day()) == [(0, 25), (30, 55)]
    # Sat in the first clip: recalled, and wrong. Walked in the second: nothing recalled. Sat in it: right.
    assert memory.questions(day(), recalled) == [(0.3, False, False), (0.2, True, True), (-1.0, False, False)]
    # Quiet as it is, nobody was told of the walk; and what is less probable than it must be is not recalled.
    walked = {"kind": "walk", "at_s": 2.0, "probability": 0.3}
    recalled["moments"].append(walked)
    quiet = memory.questions(day(), recalled, quiet=True, least=lambda kind: 0.25)
    assert quiet == [(0.3, False, False), (0.3, True, True), (-1.0, False, True), (-1.0, False, False)]


def test_a_floor_is_the_lowest_from_which_enough_is_right():
    asked = [(0.35, False, False)] * 10 + [(0.65, True, True)] * 19 + [(0.65, False, True)]
    assert memory.row(asked, 0.6) == {"floor": 0.6, "answered": 20, "precision": 0.95, "recall": 0.95}
    assert memory.calibrated(asked) == 0.4
    assert memory.calibrated(asked[:12]) is None
    assert memory.row([], 0.0)["precision"] is None
