"""Questions about simulated days, with exact answers.

Two homes with two cameras live four days (26 to 29 March 2026 in Berlin, whose last has 23 hours). What happens is drawn; what a
program would have told of it goes into a real journal (`ocelli-bench days`); cameras are blind for a while, and once nothing is
watched at all. `ocelli ask -` answers, and what it says is held against what happened, never against the journal.

An answer is right when its value is (times to a minute, lengths to a minute or 2%, all else exactly), every event that it names is
there, of the right kind and in the time that was asked about, and a "no" over a time in which somebody was blind admits it. Where
nothing can be known (a thing that is in no sentence, a time before the journal or in which the camera was blind, who and why) the
right answer is none.

- accuracy: right answers and right abstentions, of all questions;
- abstained: abstentions, of all; wrong: answers that are not right, of all;
- f_score: Video SimpleQA's, the harmonic mean of right answers among the questions that have one, and among those that were answered
  (which counts answers to the others as wrong).
"""

import json
import os
import random
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import tomllib

import wordings as w

ZONE = "Europe/Berlin"
DAYS = [date(2026, 3, day) for day in (26, 27, 28, 29)]
NOW = datetime(2026, 3, 29, 20, 30, tzinfo=ZoneInfo(ZONE))
CAMERAS = ("kitchen", "hall")
ACTS = {
    "kitchen": ("cut", "pour", "drink", "stand", "sit", "carry", "two_people", "run"),
    "hall": ("sit", "lie", "walk", "wave", "carry", "two_people", "run"),
}
STATES = ("sit", "lie", "two_people", "television")
LIGHT = {"light_on": True, "light_off": False}
EMPTY = ("nobody", "television", "pet")
MINUTE = 60_000
NEAR_MS = MINUTE


def ms(at):
    return round(at.timestamp() * 1000)


def local(day, hour, minute=0):
    """Hours beyond 24 are the next day's."""
    day, hour = day + timedelta(days=hour // 24), hour % 24
    return ms(datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(ZONE)))


@dataclass
class Event:
    """Something that happened before a camera. `id` is that of what was told of it; None where nobody looked."""

    at: int
    camera: str
    kind: str
    id: int | None = None


@dataclass
class Home:
    """What happened: the truth. `told` are events that were seen, by id; a state that was met after a blind time is told anew."""

    events: list
    gaps: list  # (start, end, camera or None)
    told: dict = field(default_factory=dict)
    lines: list = field(default_factory=list)
    start: int = 0

    def blind(self, at, camera):
        return any(start <= at < end and of in (None, camera) for start, end, of in self.gaps)

    def seen(self, kinds, period, camera=None):
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        start, end = period
        return [e for e in self.told.values() if e.kind in kinds and start <= e.at < end and camera in (None, e.camera)]

    def gaps_in(self, period, camera=None):
        return [g for g in self.gaps if g[0] < period[1] and g[1] > period[0] and (g[2] is None or camera in (None, g[2]))]

    def stretches(self, kind, period, camera=None):
        """(event, start, end) of what a state lasted within a period: until something else happens, or nobody looks."""
        out = []
        for e in self.told.values():
            if e.kind != kind or camera not in (None, e.camera):
                continue
            ends = [o.at for o in self.events if o.camera == e.camera and o.at > e.at] + [ms(NOW)]
            ends += [o.at for o in self.told.values() if o.camera == e.camera and o.at > e.at]
            ends += [g[0] for g in self.gaps if g[0] > e.at and g[2] in (None, e.camera)]
            start, end = max(e.at, period[0]), min(min(ends), period[1])
            if start < end:
                out.append((e, start, end))
        return out

    def light(self, at, camera):
        """(on or not, the event), or None where it is not known."""
        words = [e for e in self.told.values() if e.kind in LIGHT and e.camera == camera and e.at <= at]
        if not words:
            return None
        last = max(words, key=lambda e: e.at)
        if any(g[0] <= at and g[1] > last.at and g[2] in (None, camera) for g in self.gaps):
            return None
        return LIGHT[last.kind], last

    def present(self, at, camera):
        """Whether somebody is there; None where nobody looks."""
        if self.blind(at, camera):
            return None
        past = [e for e in self.events if e.camera == camera and e.at <= at]
        come = [e for e in past if e.kind in ("enter", "leave")]
        return bool(come) and max(come, key=lambda e: e.at).kind == "enter"


