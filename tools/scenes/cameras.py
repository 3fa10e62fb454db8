"""Recordings of one camera: it stands where it stands, while the people of a home come and go before it.

What a camera learns from its user is tried on these (tools/train/learn.py). Files are named SEED-NUMBER; a room has one camera.
"""
import numpy as np

from clip import LONG, Shot, aim, film, window
from script import Script

RECORDINGS = 10
FOCUS = dict(walk=.12, stand=.12, sit=.14, sit_down=.12, get_up=.1, lie_down=.1, lie=.1, fall=.2)
FIRST = 3  # recordings for which the camera is set up; it has to see the others from there
PAIRS = 3  # of seeds in a home, of which each has a main person


def record(studio, seed, rng):
    """A shot of something that happens in the room, as a clip has it."""
    focus = str(rng.choice(list(FOCUS), p=list(FOCUS.values())))
    length = float(rng.choice([5, 6, 7] if focus in LONG else [4, 5, 6, 7]))
    who = seed + 2 * int(rng.integers(PAIRS))
    plan = Script(studio.cast(who), studio.room, rng, studio.motions).write(focus)
    if plan is None or plan.light is not None or plan.parcel or not plan.actors:
        return None
    plan.evening = plan.night = plan.television = False  # it is the same day
    return focus, Shot.cut(plan, window(plan.kinds(), focus, length, rng), int(length * 5))


def seen_by(renderer, shot):
    """Does the camera see those of the shot most of the time, and not from too near?"""
    points, shown = shot.points()
    if not shown.any() or np.hypot(*(points[shown, :2] - renderer.eye[:2]).T).min() < 1:
        return False
    return renderer.visible(points[shown] + [0, 0, .25]).mean() > .75


def make_camera(seed, studio):
    """The recordings of a seed: [(name, clip)]; empty if no camera sees enough."""
    studio.enter(seed)
    room, renderer = studio.room, studio.renderer
    for attempt in range(12):
        rng = np.random.default_rng([seed, 101, attempt])
        room.rng = np.random.default_rng([seed, 102, attempt])
        renderer.set_light(room.lights)
        first = [r for _ in range(FIRST) if (r := record(studio, seed, rng))]
        views = rng.choice(["side", "low", "high"], 3, p=[.5, .15, .35])
        if len(first) < FIRST or not any(aim(room, rng, renderer, [shot for _, shot in first], str(v), "") for v in views):
            continue
        found = list(first)
        for _ in range(60):
            if len(found) == RECORDINGS:
                break
            more = record(studio, seed, rng)
            if more and seen_by(renderer, more[1]):
                found.append(more)
        if len(found) == RECORDINGS:
            break
    else:
        return []
    out = []
    for number, (focus, shot) in enumerate(found):
        clip = film(renderer, room, shot, np.random.default_rng([seed, 103]))
        clip["extra"].update(camera=f"{seed:06d}")
        out.append((f"{seed:06d}-{number}", dict(clip, focus=focus, view="camera")))
    return out
