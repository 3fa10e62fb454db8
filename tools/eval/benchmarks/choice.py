"""Benchmarks answered by a letter, a text among some, or yes and no."""

import csv
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

from . import parse
from .core import LETTERS, ODD, Benchmark, Item, Outcome, mean, means


def read(path):
    return json.loads(Path(path).read_text())


def readable(read, item, reply):
    """What `read` makes of a reply; None for none, and for one of another shape."""
    try:
        return None if reply is None else read(item, reply)
    except ODD:
        return None


def hit(is_right):
    return {"accuracy": float(is_right)}


class OvoBench(Benchmark):
    """OVO-Bench (Niu et al., CVPR 2025): what was, what is, and whether one may answer yet. `ovo_bench_new.json`.

    Published: a letter counts wherever it stands in the reply, so that "None of these: A" names every option. Strict: the
    letter that is named. In both all digits of a reply are joined to the count, and of yes and no the right one need only be
    there. The score is the mean of the three groups, as the paper's table has it; beside it stand the mean of all tasks, which
    the script prints, and the forward group as TimeChat-Online's copy has it: a mean over annotations in the place of queries.
    """

    name = "ovo-bench"
    groups = {
        "backward": ("EPM", "ASI", "HLD"),
        "realtime": ("OCR", "ACR", "ATR", "STU", "FPD", "OJR"),
        "forward": ("REC", "SSR", "CRR"),
    }
    measures = ("accuracy", *groups)

    def load(self, path):
        items = []
        for row in read(path):
            shared = {"video": row["video"], "task": row["task"]}
            if row["task"] not in self.groups["forward"]:
                items.append(
                    Item(
                        str(row["id"]),
                        question=row["question"],
                        options=tuple(row["options"]),
                        truth=row["gt"],
                        until_s=row["realtime"],
                        **shared,
                    )
                )
                continue
            for number, test in enumerate(row["test_info"]):
                question, truth, about = self.forward(row, test)
                items.append(
                    Item(
                        f"{row['id']}-{number}",
                        question=question,
                        truth=truth,
                        until_s=test["realtime"],
                        extra={"about": about},
                        **shared,
                    )
                )
        return items

    @staticmethod
    def forward(row, test):
        """(question, truth, what it is about)"""
        if row["task"] == "REC":
            return f"How many times has this been done so far: {row['activity']}?", test["count"], row["activity"]
        if row["task"] == "SSR":
            return f"Is this step being carried out now: {test['step']}?", bool(test["type"]), test["step"]
        return f"{row['question']} Can it be answered from what was seen so far?", bool(test["type"]), None

    def judge(self, item, reply, mode, grader):
        if item.task == "REC":
            digits = "".join(c for c in reply if c.isdigit())
            return hit(digits == str(item.truth)) if digits else None
        if item.task in ("SSR", "CRR"):
            if reply not in ("Y", "N") and "Yes" not in reply and "No" not in reply:
                return None
            return hit(reply == "NY"[item.truth] or ("Yes" if item.truth else "No") in reply)
        if mode == "published":
            return hit(LETTERS[item.truth] in reply)
        named = parse.letter(reply, item.options)
        return None if named is None else hit(named == item.truth)

    def without(self, item, state, mode):
        return hit(False)

    def form(self, item):
        return {"REC": "number", "SSR": "yes_no", "CRR": "yes_no"}.get(item.task, "choice")

    def totals(self, outcomes):
        tasks = defaultdict(list)
        for outcome in outcomes:
            tasks[outcome.item.task].append(outcome.values["accuracy"])
        each = {task: mean(values) for task, values in tasks.items()}
        groups = {name: mean([each[t] for t in of if t in each]) for name, of in self.groups.items()}
        annotations = defaultdict(lambda: defaultdict(list))
        for outcome in outcomes:
            if outcome.item.task in self.groups["forward"]:
                annotations[outcome.item.task][outcome.item.id.rsplit("-", 1)[0]].append(outcome.values["accuracy"])
        copied = [mean([mean(values) for values in of.values()]) for of in annotations.values()]
        return {"accuracy": mean(list(groups.values())), "all_tasks": mean(list(each.values())), **groups, "forward_by_annotation": mean(copied)}

    def chance(self, items):
        guessed = lambda i: 1 / len(i.options) if i.options else 0.5 if i.task != "REC" else math.nan  # noqa: E731
        return self.totals([Outcome(item, {"accuracy": guessed(item)}) for item in items])


