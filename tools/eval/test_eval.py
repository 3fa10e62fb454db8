"""Tests of the evaluation: `pytest tools/eval` (a few seconds; no data, no network and no program needed)."""

from dataclasses import replace
from pathlib import Path

import evaluate as ev
import numpy as np
import pytest
import speak as sp
import words

import camera
import clips
import frame_classifier as fc
import home
import job
import narrations
import ocelli
import pose_rules as pr
import score
from answers import Answer, Guessed
from clips import Clip

K = words.KINDS.index
SPEAK = {"smoothing": 0.0, "threshold": 0.5, "hold_off_s": 0.4, "kinds": {"fall": (0.5, 0.0)}}


def clip(kinds, name="a", group=None, real=True):
    """A clip of a list of (kind or None, frames)."""
    kind = np.concatenate([np.full(n, -1 if k is None else K(k)) for k, n in kinds])
    return Clip(name, Path(), Path(), np.arange(len(kind)) / 5, kind, kind, group or name, name, real)


def sure(kinds, p=0.9):
    """P(kind) f32 [T, K]: `p` for each of a list of (kind, frames)."""
    out = np.full((sum(n for _, n in kinds), len(words.KINDS)), (1 - p) / (len(words.KINDS) - 1), np.float32)
    at = 0
    for kind, n in kinds:
        out[at : at + n, K(kind)] = p
        at += n
    return out


def told(kind, start_s, end_s, what="narration"):
    return sp.Spoken(what, 0, kind, round(start_s * 1e6), round(end_s * 1e6), 0.9, 1, 2)


STORY = [("walk", 10), ("fall", 8), ("lie", 12)]


def test_who_tells_all_in_time_has_all_figures_at_their_best():
    answers = [Guessed(clip(STORY, name), sure(STORY, 0.999)).answer(SPEAK) for name in "abc"]
    figures = score.figures(answers)
    for name in ("activity_accuracy", "event_recall_1s", "fall_recall_2s"):
        value, low, high = figures[name]
        assert (value, high) == (1, 1) and low == pytest.approx(0.025 ** (1 / 3), abs=1e-3), "three clips prove little"
    rate, low, high = figures["false_falls_per_hour"]
    assert (rate, low) == (0, 0) and high == pytest.approx(3.689 / (3 * 6 / 3600), rel=1e-3)
    assert figures["ece"][0] == pytest.approx(0.001, abs=1e-3)


def test_a_row_has_bounds_beside_each_figure_and_null_where_there_is_none():
    rules = Guessed(clip([("walk", 20)]), sure([("walk", 20)])).answer(SPEAK, is_probable=False)
    row = score.row("a set", "pose_rules", [rules])
    assert (row["set"], row["system"], row["hours"]) == ("a set", "pose_rules", round(4 / 3600, 4))
    for key in ("activity_accuracy", "event_recall_1s", "fall_recall_2s", "false_falls_per_hour", "ece"):
        assert {key, f"{key}_low", f"{key}_high"} <= row.keys()
    assert row["ece"] is None and row["fall_recall_2s"] is None and row["activity_accuracy"] == 1


def test_changes_are_what_was_not_there_before_and_lasts():
    kinds = [("sit", 5), (None, 3), ("sit", 5), ("get_up", 3), ("stand", 2), ("walk", 3), ("fall", 2), ("lie", 5)]
    c = clip(kinds)
    assert score.changes(c.times, c.kind) == [("sit", 0), ("walk", 3.6), ("fall", 4.2), ("lie", 4.6)]


def test_an_event_is_recalled_by_a_start_within_a_second_and_each_saying_counts_once():
    wanted = [("walk", 2.0), ("walk", 2.8), ("sit", 6.0)]
    assert score.recalled(wanted, [told("walk", 2.4, 3.0), told("sit", 7.2, 7.8)]) == (1, 3)
    assert score.recalled(wanted, [told("walk", 1.0, 1.4), told("walk", 3.8, 4.2), told("sit", 5.0, 9.0)]) == (3, 3)
    assert score.recalled(wanted, [told("walk", 2.0, 2.4, "alert")]) == (0, 3), "an alert is no second narration"


