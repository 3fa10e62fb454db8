"""Heads used in training only: nothing here ships in a pack."""

import torch
import torch.nn.functional as F
from torch import nn

import words
from data import KEYPOINTS

SIDE = 8  # window tokens a side
SUB = 4  # mask cells a side in a window token
INSIDE_WEIGHT = 3.0  # of a cell inside of a mask: a person is a small part


def unfold_mask(cells):
    """[N, 64, 16] cells of the windows -> [N, 32, 32]."""
    n = cells.shape[0]
    return cells.view(n, SIDE, SIDE, SUB, SUB).permute(0, 1, 3, 2, 4).reshape(n, SIDE * SUB, SIDE * SUB)


def mask_loss(out, mask, known):
    """Logits and shares [N, 32, 32], known [N] -> mean cross-entropy of the known frames."""
    weight = torch.tensor(INSIDE_WEIGHT, device=mask.device)
    bce = F.binary_cross_entropy_with_logits(out.float(), mask, pos_weight=weight, reduction="none").mean((1, 2))
    return (bce * known).sum() / known.sum().clamp(min=1)


class DenseHead(nn.Module):
    """STAB tokens [N, 65, H] -> person mask, keypoints, presence and kind of the frame.

    The mask is read from each token alone, so that a token must know its own content;
    keypoints get a small receptive field, because a window sees 56 px only."""

    def __init__(self, width, inner=96):
        super().__init__()
        self.mask = nn.Linear(width, SUB * SUB)
        self.inner = nn.Linear(width, inner)
        self.mix = nn.ModuleList(nn.Conv2d(inner, inner, 3, padding=1) for _ in range(2))
        self.keypoint = nn.Conv2d(inner, KEYPOINTS * 3, 1)
        self.present = nn.Linear(width, 1)
        self.kind = nn.Linear(width, len(words.KINDS))

    def forward(self, tokens):
        n = tokens.shape[0]
        fr, grid = tokens[:, 0], tokens[:, 1:]
        mask = unfold_mask(self.mask(grid))
        x = self.inner(grid).transpose(1, 2).reshape(n, -1, SIDE, SIDE)
        for conv in self.mix:
            x = x + F.gelu(conv(x))
        heat, dx, dy = self.keypoint(x).flatten(2).view(n, 3, KEYPOINTS, SIDE * SIDE).unbind(1)
        return {"mask": mask, "heat": heat, "dx": dx, "dy": dy, "present": self.present(fr)[:, 0],
                "kind": self.kind(fr)}  # fmt: skip


class TrunkHead(nn.Module):
    """Narrator trunk [B, 129, W] -> person mask and keypoints over the 64 newest tokens, and the kind. A window alone
    seldom shows what it is part of; the trunk sees them all, so this is where seeing is learnt."""

    def __init__(self, width):
        super().__init__()
        self.mask = nn.Linear(width, SUB * SUB)
        self.keypoint = nn.Linear(width, KEYPOINTS * 3)
        self.kind = nn.Linear(width, len(words.KINDS))

    def forward(self, trunk):
        b = trunk.shape[0]
        heat, dx, dy = self.keypoint(trunk[:, :64]).transpose(1, 2).view(b, 3, KEYPOINTS, 64).unbind(1)
        return {"mask": unfold_mask(self.mask(trunk[:, :64])), "heat": heat, "dx": dx, "dy": dy,
                "kind": self.kind(trunk[:, -1])}  # fmt: skip


def keypoint_loss(out, keypoints):
    """keypoints [N, 17, 3] in 0..1 of the canvas: cross-entropy over windows + offset inside."""
    at = (keypoints[..., :2] * SIDE).clamp(0, SIDE - 1e-3)
    cell = at[..., 1].long() * SIDE + at[..., 0].long()
    weight = keypoints[..., 2]
    total = weight.sum().clamp(min=1)
    heat = F.cross_entropy(out["heat"].flatten(0, 1).float(), cell.flatten(), reduction="none")
    pick = lambda v: v.gather(2, cell.unsqueeze(-1))[..., 0].float()  # noqa: E731
    offset = (pick(out["dx"]) - at[..., 0].frac()).abs() + (pick(out["dy"]) - at[..., 1].frac()).abs()
    return ((heat * weight.flatten()).sum() + (offset * weight).sum()) / total


@torch.no_grad()
def decode_keypoints(out):
    """-> [N, 17, 2] in 0..1 of the canvas."""
    cell = out["heat"].argmax(2, keepdim=True)
    x = (cell[..., 0] % SIDE + out["dx"].gather(2, cell)[..., 0]) / SIDE
    y = (cell[..., 0] // SIDE + out["dy"].gather(2, cell)[..., 0]) / SIDE
    return torch.stack([x, y], -1)


def dense_loss(out, mask, keypoints, kind, dense):
    """Sum of the per-frame losses; `dense` bool [N] = the frame has a mask and keypoints."""
    known = dense.float()
    present = (mask.sum((1, 2)) > 0.5).float()
    there = F.binary_cross_entropy_with_logits(out["present"].float(), present, reduction="none")
    points = keypoints.clone()
    points[..., 2] *= known[:, None]
    loss = {
        "mask": 2 * mask_loss(out["mask"], mask, known),
        "present": 0.5 * (there * known).sum() / known.sum().clamp(min=1),
        "points": 0.3 * keypoint_loss(out, points),
    }
    if (kind >= 0).any():
        loss["frame_kind"] = 0.3 * F.cross_entropy(out["kind"].float(), kind, ignore_index=-1)
    return loss
