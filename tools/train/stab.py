"""STAB, Video-Panda's encoder-free visual front end, in two forms of one module.

Causal streaming form (`causal=True`, what the runtime runs): temporal convolutions
see the two frames before, GSTRA attends over the last four frames, one frame in,
1 + h*w tokens out. Published form (`causal=False`): 4-frame chunks, symmetric
padding, one GSTRA vector a chunk, a learned row-end token after each row.

Step numbers below are those of the Video-Panda paper's description: 1 patch
embedding, 2 LSTE + DPE, 3 GSTRA, 4 dense connection, 5 LSD, 6 FSRA, 7 fusion,
8 layout, 9 projector. Shapes: B clips, T frames, P patches, d width, H token width.

The queries of GSTRA and FSRA are learned constants. Their keys therefore fold into
one d-vector a head, and the value matrix moves behind the weighted sum; LSD gets the
same treatment per window. This is exact algebra (tests compare it with textbook
attention) and saves most of the K/V work in training and at run time alike.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

MEAN = (0.485, 0.456, 0.406)  # RGB of 0..1, folded into the patch weights on export
STD = (0.229, 0.224, 0.225)
CHUNK = 4  # frames GSTRA sees
NO_FRAME = -1e4  # gstra_m of a frame before the start: exp() of it is 0


@dataclass(frozen=True)
class StabConfig:
    """Sizes. The paper has d=1024, heads=8, hidden=H; `reduced` is int(d/1.5) there too."""

    d: int = 192
    heads: int = 6
    width: int = 192  # H
    hidden: int = 512  # projector's inner width
    grid: int = 16  # patches a side
    causal: bool = True

    @property
    def reduced(self):
        return int(self.d / 1.5)

    def as_dict(self):
        return asdict(self)


def pixel_scale(dtype=torch.float32):
    """(scale, shift), each [588]: u8 value * scale + shift = normalised pixel."""
    mean, std = torch.tensor(MEAN, dtype=dtype), torch.tensor(STD, dtype=dtype)
    return (1 / (255 * std)).repeat(196), (-mean / std).repeat(196)


class CausalMix(torch.autograd.Function):
    """`Lste.mix` of z [B, T, P, r] behind two frames of zeros: the same numbers. Written by hand because automatic differentiation
    of slices fills whole tensors with zeros: an eighth of STAB's time on a CPU, with `CausalConv`."""

    @staticmethod
    def forward(ctx, z, taps, bias):
        ctx.save_for_backward(z, taps)
        a, b, c = taps.to(z.dtype)
        out = torch.addcmul(bias.to(z.dtype), z, c)
        out[:, 1:].addcmul_(z[:, :-1], b)
        out[:, 2:].addcmul_(z[:, :-2], a)
        return out

    @staticmethod
    def backward(ctx, g):
        z, taps = ctx.saved_tensors
        a, b, c = taps.to(g.dtype)
        to_z = g * c
        to_z[:, :-1].addcmul_(g[:, 1:], b)
        to_z[:, :-2].addcmul_(g[:, 2:], a)
        to_tap = lambda ahead: (g[:, ahead:] * z[:, : z.shape[1] - ahead]).sum((0, 1, 2), dtype=taps.dtype)  # noqa: E731
        return to_z, torch.stack([to_tap(2), to_tap(1), to_tap(0)]), g.sum((0, 1, 2), dtype=taps.dtype)


class Lste(nn.Module):
    """Step 2: x + W3(DW_3x1x1(W1(BN(x)))). Affine: there is no activation."""

    def __init__(self, d, reduced):
        super().__init__()
        self.norm = nn.BatchNorm1d(d)
        self.reduce = nn.Linear(d, reduced)
        self.taps = nn.Parameter(torch.randn(3, reduced) * 3**-0.5)  # oldest first
        self.tap_bias = nn.Parameter(torch.zeros(reduced))
        self.expand = nn.Linear(reduced, d)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def mix(self, z):
        """z [B, T+2, P, r] -> [B, T, P, r], valid temporal convolution."""
        a, b, c = self.taps.to(z.dtype)
        return z[:, :-2] * a + z[:, 1:-1] * b + z[:, 2:] * c + self.tap_bias.to(z.dtype)

    def forward(self, x, causal):
        z = self.reduce(self.norm(x.flatten(0, -2)).view(x.shape))
        z = CausalMix.apply(z, self.taps, self.tap_bias) if causal else self.mix(F.pad(z, (0, 0, 0, 0, 1, 1)))
        return x + self.expand(z)


