"""Fast checks of the parts that need no renderer, and one clip through it all where EGL works.

Run in tools/scenes; SCENES_ASSETS names the asset folder (default ../../data/scenes/assets).
"""
import os

import numpy as np
import pytest

import motion
from body import Body, random_look
from clip import KINDS
from labels import edge_kinds
from demo import spans

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


@needs_assets
def test_one_clip_through_the_renderer(tmp_path):
    pytest.importorskip("moderngl")
    from clip import make_clip, save
    from render import Renderer
    from room import Library, Room
    try:
        renderer = Renderer(224, 168)
    except Exception as e:
        pytest.skip(f"no EGL: {e}")
    room = Room(Library(ASSETS), np.random.default_rng(5))
    renderer.load_room(*room.geometry(), room.lights)
    clips = (make_clip(seed, room, Body(), renderer, ASSETS + "/motions") for seed in range(5, 20))
    clip = next(c for c in clips if c is not None and c["mask"].any())
    save(str(tmp_path / "000005.npz"), clip, dict(source="scenes"))
    z = np.load(tmp_path / "000005.npz")
    n, h, w = z["mask_shape"]
    assert z["frames"].shape == (n, h, w, 3) and z["kind"].shape == (n,) and (h, w) == (168, 224)
    mask = np.unpackbits(z["mask_bits"])[:n * h * w].reshape(n, h, w).astype(bool)
    for t in range(n):  # visible hips lie on or near the mask
        for x, y, seen in z["keypoints"][t, 11:13]:
            if seen:
                r, c = int(y * h), int(x * w)
                assert mask[t, max(0, r - 14):r + 15, max(0, c - 14):c + 15].any()
