"""Furnished rooms by rule: models from the Sweet Home 3D furniture libraries, procedural surfaces.

A room is centred on the origin, w x d x h metres. Furniture stands along the walls facing inwards
(yaw 0 faces -y), so that the middle stays free to walk in; a grid of 10 cm cells finds the ways.
"""
import collections
import heapq
import os
import re

import numpy as np
from PIL import Image

from motion import direction

# Models by use; the name is library/model. Those of BlendSwap-CC-0 (key "0/") are CC0.
LIBRARY = {"0": "BlendSwap-CC-0", "B": "BlendSwap-CC-BY", "K": "KatorLegaz", "S": "Scopia"}
MODELS = {
    "sofa": "0/sofa 0/sofa2 0/couch2 0/winchesterSofa 0/couch B/sofa2 B/couch3 K/futon-couch K/mid-century-sofa S/clear_sofa "
            "S/simple_sofa S/burlap_sofa S/sofa_white_beige",
    "armchair": "0/armchair2 0/modernArmchair 0/winchesterArmchair B/armchair1 B/fotel B/armChair2 K/mid-century-chair "
                "S/armchair3 S/armchair S/armchair1",
    "chair": "0/chair 0/chair2 0/plasticChair 0/sillaBlanca 0/antiqueChair 0/chairWithCushion 0/osakaChair 0/thonet "
             "B/cafe_set_mota_chair B/cafe_set_tonon_chair B/chairWithCushion B/ella_chair_f B/plaidChair B/kitchenChair "
             "B/chair3 B/chair4 K/dining-chair S/chair3 S/chair4 S/chair S/tubular_chair S/plastic_chair S/white_kitchen_chair",
    "bed": "0/bed1 0/bed2 0/bed3 B/juniorBed S/bed1 S/hospital-bed",
    "table": "0/oakTable 0/table 0/tableWithTablecloth 0/lbDesk B/table B/simpleDesk B/officeTable S/table3 S/table4 "
             "S/black_table S/white_kitchen_table S/round-table S/table_wood_and_iron",
    "low": "B/coffeeTable S/saloon_table S/coffee_table S/coffee-table2 S/living_room_table S/puff K/bench 0/box S/cardboard-box "
           "S/open-cardboard-box",
    "tall": "0/bookcase 0/verticalShelves 0/wardrobeWithSlidingDoors 0/cupboard B/bookcase B/wardrobe B/wardrobe2 "
            "K/full-bookcase S/wardrobe1 S/box_room 0/largeFridge 0/refrigerator S/office_box",
    "side": "0/bedsideTable2 B/bedsideTable B/tvStand B/dresserWithDrawers 0/televisionCabinet 0/lowerCabinet 0/drawersCabinet "
            "0/radiator1 0/radiator3 S/fireplace1 B/washing_machine 0/oven K/filing-cabinet B/kitchenLowerCabinet S/aquarium "
            "S/dressing-table S/kids_shelves 0/islandExtension S/clothes_washing_machine",
    "plant": "0/plant B/mediumIndoorPlant B/tulips 0/augalas 0/crate K/bullet-trash-can S/maceta S/step-ladder-wood S/clothes-basket "
             "B/suitcase S/clothes-horse 0/dustbin",
    "top": "0/lamp2 0/littlePlant S/little_lamp2 0/desklamp 0/speaker2 B/lamp S/vase1 S/vase2 S/vase3 S/jar 0/led_tv S/tv "
           "S/mini_stereo S/toaster S/bowlWithFruits K/apple-imac-1998 0/beerGlass B/gift",
    "floor_clutter": "0/slippers 0/basketball B/book S/sneakers S/cardboard-box B/backpack 0/handbag S/doormat S/folded_clothes "
                     "B/gift 0/bootie",
}
MODELS = {k: v.split() for k, v in MODELS.items()}


class Library:
    """Catalogue and meshes; parsed models are kept as .npz in assets/cache, since OBJ is slow to read."""

    def __init__(self, assets, heaviest=26000):
        self.assets, self.heaviest, self.loaded, self.catalogue = assets, heaviest, {}, {}
        os.makedirs(assets + "/cache", exist_ok=True)
        for key, name in LIBRARY.items():
            entries = collections.defaultdict(dict)
            with open(f"{assets}/sh3d/{name}/PluginFurnitureCatalog.properties", encoding="latin1") as f:
                for line in f:
                    m = re.match(r"(\w+)#(\d+)=(.*)", line.strip())
                    if m:
                        entries[m[2]][m[1]] = m[3]
            for e in entries.values():
                path = f"{assets}/sh3d/{name}{e['model']}"
                size = [float(e[k]) / 100 for k in ("width", "depth", "height")]
                self.catalogue[f"{key}/{os.path.basename(path)[:-4]}"] = (path, size)

    def model(self, name):
        """dict(table [n,13] in its own frame, images, size (w, d, h)) or None if too heavy or unreadable."""
        if name not in self.loaded:
            self.loaded[name] = self._load(name)
        return self.loaded[name]

    def _load(self, name):
        if name not in self.catalogue:
            return None
        path, size = self.catalogue[name]
        cache = f"{self.assets}/cache/{name.replace('/', '_')}.npz"
        if not os.path.exists(cache):
            table, images = parse_obj(path, size)
            temporary = f"{cache}.{os.getpid()}.tmp.npz"
            np.savez(temporary, table=table, images=images)
            os.rename(temporary, cache)
        with np.load(cache) as z:
            table, images = z["table"], z["images"]
        return None if not len(table) or len(table) > 3 * self.heaviest else dict(table=table, images=images, size=size)