def sentences(pack):
    texts = defaultdict(list)
    for entry in tomllib.loads((pack / "vocabulary.toml").read_text())["entry"]:
        texts[entry["kind"]].append(entry["text"])
    return texts


def visit(rng, camera, at, light, last_ms):
    """Events of one visit from `at` on, the light as it is left, and when it is over."""
    events = []

    def happens(kind, low_s, high_s):
        nonlocal at
        events.append(Event(at, camera, kind))
        at += round(rng.uniform(low_s, high_s) * 1000)

    if rng.random() < 0.8:
        happens("door_opens", 5, 12)
    happens("enter", 6, 15)
    if rng.random() < 0.6:
        happens("door_closes", 6, 15)
    if not light and rng.random() < 0.7:
        happens("light_on", 6, 20)
        light = True
    for _ in range(rng.randint(2, 6)):
        act = rng.choice(ACTS[camera])
        if act in STATES:
            happens(act, 240, 2400)
            if act in ("sit", "lie"):
                happens("get_up", 6, 20)
        else:
            happens(act, 15, 240)
        if rng.random() < 0.05:
            happens("fall", 20, 90)
            happens("get_up", 10, 30)
    if light and rng.random() < 0.7:
        happens("light_off", 6, 20)
        light = False
    happens("leave", 6, 12)
    if rng.random() < 0.5:
        happens("door_closes", 6, 12)
    happens("nobody", 120, 600)
    if rng.random() < 0.35:
        happens(rng.choice(["pet", "television"]), 300, 1500)
        happens("nobody", 60, 120)
    return ([], light, last_ms) if at > last_ms else (events, light, at)


def live(seed, texts):
    """A home with its journal's lines."""
    rng = random.Random(seed)
    events = []
    for camera in CAMERAS:
        light = False
        for day in DAYS:
            at, last = local(day, 6, 40) + rng.randint(0, 40) * MINUTE, min(local(day, 22), ms(NOW))
            while at < last:
                new, light, at = visit(rng, camera, at, light, last)
                events += new
                at += rng.randint(15, 100) * MINUTE
    events.sort(key=lambda e: e.at)
    gaps = []
    for day, camera in ((DAYS[0], "kitchen"), (DAYS[1], "hall"), (DAYS[2], "kitchen"), (DAYS[3], "hall")):
        start = local(day, rng.randint(9, 16), rng.randint(0, 59))
        gaps.append((start, start + rng.randint(30, 60) * MINUTE, camera))
    start = local(DAYS[1], 18, rng.randint(0, 59))
    gaps.append((start, start + rng.randint(25, 45) * MINUTE, None))
    home = Home(events, sorted(gaps), start=local(DAYS[0], 6))
    narrate(home, texts, rng)
    return home


def narrate(home, texts, rng):
    """What a program tells: what happened where it looked, and what it meets when it looks again."""
    todo = [(e.at, 1, e) for e in home.events if not home.blind(e.at, e.camera)]
    for start, end, camera in home.gaps:
        todo.append((start, 0, ("stop", None) if camera is None else ("blind", camera)))
        todo.append((end, 0, ("start", None) if camera is None else ("sees", camera)))
        for of in CAMERAS if camera is None else (camera,):
            past = [e for e in home.events if e.camera == of and e.at <= end]
            if past and not home.blind(end + 2000, of):
                last = max(past, key=lambda e: e.at)
                lasting = last.kind in STATES + EMPTY + ("stand",)
                kind = last.kind if lasting else "stand" if home.present(end + 2000, of) else "nobody"
                todo.append((end + 2000, 1, Event(end + 2000, of, kind)))
    home.lines = [{"type": "start", "at_ms": home.start}]
    for at, _, what in sorted(todo, key=lambda item: item[:2]):
        if isinstance(what, Event):
            what.id = len(home.told) + 1 + sum(line["type"] == "blind" for line in home.lines)
            home.told[what.id] = what
            score = round(rng.uniform(0.55, 0.95), 3)
            text = rng.choice(texts[what.kind])
            home.lines.append({"type": "narration", "camera": what.camera, "kind": what.kind, "text": text, "start_ms": at,
                               "end_ms": at + 400, "score": score})
        elif what[0] == "blind":
            home.lines.append({"type": "blind", "camera": what[1], "text": "the camera was lost", "start_ms": at, "end_ms": at})
        elif what[0] == "sees":
            home.lines.append({"type": "sees", "camera": what[1], "at_ms": at})
        else:
            home.lines.append({"type": what[0], "at_ms": at})
    home.lines.append({"type": "stop", "at_ms": ms(NOW) - 20_000})


