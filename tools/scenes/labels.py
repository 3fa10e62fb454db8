"""What is said of a clip: one kind an instant, narrations in time, and questions with their answers."""
import numpy as np

# Who is named when several things happen at once: the first line that fits. Below these: the number of people
# in sight, what a single person does, a pet, the television, something that moves, nothing.
PRECEDENCE = [
    ("fall",), ("lie_still",), ("light_on", "light_off"), ("door_opens", "door_closes"),
    ("come_together", "enter", "leave", "sit_down", "get_up", "lie_down"),
    ("lie",), ("wave", "point", "clap", "raise_hands", "bend", "kneel"),
]
STILL_S, STILL_M = 2., .06  # lie_still: no joint has moved farther than this for so long
FLOOR_M = .42  # hips lower than this lie on the floor


def telling(people, events, pet, television, moving):
    """The kind of an instant: kinds of the people in sight, running events, and what else is seen."""
    for line in PRECEDENCE:
        for kind in line:
            if kind in people or kind in events:
                return kind
    if len(people) > 1:
        return "two_people" if len(people) == 2 else "three_people"
    if people:
        return people[0]
    return "pet" if pet else "television" if television else "silence" if moving else "nobody"


def edge_kinds(kinds, inside, fps, busy=None):
    """Cut enter to 2 s after the person comes into the picture, leave to the last 2 s before going.

    busy [T]: instants at which a door is told instead; the 2 s of entering begin after them.
    """
    kinds = list(kinds)
    busy = np.zeros(len(kinds), bool) if busy is None else busy
    first = next((i for i, (k, s, b) in enumerate(zip(kinds, inside, busy)) if k == "enter" and s and not b), None)
    last = next((i for i in range(len(kinds) - 1, -1, -1) if kinds[i] == "leave" and inside[i]), None)
    for i, k in enumerate(kinds):
        if k == "enter" and first is not None and i > first + 2 * fps:
            kinds[i] = "walk"
        if k == "leave" and last is not None and i < last - 2 * fps:
            kinds[i] = "walk"
    return kinds


def lies_still(kinds, joints, fps):
    """`lie` becomes `lie_still` where a person lies on the floor and no joint has moved for STILL_S. joints [T,15,3]."""
    kinds, n = list(kinds), round(STILL_S * fps)
    for t in range(n, len(kinds)):
        past = joints[t - n:t + 1]
        if all(k == "lie" or k == "lie_still" for k in kinds[t - n:t + 1]) and joints[t, 0, 2] < FLOOR_M and \
                np.linalg.norm(past - joints[t], axis=2).max() < STILL_M:
            kinds[t] = "lie_still"
    return kinds


# -- narrations -----------------------------------------------------------------------------------
COLOURS = dict(red=(.8, .15, .15), green=(.2, .6, .25), blue=(.2, .3, .75), yellow=(.85, .8, .25), orange=(.85, .5, .15),
               purple=(.5, .25, .6), brown=(.42, .28, .18), black=(.1, .1, .1), grey=(.5, .5, .5), white=(.92, .92, .92),
               pink=(.9, .55, .65), turquoise=(.25, .7, .7))
SENTENCE = dict(
    enter="{a} comes in", leave="{a} goes out", walk="{a} walks through the room", run="{a} runs through the room",
    stand="{a} stands", sit="{a} sits on the {o}", sit_down="{a} sits down on the {o}", get_up="{a} gets up from the {o}",
    lie_down="{a} lies down on the {o}", lie="{a} lies on the {o}", lie_still="{a} lies on the floor and does not move",
    fall="{a} falls to the floor", bend="{a} bends down", raise_hands="{a} raises both hands", wave="{a} waves",
    point="{a} points at something", clap="{a} claps", kneel="{a} kneels on the floor", carry="{a} carries a box",
    come_together="{a} walks up to {b}", two_people="Two people are in the room", three_people="Three people are in the room",
    light_on="The light is switched on", light_off="The light is switched off", door_opens="The door opens",
    door_closes="The door closes", television="Only the television is on", silence="Something moves, but nobody is there",
    nobody="The room is empty")
ON = dict(sit="sits on", sit_down="sits down on", get_up="gets up from", lie_down="lies down on", lie="lies on")


def describe(look):
    """`a woman in a red shirt` from a body's look."""
    colour = min(COLOURS, key=lambda c: np.abs(np.array(COLOURS[c]) - look["shirt"]).sum())
    age = "old " if look["age"] == "old" else ""
    return f"a{'n' if age else ''} {age}{'woman' if look['gender'] == 'female' else 'man'} in a{'n' if colour == 'orange' else ''} {colour} shirt"


def runs(values):
    """[(value, first, last + 1)] of equal neighbours."""
    out = []
    for t, v in enumerate(values):
        if out and out[-1][0] == v:
            out[-1][2] = t + 1
        else:
            out.append([v, t, t + 1])
    return [tuple(r) for r in out]


