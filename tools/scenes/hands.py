"""A body whose hands grip: the MPFB mesh with its finger bones bent beforehand into a few grips, arms that follow the wrists by
two-bone inverse kinematics.

A hand's frame has the columns f (wrist to knuckles), n (out of the palm) and u (towards the thumb): left hands have a
left-handed frame, so everything said in hand coordinates holds for both.
"""
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from body import INDEX, Body, base_mesh, normals, rig

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SKIN_M = .008  # half the thickness of a finger


def unit(v):
    return v / (np.linalg.norm(v) + 1e-12)


def turn(axis, radians):
    return Rotation.from_rotvec(unit(np.asarray(axis, float)) * radians).as_matrix()


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
