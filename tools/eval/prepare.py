"""What must be there before anything is evaluated: labels and keypoints of real clips, rendered clips, their keypoints."""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1]
SPLITS = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # first seeds; rooms and people differ between them
ENOUGH = 0.9  # a seed without a good view of its person gives no clip


def outcome(text):
    """A file that is written when all is done: what would keep it from being written is said before, and its folder is made."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise argparse.ArgumentTypeError(f"{text} is a folder, or nothing may be written there")
    except OSError as why:
        raise argparse.ArgumentTypeError(f"{text}: {why.strerror}") from why
    return path


def run(python, script, *arguments):
    """Standard output is for figures."""
    subprocess.run([python, TOOLS / script, *map(str, arguments)], check=True, stdout=sys.stderr)


def test_folder(kept, kinds):
    """Test clips of another generator, or about other kinds, are others, and lie in another folder."""
    files = sorted(p for p in (TOOLS / "scenes").glob("*.py") if not p.name.startswith("test_"))
    sources = b"".join(p.read_bytes() for p in files) + ",".join(kinds).encode()
    return kept / f"scenes-{hashlib.sha256(sources).hexdigest()[:8]}" / "test"


def scenes(folder, count, assets, kinds=()):
    """Renders the first clips of a split into `folder`, whose last part is its name; about these kinds where some are given."""
    if len(list(folder.glob("*.npz"))) >= ENOUGH * count:
        return
    print(f"rendering up to {count} clips of the split `{folder.name}`, half a second of a core each and more", file=sys.stderr)
    arguments = ["--out", folder.parent, "--split", folder.name, "--first", SPLITS[folder.name], "--count", count]
    about = ["--focus", ",".join(kinds)] if kinds else []
    run(sys.executable, "scenes/generate.py", *arguments, "--assets", assets, *about)


def real_clips(data, out, teacher, sets):
    """Labels, frames and keypoints of these sets. Without the clips: said, and in CI a failure."""
    if data.is_dir():
        for part in sets:
            run(teacher, "train/real.py", data, out, "--only", f"{part}/")
    elif os.environ.get("CI") == "true":
        raise SystemExit(f"{data} is not here, and in CI nothing is left out")
    else:
        print(f"SKIPPED the real clips: {data} is not here", file=sys.stderr)


def poses(teacher, out, clips):
    """Keypoints of rendered clips."""
    run(teacher, "eval/pose.py", out, *(c.labels for c in clips))
