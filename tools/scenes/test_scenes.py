"""Checks of the parts that need no renderer, and clips through it all where EGL works.

Run in tools/scenes; SCENES_ASSETS names the asset folder (default ../../data/scenes/assets).
"""
import json
import os
import sys

import numpy as np
import pytest

import cameras
import labels
import generate
import motion
import room
from body import Body, random_look
from camera import h264
from clip import FOCUS, KINDS, instant, save
from demo import spans
from labels import edge_kinds, telling
from pet import Pet, PetActor, random_pet
from things import Leaf, Television

ASSETS = os.environ.get("SCENES_ASSETS", "../../data/scenes/assets")
needs_assets = pytest.mark.skipif(not os.path.isdir(ASSETS + "/sh3d"), reason="run setup.sh first")


def test_standing_body_is_upright_on_the_floor():
    body = Body(**random_look(np.random.default_rng(3)))
    actor = motion.Actor(body, np.random.default_rng(0), ASSETS + "/motions", (0, 0), 30)
    local, root = actor.local, actor.root
    rotations, positions = motion.posed(body, local, root)
    points = body.keypoints(rotations, positions)
    assert points[0, 2] > points[11, 2] > points[15, 2]  # nose above hip above ankle
    assert abs(motion.lowest(body, local, root)) < .08
    assert 1.4 < body.height < 2.1


def test_world_and_local_rotations_are_inverse():
    local = motion.locals_of(motion.BEND, 40)
    assert np.allclose(motion.unworld(motion.world(local)), local)


@needs_assets
def test_fall_ends_on_the_floor_and_is_labelled():
    body = Body()
    actor = motion.Actor(body, np.random.default_rng(0), ASSETS + "/motions", (0, 0), 0)
    actor.walk_to((0, -.6))
    actor.fall([], np.array([0, -1.2, 0]), .7)
    assert "fall" in actor.kinds and actor.kinds[-1] == "lie"
    assert actor.frames[-1][1][2] < .35  # the pelvis, m


def test_enter_ends_and_spans_join():
    kinds = edge_kinds(["nobody"] * 3 + ["enter"] * 20, [False] * 4 + [True] * 19, 5)
    assert kinds.index("walk") == 15 and "enter" in kinds
    k = [KINDS.index(n) for n in ["walk"] * 10 + ["leave"] + ["walk"] * 5]
    assert spans(np.array(k), 10) == [dict(start_s=0., end_s=1.6, kind="walk")]


def test_the_kinds_are_those_of_the_training():
    sys.path.append(os.path.join(os.path.dirname(__file__), "../train"))
    import words
    assert tuple(KINDS) == words.KINDS
    assert set(FOCUS) - {"ease"} <= set(KINDS) and set(labels.SENTENCE) <= set(KINDS)


def test_the_most_telling_event_names_the_instant():
    say = lambda people, *events, **more: telling(people, events, **dict(dict(pet=False, television=False, moving=False), **more))
    assert say(["sit", "fall"], "light_off") == "fall"
    assert say(["walk", "lie_still"], "door_opens") == "lie_still"
    assert say(["stand"], "light_on") == "light_on"
    assert say(["enter"], "door_opens") == "door_opens"
    assert say(["wave", "sit_down"]) == "sit_down"
    assert say(["stand", "lie"]) == "lie"
    assert say(["stand", "wave"]) == "wave"
    assert say(["run", "sit"]) == "two_people" and say(["walk"] * 3) == "three_people"
    assert say(["carry"], pet=True) == "carry"
    assert say([], pet=True, television=True) == "pet" and say([], television=True, moving=True) == "television"
    assert say([], moving=True) == "silence" and say([]) == "nobody"


def test_lying_on_the_floor_without_moving_is_told_after_two_seconds():
    joints = np.zeros((30, 15, 3))
    joints[:, :, 2] = .15
    joints[20:, 4] += .2  # a knee moves
    told = labels.lies_still(["fall"] * 3 + ["lie"] * 27, joints, 5)
    assert told.index("lie_still") == 13 and told[19] == "lie_still"
    assert told[20:] == ["lie"] * 10
    joints[..., 2] = .6  # on a bed
    assert "lie_still" not in labels.lies_still(["lie"] * 30, joints, 5)


def test_entering_begins_when_the_door_is_no_longer_told():
    busy = np.arange(23) < 8
    kinds = edge_kinds(["enter"] * 23, [True] * 23, 5, busy)
    assert kinds.index("walk") == 19


