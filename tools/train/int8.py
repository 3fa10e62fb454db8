"""The int8 form of both networks: folding, ONNX graphs of domain `ai.ocelli` (models/OPS.md), and their emulation.

Weights are int8 with one scale a column, activations int8 with one scale a row, chosen when the row is used. `Int8Stab`
and `Int8Narrator` compute in PyTorch what the runtime's ops compute, whole clips at once; sums of integers stay below
2^24 and are therefore exact in f32. Shapes as in stab.py and narrator.py.
"""

import copy
from dataclasses import dataclass

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

import gate
import narrator as nar
import stab as st
import tokens as tok

DOMAIN = "ai.ocelli"
COLUMNS, ROWS = 16, 4  # of the unit in which weights are stored: 64 bytes
GSTRA_BLOCK, FSRA_BLOCK = 16, 8  # patches, windows of one partial softmax
EXACT = 1 << 24  # integers below it are exact in f32


# -- numbers --------------------------------------------------------------------------------------
@dataclass
class Matrix:
    """What `lin` takes: w [K, N] or grouped [G, K, N] (f32, whole numbers up to 127), s and b f32 [N] or [G * N]."""

    w: torch.Tensor
    s: torch.Tensor
    b: torch.Tensor


def quantize(weight, bias=None, exact=True):
    """weight f64 [K, N] or [G, K, N], bias [N] or [G * N] (or none) -> Matrix, one scale a column; `exact` where it is emulated
    in f32."""
    top = weight.abs().amax(-2, keepdim=True)
    w = torch.round(weight * (127 / torch.where(top > 0, top, 127.0)))
    s = (top / 127).flatten()
    b = torch.zeros_like(s) if bias is None else bias
    if exact and weight.shape[-2] * 128 * 127 >= EXACT:
        raise ValueError(f"{weight.shape[-2]} rows: sums would not be exact")
    return Matrix(w.float(), s.float(), b.float())


