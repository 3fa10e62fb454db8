"""Render clips of synthetic home scenes with exact labels: seeds FIRST.. to OUT/<split>/<seed>.npz.

Resumable: files that exist are skipped. The same seed gives the same room, person and script.
"""
import argparse
import os
import time

os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

from body import Body, random_look
from clip import KINDS, make_clip, save
from render import Renderer
from room import Library, Room

PER_ROOM = 6  # successive seeds that share a room; pairs of them share a person


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default="data/scenes")
    p.add_argument("--assets", default="data/scenes/assets")
    p.add_argument("--split", default="train")
    p.add_argument("--first", type=int, default=0, help="first seed; 1000000 for val")
    p.add_argument("--count", type=int, default=150)
    p.add_argument("--until", default="", help="stop at this local time, HH:MM")
    a = p.parse_args()
    folder = f"{a.out}/{a.split}"
    os.makedirs(folder, exist_ok=True)
    library = Library(a.assets)
    renderers = {h: Renderer(224, h) for h in (168, 126)}
    begin, frames, made, counts = time.time(), 0, 0, np.zeros(len(KINDS), int)
    room = room_id = body = body_id = renderer = None
    for seed in range(a.first, a.first + a.count):
        path = f"{folder}/{seed:06d}.npz"
        if os.path.exists(path):
            continue
        if a.until and time.strftime("%H:%M") >= a.until:
            break
        if room_id != seed // PER_ROOM:
            room_id = seed // PER_ROOM
            rng = np.random.default_rng([room_id, 1])
            room = Room(library, rng)
            renderer = renderers[int(rng.choice([168, 126], p=[.6, .4]))]
            renderer.load_room(*room.geometry(), room.lights)
        if body_id != seed // 2:
            body_id = seed // 2
            body = Body(**random_look(np.random.default_rng([body_id, 2])))
        try:
            clip = make_clip(seed, room, body, renderer, a.assets + "/motions")
        except Exception as e:  # one bad room must not stop a long run
            print("seed", seed, "failed:", repr(e), flush=True)
            continue
        if clip is None:
            continue
        save(path, clip, dict(source="scenes", person=f"body{body_id}", scene=f"room{room_id}", view=clip["view"],
                              clip=f"{seed:06d}", split_hint=a.split, focus=clip["focus"]))
        made, frames = made + 1, frames + len(clip["kinds"])
        k = clip["kinds"]
        counts += np.bincount(k[k >= 0], minlength=len(KINDS))
        if made % 20 == 0:
            share = " ".join(f"{n} {c / max(1, counts.sum()):.3f}" for n, c in zip(KINDS, counts))
            print(f"{time.strftime('%H:%M:%S')} seed {seed} clips {made} frames {frames} "
                  f"{frames / (time.time() - begin):.1f} frames/s | {share}", flush=True)
    print(f"done: {made} clips, {frames} frames, {time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
