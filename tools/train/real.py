"""Real clips of ../shared/data -> training clips (.npz, see data.py) with the targets of a teacher.

    data/teacher-venv/bin/python tools/train/real.py ../shared/data data/real

Frames are taken by the container's time stamps as firmware/drivers/src/sample.rs takes them. The teacher is
mediapipe's pose network (keypoints and person mask); it and numpy below 2 live in a venv of their own (setup.sh).
Kinds come from the data sets' own tables and from spans.toml, which holds what a person saw in contact sheets and
wins over the tables. What neither says is -1. The teacher's work is cached beside the clips (`teacher/`), so that new
labels cost seconds: delete a file there to have it done again.
"""

import argparse
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")
import cv2

import labels
import words

SIDE_PX = 224
TEACHER_PX = 640  # longer side that the pose network is given
SURE = 0.5  # visibility and mask probability that count
# BlazePose's 33 landmarks -> COCO's 17 keypoints.
COCO = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
# assist-iot: a large and a small view in one picture (x, y, width, height), small view on the right or on the left.
SMALL_RIGHT = {"large": (0, 0, 853, 640), "small": (855, 0, 425, 320)}
SMALL_LEFT = {"small": (0, 0, 426, 320), "large": (428, 0, 852, 640)}


@dataclass(frozen=True)
class Source:
    """One clip to make: `name` is <set>/<clip>, `crop` x, y, width, height or None."""

    name: str
    path: Path
    person: str
    scene: str
    crop: tuple | None = None


def sources(root, spans):
    """All clips below `root`; the views of assist-iot become clips of their own."""
    out = []
    for path in sorted(root.glob("gmdcsa24/*/*/*.mp4")):
        person, what = path.parts[-3], path.parts[-2]
        name = f"gmdcsa24/{person}_{what}_{path.stem}"
        out.append(Source(name, path, person, person))
    for path in sorted(root.glob("assist-iot/*/*.mp4")):
        clip = f"{path.parts[-2]}_{path.stem}"
        layout = SMALL_LEFT if clip in spans["small_left"] else SMALL_RIGHT
        for view, crop in layout.items():
            name = f"assist-iot/{clip}_{view}"
            if name not in spans["skip"]:
                out.append(Source(name, path, "assist-iot", f"lab-{view}", crop))
    for path in sorted([*root.glob("intel-samples/*.mp4"), *root.glob("intel-samples/*/*.mkv")]):
        out.append(Source(f"intel-samples/{path.stem}", path, "intel-samples", path.parent.name))
    return [s for s in out if s.name not in spans["skip"]]


def probe(path):
    """(width, height as shown, frame times in microseconds)."""
    entries = "stream=width,height:stream_side_data=rotation:frame=best_effort_timestamp_time"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", str(path)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    stream = said["streams"][0]
    width, height = stream["width"], stream["height"]
    rotation = sum(int(d.get("rotation", 0)) for d in stream.get("side_data_list", []))
    if rotation % 180:
        width, height = height, width
    times = [round(float(f["best_effort_timestamp_time"]) * 1e6) for f in said["frames"]]
    return width, height, times


def decode(path):
    """(pictures u8 [h, w, 3] of the frames to take, one by one; their times in seconds from the first)."""
    width, height, times = probe(path)
    wanted = set(labels.sample(times))
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pipe = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=1 << 22)
    for i, time_us in enumerate(times):
        raw = pipe.stdout.read(width * height * 3)
        if len(raw) < width * height * 3:
            break
        if i in wanted:
            yield np.frombuffer(raw, np.uint8).reshape(height, width, 3), (time_us - times[0]) / 1e6
    pipe.stdout.close()
    pipe.wait()


