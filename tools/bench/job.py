"""The job itself beside what a user would do without Ocelli, on the same clips, in turn.

.venv/bin/python tools/bench/job.py --json job.json --report job        from the project's root

Systems, each told five pictures a second of each clip from file to result:

- ocelli: `ocelli replay`: gate, STAB, narrator, sentences;
- pose+rules: BlazePose (mediapipe 0.10.9) on every picture, following the person whom it found, and the rules of
  `tools/eval/pose_rules.py` on its keypoints;
- motion+detector: Frigate's way, motion first and a detector of objects (NanoDet-g, COCO) only where something moves, which tells what is
  there and not what it does.

Measured: CPU seconds an hour of video (decoding included), peak resident set of the process (a Python program's own libraries are
most of the others': given beside it), the share of pictures or patches that was computed, tokens, energy where the machine tells,
the time of a picture from frame to result, and when in the clip a person was first told of. How long after the beginning of what happens it is told comes from
`tools/eval/home.py`, which has labels. Rounds alternate between systems; the least of the rounds is taken, which other work on the
machine disturbs least.

How Ocelli's own cost grows is measured by `curves.py`, the engines by `stab.py` and `tools/eval/language/generate.py`: their files are
put beside it.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def say(text):
    """Progress goes beside the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


RAPL = Path("/sys/class/powercap")


def energy_uj(root=RAPL):
    """({counter: microjoules of a whole CPU since some time}, None), or (None, why the machine does not tell)."""
    if not root.is_dir():
        return None, f"the kernel has no {root}: energy counters are not shown to this machine"
    packages = sorted(p for p in root.glob("intel-rapl:*/energy_uj") if p.parent.name.count(":") == 1)
    if not packages:
        return None, f"{root} has no counter of a whole CPU"
    try:
        return {str(p.parent): int(p.read_text()) for p in packages}, None
    except OSError as error:
        return None, f"{error.filename}: {error.strerror}"


def joules(before, after):
    """Between two readings; a counter that went over its end began anew."""
    ends = {c: int((Path(c) / "max_energy_range_uj").read_text()) for c in after if after[c] < before[c]}
    return sum(after[c] - before[c] + ends.get(c, 0) for c in after) / 1e6


def own_peak_bytes(pid):
    """Of a process that runs: the most of its memory that was resident, since it began this program."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) << 10 if found else 0


def ran(command, **how):
    """(standard output, standard error, CPU seconds, peak resident set in bytes) of a command; it must end well."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, cwd=ROOT, **how)
        # The peak in `used` would begin with that of this process, whose memory the child had until it became another program.
        ended, peak = 0, 0
        while not ended:
            peak = max(peak, own_peak_bytes(child.pid))
            time.sleep(0.02)
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        said, told = out.read(), err.read()
    if child.returncode:
        raise SystemExit(f"job: {command[0]} ended with {child.returncode}: {told.strip()[-500:]}")
    return said, told, used.ru_utime + used.ru_stime, peak


def seconds_of(clip):
    out = ran(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip])[0]
    return float(out)


def quantile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


def ocelli(program, clip, *options):
    """One clip through `replay --stages`."""
    said, told, cpu_s, rss = ran([program, "replay", clip, "--stages", "--json", *options])
    seen = int(re.search(r"(\d+) seen", told)[1])
    stages = re.findall(r"^(\w+)\s+\d+\s+([\d.]+)\s+[\d.]+\s+([\d.]+)", told, re.MULTILINE)
    kept = float(re.search(r"(\d+)% of patches kept", told)[1]) / 100
    means = {name: float(mean) for name, mean, _ in stages}
    frame_ms = sum(ms for name, ms in means.items() if name != "decode")
    return {
        "cpu_s": cpu_s,
        "rss_peak_bytes": rss,
        "pictures": seen,
        "computed_share": kept,
        "tokens": round(kept * seen * patches_a_picture()),
        "picture_ms_mean": frame_ms,
        "stages_ms": means,
        "person_told_s": next((e["t_end_s"] for e in map(json.loads, said.splitlines()) if PERSON.search(e["text"])), None),
    }