def parse_mtl(path):
    materials, current = {}, None
    if os.path.exists(path):
        for line in open(path, encoding="latin1"):
            p = line.split()
            if not p:
                continue
            if p[0] == "newmtl":
                current = materials.setdefault(" ".join(p[1:]), dict(kd=(.7, .7, .7), map=None, d=1.))
            elif current is not None and p[0] == "Kd":
                current["kd"] = tuple(float(x) for x in p[1:4])
            elif current is not None and p[0] == "map_Kd":
                current["map"] = os.path.join(os.path.dirname(path), " ".join(p[1:]))
            elif current is not None and p[0] == "d":
                current["d"] = float(p[-1])
    return materials


def parse_obj(path, size):
    """Vertex table and textures of a Wavefront model, scaled to its catalogue size, standing on z = 0."""
    v, t, n, materials, current = [], [[0, 0]], [], {}, None
    groups = collections.defaultdict(list)
    for line in open(path, encoding="latin1"):
        p = line.split()
        if not p:
            continue
        if p[0] == "v":
            v.append([float(x) for x in p[1:4]])
        elif p[0] == "vt":
            t.append([float(x) for x in p[1:3]])
        elif p[0] == "vn":
            n.append([float(x) for x in p[1:4]])
        elif p[0] == "mtllib":
            materials.update(parse_mtl(os.path.join(os.path.dirname(path), line.split(None, 1)[1].strip())))
        elif p[0] == "usemtl":
            current = line.split(None, 1)[1].strip()
        elif p[0] == "f":
            corners = []
            for a in p[1:]:
                i = (a.split("/") + ["", ""])[:3]
                index = lambda s, count, first: (int(s) - first if int(s) > 0 else count + int(s)) if s else None
                corners.append((index(i[0], len(v), 1), index(i[1], len(t), 0) or 0,
                                -1 if not i[2] else index(i[2], len(n), 1)))
            for k in range(1, len(corners) - 1):
                groups[current] += [corners[0], corners[k], corners[k + 1]]
    v, t = np.array(v), np.array(t)
    n = np.array(n) if n else np.zeros((1, 3))
    low, high = v.min(0), v.max(0)
    scale = np.array([size[0], size[2], size[1]]) / np.maximum(high - low, 1e-6)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    tables, images = [], []
    for name, corners in groups.items():
        m = materials.get(name, dict(kd=(.7, .7, .7), map=None, d=1.))
        if m["d"] < .3:
            continue  # glass
        q = np.array(corners)
        p = v[q[:, 0]]
        face = np.cross(p[1::3] - p[0::3], p[2::3] - p[0::3])
        normal = np.where(q[:, 2:3] >= 0, n[q[:, 2]], np.repeat(face, 3, 0)) / scale
        p = (p - middle) * scale
        swap = lambda a: np.stack([a[:, 0], -a[:, 2], a[:, 1]], 1)
        table = np.zeros((len(q), 13), "f4")
        table[:, :3], table[:, 3:6] = swap(p), swap(normal)
        table[:, 3:6] /= np.linalg.norm(table[:, 3:6], axis=1, keepdims=True) + 1e-9
        table[:, 6:8], table[:, 8:11], table[:, 11], table[:, 12] = t[q[:, 1]], np.sqrt(np.clip(m["kd"], 0, 1)), -1, 10
        if m["map"]:
            try:
                images.append(np.asarray(Image.open(m["map"]).convert("RGB").resize((256, 256)))[::-1])
                table[:, 8:11], table[:, 11] = 1, len(images) - 1
            except OSError:
                pass
        tables.append(table)
    return (np.concatenate(tables) if tables else np.zeros((0, 13), "f4"),
            np.array(images, "u1").reshape(-1, 256, 256, 3))


def smooth_noise(rng, cells, size=256):
    a = rng.random((cells, cells)).astype("f4")
    return np.asarray(Image.fromarray(a).resize((size, size), Image.BICUBIC))


def print_of(rng):
    """A pattern as on cloth, paper or linoleum, u8 [256, 256, 3]: checks, stripes, dots, waves or patches in up to four colours."""
    y, x = np.mgrid[0:256, 0:256] / 256
    n, m = rng.integers(1, 9, 2)
    style = rng.choice(["checks", "stripes", "dots", "waves", "patches"])
    if style == "checks":
        index = (x * 2 * n).astype(int) % 2 + (y * 2 * n).astype(int) % 2
    elif style == "stripes":
        index = ((x if rng.random() < .7 else y) * 4 * n).astype(int) % 4
    elif style == "dots":
        far = np.hypot((x * n + .5 * ((y * n).astype(int) % 2)) % 1 - .5, y * n % 1 - .5)
        index = (far < rng.uniform(.3, .45)).astype(int) + (far < rng.uniform(.1, .25))
    elif style == "waves":
        index = ((np.sin(2 * np.pi * (n * x + rng.uniform(0, .5) * np.sin(2 * np.pi * m * y))) + 1) * 1.99).astype(int)
    else:
        rough = smooth_noise(rng, int(rng.choice([6, 12, 24])))
        index = np.digitize(rough, np.quantile(rough, np.sort(rng.uniform(.2, .8, 3))))
    colours = np.clip(rng.uniform(.15, .95, 3) + rng.normal(0, rng.uniform(.08, .35), (4, 3)), .03, 1)
    cloth = colours[index] * (.9 + .1 * smooth_noise(rng, 64)[..., None])
    return (np.clip(cloth, 0, 1) * 255).astype("u1")