@pytest.mark.parametrize(
    ("end_s", "found", "false", "from_start"),
    [(0.9, 0, 1, 0), (1.0, 1, 0, 1), (4.0, 1, 0, 1), (4.2, 1, 0, 0), (5.4, 1, 0, 0), (5.6, 0, 1, 0)],
)
def test_a_fall_is_told_from_a_second_before_it_to_two_after_it(end_s, found, false, from_start):
    c = clip(STORY)  # it falls from 2.0 to 3.4 s
    said = [told("fall", end_s - 0.2, end_s)]
    assert ev.falls(c, said, after_s=score.FALL_S) == (found, 1, false)
    assert score.from_the_start(Answer(c, sure(STORY), said)) == (from_start, 1)


def test_rooms_are_drawn_whole():
    answers = [Answer(clip(STORY, name, group), sure(STORY), []) for name, group in (("a", "r"), ("b", "r"), ("c", "s"))]
    assert score.grouped(answers, [(1, 2), (1, 2), (0, 2)]).tolist() == [[2, 4], [0, 2]]
    assert score.share(answers, [(1, 2), (1, 2), (0, 2)]) == (0.333, 0, 0.5)


def test_the_calibration_error_is_the_distance_of_probability_and_share():
    kinds = [("walk", 5), ("sit", 5)]
    answer = Answer(clip(kinds), sure([("walk", 10)], 0.9), [])
    assert score.ece([answer])[0] == pytest.approx(0.4, abs=1e-3)
    assert score.ece([answer], K("walk"))[0] == pytest.approx(0.4, abs=1e-3)
    assert score.reliability([answer], K("walk"))[-1] == (10, pytest.approx(0.9), 0.5)


def test_narrations_are_counted_kind_by_kind_and_mixed_up_ones_seen():
    said = [told("walk", 0, 0.4), told("sit", 2.2, 2.6), told("lie", 3.6, 4.0)]
    answers = [Answer(clip(STORY), sure(STORY), said)]
    rows = {r["kind"]: r for r in score.narrations(answers)}
    assert (rows["walk"]["recall"][0], rows["sit"]["precision"][0], rows["fall"]["recall"][0]) == (1, 0, 0)
    assert score.confusion(answers) == {("walk", "walk"): 1, ("sit", "fall"): 1, ("lie", "lie"): 1}


# -- ocelli -------------------------------------------------------------------------------------
PACK = Path(__file__).parents[2] / "models/home"


def test_the_packs_own_thresholds_are_taken_where_it_did_not_see_the_clip():
    options = [{"name": "own", "seen": ["a", "b"]}, {"name": "other", "seen": ["b"]}]
    assert ocelli.fair(options, [clip(STORY, "c")])["name"] == "own"
    assert ocelli.fair(options, [clip(STORY, "a")])["name"] == "other"
    with pytest.raises(ocelli.Untested):
        ocelli.fair(options, [clip(STORY, "b")])


def test_held_out_thresholds_are_of_the_network_and_make_a_pack_of_them(tmp_path):
    own, *others = ocelli.held_out(PACK)
    made = ocelli.with_thresholds(PACK, own, tmp_path / "own")
    assert (made / "pack.toml").read_text() == (PACK / "pack.toml").read_text(), "its own thresholds change nothing"
    other = others[0] | {"speak": others[0]["speak"] | {"threshold": 0.77}}
    assert "threshold = 0.77" in (ocelli.with_thresholds(PACK, other, tmp_path / "other") / "pack.toml").read_text()
    (made / "stab.onnx").write_bytes(b"another network")
    with pytest.raises(ocelli.Untested):
        ocelli.held_out(made)


# -- pose rules ---------------------------------------------------------------------------------
def body(lean_deg=0.0, hips=(0.5, 0.6), knee=0.2):
    """COCO keypoints [17, 3] of somebody whose trunk is 0.25 high."""
    points = np.zeros((17, 3), np.float32)
    points[:, 2] = 1
    lean = np.radians(lean_deg)
    shoulders = np.array(hips) + 0.25 * np.array([np.sin(lean), -np.cos(lean)])
    points[:11, :2] = shoulders
    points[11:13, :2] = hips
    points[13:15, :2] = np.array(hips) + (0, knee)
    points[15:, :2] = points[13, :2] + (0.05, knee)
    return points


def watched(bodies):
    found = np.array([b is not None for b in bodies])
    points = np.stack([np.zeros((17, 3), np.float32) if b is None else b for b in bodies])
    times = np.arange(len(bodies)) / 5
    return pr.see(points, found, times, aspect=1.0), times


