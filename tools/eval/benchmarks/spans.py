"""Benchmarks of when, where, and in which order."""

import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from . import captions, measures, parse
from .choice import read
from .core import SCORED, UNPARSED, Benchmark, Item, mean, means


class UalBench(Benchmark):
    """UAL-Bench (Abdullah et al. 2024): where the unusual begins and ends. A list of rows with video_id, start_time,
    end_time, or one of its sources' own files (`oops`, `ssbd`, `funqa`).

    Published: a prediction that is missing has its event's end as its distance, so it hits wherever that lies below the
    threshold; a prediction that runs backwards may divide by nothing. Strict: neither; the mean distance is of what was
    predicted. In both a distance over 10,000 s counts as the event's end in that mean, and hits nowhere.
    """

    name = "ual-bench"
    main = "miou"
    ious, distances_s = (0.3, 0.5, 0.7), (0, 1, 3, 5, 7)
    lower_is_better = ("mean_td_s",)
    measures = (
        "miou",
        *(f"r1@iou{t}" for t in ious),
        *(f"r1@td{t}s" for t in distances_s),
        "onset@1s",
        "onset@0.25s",
        "mean_td_s",
    )

    def load(self, path):
        return [
            Item(
                str(row["video_id"]),
                str(row["video_id"]),
                "When does something unusual happen?",
                (),
                (float(row["start_time"]), float(row["end_time"])),
            )
            for row in unusual(read(path))
        ]

    def judge(self, item, reply, mode, grader):
        found = parse.span(reply)
        if found is None:
            return None
        iou = self.published_iou(item.truth, found) if mode == "published" else measures.tiou(item.truth, found)
        distance = abs(item.truth[0] - found[0]) + abs(item.truth[1] - found[1])
        if distance > 10000:
            return self.values(iou, item.truth[1], abs(item.truth[0] - found[0])) | {
                f"r1@td{t}s": 0.0 for t in self.distances_s
            }
        return self.values(iou, distance, abs(item.truth[0] - found[0]))

    def values(self, iou, distance, onset):
        return {
            "miou": iou,
            "mean_td_s": distance,
            "onset@1s": float(onset <= 1),
            "onset@0.25s": float(onset <= 0.25),
            **{f"r1@iou{t}": float(iou >= t) for t in self.ious},
            **{f"r1@td{t}s": float(distance <= t) for t in self.distances_s},
        }

    @staticmethod
    def published_iou(a, b):
        inter = max(0, min(a[1], b[1]) - max(a[0], b[0]))
        union = (a[1] - a[0]) + (b[1] - b[0]) - inter
        return inter / union if union else math.nan

    def without(self, item, state, mode):
        if mode == "strict":
            return super().without(item, state, mode)
        return self.values(0.0, item.truth[1], math.inf)

    def form(self, item):
        return "span"


def unusual(rows):
    """UAL-Bench's rows, of its own form and of its sources': Oops ({id: {start_time, end_time}}), SSBD ([[video, {time}]]) and FunQA
    ([{visual_input, output}], in frames at 30 a second; what asks for a text instead is left out)."""
    if isinstance(rows, dict):
        return [about | {"video_id": video} for video, about in rows.items()]
    if rows and isinstance(rows[0], list):
        spans = [(video, parse.minutes_seconds(about["time"])) for video, about in rows]
        return [{"video_id": v, "start_time": s[0], "end_time": s[1]} for v, s in spans if s]
    if rows and "output" in rows[0]:
        frames = [(row["visual_input"], re.fullmatch(r"\[(\d+), *(\d+)\]", row["output"].strip())) for row in rows]
        return [{"video_id": v, "start_time": int(f[1]) / 30, "end_time": int(f[2]) / 30} for v, f in frames if f]
    return rows


