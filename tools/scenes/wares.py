"""Household things with grips: vessels and what is in them, lids, spoons, knives, food, boards, plates."""
import numpy as np

from hands import turn, unit

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
