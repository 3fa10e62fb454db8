"""The job itself beside what a user would do without Ocelli, on the same clips, in turn.

.venv/bin/python tools/bench/job.py --json job.json        from the project's root

Systems, each told five pictures a second of each clip from file to result:

- ocelli: `ocelli replay`: gate, STAB, narrator, sentences; - pose: BlazePose (mediapipe 0.10.9) on every picture, following
the person whom it found; - motion+pose: Frigate's way, motion first and a network only where something moves. No detector
of objects comes with a package that could be had, so the network is BlazePose's, which finds people and their joints:
dearer than a detector.

Measured: CPU seconds an hour of video (decoding included), peak resident set of the process (a Python program's own
libraries are most of the others': given beside it), how many pictures were computed, and the time of a picture from frame
to result. Rounds alternate between systems; the least of the rounds is taken, which other work on the machine disturbs
least.

How Ocelli's own cost grows is measured by `curves.py`.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def say(text):
    """Progress goes beside the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def ran(command, **how):
    """(standard output, standard error, CPU seconds, peak resident set in bytes) of a command; it must end well."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, cwd=ROOT, **how)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        said, told = out.read(), err.read()
    if child.returncode:
        raise SystemExit(f"job: {command[0]} ended with {child.returncode}: {told.strip()[-500:]}")
    return said, told, used.ru_utime + used.ru_stime, used.ru_maxrss << 10


def seconds_of(clip):
    out = ran(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip])[0]
    return float(out)


def quantile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


def ocelli(program, clip, *options):
    """One clip through `replay --stages`."""
    _, told, cpu_s, rss = ran([program, "replay", clip, "--stages", "--out", "/dev/null", *options])
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
        "picture_ms_mean": frame_ms,
        "stages_ms": means,
    }


def pose(python, clip, *options):
    said, _, cpu_s, rss = ran([python, "tools/bench/pose_job.py", clip, *options])
    told = json.loads(said.splitlines()[-1])
    return {
        "cpu_s": told["cpu_s"], "rss_peak_bytes": rss, "imported_bytes": told["imported_bytes"], "pictures": told["pictures"],
        "computed_share": told["computed"] / max(told["pictures"], 1), "picture_ms_mean": sum(told["times_ms"]) / max(len(told["times_ms"]), 1),
        "picture_ms_p99": quantile(told["times_ms"], 0.99),
    }  # fmt: skip


def compare(args, clips):
    """[row]: one for each system, clip and measure."""
    systems = {"ocelli": lambda clip: ocelli(args.program, clip)}
    if args.teacher.exists():
        systems |= {
            "pose": lambda clip: pose(args.teacher, clip),
            "motion+pose": lambda clip: pose(args.teacher, clip, "--motion"),
        }
    else:
        say(f"SKIPPED the pose network: {args.teacher} is not here (tools/train/setup.sh makes it)")
    best = {}
    for round_ in range(args.rounds):
        for clip in clips:
            for name, run in systems.items():
                say(f"round {round_ + 1} of {args.rounds}: {name}, {clip.name}")
                told = run(clip)
                before = best.get((name, clip))
                if before is None or told["cpu_s"] < before["cpu_s"]:
                    best[name, clip] = told
    rows = []
    for (name, clip), told in best.items():
        told["cpu_s_per_hour"] = told["cpu_s"] * 3600 / seconds_of(clip)
        measures = (
            "cpu_s_per_hour",
            "rss_peak_bytes",
            "imported_bytes",
            "pictures",
            "computed_share",
            "picture_ms_mean",
            "picture_ms_p99",
        )
        rows += [
            {"system": name, "clip": clip.name, "measure": m, "value": told[m]} for m in measures if told.get(m) is not None
        ]
    return rows


def engines(stab, language):
    """Rows of the engines' own benchmarks, where they were run: STAB in ONNX Runtime, the generative head in llama.cpp."""
    rows = []
    if stab:
        for case in json.loads(stab.read_text())["cases"]:
            clip = f"STAB, {case['case']}, {case['threads']} threads"
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
    energy = sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj")) if Path("/sys/class/powercap").is_dir() else []
    return {"cpu": cpu[1] if cpu else platform.processor(), "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0], "tells_energy": bool(energy)}  # fmt: skip


def table(rows):
    measures = list(dict.fromkeys(r["measure"] for r in rows))
    cells = {(r["system"], r["clip"], r["measure"]): r["value"] for r in rows}
    out = ["| clip | system | " + " | ".join(measures) + " |", "|---|---|" + "---|" * len(measures)]
    for clip in dict.fromkeys(r["clip"] for r in rows):
        for system in dict.fromkeys(r["system"] for r in rows):
            values = [cells.get((system, clip, m)) for m in measures]
            out.append(f"| {clip} | {system} | " + " | ".join("–" if v is None else f"{v / 2**20:.1f} MiB" if m.endswith("bytes") else f"{v:.3g}" for m, v in zip(measures, values)) + " |")  # fmt: skip
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/release/ocelli")
    p.add_argument("--teacher", type=Path, default=ROOT / "data/teacher-venv/bin/python")
    p.add_argument("--clips", nargs="+", type=Path, default=[ROOT / "tests/clips/demo.mp4"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--stab", type=Path, help="what `cargo xtask bench stab --json` wrote")
    p.add_argument("--language", type=Path, help="what `cargo xtask eval language --only generate --json` wrote")
    p.add_argument("--curves", type=Path, help="what curves.py wrote")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    facts = machine()
    if facts["load"] > 0.7:
        say(f"this machine is busy (load {facts['load']:.1f}): read ratios, not times")
    rows = compare(args, args.clips)
    of_engines = engines(args.stab, args.language)
    curves = json.loads(args.curves.read_text()) if args.curves else {}
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load']:.1f}\n\n{table(rows)}\n")
    if of_engines:
        print("| work | system | measure | value |\n|---|---|---|---|")
        print("".join(f"| {r['clip']} | {r['system']} | {r['measure']} | {r['value']:.4g} |\n" for r in of_engines))
    if args.json:
        args.json.write_text(json.dumps({"machine": facts, "rows": rows + of_engines, "curves": curves.get("curves", []), "slopes": curves.get("slopes", [])}, indent=1) + "\n")


if __name__ == "__main__":
    main()
