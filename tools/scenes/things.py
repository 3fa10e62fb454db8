"""Things that move and are no people: balls, boxes, curtains, door leaves, televisions, boxes that are carried.

A thing has a `mesh` of the renderer, `set(t, people)` that brings it to the clip's instant t (people: rotations and
joints of each person or None), `moving` [T] and `fixture`: whether it belongs to the empty room's picture.
"""
import numpy as np

from body import INDEX, normals

THING, SHINES = .25, .05  # ids: what the picture's alpha says of a vertex


def table_of(points, normal, colour, ident=THING):
    """The renderer's vertex table [n,13] of plain coloured points."""
    t = np.zeros((len(points), 13), "f4")
    t[:, :3], t[:, 3:6], t[:, 8:11], t[:, 12] = points, normal, colour, ident
    return t


def cuboid(size):
    """(points [24,3], normals, tris) of a box of a size, centred on the origin."""
    points, normal, tris = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            n = np.zeros(3)
            n[axis] = sign
            u, v = np.roll(np.eye(3)[axis], 1), np.roll(np.eye(3)[axis], 2)
            tris += [[len(points), len(points) + 1, len(points) + 2], [len(points), len(points) + 2, len(points) + 3]]
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                points.append((n + a * u + b * v) * np.asarray(size) / 2)
                normal.append(n)
    return np.array(points), np.array(normal), np.array(tris)


def lump(kind, rng):
    """A small mesh: (vertex table, tris, size in m)."""
    size = rng.uniform(.08, .17)
    k = 14
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, k), np.linspace(0, np.pi, k))
    p = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1)
    if kind == "box":
        p = np.clip(p * 1.6, -.75, .75)
    elif kind == "curtain":
        p = np.stack([u / np.pi - 1, u * 0, 1 - 2 * v / np.pi], -1)
    p = p.reshape(-1, 3)
    i = np.arange(k * (k - 1)).reshape(k - 1, k)[:, :-1].ravel()
    tris = np.concatenate([np.c_[i, i + k, i + 1], np.c_[i + 1, i + k, i + k + 1]])
    return table_of(p, p / (np.linalg.norm(p, axis=1, keepdims=True) + 1e-6), rng.uniform(.1, .95, 3)), tris, size


class Mover:
    """A ball, a box (as large as a robot vacuum) or a curtain with its way of moving; `moving[t]` tells when."""

    fixture = False

    def __init__(self, rng, room, renderer, steps):
        kinds = ["ball", "box"] + (["curtain", "curtain"] if room.window else [])
        self.kind = str(rng.choice(kinds))
        self.rest, tris, self.size = lump(self.kind, rng)
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

    def set(self, t, people=()):
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
            table[:, :3] = r @ turn.T * self.size + [*self.path[t], self.size * .9]
            table[:, 3:6] = self.rest[:, 3:6] @ turn.T


class Leaf:
    """The leaf of a door: `angles` [T] in degrees, 0 shut, swinging into the room."""

    kind, fixture = "door", True

    def __init__(self, leaf, renderer, angles):
        w, h = leaf["width"], leaf["height"]
        parts = [(cuboid((w, .04, h)), (w / 2, 0, h / 2 + .01), leaf["colour"])]
        for z in (.28, .72):  # two panels a little darker, and a handle
            parts.append((cuboid((w * .66, .052, h * .36)), (w / 2, 0, h * z), leaf["colour"] * .86))
        parts.append((cuboid((.12, .12, .03)), (w - .1, 0, 1.02), (.55, .55, .5)))
        rest, tris, n = [], [], 0
        for (p, normal, t), at, colour in parts:
            rest.append(table_of(p + np.array(at), normal, colour))
            tris.append(t + n)
            n += len(p)
        self.rest, self.angles, self.leaf = np.concatenate(rest), np.asarray(angles, float), leaf
        self.moving = np.abs(np.diff(self.angles, prepend=self.angles[0])) > .5
        self.mesh = renderer.mesh(self.rest, np.concatenate(tris))
        # x along the wall from the hinge to the lock, y out of the room
        along = {"back": (1, 0), "left": (0, 1), "right": (0, 1), "front": (1, 0)}[leaf["wall"]]
        self.x = -leaf["side"] * np.array(along, float)
        self.y = -np.array({"back": (0, -1), "left": (1, 0), "right": (-1, 0), "front": (0, 1)}[leaf["wall"]], float)

    def set(self, t, people=()):
        a = np.radians(self.angles[t])
        x, y = self.x * np.cos(a) - self.y * np.sin(a), self.y * np.cos(a) + self.x * np.sin(a)
        m = np.stack([x, y])
        table = self.mesh["table"]
        table[:, :2] = self.rest[:, :2] @ m + self.leaf["hinge"]
        table[:, 3:5] = self.rest[:, 3:5] @ m

    def middle(self, t):
        """World point in the middle of the leaf."""
        a = np.radians(self.angles[t])
        xy = self.leaf["hinge"] + (self.x * np.cos(a) - self.y * np.sin(a)) * self.leaf["width"] / 2
        return np.array([*xy, 1.])


