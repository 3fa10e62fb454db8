"""Hand-object actions on a table top: a person whose hands reach, pick up, pour, stir, cut, open, close and drink.

`make(seed, ...)` stands by itself: it builds a room around a table or counter, lays the things out, lets a `Story`
move both hands (20 instants a second, each with its kind), and renders the picks.
"""
import numpy as np

from body import INDEX
from camera import Lens, h264
from clip import DEPTH_UNIT, H264_SHARE, KINDS, person_table
from hands import turn
from labels import ask, describe, runs
from lay import FOCUS, lay, tell
from motion import FPS
from render import GRID, PERSON_FRAGMENT, VERTEX
from stage import Poser, Stage, TableRoom
from story import Story
from wares import join, lathe, make_bottle, make_bowl, make_carton, make_cup, make_glass, make_plate, tint

SHARE = .2  # of the homes, whose seeds play at a table, where all kinds are wanted


def draws(home, weights, usual):
    """Do the seeds of a home play at a table? By the weights asked for, or SHARE where they are the usual ones."""
    own = sum(w for k, w in weights.items() if k in FOCUS)
    share = SHARE if weights == usual else own / sum(weights.values())
    return np.random.default_rng([home, 92]).random() < share


MATERIALS = """vec3 a = col; float m = 0.;
  if (layer < -.5 && layer > -1.5 && ((int(gl_FragCoord.x) + int(gl_FragCoord.y)) & 1) == 0) discard;
  if (layer < -1.5) { float up = reflect(-normalize(V), N).z; a *= .55 + .6 * smoothstep(-.3, .9, up); }"""
FINE = 4  # hands and things are this much finer than bodies in the mesh for depth and flow
VIEWS = dict(table=.4, overhead=.18, ego=.22, room=.2)


def add_materials(renderer):
    """Let the renderer's moving meshes be of glass and metal as well."""
    if not getattr(renderer, "materials", False):
        source = PERSON_FRAGMENT.replace("vec3 a = col; float m = 0.;", MATERIALS)
        assert source != PERSON_FRAGMENT
        renderer.person_program = renderer.context.program(vertex_shader=VERTEX, fragment_shader=source)
        renderer.materials = True


class Props:
    """All moving things as one mesh, posed part by part."""

    def __init__(self, renderer, story):
        parts = [m for t in story.things for m in t.meshes]
        parts.append(lathe([(1, 0), (1, 1)], [next((s["colour"] for s in story.snaps if s["colour"] is not None), (.7, .8, .9))], k=7))
        v, n, c, layer, tris = join(*parts)
        self.part = np.repeat(np.arange(len(parts)), [len(m[0]) for m in parts])
        self.v, self.n = v, n
        table = np.zeros((len(v), 13), "f4")
        table[:, :3] = v * FINE + [[10, 0, 0]] * self.part[:, None]
        table[:, 6], table[:, 7] = v[:, 0] * 3, v[:, 2] * 3
        table[:, 8:11], table[:, 11], table[:, 12] = c, layer, .25
        self.mesh = renderer.mesh(table, tris)
        self.mesh.update(accent=tint(np.random.default_rng(len(v))), who=100)

    def pose(self, snap):
        m, p = snap["m"], snap["p"]
        stream = np.zeros((3, 3))
        at = np.zeros(3)
        if snap["stream"]:
            at, end, thick = snap["stream"]
            stream = np.stack([[thick, 0, 0], [0, thick, 0], end - at], 1)
        m, p = np.concatenate([m, stream[None]]).astype("f4"), np.concatenate([p, at[None]]).astype("f4")
        table = self.mesh["table"]
        table[:, :3] = np.einsum("nij,nj->ni", m[self.part], self.v) + p[self.part]
        table[:, 3:6] = np.einsum("nij,nj->ni", m[self.part], self.n)


class Figure:
    """The person's mesh without what a view does not need: legs under the table, the head that carries the camera."""

    def __init__(self, renderer, body, view):
        w = body.w
        drop = np.zeros(len(w), bool)
        if view != "room":
            drop |= w[:, [INDEX[s + p] for s in "lr" for p in ("shin", "foot")]].sum(1) > .5
        if view == "ego":
            drop |= w[:, INDEX["head"]] > .3
        tris = body.tris[~drop[body.tris].any(1)]
        self.pick, inverse = np.unique(tris, return_inverse=True)
        self.body = body
        table = person_table(body)
        table[w[:, [INDEX["lhand"], INDEX["rhand"]]].sum(1) > .5, :3] *= FINE
        self.mesh = renderer.mesh(table[self.pick], inverse.reshape(-1, 3))
        self.mesh.update(accent=body.accent, who=1)

    def pose(self, rotations, positions, hands):
        grips = {s: h[2:] for s, h in hands.items()}
        table = self.mesh["table"]
        table[:, :3], table[:, 3:6] = self.body.skin19(rotations, positions, grips, self.pick)