def test_narrations_name_people_and_things():
    look = dict(gender="female", age="old", shirt=(.85, .5, .15))
    kinds = ["walk"] * 5 + ["sit_down"] * 5 + ["sit"] * 5
    told = labels.narrations([("person1", look, kinds, [None] * 6 + ["sofa"] * 9)], kinds, [], 5)
    assert told[1]["text"] == "An old woman in an orange shirt sits down on the sofa."
    assert told[1]["relations"] == [["person1", "sits down on", "sofa"]] and (told[1]["start_s"], told[1]["end_s"]) == (1., 2.)


def test_questions_know_order_and_count():
    kinds = ["stand"] * 3 + ["wave"] * 5 + ["stand"] * 3 + ["bend"] * 5 + ["stand"] * 3 + ["wave"] * 5 + ["stand"] * 3
    hips = np.full((len(kinds), 2), .5)
    people = [("person1", None, kinds, [None] * len(kinds))]
    asked = {q["question"]: q for q in labels.questions(kinds, people, hips, np.ones(len(kinds)), 5)}
    assert asked["How many times does somebody wave?"]["answer"] == "2"
    assert asked["How many times does somebody bend down?"]["answer"] == "1"
    assert all(q["answer"] in q["choices"] for q in asked.values())


@needs_assets
def test_gestures_do_what_they_are_called():
    body = Body()

    def hands(what):
        a = motion.Actor(body, np.random.default_rng(1), ASSETS + "/motions", (0, 0), 0)
        getattr(a, what)(3.)
        assert set(a.kinds) == {what}
        p = np.array([motion.posed(body, *f[:2])[1] for f in a.frames])
        return p[:, motion.INDEX["lhand"]], p[:, motion.INDEX["rhand"]], p[:, motion.INDEX["head"]]
    left, right, head = hands("raise_hands")
    assert (np.minimum(left, right)[30:40, 2] > head[30:40, 2]).all()
    left, right, head = hands("wave")
    one = [h for h in (left, right) if h[:, 2].max() > 1.2]
    assert len(one) == 1 and np.ptp(one[0][15:45, 0]) > .12
    left, right, _ = hands("point")
    assert max(np.linalg.norm((h - h[0])[20:40, :2], axis=1).min() for h in (left, right)) > .3
    left, right, _ = hands("clap")
    apart = np.linalg.norm(left - right, axis=1)[15:45]
    assert apart.min() < .16 and apart.max() > apart.min() + .1


def test_arms_of_who_sits_make_no_gesture():
    body = Body()
    actor = motion.Actor(body, np.random.default_rng(2), ASSETS + "/motions", (0, 0), 0)
    seat = dict(xy=(0, 0), yaw=0, height=.45, front=(0, -.5), thing="bed")
    seen = {}
    for _ in range(300):
        points = body.keypoints(*motion.posed(body, *actor.seated(seat)))  # COCO: nose 0, wrists 9 and 10
        assert points[9:11, 2].min() < points[0, 2], "hands are not raised"
        seen.setdefault(actor.manner, []).append(np.linalg.norm(points[9:11] - points[0], axis=1).min())
    assert set(seen) == set(motion.MANNERS)
    assert max(seen["face"]) < .3 < min(seen["rest"]), "m"


BED = dict(thing="bed", xy=np.array([0., 0.]), yaw=0., height=.5, front=np.array([0., -.5]), lie_xy=np.array([0., .4]), lie_yaw=90.)


def heights(actor, first=0):
    """Of the hips, and of the lowest point of the skin, in m, at each instant from `first`."""
    hips, low = [], []
    for frame in actor.frames[first:]:
        r, p = instant(actor.body, frame)
        hips.append(p[0][2])
        low.append(actor.body.skin(r, p)[:, 2].min())
    return np.array(hips), np.array(low)


@pytest.mark.parametrize("seed", range(3))
def test_who_lies_down_on_a_bed_and_gets_up_neither_floats_nor_jumps(seed):
    a = motion.Actor(Body(), np.random.default_rng(seed), "", BED["front"], 0)
    a.sit_down(BED)
    a.sit(.5)
    a.recline(BED)
    a.lie(1)
    a.sit_up()
    seated = len(a.frames)
    a.sit(1)
    risen = len(a.frames)
    a.rise()
    a.stand(.3)
    hips, low = heights(a)
    assert np.abs(np.diff(hips)).max() < .08, "m, in a twentieth of a second"
    assert np.abs(hips[seated:risen] - BED["height"] - .085).max() < .03 and abs(low[-1]) < .02


