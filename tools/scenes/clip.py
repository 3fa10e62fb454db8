"""One clip: a script for an actor in a room, a camera that sees it, the frames and their labels."""
import io
import json
import os

import numpy as np
from PIL import Image, ImageFilter

from motion import FPS, Actor, posed
from render import look_at, perspective

KINDS = ["nobody", "enter", "leave", "walk", "stand", "sit", "sit_down", "get_up", "lie_down", "lie", "fall", "bend",
         "raise_hands", "silence",
         # Appended, never reordered: clips on disk and checkpoints hold the indices. The same list as tools/train/words.py.
         "run", "kneel", "lie_still", "wave", "point", "clap", "two_people", "three_people", "come_together", "pet",
         "light_on", "light_off", "door_opens", "door_closes", "reach", "pick_up", "put_down", "pour", "stir", "cut",
         "open", "close", "drink", "carry", "television"]
# What a clip is about; weights chosen so that short actions get at least about 4% of all frames.
FOCUS = dict(nobody=.01, enter=.13, leave=.13, walk=.01, stand=.01, sit=.02, sit_down=.11, get_up=.08, lie_down=.09,
             lie=.01, fall=.3, bend=.07, raise_hands=.07, silence=.06)


# -- scripts ------------------------------------------------------------------------------------
def route(actor, room, to, kind="walk"):
    for p in room.path(actor.root[:2], to):
        actor.walk_to(p, kind)


def entrance(room, rng):
    """Where to come from or go to: (hidden point, first point inside). A door, or the picture's edge."""
    if room.doors and rng.random() < .6:
        return room.doors[rng.integers(len(room.doors))]
    a = room.spot()
    return a, a


