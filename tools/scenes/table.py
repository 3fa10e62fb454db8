"""Hand-object actions on a table top: a person whose hands reach, pick up, pour, stir, cut, open, close and drink.

`make(seed, ...)` stands by itself: it builds a room around a table or counter, lays the things out, lets a `Story`
move both hands (20 instants a second, each with its kind), and renders the picks. Hands are the MPFB mesh with its
finger bones bent beforehand into a few grips; arms follow the wrists by two-bone inverse kinematics. A hand's frame
has the columns f (wrist to knuckles), n (out of the palm) and u (towards the thumb): left hands have a left-handed
frame, so everything said in hand coordinates holds for both.
"""
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from body import INDEX, UP, Body, base_mesh, normals, rig
from camera import Lens, h264
from clip import DEPTH_UNIT, H264_SHARE, KINDS, person_table
from labels import ask, describe, runs
from motion import FPS, direction, ease, locals_of, mix, rx, rz, world
from render import GRID, PERSON_FRAGMENT, VERTEX
from room import MODELS, Room, surface, surface_height

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SKIN_M = .008  # half the thickness of a finger


def unit(v):
    return v / (np.linalg.norm(v) + 1e-12)


def turn(axis, radians):
    return Rotation.from_rotvec(unit(np.asarray(axis, float)) * radians).as_matrix()


# -- hands and arms -------------------------------------------------------------------------------
class Worker(Body):
    """A body with forearms that twist and fingers that close.

    Parts 15 to 18 are the middle and the wrist end of each forearm: they take half and all of the hand's twist.
    """

    def __init__(self, **look):
        super().__init__(**look)
        bones, weights = rig()
        faces = base_mesh()[1]
        cube = lambda bone, end: self.whole[np.unique(np.array(faces[bones[bone][end]["cube_name"]]))].mean(0)
        self.hands, self.arms = {}, {}
        w = np.c_[self.w, np.zeros((len(self.w), 4), "f4")]
        for k, s in enumerate("lr"):
            shoulder, elbow, wrist = (self.joints[INDEX[s + p]] for p in ("uarm", "farm", "hand"))
            # Twist: the forearm's weight is shared by three parts along its length.
            along = unit(wrist - elbow)
            t = np.clip((self.v - elbow) @ along / np.linalg.norm(wrist - elbow), 0, 1)
            share = w[:, INDEX[s + "farm"]].copy()
            for part, at in ((INDEX[s + "farm"], 0), (15 + 2 * k, .5), (16 + 2 * k, 1)):
                w[:, part] = share * np.clip(1 - 2 * abs(t - at), 0, 1)
            joints = np.array([[cube(f"{f}_0{i}_{s}", "head") for i in (1, 2, 3)] + [cube(f"{f}_03_{s}", "tail")]
                               for f in FINGERS])
            f = unit(joints[2, 0] - wrist)
            u = joints[1, 0] - joints[4, 0]
            u = unit(u - f * (u @ f))
            frame = np.stack([f, np.cross(u, f) if s == "r" else np.cross(f, u), u], 1)
            dense = np.zeros((len(self.whole), 15), "f4")
            for i, finger in enumerate(FINGERS):
                for j in range(3):
                    pairs = np.array(weights[f"{finger}_0{j + 1}_{s}"])
                    dense[pairs[:, 0].astype(int), i * 3 + j] = pairs[:, 1]
            # Garment vertices share no indices with the skin, so gloves do not move: hands are bare.
            pick = np.flatnonzero(self.w[:, INDEX[s + "hand"]] > 0)
            inside = np.isin(self.tris, pick).all(1)
            local = np.searchsorted(pick, self.tris[inside])
            self.hands[s] = dict(wrist=wrist, frame=frame, joints=(joints - wrist) @ frame, pick=pick,
                                 weight=dense[self.source[pick]], tris=local, shapes={})
            d = unit(elbow - shoulder)
            hinge = unit(np.cross(d, along))
            self.arms[s] = dict(upper=np.linalg.norm(elbow - shoulder), fore=np.linalg.norm(wrist - elbow), along=along,
                                rest_upper=np.stack([d, hinge, np.cross(d, hinge)], 1),
                                rest_fore=np.stack([along, hinge, np.cross(along, hinge)], 1))
        self.w19 = w.astype("f4")
        self.bends = {}

    def bend(self, shape):
        """The 5 x 3 joint rotations in hand coordinates of a shape: (name, radius in mm)."""
        if shape not in self.bends:
            self.bends[shape] = close_hand(self.hands["l"]["joints"], *shape)
        return self.bends[shape]

    def shape(self, side, shape):
        """Rest vertices and normals of a hand in a shape."""
        hand = self.hands[side]
        if shape not in hand["shapes"]:
            x = (self.v[hand["pick"]] - hand["wrist"]) @ hand["frame"]
            out = x.copy()
            for i, rotations in enumerate(self.bend(shape)):
                r, p = np.eye(3), np.zeros(3)
                for j in range(3):
                    at = hand["joints"][i, j]
                    p = r @ (at - rotations[j] @ at) + p
                    r = r @ rotations[j]
                    out += hand["weight"][:, i * 3 + j, None] * (x @ r.T + p - x)
            n = normals(out, hand["tris"])
            v = out @ hand["frame"].T + hand["wrist"]
            hand["shapes"][shape] = v.astype("f4"), (n @ hand["frame"].T).astype("f4")
        return hand["shapes"][shape]

    def skin19(self, rotations, positions, grips, pick=slice(None)):
        """Vertices and normals of 19 parts; grips[side] = (shape, shape, how far from the first to the second)."""
        v, n = self.v.copy(), self.n.copy()
        for side, (a, b, t) in grips.items():
            va, na = self.shape(side, a)
            vb, nb = self.shape(side, b)
            v[self.hands[side]["pick"]] = va + (vb - va) * t
            n[self.hands[side]["pick"]] = na + (nb - na) * t
        joints = np.concatenate([self.joints, np.repeat([self.joints[INDEX["lfarm"]], self.joints[INDEX["rfarm"]]], 2, 0)])
        shift = positions - np.einsum("kij,kj->ki", rotations, joints)
        w, v, n = self.w19[pick], v[pick], n[pick]
        a = (w @ rotations.reshape(-1, 9).astype("f4")).reshape(-1, 3, 3)
        return (a * v[:, None]).sum(2) + w @ shift.astype("f4"), (a * n[:, None]).sum(2)


def flex(degrees):
    return turn((0, 0, 1), np.radians(degrees))


def reach_of(chain, rotations):
    """Joint positions [4,3] of a finger's rest joints [4,3] after rotations at its first three."""
    out, r = [chain[0]], np.eye(3)
    for j in range(3):
        r = r @ rotations[j]
        out.append(out[-1] + r @ (chain[j + 1] - chain[j]))
    return np.array(out)


def line_distance(points, centre, axis):
    d = points - centre
    return np.linalg.norm(d - np.outer(d @ axis, axis), axis=1)


def grip_centre(name, radius):
    """Where in hand coordinates the middle of a held thing is, and its axis."""
    if name == "claw":  # from above: the thing's axis is the palm's normal
        return np.array([.1, .055, .012]), np.array([0, 1., 0])
    if name == "pinch":
        return np.array([.135, .068, .028]), np.array([0, 0, 1.])
    return np.array([.088 + .15 * radius, radius + .021, -.004]), np.array([0, 0, 1.])


def close_hand(joints, name, radius_mm):
    """Joint rotations [5][3] that close a hand around a cylinder (or make one of the free shapes)."""
    out = [[np.eye(3)] * 3 for _ in FINGERS]
    free = dict(relaxed=(12, 18, 10), flat=(-3, -8, -12), open=(8, 14, 6), fist=(70, 85, 55))
    if name in free:
        for i in range(1, 5):
            out[i] = [flex(a + (i - 2) * 3 * (name == "relaxed")) for a in free[name]]
        if name == "open":
            out[0] = [turn((0, 1, 0), .15) @ flex(25), np.eye(3), np.eye(3)]
        return out
    r = radius_mm / 1000
    centre, axis = grip_centre(name, r)
    if name == "pinch":
        for i, angles in enumerate(((48, 38, 22), (55, 45, 25), (60, 50, 30), (62, 52, 30))):
            out[i + 1] = [flex(a) for a in angles]
        goal = reach_of(joints[1], out[1])[3] + np.array([-.004, .012, -.002])
    elif name == "claw":
        for i in range(1, 5):
            spread = turn((0, 1, 0), (.0, .06, .02, -.06, -.14)[i])
            a = np.clip(58 - r * 500, 22, 55)
            out[i] = [spread @ flex(a), flex(a * .75), flex(a * .4)]
        goal = centre + np.array([-.35 * r, .03, 0]) + np.array([0, 0, 1.]) * (r + SKIN_M)
    else:
        for i in range(1, 5):
            bent = [0., 0., 0.]
            for j, most in enumerate((85, 105, 70)):
                for angle in range(-12, most, 3):
                    trial = list(bent)
                    trial[j] = angle
                    p = reach_of(joints[i], [flex(a) for a in trial])
                    segment = p[j] + np.linspace(.25, 1, 5)[:, None] * (p[j + 1] - p[j])
                    if line_distance(segment, centre, axis).min() < r + SKIN_M:
                        break
                    bent[j] = angle
            out[i] = [flex(a) for a in bent]
        goal = centre + (r + SKIN_M) * unit(np.array([-.35, 1., 0])) + np.array([0, 0, .028])

    def thumb(x):
        return [Rotation.from_rotvec(x[:3]).as_matrix(), turn((0, 1, 0), x[3]), turn((0, 1, 0), x[4])]

    def miss(x):
        p = reach_of(joints[0], thumb(x))
        segment = np.concatenate([p[1] + np.linspace(.3, 1, 3)[:, None] * (p[2] - p[1]), p[2] + np.linspace(.5, 1, 2)[:, None] * (p[3] - p[2])])
        clear = np.minimum(0, line_distance(segment, centre, axis) - r - SKIN_M) * 60 if name not in ("pinch",) else np.zeros(5)
        return np.r_[(p[3] - goal) * 50, clear, x * .25]

    out[0] = thumb(least_squares(miss, np.zeros(5), max_nfev=40).x)
    return out


def solve_arm(body, side, shoulder, wrist, frame, pole):
    """Rotations of upper arm, forearm (0, half and all of the twist) and hand; and the elbow and wrist reached."""
    arm, hand = body.arms[side], body.hands[side]
    to = wrist - shoulder
    length = np.linalg.norm(to)
    a, b = arm["upper"], arm["fore"]
    d = np.clip(length, abs(a - b) + .02, (a + b) * .985)
    to = unit(to)
    x = (a * a - b * b + d * d) / (2 * d)
    out = unit(pole - to * (pole @ to))
    elbow = shoulder + to * x + out * np.sqrt(max(a * a - x * x, 0))
    wrist = shoulder + to * d
    upper, fore = unit(elbow - shoulder), unit(wrist - elbow)
    hinge = unit(np.cross(upper, fore))
    r_upper = np.stack([upper, hinge, np.cross(upper, hinge)], 1) @ arm["rest_upper"].T
    r_fore = np.stack([fore, hinge, np.cross(fore, hinge)], 1) @ arm["rest_fore"].T
    r_hand = frame @ hand["frame"].T
    # The hand's twist about the forearm: swing and twist of the relative rotation.
    q = Rotation.from_matrix(r_fore.T @ r_hand).as_quat()
    angle = 2 * np.arctan2(q[:3] @ arm["along"], q[3])
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    twist = lambda k: r_fore @ turn(arm["along"], angle * k)
    return (r_upper, twist(0.), twist(.5), twist(1.), r_hand), elbow, wrist


# -- meshes ---------------------------------------------------------------------------------------
# A mesh is (vertices, normals, colours, layers, tris). Layers: 0 plain, 1 to 4 the patterns of clothes,
# -1 glass (every other sample is left out), -2 metal.
GLASS, METAL = -1., -2.


def mesh(v, n, colour, tris, layer=0.):
    v = np.asarray(v, "f4")
    return (v, np.asarray(n, "f4"), np.broadcast_to(np.asarray(colour, "f4"), v.shape).copy(), np.full(len(v), layer, "f4"),
            np.asarray(tris, int))


def join(*meshes):
    start = np.cumsum([0] + [len(m[0]) for m in meshes])
    return tuple(np.concatenate([m[i] for m in meshes]) for i in range(4)) + (
        np.concatenate([m[4] + s for m, s in zip(meshes, start)]),)


def lathe(profile, colours, layer=0., k=20):
    """A profile of (radius, height) turned about z; one colour a band, the last one repeated."""
    out = []
    angle = np.linspace(0, 2 * np.pi, k + 1)
    ring = np.c_[np.cos(angle), np.sin(angle)]
    slopes = [unit(np.array([b[1] - a[1], a[0] - b[0]])) for a, b in zip(profile, profile[1:])]
    for i, ((r0, z0), (r1, z1)) in enumerate(zip(profile, profile[1:])):
        ends = []  # smooth where bands meet at less than about 50 degrees
        for j in (i - 1, i + 1):
            near = slopes[j] if 0 <= j < len(slopes) and slopes[j] @ slopes[i] > .6 else slopes[i]
            ends.append(unit(slopes[i] + near))
        v = np.concatenate([np.c_[ring * r0, np.full(k + 1, z0)], np.c_[ring * r1, np.full(k + 1, z1)]])
        n = np.concatenate([np.c_[ring * e[0], np.full(k + 1, e[1])] for e in ends])
        q = np.arange(k)
        colour = colours[min(i, len(colours) - 1)]
        out.append(mesh(v, n, colour, np.concatenate([np.c_[q, q + 1, q + k + 1], np.c_[q + 1, q + k + 2, q + k + 1]]), layer))
    return join(*out)


def box(size, colour, centre=(0, 0, 0), layer=0.):
    v, n, t = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            a, b = [np.eye(3)[i] for i in range(3) if i != axis]
            c = np.eye(3)[axis] * sign
            t += [[len(v), len(v) + 1, len(v) + 2], [len(v), len(v) + 2, len(v) + 3]]
            v += [c - a - b, c + a - b, c + a + b, c - a + b]
            n += [c] * 4
    return mesh(np.array(v) * np.asarray(size) / 2 + centre, n, colour, t, layer)


