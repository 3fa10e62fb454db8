"""Whether the memory's tiers can answer what the journal cannot: a kind that was not told in a time, of which the tiers recall a moment there
(a search in windows with a check of confidence; TimeSearch, 2025).

Clips joined to days, as in narrations.py with short pauses. A question is of a clip's time in its day and a kind that is labelled in some clip:
did it happen then? Asked are those where nothing of that kind was told in that time. The answer is the most probable moment of that kind within
the time, if it is as probable as the floor; it is right where the kind is labelled within NEAR_S of it. The floor is the lowest that is right
in WANTED of the answers on one half of the clips; figures are of the other half.

What `ocelli ask` names beside an answer (moments that are as probable as their kind must be to be told) is counted apart, where all is told
and where only that is which the verbosity `quiet` tells.
"""

import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "train")]

import clips
import narrations
import numpy as np
import words

NEAR_S, WANTED, LEAST = 2.0, 0.9, 10
FLOORS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SCENES = 24


def spans(day):
    """[(first, end)] of the frames of each clip in a day: what lies between pauses, which no label has."""
    inside = np.flatnonzero(np.diff(np.concatenate([[0], (day.kind >= 0).astype(int), [0]])))
    return list(zip(inside[::2], inside[1::2]))


def questions(day, recalled, quiet=False, least=lambda kind: 0.0):
    """(probability of the best moment, whether it is right, whether the kind was there at all) of each question that no narration answers; of
    moments that are `least` so probable, and `quiet` with what that tells alone."""
    out = []
    all_told = [t for t in recalled["told"] if not quiet or t["kind"] in narrations.QUIET]
    kinds = {words.KINDS[k] for k in day.kind if k >= 0} - {"silence"}
    for first, end in spans(day):
        start_s, end_s = day.times[first], day.times[end - 1]
        within = lambda e, a, b: e[a] <= end_s and e[b] >= start_s  # noqa: E731
        for kind in sorted(kinds):
            if any(t["kind"] == kind and within(t, "start_s", "end_s") for t in all_told):
                continue
            sure = (m for m in recalled["moments"] if m["kind"] == kind and m["probability"] >= least(kind))
            moments = [m for m in sure if within(m, "at_s", "at_s")]
            labelled = day.times[first:end][day.kind[first:end] == words.KINDS.index(kind)]
            best = max(moments, key=lambda m: m["probability"], default=None)
            near = best is not None and len(labelled) > 0 and np.abs(labelled - best["at_s"]).min() <= NEAR_S
            out.append((best["probability"] if best else -1.0, bool(near), len(labelled) > 0))
    return out


def row(asked, floor):
    """Answered, right, and how many could have been."""
    answered = [right for p, right, _ in asked if p >= floor]
    there = sum(t for *_, t in asked)
    precision = round(sum(answered) / len(answered), 3) if answered else None
    return {"floor": floor, "answered": len(answered), "precision": precision, "recall": round(sum(answered) / max(there, 1), 3)}


def calibrated(asked):
    """The lowest floor from which enough is right, or None."""
    good = [r["floor"] for r in (row(asked, f) for f in FLOORS) if r["answered"] >= LEAST and r["precision"] >= WANTED]
    return min(good, default=None)


def measure(tools):
    root = Path(__file__).parents[3] / "data"
    joined = []
    for name in clips.subjects(root / "real") if tools.data.is_dir() else ():
        joined += narrations.days(clips.real(root / "real", tools.data, name), tools.work, pause_s=4)
    if (root / "scenes/val").is_dir():
        scenes = [replace(c, person="rendered") for c in clips.scenes(root / "scenes/val", 12 if tools.quick else SCENES)]
        joined += narrations.days(scenes, tools.work, pause_s=4)
    speak = tomllib.loads((Path(tools.pack) / "pack.toml").read_text())["speak"]
    least = lambda kind: speak["kinds"].get(kind, speak)["threshold"]  # noqa: E731
    asked, beside = [], {"normal": [], "quiet": []}
    for day, _ in joined:
        ran = subprocess.run([tools.bench, "recall", "--pack", tools.pack, day.video], check=True, capture_output=True, text=True)
        recalled = json.loads(ran.stdout)
        asked += questions(day, recalled)
        for level, found in beside.items():
            found += questions(day, recalled, level == "quiet", least)
    halves = asked[::2], asked[1::2]
    floor = calibrated(halves[0])
    return {
        "tiers": {
            "questions": len(asked), "there": sum(t for *_, t in asked), "floor": floor,
            "rows": [row(asked, f) for f in FLOORS],
            "beside": {level: row(found, 0.0) | {"questions": len(found)} for level, found in beside.items()},
            "held": row(halves[1], floor) if floor is not None else None,
        }
    }  # fmt: skip


def tell(figures):
    t = figures["tiers"]
    lines = [f"{t['questions']} questions that no narration answers; what is asked about was there in {t['there']}"]
    lines += [f"{'floor':>6} {'answered':>8} {'right':>6} {'found':>6}"]
    lines += [f"{r['floor']:>6} {r['answered']:>8} {r['precision'] if r['precision'] is not None else '-':>6} {r['recall']:>6}" for r in t["rows"]]
    lines.append(f"floor from which {WANTED:.0%} are right, on one half: {t['floor']}; on the other: {t['held']}")
    for level, found in t["beside"].items():
        lines.append(f"beside an answer, {level}: of {found['questions']} questions {found['answered']}, of which right: {found['precision']}")
    return "\n".join(lines)
