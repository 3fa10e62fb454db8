"""Who is asked: Ocelli through its own commands, any server that speaks OpenAI's protocol, and one that does not look.

A system gets the part of a video that an item may see, cut out of it as a file of its own, so that nobody can look ahead.
"""

import base64
import functools
import glob
import hashlib
import http.client
import json
import os
import re
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks import parse
from benchmarks.core import LETTERS, Item

BEGAN = "2026-01-01T12:00:00Z"  # each video begins then
# CameraBench's labels, and what the program tells of its camera.
MOVEMENTS = {
    "pan-left": "The camera pans left.", "pan-right": "The camera pans right.", "tilt-up": "The camera tilts up.",
    "tilt-down": "The camera tilts down.", "roll-CCW": "The camera rolls to the left.", "roll-CW": "The camera rolls to the right.",
    "zoom-in": "The camera moves or zooms in.", "dolly-in": "The camera moves or zooms in.", "zoom-out": "The camera moves or zooms out.",
    "dolly-out": "The camera moves or zooms out.",
}  # fmt: skip
FRAMES = 8


class Broken(RuntimeError):
    """A system or a tool failed, which is no answer."""


def file_of(video):
    """Annotations of EgoSchema, TempCompass and UAL-Bench name a video without the ending that its file has."""
    if video.is_file():
        return video
    named = sorted(video.parent.glob(f"{glob.escape(video.name)}.*"))
    return named[0] if named else video


def probe(video):
    """(width, height, frames a second, seconds)"""
    return probed(video, video.stat().st_mtime_ns)


