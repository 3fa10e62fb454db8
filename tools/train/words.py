"""Reading a pack's vocabulary (`vocabulary.toml` + `vocabulary.bin`), and the kinds."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KINDS = (
    "nobody", "enter", "leave", "walk", "stand", "sit", "sit_down", "get_up",
    "lie_down", "lie", "fall", "bend", "raise_hands", "silence",
    # Since home 0.2; the order is that of tools/scenes/clip.py, and old checkpoints know the first 14 only.
    "run", "kneel", "lie_still", "wave", "point", "clap", "two_people", "three_people", "come_together", "pet",
    "light_on", "light_off", "door_opens", "door_closes", "reach", "pick_up", "put_down", "pour", "stir", "cut",
    "open", "close", "drink", "carry", "television",
)  # fmt: skip
SILENCE = KINDS.index("silence")
# Who is there, which is told however little is; and how things are, which can be so beside what people do.
WHO = ("nobody", "enter", "leave", "two_people", "three_people", "come_together")
THINGS = ("pet", "light_on", "light_off", "door_opens", "door_closes", "television")
DIMENSIONS = 384


@dataclass
class Vocabulary:
    """texts and kinds of N entries, unit embeddings f32 [N, 384], kind index i64 [N]."""

    texts: list
    severities: list
    kind: np.ndarray
    embedding: np.ndarray

    def __len__(self):
        return len(self.texts)

    def kind_matrix(self):
        """f32 [N, kinds]: entry -> kind, so that P(entry) @ matrix = P(kind)."""
        return np.eye(len(KINDS), dtype=np.float32)[self.kind]


def load(folder):
    """Read the two files in `folder`."""
    folder = Path(folder)
    entries = tomllib.loads((folder / "vocabulary.toml").read_text())["entry"]
    record = np.dtype([("scale", "<f4"), ("value", "i1", (DIMENSIONS,))])
    raw = np.frombuffer((folder / "vocabulary.bin").read_bytes(), record)
    if len(raw) != len(entries):
        raise ValueError(f"{len(entries)} entries in the toml, {len(raw)} in the bin")
    return Vocabulary(
        texts=[e["text"] for e in entries],
        severities=[e["severity"] for e in entries],
        kind=np.array([KINDS.index(e["kind"]) for e in entries]),
        embedding=raw["scale"][:, None] * raw["value"].astype(np.float32),
    )


def save(folder, texts, kinds, severities, embedding, about=None):
    """Write the two files: int8 with one scale an entry. `about` says whom or what a kind is about."""
    folder = Path(folder)
    lines = []
    for text, kind, severity in zip(texts, kinds, severities):
        lines += ["[[entry]]", f'text = "{text}"', f'kind = "{kind}"', f'severity = "{severity}"']
        if whom := (about or {}).get(kind):
            lines.append("about = [" + ", ".join(f'"{name}"' for name in whom) + "]")
        lines.append("")
    (folder / "vocabulary.toml").write_text("\n".join(lines))
    scale = np.abs(embedding).max(1) / 127
    raw = np.empty(len(embedding), [("scale", "<f4"), ("value", "i1", (DIMENSIONS,))])
    raw["scale"], raw["value"] = scale, np.rint(embedding / scale[:, None])
    (folder / "vocabulary.bin").write_bytes(raw.tobytes())


def placeholder(folder, seed=0):
    """A stand-in vocabulary with random unit embeddings, for test packs."""
    severity = {"fall": "alarm", "lie": "notice", "nobody": "none", "silence": "none"}
    said = [(f"test narration: {k.replace('_', ' ')}", k) for k in KINDS]
    said += [(f"test narration, other words: {k.replace('_', ' ')}", k) for k in KINDS[:6]]
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((len(said), DIMENSIONS)).astype(np.float32)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    save(folder, [s for s, _ in said], [k for _, k in said],
         [severity.get(k, "info") for _, k in said], e)  # fmt: skip


def probabilities(z, vocabulary, temperature):
    """z [T, 384] unit -> (entry probabilities [T, N], kind probabilities [T, kinds])."""
    e = vocabulary.embedding
    cos = z @ (e / np.linalg.norm(e, axis=1, keepdims=True)).T
    logit = cos / temperature
    p = np.exp(logit - logit.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p, p @ vocabulary.kind_matrix()
