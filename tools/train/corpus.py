"""Embeds the narrations of rendered clips, and finds for each those that are easily taken for it.

    python corpus.py data/corpus.npz data/scenes/train data/scenes/val

EgoNCE++ (2024) shows that a contrastive loss against random sentences learns what is there but hardly what is done, and adds
negatives in which only the verb, or only the noun, is another. There a language model writes them; here they are taken from
the narrations themselves, which hold every combination: *verbs* are the nearest sentences of another kind, *nouns* the nearest
of the same kind.
"""

import argparse
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import data
import words

NEAREST = 16
FPS = 5
# Kinds that are true at once: neither is a negative of the other.
TOGETHER = [{"lie", "lie_still"}, {"walk", "enter", "leave", "carry", "come_together"}, {"run", "come_together"},
            {"nobody", "silence", "television", "light_on", "light_off", "door_opens", "door_closes", "pet"}]  # fmt: skip
SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}


@dataclass
class Corpus:
    """N sentences: unit embeddings f32 [N, 384]; rows of their nearest `verbs` and `nouns` i32 [N, 16], -1 where there are
    none; the row of each as a mirror shows it."""

    texts: list
    embedding: np.ndarray
    verbs: np.ndarray
    nouns: np.ndarray
    mirrored: np.ndarray
    row: dict = field(init=False)

    def __post_init__(self):
        self.row = {text: i for i, text in enumerate(self.texts)}

    def said(self, narrations, frames):
        """Rows of what is true at each of `frames` frames: a list of tuples."""
        out = [[] for _ in range(frames)]
        for n in narrations:
            row = self.row.get(n["text"])
            if row is not None:
                for t in range(round(n["start_s"] * FPS), min(round(n["end_s"] * FPS), frames)):
                    out[t].append(row)
        return [tuple(rows) for rows in out]

    def negatives(self, rng, row, count):
        """Up to `count` rows that are easily taken for `row`, half of them with another verb."""
        verbs, nouns = (of[row][of[row] >= 0] for of in (self.verbs, self.nouns))
        take = lambda of, n: rng.choice(of, min(n, len(of)), replace=False)  # noqa: E731
        return np.concatenate([take(verbs, count - count // 2), take(nouns, count // 2)]).tolist()


def load(path):
    with np.load(path) as z:
        return Corpus(json.loads(str(z["texts"])), z["embedding"].astype(np.float32), z["verbs"], z["nouns"], z["mirrored"])


def mirror(text):
    return re.sub(rf"\b({'|'.join(SIDES)})\b", lambda m: SIDES[m[0]], text)


def collect(roots):
    """{text: kind} of all clips that have narrations, and of those as a mirror shows them."""
    kinds = {}
    for path in data.find_clips(roots):
        with np.load(path) as z:
            for n in json.loads(str(z["narrations"])) if "narrations" in z else []:
                kinds |= {n["text"]: n["kind"], mirror(n["text"]): n["kind"]}
    return kinds


def nearest(embedding, kinds):
    """(verbs, nouns) of `Corpus`; kinds is a list of N names."""
    names = sorted(set(kinds))
    kind = np.array([names.index(k) for k in kinds])
    apart = np.array([[a != b and not any({a, b} <= t for t in TOGETHER) for b in names] for a in names])
    found = []
    for allowed in (lambda i: apart[kind[i], kind], lambda i: (kind == kind[i]) & (np.arange(len(kind)) != i)):
        rows = np.full((len(kind), NEAREST), -1, np.int32)
        for i, e in enumerate(embedding):
            cosine = np.where(allowed(i), embedding @ e, -2)
            best = np.argsort(-cosine, kind="stable")[:NEAREST]
            best = best[cosine[best] > -2]
            rows[i, : len(best)] = best
        found.append(rows)
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("clips", nargs="+")
    args = p.parse_args()
    import vocabulary

    kinds = dict(sorted(collect(args.clips).items()))
    if not kinds:
        raise SystemExit(f"no clip below {', '.join(args.clips)} has narrations")
    if unknown := set(kinds.values()) - set(words.KINDS):
        raise SystemExit(f"unknown kinds {unknown}")
    texts = list(kinds)
    embedding = vocabulary.embed(texts)
    verbs, nouns = nearest(embedding, list(kinds.values()))
    row = {t: i for i, t in enumerate(texts)}
    mirrored = np.array([row[mirror(t)] for t in texts], np.int32)
    np.savez(args.out, texts=json.dumps(texts), embedding=embedding.astype(np.float16), verbs=verbs, nouns=nouns, mirrored=mirrored)
    for i in np.random.default_rng(0).choice(len(texts), 3):
        print(f"{texts[i]}  not: {texts[verbs[i, 0]]}  nor: {texts[nouns[i, 0]] if nouns[i, 0] >= 0 else '-'}")
    print(f"{len(texts)} sentences of {len(set(kinds.values()))} kinds in {args.out}")


if __name__ == "__main__":
    main()
