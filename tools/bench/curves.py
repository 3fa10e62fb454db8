"""How Ocelli's cost grows: with the size of the picture, with cameras, conditions and sentences, and with hours of stream.

    .venv/bin/python tools/bench/curves.py --json curves.json --report curves        from the project's root

What is told is CPU time, which other work on the machine disturbs least, and bytes. Each round runs all points of a curve one
after the other, so that what comes over the machine comes over all of them; a slope is fitted in each round, and its median and
range over the rounds are told. What judging a condition costs is too little to be seen so: `ocelli-bench conditions` measures it
by itself. All but the cameras are `ocelli replay` of a short and of a long clip: their difference, by pictures, has no start of
the program in it. Cameras are one `ocelli run` in real time, fed by one ffmpeg each, whose time is not counted. Sentences are the
user's own, of modelled places: what they cost is the same wherever they lie. Hours are those of `cargo xtask soak --json`, which
has the plot.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from job import ROOT, machine, ran, say

SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
CAMERAS, CONDITIONS, SENTENCES = (1, 2, 4, 8, 16), (1, 4, 16, 64), (100, 1_000, 10_000, 100_000)
SHORT_S, LONG_S, RUN_S = 6, 36, 10
TICKS_S = 100  # of /proc's clock, on all Linux that we run on


def clips(source, folder, width, height):
    """The clip in a size, short and long: over and over."""
    out = []
    for seconds in (SHORT_S, LONG_S):
        path = folder / f"{width}x{height}-{seconds}.mp4"
        scale = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1"
        if not path.exists():
            ran(["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", source, "-t", seconds, "-vf", scale, "-r", "10", "-pix_fmt", "yuv420p",
                 "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", path])  # fmt: skip
        out.append(path)
    return out


def replayed(args, pair, *options):
    """What a picture costs beyond the start: {cpu_ms_a_picture, resident_bytes, start_cpu_s}."""
    (short, _), (long, resident) = (used(args, clip, *options) for clip in pair)
    pictures = [seconds * 5 for seconds in (SHORT_S, LONG_S)]
    each = (long - short) / (pictures[1] - pictures[0])
    return {"cpu_ms_a_picture": 1000 * each, "resident_bytes": resident, "start_cpu_s": short - each * pictures[0]}


def used(args, clip, *options):
    """(CPU seconds, resident set as the program tells it: the system's peak would hold that of the process that starts it)"""
    _, told, cpu_s, _ = ran([args.program, "replay", clip, "--out", "/dev/null", "--pack", args.pack, *options])
    return cpu_s, float(re.search(r"([\d.]+) MiB resident", told)[1]) * 2**20


def planned(args, path):
    return json.loads(ran([args.program, "check", "--json", "--config", path])[0].splitlines()[0])["planned_bytes"]


def config(folder, name, text):
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def of_conditions(folder, count):
    kinds = ("walk", "stand", "sit", "lie")
    tables = (f'[[alert]]\ntext = "condition {k}"\nkinds = ["{kinds[k % 4]}"]\nfor = "{k % 50 + 1}s"\n' for k in range(count))
    return config(folder, f"conditions-{count}", "".join(tables))


def of_sentences(args, folder, count):
    """A file of one's own sentences, each a kind of its own, as `ocelli vocab import` leaves it; the mark of the places is the program's own."""
    sample = folder / "sample.jsonl"
    if not sample.exists():
        ran([args.program, "vocab", "add", "a sentence", "--vocabulary", sample, "--pack", args.pack])
    head, line = sample.read_text().splitlines()
    mark, place = json.loads(line)["embedding"].split(".")
    rows = np.random.default_rng(count).standard_normal((count, len(place) // 2)).astype(np.float32)
    rows = np.rint(127 * rows / np.abs(rows).max(1, keepdims=True)).astype(np.int8)
    path = folder / f"sentences-{count}.jsonl"
    with path.open("w") as file:
        file.write(head + "\n")
        for k, row in enumerate(rows):
            file.write(json.dumps({"text": f"sentence number {k}", "embedding": f"{mark}.{row.tobytes().hex()}"}) + "\n")
    return config(folder, f"sentences-{count}", f'vocabulary = "{path}"\nvocabulary_room = {count}\nmemory_budget = "256MiB"\n')


def of_cameras(folder, raw, count):
    feed = f"exec ffmpeg -v error -re -stream_loop -1 -i {raw} -f yuv4mpegpipe -"
    tables = "".join(f'[[camera]]\nname = "c{k}"\ncommand = "{feed}"\n' for k in range(count))
    return config(folder, f"cameras-{count}", f'memory_budget = "1GiB"\n{tables}')


def ran_live(args, path):
    """CPU seconds a second of the program alone, without those who feed it; resident set; pictures seen and late in all."""
    command = [args.program, "run", "--config", path, "--pack", args.pack, "--seconds", RUN_S + 5, "--json", "--out", "/dev/null"]
    with tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=err, cwd=ROOT)
        time.sleep(4)
        marks = []
        for pause in (RUN_S, 0):
            marks.append((time.monotonic(), own_cpu_s(child.pid)))
            time.sleep(pause)
        rss = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * 4096
        code = child.wait()
        err.seek(0)
        told = err.read()
    if code:
        raise SystemExit(f"curves: run ended with {code}: {told.strip()[-500:]}")
    seen, late = (sum(map(int, of)) for of in zip(*re.findall(r"(\d+) seen, (\d+) late.* in all$", told, re.MULTILINE)))
    (began, before), (ended, after) = marks
    return {"cpu_s_a_second": (after - before) / (ended - began), "resident_bytes": rss, "seen": seen, "late": late}


def own_cpu_s(pid):
    """Of a process that runs, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def points(args, folder):
    """{curve: [(at, what runs it)]}"""
    source = args.clips[0] if args.clips else ROOT / "tests/clips/demo.mp4"
    vga, raw = clips(source, folder, 640, 480), folder / "camera.y4m"
    ran(["ffmpeg", "-v", "error", "-y", "-i", vga[1], "-t", "10", "-pix_fmt", "yuv420p", raw])
    say("points: sentences of one's own")
    said = {n: of_sentences(args, folder, n) for n in SENTENCES}
    asked = {n: of_conditions(folder, n) for n in CONDITIONS}
    live = {n: of_cameras(folder, raw, n) for n in CAMERAS}
    plain = lambda path: lambda: replayed(args, vga, "--config", path) | {"planned_bytes": planned(args, path)}  # noqa: E731
    return {
        "resolution": [(f"{w}x{h}", lambda pair=clips(source, folder, w, h): replayed(args, pair)) for w, h in SIZES],
        "conditions": [(n, plain(path)) for n, path in asked.items()],
        "sentences": [(n, plain(path)) for n, path in said.items()],
        "cameras": [(n, lambda path=path: ran_live(args, path) | {"planned_bytes": planned(args, path)}) for n, path in live.items()],
    }


def measured(args, folder):
    """[row]: a point of a curve, each measure's median over the rounds, with what the rounds had."""
    rows = []
    for curve, of in points(args, folder).items():
        rounds = []
        for k in range(args.rounds):
            say(f"{curve}: round {k + 1} of {args.rounds}")
            order = range(len(of))[:: 1 if k % 2 == 0 else -1]  # there and back, or what grows by itself in a round would look like the curve
            got = {n: of[n][1]() for n in order}
            rounds.append([got[n] for n in range(len(of))])
        for n, (at, _) in enumerate(of):
            told = {m: [r[n][m] for r in rounds] for m in rounds[0][n]}
            rows.append({"curve": curve, "at": at, **{m: statistics.median(v) for m, v in told.items()}, "rounds": told})
    return rows


# (curve, measure, what one more of it costs, unit, factor)
SLOPES = (
    ("conditions", "cpu_ms_a_picture", "CPU of a picture for one condition more", "us", 1000),
    ("conditions", "planned_bytes", "memory for one condition more", "bytes", 1),
    ("sentences", "cpu_ms_a_picture", "CPU of a picture for a thousand sentences more", "us", 1e6),
    ("sentences", "planned_bytes", "memory for one sentence more", "bytes", 1),
    ("cameras", "cpu_s_a_second", "CPU for one camera more, in ms a second", "ms", 1000),
    ("cameras", "planned_bytes", "memory planned for one camera more", "MiB", 2**-20),
    ("cameras", "resident_bytes", "memory resident for one camera more", "MiB", 2**-20),
)


def slopes(rows):
    """What one more costs: a line through all points, in each round; the median and the range of the rounds."""
    out = []
    for curve, measure, what, unit, factor in SLOPES:
        of = [r for r in rows if r["curve"] == curve]
        # A camera is as much of one as came through: feeders that starve make it cheaper.
        along = zip(*(np.array(r["rounds"]["seen"]) / (5 * (RUN_S + 5)) if measure == "cpu_s_a_second" else [r["at"]] * len(r["rounds"][measure]) for r in of))
        values = zip(*(r["rounds"][measure] for r in of))
        each = [round(factor * float(np.polyfit(x, y, 1)[0]), 9) + 0.0 for x, y in zip(along, values)]
        out.append({"curve": curve, "measure": measure, "what": what, "unit": unit, "value": statistics.median(each), "low": min(each), "high": max(each)})
    return out


def alone(bench):
    """What judging conditions costs, by itself: {condition_cost_us, picture_us_of_conditions}; nothing where the program that measures it is not here."""
    if not bench.exists():
        say(f"SKIPPED conditions by themselves: {bench} is not here")
        return None
    return json.loads(ran([bench, "conditions"])[0])


def hours(path):
    """[row] of `cargo xtask soak --json`: what a step costs in each hour of stream."""
    told = json.loads(path.read_text())
    return [{"curve": "hours", "at": h, "step_p50_ms": ms} for h, ms in enumerate(told["step_p50_ms_by_hour"]) if h < told["hours"]], told


PLOTS = (("resolution", "cpu_ms_a_picture", "CPU ms a picture, by its size"), ("conditions", "cpu_ms_a_picture", "CPU ms a picture, by conditions"),
         ("sentences", "cpu_ms_a_picture", "CPU ms a picture, by sentences of one's own"), ("cameras", "cpu_s_a_second", "CPU seconds a second, by cameras"),
         ("hours", "step_p50_ms", "median ms of a step, by hour of stream"))  # fmt: skip
WIDTH, HEIGHT, LEFT = 360, 150, 60


def plot(rows):
    """An SVG: a panel a curve, points at even distances, since they double; a bar from the least to the most of the rounds."""
    shown = [p for p in PLOTS if any(r["curve"] == p[0] for r in rows)]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * (WIDTH + LEFT) + 40}" height="{(HEIGHT + 70) * -(-len(shown) // 2) + 20}" font-family="sans-serif" font-size="12" fill="#333">']  # fmt: skip
    out.append('<rect width="100%" height="100%" fill="#fff"/>')
    for n, (curve, measure, title) in enumerate(shown):
        of = [r for r in rows if r["curve"] == curve]
        left, top = LEFT + n % 2 * (WIDTH + LEFT + 20), 40 + n // 2 * (HEIGHT + 70)
        between = [(min(v), max(v)) for v in (r.get("rounds", {}).get(measure, [r[measure]]) for r in of)]
        most = 1.1 * max(high for _, high in between)
        x = lambda k: left + WIDTH * (k + 0.5) / len(of)  # noqa: B023, E731
        y = lambda v: top + HEIGHT * (1 - v / most)  # noqa: B023, E731
        out.append(f'<text x="{left}" y="{top - 10}">{title}</text><path d="M{left} {top}V{top + HEIGHT}H{left + WIDTH}" fill="none" stroke="#999"/>')
        out += [f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>' for v in (0, most / 2, most)]
        out.append(f'<polyline points="{" ".join(f"{x(k):.1f},{y(r[measure]):.1f}" for k, r in enumerate(of))}" fill="none" stroke="#3b7dd8" stroke-width="1.5"/>')
        for k, (r, (low, high)) in enumerate(zip(of, between)):
            out.append(f'<path d="M{x(k):.1f} {y(low):.1f}V{y(high):.1f}" stroke="#246"/><circle cx="{x(k):.1f}" cy="{y(r[measure]):.1f}" r="2.5" fill="#246"/>')
            if len(of) < 10 or k % 4 == 0:
                out.append(f'<text x="{x(k):.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{r["at"]}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


COLUMNS = ("cpu_ms_a_picture", "cpu_s_a_second", "start_cpu_s", "resident_bytes", "planned_bytes", "seen", "late")


def cell(measure, value):
    if value is None:
        return ""
    return f"{value / 2**20:.1f} MiB" if measure.endswith("bytes") else f"{value:.0f}" if measure in ("seen", "late") else f"{value:.3g}"


def markdown(told, svg):
    """The report of the curves alone."""
    title, *lines = growth(told, svg)
    return "\n".join([title[1:], *lines]) + "\n"


def growth(told, svg):
    """Its lines, as a chapter."""
    m = told["machine"]
    out = ["## What more of it costs", "", f"`cargo xtask bench all --curves`: {m['cpu']}, {m['cores']} cores, load {m['load']:.1f} from this and other work; {told['profile']} profile; {told['rounds']} rounds in turn.",
           "CPU seconds, not the clock. " + ABOUT, "", f"![curves]({svg.name})", "", "| one more | median of the rounds | least, most |", "|---|---|---|"]  # fmt: skip
    out += [f"| {s['what']} | {s['value']:.3g} {s['unit']} | {s['low']:.3g}, {s['high']:.3g} |" for s in told["slopes"]]
    if judged := told["conditions_alone"]:
        all_us = ", ".join(f"{us:.3g} us for {count}" for count, us in sorted(judged["picture_us_of_conditions"].items(), key=lambda c: int(c[0])))
        out += ["", f"Judging one condition more, by itself (`ocelli-bench conditions`): {judged['condition_cost_us']:.3g} us a picture ({all_us})."]
    for curve in dict.fromkeys(r["curve"] for r in told["curves"]):
        of = [r for r in told["curves"] if r["curve"] == curve]
        if curve == "hours":
            continue
        columns = [c for c in COLUMNS if any(c in r for r in of)]
        out += ["", f"| {curve} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        out += [f"| {r['at']} | " + " | ".join(cell(c, r.get(c)) for c in columns) + " |" for r in of]
    if soak := told["soak"]:
        out += ["", f"Hours of stream, from `{soak['file']}`: {soak['hours']:.0f} simulated hours, {soak['steps']:,} steps; the median step grew by {1000 * soak['slope_ms_per_hour']:+.1f} µs an hour (standard error {1000 * soak['standard_error']:.1f}), the resident set within a process by {soak['rss_slope'] / 1000:+.1f} KB an hour ({soak['rss_standard_error'] / 1000:.1f})."]  # fmt: skip
    return out


ABOUT = ("A picture's cost is the difference of a long and a short clip by their pictures, decoding included, so the program's start is not in it. Where a "
         "range holds nought or lies below it, one more costs less than can be seen in this way. Cameras are in real time, 640x480 at 10 pictures a second each, of which "
         "five are looked at; what feeds them is not counted, and a camera counts by its pictures that came. Beyond 10,000 sentences rows become codes, so one "
         "more takes less there than before (the table).")  # fmt: skip


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/debug/ocelli")
    p.add_argument("--pack", type=Path, default=ROOT / "models/home")
    p.add_argument("--clips", nargs="*", type=Path, help="the first is shown")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--soak", type=Path, default=ROOT / "docs/soak-24h.json", help="what `cargo xtask soak --json` wrote")
    p.add_argument("--json", type=Path)
    p.add_argument("--report", type=Path, help="writes FILE.md and FILE.svg")
    return p.parse_args()


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as work:
        rows = measured(args, Path(work))
    told = {"machine": machine(), "profile": args.program.parent.name, "rounds": args.rounds, "slopes": slopes(rows), "curves": rows, "soak": None,
            "conditions_alone": alone(args.program.with_name("ocelli-bench"))}  # fmt: skip
    if args.soak.exists():
        steps, soak = hours(args.soak)
        told["curves"] = rows + steps
        told["soak"] = {"file": args.soak.name, "hours": soak["hours"], "steps": soak["steps"], "slope_ms_per_hour": soak["step_p50_slope_ms_per_hour"],
                        "standard_error": soak["step_p50_slope_standard_error"], "rss_slope": soak["rss_slope_within_uptimes_bytes_per_hour"],
                        "rss_standard_error": soak["rss_slope_within_uptimes_standard_error"]}  # fmt: skip
    report = args.report or Path("curves")
    print(markdown(told, report.with_suffix(".svg")))
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    if args.report:
        report.with_suffix(".md").write_text(markdown(told, report.with_suffix(".svg")))
        report.with_suffix(".svg").write_text(plot(told["curves"]))


if __name__ == "__main__":
    main()
