"""What the recipe can add to the losses of every training (train.py); each is off by itself, and CARD.md tells what it brought where ablations.py was run.

`distil`  tokens are like a pretrained network's features at their place (Video-Panda: 1 - cosine), see teacher.py
`masked`  the narrator names the code of windows that it cannot see (VIOLET's blocks; E-ViLM's semantic codes)
`order`   the narrator tells whether the frame tokens lie in their order (HiTeA's shuffled video, as a head)
`speak`   informative and relevant (MMDuet): whether something began within the last second; whether it is worth saying
`qat`     products see their operands as int8 will have them, gradients pass straight through
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import teacher
import tokens as tok
import words

SIDE = 8
MASKED_SHARE = 0.4
FRAME_SLOTS = slice(tok.WINDOWS, tok.WINDOWS + tok.FRAME_TOKENS)
NEW_FRAMES = 5  # what began as lately as that is news
NOT_WORTH = [words.KINDS.index(k) for k in ("nobody", "silence", "television")]


class Heads(nn.Module):
    """What the switches read their answers with; training only."""

    def __init__(self, token_width, width):
        super().__init__()
        self.distil = nn.Linear(token_width, teacher.FEATURES)
        self.unseen = nn.Parameter(torch.zeros(token_width))  # in place of a masked token
        self.code = nn.Linear(width, teacher.CODES)
        self.order = nn.Linear(width, 1)
        self.speak = nn.Linear(width, 2)


def distil_loss(head, grid, features):
    """Window tokens [R, 64, H], unit features [R, 64, 320] -> mean of 1 - cosine."""
    return 1 - F.cosine_similarity(head.distil(grid).float(), features.float(), dim=-1).mean()


def blocks(count, rng):
    """bool [count, 64]: rectangles until a share of the windows is covered (VIOLET 3.3, blockwise masking)."""
    out = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for grid in out:
        while grid.sum() < MASKED_SHARE * SIDE * SIDE:
            h, w = rng.integers(2, 5, 2)
            y, x = rng.integers(0, SIDE - h + 1), rng.integers(0, SIDE - w + 1)
            grid[y : y + h, x : x + w] = True
    return out.flatten(1)


def masked_loss(head, narrator, picked, index, valid, codes, hidden):
    """picked [R, 128, H] as the narrator takes them, codes i64 [R, 64], hidden bool [R, 64] -> cross-entropy where nothing is
    seen. Every token of a hidden place is masked, whatever its age; frame tokens stay."""
    place = index[..., 1]
    at = torch.cat([hidden, hidden.new_zeros(len(hidden), 1)], 1).gather(1, place)  # the last position is the frame's
    trunk = narrator.trunk(torch.where(at.unsqueeze(-1), head.unseen.to(picked.dtype), picked), index, valid)
    return F.cross_entropy(head.code(trunk[:, : tok.WINDOWS])[hidden].float(), codes[hidden])


def order_loss(head, narrator, picked, index, valid, rng):
    """Half of the reads get their frame tokens in another order -> binary cross-entropy of telling which."""
    shuffled, turned = picked.clone(), torch.from_numpy(rng.random(len(picked)) < 0.5)
    for r in torch.nonzero(turned)[:, 0].tolist():
        count = int(valid[r, FRAME_SLOTS].sum())
        turn = torch.from_numpy(rng.permutation(count))
        turned[r] = bool((turn != torch.arange(count)).any())
        shuffled[r, tok.WINDOWS : tok.WINDOWS + count] = picked[r, tok.WINDOWS + turn]
    trunk = narrator.trunk(shuffled, index, valid)
    return F.binary_cross_entropy_with_logits(head.order(trunk[:, -1])[:, 0].float(), turned.float().to(picked.device))


def speak_labels(kind, t):
    """Kinds i64 [T] of a window -> (informative, relevant) at frame t, or None where the second before is not labelled."""
    before = kind[max(t - NEW_FRAMES, 0) : t]
    if len(before) == 0 or (before < 0).any() or kind[t] < 0:
        return None
    return float((before != kind[t]).any()), float(kind[t] not in NOT_WORTH)


def speak_loss(head, last, labels):
    """Retrieval tokens [R, W] (their gradient stops here, as MMDuet's option), R labels or None."""
    read = [r for r, label in enumerate(labels) if label is not None]
    if not read:
        return last.sum() * 0
    wanted = torch.tensor([labels[r] for r in read], device=last.device)
    return F.binary_cross_entropy_with_logits(head.speak(last[read].detach()).float(), wanted)


def auc(scores, labels):
    """Share of pairs of a positive and a negative that are in order, ties half; None without both."""
    scores, labels = np.asarray(scores, float), np.asarray(labels) > 0.5
    if labels.all() or not labels.any():
        return None
    gap = scores[labels][:, None] - scores[~labels][None, :]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def rounded(x):
    """x [.., K] with one int8 scale a row, as int8.quantize_rows; the gradient passes straight through."""
    scale = x.detach().abs().amax(-1, keepdim=True).clamp(min=1e-8) / 127
    return x + (torch.round(x.detach() / scale) * scale - x.detach())


class Int8Products(TorchFunctionMode):
    """Inside of it every linear layer computes with rounded rows and rounded columns of weights."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.linear:
            x, weight, *rest = args
            args = (rounded(x), rounded(weight), *rest)
        return func(*args, **(kwargs or {}))