class StreamingBench(Benchmark):
    """StreamingBench (Lin et al. 2024): questions at a time of the stream. `questions_real.json`, `_omni`, `_sqa`.

    The main setting shows the last 60 s. What counts is the reply's first character.
    """

    name = "streamingbench"
    context_s = 60

    def load(self, path):
        items = []
        for v, video in enumerate(read(path)):
            before = ()
            for q, question in enumerate(video["questions"]):
                at = parse.seconds(question["time_stamp"])
                options = tuple(o.split(". ", 1)[-1] for o in question["options"])
                asked = question["question"]
                truth = LETTERS.index(question["answer"].strip()[0])
                items.append(
                    Item(
                        f"{v}-{q}",
                        video["video_path"],
                        asked,
                        options,
                        truth,
                        question["task_type"],
                        max(at - self.context_s, 0),
                        at,
                        extra={"before": before},
                    )
                )
                if "sequential" in question["task_type"].lower():
                    before += ((asked, options[truth]),)
        return items

    def judge(self, item, reply, mode, grader):
        first = reply[:1]
        return hit(first == LETTERS[item.truth]) if first and first in LETTERS[: len(item.options)] else None

    def prompt(self, item):
        before = [f"Earlier question: {q}\nIts answer: {a}" for q, a in item.extra["before"]]
        return "\n".join([*before, super().prompt(item)])


class StreamingBenchProactive(Benchmark):
    """StreamingBench's proactive task, `questions_proactive.json`: to say a text when something happens.

    A reply is [[time_s, text]], all that was said. Right in time: within 2 s of the truth. Published: the first that says
    yes to a poll, which names the wanted text each second; the text counts only in time. Strict: one stream without polls;
    the first text that holds the wanted one must come in time, and a stream that says it all along is early.
    """

    name = "streamingbench-proactive"
    measures = ("accuracy", "in_time")
    near_s, after_s = 2, 4

    def load(self, path):
        items = []
        for v, video in enumerate(read(path)):
            for q, question in enumerate(video["questions"]):
                wanted = (parse.seconds(question["ground_truth_time_stamp"]), question["ground_truth_output"])
                asked = parse.seconds(question["time_stamp"])
                items.append(
                    Item(
                        f"{v}-{q}",
                        video["video_path"],
                        question["question"],
                        (),
                        wanted,
                        question["task_type"],
                        asked,
                        wanted[0] + self.after_s,
                    )
                )
        return items

    def judge(self, item, reply, mode, grader):
        said = parse.told(reply)
        at, text = item.truth
        if mode == "strict":
            said = [s for s in said if parse.plain(text) in parse.plain(s[1])]
        if not said:
            return {"accuracy": 0.0, "in_time": 0.0}
        first = min(said)
        in_time = abs(first[0] - at) <= self.near_s
        return {"accuracy": float(in_time and text.lower() in first[1].lower()), "in_time": float(in_time)}

    def form(self, item):
        return "stream"


