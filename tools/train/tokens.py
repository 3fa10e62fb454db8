"""Selection of the narrator's 128 tokens (contract of `narrator.onnx`).

  slots 0..63    the newest token of each window position, row-major,
                 whether the memory kept it or not
  slots 64..71   frame tokens Fr of frames t, t-1, .. t-7
  slots 72..127  what stood there before in frames of age <= 15,
                 newest frame first, row-major inside a frame
Empty slots are zeros with valid 0.

What stands in a frame i64 [T, 64]: of each window the frame whose token is remembered, its own where that was kept, an earlier one
where features found it alike, NONE where the gate left it out. What lasts bool [T, 64]: the token that was dropped is more like the
next frame's, which stands there while that frame is the newest. Ages are of the frame in which it stands.
"""

import numpy as np
import torch

SLOTS = 128
WINDOWS = 64
FRAME_TOKENS = 8
MAX_AGE = 15
AGE_CLIP = 31
FR_POSITION = 64
NONE = -1


def of_kept(kept):
    """Windows kept bool [T, 64] -> what stands where nothing is dropped by features."""
    return np.where(kept, np.arange(len(kept))[:, None], NONE)


def is_kept(stands):
    """What stands i64 [T, 64] -> windows bool [T, 64] of which the memory holds the frame's own token."""
    return stands == np.arange(len(stands))[:, None]


def select(stands, t, lasts=None):
    """What stands i64 [>=t+1, 64] (something everywhere in frame 0), what lasts bool [>=t+1, 64] -> frame i64 [128],
    index i64 [128, 2], valid f32 [128]. `frame` says where each token was computed (0 where invalid);
    `index` = (age clipped to 31, position)."""
    stands = stands[: t + 1]
    shown = stands != NONE
    frame = np.zeros(SLOTS, np.int64)
    index = np.zeros((SLOTS, 2), np.int64)
    valid = np.zeros(SLOTS, np.float32)

    newest = t - shown[::-1].argmax(axis=0)  # [64] last frame in which each position shows something
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
    old = shown[recent] & (recent[:, None] < newest[None, :])
    row, position = np.nonzero(old)
    room = SLOTS - WINDOWS - FRAME_TOKENS
    row, position = row[:room], position[:room]
    tail = slice(WINDOWS + FRAME_TOKENS, WINDOWS + FRAME_TOKENS + len(row))
    frame[tail] = stands[recent[row], position]
    if lasts is not None and t:
        goes_on = (recent[row] == t - 1) & (newest[position] == t) & lasts[t - 1, position]
        frame[tail] = np.where(goes_on, t, frame[tail])
    index[tail, 0] = t - recent[row]
    index[tail, 1] = position
    valid[tail] = 1

    index[:, 0] = np.minimum(index[:, 0], AGE_CLIP)
    return frame, index, valid


def drop_features(video, kept, cosine):
    """tokens f32 [T, 65, H], windows kept bool [T, 64] -> what stands and what lasts when each is dropped that is more alike than
    `cosine` to one that was kept at its place, of which the most alike stands for it. TimeChat-Online's drop on features with
    `reference = "any_kept"`, as `MemoryRing` does it in clips of which its recent tier evicts nothing."""
    unit = torch.nn.functional.normalize(video[:, 1:].double(), dim=-1).transpose(0, 1)  # [64, T, H]
    like = (unit @ unit.transpose(1, 2)).numpy()  # [64, T, T]
    stands = of_kept(kept)
    stands[0] = 0
    for t in range(1, len(kept)):
        to_held = np.where(is_kept(stands[:t]).T, like[:, t, :t], -2)  # [64, t]
        # Of two that are equally alike the newer.
        nearest = t - 1 - to_held[:, ::-1].argmax(1)
        drops = kept[t] & (to_held.max(1) > cosine)
        stands[t, drops] = nearest[drops]
    frame, position = np.nonzero(~is_kept(stands[:-1]) & (stands[:-1] != NONE))
    lasts = np.zeros_like(kept)
    lasts[frame, position] = like[position, frame, frame + 1] > like[position, frame, stands[frame, position]]
    return stands, lasts


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