class EtBench(Benchmark):
    """E.T. Bench (Liu et al., NeurIPS 2024): twelve tasks on events. `etbench_txt_v1.0.json`.

    Published: highlights that cannot be read are left out of their mean (`evs`). Strict: nought. In both captions are scaled
    by the share that could be read, and a span may be found twice; `tal_each_once` beside it pairs found and wanted spans one
    to one. Captions' F1 is the mean over samples, where the script has it of the means of precision and recall. No embedding: where
    the script takes MiniLM, a choice must be named, and sentences are compared by METEOR; that row is named so.
    """

    name = "etbench"
    main = "score"
    measures = ("score",)
    choices, grounding, captioning = ("rar", "eca", "rvq"), ("tvg", "epm"), ("dvc", "slc")
    ious = (0.1, 0.3, 0.5, 0.7)
    abilities = {
        "referring": ("rar", "eca", "rvq"),
        "grounding": ("tvg", "epm", "tal", "evs", "vhd"),
        "dense": ("dvc", "slc"),
        "complex": ("tem", "gvq"),
    }

    def load(self, path):
        out = []
        for row in read(path):
            options = tuple(f"{o[0]} - {o[1]}" if isinstance(o, list) else o for o in row.get("o") or ())
            truth = {
                "spans": [tuple(map(float, s)) for s in self.listed(row.get("tgt"))],
                "texts": row.get("g"),
                "right": row.get("p"),
            }
            out.append(Item(f"{row['task']}/{row['source']}/{row['idx']}", row["video"], row["q"], options, truth, row["task"]))
        return out

    @staticmethod
    def listed(target):
        """[s, e] or [[s, e]] or [t], or of each annotator [[s, e]] -> [[s, e]]"""
        if not target:
            return []
        if all(isinstance(t, (int, float)) for t in target):
            return [target] if len(target) == 2 else [[t, t] for t in target]
        return [span for t in target for span in (t if isinstance(t[0], list) else [t])]

    def judge(self, item, reply, mode, grader):
        task, truth = item.task, item.truth
        if task in self.choices:
            named = parse.letter(reply, item.options)
            return None if named is None else self.value(named == truth["right"])
        if task == "gvq":
            named, found = parse.letter(reply, item.options), self.forward(parse.spans(reply))
            if named is None:
                return None
            return self.value(bool(named == truth["right"]) * self.recall(found[:1], truth["spans"]))
        if task == "vhd":
            found = parse.moments(reply)
            return None if not found else self.value(any(s <= found[0] <= e for s, e in truth["spans"]))
        if task in self.captioning:
            found = [(*span, text) for *times, text in self.captions(reply) for span in self.forward([times])]
            if not found:
                return None
            wanted = [(*span, text) for span, text in zip(truth["spans"], truth["texts"])]
            score = self.set_f1([f[:2] for f in found], truth["spans"])
            pairs = [(f, max(wanted, key=lambda w: measures.tiou(f[:2], w[:2]))) for f in found]
            likeness = mean([captions.meteor(f[2], [w[2]]) if measures.tiou(f[:2], w[:2]) else 0.0 for f, w in pairs])
            return {"score": score, "sentences": likeness}
        found = self.forward(parse.spans(reply))
        if not found:
            return None
        if task in self.grounding:
            return self.value(self.recall(found[:1], truth["spans"]))
        if task == "tal":
            return self.value(self.set_f1(found, truth["spans"])) | {"each_once": self.set_f1(found, truth["spans"], one_to_one=True)}
        if task == "evs":
            return self.value(measures.seconds_f1(found, truth["spans"]))
        return self.value(self.recall(found[:1], truth["spans"]))  # tem: the nearest of its windows

    @staticmethod
    def value(number):
        return {"score": float(number)}

    @staticmethod
    def forward(spans):
        """Of a span that runs backwards the script takes the ends in their order."""
        return [(min(span), max(span)) for span in spans]

    def set_f1(self, found, wanted, one_to_one=False):
        return mean([measures.set_f1(found, wanted, t, one_to_one) for t in self.ious])

    def recall(self, found, wanted):
        """Mean over IoUs of whether the first span hits any wanted one."""
        best = max((measures.tiou(f, w) for f in found for w in wanted), default=0.0)
        return mean([float(best >= t) for t in self.ious])

    @staticmethod
    def captions(reply):
        """ "0 - 3 seconds, he opens it. 4 - 6 seconds, ..." or [[s, e, text]] -> [(s, e, text)]"""
        if not isinstance(reply, str):
            return [(float(s), float(e), text) for s, e, text in reply]
        out = []
        for line in reply.replace(". ", ".\n").splitlines():
            found = parse.span(line)
            if found:
                text = (
                    line[line.rfind(str(int(found[1]))) + len(str(int(found[1]))) :]
                    .lstrip(".0123456789 ")
                    .removeprefix("seconds")
                    .lstrip(" ,:.")
                )
                out.append((*found, text))
        return out

    def without(self, item, state, mode):
        if mode == "published" and item.task == "evs" and state == UNPARSED:
            return None
        return self.value(0) | ({"sentences": 0.0} if item.task in self.captioning else {"each_once": 0.0} if item.task == "tal" else {})

    def totals(self, outcomes):
        tasks = defaultdict(list)
        for outcome in outcomes:
            tasks[outcome.item.task].append(outcome.values["score"])
        each = {task: mean(values) for task, values in tasks.items()}
        out = {"score": mean(list(each.values()))}
        for name, of in self.abilities.items():
            if any(t in each for t in of):
                out[name] = mean([each[t] for t in of if t in each])
        beside = {"sentences_by_meteor": "sentences", "tal_each_once": "each_once"}
        told = means(outcomes, beside.values())
        return out | {row: told[value] for row, value in beside.items() if not math.isnan(told[value])}

    def chance(self, items):
        return super().chance(items) if all(item.task in self.choices for item in items) else {}

    def prompt(self, item):
        return super().prompt(item) + (" And tell when, in seconds, like (A) from 1.0 to 2.5." if item.task == "gvq" else "")

    def form(self, item):
        if item.options:
            return "choice_span" if item.task == "gvq" else "choice"
        return {"tal": "spans", "evs": "spans", "vhd": "moment", "dvc": "captions", "slc": "captions"}.get(item.task, "span")


