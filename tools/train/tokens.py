"""Selection of the narrator's 128 tokens (contract of `narrator.onnx`).

  slots 0..63    newest kept token at each window position, row-major
  slots 64..71   frame tokens Fr of frames t, t-1, .. t-7
  slots 72..127  kept window tokens superseded at their position, age <= 15,
                 newest frame first, row-major inside a frame
Empty slots are zeros with valid 0.
"""

import numpy as np
import torch

SLOTS = 128
WINDOWS = 64
FRAME_TOKENS = 8
MAX_AGE = 15
AGE_CLIP = 31
FR_POSITION = 64


def select(kept, t):
    """kept bool [>=t+1, 64] (frame 0 all kept) -> frame i64 [128], index i64 [128, 2],
    valid f32 [128]. `frame` says where each token was computed (0 where invalid);
    `index` = (age clipped to 31, position)."""
    kept = kept[: t + 1]
    frame = np.zeros(SLOTS, np.int64)
    index = np.zeros((SLOTS, 2), np.int64)
    valid = np.zeros(SLOTS, np.float32)

    newest = t - kept[::-1].argmax(axis=0)  # [64] last kept frame of each position
    frame[:WINDOWS] = newest
    index[:WINDOWS, 0] = t - newest
    index[:WINDOWS, 1] = np.arange(WINDOWS)
    valid[:WINDOWS] = 1

    n = min(FRAME_TOKENS, t + 1)
    fr = slice(WINDOWS, WINDOWS + n)
    frame[fr] = t - np.arange(n)
    index[fr, 0] = np.arange(n)
    index[fr, 1] = FR_POSITION
    valid[fr] = 1

    recent = np.arange(t, max(t - MAX_AGE, 0) - 1, -1)  # newest first
    old = kept[recent] & (recent[:, None] < newest[None, :])
    row, position = np.nonzero(old)
    room = SLOTS - WINDOWS - FRAME_TOKENS
    row, position = row[:room], position[:room]
    tail = slice(WINDOWS + FRAME_TOKENS, WINDOWS + FRAME_TOKENS + len(row))
    frame[tail] = recent[row]
    index[tail, 0] = t - recent[row]
    index[tail, 1] = position
    valid[tail] = 1

    index[:, 0] = np.minimum(index[:, 0], AGE_CLIP)
    return frame, index, valid


def drop_features(video, kept, cosine, refresh):
    """tokens f32 [T, 65, H], windows kept bool [T, 64] -> those left when each is dropped that is more alike than `cosine`
    to the last kept one at its place, unless that is `refresh` frames old. TimeChat-Online's drop on features, as
    `MemoryRing` does it."""
    unit = torch.nn.functional.normalize(video[:, 1:].double(), dim=-1)
    left = kept.copy()
    left[0] = True
    last = np.zeros(kept.shape[1], int)
    for t in range(1, len(kept)):
        like = (unit[t] * unit[last, np.arange(len(last))]).sum(-1).numpy()
        left[t] &= (like <= cosine) | (t - last >= refresh)
        last[left[t]] = t
    return left


def token_row(index):
    """Position column of `index` -> row in STAB's [65, H] output (0 = Fr, then windows)."""
    position = index[..., 1]
    return np.where(position == FR_POSITION, 0, position + 1)


def gather(tokens, frame, index, valid):
    """tokens f32 [T, 65, H] (numpy or torch) -> f32 [128, H], zeros where invalid."""
    picked = tokens[frame, token_row(index)]
    if isinstance(picked, np.ndarray):
        return picked * valid[:, None]
    return picked * picked.new_tensor(valid)[:, None]
