"""Benchmark sets of our own in the field's formats, from rendered clips whose happenings are known, so that every scorer
runs from end to end without a download.

.venv/bin/python tools/eval/synthetic.py --probes data/scenes/probes --scenes data/scenes/test --tables data/scenes/table
--out data/eval/sets

A set is what the benchmark's own loader reads, in a folder of its name, with videos in `videos`. Rooms and people are of
seeds that nothing was trained on. These are easy pictures and few kinds of happenings: a figure says how a system does on
*these*, by the benchmark's rules; it is not the benchmark's figure.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).parents[1]
sys.path[:0] = [str(TOOLS / part) for part in ("eval/language", "eval", "train", "scenes")]

import camera  # noqa: E402
import clips  # noqa: E402
import noise  # noqa: E402
import words  # noqa: E402

FPS = 5
LETTERS = "ABCD"
# What is asked of somebody, as a question with yes or no for an answer; and a deed that is taken for it, asked of clips without it.
DEEDS = {
    "fall": ("Does somebody fall?", "Does somebody climb a ladder?"),
    "sit_down": ("Does somebody sit down?", "Does somebody kneel down?"),
    "get_up": ("Does somebody get up?", "Does somebody lie down?"),
    "lie": ("Does somebody lie?", "Does somebody jump?"),
    "wave": ("Does somebody wave?", "Does somebody clap?"),
    "clap": ("Does somebody clap?", "Does somebody wave?"),
    "walk": ("Does somebody walk?", "Does somebody dance?"),
    "light_on": ("Is the light switched on?", "Is the light switched off?"),
    "light_off": ("Is the light switched off?", "Is the light switched on?"),
    "door_opens": ("Does a door open?", "Does a window break?"),
    "enter": ("Does somebody come in?", "Does somebody fall?"),
}
ONE = {
    "fall": "somebody falls", "sit_down": "somebody sits down", "get_up": "somebody gets up", "lie_down": "somebody lies down",
    "enter": "somebody comes in", "leave": "somebody goes out", "wave": "somebody waves", "clap": "somebody claps",
    "bend": "somebody bends down", "raise_hands": "somebody raises both hands", "light_on": "the light is switched on",
    "light_off": "the light is switched off", "door_opens": "the door opens",
}  # fmt: skip


@dataclass(frozen=True)
class Rendered:
    """A clip with what happens in it; `spans`: [(kind, start_s, end_s)] of its own label, one an instant."""

    name: str
    path: Path
    video: str
    seconds: float
    room: str
    is_table: bool
    probe: str | None
    questions: list
    narrations: list
    spans: list


def rendered(path, videos):
    """The clip of a file, its video written where it is not there."""
    with np.load(path) as z:
        meta, kind, frames = json.loads(str(z["meta"])), z["kind"].astype(int), z["frames"]
        questions = json.loads(str(z["qa"])) if "qa" in z else []
        narrations = json.loads(str(z["narrations"])) if "narrations" in z else []
    name = f"{path.parent.name}-{path.stem}"
    video = videos / f"{name}.mp4"
    if not video.exists():
        clips.write(video, frames)
    spans, first = [], 0
    for t in range(1, len(kind) + 1):
        if t == len(kind) or kind[t] != kind[first]:
            if kind[first] >= 0:
                spans.append((words.KINDS[kind[first]], first / FPS, t / FPS))
            first = t
    return Rendered(
        name,
        path,
        video.name,
        len(frames) / FPS,
        meta["scene"],
        meta["view"] == "table",
        meta.get("probe"),
        questions,
        narrations,
        spans,
    )


def once(clip, kind):
    """(start_s, end_s) of a kind that happens once, and not over the clip's ends; else None."""
    found = [s for s in clip.spans if s[0] == kind]
    return found[0][1:] if len(found) == 1 and found[0][1] > 0 else None


