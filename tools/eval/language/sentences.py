"""What a sentence costs and a new event needs: seconds from `ocelli vocab add` to the file and to a running program that knows it; an
action that the pack has no words for, taught by one example or by three and named in other clips; a search in 100,000 events.

The action is a fall, and the pack one without its sentences for it: of real clips only falls come several times. Teacher and test
are never the same clip, and how often a clip without a fall is called one is told beside it.
"""

import csv
import hashlib
import json
import re
import shutil
import statistics
import subprocess
import time
import tomllib
from pathlib import Path

ROW_BYTES = 4 + 384
KIND, TAUGHT = "fall", "the bin tips over"  # whatever the words: an example lies where it was seen
SENTENCES = (
    "the cat jumps on the counter", "smoke comes from the stove", "a parcel lies in front of the door",
    "somebody waters the plants on the balcony", "the oven door is open",
)  # fmt: skip
AT = "2026-11-26T18:00:{:06.3f}Z"
SAID = "the vocabulary has changed; sentences of yours: {}"
LATE_S = 2.0  # a narration may come so long after what it tells of


def ocelli(tools, *arguments, ok=(0,)):
    ran = subprocess.run([tools.program, *map(str, arguments)], capture_output=True, text=True)
    if ran.returncode not in ok:
        raise RuntimeError(f"{arguments}: {ran.stderr}")
    return ran


def until(what, seconds=60):
    start = time.monotonic()
    while not what():
        if time.monotonic() - start > seconds:
            raise RuntimeError("a running program did not follow")
        time.sleep(0.01)