def inside_room(room, eye, top):
    if abs(eye[0]) > room.w / 2 - .08 or abs(eye[1]) > room.d / 2 - .08 or eye[2] > room.h - .05:
        return False
    return not any((np.abs(eye[:2] - c) < half + .06).all() and eye[2] < tall + .08 for c, half, tall, *_ in room.boxes)


def blocked(eye, poser, snaps):
    """How often the person's own trunk, head or upper arms stand between the camera and the hands that act."""
    hidden = total = 0
    for snap in snaps:
        r, p = poser(snap["hands"], snap["gaze"])
        balls = [(p[1] + [0, 0, .1], .17), (p[0] + [0, 0, .12], .16), (p[2] + [0, 0, .12], .11)]
        balls += [((p[INDEX[s + "uarm"]] + p[INDEX[s + "farm"]]) / 2, .06) for s in "lr"]
        for s in snap["acting"] or "lr":
            at = snap["hands"][s][0] + snap["hands"][s][1] @ [.1, .04, 0]
            d = at - eye
            for centre, radius in balls:
                k = np.clip((centre - eye) @ d / (d @ d), 0, 1)
                if k < .93 and np.linalg.norm(eye + d * k - centre) < radius:
                    hidden += 1
                    break
            total += 1
    return hidden / max(1, total)


