"""What a person does: poses, walking, and an `Actor` that chains actions and labels every instant.

A pose is (local [15,3,3], root [3]): the rotation of each part relative to its parent (the pelvis:
to the world) from the zero pose "standing, arms hanging, facing -y", and the pelvis position in
metres. Key poses are written as degrees (x, y, z) per part; a positive x leans forward or bends
the knee, thighs and arms go forward with a negative x.
"""
import functools
import json

import numpy as np
from scipy.spatial.transform import Rotation

from body import INDEX, PARTS, UP
from fall import ragdoll_fall

FPS = 20  # of the motion; clips take every 4th (5 fps) or 2nd (10 fps) instant
ARMS = dict(ruarm=(0, 7, 0), luarm=(0, -7, 0), rfarm=(-12, 0, 0), lfarm=(-12, 0, 0))
BEND = dict(pelvis=(50, 0, 0), chest=(38, 0, 0), head=(15, 0, 0), rthigh=(-82, 0, 0), lthigh=(-74, 0, 0),
            rshin=(48, 0, 0), lshin=(38, 0, 0), rfoot=(-14, 0, 0), lfoot=(-12, 0, 0),
            ruarm=(-85, 0, 0), luarm=(-45, -8, 0), rfarm=(-15, 0, 0), lfarm=(-30, 0, 0))
CROUCH = dict(pelvis=(35, 0, 0), chest=(15, 0, 0), rthigh=(-115, 0, 8), lthigh=(-115, 0, -8), rshin=(115, 0, 0),
              lshin=(115, 0, 0), rfoot=(-30, 0, 0), lfoot=(-30, 0, 0), ruarm=(-50, 15, 0), luarm=(-50, -15, 0))
FLOOR_SIT = dict(pelvis=(-22, 0, 0), chest=(12, 0, 0), rthigh=(-85, 0, 6), lthigh=(-90, 0, -6), rshin=(70, 0, 0),
                 lshin=(85, 0, 0), ruarm=(38, 14, 0), luarm=(38, -14, 0), rfarm=(-5, 0, 0), lfarm=(-5, 0, 0))
KNEEL = dict(pelvis=(12, 0, 0), chest=(25, 0, 0), rthigh=(-90, 0, 0), lthigh=(0, 0, 0), rshin=(85, 0, 0),
             lshin=(88, 0, 0), lfoot=(45, 0, 0), ruarm=(-40, 5, 0), luarm=(-30, -5, 0), rfarm=(-45, 0, 0))
KNEES = dict(pelvis=(4, 0, 0), chest=(8, 0, 0), rthigh=(-4, 3, 0), lthigh=(-8, -3, 0), rshin=(92, 0, 0), lshin=(95, 0, 0),
             rfoot=(48, 0, 0), lfoot=(48, 0, 0), ruarm=(-15, 6, 0), luarm=(-15, -6, 0), rfarm=(-35, 0, 0), lfarm=(-35, 0, 0))
ON_HEELS = dict(KNEES, pelvis=(14, 0, 0), rthigh=(-66, 6, 0), lthigh=(-66, -6, 0), rshin=(138, 0, 0), lshin=(138, 0, 0),
                ruarm=(-35, 4, 0), luarm=(-35, -4, 0), rfarm=(-30, 0, 10), lfarm=(-30, 0, -10))
LIFT = dict(CROUCH, pelvis=(42, 0, 0), chest=(26, 0, 0), head=(-15, 0, 0), ruarm=(-72, 2, 0), luarm=(-72, -2, 0),
            rfarm=(-18, 0, 6), lfarm=(-18, 0, -6))
ALL_FOURS = dict(pelvis=(72, 0, 0), chest=(5, 0, 0), head=(-25, 0, 0), rthigh=(-72, 0, 0), lthigh=(-80, 0, 0),
                 rshin=(90, 0, 0), lshin=(90, 0, 0), rfoot=(50, 0, 0), lfoot=(50, 0, 0),
                 ruarm=(-80, 5, 0), luarm=(-75, -5, 0))


def rx(degrees):
    return Rotation.from_euler("x", degrees, degrees=True).as_matrix()


def ry(degrees):
    return Rotation.from_euler("y", degrees, degrees=True).as_matrix()


def rz(degrees):
    return Rotation.from_euler("z", degrees, degrees=True).as_matrix()


def locals_of(key, yaw=0.):
    """Local rotations of a key pose in degrees, the whole turned by yaw degrees."""
    angles = np.array([key.get(p, (0, 0, 0)) for p in PARTS], float)
    m = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    m[0] = rz(yaw) @ m[0]
    return m


def mix(a, b, u):
    """Rotations a turned the fraction u of the way to b."""
    step = Rotation.from_matrix(np.swapaxes(a, 1, 2) @ b).as_rotvec()
    return a @ Rotation.from_rotvec(step * u).as_matrix()


def ease(u):
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def world(local):
    g = np.empty_like(local)
    for i, up in enumerate(UP):
        g[i] = local[i] if up < 0 else g[up] @ local[i]
    return g