@pytest.mark.parametrize("legs", list(motion.LEGS))
def test_legs_lie_along_what_is_sat_on(legs, monkeypatch):
    monkeypatch.setattr(motion, "LEGS", {legs: 1.})
    a = motion.Actor(Body(), np.random.default_rng(1), "", (0, 0), 0)
    a.sit_on_floor()
    a.sit(2)
    hips, low = heights(a, a.kinds.index("sit"))
    assert (hips < .3).all() and np.abs(low).max() < .02
    a.rise_from_floor()
    assert set(a.kinds) == {"sit_down", "sit", "get_up"} and heights(a, len(a.kinds) - 1)[0][0] > .6
    a.turn_to(BED["yaw"])
    a.sit_down(BED)
    a.legs_up()
    along = len(a.frames)
    a.sit(2)
    hips, low = heights(a, along)
    assert np.abs(low - BED["height"]).max() < .05 and (hips - BED["height"] < .3).all(), "no foot hangs"
    a.legs_down()
    a.fold_leg()
    a.sit(.5)
    a.take(BED)
    a.reach_down()
    assert a.kinds[-1] == "bend"
    a.sit(.5)
    a.rise()
    assert np.abs(np.diff(heights(a)[0])).max() < .12


@needs_assets
def test_running_is_faster_than_walking():
    speeds = []
    for gait in ("walk", "run"):
        a = motion.Actor(Body(), np.random.default_rng(0), ASSETS + "/motions", (0, 0), 0)
        a.gait = gait
        a.walk_to((0, -3))
        assert set(a.kinds) == {gait}
        speeds.append(3 / a.seconds)
    assert speeds[1] > 1.6 * speeds[0]


def test_pets_stand_on_the_floor_and_get_about():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a = PetActor(Pet(**random_pet(rng)), rng, (0, 0), 0)
        a.walk_to((0, -1))
        a.sit(1)
        a.lie(1)
        a.jump((.4, -1), .4)
        assert np.hypot(*(a.xy - [.4, -1])) < 1e-6 and a.level == .4
        assert {"walk", "sit", "lie", "jump"} <= set(a.does)


class NoRenderer:
    def mesh(self, table, tris):
        assert tris.max() < len(table)
        return dict(table=table.copy())


def test_a_door_swings_into_the_room():
    leaf = dict(wall="back", along=0., side=1., hinge=np.array([.43, 2.]), width=.86, height=2., colour=np.ones(3))
    door = Leaf(leaf, NoRenderer(), [0, 45, 90])
    ends = [door.middle(t)[:2] for t in range(3)]
    assert np.allclose(ends[0], [0, 2]) and ends[2][1] < 1.6 and ends[1][1] < 2
    door.set(2)
    assert door.mesh["table"][:, 1].min() < 1.2


def test_prints_have_a_pattern_and_cover_a_model_to_scale():
    rng = np.random.default_rng(0)
    for _ in range(40):
        picture = room.surface(rng, "print")
        assert picture.shape == (256, 256, 3) and picture.std() > 2
    wall = np.zeros((3, 13), "f4")  # a triangle that faces -y, two metres long and one high
    wall[:, :3], wall[:, 4], wall[:, 8:12] = [(0, 1, 0), (2, 1, 0), (0, 1, 1)], -1, (.2, .3, .4, -1)
    room.cover(wall, 7, .5)
    assert np.allclose(wall[:, 6:8], [(0, 0), (4, 0), (0, 2)]) and np.allclose(wall[:, 8:12], (1, 1, 1, 7))


def test_a_television_lights_only_when_on():
    tv = dict(centre=np.array([0, 2., 1.2]), across=np.array([1, 0]), out=np.array([0, -1]), size=(1., .6))
    on, off = (Television(tv, NoRenderer(), np.random.default_rng(0), 20, state) for state in (True, False))
    assert (on.light > 0).all() and np.ptp(on.light) > .01 and not off.light.any()


def test_h264_keeps_the_shape_and_is_repeatable():
    rng = np.random.default_rng(0)
    frames = np.repeat(np.repeat(rng.integers(0, 255, (6, 21, 28, 3)), 6, 1), 8, 2).astype("u1")  # 126 x 224
    a, b = h264(frames, 30), h264(frames, 30)
    assert a.shape == frames.shape and (a == b).all() and 0 < np.abs(a.astype(int) - frames).mean() < 40


@pytest.fixture(scope="module")
def studio():
    if not os.path.isdir(ASSETS + "/sh3d"):
        pytest.skip("run setup.sh first")
    pytest.importorskip("moderngl")
    from generate import Studio
    s = Studio(ASSETS)
    try:
        s.enter(30)
    except Exception as e:
        pytest.skip(f"no EGL: {e}")
    return s