def shrink(picture, side_px):
    """Longer side at most `side_px`, by area."""
    h, w = picture.shape[:2]
    scale = min(1, side_px / max(h, w))
    size = max(1, round(w * scale)), max(1, round(h * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


class Teacher:
    """mediapipe's pose: tracks from frame to frame; a person it loses is looked for anew, also lying on a side."""

    def __init__(self):
        from mediapipe.python.solutions.pose import Pose

        make = lambda still: Pose(  # noqa: E731
            static_image_mode=still, model_complexity=1, enable_segmentation=True, smooth_segmentation=False,
            smooth_landmarks=False,
        )  # fmt: skip
        self.tracker, self.still = make(False), make(True)

    def see(self, picture):
        """(keypoints f32 [17, 3] in 0..1 of the picture, mask f32 [h, w]) or None."""
        found = self._ask(self.tracker, picture)
        if found is not None:
            return found
        tries = [self._ask(self.still, np.rot90(picture, k), k) for k in (0, 1, 3)]
        return max((t for t in tries if t is not None), key=lambda t: t[0][:, 2].mean(), default=None)

    def _ask(self, pose, picture, turns=0):
        said = pose.process(np.ascontiguousarray(picture))
        if not said.pose_landmarks or said.segmentation_mask is None:
            return None
        points = np.array([[p.x, p.y, p.visibility] for p in said.pose_landmarks.landmark], np.float32)[COCO]
        x, y = points[:, 0].copy(), points[:, 1].copy()
        if turns == 1:  # rot90 counter-clockwise: shown (x, y) was (1 - y, x)
            points[:, 0], points[:, 1] = 1 - y, x
        elif turns == 3:
            points[:, 0], points[:, 1] = y, 1 - x
        mask = np.rot90(said.segmentation_mask, -turns)
        return (points, mask) if points[:, 2].mean() > SURE else None


def observe(source):
    """What does not depend on labels: dict of frames, times, keypoints, mask, found."""
    teacher = Teacher()
    frames, times, keypoints, masks, found = [], [], [], [], []
    for picture, time_s in decode(source.path):
        if source.crop:
            x, y, w, h = source.crop
            picture = picture[y : y + h, x : x + w]
        small = shrink(picture, SIDE_PX)
        seen = teacher.see(shrink(picture, TEACHER_PX))
        points, mask = seen if seen is not None else (np.zeros((17, 3), np.float32), np.zeros(small.shape[:2]))
        mask = cv2.resize(np.ascontiguousarray(mask, np.float32), small.shape[1::-1], interpolation=cv2.INTER_AREA)
        frames.append(small)
        times.append(time_s)
        keypoints.append(points)
        masks.append(near(mask > SURE, points))
        found.append(seen is not None)
    return {"frames": np.stack(frames), "times": np.array(times), "keypoints": np.stack(keypoints),
            "mask": np.stack(masks), "found": np.array(found)}  # fmt: skip


def near(mask, points):
    """The mask without what lies far from every keypoint: the network marks furniture at times."""
    if not mask.any():
        return mask
    h, w = mask.shape
    x, y = points[:, 0] * w, points[:, 1] * h
    margin = 0.25 * max(np.ptp(x), np.ptp(y)) + 4
    out = np.zeros_like(mask)
    rows = slice(max(int(y.min() - margin), 0), max(int(y.max() + margin) + 1, 0))
    columns = slice(max(int(x.min() - margin), 0), max(int(x.max() + margin) + 1, 0))
    out[rows, columns] = mask[rows, columns]
    return out


def empty_room(frames, mask, known):
    """Median picture of the frames with nobody in front, or [0, 0, 3] where a place is never seen free."""
    frames, mask = frames[known], mask[known]
    if len(frames) < 3:
        return np.zeros((0, 0, 3), np.uint8)
    wide = np.stack([cv2.dilate(m.astype(np.uint8), np.ones((9, 9), np.uint8)) for m in mask]).astype(bool)
    if ((~wide).sum(0) < 2).mean() > 0.002:
        return np.zeros((0, 0, 3), np.uint8)
    hidden = np.where(wide[..., None], np.nan, frames.astype(np.float32))
    with np.errstate(all="ignore"):
        free = np.nanmedian(hidden, 0)
    return np.where(np.isnan(free), np.median(frames, 0), free).astype(np.uint8)


def make(source, seen, spans):
    """The training clip: dict of arrays as data.load_clip wants them."""
    kind, table = labels.label(source, seen["times"], spans)
    alone = np.isin(kind, (words.KINDS.index("nobody"), words.SILENCE))
    wrong = np.zeros(len(kind), bool)
    for start, end in spans["mistaken"].get(source.name, []):
        wrong |= (seen["times"] >= start - 1e-6) & (seen["times"] < end - 1e-6)
    known = seen["found"] & ~alone & ~wrong & (seen["mask"].mean((1, 2)) > 0.002)
    mask = seen["mask"] & known[:, None, None]
    keypoints = seen["keypoints"].copy()
    keypoints[..., 2] = (keypoints[..., 2] > SURE) & known[:, None]
    inside = (keypoints[..., :2] >= 0).all(-1) & (keypoints[..., :2] < 1).all(-1)
    keypoints[..., 2] *= inside
    meta = {"source": "real", "person": source.person, "scene": source.scene, "clip": source.name}
    return {
        "frames": seen["frames"], "mask_bits": np.packbits(mask), "mask_shape": np.array(mask.shape, "i8"),
        "keypoints": keypoints.astype(np.float32), "background": empty_room(seen["frames"], mask, known | alone),
        "kind": kind, "table": table, "times": seen["times"], "meta": np.array(json.dumps(meta)),
    }  # fmt: skip


def write(path, arrays):
    """Under a temporary name, then renamed: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as f:
        np.savez(f, **arrays)
    os.replace(temporary, path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--only", default="", help="part of the clip's name")
    args = p.parse_args()
    if not args.data.exists():
        raise SystemExit(f"{args.data} is not here: real clips are left out")
    cv2.setNumThreads(1)
    spans = labels.read_spans()
    taken = {args.out / f"{source.name}.npz" for source in sources(args.data, spans)}
    kept = set() if args.only else {p for p in args.out.glob("*/*.npz") if (args.data / p.parent.name).is_dir()}
    for path in kept - taken:
        print(f"{path} is no clip of {args.data}, or is left out by spans.toml: removed")
        path.unlink()
    count = {}
    for source in sources(args.data, spans):
        if args.only not in source.name:
            continue
        cache = args.out / "teacher" / f"{source.name}.npz.cache"
        if not cache.exists():
            write(cache, observe(source))
        with np.load(cache) as z:
            seen = dict(z)
        clip = make(source, seen, spans)
        write(args.out / f"{source.name}.npz", clip)
        kinds = np.bincount(clip["kind"][clip["kind"] >= 0], minlength=len(words.KINDS))
        count[source.person] = count.get(source.person, 0) + kinds
        marked = np.unpackbits(clip["mask_bits"], count=int(np.prod(clip["mask_shape"])))
        marked = marked.reshape(clip["mask_shape"]).any((1, 2))
        labelled, background = (clip["kind"] >= 0).mean(), "yes" if clip["background"].size else "no"
        print(f"{source.name}: {len(marked)} frames, teacher knows {marked.mean():.2f}, labelled {labelled:.2f}, "
              f"background {background}", flush=True)  # fmt: skip
    for person, kinds in count.items():
        print(person, " ".join(f"{words.KINDS[k]} {n}" for k, n in enumerate(kinds) if n))


if __name__ == "__main__":
    main()