@dataclass
class Question:
    form: str
    text: str
    held: bool
    want: object  # the value; None where the right answer is none
    kinds: tuple = ()  # that evidence may be of
    period: tuple = ()
    camera: str | None = None
    gaps: bool = False  # somebody was blind in that time
    first: int | None = None  # the event that must be named


ABSTAIN = "abstain"


def periods():
    """(how it is said, how else, start, end), in local time; what is said of it is in the program's help."""
    today, yesterday, friday, thursday = DAYS[3], DAYS[2], DAYS[1], DAYS[0]
    now = ms(NOW) + 1
    return [
        (" today", " so far today", local(today, 0), now),
        (" yesterday", " on Saturday", local(yesterday, 0), local(yesterday, 24)),
        (" this morning", " today in the morning", local(today, 5), local(today, 12)),
        (" yesterday afternoon", " in the afternoon yesterday", local(yesterday, 12), local(yesterday, 18)),
        (" yesterday evening", " on Saturday evening", local(yesterday, 18), local(yesterday, 23)),
        (" between 8 and 11 today", " from 8 to 11 this morning", local(today, 8), local(today, 11)),
        (" between 2 and 4 pm today", " between 14:00 and 16:00", local(today, 14), local(today, 16)),
        (" in the last 3 hours", " within the past three hours", now - 1 - 3 * 60 * MINUTE, now),
        (" on Friday", " two days ago", local(friday, 0), local(friday, 24)),
        (" since noon", " since 12 o'clock", local(today, 12), now),
        (" on 26 March", " on the 26th of March", local(thursday, 0), local(thursday, 24)),
        (" after 5 pm yesterday", " after 17:00 yesterday", local(yesterday, 17), local(yesterday, 24)),
        (" before 10 this morning", " before 10 am today", local(today, 0), local(today, 10)),
    ]