def tube(path, radii, colour, layer=0., k=8):
    """A round bar along points [n,3] with closed ends."""
    path = np.asarray(path, float)
    radii = np.broadcast_to(radii, (len(path),))
    d = np.gradient(path, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-12
    side = np.cross(d, [.31, .52, .79])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(d, side)
    angle = np.arange(k) * 2 * np.pi / k
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    v = (path[:, None] + ring * radii[:, None, None]).reshape(-1, 3)
    i = np.arange((len(path) - 1) * k)
    j = i // k * k + (i + 1) % k
    caps = [[s, s + a, s + a + 1] for s in (0, (len(path) - 1) * k) for a in range(1, k - 1)]
    return mesh(v, ring.reshape(-1, 3), colour, np.concatenate([np.c_[i, j, i + k], np.c_[j, j + k, i + k], caps]), layer)


def slab(section, x0, x1, skin, flesh, taper=(1, 1)):
    """A cross section [n,2] (y, z) drawn out from x0 to x1: its hull in `skin`, its two ends in `flesh`."""
    n = len(section)
    centre = section.mean(0)
    sections = [(section - centre) * t + centre for t in taper]
    hull = np.concatenate([np.c_[np.full(n, x), q] for q, x in zip(sections, (x0, x1))])
    normal = np.c_[np.zeros(n), section - centre]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    i = np.arange(n)
    j = (i + 1) % n
    parts = [mesh(hull, np.r_[normal, normal], skin, np.concatenate([np.c_[i, j, i + n], np.c_[j, j + n, i + n]]))]
    for x, sign, q, colour in ((x0, -1, sections[0], flesh[0]), (x1, 1, sections[1], flesh[1])):
        v = np.r_[np.c_[np.full(n, x), q], [[x, *centre]]]
        parts.append(mesh(v, np.tile([sign, 0, 0], (n + 1, 1)), colour, np.c_[i, j, np.full(n, n)]))
    return join(*parts)


def tint(rng, low=.15, high=.95):
    grey = rng.uniform(low, high)
    return np.clip(grey * .45 + rng.uniform(low, high, 3) * .55, 0, 1)


class Thing:
    """A household thing: parts in its own frame, standing on z = 0, and what hands and liquids need to know.

    `grip` is a dict(kind, point, radius): kind "side" (around an upright axis), "handle" (an upright bar that stands
    out in the direction `out`), "top" (from above), "rod" (a bar along x).
    """

    def __init__(self, name, meshes, radius, height, grip, **more):
        self.name, self.meshes, self.radius, self.height, self.grip = name, meshes, radius, height, grip
        self.r, self.p = np.eye(3), np.zeros(3)
        self.part_m = [np.eye(3) for _ in meshes]
        self.part_p = [np.zeros(3) for _ in meshes]
        self.where = "table"
        self.lying, self.liquid, self.transparent, self.fixed = None, None, False, False
        self.__dict__.update(more)

    def point(self, local):
        return self.r @ np.asarray(local, float) + self.p

    def fill(self, level):
        """Set the liquid part to a level from 0 to 1 of the inside; hidden when empty."""
        index, low, high, r_low, r_high = self.liquid
        self.level = level = float(np.clip(level, 0, 1))
        r = r_low + (r_high - r_low) * level
        z = low + (high - low) * level
        if level < .02:
            self.part_m[index] = np.zeros((3, 3))
        elif self.transparent:
            self.part_m[index] = np.diag([r, r, z - low])
            self.part_p[index] = np.array([0, 0, low])
        else:
            self.part_m[index], self.part_p[index] = np.diag([r, r, 1]), np.array([0, 0, z])

    def surface(self):
        _, low, high, *_ = self.liquid
        return low + (high - low) * max(.03, self.level)


DRINKS = {"water": (.72, .8, .86), "milk": (.95, .94, .9), "juice": (.95, .6, .12), "coffee": (.22, .13, .08), "tea": (.55, .28, .1),
          "cola": (.18, .08, .06), "soup": (.8, .45, .2), "batter": (.93, .83, .58)}


def liquid_part(colour, solid):
    """A unit disc, or for glass a unit cylinder with a top."""
    top = lathe([(1, 1 if solid else 0), (0, 1 if solid else 0)], [colour])
    return join(top, lathe([(1, 0), (1, 1)], [np.array(colour) * .92])) if solid else top


def handle_bar(r, z0, z1, out, colour, thick=.006, layer=0.):
    """A bent handle on the side +x of a vessel of radius r."""
    a = np.linspace(-np.pi / 2, np.pi / 2, 9)
    zm, zh = (z0 + z1) / 2, (z1 - z0) / 2
    return tube(np.c_[r - .004 + np.cos(a) ** .6 * out, np.zeros(9), zm + np.sin(a) * zh], thick, colour, layer, 6)


def vessel(name, rng, profile, colours, wall, grip, drink=None, level=0., layer=0., extra=(), **more):
    """A lathe vessel: the outside profile from bottom to rim; the inside follows `wall` within it."""
    inside = [(max(.001, r - wall), max(z, wall * 1.5)) for r, z in reversed(profile)]
    inner = more.pop("inner", colours[-1])
    body = join(lathe([(0, profile[0][1]), *profile], colours, layer), lathe([profile[-1], *inside, (0, wall * 1.5)], [inner], layer), *extra)
    glass = layer == GLASS
    low, high = wall * 1.6, profile[-1][1] - .01
    drink = drink or "water"
    t = Thing(name, [body, liquid_part(DRINKS[drink], glass)], max(r for r, _ in profile), profile[-1][1], grip,
              transparent=glass, drink=drink, mouth_r=profile[-1][0], **more)
    t.liquid = (1, low, high, profile[1][0] - wall - .001 if not glass else min(r for r, _ in profile) - wall, profile[-1][0] - wall - .001)
    if glass:
        t.liquid = (1, low, high, t.liquid[3], t.liquid[3])
    t.fill(level)
    return t


def make_cup(rng, drink, level):
    r, h = rng.uniform(.034, .044), rng.uniform(.08, .105)
    colour, inner = tint(rng, .25, .97), tint(rng, .6, .95)
    style = rng.random()
    layer = float(rng.choice([0, 0, 0, 1, 2, 4]))
    profile = [(r * rng.uniform(.7, .95), 0), (r * .97, h * .25), (r, h)]
    extra = [handle_bar(r, h * .2, h * .85, rng.uniform(.02, .028), colour)] if style < .75 else []
    return vessel("cup", rng, profile, [colour], .004, dict(kind="side", point=(0, 0, max(.052, h * .55)), radius=r), drink, level,
                  layer, extra, inner=inner)


def make_glass(rng, drink, level):
    r, h = rng.uniform(.03, .038), rng.uniform(.1, .145)
    colour = np.array([.82, .9, .92]) * rng.uniform(.85, 1.05)
    low = r * rng.uniform(.78, .97)
    solid = [lathe([(r + .0006, h - .004), (r + .0006, h), (r - .003, h)], [np.full(3, .93)]), lathe([(low, 0), (low * 1.01, .006)], [colour * .85])]
    return vessel("glass", rng, [(low, 0), (r * .97, .03), (r, h)], [np.clip(colour, 0, 1)], .002,
                  dict(kind="side", point=(0, 0, max(.055, h * .5)), radius=r), drink, level, GLASS, solid)


def make_bottle(rng, drink, level):
    r, h, neck = rng.uniform(.03, .043), rng.uniform(.19, .29), rng.uniform(.011, .016)
    colour, label = tint(rng, .1, .9), tint(rng, .3, .97)
    a, b = h * rng.uniform(.2, .3), h * rng.uniform(.48, .58)
    profile = [(r * .9, 0), (r, .008), (r, a), (r, b), (r, h * .62), (r * .75, h * .7), (neck, h * .82), (neck, h)]
    colours = [colour, colour, colour, label, colour, colour, colour, tint(rng)]
    return vessel("bottle", rng, profile, colours, .003, dict(kind="side", point=(0, 0, h * rng.uniform(.36, .48)), radius=r),
                  drink, level, 0., spout=neck, tilt=rng.uniform(98, 118))


def make_carton(rng, drink, level):
    w, h = rng.uniform(.06, .075), rng.uniform(.17, .23)
    colour, label = tint(rng, .4, .97), tint(rng)
    roof = lathe([(w * .7, h), (w * .16, h + .035)], [label], k=4)
    angle = np.pi / 4
    roof = (roof[0] @ turn((0, 0, 1), angle).T.astype("f4"), roof[1] @ turn((0, 0, 1), angle).T.astype("f4"), *roof[2:])
    meshes = [join(box((w, w, h * .45), label, (0, 0, h * .225)), box((w, w, h * .55), colour, (0, 0, h * .725)), roof,
                   lathe([(.012, h + .03), (.012, h + .05), (0, h + .05)], [tint(rng)], k=10))]
    return Thing("carton", meshes, w * .7, h + .05, dict(kind="side", point=(0, 0, h * .5), radius=w * .52), drink=drink, mouth_r=.012,
                 spout=.012, tilt=rng.uniform(92, 108), level=level)


def make_jug(rng, drink, level):
    name = str(rng.choice(["jug", "kettle"]))
    r, h = rng.uniform(.045, .06), rng.uniform(.14, .2)
    colour, layer = (tint(rng, .2, .95), 0.) if rng.random() < .6 else (np.full(3, rng.uniform(.6, .85)), METAL)
    top = r * (rng.uniform(.62, .78) if name == "kettle" else rng.uniform(.75, 1.))
    profile = [(r * .85, 0), (r, h * .15), (r * 1.02, h * .4), (top, h * .85), (top * 1.06, h)]
    dark = tint(rng, .05, .5)
    lip = tube([(-top * .8, 0, h * .8), (-top - .022, 0, h * .985)], [.017, .011], colour, layer)
    extra = [handle_bar(r * .92, h * .2, h * .92, .045, dark, .009), lip]
    return vessel(name, rng, profile, [colour], .004, dict(kind="handle", point=(r * .92 + .041, 0, h * .58), radius=.01, out=(1, 0, 0)),
                  drink, level, layer, extra, spout=top + .024, tilt=rng.uniform(52, 72))


def make_bowl(rng, drink, level):
    r, h = rng.uniform(.07, .105), rng.uniform(.05, .08)
    profile = [(r * .45, 0), (r * .75, h * .25), (r * .93, h * .6), (r, h)]
    return vessel("bowl", rng, profile, [tint(rng, .3, .97)], .004, dict(kind="side", point=(0, 0, h * .7), radius=r), drink, level,
                  inner=tint(rng, .5, .97))


def make_pot(rng, drink, level, pan=False):
    r, h = (rng.uniform(.105, .135), rng.uniform(.04, .055)) if pan else (rng.uniform(.085, .11), rng.uniform(.08, .12))
    colour, layer = (np.full(3, rng.uniform(.5, .8)), METAL) if rng.random() < .5 else (tint(rng, .05, .8), 0.)
    dark = np.full(3, rng.uniform(.05, .25))
    if pan:
        extra = [tube([(r - .005, 0, h * .8), (r + .05, 0, h * .95), (r + .19, 0, h * 1.15)], [.008, .009, .011], dark)]
    else:
        ear = lambda s: tube([(s * (r - .004), -.03, h * .8), (s * (r + .025), -.025, h * .82), (s * (r + .025), .025, h * .82),
                              (s * (r - .004), .03, h * .8)], .006, dark)
        extra = [ear(1), ear(-1)]
    inner = np.full(3, rng.uniform(.12, .65))
    return vessel("pan" if pan else "pot", rng, [(r * .95, 0), (r, .01), (r, h)], [colour], .003,
                  dict(kind="side", point=(0, 0, h * .6), radius=r), drink, level, layer, extra, inner=inner)


def make_jar(rng):
    r, h = rng.uniform(.034, .044), rng.uniform(.09, .135)
    fill, colour = tint(rng, .1, .9), tint(rng, .2, .95)
    body = lathe([(0, 0), (r, .003), (r, h * .2), (r, h * .75), (r * .98, h * .86), (r * .86, h * .93), (r * .86, h)],
                 [fill, fill, tint(rng, .5, .97), fill, np.full(3, .8), np.full(3, .8)])
    body = join(body, lathe([(r * .84, h - .01), (0, h - .01)], [fill * .7]))
    lid = lathe([(r * .96, -.016), (r * .96, 0), (r * .9, .003), (0, .003)], [colour], float(rng.choice([0, METAL])))
    t = Thing("jar", [body, lid], r, h + .004, dict(kind="side", point=(0, 0, max(.052, h * .42)), radius=r), lid=1, lid_r=r, shut=(0, 0, h + .004),
              lid_rest=.016, opening="twist")
    return t


def make_lidded_pot(rng):
    t = make_pot(rng, str(rng.choice(["soup", "water", "batter"])), rng.uniform(.3, .8))
    h, r = t.height, t.radius
    colour = np.full(3, rng.uniform(.3, .8))
    lid = join(lathe([(r * 1.02, 0), (r, .006), (r * .5, .02), (0, .024)], [colour], METAL),
               lathe([(.006, .02), (.008, .034), (.016, .038), (.016, .05), (0, .052)], [tint(rng, .05, .6)], k=12))
    t.meshes.append(lid)
    t.part_m.append(np.eye(3))
    t.part_p.append(np.zeros(3))
    t.__dict__.update(lid=2, lid_r=.016, shut=(0, 0, h), lid_rest=.002, opening="lift", knob=.046)
    return t


def make_box(rng):
    w, d, h = rng.uniform(.15, .24), rng.uniform(.11, .17), rng.uniform(.05, .1)
    colour, inner = tint(rng, .2, .9), tint(rng, .2, .9)
    wall = .005
    sides = [box((w, wall, h), colour, (0, s * (d - wall) / 2, h / 2)) for s in (-1, 1)]
    sides += [box((wall, d, h), colour, (s * (w - wall) / 2, 0, h / 2)) for s in (-1, 1)]
    things = [box((rng.uniform(.02, .05), rng.uniform(.02, .05), h * .7), tint(rng), (x * w * .28, rng.uniform(-.2, .2) * d, h * .36))
              for x in (-1, 0, 1)]
    lid = join(box((w + .004, d + .004, .012), colour * .9, (0, -d / 2, .006)), box((.03, .008, .012), tint(rng), (0, -d - .004, .002)))
    t = Thing("box", [join(*sides, box((w, d, .004), inner, (0, 0, .002)), *things), lid], np.hypot(w, d) / 2, h + .012,
              dict(kind="top", point=(0, 0, h), radius=.03), lid=1, lid_r=.0, shut=(0, d / 2, h), opening="hinge", depth=d, width=w)
    t.part_p[1] = np.array(t.shut, float)
    return t


def make_spoon(rng):
    n = rng.uniform(.2, .28)
    wood = rng.random() < .55
    colour, layer = (np.array([.72, .52, .33]) * rng.uniform(.6, 1.15), 0.) if wood else (np.full(3, rng.uniform(.65, .85)), METAL)
    a = np.linspace(0, np.pi, 7)
    rod = tube([(0, 0, 0), (n * .4, 0, .002), (n - .05, 0, 0)], [.0065, .005, .0045] if wood else [.006, .0035, .003], colour, layer, 6)
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 11), a)
    ball = np.stack([np.cos(v), np.sin(v) * np.cos(u), np.sin(v) * np.sin(u)], -1).reshape(-1, 3)
    i = np.arange(6 * 11).reshape(6, 11)[:, :-1].ravel()
    bowl = mesh(ball * [.031, .021, .008] + [n - .03, 0, 0], ball, np.clip(colour, 0, 1), np.concatenate([np.c_[i, i + 11, i + 1], np.c_[i + 1, i + 11, i + 12]]), layer)
    return Thing("spoon", [join(rod, bowl)], .03, .02, dict(kind="rod", point=(n * .3, 0, 0), radius=.007), length=n, lying=.009)