@functools.cache
def probed(video, _changed):
    """Each file is looked into once: starting ffprobe for every question took longer than the answers."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height,r_frame_rate:format=duration", "-of", "json", str(video)]  # fmt: skip
    try:
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        stream = told["streams"][0]
        over, under = stream["r_frame_rate"].split("/")
        return stream["width"], stream["height"], int(over) / int(under), float(told["format"]["duration"])
    except subprocess.CalledProcessError as error:
        raise Broken(f"{video} is no video: {error.stderr.strip()}") from error
    except (LookupError, ArithmeticError, ValueError) as error:
        raise Broken(f"{video} has no pictures, or ffprobe does not tell their number or length: {error!r}") from error


def frames_of(video):
    """u8 [T, h, w, 3]"""
    width, height, _, _ = probe(video)
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(video), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def write_frames(video, frames, fps):
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}", "-i", "-"]
    command += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-threads", "1", "-crf", "10", "-bf", "0", str(video)]
    subprocess.run(command, input=frames.tobytes(), check=True)


def in_order(frames):
    return frames


def shuffled(frames):
    return frames[np.random.default_rng(len(frames)).permutation(len(frames))]


def reversed_(frames):
    return frames[::-1]


def single(frames):
    return np.repeat(frames[len(frames) // 2 :][:1], len(frames), 0)


# What is done to a video before it is shown: what only time tells must be lost.
CONTROLS = {"in order": in_order, "shuffled": shuffled, "reversed": reversed_, "single frame": single}


@dataclass
class Cutter:
    """Parts of videos, each made once."""

    folder: Path
    control: str = "in order"

    def part(self, video, from_s, until_s):
        video = file_of(video)
        width, height, fps, seconds = probe(video)
        first, last = round((from_s or 0) * fps), round(min(until_s if until_s is not None else seconds, seconds) * fps)
        if self.control == "in order" and first == 0 and last >= round(seconds * fps):
            return video
        stat = video.stat()
        about = f"{video.name} {stat.st_size} {stat.st_mtime_ns} {first} {last} {self.control}"
        out = self.folder / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.mp4"
        if not out.exists():
            chosen = frames_of(video)[first : max(last, first + 1)]
            part = out.with_suffix(f".{os.getpid()}.mp4")  # another run may cut the same
            write_frames(part, CONTROLS[self.control](chosen), fps)
            part.rename(out)
        return out


@dataclass
class Ocelli:
    """`ocelli replay` tells a video into a journal; `ocelli ask` answers from it, and a choice is the option whose sentence
    lies nearest to what was seen (the narrator's own way, VLog): the place of each event, against that of each option by
    the text encoder."""

    program: Path
    pack: Path
    cutter: Cutter
    name: str = "ocelli"
    told: dict = field(default_factory=dict)
    moved: dict = field(default_factory=dict)
    places: dict = field(default_factory=dict)

    def reply(self, benchmark, item, video):
        part = self.cutter.part(video, item.from_s, item.until_s)
        form = benchmark.form(item)
        if form == "pair":
            return self.pair(item, part, self.cutter.part(twin_of(item, video), item.from_s, item.until_s))
        return getattr(self, form)(item, part)

    def run(self, *arguments, give=None):
        ran = subprocess.run([str(self.program), *map(str, arguments)], input=give, capture_output=True, text=True)
        if ran.returncode:
            raise Broken(f"ocelli {arguments[0]} ended with {ran.returncode}: {ran.stderr.strip()}")
        return ran.stdout

    def events(self, video):
        """What was told of a video, and the journal that it is in."""
        if video not in self.told:
            folder = Path(tempfile.mkdtemp(dir=self.cutter.folder))
            journal = folder / "day.journal"
            how = ("--json", "--evidence", "--verbosity", "full", "--pack", self.pack, "--journal", journal, "--at", BEGAN)
            out = self.run("replay", video, *how)
            rows = [json.loads(line) for line in out.splitlines()]
            self.moved[video] = {r["text"] for r in rows if r["type"] == "camera"}
            self.told[video] = [r for r in rows if r["type"] == "narration"], journal
        return self.told[video]

    def ask(self, question, video):
        _, journal = self.events(video)
        now = (datetime.fromisoformat(BEGAN) + timedelta(seconds=probe(video)[3])).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        out = self.run("ask", question, "--journal", journal, "--now", now, "--pack", self.pack, "--json")
        return json.loads(out.splitlines()[-1])

    def place(self, texts):
        """f32 [N, 384] of sentences, or of the hexadecimal places of events."""
        missing = [t for t in texts if t not in self.places]
        if missing:
            lines = self.run("embed", give="".join(f"{t}\n" for t in missing)).split()
            self.places |= {t: vector(line) for t, line in zip(missing, lines, strict=True)}
        return np.array([self.places[t] for t in texts])

    def choice(self, item, video):
        texts = [re.sub(r"^\(?[A-Z][.):]\s+|^(Caption|Sentence|Option) \w+: ", "", o) for o in item.options]
        near = self.near(texts, video)
        if near is None:
            return None
        best = int(near.argmax())
        return item.options[best] if texts[best] != item.options[best] else LETTERS[best]

    def choice_span(self, item, video):
        named, found = self.choice(item, video), self.span(item, video)
        return f"({named}) from {found[0]} to {found[1]}" if named and found else named

    def near(self, texts, video):
        """How near each sentence is to the nearest of what was seen; None where nothing was."""
        events, _ = self.events(video)
        seen = np.array([vector(e["evidence"]) for e in events if "evidence" in e])
        return (seen @ self.place(texts).T).max(0) if len(seen) else None

    def likeness(self, item, video):
        verbs = item.extra["verb"]
        texts = [re.sub(r"^#(C C|C|O man \w|O)\b", "Someone", t) for t in (item.question, *verbs, *item.extra["noun"])]
        near = self.near(texts, video)
        return None if near is None else [float(near[0]), near[1 : 1 + len(verbs)].tolist(), near[1 + len(verbs) :].tolist()]

    def scores(self, item, video):
        """Of each movement of the camera that it can tell whether it did."""
        self.events(video)
        moved = self.moved[video]
        told = {label: float(text in moved) for label, text in MOVEMENTS.items()} | {"static": float(not moved)}
        return {label: told[label] for label in item.options if label in told}

    def chains(self, item, video):
        """What and when; it does not tell where."""
        found = self.times(Item(item.id, item.video, item.extra["temporal"]), video)
        when = f"{list(found[0])}" if found else ""
        return {"answer_vqa": self.text(item, video) or "", "answer_temporal": when, "answer_temporal_2": when}

    def text(self, item, video):
        answer = self.ask(item.question, video)
        if not answer["abstained"]:
            return answer["answer"]
        events, _ = self.events(video)
        return " ".join(e["text"] for e in events) or None

    def said(self, question, video):
        """An answer's text; None where it abstains, so that no word of why is taken for an answer."""
        answer = self.ask(question, video)
        return None if answer["abstained"] else answer["answer"]

    def yes_no(self, item, video):
        about = item.extra.get("about")
        return self.said(f"Is it now that {about}?" if about else item.question, video)

    def pair(self, item, video, twin):
        both = [self.said(item.question, video), self.said(item.extra["twin"], twin)]
        return both if any(both) else None

    def number(self, item, video):
        answer = self.ask(f"How often: {item.extra.get('about') or item.question}", video)
        return str(answer["value"]) if isinstance(answer["value"], int) else None

    def times(self, item, video):
        """[(start_s, end_s)] of events that are evidence of an answer."""
        answer = self.ask(item.question, video)
        events, journal = self.events(video)
        rows = [json.loads(line) for line in self.run("events", "--journal", journal, "--json", "--limit", 1000).splitlines()]
        found = [(r["t_start_s"], r["t_end_s"]) for r in rows if r.get("id") in set(answer["evidence"])]
        return sorted(found)

    def span(self, item, video):
        found = self.times(item, video)
        return list(found[0]) if found else None

    def spans(self, item, video):
        return [list(s) for s in self.times(item, video)] or None

    def moment(self, item, video):
        found = self.times(item, video)
        return found[0][0] if found else None

    def captions(self, item, video):
        events, _ = self.events(video)
        ends = [e["t_start_s"] for e in events[1:]] + [probe(video)[3]]
        return [[e["t_start_s"], end, e["text"]] for e, end in zip(events, ends)] or None  # nothing told: an end too many

    def stream(self, item, video):
        """Each event as it is told; in the words that are asked for, where it is what was asked; by the whole video's clock."""
        wanted = re.search(r'[Ss]ay "([^"]+)" when (.*)\.', item.question)
        events = [e for e in self.events(video)[0] if not wanted or self.is_it(e, wanted[2])]
        return [[(item.from_s or 0) + e["t_end_s"], wanted[1] if wanted else e["text"]] for e in events] or None

    def is_it(self, event, text):
        """Whether a sentence says what an event says: nearer than half way to any other sentence, by the encoder."""
        a, b = self.place([event["text"], text])
        return float(a @ b) > 0.6

    def order(self, item, video):
        return None  # it tells what happened, and not what must have come first

    def labels(self, item, video):
        """The kind that is told last, frame by frame."""
        trace = self.cutter.folder / "trace.jsonl"
        self.run("replay", video, "--json", "--pack", self.pack, "--trace", trace)
        rows = [json.loads(line)["kinds"] for line in trace.read_text().splitlines()]
        return [max(row, key=row.get) for row in rows]


def twin_of(item, video):
    """The video of a pair's second question, which need not be the first one's."""
    return video.parents[len(Path(item.video).parts) - 1] / item.extra["twin_video"]


def vector(text):
    """The unit vector of a place: hexadecimal int8 behind the pack's mark."""
    values = np.frombuffer(bytes.fromhex(text.rsplit(".", 1)[-1]), np.int8).astype(np.float32)
    return values / np.linalg.norm(values)


@dataclass
class OpenAi:
    """A server that speaks OpenAI's chat protocol, such as llama.cpp's: some frames as JPEG, and the question."""

    url: str
    model: str
    cutter: Cutter
    name: str = "openai"
    key: str | None = None
    frames: int = FRAMES
    timeout_s: float = 300

    how = {
        "text": "Answer in one sentence.", "yes_no": "Answer yes or no.", "number": "Answer with a number.",
        "span": "Answer with its start and its end in seconds, like [1.0, 2.5].", "spans": "Answer with all starts and ends in seconds, like [[1.0, 2.5]].",
        "moment": "Answer with a time in seconds.", "captions": 'Answer with a JSON list of [start in seconds, end in seconds, "what happens"].',
        "order": "Answer with the numbers of the clips in order, like [2, 1].", "labels": "Answer with a JSON list of one label for each frame.",
    }  # fmt: skip

    def reply(self, benchmark, item, video):
        part = self.cutter.part(video, item.from_s, item.until_s)
        form = benchmark.form(item)
        if form == "pair":
            twin = self.cutter.part(twin_of(item, video), item.from_s, item.until_s)
            asked = (part, item.question), (twin, item.extra["twin"])
            return [self.say(shown, f"{question} {self.how['yes_no']}") for shown, question in asked]
        if form == "stream":
            return self.poll(item, video)
        if form == "likeness":
            return self.likeness(item, part)
        if form == "scores":
            named = self.say(part, f"Which of these does the camera do: {', '.join(item.options)}? Name all that are true, and none else.")
            return None if named is None else {label: float(re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", named) is not None) for label in item.options}
        if form == "chains":
            return self.chains(item, part)
        said = self.say(part, benchmark.prompt(item) if item.options else f"{item.question} {self.how[form]}")
        return self.read(form, said)

    def likeness(self, item, part):
        """1 for the sentence that it names of all, and 0 for the others, in another order for each item."""
        others = [*item.extra["verb"], *item.extra["noun"]]
        texts = sorted({item.question, *others}, key=lambda t: hashlib.sha256(f"{item.id} {t}".encode()).digest())[: len(LETTERS)]
        lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, texts)]
        said = self.say(part, "\n".join(["Which sentence says what happens?", *lines, "Answer with the letter."]))
        named = None if said is None else parse.letter(said, texts)
        if named is None:
            return None
        of = lambda text: float(text == texts[named])  # noqa: E731
        return [of(item.question), [of(t) for t in item.extra["verb"]], [of(t) for t in item.extra["noun"]]]

    def chains(self, item, part):
        """Each question by itself, so both chains have the same answers."""
        where = f"{item.extra['spatial']} Answer with a JSON object of boxes [left, top, right, bottom] in pixels at these seconds: {', '.join(item.extra['at'])}."
        what, when, where = (self.say(part, q) for q in (f"{item.question} {self.how['text']}", f"{item.extra['temporal']} {self.how['span']}", where))
        where = re.search(r"\{.*\}", where or "", re.DOTALL)
        told = {"answer_vqa": what or ""}
        for chain in ("", "_2"):
            told |= {f"answer_temporal{chain}": when or "", f"answer_spatial{chain}": where[0] if where else ""}
        return told

    @staticmethod
    def read(form, said):
        """Lists out of what was written; the rest as it is, which the benchmark reads."""
        if said is None or form not in ("captions", "labels"):
            return said
        found = re.search(r"\[.*\]", said, re.DOTALL)
        try:
            return json.loads(found[0]) if found else None
        except json.JSONDecodeError:
            return None

    def poll(self, item, video):
        """Each second, with what was seen until then: whether it has happened, or what is new."""
        said, at = [], (item.from_s or 0) + 1
        last = probe(video)[3] if item.until_s is None else item.until_s
        waits = re.search(r"\bsay\b", item.question, re.IGNORECASE)
        ask = "Has it happened by now? If so, say what is asked for, else say no." if waits else "Answer in one sentence by what is new in the last second; say no if nothing is."
        while at <= last:
            reply = self.say(self.cutter.part(video, 0, at), f"{item.question} {ask}")
            if reply and parse.yes_no(reply) is not False:
                said.append([at, reply])
            at += 1
        return said or None

    def say(self, video, text):
        """The server's answer, or None for an empty one."""
        shown = frames_of(video)
        picked = shown[np.linspace(0, len(shown) - 1, min(self.frames, len(shown))).round().astype(int)]
        parts = [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{jpeg(frame)}"}} for frame in picked]
        body = {"model": self.model, "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}], "temperature": 0, "max_tokens": 256}  # fmt: skip
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                return json.load(answer)["choices"][0]["message"]["content"] or None
        except (OSError, http.client.HTTPException, LookupError, TypeError, ValueError) as error:
            raise Broken(f"{self.url} does not answer as OpenAI's protocol has it: {error!r}") from error


def jpeg(frame):
    size = f"{frame.shape[1]}x{frame.shape[0]}"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        size,
        "-i",
        "-",
        "-f",
        "mjpeg",
        "-q:v",
        "3",
        "-",
    ]
    return base64.b64encode(subprocess.run(command, input=frame.tobytes(), check=True, capture_output=True).stdout).decode()


@dataclass
class Blind:
    """Reads the question and never looks: the first option, Yes, nothing else. What a set gives away without its videos."""

    name: str = "text only"

    def reply(self, benchmark, item, video):
        form = benchmark.form(item)
        if form == "choice":
            # The option that shares most words with the question, the first of equals: what a text gives away.
            asked = set(parse.plain(item.question).split())
            shared = [len(asked & set(parse.plain(o).split())) for o in item.options]
            best = shared.index(max(shared))
            return item.options[best] if benchmark.name == "tempcompass" else LETTERS[best]
        return {"yes_no": "Yes", "pair": ["Yes", "Yes"], "number": "1"}.get(form)
