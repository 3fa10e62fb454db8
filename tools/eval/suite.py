"""Every benchmark that is at hand, in one report: sets of our own from rendered clips, and the user's copies of the
field's.

    .venv/bin/python tools/eval/suite.py --json all.json --report report        from the project's root
    .venv/bin/python tools/eval/suite.py --real ~/benchmarks                    also what lies there, a folder for each name
    .venv/bin/python tools/eval/suite.py --openai http://localhost:8080/v1      a server, by the same harness

Each set is scored in two modes, `published` and `strict` (benchmarks/core.py), with the chance level, what is missing or
cannot be read, and 95% intervals. The sets of choices have controls: frames shuffled, reversed, one frame for all, and a
guesser that never looks. A set's own figure only means something where it lies above them.

A folder of --real is called like its benchmark (`ovo-bench`, `egoschema`, ...; --list tells all), and holds the benchmark's
annotation file or files as its loader reads them, and `videos/`. Nothing is downloaded.
"""

import argparse
import functools
import hashlib
import html
import json
import os
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/eval"))

import prepare  # noqa: E402
import synthetic  # noqa: E402
from benchmarks import BENCHMARKS, report  # noqa: E402
from benchmarks.core import ODD  # noqa: E402
from benchmarks.graders import Offline  # noqa: E402
from systems import CONTROLS, Blind, Broken, Cutter, Ocelli, OpenAi  # noqa: E402

CONTROLLED = ("tvbench", "tempcompass", "streamingbench", "egoschema", "camerabench")
OWN = {*BENCHMARKS, "needle"}  # sets of our own
PROBES = 3_000_000  # the first seed of the sets of probes
ABOUT = """{items} items of {sets} sets, told by the pack {pack} through the program. Sets are of our own making in the benchmarks' forms, but for copies
of the field's that lay at hand. Rendered clips have seeds from {test}, probes from {probes}: rooms and people on which neither the pack's weights
(seeds from {train}) nor its thresholds (from {val}, and real people) were chosen. Open answers are judged offline, by rule; E.T. Bench
has no embedding: a choice must be named, and sentences are compared by METEOR. Published does what a benchmark's released script does, faults
included; strict mends these. Missing are items without an answer, unread those with one in which the script's rules find nothing."""


@dataclass(frozen=True)
class Set:
    """Items of a benchmark, and where their videos lie."""

    name: str
    benchmark: object
    items: list
    videos: Path