class TempCompass(Benchmark):
    """TempCompass (Liu et al., ACL 2024 Findings): action, speed, direction, order, attribute change, in three formats. A
    folder with `multi-choice.json`, `yes_no.json`, `caption_matching.json`; captioning needs a judge model and is left out.

    The rules are the script's with its language model off: what they do not match is unread, and counts as wrong.
    """

    name = "tempcompass"
    formats = ("multi-choice", "yes_no", "caption_matching")

    def load(self, path):
        items = []
        for form in self.formats:
            file = Path(path) / f"{form}.json"
            for video, dimensions in read(file).items() if file.exists() else ():
                for dimension, questions in dimensions.items():
                    for q, row in enumerate(questions):
                        asked, *options = row["question"].split("\n")
                        options = tuple(o for o in options if o.strip()) if form != "yes_no" else ()
                        items.append(
                            Item(
                                f"{form}/{video}/{dimension}/{q}",
                                video,
                                asked if options else row["question"],
                                options,
                                row["answer"],
                                f"{form}/{dimension}",
                                extra={"form": form},
                            )
                        )
        return items

    def judge(self, item, reply, mode, grader):
        form = item.extra["form"]
        if form == "yes_no":
            first = next((w for w in ("yes", "no") if reply.lower().startswith(w)), None)
            return None if first is None else hit(first == item.truth.lower())
        named = (self.choice if form == "multi-choice" else self.caption)(item, reply)
        return None if named is None else hit(named == item.truth)

    @staticmethod
    def choice(item, reply):
        if reply == item.truth:
            return reply
        head = (
            reply
            if reply in tuple(LETTERS[:4])
            else reply[0]
            if reply[:2] in {a + b for a in LETTERS[:4] for b in ".)"}
            else None
        )
        if head is None:
            return None
        return next((o for o in item.options if o[0] == head), "none of them")

    @staticmethod
    def caption(item, reply):
        for option in item.options:
            index, sentence = option.split(": ", 1)
            if reply in (option, sentence, index) or reply.replace(".", "") == index or reply.split(") ", 1)[-1] == sentence:
                return option
        return None

    def chance(self, items):
        return {"accuracy": mean([1 / len(i.options) if i.options else 0.5 for i in items])}

    def prompt(self, item):
        how = "Answer yes or no." if not item.options else "Answer with one of these, as it is written."
        return "\n".join([item.question, *item.options, how])

    def form(self, item):
        return "choice" if item.options else "yes_no"


class TvBench(Benchmark):
    """TVBench (Cores et al. 2024): ten tasks that still pictures and texts do not answer. A folder with one JSON a task.

    Controls belong to it: shuffled and reversed frames must cost accuracy. The script compares texts; a letter is read too.
    """

    name = "tvbench"

    def load(self, path):
        items = []
        for file in sorted(Path(path).glob("*.json")):
            for q, row in enumerate(read(file)):
                items.append(
                    Item(
                        f"{file.stem}/{q}",
                        row["video"],
                        row["question"],
                        tuple(row["candidates"]),
                        row["candidates"].index(row["answer"]),
                        file.stem,
                        row.get("start"),
                        row.get("end"),
                    )
                )
        return items

    def judge(self, item, reply, mode, grader):
        named = parse.letter(reply, item.options)
        return None if named is None else hit(named == item.truth)

    def totals(self, outcomes):
        tasks = defaultdict(list)
        for outcome in outcomes:
            tasks[outcome.item.task].append(outcome.values["accuracy"])
        return {"accuracy": mean([mean(values) for values in tasks.values()])}


class EgoSchema(Benchmark):
    """EgoSchema (Mangalam et al., NeurIPS 2023): five answers to three minutes. A folder with `questions.json` and
    `subset_answers.json`: 500 public answers; the other 4,531 are scored by its server only, for which `submission` writes
    the file."""

    name = "egoschema"

    def load(self, path):
        answers = read(Path(path) / "subset_answers.json")
        return [
            Item(
                row["q_uid"],
                row["q_uid"],
                row["question"],
                tuple(row[f"option {k}"] for k in range(5)),
                answers.get(row["q_uid"]),
            )
            for row in read(Path(path) / "questions.json")
        ]

    def outcomes(self, items, replies, mode, grader=None):
        return super().outcomes([i for i in items if i.truth is not None], replies, mode, grader)

    def judge(self, item, reply, mode, grader):
        named = self.option(item, reply)
        return None if named is None else hit(named == item.truth)

    @staticmethod
    def option(item, reply):
        if isinstance(reply, int) and not isinstance(reply, bool):
            return reply if 0 <= reply < len(item.options) else None
        return int(reply) if reply.strip() in set("01234") else parse.letter(reply, item.options)

    def submission(self, items, replies):
        """({q_uid: 0 to 4} for the server, what there is to say of it)"""
        named = {i.id: readable(self.option, i, replies.get(i.id)) for i in items}
        named = {k: v for k, v in named.items() if v is not None}
        return named, f"{len(named)} of {len(items)} questions answered"