def block(w):
    """[.., K, N] -> int8 [.., ceil(N/16), ceil(K/4), 16, 4], zeros where nothing is."""
    *group, k, n = w.shape
    rows, columns = -(-k // ROWS), -(-n // COLUMNS)
    full = np.zeros((*group, rows * ROWS, columns * COLUMNS), np.int8)
    full[..., :k, :n] = w
    full = full.reshape(*group, rows, ROWS, columns, COLUMNS)
    at = len(group)
    return np.ascontiguousarray(full.transpose(*range(at), at + 2, at, at + 3, at + 1))


def unblock(blocked, k, n):
    """What `block` made -> int8 [.., K, N]."""
    *group, columns, rows, _, _ = blocked.shape
    at = len(group)
    full = blocked.transpose(*range(at), at + 1, at + 3, at, at + 2)
    return full.reshape(*group, rows * ROWS, columns * COLUMNS)[..., :k, :n]


def quantize_rows(x):
    """x f32 [.., K] -> (q whole numbers [.., K], sx [.., 1])."""
    top = x.abs().amax(-1, keepdim=True)
    top = torch.where(top > 0, top, 127.0)
    return torch.round(x * (127 / top)), top / 127


def remembered(tokens):
    """tokens f32 [.., H] as the runtime's memory holds them: int8, each with its own scale."""
    q, sx = quantize_rows(tokens)
    return q * sx


def product(q, sx, m):
    """q [.., K], sx [.., 1] -> [.., N]; grouped q [.., G, K] -> [.., G, N]."""
    if m.w.dim() == 2:
        return torch.matmul(q, m.w) * sx * m.s + m.b
    groups, k, n = m.w.shape
    total = torch.matmul(q.reshape(-1, groups, k).transpose(0, 1), m.w).transpose(0, 1)  # [.., G, N]
    return total.reshape(*q.shape[:-1], n) * sx * m.s.view(groups, n) + m.b.view(groups, n)


def lin(x, m):
    """x [.., K] -> [.., N]; grouped x [.., G, K] -> [.., G, N]."""
    return product(*quantize_rows(x), m)


def norm(x):
    return F.layer_norm(x, x.shape[-1:])


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


# -- folding --------------------------------------------------------------------------------------
def after_norm(layer_norm, linear):
    """linear(layer_norm(x)) as (weight [d, N], bias [N]) for norm(x)."""
    bias = 0 if linear.bias is None else linear.bias
    return (linear.weight * layer_norm.weight).t(), bias + linear.weight @ layer_norm.bias


def value_and_out(key_norm, value, out, heads, query=0.0):
    """Values of normed inputs, then `out`: (grouped Matrix d -> dh, Matrix d -> d). Shares add up to 1, so what is constant
    in the values is constant behind `out`."""
    weight, constant = after_norm(key_norm, value)
    grouped = weight.t().reshape(heads, -1, weight.shape[0]).transpose(1, 2)  # [heads, d, dh]
    return quantize(grouped), quantize(out.weight.t(), query + out.bias + out.weight @ constant)


def single(tensors):
    """Tensors of one op in f32; matrices are so already."""
    return {name: t if isinstance(t, Matrix) else t.float().contiguous() for name, t in tensors.items()}


@torch.no_grad()
def fold_stab(stab):
    """Trained causal Stab -> {op: {name: Matrix or f32 tensor}}, ops and names in the order of the graph's inputs.

    Offsets of key norms shift all scores of a head alike and drop out."""
    if not stab.config.causal:
        raise ValueError("the streaming graph needs the causal form")
    stab = copy.deepcopy(stab).double().eval()
    heads = stab.config.heads
    scale, shift = st.pixel_scale(torch.float64)
    patch = stab.patch.weight
    batch_norm, lste = stab.lste.norm, stab.lste
    gain = batch_norm.weight / torch.sqrt(batch_norm.running_var + batch_norm.eps)
    offset = batch_norm.bias - batch_norm.running_mean * gain
    gstra, lsd, fsra = stab.gstra, stab.lsd, stab.fsra
    gstra_v, gstra_out = value_and_out(gstra.norm_key, gstra.v, gstra.out, heads, gstra.query)
    lsd_v, lsd_out = value_and_out(lsd.norm_key, lsd.v, lsd.out, heads)
    fsra_v, fsra_out = value_and_out(fsra.norm_key, fsra.v, fsra.out, heads, fsra.query)
    query, constant = after_norm(lsd.norm_query, lsd.q)
    up, _, down = stab.project
    return {
        "Lste": single({
            "patch": quantize((patch * scale).t(), patch @ (shift + 128 * scale)),
            "reduce": quantize((lste.reduce.weight * gain).t(), lste.reduce.bias + lste.reduce.weight @ offset),
            "taps": lste.taps,
            "expand": quantize(lste.expand.weight.t(), lste.expand.bias + lste.expand.weight @ lste.tap_bias),
            "dpe_w": stab.dpe.weight.flatten(1).t(),
            "dpe_b": stab.dpe.bias,
        }),
        "Gstra": single({
            "keys": gstra.keys() * gstra.norm_key.weight,
            "v": gstra_v,
            "out": gstra_out,
            "up": quantize(*after_norm(gstra.norm_mlp, gstra.up)),
            "down": quantize(gstra.down.weight.t(), gstra.down.bias),
        }),
        "Lsd": single({
            "q": quantize(query * lsd.scale, constant * lsd.scale),
            "k": quantize(st.by_head(lsd.k.weight, heads) * lsd.norm_key.weight),
            "v": lsd_v,
            "out": lsd_out,
        }),
        "Fsra": single({"keys": fsra.keys() * fsra.norm_key.weight, "v": fsra_v, "out": fsra_out}),
        "Project": single({
            "share": torch.sigmoid(stab.balance),
            "frame": quantize(*after_norm(stab.norm_frame, stab.frame_out)),
            "up": quantize(up.weight.t(), up.bias),
            "down": quantize(down.weight.t(), down.bias),
        }),
    }  # fmt: skip


def turn(width, seed=0):
    """A random orthogonal f64 [width, width] whose rows and columns add up to 1: norm(x @ turn) = norm(x) @ turn."""
    generator = torch.Generator().manual_seed(seed)
    bases = []
    for _ in range(2):
        vectors = torch.randn(width, width, dtype=torch.float64, generator=generator)
        vectors[:, 0] = 1
        bases.append(torch.linalg.qr(vectors)[0])
    return bases[0] @ bases[1].t()


@torch.no_grad()
def fold_narrator(narrator, speak=None):
    """Trained Narrator -> {embed, age, position, blocks: [{qkv, out, up, down}], head}, and `speak` of the linear layer of that
    name, informative and relevant (switches.py), where there is one.

    The residual stream is turned (QuaRot, Ashkboos et al. 2024): the same function, but no channel stands out of the rows
    that are quantized. On clips of ASSIST-IoT and scenes the narrator's own error of z falls from 0.0078 to 0.0051."""
    n = copy.deepcopy(narrator).double().eval()
    t = turn(n.config.width)
    blocks = []
    for b in n.blocks:
        (attend, bias), (up, up_bias) = after_norm(b.norm1, b.qkv), after_norm(b.norm2, b.up)
        q, k, v = bias.chunk(3)
        # Constant keys shift all scores of a query alike; constant values are constant behind `out`.
        blocks.append({
            "qkv": quantize(t.t() @ attend, torch.cat([q, torch.zeros_like(k), torch.zeros_like(v)])),
            "out": quantize(b.out.weight.t() @ t, (b.out.bias + b.out.weight @ v) @ t),
            "up": quantize(t.t() @ up, up_bias),
            "down": quantize(b.down.weight.t() @ t, b.down.bias @ t),
        })  # fmt: skip
    (embed, embed_bias), (head, head_bias) = after_norm(n.norm_in, n.embed), after_norm(n.norm_out, n.head)
    ends = {"embed": quantize(embed @ t, embed_bias @ t), "head": quantize(t.t() @ head, head_bias)}
    if speak is not None:
        weight, bias = after_norm(n.norm_out, copy.deepcopy(speak).double())
        ends["speak"] = quantize(t.t() @ weight, bias)
    return ends | {"age": (n.age @ t).float(), "position": (n.position @ t).float(), "blocks": blocks}


# -- emulation ------------------------------------------------------------------------------------
class Int8Stab:
    """Called as Stab: u8 patches [B, T, P, 588] -> tokens [B, T, 1 + W, H], rings of frames empty at first."""

    def __init__(self, stab):
        self.config, self.folded = stab.config, fold_stab(stab)

    def __call__(self, patches):
        return self.run(patches)["tokens"]

    @torch.no_grad()
    def run(self, patches):
        """-> {x2, x3 [B, T, P, d], g, f [B, T, d], y [B, T, W, d], tokens}: the outputs of the ops."""
        x2, x3 = self.lste(patches)
        g, y = self.gstra(x2), self.lsd(x3)
        f = self.fsra(y)
        return {"x2": x2, "x3": x3, "g": g, "y": y, "f": f, "tokens": self.project(g, f, y)}

    def lste(self, patches):
        t = self.folded["Lste"]
        x0 = product(patches.float() - 128, 1.0, t["patch"])
        z = F.pad(lin(x0, t["reduce"]), (0, 0, 0, 0, 2, 0))
        a, b, c = t["taps"]
        x1 = x0 + lin(z[:, :-2] * a + z[:, 1:-1] * b + z[:, 2:] * c, t["expand"])
        x2 = x1 + self.dpe(x1, t["dpe_w"], t["dpe_b"])
        return x2, x2 + x0

    def dpe(self, x1, weight, bias):
        clips, frames, patches, d = x1.shape
        side = self.config.grid
        volume = x1.view(clips, frames, side, side, d).permute(0, 4, 1, 2, 3)
        volume = F.pad(volume, (1, 1, 1, 1, 2, 0))
        total = bias.view(1, d, 1, 1, 1)
        for tap, w in enumerate(weight):
            i, j, k = np.unravel_index(tap, (3, 3, 3))
            total = total + volume[:, :, i : i + frames, j : j + side, k : k + side] * w.view(1, d, 1, 1, 1)
        return total.permute(0, 2, 3, 4, 1).reshape(clips, frames, patches, d)

    def gstra(self, x2):
        t = self.folded["Gstra"]
        n = norm(x2)
        score = torch.matmul(t["keys"], n.transpose(-1, -2))  # [B, T, heads, P]
        past = st.CHUNK - 1
        # The last four frames' patches on one axis, [B, T, heads, 4P] and [B, T, 4P, d]; frames before the first weigh nothing.
        recent = F.pad(score, (0, 0, 0, 0, past, 0), value=-torch.inf).unfold(1, st.CHUNK, 1)
        share = recent.transpose(-1, -2).flatten(-2).softmax(-1).unflatten(-1, (st.CHUNK, -1))
        n = F.pad(n, (0, 0, 0, 0, past, 0))
        context = sum(torch.matmul(share[..., i, :], n[:, i : i + x2.shape[1]]) for i in range(st.CHUNK))
        g1 = lin(lin(context, t["v"]).flatten(-2), t["out"])
        return g1 + lin(quick_gelu(lin(norm(g1), t["up"])), t["down"])

    def lsd(self, x3):
        t, heads = self.folded["Lsd"], self.config.heads
        clips, frames, patches, d = x3.shape
        half = self.config.grid // 2
        four = x3.view(clips, frames, half, 2, half, 2, d).transpose(3, 4).reshape(clips, frames, patches // 4, 4, d)
        mean, n = four.mean(-2), norm(four)
        u = lin(lin(norm(mean), t["q"]).unflatten(-1, (heads, -1)), t["k"])
        context = torch.matmul(torch.matmul(u, n.transpose(-1, -2)).softmax(-1), n)
        return mean + lin(lin(context, t["v"]).flatten(-2), t["out"])

    def fsra(self, y):
        t = self.folded["Fsra"]
        n = norm(y)
        context = torch.matmul(torch.matmul(t["keys"], n.transpose(-1, -2)).softmax(-1), n)
        return lin(lin(context, t["v"]).flatten(-2), t["out"])

    def project(self, g, f, y):
        t = self.folded["Project"]
        frame = lin(norm((1 - t["share"]) * g + t["share"] * f), t["frame"])
        return lin(F.gelu(lin(torch.cat([frame.unsqueeze(-2), y], -2), t["up"])), t["down"])


class Int8Narrator:
    """Called as Narrator: tokens [B, 128, H], index i64 [B, 128, 2], valid f32 [B, 128] -> z [B, 384]; `speak` -> logits [B, 2]."""

    def __init__(self, narrator, speak=None):
        self.config, self.folded = narrator.config, fold_narrator(narrator, speak)

    @torch.no_grad()
    def __call__(self, tokens, index, valid):
        z = lin(norm(self.last(tokens, index, valid)), self.folded["head"])
        return z / torch.sqrt((z * z).sum(-1, keepdim=True) + 1e-12)

    @torch.no_grad()
    def speak(self, tokens, index, valid):
        return lin(norm(self.last(tokens, index, valid)), self.folded["speak"])

    def last(self, tokens, index, valid):
        """-> [B, W]: the retrieval token, before its norm."""
        t, heads = self.folded, self.config.heads
        live = valid.unsqueeze(-1)
        x = (lin(norm(tokens), t["embed"]) + (t["age"][index[..., 0]] + t["position"][index[..., 1]])) * live
        x = torch.cat([x, x.sum(1, keepdim=True) / live.sum(1, keepdim=True)], 1)
        seen = torch.cat([valid, torch.ones_like(valid[:, :1])], 1)[:, None, None, :] > 0
        for i, b in enumerate(t["blocks"]):
            q, k, v = lin(norm(x), b["qkv"]).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
            if i == len(t["blocks"]) - 1:
                q, x = q[:, :, -1:], x[:, -1:]
            score = torch.matmul(q, k.transpose(-1, -2)) * q.shape[-1] ** -0.5
            mixed = torch.matmul(score.masked_fill(~seen, -torch.inf).softmax(-1), v)
            x = lin(mixed.transpose(1, 2).flatten(-2), b["out"]) + x
            x = lin(F.gelu(lin(norm(x), b["up"])), b["down"]) + x
        return x[:, 0]


# -- graphs ---------------------------------------------------------------------------------------
class Graph:
    """An ONNX graph under construction. Types are TensorProto's; every tensor has a type and a fixed shape."""

    def __init__(self, name):
        self.name, self.nodes, self.constants, self.values, self.inputs = name, [], [], {}, []

    def input(self, name, kind, shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def tensors(self, prefix, tensors):
        """Names of the inputs that {name: Matrix or tensor} becomes."""
        out = []
        for name, t in tensors.items():
            full = f"{prefix}.{name}"
            out += self.matrix(full, t) if isinstance(t, Matrix) else [self.constant(full, t.numpy())]
        return out

    def matrix(self, name, m):
        parts = {"w": block(m.w.numpy()), "s": m.s.numpy(), "b": m.b.numpy()}
        return [self.constant(f"{name}.{part}", value) for part, value in parts.items()]

    def node(self, op, name, inputs, outputs, domain="", **attributes):
        """outputs [(name, type, shape)] -> their names."""
        names = [o[0] for o in outputs]
        self.values |= {o[0]: helper.make_tensor_value_info(*o) for o in outputs}
        self.nodes.append(helper.make_node(op, inputs, names, name=name, domain=domain, **attributes))
        return names

    def floats(self, op, output, inputs, shape, domain="", **attributes):
        """A node of one f32 output, named as its output."""
        return self.node(op, output, inputs, [(output, TensorProto.FLOAT, shape)], domain, **attributes)[0]

    def save(self, path, outputs):
        inner = [v for name, v in self.values.items() if name not in outputs]
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs, [self.values[o] for o in outputs], self.constants, value_info=inner
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="ocelli")
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))