def kinds_of(bodies, **rules):
    return [words.KINDS[k] for k in pr.classify(*watched(bodies), pr.Rules(smoothing=1, **rules))]


def test_rules_tell_the_postures():
    assert kinds_of([body()] * 5)[-1] == "stand"
    assert kinds_of([body(knee=0.02)] * 5)[-1] == "sit"
    assert kinds_of([body(lean_deg=85)] * 5)[-1] == "lie"
    assert kinds_of([body(hips=(0.3 + 0.05 * t, 0.6)) for t in range(6)])[-1] == "walk"


def test_a_fast_way_down_that_ends_leaning_is_a_fall_and_a_slow_one_is_none():
    down = lambda frames: [body(90 * t / frames, (0.5, 0.6 + 0.2 * t / frames)) for t in range(1, frames + 1)]  # noqa: E731
    fast = kinds_of([body()] * 5 + down(2) + [body(90, (0.5, 0.8))] * 15)
    assert "fall" in fast[5:8] and fast[-1] == "lie" and fast.count("fall") == 9
    assert "fall" not in kinds_of([body()] * 5 + down(15) + [body(90, (0.5, 0.8))] * 15)


def test_half_seconds_are_those_of_the_evaluation():
    kinds = [("walk", 7), (None, 3), ("bend", 4), ("sit", 9), ("lie", 5)]
    c, p = clip(kinds), np.random.default_rng(0).random((28, len(words.KINDS))).astype(np.float32)
    truth, guess = ev.half_seconds(c.times, c.kind, p)
    halves = pr.HalfSeconds(c)
    assert halves.truth.tolist() == truth.tolist() and halves.hits(p) == (truth == guess).sum()


def test_who_is_lost_is_still_there_for_a_while():
    kinds = kinds_of([body(85)] * 5 + [None] * 10)
    assert kinds[:10] == ["lie"] * 10 and kinds[-1] == "nobody"


# -- frame classifier ---------------------------------------------------------------------------
def test_features_are_pooled_over_what_was_before():
    features = np.arange(6, dtype=np.float32)[:, None]
    assert fc.pooled(features, 3).ravel().tolist() == [0, 0.5, 1, 2, 3, 4]


def test_a_head_learns_what_can_be_told_and_never_says_what_it_did_not_see():
    rng = np.random.default_rng(0)
    kind = np.repeat([K("walk"), K("sit"), -1], 40)
    features = rng.normal(size=(len(kind), 8)).astype(np.float32)
    features[:, 0] += 4 * (kind == K("walk"))
    p = fc.softmax(fc.Head([(features, kind, 1.0)], 1e-4).logits(features), 1.0)
    assert (p[:80].argmax(1) == kind[:80]).mean() > 0.95
    assert p[:, K("fall")].max() == 0 and np.allclose(p.sum(1), 1)


def test_what_is_kept_of_a_clip_has_another_name_when_its_pictures_change():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    assert clips.key("val/1", frames) == clips.key("val/1", frames.copy()) != clips.key("val/1", frames + 1)


def said(entry, kind, start_s, end_s, relation=None):
    return sp.Spoken("narration", entry, kind, round(start_s * 1e6), round(end_s * 1e6), 0.9, 1, 2, relation)


def test_a_narration_is_repeated_where_the_one_before_says_the_same_and_is_near():
    texts = [said(1, "walk", 0, 1), said(1, "walk", 290, 291), said(2, "sit", 292, 293), said(1, "walk", 294, 295)]
    assert narrations.repeated(texts) == 1
    assert narrations.repeated([said(1, "walk", 0, 1), said(1, "walk", 305, 306)]) == 0


def test_a_day_is_scored_by_its_clips_and_not_in_its_pauses():
    day = clip([("walk", 25), (None, 100), ("sit", 25), (None, 100)])
    told = [said(0, "walk", 0, 0.4), said(1, "lie", 15, 15.4), said(2, "sit", 25, 25.4), said(2, "sit", 25, 28, "still")]
    told += [said(1, "lie", 27, 28.4)]
    figures = narrations.figures([(day, told)])
    assert (figures["recall"], figures["events"], figures["precision"], figures["judged"]) == (1, 2, 0.75, 4)
    assert (figures["per_hour"], figures["delay_s"], figures["relations"]["still"]) == (360, 0.4, 1)


