"""What a story is about: which things lie on the table for a focus, and in what order they are used."""
import numpy as np

from hands import turn, unit
from wares import (
    FOODS, Thing, lathe, make_board, make_bottle, make_bowl, make_box, make_carton, make_cup, make_food,
    make_glass, make_jar, make_jug, make_knife, make_lidded_pot, make_plate, make_pot, make_spoon, tint, vessel)


FOCUS = dict(pour=.15, stir=.16, cut=.2, open=.14, close=.13, drink=.12, move=.1)
MAKERS = dict(cup=make_cup, glass=make_glass, bottle=make_bottle, carton=make_carton, jug=make_jug, bowl=make_bowl, pot=make_pot)


def lay(story, focus, rng):
    """Things for a focus on the table: dict of roles; None where they do not fit."""
    st = story.stage
    main = 1 if story.main == "l" else -1
    taken, roles = story.taken, {}
    edge = st.edge
    tall = 0 if st.seated else -.05

    def put(thing, side, turned=None, near=None):
        """Find a place: side 0 in front, 1 at the working hand, -1 at the other."""
        for _ in range(40):
            if near is not None:
                a, b = near
            elif side == 0:
                a, b = rng.uniform(-.09, .09), edge + rng.uniform(.14, .27) + tall
            else:
                a, b = main * side * rng.uniform(.13, .36), edge + rng.uniform(.09, .36) + tall * .5
            r = thing.radius
            b = max(b, edge + r + .03)
            if thing.name in ("knife", "spoon"):
                r = .05
            if not st.on_top(a, b, min(r, .14)):
                continue
            if any(np.hypot(a - x, b - y) < r + q + .03 for x, y, q in taken):
                continue
            point = st.at(a, b, thing.lying or 0)
            hand = "l" if a > 0 else "r"
            if abs(a) < .1:
                hand = story.main
            d = point - story.shoulder[hand]
            if np.linalg.norm(d) > st.reach + .2:
                continue
            taken.append((a, b, r))
            thing.r = frame_of(thing, point) if turned is None else turned(point)
            thing.p = point
            story.things.append(thing)
            thing.where = "table"
            return True
        return False

    def frame_of(thing, point):
        yaw = rng.uniform(-.25, .25)
        if thing.name == "box":
            f = story.azimuth("l", point, 0) * .3 + st.ahead
            y = unit(np.array([f[0], f[1], 0.]))
            return turn((0, 0, 1), yaw * .5) @ np.stack([np.cross(y, st.up), y, st.up], 1)
        if thing.name in ("knife", "spoon"):
            side = story.main
            x = unit(st.ahead * rng.uniform(.4, 1) + st.inward[side] * rng.uniform(.5, 1.))
            if thing.name == "knife":  # flat on its side
                return np.stack([x, st.up, np.cross(x, st.up)], 1)
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        if thing.grip["kind"] == "handle":
            n = story.side_frame(story.main, point)[:, 1]
            return np.stack([-n, np.cross(st.up, -n), st.up], 1)
        if thing.name == "cup":  # the handle away from the fingers
            n = story.side_frame(story.main, point)[:, 0]
            x = turn((0, 0, 1), rng.uniform(-.5, .5)) @ -n
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        if thing.name == "pan":  # the handle to the other side
            x = unit(st.inward[story.main] * 1. - st.ahead * rng.uniform(.2, 1.))
            return np.stack([x, np.cross(st.up, x), st.up], 1)
        return turn((0, 0, 1), rng.uniform(-np.pi, np.pi))

    drink = str(rng.choice(["water", "milk", "juice", "coffee", "tea", "cola"]))
    if focus == "pour":
        source = str(rng.choice(["bottle", "carton", "jug"]))
        thing = MAKERS[source](rng, drink, .8)
        goal = str(rng.choice(["cup", "glass", "bowl", "pot"], p=[.35, .35, .18, .12]))
        target = MAKERS[goal](rng, drink, float(rng.choice([0, 0, .15])))
        if not (put(target, 0) and put(thing, 1)):
            return None
        roles.update(source=thing, target=target)
    elif focus == "stir":
        pan = rng.random() < .25
        vessel = make_pot(rng, "soup", rng.uniform(.3, .6), pan) if rng.random() < .55 else make_bowl(rng, str(rng.choice(["soup", "batter", "milk"])), rng.uniform(.3, .6))
        add_bits(vessel, rng)
        if not (put(vessel, 0) and put(make_spoon(rng), 1)):
            return None
        roles.update(spoon=story.things[-1], vessel=vessel)
    elif focus == "cut":
        board, food, knife = make_board(rng), make_food(rng, str(rng.choice(list(FOODS)))), make_knife(rng)
        x = unit(-st.inward[story.main])
        square = np.stack([x, np.cross(st.up, x), st.up], 1)
        slight = turn((0, 0, 1), rng.uniform(-.15, .15))
        if not put(board, 0, lambda p: slight @ square):
            return None
        food.r, food.p = slight @ square, board.point((rng.uniform(-.03, .0), rng.uniform(-.03, .03), board.height))
        food.where = "board"
        food.board_edge = board.radius - (food.p - board.p) @ food.r[:, 0]
        food.board_height, food.lift = board.height, [0.] * len(food.cuts)
        story.things.append(food)
        if not put(knife, 1):
            return None
        roles.update(board=board, food=food, knife=knife)
    elif focus in ("open", "close"):
        thing = [make_jar, make_lidded_pot, make_box][rng.choice(3, p=[.4, .25, .35])](rng)
        if not put(thing, 0 if thing.opening != "hinge" or rng.random() < .6 else float(rng.choice([-1, 1]))):
            return None
        thing.is_open = False
        if thing.opening != "hinge":
            probe = Thing("lid", [], max(thing.lid_r, .03) if thing.opening == "twist" else thing.radius, .02, dict(kind="none"))
            if not put(probe, 1):
                return None
            story.things.pop()
            thing.lid_place = probe.p + [0, 0, thing.lid_rest]
            thing.part_p[thing.lid] = np.array(thing.shut, float)
        if focus == "close":
            thing.is_open = True
            if thing.opening == "hinge":
                thing.part_m[1] = turn((1, 0, 0), -rng.uniform(1.8, 2.05))
            else:
                thing.part_p[thing.lid] = thing.r.T @ (thing.lid_place - thing.p)
        roles.update(vessel=thing)
    # Things to drink from and to move, in most scenes.
    if focus == "drink" or (rng.random() < .35 and focus != "pour"):
        cup = (make_cup if rng.random() < .55 else make_glass)(rng, drink, rng.uniform(.4, .85))
        if put(cup, 1 if focus == "drink" else float(rng.choice([-1, 1]))):
            roles["cup"] = cup
        elif focus == "drink":
            return None
    if focus == "move" or rng.random() < .5:
        names = ["bottle", "carton", "jar", "glass", "cup", "jug"]
        name = str(rng.choice([n for n in names if all(t.name != n for t in story.things)]))
        thing = make_jar(rng) if name == "jar" else MAKERS[name](rng, drink, .7)
        if thing.name == "jar":
            thing.is_open, thing.lid_place = False, None
            thing.part_p[1] = np.array(thing.shut, float)
        if put(thing, float(rng.choice([-1, 1]))):
            roles["thing"] = thing
        elif focus == "move":
            return None
    if rng.random() < .35 and put(make_plate(rng), float(rng.choice([-1, 1, 1]))):
        pass
    return roles


