"""Tests of the generative head's measure: an engine that is a process, medians, and who goes first."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "language"))
import generate

ECHO = """
import json, sys
print(json.dumps({"hello": 1}), flush=True)
for line in sys.stdin:
    ((what, value),) = json.loads(line).items()
    print(json.dumps({"error": "no"} if what == "fail" else {what: value}), flush=True)
"""


def test_an_engine_answers_line_by_line_and_its_error_ends_the_measure():
    with generate.Engine([sys.executable, "-c", ECHO]) as engine:
        assert engine.introduced == {"hello": 1}
        assert engine.ask("likeliest", [1, 2]) == {"likeliest": [1, 2]}
        with pytest.raises(SystemExit, match="no"):
            engine.ask("fail", 0)
    assert engine.process.returncode == 0
    with pytest.raises(SystemExit, match="ended with 3"):
        generate.Engine([sys.executable, "-c", "raise SystemExit(3)"])


class Fake:
    def __init__(self, name, order, answers=()):
        self.name, self.order, self.answers = name, order, list(answers)

    def ask(self, what, value):
        self.order.append(self.name)
        return {"likeliest": self.answers.pop(0)} if what == "likeliest" else {"read_s": [1, 1], "say_s": [2, 2]}


def test_engines_take_turns_and_the_first_round_does_not_count():
    order = []
    runs = generate.alternate(Fake("ours", order), Fake("llama", order), [1], 3)
    assert order == ["llama", "ours", "ours", "llama", "llama", "ours", "ours", "llama"]
    assert [len(found) for found in runs.values()] == [3, 3]


def test_a_pace_is_that_of_the_median_round():
    rounds = [{"read_s": [read, 9], "say_s": [say, 3]} for read, say in ((1, 4), (2, 1), (900, 2))]
    assert generate.per_second(rounds) == (generate.READ / 2, generate.SAY / 2)
    assert generate.per_second(rounds, 1) == (generate.READ / 9, generate.SAY / 3)


def test_agreement_is_the_share_of_positions():
    engine = Fake("ours", [], [[1, 2, 3], [4]])
    assert generate.agreement(engine, ["a", "b"], [[1, 2, 9], [4]]) == 0.75