def script(body, room, rng, motions, focus):
    """Chain actions around a focus. Returns (actor, spans outside the picture in seconds)."""
    spot = room.spot(.4)
    actor = Actor(body, rng, motions, spot, rng.uniform(-180, 180))
    hidden = []

    def sit_somewhere():
        seat = room.seats[rng.integers(len(room.seats))]
        front = seat["front"]
        if np.hypot(*(actor.root[:2] - front)) > 1.1:  # start not too far away
            at = room.cells[room.ok]
            near = at[np.hypot(*(at - front).T) < 1.5]
            if len(near):
                actor.root[:2] = near[rng.integers(len(near))]
        route(actor, room, front)
        actor.turn_to(seat["yaw"])
        actor.sit_down(seat)

    def lie_somewhere():
        bed = room.beds[rng.integers(len(room.beds))]
        at = room.cells[room.ok]
        near = at[np.hypot(*(at - bed["front"]).T) < .9]
        if len(near):
            actor.root[:2] = near[rng.integers(len(near))]
        route(actor, room, bed["front"])
        actor.turn_to(bed["yaw"])
        actor.sit_down(bed)
        actor.sit(rng.uniform(.2, 1.2))
        actor.recline(bed)

    def wander(low=.5, high=3):
        if rng.random() < .6:
            actor.stand(rng.uniform(low, high))
        else:
            route(actor, room, room.spot())

    def tail():
        {0: lambda: actor.stand(rng.uniform(2, 4)), 1: lambda: (route(actor, room, room.spot()), actor.stand(2)),
         2: lambda: (actor.bend(), actor.stand(2)), 3: lambda: (actor.raise_hands(2.), actor.stand(2))}[
            int(rng.choice(4, p=[.35, .45, .1, .1]))]()

    chair, bed = bool(room.seats), bool(room.beds)
    if focus == "enter":
        outside, inside = entrance(room, rng)
        aim = room.spot(.3)
        first = np.asarray(inside) - outside
        facing = first if np.hypot(*first) > .1 else aim - outside
        actor = Actor(body, rng, motions, outside, np.degrees(np.arctan2(facing[0], -facing[1])))
        actor.hold(rng.uniform(.8, 2), "nobody")
        hidden.append((0, actor.seconds))
        if np.hypot(*first) > .1:
            actor.walk_to(inside, "enter")
        route(actor, room, aim, "enter")
        tail()
    elif focus == "leave":
        wander(1, 3)
        outside, inside = entrance(room, rng)
        route(actor, room, inside, "leave")
        if np.hypot(*(np.asarray(outside) - inside)) > .1:
            actor.walk_to(outside, "leave")
        hidden.append((actor.seconds, actor.seconds + 3))
        actor.hold(3, "nobody")
    elif focus in ("sit", "sit_down") and chair:
        sit_somewhere()
        actor.sit(rng.uniform(2, 6))
        if rng.random() < .4:
            actor.rise()
            tail()
    elif focus in ("lie", "lie_down"):
        if bed and rng.random() < .75:
            lie_somewhere()
            actor.lie(rng.uniform(2, 5))
        else:
            actor.stand(rng.uniform(.5, 1.5))
            actor.lie_on_floor()
            actor.lie(rng.uniform(2, 5))
    elif focus == "get_up":
        which = rng.random()
        if which < .4 and chair:
            sit_somewhere()
            actor.sit(rng.uniform(1.5, 3))
            actor.rise()
        elif which < .7 and bed:
            lie_somewhere()
            actor.lie(rng.uniform(1.5, 3))
            actor.sit_up()
            if rng.random() < .5:
                actor.sit(rng.uniform(.3, 1))
            actor.rise()
        elif which < .85:
            actor.lie_on_floor()
            actor.lie(rng.uniform(1, 2))
            actor.get_up_from_floor()
        else:
            actor.fall(room.solids(), rng.normal(0, .4, 3) + [0, rng.choice([-1.3, 1.2]), 0])
            actor.lie(rng.uniform(1, 2))
            actor.get_up_from_floor()
        tail()
    elif focus == "fall":
        from_what = rng.random()
        velocity = 0.
        a = rng.uniform(0, 6.28)
        push = np.array([np.sin(a), -np.cos(a), 0]) * rng.uniform(.9, 1.7)
        if from_what < .25 and chair:
            sit_somewhere()
            actor.sit(rng.uniform(1, 3))
            side = rng.choice([-1, 0, 1])
            push = np.array([side * 1.5, -1.6 + .5 * abs(side), 0]) * rng.uniform(.9, 1.25)
        elif from_what < .35 and chair:  # while getting up
            sit_somewhere()
            actor.sit(rng.uniform(.5, 1.5))
            actor.rise()
        elif from_what < .7:
            actor.stand(rng.uniform(.6, 1.8))
        else:
            to = room.spot(.4)
            for p in room.path(actor.root[:2], to):
                actor.walk_to(p, until=rng.uniform(1.2, 2.5))
            velocity = .8 * actor.pace
            push = np.array([rng.normal(0, .5), -rng.uniform(.4, 1.3), 0])
        actor.fall(room.solids(), push, velocity)
        if posed(body, *actor.frames[-1][:2])[1][[0, 1, 2], 2].max() > .42:
            return None, None  # caught by furniture: not a fall to the floor
        actor.lie(rng.uniform(1, 4))
        if rng.random() < .35:
            actor.get_up_from_floor()
            actor.stand(1)
    elif focus == "bend":
        wander(.5, 1.5)
        actor.bend()
        actor.stand(rng.uniform(.4, 1.5))
        if rng.random() < .4:
            actor.bend()
        tail()
    elif focus == "raise_hands":
        if chair and rng.random() < .4:
            sit_somewhere()
            actor.sit(rng.uniform(.5, 1.5))
            actor.raise_hands(rng.uniform(1.5, 4))
            actor.sit(rng.uniform(1, 2))
        else:
            wander(.5, 1.5)
            actor.raise_hands(rng.uniform(1.5, 4))
            tail()
    else:
        wander()
        route(actor, room, room.spot(.2))
        actor.stand(rng.uniform(1, 4))
        route(actor, room, room.spot())
    while actor.seconds < 4.5:
        last = actor.kinds[-1]
        if last in ("lie", "sit"):
            getattr(actor, last)(2)
        elif last == "nobody":
            actor.hold(2, "nobody")
        else:
            actor.stand(2)
    return actor, hidden