def add_bits(vessel, rng):
    """A few lumps that swim in a vessel and go round when it is stirred."""
    colour = tint(rng, .2, .9)
    z = vessel.surface() + .001
    vessel.bits = []
    for _ in range(int(rng.integers(4, 9))):
        s = rng.uniform(.006, .013)
        vessel.meshes.append(lathe([(0, 0), (s, 0), (s * .6, s * .5), (0, s * .6)], [np.clip(colour * rng.uniform(.8, 1.2), 0, 1)], k=6))
        a, d = rng.uniform(0, 6.28), rng.uniform(.2, .9) * (vessel.liquid[4] * .7)
        vessel.bits.append(len(vessel.part_m))
        vessel.part_m.append(np.eye(3))
        vessel.part_p.append(np.array([np.cos(a) * d, np.sin(a) * d, z]))


def free_place(story, thing, rng):
    """A place for a thing to be moved to."""
    st = story.stage
    for _ in range(40):
        a, b = rng.uniform(-.36, .36), st.edge + rng.uniform(.12, .36)
        p = st.at(a, b)
        if st.on_top(a, b, thing.radius) and .1 < np.linalg.norm(p - thing.p) < .45 and not any(
                np.hypot(a - x, b - y) < thing.radius + q + .03 for x, y, q in story.taken) and min(
                np.linalg.norm(p - story.shoulder[s]) for s in "lr") < st.reach + .16:
            return p
    return None


def tell(story, roles, focus, rng):
    """Chain the actions: 2 to 5 with pauses, the focus among them."""
    def extra():
        choices = []
        if "thing" in roles:
            choices.append("move")
        if "cup" in roles and focus != "drink":
            choices.append("drink")
        if not choices:
            return
        if rng.choice(choices) == "move":
            place = free_place(story, roles["thing"], rng)
            if place is not None:
                story.taken.append((*story.stage.of(place), roles["thing"].radius))
                story.move_thing(roles["thing"], place)
        else:
            story.drink(roles["cup"])
        story.pause()
    if rng.random() < .5:
        story.enter()
    story.pause()
    if focus != "move" and rng.random() < .3:
        extra()
    if focus == "pour":
        story.pour(roles["source"], roles["target"])
        if rng.random() < .45 and roles["target"].name in ("cup", "glass"):
            story.pause()
            story.drink(roles["target"])
    elif focus == "stir":
        story.stir(roles["spoon"], roles["vessel"])
    elif focus == "cut":
        story.slice_up(roles["knife"], roles["food"], roles["board"])
    elif focus in ("open", "close"):
        story.open_up(roles["vessel"], focus == "close")
        if rng.random() < .5:
            story.pause(.4, 1.2)
            story.open_up(roles["vessel"], focus != "close")
    elif focus == "drink":
        story.drink(roles["cup"])
    else:
        extra()
    story.pause()
    if focus == "move" or rng.random() < .4:
        extra()
    if rng.random() < .4:
        story.leave()


