"""How soon an alert is told, and what a standing condition costs.

Latency is by the wall clock, of `ocelli run --command` in real time with 32 conditions beside those of the pack: from when the
program got the picture that completes the evidence of an alert (the `t_end_s` of its line, with the date of time 0 that the program
tells) to when its line was read at the other end of a pipe. The evidence itself takes the pack's smoothing and hold-off, or the
condition's `for`; it is told apart, as the time from the onset of a fall that a person saw to the line. The text that follows under
the same id counts from the alert's line. Clips are real ones, played at their own speed by ffmpeg.

What a condition costs is measured by `ocelli-bench conditions`: one of 32 judged on a picture.
"""

import datetime
import json
import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

CONDITIONS = 32
SPANS = Path(__file__).resolve().parents[2] / "train/spans.toml"
PLAYED = "ffmpeg -loglevel error -re -i {} -f yuv4mpegpipe -pix_fmt yuv420p -"


def config(kinds):
    """Conditions of one kind each, again from the first where there are fewer: told after a second, and again at once."""
    table = '[[alert]]\ntext = "condition {}"\nkinds = ["{}"]\nfor = "{}s"\ncooldown = "0s"\nthreshold = 0.15\n'
    return "".join(table.format(i, kinds[i % len(kinds)], 1 + i // len(kinds)) for i in range(CONDITIONS))


def falls():
    """Seconds at which falls begin, by clip."""
    spans = tomllib.loads(SPANS.read_text())["clips"]
    return {name: span[1] for name, of in spans.items() for span in of if span[0] == "fall"}


def video(data, name):
    """`gmdcsa24/subject-1_fall_13` is `gmdcsa24/subject-1/fall/13.mp4`."""
    part, clip = name.split("/")
    return data / part / Path(*clip.split("_")).with_suffix(".mp4")


def clips(data, quick):
    """The falls with an onset, and other clips of the same people, as (name, video, onset or None)."""
    onset = falls()
    named = [(name, video(data, name), onset[name]) for name in sorted(onset)]
    others = [(path.name, path, None) for path in sorted(data.glob("gmdcsa24/*/adl/*.mp4"))]
    found = [clip for clip in named + others[:: 1 if len(others) < 12 else len(others) // 12] if clip[1].exists()]
    return found[:4] if quick else found


def zero(text):
    """The date of time 0 in seconds since 1970; None where the line tells none."""
    date = text.removeprefix("watching; time 0 is ")
    return None if date == text else datetime.datetime.fromisoformat(date).timestamp()


def follow(lines):
    """From (arrival in s since 1970, line of JSON) what was measured: latencies of alerts and of their texts in ms, and the first
    fall that was told, in seconds of the clip."""
    start = first = None
    alerts, texts, arrived, fall = [], [], {}, None
    for now, line in lines:
        event = json.loads(line)
        if start is None and event["type"] == "health":
            start, first = zero(event["text"]), event["t_start_s"]
        elif event["type"] == "alert":
            arrived[event["id"]] = now
            alerts.append(1000 * (now - start - event["t_end_s"]))
            if fall is None and not event["text"].startswith("condition "):
                fall = now - start - first
        elif event["type"] == "update" and event["id"] in arrived:
            texts.append(1000 * (now - arrived[event["id"]]))
    return alerts, texts, fall


def run(tools, path, settings):
    """The program on a clip, and each of its lines with its arrival."""
    command = [tools.program, "run", "--json", "--pack", tools.pack, "--config", settings, "--command", PLAYED.format(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        return [(time.time(), line) for line in child.stdout]


def quantiles(values):
    """Nearest ranks."""
    ordered = sorted(values)
    rank = lambda share: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)  # noqa: E731
    return {"p50": rank(0.5), "p99": rank(0.99), "max": round(ordered[-1], 1), "count": len(ordered)} if ordered else None


def measure(tools):
    cost = json.loads(subprocess.run([tools.bench, "conditions"], check=True, capture_output=True, text=True).stdout)
    figures = {**cost, "alert_latency_ms": None, "alert_text_ms": None, "fall_onset_to_alert_s": None}
    played = clips(tools.data, tools.quick) if shutil.which("ffmpeg") else []
    if not played:
        return figures
    entries = tomllib.loads((tools.pack / "vocabulary.toml").read_text())["entry"]
    kinds = [kind for kind in dict.fromkeys(entry["kind"] for entry in entries) if kind != "silence"]
    settings = tools.work / "ocelli.toml"
    settings.write_text(config(kinds))
    alerts, texts, onsets = [], [], {}
    for name, path, onset in played:
        told, followed, fall = follow(run(tools, path, settings))
        alerts += told
        texts += followed
        if onset is not None:
            onsets[name] = None if fall is None else round(fall - onset, 2)
    figures["alert_latency_ms"], figures["alert_text_ms"] = quantiles(alerts), quantiles(texts)
    figures["fall_onset_to_alert_s"] = onsets
    figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures


def tell(figures):
    all_us = ", ".join(f"{us:.2f} us for {count}" for count, us in figures["picture_us_of_conditions"].items())
    lines = [f"A condition costs {figures['condition_cost_us']:.3f} us a picture ({CONDITIONS} at once; all of them: {all_us})."]
    latency, text = figures["alert_latency_ms"], figures["alert_text_ms"]
    if latency is None:
        return lines[0] + " Latency was not measured: it needs real clips and ffmpeg, and alerts in them."
    lines.append(
        f"From the picture that completes the evidence to the alert's line: median {latency['p50']} ms, p99 {latency['p99']} ms of "
        f"{latency['count']} alerts with {CONDITIONS} conditions; load average {figures['load_average']}."
    )
    if text:
        lines.append(f"Its sentence follows after {text['p50']} ms, p99 {text['p99']} ms.")
    told = ", ".join(f"{name} {'not told' if s is None else f'{s} s'}" for name, s in figures["fall_onset_to_alert_s"].items())
    lines.append(f"From a fall's onset, evidence window included: {told}.")
    return "\n".join(lines)