class VcrBench(Benchmark):
    """VCRBench (Sarkar and Etemad 2025): put the clips of a deed in order. A list with qid, goal, question, answer
    (1-based).

    The weighted accuracy is the mean over goals. Both modes are alike; the script gives an order of another length no step
    at all.
    """

    name = "vcrbench"
    measures = ("accuracy", "steps")

    def load(self, path):
        out = []
        for row in read(path):
            order = row.get("answer") or [at + 1 for at in row["ground_truth"]]
            out.append(
                Item(
                    str(row["qid"]),
                    row.get("video_file", str(row["qid"])),
                    row["question"],
                    (),
                    tuple(order),
                    f"{len(order)} steps",
                    source=row["goal"],
                )
            )
        return out

    def judge(self, item, reply, mode, grader):
        found = parse.order(reply)
        if found is None:
            return None
        alike = len(found) == len(item.truth)
        right = [a == b for a, b in zip(found, item.truth)] if alike else [False] * len(item.truth)
        return {"accuracy": float(alike and all(right)), "steps": sum(right) / len(right), "weight": len(right)}

    def without(self, item, state, mode):
        return {"accuracy": 0.0, "steps": 0.0, "weight": len(item.truth)}

    def totals(self, outcomes):
        goals = defaultdict(list)
        for outcome in outcomes:
            goals[outcome.item.source].append(outcome.values["accuracy"])
        steps = sum(o.values["steps"] * o.values["weight"] for o in outcomes) / sum(o.values["weight"] for o in outcomes)
        return {
            "accuracy": means(outcomes, ("accuracy",))["accuracy"],
            "steps": steps,
            "mean_of_goals": mean([mean(v) for v in goals.values()]),
        }

    def chance(self, items):
        return {
            "accuracy": mean([1 / math.factorial(len(i.truth)) for i in items]),
            "steps": len(items) / sum(len(i.truth) for i in items),
        }

    def form(self, item):
        return "order"


