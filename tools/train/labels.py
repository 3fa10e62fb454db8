"""Labels of the real clips: the data sets' tables, and what a person saw (spans.toml). Also which frames are taken, and which clips are alike."""

import re
import tomllib
from pathlib import Path

import numpy as np

import words

FPS = 5
ROUNDING_US = 1_000
FALL_S = 1.6  # what falls in a clip that is labelled "falling" to its end; afterwards the person lies
HOUSEHOLD = 6  # successive seeds of rendered clips in which the same people live (HOME of tools/scenes/generate.py)
SPANS = Path(__file__).with_name("spans.toml")


def sample(times_us):
    """Indices of the frames that the runtime would take: as Sampler in firmware/drivers/src/sample.rs."""
    taken, next_period = [], 0
    for i, t in enumerate(times_us):
        periods = (t - times_us[0] + ROUNDING_US) * FPS // 1_000_000
        if periods >= next_period:
            taken.append(i)
            next_period = periods + 1
    return taken


def household(meta):
    """Whose clips are alike and are drawn together when an interval is estimated: rendered ones of the same people; a real one is by itself."""
    real = meta.get("source") == "real"
    return meta["clip"] if real else f"household {int(meta['clip'].split('-')[0]) // HOUSEHOLD}"


def read_spans(path=SPANS):
    spans = {"small_left": [], "skip": [], "mistaken": {}, "clips": {}}
    return spans | tomllib.loads(Path(path).read_text())


def table_spans(path, clip):
    """[(kind, start_s, end_s)] of a clip of gmdcsa24 from the CSV beside its folder; spellings vary."""
    names = {"walking": "walk", "sitting": "sit", "sleeping": "lie", "lying": "lie", "standing": "stand"}
    spans = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if not line.startswith(clip):
            continue
        for name, times in re.findall(r"([A-Za-z]+)\s*(?:\([A-Z]+\))?\s*\[([^\]]*)", line):
            for start, end in re.findall(r"([\d.]+)\s*to\s*([\d.]+)", times):
                start, end = float(start), float(end)
                if name.lower() in ("fall", "falling"):
                    rest = round(start + FALL_S, 3)
                    spans += [("fall", start, min(end, rest)), ("lie", rest, end)]
                elif name.lower() in names:
                    spans.append((names[name.lower()], start, end))
    return spans


def label(source, times, spans):
    """Two i8 [T]: kinds by the tables, then by spans.toml; and by the tables alone (gmdcsa24 only, to compare with
    others who used them)."""
    kind = np.full(len(times), -1, np.int8)
    if source.name.startswith("gmdcsa24"):
        said = table_spans(source.path.parent.parent / f"{source.path.parts[-2]}.csv", source.path.name)
        said.sort(key=lambda s: s[0] == "fall")  # a fall wins over what overlaps it
        _fill(kind, times, said)
    table = kind.copy()
    _fill(kind, times, spans["clips"].get(source.name, []))
    return kind, table


def _fill(kind, times, said):
    for name, start, end in said:
        value = -1 if name == "unclear" else words.KINDS.index(name)
        kind[(times >= start - 1e-6) & (times < end - 1e-6)] = value