def first(studio, seeds, suits=lambda clip: True, weights=FOCUS):
    for seed in seeds:
        clip = studio.clip(seed, weights)
        if clip is not None and suits(clip):
            return seed, clip
    pytest.fail("no such clip")


def test_one_clip_through_the_renderer(studio, tmp_path):
    _, clip = first(studio, range(30, 42), lambda c: c["mask"].any() and c["extra"]["people"] == 1, dict(walk=1))
    save(str(tmp_path / "000005.npz"), clip, dict(source="scenes"))
    z = np.load(tmp_path / "000005.npz")
    n, h, w = z["mask_shape"]
    assert z["frames"].shape == (n, h, w, 3) and z["kind"].shape == (n,) and w == 224
    assert json.loads(str(z["meta"]))["source"] == "scenes"
    mask = np.unpackbits(z["mask_bits"])[:n * h * w].reshape(n, h, w).astype(bool)
    errors, speeds = [], []
    for t in range(n):  # visible hips lie on or near the mask
        for x, y, seen in z["keypoints"][t, 11:13]:
            if seen:
                r, c = int(y * h), int(x * w)
                assert mask[t, max(0, r - 14):r + 15, max(0, c - 14):c + 15].any()
        if t and z["keypoints"][t, 11, 2] and z["keypoints"][t - 1, 11, 2]:  # and the flow there is how far they went
            now, was = z["keypoints"][[t, t - 1], 11, :2] * [w, h]
            i, j = (np.clip(z["keypoints"][t, 11, [1, 0]], 0, .999) * 56).astype(int)
            errors.append(np.abs(z["flow"][t, i, j] - (now - was)).max())
            speeds.append(np.abs(now - was).max())
    assert np.median(errors) < max(1.5, .35 * np.median(speeds))
    assert z["depth"].shape == (n, 56, 56) and 20 < np.median(z["depth"]) < 200  # 1 to 10 m
    told, asked = json.loads(str(z["narrations"])), json.loads(str(z["qa"]))
    assert all(0 <= a["start_s"] < a["end_s"] <= n / 5 and a["kind"] in KINDS for a in told) and told
    assert all(q["answer"] in q["choices"] for q in asked)


def test_a_camera_stands_still_while_people_come_and_go(studio):
    found = cameras.make_camera(3_000_000, studio)
    assert [name for name, _ in found] == [f"3000000-{i}" for i in range(cameras.RECORDINGS)]
    clips = [clip for _, clip in found]
    assert {c["extra"]["camera"] for c in clips} == {"3000000"}
    # The light may be another, the room is where it was: edges of the background lie upon each other.
    edges = [np.abs(np.diff(c["background"].astype(float).mean(2), axis=1)) for c in clips]
    assert min(np.corrcoef(edges[0].ravel(), e.ravel())[0, 1] for e in edges[1:]) > .5
    assert all(c["mask"].any((1, 2)).mean() > .5 for c in clips)


def test_the_same_seed_gives_the_same_file(studio, tmp_path):
    seed, clip = first(studio, range(36, 48))
    save(str(tmp_path / "a.npz"), clip, {})
    studio.clip(seed + (1 if seed % 6 < 5 else -1))  # another clip of the same people
    save(str(tmp_path / "b.npz"), studio.clip(seed), {})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_light_that_goes_off_darkens_the_picture(studio):
    _, clip = first(studio, range(30, 60), weights=dict(light_off=1))
    brightness = clip["frames"].mean((1, 2, 3))
    at = list(clip["kinds"]).index(KINDS.index("light_off"))
    assert brightness[:at].mean() > 1.2 * brightness[at:at + 3].mean() and not clip["extra"]["swap"]


def test_two_people_are_both_in_the_mask(studio):
    _, clip = first(studio, range(30, 60), lambda c: (c["kinds"] == KINDS.index("two_people")).sum() > 5, dict(two_people=1))
    assert clip["people"].shape[1:] == (2, 17, 3)
    t = list(clip["kinds"]).index(KINDS.index("two_people"))
    assert (clip["people"][t, :, :, 2].sum(1) > 0).all()


@needs_assets
def test_who_waits_longer_than_the_others_does_not_outlast_them():
    studio = generate.Studio(ASSETS)
    for seed in (10567, 1000057):
        studio.enter(seed)
        clip = studio.clip(seed)
        assert clip is None or len(clip["kinds"]) > 10