class CausalConv(torch.autograd.Function):
    """`Dpe.conv` of x [B, T, P, d] behind two frames of zeros: the same numbers, in f32."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        grid = round(x.shape[2] ** 0.5)
        ctx.save_for_backward(x, weight)
        with torch.autocast(x.device.type, enabled=False):
            tap = lambda k, b: CausalConv.back(F.conv2d(CausalConv.planes(x.float(), grid), weight[:, :, k], b, padding=1, groups=len(weight)), x)  # noqa: E731
            out = tap(2, bias)
            out[:, 1:].add_(tap(1, None)[:, :-1])
            out[:, 2:].add_(tap(0, None)[:, :-2])
        return out

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        grid, d, frames = round(x.shape[2] ** 0.5), len(weight), x.shape[1]
        to_x, to_weight, to_bias = torch.zeros_like(g), [], None
        for behind in (2, 1, 0):  # the tap that looks so far back
            seen, after = x[:, : frames - behind], g[:, behind:]
            of_seen, of_weight, of_bias = torch.ops.aten.convolution_backward(
                CausalConv.planes(after, grid), CausalConv.planes(seen.float(), grid), weight[:, :, 2 - behind],
                [d], [1, 1], [1, 1], [1, 1], False, [0, 0], d, [True, True, behind == 0])  # fmt: skip
            to_x[:, : frames - behind].add_(CausalConv.back(of_seen, seen))
            to_weight.append(of_weight)
            to_bias = of_bias
        return to_x.to(x.dtype), torch.stack(to_weight, 2), to_bias

    @staticmethod
    def planes(x, grid):
        """[B, T, P, d] -> [B*T, d, grid, grid], channels last."""
        return x.reshape(-1, grid, grid, x.shape[-1]).permute(0, 3, 1, 2)

    @staticmethod
    def back(planes, like):
        return planes.permute(0, 2, 3, 1).reshape(like.shape)


class Dpe(nn.Module):
    """Step 2, second half: depthwise 3x3x3 positional convolution with residual."""

    def __init__(self, d, grid):
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(torch.randn(d, 1, 3, 3, 3) * 0.05)
        self.bias = nn.Parameter(torch.zeros(d))

    def conv(self, x):
        """x [B, T+2, P, d] -> [B, T, P, d]: valid in time, zero-padded in space.

        A sum of three 2D depthwise convolutions: the same numbers as conv3d, which
        is several times slower in PyTorch on a CPU."""
        b, n, p, d = x.shape
        t = n - 2
        total = None
        for tap in range(3):
            part = x[:, tap : tap + t].reshape(b * t, self.grid, self.grid, d).permute(0, 3, 1, 2)
            bias = self.bias if tap == 2 else None
            part = F.conv2d(part, self.weight[:, :, tap], bias, padding=1, groups=d)
            total = part if total is None else total + part
        return total.permute(0, 2, 3, 1).reshape(b, t, p, d)

    def forward(self, x, causal):
        return x + (CausalConv.apply(x, self.weight, self.bias) if causal else self.conv(F.pad(x, (0, 0, 0, 0, 1, 1))))


def by_head(weight, heads):
    """Linear weight [d, d] -> [heads, d/heads, d]."""
    return weight.view(heads, weight.shape[0] // heads, weight.shape[1])


def merge_heads(context, value, heads):
    """context [..., heads, d] (weighted sums of inputs), value weight -> [..., d]."""
    w = by_head(value, heads)  # [heads, dh, d]
    out = torch.matmul(w, context.unsqueeze(-1)).squeeze(-1)  # [..., heads, dh]
    return out.flatten(-2)


class Gstra(nn.Module):
    """Step 3: one learned query attends to the patches of the last frames."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.scale = heads, (d // heads) ** -0.5
        self.query = nn.Parameter(torch.zeros(d))
        self.norm_query, self.norm_mlp, self.norm_key = (nn.LayerNorm(d) for _ in range(3))
        self.q, self.k, self.v, self.out = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def keys(self):
        """Folded query [heads, d]. k's bias shifts all scores alike and drops out."""
        q = self.q(self.norm_query(self.query)).view(self.heads, 1, -1) * self.scale
        return torch.matmul(q, by_head(self.k.weight, self.heads)).squeeze(1)

    def frame(self, x, keys):
        """x [..., P, d] -> (max [..., heads], sum [..., heads], weighted sum [..., heads, d])."""
        n = self.norm_key(x)
        score = torch.matmul(keys, n.transpose(-1, -2))  # [..., heads, P]
        top = score.amax(-1, keepdim=True)
        weight = torch.exp(score - top)
        return top.squeeze(-1), weight.sum(-1), torch.matmul(weight, n)

    def merge(self, m, s, v):
        """Triples of F frames on axis -2 (m, s [..., F, heads]; v [..., F, heads, d]) -> g [..., d]."""
        share = torch.exp(m - m.amax(-2, keepdim=True))
        total = (s * share).sum(-2)
        context = (v * share.unsqueeze(-1)).sum(-3) / total.unsqueeze(-1)
        g = self.query + self.out(merge_heads(context, self.v.weight, self.heads) + self.v.bias)
        h = self.up(self.norm_mlp(g))
        return g + self.down(h * torch.sigmoid(1.702 * h))  # QuickGELU

    def forward(self, x, causal):
        """x [B, T, P, d] -> g [B, T, d] (published form: the same vector for the chunk)."""
        m, s, v = self.frame(x, self.keys())
        if not causal:
            return self.merge(m, s, v).unsqueeze(1).expand(-1, x.shape[1], -1)
        past = CHUNK - 1
        m = F.pad(m, (0, 0, past, 0), value=NO_FRAME).unfold(1, CHUNK, 1).transpose(-1, -2)
        s = F.pad(s, (0, 0, past, 0)).unfold(1, CHUNK, 1).transpose(-1, -2)
        v = F.pad(v, (0, 0, 0, 0, past, 0)).unfold(1, CHUNK, 1).permute(0, 1, 4, 2, 3)
        return self.merge(m, s, v)