# -- camera -------------------------------------------------------------------------------------
def choose_camera(room, rng, renderer, points, shown, view):
    """Try cameras of a view ("side", "high", "ceiling") on root positions [n,3], `shown` or to be hidden."""
    best, w, d, h = None, room.w / 2, room.d / 2, room.h
    within = (np.abs(points[:, 0]) < w) & (np.abs(points[:, 1]) < d)  # beyond a door the wall hides
    centre = points[shown].mean(0) if shown.any() else np.array([0, 0, .8])
    for _ in range(50):
        if view == "side":
            wall = rng.choice(["front", "back", "left", "right"], p=[.55, .05, .2, .2])
            along = rng.uniform(-.8, .8) * (w if wall in ("front", "back") else d)
            eye = np.array([*room.wall_point(wall, along, rng.uniform(-1.1, .4)), rng.uniform(.9, 2.2)])
            fov, tilt = rng.uniform(40, 62), rng.uniform(.55, 1.05)
        elif view == "high":
            eye = np.array([rng.choice([-1, 1]) * (w - rng.uniform(.1, .5)), rng.choice([-1, -1, 1]) * (d - rng.uniform(.1, .5)),
                            rng.uniform(2.1, h - .06)])
            fov, tilt = rng.uniform(52, 80), rng.uniform(.3, .8)
        else:
            eye = np.array([*rng.uniform(-.6, .6, 2), h - .06])
            fov, tilt = rng.uniform(78, 105), 0.
        if renderer.w / renderer.h > 1.5:  # the same picture width for 16:9
            fov *= .78
        at = np.array([*(centre[:2] + rng.normal(0, .35, 2)), tilt])
        if view == "ceiling":
            at[:2] = eye[:2] + [.05, rng.uniform(.1, 1.2)]
        distance = np.hypot(*(eye[:2] - centre[:2]))
        if view == "side" and not 1.7 < distance < 5.6:
            continue
        if any((np.abs(eye[:2] - c) < half + .1).all() and eye[2] < tall + .1 for c, half, tall, *_ in room.boxes):
            continue
        vp = perspective(fov, renderer.w / renderer.h) @ look_at(eye, at)
        seen = []
        for lift in (-.35, .05, .45):
            q = np.c_[points + [0, 0, lift], np.ones(len(points))] @ vp.T
            seen.append((q[:, 3] > .3) & (np.abs(q[:, 0]) < q[:, 3] * .96) & (np.abs(q[:, 1]) < q[:, 3] * 1.02))
        seen = np.array(seen, float)
        wrong = (seen.max(0) * within)[~shown].mean() if (~shown).any() else 0
        # A person 0.9 m tall (between lying and standing) had better fill 0.25 to 0.5 of the height.
        share = .9 / (2 * np.tan(np.radians(fov) / 2) * max(.5, np.linalg.norm(eye - centre)))
        wrong += max(0, .25 - share) * 3 + max(0, share - .5)
        score = (seen.mean(0)[shown].mean() if shown.any() else .5) - wrong * .8 + rng.uniform(0, .12)
        if best is None or score > best[0]:
            best = (score, eye, at, fov)
    return best


class Lens:
    """Exposure, white balance, blur, noise, compression and jitter of one camera, drawn once a clip."""

    def __init__(self, rng, background, clean=False):
        self.rng = rng
        mean = max(background.mean(), 8.)
        u = lambda a, b: rng.uniform(a, b)
        self.gain = np.clip(u(75, 150) / mean, .5, 2.2) * (1 + rng.normal(0, .06, 3))
        self.gamma, self.saturation = u(.8, 1.2), u(.5, 1.25)
        self.grey = rng.random() < .06
        self.blur = u(.2, .8) if rng.random() < .3 else 0.
        self.noise = u(0, 4) if rng.random() < .7 else u(4, 12)
        self.quality = int(u(35, 95)) if rng.random() < .7 else 0
        self.vignette = u(0, .35) if rng.random() < .4 else 0.
        self.jitter = rng.random() < .06
        if clean:
            self.gain = np.array([1.02, 1., .98]) * np.clip(140 / mean, .6, 1.8)
            self.gamma, self.saturation, self.noise, self.quality = 1., 1., .6, 0
            self.grey, self.blur, self.vignette, self.jitter = False, 0., .12, False
        h, w = background.shape[:2]
        y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
        self.fall_off = (1 - self.vignette * (x * x + y * y) / 2)[..., None].astype("f4")
        self.grain = rng.normal(0, 1, (h + 64, w + 64, 3)).astype("f4")
        if rng.random() < .5:  # luminance noise mostly
            self.grain = self.grain * .4 + self.grain[..., :1] * .8

    def __call__(self, x, noisy=True):
        x = x * self.gain.astype("f4") * self.fall_off
        grey = x.mean(2, keepdims=True)
        x = np.repeat(grey, 3, 2) if self.grey else grey + (x - grey) * self.saturation
        x = 255 * (np.clip(x, 0, 255) / 255) ** self.gamma
        shift = (0, 0)
        if noisy:
            h, w = x.shape[:2]
            a, b = self.rng.integers(0, 64, 2)
            x = x + self.grain[a:a + h, b:b + w] * self.noise
            if self.jitter and self.rng.random() < .5:
                shift = tuple(self.rng.integers(-1, 2, 2))
                x = np.roll(x, shift, (0, 1))
        image = np.clip(x, 0, 255).astype("u1")
        if self.blur or (self.quality and noisy):
            image = Image.fromarray(image)
            if self.blur:
                image = image.filter(ImageFilter.GaussianBlur(self.blur))
            if self.quality and noisy:
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=self.quality)
                image = Image.open(buffer)
            image = np.asarray(image)
        return image, shift