class VideoBench(Benchmark):
    """Video-Bench (Ning et al. 2023): 13 files of questions without public answers. A folder of `*_QA_new.json` or the
    like; all that can be told here is what its server would refuse, and which letters are named how often."""

    name = "video-bench"
    main = "readable"
    measures = ("readable",)
    answers_are_public = False

    def load(self, path):
        return [
            Item(f"{file.stem}/{qid}", row["vid_path"], row["question"], tuple(row["choices"].values()), None, file.stem)
            for file in sorted(Path(path).glob("*.json"))
            for qid, row in read(file).items()
        ]

    def judge(self, item, reply, mode, grader):
        return None if parse.letter(reply, item.options) is None else {"readable": 1.0}

    def chance(self, items):
        return {}

    def submission(self, items, replies):
        """({file: {qid: letter}} for the server, how often each letter is named)"""
        out, often = defaultdict(dict), Counter()
        for item in items:
            named = readable(lambda item, reply: parse.letter(reply, item.options), item, replies.get(item.id))
            if named is not None:
                file, qid = item.id.split("/", 1)
                out[file][qid] = LETTERS[named]
            often["no letter" if named is None else LETTERS[named]] += 1
        return dict(out), ", ".join(f"{letter} {count}" for letter, count in sorted(often.items()))


class VideoHallucer(Benchmark):
    """VideoHallucer (Wang et al. 2024): a question with yes and its twin with no; only both right count. A folder with one
    JSON a class.

    The right word counts anywhere in the reply, so that "no, or yes" is right either way; `first_words` beside it is where
    the first yes or no of both replies is. Bias: how far yes is overdone, and how many of the wrong answers are yes. An item
    is a pair, its reply [to the basic one, to the other].
    """

    name = "videohallucer"
    measures = ("accuracy", "basic", "hallucination", "first_words")

    def load(self, path):
        files = sorted(Path(path).rglob("*.json")) if Path(path).is_dir() else [Path(path)]
        return [
            Item(
                f"{file.stem}/{k}",
                row["basic"]["video"],
                row["basic"]["question"],
                (),
                (row["basic"]["answer"], row["hallucination"]["answer"]),
                file.stem,
                extra={"twin": row["hallucination"]["question"], "twin_video": row["hallucination"]["video"]},
            )
            for file in files
            for k, row in enumerate(read(file))
        ]

    def judge(self, item, reply, mode, grader):
        first = [None if r is None or parse.yes_no(r) is None else ("no", "yes")[parse.yes_no(r)] for r in reply]
        if all(word is None for word in first):
            return None
        wanted = [truth.lower() for truth in item.truth]
        said = [w if r and w in parse.plain(r).split() else word for r, word, w in zip(reply, first, wanted, strict=True)]
        right = [a == b for a, b in zip(said, wanted, strict=True)]
        wrong = [word for word, ok in zip(said, right) if not ok]
        return {
            "accuracy": float(all(right)),
            "basic": float(right[0]),
            "hallucination": float(right[1]),
            "first_words": float(first == wanted),
            "said_yes": said.count("yes"),
            "wrong": len(wrong),
            "wrong_yes": wrong.count("yes"),
        }

    def totals(self, outcomes):
        out = means(outcomes, self.measures)
        total = lambda key: sum(o.values.get(key, 0) for o in outcomes)  # noqa: E731
        yes = sum(answer.lower() == "yes" for o in outcomes for answer in o.item.truth)
        out["yes_difference"] = (total("said_yes") - yes) / (2 * yes) if yes else math.nan
        out["false_positive_ratio"] = total("wrong_yes") / total("wrong") if total("wrong") else math.nan
        return out

    def chance(self, items):
        return {"accuracy": 0.25, "basic": 0.5, "hallucination": 0.5, "first_words": 0.25}

    def form(self, item):
        return "pair"