def write_stab(emulated, path):
    """Int8Stab -> stab.onnx: `patches` u8 [P, 588], `changed` u8 [P] -> `tokens` f32 [1 + W, H]."""
    c, t = emulated.config, emulated.folded
    p, w = c.grid**2, c.grid**2 // 4
    u8, f32 = TensorProto.UINT8, TensorProto.FLOAT
    g = Graph("stab")
    seen = [g.input("patches", u8, [p, gate.PATCH_BYTES]), g.input("changed", u8, [p])]

    def op(kind, inputs, outputs, **attributes):
        name = kind.upper()
        return g.node(kind, name, inputs + g.tensors(name, t[kind]), outputs, DOMAIN, **attributes)

    patches = [("x2", f32, [p, c.d]), ("x3", f32, [p, c.d]), ("fresh_patches", u8, [p])]
    x2, x3, fresh = op("Lste", seen, patches, side=c.grid)
    frame = op("Gstra", [x2, fresh], [("g", f32, [1, c.d]), ("fresh_g", u8, [1])], block=GSTRA_BLOCK)
    y = op("Lsd", [x3, fresh], [("y", f32, [w, c.d]), ("fresh_y", u8, [w])], side=c.grid, heads=c.heads)
    f = op("Fsra", y, [("f", f32, [1, c.d]), ("fresh_f", u8, [1])], block=FSRA_BLOCK)
    op("Project", [*frame, *f, *y], [("tokens", f32, [1 + w, c.width]), ("fresh_tokens", u8, [1 + w])])
    g.save(path, ["tokens"])