def unworld(g):
    return np.array([g[i] if up < 0 else g[up].T @ g[i] for i, up in enumerate(UP)])


def posed(body, local, root):
    """World rotations and joint positions that Body.skin takes."""
    r = world(local) @ body.rest
    return r, body.fk(r, root)


def lowest(body, local, root):
    return float(body.skin(*posed(body, local, root), pick=body.sample)[:, 2].min())


@functools.lru_cache(8)
def deepmimic(path):
    """(local rotations [T,15,3,3], root [T,3], seconds a frame) of a DeepMimic motion file."""
    with open(path) as f:
        frames = np.array(json.load(f)["Frames"])
    m = np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]], float)  # its x forward, y up, to ours
    quat = lambda q: Rotation.from_quat(q[:, [1, 2, 3, 0]]).as_matrix()
    hinge = lambda a: Rotation.from_euler("z", a[:, None]).as_matrix()
    local = np.tile(np.eye(3), (len(frames), 15, 1, 1))
    for name, start in (("pelvis", 4), ("chest", 8), ("head", 12), ("rthigh", 16), ("rfoot", 21), ("ruarm", 25),
                        ("lthigh", 30), ("lfoot", 35), ("luarm", 39)):
        local[:, INDEX[name]] = quat(frames[:, start:start + 4])
    for name, start in (("rshin", 20), ("rfarm", 29), ("lshin", 34), ("lfarm", 43)):
        local[:, INDEX[name]] = hinge(frames[:, start])
    return m @ local @ m.T, frames[:, 1:4] @ m.T, float(frames[0, 0])


def heading(g):
    """Yaw in degrees that an upright pelvis rotation faces (0 = -y)."""
    f = g @ [0, -1., 0]
    return float(np.degrees(np.arctan2(f[0], -f[1])))


def direction(yaw):
    a = np.radians(yaw)
    return np.array([np.sin(a), -np.cos(a)])


FOLDED = dict(ruarm=(-25, 5, 0), luarm=(-25, -5, 0), rfarm=(-85, 0, 60), lfarm=(-80, 0, -60))  # arms
# How people sit, by their arms, and how often. None of them is a gesture that is told.
MANNERS = dict(rest=.34, glance=.14, elbows=.1, face=.16, read=.12, folded=.07, propped=.07)
# Where their legs are when they lie along what is sat on, a floor or a bed.
LEGS = dict(out=.35, crossed=.25, up=.2, one_up=.2)