class Asking:
    """Draws the questions of a home."""

    def __init__(self, home, seed):
        self.home, self.rng, self.out = home, random.Random(seed), []
        self.ever = (home.start, ms(NOW) + 1)

    def add(self, form, text, held, want, **more):
        if "period" in more and want != ABSTAIN:
            more.setdefault("gaps", bool(self.home.gaps_in(more["period"], more.get("camera"))))
        self.out.append(Question(form, text[0].upper() + text[1:], held, want, **more))

    def pick(self, of, held):
        return self.rng.choice(of["held" if held else "tune"])

    def when(self, held, ever=0.0):
        if self.rng.random() < ever:
            return "", self.ever
        said, else_said, start, end = self.rng.choice(periods())
        if "before 10" in said:  # the morning begins at 5, but nothing happens before
            start = local(DAYS[3], 5)
        return (else_said if held else said), (start, end)

    def thing(self, held, often=False):
        kinds = [k for k in w.THINGS if not often or len(self.home.seen(k, self.ever)) > 1]
        kind = self.rng.choice(kinds)
        return kind, self.pick(w.THINGS[kind], held)

    def moment(self, held, last):
        kind, (base, past) = self.thing(held, True)
        when, period = self.when(held, 0.5)
        seen = sorted(self.home.seen(kind, period), key=lambda e: e.at)
        text = self.pick(w.LAST if last else w.FIRST, held).format(base=base, past=past, when=when)
        event = seen[-1 if last else 0] if seen else None
        want = ("time", event.at) if event else ("never",)
        self.add("last" if last else "first", text, held, want, kinds=(kind,), period=period, first=event and event.id)

    def count(self, held):
        kind, (base, past) = self.thing(held)
        when, period = self.when(held, 0.2)
        text = self.pick(w.COUNT, held).format(base=base, past=past, when=when)
        self.add("count", text, held, ("count", len(self.home.seen(kind, period))), kinds=(kind,), period=period)

    def duration(self, held):
        kind = self.rng.choice(list(w.STATES))
        when, period = self.when(held)
        text = self.pick(w.DURATION, held).format(state=self.pick(w.STATES[kind], held), when=when)
        length = sum(end - start for _, start, end in self.home.stretches(kind, period))
        self.add("duration", text, held, ("seconds", length / 1000), kinds=(kind,), period=period)

    def happened(self, held):
        kind, (base, past) = self.thing(held)
        when, period = self.when(held)
        text = self.pick(w.HAPPENED, held).format(base=base, past=past, when=when)
        self.add("happened", text, held, ("yes", bool(self.home.seen(kind, period))), kinds=(kind,), period=period)

    def at(self, held):
        day = self.rng.choice(DAYS)
        hour, minute = self.rng.randint(8, 19), self.rng.choice((0, 15, 30, 45))
        name = {DAYS[3]: "today", DAYS[2]: "yesterday", DAYS[1]: "on Friday", DAYS[0]: "on Thursday"}[day]
        half = f"{hour % 12 or 12}:{minute:02} {'pm' if hour >= 12 else 'am'}"
        clock = f"{hour}:{minute:02}" if held else half
        return f"at {clock} {name}", local(day, hour, minute)

    def presence(self, held):
        said, at = self.at(held)
        camera = self.rng.choice(CAMERAS)
        text = f"Was {self.pick(w.PRESENCE, held)} in the {camera} {said}?".replace("in the room in the", "in the")
        there = self.home.present(at, camera)
        near = any(abs(e.at - at) < 5000 for e in self.home.events if e.camera == camera)
        if not near:
            self.add("state", text, held, ABSTAIN if there is None else ("yes", there), camera=camera)

    def presence_now(self, held):
        text = self.pick(w.PRESENCE_NOW, held)
        camera = self.rng.choice(CAMERAS) if "{camera}" in text else None
        there = any(self.home.present(ms(NOW), c) for c in ([camera] if camera else CAMERAS))
        self.add("state", text.format(camera=camera), held, ("yes", there), camera=camera)

    def light(self, held):
        camera = self.rng.choice(CAMERAS)
        said, at = self.at(held)
        text = self.pick(w.LIGHT, held).format(at=said, camera=camera)
        if camera not in text:
            text = text.replace(said, f"in the {camera} {said}")
        known = self.home.light(at, camera)
        self.add("state", text, held, ABSTAIN if known is None else ("yes", known[0]), kinds=tuple(LIGHT), camera=camera)

    def since(self, held):
        camera = self.rng.choice(CAMERAS)
        known = self.home.light(ms(NOW), camera)
        on = known[0] if known else True
        text = self.pick(w.SINCE, held).format(on="on" if on else "off", camera=camera)
        want = ABSTAIN if known is None else ("time", self.light_since(known[1]))
        self.add("since", text, held, want, kinds=tuple(LIGHT), camera=camera)

    def light_since(self, event):
        """The first of events that say the same, one after the other."""
        past = sorted((e for e in self.home.told.values() if e.kind in LIGHT and e.camera == event.camera), key=lambda e: e.at)
        at = past.index(event)
        while at and past[at - 1].kind == event.kind:
            at -= 1
        return past[at].at

    def what(self, held):
        when, period = self.when(held)
        text = self.pick(w.WHAT, held)
        camera = self.rng.choice(CAMERAS) if "{camera}" in text else None
        seen = [e for e in self.home.told.values() if period[0] <= e.at < period[1] and camera in (None, e.camera)]
        kinds = Counter(e.kind for e in seen)
        self.add("what", text.format(when=when, camera=camera), held, ("kinds", dict(kinds)), kinds=tuple(kinds), period=period,
                 camera=camera)

    def beside(self, held, after):
        kind, (_, past) = self.thing(held, True)
        camera = self.rng.choice(CAMERAS)
        seen = self.home.seen(kind, self.ever, camera)
        text = self.pick(w.NEXT if after else w.BEFORE, held).format(past=past, camera=camera)
        if not seen:
            return self.add("beside", text, held, ABSTAIN, camera=camera)
        last = max(seen, key=lambda e: e.at)
        others = [e for e in self.home.told.values() if e.camera == camera and (e.at > last.at if after else e.at < last.at)]
        if others:
            other = min(others, key=lambda e: abs(e.at - last.at))
            self.add("beside", text, held, ("kind", other.kind), camera=camera, first=other.id)

    def then(self, held):
        (kind, (base, past)), (other, (_, past_b)) = self.thing(held), self.thing(held, True)
        when, period = self.when(held, 0.3)
        text = self.pick(w.THEN, held).format(base=base, past=past, past_b=past_b, when=when)
        anchors = sorted(e.at for e in self.home.seen(other, period))
        if kind == other:
            return
        if not anchors:
            return self.add("then", text, held, ABSTAIN)
        start = anchors[0] if when else anchors[-1]
        period = (start + 1, period[1])
        self.add("then", text, held, ("yes", bool(self.home.seen(kind, period))), kinds=(kind, other), period=(start, period[1]))

    def order(self, held):
        (kind, (_, past)), (other, (_, past_b)) = self.thing(held, True), self.thing(held, True)
        when, period = self.when(held)
        text = self.pick(w.ORDER, held).format(past=past, past_b=past_b, when=when)
        if kind == other:
            return
        firsts = [min((e.at for e in self.home.seen(k, period)), default=None) for k in (kind, other)]
        want = ABSTAIN if None in firsts else ("kind", kind if firsts[0] < firsts[1] else other)
        self.add("order", text, held, want, kinds=(kind, other), period=period)

    def unknown(self, held):
        base, past = self.pick(w.UNKNOWN, held)
        when, _ = self.when(held)
        form = self.rng.choice([w.LAST, w.COUNT, w.HAPPENED, w.HAPPENED])
        self.add("unknown thing", self.pick(form, held).format(base=base, past=past, when=when), held, ABSTAIN)

    def too_early(self, held):
        _, (base, past) = self.thing(held)
        when = " on the 3rd of March" if held else " on 24 March"
        form = self.rng.choice([w.LAST, w.COUNT, w.HAPPENED])
        self.add("before the journal", self.pick(form, held).format(base=base, past=past, when=when), held, ABSTAIN)

    def blind(self, held):
        start, end, camera = self.rng.choice(self.home.gaps)
        camera = camera or self.rng.choice(CAMERAS)
        zone = ZoneInfo(ZONE)
        at = [datetime.fromtimestamp(t / 1000, zone) for t in (start + 3 * MINUTE, end - 3 * MINUTE)]
        name = "on " + (at[0].strftime("%A") if at[0].date() != DAYS[3] else "29 March")
        _, (base, past) = self.thing(held)
        words = ("between", "and") if not held else ("from", "to")
        when = f" in the {camera} {words[0]} {at[0]:%H:%M} {words[1]} {at[1]:%H:%M} {name}"
        form = self.rng.choice([w.COUNT, w.HAPPENED])
        self.add("blind", self.pick(form, held).format(base=base, past=past, when=when), held, ABSTAIN)

    def no_question(self, held):
        _, (base, _) = self.thing(held)
        when, _ = self.when(held)
        camera = self.rng.choice(CAMERAS)
        self.add("who and why", self.pick(w.UNANSWERABLE, held).format(base=base, when=when, camera=camera), held, ABSTAIN)

    def all(self, quick):
        many = {
            lambda h: self.moment(h, True): 8, lambda h: self.moment(h, False): 5, self.count: 9, self.duration: 7,
            self.happened: 10, self.presence: 6, self.presence_now: 2, self.light: 6, self.since: 3, self.what: 6,
            lambda h: self.beside(h, True): 4, lambda h: self.beside(h, False): 4, self.then: 5, self.order: 5,
            self.unknown: 8, self.too_early: 3, self.blind: 4, self.no_question: 3,
        }
        for draw, count in many.items():
            for held in (False, True):
                for _ in range(max(1, count // 3) if quick else count):
                    draw(held)
        return self.out


def unix(text):
    return ms(datetime.fromisoformat(text))


def value_right(want, answer):
    value = answer["value"]
    match want:
        case ("time", at):
            return isinstance(value, str) and "T" in value and abs(unix(value) - at) <= NEAR_MS
        case ("never",):
            return value is None
        case ("count", count):
            return value == count and not isinstance(value, bool)
        case ("seconds", seconds):
            return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value - seconds) <= max(60, 0.02 * seconds)
        case ("yes", yes):
            return value is yes
        case ("kind", kind):
            return value == kind
        case ("kinds", kinds):
            return isinstance(value, list) and {v["kind"]: v["count"] for v in value} == kinds
    raise ValueError(want)


def negative(want):
    return want in (("never",), ("count", 0), ("yes", False)) or want == ("seconds", 0)


def evidence_right(question, answer, home):
    """Every event that is named is there, of the right kind and camera, and in the time; and what must be named is."""
    ids = answer["evidence"]
    if len(set(ids)) != len(ids) or any(i not in home.told for i in ids):
        return False
    events = [home.told[i] for i in ids]
    if question.camera and any(e.camera != question.camera for e in events):
        return False
    if question.kinds and any(e.kind not in question.kinds for e in events):
        return False
    if question.period:
        start, end = question.period
        if question.form == "duration":
            stretches = {e.id for k in question.kinds for e, _, _ in home.stretches(k, question.period, question.camera)}
            if any(e.id not in stretches for e in events):
                return False
        elif any(not start <= e.at < end for e in events):
            return False
    if question.first is not None and question.first not in ids:
        return False
    return bool(ids) or negative(question.want) or question.want == ("kinds", {})


def judge(question, answer, home):
    """(verdict, why): right, wrong or abstained."""
    if answer["abstained"]:
        return "abstained", ""
    if question.want == ABSTAIN:
        return "wrong", "it cannot be known"
    if not value_right(question.want, answer):
        return "wrong", f"{question.want} was so"
    if not evidence_right(question, answer, home):
        return "wrong", "evidence"
    if negative(question.want) and question.gaps and not answer["gaps"]:
        return "wrong", "nobody's blindness was admitted"
    return "right", ""


def figures(judged):
    """[(question, verdict)] -> figures."""
    n = len(judged)
    can = [v for q, v in judged if q.want != ABSTAIN]
    right = can.count("right")
    attempted = sum(v != "abstained" for _, v in judged)
    silent = sum(v == "abstained" and q.want == ABSTAIN for q, v in judged)
    correct, precise = right / max(1, len(can)), right / max(1, attempted)
    return {
        "n": n,
        "accuracy": round((right + silent) / max(1, n), 3),
        "abstained": round(sum(v == "abstained" for _, v in judged) / max(1, n), 3),
        "wrong": round(sum(v == "wrong" for _, v in judged) / max(1, n), 3),
        "f_score": None if not can else round(2 * correct * precise / (correct + precise), 3) if right else 0.0,
    }


def ask(tools, journal, questions):
    command = [tools.program, "ask", "-", "--json", "--journal", journal, "--pack", tools.pack, "--now",
               NOW.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")]
    text = "".join(q.text + "\n" for q in questions)
    ran = subprocess.run(command, input=text, env=os.environ | {"TZ": ZONE}, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def measure(tools):
    texts = sentences(tools.pack)
    judged, failures = [], []
    for seed in (1,) if tools.quick else (1, 2):
        home = live(seed, texts)
        journal = tools.work / f"home{seed}.journal"
        lines = "".join(json.dumps(line) + "\n" for line in home.lines)
        subprocess.run([tools.bench, "days", "--pack", tools.pack, "--journal", journal], input=lines, text=True, check=True,
                       capture_output=True)
        questions = Asking(home, 100 + seed).all(tools.quick)
        for question, answer in zip(questions, ask(tools, journal, questions), strict=True):
            verdict, why = judge(question, answer, home)
            judged.append((question, verdict))
            if verdict == "wrong" or (verdict == "abstained") != (question.want == ABSTAIN):
                failures.append({"form": question.form, "held": question.held, "question": question.text, "verdict": verdict,
                                 "why": why or f"{question.want} was so", "answer": answer["answer"], "evidence": answer["evidence"]})
    forms = sorted({q.form for q, _ in judged})
    return {
        "questions": figures(judged)
        | {
            "tune": figures([j for j in judged if not j[0].held]),
            "held": figures([j for j in judged if j[0].held]),
            "forms": {form: figures([j for j in judged if j[0].form == form]) for form in forms},
            "failures": failures,
        }
    }


def tell_row(name, row):
    f_score = "-" if row["f_score"] is None else f"{row['f_score']:.3f}"  # nothing there has an answer
    return f"| {name} | {row['n']} | {row['accuracy']:.3f} | {row['abstained']:.3f} | {row['wrong']:.3f} | {f_score} |"


def tell_table(row):
    head = ["| questions | n | accuracy | abstained | wrong | F |", "|---|---|---|---|---|---|"]
    body = [tell_row("all", row), tell_row("wordings seen while tuning", row["tune"]), tell_row("wordings held out", row["held"])]
    return head + body + [tell_row(form, of) for form, of in row["forms"].items()]


def tell(figures):
    return "\n".join(tell_table(figures["questions"]))