def write_narrator(emulated, path):
    """Int8Narrator -> narrator.onnx: tokens f32 [128, H], index i64 [128, 2], valid f32 [128] -> z f32 [384], and where there
    are heads for it `speak` f32 [2]: logits of informative and relevant."""
    c, t = emulated.config, emulated.folded
    n, width = tok.SLOTS, c.width
    u8, f32, i64 = TensorProto.UINT8, TensorProto.FLOAT, TensorProto.INT64
    g = Graph("narrator")
    tokens = g.input("tokens", f32, [n, c.token_width])
    index, valid = g.input("index", i64, [n, 2]), g.input("valid", f32, [n])

    def qlinear(output, count, x, m, rows="", residual="", norm=0, act="none"):
        k, columns = m.w.shape
        inputs = [x, *g.matrix(output, m), rows, residual]
        return g.floats("QLinear", output, inputs, [count, columns], DOMAIN, k=k, n=columns, norm=norm, act=act)

    whole = lambda name, *v: g.constant(name, np.array(v, np.int64))  # noqa: E731
    looked_up = []
    for i, name in enumerate(("age", "position")):
        column = g.node("Gather", f"{name}_of", [index, g.constant(f"{name}_column", np.array(i, np.int64))],
                        [(f"{name}_of", i64, [n])], axis=1)[0]  # fmt: skip
        table = g.constant(f"{name}_table", t[name].numpy())
        looked_up.append(g.floats("Gather", name, [table, column], [n, width], axis=0))
    place = g.floats("Add", "place", looked_up, [n, width])
    slots = g.node("Cast", "slots", [valid], [("slots", u8, [n])], to=u8)[0]
    x = qlinear("embed", n, tokens, t["embed"], slots, place, norm=1)  # rows that are not valid are 0
    first = whole("first_axis", 0)
    total = g.floats("ReduceSum", "total", [x, first], [1, width], keepdims=1)
    number = g.floats("ReduceSum", "number", [valid, first], [1], keepdims=1)
    mean = g.floats("Div", "mean", [total, number], [1, width])
    x = g.floats("Concat", "with_retrieval", [x, mean], [n + 1, width], axis=0)
    one = g.constant("one", np.ones(1, np.float32))
    valid_all = g.floats("Concat", "valid_all", [valid, one], [n + 1], axis=0)
    rows = g.node("Cast", "rows", [valid_all], [("rows", u8, [n + 1])], to=u8)[0]
    for i, b in enumerate(t["blocks"]):
        last = i == len(t["blocks"]) - 1
        qkv = qlinear(f"qkv{i}", n + 1, x, b["qkv"], rows, norm=1)
        count, live = (1, "") if last else (n + 1, rows)
        mixed = g.floats("Attention", f"mixed{i}", [qkv, rows], [count, width], DOMAIN,
                         heads=c.heads, queries="last" if last else "all")  # fmt: skip
        if last:
            x = g.floats("Slice", "retrieval", [x, whole("from", n), whole("to", n + 1), first], [1, width])
        x = qlinear(f"attended{i}", count, mixed, b["out"], live, x)
        inner = qlinear(f"inner{i}", count, x, b["up"], live, norm=1, act="gelu")
        x = qlinear(f"block{i}", count, inner, b["down"], live, x)
    z = qlinear("head", 1, x, t["head"], norm=1)
    square = g.floats("Mul", "square", [z, z], [1, nar.EMBEDDING])
    power = g.floats("ReduceSum", "power", [square, whole("second_axis", 1)], [1, 1], keepdims=1)
    power = g.floats("Add", "power_above_0", [power, g.constant("epsilon", np.array([1e-12], np.float32))], [1, 1])
    length = g.floats("Sqrt", "length", [power], [1, 1])
    unit = g.floats("Div", "unit", [z, length], [1, nar.EMBEDDING])
    g.floats("Reshape", "z", [unit, whole("embedding", nar.EMBEDDING)], [nar.EMBEDDING])
    outputs = ["z"]
    if "speak" in t:
        logits = qlinear("speak_row", 1, x, t["speak"], norm=1)
        outputs.append(g.floats("Reshape", "speak", [logits, whole("speak_heads", 2)], [2]))
    g.save(path, outputs)
