"""What all benchmarks share: an item, what became of it, and figures with intervals.

Every benchmark is scored in two modes. `published` does what the released script does, faults included, so that a figure
can be held against published tables. `strict` mends its faults: where nothing was predicted there is no hit and nothing is left
out, a letter within a word is none, and no poll tells what is wanted (`test_modes.py` has them all). In all else both are the
same, so that they differ by these alone; what a script lets through besides has a measure of its own in both.
"""

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

MODES = ("published", "strict")
ROUNDS = 500
TAIL = 0.025
# What a reply may be: a letter or an option's text; a sentence; yes or no; yes or no to a question and to its twin; a number; [start_s, end_s];
# several of these; a moment in s; [[start_s, end_s, text]]; numbers of clips in order; a label for each frame; [[time_s, text]] of a stream;
# an option and its [start_s, end_s]; likeness to a sentence, to some with another verb and to some with another noun; {label: score}; a row
# of answers to what, when and where.
FORMS = ("choice", "text", "yes_no", "pair", "number", "span", "spans", "moment", "captions", "order", "labels", "stream",
         "choice_span", "likeness", "scores", "chains")  # fmt: skip
SCORED, MISSING, UNPARSED = "scored", "missing", "unparsed"
# What a model wrote may be any JSON: what reading that raises must not end a run.
ODD = (TypeError, ValueError, AttributeError, LookupError)


@dataclass(frozen=True)
class Item:
    """One question, or whatever is asked of a video."""

    id: str
    video: str
    question: str = ""
    options: tuple = ()
    truth: object = None  # in the benchmark's own form
    task: str = ""
    from_s: float | None = None  # the part of the video that may be seen; None: from its start
    until_s: float | None = None  # None: to its end
    source: str = ""  # videos of one source are drawn together in the bootstrap; default: the video
    extra: dict = field(default_factory=dict, hash=False)

    @property
    def drawn_with(self):
        return self.source or self.video


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a value for each measure, NaN where it has none."""

    item: Item
    values: dict
    state: str = SCORED


class Benchmark:
    """A benchmark's files, its rules and its sums. A subclass has a `name`, reads its files and judges one reply."""

    name = ""
    main = "accuracy"  # the measure that stands for the whole
    most = 1.0  # what it is at best
    lower_is_better = ()
    measures = ("accuracy",)
    answers_are_public = True

    def load(self, path):
        """The benchmark's own file or folder -> [Item]."""
        raise NotImplementedError

    def judge(self, item, reply, mode, grader):
        """A reply that is there -> {measure: value}, or None if it cannot be read. A reply of another shape than the
        benchmark's may raise one of ODD."""
        raise NotImplementedError

    def without(self, item, state, mode):
        """Values of an item whose reply is missing or cannot be read; None leaves it out, as some scripts do."""
        return {measure: math.nan if measure in self.lower_is_better else 0.0 for measure in self.measures}

    def outcomes(self, items, replies, mode, grader=None):
        """replies: {item id: reply, None where there is none}"""
        out = []
        for item in items:
            reply = replies.get(item.id)
            if reply is None:
                values, state = None, MISSING
            else:
                try:
                    values = self.judge(item, reply, mode, grader)
                except ODD:
                    values = None
                state = SCORED if values is not None else UNPARSED
            if values is None:
                values = self.without(item, state, mode)
            if values is not None:
                out.append(Outcome(item, values, state))
        return out

    def totals(self, outcomes):
        """[Outcome] -> {measure: value}"""
        return means(outcomes, self.measures)

    def chance(self, items):
        """{measure: what guessing without looking comes to, summed as a score is}, where that is known."""
        if not items or not all(item.options for item in items):
            return {}
        return {self.main: self.totals([Outcome(item, {self.main: 1 / len(item.options)}) for item in items])[self.main]}

    def form(self, item):
        """What a reply looks like: one of FORMS."""
        return "choice" if item.options else "text"

    def prompt(self, item):
        """What a model is asked, where the benchmark leaves that to whoever runs it."""
        letters = [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options)]
        return "\n".join([item.question, *letters, *(["Answer with the letter."] if letters else [])])


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def mean(values):
    """Of the numbers among them; NaN where there is none."""
    values = [v for v in values if not math.isnan(v)]
    return sum(values) / len(values) if values else math.nan


def means(outcomes, measures):
    return {measure: mean([o.values[measure] for o in outcomes if measure in o.values]) for measure in measures}


def by_task(outcomes):
    tasks = defaultdict(list)
    for outcome in outcomes:
        tasks[outcome.item.task].append(outcome)
    return dict(sorted(tasks.items()))


def interval(outcomes, totals, rounds=ROUNDS, seed=0):
    """{measure: (low, high)}: 95% by bootstrap over videos. Where all values are alike resampling sees nothing beyond them,
    and where one video is all there is it cannot be done: None."""
    drawn = defaultdict(list)
    for outcome in outcomes:
        drawn[outcome.item.drawn_with].append(outcome)
    groups = list(drawn.values())
    if len(groups) < 2:
        return {measure: (None, None) for measure in totals(outcomes)}
    dice, seen = random.Random(seed), defaultdict(list)
    for _ in range(rounds):
        picked = [o for group in dice.choices(groups, k=len(groups)) for o in group]
        for measure, value in totals(picked).items():
            if not math.isnan(value):
                seen[measure].append(value)
    out = {}
    for measure in totals(outcomes):
        values = sorted(seen[measure])
        if not values:
            out[measure] = (None, None)
            continue
        last = len(values) - 1
        out[measure] = (values[round(TAIL * last)], values[round((1 - TAIL) * last)])
    return out


def report(benchmark, items, replies, grader=None, rounds=ROUNDS):
    """[row] of both modes: of each measure on the whole, and of the main one on each task."""
    rows, chance = [], benchmark.chance(items)
    for mode in MODES:
        outcomes = benchmark.outcomes(items, replies, mode, grader)
        rows += _rows(benchmark, mode, "", outcomes, benchmark.totals, chance, rounds)
        tasks = by_task(outcomes)
        if len(tasks) > 1:
            for task, part in tasks.items():
                of_task = benchmark.chance([o.item for o in part])
                only_main = lambda chosen: means(chosen, (benchmark.main,))  # noqa: E731
                rows += _rows(benchmark, mode, task, part, only_main, of_task, rounds)
    return rows


def _rows(benchmark, mode, task, outcomes, totals, chance, rounds):
    states = Counter(o.state for o in outcomes)
    between = interval(outcomes, totals, rounds)
    return [
        {
            "name": benchmark.name, "mode": mode, "task": task, "measure": measure, "n": len(outcomes),
            "score": number(value), "low": number(between[measure][0]), "high": number(between[measure][1]),
            "chance": number(chance.get(measure)), "missing": states[MISSING], "unparsed": states[UNPARSED],
        }
        for measure, value in totals(outcomes).items()
    ]  # fmt: skip


def number(value):
    """As JSON knows it: None for what is not there."""
    return None if value is None or math.isnan(value) else round(float(value), 4)