def temporal(probes):
    """TempCompass's form: of each probe the question that tells its set apart, as a choice and with yes or no."""
    choice, yes_no = (defaultdict(lambda: defaultdict(list)) for _ in range(2))
    for k, clip in enumerate(probes):
        ask = clip.questions[0]
        options = [f"{letter}. {option}" for letter, option in zip(LETTERS, ask["choices"])]
        right = options[ask["choices"].index(ask["answer"])]
        choice[clip.video][ask["kind"]].append({"question": "\n".join([ask["question"], *options]), "answer": right})
        others = [c for c in ask["choices"] if c != ask["answer"]]
        asked, answer = (ask["answer"], "yes") if k % 2 else (others[k // 2 % len(others)], "no")
        yes_no[clip.video][ask["kind"]].append({"question": f"{ask['question']} Is it this: {asked}?", "answer": answer})
    return {"multi-choice.json": choice, "yes_no.json": yes_no}


def options(probes):
    """TVBench's form: a file a kind."""
    out = defaultdict(list)
    for clip in probes:
        ask = clip.questions[0]
        out[f"{clip.probe}.json"].append(
            {"video": clip.video, "question": ask["question"], "candidates": ask["choices"], "answer": ask["answer"]}
        )
    return out


def hallucinations(scenes):
    """VideoHallucer's form: what happens, and what does not, in one clip."""
    rows = []
    for clip in scenes:
        kinds = {s[0] for s in clip.spans} | {n["kind"] for n in clip.narrations}
        for kind in [k for k in DEEDS if k in kinds][:2]:
            yes, no = DEEDS[kind]
            other = next((k for k, (question, _) in DEEDS.items() if question == no), None)
            if other not in kinds:
                rows.append(
                    {
                        "basic": {"video": clip.video, "question": yes, "answer": "yes"},
                        "hallucination": {"video": clip.video, "question": no, "answer": "no"},
                        "type": kind,
                    }
                )
    return {"temporal.json": rows}


def unusual(scenes):
    """UAL-Bench's form: where somebody falls."""
    spans = [(clip.video, once(clip, "fall")) for clip in scenes]
    return {"uag.json": [{"video_id": video, "start_time": s[0], "end_time": s[1]} for video, s in spans if s]}


def online(scenes):
    """OVO-Bench's form: what happened (EPM), what is going on (ACR), how often so far (REC), whether a step is on (SSR),
    and whether a question can be answered yet (CRR)."""
    rows, dice = [], np.random.default_rng(7)
    for clip in scenes:
        done = [(kind, *span) for kind in ONE if (span := once(clip, kind))]
        common = {"video": clip.video}
        others = [ONE[k] for k in ONE if k not in {s[0] for s in clip.spans}]
        for kind, start, end in done[:1]:
            wrong = [str(w) for w in dice.choice(others, 2, replace=False)]
            for task, until in (("ACR", end), ("EPM", min(end + 1.5, clip.seconds))):
                choices = [ONE[kind], *wrong]
                right = int(dice.integers(3))
                choices[0], choices[right] = choices[right], choices[0]
                question = "What is going on now?" if task == "ACR" else "What happened a moment ago?"
                rows.append(common | {"task": task, "realtime": until, "question": question, "options": choices, "gt": right})
            tests = [{"realtime": max(start - 0.4, 0.4), "count": 0}, {"realtime": end, "count": 1}]
            rows.append(common | {"task": "REC", "activity": ONE[kind], "test_info": tests})
            steps = [
                {"realtime": max(start - 0.4, 0.4), "step": ONE[kind], "type": 0},
                {"realtime": end, "step": ONE[kind], "type": 1},
            ]
            rows.append(common | {"task": "SSR", "test_info": steps})
            tests = [{"realtime": max(start - 0.4, 0.4), "type": 0}, {"realtime": min(end + 0.4, clip.seconds), "type": 1}]
            rows.append(
                common
                | {
                    "task": "CRR",
                    "question": f"Tell when it has happened that {ONE[kind]}.",
                    "ask_time": 0,
                    "clue_time": end,
                    "answer": "yes",
                    "test_info": tests,
                }
            )
    return {"ovo_bench_new.json": [{"id": k, **row} for k, row in enumerate(rows)]}


def proactive(scenes):
    """StreamingBench's proactive form: say it when it happens."""
    videos = []
    for clip in scenes:
        for kind in ("fall", "sit_down", "get_up", "enter", "light_on", "light_off"):
            span = once(clip, kind)
            if span:
                ask = {"task_type": "Proactive Output", "question": f'Say "{kind.replace("_", " ")}" when {ONE[kind]}.', "time_stamp": "0:00:00", "ground_truth_time_stamp": f"0:00:{span[1]:05.2f}", "ground_truth_output": kind.replace("_", " ")}  # fmt: skip
                videos.append({"video_path": clip.video, "questions": [ask]})
                break
    return {"questions_proactive.json": videos}


def asked_later(scenes):
    """VStream-QA's form: open questions at a time of the stream."""
    rows = []
    for clip in scenes:
        done = [(kind, *span) for kind in ONE if (span := once(clip, kind))]
        for kind, _, end in done[:1]:
            rows.append(
                {
                    "video_id": clip.video,
                    "conversations": [
                        {"question": "What happened a moment ago?", "answer": ONE[kind], "start_time": 0.0, "end_time": end}
                    ],
                    "answer_type": "event",
                }
            )
    return {"test_qa.json": rows}


def grounded(scenes):
    """E.T. Bench's form: when (tvg), all times (tal), a highlight (vhd), and captions with times (dvc)."""
    rows = []
    for clip in scenes:
        base = {"source": "scenes", "video": clip.video, "duration": clip.seconds}
        for kind in ("fall", "sit_down", "enter", "light_on"):
            span = once(clip, kind)
            if span:
                rows.append(base | {"task": "tvg", "q": f"When is it that {ONE[kind]}?", "tgt": list(span)})
                rows.append(base | {"task": "vhd", "q": f"When is it that {ONE[kind]}?", "tgt": [list(span)]})
                break
        walks = [list(s[1:]) for s in clip.spans if s[0] == "walk"]
        if walks:
            rows.append(base | {"task": "tal", "q": "When does somebody walk?", "tgt": walks})
        told = [n for n in clip.narrations if n["end_s"] - n["start_s"] >= 1][:8]
        if len(told) > 1:
            rows.append(
                base
                | {
                    "task": "dvc",
                    "q": "Tell what happens, with times.",
                    "tgt": [[n["start_s"], n["end_s"]] for n in told],
                    "g": [n["text"] for n in told],
                }
            )
    return {"etbench_txt_v1.0.json": [{"idx": k, **row} for k, row in enumerate(rows)]}


def chapters(scenes):
    """VidChapters' form: stretches of one kind, of at least a second."""
    out = {}
    for clip in scenes:
        long = [s for s in clip.spans if s[2] - s[1] >= 1]
        if len(long) > 1:
            out[clip.video] = {
                "chapters": [{"time": s[1], "label": ONE.get(s[0], s[0].replace("_", " "))} for s in long],
                "duration": clip.seconds,
            }
    return {"chapters.json": out}


def apart(files):
    """Only videos of which no two chapters have one title: asked when it is, there is one answer."""
    titles = lambda video: [chapter["label"] for chapter in video["chapters"]]  # noqa: E731
    return {name: {k: v for k, v in of.items() if len(set(titles(v))) == len(titles(v))} for name, of in files.items()}


def described(scenes):
    """DREAM-1K's form: what happens, an event a sentence."""
    rows = []
    for clip in scenes:
        events = list(dict.fromkeys(n["text"].rstrip(".") for n in clip.narrations))
        if events:
            rows.append({"id": clip.name, "video": clip.video, "description": ". ".join(events) + ".", "events": events})
    return {"dream.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}


def segments(tables):
    """EPFL-Smart-Kitchen's form: an action for each frame of a table."""
    rows = []
    for clip in tables:
        labels = ["none"] * round(clip.seconds * FPS)
        for kind, start, end in clip.spans:
            for t in range(round(start * FPS), round(end * FPS)):
                labels[t] = kind
        rows.append({"id": clip.name, "video": clip.video, "labels": labels})
    return {"segments.json": rows}


def orders(tables, videos):
    """VCRBench's form: the deeds of a table, cut apart, shown in another order; put them in order."""
    rows, dice = [], np.random.default_rng(11)
    for clip in tables:
        parts = [s for s in clip.spans if s[2] - s[1] >= 0.6][:5]
        if len(parts) < 2:
            continue
        shown = dice.permutation(len(parts))
        video = videos / f"order-{clip.name}.mp4"
        if not video.exists():
            frames = frames_of(clip)
            pieces = [frames[round(parts[i][1] * FPS) : round(parts[i][2] * FPS)] for i in shown]
            blank = np.zeros((3, *frames.shape[1:]), np.uint8)
            clips.write(video, np.concatenate([f for piece in pieces for f in (piece, blank)]))
        question = f"{len(parts)} clips are shown one after the other, with black between them. In which order do they happen?"
        rows.append(
            {
                "qid": clip.name,
                "goal": clip.room,
                "question": question,
                "ground_truth": [int(i) for i in np.argsort(shown)],
                "video_file": video.name,
            }
        )
    return {"vcr.json": rows}


def spooky(count, videos):
    """SpookyBench's form: shapes that only motion shows."""
    rows = []
    for k in range(count):
        video = videos / f"noise-{k}.mp4"
        frames, _, shape, _ = noise.clip(np.random.default_rng([3, k]), k % len(noise.SHAPES), frames=20)
        if not video.exists():
            clips.write(video, frames)
        rows.append((video.name, "shapes", str([noise.SHAPES[shape]])))
    return {"spooky.csv": [("Path", "Category", "Label"), *rows]}


def needle(scenes, videos, minutes, seed=5):
    """A needle in a long video, or in a day (1440 minutes), in E.T. Bench's form: one fall among clips without any; a moment of it is asked for."""
    falls = [c for c in scenes if once(c, "fall")][: 3 if minutes <= 120 else 1]  # a day has 5 GB
    plain = [c for c in scenes if not any(s[0] == "fall" for s in c.spans)]
    rows, dice = [], np.random.default_rng(seed)
    for k, clip in enumerate(falls if plain else []):
        parts, length = [], 0.0
        while length < 60 * minutes:
            parts.append(plain[int(dice.integers(len(plain)))])
            length += parts[-1].seconds
        place = int(len(parts) * (k + 1) / (len(falls) + 1))
        parts.insert(place, clip)
        start = sum(c.seconds for c in parts[:place])
        about = hashlib.sha256(" ".join(c.name for c in parts).encode()).hexdigest()[:8]
        video = videos / f"needle-{about}.mp4"
        if not video.exists():
            join(parts, video)
        span = [start + s for s in once(clip, "fall")]
        rows.append(
            {
                "task": "vhd",
                "source": "needle",
                "idx": k,
                "video": video.name,
                "q": "When does somebody fall?",
                "tgt": [span],
            }
        )
    return {"needle.json": rows}


def done(clip):
    """[(kind, start_s, end_s)] of what happens once, in its order."""
    return sorted(((kind, *span) for kind in ONE if (span := once(clip, kind))), key=lambda d: d[1])


def timed_choices(scenes):
    """StreamingBench's form: what has just happened, asked in the stream."""
    videos, dice = [], np.random.default_rng(13)
    for clip in scenes:
        questions = []
        for kind, _, end in done(clip)[:3]:
            choices, right = among(dice, ONE[kind], [ONE[k] for k in ONE if k not in {s[0] for s in clip.spans}], 4)
            questions.append(
                {
                    "task_type": "Event Understanding",
                    "question": "What has just happened?",
                    "time_stamp": f"0:00:{min(end + 0.4, clip.seconds):05.2f}",
                    "answer": LETTERS[right],
                    "options": [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices)],
                }
            )
        if questions:
            videos.append({"video_path": clip.video, "questions": questions})
    return {"questions_real.json": videos}


def among(dice, right, others, count):
    """(choices in a drawn order, where the right one is)"""
    choices = [right, *(str(o) for o in dice.choice(others, count - 1, replace=False))]
    order = dice.permutation(count)
    return [choices[k] for k in order], int(np.argwhere(order == 0)[0, 0])


STATES = {"walk": "somebody walks", "stand": "somebody stands", "sit": "somebody sits", "lie": "somebody lies", "run": "somebody runs", "kneel": "somebody kneels"}


def story(clip):
    """What is gone through one after the other, each thing once, of 0.4 s at least."""
    return list(dict.fromkeys(kind for kind, start, end in clip.spans if kind in ONE | STATES and end - start >= 0.4))


def in_order(clip, kinds):
    """Whether these happen one after the other, whatever lies between."""
    gone = iter(kind for kind, *_ in clip.spans)
    return all(kind in gone for kind in kinds)


def overall(scenes):
    """EgoSchema's form: five accounts of a whole clip; the wrong ones have its deeds in another order, or others."""
    questions, answers, dice = [], {}, np.random.default_rng(17)
    account = lambda kinds: ", then ".join((ONE | STATES)[k] for k in kinds)  # noqa: E731
    for clip in scenes:
        kinds = story(clip)[:3]
        if len(kinds) < 2:
            continue
        others = [k for k in ONE | STATES if k not in {s[0] for s in clip.spans}]
        if in_order(clip, kinds[::-1]):  # both are right, as of who stands, walks and stands again
            continue
        wrong = {account(kinds[::-1])}
        while len(wrong) < 4:
            wrong.add(account([str(k) for k in dice.choice(others, len(kinds), replace=False)]))
        choices, right = among(dice, account(kinds), sorted(wrong), 5)
        asked = {"q_uid": clip.video, "question": "Which account of the whole video is right?"}
        questions.append(asked | {f"option {k}": c for k, c in enumerate(choices)})
        answers[clip.video] = right
    return {"questions.json": questions, "subset_answers.json": answers}


def unanswered(probes):
    """Video-Bench's form, which has no answers: only whether replies can be read."""
    rows = {
        f"q{k}": {"vid_path": clip.video, "video_id": clip.name, "question": ask["question"], "choices": dict(zip(LETTERS, ask["choices"]))}
        for k, clip in enumerate(probes)
        for ask in clip.questions[:1]
    }
    return {"Scenes_QA_new.json": rows}


# Of a table: what is done by hand, said as the narrators of egocentric videos say it, as (verb, noun).
BY_HAND = {
    "reach": ("reaches for", "cup"), "pick_up": ("picks up", "cup"), "put_down": ("puts down", "cup"), "pour": ("pours", "water"), "stir": ("stirs", "bowl"),
    "cut": ("cuts", "bread"), "open": ("opens", "box"), "close": ("closes", "box"),
}  # fmt: skip
OTHER_NOUNS = ("door", "lamp", "shirt", "phone", "bicycle", "window", "carpet", "ladder", "pillow", "guitar")
OTHER_VERBS = ("paints", "washes", "throws", "kicks", "folds", "reads", "tears", "sweeps", "licks", "hammers")


def by_hand(tables):
    """EgoHOIBench's form: what hands do, against ten sentences with another verb and ten with another noun."""
    head = ("video_uid", "clip_start", "clip_end", "clip_text", "tag_noun", "tag_verb", "verb_neg", "noun_neg")
    rows = []
    for clip in tables:
        for narration in clip.narrations:
            verb, noun = BY_HAND.get(narration["kind"], (None, None))
            if verb is None:
                continue
            noun = next((o for o in narration["objects"] if o != "table"), noun)
            say = lambda v, n: f"#C C {v} the {n}"  # noqa: E731
            verbs = [say(v, noun) for v in OTHER_VERBS]
            nouns = [say(verb, n) for n in OTHER_NOUNS]
            tags = ("[0]", "[0]", ",".join(verbs), ",".join(nouns))
            rows.append((clip.video, narration["start_s"], narration["end_s"], say(verb, noun), *tags))
    lines = ["\t".join(map(str, row)) for row in (head, *rows)]
    return {"EgoMCQ_hardnegHOI.csv": "\n".join(lines) + "\n"}


def chained(scenes):
    """V-STaR's form: what, when and where somebody who is alone does a thing."""
    rows = []
    for clip in scenes:
        with np.load(clip.path) as z:
            if json.loads(str(z["meta"]))["people"] != 1:
                continue
            shape = z["mask_shape"]
            mask = np.unpackbits(z["mask_bits"])[: shape.prod()].reshape(shape).astype(bool)
        for kind, start, end in done(clip)[:1]:
            boxes = []
            for second in range(int(np.ceil(start)), min(int(end), (len(mask) - 1) // FPS) + 1):
                seen = np.argwhere(mask[second * FPS])
                if len(seen):
                    (top, left), (bottom, right) = seen.min(0).tolist(), seen.max(0).tolist()
                    box = {"xmin": left, "ymin": top, "xmax": right + 1, "ymax": bottom + 1}
                    boxes.append({"timestamp": second, "frame_index": second * FPS} | box)
            if boxes and not kind.startswith(("light", "door")):
                rows.append(
                    {
                        "vid": clip.video, "domain": "home", "fps": FPS, "width": int(shape[2]), "height": int(shape[1]), "frame_count": int(shape[0]),
                        "question": "What does somebody do?", "answer": ONE[kind], "temporal_question": f"When is it that {ONE[kind]}?", "timestamps": [start, end],
                        "spatial_question": f"Where is who does it, while {ONE[kind]}?", "spatial_question_2": "Where is who does it?", "bboxes": boxes,
                    }
                )  # fmt: skip
    return {"vstar.json": rows}


def facts(scenes):
    """Video SimpleQA's form: what happened first, what came after it, and both in one question."""
    rows = []
    for clip in scenes:
        if len(story(clip)) < 2:
            continue
        first, second = ((ONE | STATES)[kind] for kind in story(clip)[:2])
        rows.append(
            {
                "date": "2026-01-01", "video": clip.video,
                "QA_Pair_1_Question": "What happened first?", "QA_Pair_1_Answer": first,
                "QA_Pair_2_Question": f"What happened after {first}?", "QA_Pair_2_Answer": second,
                "Multi_hop_Question": "What happened after what happened first?", "Multi_hop_Answer": second,
            }
        )  # fmt: skip
    return {"VideoSimpleQA.json": rows}


def gestures(scenes):
    """MimeQA's form: what hands and body play, without a thing."""
    rows = []
    for clip in scenes:
        for kind in ("wave", "clap", "raise_hands", "bend"):
            if kind in {s[0] for s in clip.spans}:
                rows.append({"video": clip.video, "question": "What is played?", "answer": ONE[kind], "category": kind})
    return {"mimeqa.json": rows}


def as_told(scenes):
    """MAGQA's form: one question, and answers in the stream as they become true."""
    rows = []
    for k, clip in enumerate(scenes):
        told = [n for n in clip.narrations if n["end_s"] - n["start_s"] >= 0.4][:8]
        if told:
            times = [[n["start_s"], n["end_s"] + 1] for n in told]
            answers = [n["text"] for n in told]
            rows.append({"question_id": k, "video": clip.video, "question": "What happens?", "answers": answers, "answer_time": times})
    return {"magqa.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}


MOVED = {
    "pan_left": "pan-left", "pan_right": "pan-right", "tilt_up": "tilt-up", "tilt_down": "tilt-down", "roll_left": "roll-CCW", "roll_right": "roll-CW",
    "in": "zoom-in", "out": "zoom-out", None: "static",
}  # fmt: skip
ASKED = {
    "pan-left": "Does the camera pan to the left?", "pan-right": "Does the camera pan to the right?", "tilt-up": "Does the camera tilt up?",
    "tilt-down": "Does the camera tilt down?", "roll-CCW": "Does the camera roll to the left?", "roll-CW": "Does the camera roll to the right?",
    "zoom-in": "Does the camera zoom in?", "zoom-out": "Does the camera zoom out?", "static": "Does the camera stand still?",
}  # fmt: skip


def movements(scenes, videos, count=36, speed=5):
    """CameraBench's form: a window that moves over clips' pictures, or stands; which it does is exact. And its questions, each on a video
    where it is true and on one where it is not."""
    labels = {}
    for k, clip in enumerate(scenes[:count]):
        name = list(MOVED)[k % len(MOVED)]
        video = videos / f"moved-{name or 'not'}-{clip.name}.mp4"
        if not video.exists():
            clips.write(video, camera.moved(frames_of(clip), name, speed)[0])
        labels[video.name] = [MOVED[name]]
    of = lambda label, is_it: [v for v, named in labels.items() if (label in named) == is_it]  # noqa: E731
    dice = np.random.default_rng(19)
    pairs = [
        {"question": ASKED[label], "positive": yes, "negative": str(no), "label": label}
        for label in ASKED
        for yes, no in zip(of(label, True), dice.permutation(of(label, False)))
    ]
    return {"motions.json": labels}, {"vqa.json": pairs}


def frames_of(clip):
    with np.load(clip.path) as z:
        return z["frames"]


def join(parts, video):
    """Clips one after the other, each encoded once: a day of them fits no memory."""
    for clip in {c.name: c for c in parts}.values():
        if not (of := video.with_name(f"square-{clip.name}.mp4")).exists():
            clips.write(of, square(frames_of(clip)))
    names, part = video.with_suffix(".txt"), video.with_suffix(".part.mp4")
    names.write_text("".join(f"file square-{c.name}.mp4\n" for c in parts))
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "concat", "-i", str(names), "-c", "copy", str(part)], check=True)
    names.unlink()
    part.rename(video)


def square(frames):
    """Grey above and below, to 224 lines."""
    missing = frames.shape[2] - frames.shape[1]
    return np.pad(frames, ((0, 0), (missing // 2, missing - missing // 2), (0, 0), (0, 0)), constant_values=128)


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if name.endswith(".csv") and not isinstance(content, str):
            with (folder / name).open("w", newline="") as file:
                csv.writer(file).writerows(content)
        else:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=1))


def make(probes, scenes, out, noise_clips=40, needle_minutes=10):
    """Sets of files of rendered clips -> [(name, benchmark's name, what its loader reads)]."""
    videos = out / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    probe, scene = ([rendered(p, videos) for p in files] for files in (probes, scenes))
    table = [c for c in scene if c.is_table]
    moved, asked = movements([c for c in scene if not c.is_table], videos)
    sets = {
        "tempcompass": temporal(probe), "tvbench": options(probe), "videohallucer": hallucinations(scene), "ual-bench": unusual(scene),
        "ovo-bench": online(scene), "streamingbench-proactive": proactive(scene), "vstream-qa": asked_later(scene), "etbench": grounded(scene),
        "vidchapters": chapters(scene), "vidchapters-captions": chapters(scene), "vidchapters-grounding": apart(chapters(scene)), "dream-1k": described(scene), "spookybench": spooky(noise_clips, videos),
        "epfl-smart-kitchen": segments(table), "vcrbench": orders(table, videos), "needle": needle(scene, videos, needle_minutes),
        "streamingbench": timed_choices(scene), "egoschema": overall(scene), "video-bench": unanswered(probe), "egohoibench": by_hand(table),
        "v-star": chained(scene), "video-simpleqa": facts(scene), "mimeqa": gestures(scene), "magqa": as_told(scene),
        "camerabench": moved, "camerabench-vqa": asked,
    }  # fmt: skip
    made = []
    for name, content in sets.items():
        write(out / name, content)
        folders = ("videohallucer", "tempcompass", "tvbench", "egoschema", "video-bench", "camerabench")
        made.append(
            (name, "etbench" if name == "needle" else name, out / name if name in folders else out / name / next(iter(content)))
        )
    return made


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--probes", type=Path, required=True, help="folder of clips that differ in one thing only (generate.py --split probes)"
    )
    p.add_argument("--scenes", type=Path, required=True, help="folder of other clips")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    for name, _, path in make(*(sorted(folder.glob("*.npz")) for folder in (args.probes, args.scenes)), args.out):
        print(f"{name}: {path}")


if __name__ == "__main__":
    main()
