"""What token drop costs: right answers over drop ratio, which is the measure of TimeChat-Online, and equal answers: the share of
half seconds with the same answer of five, and of frames with the same kind of all, as in the run without drop.

    python dropped.py base-b=data/real/gmdcsa24/subject-1_*.npz base-a=data/real/gmdcsa24/subject-3_*.npz \\
        base=data/scenes/val --out data/reports/drop.json

Each argument is a checkpoint of data/checkpoints and clips that it was neither trained nor calibrated on. Every way to drop
runs over the same clips, in int8 as the pack computes: nothing dropped (every picture sent whole, every token kept), by
pixels (the gate, as in training), and by features behind it (`[drop]` of a pack), at several similarities.
"""

import argparse
import json
from pathlib import Path

import data
import evaluate as ev
import export
import gate
import int8
import numpy as np
import speak as sp
import tokens as tok
import torch
import words

REFRESH = gate.GateConfig().refresh_frames
COSINES = (0.99, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8, 0.7)


def ways(stab, frames, behind, alone):
    """(name, cosine, tokens, windows kept) of every way to drop; and the windows that show the picture."""
    content = gate.content_patches(*frames.shape[1:3])
    whole = gate.patchify(gate.letterbox(frames))
    canvas, keep = gate.run_gate(whole, content)
    all_kept = np.ones((len(whole), gate.WINDOWS), bool)
    seen_whole, seen = (int8.remembered(ev.see(stab, c)) for c in (whole, canvas))
    kept = gate.window_kept(keep)
    yield "nothing", None, seen_whole, all_kept
    yield "pixels", None, seen, kept
    for cosine in sorted(behind, reverse=True):
        yield "pixels, features", cosine, seen, tok.drop_features(seen, kept, cosine, REFRESH)
    for cosine in sorted(alone, reverse=True):
        yield "features", cosine, seen_whole, tok.drop_features(seen_whole, all_kept, cosine, REFRESH)


def narrate(narrator, video, kept):
    """As `evaluate.narrate`, of windows kept."""
    patches = np.zeros((len(kept), gate.PATCHES), bool)
    row, column = np.divmod(np.arange(gate.WINDOWS), gate.GRID // 2)
    patches[:, row * 2 * gate.GRID + column * 2] = kept
    return ev.narrate(narrator, video, patches)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pairs", nargs="+", metavar="CHECKPOINT=CLIPS")
    p.add_argument("--vocabulary", default="models/home", help="pack folder")
    # One more where TimeChat-Online's drop ratio lies.
    p.add_argument("--behind", nargs="*", type=float, default=(*COSINES, 0.88), help="similarities of features behind the gate")
    p.add_argument("--alone", nargs="*", type=float, default=COSINES, help="of features without a gate")
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
            shown = gate.window_kept(gate.content_patches(*clip.frames.shape[1:3])[None])[0].sum()
            wanted = answers = None
            for way, cosine, video, kept in ways(stab, clip.frames, args.behind, args.alone):
                _, kind = words.probabilities(narrate(narrator, video, kept), vocabulary, tau)
                wanted = kind.argmax(1) if wanted is None else wanted
                truth, guess = ev.half_seconds(times, table.astype(int), sp.smooth(kind, speak["smoothing"]))
                answers = guess if answers is None else answers
                empty = {"five": [], "kept": 0, "tokens": 0, "same": 0, "frames": 0, "answers": 0}
                row = rows.setdefault((way, cosine), empty)
                row["answers"] += int((guess == answers).sum())
                row["five"].append((int((truth == guess).sum()), len(truth)))
                row["kept"] += int(min(kept.sum(), shown * len(kept)))
                row["tokens"] += int(shown * len(kept))
                row["same"] += int((kind.argmax(1) == wanted).sum())
                row["frames"] += len(kept)
            print(f"{name}: {done} of {len(paths)}", flush=True)
    report = []
    whole = sum(r for r, _ in rows["nothing", None]["five"])
    for (way, cosine), row in rows.items():
        right, of = (sum(v) for v in zip(*row["five"]))
        report.append({
            "way": way, "cosine": cosine, "dropped": round(1 - row["kept"] / row["tokens"], 3), "right": right, "half_seconds": of,
            "accuracy": ev.ratio(right, of), "interval": ev.bootstrap(row["five"]), "retained": ev.ratio(right, whole),
            "same_kind": ev.ratio(row["same"], row["frames"]), "same_answer": ev.ratio(row["answers"], of),
        })  # fmt: skip
        print(report[-1], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
