"""Benchmarks whose answers are sentences. All need a grader (`graders.py`), and their figures are as good as it is."""

import json
import math
from pathlib import Path

from . import captions, parse
from .choice import read
from .core import SCORED, Benchmark, Item, mean, means
from .measures import f1


class Graded(Benchmark):
    """One answer a question, right or wrong, and a mark from 0 to 5."""

    measures = ("accuracy", "mark")

    def judge(self, item, reply, mode, grader):
        if not reply.strip():
            return None
        return {"accuracy": float(grader.right(reply, item.truth)), "mark": float(grader.grade(reply, item.truth, best=5))}


class VideoSimpleQa(Benchmark):
    """Video SimpleQA (Cao et al. 2025): facts, answered right, wrong or not at all. `VideoSimpleQA.json`: each item's hops
    and the question that joins them.

    F is the harmonic mean of the share right and of the share right among those that were tried, which the script rounds to
    0.1% before. What is missing is not attempted.
    """

    name = "video-simpleqa"
    main = "f_score"
    measures = ("correct", "incorrect", "not_attempted")

    def load(self, path):
        items = []
        for k, row in enumerate(read(path)):
            video = str(row.get("video", row.get("video_id", k)))
            for hop in range(1, 5):
                question = row.get(f"QA_Pair_{hop}_Question")
                if question:
                    items.append(Item(f"{k}-{hop}", video, question, (), row[f"QA_Pair_{hop}_Answer"], "single hop"))
            if row.get("Multi_hop_Question"):
                items.append(Item(f"{k}-all", video, row["Multi_hop_Question"], (), row["Multi_hop_Answer"], "all hops"))
        return items

    def judge(self, item, reply, mode, grader):
        if grader.abstains(reply):
            return self.without(item, "", mode)
        right = grader.right(reply, item.truth)
        return {"correct": float(right), "incorrect": float(not right), "not_attempted": 0.0}

    def without(self, item, state, mode):
        return {"correct": 0.0, "incorrect": 0.0, "not_attempted": 1.0}

    def totals(self, outcomes):
        out = means(outcomes, self.measures)
        tried = out["correct"] + out["incorrect"]
        given = round(out["correct"] / tried, 3) if tried else 0.0
        return {"f_score": f1(given, out["correct"]), "correct_of_attempted": given, **out}

    def chance(self, items):
        return {}


class VStreamQa(Graded):
    """VStream-QA (Flash-VStream, Zhang et al. 2024): questions at a time of a long stream. `test_qa.json`, also in ReKV's
    form with conversations."""

    name = "vstream-qa"

    def load(self, path):
        items = []
        for k, row in enumerate(read(path)):
            video = str(row["video_id"])
            for q, turn in enumerate(row.get("conversations", [row])):
                items.append(
                    Item(
                        f"{k}-{q}",
                        video,
                        turn["question"],
                        (),
                        turn["answer"],
                        row.get("answer_type", ""),
                        0.0,
                        turn.get("end_time"),
                    )
                )
        return items


class MimeQa(Graded):
    """MimeQA (Li et al. 2025): what is played without objects or words. A list of {"video", "question", "answer",
    "category"}."""

    name = "mimeqa"

    def load(self, path):
        return [
            Item(str(k), row["video"], row["question"], (), row["answer"], row.get("category", ""))
            for k, row in enumerate(read(path))
        ]


class Magqa(Benchmark):
    """MAGQA of MMDuet (Wang et al. 2024): one question, answers in the stream as they become true. JSON lines with
    question_id, question, answers and answer_time [[s, e]]; a reply is [[time_s, text]].

    In-span score: for each wanted answer the mean mark (1 to 5) of what was said in its span, 1 if nothing was; videos without
    a reply have 1. Whoever speaks each second does well by that, so beside it stand the number of turns, how many differ, and
    the share of turns that are in no span.
    """

    name = "magqa"
    main = "in_span"
    most = 5.0
    measures = ("in_span", "turns", "turns_that_differ", "outside")

    def load(self, path):
        rows = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
        return [
            Item(
                str(r["question_id"]),
                str(r.get("video", r["question_id"])),
                r.get("question", ""),
                (),
                tuple(zip(map(tuple, r["answer_time"]), r["answers"])),
            )
            for r in rows
        ]

    def judge(self, item, reply, mode, grader):
        said = sorted(parse.told(reply))
        marks, inside = [], 0
        for (start, end), answer in item.truth:
            of_span = [1.0 + grader.grade(text, answer, best=4) for at, text in said if start <= at <= end]
            inside += len(of_span)
            marks.append(mean(of_span) if of_span else 1.0)
        outside = 1 - min(inside / len(said), 1) if said else math.nan
        return {
            "in_span": mean(marks) if marks else 1.0,
            "turns": len(said),
            "turns_that_differ": len({t for _, t in said}),
            "outside": outside,
        }

    def without(self, item, state, mode):
        return {"in_span": 1.0, "turns": 0, "turns_that_differ": 0, "outside": math.nan}

    def form(self, item):
        return "stream"


class Dream1k(Benchmark):
    """Events in descriptions, in the manner of DREAM-1K (Tarsier, Wang et al. 2024): recall is the share of the reference's
    events that the description says, precision that of its events that the reference says. JSON lines with {"id", "video",
    "description", "events"}; a reply is a text, whose sentences are its events. Entailment is the grader's: offline by
    words, which is weaker than a model's, and named so. CIDEr comes beside it."""

    name = "dream-1k"
    main = "f1"
    measures = ("recall", "precision")

    def load(self, path):
        rows = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
        return [
            Item(
                str(r["id"]),
                r["video"],
                "Describe the video, one event a sentence.",
                (),
                (r["description"], tuple(r["events"])),
            )
            for r in rows
        ]

    @staticmethod
    def events(text):
        return [part.strip() for part in text.replace("!", ".").replace("?", ".").replace("\n", ".").split(".") if part.strip()]

    def judge(self, item, reply, mode, grader):
        description, events = item.truth
        told = self.events(reply)
        if not told:
            return None
        reference = [*self.events(description), *events]
        recall = mean([float(any(grader.entails(t, e) for t in told)) for e in events])
        precision = mean([float(any(grader.entails(r, t) for r in reference)) for t in told])
        return {"recall": recall, "precision": precision}

    def outcomes(self, items, replies, mode, grader=None):
        out = super().outcomes(items, replies, mode, grader)
        pairs = [(replies[o.item.id] if o.state == SCORED else "", [o.item.truth[0]]) for o in out]
        for outcome, value in zip(out, captions.cider(pairs)):
            outcome.values["cider"] = value
        return out

    def totals(self, outcomes):
        out = means(outcomes, (*self.measures, "cider"))
        return {"f1": f1(out["precision"], out["recall"]), **out}

    def chance(self, items):
        return {}