class Actor:
    """Builds a timeline: lists of poses, of floor weights and of kinds, at FPS instants a second.

    A floor weight g in 0..1 says how far the root's height follows the lowest point of the body
    resting on `level` metres (1) or the keyed height (0).
    """

    def __init__(self, body, rng, motions, xy, yaw):
        self.body, self.rng, self.motions = body, rng, motions
        self.hip = body.joints[0][2]
        self.manner, self.side = None, str(rng.choice(["r", "l"], p=[.7, .3]))  # how they sit; the hand they take
        self.local, self.root = locals_of(self.standing(), yaw), np.array([xy[0], xy[1], self.hip])
        self.g, self.level = 1., 0.
        self.frames, self.kinds, self.held, self.on = [], [], [], []  # `on`: what they sit or lie on, None = the floor
        self.gait, self.load = "walk", False  # "walk" or "run"; a box in both arms
        self.old = rng.random() < .35
        self.pace = rng.uniform(.55, .8) if self.old else rng.uniform(.75, 1.1)
        self.stoop = rng.uniform(5, 18) if self.old else rng.uniform(-3, 6)
        self.phase, self.seat = rng.random(), None
        self.sitting = lambda: self.seated(self.seat)  # another pose of sitting as now
        self.wobble = rng.uniform(.2, 1.2, (15, 3, 2)), rng.uniform(0, 6.28, (15, 3, 2))

    # -- pieces -------------------------------------------------------------------------------
    @property
    def yaw(self):
        return heading(self.local[0])

    @property
    def seconds(self):
        return len(self.frames) / FPS

    def laden(self, local):
        """The pose with both arms round a box in front of the belly."""
        m = local.copy()
        for s, sign in (("r", 1), ("l", -1)):
            m[INDEX[s + "uarm"]] = ry(sign * 6) @ rx(-24)
            m[INDEX[s + "farm"]] = rz(sign * 6) @ rx(-62)
        m[1] = m[1] @ rx(-5)
        return m

    def standing(self):
        r = self.rng
        key = dict(ARMS, chest=(getattr(self, "stoop", 0), 0, r.uniform(-6, 6)),
                   head=(r.uniform(-5, 12), 0, r.uniform(-25, 25)),
                   rthigh=(r.uniform(-4, 2), 3, 0), lthigh=(r.uniform(-4, 2), -3, 0))
        style = r.random()
        if style < .12:    # hands on the hips
            key.update(ruarm=(20, 35, 0), luarm=(20, -35, 0), rfarm=(-70, 0, 50), lfarm=(-70, 0, -50))
        elif style < .3:   # looking at a phone
            key.update(ruarm=(-25, -5, 0), rfarm=(-100, 0, 15), head=(25, 0, 0))
        elif style < .38:
            key.update(FOLDED)
        elif style < .46:
            self.to_face(key)
        return key

    def to_face(self, key):
        """A hand at the ear, the chin or the mouth: a telephone, a thought."""
        r, sign = self.rng, 1 if self.side == "r" else -1
        key[self.side + "uarm"] = (r.uniform(-72, -48), sign * r.uniform(-4, 16), 0)
        key[self.side + "farm"] = (r.uniform(-138, -118), 0, sign * r.uniform(-5, 15))

    def put(self, local, root, kind, g=None):
        self.local, self.root = local, np.array(root, float)
        self.g = self.g if g is None else g
        t = self.seconds
        speed, phase = self.wobble
        angle = np.sin(t * 6.28 * speed * .5 + phase).sum(-1) * .02
        angle[[0, 4, 5, 7, 8]] *= .2
        moved = local @ Rotation.from_rotvec(angle).as_matrix()
        self.frames.append((moved, self.root, self.g, self.level))
        self.kinds.append(kind)
        self.held.append(self.load)
        self.on.append(self.seat["thing"] if self.seat else None)

    def go(self, local, root, seconds, kind, g=None):
        """Move smoothly from the present pose to another."""
        a, p, g0 = self.local, self.root.copy(), self.g
        n = max(1, round(seconds * FPS))
        g1 = g0 if g is None else g
        for i in range(1, n + 1):
            u = ease(i / n)
            self.put(mix(a, local, u), p + (np.asarray(root) - p) * u, kind, g0 + (g1 - g0) * u)

    def hold(self, seconds, kind):
        local, root = self.local, self.root
        for _ in range(round(seconds * FPS)):
            self.put(local, root, kind)

    def settled(self):
        """Root with the height that grounding gives the present pose."""
        low = lowest(self.body, self.local, self.root)
        return self.root - [0, 0, (low - self.level) * self.g]

    def lift_off(self):
        """Stay where one is, at a height of one's own: the feet may hang below what was lain or sat on."""
        self.root, self.g, self.level = self.settled(), 0., 0.

    # -- upright ------------------------------------------------------------------------------
    def stand(self, seconds):
        end = self.seconds + seconds
        while self.seconds < end - .05:
            t = min(self.rng.uniform(.5, .9), end - self.seconds)
            pose, kind = locals_of(self.standing(), self.yaw), "carry" if self.load else "stand"
            self.go(self.laden(pose) if self.load else pose, [*self.root[:2], self.hip], t, kind, 1.)
            self.hold(min(self.rng.uniform(.3, 2), max(0, end - self.seconds)), kind)

    def walk_pose(self, yaw):
        local, root, _ = deepmimic(f"{self.motions}/humanoid3d_{self.gait}.txt")
        k = self.phase % 1 * (len(local) - 1)
        pose = local[int(k)].copy()
        straight = locals_of(dict(ARMS, chest=(self.stoop, 0, 0)))
        pose = mix(pose, straight, .35 if self.old else .1)
        if self.old:
            pose[1] = pose[1] @ rx(self.stoop * .6)
        pose[0] = rz(yaw) @ pose[0]
        return self.laden(pose) if self.load else pose

    def walk_to(self, xy, kind=None, until=None):
        """Steer to a point, turning on the way; `until` (seconds) cuts it short."""
        kind = kind or ("carry" if self.load else self.gait)
        xy, yaw, begin = np.asarray(xy, float), self.yaw, self.seconds
        start, dt = self.local, 1 / FPS
        speed = .98 * self.pace * self.hip / .85
        stride = 1.24 * self.hip / .85 * (.75 if self.old else .92)
        if self.gait == "run":
            speed, stride = self.hip / .85 * (1.9 + self.pace * .7), 2.1 * self.hip / .85
        elif self.load:
            speed *= .85
        for i in range(400):
            to = xy - self.root[:2]
            distance = np.hypot(*to)
            if distance < .07 or (until and self.seconds - begin >= until):
                break
            want = np.degrees(np.arctan2(to[0], -to[1]))
            error = (want - yaw + 180) % 360 - 180
            turn = 330 * dt if self.gait == "run" else 200 * dt
            yaw += np.clip(error, -turn, turn)
            v = speed * max(.08, np.cos(np.radians(min(abs(error) * 1.3, 90)))) * min(1, .35 + distance)
            self.phase += v * dt / stride + .25 * dt * (abs(error) > 40)
            pose = mix(start, self.walk_pose(yaw), ease((i + 1) / 6)) if i < 6 else self.walk_pose(yaw)
            self.put(pose, [*(self.root[:2] + direction(yaw) * min(v * dt, distance)), self.hip], kind, 1.)
        return self

    def turn_to(self, yaw, kind=None):
        kind = kind or ("carry" if self.load else "walk")
        error = (yaw - self.yaw + 180) % 360 - 180
        if abs(error) < 12:
            return
        first, n = self.yaw, max(4, round(abs(error) / 170 * FPS))
        start = self.local
        for i in range(1, n + 1):
            self.phase += .035
            pose = mix(self.walk_pose(first), locals_of(ARMS, first), .55)
            pose = self.laden(pose) if self.load else pose
            pose[0] = rz(error * i / n) @ pose[0]
            self.put(mix(start, pose, ease(i / 4)) if i < 4 else pose, [*self.root[:2], self.hip], kind, 1.)

    def bend(self):
        r = self.rng
        depth = r.uniform(.6, 1.05)
        key = {p: tuple(np.array(a) * depth) for p, a in BEND.items()}
        if r.random() < .3:  # squat down to the thing instead
            key = dict(CROUCH, chest=(45, 0, 0), ruarm=(-70, 0, 0))
        if r.random() < .5:
            key["luarm"], key["ruarm"] = key["ruarm"], key["luarm"]
        yaw = self.yaw
        at = np.array([*self.root[:2], self.hip])
        back = at.copy()
        back[:2] -= direction(yaw) * .12 * depth
        self.go(locals_of(key, yaw), back, r.uniform(.7, 1.2), "bend", 1.)
        self.hold(r.uniform(.4, 1.4), "bend")
        self.go(locals_of(self.standing(), yaw), at, r.uniform(.7, 1.2), "bend", 1.)

    def gesture(self, kind, raised, seconds, swing_s=(.22, .4), swings=(-3, 3), lower=True):
        """Raise the arms to `raised(swing)`, keep swinging within `swings` degrees, lower them; the legs stay."""
        r = self.rng
        base, root, begin = self.local.copy(), self.root.copy(), self.seconds
        self.go(raised(base, 0.), root, r.uniform(.35, .6), kind)
        side = r.choice([-1, 1])
        while self.seconds - begin < seconds - .5:
            side = -side
            a, b = swings
            swing = (a if side < 0 else b) * r.uniform(.75, 1.)
            self.go(raised(base, swing), root, r.uniform(*swing_s), kind)
        if lower:
            self.go(base, root, r.uniform(.4, .7), kind)

    def raise_hands(self, seconds):
        """Both arms up, perhaps swaying, and down again."""
        r = self.rng
        out, up, bend, sway = r.uniform(0, 35), r.uniform(135, 172), r.uniform(5, 50), r.uniform(2, 14)

        def raised(base, swing):
            m = base.copy()
            for s, sign in (("r", 1), ("l", -1)):
                m[INDEX[s + "uarm"]] = ry(-sign * out + swing * .5) @ rx(-up)
                m[INDEX[s + "farm"]] = ry(swing) @ rx(-bend)
            return m
        self.gesture("raise_hands", raised, seconds, (.3, .6), (-sway, sway))

    def wave(self, seconds):
        """One hand waves beside or above the head."""
        r = self.rng
        s, sign = (("r", 1), ("l", -1))[r.integers(2)]
        out, forward, wide = r.uniform(55, 125), r.uniform(0, 40), r.uniform(18, 38)

        def raised(base, swing):
            m = base.copy()
            m[INDEX[s + "uarm"]] = rz(sign * forward) @ ry(sign * out) @ rz(-sign * 90)
            m[INDEX[s + "farm"]] = rx(-np.clip(180 - out + swing, 5, 140))
            return m
        self.gesture("wave", raised, seconds, (.2, .32), (-wide, wide))

    def point(self, seconds):
        """One arm stretched out, the head turned after it."""
        r = self.rng
        s, sign = (("r", 1), ("l", -1))[r.integers(2)]
        up, out = r.uniform(72, 108), r.uniform(-15, 85)

        def raised(base, swing):
            m = base.copy()
            m[INDEX[s + "uarm"]] = rz(-sign * (out + swing)) @ rx(-up - swing * .5)
            m[INDEX[s + "farm"]] = rx(-r.uniform(2, 6))
            m[2] = rz(-sign * np.clip(out * .7, -20, 50)) @ rx(4)
            return m
        self.gesture("point", raised, seconds, (.3, .8), (-4, 4))

    def clap(self, seconds):
        """Both hands meet again and again in front of the chest."""
        r = self.rng
        up, wide = r.uniform(20, 48), r.uniform(26, 40)
        flex = r.uniform(88, 112) - up  # the forearms about level

        def arms(base, inward):
            m = base.copy()
            for s, sign in (("r", 1), ("l", -1)):
                m[INDEX[s + "uarm"]] = ry(sign * 8) @ rx(-up)
                m[INDEX[s + "farm"]] = rz(sign * inward) @ rx(-flex)
            return m

        def apart(inward):
            _, p = posed(self.body, arms(self.local, inward), self.root)
            return np.linalg.norm(p[INDEX["rhand"]] - p[INDEX["lhand"]])
        meet = min(range(10, 75, 3), key=lambda z: abs(apart(z) - .1))
        self.gesture("clap", lambda base, swing: arms(base, meet - wide + swing), seconds, (.2, .32), (-wide * .2, wide))

    def kneel(self, seconds):
        """Down on one knee or both, some pottering there, and up again."""
        r, yaw = self.rng, self.yaw
        slow = r.uniform(.8, 1.2) * (1.3 if self.old else 1)
        at = self.root[:2] + direction(yaw) * .12
        self.go(locals_of(KNEEL, yaw), [*at, .5], .9 * slow, "kneel", 1.)
        style = r.choice(["one", "both", "heels"], p=[.3, .4, .3])
        key = dict(one=KNEEL, both=KNEES, heels=ON_HEELS)[style]
        if style != "one":
            self.go(locals_of(key, yaw), [*at, .45], .6 * slow, "kneel", 1.)
        end = self.seconds + seconds - 1.5
        while self.seconds < end:
            lean = r.uniform(0, 34)
            pose = dict(key, pelvis=tuple(np.add(key["pelvis"], (lean * .5, 0, 0))), chest=(8 + lean * .5, 0, r.uniform(-12, 12)),
                        head=(r.uniform(0, 25), 0, r.uniform(-20, 20)))
            for s in "rl":  # the thighs stay where they are while the trunk leans
                pose[s + "thigh"] = tuple(np.add(key[s + "thigh"], (-lean * .5, 0, 0)))
                pose[s + "uarm"] = (-25 - lean - r.uniform(0, 25), r.uniform(0, 8) * (1 if s == "r" else -1), 0)
                pose[s + "farm"] = (-r.uniform(15, 60), 0, 0)
            self.go(locals_of(pose, yaw), [*at, .45], r.uniform(.5, .9), "kneel", 1.)
            self.hold(min(r.uniform(.2, 1.), max(0, end - self.seconds)), "kneel")

    def rise_from_knees(self):
        yaw, slow = self.yaw, self.rng.uniform(.8, 1.2) * (1.3 if self.old else 1)
        self.go(locals_of(KNEEL, yaw), self.root, .5 * slow, "get_up", 1.)
        self.go(locals_of(self.standing(), yaw), [*self.root[:2], self.hip], .9 * slow, "get_up", 1.)

    def lift(self, down=False):
        """Squat for a box on the floor in front and come up with it, or set it down."""
        r, yaw = self.rng, self.yaw
        low = locals_of(LIFT, yaw)
        root = [*self.root[:2], self.hip]
        self.go(low, root, r.uniform(.8, 1.2), "bend", 1.)
        self.hold(r.uniform(.15, .4), "bend")
        self.load = not down
        pose = locals_of(self.standing(), yaw)
        self.go(self.laden(pose) if self.load else pose, root, r.uniform(.8, 1.2), "bend", 1.)

    def seat_at_once(self, seat):
        """Begin seated, without having walked there."""
        self.take(seat)
        self.local, root = self.seated(seat)
        self.root, self.g = root, 0.

    # -- sitting ------------------------------------------------------------------------------
    def take(self, seat):
        self.seat, self.sitting = seat, lambda: self.seated(seat)

    def seated(self, seat):
        """A varied sitting pose on a seat {xy, yaw, height, front}; feet on the floor if they reach."""
        r, j = self.rng, self.body.joints
        thigh = np.linalg.norm(j[INDEX["lshin"]] - j[INDEX["lthigh"]])
        knee = j[INDEX["lshin"]][2]
        hip = seat["height"] + .085
        drop = np.degrees(np.arcsin(np.clip((hip - knee) / thigh, -.25, .6)))
        lean = r.uniform(-16, -2)
        flex = 90 - drop + lean * -1
        shin = 90 - drop
        key = dict(pelvis=(lean, 0, 0), chest=(r.uniform(-2, 14), 0, r.uniform(-8, 8)),
                   head=(r.uniform(-5, 20), 0, r.uniform(-30, 30)))
        for s, sign in (("r", 1), ("l", -1)):
            tuck = r.uniform(-14, 12)
            key[s + "thigh"] = (-flex - lean * 2 * 0, sign * 2, sign * r.uniform(2, 10))
            key[s + "shin"] = (shin + tuck, 0, 0)
            key[s + "uarm"] = (r.uniform(-40, -10), sign * r.uniform(4, 14), 0)
            key[s + "farm"] = (r.uniform(-75, -35), 0, sign * -r.uniform(5, 20))
        if self.manner is None or r.random() < .25:
            self.manner = str(r.choice(list(MANNERS), p=list(MANNERS.values())))
        if self.manner == "glance":  # at something in one hand
            key["ruarm"], key["rfarm"], key["head"] = (-35, 0, 0), (-95, 0, 25), (25, 0, 0)
        elif self.manner == "elbows":  # on the knees
            key.update(pelvis=(22, 0, 0), chest=(22, 0, 0), ruarm=(-45, 0, 0), luarm=(-45, 0, 0))
            key["rthigh"], key["lthigh"] = (-flex - 22 + lean, 2, 8), (-flex - 22 + lean, -2, -8)
        elif self.manner == "face":
            self.to_face(key)
        elif self.manner == "read":  # something held in both hands
            up = r.uniform(-12, 12)
            key.update(ruarm=(-38 + up, 6, 0), luarm=(-38 + up, -6, 0), rfarm=(-78, 0, 22), lfarm=(-78, 0, -22), head=(22, 0, 0))
        elif self.manner == "folded":
            key.update(FOLDED)
        elif self.manner == "propped":  # leaning back on the hands
            key.update(ruarm=(38, 14, 0), luarm=(38, -14, 0), rfarm=(-5, 0, 0), lfarm=(-5, 0, 0), chest=(8, 0, 0))
        return locals_of(key, seat["yaw"]), np.array([*seat["xy"], hip])

    def sit_down(self, seat):
        self.take(seat)
        yaw, r = seat["yaw"], self.rng
        local, root = self.seated(seat)
        front = np.asarray(seat["front"])
        lean = dict(pelvis=(38, 0, 0), chest=(12, 0, 0), rthigh=(-95, 2, 5), lthigh=(-95, -2, -5), rshin=(72, 0, 0),
                    lshin=(72, 0, 0), rfoot=(-15, 0, 0), lfoot=(-15, 0, 0), ruarm=(-40, 8, 0), luarm=(-40, -8, 0),
                    rfarm=(-25, 0, 0), lfarm=(-25, 0, 0))
        t = r.uniform(.55, .95) * (1.3 if self.old else 1)
        middle = [*(front * .55 + root[:2] * .45), root[2] + (self.hip - root[2]) * .35]
        self.go(locals_of(lean, yaw), middle, t, "sit_down", 1.)
        self.go(local, root, t * .8, "sit_down", 0.)

    def sit(self, seconds):
        end = self.seconds + seconds
        while self.seconds < end - .05:
            self.hold(min(self.rng.uniform(.5, 2), end - self.seconds), "sit")
            if end - self.seconds > .6:
                self.go(*self.sitting(), self.rng.uniform(.5, .9), "sit", self.g)

    def low(self, legs, yaw, at, level=0.):
        """Sitting with the legs along what is sat on, at the height of `level`: a varied pose, the legs as `LEGS` says."""
        r = self.rng
        lean = {"out": r.uniform(-28, 4), "crossed": r.uniform(-6, 16)}.get(legs, r.uniform(-20, 10))
        key = dict(pelvis=(lean, 0, 0), chest=(r.uniform(0, 16), 0, r.uniform(-8, 8)), head=(r.uniform(-5, 18), 0, r.uniform(-30, 30)))
        for s, sign in (("r", 1), ("l", -1)):
            key[s + "uarm"] = (r.uniform(-48, -18), sign * r.uniform(2, 14), 0)
            key[s + "farm"] = (r.uniform(-75, -35), 0, sign * -r.uniform(5, 20))
        hands = r.random()
        if hands < .25:
            key.update(ruarm=(35, 14, 0), luarm=(35, -14, 0), rfarm=(-5, 0, 0), lfarm=(-5, 0, 0))  # propped behind
        elif hands < .4:
            self.to_face(key)
        elif hands < .6:  # something held in both
            key.update(ruarm=(-40, 6, 0), luarm=(-40, -6, 0), rfarm=(-80, 0, 22), lfarm=(-80, 0, -22), head=(20, 0, 0))
        m = locals_of(key, yaw)
        for s, sign in (("r", 1), ("l", -1)):
            way = legs if legs != "one_up" else "up" if s == self.side else "out"
            if way == "crossed":  # the thigh turned outwards, so that the knee folds along the floor
                turned = rz(-sign * r.uniform(32, 46)) @ rx(-84 - lean) @ rz(-sign * r.uniform(66, 82))
                m[INDEX[s + "thigh"]], m[INDEX[s + "shin"]] = turned, rx(r.uniform(118, 132))
            elif way == "up":
                m[INDEX[s + "thigh"]], m[INDEX[s + "shin"]] = rx(-r.uniform(122, 134) - lean), rx(r.uniform(104, 116))
            else:
                m[INDEX[s + "thigh"]] = rz(-sign * r.uniform(0, 9)) @ rx(-88 - lean)
                m[INDEX[s + "shin"]], m[INDEX[s + "foot"]] = rx(r.uniform(0, 10)), rx(r.uniform(0, 25))
        return m, np.array([*at, level + .12])

    def sit_on_floor(self):
        r, yaw = self.rng, self.yaw
        legs = str(r.choice(list(LEGS), p=list(LEGS.values())))
        at = self.root[:2] - direction(yaw) * .25
        self.sitting = lambda: self.low(legs, yaw, at)
        slow = r.uniform(.8, 1.2) * (1.35 if self.old else 1)
        self.go(locals_of(CROUCH, yaw), [*self.root[:2], .4], .8 * slow, "sit_down", 1.)
        self.go(*self.sitting(), .8 * slow, "sit_down", 1.)

    def rise_from_floor(self):
        """From sitting on the floor."""
        yaw, slow = self.yaw, self.rng.uniform(.8, 1.2) * (1.35 if self.old else 1)
        at = self.root[:2] + direction(yaw) * .25
        self.go(locals_of(CROUCH, yaw), [*at, .4], .8 * slow, "get_up", 1.)
        self.go(locals_of(self.standing(), yaw), [*at, self.hip], .9 * slow, "get_up", 1.)

    def legs_up(self):
        """From the edge of a bed or sofa to sitting along it, which is sitting all the time."""
        bed, r = self.seat, self.rng
        legs, yaw = str(r.choice(list(LEGS), p=list(LEGS.values()))), bed["lie_yaw"]
        at, level = bed["lie_xy"] - direction(yaw) * r.uniform(.25, .45), bed["height"] - .02
        self.sitting = lambda: self.low(legs, yaw, at, level)
        local, root = self.sitting()
        half = mix(self.local, local, .5)
        for s in "lr":
            half[INDEX[s + "thigh"]], half[INDEX[s + "shin"]] = rx(-95), rx(85)
        t = r.uniform(.5, .8) * (1.3 if self.old else 1)
        self.go(half, self.root * .5 + root * .5 + [0, 0, .05], t, "sit", 0.)
        self.level = level
        self.go(local, root, t, "sit", 1.)

    def legs_down(self):
        """Back to the edge."""
        self.take(self.seat)
        self.lift_off()
        self.go(*self.seated(self.seat), self.rng.uniform(.8, 1.2), "sit", 0.)

    def fold_leg(self):
        """One leg drawn up on to a bed or sofa."""
        side, sign = self.side, 1 if self.side == "r" else -1
        roll, flex = self.rng.uniform(64, 80), self.rng.uniform(112, 128)

        def folded():
            local, root = self.seated(self.seat)
            turned = rz(-sign * 34) @ rx(-82) @ rz(-sign * roll)
            local[INDEX[side + "thigh"]], local[INDEX[side + "shin"]] = turned, rx(flex)
            return local, root
        self.sitting = folded
        self.go(*self.sitting(), self.rng.uniform(.6, 1.), "sit", 0.)

    def reach_down(self):
        """From a seat for something on the floor, and back."""
        r, (local, root) = self.rng, self.sitting()
        deep, side = r.uniform(42, 60), r.uniform(-25, 25)
        low = local.copy()
        low[0] = rz(self.yaw) @ rx(deep)
        low[1] = rz(side) @ rx(r.uniform(28, 42))
        for s in "lr":
            low[INDEX[s + "thigh"]] = rx(-90 - deep)
            low[INDEX[s + "shin"]] = rx(r.uniform(80, 95))
        for s in "lr" if r.random() < .5 else self.side:
            low[INDEX[s + "uarm"]], low[INDEX[s + "farm"]] = rx(-r.uniform(60, 85)), rx(-r.uniform(5, 25))
        self.go(low, root + [*(direction(self.yaw) * .05), 0], r.uniform(.6, 1.), "bend", 0.)
        self.hold(r.uniform(.3, 1.2), "bend")
        self.go(local, root, r.uniform(.6, 1.), "bend", 0.)

    def rise(self, kind="get_up"):
        """From a seat to standing in front of it."""
        seat, r = self.seat, self.rng
        front = np.asarray(seat["front"])
        lean = dict(pelvis=(45, 0, 0), chest=(14, 0, 0), rthigh=(-100, 2, 5), lthigh=(-100, -2, -5), rshin=(75, 0, 0),
                    lshin=(75, 0, 0), rfoot=(-20, 0, 0), lfoot=(-20, 0, 0), ruarm=(-20, 8, 0), luarm=(-20, -8, 0),
                    rfarm=(-40, 0, 0), lfarm=(-40, 0, 0))
        t = r.uniform(.5, .9) * (1.4 if self.old else 1)
        at = np.asarray(seat["xy"]) * .45 + front * .55
        self.go(locals_of(lean, seat["yaw"]), [*at, self.root[2] + .08], t, kind, 1.)
        self.go(locals_of(self.standing(), seat["yaw"]), [*front, self.hip], t, kind, 1.)
        self.seat, self.level = None, 0.

    # -- lying --------------------------------------------------------------------------------
    def lying(self, yaw, xy, level, roll=0.):
        """Lying with the head towards +y turned by yaw; roll turns to a side (90) or the belly (180)."""
        r = self.rng
        bend = r.uniform(0, 60) if abs(roll) > 45 else r.uniform(0, 25)
        key = dict(head=(r.uniform(-5, 15), 0, r.uniform(-30, 30)), chest=(r.uniform(-3, 10), 0, 0),
                   rfoot=(25, 0, 0), lfoot=(25, 0, 0))
        for s, sign in (("r", 1), ("l", -1)):
            b = bend * r.uniform(.5, 1.2)
            key[s + "thigh"], key[s + "shin"] = (-b * .9, sign * r.uniform(2, 8), 0), (b * 1.7 + 3, 0, 0)
            key[s + "uarm"] = (r.uniform(-15, 5), sign * r.uniform(8, 25), 0)
            key[s + "farm"] = (r.uniform(-80, -5), 0, -sign * r.uniform(0, 40))
        m = locals_of(key)
        m[0] = rz(yaw) @ rx(-90) @ rz(roll)
        return m, np.array([*xy, level + .12])

    def recline(self, bed):
        """From sitting on a bed or sofa {lie_xy, lie_yaw, height} to lying on it."""
        r = self.rng
        roll = float(r.choice([0, 0, 70, -70])) * r.uniform(.8, 1.1)
        level = bed["height"] - .02
        local, root = self.lying(bed["lie_yaw"], bed["lie_xy"], level, roll)
        half = mix(self.local, local, .5)
        for s in "lr":
            half[INDEX[s + "thigh"]], half[INDEX[s + "shin"]] = rx(-75), rx(80)
            half[INDEX[s + "uarm"]] = rx(35)
        t = r.uniform(.7, 1.1) * (1.3 if self.old else 1)
        self.lift_off()
        self.go(half, self.root * .5 + root * .5 + [0, 0, .06], t, "lie_down", 0.)
        self.level = level
        self.go(local, root, t, "lie_down", 1.)

    def sit_up(self):
        """From lying on a bed or sofa to sitting on its edge (part of getting up)."""
        self.take(self.seat)
        local, root = self.seated(self.seat)
        half = mix(self.local, local, .5)
        for s in "lr":
            half[INDEX[s + "thigh"]], half[INDEX[s + "shin"]] = rx(-75), rx(80)
            half[INDEX[s + "uarm"]] = rx(30)
        t = self.rng.uniform(.7, 1.1) * (1.3 if self.old else 1)
        self.lift_off()
        self.go(half, self.root * .5 + root * .5 + [0, 0, .06], t, "get_up", 0.)
        self.go(local, root, t * .8, "get_up", 0.)

    def lie_on_floor(self):
        r, yaw = self.rng, self.yaw
        back = -direction(yaw)
        at = self.root[:2].copy()
        self.go(locals_of(CROUCH, yaw), [*at, .4], r.uniform(.7, 1.1), "lie_down", 1.)
        self.go(locals_of(FLOOR_SIT, yaw), [*(at + back * .3), .15], r.uniform(.5, .9), "lie_down", 1.)
        local, root = self.lying(yaw, at + back * .3, 0., float(r.choice([0, 0, 60, -60])))
        self.go(local, root, r.uniform(.7, 1.2), "lie_down", 1.)

    def lie(self, seconds, still=False):
        if still:
            return self.hold(seconds, "lie")
        end = self.seconds + seconds
        while self.seconds < end - .05:
            self.hold(min(self.rng.uniform(.8, 3), end - self.seconds), "lie")
            if end - self.seconds > .8:  # move a limb
                m = self.local.copy()
                s = self.rng.choice(["luarm", "ruarm", "lfarm", "rfarm", "head", "lthigh"])
                m[INDEX[s]] = m[INDEX[s]] @ Rotation.from_rotvec(self.rng.normal(0, .2, 3)).as_matrix()
                self.go(m, self.root, .5, "lie")

    def get_up_from_floor(self):
        """By hand and knee, from any side; the way up depends on where the chest points."""
        r = self.rng
        g = world(self.local)
        up = (g[1] @ [0, -1., 0])[2]
        head = (g[1] @ [0, 0, 1.])[:2]
        yaw_head = np.degrees(np.arctan2(-head[0], head[1]))  # the yaw whose +y points at the head
        at, slow = self.root[:2].copy(), r.uniform(.8, 1.2) * (1.35 if self.old else 1)
        toward = head / (np.linalg.norm(head) + 1e-6)
        if up > -.3:  # on the back or a side: sit up first
            yaw = yaw_head
            self.go(locals_of(FLOOR_SIT, yaw), [*(at - toward * .1), .15], 1.1 * slow, "get_up", 1.)
            self.go(locals_of(CROUCH, yaw), [*(at - toward * .35), .35], .8 * slow, "get_up", 1.)
        else:
            yaw = yaw_head + 180
            self.go(locals_of(ALL_FOURS, yaw), [*(at - toward * .1), .45], 1. * slow, "get_up", 1.)
            self.go(locals_of(KNEEL, yaw), [*at, .5], .8 * slow, "get_up", 1.)
        self.go(locals_of(self.standing(), yaw), [*self.root[:2], self.hip], .9 * slow, "get_up", 1.)
        self.level = 0.

    # -- falling ------------------------------------------------------------------------------
    def fall(self, boxes, push, velocity=0.):
        """Ragdoll from the present pose; push in m/s in body axes, `velocity` the walking speed."""
        rotations, positions = posed(self.body, self.local, self.settled())
        yaw = np.radians(self.yaw)
        c, s = np.cos(yaw), np.sin(yaw)
        shove = np.array([c * push[0] - s * push[1], s * push[0] + c * push[1], push[2]])
        speed = np.array([*(direction(self.yaw) * velocity), 0])
        result = ragdoll_fall(self.body, rotations, positions, shove, speed, boxes, self.rng, FPS)
        self.seat, self.level = None, 0.
        end = sum(moving for _, _, moving in result)
        for i, (r, p, moving) in enumerate(result):
            # At rest the skin lies on the floor; fingers may sink into it a little.
            on_floor = .4 * ease((i - end + 6) / 8) if p[:3, 2].max() < .5 else 0.
            self.put(unworld(r @ np.swapaxes(self.body.rest, 1, 2)), p[0], "fall" if moving else "lie", on_floor)
