"""The field's data sets as one record: a stretch of a video and what is said of it.

.venv/bin/python tools/eval/importers.py youcook2 youcookii_annotations_trainval.json > clips.jsonl

Each reads the annotation file that its data set publishes, and gives `Clip`s; videos are not fetched. Fields were read off
the data sets' own files, readers or documentation; a row that lacks a field ends in an error with its place, never in a
clip with a guess.
"""

import argparse
import csv
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/eval"))

from benchmarks import parse  # noqa: E402


@dataclass(frozen=True)
class Clip:
    """A stretch of a video, and one thing that is said of it. Times are in seconds; None is the video's end."""

    dataset: str
    id: str
    video: str
    text: str
    start_s: float = 0.0
    end_s: float | None = None
    said_by: str = "caption"  # caption, instruction, answer, speech, music, label
    labels: tuple = ()
    extra: dict = field(default_factory=dict)


class BadRow(ValueError):
    """A row is not what its data set should have."""


def turns(row):
    """LLaVA's form: [(question, answer)] of "conversations"."""
    said = [
        (turn["from"], turn["value"].replace("<video>", "").replace("<image>", "").strip()) for turn in row["conversations"]
    ]
    return [
        (q, a) for (who, q), (other, a) in zip(said, said[1:]) if who in ("human", "user") and other in ("gpt", "assistant")
    ]


def valley(rows):
    """Valley-702k and its instructions (Luo et al. 2023): LLaVA's form with `v_id`, `video`, `source`."""
    for row in rows:
        for k, (question, answer) in enumerate(turns(row)):
            yield Clip(
                "valley",
                f"{row.get('v_id', row.get('id'))}-{k}",
                row["video"],
                answer,
                said_by="answer",
                extra={"question": question, "source": row.get("source")},
            )


def youku_mplug(rows):
    """Youku-mPLUG (Xu et al. 2023): CSV with `video_id:FILE` and `title`, in captioning `golden_caption`; Chinese."""
    for k, row in enumerate(rows):
        video = row.get("video_id:FILE") or row["video_id"]
        yield Clip(
            "youku-mplug",
            str(k),
            video,
            row.get("golden_caption") or row.get("caption") or row["title"],
            extra={"language": "zh"},
        )


def mmtrail(rows):
    """MMTrail (Chi et al. 2024): clips of trailers with captions of pictures and of music; frame numbers by `video_fps`."""
    for row in rows:
        basic, scene, misc = row["basic"], row["scene"], row["misc"]
        start, end = (at / basic["video_fps"] for at in basic["clip_start_end_idx"])
        yield Clip(
            "mmtrail",
            basic["clip_id"],
            basic["video_path"],
            scene.get("merge_caption") or scene["caption"],
            start,
            end,
            extra={"camera": row.get("camera")},
        )
        for k, music in enumerate(misc.get("music_caption", ())):
            yield Clip("mmtrail", f"{basic['clip_id']}-music-{k}", basic["video_path"], music["text"], start, end, "music")


def sharegpt4video(rows):
    """ShareGPT4Video (Chen et al., NeurIPS 2024), JSON lines: `captions` of key frames, each on what changed since the one
    before; the last is of the whole."""
    for row in rows:
        spans = (
            [(parse.seconds(a), parse.seconds(b)) for a, b in row["timestamp"]]
            if isinstance(row["timestamp"][0], list)
            else None
        )
        for k, caption in enumerate(row["captions"]):
            of_whole = str(caption["idx"]) == "-1"
            start, end = spans[int(caption["idx"])] if spans and not of_whole else (0.0, None)
            yield Clip(
                "sharegpt4video",
                f"{row['video_id']}-{k}",
                row["video_path"],
                caption["content"],
                start,
                end,
                labels=("whole",) if of_whole else ("change",),
            )


def hd_vila(rows):
    """HD-VILA-100M (Xue et al., CVPR 2022), JSON lines: spans of videos; the words spoken in them come from elsewhere, so a
    text may be empty."""
    for row in rows:
        for clip in row["clip"]:
            start, end = (parse.seconds(at) for at in clip["span"])
            yield Clip(
                "hd-vila",
                clip["clip_id"],
                row["video_id"],
                clip.get("text", ""),
                start,
                end,
                "speech",
                extra={"url": row.get("url")},
            )


def live_cc(rows):
    """Live-CC-5M and Live-WhisperX-526K (Chen et al., CVPR 2025), JSON lines: a conversation on a stretch of video, and the
    words with the time of each."""
    for k, row in enumerate(rows):
        conversation = row["conversation"] if isinstance(row, dict) else row
        parts = [part for turn in conversation for part in turn["content"] if isinstance(part, dict)]
        video = next(part for part in parts if part.get("type") == "video")
        title = next((part["text"] for part in parts if part.get("type") == "text"), "")
        for part in parts:
            for w, (start, end, word) in enumerate(part.get("text_stream") or ()):
                yield Clip(
                    "live-cc", f"{k}-{w}", video["video"], word, float(start), float(end), "speech", extra={"title": title}
                )


def et_instruct(rows):
    """E.T. Instruct 164K (Liu et al., NeurIPS 2024): LLaVA's form with `task`, `src`, `tgt`; the times of `tgt` are the
    answer's."""
    for k, row in enumerate(rows):
        target = row.get("tgt") or []
        pairs = [tuple(t) for t in target] if target and isinstance(target[0], list) else list(zip(target[::2], target[1::2]))
        for q, (question, answer) in enumerate(turns(row)):
            yield Clip(
                "et-instruct",
                f"{k}-{q}",
                row["video"],
                answer,
                said_by="answer",
                labels=(row["task"],),
                extra={"question": question, "spans": pairs, "source": row.get("source")},
            )