class EgoHoiBench(Benchmark):
    """EgoHOIBench (Xu et al., ICLR 2025): the right sentence against ten with another verb, and ten with another noun.
    `EgoMCQ_hardnegHOI.csv`, in which the others are sentences, or a word that stands in the place of the verb or of the last noun. A
    reply is [likeness of the right one, [of ten verbs], [of ten nouns]]. The right one comes first, so it wins a tie; in
    `action_alone` beside it, it must be above all others."""

    name = "egohoibench"
    main = "action"
    measures = ("action", "verb", "noun", "action_alone")

    def load(self, path):
        with open(path, newline="") as file:
            return [
                Item(
                    str(k),
                    row["video_uid"],
                    row["clip_text"],
                    (),
                    row["clip_text"],
                    "",
                    float(row["clip_start"]),
                    float(row["clip_end"]),
                    extra={part: [self.instead(row["clip_text"], n, part) for n in row[f"{part}_neg"].split(",")] for part in ("verb", "noun")},
                )
                for k, row in enumerate(csv.DictReader(file, delimiter="\t"))
            ]

    def judge(self, item, reply, mode, grader):
        positive, verbs, nouns = reply
        if not verbs or not nouns or not all(map(parse.is_number, (positive, *verbs, *nouns))):
            return None  # beside NaN any comparison is as it falls
        verb, noun = positive >= max(verbs), positive >= max(nouns)
        alone = positive > max(*verbs, *nouns)
        return {"action": float(verb and noun), "verb": float(verb), "noun": float(noun), "action_alone": float(alone)}

    def chance(self, items):
        return {"action": 1 / 21, "verb": 1 / 11, "noun": 1 / 11, "action_alone": 1 / 21}

    def form(self, item):
        return "likeness"

    @staticmethod
    def instead(text, other, part):
        """The sentence with another word; the subject is "#C C" or "#O man X"."""
        other = other.strip()
        words = text.split()
        subject = 0 if not words[0].startswith("#") else 2 if words[0] == "#C" and words[1:2] == ["C"] else 3 if words[0] == "#O" else 1
        if " " in other or len(words) <= subject:
            return other
        words[subject if part == "verb" else -1] = other
        return " ".join(words)


class SpookyBench(Benchmark):
    """SpookyBench (2025): what can be seen in the motion of noise alone. A CSV with Path, Category, Label.

    Right if any label is part of the reply, so that "car" is found in "scar" and a list of all words wins; `whole_word` beside
    it wants a word by itself, in a reply of three times as many words as the label has and ten at most beyond.
    """

    name = "spookybench"
    measures = ("accuracy", "whole_word")

    def load(self, path):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            Item(row["Path"], row["Path"], "What does this video show?", (), self.labels(row["Label"]), row["Category"])
            for row in rows
        ]

    @staticmethod
    def labels(text):
        return tuple(part.strip(" '\"").lower() for part in text.strip("[] ").split(",") if part.strip(" '\""))

    def judge(self, item, reply, mode, grader):
        said = parse.plain(reply)
        longest = max(len(label.split()) for label in item.truth)
        short = len(said.split()) <= 3 * longest + 10
        whole = short and any(f" {parse.plain(label)} " in f" {said} " for label in item.truth)
        return hit(any(label in reply.lower() for label in item.truth)) | {"whole_word": float(whole)} if said else None
