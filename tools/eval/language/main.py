"""The language side measured through the program itself: what it answers, how often it speaks, how soon it alerts, what a sentence and
a condition cost. `cargo xtask eval language` builds the programs and the environment, and calls this.

    .venv/bin/python tools/eval/language/main.py --json language.json --only questions        from the project's root

Each part is a module here with `measure(tools)`, which returns the figures that it adds to the JSON, and `tell(figures)`, which
says them in lines to be read.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import prepare  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("questions", "narrations", "views", "memory", "camera", "alerts", "sentences", "generate")


@dataclass(frozen=True)
class Tools:
    """What a part measures with. `work` is its own empty folder."""

    program: Path
    bench: Path
    pack: Path
    data: Path
    work: Path
    quick: bool


def say(text):
    """Progress goes beside the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/debug/ocelli")
    p.add_argument("--bench", type=Path, default=ROOT / "target/debug/ocelli-bench")
    p.add_argument("--pack", type=Path, default=ROOT / "models/home")
    p.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="real clips; what needs them is left out without")
    p.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be given more than once")
    p.add_argument("--quick", action="store_true", help="fewer events and rounds")
    p.add_argument("--json", type=prepare.outcome, help="write the figures into this file")
    return p.parse_args()


def main():
    args = arguments()
    figures = {}
    for name in args.only or PARTS:
        part = importlib.import_module(name)
        say(name)
        with tempfile.TemporaryDirectory(prefix="ocelli-language-") as work:
            tools = Tools(args.program, args.bench, args.pack, args.data, Path(work), args.quick)
            measured = part.measure(tools)
        print(f"## {name}\n\n{part.tell(measured)}\n", flush=True)
        figures |= measured
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
