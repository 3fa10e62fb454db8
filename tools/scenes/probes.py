"""Sets of clips that differ in one thing only: order, direction, speed, count, duration or an attribute.

All clips of a set show the same room, person, camera, lens and length; each carries, as its first question, the one
whose answer tells it from the others. Files are named SEED-NUMBER.
"""
import numpy as np

from clip import Shot, aim, film
from labels import DEED, ask
from motion import FPS
from script import Script

LENGTH_S = dict(count=10)  # otherwise:
USUAL_S = 8
GESTURES = ("bend", "wave", "clap", "raise_hands", "point")


def act(a, what, seconds=2.2):
    a.bend() if what == "bend" else getattr(a, what)(seconds)


def order(script, number, rng):
    room, (x, y) = script.room, rng.permutation(GESTURES)[:2]
    seats = script.free_seats()
    question = "Which of the two happens first?"
    if seats and rng.random() < .35:
        seat = seats[rng.integers(len(seats))]
        a = script.actor(seat["front"], seat["yaw"])
        if number == 0:
            a.stand(1.)
            a.sit_down(seat)
            a.sit(1.5)
            a.rise()
            a.stand(.5)
            return ask(question, DEED["sit_down"], "order", sorted((DEED["sit_down"], DEED["get_up"])))
        a.seat_at_once(seat)
        a.sit(1.5)
        a.rise()
        a.stand(1.)
        a.sit_down(seat)
        return ask(question, DEED["get_up"], "order", sorted((DEED["sit_down"], DEED["get_up"])))
    a = script.actor(room.spot(.5), rng.uniform(-60, 60))
    a.stand(.6)
    for what in ((x, y), (y, x))[number]:
        act(a, str(what))
        a.stand(.6)
    return ask(question, DEED[str((x, y)[number])], "order", sorted((DEED[str(x)], DEED[str(y)])))


def way(script, number, rng, gait=("walk", "walk")):
    ends = script.far_spots(2.2)
    if ends is None:
        return None
    p, q = ends if gait[0] != gait[1] or number == 0 else ends[::-1]
    a = script.actor(p, np.degrees(np.arctan2(*((q - p) * [1, -1]))))
    a.stand(.5)
    a.gait = gait[number]
    a.walk_to(q)
    a.gait = "walk"
    return ask("Which way does the person go in the picture?", None, "direction", ("left", "right"))


def speed(script, number, rng):
    if way(script, number, rng, ("walk", "run")) is None:
        return None
    return ask("How does the person move?", ("walks", "runs")[number], "speed", ("walks", "runs"))


def count(script, number, rng):
    what = str(rng.choice(["bend", "wave", "clap"]))
    a = script.actor(script.room.spot(.5), rng.uniform(-60, 60))
    a.stand(.5)
    for _ in range(number + 1):
        act(a, what, 1.5)
        a.stand(.5)
    return ask(f"How many times does somebody {DEED[what]}?", str(number + 1), "count", "123")


def duration(script, number, rng):
    seconds, seats = (1., 4.)[number], script.free_seats()
    short, long = "less than two seconds", "longer than two seconds"
    if seats and rng.random() < .6:
        seat = seats[rng.integers(len(seats))]
        a = script.actor(seat["front"], seat["yaw"])
        a.stand(.5)
        a.sit_down(seat)
        a.sit(seconds)
        a.rise()
        what = "sit"
    else:
        a = script.actor(script.room.spot(.5), rng.uniform(-60, 60))
        a.stand(.5)
        a.raise_hands(seconds + .4)
        what = "hold the hands up"
    return ask(f"How long does the person {what}?", (short, long)[number], "duration", (short, long))


def light(script, number, rng):
    a = script.actor(script.room.spot(.5))
    a.stand(USUAL_S)
    at = rng.uniform(2.5, 5)
    script.plan.evening = True
    script.switch(at, number == 0)
    if number == 2:  # nothing is switched
        script.plan.light[:], script.plan.events = 1., []
    return ask("How is the room lit at the end, compared with the beginning?", ("brighter", "darker", "the same")[number],
               "attribute_change", ("brighter", "darker", "the same"))


def door(script, number, rng):
    n = script.leaf_door()
    if n is None:
        return None
    script.empty()
    angle = rng.uniform(70, 100)
    script.swing(n, [(rng.uniform(2, 4), rng.uniform(.8, 1.5), (angle, 0.)[number])], (0., angle)[number])
    return ask("How is the door at the end?", ("open", "shut")[number], "attribute_change", ("open", "shut"))


SETS = dict(order=(order, 2), direction=(way, 2), speed=(speed, 2), count=(count, 3), duration=(duration, 2), light=(light, 3),
            door=(door, 2))
FOCUS_OF = dict(door="door_opens")


def make_set(seed, studio):
    """The clips of a seed: [(name, clip)]; empty if no camera sees them all well."""
    what = list(SETS)[seed % len(SETS)]
    write, size = SETS[what]
    seconds = LENGTH_S.get(what, USUAL_S)
    studio.enter(seed)
    room, renderer = studio.room, studio.renderer
    renderer.set_light(room.lights)
    for attempt in range(20):
        scripts, questions = [], []
        for number in range(size):  # all begin with the same draws
            room.rng = np.random.default_rng([seed, 93, attempt])
            rng = np.random.default_rng([seed, 94, attempt])
            scripts.append(Script(studio.cast(seed), room, rng, studio.motions))
            questions.append(write(scripts[-1], number, rng))
        actors = [a for s in scripts for a in s.plan.actors]
        if None in questions or max([a.seconds for a in actors], default=0) > seconds + .1:
            continue
        for s in scripts:
            for a in s.plan.actors:
                s.idle(a, seconds, walk=False)
            s.plan.instants = seconds * FPS
        shots = [Shot.cut(s.plan, 0, seconds * 5) for s in scripts]
        rng = np.random.default_rng([seed, 95, attempt])
        views = rng.choice(["side", "low", "high"], 4, p=[.6, .2, .2])
        if any(aim(room, rng, renderer, shots, str(v), FOCUS_OF.get(what, what)) for v in views):
            break
    else:
        return []
    out = []
    for number, (shot, question) in enumerate(zip(shots, questions)):
        clip = film(renderer, room, shot, np.random.default_rng([seed, 96]))
        if question["answer"] is None:
            x = clip["keypoints"][..., 11:13, 0].mean(1)[clip["keypoints"][..., 2].any(1)]
            if len(x) < 10 or abs(x[-1] - x[0]) < .2:
                return []
            question["answer"] = "right" if x[-1] > x[0] else "left"
        # What the labels of the clip say must agree: part of it may be out of sight.
        told = [q["answer"] for q in clip["qa"] if q["question"] == question["question"]]
        if told != [question["answer"]] and (told or what in ("order", "count", "duration")):
            return []
        clip["qa"] = [question] + [q for q in clip["qa"] if q["question"] != question["question"]]
        clip["extra"].update(probe=what, probe_set=f"{seed:06d}")
        out.append((f"{seed:06d}-{number}", dict(clip, focus="probe", view="probe")))
    answers = {clip["qa"][0]["answer"] for _, clip in out}
    return out if len(answers) == len(out) else []