def vtg_it(rows):
    """VTG-IT-120K (Guo et al. 2024): `video` and `QA` [{q, a}]."""
    for k, row in enumerate(rows):
        for q, pair in enumerate(row["QA"]):
            yield Clip(
                "vtg-it",
                f"{k}-{q}",
                row["video"],
                pair["a"],
                said_by="answer",
                extra={"question": pair["q"], "spans": parse.spans(pair["a"])},
            )


def activitynet(table):
    """ActivityNet Captions and all in its form: {video: {duration, timestamps, sentences}}."""
    for video, row in table.items():
        for k, ((start, end), sentence) in enumerate(zip(row["timestamps"], row["sentences"], strict=True)):
            yield Clip("activitynet", f"{video}-{k}", video, sentence.strip(), start, min(end, row["duration"]))


def epic_kitchens(rows):
    """EPIC-KITCHENS-100 (Damen et al., IJCV 2022): CSV with start and stop times, narration, verb and noun."""
    for row in rows:
        start, end = parse.seconds(row["start_timestamp"]), parse.seconds(row["stop_timestamp"])
        yield Clip(
            "epic-kitchens",
            row["narration_id"],
            row["video_id"],
            row["narration"],
            start,
            end,
            labels=(row["verb"], row["noun"]),
            extra={"person": row["participant_id"]},
        )


def charades(rows):
    """Charades (Sigurdsson et al., ECCV 2016): CSV, `actions` as "c092 11.90 21.20;c147 0.00 12.60"; the script is the
    caption."""
    for row in rows:
        yield Clip(
            "charades",
            row["id"],
            row["id"],
            row["script"],
            0.0,
            float(row["length"]),
            extra={"person": row["subject"], "scene": row["scene"]},
        )
        for k, action in enumerate(filter(None, row["actions"].split(";"))):
            name, start, end = action.split()
            yield Clip(
                "charades",
                f"{row['id']}-{k}",
                row["id"],
                "",
                float(start),
                float(end),
                "label",
                (name,),
                {"person": row["subject"]},
            )


def coin(table):
    """COIN (Tang et al., CVPR 2019): {"database": {video: {class, annotation: [{id, label, segment}]}}}."""
    for video, row in table["database"].items():
        for step in row["annotation"]:
            start, end = step["segment"]
            yield Clip(
                "coin",
                f"{video}-{step['id']}-{start}",
                video,
                step["label"],
                start,
                end,
                labels=(row["class"],),
                extra={"subset": row.get("subset")},
            )


def youcook2(table):
    """YouCook2 (Zhou et al., AAAI 2018): {"database": {video: {duration, annotations: [{segment, id, sentence}]}}}."""
    for video, row in table["database"].items():
        for step in row["annotations"]:
            start, end = step["segment"]
            yield Clip(
                "youcook2",
                f"{video}-{step['id']}",
                video,
                step["sentence"],
                float(start),
                float(end),
                extra={"subset": row.get("subset"), "recipe": row.get("recipe_type")},
            )


IMPORTERS = {
    f.__name__.replace("_", "-"): f
    for f in (
        valley,
        youku_mplug,
        mmtrail,
        sharegpt4video,
        hd_vila,
        live_cc,
        et_instruct,
        vtg_it,
        activitynet,
        epic_kitchens,
        charades,
        coin,
        youcook2,
    )
}


def rows_of(path):
    """JSON, JSON lines or CSV, by what the file is called."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
    else:
        for number, line in enumerate(path.open(encoding="utf-8"), 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadRow(f"{path}: line {number} is no JSON: {error}") from None


def read(name, path):
    """Clips of an annotation file, one after the other."""
    path = Path(path)
    try:
        source = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else rows_of(path)
    except ValueError as error:
        raise BadRow(f"{path} is no JSON: {error}") from None
    clips, done = IMPORTERS[name](source), 0
    while True:
        try:
            clip = next(clips)
        except StopIteration:
            return
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            if isinstance(error, BadRow):
                raise
            raise BadRow(
                f"{path}: after {done} clips a row is not as {name} has them: {type(error).__name__} {error}"
            ) from error
        done += 1
        if not isinstance(clip.text, str):
            raise BadRow(f"{path}: {clip.id} says {clip.text!r}, which is no text")
        if not all(parse.is_number(at) for at in (clip.start_s, clip.end_s) if at is not None):
            raise BadRow(f"{path}: {clip.id} is from {clip.start_s} to {clip.end_s}, which are no times")
        if clip.end_s is not None and clip.end_s < clip.start_s:
            raise BadRow(f"{path}: {clip.id} ends at {clip.end_s} s, before it begins at {clip.start_s} s")
        yield clip


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dataset", choices=sorted(IMPORTERS))
    p.add_argument("file", type=Path, help="its annotation file: .json, .jsonl or .csv")
    args = p.parse_args()
    try:
        count = 0
        for clip in read(args.dataset, args.file):
            print(json.dumps(asdict(clip), ensure_ascii=False))
            count += 1
    except (BadRow, OSError) as error:
        sys.exit(f"importers: {error}")
    print(f"{count} clips", file=sys.stderr)


if __name__ == "__main__":
    main()
