"""How a day of views is judged, and what is compared of a window that pans."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import narrations
import numpy as np
import speak as sp
import views
import words


@dataclass(frozen=True)
class Day:
    times: np.ndarray
    kind: np.ndarray
    table: np.ndarray
    group: str = "day"

    @property
    def seconds(self):
        return len(self.times) / 5


def said(kind, start_s, end_s):
    return sp.Spoken("narration", 0, kind, round(start_s * 1e6), round(end_s * 1e6), 0.9, 1, 2)


def test_what_goes_on_in_the_next_view_is_an_event_of_its_own():
    walk = np.full(50, words.KINDS.index("walk"))
    day = Day(np.arange(50) / 5, walk, walk)
    told = [said("walk", 0.0, 0.4), said("walk", 5.0, 6.4)]
    whole, split = narrations.figures([(day, told)]), narrations.figures(views.apart(day, [0, 25], told))
    assert (whole["events"], whole["recall"], whole["precision"]) == (1, 1, 0.5)
    assert (split["events"], split["recall"], split["precision"]) == (2, 1, 1)
    assert narrations.figures(views.apart(day, [0, 25], told[:1]))["recall"] == 0.5


def test_each_saying_is_of_the_clip_in_which_it_was_told():
    kinds = np.zeros(30, int)
    parts = views.apart(Day(np.arange(30) / 5, kinds, kinds), [0, 10, 20], [said("sit", 1.8, 2.0), said("sit", 3.0, 3.8), said("sit", 3.8, 9.0)])
    assert [len(clip.times) for clip, _ in parts] == [10, 10, 10]
    assert [[s.end_us / 1e6 for s in told] for _, told in parts] == [[], [2.0, 3.8], [9.0]]


def test_a_window_is_watched_by_the_programs_own_words(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(views.clips, "write", lambda video, frames: written.append((video, frames)))
    rows = [{"kinds": {"walk": 0.2, "sit": 0.7}}, {"kinds": {"walk": 0.6, "sit": 0.3}}]
    (tmp_path / "trace.jsonl").write_text("\n".join(map(json.dumps, rows)))
    events = [{"type": "camera", "text": "The camera pans left."}, {"type": "narration", "text": "Someone sits."}]
    ran = SimpleNamespace(stdout="\n".join(map(json.dumps, events)), stderr="ocelli: 2 pictures, 2 seen; 37% of patches kept, 1 whole")
    asked = []
    monkeypatch.setattr(views.subprocess, "run", lambda command, **_: asked.append(command) or ran)
    tools = SimpleNamespace(work=tmp_path, program="ocelli", pack="home")
    assert views.watched(tools, "frames", "motion_compensation") == (["Someone sits."], ["sit", "walk"], 37.0)
    assert written == [(tmp_path / "moved.mp4", "frames")]
    assert Path(asked[0][-1]).read_text() == "[camera]\nmotion_compensation = true\n"
    assert views.config(tools, None).read_text() == ""
