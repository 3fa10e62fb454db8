"""Cats and dogs: a four-legged figure of rounded parts, with a walk, a trot, sitting, lying and a jump.

Axes as for people: -y forward, z up, metres. Leg angles are degrees forward of hanging down, seen from
the animal's own heading, each segment for itself (not relative to the one above).
"""
import numpy as np

from motion import FPS, direction, ease, rx, rz
from things import THING, smooth_normals, table_of

STAND = dict(pitch=0., fu=-8., fl=4., hu=22., hl=-32., hf=6., neck=35., tail=-20.)
LIE = dict(pitch=0., fu=-55., fl=78., hu=75., hl=-70., hf=82., neck=30., tail=-75.)
LEGS = ("lf", "rf", "lh", "rh")


def tube(a, b, ra, rb, k=8, rings=5):
    """A rounded tapered tube from a to b: (points, tris)."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    d = b - a
    length = np.linalg.norm(d)
    z = d / length
    x = np.cross(z, [0, 0, 1] if abs(z[2]) < .9 else [1, 0, 0])
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    # Half a circle at each end, straight between.
    cap = np.linspace(0, np.pi / 2, rings)
    along = np.r_[-ra * np.cos(cap), length + rb * np.sin(cap)]
    radius = np.r_[ra * np.sin(cap), rb * np.cos(cap)]
    points = (a + along[:, None, None] * z + radius[:, None, None] *
              (np.cos(angle)[None, :, None] * x + np.sin(angle)[None, :, None] * y)).reshape(-1, 3)
    i = (np.arange(2 * rings - 1)[:, None] * k + np.arange(k)).ravel()
    j = (np.arange(2 * rings - 1)[:, None] * k + (np.arange(k) + 1) % k).ravel()
    return points, np.concatenate([np.c_[i, j, i + k], np.c_[j, j + k, i + k]])


COATS = dict(black=(.09, .08, .08), grey=(.42, .41, .4), brown=(.36, .23, .14), ginger=(.72, .42, .2), white=(.9, .88, .84),
             sandy=(.72, .58, .4))


def random_pet(rng):
    """Keyword arguments of `Pet`."""
    kind = str(rng.choice(["cat", "dog"]))
    size = rng.uniform(.9, 1.15) if kind == "cat" else rng.choice([.9, 1.35, 1.9]) * rng.uniform(.9, 1.12)
    return dict(kind=kind, size=float(size), coat=str(rng.choice(list(COATS))), spots=str(rng.choice(list(COATS))),
                striped=bool(kind == "cat" and rng.random() < .4), short_tail=bool(kind == "dog" and rng.random() < .3),
                plump=float(rng.uniform(.85, 1.25)))


class Pet:
    """The mesh: parts at rest in frames of their own, and how they hang together."""

    def __init__(self, kind="cat", size=1., coat="grey", spots="white", striped=False, short_tail=False, plump=1.):
        s = size * .27  # shoulder to hip, m
        dog = kind == "dog"
        self.kind, self.coat, self.length = kind, coat, s
        leg = s * (.95 if dog else .82)
        self.front, self.hind = (leg * .5, leg * .5), (leg * .44, leg * .42, leg * .26)
        w = s * .2 * plump
        self.side = w * .8
        self.parts, tables, tris, n = [], [], [], 0
        coat, second = np.array(COATS[coat]), np.array(COATS[spots])

        def add(part, a, b, ra, rb, colour=coat, k=10):
            nonlocal n
            p, t = tube(np.array(a) * s, np.array(b) * s, ra * s, rb * s, k)
            table = table_of(p, smooth_normals(p, t), colour, THING)
            table[:, 6:8], table[:, 11] = p[:, [0, 1]], 1. if striped and part in ("torso", "tail0", "tail1") else 0.
            tables.append(table)
            tris.append(t + n)
            self.parts += [part] * len(p)
            n += len(p)

        r = .22 * plump
        add("torso", (0, -1., -.02), (0, 0, -.02), r * 1.12, r * 1.0, k=14)
        add("torso", (0, -.75, -.08), (0, -.25, -.04), r * .95, r * .85, second if spots == "white" else coat, k=12)
        hl = .34 if dog else .16  # the muzzle
        add("neck", (0, 0, 0), (0, -.3, .0), .15 * plump, .12)
        add("head", (0, 0, 0), (0, -.14, 0), .16, .14, k=12)
        add("head", (0, -.1, -.05), (0, -.12 - hl, -.08), .09, .055, second if dog else coat)
        add("head", (0, -.13 - hl, -.06), (0, -.15 - hl, -.06), .03, .02, (.05, .04, .04))
        for x in (-1, 1):
            if dog:
                add("head", (x * .1, .02, .12), (x * .19, .0, -.08), .05, .04, coat * .7)
            else:
                add("head", (x * .08, .0, .1), (x * .11, .0, .22), .055, .012)
            add("head", (x * .06, -.2, .05), (x * .06, -.21, .05), .02, .02, (.05, .05, .04), 6)
        thick = .075 if dog else .065
        for name in LEGS:
            lengths = self.front if name[1] == "f" else self.hind
            for i, length in enumerate(lengths):
                d = length / s
                top = (thick * 1.7, thick * 1.1, thick * .8)[i] if name[1] == "h" else (thick * 1.3, thick * .85)[i]
                add(f"{name}{i}", (0, 0, 0), (0, 0, -d), top, top * .7)
                if i == len(lengths) - 1:
                    add(f"{name}{i}", (0, 0, -d + .02), (0, -.1, -d + .02), thick * .8, thick * .6, second if spots == "white" else coat)
        self.tail = (.14 if short_tail else .2 if dog else .26) * s
        for i in range(2 if short_tail else 4):
            add(f"tail{i}", (0, 0, 0), (0, self.tail / s, 0), .06 - i * .008, .052 - i * .008)
        self.table, self.tris = np.concatenate(tables), np.concatenate(tris)
        names = list(dict.fromkeys(self.parts))
        part = np.array([names.index(p) for p in self.parts])
        self.rows = {p: np.flatnonzero(part == i) for i, p in enumerate(names)}
        self.rest = self.table[:, :3].copy(), self.table[:, 3:6].copy()
        # Sitting: the rump on the floor, the forelegs straight.
        rise = np.degrees(np.arcsin(np.clip((sum(self.front) - r * s) / s, .2, .85)))
        self.SIT = dict(pitch=rise, fu=2., fl=0., hu=72., hl=-52., hf=84., neck=20., tail=-80.)

    def posed(self, pose, legs, root, yaw):
        """Vertices and normals: pose dict, legs {name: angles}, root = the hips' position."""
        out, norm = np.empty_like(self.rest[0]), np.empty_like(self.rest[0])
        turn = rz(yaw)

        def place(part, rotation, at):
            k = self.rows[part]
            out[k], norm[k] = self.rest[0][k] @ rotation.T + at, self.rest[1][k] @ rotation.T
        torso = turn @ rx(-pose["pitch"])
        place("torso", torso, root)
        chest = root + torso @ [0, -self.length, 0]
        neck = turn @ rz(pose.get("look", 0) * .4) @ rx(-pose["neck"])
        place("neck", neck, chest + torso @ [0, -.05 * self.length, .08 * self.length])
        head = chest + torso @ [0, -.05 * self.length, .08 * self.length] + neck @ [0, -.36 * self.length, 0]
        place("head", turn @ rz(pose.get("look", 0)) @ rx(pose.get("nod", 0)), head)
        for name in LEGS:
            x = self.side * (1 if name[0] == "l" else -1)
            at = (chest if name[1] == "f" else root) + torso @ [x, 0, -.06 * self.length]
            for i, (angle, length) in enumerate(zip(legs[name], self.front if name[1] == "f" else self.hind)):
                m = turn @ rx(-angle)
                place(f"{name}{i}", m, at)
                at = at + m @ [0, 0, -length]
        at, bend = root + torso @ [0, .18 * self.length, .06 * self.length], pose["tail"]
        for i in range(sum(p.startswith("tail") for p in self.rows)):
            m = turn @ rz(pose.get("wag", 0) * (i + 1) * .4) @ rx(bend)
            place(f"tail{i}", m, at)
            at, bend = at + m @ [0, self.tail, 0], bend + pose.get("curl", 14)
        return out, norm