class VStar(Benchmark):
    """V-STaR (Cheng et al. 2025): what, when and where, in two chains of questions. A list as the data set has it; a reply
    is its row's {"answer_vqa", "answer_temporal", "answer_temporal_2", "answer_spatial", "answer_spatial_2"}.

    Published: a row without an answer to "what" is left out of the means of when and where, though not of the accuracy's.
    Strict: it counts as nought in all. The accuracy is by a judge model in published tables; ours says which.
    """

    name = "v-star"
    main = "mAM"
    box_ious, span_ious = (0.1, 0.3, 0.5, 0.7, 0.9), (0.3, 0.5, 0.7)
    measures = ("what",)

    def load(self, path):
        out = []
        for k, row in enumerate(read(path)):
            length = row["frame_count"] / row["fps"]
            bin_ = "short" if length < 60 else "medium" if length < 180 else "long"
            boxes = {str(b["timestamp"]): (b["xmin"], b["ymin"], b["xmax"], b["ymax"]) for b in row["bboxes"]}
            truth = {"answer": row["answer"], "span": tuple(row["timestamps"]), "boxes": boxes}
            out.append(
                Item(
                    f"{row['vid']}/{k}",
                    str(row["vid"]),
                    row["question"],
                    (),
                    truth,
                    bin_,
                    extra={"domain": row.get("domain", ""), "temporal": row["temporal_question"], "spatial": row.get("spatial_question", ""), "at": tuple(boxes)},
                )
            )
        return out

    def judge(self, item, reply, mode, grader):
        what = reply.get("answer_vqa")
        if not what:
            return None
        grade = grader.grade(what, item.truth["answer"], best=3)
        values = {"what": float(grade >= 2)}
        for chain in ("", "_2"):
            found = parse.span(reply.get(f"answer_temporal{chain}") or "")
            when = measures.tiou(item.truth["span"], found) if found else 0.0
            ious = self.where(item.truth["boxes"], parse.boxes(reply.get(f"answer_spatial{chain}") or ""))
            where = mean(ious) if ious else 0.0
            values |= {f"when{chain}": when, f"where{chain}": where}
            values |= {f"r1@iou{t}{chain}": float(when >= t) for t in self.span_ious}
            values |= {f"ap@{t}{chain}": mean([float(v >= t) for v in ious]) if ious else 0.0 for t in self.box_ious}
            values[f"all{chain}"] = float(grade >= 2 and when >= 0.3 and where >= 0.1)
        return values

    @staticmethod
    def where(wanted, found):
        """IoU of each wanted box with the best that is given for its time."""
        out = []
        for time, box in wanted.items():
            given = (found or {}).get(time) or []
            given = [given] if given and isinstance(given[0], (int, float)) else given
            out.append(max((measures.box_iou(box, g) for g in given), default=0.0))
        return out

    def without(self, item, state, mode):
        if mode == "published":
            return {"what": 0.0}
        zero = {"what": 0.0}
        for chain in ("", "_2"):
            names = ("when", "where", "all", *(f"r1@iou{t}" for t in self.span_ious), *(f"ap@{t}" for t in self.box_ious))
            zero |= {f"{name}{chain}": 0.0 for name in names}
        return zero

    def form(self, item):
        return "chains"

    def totals(self, outcomes):
        names = dict.fromkeys(name for o in outcomes for name in o.values)
        out = means(outcomes, names)
        for chain in ("", "_2"):
            shares = [out["what"], out.get(f"when{chain}", 0.0), out.get(f"where{chain}", 0.0)]
            out |= {f"AM{chain}": sum(shares) / 3, f"LGM{chain}": measures.log_mean(shares)}
        return {"mAM": (out["AM"] + out["AM_2"]) / 2, "mLGM": (out["LGM"] + out["LGM_2"]) / 2, **out}