def make_knife(rng):
    n, h, blade = rng.uniform(.24, .31), rng.uniform(.024, .042), rng.uniform(.58, .64)
    x0, x1 = n * (1 - blade), n
    tip = x1 - h * 1.4
    v = np.array([(x0, 0), (tip, 0), (x1, -h * .45), (tip + h * .4, -h * .85), (tip - h, -h), (x0, -h)])
    v = np.c_[v[:, 0], np.zeros(6), v[:, 1] + .008]
    tris = [[0, 1, 5], [1, 4, 5], [1, 3, 4], [1, 2, 3]]
    metal = np.full(3, rng.uniform(.75, .92))
    sheet = [mesh(v + [0, s * .0008, 0], np.tile([0, s, .0], (6, 1)), metal, tris, METAL) for s in (-1, 1)]
    sheet.append(box((tip - x0, .0028, .003), metal * .9, ((tip + x0) / 2, 0, .007), METAL))
    grip = box((x0, .017, .024), tint(rng, .03, .5), (x0 / 2, 0, -.004))
    return Thing("knife", [join(*sheet, grip)], .03, .02, dict(kind="rod", point=(x0 * .62, 0, -.002), radius=.01), length=n, blade_h=h, lying=.009, x0=x0)


FOODS = {  # section (width, height), length, thickness of slices, skin, flesh, roundness
    "bread": ((.09, .12), (.07, .095), (.17, .25), (.013, .02), (.62, .4, .2), (.93, .85, .66), 3.2),
    "cucumber": ((.038, .048), (.038, .048), (.18, .24), (.009, .016), (.2, .42, .16), (.8, .9, .62), 2),
    "carrot": ((.03, .038), (.03, .038), (.15, .2), (.01, .016), (.9, .45, .12), (.97, .62, .25), 2),
    "sausage": ((.04, .055), (.04, .055), (.16, .22), (.008, .014), (.55, .22, .18), (.85, .5, .45), 2),
    "cheese": ((.06, .085), (.05, .07), (.12, .18), (.01, .016), (.93, .75, .3), (.97, .84, .45), 5),
}


def make_food(rng, name):
    (w, h, n, thick, skin, flesh, power) = FOODS[name]
    w, h, n, thick = (rng.uniform(*a) for a in (w, h, n, thick))
    skin, flesh = np.clip(np.array(skin) * rng.uniform(.8, 1.15), 0, 1), np.clip(np.array(flesh) * rng.uniform(.9, 1.05), 0, 1)
    a = np.linspace(0, 2 * np.pi, 21)[:-1]
    power = lambda c, p=power: np.sign(c) * abs(c) ** (2 / p)
    section = np.c_[power(np.cos(a)) * w / 2, power(np.sin(a)) * h / 2 + h / 2]
    count = int(min(10, n * .62 / thick))
    cuts = [n / 2 - thick * (i + 1) for i in range(count)]
    edges = [n / 2, *cuts]
    meshes, at = [], []
    for i in range(count):  # slice i lies between cut i and the one before; its own frame is its middle
        middle = (edges[i] + edges[i + 1]) / 2
        half = thick / 2
        meshes.append(slab(section, -half, half, skin, (flesh, skin if i == 0 else flesh), (1, .82 if i == 0 else 1)))
        at.append(middle)
    meshes.append(join(slab(section, -n / 2 + .015, cuts[-1], skin, (skin, flesh)),
                       slab(section, -n / 2, -n / 2 + .015, skin, (skin, skin), (.8, 1))))
    t = Thing(name, meshes, n / 2, h, dict(kind="top", point=(-n * .3, 0, h), radius=.03), length=n, width=w, cuts=cuts, thick=thick, cut=0)
    for i, x in enumerate(at):
        t.part_p[i] = np.array([x, 0, 0])
    return t


def make_board(rng):
    w, d, h = rng.uniform(.3, .4), rng.uniform(.2, .27), rng.uniform(.012, .022)
    colour = np.array([.78, .6, .4]) * rng.uniform(.5, 1.15) if rng.random() < .75 else tint(rng, .4, .95)
    return Thing("board", [box((w, d, h), np.clip(colour, 0, 1), (0, 0, h / 2))], w / 2, h, dict(kind="none", point=(0, 0, 0), radius=0), fixed=True)


def make_plate(rng):
    r = rng.uniform(.085, .13)
    colour = tint(rng, .5, .98)
    return Thing("plate", [lathe([(0, .004), (r * .6, .004), (r, .018), (r * .98, .02), (r * .62, .008), (0, .008)],
                                 [colour, colour, colour, colour * rng.uniform(.75, 1), colour])], r, .02,
                 dict(kind="none", point=(0, 0, 0), radius=0), fixed=True)


# -- the place ------------------------------------------------------------------------------------
class TableRoom(Room):
    """A room around one table or counter; `stage` says where the person sits or stands and what is free on the top."""

    def furnish(self):
        rng = self.rng
        kind = str(rng.choice(["table", "made", "counter", "island"], p=[.45, .15, .25, .15]))
        seated = kind in ("table", "made") and rng.random() < .72
        for _ in range(30):
            if self.stand_up(kind, seated):
                break
        else:
            raise ValueError("no place for a table")
        walls = tuple({"back", "left", "right"} - {self.stage["wall"]}) if self.stage["wall"] else ("back", "left", "right")
        for use, count in (("side", rng.integers(1, 4)), ("tall", rng.integers(0, 3)), ("plant", rng.integers(0, 2)), ("chair", rng.integers(0, 2))):
            for _ in range(count):
                self.place(use, walls)

    def hang_doors(self):
        """No leaves: nobody comes or goes here."""

    hang_television = hang_doors

    def stand_up(self, kind, seated):
        """Put the table, and the chair; False if they do not fit."""
        rng = self.rng
        wall = None
        model = None
        if kind == "table":
            name = str(rng.choice([n for n in MODELS["table"] if not self.only or n[0] in self.only]))
            model = self.library.model(name)
            if model is None or not .68 < model["size"][2] < .93:
                return False
            w, d, top = model["size"]
            if min(w, d) < .68:
                return False
        else:
            w, d = rng.uniform(1.2, 2.2), rng.uniform(.55, .68) if kind == "counter" else rng.uniform(.65, .95)
            top = rng.uniform(.7, .77) if kind == "made" else rng.uniform(.85, .93)
        if kind == "counter":
            wall = str(rng.choice(["back", "left", "right"]))
            length = self.w if wall == "back" else self.d
            w = min(w * 1.4, length - .1)
            along = rng.uniform(-1, 1) * (length - w) / 2
            if any(p < along + w / 2 and q > along - w / 2 for p, q in self.taken[wall]):
                return False
            centre = self.wall_point(wall, along, d / 2 + .01)
            yaw = {"back": 180., "left": -90., "right": 90.}[wall]
            shift = rng.uniform(-.5, .5) * max(0, w - 1.3)
        else:
            yaw = float(rng.choice([0, 90, 180, -90])) + rng.normal(0, 5)
            centre = rng.uniform(-.5, .5, 2)
            shift = rng.uniform(-.5, .5) * max(0, w - 1.25)
            if rng.random() < .5 and kind == "table":
                w, d = d, w  # seated at the short side
                shift = 0.
        f = direction(yaw)
        left = np.array([-f[1], f[0]])
        edge = d / 2
        gap = rng.uniform(.19, .27) if seated else rng.uniform(.17, .23)
        person = centre + left * shift - f * (edge + gap)
        if abs(person[0]) > self.w / 2 - .6 or abs(person[1]) > self.d / 2 - .6:
            return False
        seat = None
        if seated:
            name_c, chair = self.pick("chair")
            if chair is None:
                return False
            back = -chair["size"][1] / 2 + min(.40, chair["size"][1] * .64)
            at = person + f * back
            height = surface_height(chair["table"], 0, back - .1, .14, .75)
            if not .4 < height < .53:
                return False
            self.put(name_c, chair, at, yaw)
            seat = height
        if model:
            self.put(name, model, centre, yaw + (90 if (w, d) != tuple(model["size"][:2]) else 0))
        else:
            self.make_top(kind, centre, yaw, w, d, top)
        self.stage = dict(person=person, yaw=yaw, top=top, edge=gap, half=w / 2, depth=d, shift=shift, seat=seat, wall=wall, kind=kind,
                          centre=centre, triangles=self.top_triangles(top) if model else None)
        return True

    def top_triangles(self, top):
        """Where the top of the model put last is: triangles [n,3,2] in the plane."""
        t = self.tables[-1][:, :3].reshape(-1, 3, 3)
        return t[(np.abs(t[..., 2] - top) < .025).all(1)][..., :2]

    def make_top(self, kind, centre, yaw, w, d, top):
        """A table or counter of boards."""
        rng, start = self.rng, len(self.tables)
        thick = rng.uniform(.025, .045)
        layer = self.image(surface(rng, str(rng.choice(["planks", "carpet", "wall", "tiles"], p=[.35, .3, .25, .1]))))
        self.quad((-w / 2, -d / 2, top), (w, 0, 0), (0, d, 0), layer=layer, repeat=rng.uniform(.5, 1.2), ident=10)
        colour = tint(rng, .2, .95)
        self.block((0, 0, top - thick / 2 - .001), (w, d, thick), colour * .9)
        if kind == "made":
            for x in (-1, 1):
                for y in (-1, 1):
                    self.block((x * (w / 2 - .06), y * (d / 2 - .06), (top - thick) / 2), (.055, .055, top - thick), colour * .8)
        else:
            self.block((0, .03, (top - thick) / 2), (w - .02, d - .08, top - thick), colour)
            for x in np.arange(-w / 2 + .3, w / 2 - .2, .55):  # doors with knobs
                self.block((x, -d / 2 + .065, top * .5), (.5, .02, top * .78), np.clip(colour * 1.1, 0, 1))
                self.block((x + .2, -d / 2 + .045, top * .72), (.02, .03, .09), np.full(3, .25))
            if kind == "counter":
                self.quad((-w / 2, d / 2 - .002, top), (w, 0, 0), (0, 0, .55), layer=self.image(surface(rng, "tiles")), repeat=.5)
                if rng.random() < .6:
                    self.block((0, d / 2 - .16, top + .95), (w, .32, .7), np.clip(colour * rng.uniform(.8, 1.2), 0, 1))
        # Written with the person's side at -y; turned so that the person faces the given yaw.
        a = np.radians(yaw + 180)
        r = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        for t in self.tables[start:]:
            t[:, :2], t[:, 3:5] = t[:, :2] @ r.T + centre, t[:, 3:5] @ r.T
        self.boxes.append((np.asarray(centre, float), np.abs(r) @ [w / 2, d / 2], top, yaw, (w, d)))

    def light(self):
        super().light()
        rng, at = self.rng, self.stage["centre"]
        reach = rng.uniform(-.9, .9, 2)
        pos = np.clip([*(at + reach), self.h - .12], [-self.w / 2 + .2, -self.d / 2 + .2, 1], [self.w / 2 - .2, self.d / 2 - .2, 3])
        self.lights.update(pos=pos, target=np.array([*(at * .8 + pos[:2] * .2), .4]), cone=float(rng.uniform(105, 130)))

    def bake(self, meshes, r, p):
        """Make meshes part of the still room."""
        for v, n, c, layer, tris in meshes:
            t = np.zeros((tris.size, 13), "f4")
            i = tris.ravel()
            t[:, :3], t[:, 3:6], t[:, 8:11], t[:, 11], t[:, 12] = v[i] @ r.T + p, n[i] @ r.T, c[i], -1, 10
            self.tables.append(t)


class Stage:
    """Directions and places seen from the person: a metres to the left, b ahead, z above the table's top."""

    def __init__(self, place, body):
        self.__dict__.update(place)
        f = direction(self.yaw)
        self.ahead, self.left, self.up = np.array([*f, 0]), np.array([-f[1], f[0], 0]), np.array([0, 0, 1.])
        self.seated = self.seat is not None
        hip = self.seat + .085 if self.seated else body.joints[0][2]
        self.root = np.array([*self.person, hip])
        self.reach = body.arms["l"]["upper"] + body.arms["l"]["fore"]
        self.inward = dict(r=self.left, l=-self.left)

    def at(self, a, b, z=0.):
        return np.array([*self.person, self.top]) + self.left * a + self.ahead * b + self.up * z

    def of(self, point):
        """(a, b) of a point."""
        return (point - self.root) @ self.left, (point - self.root) @ self.ahead

    def on_top(self, a, b, radius):
        """Is a disc wholly on the table's top?"""
        x, y = a + self.shift, b - self.edge - self.depth / 2
        if not (abs(x) + radius < self.half - .02 and abs(y) + radius < self.depth / 2 - .02):
            return False
        if self.triangles is None:
            return True
        angle = np.arange(8) * np.pi / 4
        ring = np.r_[[[0, 0]], np.c_[np.cos(angle), np.sin(angle)] * (radius + .01)] + self.at(a, b)[:2]
        d = self.triangles[:, None] - ring[None, :, None]  # [triangles, points, corners, 2]
        cross = np.stack([d[:, :, i, 0] * d[:, :, j, 1] - d[:, :, i, 1] * d[:, :, j, 0] for i, j in ((0, 1), (1, 2), (2, 0))], 2)
        return bool(((cross >= 0).all(2) | (cross <= 0).all(2)).any(0).all())


