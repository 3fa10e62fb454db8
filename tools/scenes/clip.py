"""One clip: a plan of what happens in a room, a camera that sees it, the frames and their labels."""
import io
import json
import os
import zipfile
from dataclasses import dataclass, field

import numpy as np

import labels
from body import INDEX
from camera import Lens, choose_camera, h264
from labels import edge_kinds
from motion import FPS, posed
from render import GRID
from script import Script
from things import Leaf, Mover, Parcel, Television

KINDS = ["nobody", "enter", "leave", "walk", "stand", "sit", "sit_down", "get_up", "lie_down", "lie", "fall", "bend",
         "raise_hands", "silence",
         # Appended, never reordered: clips on disk and checkpoints hold the indices. The same list as tools/train/words.py.
         "run", "kneel", "lie_still", "wave", "point", "clap", "two_people", "three_people", "come_together", "pet",
         "light_on", "light_off", "door_opens", "door_closes", "reach", "pick_up", "put_down", "pour", "stir", "cut",
         "open", "close", "drink", "carry", "television"]
# What a clip is about; weights chosen so that short actions get at least some 3% of all frames. Table-top kinds: table.py.
FOCUS = dict(nobody=.01, enter=.05, leave=.06, walk=.01, stand=.01, sit=.01, sit_down=.07, get_up=.07, lie_down=.06, lie=.01,
             fall=.17, bend=.05, raise_hands=.05, silence=.035, run=.055, kneel=.045, lie_still=.05, wave=.04, point=.06, clap=.055,
             two_people=.025, three_people=.05, come_together=.06, pet=.045, light_on=.055, light_off=.06, door_opens=.045,
             door_closes=.055, carry=.035, television=.035, ease=0.)  # `ease` is asked for by --focus alone
LONG = ("sit", "walk", "stand", "two_people", "three_people", "come_together", "pet", "carry", "lie_still", "nobody", "silence")


