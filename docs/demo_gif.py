"""Makes docs/demo.gif: the demonstration clip beside what `ocelli replay` said of it.

    .venv/bin/python docs/demo_gif.py          after tests/clips/demo.transcript.jsonl was written anew; needs ffmpeg
"""

import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "tests/clips/demo.mp4"
TRANSCRIPT = ROOT / "tests/clips/demo.transcript.jsonl"
PICTURE = (320, 240)
PANEL_PX = 330
FPS = 2
LINES = 9  # newest narrations shown
COLOURS = {"narration": (225, 225, 225), "alert": (255, 110, 90), "alert_end": (140, 200, 140)}


def pictures():
    width, height = PICTURE
    command = ["ffmpeg", "-v", "error", "-i", str(CLIP), "-vf", f"fps={FPS},scale={width}:{height}"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def panel(events, now_s):
    """The newest lines at this time, the last one bright."""
    image = Image.new("RGB", (PANEL_PX, PICTURE[1]), (18, 20, 24))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    draw.text((10, 8), "$ ocelli run demo.mp4", (120, 170, 120), font)
    said = [e for e in events if e["t_end_s"] <= now_s][-LINES:]
    for row, event in enumerate(said):
        colour = COLOURS[event["type"]]
        if row < len(said) - 1:
            colour = tuple(c * 6 // 10 for c in colour)
        mark = {"alert": "ALERT ", "alert_end": "over: "}.get(event["type"], "")
        text = f"{event['t_start_s']:5.1f} s  {event['score']:.2f}  {mark}{event['text']}"
        draw.text((10, 32 + 22 * row), text, colour, font)
    return image


def main():
    events = [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]
    frames = []
    for index, picture in enumerate(pictures()):
        frame = Image.new("RGB", (PICTURE[0] + PANEL_PX, PICTURE[1]))
        frame.paste(Image.fromarray(picture), (0, 0))
        frame.paste(panel(events, (index + 1) / FPS), (PICTURE[0], 0))
        frames.append(frame.quantize(64, dither=Image.Dither.NONE))
    path = ROOT / "docs/demo.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 // FPS, loop=0, optimize=True)
    print(f"{path}: {len(frames)} pictures, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