# -- the person's pose ------------------------------------------------------------------------------
class Poser:
    """Turns hand targets into the 19 parts of a body at a stage."""

    def __init__(self, body, stage, rng):
        self.body, self.stage = body, stage
        self.base = rng.uniform(4, 14) if stage.seated else rng.uniform(4, 12)
        if stage.seated:
            knee, thigh = body.joints[INDEX["lshin"]][2], np.linalg.norm(body.joints[INDEX["lshin"]] - body.joints[INDEX["lthigh"]])
            drop = np.degrees(np.arcsin(np.clip((stage.root[2] - knee) / thigh, -.25, .6)))
            tuck = rng.uniform(0, 20)
            key = dict(rthigh=(drop - 90, 2, 5), lthigh=(drop - 90, -2, -5), rshin=(90 - drop + tuck, 0, 0), lshin=(90 - drop + tuck * .6, 0, 0))
        else:
            key = dict(rthigh=(rng.uniform(-3, 2), 3, 0), lthigh=(rng.uniform(-3, 2), -3, 0))
        self.legs = world(locals_of(key, stage.yaw))
        self.heading = rz(stage.yaw)
        self.arm_free = {}

    def trunk(self, lean, twist, gaze):
        g = self.legs.copy()
        low = .35 if self.stage.seated else .3
        g[0] = self.heading @ rx(lean * low)
        g[1] = self.heading @ rz(twist) @ rx(lean)
        r = g @ self.body.rest
        j = self.body.joints
        p = np.zeros((15, 3))
        for i, up in enumerate(UP):
            p[i] = self.stage.root if up < 0 else p[up] + r[up] @ (j[i] - j[up])
        to = self.heading.T @ (gaze - p[2] - self.stage.ahead * .05 - [0, 0, .12])
        yaw = np.clip(np.degrees(np.arctan2(to[0], -to[1])), -55, 55)
        pitch = np.clip(np.degrees(np.arctan2(-to[2], np.hypot(to[0], to[1]))), -35, 62)
        r[2] = self.heading @ rz(yaw) @ rx(pitch * .85) @ self.body.rest[2]
        return r, p

    def __call__(self, hands, gaze):
        """(rotations [19], positions [19]) for hands[side] = (wrist, frame, ...)."""
        st = self.stage
        lean, twist = self.base, 0.
        for _ in range(6):
            r, p = self.trunk(lean, twist, gaze)
            far = {s: np.linalg.norm(hands[s][0] - p[INDEX[s + "uarm"]]) - st.reach * .95 for s in "lr"}
            # A hand that hangs or lies in the lap does not pull the trunk along.
            worst = max([far[s] for s in "lr" if hands[s][0][2] > st.top] or [0.])
            if worst < .002:
                break
            lean = min(58, lean + np.degrees(worst / .5) * .8)
            twist = np.clip(twist + (far["r"] - far["l"]) * 25, -18, 18)
        rotations, positions = np.zeros((19, 3, 3)), np.zeros((19, 3))
        rotations[:15], positions[:15] = r, p
        for k, s in enumerate("lr"):
            wrist, frame = hands[s][:2]
            out = -st.inward[s]
            for sideways in (.55, 1., 1.8):
                pole = -st.up + out * sideways - st.ahead * .3
                arm, elbow, reached = solve_arm(self.body, s, p[INDEX[s + "uarm"]], wrist, frame, pole)
                ahead = (elbow - st.root) @ st.ahead
                if ahead < st.edge - .03 or elbow[2] > st.top + .04 or wrist[2] < st.top:
                    break
            i = [INDEX[s + "uarm"], INDEX[s + "farm"], 15 + 2 * k, 16 + 2 * k, INDEX[s + "hand"]]
            rotations[i] = arm
            positions[i] = [p[i[0]], elbow, elbow, elbow, reached]
        return rotations, positions

    def eyes(self, rotations, positions):
        k, _ = self.body.coco[1]
        eyes = [positions[k] + rotations[k] @ (q - self.body.joints[k]) for k, q in self.body.coco[1:3]]
        return np.mean(eyes, 0)


# -- the story ----------------------------------------------------------------------------------------
def minimum_jerk(u):
    u = np.clip(u, 0, 1)
    return u ** 3 * (10 - 15 * u + 6 * u * u)