def choose_view(renderer, room, stage, story, poser, picks, rng, view):
    """Stand the camera of a view; False if nothing good is found."""
    drinks = any(story.kinds[i] == "drink" for i in picks)
    if drinks and view == "overhead":
        return False
    snaps = [story.snaps[i] for i in picks[::max(1, len(picks) // 6)]]
    centre = stage.at(rng.normal(0, .06), stage.edge + rng.uniform(.14, .26))
    chest = stage.root + stage.up * .35 + stage.ahead * .1
    around = np.concatenate([[t.p + [0, 0, t.height * .6] for t in story.things], [stage.at(a, stage.edge + b, .05) for a in (-.2, .2) for b in (.06, .3)]])
    turned = lambda a: stage.ahead * np.cos(a) + stage.left * np.sin(a)
    for attempt in range(40):
        up = None
        if view == "table":
            a = rng.uniform(-1.4, 1.4) if stage.kind != "counter" else rng.choice([-1, 1]) * rng.uniform(1.2, 2.1)
            if rng.random() < .12:
                a = rng.choice([-1, 1]) * rng.uniform(1.4, 2.3)
            eye = centre + turned(a) * rng.uniform(.6, 1.35)
            eye[2] = np.clip(stage.top + rng.uniform(.22, .85), .7, 1.75)
            at, cover = centre + rng.normal(0, .03, 3) + [0, 0, rng.uniform(.02, .14)], rng.uniform(.55, .95)
            if drinks:
                at, cover = at * .6 + chest * .4 + [0, 0, .06], rng.uniform(.85, 1.2)
        elif view == "overhead":
            eye = centre + stage.ahead * rng.uniform(.12, .42) + stage.left * rng.normal(0, .1)
            eye[2] = min(stage.top + rng.uniform(.7, 1.15), room.h - .1)
            up = turned(rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.normal(0, .2))
            at, cover = centre + rng.normal(0, .03, 3), rng.uniform(.6, 1.)
        elif view == "room":
            a = rng.uniform(-2., 2.) if stage.kind != "counter" else rng.choice([-1, 1]) * rng.uniform(1.1, 2.4)
            eye = chest + turned(a) * rng.uniform(1.7, 3.)
            eye[2] = rng.uniform(1., 2.2)
            at, cover = chest * .75 + centre * .25 - [0, 0, rng.uniform(.05, .3)], rng.uniform(1.35, 2.1)
        fov = 2 * np.degrees(np.arctan(cover * min(1, 1.5 * renderer.h / renderer.w) / 2 / np.linalg.norm(eye - at)))
        if not inside_room(room, eye, stage.top) or blocked(eye, poser, snaps) > .3:
            continue
        up = stage.up + stage.left * rng.normal(0, .02) if up is None else up
        renderer.set_camera(eye, at, fov, up=up)
        if (renderer.distance < (.35 if view != "room" else .6)).mean() > .05 or (renderer.distance > 50).mean() > .05:
            continue
        seen = renderer.visible(around, .06)
        if seen.mean() < (.75 if view != "room" else .6):
            continue
        if view == "room" and not renderer.visible(np.array([chest, stage.root + stage.up * .62]), .3).all():
            continue
        return True
    return False


def window(story, focus, length, rng):
    """First instant of a `length`-second cut that shows the focus: mostly with what leads to it."""
    n, total = int(length * FPS), len(story.kinds)
    hits = [i for i, k in enumerate(story.kinds) if k == focus] or [i for i, k in enumerate(story.kinds) if k == "pick_up"] or [0]
    if total <= n:
        return 0
    if len(hits) < n:
        low, high = max(0, hits[-1] + 1 - n), min(hits[0], total - n)
        if low < high:
            return int(rng.integers(low, high))
    return int(np.clip(hits[0] - rng.uniform(.15, .5) * n, 0, total - n))


def compose(seed, library, body, weights=None):
    """Everything of a seed but the pictures: (room, stage, story, poser, focus, rng)."""
    for attempt in range(12):
        rng = np.random.default_rng([seed, 91, attempt])
        try:
            room = TableRoom(library, rng)
        except ValueError:
            continue
        stage = Stage(room.stage, body)
        poser = Poser(body, stage, rng)
        weights = {k: w for k, w in (weights or FOCUS).items() if k in FOCUS} or FOCUS
        focus = str(rng.choice(list(weights), p=np.array(list(weights.values())) / sum(weights.values())))
        story = Story(body, stage, poser, rng)
        roles = lay(story, focus, rng)
        if roles is None:
            continue
        clutter(room, story, stage, rng)
        tell(story, roles, focus, rng)
        return room, stage, story, poser, focus, rng
    return None


def clutter(room, story, stage, rng):
    """Things that stay where they are: the library's small models and vessels, at the back of the table."""
    for _ in range(int(rng.integers(0, 4))):
        a, b = rng.uniform(-.8, .8), stage.edge + stage.depth * rng.uniform(.55, .92)
        model = None
        if rng.random() < .45:
            name, model = room.pick("top")
            if model is None or max(model["size"][:2]) > .34 or model["size"][2] > .42:
                continue
            r = np.hypot(*model["size"][:2]) / 2
        else:
            make = [make_cup, make_bottle, make_bowl, make_glass, make_carton, make_plate][rng.integers(6)]
            thing = make(rng, "water", .0) if make is not make_plate else make(rng)
            r = thing.radius
        if not stage.on_top(a, b, r) or any(np.hypot(a - x, b - y) < r + q + .06 for x, y, q in story.taken):
            continue
        if np.linalg.norm(stage.at(a, b) - stage.at(0, stage.edge + .2)) < .3:
            continue
        story.taken.append((a, b, r))
        if model:
            room.put(name, model, stage.at(a, b)[:2], rng.uniform(0, 360), stage.top, solid=False)
        else:
            bodies = [(v, n, c, np.zeros_like(layer), tris) for v, n, c, layer, tris in thing.meshes[:1]]
            room.bake(bodies, turn((0, 0, 1), rng.uniform(0, 6)), stage.at(a, b))


def make(seed, library, body, renderer, weights=None, fps=5, view=None):
    """The clip of a seed, as clip.make_clip gives it, with narrations and questions. None if no camera sees it."""
    made = compose(seed, library, body, weights)
    if made is None:
        return None
    room, stage, story, poser, focus, rng = made
    length = float(rng.choice([5, 6, 6, 7, 8]))
    start = window(story, focus, length, rng)
    picks = [i for i in range(start, start + int(length * FPS), FPS // fps) if i < len(story.kinds)]
    add_materials(renderer)
    renderer.load_room(*room.geometry(), room.lights)
    views = [view] if view else list(rng.choice(list(VIEWS), 3, replace=False, p=list(VIEWS.values())))
    for view in views:
        view = str(view)
        if view == "ego" or choose_view(renderer, room, stage, story, poser, picks, rng, view):
            break
    else:
        return None
    out = render(renderer, body, story, stage, poser, picks, view, rng, fps)
    return dict(out, focus=focus, view=view)


class HeadCamera:
    """An egocentric camera: at the eyes, looking where the hands work, with the slight motion of a head."""

    def __init__(self, rng):
        self.fov = rng.uniform(62, 88)
        self.sway = rng.uniform(.3, 1.), rng.uniform(0, 6.28, 6), rng.uniform(.15, .5, 6)
        self.up, self.forward = rng.uniform(.0, .06), rng.uniform(.05, .09)
        self.target = None

    def aim(self, renderer, poser, rotations, positions, gaze, t):
        size, phase, rate = self.sway
        s = np.sin(6.28 * rate * t + phase) * size
        st = poser.stage
        work = st.at(0, st.edge + .3, .08)
        want = work * .62 + gaze * .38
        first = self.target is None
        self.target = want if first else self.target + (want - self.target) * .3
        eye = poser.eyes(rotations, positions) + st.ahead * self.forward + st.up * self.up + s[:3] * .006
        fov = self.fov * (.85 if renderer.w / renderer.h > 1.5 else 1)
        up = positions[2] - positions[1] + st.ahead * .25  # the head's: upright, then ahead the more it looks down
        renderer.set_camera(eye, self.target + s[3:6] * .02, fov, up=up, moves=not first)


def render(renderer, body, story, stage, poser, picks, view, rng, fps):
    """The arrays of the picked instants and what is said of them."""
    figure, props = Figure(renderer, body, view), Props(renderer, story)
    drawn = [figure.mesh, props.mesh]
    n, h, w = len(picks), renderer.h, renderer.w
    out = dict(frames=np.zeros((n, h, w, 3), "u1"), mask=np.zeros((n, h, w), bool), keypoints=np.zeros((n, 17, 3), "f4"),
               depth=np.zeros((n, GRID, GRID), "u1"), flow=np.zeros((n, GRID, GRID, 2), "f2"))
    head = HeadCamera(rng) if view == "ego" else None
    names, lens, background = [], None, None
    first_part = np.cumsum([0] + [len(t.meshes) for t in story.things])[:-1]
    for t, i in enumerate(picks):
        snap = story.snaps[i]
        hands = snap["hands"]
        r, p = poser(hands, snap["gaze"])
        if head:
            head.aim(renderer, poser, r, p, snap["gaze"], t / fps)
        props.pose(snap)
        if lens is None:
            background, _ = renderer.frame([props.mesh])
            lens = Lens(rng, background)
        figure.pose(r, p, hands)
        palms = {s: hands[s][0] + hands[s][1] @ [.08, .02, 0] for s in "lr"}
        spheres = [[*palms[s], .045] for s in "lr"] + ([[*p[0], .16], [*p[1], .15]] if view == "room" else [])
        for thing, k in zip(story.things, first_part):
            at = snap["p"][k]
            spheres.append([at[0], at[1], at[2] + min(thing.height, thing.radius) * .4, min(thing.radius * .8, .08)])
        x, share = renderer.frame(drawn, spheres)
        distance, flow, _, far = renderer.places(drawn)
        out["depth"][t], out["flow"][t] = np.clip(np.rint(distance * DEPTH_UNIT), 0, 255), np.rint(flow * 16) / 16
        image, shift = lens(x)
        out["frames"][t] = image
        out["mask"][t] = np.roll(share > .5, shift, (0, 1))
        seen_person = out["mask"][t].sum() > 25
        points = body.keypoints(r[:15], p[:15])
        kx, ky, _ = renderer.project(points)
        seen = renderer.visible(points, .05) & renderer.visible(points, .2, far)
        if view == "ego":
            seen[:5] = False
        elif r[2] @ [0, -1., 0] @ (renderer.eye - p[2]) < -.15:
            seen[:3] = False
        if seen_person:
            out["keypoints"][t] = np.stack([kx, ky, seen], 1)
        names.append(shown_kind(renderer, story, i, palms, seen_person, view, stage))
    out["keypoints"][..., :2] = np.clip(out["keypoints"][..., :2], -.5, 1.5)
    out["kinds"] = np.array([KINDS.index(k) if k else -1 for k in names], "i1")
    # A camera that moves has no empty background.
    out["background"] = lens(background, noisy=False)[0] if view != "ego" else np.zeros((0, 0, 3), "u1")
    if rng.random() < H264_SHARE:
        out["frames"] = h264(out["frames"], int(rng.integers(20, 37)), str(rng.choice(["ultrafast", "veryfast"], p=[.35, .65])), fps)
    told = [e for e in story.events if shows(e, picks, names, fps)]
    out["narrations"] = narrations(told, body, picks, view, out["kinds"], fps)
    out["qa"] = questions(told, picks)
    # The things would vanish if the person were pasted onto another room.
    out["extra"] = dict(swap=False, night=False, people=1, hand=story.main)
    for m in drawn:
        renderer.drop(m)
    return out


def shown_kind(renderer, story, i, palms, seen_person, view, stage):
    """The kind of an instant as far as the picture shows it."""
    kind = story.kinds[i]
    if not seen_person:
        return "nobody" if kind in (None, "reach") and view != "ego" else None
    if kind is None:
        idle = view == "room" and not any(story.snaps[i]["busy"])
        return ("sit" if stage.seated else "stand") if idle else None
    acting = story.snaps[i]["acting"]
    near = np.array([palms[s] for s in ("lr" if acting is None else acting)])
    return kind if renderer.visible(near, .08).any() else None


# -- what is said -----------------------------------------------------------------------------------------
DEED = dict(pick_up="pick up the {0}", put_down="put down the {0}", pour="pour {0}", stir="stir in the {0}", cut="cut the {0}",
            open="open the {0}", close="close the {0}", drink="drink from the {0}", reach="reach for the {0}")


def deed(e):
    of = e["objects"][1] if e["kind"] in ("open", "close", "drink") and len(e["objects"]) > 1 else e["objects"][0]
    return DEED[e["kind"]].format(of)


def shows(e, picks, names, fps):
    """Is an event seen for .4 s at least?"""
    inside = [t for t, i in enumerate(picks) if e["start"] <= i < e["end"] and names[t] == e["kind"]]
    return len(inside) >= max(1, .4 * fps)


def whole(e, picks):
    return picks[0] <= e["start"] and e["end"] <= picks[-1] + 1


def narrations(told, body, picks, view, kinds, fps):
    """Sentences in time with actors, objects and the relations that hold at the end of each."""
    out = []
    last = len(picks) / fps
    for e in told:
        text = e["text"].replace("The person", describe(body.look)) if view == "room" else e["text"]
        out.append(dict(start_s=round(max(0, (e["start"] - picks[0]) / FPS), 2), end_s=round(min(last, (e["end"] - picks[0]) / FPS), 2),
                        text=text[0].upper() + text[1:], kind=e["kind"], actors=["person1", *e["actors"][1:]], objects=e["objects"],
                        relations=e["relations"]))
    for kind, a, b in runs([KINDS[k] if k >= 0 else None for k in kinds]):
        if kind == "nobody" and b - a >= fps:
            out.append(dict(start_s=a / fps, end_s=b / fps, text="Nobody is at the table.", kind=kind, actors=[], objects=["table"], relations=[]))
        if kind in ("sit", "stand") and b - a >= 2:
            out.append(dict(start_s=a / fps, end_s=b / fps, text=f"{describe(body.look).capitalize()} {kind}s at the table.", kind=kind,
                            actors=["person1"], objects=["table"], relations=[["person1", f"{kind}s at", "table"]]))
    return sorted(out, key=lambda n: (n["start_s"], n["end_s"]))


def questions(told, picks):
    """Questions that the clip answers: order, hand, object, count, state."""
    out = []
    seen = [e for e in told if e["kind"] != "reach"]
    deeds = [deed(e) for e in seen]
    once = [e for e in seen if deeds.count(deed(e)) == 1]
    # Only between tasks: within one the order is plain without looking.
    if len(once) >= 2 and once[0]["task"] != once[-1]["task"]:
        a, b = once[0], once[-1]
        out.append(ask("Which of the two happens first?", deed(a), "order", sorted((deed(a), deed(b)))))
    for e in told:
        if e["kind"] in ("pick_up", "cut", "stir", "pour") and e["actors"][1] != "hands":
            out.append(ask(f"Which hand is used to {deed(e)}?", e["actors"][1].split()[0], "hand", ("left", "right")))
            break
    lifted = [e for e in told if e["kind"] == "pick_up"]
    if lifted:
        others = sorted({r[0] for r in lifted[0]["relations"] if len(r) == 3 and r[1] == "on" and r[0] != lifted[0]["objects"][0]} - {"lid"})
        if others:
            out.append(ask("What is picked up first?", lifted[0]["objects"][0], "object", sorted([lifted[0]["objects"][0], *others[:2]])))
    for e in told:
        if "strokes" in e and whole(e, picks):
            k = e["strokes"]
            out.append(ask(f"How many slices are cut off the {e['objects'][0]}?", str(k), "count", [str(c) for c in range(max(1, k - 1), k + 2)]))
    lids = [e for e in told if e["kind"] in ("open", "close") and e["end"] <= picks[-1] + 1]
    if lids:
        e = lids[-1]
        out.append(ask(f"How is the {e['objects'][-1]} at the end?", "open" if e["kind"] == "open" else "closed", "attribute_change", ("open", "closed")))
    poured = [e for e in told if e["kind"] == "pour" and whole(e, picks)]
    if poured:
        e = poured[0]
        out.append(ask("Into what is something poured?", e["objects"][2], "object", sorted({e["objects"][2], e["objects"][1], "plate"})))
    return out
