"""What token drop costs: right answers over drop ratio, which is the measure of TimeChat-Online, and equal answers: the share of
half seconds with the same answer of five, and of frames with the same kind of all, as in the run without drop. *Running* is the drop
ratio of a stream that goes on: without the first picture of each clip, which is kept whole, and of which a camera has one.

    python dropped.py base-b=data/real/gmdcsa24/subject-1_*.npz base-a=data/real/gmdcsa24/subject-3_*.npz \\
        base=data/scenes/val --out data/reports/drop.json

Each argument is a checkpoint of data/checkpoints and clips that it was neither trained nor calibrated on. Every way to drop
runs over the same clips, in int8 as the pack computes: nothing dropped (every picture sent whole, every token kept), by
pixels (the gate, as in training, and with higher thresholds), and by features behind it (`[drop]` of a pack), at several similarities.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import data
import evaluate as ev
import export
import gate
import int8
import labels
import numpy as np
import speak as sp
import tokens as tok
import torch
import words

BEHIND = (0.97, 0.95, 0.92, 0.9, 0.88, 0.85)  # likeness of features behind the gate
ALONE = (0.99, 0.98, 0.97, 0.95, 0.94, 0.93, 0.92, 0.915, 0.91, 0.9, 0.85)  # without a gate
COARSER = (6, 8, 10, 14, 17)  # `min_mad` of a gate that is less curious than the pack's


def ways(stab, frames):
    """(name, threshold, tokens, (what stands, what lasts)) of every way to drop."""
    content = gate.content_patches(*frames.shape[1:3])
    whole = gate.patchify(gate.letterbox(frames))
    canvas, keep = gate.run_gate(whole, content)
    all_kept = np.ones((len(whole), gate.WINDOWS), bool)
    seen_whole, seen = (int8.remembered(ev.see(stab, c)) for c in (whole, canvas))
    kept = gate.window_kept(keep)
    yield "nothing", None, seen_whole, (tok.of_kept(all_kept), None)
    yield "pixels", gate.GateConfig().min_mad, seen, (tok.of_kept(kept), None)
    for mad in COARSER:
        canvas, keep = gate.run_gate(whole, content, replace(gate.GateConfig(), min_mad=mad))
        yield "pixels", mad, int8.remembered(ev.see(stab, canvas)), (ev.shown(keep), None)
    for cosine in BEHIND:
        yield "pixels, features", cosine, seen, tok.drop_features(seen, kept, cosine)
    for cosine in ALONE:
        yield "features", cosine, seen_whole, tok.drop_features(seen_whole, all_kept, cosine)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pairs", nargs="+", metavar="CHECKPOINT=CLIPS")
    p.add_argument("--vocabulary", default="models/home", help="pack folder")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    vocabulary, rows = words.load(args.vocabulary), {}
    for pair in args.pairs:
        name, pattern = pair.split("=", 1)
        stab, narrator, saved = export.load_models(Path(f"data/checkpoints/{name}.pt"))
        stab, narrator = int8.Int8Stab(stab), int8.Int8Narrator(narrator)
        speak, tau = saved.get("speak") or export.SPEAK, saved.get("tau", 0.05)
        paths = ev.find(pattern)
        if known := ev.seen_of(saved, paths):
            raise SystemExit(f"{known} clips of {pattern} are known to {name}")
        for done, path in enumerate(paths, 1):
            clip = data.load_clip(path)
            with np.load(path) as raw:
                times = raw["times"] if "times" in raw else np.arange(len(clip.kind)) / 5
                table = raw["table"] if "table" in raw and (raw["table"] >= 0).any() else clip.kind
            shown = gate.window_kept(gate.content_patches(*clip.frames.shape[1:3])[None])[0]
            wanted = answers = None
            for way, threshold, video, (stands, lasts) in ways(stab, clip.frames):
                _, kind = words.probabilities(ev.narrate(narrator, video, stands, lasts), vocabulary, tau)
                wanted = kind.argmax(1) if wanted is None else wanted
                truth, guess = ev.half_seconds(times, table.astype(int), sp.smooth(kind, speak["smoothing"]))
                answers = guess if answers is None else answers
                for who in ("all", "real") if clip.meta.get("source") == "real" else ("all",):
                    empty = {"five": [], "group": [], "kept": 0, "tokens": 0, "first": 0, "same": 0, "frames": 0, "answers": 0}
                    row = rows.setdefault((who, way, threshold), empty)
                    row["answers"] += int((guess == answers).sum())
                    row["five"].append((int((truth == guess).sum()), len(truth)))
                    row["group"].append(labels.household(clip.meta))
                    row["kept"] += int((tok.is_kept(stands) & shown).sum())
                    row["tokens"] += int(shown.sum() * len(stands))
                    row["first"] += int(shown.sum())
                    row["same"] += int((kind.argmax(1) == wanted).sum())
                    row["frames"] += len(stands)
            print(f"{name}: {done} of {len(paths)}", flush=True)
    report = []
    for (who, way, threshold), row in sorted(rows.items(), key=lambda r: r[0][0]):
        right, of = (sum(v) for v in zip(*row["five"]))
        whole = [r for r, _ in rows[who, "nothing", None]["five"]]
        report.append({
            "clips": who, "way": way, "threshold": threshold, "dropped": round(1 - row["kept"] / row["tokens"], 3),
            "running": round(1 - (row["kept"] - row["first"]) / (row["tokens"] - row["first"]), 3), "right": right, "half_seconds": of,
            "accuracy": ev.ratio(right, of), "interval": ev.bootstrap(ev.grouped(row["five"], row["group"])), "retained": ev.ratio(right, sum(whole)),
            "retained_interval": ev.bootstrap(ev.grouped([(r, w) for (r, _), w in zip(row["five"], whole)], row["group"])),
            "same_kind": ev.ratio(row["same"], row["frames"]), "same_answer": ev.ratio(row["answers"], of),
        })  # fmt: skip
        print(report[-1], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