# -- things that move and are no person -----------------------------------------------------------
def lump(kind, rng, room):
    """A small mesh: (vertex table, tris, size in m)."""
    size = rng.uniform(.08, .17)
    k = 14
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, k), np.linspace(0, np.pi, k))
    p = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1)
    if kind == "box":
        p = np.clip(p * 1.6, -.75, .75)
    elif kind == "cat":
        p = p * [.8, 1.9, .9]
    elif kind == "curtain":
        p = np.stack([u / np.pi - 1, u * 0, 1 - 2 * v / np.pi], -1)
    p = p.reshape(-1, 3)
    i = np.arange(k * (k - 1)).reshape(k - 1, k)[:, :-1].ravel()
    tris = np.concatenate([np.c_[i, i + k, i + 1], np.c_[i + 1, i + k, i + k + 1]])
    t = np.zeros((len(p), 13), "f4")
    t[:, :3], t[:, 3:6] = p, p / (np.linalg.norm(p, axis=1, keepdims=True) + 1e-6)
    t[:, 12] = .25  # in the picture's alpha: a thing, not a person
    t[:, 8:11] = rng.uniform(.1, .95, 3) if kind != "cat" else rng.uniform(.1, .7) * np.array([1, .9, .8])
    return t, tris, size


class Mover:
    """A ball, a box, a cat-sized thing or a curtain with its way of moving; `moving[t]` tells when."""

    def __init__(self, rng, room, renderer, steps):
        kinds = ["ball", "box", "cat"] + (["curtain", "curtain"] if room.window else [])
        self.kind = str(rng.choice(kinds))
        self.rest, tris, self.size = lump(self.kind, rng, room)
        self.mesh = renderer.mesh(self.rest, tris)
        a, b = room.spot(), room.spot()
        start, end = sorted(rng.uniform(-.2, 1.2, 2) * steps)
        end = max(end, start + 5)
        f = np.clip((np.arange(steps) - start) / (end - start), 0, 1)
        self.moving = np.diff(np.r_[f[0], f]) > 1e-4
        if self.kind == "curtain":
            self.moving[:] = True
            wall, along, width = room.window
            self.wall, self.phase = room.wall_point(wall, along, .12), rng.uniform(0, 6)
            self.across = np.array([1., 0]) if wall == "back" else np.array([0, 1.])
            self.out = room.wall_point(wall, along, 1.12) - self.wall
            self.width, self.speed = width * rng.uniform(.3, .6), rng.uniform(.2, .7)
        else:
            self.path = a + (b - a) * f[:, None]
        self.yaw = np.arctan2(*(b - a)[::-1])

    def set(self, t):
        table = self.mesh["table"]
        r = self.rest[:, :3]
        if self.kind == "curtain":
            wave = (np.sin(r[:, 0] * 9 + t * self.speed + self.phase) * .05 +
                    np.maximum(0, -r[:, 2] + .6) * .16 * (1 + np.sin(t * self.speed * 1.3 + r[:, 0] * 2)))
            xy = self.wall + r[:, :1] * self.width * self.across + wave[:, None] * self.out
            table[:, :3] = np.c_[xy, 1.35 + r[:, 2] * .95]
            table[:, 3:5] = self.out + np.cos(r[:, :1] * 9 + t * self.speed + self.phase) * .5 * self.across
            table[:, 5] = 0
        else:
            c, s = np.cos(self.yaw - np.pi / 2), np.sin(self.yaw - np.pi / 2)
            turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            hop = abs(np.sin(t * .9)) * .03 if self.kind == "cat" and self.moving[t] else 0
            table[:, :3] = r @ turn.T * self.size + [*self.path[t], self.size * .9 + hop]
            table[:, 3:6] = self.rest[:, 3:6] @ turn.T


