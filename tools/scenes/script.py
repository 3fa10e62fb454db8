"""What happens in a clip: people, pets, doors and lights on one timeline, FPS instants a second."""
from dataclasses import dataclass, field

import numpy as np

from labels import telling
from motion import FPS, Actor, direction, posed
from pet import Pet, PetActor, random_pet

APART_M = .42  # between the hips of two people; their other joints may come half as near


@dataclass
class Plan:
    """`hidden` of an actor are spans in s in which they are outside. Arrays are [N] or [N,2] over the timeline."""

    actors: list = field(default_factory=list)
    pets: list = field(default_factory=list)
    events: list = field(default_factory=list)  # (kind, start_s, end_s) of doors and lights
    angles: dict = field(default_factory=dict)  # door number -> leaf angle in degrees [N]
    light: np.ndarray = None  # factors of soft and direct light [N,2]
    parcel: tuple = None  # (number of the actor, where it lies first, yaw)
    evening: bool = False  # a lamp lights the room, the window is dark
    television: bool = False
    night: bool = False
    instants: int = 0

    def kinds(self):
        """The telling kind of each instant, as if everybody were in sight."""
        out = []
        for i in range(self.instants):
            t = i / FPS
            now = [a.kinds[i] for a in self.actors if i < len(a.kinds) and a.kinds[i] != "nobody"]
            out.append(telling(now, [k for k, a, b in self.events if a <= t < b], bool(self.pets), self.television, False))
        return out