class Story:
    """Builds a timeline of both hands and all things: one snapshot and one kind an instant."""

    def __init__(self, body, stage, poser, rng):
        self.body, self.stage, self.poser, self.rng = body, stage, poser, rng
        self.main = "r" if rng.random() < .72 else "l"
        self.pace = rng.uniform(.75, 1.3)
        self.snaps, self.kinds, self.events, self.things = [], [], [], []
        self.gaze = stage.at(0, stage.edge + .25)
        self.look = self.gaze.copy()
        self.hands = {}
        self.taken = []  # places on the table: (a, b, radius)
        self.rest = {s: self.resting(s, str(rng.choice(["table", "away"], p=[.6, .4]))) for s in "lr"}
        for p, f in self.rest.values():
            if p[2] > stage.top:
                self.taken.append((*stage.of(p + f[:, 0] * .07), .07))
        for s in "lr":
            p, f = self.rest[s]
            self.hands[s] = dict(p=p.copy(), f=f.copy(), a=("relaxed", 0), b=("relaxed", 0), t=0., held=None, drift=None, busy=False)
        self.acting, self.task = None, 0  # the side that acts; the number of what is being done
        self.stream = None  # (from, to, thickness)
        self.stream_colour = None
        r, p = poser.trunk(poser.base, 0, self.gaze)
        self.shoulder = {s: p[INDEX[s + "uarm"]].copy() for s in "lr"}

    def other(self, side):
        return "l" if side == "r" else "r"

    # -- frames of hands ------------------------------------------------------------------------
    def frame(self, side, f, n=None, u=None):
        """A hand frame from the finger direction and the palm's normal or the thumb's direction."""
        sign = 1 if side == "r" else -1
        f = unit(f)
        if u is not None:
            u = unit(u - f * (u @ f))
            return np.stack([f, sign * np.cross(u, f), u], 1)
        n = unit(n - f * (n @ f))
        return np.stack([f, n, sign * np.cross(f, n)], 1)

    def azimuth(self, side, point, inward):
        """Horizontal finger direction of a hand that reaches a point: from the shoulder, turned inward by radians."""
        d = point - self.shoulder[side]
        d = unit(np.array([d[0], d[1], 0.]))
        return unit(d * np.cos(inward) + self.stage.inward[side] * np.sin(inward))

    def side_frame(self, side, point, inward=None, up=None):
        f = self.azimuth(side, point, .45 if inward is None else inward)
        return self.frame(side, f, u=self.stage.up if up is None else up)

    def top_frame(self, side, point, inward=.2, dip=.35):
        f = self.azimuth(side, point, inward)
        return self.frame(side, f * np.cos(dip) - self.stage.up * np.sin(dip), n=-self.stage.up - f * np.tan(dip) * .5)

    def resting(self, side, where):
        st, rng = self.stage, self.rng
        sign = 1 if side == "l" else -1
        if where == "table":
            for _ in range(12):
                p = st.at(sign * rng.uniform(.13, .28), st.edge + rng.uniform(.0, .09), .04)
                f = unit(st.ahead + st.inward[side] * rng.uniform(.3, 1.1) - st.up * .05)
                a, b = st.of(p + f * .07)
                if st.on_top(a, b + .02, .03) and not any(np.hypot(a - x, b - y) < r + .075 for x, y, r in self.taken):
                    break
            else:
                return self.resting(side, "away")
            return p, self.frame(side, f, n=-st.up + st.inward[side] * rng.uniform(0, .7))
        if st.seated:  # in the lap
            p = np.array([*st.person, st.root[2]]) + st.left * sign * rng.uniform(.08, .16) + st.ahead * rng.uniform(.12, .2) + st.up * .11
            return p, self.frame(side, st.ahead + st.inward[side] * .6 - st.up * .2, n=-st.up)
        p = np.array([*st.person, st.root[2]]) + st.left * sign * .3 + st.ahead * .02 - st.up * .02
        return p, self.frame(side, st.ahead * .25 - st.up, n=st.inward[side] + st.ahead * -.2)

    # -- time -------------------------------------------------------------------------------------
    @property
    def seconds(self):
        return len(self.kinds) / FPS

    def run(self, seconds, kind, moves=(), look=None):
        """Let time pass; moves are functions of u in 0..1 that set hands and things. Idle hands drift a little."""
        n = max(1, round(seconds * FPS))
        for i in range(1, n + 1):
            for m in moves:
                m(i / n)
            for s in "lr":
                self.idle(s)
            if look is not None:
                self.look = np.asarray(look() if callable(look) else look, float)
            self.gaze = self.gaze + (self.look - self.gaze) * .16
            self.snap(kind)

    def idle(self, side):
        hand, rng = self.hands[side], self.rng
        if hand["busy"] or hand["held"]:
            hand["drift"] = None
            return
        if hand["drift"] is None:
            if rng.random() > .02:
                return
            p, f = self.rest[side]
            away = p[2] < self.stage.top
            hand["drift"] = [0, int(rng.uniform(10, 28)), hand["p"].copy(), hand["f"].copy(),
                             p + rng.normal(0, .01 if away else .035, 3) * [1, 1, 0] + [0, 0, abs(rng.normal(0, .01))],
                             f @ turn(rng.normal(0, 1, 3), rng.normal(0, .12)), hand["b"] if rng.random() < .5 else
                             (str(rng.choice(["relaxed", "flat", "open"])), 0)]
            hand["a"], hand["t"] = hand["b"], 0.
        d = hand["drift"]
        d[0] += 1
        s = minimum_jerk(d[0] / d[1])
        hand["p"] = d[2] + (d[4] - d[2]) * s
        hand["f"] = mix(d[3][None], d[5][None], s)[0]
        hand["b"], hand["t"] = d[6], s
        if d[0] >= d[1]:
            hand["drift"], hand["a"], hand["t"] = None, hand["b"], 0.

    def snap(self, kind):
        hands = {s: (h["p"].copy(), h["f"].copy(), h["a"], h["b"], float(h["t"])) for s, h in self.hands.items()}
        m, p = [], []
        for thing in self.things:
            for pm, pp in zip(thing.part_m, thing.part_p):
                m.append(thing.r @ pm)
                p.append(thing.r @ pp + thing.p)
        self.snaps.append(dict(hands=hands, m=np.array(m), p=np.array(p), gaze=self.gaze.copy(), stream=self.stream,
                               colour=self.stream_colour, acting=self.acting, busy=[h["busy"] for h in self.hands.values()]))
        self.kinds.append(kind)

    def begin(self, kind, text, things=(), side=None):
        hand = {"l": "left hand", "r": "right hand", None: "hands"}[side]
        self.acting = side
        e = dict(start=len(self.kinds), task=self.task, kind=kind, text=text, actors=["person", hand], objects=[t if isinstance(t, str) else t.name for t in things])
        self.events.append(e)
        return e

    def end(self, e):
        e["end"] = len(self.kinds)
        e["relations"] = self.relations()

    def relations(self):
        out = []
        for t in self.things:
            if t.where == "table":
                out.append([t.name, "on", "table"])
            elif t.where in ("l", "r"):
                out.append([{"l": "left hand", "r": "right hand"}[t.where], "holds", t.name])
            elif t.where:
                out.append([t.name, "on", t.where])
            if getattr(t, "level", 0) > .03 and t.liquid:
                out.append([t.drink, "in", t.name])
            if getattr(t, "lid", None):
                out.append(["lid", "off" if t.is_open else "on", t.name])
        return out

    # -- moves of a hand and of things ---------------------------------------------------------------
    def go(self, side, p, f, lift=0., shape=None, when=(.0, 1.), offset=None):
        """A move function: the hand to wrist p and frame f, over an arc, changing its shape in a part of the time."""
        hand = self.hands[side]
        p0, f0 = hand["p"].copy(), hand["f"].copy()
        hand["a"], hand["t"] = hand["b"] if hand["t"] > .5 or hand["a"] == hand["b"] else hand["a"], 0.
        a = hand["a"]
        b = shape or hand["b"]
        hand["b"] = b
        offset = np.zeros(3) if offset is None else offset

        def move(u):
            s = minimum_jerk(u)
            hand["p"] = p0 + (p - p0) * s + self.stage.up * lift * 4 * s * (1 - s) * (1 - .35 * s) + offset * 6.75 * s * s * (1 - s)
            hand["f"] = mix(f0[None], f[None], min(1, s * 1.15))[0]
            hand["a"], hand["b"], hand["t"] = a, b, float(ease((u - when[0]) / (when[1] - when[0])))
            self.carry(side)
        return move

    def carry(self, side):
        hand = self.hands[side]
        if hand["held"]:
            t = hand["held"]
            t.r, t.p = hand["f"] @ hand["rel_r"], hand["p"] + hand["f"] @ hand["rel_p"]

    def attach(self, side, thing):
        hand = self.hands[side]
        hand["held"], thing.where = thing, side
        hand["rel_r"], hand["rel_p"] = hand["f"].T @ thing.r, hand["f"].T @ (thing.p - hand["p"])

    def release(self, side, where="table"):
        self.hands[side]["held"].where = where
        self.hands[side]["held"] = None

    def hand_for(self, side, r, p):
        """Wrist and frame that bring the held thing to a pose."""
        hand = self.hands[side]
        f = r @ hand["rel_r"].T
        return p - f @ hand["rel_p"], f

    def bring(self, side, r, p, lift=0., pivot=None):
        """A move function: the held thing to a pose; its local point `pivot` goes straight."""
        hand = self.hands[side]
        thing = hand["held"]
        r0 = thing.r.copy()
        pivot = np.zeros(3) if pivot is None else np.asarray(pivot, float)
        a, b = thing.p + r0 @ pivot, p + r @ pivot

        def move(u):
            s = minimum_jerk(u)
            thing.r = mix(r0[None], r[None], s)[0]
            thing.p = a + (b - a) * s + self.stage.up * lift * 4 * s * (1 - s) - thing.r @ pivot
            hand["p"], hand["f"] = self.hand_for(side, thing.r, thing.p)
        return move

    def poised(self, side, p, inward=None):
        """The rotation of a held upright thing at p that suits the wrist there."""
        return self.side_frame(side, p, inward) @ self.hands[side]["rel_r"]

    def grasp(self, side, thing):
        """(wrist, frame, shape, approach offset) to take hold of a thing where it stands."""
        g = thing.grip
        point = thing.point(g["point"])
        if g["kind"] == "rod":
            axis = thing.r[:, 0]
            f = self.azimuth(side, point, .1)
            f = unit(f - axis * (f @ axis) * .6)
            frame = self.frame(side, f * .85 - self.stage.up * .5, n=-self.stage.up - f * .5)
            shape, centre = ("pinch", 0), grip_centre("pinch", 0)[0]
            return point + [0, 0, .004] - frame @ centre, frame, shape, self.stage.up * .05
        if g["kind"] == "top":
            frame = self.top_frame(side, point)
            shape = ("claw", int(round(g["radius"] * 1000)))
            centre = grip_centre("claw", g["radius"])[0]
            return point + [0, 0, .01] - frame @ centre, frame, shape, self.stage.up * .05
        r = g["radius"]
        if g["kind"] == "handle":
            out = thing.r @ np.asarray(g["out"], float)
            n = -unit(out * [1, 1, 0])
            frame = self.frame(side, np.cross(n, self.stage.up) * (1 if side == "r" else -1), u=self.stage.up)
        else:
            frame = self.side_frame(side, point)
        shape = ("cyl", int(round(r * 500)) * 2)
        centre = grip_centre("cyl", shape[1] / 1000)[0]
        return point - frame @ centre, frame, shape, -frame[:, 1] * .05 - frame[:, 0] * .02

    # -- what hands do -----------------------------------------------------------------------------
    def reach(self, side, thing, hold=None, with_event=True, also=()):
        """The hand goes to a thing and closes on it. `hold` overrides (wrist, frame, shape, offset)."""
        p, f, shape, offset = hold or self.grasp(side, thing)
        hand = self.hands[side]
        hand["busy"], hand["drift"] = True, None
        e = with_event and self.begin("reach", f"{self.name(side)} reaches for the {thing.name}.", [thing], side)
        far = np.linalg.norm(p - hand["p"])
        t = (.4 + .95 * far) / self.pace
        early = self.hands[side]["p"][2] < self.stage.top - .02  # from below the table: round its edge
        if early:
            self.from_below(side, p, t)
            t *= .75
        first = self.go(side, p + offset * .35, f, .05, ("open", 0), (.1, .6), offset)
        self.run(t, "reach", [first, *also], look=thing.point(thing.grip["point"]))
        self.run(.2 / self.pace, "reach", [self.go(side, p, f, 0, shape)])
        if e:
            self.end(e)
            e["relations"].insert(0, [self.name(side)[4:], "touches", thing.name])

    def from_below(self, side, toward, t):
        st, hand = self.stage, self.hands[side]
        sign = 1 if side == "l" else -1
        a = (hand["p"] - st.root) @ st.left
        via = st.at(np.clip(a, .1, .3) if sign > 0 else np.clip(a, -.3, -.1), st.edge - .1, .1)
        self.run(t * .45, "reach", [self.go(side, via, self.frame(side, st.ahead + st.up * .2, n=st.inward[side] * .6 - st.up), 0, ("relaxed", 0))],
                 look=toward)

    def name(self, side):
        return {"l": "The left hand", "r": "The right hand"}[side]

    def retreat(self, side, kind=None, where=None, seconds=None):
        """Back to a resting place."""
        hand = self.hands[side]
        hand["busy"] = True
        if where:
            self.rest[side] = self.resting(side, where)
        p, f = self.rest[side]
        away = -hand["f"][:, 1] * .05 + [0, 0, .05]
        below = p[2] < self.stage.top - .02
        t = seconds or (.45 + .7 * np.linalg.norm(p - hand["p"])) / self.pace
        if below:
            st = self.stage
            a = (p - st.root) @ st.left
            via = st.at(a, st.edge - .1, .1)
            self.run(t * .6, kind, [self.go(side, via, self.frame(side, st.ahead, n=-st.up + st.inward[side] * .5), .04, ("relaxed", 0), (0, .5), away)],
                     look=st.at(0, st.edge + .25))
            self.run(t * .5, kind, [self.go(side, p, f, 0, ("relaxed", 0))])
        else:
            self.run(t, kind, [self.go(side, p, f, .03, ("relaxed", 0), (0, .6), away)], look=self.stage.at(0, self.stage.edge + .25))
        hand["busy"] = False

    def pick_up(self, side, thing, height=None, canonical=None):
        """Lift a thing that the hand has closed on; `canonical` is its rotation once held (tools)."""
        rng = self.rng
        e = self.begin("pick_up", f"{self.name(side)} picks up the {thing.name}.", [thing], side)
        self.attach(side, thing)
        self.run(rng.uniform(.08, .2), "pick_up")
        height = height or rng.uniform(.07, .15)
        r = thing.r if canonical is None else canonical
        t = rng.uniform(.4, .65) / self.pace
        if canonical is None:
            self.run(t, "pick_up", [self.bring(side, r, thing.p + [0, 0, height])], look=lambda: thing.p)
        else:
            self.run(t, "pick_up", [self.regrip(side, r, height)], look=lambda: thing.p)
        self.end(e)

    def regrip(self, side, frame_and_rel, height):
        """A move function: lift while the tool turns in the hand into its working hold (frame, rel_r, rel_p, shape)."""
        frame, rel_r, rel_p, shape = frame_and_rel
        hand = self.hands[side]
        r0, p0 = hand["rel_r"].copy(), hand["rel_p"].copy()
        # Interpolate the hold where both are proper rotations: seen from the present hand.
        step = self.go(side, hand["p"] + [0, 0, height], frame, 0, shape, (0, .7))

        def move(u):
            s = minimum_jerk(min(1, u * 1.2))
            hand["rel_r"], hand["rel_p"] = mix(r0[None], rel_r[None], s)[0], p0 + (rel_p - p0) * s
            step(u)
        return move

    def put_down(self, side, place, inward=None, r=None, where="table"):
        """Carry the held thing over a place, lower it, let go."""
        thing, rng = self.hands[side]["held"], self.rng
        r = (thing.r if thing.grip["kind"] == "top" else self.poised(side, place, inward)) if r is None else r
        above = place + [0, 0, rng.uniform(.06, .11)]
        far = np.linalg.norm(above - thing.p)
        if far > .05:
            self.run((.35 + .8 * far) / self.pace, None, [self.bring(side, r, above, .03)], look=place)
        e = self.begin("put_down", f"{self.name(side)} puts down the {thing.name}.", [thing], side)
        self.run(rng.uniform(.4, .65) / self.pace, "put_down", [self.bring(side, r, place)], look=place)
        hand = self.hands[side]
        self.release(side, where)
        self.run(.2 / self.pace, "put_down", [self.go(side, hand["p"] - hand["f"][:, 1] * .012, hand["f"], 0, ("open", 0))])
        self.end(e)

    def pause(self, low=.15, high=.9):
        self.run(self.rng.uniform(low, high), None)

    # -- actions: each from rest to rest -------------------------------------------------------------
    def move_thing(self, thing, place):
        self.task += 1
        side = self.nearest(thing.p)
        self.reach(side, thing)
        self.pick_up(side, thing)
        if self.rng.random() < .4:  # look at it
            self.run(self.rng.uniform(.3, .8), None, [self.bring(side, self.poised(side, thing.p) if thing.grip["kind"] != "top" else thing.r,
                                                                thing.p + self.rng.normal(0, .02, 3) + [0, 0, .03])])
        self.put_down(side, place)
        self.retreat(side)

    def nearest(self, p):
        a = (p - self.stage.root) @ self.stage.left
        if abs(a) < .1:
            return self.main
        return "l" if a > 0 else "r"

    def pour(self, source, target):
        self.task += 1
        side, st, rng = self.main, self.stage, self.rng
        home = source.p.copy()
        self.reach(side, source)
        self.pick_up(side, source, rng.uniform(.08, .14))
        hand = self.hands[side]
        upright = self.poised(side, target.p, .35)
        frame = upright @ hand["rel_r"].T
        n, u = frame[:, 1], st.up
        axis = unit(np.cross(u, n))
        spout_local = upright.T @ (n * source.spout) + [0, 0, source.height]
        rim = target.point((0, 0, target.height))
        aim = rim + [0, 0, rng.uniform(.03, .06)] - n * .012
        most = np.radians(source.tilt)
        start = turn(axis, .3) @ upright
        p_of = lambda r, spout: spout - r @ spout_local
        beside = target.p - n * (target.radius + source.radius + .015) + [0, 0, target.height * .6 + .04]
        far = np.linalg.norm(beside - source.p)
        self.run((.3 + .7 * far) / self.pace, None, [self.bring(side, start, beside, .03)], look=rim)
        e = self.begin("pour", f"{self.name(side)} pours {source.drink} from the {source.name} into the {target.name}.",
                       [source.drink, source, target], side)
        full = turn(axis, most) @ upright
        self.run(rng.uniform(.5, .9) / self.pace, "pour", [self.bring(side, full, p_of(full, aim), 0, spout_local)], look=rim)
        level0, level1 = target.level, float(np.clip(target.level + rng.uniform(.35, .8), 0, .92))
        out0 = getattr(source, "level", .8)
        seconds = rng.uniform(.9, 2.4)
        thick = rng.uniform(.0035, .006)
        target.drink, self.stream_colour = source.drink, DRINKS[source.drink]

        def flow(x):
            target.fill(level0 + (level1 - level0) * x)
            if source.liquid:
                source.fill(0)  # tilted: what is left lies against the wall, out of sight
            self.stream = (source.point(spout_local), target.point((0, 0, target.surface())), thick)
        more = turn(axis, most + np.radians(rng.uniform(3, 12))) @ upright
        self.run(seconds, "pour", [self.bring(side, more, p_of(more, aim), 0, spout_local), flow], look=rim)
        self.stream = None
        back = turn(axis, .15) @ upright
        self.run(rng.uniform(.4, .7) / self.pace, "pour", [self.bring(side, back, beside, 0, spout_local)], look=rim)
        if source.liquid:
            source.fill(max(.05, out0 - (level1 - level0) * .5))
        self.end(e)
        self.put_down(side, home + st.left * rng.normal(0, .01))
        self.retreat(side)

    def tool_hold(self, side, tool):
        """(frame given by the tool's rotation, hold): how a spoon or knife lies in the working hand."""
        if tool.name == "knife":  # blade ahead, edge towards the little finger
            x = np.array([.84, .02, .54])
            x = unit(x)
            z = unit(np.array([-x[2], 0, x[0]]))
            at = grip_centre("cyl", .012)[0]
        else:  # out of the fist on the little finger's side, tilted ahead
            x = unit(np.array([.35, .1, -.93]))
            z = unit(np.array([.93, 0, .35]))
            at = grip_centre("cyl", .008)[0]
        z = unit(z - x * (x @ z))
        y = np.cross(z, x) * (1 if side == "r" else -1)  # left hands have left-handed frames
        rel_r = np.stack([x, y, z], 1)
        point = np.array(tool.grip["point"], float)
        if tool.name == "spoon":
            point = np.array([tool.length * .2, 0, 0])
        return rel_r, at - rel_r @ point, ("cyl", 12 if tool.name == "knife" else 8)

    def take_tool(self, side, tool, r, height):
        """Reach for a tool and lift it into the working hold with rotation r."""
        self.reach(side, tool)
        rel_r, rel_p, shape = self.tool_hold(side, tool)
        self.pick_up(side, tool, height, (r @ rel_r.T, rel_r, rel_p, shape))

    def lay_tool(self, side, tool, place, yaw_r):
        """Back on the table, lying."""
        hand = self.hands[side]
        point = place + yaw_r @ np.asarray(tool.grip["point"], float)
        f = self.azimuth(side, point, .1)
        frame = self.frame(side, f * .85 - self.stage.up * .5, n=-self.stage.up - f * .5)
        above = point + [0, 0, .09] - frame @ grip_centre("pinch", 0)[0]
        rel_r = frame.T @ yaw_r
        rel_p = grip_centre("pinch", 0)[0] - rel_r @ np.asarray(tool.grip["point"], float)
        r0, p0 = hand["rel_r"].copy(), hand["rel_p"].copy()
        step = self.go(side, above, frame, .03, ("pinch", 0), (.3, 1))

        def move(u):
            s = minimum_jerk(np.clip(u * 1.3 - .3, 0, 1))
            hand["rel_r"], hand["rel_p"] = mix(r0[None], rel_r[None], s)[0], p0 + (rel_p - p0) * s
            step(u)
        self.run((.4 + .7 * np.linalg.norm(above - hand["p"])) / self.pace, None, [move], look=place)
        e = self.begin("put_down", f"{self.name(side)} puts down the {tool.name}.", [tool], side)
        self.run(self.rng.uniform(.35, .55) / self.pace, "put_down", [self.go(side, above - [0, 0, .088], frame)], look=place)
        tool.r, tool.p = yaw_r, np.array([*tool.p[:2], place[2]])
        self.release(side)
        self.run(.2 / self.pace, "put_down", [self.go(side, hand["p"] + [0, 0, .012], frame, 0, ("open", 0))])
        self.end(e)

    def steady(self, side, vessel):
        """The other hand takes hold of a vessel's side; returns whether it did."""
        if vessel.name in ("pan", "board") or vessel.radius > .12:
            return False
        point = vessel.point((0, 0, max(.05, vessel.height * .6)))
        radius = min(vessel.radius, .05)
        frame = self.side_frame(side, point, .15)
        shape = ("cyl", 50) if vessel.radius > .05 else ("cyl", int(round(radius * 500)) * 2)
        centre = np.array([.08, vessel.radius + .032, 0])
        if vessel.radius <= .05:
            centre = grip_centre("cyl", shape[1] / 1000)[0]
        p = point - frame @ centre
        self.reach(side, vessel, (p, frame, shape, -frame[:, 1] * .06))
        return True

    def stir(self, spoon, vessel):
        self.task += 1
        side, st, rng = self.main, self.stage, self.rng
        home, home_r = spoon.p.copy(), spoon.r.copy()
        depth = vessel.height
        low = vessel.point((0, 0, max(.012, depth * .2)))
        around = (vessel.mouth_r - .02) * rng.uniform(.35, .6)
        toward = unit(-st.inward[side] * rng.uniform(.25, .5) - st.ahead * rng.uniform(.1, .35) + st.up)

        def pose(phase, lift=0.):
            tip = low + around * (np.cos(phase) * st.left + np.sin(phase) * st.ahead) + [0, 0, lift]
            top = low + toward * spoon.length + around * .25 * (np.cos(phase) * st.left + np.sin(phase) * st.ahead) + [0, 0, lift]
            x = unit(tip - top)
            f = self.azimuth(side, top, .3)
            # The tool's z lies ahead in the fist.
            z = unit(f - x * (x @ f))
            return np.stack([x, np.cross(z, x), z], 1), tip - x * spoon.length
        phase0, sign = rng.uniform(0, 6.28), float(rng.choice([-1, 1]))
        self.take_tool(side, spoon, pose(phase0)[0], rng.uniform(.06, .1))
        held_other = None
        if rng.random() < .45:
            other = self.other(side)
            if self.hands[other]["held"] is None and self.steady(other, vessel):
                held_other = other
        r, p = pose(phase0, depth + .04)
        self.run((.35 + .7 * np.linalg.norm(p - spoon.p)) / self.pace, None, [self.bring(side, r, p, .04)], look=low)
        e = self.begin("stir", f"{self.name(side)} stirs in the {vessel.name} with the {spoon.name}.", [vessel, spoon], side)
        r, p = pose(phase0)
        self.run(.3, "stir", [self.bring(side, r, p)], look=low)
        rate, seconds = rng.uniform(.6, 1.4), rng.uniform(1.8, 4.)
        e["turns"] = int(round(rate * seconds))
        hand = self.hands[side]
        bits = getattr(vessel, "bits", [])

        def circle(u):
            phase = phase0 + sign * 6.283 * rate * seconds * u
            spoon.r, spoon.p = pose(phase)
            hand["p"], hand["f"] = self.hand_for(side, spoon.r, spoon.p)
            for k in bits:
                vessel.part_p[k] = turn((0, 0, 1), sign * 6.283 * rate / FPS * .55) @ vessel.part_p[k]
        self.run(seconds, "stir", [circle], look=low)
        self.end(e)
        r, p = spoon.r, spoon.p + [0, 0, depth + .05]
        self.run(.35 / self.pace, None, [self.bring(side, r, p)], look=low)
        if held_other:
            self.hands[held_other]["busy"] = False
        self.lay_tool(side, spoon, home, home_r)
        if held_other:
            self.retreat(held_other, seconds=.5)
        self.retreat(side)

    def slice_up(self, knife, food, board):
        """Cut slices off: knife strokes by the working hand, the other holds the food."""
        self.task += 1
        side, st, rng = self.main, self.stage, self.rng
        other = self.other(side)
        home, home_r = knife.p.copy(), knife.r.copy()
        x_food = food.r[:, 0]  # towards the working hand: slices come off that end
        blade = unit(st.ahead + st.inward[side] * .15)
        mid = knife.x0 + (knife.length - knife.x0) * .5

        def pose(at, height, forward, pitch):
            """Blade above the cut `at` (m along the food), its lowest edge `height` over the board."""
            x = unit(blade - st.up * pitch)
            z = unit(st.up - x * (x @ st.up))
            r = np.stack([x, np.cross(z, x), z], 1)
            edge = food.p + x_food * at + st.up * height + blade * forward
            return r, edge - r @ np.array([mid, 0, .008 - knife.blade_h])
        count = int(min(len(food.cuts) - food.cut, rng.integers(2, 6)))
        first = food.cuts[food.cut]
        above = food.height + .03
        # The other hand holds first, on the far part of the block.
        hold = food.p - x_food * (food.length * .5 - .045) + [0, 0, max(food.height - .022, .022)]
        frame = self.top_frame(other, hold, .35, .5)
        shape = ("claw", 30)
        p = hold - frame @ grip_centre("claw", .03)[0]
        r0 = pose(first, above, 0, .1)[0]
        self.take_tool(side, knife, r0, rng.uniform(.06, .1))
        self.reach(other, food, (p, frame, shape, st.up * .06))
        e = self.begin("cut", f"{self.name(side)} cuts the {food.name} with the {knife.name}.", [food, knife], side)
        r, q = pose(first, above, -.02, .12)
        far = np.linalg.norm(q - knife.p)
        del self.events[-1]
        self.run((.3 + .7 * far) / self.pace, None, [self.bring(side, r, q, .03)], look=food.p)
        e["start"] = len(self.kinds)
        self.events.append(e)
        stroke_s = rng.uniform(.55, 1.1)
        saws = int(rng.integers(1, 3)) if food.name == "bread" else 0
        for k in range(count):
            i = food.cut
            at = food.cuts[i]
            down = stroke_s * .5
            self.run(stroke_s * .18, "cut", [self.bring(side, *pose(at, food.height + .004, -.03, .12))], look=food.p + x_food * at)
            for s in range(saws):
                h = food.height * (1 - (s + 1) / (saws + 2))
                self.run(down * .45, "cut", [self.bring(side, *pose(at, h, .05 if s % 2 == 0 else -.03, .05))])
            self.run(down, "cut", [self.bring(side, *pose(at, .004, .05, .0))])
            fall = self.falling(food, i)
            food.cut += 1
            following = food.cuts[min(food.cut, len(food.cuts) - 1)]
            self.run(stroke_s * .32, "cut", [self.bring(side, *pose(following, above, -.02, .12)), fall])
        e["strokes"] = count
        self.end(e)
        self.run(.25, None, [self.bring(side, knife.r, knife.p + [0, 0, .03])])
        self.hands[other]["busy"] = False
        self.lay_tool(side, knife, home, home_r)
        self.retreat(other, seconds=.6 / self.pace)
        self.retreat(side)

    def falling(self, food, i):
        """A move function: slice i leaves the block and leans or falls over."""
        rng = self.rng
        p0 = food.part_p[i].copy()
        over = rng.uniform(.15, .4) if rng.random() < .45 else 1.5
        if food.height > .06 and over < 1:
            over = rng.uniform(.1, .25)
        gap = rng.uniform(.008, .016) * (1 + .5 * (over > 1)) + (food.height * .55 if over > 1 else 0)
        sideways = rng.normal(0, .008)
        earlier = [food.part_p[k].copy() for k in range(i)]
        shove = gap if over > 1 else gap * .4

        def move(u):
            s = minimum_jerk(u)
            food.part_m[i] = turn((0, 1, 0), over * s)
            food.lift[i] = food.thick * .5 * np.sin(over * s)
            food.part_p[i] = p0 + np.array([gap * s, sideways * s, 0])
            for k, p in enumerate(earlier):
                food.part_p[k] = p + [shove * s, 0, 0]
            for k in range(i + 1):  # what is pushed over the board's edge falls on the table
                x = food.part_p[k][0] - food.board_edge
                food.part_p[k][2] = food.lift[k] - food.board_height * np.clip(x / .015, 0, 1)
        return move

    def drink(self, cup):
        self.task += 1
        side, st, rng = self.main if self.rng.random() < .75 else self.other(self.main), self.stage, self.rng
        home = cup.p.copy()
        self.reach(side, cup)
        self.pick_up(side, cup, rng.uniform(.06, .1))
        hand = self.hands[side]
        # Where the mouth is when the head is up.
        front = st.root + st.ahead * 2 + st.up * (.55 if st.seated else .6)
        r, p = self.poser.trunk(self.poser.base, 0, front)
        head = self.body.coco[0]
        nose = p[2] + r[2] @ (head[1] - self.body.joints[2])
        mouth = nose - [0, 0, .06] - st.ahead * .004
        f = unit(st.inward[side] * .9 + st.ahead * .35)
        upright = self.frame(side, f, u=st.up) @ hand["rel_r"]
        n = (upright @ hand["rel_r"].T)[:, 1]
        toward = -st.ahead
        axis = unit(np.cross(st.up, toward))
        rim = upright.T @ (toward * cup.radius) + [0, 0, cup.height]
        e = self.begin("drink", f"The person drinks {cup.drink} from the {cup.name}.", [cup.drink, cup], side)
        first = turn(axis, .25) @ upright
        place = lambda q, at: at - q @ rim
        far = np.linalg.norm(place(first, mouth) - cup.p)
        self.run((.45 + .7 * far) / self.pace, "drink", [self.bring(side, first, place(first, mouth + st.ahead * .005), .02, rim)], look=front)
        level = cup.level
        for _ in range(int(rng.integers(1, 3))):
            tilted = turn(axis, rng.uniform(.7, 1.15)) @ upright
            self.run(rng.uniform(.5, .8), "drink", [self.bring(side, tilted, place(tilted, mouth), 0, rim)], look=front)
            self.run(rng.uniform(.4, 1.), "drink", [self.bring(side, tilted, place(tilted, mouth), 0, rim)], look=front)
            level = max(.05, level - rng.uniform(.1, .3))
            cup.fill(level)
            self.run(rng.uniform(.35, .5), "drink", [self.bring(side, first, place(first, mouth), 0, rim)], look=front)
        self.end(e)
        self.put_down(side, home)
        self.retreat(side)

    def open_up(self, thing, shut=False):
        """Take a lid off and lay it beside, or turn a hinged lid; `shut` does the opposite."""
        self.task += 1
        {"hinge": self.swing_lid, "twist": self.lid_off, "lift": self.lid_off}[thing.opening](thing, shut)

    def swing_lid(self, thing, shut):
        side, st, rng = self.nearest(thing.p), self.stage, self.rng
        wide = rng.uniform(1.75, 2.1)
        hinge = thing.shut

        def edge(angle):
            return thing.point(np.array(hinge) + turn((1, 0, 0), -angle) @ np.array([rng_x, -thing.depth - .004, .01]))
        rng_x = rng.uniform(-.03, .03)

        def hold(angle):
            f = self.azimuth(side, edge(0), .15)
            dip = .55 - angle * .5
            frame = self.frame(side, f * np.cos(dip) - st.up * np.sin(dip), n=-st.up * np.cos(dip) - f * np.sin(dip))
            return edge(angle) - frame @ grip_centre("pinch", 0)[0], frame
        a, b = (wide, 0.) if shut else (0., wide)
        p, f = hold(a)
        self.reach(side, thing, (p, f, ("pinch", 0), -f[:, 0] * .05))
        word = "closes" if shut else "opens"
        kind = "close" if shut else "open"
        e = self.begin(kind, f"{self.name(side)} {word} the {thing.name}.", [thing], side)
        hand = self.hands[side]

        def move(u):
            angle = a + (b - a) * minimum_jerk(u)
            thing.part_m[1] = turn((1, 0, 0), -angle)
            hand["p"], hand["f"] = hold(angle)
        self.run(rng.uniform(.8, 1.5) / self.pace, kind, [move], look=thing.p)
        thing.is_open = not shut
        self.run(.15, kind, [self.go(side, hand["p"] - hand["f"][:, 0] * .02, hand["f"], 0, ("open", 0))])
        self.end(e)
        self.retreat(side)

    def lid_off(self, thing, shut):
        """A screwed or loose lid: the working hand takes it from above; for a jar the other hand holds the body."""
        side, st, rng = self.main, self.stage, self.rng
        other = self.other(side)
        twist = thing.opening == "twist"
        kind, word = ("close", "puts the lid on") if shut else ("open", "takes the lid off")
        top = np.array([0, 0, .046]) if not twist else np.array([0, 0, .004])  # where fingers hold the lid, in its frame
        shape = ("claw", max(20, int(round(thing.lid_r * 500)) * 2))
        centre = grip_centre("claw", thing.lid_r)[0] + (0 if twist else np.array([0, .012, 0]))
        closed = thing.r @ np.asarray(thing.shut, float) + thing.p
        free = thing.lid_place

        def hold(at, spin=0.):
            frame = turn((0, 0, 1), spin) @ self.top_frame(side, at, .25, .3)
            return at + top - [0, 0, .004] - frame @ centre, frame
        holds = twist and self.hands[other]["held"] is None and rng.random() < .9
        if holds:
            self.steady(other, thing)
        start, end = (free, closed) if shut else (closed, free)
        hand = self.hands[side]
        spin = (1 if side == "r" else -1) * rng.uniform(.5, .8)  # seen from above, unscrewing turns left
        p, f = hold(start, -spin if twist and not shut else 0)
        self.reach(side, thing, (p, f, shape, st.up * .06))
        e = self.begin(kind, f"{self.name(side)} {word} the {thing.name}.", ["lid", thing], side)
        lid = {"p": start.copy(), "r": thing.r @ thing.part_m[thing.lid]}

        def show():
            thing.part_m[thing.lid] = thing.r.T @ lid["r"]
            thing.part_p[thing.lid] = thing.r.T @ (lid["p"] - thing.p)

        def screw(a, b, grips):
            r0 = lid["r"].copy()

            def move(u):
                s = minimum_jerk(u)
                hand["p"], hand["f"] = hold(closed, a + (b - a) * s)
                if grips:
                    lid["r"] = turn((0, 0, 1), (b - a) * s) @ r0
                    show()
            return move

        def carry(a, b, lift):
            p0 = hand["p"].copy()
            f0 = hand["f"].copy()
            p1, f1 = hold(b)
            offset = p0 - a

            def move(u):
                s = minimum_jerk(u)
                lid["p"] = a + (b - a) * s + st.up * lift * 4 * s * (1 - s)
                hand["f"] = mix(f0[None], f1[None], s)[0]
                hand["p"] = lid["p"] + offset + (p1 - b - offset) * s
                show()
            return move
        if twist and not shut:
            for k in range(2):
                self.run(rng.uniform(.35, .5), kind, [screw(-spin, spin, True)], look=closed)
                if k == 0:
                    self.run(.25, kind, [screw(spin, -spin, False), self.grip_only(side, ("open", 0))])
                    self.run(.1, kind, [self.grip_only(side, shape)])
        self.run(rng.uniform(.3, .4) / self.pace, kind, [carry(start, start + [0, 0, .07], 0)], look=start)
        self.run((.35 + .6 * np.linalg.norm(end - start)) / self.pace, kind, [carry(start + [0, 0, .07], end + [0, 0, .05], .02)], look=end)
        self.run(rng.uniform(.3, .4) / self.pace, kind, [carry(end + [0, 0, .05], end, 0)], look=end)
        if twist and shut:
            for k in range(2):
                self.run(rng.uniform(.35, .5), kind, [screw(spin if k else 0, -spin, True)], look=closed)
                if k == 0:
                    self.run(.25, kind, [screw(-spin, spin, False), self.grip_only(side, ("open", 0))])
                    self.run(.1, kind, [self.grip_only(side, shape)])
        thing.is_open = not shut
        self.run(.15, kind, [self.go(side, hand["p"] + [0, 0, .015], hand["f"], 0, ("open", 0))])
        self.end(e)
        if holds:
            self.hands[other]["busy"] = False
            self.retreat(other, seconds=.5)
        self.retreat(side)

    def grip_only(self, side, shape):
        hand = self.hands[side]
        a = hand["b"] if hand["t"] > .5 else hand["a"]

        def move(u):
            hand["a"], hand["b"], hand["t"] = a, shape, ease(u)
        return move

    def enter(self):
        """Hands come from outside the picture or from below the table and rest on it."""
        self.run(self.rng.uniform(.2, .5), None)
        for s in (self.main, self.other(self.main)):
            if self.rest[s][0][2] < self.stage.top and self.rng.random() < .7:
                self.retreat(s, "reach", "table")

    def leave(self):
        for s in "lr":
            if self.rest[s][0][2] > self.stage.top - .02:
                self.retreat(s, None, "away")
        self.run(self.rng.uniform(.5, 1.2), None)


