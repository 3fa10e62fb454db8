"""Contact sheet of clips, with mask outlines, keypoints and kinds: sheet.py OUT.png CLIP.npz..."""
import sys

import numpy as np
from PIL import Image, ImageDraw

from clip import KINDS


def row(path, picks=8, scale=1):
    z = np.load(path)
    n, h, w = z["mask_shape"]
    mask = np.unpackbits(z["mask_bits"])[:n * h * w].reshape(n, h, w).astype(bool)
    tiles = []
    for t in np.linspace(0, n - 1, picks).astype(int):
        x = z["frames"][t].copy()
        edge = mask[t] ^ (np.roll(mask[t], 1, 0) & np.roll(mask[t], 1, 1) & mask[t])
        x[edge] = (255, 0, 255)
        image = Image.fromarray(x).resize((w * scale, h * scale))
        draw = ImageDraw.Draw(image)
        for kx, ky, v in z["keypoints"][t]:
            if v > .5:
                draw.rectangle((kx * w * scale - 1, ky * h * scale - 1, kx * w * scale + 1, ky * h * scale + 1), fill=(0, 255, 0))
        k = z["kind"][t]
        draw.text((3, 2), KINDS[k] if k >= 0 else "-", fill=(255, 255, 0))
        tiles.append(np.asarray(image))
    return np.concatenate(tiles, 1)


if __name__ == "__main__":
    rows = [row(p) for p in sys.argv[2:]]
    Image.fromarray(np.concatenate(rows, 0)).save(sys.argv[1])
