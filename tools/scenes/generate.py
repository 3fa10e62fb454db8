"""Render clips of synthetic home scenes with exact labels: seeds FIRST.. to OUT/<split>/<seed>.npz.

Resumable: files that exist are skipped. The same seed gives the same file, whatever else is rendered.
`--split probes` renders sets of clips that differ in one thing only, see probes.py; `--split cameras` ten recordings each of
cameras that stand still, COUNT cameras in rooms of their own, see cameras.py.
"""
import argparse
import multiprocessing
import os
import time

os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

import table
from body import Body, random_look
from cameras import make_camera
from clip import FOCUS, KINDS, make_clip, save
from hands import Worker
from probes import make_set
from render import Renderer
from room import Library, Room

SETS = dict(probes=make_set, cameras=make_camera)  # splits of which a seed makes several clips
HOME = 6  # successive seeds in which the same people live; pairs of them share their main person, each has its own room
HEIGHTS = {168: .5, 126: .3, 224: .2}  # of pictures 224 wide: 4:3, 16:9, square


class Cast:
    """Bodies by number: 0 the main person of a seed, then those of the home's other seeds."""

    def __init__(self, seed, bodies):
        own, first = seed // 2, seed // HOME * HOME // 2
        self.ids = [own] + [i for i in range(first, first + HOME // 2) if i != own]
        self.bodies = bodies

    def __getitem__(self, k):
        i = self.ids[k]
        if i not in self.bodies:
            self.bodies[i] = Body(**random_look(np.random.default_rng([i, 2])))
        return self.bodies[i]


class Studio:
    """What one process needs: models, renderers, and the room it is in."""

    def __init__(self, assets):
        self.library, self.motions = Library(assets), assets + "/motions"
        self.renderers, self.furnished, self.home, self.bodies = {}, None, None, {}
        self.worker = None, None  # the person at a table: number and body

    def enter(self, seed):
        """Furnish the room of a seed, unless this process is in it."""
        if seed == self.furnished:
            return
        self.furnished = seed
        rng = np.random.default_rng([seed, 1])
        self.room = Room(self.library, rng)
        h = int(rng.choice(list(HEIGHTS), p=list(HEIGHTS.values())))
        if h not in self.renderers:
            self.renderers[h] = Renderer(224, h)
        self.renderer = self.renderers[h]
        self.renderer.load_room(*self.room.geometry(), self.room.lights)

    def cast(self, seed):
        if seed // HOME != self.home:
            self.home, self.bodies = seed // HOME, {}
        return Cast(seed, self.bodies)

    def clip(self, seed, weights=FOCUS):
        if table.draws(seed // HOME, weights, FOCUS):
            return self.table_clip(seed, weights)
        weights = {k: w for k, w in weights.items() if k in FOCUS}
        self.enter(seed)
        return make_clip(seed, self.room, self.cast(seed), self.renderer, self.motions, weights=weights)

    def table_clip(self, seed, weights):
        """A clip at a table; its room is its own, so the next one has to be furnished again."""
        self.furnished = None
        h = int(np.random.default_rng([seed // HOME, 3]).choice(list(HEIGHTS), p=list(HEIGHTS.values())))
        if h not in self.renderers:
            self.renderers[h] = Renderer(224, h)
        if self.worker[0] != seed // 2:
            self.worker = seed // 2, Worker(**random_look(np.random.default_rng([seed // 2, 2])))
        return table.make(seed, self.library, self.worker[1], self.renderers[h], weights)


studio = None  # of a worker


def begin(assets):
    global studio
    studio = Studio(assets)


def work(task):
    """Render some seeds of one home; [(seed, kinds or a word of what went wrong)]."""
    seeds, folder, split, weights = task
    done = []
    for seed in seeds:
        try:
            if split in SETS:
                kinds = []
                for name, clip in SETS[split](seed, studio):
                    save(f"{folder}/{name}.npz", clip, meta(seed, split, clip, name))
                    kinds.append(clip["kinds"])
                done.append((seed, np.concatenate(kinds) if kinds else "not seen"))
                continue
            clip = studio.clip(seed, weights)
            if clip is not None:
                save(f"{folder}/{seed:06d}.npz", clip, meta(seed, split, clip, f"{seed:06d}"))
            done.append((seed, "not seen" if clip is None else clip["kinds"]))
        except Exception as e:  # one bad room must not stop a long run
            done.append((seed, repr(e)))
    return done


def meta(seed, split, clip, name):
    return dict(source="scenes", person=f"body{seed // 2}", scene=f"room{seed}", view=clip["view"], clip=name,
                split_hint=split, focus=clip["focus"])


def weights_of(text):
    """`fall,run=2` -> {fall: 1, run: 2}; nothing = all kinds with their usual weights."""
    if not text:
        return FOCUS
    pairs = [p.split("=") for p in text.split(",")]
    known = [*FOCUS, *table.FOCUS]
    unknown = {p[0] for p in pairs} - set(known)
    if unknown:
        raise SystemExit(f"no such focus: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return {p[0]: float(p[1]) if len(p) > 1 else 1. for p in pairs}


def tasks(a, folder):
    """Seeds to do, by home, so that its people are made once."""
    homes = {}
    step = HOME if a.split == "cameras" else 1
    for seed in range(a.first, a.first + a.count * step, step):
        ready = f"{folder}/{seed:06d}-0.npz" if a.split in SETS else f"{folder}/{seed:06d}.npz"
        if not os.path.exists(ready):
            homes.setdefault(seed // HOME, []).append(seed)
    return [(seeds, folder, a.split, weights_of(a.focus)) for seeds in homes.values()]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default="data/scenes")
    p.add_argument("--assets", default="data/scenes/assets")
    p.add_argument("--split", default="train")
    p.add_argument("--first", type=int, default=0, help="first seed; 1000000 for val")
    p.add_argument("--count", type=int, default=150)
    p.add_argument("--focus", default="", help="kinds to choose from, with weights: fall=2,run,wave")
    p.add_argument("--jobs", type=int, default=1, help="processes")
    p.add_argument("--until", default="", help="stop at this local time, HH:MM")
    a = p.parse_args()
    folder = f"{a.out}/{a.split}"
    os.makedirs(folder, exist_ok=True)
    todo = tasks(a, folder)
    total, begun, printed = sum(len(t[0]) for t in todo), time.time(), time.time()
    seen = made = frames = 0
    counts = np.zeros(len(KINDS), int)
    pool = multiprocessing.get_context("spawn").Pool(a.jobs, begin, (a.assets,)) if a.jobs > 1 else None
    if pool is None:
        begin(a.assets)
    for done in pool.imap_unordered(work, todo) if pool else map(work, todo):
        for seed, kinds in done:
            seen += 1
            if isinstance(kinds, str):
                kinds != "not seen" and print("seed", seed, "failed:", kinds, flush=True)
                continue
            made, frames = made + 1, frames + len(kinds)
            counts += np.bincount(kinds[kinds >= 0], minlength=len(KINDS))
        if time.time() - printed > 20 or seen == total:
            printed, spent = time.time(), time.time() - begun
            share = " ".join(f"{n} {c / max(1, counts.sum()):.3f}" for n, c in zip(KINDS, counts) if c)
            print(f"{time.strftime('%H:%M:%S')} seeds {seen}/{total} clips {made} frames {frames} {frames / spent:.1f} frames/s "
                  f"eta {(total - seen) * spent / seen / 60:.0f} min | {share}", flush=True)
        if a.until and time.strftime("%H:%M") >= a.until:
            break
    if pool:
        pool.terminate()
    print(f"done: {made} clips, {frames} frames, {time.time() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
