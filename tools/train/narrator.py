"""The narrator: selected video tokens in, one point in the vocabulary's space out.

VLog's retrieval form: no text is generated; the output z of a retrieval token
(= mean of the valid video tokens, the best of VLog's three choices) is compared
with fixed text embeddings of the vocabulary. Shapes: B windows of 128 tokens, W width.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

AGES = 32
POSITIONS = 65
EMBEDDING = 384


@dataclass(frozen=True)
class NarratorConfig:
    token_width: int = 192  # H of STAB
    width: int = 192
    layers: int = 8
    heads: int = 6
    mlp: int = 3  # inner width of the MLP, in widths

    def as_dict(self):
        return asdict(self)


class Block(nn.Module):
    """Pre-norm transformer block; every token sees every valid token."""

    def __init__(self, c):
        super().__init__()
        self.heads = c.heads
        self.norm1, self.norm2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.qkv, self.out = nn.Linear(c.width, 3 * c.width), nn.Linear(c.width, c.width)
        self.up, self.down = nn.Linear(c.width, c.mlp * c.width), nn.Linear(c.mlp * c.width, c.width)

    def forward(self, x, mask):
        """x [B, N, W], mask [B, 1, 1, N] (0 valid, -1e4 not)."""
        b, n, w = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, w // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if self.training:  # the same in one operation, a fifth faster; the pack's graph is made of the other
            mixed = F.scaled_dot_product_attention(q, k, v, mask.to(q.dtype))
        else:
            score = torch.matmul(q, k.transpose(-1, -2)) * (w // self.heads) ** -0.5 + mask.to(q.dtype)
            mixed = torch.matmul(score.softmax(-1), v)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, n, w))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Narrator(nn.Module):
    """tokens [B, 128, H], index i64 [B, 128, 2], valid f32 [B, 128] -> z [B, 384]."""

    def __init__(self, config=NarratorConfig()):
        super().__init__()
        c = self.config = config
        self.norm_in, self.embed = nn.LayerNorm(c.token_width), nn.Linear(c.token_width, c.width)
        self.age = nn.Parameter(torch.randn(AGES, c.width) * 0.1)
        self.position = nn.Parameter(torch.randn(POSITIONS, c.width) * 0.1)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm_out, self.head = nn.LayerNorm(c.width), nn.Linear(c.width, EMBEDDING)

    def trunk(self, tokens, index, valid):
        """-> [B, 129, W]; the last row is the retrieval token."""
        x = self.embed(self.norm_in(tokens)) + self.age[index[..., 0]] + self.position[index[..., 1]]
        live = valid.unsqueeze(-1)
        mean = (x * live).sum(1, keepdim=True) / live.sum(1, keepdim=True)
        x = torch.cat([x, mean], 1)
        mask = (torch.cat([valid, torch.ones_like(valid[:, :1])], 1) - 1) * 1e4
        mask = mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        return self.norm_out(x)

    def forward(self, tokens, index, valid):
        return self.place(self.trunk(tokens, index, valid)[:, -1])

    def place(self, last):
        """Retrieval token [B, W] -> unit z [B, 384]."""
        z = self.head(last)
        return z / torch.sqrt((z * z).sum(-1, keepdim=True) + 1e-12)


class NarratorStep(nn.Module):
    """The runtime's graph: as `Narrator`, without the batch axis."""

    def __init__(self, narrator):
        super().__init__()
        self.narrator = narrator

    def forward(self, tokens, index, valid):
        return self.narrator(tokens.unsqueeze(0), index.unsqueeze(0), valid.unsqueeze(0))[0]


def macs(config, slots=128):
    """Multiply-adds of one narration."""
    c, n = config, slots + 1
    layer = n * c.width * c.width * (4 + 2 * c.mlp) + 2 * n * n * c.width
    return slots * c.token_width * c.width + c.layers * layer + c.width * EMBEDDING