def narrations(people, scene, pets, fps):
    """Sentences in time. people: [(name, look, kinds or None [T], thing [T])], scene: kinds of doors, lights and counts
    [T], pets: [(name, description, what it does or None [T])]."""
    out = []

    def say(start, end, kind, text, actors=(), objects=(), relations=()):
        text = text[0].upper() + text[1:] + "."
        out.append(dict(start_s=start / fps, end_s=end / fps, text=text, kind=kind, actors=list(actors), objects=list(objects),
                        relations=[list(r) for r in relations]))
    for name, look, kinds, thing in people:
        for kind, a, b in runs(kinds):
            if kind is None or kind == "nobody" or b - a < 2:
                continue
            o = thing[min(b, len(thing) - 1)] if kind in ("sit_down", "lie_down") else thing[a]
            o = o or "floor"
            other = next((n for n in people if n[0] != name), None)
            text = SENTENCE[kind].format(a=describe(look), o=o, b=describe(other[1]) if other else "somebody")
            relations = [(name, ON[kind], o)] if kind in ON else []
            if kind == "come_together" and other:
                relations = [(name, "walks up to", other[0])]
            if kind == "carry":
                relations, o = [(name, "carries", "box")], "box"
            say(a, b, kind, text, [name], [o] if relations and kind != "come_together" else [], relations)
    for kind, a, b in runs(scene):
        if kind in ("light_on", "light_off", "door_opens", "door_closes", "television"):
            thing = {"l": "lamp", "d": "door", "t": "television"}[kind[0]]
            say(a, b, kind, SENTENCE[kind], [], [thing])
        elif kind in ("two_people", "three_people"):
            say(a, b, kind, SENTENCE[kind], [p[0] for p in people])
        elif kind in ("nobody", "silence") and b - a >= fps:
            say(a, b, kind, SENTENCE[kind])
    verb = dict(walk="walks about", run="runs about", stand="stands there", sit="sits", lie="lies", jump="jumps")
    for name, text, does in pets:
        for what, a, b in runs(does):
            if what is not None and b - a >= 2:
                say(a, b, "pet", f"{text} {verb[what]}", [name])
    return sorted(out, key=lambda n: (n["start_s"], n["end_s"]))


# -- questions ------------------------------------------------------------------------------------
DEED = dict(enter="come in", leave="go out", sit_down="sit down", get_up="get up", lie_down="lie down", fall="fall", bend="bend down",
            raise_hands="raise both hands", wave="wave", point="point", clap="clap", kneel="kneel", run="run",
            light_on="the light goes on", light_off="the light goes off", door_opens="the door opens", door_closes="the door closes")


def ask(question, answer, kind, choices):
    return dict(question=question, answer=answer, kind=kind, choices=list(choices))


def questions(kinds, people, hips, brightness, fps):
    """Questions that the clip answers. kinds [T] of the clip; people: [(name, look, kinds [T], thing [T])] with None where not
    seen; hips: [T,2] of the first person in the picture's 0..1, NaN where not seen; brightness: light factor [T]."""
    out = []
    found = [(k, a, b) for k, a, b in runs(kinds) if k in DEED and b - a >= 2]
    once = [f for f in found if sum(g[0] == f[0] for g in found) == 1]
    if len(once) >= 2:
        (k1, *_), (k2, *_) = once[0], once[-1]
        out.append(ask("Which of the two happens first?", DEED[k1], "order", sorted((DEED[k1], DEED[k2]))))
    for deed in ("bend", "wave", "clap", "sit_down", "point"):
        spans = [(k, a, b) for k, a, b in runs(kinds) if k == deed]
        if spans and spans[0][1] > 0 and spans[-1][2] < len(kinds) and all(b - a >= 3 for _, a, b in spans):
            out.append(ask(f"How many times does somebody {DEED[deed]}?", str(min(len(spans), 3)), "count", "123"))
    at_once = [sum(p[2][t] is not None and p[2][t] != "nobody" for p in people) for t in range(len(kinds))]
    if at_once:
        out.append(ask("How many people are to be seen at the end?", str(min(at_once[-1], 3)), "count", "0123"))
    if people:
        main = people[0][2]
        for k, a, b in runs([k if k in ("walk", "run", "carry", "enter", "leave") else "" for k in main]):
            if k and b - a >= 4:
                x = hips[a:b, 0][~np.isnan(hips[a:b, 0])]
                if len(x) > 3 and abs(x[-1] - x[0]) > .22:
                    out.append(ask("Which way does the person go in the picture?", "right" if x[-1] > x[0] else "left", "direction",
                                   ("left", "right")))
                    break
        gaits = {k for k in main if k in ("walk", "run")}
        if len(gaits) == 1:
            out.append(ask("How does the person move?", "runs" if "run" in gaits else "walks", "speed", ("walks", "runs")))
        for k, verb in (("sit", "sit"), ("lie", "lie"), ("raise_hands", "hold the hands up"), ("kneel", "kneel")):
            spans = [(a, b) for v, a, b in runs(["lie" if v == "lie_still" else v for v in main]) if v == k]
            if len(spans) == 1 and spans[0][0] > 0 and spans[0][1] < len(main):
                seconds = (spans[0][1] - spans[0][0]) / fps
                if abs(seconds - 2) > .5:
                    long = "longer than two seconds"
                    short = "less than two seconds"
                    out.append(ask(f"How long does the person {verb}?", long if seconds > 2 else short, "duration", (short, long)))
    change = brightness[-1] - brightness[0]
    if abs(change) > .3 or np.ptp(brightness) < .05:
        answer = "brighter" if change > .3 else "darker" if change < -.3 else "the same"
        out.append(ask("How is the room lit at the end, compared with the beginning?", answer, "attribute_change",
                       ("brighter", "darker", "the same")))
    doors = [k for k in kinds if k in ("door_opens", "door_closes")]
    if doors:
        out.append(ask("How is the door at the end?", "open" if doors[-1] == "door_opens" else "shut", "attribute_change", ("open", "shut")))
    return out