# -- the clip -----------------------------------------------------------------------------------
def window(actor, focus, length, rng):
    """First instant of a `length`-second cut that shows the focus kind."""
    n, total = int(length * FPS), len(actor.kinds)
    if total <= n:
        return 0
    hits = [i for i, k in enumerate(actor.kinds) if k == focus]
    if not hits:
        return int(rng.integers(0, total - n))
    if len(hits) < n:  # keep the whole action in the picture where it fits
        low, high = max(0, hits[-1] + 1 - n), min(hits[0], total - n)
        if low < high:
            return int(rng.integers(low, high))
    return int(np.clip(hits[0] - rng.uniform(.1, .5) * n, 0, total - n))


def person_table(body):
    t = np.zeros((len(body.v), 13), "f4")
    t[:, 6], t[:, 7] = body.v[:, 0], body.v[:, 2]
    t[:, 8:11], t[:, 11], t[:, 12] = body.colour, body.pattern, 1
    return t


def instant(body, frame):
    """Posed rotations and joints of an actor's frame, set on the floor by its floor weight."""
    local, root, g, level = frame
    r, p = posed(body, local, root)
    low = float(body.skin(r, p, pick=body.sample)[:, 2].min()) - level
    return r, p - [0, 0, low * g if g > 0 else min(low, 0)]


def edge_kinds(kinds, inside, fps):
    """Cut enter to 2 s after the person comes into the picture, leave to the last 2 s before going."""
    kinds = list(kinds)
    first = next((i for i, (k, s) in enumerate(zip(kinds, inside)) if k == "enter" and s), None)
    last = next((i for i in range(len(kinds) - 1, -1, -1) if kinds[i] == "leave" and inside[i]), None)
    for i, k in enumerate(kinds):
        if k == "enter" and first is not None and i > first + 2 * fps:
            kinds[i] = "walk"
        if k == "leave" and last is not None and i < last - 2 * fps:
            kinds[i] = "walk"
    return kinds


def render_timeline(renderer, body, frames, kinds, lens_rng, movers=(), flicker=None, clean=False, fps=5):
    """Render instants (None = nobody). Returns dict of arrays frames, mask, keypoints, kinds, background."""
    background, _ = renderer.frame()
    lens = Lens(lens_rng, background, clean)
    mesh = renderer.mesh(person_table(body), body.tris) if body else None
    n, h, w = len(kinds), renderer.h, renderer.w
    out = dict(frames=np.zeros((n, h, w, 3), "u1"), mask=np.zeros((n, h, w), bool), keypoints=np.zeros((n, 17, 3), "f4"))
    inside = np.zeros(n, bool)
    for t in range(n):
        meshes, spheres = [], []
        for m in movers:
            m.set(t)
            meshes.append(m.mesh)
        if frames[t] is not None:
            r, p = instant(body, frames[t])
            mesh["table"][:, :3], mesh["table"][:, 3:6] = body.skin(r, p, with_normals=True)
            meshes.append(mesh)
            spheres = [[*p[k], a] for k, a in ((0, .16), (1, .15), (4, .08), (7, .08), (5, .09), (8, .09))]
        soft, direct = (1., 1.) if flicker is None else flicker[t]
        x, share = renderer.frame(meshes, spheres, soft, direct, body.accent if body else (1, 1, 1))
        if kinds[t] == "silence" and ((share > .1) & (share < .3)).sum() < 12:
            kinds[t] = "nobody"  # what moves is out of sight
        image, shift = lens(x)
        out["frames"][t] = image
        out["mask"][t] = np.roll(share > .5, shift, (0, 1))
        if frames[t] is not None:
            points = body.keypoints(r, p)
            kx, ky, _ = renderer.project(points)
            seen = renderer.visible(points)
            facing = r[2] @ [0, -1., 0] @ (renderer.eye - p[2])
            if facing < -.15:  # the face looks away: nose and eyes are hidden
                seen[:3] = False
            if out["mask"][t].any():
                out["keypoints"][t] = np.stack([kx, ky, seen], 1)
                inside[t] = out["mask"][t].sum() > 25
    names = edge_kinds(kinds, inside, fps)
    for t in range(n):
        if frames[t] is None or names[t] in ("nobody", "silence"):
            if inside[t] and names[t] in ("nobody", "silence"):
                names[t] = None
            continue
        if not inside[t]:
            names[t] = "nobody" if names[t] in ("enter", "leave", "walk") else None
    out["keypoints"][..., :2] = np.clip(out["keypoints"][..., :2], -.5, 1.5)
    out["kinds"] = np.array([KINDS.index(k) if k else -1 for k in names], "i1")
    out["background"] = lens(background, noisy=False)[0]
    if mesh:
        renderer.drop(mesh)
    for m in movers:
        renderer.drop(m.mesh)
    return out