class VidChapters(Benchmark):
    """VidChapters-7M (Yang et al., NeurIPS 2023): a video's chapters and their titles. {video: {"chapters": [{time,
    label}], "duration"}}; a reply is [[start_s, title]] or [[start_s, end_s, title]].

    Published: videos without a prediction are left out. Strict: nought. In both, as in the script, a chapter may be found more
    than once, an overlap or a distance has to pass its threshold and not only to reach it, and F1 is of the means of precision
    and recall; in `f1_each_once` beside it found and wanted chapters are paired one to one. Of titles METEOR and CIDEr are means over the
    thresholds, and a title whose chapter overlaps none is nought. CIDEr's weights are of the whole set, where the script has each
    video's own, by which a video of one chapter has nought.
    """

    name = "vidchapters"
    main = "soda_c"
    ious, starts_s = (0.3, 0.5, 0.7, 0.9), (1, 3, 5, 10, 30, 60)
    measures = ("soda_c", "f1_each_once", "meteor", "cider", *(f"{m}@iou{t}" for t in ious for m in ("precision", "recall")),
                *(f"{m}@{t}s" for t in starts_s for m in ("precision", "recall")))  # fmt: skip

    def load(self, path):
        return [
            Item(
                video,
                video,
                "Give the chapters of this video, each with its start in seconds and its title.",
                (),
                self.chapters(row["chapters"], row["duration"]),
                extra={"duration_s": row["duration"]},
            )
            for video, row in read(path).items()
        ]

    @staticmethod
    def chapters(rows, duration_s):
        """[{time, label}] or [[start, title]] or [[start, end, title]] -> [(start_s, end_s, title)]: a chapter ends where
        the next begins."""
        rows = [(r["time"], r["label"]) if isinstance(r, dict) else tuple(r) for r in rows]
        rows = sorted((parse.seconds(r[0]), *r[1:]) for r in rows)
        ends = [r[0] for r in rows[1:]] + [duration_s]
        return [r if len(r) == 3 else (r[0], end, r[1]) for r, end in zip(rows, ends)]

    def judge(self, item, reply, mode, grader):
        found = self.chapters(reply, item.extra["duration_s"])
        if not found:
            return None
        wanted, spans = item.truth, [f[:2] for f in found]
        values = {"soda_c": captions.soda_c(found, wanted)}
        overlaps = np.array([[measures.tiou(f, w[:2]) for w in wanted] for f in spans])
        apart_s = np.array([[abs(f[0] - w[0]) for w in wanted] for f in spans])
        for at, near in [(f"iou{t}", overlaps > t) for t in self.ious] + [(f"{t}s", apart_s < t) for t in self.starts_s]:
            values |= {f"precision@{at}": float(near.any(1).mean()), f"recall@{at}": float(near.any(0).mean())}
        values["f1_each_once"] = mean([measures.set_f1(spans, [w[:2] for w in wanted], t) for t in self.ious])
        pairs = self.pairs(found, wanted)
        values["meteor"] = self.titles(found, wanted, [captions.meteor(*pair) for pair in pairs.values()])
        return values

    @classmethod
    def pairs(cls, found, wanted):
        """{(index, index of a true one): (title, [the true one's])} of chapters that overlap enough for one of the thresholds."""
        near = lambda f, w: measures.tiou(f[:2], w[:2]) >= cls.ious[0]  # noqa: E731
        return {(i, j): (f[2], [w[2]]) for i, f in enumerate(found) for j, w in enumerate(wanted) if near(f, w)}

    @classmethod
    def titles(cls, found, wanted, likeness):
        """Mean over the thresholds, from the likeness of each of `pairs`: a title counts with each true one that its chapter overlaps by as
        much, and as nought where there is none."""
        alike, told = dict(zip(cls.pairs(found, wanted), likeness, strict=True)), []
        for least in cls.ious:
            near = [[v for (k, j), v in alike.items() if k == i and measures.tiou(f[:2], wanted[j][:2]) >= least] for i, f in enumerate(found)]
            told.append(mean([v for of in near for v in of or [0.0]]))
        return mean(told)

    def outcomes(self, items, replies, mode, grader=None):
        """CIDEr's weights of words are those of the whole set's titles, so it comes last."""
        out = super().outcomes(items, replies, mode, grader)
        scored = [o for o in out if o.state == SCORED]
        told = [(self.chapters(replies[o.item.id], o.item.extra["duration_s"]), o.item.truth) for o in scored]
        pairs = [self.pairs(*of) for of in told]
        each = iter(captions.cider([pair for of in pairs for pair in of.values()]))
        for outcome, of, near in zip(scored, told, pairs):
            outcome.values["cider"] = self.titles(*of, [next(each) for _ in near])
        return out

    def without(self, item, state, mode):
        return None if mode == "published" else super().without(item, state, mode)

    def totals(self, outcomes):
        out = means(outcomes, self.measures)
        at = [*(f"iou{t}" for t in self.ious), *(f"{t}s" for t in self.starts_s)]
        each = {f"f1@{a}": measures.f1(out[f"precision@{a}"], out[f"recall@{a}"]) for a in at}
        return out | {"f1": mean([each[f"f1@iou{t}"] for t in self.ious])} | each

    def form(self, item):
        return "captions"