class Television:
    """A screen whose picture changes; `light[t]` is the linear colour that it throws into the room."""

    kind, fixture = "television", True
    across, down = 9, 6

    def __init__(self, tv, renderer, rng, steps, on=True, fps=5):
        self.on = np.broadcast_to(on, steps)
        n = self.across, self.down  # corners, between which colours blend
        uv = np.stack(np.meshgrid(np.linspace(0, 1, n[0]), np.linspace(0, 1, n[1]), indexing="ij"), -1).reshape(-1, 2)
        w, h = tv["size"]
        points = tv["centre"] + (uv[:, :1] - .5) * w * np.array([*tv["across"], 0]) + (uv[:, 1:] - .5) * [[0, 0, h]]
        k = (np.arange(n[0] - 1)[:, None] * n[1] + np.arange(n[1] - 1)).reshape(-1, 1)
        tris = np.concatenate([k + [0, n[1], n[1] + 1], k + [0, n[1] + 1, 1]])
        self.mesh = renderer.mesh(table_of(points, [*tv["out"], 0], 0., SHINES), tris)
        self.pictures, strength = [], rng.uniform(.5, 1.6)
        self.light = np.zeros((steps, 3))
        left = 0
        for t in range(steps):
            if left <= 0:  # a cut to another picture
                left = rng.exponential(1.8) * fps
                scene = np.clip(rng.uniform(.1, 1) * (rng.uniform(.3, 1, 3) + rng.normal(0, .3, (*n, 3))), .02, 1)
                drift = rng.integers(0, 2)
            left -= 1
            if drift:
                scene = np.roll(scene, 1, 0)
            shown = np.clip(scene + rng.normal(0, .03), .02, 1) if self.on[t] else np.full((*n, 3), .045)
            self.pictures.append(shown.reshape(-1, 3))
            self.light[t] = strength * (shown ** 2).mean((0, 1)) if self.on[t] else 0
        self.moving = self.on.copy()

    def set(self, t, people=()):
        self.mesh["table"][:, 8:11] = self.pictures[t]


class Parcel:
    """A box that a person (number `who` of the clip) lifts, carries and sets down; `held` [T]."""

    kind, fixture = "box", False

    def __init__(self, renderer, rng, who, held, floor, yaw):
        self.size = rng.uniform([.3, .22, .18], [.44, .34, .34])
        p, n, tris = cuboid(self.size)
        self.rest = table_of(p, n, np.clip(rng.choice([.75, .4]) * np.array([1, .8, .58]) + rng.normal(0, .1, 3), .05, 1))
        self.mesh = renderer.mesh(self.rest, tris)
        self.who, self.held = who, held
        self.at, self.yaw = np.array([*floor, self.size[2] / 2]), yaw
        self.moving = np.asarray(held)

    def set(self, t, people=()):
        if self.held[t] and people[self.who] is not None:
            r, p = people[self.who]
            hands = (p[INDEX["rhand"]] + p[INDEX["lhand"]]) / 2
            f = r[1] @ [0, -1., 0]
            f[2] = 0
            f /= np.linalg.norm(f)
            self.yaw = np.degrees(np.arctan2(f[0], -f[1]))
            self.at = hands + f * .1 + [0, 0, .03]
            self.at[2] = max(self.at[2], self.size[2] / 2)
        else:
            self.at[2] = self.size[2] / 2
        a = np.radians(self.yaw)
        m = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        table = self.mesh["table"]
        table[:, :3], table[:, 3:6] = self.rest[:, :3] @ m.T + self.at, self.rest[:, 3:6] @ m.T


def smooth_normals(points, tris):
    return normals(np.asarray(points, float), np.asarray(tris))