def say(text):
    """Progress goes beside the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def real_sets(folder):
    """The user's copies: a folder for each benchmark's name."""
    if not folder.is_dir():
        sys.exit(f"suite: {folder} is no folder")
    sets = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        if path.name not in BENCHMARKS:
            sys.exit(f"suite: {path} is called like no benchmark; `--list` tells their names")
        benchmark = BENCHMARKS[path.name]()
        files = sorted(p for p in path.iterdir() if p.suffix in (".json", ".jsonl", ".csv"))
        try:
            items = benchmark.load(files[0] if len(files) == 1 else path)
        except (*ODD, OSError) as error:
            sys.exit(f"suite: {path} cannot be read as {path.name}: {type(error).__name__} {error}")
        asked = {}
        for item in items:
            if asked.setdefault(item.id, what := (item.video, item.question, item.options, item.until_s)) != what:
                sys.exit(f"suite: {path} has two questions called {item.id}, so a reply does not say which it is of")
        sets.append(Set(f"{path.name}-real", benchmark, items, path / "videos"))  # of our own there is one of that name
    return sets


def answer(system, chosen, kept):
    """{item id: reply}; what was answered before is read from `kept`, a line each."""
    replies = {}
    if kept.exists():
        text = kept.read_text()
        if not text.endswith("\n"):  # a run that was ended while it wrote
            text = text[: text.rfind("\n") + 1]
            kept.write_text(text)
        replies = {row["id"]: row["reply"] for row in map(json.loads, text.splitlines())}
    failed = 0
    with kept.open("a") as file:
        for k, item in enumerate(chosen.items):
            if item.id in replies:
                continue
            try:
                replies[item.id] = system.reply(chosen.benchmark, item, chosen.videos / item.video)
            except (Broken, OSError, subprocess.CalledProcessError) as error:
                failed += 1
                say(f"{chosen.name} {item.id}: {error}")
                if failed > 5:
                    sys.exit(
                        f"suite: {system.name} failed more than five times on {chosen.name}; mend that, and go on where it stopped"
                    )
                continue
            file.write(json.dumps({"id": item.id, "reply": replies[item.id]}, ensure_ascii=False) + "\n")
            file.flush()
            if k % 20 == 19:
                say(f"{system.name}, {chosen.name}: {k + 1} of {len(chosen.items)}")
    return replies


def rows_of(system, chosen, kept):
    asked = hashlib.sha256(repr([(i.id, i.video, i.question, i.options, i.from_s, i.until_s) for i in chosen.items]).encode())
    replies = answer(system, chosen, kept / f"{chosen.name}-{asked.hexdigest()[:8]}.jsonl")
    if hasattr(chosen.benchmark, "submission"):
        submission, told = chosen.benchmark.submission(chosen.items, replies)
        (kept / f"{chosen.name}-submission.json").write_text(json.dumps(submission))
        say(f"{system.name}, {chosen.name}: {told}; for its server in {kept / f'{chosen.name}-submission.json'}")
    named = [row | {"name": chosen.name} for row in report(chosen.benchmark, chosen.items, replies, Offline())]
    return [row | {"system": system.name} for row in named]


def main_rows(rows, benchmarks):
    """The row that stands for each set."""
    return [r for r in rows if not r["task"] and r["measure"] == benchmarks[r["name"]].main]


def cell(value):
    return "–" if value is None else f"{value:.3f}"


def between(row):
    return "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"


HEAD = ("set", "system", "measure", "published", "strict [95%]", "chance", "n", "missing", "unread")


def table(rows, benchmarks):
    """[[cell]] of both modes side by side."""
    strict = [r for r in main_rows(rows, benchmarks) if r["mode"] == "strict"]
    published = {(r["name"], r["system"]): r for r in main_rows(rows, benchmarks) if r["mode"] == "published"}
    return [
        [r["name"], r["system"], r["measure"], cell(published[r["name"], r["system"]]["score"]), cell(r["score"]) + between(r), cell(r["chance"]), r["n"], r["missing"], r["unparsed"]]
        for r in strict
    ]  # fmt: skip


def markdown(title, about, rows, controls, benchmarks):
    out = [f"# {title}", "", about, "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    out += ["| " + " | ".join(map(str, line)) + " |" for line in table(rows, benchmarks)]
    if controls:
        out += [
            "",
            "## Controls",
            "",
            "What is left when the order of the frames, all frames but one, or the video itself is taken away.",
            "",
        ]
        out += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        out += ["| " + " | ".join(map(str, line)) + " |" for line in table(controls, benchmarks)]
    tasks = [r for r in rows if r["task"] and r["mode"] == "strict"]
    if tasks:
        out += ["", "## By task, strict", "", "| set | system | task | score [95%] | chance | n |", "|---|---|---|---|---|---|"]
        out += [
            f"| {r['name']} | {r['system']} | {r['task']} | {cell(r['score'])}{between(r)} | {cell(r['chance'])} | {r['n']} |"
            for r in tasks
        ]
    return "\n".join(out) + "\n"


def bars(rows, benchmarks):
    """An SVG: the strict score of each set with its interval, and its chance level as a line."""
    shown = [r for r in main_rows(rows, benchmarks) if r["mode"] == "strict" and r["score"] is not None]
    line, left, width = 22, 260, 420
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Strict scores" width="{left + width + 60}" height="{line * len(shown) + 30}" font-family="sans-serif" font-size="12">']  # fmt: skip
    for k, r in enumerate(shown):
        most = benchmarks[r["name"]].most
        top, at = line * k + 6, lambda v: left + width * min(max(v / most, 0), 1)  # noqa: B023
        out.append(
            f'<text x="{left - 8}" y="{top + 12}" text-anchor="end" fill="currentColor">{html.escape(r["name"])}, {html.escape(r["system"])}</text>'
        )
        out.append(f'<rect x="{left}" y="{top}" width="{at(r["score"]) - left:.1f}" height="14" fill="#3b7dd8"/>')
        if r["low"] is not None:
            out.append(
                f'<path d="M{at(r["low"]):.1f} {top + 7}H{at(r["high"]):.1f}" stroke="currentColor" stroke-width="1.5"/>'
            )
        if r["chance"] is not None:
            out.append(f'<path d="M{at(r["chance"]):.1f} {top - 3}v20" stroke="#d0453b" stroke-width="2"/>')
        out.append(f'<text x="{left + width + 8}" y="{top + 12}" fill="currentColor">{r["score"]:.2f}</text>')
    return "\n".join([*out, "</svg>"])


STYLE = """:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left}"""


def page(title, about, rows, controls, benchmarks):
    def of(lines):
        head = "".join(f"<th>{html.escape(h)}</th>" for h in HEAD)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in line) + "</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    parts = [f"<h1>{html.escape(title)}</h1><p>{html.escape(about)}</p>", bars(rows, benchmarks), of(table(rows, benchmarks))]
    if controls:
        parts += ["<h2>Controls</h2>", bars(controls, benchmarks), of(table(controls, benchmarks))]
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title><style>{STYLE}</style>{"".join(parts)}</html>\n'  # fmt: skip


def lines_of(told):
    """JSON with a row a line, so that a difference of two reports can be read."""
    rows = lambda of: "[\n" + ",\n".join(map(json.dumps, of)) + "\n]" if isinstance(of, list) else json.dumps(of)  # noqa: E731
    return "{" + ",\n".join(f'"{key}": {rows(of)}' for key, of in told.items()) + "}\n"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/debug/ocelli")
    p.add_argument("--pack", type=Path, default=ROOT / "models/home")
    p.add_argument("--assets", type=Path, default=ROOT / "data/scenes/assets")
    p.add_argument("--kept", type=Path, default=ROOT / "data/eval", help="rendered clips, parts of videos, replies")
    p.add_argument("--clips", type=int, default=96, help="rendered clips; half as many seeds give sets of probes")
    p.add_argument("--needle-minutes", type=int, default=10, help="how long the videos are in which one fall is looked for: three of up to two hours, one of more; 1440 are a day, of some 5 GB")
    p.add_argument("--real", type=Path, help="the user's copies of benchmarks")
    p.add_argument("--openai", metavar="URL", help="also this server, such as http://localhost:8080/v1; its key, where it wants one, is OPENAI_API_KEY in the environment")
    p.add_argument("--model", default="default", help="the server's model")
    p.add_argument("--only", action="append", help="this set alone; may be given more than once")
    p.add_argument("--json", type=prepare.outcome)
    p.add_argument("--report", type=prepare.outcome, help="writes FILE.md and FILE.html")
    p.add_argument("--list", action="store_true", help="the benchmarks, and what is loaded of each")
    return p.parse_args()


def own_sets(args):
    """Renders what lacks; clips of another generator are others. `eval home` has the same test clips, and more of them."""
    test = prepare.test_folder(args.kept, ())
    prepare.scenes(test, args.clips, args.assets)
    probes = test.parent / "probes"
    if not list(probes.glob("*.npz")):
        say(f"rendering sets of probes of {args.clips // 2} seeds")
        prepare.run(sys.executable, "scenes/generate.py", "--out", probes.parent, "--split", "probes", "--first", PROBES, "--count", args.clips // 2, "--assets", args.assets)  # fmt: skip
    last = prepare.SPLITS["test"] + args.clips
    scenes = [p for p in sorted(test.glob("*.npz")) if int(p.stem) < last]
    made = synthetic.make(sorted(probes.glob("*.npz")), scenes, test.parent / "sets", needle_minutes=args.needle_minutes)
    return [Set(name, b := BENCHMARKS[kind](), b.load(path), test.parent / "sets/videos") for name, kind, path in made]


def main():
    args = arguments()
    if args.list:
        for name, kind in BENCHMARKS.items():
            print(f"{name}: {' '.join(kind.__doc__.split())}\n")
        return
    real = real_sets(args.real) if args.real else []
    copies, asked = {s.name for s in real}, set(args.only or ())
    if unknown := asked - copies - OWN:
        sys.exit(f"suite: --only {' '.join(sorted(unknown))}: there is no such set; there are {' '.join(sorted(copies | OWN))}")
    sets = (own_sets(args) if not asked or asked - copies else []) + real  # nothing is rendered for copies alone
    sets = [s for s in sets if s.items and (not args.only or s.name in args.only)]
    benchmarks = {s.name: s.benchmark for s in sets}
    rows, controls = [], []
    parts = args.kept / "suite/parts"
    parts.mkdir(parents=True, exist_ok=True)
    for control in CONTROLS:
        systems = [Ocelli(args.program, args.pack, Cutter(parts, control))]
        if args.openai:
            key = os.environ.get("OPENAI_API_KEY")
            systems.append(OpenAi(args.openai, args.model, Cutter(parts, control), f"{args.model} at {args.openai}", key))
        for system in systems:
            for chosen in sets:
                if control != "in order" and chosen.benchmark.name not in CONTROLLED:
                    continue
                named = f"{system.name}, {control}" if control != "in order" else system.name
                say(f"{named}: {chosen.name}, {len(chosen.items)} items")
                told = rows_of(system, chosen, folder_of(args, system, control))
                (rows if control == "in order" else controls).extend(r | {"system": named} for r in told)
    for chosen in sets:
        controls += rows_of(Blind(), chosen, folder_of(args, Blind(), "in order"))
    pack = tomllib.loads((args.pack / "pack.toml").read_text())
    about = ABOUT.format(items=sum(len(s.items) for s in sets), sets=len(sets), pack=f"{pack['name']} {pack['version']}", **{k: f"{v:,}" for k, v in prepare.SPLITS.items()}, probes=f"{PROBES:,}")  # fmt: skip
    print(markdown("Benchmarks", about, rows, controls, benchmarks))
    if args.json:
        args.json.write_text(lines_of({"about": about, "sets": rows, "controls": controls}))
    if args.report:
        args.report.with_suffix(".md").write_text(markdown("Benchmarks", about, rows, controls, benchmarks))
        args.report.with_suffix(".html").write_text(page("Benchmarks", about, rows, controls, benchmarks))


def folder_of(args, system, control):
    """Replies of another program or pack are others; and of another guesser."""
    about = "".join(c if c.isalnum() else "-" for c in f"{system.name} {control}")
    stamp = ""
    if isinstance(system, Ocelli):
        stamp = f"-{content(args.program, args.pack)}"
    elif isinstance(system, Blind):
        stamp = f"-{hashlib.sha256((ROOT / 'tools/eval/systems.py').read_bytes()).hexdigest()[:12]}"
    folder = args.kept / "suite/replies" / f"{about}{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.cache
def content(program, pack):
    """By what they hold and not by their dates, which a fresh build of the same changes."""
    digest = hashlib.sha256(program.read_bytes())
    for file in [pack / "pack.toml", *sorted(pack.glob("*.onnx")), *sorted(pack.glob("vocabulary.*"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    main()