class VidChaptersCaptions(Benchmark):
    """VidChapters-7M, the boundaries given: the title of each chapter, which is all of the video that is shown. The file of
    `vidchapters`; a reply is a title. CIDEr and BLEU-4 are of the whole set.

    Published: chapters without a title are left out. Strict: nought.
    """

    name = "vidchapters-captions"
    main = "cider"
    most = 10.0
    measures = ("cider", "meteor", "rouge_l", "bleu4")

    def load(self, path):
        return [
            Item(f"{video.id}/{k}", video.id, "Give this chapter a title.", (), title, "", start, end)
            for video in VidChapters().load(path)
            for k, (start, end, title) in enumerate(video.truth)
        ]

    def judge(self, item, reply, mode, grader):
        if not captions.words(reply):
            return None
        return {"meteor": captions.meteor(reply, [item.truth]), "rouge_l": captions.rouge_l(reply, [item.truth])}

    def outcomes(self, items, replies, mode, grader=None):
        """As of `vidchapters`; BLEU-4 counts over all titles, so each has the pair that it is counted from."""
        out = super().outcomes(items, replies, mode, grader)
        pairs = [(replies[o.item.id] if o.state == SCORED else "", [o.item.truth]) for o in out]
        for outcome, pair, value in zip(out, pairs, captions.cider(pairs)):
            outcome.values.update(cider=value, pair=pair)
        return out

    def totals(self, outcomes):
        return means(outcomes, ("cider", "meteor", "rouge_l")) | {"bleu4": captions.bleu4([o.values["pair"] for o in outcomes])}

    def without(self, item, state, mode):
        return None if mode == "published" else super().without(item, state, mode)


class VidChaptersGrounding(Benchmark):
    """VidChapters-7M, the title given: when its chapter is. The file of `vidchapters`; a reply is [start_s, end_s]. With one
    answer to each title its average precision at an IoU is whether it is found.

    Published: titles without a reply are left out. Strict: nought.
    """

    name = "vidchapters-grounding"
    main = "r1@iou0.5"
    ious, starts_s, ap_ious = (0.3, 0.5, 0.7, 0.9), (1, 3, 5, 10), tuple(k / 100 for k in range(50, 100, 5))
    measures = (*(f"r1@iou{t}" for t in ious), *(f"r1@{t}s" for t in starts_s), "ap")

    def load(self, path):
        return [
            Item(f"{video.id}/{k}", video.id, f'When is the chapter "{title}"?', (), (start, end))
            for video in VidChapters().load(path)
            for k, (start, end, title) in enumerate(video.truth)
        ]

    def judge(self, item, reply, mode, grader):
        found = parse.span(reply)
        if found is None:
            return None
        overlap, off = measures.tiou(item.truth, found), abs(item.truth[0] - found[0])
        values = {f"r1@iou{t}": float(overlap >= t) for t in self.ious} | {f"r1@{t}s": float(off <= t) for t in self.starts_s}
        return values | {"ap": mean([float(overlap >= t) for t in self.ap_ious])}

    def without(self, item, state, mode):
        return None if mode == "published" else super().without(item, state, mode)

    def form(self, item):
        return "span"