PERSON = re.compile(r"\b(someone|somebody|person)\b", re.IGNORECASE)


def patches_a_picture(pack=ROOT / "models/home"):
    shape = tomllib.loads((pack / "pack.toml").read_text())["input"]
    return (shape["size_px"] // shape["patch_px"]) ** 2


def pose(python, clip):
    with tempfile.TemporaryDirectory() as work:
        keypoints = Path(work) / "keypoints.npz"
        said, _, _, rss = ran([python, "tools/bench/pose_job.py", clip, "--keypoints", keypoints])
        rules_s = rules(keypoints)
        with np.load(keypoints) as z:
            told_s = third_in_a_row_s(z["found"])
    told = json.loads(said.splitlines()[-1])
    pictures = max(told["pictures"], 1)
    return {
        "cpu_s": told["cpu_s"] + rules_s, "rss_peak_bytes": rss, "imported_bytes": told["imported_bytes"], "pictures": told["pictures"],
        "computed_share": told["computed"] / pictures, "picture_ms_mean": (sum(told["times_ms"]) + 1000 * rules_s) / pictures,
        "picture_ms_p99": quantile(told["times_ms"], 0.99) + 1000 * rules_s / pictures, "person_told_s": told_s,
    }  # fmt: skip


def third_in_a_row_s(found, fps=5):
    """When somebody was found in three pictures in a row, as the detector has to find them; None: never."""
    return next((k / fps for k in range(2, len(found)) if all(found[k - 2 : k + 1])), None)


def detector(python, model, clip):
    said, _, _, rss = ran([python, "tools/bench/detector_job.py", clip, "--model", model])
    told = json.loads(said.splitlines()[-1])
    pictures = max(told["pictures"], 1)
    return {
        "cpu_s": told["cpu_s"], "rss_peak_bytes": rss, "imported_bytes": told["imported_bytes"], "pictures": told["pictures"],
        "computed_share": told["computed"] / pictures, "picture_ms_mean": sum(told["times_ms"]) / pictures, "picture_ms_p99": quantile(told["times_ms"], 0.99),
        "person_told_s": next((n["told_s"] for n in told["told"] if n["label"] == "person"), None),
    }  # fmt: skip


def rules(path):
    """CPU seconds of the rules on the keypoints of a clip."""
    for folder in ("eval", "train"):
        if (path_ := str(ROOT / "tools" / folder)) not in sys.path:
            sys.path.append(path_)
    from pose_rules import Rules, classify, see

    with np.load(path) as z:
        keypoints, found, aspect = z["keypoints"], z["found"], float(z["aspect"])
    times = np.arange(len(found)) / 5
    start = time.process_time()
    classify(see(keypoints, found, times, aspect), times, Rules())
    return time.process_time() - start


def compare(args, clips):
    """[row]: one for each system, clip and measure."""
    systems = {"ocelli": lambda clip: ocelli(args.program, clip)}
    if args.teacher.exists():
        systems["pose+rules"] = lambda clip: pose(args.teacher, clip)
    else:
        say(f"SKIPPED the pose network: {args.teacher} is not here (tools/train/setup.sh makes it)")
    if args.detector.exists() and args.detector_python.exists():
        systems["motion+detector"] = lambda clip: detector(args.detector_python, args.detector, clip)
    else:
        say(f"SKIPPED the detector: {args.detector} and {args.detector_python} must be here (`cargo xtask bench all` makes them)")
    best = {}
    for round_ in range(args.rounds):
        for clip in clips:
            for name, run in systems.items():
                say(f"round {round_ + 1} of {args.rounds}: {name}, {clip.name}")
                (at, why), told = energy_uj(), run(clip)
                told["energy_j"] = joules(at, energy_uj()[0]) if at else None
                before = best.get((name, clip))
                if before is None or told["cpu_s"] < before["cpu_s"]:
                    best[name, clip] = told
    rows = []
    for (name, clip), told in best.items():
        an_hour = 3600 / seconds_of(clip)
        told["cpu_s_per_hour"] = told["cpu_s"] * an_hour
        row = {"system": name, "clip": clip.name}
        rows += [row | {"measure": m, "value": told[m]} for m in MEASURES if told.get(m) is not None]
        energy = {"value": None, "why": why} if told["energy_j"] is None else {"value": told["energy_j"] * an_hour}
        rows.append(row | {"measure": "energy_j_per_hour"} | energy)
    return rows


MEASURES = ("cpu_s_per_hour", "rss_peak_bytes", "imported_bytes", "pictures", "computed_share", "tokens", "picture_ms_mean", "picture_ms_p99", "person_told_s")


def told_after(home):
    """Rows of how long after the beginning of what happens it is told, by what `cargo xtask eval home --json` wrote."""
    rows = json.loads(home.read_text()) if home.exists() else []
    return [
        {"system": r["system"], "clip": r["set"], "measure": "event_to_output_s", "value": r["told_after_s"], "low": r["told_after_s_low"], "high": r["told_after_s_high"]}
        for r in rows if r.get("told_after_s") is not None
    ]  # fmt: skip


def engines(stab, language):
    """Rows of the engines' own benchmarks, where they were run: STAB in ONNX Runtime, the generative head in llama.cpp."""
    rows = []
    if stab:
        for case in json.loads(stab.read_text())["cases"]:
            clip = f"STAB, {case['case']}, {case['threads']} thread{'s' * (case['threads'] > 1)}"
            for system, key in (("ocelli", "ours_ms"), ("onnxruntime int8", "ort_int8_ms"), ("onnxruntime f32", "ort_f32_ms")):
                rows.append({"system": system, "clip": clip, "measure": "stab_ms", "value": case[key]})
    if language:
        told = json.loads(language.read_text())["smollm2"]
        for system, key in (("ocelli", "ours"), ("llama.cpp", "llama_cpp")):
            for measure in ("prefill_tok_s", "decode_tok_s", "rss_bytes"):
                rows.append({"system": system, "clip": "SmolLM2-135M", "measure": measure, "value": told[f"{key}_{measure}"]})
    return rows


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu[1] if cpu else platform.processor(), "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0], "no_energy_because": energy_uj()[1]}  # fmt: skip


def table(rows):
    measures = [m for m in MEASURES if any(r["measure"] == m for r in rows)]
    cells = {(r["system"], r["clip"], r["measure"]): r["value"] for r in rows}
    out = ["| clip | system | " + " | ".join(measures) + " |", "|---|---|" + "---|" * len(measures)]
    for clip in dict.fromkeys(r["clip"] for r in rows):
        for system in dict.fromkeys(r["system"] for r in rows):
            values = [cells.get((system, clip, m)) for m in measures]
            out.append(f"| {clip} | {system} | " + " | ".join("–" if v is None else f"{v / 2**20:.1f} MiB" if m.endswith("bytes") else f"{v:.3g}" for m, v in zip(measures, values)) + " |")  # fmt: skip
    return "\n".join(out)


def beside(rows):
    """Lines of tables in which each work has its systems side by side, one table for those that have the same systems."""
    works = {}
    for r in rows:
        works.setdefault((r["clip"], r["measure"]), {})[r["system"]] = r["value"]
    out = []
    for systems in dict.fromkeys(tuple(of) for of in works.values()):
        out += ["", "| work | measure | " + " | ".join(systems) + " |", "|---|---|" + "---|" * len(systems)]
        for (clip, measure), of in works.items():
            if tuple(of) == systems:
                ours = of["ocelli"]
                cells = [f"{v / 2**20:.0f} MiB" if measure.endswith("bytes") else f"{v:.3g}" for v in of.values()]
                cells = [c if name == "ocelli" else f"{c} ({of[name] / ours:.2f})" for name, c in zip(systems, cells)]
                out.append(f"| {clip} | {measure} | " + " | ".join(cells) + " |")
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/release/ocelli")
    p.add_argument("--teacher", type=Path, default=ROOT / "data/teacher-venv/bin/python")
    p.add_argument("--detector", type=Path, default=ROOT / "data/nanodet.onnx", help="what tools/bench/detector.sh made")
    p.add_argument("--detector-python", type=Path, default=ROOT / "target/bench/venv/bin/python", help="of tools/bench/requirements.txt")
    p.add_argument("--clips", nargs="+", type=Path, default=[ROOT / "tests/clips/demo.mp4"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--stab", type=Path, help="what `cargo xtask bench stab --json` wrote")
    p.add_argument("--language", type=Path, help="what `cargo xtask eval language --only generate --json` wrote")
    p.add_argument("--curves", type=Path, help="what curves.py wrote")
    p.add_argument("--home", type=Path, default=ROOT / "docs/eval-home.json", help="what `cargo xtask eval home --json` wrote")
    p.add_argument("--json", type=Path)
    p.add_argument("--report", type=Path, help="writes FILE.md; its plots are those of curves.py, FILE.svg")
    args = p.parse_args()
    facts = machine()
    if facts["load"] > 0.7:
        say(f"this machine is busy (load {facts['load']:.1f}): read ratios, not times")
    rows = compare(args, args.clips)
    parts = rows, told_after(args.home), engines(args.stab, args.language)
    grown = json.loads(args.curves.read_text()) if args.curves else {}
    text = markdown(facts, args, *parts, grown)
    print(text)
    if args.json:
        told = {"machine": facts, "rows": sum(parts, []), **{k: grown.get(k) for k in ("curves", "slopes", "conditions_alone", "soak")}}
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    if args.report:
        args.report.with_suffix(".md").write_text(text)


def markdown(facts, args, rows, delays, of_engines, grown):
    """The report."""
    out = ["# Ocelli beside its peers", "",
           f"`cargo xtask bench all`: {facts['cpu']}, {facts['cores']} cores, load {facts['load']:.1f} from this and other work; {args.program.parent.name} profile; "
           f"the least of {args.rounds} rounds in turn. On a busy machine only ratios and CPU seconds say anything.", "",
           "## The job, on the same clips", "", table([r for r in rows if r["value"] is not None]), "",
           "`imported_bytes` are those of the libraries of a peer's Python; `computed_share` is the share of patches (ocelli) or of pictures (the peers) that a network saw. "
           "`person_told_s`: when in the clip a person was first told of, rightly or not; – is never."]  # fmt: skip
    if facts["no_energy_because"]:
        out += ["", f"Energy was not measured: {facts['no_energy_because']}."]
    if delays:
        out += ["", "## From the event to its telling", "", "Seconds from the labelled beginning to the telling of what was told, median [95%], "
                f"from `{args.home.name}`; the time of a picture comes on top.", "", "| set | system | s |", "|---|---|---|"]  # fmt: skip
        out += [f"| {r['clip']} | {r['system']} | {r['value']:.2f} [{r['low']:.2f}, {r['high']:.2f}] |" for r in delays]
    if of_engines:
        out += ["", "## Engines, on the same work", "", "In brackets how many times ours each is.", *beside(of_engines)]
    if grown:
        import curves  # which takes this file's helpers

        out += ["", *curves.growth(grown, (args.report or Path("curves")).with_suffix(".svg"))]
    published = (ROOT / "docs/published-figures.md").read_text().split("\n", 1)
    return "\n".join([*out, "", "#" + published[0], published[1]])


if __name__ == "__main__":
    main()