SHARE = .2  # of the rooms' seeds that play at a table, where all kinds are wanted


def draws(room_id, weights, usual):
    """Do the seeds of a room play at a table? By the weights asked for, or SHARE where they are the usual ones."""
    own = sum(w for k, w in weights.items() if k in FOCUS)
    share = SHARE if weights == usual else own / sum(weights.values())
    return np.random.default_rng([room_id, 92]).random() < share


# -- laying the table -----------------------------------------------------------------------------------
FOCUS = dict(pour=.15, stir=.16, cut=.2, open=.14, close=.13, drink=.12, move=.1)
MAKERS = dict(cup=make_cup, glass=make_glass, bottle=make_bottle, carton=make_carton, jug=make_jug, bowl=make_bowl, pot=make_pot)


def lay(story, focus, rng):
    """Things for a focus on the table: dict of roles; None where they do not fit."""
    st = story.stage
    main = 1 if story.main == "l" else -1
    taken, roles = story.taken, {}
    edge = st.edge
    tall = 0 if st.seated else -.05

    def put(thing, side, turned=None, near=None):
        """Find a place: side 0 in front, 1 at the working hand, -1 at the other."""
        for _ in range(40):
            if near is not None:
                a, b = near
            elif side == 0:
                a, b = rng.uniform(-.09, .09), edge + rng.uniform(.14, .27) + tall
            else:
                a, b = main * side * rng.uniform(.13, .36), edge + rng.uniform(.09, .36) + tall * .5
            r = thing.radius
            b = max(b, edge + r + .03)
            if thing.name in ("knife", "spoon"):
                r = .05
            if not st.on_top(a, b, min(r, .14)):
                continue
            if any(np.hypot(a - x, b - y) < r + q + .03 for x, y, q in taken):
                continue
            point = st.at(a, b, thing.lying or 0)
            hand = "l" if a > 0 else "r"
            if abs(a) < .1:
                hand = story.main
            d = point - story.shoulder[hand]
            if np.linalg.norm(d) > st.reach + .2:
                continue
            taken.append((a, b, r))
            thing.r = frame_of(thing, point) if turned is None else turned(point)
            thing.p = point
            story.things.append(thing)
            thing.where = "table"
            return True
        return False

    def frame_of(thing, point):
        yaw = rng.uniform(-.25, .25)
        if thing.name == "box":
            f = story.azimuth("l", point, 0) * .3 + st.ahead
            y = unit(np.array([f[0], f[1], 0.]))
            return turn((0, 0, 1), yaw * .5) @ np.stack([np.cross(y, st.up), y, st.up], 1)
        if thing.name in ("knife", "spoon"):
            side = story.main
            x = unit(st.ahead * rng.uniform(.4, 1) + st.inward[side] * rng.uniform(.5, 1.))
            if thing.name == "knife":  # flat on its side
                return np.stack([x, st.up, np.cross(x, st.up)], 1)
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        if thing.grip["kind"] == "handle":
            n = story.side_frame(story.main, point)[:, 1]
            return np.stack([-n, np.cross(st.up, -n), st.up], 1)
        if thing.name == "cup":  # the handle away from the fingers
            n = story.side_frame(story.main, point)[:, 0]
            x = turn((0, 0, 1), rng.uniform(-.5, .5)) @ -n
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        if thing.name == "pan":  # the handle to the other side
            x = unit(st.inward[story.main] * 1. - st.ahead * rng.uniform(.2, 1.))
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        return turn((0, 0, 1), rng.uniform(-np.pi, np.pi))

    drink = str(rng.choice(["water", "milk", "juice", "coffee", "tea", "cola"]))
    if focus == "pour":
        source = str(rng.choice(["bottle", "carton", "jug"]))
        thing = MAKERS[source](rng, drink, .8)
        goal = str(rng.choice(["cup", "glass", "bowl", "pot"], p=[.35, .35, .18, .12]))
        target = MAKERS[goal](rng, drink, float(rng.choice([0, 0, .15])))
        if not (put(target, 0) and put(thing, 1)):
            return None
        roles.update(source=thing, target=target)
    elif focus == "stir":
        pan = rng.random() < .25
        vessel = make_pot(rng, "soup", rng.uniform(.3, .6), pan) if rng.random() < .55 else make_bowl(rng, str(rng.choice(["soup", "batter", "milk"])), rng.uniform(.3, .6))
        add_bits(vessel, rng)
        if not (put(vessel, 0) and put(make_spoon(rng), 1)):
            return None
        roles.update(spoon=story.things[-1], vessel=vessel)
    elif focus == "cut":
        board, food, knife = make_board(rng), make_food(rng, str(rng.choice(list(FOODS)))), make_knife(rng)
        x = unit(-st.inward[story.main])
        square = np.stack([x, np.cross(st.up, x), st.up], 1)
        slight = turn((0, 0, 1), rng.uniform(-.15, .15))
        if not put(board, 0, lambda p: slight @ square):
            return None
        food.r, food.p = slight @ square, board.point((rng.uniform(-.03, .0), rng.uniform(-.03, .03), board.height))
        food.where = "board"
        food.board_edge = board.radius - (food.p - board.p) @ food.r[:, 0]
        food.board_height, food.lift = board.height, [0.] * len(food.cuts)
        story.things.append(food)
        if not put(knife, 1):
            return None
        roles.update(board=board, food=food, knife=knife)
    elif focus in ("open", "close"):
        thing = [make_jar, make_lidded_pot, make_box][rng.choice(3, p=[.4, .25, .35])](rng)
        if not put(thing, 0 if thing.opening != "hinge" or rng.random() < .6 else float(rng.choice([-1, 1]))):
            return None
        thing.is_open = False
        if thing.opening != "hinge":
            probe = Thing("lid", [], max(thing.lid_r, .03) if thing.opening == "twist" else thing.radius, .02, dict(kind="none"))
            if not put(probe, 1):
                return None
            story.things.pop()
            thing.lid_place = probe.p + [0, 0, thing.lid_rest]
            thing.part_p[thing.lid] = np.array(thing.shut, float)
        if focus == "close":
            thing.is_open = True
            if thing.opening == "hinge":
                thing.part_m[1] = turn((1, 0, 0), -rng.uniform(1.8, 2.05))
            else:
                thing.part_p[thing.lid] = thing.r.T @ (thing.lid_place - thing.p)
        roles.update(vessel=thing)
    # Things to drink from and to move, in most scenes.
    if focus == "drink" or (rng.random() < .35 and focus != "pour"):
        cup = (make_cup if rng.random() < .55 else make_glass)(rng, drink, rng.uniform(.4, .85))
        if put(cup, 1 if focus == "drink" else float(rng.choice([-1, 1]))):
            roles["cup"] = cup
        elif focus == "drink":
            return None
    if focus == "move" or rng.random() < .5:
        names = ["bottle", "carton", "jar", "glass", "cup", "jug"]
        name = str(rng.choice([n for n in names if all(t.name != n for t in story.things)]))
        thing = make_jar(rng) if name == "jar" else MAKERS[name](rng, drink, .7)
        if thing.name == "jar":
            thing.is_open, thing.lid_place = False, None
            thing.part_p[1] = np.array(thing.shut, float)
        if put(thing, float(rng.choice([-1, 1]))):
            roles["thing"] = thing
        elif focus == "move":
            return None
    if rng.random() < .35 and put(make_plate(rng), float(rng.choice([-1, 1, 1]))):
        pass
    return roles