def surface(rng, kind):
    """A procedural 256 x 256 texture: planks, tiles, carpet, wall, stripes, rug, print or picture."""
    if kind == "print":
        return print_of(rng)
    y, x = np.mgrid[0:256, 0:256]
    tone = rng.uniform(.35, .9) * np.clip(np.array([1, .82, .62]) + rng.normal(0, .06, 3), .2, 1)
    grain = smooth_noise(rng, 8) * .1 + smooth_noise(rng, 64) * .1
    if kind == "planks":
        rows = int(rng.choice([4, 6, 8]))
        row = y * rows // 256
        shift = rng.integers(0, 256, rows)[row]
        board = ((x + shift) % 256) // 128
        shade = rng.uniform(.75, 1.05, (rows, 2))[row, board]
        streak = np.asarray(Image.fromarray(rng.random((256, 12)).astype("f4")).resize((256, 256), Image.BICUBIC))
        gap = ((y % (256 // rows)) < 1) | (((x + shift) % 128) < 1)
        lum = shade * (.85 + .2 * streak + grain) * np.where(gap, .6, 1)
    elif kind == "tiles":
        tone = rng.uniform(.5, .95) * np.clip(1 + rng.normal(0, .06, 3), .6, 1.1)
        k = int(rng.choice([2, 3, 4]))
        s = 256 // k
        check = 1 - (rng.random() < .35) * .45 * ((x // s + y // s) % 2)
        lum = check * (.9 + grain) * np.where((x % s < 3) | (y % s < 3), .7, 1)
    elif kind == "carpet":
        tone = rng.uniform(.25, .8) * np.clip(1 + rng.normal(0, .18, 3), .4, 1.3)
        lum = .85 + .3 * rng.random((256, 256)) * .6 + grain
    elif kind == "stripes":
        tone = rng.uniform(.6, .95) * np.clip(1 + rng.normal(0, .1, 3), .6, 1.1)
        lum = 1 - .18 * ((x // int(rng.choice([8, 16, 32]))) % 2)
    elif kind == "rug":
        tone = rng.uniform(.3, .9, 3)
        edge = np.minimum(np.minimum(x, 255 - x), np.minimum(y, 255 - y))
        lum = .7 + .3 * ((edge // int(rng.integers(10, 40))) % 2) + .15 * np.sin(x * rng.uniform(.05, .3)) * np.sin(y * rng.uniform(.05, .3))
    elif kind == "picture":
        c = rng.uniform(.1, 1, (5, 5, 3))
        big = np.stack([np.asarray(Image.fromarray(c[..., k].astype("f4")).resize((256, 256), rng.choice([0, 3]))) for k in range(3)], 2)
        frame = np.minimum(np.minimum(x, 255 - x), np.minimum(y, 255 - y)) < 14
        big[frame] = rng.uniform(.1, .9)
        return (np.clip(big, 0, 1) * 255).astype("u1")
    else:
        tone = rng.uniform(.55, .97) * np.clip(1 + rng.normal(0, .09, 3), .6, 1.12)
        lum = .96 + .04 * smooth_noise(rng, 64) + .05 * smooth_noise(rng, 4)
    return (np.clip(tone * lum[..., None], 0, 1) * 255).astype("u1")


class Room:
    """A random room. `only` limits the libraries, for instance "0" for CC0 models."""

    def __init__(self, library, rng, kind=None, only=None):
        self.rng, self.library, self.only = rng, library, only
        self.kind = kind or str(rng.choice(["living", "bedroom", "dining", "sparse"], p=[.37, .28, .2, .15]))
        self.dim = self.w, self.d, self.h = rng.uniform(3.8, 6), rng.uniform(3.6, 5.4), rng.uniform(2.35, 2.75)
        self.tables, self.images, self.boxes, self.tops = [], [], [], []
        self.seats, self.beds, self.doors = [], [], []
        self.frames, self.leaves, self.tv = [], [], None  # of the doors: (wall, along), and a leaf or None
        self.names = []
        self.shell()
        self.furnish()
        self.hang_doors()
        self.hang_television()
        self.light()
        self.grid()

    # -- surfaces -----------------------------------------------------------------------------
    def image(self, picture):
        self.images.append(picture)
        return len(self.images) - 1

    def quad(self, origin, u, v, colour=(1, 1, 1), layer=-1, repeat=1., ident=1):
        """A rectangle from origin along u and v, finely cut so that light varies; its normal is u x v."""
        o, u, v = (np.array(a, float) for a in (origin, u, v))
        normal = np.cross(u, v)
        normal /= np.linalg.norm(normal)
        k = 4
        g = np.array([(i + a, j + b) for i in range(k) for j in range(k)
                      for a, b in ((0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1))]) / k
        t = np.zeros((len(g), 13), "f4")
        t[:, :3] = o + g[:, :1] * u + g[:, 1:] * v
        t[:, 3:6] = normal
        t[:, 6:8] = g * [np.linalg.norm(u), np.linalg.norm(v)] / repeat
        t[:, 8:11], t[:, 11], t[:, 12] = colour, layer, ident
        self.tables.append(t)

    def block(self, centre, size, colour=(1, 1, 1), ident=10, **look):
        c, s = np.array(centre, float), np.array(size, float)
        x, y, z = np.diag(s)
        lo = c - s / 2
        for o, u, v in ((lo, y, x), (lo + z, x, y), (lo, x, z), (lo + y, z, x), (lo, z, y), (lo + x, y, z)):
            self.quad(o, u, v, colour, ident=ident, **look)

    def wall_point(self, wall, along, out=0.):
        """Floor point beside a wall: `along` metres from its middle, `out` metres into the room."""
        w, d = self.w / 2, self.d / 2
        return np.array({"back": (along, d - out), "left": (-w + out, along), "right": (w - out, along),
                         "front": (along, -d + out)}[wall])

    def beyond(self, wall, eye):
        """Is a point on the outer side of a wall?"""
        x, y = eye[:2]
        return {"back": y > self.d / 2, "front": y < -self.d / 2, "left": x < -self.w / 2, "right": x > self.w / 2}[wall]

    def wall_quad(self, wall, along, z, width, height, out=.012, **look):
        """A rectangle on a wall, centred `along`, from height z, facing the room."""
        u = {"back": (1, 0), "left": (0, 1), "right": (0, -1), "front": (-1, 0)}[wall]
        u = np.array([*u, 0.]) * width
        o = np.array([*self.wall_point(wall, along, out), z]) - u / 2
        self.quad(o, u, (0, 0, height), **look)

    def shell(self):
        rng, (w, d, h) = self.rng, self.dim
        floor = self.image(surface(rng, rng.choice(["planks", "tiles", "carpet", "print"], p=[.45, .2, .2, .15])))
        self.quad((-w / 2, -d / 2, 0), (w, 0, 0), (0, d, 0), layer=floor, repeat=rng.uniform(.8, 2))
        self.quad((-w / 2, d / 2, h), (w, 0, 0), (0, -d, 0), (.93, .93, .91))
        wall = self.image(surface(rng, rng.choice(["wall", "stripes"], p=[.8, .2])))
        other = self.image(surface(rng, "print" if rng.random() < .2 else "wall")) if rng.random() < .3 else wall
        skirting = rng.choice([.3, .9]) * np.ones(3)
        for name, length in (("back", w), ("left", d), ("right", d), ("front", w)):
            self.wall_quad(name, 0, 0, length, h, out=0, layer=other if name == "back" else wall, repeat=1.3)
            if rng.random() < .9:
                self.wall_quad(name, 0, 0, length, .08, out=.015, colour=skirting)
        if rng.random() < .5:
            a, b = rng.uniform(1.2, 3.2), rng.uniform(.9, 2.4)
            kind = str(rng.choice(["rug", "print"]))
            self.quad((rng.uniform(-.8, .2) - a / 2, rng.uniform(-.6, .4) - b / 2, .006), (a, 0, 0), (0, b, 0),
                      layer=self.image(surface(rng, kind)), repeat=max(a, b) if kind == "rug" else rng.uniform(.6, 2))
        # Doorways: a darker or brighter passage drawn on the wall; people walk through the wall there.
        self.taken = collections.defaultdict(list)  # wall -> occupied (from, to)
        for wall_name in rng.permutation(["left", "right", "back"])[:rng.integers(1, 3)]:
            length = w if wall_name == "back" else d
            along = rng.uniform(-length / 2 + .7, length / 2 - .7)
            self.taken[wall_name].append((along - .6, along + .6))
            self.wall_quad(wall_name, along, 0, 1., 2.1, out=.01, colour=rng.choice([.3, .92]) * np.ones(3))
            self.wall_quad(wall_name, along, 0, .86, 2.02, out=.02, colour=rng.uniform(.05, .5) * np.array([1, .95, .88]))
            self.doors.append((self.wall_point(wall_name, along, -.7), self.wall_point(wall_name, along, .55)))
            self.frames.append((wall_name, along))
        self.window = None
        if rng.random() < .75:
            wall_name = str(rng.choice(["back", "left", "right"]))
            length = w if wall_name == "back" else d
            along = rng.uniform(-length / 2 + .9, length / 2 - .9)
            width, sky = rng.uniform(.9, 1.6), rng.uniform(.3, 1.6)  # above 1 it outshines the room
            if not any(a < along + width / 2 + .2 and b > along - width / 2 - .2 for a, b in self.taken[wall_name]):
                self.window = (wall_name, along, width)
                self.wall_quad(wall_name, along, .9, width + .14, 1.24, out=.012, colour=(.9, .9, .88))
                for k in (-1, 1):
                    self.wall_quad(wall_name, along + k * width / 4, .97, width / 2 - .04, 1.1, out=.02,
                                   colour=np.array([.85, .93, 1]) * sky, ident=5)
                if rng.random() < .7:
                    cloth, broad = self.cloth(.5), rng.uniform(.35, .3 + width / 2)
                    low = float(rng.choice([.05, .3, .8]))
                    for k in (-1, 1):
                        self.wall_quad(wall_name, along + k * (width / 2 + .3 - broad / 2), low, broad, 2.25 - low, out=.05, **cloth)
        for _ in range(rng.integers(0, 4)):
            wall_name = str(rng.choice(["back", "left", "right"]))
            length = w if wall_name == "back" else d
            along = rng.uniform(-length / 2 + .5, length / 2 - .5)
            a, b = rng.uniform(.3, .9), rng.uniform(.3, .7)
            if self.bare(wall_name, along, a / 2):
                self.wall_quad(wall_name, along, rng.uniform(1.3, 1.6), a, b, out=.02,
                               layer=self.image(surface(rng, "picture")), repeat=max(a, b))

        if rng.random() < .25:
            self.hang_clothes()

    def bare(self, wall, along, half):
        """Is there neither door nor window on a wall within `half` metres of a place on it?"""
        busy = list(self.taken[wall])
        if self.window and self.window[0] == wall:
            busy.append((self.window[1] - 1, self.window[1] + 1))
        return not any(a < along + half and b > along - half for a, b in busy)

    def cloth(self, printed=.3):
        """How a piece of cloth looks: plain, or with that probability printed."""
        rng = self.rng
        if rng.random() < printed:
            return dict(layer=self.image(surface(rng, "print")), repeat=rng.uniform(.3, 1.2))
        return dict(colour=rng.uniform(.05, .95) * np.clip(1 + rng.normal(0, .25, 3), .3, 1.3))

    def hang_clothes(self):
        """Garments side by side on pegs, where a wall is free."""
        rng = self.rng
        wall = str(rng.choice(["back", "left", "right"]))
        length, count = (self.w if wall == "back" else self.d), int(rng.integers(2, 9))
        along = rng.uniform(-length / 2 + .3, length / 2 - .3)
        for _ in range(count):
            wide, top = rng.uniform(.14, .34), rng.uniform(1.55, 1.9)
            if abs(along) > length / 2 - .2 or not self.bare(wall, along, .2):
                return
            low = top - rng.uniform(.5, 1.1)
            self.wall_quad(wall, along, low, wide, top - low, out=.03 + .03 * rng.random(), ident=10, **self.cloth())
            along += wide * rng.uniform(.5, .9)

    # -- furniture ----------------------------------------------------------------------------
    def pick(self, use):
        names = [n for n in MODELS[use] if not self.only or n[0] in self.only]
        for _ in range(6):
            name = str(self.rng.choice(names))
            model = self.library.model(name)
            if model:
                return name, model
        return None, None

    def free(self, xy, half, margin=0.):
        """Is an upright box (centre, half extents in m) clear of the furniture and inside the room?"""
        if abs(xy[0]) + half[0] > self.w / 2 + .01 or abs(xy[1]) + half[1] > self.d / 2 + .01:
            return False
        return not any(abs(xy[0] - c[0]) < half[0] + e[0] + margin and abs(xy[1] - c[1]) < half[1] + e[1] + margin
                       for c, e, *_ in self.boxes)

    def put(self, name, model, xy, yaw, z=0., solid=True):
        rng, t = self.rng, model["table"].copy()
        a = np.radians(yaw)
        r = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        t[:, :2], t[:, 3:5] = t[:, :2] @ r.T + xy, t[:, 3:5] @ r.T
        t[:, 2] += z
        if rng.random() < .5:
            t[:, 8:11] = np.clip(t[:, 8:11] * rng.uniform(.55, 1.15, 3), 0, 1)
        keep = t[:, 11] >= 0
        t[keep, 11] += len(self.images)
        self.images.extend(model["images"])
        if rng.random() < (.5 if name in MODELS["bed"] else .15):
            cover(t, self.image(surface(rng, "print")), rng.uniform(.3, 1.2))
        self.tables.append(t)
        self.names.append(name)
        w, d, h = model["size"]
        if solid:
            half = np.abs(r) @ [w / 2, d / 2]
            self.boxes.append((np.asarray(xy, float), half, h, yaw, (w, d)))

    def place(self, use, walls=("back", "left", "right"), tries=12):
        """Stand a model of a use against a wall; returns (name, model, xy, yaw) or None."""
        name, model = self.pick(use)
        if model is None:
            return None
        w, d, h = model["size"]
        for _ in range(tries):
            wall = str(self.rng.choice(walls))
            length = self.w if wall in ("back", "front") else self.d
            if length - w - .1 < 0:
                continue
            along = self.rng.uniform(-(length - w) / 2, (length - w) / 2)
            if any(p < along + w / 2 and q > along - w / 2 for p, q in self.taken[wall]):
                continue
            if h > .9 and self.window and self.window[0] == wall and abs(along - self.window[1]) < (w + self.window[2]) / 2:
                continue
            xy = self.wall_point(wall, along, d / 2 + self.rng.uniform(.02, .1))
            yaw = {"back": 0, "left": 90, "right": -90, "front": 180}[wall]
            half = (w / 2, d / 2) if wall in ("back", "front") else (d / 2, w / 2)
            if self.free(xy, half, .08) and not any(np.abs(door[1] - xy).max() < .5 + max(half) for door in self.doors):
                self.put(name, model, xy, yaw)
                return name, model, xy, yaw
        return None

    def seat(self, model, xy, yaw, thing, wide=False):
        """Register a seat: where the pelvis goes, its height from the mesh, the spot to stand at."""
        w, d, h = model["size"]
        f = direction(yaw)
        back = -d / 2 + min(.40, d * .64)  # along the depth, towards the back rest
        height = surface_height(model["table"], 0, back - .1, .14, .75)
        if not .25 < height < .66:
            return
        side = np.array([-f[1], f[0]])
        offsets = [(-.25 * w), .25 * w] if wide and w > 1.3 else [0.]
        for off in offsets:
            at = np.asarray(xy) - f * back + side * off
            spot = dict(thing=thing, xy=at, yaw=yaw, height=height, front=at + f * (back + d / 2 + .1))
            self.seats.append(spot)
            if wide and w > 1.6 and d - .3 > .4:
                lie_yaw = yaw + (90 if self.rng.random() < .5 else -90)
                head = np.array([-np.sin(np.radians(lie_yaw)), np.cos(np.radians(lie_yaw))])
                self.beds.append(dict(spot, lie_xy=np.asarray(xy) - f * (back - .06) - head * .08, lie_yaw=lie_yaw))

    def bed(self, model, xy, yaw):
        w, d, h = model["size"]
        height = surface_height(model["table"], 0, 0, .3, .95)
        if not .25 < height < .85:
            return
        f = direction(yaw)
        side = np.array([-f[1], f[0]])
        for sign in (-1, 1):
            out = side * sign
            edge = np.asarray(xy) + out * (w / 2 - .17) - f * self.rng.uniform(-.15, .15)
            front = edge + out * .5
            if not self.free(front, (.2, .2)):
                continue
            facing = np.degrees(np.arctan2(out[0], -out[1]))
            lie = np.asarray(xy) + out * max(0, w / 2 - .5) * self.rng.uniform(0, .8) + f * .02
            self.beds.append(dict(thing="bed", xy=edge, yaw=facing, height=height, front=front, lie_xy=lie, lie_yaw=yaw))
            if height < .66:
                self.seats.append(self.beds[-1])  # whoever is on a bed need not lie
        for end, most in ((-1, 3), (1, 2)):  # pillows at the head, a blanket at the foot
            for _ in range(self.rng.integers(0, most)):
                long, wide, tall = self.rng.uniform([.25, .3, .08], [.4, .7, .2])
                at = np.asarray(xy) + end * f * (d / 2 - .3) + side * self.rng.uniform(-.5, .5) * max(0, w - wide)
                self.block([*at, height + tall / 2], [*(np.abs(f) * long + np.abs(side) * wide), tall], **self.cloth())

    def furnish(self):
        rng, kind = self.rng, self.kind
        if kind == "bedroom":
            got = self.place("bed", ("back", "left", "right"), 40)
            if got:
                self.bed(*got[1:])
        if kind == "living" or (kind == "sparse" and rng.random() < .5):
            got = self.place("sofa", tries=30)
            if got:
                self.seat(*got[1:], "sofa", wide=True)
        for _ in range({"living": 1, "bedroom": 1, "dining": 0, "sparse": 1}[kind]):
            got = self.place("armchair")
            if got:
                self.seat(*got[1:], "armchair")
        if kind == "dining" or rng.random() < .25:
            self.dining()
        for _ in range(rng.integers(1, 3)):
            got = self.place("chair", tries=30)
            if got:
                self.seat(*got[1:], "chair")
        for use, count in (("tall", rng.integers(0, 3)), ("side", rng.integers(1, 4)), ("plant", rng.integers(0, 3))):
            for _ in range(count if kind != "sparse" else min(count, 1)):
                got = self.place(use, ("back", "left", "right") if use == "tall" else ("back", "left", "right", "front"))
                if got and use == "side" and rng.random() < .6 and got[1]["size"][2] < 1.1:
                    name, model = self.pick("top")
                    if model and model["size"][0] < got[1]["size"][0] + .1:
                        self.put(name, model, got[2], got[3], got[1]["size"][2], solid=False)
        if kind == "living" and rng.random() < .5 or rng.random() < .2:
            name, model = self.pick("low")
            if model:
                for _ in range(8):
                    xy = rng.uniform([-self.w / 2 + .8, -self.d / 2 + .5], [self.w / 2 - .8, self.d / 2 - 1.3])
                    half = (model["size"][0] / 2, model["size"][1] / 2)
                    if self.free(xy, half, .45):
                        self.put(name, model, xy, 0)
                        break
        for _ in range(rng.integers(0, 4)):
            name, model = self.pick("floor_clutter")
            xy = rng.uniform([-self.w / 2 + .4, -self.d / 2 + .4], [self.w / 2 - .4, self.d / 2 - .4])
            if model and self.free(xy, (.2, .2), .1):
                self.put(name, model, xy, rng.uniform(0, 360), solid=model["size"][2] > .12)

    def dining(self):
        """A table in a free place with one to three chairs pulled back from it."""
        rng = self.rng
        name, model = self.pick("table")
        if model is None:
            return
        w, d, h = model["size"]
        for _ in range(12):
            xy = rng.uniform([-self.w / 2 + w / 2 + .3, -self.d / 2 + d / 2 + .8], [self.w / 2 - w / 2 - .3, self.d / 2 - d / 2 - .3])
            if not self.free(xy, (w / 2 + .3, d / 2 + .3), .2):
                continue
            self.put(name, model, xy, 0)
            if rng.random() < .6:
                top, small = self.pick("top")
                if small and small["size"][0] < .5:
                    self.put(top, small, xy + rng.uniform(-.2, .2, 2), rng.uniform(0, 360), h, solid=False)
            chair, cm = self.pick("chair")
            if cm is None:
                return
            cd = cm["size"][1]
            for side, yaw in rng.permutation([("W", 90), ("E", -90), ("N", 0), ("S", 180)])[:rng.integers(1, 4)]:
                # Chairs beside the table face away from it or along it, so that legs fit in front.
                yaw = float(yaw)
                f = direction(yaw)
                reach = (w if side in "WE" else d) / 2
                at = xy - f * (reach + cd / 2 + .3)
                if self.free(at, (.3, .3)):
                    turned = yaw + float(rng.choice([90, -90, 180])) + rng.uniform(-12, 12)
                    self.put(chair, cm, at, turned)
                    self.seat(cm, at, turned, "chair")
            return

    def hang_doors(self):
        """A leaf that swings into the room for each door whose way is clear of furniture."""
        rng = self.rng.spawn(1)[0]  # of its own, so that rooms stay as they were
        for wall, along in self.frames:
            side = float(rng.choice([-1, 1]))
            hinge, middle = self.wall_point(wall, along + side * .43, .03), self.wall_point(wall, along, .45)
            leaf = dict(wall=wall, along=along, side=side, hinge=hinge, width=.86, height=2.0,
                        colour=np.clip(rng.choice([.45, .9]) * np.array([1, .93, .84]) + rng.normal(0, .06, 3), .08, 1))
            self.leaves.append(leaf if self.free(middle, (.45, .45)) and rng.random() < .85 else None)

    def hang_television(self):
        """In some rooms a flat screen on a wall: self.tv = dict(centre, out, across, size)."""
        rng = self.rng.spawn(1)[0]
        if rng.random() > .7:
            return
        for _ in range(20):
            wall = str(rng.choice(["back", "left", "right"]))
            width = rng.uniform(.75, 1.25)
            height, length = width * .58, self.w if wall == "back" else self.d
            along, low = rng.uniform(-length / 2 + width, length / 2 - width), rng.uniform(.85, 1.3)
            at = self.wall_point(wall, along, .1)
            if any(abs(along - a) < width / 2 + .6 for w, a in self.frames if w == wall):
                continue
            if self.window and self.window[0] == wall and abs(along - self.window[1]) < (width + self.window[2]) / 2 + .1:
                continue
            if any(tall > low - .1 and np.all(np.abs(at - c) < half + [width / 2, width / 2]) for c, half, tall, *_ in self.boxes):
                continue
            out = self.wall_point(wall, along, 1.) - self.wall_point(wall, along, 0.)
            across = np.array([-out[1], out[0]])
            size = np.abs(across) * width + np.abs(out) * .05
            self.block([*self.wall_point(wall, along, .04), low + height / 2], [*size, height], np.full(3, .06), ident=1)
            self.tv = dict(wall=wall, centre=np.array([*self.wall_point(wall, along, .075), low + height / 2]), out=out, across=across,
                           size=(width - .06, height - .05))
            return

    def light(self):
        """Lamp or window as the main, shadow-casting light; colours in linear light."""
        rng = self.rng
        warm = np.array([1, rng.uniform(.78, 1), rng.uniform(.6, 1)])
        day = np.array([rng.uniform(.75, 1), rng.uniform(.85, 1), 1.])
        if self.window:
            window = np.array([*self.wall_point(self.window[0], self.window[1], .15), 1.5])
        else:
            window = np.array([*self.wall_point("front", rng.uniform(-1, 1), .3), 1.8])
        if self.window and rng.random() < .35:  # sun or sky through the window is the main light
            pos, target = window + [0, 0, rng.uniform(.3, .9)], [rng.uniform(-.8, .8), rng.uniform(-.8, .8), .3]
            colour, cone = day * rng.uniform(1.2, 2.6), 125
        else:
            pos = np.array([rng.uniform(-.8, .8), rng.uniform(-.9, .6), self.h - .12])
            target, cone = [pos[0] + .05, pos[1] + .1, 0], 140
            colour = warm * rng.uniform(.7, 2.)
        self.lights = dict(pos=pos, target=np.array(target, float), cone=cone, colour=colour,
                           ambient=rng.uniform(.3, .8) * (warm * .5 + day * .5), window=window,
                           window_colour=day * rng.uniform(.1, .8), room=self.dim)
        if self.tv:
            self.lights.update(tv=self.tv["centre"] + np.array([*self.tv["out"], 0]) * .05, tv_dir=np.array([*self.tv["out"], 0]))

    # -- ways ---------------------------------------------------------------------------------
    def grid(self, cell=.1, margin=.24):
        """Which 10 cm cells a person can walk in."""
        nx, ny = int(self.w / cell), int(self.d / cell)
        x = (np.arange(nx) + .5) * cell - self.w / 2
        y = (np.arange(ny) + .5) * cell - self.d / 2
        gx, gy = np.meshgrid(x, y, indexing="ij")
        ok = (abs(gx) < self.w / 2 - margin) & (abs(gy) < self.d / 2 - margin)
        for c, half, *_ in self.boxes:
            ok &= ~((abs(gx - c[0]) < half[0] + margin) & (abs(gy - c[1]) < half[1] + margin))
        # Only the largest connected part.
        from scipy.ndimage import label
        parts, count = label(ok)
        if count:
            ok = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
        self.ok, self.cells = ok, np.stack([gx, gy], -1)

    def nearest(self, xy):
        free = np.argwhere(self.ok)
        d = ((self.cells[self.ok] - xy) ** 2).sum(1)
        return tuple(free[np.argmin(d)])

    def clear(self, a, b):
        """Is the straight line between two points free?"""
        n = max(2, int(np.hypot(*(np.asarray(b) - a)) / .05))
        p = np.asarray(a) + np.linspace(0, 1, n)[:, None] * (np.asarray(b) - a)
        i = np.clip(((p + [self.w / 2, self.d / 2]) / .1).astype(int), 0, np.array(self.ok.shape) - 1)
        return self.ok[i[:, 0], i[:, 1]].all()

    def path(self, a, b):
        """Way points from a to b round the furniture (A* on the grid, then straightened)."""
        s, e = self.nearest(a), self.nearest(b)
        queue, came, cost = [(0, s)], {s: None}, {s: 0.}
        while queue:
            _, c = heapq.heappop(queue)
            if c == e:
                break
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
                k = (c[0] + dx, c[1] + dy)
                if 0 <= k[0] < self.ok.shape[0] and 0 <= k[1] < self.ok.shape[1] and self.ok[k]:
                    g = cost[c] + np.hypot(dx, dy)
                    if g < cost.get(k, 1e9):
                        cost[k], came[k] = g, c
                        heapq.heappush(queue, (g + np.hypot(e[0] - k[0], e[1] - k[1]), k))
        way, c = [], e
        while c is not None:
            way.append(self.cells[c])
            c = came.get(c)
        way.reverse()
        out, i = [], 0
        while i < len(way) - 1:
            j = len(way) - 1
            while j > i + 1 and not self.clear(way[i], way[j]):
                j -= 1
            out.append(way[j])
            i = j
        if not out or np.hypot(*(out[-1] - b)) > .05:
            out.append(np.asarray(b, float))
        return out

    def spot(self, clear=0.):
        """A random place to stand, with `clear` metres of floor around it if there is such a place."""
        ok = self.ok
        if clear:
            from scipy.ndimage import distance_transform_edt
            far = distance_transform_edt(ok) * .1
            ok = far > min(clear, far.max() * .8)
        free = self.cells[ok]
        return free[self.rng.integers(len(free))]

    def solids(self):
        """Furniture as boxes for the ragdoll: (centre, half sizes, yaw degrees); seats as their seat height."""
        out = []
        for c, half, h, yaw, (w, d) in self.boxes:
            for s in self.seats:
                if np.abs(s["xy"] - c).max() < max(half):
                    h = min(h, s["height"] - .03)
            for s in self.beds:
                if np.abs(s["lie_xy"] - c).max() < max(half):
                    h = min(h, s["height"] - .03)
            out.append(((*c, h / 2), (w / 2 - .03, d / 2 - .03, h / 2), yaw))
        for wall, (sx, sy) in (("back", (self.w, .4)), ("front", (self.w, .4)), ("left", (.4, self.d)), ("right", (.4, self.d))):
            out.append(((*self.wall_point(wall, 0, -.2), self.h / 2), (sx / 2, sy / 2, self.h / 2), 0))
        return out

    def geometry(self):
        return np.concatenate(self.tables), np.array(self.images, "u1")


def cover(table, layer, repeat):
    """Lay a picture over a model, on each triangle along the axis that it faces most."""
    axis = np.abs(table[:, 3:6].reshape(-1, 3, 3).sum(1)).argmax(1).repeat(3)
    for k, plane in enumerate(((1, 2), (0, 2), (0, 1))):
        table[axis == k, 6:8] = table[axis == k][:, plane] / repeat
    table[:, 8:11], table[:, 11] = 1, layer


def surface_height(table, x, y, radius, ceiling):
    """Median height in m of the highest surface below `ceiling` around (x, y) of a model."""
    tri = table[:, :3].reshape(-1, 3, 3)
    heights = []
    for dx in np.linspace(-radius, radius, 5):
        for dy in np.linspace(-radius * .6, radius * .6, 3):
            a, b, c = (tri[:, k, :2] - [x + dx, y + dy] for k in range(3))
            cross = lambda p, q: p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
            s, t, u = cross(a, b), cross(b, c), cross(c, a)
            inside = ((s >= 0) & (t >= 0) & (u >= 0)) | ((s <= 0) & (t <= 0) & (u <= 0))
            area = s + t + u
            inside &= abs(area) > 1e-9
            z = (t * tri[:, 0, 2] + u * tri[:, 1, 2] + s * tri[:, 2, 2])[inside] / area[inside]
            z = z[z < ceiling]
            if len(z):
                heights.append(z.max())
    return float(np.median(heights)) if heights else 0.