def adding(tools):
    """Seconds of `ocelli vocab add`, and until a running program says that it knows: medians over sentences."""
    file, out, frame = (tools.work / name for name in ("own.jsonl", "events.jsonl", "frame"))
    frame.write_bytes(b"FRAME\n" + bytes([128]) * (64 * 48 * 3 // 2))
    camera = f"echo YUV4MPEG2 W64 H48 F10:1; while cat {frame}; do sleep 0.1; done; exit 1"
    run = [tools.program, "run", "--json", "--pack", tools.pack, "--vocabulary", file, "--out", out, "--command", camera]
    running = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    written, known = [], []
    try:
        until(lambda: out.exists() and "watching" in out.read_text())
        for count, text in enumerate(SENTENCES[: 2 if tools.quick else None], 1):
            start = time.monotonic()
            ocelli(tools, "vocab", "add", text, "--vocabulary", file, "--pack", tools.pack)
            written.append(time.monotonic() - start)
            until(lambda count=count: SAID.format(count) in out.read_text())
            known.append(time.monotonic() - start)
    finally:
        running.terminate()
        running.wait()
    return {"add_sentence_s": round(statistics.median(written), 2), "add_to_known_s": round(statistics.median(known), 2)}


def without(pack, kind, folder):
    """A pack like `pack` that has no words for `kind`."""
    shutil.copytree(pack, folder)
    text, rows = (folder / "vocabulary.toml").read_text(), (folder / "vocabulary.bin").read_bytes()
    entries = tomllib.loads(text)["entry"]
    blocks = re.findall(r"\[\[entry\]\]\n(?:(?!\[\[entry\]\]).*\n?)*", text)
    keep = [i for i, entry in enumerate(entries) if entry["kind"] != kind]
    if len(blocks) != len(entries) or len(keep) == len(entries):
        raise RuntimeError(f"{pack}: no vocabulary with sentences of {kind}")
    text = "".join(blocks[i] for i in keep)
    rows = b"".join(rows[i * ROW_BYTES : (i + 1) * ROW_BYTES] for i in keep)
    (folder / "vocabulary.toml").write_text(text)
    (folder / "vocabulary.bin").write_bytes(rows)
    manifest = (folder / "pack.toml").read_text()
    old = tomllib.loads(manifest)["vocabulary"]
    for before, now in (
        (old["sha256"], hashlib.sha256(text.encode()).hexdigest()),
        (old["embeddings_sha256"], hashlib.sha256(rows).hexdigest()),
        (f"entries = {old['entries']}", f"entries = {len(keep)}"),
    ):
        manifest = manifest.replace(before, now)
    manifest = re.sub(rf"\[speak\.kinds\.{kind}\]\n(?:[^\[\n].*\n)*\n?", "", manifest)
    manifest = re.sub(rf"([{{,] ?){kind} = -?[\d.]+(?:, )?", r"\1", manifest)
    (folder / "pack.toml").write_text(manifest)
    return folder


def when(classes):
    """(start, end) in seconds of the fall in a data set's `Falling (SW)[3.4 to 6]; Sitting[0 to 3.4]`; None where there is none."""
    found = re.search(r"Fall\w*[^\[;]*\[\s*([\d.]+)\s*to\s*([\d.]+)", classes)
    return found and (float(found[1]), float(found[2]))


def falls(data):
    """{clip: (start_s, end_s) or None} of the real clips of people at home."""
    out = {}
    for table in sorted((data / "gmdcsa24").glob("*/*.csv")):
        for row in csv.reader(table.open(encoding="utf-8")):
            path = table.parent / table.stem / row[0].strip()
            if path.is_file():
                out[path] = when(",".join(row[5:]))
    return out


def named(tools, pack, own, clip, fall):
    """How often the taught sentence is said of a clip: at its fall, and elsewhere."""
    ran = ocelli(tools, "replay", clip, "--json", "--pack", pack, "--vocabulary", own, ok=(0, 3))
    said = [event for event in map(json.loads, ran.stdout.splitlines()) if event["text"] == TAUGHT]
    right = [e for e in said if fall and e["t_end_s"] >= fall[0] and e["t_start_s"] <= fall[1] + LATE_S]
    return len(right), len(said) - len(right)


def lesson(tools, pack, own, clip, fall):
    """Teaches the fall of a clip, whose first 1.5 s are the fall and the rest lying."""
    journal = tools.work / f"{clip.parent.parent.name}-{clip.parent.name}-{clip.stem}.journal"
    if not journal.exists():
        ocelli(tools, "replay", clip, "--json", "--pack", pack, "--journal", journal, "--at", AT.format(0), ok=(0, 3))
    start, end = fall[0], min(fall[1], fall[0] + 1.5)
    ocelli(tools, "teach", TAUGHT, "--from", AT.format(start), "--to", AT.format(end), "--pack", pack, "--journal", journal,
           "--vocabulary", own)  # fmt: skip


def event(tools):
    """A fall is taught by the clips of a list, and looked for in all others; over all such lists."""
    clips = falls(tools.data)
    fallen = [clip for clip, fall in clips.items() if fall]
    if len(fallen) < 4:
        return {}
    pack = without(tools.pack, KIND, tools.work / "pack")
    out = {}
    for examples in (1, 3):
        lists = [[fallen[(i + 2 * j) % len(fallen)] for j in range(examples)] for i in range(len(fallen))]
        lists = lists[:: 4 if tools.quick else 1]
        counts = {"falls": 0, "named": 0, "others": 0, "others_named": 0, "lists": len(lists)}
        for number, teachers in enumerate(lists):
            own = tools.work / f"taught-{examples}-{number}.jsonl"
            for clip in teachers:
                lesson(tools, pack, own, clip, clips[clip])
            for clip, fall in clips.items():
                if clip in teachers:
                    continue
                right, wrong = named(tools, pack, own, clip, fall)
                counts["falls"] += bool(fall)
                counts["named"] += right > 0
                counts["others"] += not fall
                counts["others_named"] += not fall and wrong > 0
        out[f"examples_{examples}"] = counts
    return {"new_event": out}


def searching(tools):
    """Medians of a search by words (one in 1000 events has it) and by meaning, by the clock and of CPU, in milliseconds."""
    events = 20_000 if tools.quick else 100_000
    ran = subprocess.run([tools.bench, "journal", "--events", str(events), "--work", tools.work / "journal"],
                         check=True, capture_output=True, text=True)  # fmt: skip
    return search_figures(ran.stdout, events)


def search_figures(table, events):
    """The rows of `ocelli-bench journal`'s first table."""
    rows = {}
    for name, key in (("a word of one in 1000, in full", "words"), ("by meaning", "meaning")):
        row = re.search(rf"^ +{re.escape(name)} +\d+ +([\d.]+) ms +([\d.]+) ms", table, re.MULTILINE)
        rows[key] = {"cpu_ms": float(row[1]), "clock_ms": float(row[2])}
    return {"search_events": events, "search": rows, "search_100k_ms": max(row["clock_ms"] for row in rows.values())}


def measure(tools):
    figures = adding(tools) | searching(tools)
    if Path(tools.data).is_dir():
        figures |= event(tools)
    return figures


def tell(figures):
    search = figures["search"]
    lines = [
        f"A sentence: {figures['add_sentence_s']} s to the file, {figures['add_to_known_s']} s until a running program knows it.",
        f"A search in {figures['search_events']} events: by words {search['words']['clock_ms']} ms ({search['words']['cpu_ms']} of "
        f"CPU), by meaning {search['meaning']['clock_ms']} ms ({search['meaning']['cpu_ms']} of CPU).",
    ]
    for name, c in figures.get("new_event", {}).items():
        lines.append(
            f"A new event taught by {name.removeprefix('examples_')}: named in {c['named']} of {c['falls']} other clips of it, and "
            f"wrongly in {c['others_named']} of {c['others']} clips without it ({c['lists']} times)."
        )
    if "new_event" not in figures:
        lines.append("No real clips: nothing was taught.")
    return "\n".join(lines)
