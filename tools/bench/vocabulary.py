"""A hundred thousand sentences and where they lie, for `ocelli-bench vocabulary`.

    .venv/bin/python tools/bench/vocabulary.py FOLDER [--corpus data/corpus.npz] [--journal FILE]
    target/debug/ocelli-bench vocabulary --from FOLDER

The narrations of rendered clips (`tools/train/corpus.py`) lie where the text encoder put them. To embed a hundred thousand takes an
hour, so the others are modelled: each is a narration that goes on with one of two hundred places, and lies off it by a direction of
the place and one of its own. Times and bytes are the same wherever they lie; what is found depends on it. Looked up are
sentences that are not among them, and where a journal is given what a narrator answered, which lies far from all sentences.
"""

import argparse
import json
import sqlite3
from pathlib import Path

import numpy as np

COUNT, ASKED = 100_000, 200
PLACES = tuple(f" {prep} the {room}" for prep in (
    "in", "by", "near", "behind", "outside", "under", "above", "beside", "past", "toward") for room in (
    "kitchen", "hall", "bedroom", "window", "door", "stairs", "balcony", "garage", "garden", "desk", "sofa", "stove", "shelf", "table",
    "lamp", "mirror", "fridge", "carpet", "corridor", "house"))  # fmt: skip
PLACE, OWN = 0.6, 0.3  # lengths beside a narration's


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def table(corpus, rng):
    """(texts [N], unit f32 [N, 384], unit f32 [ASKED, 384] that are asked)"""
    with np.load(corpus) as z:
        texts, base = json.loads(str(z["texts"])), unit(z["embedding"].astype(np.float32))
    keep = {t.rstrip(".!"): i for i, t in enumerate(texts)}
    stems, base = list(keep), base[list(keep.values())]
    places = unit(rng.standard_normal((len(PLACES), base.shape[1]), np.float32))
    own = unit(rng.standard_normal((len(stems), len(PLACES), base.shape[1]), np.float32))
    rows = unit(base[:, None] + PLACE * places + OWN * own).reshape(-1, base.shape[1])
    said = [stem + place + "." for stem in stems for place in PLACES]
    if len(stems) + len(said) < COUNT + ASKED:
        raise SystemExit(f"{corpus} has {len(stems)} sentences, of which {COUNT} cannot be made")
    order = rng.permutation(len(said))
    taken, asked = order[: COUNT - len(stems)], order[-ASKED:]
    out = [stem + "." for stem in stems] + [said[i] for i in taken]
    rows, asked = np.concatenate([base, rows[taken]]), rows[asked]
    mixed = rng.permutation(len(out))
    return [out[i] for i in mixed], rows[mixed], asked


def int8(rows):
    return np.rint(rows / np.abs(rows).max(1, keepdims=True) * 127).astype(np.int8)


def answered(journal):
    """f32 [N, 384]: what a narrator answered from moment to moment."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT vector FROM moment").fetchall()
    return unit(np.stack([np.frombuffer(row[0], np.int8) for row in rows]).astype(np.float32))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--corpus", type=Path, default="data/corpus.npz")
    p.add_argument("--journal", type=Path)
    args = p.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    texts, rows, asked = table(args.corpus, np.random.default_rng(1))
    (args.folder / "texts.txt").write_text("\n".join(texts) + "\n")
    (args.folder / "rows.i8").write_bytes(int8(rows).tobytes())
    (args.folder / "sentences.f32").write_bytes(asked.astype(np.float32).tobytes())
    if args.journal:
        (args.folder / "narrator.f32").write_bytes(answered(args.journal).tobytes())


if __name__ == "__main__":
    main()
