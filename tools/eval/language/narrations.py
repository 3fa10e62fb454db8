"""How often the program speaks, and how well, at each verbosity: real and rendered clips joined to days.

A day shows the clips of one person's recordings, or rendered ones, of one picture size in an order of its own, and after each of them
its last picture for PAUSE_S, as a camera shows a room in which nothing more happens. The labels are those of the clips; a
pause has none.

- event recall at 1 s, and of what: as in score.py, on the five kinds that the real clips' tables name; `recall_quiet` on those
  that quiet promises (who is there, lies, falls), labels by table and by eye.
- precision: a narration is right as in score.py; those in pauses and where nothing is labelled do not count. One that is `still` so
  is right where its kind is labelled when it is told.
- repeated: narrations whose text is that of the narration before them at this camera, told within REPEAT_S of it, whatever
  relation they have. Nothing else was told between.
- an hour: of day, pauses included.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import clips
import evaluate as ev
import numpy as np
import score
import speak as sp
import words
from ocelli import Ocelli, Untested, fair, held_out, with_thresholds

LEVELS = ("quiet", "normal", "full")
PAUSE_S, REPEAT_S = 20, 300
QUIET = (*words.WHO, "lie", "lie_still", "fall")


def days(some, folder, seed=0, pause_s=None):
    """Clips -> [(a Clip a picture size, the first picture of each of its clips)], whose video is written into `folder`."""
    rng, sizes = np.random.default_rng(seed), {}
    for clip in some:
        sizes.setdefault(clip.frames().shape[1:3], []).append(clip)
    out = []
    for size, theirs in sizes.items():
        frames, kind, table, starts = [], [], [], []
        for clip in (theirs[i] for i in rng.permutation(len(theirs))):
            pictures, pause = clip.frames(), np.full((PAUSE_S if pause_s is None else pause_s) * clips.FPS, -1)
            starts.append(sum(map(len, frames)))
            frames += [pictures, np.repeat(pictures[-1:], len(pause), 0)]
            kind += [clip.kind, pause]
            table += [clip.table, pause]
        kind, table = np.concatenate(kind), np.concatenate(table)
        name, times = f"{theirs[0].person}-{size[1]}x{size[0]}", np.arange(len(kind)) / clips.FPS
        where = {"labels": folder / name, "video": folder / f"{name}.mp4"}
        day = replace(theirs[0], name=name, group=name, times=times, kind=kind, table=table, **where)
        clips.write(day.video, np.concatenate(frames))
        out.append((day, starts))
    return out


def repeated(said):
    """How many narrations say what the one before them said, within REPEAT_S."""
    told, texts = 0, [s for s in said if s.what == "narration"]
    for before, s in zip(texts, texts[1:]):
        told += s.entry == before.entry and (s.end_us - before.end_us) / 1e6 <= REPEAT_S
    return told


def right(day, said):
    """(right, judged) narrations."""
    news = [s for s in said if s.relation != "still"]
    hits, total, _ = ev.matched(day, news)
    for s in (s for s in said if s.relation == "still"):
        kind = day.kind[min(int(np.searchsorted(day.times, s.end_us / 1e6 - 1e-3)), len(day.kind) - 1)]
        total += kind >= 0
        hits += kind >= 0 and words.KINDS[kind] == s.kind
    return hits, total


def delays(day, said):
    """Seconds from a labelled start to when it was told, of each recalled event of the five kinds."""
    out, open_ = [], [s for s in said if s.what == "narration"]
    for kind, start_s in score.changes(day.times, day.table):
        near = [s for s in open_ if s.kind == kind and abs(s.start_us / 1e6 - start_s) <= score.NEAR_S + 1e-6]
        if near:
            open_.remove(near[0])
            out.append(near[0].end_us / 1e6 - start_s)
    return out


def figures(told):
    """[(day, said)] of a level -> its figures."""
    hours = sum(day.seconds for day, _ in told) / 3600
    total = lambda pairs: np.array(pairs).sum(0)  # noqa: E731
    hits, wanted = total([score.recalled(score.changes(day.times, day.table), said) for day, said in told])
    quiet_hits, quiet_wanted = total([score.recalled(score.changes(day.times, day.kind, QUIET), said) for day, said in told])
    correct, judged = total([right(day, said) for day, said in told])
    count = sum(s.what == "narration" for _, said in told for s in said)
    late = [d for day, said in told for d in delays(day, said)]
    relations = [s.relation for _, said in told for s in said if s.relation]
    return {
        "hours": round(hours, 3), "narrations": count, "per_hour": round(count / hours, 1),
        "recall": ev.ratio(hits, wanted), "events": int(wanted),
        "recall_quiet": ev.ratio(quiet_hits, quiet_wanted), "events_quiet": int(quiet_wanted),
        "precision": ev.ratio(correct, judged), "judged": int(judged),
        "repeated_share": round(sum(repeated(said) for _, said in told) / max(count, 1), 4),
        "delay_s": round(float(np.median(late)), 2) if late else None,
        "relations": {r: relations.count(r) for r in ("still", "again", "also")},
    }  # fmt: skip


def sets(tools, pause_s=None, rendered=None):
    """{name: [(pack folder, day, its clips' first pictures)]}"""
    thresholds, out = held_out(tools.pack), {"real": [], "rendered": []}
    root = Path(__file__).parents[3] / "data"
    labels = root / "real"
    for name in clips.subjects(labels) if labels.is_dir() and tools.data.is_dir() else ():
        person = clips.real(labels, tools.data, name)
        option = fair(thresholds, person)
        pack = with_thresholds(tools.pack, option, tools.work / f"pack-{option['name']}")
        out["real"] += [(pack, *day) for day in days(person, tools.work, pause_s=pause_s)]
    val = root / "scenes/val"
    if val.is_dir():
        scenes = [replace(c, person="rendered") for c in clips.scenes(val, 12 if tools.quick else rendered)]
        out["rendered"] += [(tools.pack, *day) for day in days(scenes, tools.work, pause_s=pause_s)]
    return {name: those for name, those in out.items() if those}


def measure(tools):
    of = sets(tools)
    if not of:
        raise Untested("there are neither real clips (data/real, ../shared/data) nor rendered ones (data/scenes/val)")
    out = {}
    for name, those in of.items():
        out[name] = {}
        for level in LEVELS:
            told = []
            for pack, day, _ in those:
                system = Ocelli(tools.program, pack, tools.work / "traces", ("--verbosity", level))
                told.append((day, system.answer(day).said))
            out[name][level] = figures(told)
    per_hour = lambda level: sum(f[level]["narrations"] for f in out.values()) / sum(f[level]["hours"] for f in out.values())  # noqa: E731
    of_normal = [f["normal"] for f in out.values()]
    repeats = sum(f["repeated_share"] * f["narrations"] for f in of_normal) / max(sum(f["narrations"] for f in of_normal), 1)
    return {
        "repeated_share": round(repeats, 4),
        "narrations_per_hour": {level: round(per_hour(level), 1) for level in LEVELS},
        "narrations": out,
    }


def tell(figures):
    shown = lambda value: "-" if value is None else f"{value:.2f}"  # noqa: E731
    lines = [f"{'set':<9} {'verbosity':<9} {'an hour':>7} {'recall':>12} {'of quiet':>12} {'precision':>12} {'repeated':>8} {'delay':>5}  relations"]
    for name, levels in figures["narrations"].items():
        for level, f in levels.items():
            each = [f"{shown(f[k])} ({f[n]})" for k, n in (("recall", "events"), ("recall_quiet", "events_quiet"), ("precision", "judged"))]
            rest = f"{f['repeated_share']:>8.1%} {shown(f['delay_s']):>5}  {f['relations']}"
            lines.append(f"{name:<9} {level:<9} {f['per_hour']:>7} " + " ".join(f"{e:>12}" for e in each) + " " + rest)
    lines.append(f"repeated at normal: {figures['repeated_share']:.2%}")
    return "\n".join(lines)