def add_bits(vessel, rng):
    """A few lumps that swim in a vessel and go round when it is stirred."""
    colour = tint(rng, .2, .9)
    z = vessel.surface() + .001
    vessel.bits = []
    for _ in range(int(rng.integers(4, 9))):
        s = rng.uniform(.006, .013)
        vessel.meshes.append(lathe([(0, 0), (s, 0), (s * .6, s * .5), (0, s * .6)], [np.clip(colour * rng.uniform(.8, 1.2), 0, 1)], k=6))
        a, d = rng.uniform(0, 6.28), rng.uniform(.2, .9) * (vessel.liquid[4] * .7)
        vessel.bits.append(len(vessel.part_m))
        vessel.part_m.append(np.eye(3))
        vessel.part_p.append(np.array([np.cos(a) * d, np.sin(a) * d, z]))


def free_place(story, thing, rng):
    """A place for a thing to be moved to."""
    st = story.stage
    for _ in range(40):
        a, b = rng.uniform(-.36, .36), st.edge + rng.uniform(.12, .36)
        p = st.at(a, b)
        if st.on_top(a, b, thing.radius) and .1 < np.linalg.norm(p - thing.p) < .45 and not any(
                np.hypot(a - x, b - y) < thing.radius + q + .03 for x, y, q in story.taken) and min(
                np.linalg.norm(p - story.shoulder[s]) for s in "lr") < st.reach + .16:
            return p
    return None


def tell(story, roles, focus, rng):
    """Chain the actions: 2 to 5 with pauses, the focus among them."""
    def extra():
        choices = []
        if "thing" in roles:
            choices.append("move")
        if "cup" in roles and focus != "drink":
            choices.append("drink")
        if not choices:
            return
        if rng.choice(choices) == "move":
            place = free_place(story, roles["thing"], rng)
            if place is not None:
                story.taken.append((*story.stage.of(place), roles["thing"].radius))
                story.move_thing(roles["thing"], place)
        else:
            story.drink(roles["cup"])
        story.pause()
    if rng.random() < .5:
        story.enter()
    story.pause()
    if focus != "move" and rng.random() < .3:
        extra()
    if focus == "pour":
        story.pour(roles["source"], roles["target"])
        if rng.random() < .45 and roles["target"].name in ("cup", "glass"):
            story.pause()
            story.drink(roles["target"])
    elif focus == "stir":
        story.stir(roles["spoon"], roles["vessel"])
    elif focus == "cut":
        story.slice_up(roles["knife"], roles["food"], roles["board"])
    elif focus in ("open", "close"):
        story.open_up(roles["vessel"], focus == "close")
        if rng.random() < .5:
            story.pause(.4, 1.2)
            story.open_up(roles["vessel"], focus != "close")
    elif focus == "drink":
        story.drink(roles["cup"])
    else:
        extra()
    story.pause()
    if focus == "move" or rng.random() < .4:
        extra()
    if rng.random() < .4:
        story.leave()


# -- pictures -------------------------------------------------------------------------------------------
MATERIALS = """vec3 a = col; float m = 0.;
  if (layer < -.5 && layer > -1.5 && ((int(gl_FragCoord.x) + int(gl_FragCoord.y)) & 1) == 0) discard;
  if (layer < -1.5) { float up = reflect(-normalize(V), N).z; a *= .55 + .6 * smoothstep(-.3, .9, up); }"""
FINE = 4  # hands and things are this much finer than bodies in the mesh for depth and flow
VIEWS = dict(table=.4, overhead=.18, ego=.22, room=.2)


def add_materials(renderer):
    """Let the renderer's moving meshes be of glass and metal as well."""
    if not getattr(renderer, "materials", False):
        source = PERSON_FRAGMENT.replace("vec3 a = col; float m = 0.;", MATERIALS)
        assert source != PERSON_FRAGMENT
        renderer.person_program = renderer.context.program(vertex_shader=VERTEX, fragment_shader=source)
        renderer.materials = True


class Props:
    """All moving things as one mesh, posed part by part."""

    def __init__(self, renderer, story):
        parts = [m for t in story.things for m in t.meshes]
        parts.append(lathe([(1, 0), (1, 1)], [next((s["colour"] for s in story.snaps if s["colour"] is not None), (.7, .8, .9))], k=7))
        v, n, c, layer, tris = join(*parts)
        self.part = np.repeat(np.arange(len(parts)), [len(m[0]) for m in parts])
        self.v, self.n = v, n
        table = np.zeros((len(v), 13), "f4")
        table[:, :3] = v * FINE + [[10, 0, 0]] * self.part[:, None]
        table[:, 6], table[:, 7] = v[:, 0] * 3, v[:, 2] * 3
        table[:, 8:11], table[:, 11], table[:, 12] = c, layer, .25
        self.mesh = renderer.mesh(table, tris)
        self.mesh.update(accent=tint(np.random.default_rng(len(v))), who=100)

    def pose(self, snap):
        m, p = snap["m"], snap["p"]
        stream = np.zeros((3, 3))
        at = np.zeros(3)
        if snap["stream"]:
            at, end, thick = snap["stream"]
            stream = np.stack([[thick, 0, 0], [0, thick, 0], end - at], 1)
        m, p = np.concatenate([m, stream[None]]).astype("f4"), np.concatenate([p, at[None]]).astype("f4")
        table = self.mesh["table"]
        table[:, :3] = np.einsum("nij,nj->ni", m[self.part], self.v) + p[self.part]
        table[:, 3:6] = np.einsum("nij,nj->ni", m[self.part], self.n)


class Figure:
    """The person's mesh without what a view does not need: legs under the table, the head that carries the camera."""

    def __init__(self, renderer, body, view):
        w = body.w
        drop = np.zeros(len(w), bool)
        if view != "room":
            drop |= w[:, [INDEX[s + p] for s in "lr" for p in ("shin", "foot")]].sum(1) > .5
        if view == "ego":
            drop |= w[:, INDEX["head"]] > .3
        tris = body.tris[~drop[body.tris].any(1)]
        self.pick, inverse = np.unique(tris, return_inverse=True)
        self.body = body
        table = person_table(body)
        table[w[:, [INDEX["lhand"], INDEX["rhand"]]].sum(1) > .5, :3] *= FINE
        self.mesh = renderer.mesh(table[self.pick], inverse.reshape(-1, 3))
        self.mesh.update(accent=body.accent, who=1)

    def pose(self, rotations, positions, hands):
        grips = {s: h[2:] for s, h in hands.items()}
        table = self.mesh["table"]
        table[:, :3], table[:, 3:6] = self.body.skin19(rotations, positions, grips, self.pick)


def inside_room(room, eye, top):
    if abs(eye[0]) > room.w / 2 - .08 or abs(eye[1]) > room.d / 2 - .08 or eye[2] > room.h - .05:
        return False
    return not any((np.abs(eye[:2] - c) < half + .06).all() and eye[2] < tall + .08 for c, half, tall, *_ in room.boxes)


def blocked(eye, poser, snaps):
    """How often the person's own trunk, head or upper arms stand between the camera and the hands that act."""
    hidden = total = 0
    for snap in snaps:
        r, p = poser(snap["hands"], snap["gaze"])
        balls = [(p[1] + [0, 0, .1], .17), (p[0] + [0, 0, .12], .16), (p[2] + [0, 0, .12], .11)]
        balls += [((p[INDEX[s + "uarm"]] + p[INDEX[s + "farm"]]) / 2, .06) for s in "lr"]
        for s in snap["acting"] or "lr":
            at = snap["hands"][s][0] + snap["hands"][s][1] @ [.1, .04, 0]
            d = at - eye
            for centre, radius in balls:
                k = np.clip((centre - eye) @ d / (d @ d), 0, 1)
                if k < .93 and np.linalg.norm(eye + d * k - centre) < radius:
                    hidden += 1
                    break
            total += 1
    return hidden / max(1, total)