def make_clip(seed, room, body, renderer, motions):
    """Make the clip of a seed; the renderer must have the room loaded. None if no camera sees it."""
    rng = np.random.default_rng([seed, 77])
    room.rng = np.random.default_rng([seed, 78])  # so that earlier clips in the room do not matter
    focus = str(rng.choice(list(FOCUS), p=np.array(list(FOCUS.values())) / sum(FOCUS.values())))
    short = focus in ("fall", "bend", "raise_hands", "sit_down", "get_up", "lie_down", "enter", "leave")
    length = float(rng.choice([4, 5, 5, 6, 6, 7] if short else [5, 6, 7]))
    n = int(length * 5)
    for attempt in range(8):
        if focus in ("nobody", "silence"):
            frames, kinds = [None] * n, ["nobody"] * n
            points, shown = np.array([[*room.spot(), .8] for _ in range(6)]), np.ones(6, bool)
        else:
            actor, hidden = script(body, room, rng, motions, focus)
            if actor is None:
                continue
            start = window(actor, focus, length, rng)
            picks = [i for i in range(start, start + int(length * FPS), FPS // 5) if i < len(actor.kinds)]
            frames, kinds = [actor.frames[i] for i in picks], [actor.kinds[i] for i in picks]
            points = np.array([f[1] for f in frames])
            times = np.array(picks) / FPS
            shown = np.array([not any(a <= t < b for a, b in hidden) for t in times])
        view = str(rng.choice(["side", "high", "ceiling"], p=[.72, .2, .08]))
        best = choose_camera(room, rng, renderer, points, shown, view)
        if best is None or best[0] < .5:
            continue
        _, eye, at, fov = best
        renderer.set_camera(eye, at, fov, roll=rng.normal(0, .02) if view != "ceiling" else 0)
        if (renderer.distance < .9).mean() > .12 or (renderer.distance > 50).mean() > .05:
            continue
        if shown.any() and renderer.visible(points[shown] + [0, 0, .25]).mean() < .5:
            continue
        break
    else:
        return None
    movers = []
    if focus == "silence" or rng.random() < .07:
        movers = [Mover(rng, room, renderer, len(kinds)) for _ in range(rng.integers(1, 3))]
        if focus in ("nobody", "silence"):
            moving = np.any([m.moving for m in movers], 0)
            kinds = ["silence" if m else "nobody" for m in moving]
    flicker = None
    if rng.random() < (.5 if focus in ("nobody", "silence") else .06):
        flicker = np.ones((len(kinds), 2))
        if rng.random() < .6:  # a switch, or a cloud
            at, k = rng.integers(1, len(kinds)), rng.uniform(.1, .7)
            ramp = np.clip((np.arange(len(kinds)) - at) / rng.choice([.1, 1, 8]), 0, 1)
            ramp = 1 - ramp if rng.random() < .5 else ramp
            flicker[:, 1] -= ramp * (1 - k)
            flicker[:, 0] -= ramp * (1 - k) * .4
        else:
            flicker += rng.normal(0, rng.uniform(.01, .06), (len(kinds), 1))
    out = render_timeline(renderer, body if frames[0] is not None else None, frames, kinds, rng, movers, flicker)
    return dict(out, focus=focus, view=view)


def save(path, clip, meta):
    """Write the .npz of the training format under a temporary name, then rename."""
    mask = clip["mask"]
    temporary = path[:-4] + ".part"
    with open(temporary, "wb") as f:
        np.savez(f, frames=clip["frames"], mask_bits=np.packbits(mask), mask_shape=np.array(mask.shape, "i8"),
                 keypoints=clip["keypoints"], background=clip["background"], kind=clip["kinds"], meta=np.array(json.dumps(meta)))
    os.rename(temporary, path)