class KitchenSegments(Benchmark):
    """Actions of EPFL-Smart-Kitchen-30 (Bonnetto et al. 2025), frame by frame: a list of {"id", "video", "labels": [..]}; a
    reply is as many labels. The benchmark's own scripts were not obtainable, so these are the field's usual measures: frame
    accuracy, edit score, F1@{10, 25, 50}."""

    name = "epfl-smart-kitchen"
    main = "frames"
    overlaps = (0.1, 0.25, 0.5)
    measures = ("frames", "edit", *(f"f1@{t}" for t in overlaps))

    def load(self, path):
        return [Item(str(row["id"]), row["video"], "", (), tuple(row["labels"])) for row in read(path)]

    def judge(self, item, reply, mode, grader):
        if len(reply) != len(item.truth):
            return None
        frames = mean([float(a == b) for a, b in zip(reply, item.truth)])
        return {"frames": frames, "edit": measures.edit_score(reply, item.truth)} | {
            f"f1@{t}": measures.segment_f1(reply, item.truth, t) for t in self.overlaps
        }

    def form(self, item):
        return "labels"


class CameraBench(Benchmark):
    """CameraBench (Lin et al. 2025): which of its primitives a video's camera does. A folder with `motions.json` ({video:
    [labels]}), or its pairs of questions `vqa.json` ([{question, positive, negative}]). A reply to the first is {label:
    score}; to a pair [[to the positive video, to the negative one]]: yes or no.

    The average precision is of the whole set. A video without scores has the lowest of each label, so it costs where the
    label is true.
    """

    name = "camerabench"
    main = "map"
    measures = ("map",)

    def load(self, path):
        file = Path(path) / "motions.json"
        rows = read(file)
        labels = tuple(sorted({label for of in rows.values() for label in of}))
        return [Item(video, video, "", labels, frozenset(of)) for video, of in rows.items()]

    def judge(self, item, reply, mode, grader):
        return {k: float(reply[k]) for k in item.options if k in reply and math.isfinite(reply[k])} or None

    def without(self, item, state, mode):
        return {}

    def totals(self, outcomes):
        labels = outcomes[0].item.options if outcomes else ()
        each = {}
        for label in labels:
            scores = [o.values.get(label, -math.inf) for o in outcomes]
            each[label] = measures.average_precision(scores, [label in o.item.truth for o in outcomes])
        return {"map": mean(list(each.values())), **{f"ap:{label}": value for label, value in each.items()}}

    def form(self, item):
        return "scores"

    def chance(self, items):
        labels = items[0].options if items else ()
        return {"map": mean([sum(label in i.truth for i in items) / len(items) for label in labels])}


class CameraBenchPairs(Benchmark):
    """CameraBench's questions, each on a video where it is true and on one where it is not. `vqa.json`; a reply is [to the
    one, to the other]."""

    name = "camerabench-vqa"
    main = "pairs"
    measures = ("pairs", "questions")

    def load(self, path):
        return [
            Item(
                str(k),
                row["positive"],
                row["question"],
                (),
                (True, False),
                row.get("label", ""),
                extra={"twin": row["question"], "twin_video": row["negative"]},
            )
            for k, row in enumerate(read(path))
        ]

    def judge(self, item, reply, mode, grader):
        said = [None if r is None else parse.yes_no(r) for r in reply]
        if all(s is None for s in said):
            return None
        right = [s == truth for s, truth in zip(said, item.truth, strict=True)]
        return {"pairs": float(all(right)), "questions": sum(right) / 2}

    def form(self, item):
        return "pair"

    def chance(self, items):
        return {"pairs": 0.25, "questions": 0.5}
