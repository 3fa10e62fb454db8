"""What hands do: a timeline of both hands and all things, 20 instants a second, each with its kind."""
import numpy as np

from body import INDEX
from hands import grip_centre, turn, unit
from motion import FPS, ease, mix
from wares import DRINKS, vessel


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