class PetActor:
    """Chains what an animal does; `frames` holds (pose, legs, x y, yaw, level) FPS times a second."""

    fixture = False

    def __init__(self, pet, rng, xy, yaw):
        self.pet, self.kind, self.rng = pet, "pet", rng
        self.xy, self.yaw, self.level, self.phase = np.array(xy, float), float(yaw), 0., rng.random()
        self.pose = dict(STAND)
        self.base = rng.uniform(-50, 35) if pet.kind == "cat" else rng.uniform(-25, 50)  # how the tail is held
        self.frames, self.does, self.pace = [], [], rng.uniform(.8, 1.2)

    @property
    def seconds(self):
        return len(self.frames) / FPS

    def legs_of(self, pose):
        return {n: (pose["fu"], pose["fl"]) if n[1] == "f" else (pose["hu"], pose["hl"], pose["hf"]) for n in LEGS}

    def put(self, pose, legs, does, lift=0.):
        t = self.seconds
        life = dict(pose, wag=12 * np.sin(t * 2.2 + self.phase) * (1 if pose["tail"] > -60 else .3),
                    look=pose.get("look", 0) + 6 * np.sin(t * .9))
        self.frames.append((life, legs, self.xy.copy(), self.yaw, self.level, lift))
        self.does.append(does)

    def go(self, pose, seconds, does):
        first, n = self.pose, max(1, round(seconds * FPS))
        for i in range(1, n + 1):
            u = ease(i / n)
            self.pose = {k: first.get(k, 0) + (pose.get(k, 0) - first.get(k, 0)) * u for k in {*first, *pose}}
            self.put(self.pose, self.legs_of(self.pose), does)

    def hold(self, seconds, does):
        for _ in range(round(seconds * FPS)):
            self.put(self.pose, self.legs_of(self.pose), does)

    def stand(self, seconds):
        self.go(dict(STAND, tail=self.base, look=self.rng.uniform(-40, 40), neck=self.rng.uniform(-15, 45)), .5, "stand")
        self.hold(seconds - .5, "stand")

    def sit(self, seconds):
        self.go(dict(self.pet.SIT, look=self.rng.uniform(-35, 35)), .6, "sit")
        self.hold(seconds - .6, "sit")

    def lie(self, seconds):
        self.go(dict(LIE, look=self.rng.uniform(-35, 35)), .8, "lie")
        self.hold(seconds - .8, "lie")

    def walk_to(self, xy, fast=False):
        xy, dt, length = np.asarray(xy, float), 1 / FPS, self.pet.length
        speed = self.pace * (2.6 if fast else 1.5) * length ** .5 * (1.15 if self.pet.kind == "dog" else 1.)
        if self.pose["hu"] > 45:
            self.go(dict(STAND, tail=self.base), .5, "stand")
        start, self.pose = self.pose, dict(STAND, tail=self.base, neck=25.)
        offset = dict(lh=0, rf=.05, rh=.5, lf=.55) if fast else dict(lh=0, lf=.25, rh=.5, rf=.75)
        for i in range(500):
            to = xy - self.xy
            distance = np.hypot(*to)
            if distance < .08:
                break
            want = np.degrees(np.arctan2(to[0], -to[1]))
            error = (want - self.yaw + 180) % 360 - 180
            self.yaw += np.clip(error, -220 * dt, 220 * dt)
            v = speed * max(.12, np.cos(np.radians(min(abs(error), 85)))) * min(1, .4 + distance * 2)
            self.xy = self.xy + direction(self.yaw) * min(v * dt, distance)
            self.phase += v * dt / (length * (2.3 if fast else 1.7)) + .02 * (abs(error) > 40)
            u, legs, wide = ease(i / 6), {}, 30 if fast else 24
            for n in LEGS:
                p = (self.phase + offset[n]) % 1
                stance = .5 if fast else .62
                if p < stance:
                    a, flex = wide * (1 - 2 * p / stance), 0.
                else:
                    q = (p - stance) / (1 - stance)
                    a, flex = wide * (2 * ease(q) - 1), np.sin(np.pi * q)
                if n[1] == "f":
                    legs[n] = (-8 + a * u, 4 + (a * .8 - flex * 45) * u)
                else:
                    legs[n] = (22 + a * .8 * u, -32 + (a * .9 - flex * 30) * u, 6 + (a * .8 - flex * 30) * u)
            pose = {k: start.get(k, 0) + (self.pose.get(k, 0) - start.get(k, 0)) * u for k in {*start, *self.pose}}
            bob = np.sin(self.phase * 4 * np.pi) * 3
            self.put(dict(pose, neck=pose["neck"] + bob), legs, "run" if fast else "walk")

    def jump(self, xy, level):
        """To another place and height in one leap, which is faced first."""
        to = np.asarray(xy, float) - self.xy
        want = np.degrees(np.arctan2(to[0], -to[1]))
        error = (want - self.yaw + 180) % 360 - 180
        n = max(2, round(abs(error) / 220 * FPS))
        for _ in range(n):
            self.yaw += error / n
            self.put(self.pose, self.legs_of(self.pose), "stand")
        crouch = dict(STAND, fu=-30., fl=30., hu=60., hl=-62., hf=40., pitch=8., tail=self.base)
        self.go(crouch, .35, "jump")
        first, z0, n = self.xy.copy(), self.level, round(.45 * FPS)
        for i in range(1, n + 1):
            u = i / n
            self.xy, self.level = first + to * u, z0 + (level - z0) * u
            stretch = dict(STAND, fu=40., fl=20., hu=-25., hl=-45., hf=-20., pitch=25. * (1 - 2 * u), tail=self.base)
            self.put(stretch, self.legs_of(stretch), "jump", .25 * np.sin(np.pi * u) + .02)
        self.pose = crouch
        self.go(dict(STAND, tail=self.base), .3, "jump")

    # -- as a thing of a clip -------------------------------------------------------------------
    def into(self, renderer, picks):
        """Ready for rendering at these instants of the timeline."""
        self.picks = [self.frames[min(i, len(self.frames) - 1)] for i in picks]
        self.doing = [self.does[min(i, len(self.frames) - 1)] for i in picks]
        self.moving = np.array([d not in ("sit", "lie", "stand") for d in self.doing])
        self.mesh = renderer.mesh(self.pet.table, self.pet.tris)
        return self

    def set(self, t, people=()):
        pose, legs, xy, yaw, level, lift = self.picks[t]
        p, n = self.pet.posed(pose, legs, np.array([*xy, 1.]), yaw)
        p[:, 2] += level + lift - p[:, 2].min()
        self.mesh["table"][:, :3], self.mesh["table"][:, 3:6] = p, n
        self.middle = np.array([*xy, p[:, 2].mean()])
