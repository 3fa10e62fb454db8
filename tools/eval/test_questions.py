"""Tests of the questions' scorer: days that one can count, and answers that are wrong in one way each."""

import pytest

import questions as q

T = q.local(q.DAYS[3], 12)
M = q.MINUTE


def home():
    """One drinks twice in the kitchen, sits between, and the kitchen is blind for half an hour after that."""
    events = [
        q.Event(T, "kitchen", "enter", 1),
        q.Event(T + M, "kitchen", "drink", 2),
        q.Event(T + 2 * M, "kitchen", "sit", 3),
        q.Event(T + 20 * M, "kitchen", "drink", 4),
        q.Event(T + 30 * M, "kitchen", "light_on", 5),
    ]
    return q.Home(events, [(T + 40 * M, T + 70 * M, "kitchen")], {e.id: e for e in events}, start=T - M)


def answer(value, evidence=(), gaps=(), abstained=False):
    return {"value": value, "evidence": list(evidence), "gaps": list(gaps), "abstained": abstained, "answer": ""}


def question(want, **more):
    return q.Question("count", "?", False, want, **more)


def iso(at):
    return q.datetime.fromtimestamp(at / 1000, q.ZoneInfo(q.ZONE)).isoformat()


def test_a_value_is_right_or_wrong():
    for want, right, wrong in [
        (("time", T), iso(T + 59_000), iso(T + 61_000)),
        (("time", T), iso(T), None),
        (("never",), None, iso(T)),
        (("count", 2), 2, 3),
        (("count", 1), 1, True),
        (("seconds", 10_000.0), 10_199.0, 10_201.0),
        (("seconds", 10.0), 69.0, 71.0),
        (("yes", True), True, False),
        (("yes", True), True, 1),
        (("kind", "sit"), "sit", "stand"),
        (("kinds", {"sit": 2}), [{"kind": "sit", "count": 2}], [{"kind": "sit", "count": 1}]),
        (("kinds", {}), [], [{"kind": "sit", "count": 1}]),
    ]:
        assert q.value_right(want, answer(right)), want
        assert not q.value_right(want, answer(wrong)), want
    with pytest.raises(ValueError):
        q.value_right(("what",), answer(1))


def test_evidence_must_be_there_and_fit():
    ask = question(("count", 2), kinds=("drink",), period=(T, T + 60 * M), camera="kitchen")
    assert q.judge(ask, answer(2, [2, 4]), home())[0] == "right"
    for ids in [(), (2, 99), (2, 3), (2, 2), (2, 4, 1)]:
        assert q.judge(ask, answer(2, ids), home()) == ("wrong", "evidence"), ids
    late = question(("count", 2), kinds=("drink",), period=(T + 2 * M, T + 60 * M))
    assert q.judge(late, answer(2, [2, 4]), home()) == ("wrong", "evidence")
    named = question(("kind", "sit"), first=3)
    assert q.judge(named, answer("sit", [2]), home()) == ("wrong", "evidence")
    assert q.judge(named, answer("sit", [2, 3]), home())[0] == "right"


def test_a_no_admits_who_was_blind_and_what_cannot_be_known_is_not_answered():
    no = question(("yes", False), gaps=True)
    assert q.judge(no, answer(False), home())[0] == "wrong"
    assert q.judge(no, answer(False, gaps=[{}]), home())[0] == "right"
    assert q.judge(no, answer(None, abstained=True), home())[0] == "abstained"
    assert q.judge(question(q.ABSTAIN), answer(False), home())[0] == "wrong"


def test_the_truth_of_a_day():
    of = home()
    assert [(e.id, end - start) for e, start, end in of.stretches("sit", (T, T + 60 * M))] == [(3, 18 * M)]
    assert [end - start for _, start, end in of.stretches("sit", (T + 10 * M, T + 12 * M))] == [2 * M]
    assert of.light(T + 35 * M, "kitchen")[0] is True
    assert of.light(T + 20 * M, "kitchen") is None, "nothing was told of it yet"
    assert of.light(T + 80 * M, "kitchen") is None, "it was blind since"
    assert of.present(T + 5 * M, "kitchen") and of.present(T + 50 * M, "kitchen") is None
    assert of.gaps_in((T, T + 41 * M)) and not of.gaps_in((T, T + 40 * M)) and not of.gaps_in((T, T + 60 * M), "hall")


def test_figures_are_those_of_video_simpleqa():
    ask, none = question(("count", 1)), question(q.ABSTAIN)
    judged = [(ask, "right")] * 6 + [(ask, "wrong")] + [(ask, "abstained")] * 3 + [(none, "abstained")] * 4 + [(none, "wrong")]
    got = q.figures(judged)
    # 6 of 10 that have an answer, 6 of 8 that were answered.
    assert got == {"n": 15, "accuracy": 0.667, "abstained": 0.467, "wrong": 0.133, "f_score": 0.667}
    assert q.figures([(none, "abstained")])["f_score"] is None
    assert q.figures([(ask, "abstained")])["f_score"] == 0.0


def test_days_are_the_same_each_time_and_their_lines_are_in_order():
    texts = {kind: [kind] for kind in "door_opens enter door_closes light_on light_off leave nobody pet television fall get_up".split()}
    texts |= {kind: [kind] for acts in q.ACTS.values() for kind in acts}
    one, two = q.live(3, texts), q.live(3, texts)
    assert one.lines == two.lines
    times = [line.get("start_ms", line.get("at_ms")) for line in one.lines]
    assert times == sorted(times) and one.lines[-1]["type"] == "stop"
    told = [line for line in one.lines if line["type"] in ("narration", "blind")]
    ids = {index + 1: line for index, line in enumerate(told)}
    assert all(ids[i]["kind"] == e.kind and ids[i]["start_ms"] == e.at for i, e in one.told.items())
    assert all(not one.blind(e.at, e.camera) for e in one.told.values())
    questions = q.Asking(one, 1).all(False)
    assert len(questions) > 150 and {x.held for x in questions} == {True, False}
    assert all("{" not in x.text and x.text.endswith(("?", ".")) for x in questions)


def test_wordings_of_both_halves_differ():
    for of in (*q.w.THINGS.values(), *q.w.STATES.values(), q.w.LAST, q.w.COUNT, q.w.HAPPENED, q.w.WHAT, q.w.UNKNOWN):
        assert of["tune"] and of["held"] and not set(of["tune"]) & set(of["held"])


def test_what_is_told_has_a_row_a_form():
    figures = q.figures([(question(("count", 1)), "right")])
    table = q.tell({"questions": figures | {"tune": figures, "held": figures, "forms": {"count": figures}}})
    assert table.count("\n") == 5 and "| count | 1 | 1.000 | 0.000 | 0.000 | 1.000 |" in table