def test_clips_of_one_size_are_joined_in_an_order_that_a_seed_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(narrations.clips, "write", lambda video, frames: videos.append((video.name, len(frames))))
    videos, some = [], [clip([("walk", 10)], "a"), clip([("sit", 15)], "b")]
    monkeypatch.setattr(Clip, "frames", lambda self: np.zeros((len(self.kind), 48, 64, 3), np.uint8))
    ((day, starts),) = narrations.days(some, tmp_path)
    assert videos == [(day.video.name, 10 + 15 + 2 * 100)] and len(day.times) == videos[0][1]
    assert (day.kind == K("walk")).sum() == 10 and (day.kind == -1).sum() == 200


@pytest.mark.parametrize("name,towards", [("pan_right", (-5, 0)), ("tilt_up", (0, 5)), ("in", None), ("roll_left", None)])
def test_a_window_moves_as_fast_as_it_says(name, towards):
    y, x = np.mgrid[:480, :640]
    source = np.stack([128 + 60 * np.sin(x / 9) * np.cos(y / 11)] * 3, -1).astype(np.uint8)[None]
    frames, (start_s, end_s) = camera.moved(source, name, 5)
    assert frames.shape == (36, 168, 224, 3) and (start_s, end_s) == (2, 5)
    frames = frames.astype(int)
    assert (frames[:11] == frames[0]).all() and (frames[25:] == frames[25]).all() and (frames[10] != frames[11]).any()
    if towards:
        back = np.roll(frames[15], (-towards[1], -towards[0]), (0, 1))
        inside = (slice(10, -10), slice(10, -10))
        assert np.abs(back[inside] - frames[14][inside]).mean() < 4 < np.abs(frames[15] - frames[14]).mean()


def test_a_movement_is_told_by_its_name_over_half_of_its_time():
    right, wrong = "The camera pans left.", "The camera tilts up."
    assert camera.judged([(right, 2.2, 4.8)], right, 2, 5) == (True, 0)
    assert camera.judged([(wrong, 2, 5), (right, 4, 5)], right, 2, 5) == (False, 2)


def test_a_change_is_told_so_long_after_it_began():
    clips_ = [clip([("walk", 10), ("sit", 10)], name) for name in "ab"]
    said = [[told("walk", 0, 0.4), told("sit", 2.2, 2.8)], [told("walk", 0.2, 0.6), told("lie", 2, 2.4)]]
    # Walk after 0.4 and 0.6 s, sit (at 2 s) after 0.8; who lies does not sit, and is not told.
    answers = [Answer(c, sure([("walk", 20)]), s) for c, s in zip(clips_, said)]
    value, low, high = score.told_after(answers)
    assert (value, low, high) == (pytest.approx(0.6), pytest.approx(0.6), pytest.approx(0.6))
    assert score.told_after([Answer(clips_[0], sure([("walk", 20)]), [])]) == (None, None, None)


def test_people_whose_clips_are_elsewhere_are_learned_from_but_not_tested(tmp_path, monkeypatch):
    here, gone = clip([("walk", 5)], "here"), clip([("walk", 5)], "gone")
    here, gone = replace(here, video=tmp_path), replace(gone, video=tmp_path / "gone.mp4")
    people = {"gmdcsa24/1": [here], "gmdcsa24/2": [gone], home.LAB: []}
    monkeypatch.setattr(clips, "subjects", lambda _real: [name for name in people if name != home.LAB])
    monkeypatch.setattr(clips, "real", lambda _real, _data, group: people[group])
    args = type("Args", (), {"real": None, "data": tmp_path})
    sets = home.test_sets(args, [], [])
    assert [s.name for s in sets] == ["gmdcsa24/1", home.SCENES]
    assert sets[0].real == [gone] and sets[1].real == [here, gone]


def test_rules_take_time_of_their_own(tmp_path):
    path = tmp_path / "keypoints.npz"
    np.savez(path, keypoints=np.random.default_rng(0).random((50, 17, 3), np.float32), found=np.arange(50) % 5 > 0, aspect=1.5)
    assert 0 < job.rules(path) < 10


def test_the_frame_classifier_does_without_real_clips():
    class Known:
        def pooled(self, c, _window):
            return np.eye(len(words.KINDS), dtype=np.float32)[c.kind]

    story = [("walk", 6), ("sit", 6), ("lie", 6)]
    rendered = [clip(story, name, real=False) for name in "abc"]
    system = fc.FrameClassifier(Known(), [], rendered[:2], rendered[2:])
    assert system.choice.scenes == 1 and system.score == 1
