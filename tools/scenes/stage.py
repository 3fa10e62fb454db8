"""Where hands play: a room around a table or counter, what of its top is free, and a body posed at it."""
import numpy as np

from body import INDEX, UP
from hands import solve_arm
from motion import direction, locals_of, rx, rz, world
from room import MODELS, Room, surface, surface_height
from wares import tint


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
        walls = tuple(w for w in ("back", "left", "right") if w != self.stage["wall"])
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