def together(a, b):
    """Do two actors ever come too near each other? Looked at five times a second."""
    for i in range(0, min(len(a.frames), len(b.frames)), FPS // 5):
        if a.kinds[i] == "nobody" or b.kinds[i] == "nobody":
            continue
        (la, ra, *_), (lb, rb, *_) = a.frames[i], b.frames[i]
        apart = np.hypot(*(ra[:2] - rb[:2]))
        if apart < APART_M:
            return True
        if apart < 1.9:
            p, q = posed(a.body, la, ra)[1], posed(b.body, lb, rb)[1]
            if np.linalg.norm(p[:, None] - q[None], axis=2).min() < APART_M / 2:
                return True
    return False


class Script:
    """Writes a Plan for a focus: a kind that the clip is about. `cast` yields bodies by number."""

    def __init__(self, cast, room, rng, motions):
        self.cast, self.room, self.rng, self.motions = cast, room, rng, motions
        self.plan, self.taken = Plan(), []

    def write(self, focus):
        """The plan, or None if it did not work out (try again: the next draw is another)."""
        ok = getattr(self, "do_" + focus, self.do_wander)()
        if ok is False:
            return None
        plan, rng = self.plan, self.rng
        for a in plan.actors:
            self.finish(a)
        if plan.actors and focus not in ("two_people", "three_people", "come_together"):
            if rng.random() < .15:
                self.extra(plan.actors[0].seconds)
            if rng.random() < .1:
                self.do_pet(1)
                if any(self.in_the_way(p, a) for p in plan.pets for a in plan.actors):
                    plan.pets.clear()
        plan.instants = max([len(a.frames) for a in plan.actors] or [len(p.frames) for p in plan.pets] or [plan.instants])
        # Those who come last stay as they are until the end.
        for a in plan.actors:
            if len(a.frames) < plan.instants:
                self.idle(a, plan.instants / FPS, walk=False)
        # Waiting may last a little longer than it had to; the clip ends with whoever is done first.
        plan.instants = min([len(a.frames) for a in plan.actors] or [plan.instants])
        for i in range(len(plan.actors)):
            for j in range(i):
                if together(plan.actors[i], plan.actors[j]):
                    if focus in ("two_people", "three_people", "come_together") or i == 0:
                        return None
                    plan.actors[i].unwanted = True
        plan.actors = [a for a in plan.actors if not getattr(a, "unwanted", False)]
        return plan

    @staticmethod
    def in_the_way(pet, actor):
        return any(np.hypot(*(pet.frames[i][2] - actor.frames[i][1][:2])) < .5 and actor.kinds[i] != "nobody"
                   for i in range(0, min(len(pet.frames), len(actor.frames)), 4))

    # -- people -------------------------------------------------------------------------------
    def actor(self, xy=None, yaw=None):
        number = len(self.plan.actors)
        xy = self.room.spot(.4) if xy is None else xy
        a = Actor(self.cast[number], self.rng, self.motions, xy, self.rng.uniform(-180, 180) if yaw is None else yaw)
        a.hidden, a.name = [], f"person{number + 1}"
        self.plan.actors.append(a)
        return a

    def route(self, actor, to, kind=None):
        for p in self.room.path(actor.root[:2], to):
            actor.walk_to(p, kind)

    def free_seats(self, beds=False):
        return [s for s in (self.room.beds if beds else self.room.seats)
                if not any(np.hypot(*(s["xy"] - t["xy"])) < .6 for t in self.taken)]

    def near(self, actor, to, within):
        """Start not too far away (only before the first step)."""
        if np.hypot(*(actor.root[:2] - to)) > within and not actor.frames:
            at = self.room.cells[self.room.ok]
            near = at[np.hypot(*(at - to).T) < within + .4]
            if len(near):
                actor.root[:2] = near[self.rng.integers(len(near))]

    def sit_somewhere(self, actor, seat=None):
        seats = [seat] if seat else self.free_seats()
        seat = seats[self.rng.integers(len(seats))]
        self.taken.append(seat)
        self.near(actor, seat["front"], 1.1)
        self.route(actor, seat["front"])
        actor.turn_to(seat["yaw"])
        actor.sit_down(seat)

    def lie_somewhere(self, actor):
        bed = self.room.beds[self.rng.integers(len(self.room.beds))]
        self.taken.append(bed)
        self.near(actor, bed["front"], .5)
        self.route(actor, bed["front"])
        actor.turn_to(bed["yaw"])
        actor.sit_down(bed)
        actor.sit(self.rng.uniform(.2, 1.2))
        actor.recline(bed)

    def wander(self, actor, low=.5, high=3):
        if self.rng.random() < .6:
            actor.stand(self.rng.uniform(low, high))
        else:
            self.route(actor, self.room.spot())

    def tail(self, actor):
        {0: lambda: actor.stand(self.rng.uniform(2, 4)), 1: lambda: (self.route(actor, self.room.spot()), actor.stand(2)),
         2: lambda: (actor.bend(), actor.stand(2)), 3: lambda: (actor.wave(2.), actor.stand(2))}[
            int(self.rng.choice(4, p=[.35, .45, .12, .08]))]()

    def idle(self, actor, until, walk=True):
        """Nothing in particular until a time in s."""
        while actor.seconds < until:
            last, left = actor.kinds[-1] if actor.kinds else ("sit" if actor.seat else "stand"), until - actor.seconds
            if last == "lie":
                actor.lie(min(2.5, left + .1))
            elif last == "kneel":
                actor.hold(left + .05, "kneel")
            elif actor.seat or last == "sit":
                actor.sit(min(2.5, left + .1))
            elif last == "nobody":
                actor.hold(left + .05, "nobody")
            elif walk and self.rng.random() < .45:
                self.route(actor, self.room.spot())
            else:
                actor.stand(min(self.rng.uniform(1, 3), left + .1))

    def finish(self, actor, shortest=4.5):
        self.idle(actor, shortest, walk=False)

    def extra(self, until):
        """One more person, who minds their own business; dropped again when in somebody's way."""
        rng, seats = self.rng, self.free_seats()
        a = self.actor()
        mood = rng.random()
        if mood < .4 and seats:
            seat = seats[rng.integers(len(seats))]
            self.taken.append(seat)
            a.seat_at_once(seat)
            self.idle(a, until)
        elif mood < .5 and self.free_seats(beds=True):
            bed = self.free_seats(beds=True)[0]
            self.taken.append(bed)
            a.seat, a.level, a.g = bed, bed["height"] - .02, 1.
            a.local, a.root = a.lying(bed["lie_yaw"], bed["lie_xy"], a.level)
            a.lie(until)
        else:
            self.idle(a, until, walk=mood > .7)
        return a

    # -- doors ----------------------------------------------------------------------------------
    def entrance(self):
        """(hidden point, first point inside, number of the door or None). A door, or the picture's edge."""
        if self.room.doors and self.rng.random() < .75:
            n = int(self.rng.integers(len(self.room.doors)))
            return *self.room.doors[n], n
        a = self.room.spot()
        return a, a, None

    def leaf_door(self):
        """Number of a door with a leaf, or None."""
        doors = [i for i, leaf in enumerate(self.room.leaves) if leaf]
        return int(self.rng.choice(doors)) if doors else None

    def swing(self, door, moves, first):
        """Angles of a leaf: moves = [(start_s, seconds, angle)]; labels go with them."""
        n, angle = 60 * FPS, np.full(60 * FPS, float(first))
        for start, seconds, to in moves:
            i, k = round(start * FPS), max(2, round(seconds * FPS))
            u = np.clip((np.arange(n - i) + 1) / k, 0, 1)
            angle[i:] = angle[i - 1] + (to - angle[i - 1]) * u * u * (3 - 2 * u)
            if self.plan.events:  # one label at a time
                k, a, b = self.plan.events[-1]
                self.plan.events[-1] = (k, a, min(b, start))
            self.plan.events.append(("door_opens" if to > 20 else "door_closes", start, start + max(seconds + .6, 1.6)))
        self.plan.angles[door] = angle

    def come_in(self, actor_kind="enter", wait=None):
        """A new actor who comes in through a door (which may open and close) or from the picture's edge."""
        rng, room = self.rng, self.room
        outside, inside, door = self.entrance()
        aim = room.spot(.3)
        first = np.asarray(inside) - outside
        facing = first if np.hypot(*first) > .1 else aim - outside
        a = self.actor(outside, np.degrees(np.arctan2(facing[0], -facing[1])))
        wait = rng.uniform(.8, 2) if wait is None else wait
        leaf = door is not None and self.room.leaves[door] and rng.random() < .6
        if leaf:
            seconds = rng.uniform(.7, 1.3)
            moves = [(wait, seconds, rng.uniform(82, 102))]
            wait += seconds * .75
        a.hold(wait, "nobody")
        a.hidden.append((0, a.seconds))
        if np.hypot(*first) > .1:
            a.walk_to(inside, actor_kind)
        if leaf and rng.random() < .6:
            aim = room.spot(.3) if np.hypot(*(aim - inside)) < 1. else aim
        self.route(a, aim, actor_kind)
        if leaf:
            if rng.random() < .5:
                moves.append((a.seconds + rng.uniform(.3, 1.2), rng.uniform(.8, 1.5), 0.))
            self.swing(door, moves, 0.)
        elif door is not None and room.leaves[door]:
            self.plan.angles[door] = np.full(60 * FPS, rng.uniform(80, 105))
        return a

    def go_out(self, a):
        """Through a door, which may open before and close behind, or over the picture's edge."""
        rng, room = self.rng, self.room
        outside, inside, door = self.entrance()
        if door is not None and room.leaves[door]:
            leaf = room.leaves[door]
            before = np.array(room.wall_point(leaf["wall"], leaf["along"], 1.05))
            if rng.random() < .6:
                self.route(a, before, "leave")
                moves = [(a.seconds + .1, rng.uniform(.7, 1.2), rng.uniform(85, 102))]
                a.hold(moves[0][1] * .8, "leave")
            else:
                moves = []
                self.plan.angles[door] = np.full(60 * FPS, rng.uniform(80, 105))
                self.route(a, before, "leave")
            a.walk_to(outside, "leave")
            if moves:
                if rng.random() < .7:
                    moves.append((a.seconds + rng.uniform(.0, .5), rng.uniform(.8, 1.4), 0.))
                self.swing(door, moves, 0.)
        else:
            self.route(a, inside, "leave")
            if np.hypot(*(np.asarray(outside) - inside)) > .1:
                a.walk_to(outside, "leave")
        a.hidden.append((a.seconds, a.seconds + 60))
        a.hold(3, "nobody")

    # -- light ----------------------------------------------------------------------------------
    def switch(self, at, on, seconds=60):
        """The lamp goes on or off at a time in s; what remains is a little light from elsewhere."""
        rng, n = self.rng, int(seconds * FPS)
        rest = np.array([rng.uniform(.05, .3), 0.])
        lit = np.ones((n, 2))
        dark = np.arange(n) / FPS < at if on else np.arange(n) / FPS >= at
        lit[dark] = rest
        self.plan.light, self.plan.evening = lit, True
        self.plan.events.append(("light_on" if on else "light_off", at, at + 2.))

    # -- one method a focus -----------------------------------------------------------------------
    def do_wander(self):
        a = self.actor()
        self.wander(a)
        self.route(a, self.room.spot(.2))
        a.stand(self.rng.uniform(1, 4))
        self.route(a, self.room.spot())

    def do_enter(self):
        self.tail(self.come_in())

    def do_leave(self):
        a = self.actor()
        self.wander(a, 1, 3)
        self.go_out(a)

    def do_sit_down(self):
        if not self.room.seats:
            return False
        a = self.actor()
        self.sit_somewhere(a)
        a.sit(self.rng.uniform(2, 6))
        if self.rng.random() < .4:
            a.rise()
            self.tail(a)

    do_sit = do_sit_down

    def do_ease(self):
        """Sitting otherwise than straight on a seat: on the floor, along a bed, with a leg drawn up; or reaching down from a seat."""
        rng, how, a = self.rng, self.rng.random(), self.actor()
        on_floor = how < .35 or not self.room.beds and how < .8
        if on_floor:
            self.wander(a, .4, 1.2)
            a.sit_on_floor()
        elif how < .8:
            self.sit_somewhere(a, self.room.beds[rng.integers(len(self.room.beds))])
            a.legs_up() if how < .65 else a.fold_leg()
        elif self.room.seats:
            self.sit_somewhere(a)
            a.sit(rng.uniform(.6, 2))
            a.reach_down()
        else:
            return False
        a.sit(rng.uniform(2, 5))
        after = rng.random()
        if on_floor and after < .4:
            a.rise_from_floor()
            self.tail(a)
        elif not on_floor and how < .65 and after < .35:  # and lies down where it sits
            a.recline(a.seat)
            a.lie(rng.uniform(1.5, 3))
        elif not on_floor and after < .6:
            if how < .65:
                a.legs_down()
            a.rise()
            self.tail(a)

    def do_lie_down(self):
        rng, a = self.rng, self.actor()
        if self.room.beds and rng.random() < .75:
            self.lie_somewhere(a)
            a.lie(rng.uniform(2, 5))
        else:
            a.stand(rng.uniform(.5, 1.5))
            a.lie_on_floor()
            a.lie(rng.uniform(2, 5))

    do_lie = do_lie_down

    def do_get_up(self):
        rng, room, a = self.rng, self.room, self.actor()
        which = rng.random()
        if which < .4 and room.seats:
            self.sit_somewhere(a)
            a.sit(rng.uniform(1.5, 3))
            a.rise()
        elif which < .65 and room.beds:
            self.lie_somewhere(a)
            a.lie(rng.uniform(1.5, 3))
            a.sit_up()
            if rng.random() < .5:
                a.sit(rng.uniform(.3, 1))
            a.rise()
        elif which < .78:
            a.lie_on_floor()
            a.lie(rng.uniform(1, 2))
            a.get_up_from_floor()
        elif which < .88:
            a.kneel(rng.uniform(2, 4))
            a.rise_from_knees()
        else:
            a.fall(room.solids(), rng.normal(0, .4, 3) + [0, rng.choice([-1.3, 1.2]), 0])
            a.lie(rng.uniform(1, 2))
            a.get_up_from_floor()
        self.tail(a)

    def do_fall(self, still=None):
        rng, room, a = self.rng, self.room, self.actor()
        from_what, chair, velocity = rng.random(), bool(self.room.seats), 0.
        angle = rng.uniform(0, 6.28)
        push = np.array([np.sin(angle), -np.cos(angle), 0]) * rng.uniform(.9, 1.7)
        if from_what < .25 and chair:
            self.sit_somewhere(a)
            a.sit(rng.uniform(1, 3))
            side = rng.choice([-1, 0, 1])
            push = np.array([side * 1.5, -1.6 + .5 * abs(side), 0]) * rng.uniform(.9, 1.25)
        elif from_what < .35 and chair:  # while getting up
            self.sit_somewhere(a)
            a.sit(rng.uniform(.5, 1.5))
            a.rise()
        elif from_what < .7:
            a.stand(rng.uniform(.6, 1.8))
        else:
            for p in room.path(a.root[:2], room.spot(.4)):
                a.walk_to(p, until=rng.uniform(1.2, 2.5))
            velocity = .8 * a.pace
            push = np.array([rng.normal(0, .5), -rng.uniform(.4, 1.3), 0])
        a.fall(room.solids(), push, velocity)
        if posed(a.body, *a.frames[-1][:2])[1][[0, 1, 2], 2].max() > .42:
            return False  # caught by furniture: not a fall to the floor
        still = rng.random() < .35 if still is None else still
        if still:
            a.lie(rng.uniform(4, 6), still=True)
        else:
            a.lie(rng.uniform(1, 4))
        if not still and rng.random() < .35:
            a.get_up_from_floor()
            a.stand(1)

    def do_lie_still(self):
        if self.rng.random() < .7:
            return self.do_fall(still=True)
        a = self.actor()
        a.stand(.4)
        a.lie_on_floor()
        a.lie(self.rng.uniform(4, 6), still=True)

    def do_bend(self):
        a = self.actor()
        self.wander(a, .5, 1.5)
        a.bend()
        a.stand(self.rng.uniform(.4, 1.5))
        if self.rng.random() < .4:
            a.bend()
        self.tail(a)

    def gesture(self, what, low, high):
        """A gesture standing or sitting, once or twice."""
        rng, a = self.rng, self.actor()
        if self.room.seats and rng.random() < .35:
            self.sit_somewhere(a)
            rest = a.sit
        else:
            self.wander(a, .5, 1.5)
            rest = a.stand
        rest(rng.uniform(.5, 1.5))
        getattr(a, what)(rng.uniform(low, high))
        rest(rng.uniform(.8, 2))
        if rng.random() < .4:
            getattr(a, what)(rng.uniform(low, high))
            rest(1.)

    def do_raise_hands(self):
        self.gesture("raise_hands", 1.8, 4)

    def do_wave(self):
        self.gesture("wave", 1.8, 4)

    def do_point(self):
        self.gesture("point", 1.6, 3.5)

    def do_clap(self):
        self.gesture("clap", 2, 4.5)

    def do_kneel(self):
        a = self.actor()
        self.wander(a, .5, 1.5)
        a.kneel(self.rng.uniform(3, 6))
        if self.rng.random() < .5:
            a.rise_from_knees()
            a.stand(1)
        else:
            a.kinds[-1] = "kneel"
            a.hold(1.5, "kneel")

    def far_spots(self, least):
        """Two spots at least so many m apart, or None."""
        for _ in range(20):
            p, q = self.room.spot(), self.room.spot()
            if np.hypot(*(p - q)) > least and self.room.clear(p, q):
                return p, q
        return None

    def do_run(self):
        ends = self.far_spots(2.2)
        if ends is None:
            return False
        p, q = ends
        a = self.actor(p, np.degrees(np.arctan2(*((q - p) * [1, -1]))))
        self.rng.random() < .5 and a.stand(self.rng.uniform(.3, 1.2))
        a.gait = "run"
        for to in (q, p, q, p)[:self.rng.integers(2, 5)]:
            a.walk_to(to)
        a.gait = "walk"
        a.stand(1.5)

    def do_carry(self):
        rng, room = self.rng, self.room
        ends = self.far_spots(1.6)
        if ends is None:
            return False
        p, q = ends
        a = self.actor(p, np.degrees(np.arctan2(*((q - p) * [1, -1]))))
        floor = p + direction(a.yaw) * .5
        self.plan.parcel = (0, floor, a.yaw)
        if rng.random() < .5:
            a.stand(rng.uniform(.3, 1))
            a.lift()
        else:
            a.load = True
            a.local = a.laden(a.local)
            a.stand(rng.uniform(.3, .8))
        self.route(a, q)
        if rng.random() < .6:
            self.route(a, room.spot(.3))
        a.stand(.6)
        if rng.random() < .4:
            a.lift(down=True)
            a.stand(1.5)
        a.stand(.5)

    # -- several people ---------------------------------------------------------------------------
    def is_free(self, p, seen_from):
        return np.hypot(*(self.room.cells[self.room.nearest(p)] - p)) < .09 and self.room.clear(seen_from, p)

    def beside(self, at, apart):
        """A free spot about so many m from another, seen from all sides, or None."""
        for angle in self.rng.uniform(0, 6.28, 24):
            p = at + apart * np.array([np.cos(angle), np.sin(angle)])
            if self.is_free(p, at):
                return p
        return None

    def do_two_people(self, count=2):
        rng, room, until = self.rng, self.room, self.rng.uniform(6.5, 9)
        mode = rng.random()
        if mode < .45:  # they stand together
            middle, angle = room.spot(.8), rng.uniform(0, 6.28)
            for k in range(count):
                turn = angle + (k + rng.uniform(-.08, .08)) * 6.28 / count
                p = middle + rng.uniform(.48, .75) * np.array([np.cos(turn), np.sin(turn)])
                if not self.is_free(p, middle):
                    return False
                yaw = np.degrees(np.arctan2(*((middle - p) * [1, -1]))) + rng.normal(0, 15)
                self.idle(self.actor(p, yaw), until, walk=rng.random() < .2)
        else:  # each their own
            first = self.come_in(wait=rng.uniform(.6, 1.5)) if mode > .8 else None
            for _ in range(count - (first is not None)):
                self.extra(until)
            if first is not None:
                self.idle(first, until)

    def do_three_people(self):
        return self.do_two_people(3)

    def do_come_together(self):
        rng, room = self.rng, self.room
        stays = room.spot(.6)
        seats = self.free_seats()
        seated = seats and rng.random() < .3
        if seated:
            seat = seats[rng.integers(len(seats))]
            self.taken.append(seat)
            stays = seat["front"]
        to = self.beside(stays, rng.uniform(.78, .98) - (.25 if seated else 0))
        if to is None:
            return False
        if rng.random() < .3:
            comer = self.come_in(wait=.5)
            if np.hypot(*(comer.root[:2] - stays)) < 1.5:
                return False
        else:
            ends = [room.spot() for _ in range(12)]
            ends = [e for e in ends if np.hypot(*(e - stays)) > 1.9]
            if not ends:
                return False
            comer = self.actor(ends[0])
            comer.stand(rng.uniform(.4, 1.6))
        self.route(comer, to)
        arrived = comer.seconds
        comer.turn_to(np.degrees(np.arctan2(*((stays - to) * [1, -1]))))
        for i in range(max(0, round((arrived - 2) * FPS)), len(comer.kinds)):
            comer.kinds[i] = "come_together" if comer.kinds[i] in ("walk", "enter") else comer.kinds[i]
        comer.stand(.5)
        comer.kinds[-10:] = ["come_together"] * 10
        comer.stand(rng.uniform(2, 3.5))
        other = self.actor(stays)
        if seated:
            other.seat_at_once(self.taken[-1])
            other.sit(comer.seconds)
        else:
            other.stand(max(.3, arrived - rng.uniform(.3, 1.)))
            other.turn_to(np.degrees(np.arctan2(*((to - stays) * [1, -1]))), "stand")
            other.stand(2)

    # -- scenes without people ------------------------------------------------------------------------
    def empty(self):
        self.plan.instants = int(7.2 * FPS)

    do_nobody = do_silence = empty

    def do_pet(self, count=None):
        """A cat or a dog, at times two, that walk, sit, lie about or leap onto a seat."""
        rng, room = self.rng, self.room
        for _ in range(count or (2 if rng.random() < .2 else 1)):
            actor = PetActor(Pet(**random_pet(rng)), rng, room.spot(.2), rng.uniform(-180, 180))
            low = [s for s in room.seats if s["height"] < .56]
            while actor.seconds < 7.5:
                what = rng.choice(["walk", "fast", "stand", "sit", "lie", "jump"], p=[.38, .12, .1, .17, .13, .1])
                if what in ("walk", "fast"):
                    for p in room.path(actor.xy, room.spot()):
                        actor.walk_to(p, what == "fast")
                elif what == "jump" and low:
                    seat = low[rng.integers(len(low))]
                    for p in room.path(actor.xy, seat["front"]):
                        actor.walk_to(p)
                    actor.jump(seat["xy"], seat["height"])
                    getattr(actor, str(rng.choice(["sit", "lie"])))(rng.uniform(2, 4))
                    actor.jump(seat["front"], 0.)
                elif what != "jump":
                    getattr(actor, what)(rng.uniform(1, 3.5))
            self.plan.pets.append(actor)

    def do_television(self):
        if self.room.tv is None:
            return False
        self.empty()
        self.plan.television, self.plan.evening = True, True
        if self.rng.random() < .8:  # in a dark or dim room
            self.plan.light = np.tile([self.rng.uniform(.05, .6), self.rng.choice([0., 0., .3])], (self.plan.instants, 1))

    def door(self, opens):
        """The door alone, or with somebody who comes in or goes out."""
        rng, n = self.rng, self.leaf_door()
        if n is None:
            return False
        with_person = rng.random()
        if with_person < .45:
            self.empty()
            start, angle = rng.uniform(1.2, 3), rng.uniform(55, 105)
            moves = [(start, rng.uniform(.7, 1.8), angle if opens else 0.)]
            if rng.random() < .4:
                moves.append((start + rng.uniform(2.6, 3.6), rng.uniform(.7, 1.6), 0. if opens else angle))
            self.swing(n, moves, 0. if opens else angle)
            return
        self.entrance = lambda: (*self.room.doors[n], n)
        if (with_person < .75) == opens:
            self.tail(self.come_in())
        else:
            a = self.actor()
            self.near(a, self.room.doors[n][1], 1.6)
            a.stand(rng.uniform(.4, 1.2))
            self.go_out(a)
        if not any(k == ("door_opens" if opens else "door_closes") for k, *_ in self.plan.events):
            return False

    def do_door_opens(self):
        return self.door(True)

    def do_door_closes(self):
        return self.door(False)

    def light(self, on):
        rng = self.rng
        mode = rng.random()
        if mode < .35:
            self.empty()
            self.switch(rng.uniform(1.6, 4.6), on)
        elif mode < .55 and on:
            a = self.come_in()
            self.tail(a)
            self.switch(a.hidden[0][1] + rng.uniform(1., 2.), on)
        elif mode < .55:
            a = self.actor()
            self.wander(a, 1, 2)
            self.go_out(a)
            self.switch(a.hidden[0][0] - rng.uniform(-1, 1.), on)
        else:
            a = self.actor()
            if self.room.seats and rng.random() < .4:
                seat = self.free_seats()[rng.integers(len(self.free_seats()))]
                self.taken.append(seat)
                a.seat_at_once(seat)
            self.idle(a, 8)
            self.switch(rng.uniform(2, 5), on)

    def do_light_on(self):
        return self.light(True)

    def do_light_off(self):
        return self.light(False)