@dataclass
class Shot:
    """A plan cut to the instants of a clip at 5 fps. people: frames or None each; light [T,2] or None."""

    plan: object
    picks: list
    people: list = field(default_factory=list)

    @classmethod
    def cut(cls, plan, start, frames, step=FPS // 5):
        picks = [i for i in range(start, start + frames * step, step) if i < plan.instants]
        people = [[None if a.kinds[i] == "nobody" else a.frames[i] for i in picks] for a in plan.actors]
        return cls(plan, picks, people)

    def __len__(self):
        return len(self.picks)

    def points(self):
        """Where the camera should look: positions [n,3] and which of them are to be seen."""
        out, shown = [], []
        times = np.array(self.picks) / FPS
        for a in self.plan.actors:
            out += [a.frames[i][1] for i in self.picks]
            shown += [not any(b <= t < e for b, e in a.hidden) for t in times]
        for p in self.plan.pets if not self.plan.actors else ():
            out += [[*p.frames[i][2], p.frames[i][4] + .15] for i in self.picks]
            shown += [True] * len(self.picks)
        return np.array(out, float).reshape(-1, 3), np.array(shown, bool)


def window(kinds, focus, length, rng):
    """First instant of a `length`-second cut that shows the focus kind."""
    n, total = int(length * FPS), len(kinds)
    if total <= n:
        return 0
    if focus == "lie_still":  # what came before, and long enough to see that nothing moves
        first = next((i for i, k in enumerate(kinds) if k == "lie"), 0)
        return int(np.clip(first - rng.uniform(1.2, 3) * FPS, 0, total - n))
    hits = [i for i, k in enumerate(kinds) if k == focus]
    if not hits:
        return int(rng.integers(0, total - n))
    if len(hits) < n:  # keep the whole action in the picture where it fits
        low, high = max(0, hits[-1] + 1 - n), min(hits[0], total - n)
        if low < high:
            return int(rng.integers(low, high))
    return int(np.clip(hits[0] - rng.uniform(.1, .5) * n, 0, total - n))


def person_table(body):
    t = np.zeros((len(body.v), 13), "f4")
    t[:, :3] = body.v
    t[:, 6], t[:, 7] = body.v[:, 0], body.v[:, 2]
    t[:, 8:11], t[:, 11], t[:, 12] = body.colour, body.pattern, 1
    return t


def instant(body, frame):
    """Posed rotations and joints of an actor's frame, set on the floor by its floor weight."""
    local, root, g, level = frame
    r, p = posed(body, local, root)
    low = float(body.skin(r, p, pick=body.sample)[:, 2].min()) - level
    return r, p - [0, 0, low * g if g > 0 else min(low, 0)]


def spheres_of(people):
    """Round shades under and beside people: (x, y, z, radius); fewer parts each when there are many."""
    parts = ((0, .16), (1, .15), (4, .08), (7, .08), (5, .09), (8, .09))[:6 if len(people) < 3 else 4]
    return [[*p[k], a] for person in people if person is not None for k, a in parts for p in person[1:]]


def night_light(light, eye, at, rng):
    """A camera's own infrared lamps in a dark room."""
    away = (np.asarray(at) - eye) / np.linalg.norm(np.asarray(at) - eye)
    return dict(light, pos=np.asarray(eye) + [0, 0, .04], target=np.asarray(eye) + away, cone=rng.uniform(70, 115),
                colour=np.full(3, rng.uniform(.9, 1.8)), ambient=np.full(3, rng.uniform(.03, .14)), window_colour=np.zeros(3), infrared=1.)


def evening_light(light, room, rng):
    """A lamp on the ceiling or standing in a corner; dark outside."""
    warm = np.array([1, rng.uniform(.75, 1), rng.uniform(.55, .95)])
    pos = np.array([rng.uniform(-.8, .8), rng.uniform(-.9, .6), room.h - .12])
    if rng.random() < .3:
        pos = np.array([rng.choice([-1, 1]) * (room.w / 2 - .3), room.d / 2 - .3, rng.uniform(1.4, 1.7)])
    return dict(light, pos=pos, target=[pos[0] * .3, pos[1] * .3, 0], cone=140 if pos[2] > 2 else 150, colour=warm * rng.uniform(.8, 2.),
                ambient=warm * rng.uniform(.25, .7), window_colour=np.array([.6, .8, 1]) * rng.uniform(0, .08), sky=rng.uniform(.01, .15))


def film(renderer, room, shot, lens_rng, movers=0, flicker=None, clean=False, fps=5):
    """Render a shot; the camera stands. Returns the arrays of a clip and what is said of it."""
    plan, n, h, w = shot.plan, len(shot), renderer.h, renderer.w
    rng = lens_rng
    things = []
    for i, leaf in enumerate(room.leaves):
        if leaf and not room.beyond(leaf["wall"], renderer.eye):  # such a camera looks through the wall and its doors
            angles = plan.angles.get(i)
            angles = np.full(n, rng.choice([0., 0., 0., rng.uniform(5, 100)])) if angles is None else angles[shot.picks]
            things.append(Leaf(leaf, renderer, angles))
    screen = None
    if room.tv and not room.beyond(room.tv["wall"], renderer.eye):
        screen = Television(room.tv, renderer, rng, n, plan.television, fps)
        things.append(screen)
    if plan.parcel:
        who, floor, yaw = plan.parcel
        things.append(Parcel(renderer, rng, who, [plan.actors[who].held[i] for i in shot.picks], floor, yaw))
    pets = [p.into(renderer, shot.picks) for p in plan.pets]
    others = [Mover(rng, room, renderer, n) for _ in range(movers)]
    things += pets + others
    bodies = [a.body for a in plan.actors]
    meshes = [renderer.mesh(person_table(b), b.tris) for b in bodies]
    for k, (m, b) in enumerate(zip(meshes, bodies)):
        m["accent"], m["who"] = b.accent, k + 1
    for k, t in enumerate(things):
        t.mesh["who"] = 100 + k
    light = np.ones((n, 2)) if flicker is None else flicker
    if plan.light is not None:
        light = light * plan.light[shot.picks]
    glow = screen.light if screen else np.zeros((n, 3))
    for t in things:
        t.set(0, [None] * len(bodies))
    empty = [t.mesh for t in things if t.fixture]
    background, _ = renderer.frame(empty, soft=light[:, 0].max(), direct=light[:, 1].max(), tv=glow[0])
    dark = renderer.frame(empty, soft=light[0, 0], direct=light[0, 1], tv=glow[0])[0].mean() if plan.light is not None else None
    lens = Lens(lens_rng, background, clean, plan.night, dark)

    out = dict(frames=np.zeros((n, h, w, 3), "u1"), mask=np.zeros((n, h, w), bool), keypoints=np.zeros((n, 17, 3), "f4"),
               depth=np.zeros((n, GRID, GRID), "u1"), flow=np.zeros((n, GRID, GRID, 2), "f2"))
    everyone = np.zeros((len(bodies), n, 17, 3), "f4")
    inside = np.zeros((len(bodies), n), bool)
    joints = np.zeros((len(bodies), n, 15, 3))
    seen = np.zeros((len(things), n), int)
    for t in range(n):
        people = [instant(b, f[t]) if f[t] is not None else None for b, f in zip(bodies, shot.people)]
        drawn = []
        for k, person in enumerate(people):
            if person is None:
                meshes[k]["last"] = None
                continue
            meshes[k]["table"][:, :3], meshes[k]["table"][:, 3:6] = bodies[k].skin(*person, with_normals=True)
            joints[k, t] = person[1]
            drawn.append(meshes[k])
        for thing in things:
            thing.set(t, people)
        drawn += [thing.mesh for thing in things]
        x, share = renderer.frame(drawn, spheres_of(people), *light[t], glow[t])
        distance, flow, who, far = renderer.places(drawn)
        out["depth"][t] = np.clip(np.rint(distance * DEPTH_UNIT), 0, 255)
        out["flow"][t] = np.rint(flow * 16) / 16
        for k in range(len(things)):
            seen[k, t] = (who == 100 + k).sum()
        image, shift = lens(x)
        out["frames"][t] = image
        out["mask"][t] = np.roll(share > .5, shift, (0, 1))
        for k, person in enumerate(people):
            if person is None:
                continue
            r, p = person
            points = bodies[k].keypoints(r, p)
            kx, ky, _ = renderer.project(points)
            visible = renderer.visible(points)
            if len(drawn) > 1:
                visible &= renderer.visible(points, .3, far)
            if r[2] @ [0, -1., 0] @ (renderer.eye - p[2]) < -.15:  # the face looks away: nose and eyes are hidden
                visible[:3] = False
            inside[k, t] = out["mask"][t].sum() > 25 if sum(q is not None for q in people) == 1 else (who == k + 1).sum() > 5
            if out["mask"][t].any():
                everyone[k, t] = np.stack([kx, ky, visible], 1)
    everyone[..., :2] = np.clip(everyone[..., :2], -.5, 1.5)
    if len(bodies):
        out["keypoints"] = everyone[0]
    if len(bodies) > 1:
        out["people"] = everyone.transpose(1, 0, 2, 3).astype("f2")
    out["background"] = lens(background, noisy=False)[0]
    if rng.random() < H264_SHARE and not clean:
        out["frames"] = h264(out["frames"], int(rng.integers(20, 37)), str(rng.choice(["ultrafast", "veryfast"], p=[.35, .65])), fps)
    # Not for pasting the people onto another room: something else is to be seen, or the light changes.
    plain = not pets and not others and plan.parcel is None and plan.light is None and not plan.events and not plan.television
    tell(out, shot, plan, inside, joints, seen, things, light, fps)
    out["extra"] = dict(swap=bool(plain), night=bool(plan.night), people=len(bodies))
    for m in meshes + [t.mesh for t in things]:
        renderer.drop(m)
    return out


H264_SHARE = .4
DEPTH_UNIT = 20  # steps a metre: 5 cm each, up to 12.7 m


def tell(out, shot, plan, inside, joints, seen, things, light, fps):
    """Kinds, narrations and questions of a filmed shot, into `out`."""
    n, times = len(shot), np.array(shot.picks) / FPS
    events = [[k for k, a, b in plan.events if a <= t < b] for t in times]
    for i, k in enumerate(things):  # what is not in the picture is not told
        if k.kind == "door":
            own = seen[i] > 2
            events = [[e for e in es if not e.startswith("door") or own[t]] if sum(x.kind == "door" for x in things) == 1 or own.any()
                      else es for t, es in enumerate(events)]
    busy = np.array([any(e.startswith(("door", "light")) for e in es) for es in events])
    names = []
    for a, there, j, frames in zip(plan.actors, inside, joints, shot.people):
        kinds = edge_kinds([a.kinds[i] for i in shot.picks], there, fps, busy)
        names.append(labels.lies_still(kinds, j, fps))
    pet = np.array([seen[i] for i, k in enumerate(things) if k.kind == "pet"]).reshape(-1, n)
    screen = [i for i, k in enumerate(things) if k.kind == "television"]
    television = (seen[screen[0]] > 2) & things[screen[0]].moving if screen and plan.television else np.zeros(n, bool)
    moving = np.any([(seen[i] > 0) & k.moving for i, k in enumerate(things) if k.kind not in ("pet", "television")] or [np.zeros(n, bool)], 0)
    said = []
    for t in range(n):
        there = [names[k][t] for k in range(len(names)) if inside[k, t]]
        hidden = [names[k][t] for k in range(len(names)) if not inside[k, t] and shot.people[k][t] is not None]
        kind = labels.telling(there, events[t], bool((pet[:, t] > 4).any()), bool(television[t]), bool(moving[t]))
        if not there and any(k not in ("enter", "leave", "walk", "run") for k in hidden) and not events[t]:
            kind = None  # somebody is in the room, but furniture hides them
        if kind in ("nobody", "silence", "television") and pet[:, t].any():
            kind = None  # a scrap of an animal
        said.append(kind)
    out["kinds"] = np.array([KINDS.index(k) if k else -1 for k in said], "i1")
    people = [(a.name, a.body.look, [k if there[t] else None for t, k in enumerate(kinds)], [a.on[i] for i in shot.picks])
              for a, kinds, there in zip(plan.actors, names, inside)]
    scene = [next((e for e in es), k) for es, k in zip(events, said)]
    animals = [(f"pet{i + 1}", f"a {p.pet.coat} {p.pet.kind}", [d if v > 4 else None for d, v in zip(p.doing, pet[i])])
               for i, p in enumerate(plan.pets)]
    out["narrations"] = labels.narrations(people, scene, animals, fps)
    hips = np.full((n, 2), np.nan)
    if len(plan.actors):
        hips[inside[0]] = out["keypoints"][inside[0], 11:13, :2].mean(1)
    out["qa"] = labels.questions([k or "unclear" for k in said], people, hips, light.mean(1), fps)


def make_clip(seed, room, cast, renderer, motions, focus=None, weights=FOCUS):
    """Make the clip of a seed; the renderer must have the room loaded. None if no camera sees it. cast[i]: bodies."""
    rng = np.random.default_rng([seed, 77])
    room.rng = np.random.default_rng([seed, 78])  # so that earlier clips in the room do not matter
    names = list(weights)
    drawn = str(rng.choice(names, p=np.array([weights[k] for k in names]) / sum(weights.values())))
    focus = focus or drawn
    length = float(rng.choice([5, 6, 7] if focus in LONG else [4, 5, 5, 6, 6, 7])) + (focus == "lie_still")
    n = int(length * 5)
    renderer.set_light(room.lights)
    for attempt in range(10):
        plan = Script(cast, room, rng, motions).write(focus)
        if plan is None:
            continue
        shot = Shot.cut(plan, window(plan.kinds(), focus, length, rng), n)
        plan.night = plan.light is None and not plan.television and focus != "television" and rng.random() < .13
        if room.tv and not plan.television and focus not in ("nobody", "silence") and not plan.night:
            plan.television = rng.random() < .3
        views = [str(v) for v in rng.choice(["side", "low", "high", "ceiling"], 3, p=[.52, .2, .2, .08])]
        view = next((v for v in views if aim(room, rng, renderer, [shot], v, focus)), None)
        if view:
            break
    else:
        return None
    movers = int(rng.integers(1, 3)) if focus == "silence" else int(rng.random() < .05)
    flicker = None
    if plan.light is None and rng.random() < (.4 if focus in ("nobody", "silence", "pet") else .12):
        flicker = np.ones((len(shot), 2))
        if rng.random() < .6:  # a cloud before the sun, or its end
            ramp = np.clip((np.arange(len(shot)) - rng.integers(-10, len(shot))) / rng.uniform(12, 40), 0, 1)
            ramp, k = (1 - ramp if rng.random() < .5 else ramp), rng.uniform(.4, .85)
            flicker -= ramp[:, None] * (1 - k) * [.8, 1]
        else:
            flicker += rng.normal(0, rng.uniform(.01, .05), (len(shot), 1))
    out = film(renderer, room, shot, rng, movers, flicker)
    return dict(out, focus=focus, view=view)


def must_see(room, shot, focus):
    """Points one of which the camera has to show for this focus, if any."""
    if focus in ("door_opens", "door_closes"):
        leaf = next(room.leaves[i] for i in shot.plan.angles)
        at = room.wall_point(leaf["wall"], leaf["along"], .12)
        return np.array([[*at, z] for z in (.4, 1., 1.6)])
    if focus == "television":
        return room.tv["centre"][None] + np.array([*room.tv["out"], 0]) * .1
    return None


def behind(shot, eye):
    """Does somebody's own trunk or head hide the hand of a gesture from the camera most of the time?"""
    hidden = []
    for a in shot.plan.actors:
        for i in shot.picks:
            if a.kinds[i] not in ("wave", "point", "clap", "raise_hands"):
                continue
            p = posed(a.body, *a.frames[i][:2])[1]
            hand = max(p[INDEX["rhand"]], p[INDEX["lhand"]], key=lambda h: np.hypot(*(h - p[0])[:2]) + max(0, h[2] - p[1, 2]))
            ray = hand - eye
            far = np.linalg.norm(ray)
            trunk = p[0] + np.linspace(0, 1, 9)[:, None] * (p[2] + [0, 0, .1] - p[0]) - eye
            along = trunk @ ray / far
            beside = np.linalg.norm(trunk - along[:, None] * ray / far, axis=1)
            hidden.append(((beside < .17) & (along < far - .08)).any())
    return bool(hidden) and np.mean(hidden) > .4


def aim(room, rng, renderer, shots, view, focus):
    """Stand a camera, and light the room for it, that sees all shots; False if the one that was found does not."""
    plan = shots[0].plan
    each = [shot.points() for shot in shots]
    points, shown = np.concatenate([p for p, _ in each]), np.concatenate([s for _, s in each])
    target, faces = must_see(room, shots[0], focus), focus in ("wave", "point", "clap", "raise_hands")
    if target is not None:
        out = np.tile(target * [.85, .85, 1], (max(1, len(points) // (2 * len(target))), 1))
        points, shown = np.concatenate([points, out]), np.r_[shown, np.ones(len(out), bool)]
    if not len(points):
        points, shown = np.array([[*room.spot(), .8] for _ in range(6)]), np.ones(6, bool)
    best = choose_camera(room, rng, renderer, points, shown, view, .45 if plan.pets and not plan.actors else .9)
    if best is None or best[0] < .5:
        return False
    _, eye, at, fov = best
    light = room.lights
    if plan.evening:
        light = evening_light(light, room, rng)
    if plan.night:
        light = night_light(light, eye, at, rng)
    if light is not room.lights:
        renderer.set_light(light)
    barrel = rng.uniform(.04, .28) if rng.random() < .3 else 0.
    renderer.set_camera(eye, at, fov, rng.normal(0, .02) if view != "ceiling" else 0, barrel)
    near = renderer.distance < (.9 if plan.actors else 1.4)
    if near.mean() > (.12 if plan.actors else .2) or (renderer.distance > 50).mean() > .05:
        return False
    if target is not None:
        wall = room.tv["wall"] if focus == "television" else next(room.leaves[i] for i in plan.angles)["wall"]
        if room.beyond(wall, eye) or renderer.visible(target).sum() < min(2, len(target)):
            return False
    if len(plan.actors) > 1 and np.hypot(*(points[shown, :2] - eye[:2]).T).min() < 1.6:
        return False  # one would hide the others
    for leaf in room.leaves:  # no open door right before the camera
        if leaf and not room.beyond(leaf["wall"], eye) and np.hypot(*(leaf["hinge"] - eye[:2])) < 1.5:
            return False
    if faces and renderer.visible(points[shown] + [0, 0, .62]).mean() < .7:
        return False
    if shown.any() and renderer.visible(points[shown] + [0, 0, .25 if plan.actors else 0.]).mean() < .5:
        return False
    if any(behind(shot, eye) for shot in shots):
        return False
    for shot, (points, shown) in zip(shots, each):
        for a in range(len(shot.plan.actors)):  # nobody is to be out of sight all the time
            own = slice(a * len(shot), (a + 1) * len(shot))
            if shown[own].any() and renderer.visible(points[own][shown[own]] + [0, 0, .25]).mean() < .3:
                return False
    return True


def save(path, clip, meta):
    """Write the .npz of the training format under a temporary name, then rename. Small fields are compressed."""
    mask = clip["mask"]
    temporary = path[:-4] + ".part"
    arrays = dict(frames=clip["frames"], mask_bits=np.packbits(mask), mask_shape=np.array(mask.shape, "i8"),
                  keypoints=clip["keypoints"], background=clip["background"], kind=clip["kinds"],
                  meta=np.array(json.dumps(dict(clip.get("extra", {}), **meta))))
    arrays.update({k: clip[k] for k in ("depth", "flow", "people") if k in clip})
    arrays.update({k: np.array(json.dumps(clip[k])) for k in ("narrations", "qa") if k in clip})
    with zipfile.ZipFile(temporary, "w") as z:
        for name, a in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(a, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(name + ".npy")  # a fixed date: the same clip is the same file
            packed = name in ("depth", "flow", "narrations", "qa", "people", "mask_bits")
            info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            z.writestr(info, buffer.getvalue(), compresslevel=1)
    os.rename(temporary, path)