def choose_view(renderer, room, stage, story, poser, picks, rng, view):
    """Stand the camera of a view; False if nothing good is found."""
    drinks = any(story.kinds[i] == "drink" for i in picks)
    if drinks and view == "overhead":
        return False
    snaps = [story.snaps[i] for i in picks[::max(1, len(picks) // 6)]]
    centre = stage.at(rng.normal(0, .06), stage.edge + rng.uniform(.14, .26))
    chest = stage.root + stage.up * .35 + stage.ahead * .1
    around = np.concatenate([[t.p + [0, 0, t.height * .6] for t in story.things], [stage.at(a, stage.edge + b, .05) for a in (-.2, .2) for b in (.06, .3)]])
    turned = lambda a: stage.ahead * np.cos(a) + stage.left * np.sin(a)
    for attempt in range(40):
        up = None
        if view == "table":
            a = rng.uniform(-1.4, 1.4) if stage.kind != "counter" else rng.choice([-1, 1]) * rng.uniform(1.2, 2.1)
            if rng.random() < .12:
                a = rng.choice([-1, 1]) * rng.uniform(1.4, 2.3)
            eye = centre + turned(a) * rng.uniform(.6, 1.35)
            eye[2] = np.clip(stage.top + rng.uniform(.22, .85), .7, 1.75)
            at, cover = centre + rng.normal(0, .03, 3) + [0, 0, rng.uniform(.02, .14)], rng.uniform(.55, .95)
            if drinks:
                at, cover = at * .6 + chest * .4 + [0, 0, .06], rng.uniform(.85, 1.2)
        elif view == "overhead":
            eye = centre + stage.ahead * rng.uniform(.12, .42) + stage.left * rng.normal(0, .1)
            eye[2] = min(stage.top + rng.uniform(.7, 1.15), room.h - .1)
            up = turned(rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.normal(0, .2))
            at, cover = centre + rng.normal(0, .03, 3), rng.uniform(.6, 1.)
        elif view == "room":
            a = rng.uniform(-2., 2.) if stage.kind != "counter" else rng.choice([-1, 1]) * rng.uniform(1.1, 2.4)
            eye = chest + turned(a) * rng.uniform(1.7, 3.)
            eye[2] = rng.uniform(1., 2.2)
            at, cover = chest * .75 + centre * .25 - [0, 0, rng.uniform(.05, .3)], rng.uniform(1.35, 2.1)
        fov = 2 * np.degrees(np.arctan(cover * min(1, 1.5 * renderer.h / renderer.w) / 2 / np.linalg.norm(eye - at)))
        if not inside_room(room, eye, stage.top) or blocked(eye, poser, snaps) > .3:
            continue
        up = stage.up + stage.left * rng.normal(0, .02) if up is None else up
        renderer.set_camera(eye, at, fov, up=up)
        if (renderer.distance < (.35 if view != "room" else .6)).mean() > .05 or (renderer.distance > 50).mean() > .05:
            continue
        seen = renderer.visible(around, .06)
        if seen.mean() < (.75 if view != "room" else .6):
            continue
        if view == "room" and not renderer.visible(np.array([chest, stage.root + stage.up * .62]), .3).all():
            continue
        return True
    return False


def window(story, focus, length, rng):
    """First instant of a `length`-second cut that shows the focus: mostly with what leads to it."""
    n, total = int(length * FPS), len(story.kinds)
    hits = [i for i, k in enumerate(story.kinds) if k == focus] or [i for i, k in enumerate(story.kinds) if k == "pick_up"] or [0]
    if total <= n:
        return 0
    if len(hits) < n:
        low, high = max(0, hits[-1] + 1 - n), min(hits[0], total - n)
        if low < high:
            return int(rng.integers(low, high))
    return int(np.clip(hits[0] - rng.uniform(.15, .5) * n, 0, total - n))


def compose(seed, library, body, weights=None):
    """Everything of a seed but the pictures: (room, stage, story, poser, focus, rng)."""
    for attempt in range(12):
        rng = np.random.default_rng([seed, 91, attempt])
        try:
            room = TableRoom(library, rng)
        except ValueError:
            continue
        stage = Stage(room.stage, body)
        poser = Poser(body, stage, rng)
        weights = {k: w for k, w in (weights or FOCUS).items() if k in FOCUS} or FOCUS
        focus = str(rng.choice(list(weights), p=np.array(list(weights.values())) / sum(weights.values())))
        story = Story(body, stage, poser, rng)
        roles = lay(story, focus, rng)
        if roles is None:
            continue
        clutter(room, story, stage, rng)
        tell(story, roles, focus, rng)
        return room, stage, story, poser, focus, rng
    return None


def clutter(room, story, stage, rng):
    """Things that stay where they are: the library's small models and vessels, at the back of the table."""
    for _ in range(int(rng.integers(0, 4))):
        a, b = rng.uniform(-.8, .8), stage.edge + stage.depth * rng.uniform(.55, .92)
        model = None
        if rng.random() < .45:
            name, model = room.pick("top")
            if model is None or max(model["size"][:2]) > .34 or model["size"][2] > .42:
                continue
            r = np.hypot(*model["size"][:2]) / 2
        else:
            make = [make_cup, make_bottle, make_bowl, make_glass, make_carton, make_plate][rng.integers(6)]
            thing = make(rng, "water", .0) if make is not make_plate else make(rng)
            r = thing.radius
        if not stage.on_top(a, b, r) or any(np.hypot(a - x, b - y) < r + q + .06 for x, y, q in story.taken):
            continue
        if np.linalg.norm(stage.at(a, b) - stage.at(0, stage.edge + .2)) < .3:
            continue
        story.taken.append((a, b, r))
        if model:
            room.put(name, model, stage.at(a, b)[:2], rng.uniform(0, 360), stage.top, solid=False)
        else:
            bodies = [(v, n, c, np.zeros_like(layer), tris) for v, n, c, layer, tris in thing.meshes[:1]]
            room.bake(bodies, turn((0, 0, 1), rng.uniform(0, 6)), stage.at(a, b))


def make(seed, library, body, renderer, weights=None, fps=5, view=None):
    """The clip of a seed, as clip.make_clip gives it, with narrations and questions. None if no camera sees it."""
    made = compose(seed, library, body, weights)
    if made is None:
        return None
    room, stage, story, poser, focus, rng = made
    length = float(rng.choice([5, 6, 6, 7, 8]))
    start = window(story, focus, length, rng)
    picks = [i for i in range(start, start + int(length * FPS), FPS // fps) if i < len(story.kinds)]
    add_materials(renderer)
    renderer.load_room(*room.geometry(), room.lights)
    views = [view] if view else list(rng.choice(list(VIEWS), 3, replace=False, p=list(VIEWS.values())))
    for view in views:
        view = str(view)
        if view == "ego" or choose_view(renderer, room, stage, story, poser, picks, rng, view):
            break
    else:
        return None
    out = render(renderer, body, story, stage, poser, picks, view, rng, fps)
    return dict(out, focus=focus, view=view)


class HeadCamera:
    """An egocentric camera: at the eyes, looking where the hands work, with the slight motion of a head."""

    def __init__(self, rng):
        self.fov = rng.uniform(62, 88)
        self.sway = rng.uniform(.3, 1.), rng.uniform(0, 6.28, 6), rng.uniform(.15, .5, 6)
        self.up, self.forward = rng.uniform(.0, .06), rng.uniform(.05, .09)
        self.target = None

    def aim(self, renderer, poser, rotations, positions, gaze, t):
        size, phase, rate = self.sway
        s = np.sin(6.28 * rate * t + phase) * size
        st = poser.stage
        work = st.at(0, st.edge + .3, .08)
        want = work * .62 + gaze * .38
        first = self.target is None
        self.target = want if first else self.target + (want - self.target) * .3
        eye = poser.eyes(rotations, positions) + st.ahead * self.forward + st.up * self.up + s[:3] * .006
        fov = self.fov * (.85 if renderer.w / renderer.h > 1.5 else 1)
        up = positions[2] - positions[1] + st.ahead * .25  # the head's: upright, then ahead the more it looks down
        renderer.set_camera(eye, self.target + s[3:6] * .02, fov, up=up, moves=not first)


def render(renderer, body, story, stage, poser, picks, view, rng, fps):
    """The arrays of the picked instants and what is said of them."""
    figure, props = Figure(renderer, body, view), Props(renderer, story)
    drawn = [figure.mesh, props.mesh]
    n, h, w = len(picks), renderer.h, renderer.w
    out = dict(frames=np.zeros((n, h, w, 3), "u1"), mask=np.zeros((n, h, w), bool), keypoints=np.zeros((n, 17, 3), "f4"),
               depth=np.zeros((n, GRID, GRID), "u1"), flow=np.zeros((n, GRID, GRID, 2), "f2"))
    head = HeadCamera(rng) if view == "ego" else None
    names, lens, background = [], None, None
    first_part = np.cumsum([0] + [len(t.meshes) for t in story.things])[:-1]
    for t, i in enumerate(picks):
        snap = story.snaps[i]
        hands = snap["hands"]
        r, p = poser(hands, snap["gaze"])
        if head:
            head.aim(renderer, poser, r, p, snap["gaze"], t / fps)
        props.pose(snap)
        if lens is None:
            background, _ = renderer.frame([props.mesh])
            lens = Lens(rng, background)
        figure.pose(r, p, hands)
        palms = {s: hands[s][0] + hands[s][1] @ [.08, .02, 0] for s in "lr"}
        spheres = [[*palms[s], .045] for s in "lr"] + ([[*p[0], .16], [*p[1], .15]] if view == "room" else [])
        for thing, k in zip(story.things, first_part):
            at = snap["p"][k]
            spheres.append([at[0], at[1], at[2] + min(thing.height, thing.radius) * .4, min(thing.radius * .8, .08)])
        x, share = renderer.frame(drawn, spheres)
        distance, flow, _, far = renderer.places(drawn)
        out["depth"][t], out["flow"][t] = np.clip(np.rint(distance * DEPTH_UNIT), 0, 255), np.rint(flow * 16) / 16
        image, shift = lens(x)
        out["frames"][t] = image
        out["mask"][t] = np.roll(share > .5, shift, (0, 1))
        seen_person = out["mask"][t].sum() > 25
        points = body.keypoints(r[:15], p[:15])
        kx, ky, _ = renderer.project(points)
        seen = renderer.visible(points, .05) & renderer.visible(points, .2, far)
        if view == "ego":
            seen[:5] = False
        elif r[2] @ [0, -1., 0] @ (renderer.eye - p[2]) < -.15:
            seen[:3] = False
        if seen_person:
            out["keypoints"][t] = np.stack([kx, ky, seen], 1)
        names.append(shown_kind(renderer, story, i, palms, seen_person, view, stage))
    out["keypoints"][..., :2] = np.clip(out["keypoints"][..., :2], -.5, 1.5)
    out["kinds"] = np.array([KINDS.index(k) if k else -1 for k in names], "i1")
    # A camera that moves has no empty background.
    out["background"] = lens(background, noisy=False)[0] if view != "ego" else np.zeros((0, 0, 3), "u1")
    if rng.random() < H264_SHARE:
        out["frames"] = h264(out["frames"], int(rng.integers(20, 37)), str(rng.choice(["ultrafast", "veryfast"], p=[.35, .65])), fps)
    told = [e for e in story.events if shows(e, picks, names, fps)]
    out["narrations"] = narrations(told, body, picks, view, out["kinds"], fps)
    out["qa"] = questions(told, picks)
    # The things would vanish if the person were pasted onto another room.
    out["extra"] = dict(swap=False, night=False, people=1, hand=story.main)
    for m in drawn:
        renderer.drop(m)
    return out


def shown_kind(renderer, story, i, palms, seen_person, view, stage):
    """The kind of an instant as far as the picture shows it."""
    kind = story.kinds[i]
    if not seen_person:
        return "nobody" if kind in (None, "reach") and view != "ego" else None
    if kind is None:
        idle = view == "room" and not any(story.snaps[i]["busy"])
        return ("sit" if stage.seated else "stand") if idle else None
    acting = story.snaps[i]["acting"]
    near = np.array([palms[s] for s in ("lr" if acting is None else acting)])
    return kind if renderer.visible(near, .08).any() else None


# -- what is said -----------------------------------------------------------------------------------------
DEED = dict(pick_up="pick up the {0}", put_down="put down the {0}", pour="pour {0}", stir="stir in the {0}", cut="cut the {0}",
            open="open the {0}", close="close the {0}", drink="drink from the {0}", reach="reach for the {0}")


def deed(e):
    of = e["objects"][1] if e["kind"] in ("open", "close", "drink") and len(e["objects"]) > 1 else e["objects"][0]
    return DEED[e["kind"]].format(of)


def shows(e, picks, names, fps):
    """Is an event seen for .4 s at least?"""
    inside = [t for t, i in enumerate(picks) if e["start"] <= i < e["end"] and names[t] == e["kind"]]
    return len(inside) >= max(1, .4 * fps)


def whole(e, picks):
    return picks[0] <= e["start"] and e["end"] <= picks[-1] + 1


def narrations(told, body, picks, view, kinds, fps):
    """Sentences in time with actors, objects and the relations that hold at the end of each."""
    out = []
    last = len(picks) / fps
    for e in told:
        text = e["text"].replace("The person", describe(body.look)) if view == "room" else e["text"]
        out.append(dict(start_s=round(max(0, (e["start"] - picks[0]) / FPS), 2), end_s=round(min(last, (e["end"] - picks[0]) / FPS), 2),
                        text=text[0].upper() + text[1:], kind=e["kind"], actors=["person1", *e["actors"][1:]], objects=e["objects"],
                        relations=e["relations"]))
    for kind, a, b in runs([KINDS[k] if k >= 0 else None for k in kinds]):
        if kind == "nobody" and b - a >= fps:
            out.append(dict(start_s=a / fps, end_s=b / fps, text="Nobody is at the table.", kind=kind, actors=[], objects=["table"], relations=[]))
        if kind in ("sit", "stand") and b - a >= 2:
            out.append(dict(start_s=a / fps, end_s=b / fps, text=f"{describe(body.look).capitalize()} {kind}s at the table.", kind=kind,
                            actors=["person1"], objects=["table"], relations=[["person1", f"{kind}s at", "table"]]))
    return sorted(out, key=lambda n: (n["start_s"], n["end_s"]))


def questions(told, picks):
    """Questions that the clip answers: order, hand, object, count, state."""
    out = []
    seen = [e for e in told if e["kind"] != "reach"]
    deeds = [deed(e) for e in seen]
    once = [e for e in seen if deeds.count(deed(e)) == 1]
    # Only between tasks: within one the order is plain without looking.
    if len(once) >= 2 and once[0]["task"] != once[-1]["task"]:
        a, b = once[0], once[-1]
        out.append(ask("Which of the two happens first?", deed(a), "order", sorted((deed(a), deed(b)))))
    for e in told:
        if e["kind"] in ("pick_up", "cut", "stir", "pour") and e["actors"][1] != "hands":
            out.append(ask(f"Which hand is used to {deed(e)}?", e["actors"][1].split()[0], "hand", ("left", "right")))
            break
    lifted = [e for e in told if e["kind"] == "pick_up"]
    if lifted:
        others = sorted({r[0] for r in lifted[0]["relations"] if len(r) == 3 and r[1] == "on" and r[0] != lifted[0]["objects"][0]} - {"lid"})
        if others:
            out.append(ask("What is picked up first?", lifted[0]["objects"][0], "object", sorted([lifted[0]["objects"][0], *others[:2]])))
    for e in told:
        if "strokes" in e and whole(e, picks):
            k = e["strokes"]
            out.append(ask(f"How many slices are cut off the {e['objects'][0]}?", str(k), "count", [str(c) for c in range(max(1, k - 1), k + 2)]))
    lids = [e for e in told if e["kind"] in ("open", "close") and e["end"] <= picks[-1] + 1]
    if lids:
        e = lids[-1]
        out.append(ask(f"How is the {e['objects'][-1]} at the end?", "open" if e["kind"] == "open" else "closed", "attribute_change", ("open", "closed")))
    poured = [e for e in told if e["kind"] == "pour" and whole(e, picks)]
    if poured:
        e = poured[0]
        out.append(ask("Into what is something poured?", e["objects"][2], "object", sorted({e["objects"][2], e["objects"][1], "plate"})))
    return out