class Lsd(nn.Module):
    """Step 5: each 2x2 window becomes one token; the query is the window's mean.

    Scale d^-0.5, not head_dim^-0.5: so in the released code. No biases."""

    def __init__(self, d, heads, grid):
        super().__init__()
        self.heads, self.grid, self.scale = heads, grid, d**-0.5
        self.norm_query, self.norm_key = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q, self.k, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, d)

    def windows(self, x):
        """[N, P, d] -> [N, P/4, 4, d], row-major windows of 2x2 patches."""
        n, p, d = x.shape
        h = self.grid // 2
        return x.view(n, h, 2, h, 2, d).permute(0, 1, 3, 2, 4, 5).reshape(n, p // 4, 4, d)

    def forward(self, x):
        """[N, P, d] -> [N, P/4, d]. Keys and values of every patch: more multiply-adds than `folded`, but fewer and
        smaller tensors, which is what training pays for."""
        w = self.windows(x)
        n, count, _, d = w.shape
        mean, key = w.mean(2), self.norm_key(w)
        split = lambda v: v.view(n, count, -1, self.heads, d // self.heads)  # noqa: E731
        q, k, v = split(self.q(self.norm_query(mean))), split(self.k(key)), split(self.v(key))
        share = ((q * k).sum(-1, keepdim=True).float() * self.scale).softmax(2)
        return mean + self.out((share.to(v.dtype) * v).sum(2).flatten(-2))

    def folded(self, x):
        """`forward` with the key and value matrices moved to the query's side, as the runtime has it."""
        w = self.windows(x)
        n, count, _, d = w.shape
        mean = w.mean(2)
        q = (self.q(self.norm_query(mean)) * self.scale).view(n * count, self.heads, -1)
        # [heads, N*count, dh] x [heads, dh, d]: the query carried through k's weight.
        folded = torch.matmul(q.transpose(0, 1), by_head(self.k.weight, self.heads))
        folded = folded.transpose(0, 1)  # [N*count, heads, d]
        key = self.norm_key(w).view(n * count, 4, d)
        share = torch.matmul(folded, key.transpose(-1, -2)).softmax(-1)
        context = torch.matmul(share, key).transpose(0, 1)  # [heads, N*count, d]
        value = by_head(self.v.weight, self.heads).transpose(-1, -2)  # [heads, d, dh]
        mixed = torch.matmul(context, value).transpose(0, 1).reshape(n, count, d)
        return mean + self.out(mixed)


class Fsra(nn.Module):
    """Step 6: a learned class query over the frame's window tokens, scale d^-0.5."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.scale = heads, d**-0.5
        self.query = nn.Parameter(torch.randn(d) * 0.02)
        self.norm_query, self.norm_key = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q, self.k, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, d)

    def keys(self):
        q = self.q(self.norm_query(self.query)).view(self.heads, 1, -1) * self.scale
        return torch.matmul(q, by_head(self.k.weight, self.heads)).squeeze(1)

    def forward(self, y, keys=None):
        """[N, W, d] -> f [N, d]."""
        n = self.norm_key(y)
        score = torch.matmul(self.keys() if keys is None else keys, n.transpose(-1, -2))
        context = torch.matmul(score.softmax(-1), n)  # [N, heads, d]
        return self.query + self.out(merge_heads(context, self.v.weight, self.heads))


class Stab(nn.Module):
    """u8 patches [B, T, P, 588] -> tokens [B, T, 1 + W (+ rows), H]."""

    def __init__(self, config=StabConfig()):
        super().__init__()
        c = self.config = config
        self.patch = nn.Linear(588, c.d, bias=False)
        self.lste = Lste(c.d, c.reduced)
        self.dpe = Dpe(c.d, c.grid)
        self.gstra = Gstra(c.d, c.heads)
        self.lsd = Lsd(c.d, c.heads, c.grid)
        self.fsra = Fsra(c.d, c.heads)
        self.balance = nn.Parameter(torch.zeros(c.d))
        self.norm_frame = nn.LayerNorm(c.d)
        self.frame_out = nn.Linear(c.d, c.d)
        self.row_end = nn.Parameter(torch.randn(c.d) * 0.02) if not c.causal else None
        self.project = nn.Sequential(nn.Linear(c.d, c.hidden), nn.GELU(), nn.Linear(c.hidden, c.width))
        scale, shift = pixel_scale()
        self.register_buffer("pixel_scale", scale, persistent=False)
        self.register_buffer("pixel_shift", shift, persistent=False)

    def fuse(self, g, f):
        """Step 7: [.., d], [.., d] -> Fr [.., d]."""
        share = torch.sigmoid(self.balance)
        return self.frame_out(self.norm_frame((1 - share) * g + share * f))

    def embed(self, patches):
        """Step 1, on grey levels around zero: the pixels' scale and shift go into the weights, not over the pixels."""
        w = self.patch.weight
        return F.linear(patches - 128.0, w * self.pixel_scale, w @ (self.pixel_shift + 128 * self.pixel_scale))

    def forward(self, patches):
        c = self.config
        x0 = self.embed(patches)
        x2 = self.dpe(self.lste(x0, c.causal), c.causal)
        g = self.gstra(x2, c.causal)
        y = self.lsd((x2 + x0).flatten(0, 1))  # step 4 is the sum
        b, t = patches.shape[:2]
        fr = self.fuse(g, self.fsra(y).view(b, t, c.d)).unsqueeze(2)
        y = y.view(b, t, -1, c.d)
        if not c.causal:
            y = self.with_row_ends(y)
        return self.project(torch.cat([fr, y], 2))

    def with_row_ends(self, y):
        """Step 8: [B, T, W, d] -> [B, T, h*(w+1), d]."""
        b, t, _, d = y.shape
        side = self.config.grid // 2
        y = y.view(b, t, side, side, d)
        end = self.row_end.expand(b, t, side, 1, d)
        return torch.cat([y, end], 3).flatten(2, 3)


class StabStep(nn.Module):
    """The runtime's graph: one frame, explicit states, constants folded.

    Made from a trained causal `Stab` in eval mode. Inputs and outputs as in the
    contract; state index 0 is the oldest."""

    def __init__(self, stab):
        super().__init__()
        if not stab.config.causal:
            raise ValueError("the streaming graph needs the causal form")
        self.stab = stab
        with torch.no_grad():
            # Pixel scaling into the patch embedding: it then has a bias.
            w = stab.patch.weight
            self.register_buffer("patch_w", (w * stab.pixel_scale).t().contiguous())
            self.register_buffer("patch_b", w @ stab.pixel_shift)
            norm, reduce = stab.lste.norm, stab.lste.reduce
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            offset = norm.bias - norm.running_mean * gain
            self.register_buffer("reduce_w", (reduce.weight * gain).t().contiguous())
            self.register_buffer("reduce_b", reduce.bias + reduce.weight @ offset)
            self.register_buffer("gstra_keys", stab.gstra.keys())
            self.register_buffer("fsra_keys", stab.fsra.keys())

    def forward(self, patches, lste_state, dpe_state, gstra_m, gstra_s, gstra_v):
        s = self.stab
        x0 = torch.matmul(patches.float(), self.patch_w) + self.patch_b  # [256, d]
        z = torch.cat([lste_state, (torch.matmul(x0, self.reduce_w) + self.reduce_b).unsqueeze(0)])
        x1 = x0 + s.lste.expand(s.lste.mix(z.unsqueeze(0))[0, 0])
        w = torch.cat([dpe_state, x1.unsqueeze(0)])
        x2 = x1 + s.dpe.conv(w.unsqueeze(0))[0, 0]
        m, total, v = s.gstra.frame(x2, self.gstra_keys)
        m, total, v = m.unsqueeze(0), total.unsqueeze(0), v.unsqueeze(0)
        m, total, v = torch.cat([gstra_m, m]), torch.cat([gstra_s, total]), torch.cat([gstra_v, v])
        g = s.gstra.merge(m, total, v)
        y = s.lsd.folded((x2 + x0).unsqueeze(0))
        fr = s.fuse(g.unsqueeze(0), s.fsra(y, self.fsra_keys))
        tokens = s.project(torch.cat([fr, y[0]]))
        return tokens, z[1:], w[1:], m[1:], total[1:], v[1:]


def initial_states(config):
    """Zero states (gstra_m = -1e4) in the order of the graph's inputs."""
    c, p = config, config.grid**2
    return (
        torch.zeros(2, p, c.reduced),
        torch.zeros(2, p, c.d),
        torch.full((CHUNK - 1, c.heads), NO_FRAME),
        torch.zeros(CHUNK - 1, c.heads),
        torch.zeros(CHUNK - 1, c.heads, c.d),
    )


def step_macs(config):
    """Multiply-adds of the matrix work of one dense streaming frame."""
    c, p = config, config.grid**2
    w = p // 4
    return {
        "patch": p * 588 * c.d,
        "lste": p * c.reduced * (2 * c.d + 3),
        "dpe": p * c.d * 27,
        "gstra": 2 * p * c.heads * c.d + 2 * c.d * c.d + 8 * c.d * c.d,
        "lsd": 4 * w * c.d * c.d + 8 * w * c.heads * c.d,
        "fsra": 2 * w * c.heads * c.d + 2 * c.d * c.d,
        "fusion_projector": c.d * c.d + (w + 1) * c.hidden * (c.d + c.width),
    }


def published_macs(config, frames):
    """Multiply-adds of the published form, nothing folded: keys and values of every patch are computed. Two chunks of
    4 frames for the paper's 8; row-end tokens go through the projector."""
    c, p = config, config.grid**2
    w, square = p // 4, c.d * c.d
    tokens = 1 + (c.grid // 2) * (c.grid // 2 + 1)
    attention = 2 * c.d  # scores and weighted sum, each key
    per_frame = {
        "patch": p * 588 * c.d,
        "lste": p * c.reduced * (2 * c.d + 3),
        "dpe": p * c.d * 27,
        "gstra": p * (2 * square + attention),
        "lsd": p * (2 * square + attention) + 2 * w * square,
        "fsra": w * (2 * square + attention) + 2 * square,
        "fusion": square,
        "projector": tokens * c.hidden * (c.d + c.width),
    }
    per_chunk = 10 * square  # GSTRA's query, output and MLP
    return frames * sum(per_frame.values()) + -(-frames // CHUNK) * per_chunk
