"""The ops of models/OPS.md in numpy and f64, one frame at a time, for onnx's reference evaluator: a second reading of the
specification, by which export.py holds the graphs as they lie in the pack against the emulation of int8.py. Everything
counts as fresh. Shapes as in OPS.md.
"""

import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

FRAMES = 4  # that Gstra looks at

erf = np.vectorize(math.erf, otypes=[float])


def gelu(x):
    return x * (1 + erf(x / math.sqrt(2))) / 2


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x))


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def unpacked(w, k, n):
    """Blocked int8 -> [.., K, N]."""
    k, n = np.ogrid[:k, :n]
    return w[..., n // 16, k // 4, n % 16, k % 4].astype(float)


def product(q, sx, w, s, b):
    """q [.., K] or [.., G, K] -> [.., N] or [.., G, N]."""
    groups = w.shape[0] if w.ndim == 5 else 1
    n = len(s) // groups
    w = unpacked(w, q.shape[-1], n)
    if w.ndim == 2:
        return q @ w * sx * s + b
    return np.einsum("...gk,gkn->...gn", q, w) * sx * s.reshape(groups, n) + b.reshape(groups, n)


def lin(x, w, s, b):
    top = np.abs(x).max(-1, keepdims=True)
    top[top == 0] = 127
    return product(np.rint(x * (127 / top)), top / 127, w, s, b)


def merged(runs):
    """Partial softmaxes [(maximum [h], sum [h], weighted sum [h, d])] -> context [h, d]."""
    m, s, v = runs[0]
    for m1, s1, v1 in runs[1:]:
        top = np.maximum(m, m1)
        a, b = np.exp(m - top), np.exp(m1 - top)
        m, s, v = top, s * a + s1 * b, v * a[:, None] + v1 * b[:, None]
    return v / s[:, None]


def partial(n, keys):
    score = keys @ n.T
    m = score.max(1)
    e = np.exp(score - m[:, None])
    return m, e.sum(1), e @ n


def runs_of(n, keys, size):
    return [partial(n[i : i + size], keys) for i in range(0, len(n), size)]


def windows(x, side):
    """[P, d] -> [W, 4, d]."""
    half = side // 2
    return x.reshape(half, 2, half, 2, -1).swapaxes(1, 2).reshape(half * half, 4, -1)


def fresh(rows):
    return np.ones(rows, np.uint8)


class Op(OpRun):
    """Inside f64; between ops f32, as the graph says."""

    op_domain, op_schema = "ai.ocelli", None  # or onnx would take Attention's attributes for those of its own Attention

    def run(self, *inputs, **more):
        inputs = (v.astype(float) if v is not None and v.dtype == np.float32 else v for v in inputs)
        return tuple(v.astype(np.float32) if v.dtype == float else v for v in super().run(*inputs, **more))


class Lste(Op):
    z = x1 = ()  # of the two frames before

    def _run(self, patches, changed, *inputs, side=None):
        patch, reduce, taps, expand, (dpe_w, dpe_b) = inputs[:3], inputs[3:6], inputs[6], inputs[7:10], inputs[10:]
        x0 = product(patches.astype(float) - 128, 1, *patch)
        z = lin(x0, *reduce)
        self.z = (*(self.z or (0 * z, 0 * z)), z)[-3:]
        x1 = x0 + lin(sum(t * z for t, z in zip(taps, self.z)), *expand)
        self.x1 = (*(self.x1 or (0 * x1, 0 * x1)), x1)[-3:]
        dpe = dpe_b
        for i, past in enumerate(self.x1):
            square = np.pad(past.reshape(side, side, -1), ((1, 1), (1, 1), (0, 0)))
            for j in range(9):
                row, column = divmod(j, 3)
                dpe = dpe + square[row : row + side, column : column + side] * dpe_w[9 * i + j]
        x2 = x1 + dpe.reshape(x1.shape)
        return x2, x2 + x0, fresh(len(x2))


class Gstra(Op):
    ring = ()  # partial softmaxes of the frames before

    def _run(self, x2, seen, keys, *inputs, block=None):
        v, out, up, down = (inputs[i : i + 3] for i in (0, 3, 6, 9))
        self.ring = (*self.ring, runs_of(norm(x2), keys, block))[-FRAMES:]
        context = merged([run for frame in self.ring for run in frame])
        g1 = lin(lin(context, *v).reshape(1, -1), *out)
        return g1 + lin(quick_gelu(lin(norm(g1), *up)), *down), fresh(1)


class Lsd(Op):
    def _run(self, x3, seen, *inputs, side=None, heads=None):
        q, k, v, out = (inputs[i : i + 3] for i in (0, 3, 6, 9))
        four = windows(x3, side)
        m, n = four.mean(1), norm(four)
        u = lin(lin(norm(m), *q).reshape(len(m), heads, -1), *k)
        score = np.einsum("whd,wpd->whp", u, n)
        share = np.exp(score - score.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        return m + lin(lin(share @ n, *v).reshape(m.shape), *out), fresh(len(m))


class Fsra(Op):
    def _run(self, y, seen, keys, *inputs, block=None):
        v, out = inputs[:3], inputs[3:]
        return lin(lin(merged(runs_of(norm(y), keys, block)), *v).reshape(1, -1), *out), fresh(1)


class Project(Op):
    def _run(self, g, fresh_g, f, fresh_f, y, fresh_y, share, *inputs):
        frame, up, down = (inputs[i : i + 3] for i in (0, 3, 6))
        rows = np.concatenate([lin(norm((1 - share) * g + share * f), *frame), y])
        return lin(gelu(lin(rows, *up)), *down), fresh(len(rows))


class QLinear(Op):
    def _run(self, x, w, s, b, rows, residual, k=None, n=None, norm=None, act=None):
        act = {"none": lambda v: v, "gelu": gelu, "quick_gelu": quick_gelu}[act]
        if x.shape[1] != k or len(s) != n:
            raise ValueError(f"{x.shape} and {len(s)} columns are not {k} and {n}")
        out = act(lin(globals()["norm"](x) if norm else x, w, s, b))
        out = out if residual is None else out + residual
        return (out if rows is None else np.where(rows[:, None] == 1, out, 0),)


class Attention(Op):
    def _run(self, qkv, rows, heads=None, queries=None):
        q, k, v = qkv.reshape(len(qkv), 3, heads, -1).transpose(1, 2, 0, 3)  # [h, S, dh]
        q = q[:, -1:] if queries == "last" else q
        score = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        share = np.exp(score - score.max(-1, keepdims=True)) * (rows == 1)
        mixed = share / share.sum(-1, keepdims=True) @ v
        mixed = mixed.swapaxes(0, 1).reshape(q.shape[1], -1)
        return (mixed if queries == "last" else np.where(rows[:, None] == 1, mixed, 0),)


def graph(path):
    """An int8 graph as a function of its named inputs; what its ops remember starts empty."""
    return ReferenceEvaluator(onnx.load(path), new_ops=[Lste, Gstra, Lsd, Fsra, Project, QLinear, Attention])
