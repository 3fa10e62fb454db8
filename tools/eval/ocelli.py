"""The pack through the program itself: `ocelli replay --trace`, as anybody would run it."""

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import export
import numpy as np
import speak as sp
import words

from answers import Answer

FRAME_S = 0.002  # two stamps of one picture differ by less: both count from the first picture, in microseconds


class Untested(Exception):
    """No figure can be given, and why."""


def held_out(pack):
    """The pack's held-out.toml. Of another network it says nothing about this one."""
    path = pack / "held-out.toml"
    again = "write it with `tools/train/export.py held-out` (recipe.sh, step 9)"
    if not path.exists():
        raise Untested(f"{path} is not there, so what the pack has seen is not known; {again}")
    told = tomllib.loads(path.read_text())
    for part in ("stab", "narrator"):
        if hashlib.sha256((pack / f"{part}.onnx").read_bytes()).hexdigest() != told[f"{part}_sha256"]:
            raise Untested(f"{path} is of another network; {again}")
    return told["thresholds"]


def fair(thresholds, clips):
    """The first thresholds that were chosen without any of the clips."""
    for option in thresholds:
        if not {c.name for c in clips} & set(option["seen"]):
            return option
    raise Untested("the pack was trained on some of these clips, or has no thresholds that were chosen without them")


def with_thresholds(pack, option, folder):
    """A pack like `pack` that speaks by other thresholds, in `folder`."""
    text = (pack / "pack.toml").read_text()
    kinds = {k: (v["threshold"], v["hold_off_s"]) for k, v in option["speak"].get("kinds", {}).items()}
    sorts = {k: v for k, v in tomllib.loads(text)["speak"].items() if k in ("who", "things", "news")}
    speak = "\n".join(export.speak_lines(option["speak"] | sorts | {"kinds": kinds}))
    text, tables = re.subn(r"\[speak\]\n.*?\n(?=(?:#[^\n]*\n)?\[(?!speak))", lambda _: speak + "\n\n", text, flags=re.DOTALL)
    text, lines = re.subn(r"(?m)^temperature = .*$", f"temperature = {option['temperature']:.4f}", text)
    if (tables, lines) != (1, 1):
        raise Untested(f"{pack / 'pack.toml'} is not as tools/train/export.py writes it")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in pack.glob("*.*"):
        shutil.copy(path, folder)
    (folder / "pack.toml").write_text(text)
    return folder


@dataclass
class Ocelli:
    """`program` with a pack and further `options`; traces are left in `work`."""

    program: Path
    pack: Path
    work: Path
    options: tuple = ()

    def __post_init__(self):
        self.work.mkdir(parents=True, exist_ok=True)
        entries = tomllib.loads((self.pack / "vocabulary.toml").read_text())["entry"]
        self.entry = {e["text"]: i for i, e in enumerate(entries)}
        self.kinds = [e["kind"] for e in entries]
        if unknown := set(self.kinds) - set(words.KINDS):
            raise Untested(f"the pack tells {', '.join(sorted(unknown))}, which tools/train/words.py does not know")

    def answer(self, clip):
        trace = self.work / "trace.jsonl"
        command = [self.program, "replay", clip.video, "--json", "--pack", self.pack, "--trace", trace, *self.options]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        rows = [json.loads(line) for line in trace.read_text().splitlines()]
        times = np.array([row["t_s"] for row in rows])
        if len(times) != len(clip.times) or np.abs(times - clip.times).max() > FRAME_S:
            raise RuntimeError(f"{clip.video}: the program saw other pictures than are labelled")
        p = np.array([[row["kinds"].get(k, 0.0) for k in words.KINDS] for row in rows], np.float32)
        events = [json.loads(line) for line in ran.stdout.splitlines()]
        return Answer(clip, p, [self._spoken(event) for event in events if event["text"] in self.entry])

    def _spoken(self, event):
        entry = self.entry[event["text"]]
        start_us, end_us = (round(event[k] * 1e6) for k in ("t_start_s", "t_end_s"))
        return sp.Spoken(event["type"], entry, self.kinds[entry], start_us, end_us, event["score"], *event["entries"], event.get("relation"))
