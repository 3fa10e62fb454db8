"""What is evaluated: clips with labels, and which of them belong to whom."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import labels
import numpy as np

FPS = 5


@dataclass(frozen=True)
class Clip:
    """`times` s [T] of the frames that the runtime takes; `kind` i64 [T] by tables and by eye, `table` i64 [T] by the data
    set's own table alone; -1 is unlabelled. Clips of one `group` are drawn together when intervals are estimated."""

    name: str
    labels: Path
    video: Path
    times: np.ndarray
    kind: np.ndarray
    table: np.ndarray
    group: str
    person: str
    real: bool

    @property
    def seconds(self):
        return float(self.times[-1]) + 1 / FPS

    def frames(self):
        """u8 [T, h, w, 3]"""
        with np.load(self.labels) as z:
            return z["frames"]


def key(name, frames):
    """The name of what is kept of a clip: another one when its pictures are others."""
    return f"{name.replace('/', '_')}-{hashlib.sha256(frames.tobytes()).hexdigest()[:12]}"


def load(path, video):
    """The clip of a file of `real.py` or `generate.py`."""
    with np.load(path) as z:
        meta = json.loads(str(z["meta"]))
        kind = z["kind"].astype(int)
        times = z["times"] if "times" in z else np.arange(len(kind)) / FPS
        table = z["table"].astype(int) if "table" in z and (z["table"] >= 0).any() else kind
    name = f"{path.parent.name}/{path.stem}"
    real = meta.get("source") == "real"
    return Clip(name, path, video, times, kind, table, labels.household(meta), meta["person"], real)


def real(folder, data, group):
    """Clips of a group of clips such as `gmdcsa24/subject-1` or `assist-iot`; of the latter, views of a clip share a file."""
    part, _, person = group.partition("/")
    out = []
    for path in sorted((folder / part).glob(f"{person}*.npz")):
        where = path.stem.split("_", 2) if person else None
        video = data / part / where[0] / where[1] / f"{where[2]}.mp4" if person else data / part
        out.append(load(path, video))
    return out


def subjects(folder):
    """["gmdcsa24/subject-1", …]: whoever is there."""
    return sorted({f"gmdcsa24/{p.stem.split('_')[0]}" for p in (folder / "gmdcsa24").glob("*.npz")})


def scenes(folder, count=None):
    """Rendered clips, the first `count`."""
    return [load(p, p.with_suffix(".mp4")) for p in sorted(folder.glob("*.npz"))[:count]]


def encode(clip):
    """Makes the video of a rendered clip where there is none."""
    if not clip.video.exists():
        write(clip.video, clip.frames())


def write(video, frames):
    """Frames u8 [T, h, w, 3] as H.264 of high quality, 5 pictures a second."""
    part, size = video.with_suffix(".part.mp4"), f"{frames.shape[2]}x{frames.shape[1]}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(FPS), "-i", "-"]
    command += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-threads", "1", "-crf", "10", "-bf", "0", str(part)]
    subprocess.run(command, input=frames.tobytes(), check=True)
    part.rename(video)
