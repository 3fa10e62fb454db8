"""What the two settings for a camera that does not stand are worth, each with and without.

`scene_changes`: days in which one clip follows the other at once, as where a camera shows one place after the other (`views`), and the days of
narrations.py, whose camera stands (`fixed`). Figures are those of narrations.py at the verbosity `normal`; of views each clip is judged by
itself, so that what goes on in one as it did in the one before is to be told again.

`motion_compensation`: windows that pan and tilt over real clips, as in camera.py, and stand for AFTER_S. `kept`: the share of all patches that
were kept, while it stands, too. `narrations`: how many were told, and in brackets how many of these also are where the window stands at
the place where it ends from the beginning. `same`: in the pictures from SETTLED_S on after it moved, in how many the most probable kind is
the one there, of a memory that has seen nothing else.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import camera
import clips
import narrations
import numpy as np
from ocelli import Ocelli, Untested

SETTLED_S, AFTER_S = 1.0, 6.0
RENDERED = 48  # clips
WAYS = ("pan_left", "pan_right", "tilt_up", "tilt_down")


def config(tools, setting):
    """A config file that switches one on, or none."""
    path = tools.work / f"{setting or 'default'}.toml"
    path.write_text(f"[camera]\n{setting} = true\n" if setting else "")
    return path


def apart(day, starts, said):
    """A day and what was said of it -> [(a clip of it, what was said while it was shown)]."""
    out = []
    for a, b in zip(starts, [*starts[1:], len(day.times)]):
        clip = replace(day, times=day.times[a:b], kind=day.kind[a:b], table=day.table[a:b])
        until = day.times[b] if b < len(day.times) else np.inf
        out.append((clip, [s for s in said if day.times[a] <= s.end_us / 1e6 + 1e-3 < until]))
    return out


def scene_changes(tools):
    """{set: {"off" | "on": figures}}"""
    out = {}
    for kind, pause_s in (("views", 0), ("fixed", narrations.PAUSE_S)):
        for name, those in narrations.sets(tools, pause_s, RENDERED).items():
            of = out[f"{name}, {kind}"] = {}
            for switch, setting in (("off", None), ("on", "scene_changes")):
                told, repeats = [], 0
                for pack, day, starts in those:
                    system = Ocelli(tools.program, pack, tools.work / "traces", ("--config", config(tools, setting)))
                    said = system.answer(day).said
                    told += apart(day, starts, said) if kind == "views" else [(day, said)]
                    repeats += narrations.repeated(said)
                figures = narrations.figures(told)
                of[switch] = figures | {"repeated_share": round(repeats / max(figures["narrations"], 1), 4)}
    return out


def watched(tools, frames, setting=None):
    """(texts that were told, the most probable kind of each picture, percent of patches kept)"""
    video, trace = tools.work / "moved.mp4", tools.work / "trace.jsonl"
    clips.write(video, frames)
    command = [tools.program, "replay", video, "--json", "--pack", tools.pack, "--trace", trace, "--config", config(tools, setting)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    told = [e["text"] for e in map(json.loads, ran.stdout.splitlines()) if e["type"] == "narration"]
    kinds = [json.loads(line)["kinds"] for line in trace.read_text().splitlines()]
    return told, [max(each, key=each.get) for each in kinds], float(re.search(r"(\d+)% of patches kept", ran.stderr)[1])


def motion_compensation(tools):
    """{px a picture: {"off" | "on": figures}}"""
    out, sources = {}, [camera.pictures(v) for v in sorted(tools.data.glob("gmdcsa24/*/*/*.mp4"))[:: 8 if tools.quick else 5]]
    for speed in camera.SPEEDS if sources else ():
        rows = {switch: [] for switch in ("off", "on")}
        for source in sources:
            for name in WAYS:
                way = camera.path(name, speed)
                moving = len(way) - camera.STILL
                way = way[:moving] + [way[-1]] * round(AFTER_S * clips.FPS)
                show = lambda way: np.stack([camera.window(source[t % len(source)], *at) for t, at in enumerate(way)])  # noqa: B023,E731
                frames, settled = show(way), moving + round(SETTLED_S * clips.FPS)
                there, kinds, _ = watched(tools, show([way[-1]] * len(way)))
                for switch, setting in (("off", None), ("on", "motion_compensation")):
                    told, each, kept = watched(tools, frames, setting)
                    same = [a == b for a, b in zip(each[settled:], kinds[settled:])]
                    rows[switch].append((kept, len(told), sum(t in there for t in told), sum(same), len(same)))
        sums = {switch: np.array(each).sum(0) for switch, each in rows.items()}
        out[str(speed)] = {
            switch: {
                "kept": round(kept / len(rows[switch]) / 100, 3), "narrations": int(told), "there_too": int(too),
                "same": round(same / count, 3), "pictures": int(count),
            }
            for switch, (kept, told, too, same, count) in sums.items()
        }  # fmt: skip
    return out


def measure(tools):
    out = {"scene_changes": scene_changes(tools), "motion_compensation": motion_compensation(tools)}
    if not any(out.values()):
        raise Untested("there are neither real clips (data/real, ../shared/data) nor rendered ones (data/scenes/val)")
    return out


def tell(figures):
    shown = lambda value: "-" if value is None else f"{value:.2f}"  # noqa: E731
    lines = [f"{'scene_changes':<17} {'':<3} {'an hour':>7} {'recall':>12} {'precision':>12} {'repeated':>8} {'delay':>5}"]
    for name, of in figures["scene_changes"].items():
        for switch, f in of.items():
            each = [f"{shown(f[k])} ({f[n]})" for k, n in (("recall", "events"), ("precision", "judged"))]
            lines.append(f"{name:<17} {switch:<3} {f['per_hour']:>7} {each[0]:>12} {each[1]:>12} {f['repeated_share']:>8.1%} {shown(f['delay_s']):>5}")
    lines.append(f"{'px a picture':<17} {'':<3} {'kept':>7} {'narrations':>12} {'same':>12}")
    for speed, of in figures["motion_compensation"].items():
        for switch, f in of.items():
            told = f"{f['narrations']} ({f['there_too']})"
            lines.append(f"{speed:<17} {switch:<3} {f['kept']:>7.1%} {told:>12} {shown(f['same']) + ' (' + str(f['pictures']) + ')':>12}")
    return "\n".join(lines)
