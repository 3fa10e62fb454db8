"""Tests of the benchmarks' scorers: small files in each one's own form, values worked out by hand, and what must hold of any scorer."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmarks as b
from benchmarks import captions, core, measures, parse
from benchmarks.graders import Offline

ROW = {
    "id": 1,
    "video": "v",
    "realtime": 10,
    "question": "Where is it?",
    "options": ["on the table", "under the chair", "gone"],
    "gt": 1,
}
BOX = {"timestamp": 1.0, "xmin": 0, "ymin": 0, "xmax": 10, "ymax": 10}

# Each benchmark's files as its data set has them: name -> {file: content}; "" is the path itself.
FILES = {
    "ovo-bench": {
        "": [
            ROW | {"task": "EPM"},
            ROW | {"id": 2, "task": "OCR", "gt": 0},
            {
                "id": 3,
                "task": "REC",
                "video": "w",
                "activity": "jump",
                "test_info": [{"realtime": 3, "count": 1}, {"realtime": 5, "count": 2}],
            },
            {"id": 4, "task": "SSR", "video": "w", "test_info": [{"realtime": 3, "step": "whisk", "type": 1}]},
            {"id": 5, "task": "CRR", "video": "x", "question": "Why?", "test_info": [{"realtime": 3, "type": 0}]},
        ]
    },
    "streamingbench": {
        "": [
            {
                "video_path": "v",
                "questions": [
                    {
                        "task_type": "Causal",
                        "question": "Why?",
                        "time_stamp": "0:01:30",
                        "answer": "B",
                        "options": ["A. rain", "B. wind"],
                    },
                    {
                        "task_type": "Sequential",
                        "question": "What?",
                        "time_stamp": "0:00:20",
                        "answer": "A",
                        "options": ["A. cup", "B. pan"],
                    },
                    {
                        "task_type": "Sequential",
                        "question": "Then?",
                        "time_stamp": "0:00:40",
                        "answer": "B",
                        "options": ["A. lid", "B. tap"],
                    },
                ],
            }
        ]
    },
    "streamingbench-proactive": {
        "": [
            {
                "video_path": "v",
                "questions": [
                    {
                        "task_type": "PO",
                        "question": "Say Goal when he scores",
                        "time_stamp": "0:00:10",
                        "ground_truth_time_stamp": "0:00:30",
                        "ground_truth_output": "Goal",
                    }
                ],
            }
        ]
    },
    "tempcompass": {
        "multi-choice.json": {"v": {"speed": [{"question": "How fast?\nA. faster\nB. slower", "answer": "B. slower"}]}},
        "yes_no.json": {"v": {"order": [{"question": "Does it open first?", "answer": "no"}]}},
        "caption_matching.json": {
            "w": {"action": [{"question": "Which?\nCaption A: it jumps\nCaption B: it sits", "answer": "Caption A: it jumps"}]}
        },
    },
    "tvbench": {
        "count.json": [{"video": "v", "question": "How many?", "candidates": ["2", "3"], "answer": "3"}],
        "order.json": [
            {
                "video": "w",
                "question": "First?",
                "candidates": ["the door", "the lamp", "the tap"],
                "answer": "the lamp",
                "start": 1,
                "end": 4,
            }
        ],
    },
    "egoschema": {
        "questions.json": [
            {"q_uid": q, "question": "What?"} | {f"option {k}": f"thing {k}" for k in range(5)} for q in ("a", "b", "c")
        ],
        "subset_answers.json": {"a": 3, "b": 0},
    },
    "video-bench": {
        "NBA_QA.json": {
            "q1": {"vid_path": "v", "video_id": "v", "choices": {"A": "left", "B": "right"}, "question": "Which way?"}
        }
    },
    "videohallucer": {
        "temporal.json": [
            {
                "basic": {"video": f"v{k}", "question": "Is it red?", "answer": "yes"},
                "hallucination": {"video": f"v{k}", "question": "Is it blue?", "answer": "no"},
                "type": "t",
            }
            for k in range(2)
        ]
    },
    "egohoibench": {
        "": "video_uid\tclip_start\tclip_end\tclip_text\ttag_noun\ttag_verb\tverb_neg\tnoun_neg\nv\t1\t2\t#C opens the door\t[1]\t[2]\tcloses,paints\tlid,box\n"
    },
    "spookybench": {"": "Path,Category,Label\nw/1.mp4,words,\"['car']\"\nw/2.mp4,shapes,\"['star', 'asterisk']\"\n"},
    "ual-bench": {
        "": [{"video_id": "a", "start_time": 2.0, "end_time": 6.0}, {"video_id": "b", "start_time": 0.5, "end_time": 2.5}]
    },
    "etbench": {
        "": [
            {
                "task": "rar",
                "source": "s",
                "idx": 0,
                "video": "v",
                "q": "Which?",
                "o": ["he cuts bread", "he pours milk"],
                "p": 1,
            },
            {"task": "tvg", "source": "s", "idx": 1, "video": "v", "q": "When?", "tgt": [2, 4]},
            {"task": "tal", "source": "s", "idx": 2, "video": "w", "q": "When?", "tgt": [[0, 2], [4, 6]]},
            {"task": "evs", "source": "s", "idx": 3, "video": "w", "q": "Highlights?", "tgt": [[0, 4]]},
            {"task": "vhd", "source": "s", "idx": 4, "video": "x", "q": "A moment?", "tgt": [[3, 5]]},
            {
                "task": "dvc",
                "source": "s",
                "idx": 5,
                "video": "x",
                "q": "Tell.",
                "tgt": [[0, 3], [4, 6]],
                "g": ["he opens the box", "he takes a cup"],
            },
            {"task": "tem", "source": "s", "idx": 6, "video": "y", "q": "Again?", "tgt": [[1, 2], [8, 9]]},
            {
                "task": "gvq",
                "source": "s",
                "idx": 7,
                "video": "y",
                "q": "What and when?",
                "tgt": [[1, 3]],
                "o": ["a cup", "a pan"],
                "p": 0,
            },
        ]
    },
    "vcrbench": {
        "": [
            {"qid": 1, "goal": "tea", "question": "Order?", "ground_truth": [2, 0, 1], "video_file": "v"},
            {"qid": 2, "goal": "egg", "question": "Order?", "ground_truth": [1, 0], "video_file": "w"},
        ]
    },
    "v-star": {
        "": [
            {
                "vid": "v",
                "domain": "home",
                "fps": 10,
                "width": 20,
                "height": 20,
                "frame_count": 300,
                "question": "What?",
                "answer": "a red cup",
                "temporal_question": "When?",
                "timestamps": [2, 4],
                "bboxes": [BOX],
            },
            {
                "vid": "w",
                "domain": "home",
                "fps": 10,
                "width": 20,
                "height": 20,
                "frame_count": 900,
                "question": "What?",
                "answer": "a dog",
                "temporal_question": "When?",
                "timestamps": [0, 10],
                "bboxes": [BOX],
            },
        ]
    },
    "vidchapters": {
        "": {
            "v": {
                "chapters": [{"time": 0, "label": "Opening the box"}, {"time": 10, "label": "The first cup"}],
                "duration": 20,
            },
            "w": {"chapters": [{"time": 0, "label": "Making tea"}], "duration": 30},
        }
    },
    "vidchapters-captions": {
        "": {
            "v": {"chapters": [{"time": 0, "label": "Opening the large box"}, {"time": 10, "label": "The first cup of tea"}], "duration": 20},
            "w": {"chapters": [{"time": 0, "label": "Making tea at home"}], "duration": 30},
        }
    },
    "vidchapters-grounding": {
        "": {"v": {"chapters": [{"time": 0, "label": "Opening"}, {"time": 10, "label": "The cup"}], "duration": 20}, "w": {"chapters": [{"time": 0, "label": "Tea"}], "duration": 30}}
    },
    "epfl-smart-kitchen": {
        "": [
            {"id": 1, "video": "v", "labels": ["cut", "cut", "pour", "pour", "stir"]},
            {"id": 2, "video": "w", "labels": ["stir"] * 4},
        ]
    },
    "camerabench": {"motions.json": {"v": ["pan-left"], "w": ["tilt-up", "pan-left"], "x": ["static"]}},
    "camerabench-vqa": {
        "": [
            {"question": "Does it pan?", "positive": "v", "negative": "w", "label": "pan"},
            {"question": "Does it tilt?", "positive": "w", "negative": "x", "label": "tilt"},
        ]
    },
    "video-simpleqa": {
        "": [
            {
                "date": "d",
                "video": "v",
                "QA_Pair_1_Question": "Who?",
                "QA_Pair_1_Answer": "Ada Lovelace",
                "Multi_hop_Question": "Born when?",
                "Multi_hop_Answer": "1815",
            },
            {"date": "e", "video": "w", "QA_Pair_1_Question": "Where?", "QA_Pair_1_Answer": "Oslo"},
        ]
    },
    "vstream-qa": {
        "": [
            {
                "video_id": "v",
                "id": 1,
                "question": "What is in the pan?",
                "answer": "two eggs",
                "answer_type": "object",
                "duration": 9,
            },
            {"video_id": "w", "conversations": [{"question": "Who?", "answer": "a child", "start_time": 0, "end_time": 40}]},
        ]
    },
    "mimeqa": {
        "": [
            {"video": "v", "question": "What is he doing?", "answer": "climbing a ladder", "category": "imagined objects"},
            {"video": "w", "question": "How is he?", "answer": "sad"},
        ]
    },
    "magqa": {
        "": "".join(
            json.dumps(r) + "\n"
            for r in [
                {
                    "question_id": 1,
                    "video": "v",
                    "question": "What happens?",
                    "answers": ["he opens the door", "he sits down"],
                    "answer_time": [[0, 5], [6, 9]],
                },
                {"question_id": 2, "video": "w", "answers": ["it rains"], "answer_time": [[1, 2]]},
            ]
        )
    },
    "dream-1k": {
        "": "".join(
            json.dumps(r) + "\n"
            for r in [
                {"id": k, "video": f"v{k}", "description": d, "events": d.rstrip(".").split(". ")}
                for k, d in enumerate(["A man opens the door. He sits down.", "A dog barks."])
            ]
        )
    },
}


def loaded(name, folder):
    """The benchmark and its items, read from files as its data set has them."""
    for file, content in FILES[name].items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / (file or "data")).write_text(text)
    benchmark = b.BENCHMARKS[name]()
    return benchmark, benchmark.load(folder / "data" if "" in FILES[name] else folder)


def perfect(name, item):
    """A reply that is right in both modes."""
    truth, letters = item.truth, "ABCDE"
    match name:
        case "ovo-bench" if item.task == "REC":
            return str(truth)
        case "ovo-bench" if item.task in ("SSR", "CRR"):
            return "Yes" if truth else "No"
        case "ovo-bench" | "streamingbench" | "tvbench" | "egoschema":
            return letters[truth or 0]
        case "video-bench":
            return "A"
        case "streamingbench-proactive":
            return [[truth[0], truth[1]]]
        case "videohallucer":
            return list(truth)
        case "egohoibench":
            return [0.9, [0.1, 0.2], [0.3, 0.4]]
        case "spookybench":
            return truth[0]
        case "ual-bench":
            return list(truth)
        case "etbench" if item.task == "gvq":
            return f"({letters[truth['right']]}) from 1 to 3"
        case "etbench" if item.task in ("rar", "eca", "rvq"):
            return letters[truth["right"]]
        case "etbench" if item.task in ("dvc", "slc"):
            return [[*s, t] for s, t in zip(truth["spans"], truth["texts"])]
        case "etbench":
            return [list(s) for s in truth["spans"]] if item.task != "vhd" else truth["spans"][0][0]
        case "vcrbench":
            return ", ".join(f"Clip {k}" for k in truth)
        case "v-star":
            where = {t: list(box) for t, box in truth["boxes"].items()}
            return {"answer_vqa": truth["answer"]} | {
                f"answer_{k}{c}": v for c in ("", "_2") for k, v in (("temporal", list(truth["span"])), ("spatial", where))
            }
        case "vidchapters":
            return [list(chapter) for chapter in truth]
        case "epfl-smart-kitchen":
            return list(truth)
        case "camerabench":
            return {label: float(label in truth) for label in item.options}
        case "camerabench-vqa":
            return ["yes", "no"]
        case "magqa":
            return [[span[0], text] for span, text in truth]
        case "dream-1k":
            return truth[0]
        case _:
            return truth


def score(benchmark, items, replies, mode):
    return benchmark.totals(benchmark.outcomes(items, replies, mode, Offline()))


@pytest.mark.parametrize("name", FILES)
def test_perfect_replies_have_the_most_and_none_have_the_least(name, tmp_path):
    benchmark, items = loaded(name, tmp_path)
    most = {"v-star": None, "magqa": 5.0, "vidchapters": 0.9595, "vidchapters-captions": 10.0}.get(
        name, 1.0
    )  # METEOR of a short sentence with itself is below 1
    for mode in core.MODES:
        best = score(benchmark, items, {i.id: perfect(name, i) for i in items}, mode)[benchmark.main]
        if most is not None:
            assert best == pytest.approx(most, abs=1e-4), (mode, best)
        rows = b.report(benchmark, items, {}, Offline(), rounds=5)
        worst = [r for r in rows if r["measure"] == benchmark.main and r["mode"] == "strict" and not r["task"]]
        least = {"magqa": 1.0, "camerabench": 4 / 9}.get(name, 0.0)
        assert worst[0]["score"] == pytest.approx(least, abs=1e-3)
        scored = [i for i in items if i.truth is not None or not benchmark.answers_are_public]
        assert worst[0]["missing"] == worst[0]["n"] == len(scored)


@pytest.mark.parametrize("name", FILES)
def test_the_order_of_items_and_unreadable_replies_change_nothing_for_the_better(name, tmp_path):
    benchmark, items = loaded(name, tmp_path)
    replies = {i.id: perfect(name, i) for i in items[::2]}
    for mode in core.MODES:
        one = score(benchmark, items, replies, mode)
        other = score(benchmark, random.Random(1).sample(items, len(items)), dict(reversed(replies.items())), mode)
        assert {k: v for k, v in one.items() if not math.isnan(v)} == pytest.approx(
            {k: v for k, v in other.items() if not math.isnan(v)}
        )


def test_every_benchmark_has_an_example():
    assert set(FILES) == set(b.BENCHMARKS)


def both(name, folder, reply_of):
    """{mode: totals} of replies made by `reply_of(item)`."""
    benchmark, items = loaded(name, folder)
    return {mode: score(benchmark, items, {i.id: reply_of(i) for i in items}, mode) for mode in core.MODES}


def test_ovo_bench_published_finds_letters_in_words(tmp_path):
    # "Both" holds the B of the first item and no letter of the second (A): published half of the two, strict none.
    out = both("ovo-bench", tmp_path, lambda i: "Both of them" if i.options else None)
    assert (out["published"]["backward"], out["published"]["realtime"]) == (1.0, 0.0)
    assert (out["strict"]["backward"], out["strict"]["realtime"]) == (0.0, 0.0)
    # Groups weigh alike: (1 + 0 + 0) / 3; tasks: 1 of 5.
    assert out["published"]["accuracy"] == pytest.approx(1 / 3)
    assert out["published"]["all_tasks"] == pytest.approx(1 / 5)


def test_ovo_bench_forward_by_query_and_by_annotation(tmp_path):
    # Counts of 1 and 2 belong to one annotation; the step and the clue are one each.
    out = both("ovo-bench", tmp_path, lambda i: "1" if i.task == "REC" else "Yes")["published"]
    assert (out["forward"], out["forward_by_annotation"]) == (pytest.approx((1 / 2 + 1 + 0) / 3), pytest.approx((1 / 2 + 1 + 0) / 3))
    assert both("ovo-bench", tmp_path, lambda i: "12" if i.task == "REC" else None)["published"]["forward"] == 0
    benchmark, items = loaded("ovo-bench", tmp_path)
    again = core.Item("4-1", "w", truth=True, task="REC")
    outcomes = benchmark.outcomes(items, {i.id: "1" for i in items}, "strict") + [core.Outcome(again, {"accuracy": 1.0})]
    # Queries of counting: 1 of 2 of one annotation and 1 of 1 of another.
    assert benchmark.totals(outcomes)["forward"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert benchmark.totals(outcomes)["forward_by_annotation"] == pytest.approx(((1 / 2 + 1) / 2 + 0 + 0) / 3)


def test_streamingbench_wants_the_first_letter_and_shows_the_last_minute(tmp_path):
    for reply, right in (("The answer is {}.", 0.0), ("{}. it is", 1.0), ("({})", 0.0)):
        out = both("streamingbench", tmp_path, lambda i, reply=reply: reply.format("AB"[i.truth]))
        assert out["published"]["accuracy"] == out["strict"]["accuracy"] == right
    _, items = loaded("streamingbench", tmp_path)
    assert [(i.from_s, i.until_s) for i in items] == [(30, 90), (0, 20), (0, 40)]
    assert items[2].extra["before"] == (("What?", "cup"),)


def test_a_proactive_answer_counts_in_time_only(tmp_path):
    wanted = {(32, "Goal!"): (1, 1), (31, "a goal"): (1, 1), (33, "Goal!"): (0, 0), (30, "He runs"): (0, 1)}
    for (at, text), (right, in_time) in wanted.items():
        out = both("streamingbench-proactive", tmp_path, lambda i, at=at, text=text: [[at, text]])
        assert (out["published"]["accuracy"], out["published"]["in_time"]) == (right, in_time)
        assert out["strict"]["accuracy"] == right
    # Who talks about other things first is judged by when it says the wanted text.
    out = both("streamingbench-proactive", tmp_path, lambda i: [[12, "He runs"], [31, "Goal"]])
    assert (out["published"]["accuracy"], out["strict"]["accuracy"]) == (0.0, 1.0)


def test_tempcompass_rules(tmp_path):
    replies = {"multi-choice": "B)", "yes_no": "No, it closes first", "caption_matching": "Caption A."}
    out = both("tempcompass", tmp_path, lambda i: replies[i.extra["form"]])
    assert (out["published"]["accuracy"], out["strict"]["accuracy"]) == (1.0, 1.0)
    replies = {"multi-choice": "It goes slower", "yes_no": "I would say no", "caption_matching": "it jumps"}
    out = both("tempcompass", tmp_path, lambda i: replies[i.extra["form"]])
    # A sentence of a caption may stand without its letter; no rule finds the other two.
    assert out["published"]["accuracy"] == out["strict"]["accuracy"] == pytest.approx(1 / 3)
    benchmark, items = loaded("tempcompass", tmp_path)
    assert benchmark.chance(items)["accuracy"] == pytest.approx(0.5)


def test_two_letters_are_none_of_tempcompass(tmp_path):
    assert unread("tempcompass", tmp_path, "AB") == (3, 3, 0.0)


def test_chance_is_summed_as_the_score_is(tmp_path):
    benchmark, items = loaded("ovo-bench", tmp_path)
    # Groups weigh alike: 1/3, 1/3, and 1/2 of the two tasks of yes and no; a count has no chance that is known.
    assert benchmark.chance(items)["accuracy"] == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)
    assert benchmark.chance(items)["forward"] == 0.5
    benchmark, items = loaded("tvbench", tmp_path)
    # Tasks weigh alike, however many questions each has.
    assert benchmark.chance([*items, items[0]])["accuracy"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    benchmark, items = loaded("etbench", tmp_path)
    assert benchmark.chance(items) == {} and benchmark.chance([i for i in items if i.task == "gvq"]) == {}
    assert benchmark.chance([i for i in items if i.task == "rar"]) == {"score": 0.5}
    benchmark, items = loaded("vcrbench", tmp_path)
    # Of three and of two clips each order has one in its place on average: 2 of 5.
    assert benchmark.chance(items) == {"accuracy": pytest.approx((1 / 6 + 1 / 2) / 2), "steps": 0.4}


def test_egoschema_scores_what_is_public_and_writes_the_rest(tmp_path):
    benchmark, items = loaded("egoschema", tmp_path)
    replies = {"a": 3, "b": "4", "c": "thing 2"}
    assert score(benchmark, items, replies, "strict")["accuracy"] == 0.5
    assert benchmark.submission(items, replies) == ({"a": 3, "b": 4, "c": 2}, "3 of 3 questions answered")
    assert benchmark.submission(items, {"a": [], "b": 7}) == ({}, "0 of 3 questions answered")


def test_video_bench_only_tells_what_can_be_read(tmp_path):
    benchmark, items = loaded("video-bench", tmp_path)
    assert benchmark.submission(items, {"NBA_QA/q1": "to the right"}) == ({"NBA_QA": {"q1": "B"}}, "B 1")
    assert benchmark.submission(items, {"NBA_QA/q1": ["B"]}) == ({}, "no letter 1")
    assert b.report(benchmark, items, {"NBA_QA/q1": "hm"}, rounds=2)[0]["unparsed"] == 1


def test_videohallucer_counts_pairs_and_bias(tmp_path):
    out = both("videohallucer", tmp_path, lambda i: ["Yes, it is.", "Yes."])
    assert (out["strict"]["basic"], out["strict"]["accuracy"]) == (1.0, 0.0)
    # Four times yes where it is twice right: (4 - 2) / (2 * 2); both wrong answers are yes.
    assert (out["strict"]["yes_difference"], out["strict"]["false_positive_ratio"]) == (0.5, 1.0)
    out = both("videohallucer", tmp_path, lambda i: ["No.", "Yes."])["strict"]
    assert (out["yes_difference"], out["false_positive_ratio"]) == (0.0, 0.5)  # of four wrong ones two are yes
    # Either word is found in either reply; the first ones are wrong.
    out = both("videohallucer", tmp_path, lambda i: ["No, or yes?", "Yes. No."])["strict"]
    assert (out["accuracy"], out["first_words"]) == (1.0, 0.0)


def test_egohoibench_a_word_stands_in_the_place_of_the_verb_or_of_the_last_noun():
    instead = b.BENCHMARKS["egohoibench"].instead
    assert instead("#C C opens the door", " closes", "verb") == "#C C closes the door"
    assert instead("#O man X opens the door", "closes", "verb") == "#O man X closes the door"
    assert instead("#C opens the door", "lid", "noun") == "#C opens the lid"
    assert instead("#C C opens the door", "#C C shuts it", "verb") == "#C C shuts it"


def test_egohoibench_a_tie_is_a_hit_but_not_alone(tmp_path):
    for reply, action, alone in (([0.5, [0.5, 0.1], [0.2, 0.1]], 1.0, 0.0), ([0.5, [0.4], [0.4]], 1.0, 1.0), ([0.5, [0.4], [0.6]], 0.0, 0.0)):
        out = both("egohoibench", tmp_path, lambda i, reply=reply: reply)
        assert [(out[mode]["action"], out[mode]["action_alone"]) for mode in core.MODES] == [(action, alone)] * 2


def test_spookybench_finds_a_label_anywhere_and_a_whole_word_besides(tmp_path):
    for reply in ("a scar of stars", "car star " + "other " * 40):
        out = both("spookybench", tmp_path, lambda i, reply=reply: reply)
        assert [(out[mode]["accuracy"], out[mode]["whole_word"]) for mode in core.MODES] == [(1.0, 0.0)] * 2
    out = both("spookybench", tmp_path, lambda i: f"It is a {i.truth[0]}.")["strict"]
    assert (out["accuracy"], out["whole_word"]) == (1.0, 1.0)


def test_ual_bench_a_missing_prediction_is_no_hit(tmp_path):
    out = both("ual-bench", tmp_path, lambda i: None)
    # The second event ends at 2.5 s, below the threshold of 3 s; both below 7.
    assert [out["published"][f"r1@td{t}s"] for t in (0, 1, 3, 5, 7)] == [0, 0, 0.5, 0.5, 1.0]
    assert [out["strict"][f"r1@td{t}s"] for t in (0, 1, 3, 5, 7)] == [0] * 5
    out = both("ual-bench", tmp_path, lambda i: [3, 6] if i.id == "a" else "0:00 - 0:03")
    # IoU 3/4 and 2/3; distances 1 and 1.
    for mode in core.MODES:
        assert out[mode]["miou"] == pytest.approx((3 / 4 + 2 / 3) / 2)
        assert (out[mode]["r1@iou0.7"], out[mode]["r1@td1s"], out[mode]["r1@td0s"], out[mode]["onset@0.25s"]) == (
            0.5,
            1.0,
            0.0,
            0.0,
        )
    backward = both("ual-bench", tmp_path, lambda i: [6, 2])
    assert backward["strict"]["miou"] == 0.0


def test_ual_bench_reads_its_sources_own_files(tmp_path):
    text = {"visual_input": "f.mp4", "ID": 2, "output": "He slips at 3 and falls at 9."}
    for rows, wanted in [
        ({"a": {"start_time": 1, "end_time": 2, "description": "d"}}, ("a", (1, 2))),
        ([["v", {"id": 1, "time": "0018:0124"}]], ("v", (18, 84))),
        ([{"visual_input": "f.mp4", "ID": 1, "output": "[30, 90]"}, text], ("f.mp4", (1, 3))),
    ]:
        (tmp_path / "f").write_text(json.dumps(rows))
        assert [(i.video, i.truth) for i in b.BENCHMARKS["ual-bench"]().load(tmp_path / "f")] == [wanted]


def test_etbench_unread_highlights_and_spans_found_twice(tmp_path):
    benchmark, items = loaded("etbench", tmp_path)
    of = {i.task: i.id for i in items}
    twice = {of["tal"]: [[0, 2], [0, 2], [4, 6]], of["evs"]: "I cannot say"}
    published, strict = (score(benchmark, [i for i in items if i.id in twice], twice, m) for m in core.MODES)
    # evs: left out, or nought. tal: all three found hit (1.0); each once, 2 of 3 and 2 of 2: F 0.8.
    assert published["score"] == pytest.approx(1.0)
    assert strict["score"] == pytest.approx((1.0 + 0) / 2)
    assert published["tal_each_once"] == strict["tal_each_once"] == pytest.approx(0.8)
    # R@{.1, .3, .5, .7} at IoU 0.5: three of four.
    assert (
        score(benchmark, [i for i in items if i.task == "tvg"], {of["tvg"]: "from 2 to 3 seconds"}, "strict")["score"] == 0.75
    )


def test_vcrbench_orders(tmp_path):
    out = both("vcrbench", tmp_path, lambda i: "Clip 3, Clip 2, Clip 1" if i.id == "1" else "Clip 2 Clip 1")["strict"]
    assert (out["accuracy"], out["mean_of_goals"]) == (0.5, 0.5)
    assert out["steps"] == pytest.approx((1 + 2) / 5)
    assert both("vcrbench", tmp_path, lambda i: "Clip 1")["strict"]["steps"] == 0


def test_v_star_rows_without_what(tmp_path):
    def reply(item):
        where = {"1.0": [0, 0, 10, 5]}
        row = {
            "answer_vqa": item.truth["answer"],
            "answer_temporal": [2, 3],
            "answer_spatial": where,
            "answer_temporal_2": "[2, 3]",
            "answer_spatial_2": str(where),
        }
        return row if item.video == "v" else {"answer_temporal": [0, 10]}

    out = both("v-star", tmp_path, reply)
    # What: 1 of 2 in both. When: 0.5 over one row, or over two. Where: 0.5 likewise.
    assert out["published"]["AM"] == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert out["strict"]["AM"] == out["strict"]["mAM"] == pytest.approx((0.5 + 0.25 + 0.25) / 3)
    assert out["strict"]["LGM"] == pytest.approx(-(math.log(0.5) + 2 * math.log(0.75)) / 3)
    assert (out["strict"]["ap@0.5"], out["strict"]["ap@0.7"], out["strict"]["all"]) == (0.5, 0.0, 0.5)


def test_v_star_without_any_answer_is_nought(tmp_path):
    out = both("v-star", tmp_path, lambda i: None)
    assert [(out[mode]["mAM"], out[mode]["mLGM"]) for mode in core.MODES] == [(0, 0)] * 2


def test_vidchapters_leaves_out_or_counts_what_is_missing(tmp_path):
    out = both("vidchapters", tmp_path, lambda i: perfect("vidchapters", i) if i.id == "v" else None)
    assert (out["published"]["f1"], out["strict"]["f1"]) == (1.0, 0.5)
    out = both(
        "vidchapters",
        tmp_path,
        lambda i: [[0, "Opening the box"], [14, "The first cup"]] if i.id == "v" else [[0, "Making tea"]],
    )
    # IoU 10/14 and 6/10: at 0.3 and 0.5 both, at 0.7 one, at 0.9 none, in v; all in w. F1 is of the means, which are alike here.
    assert out["strict"]["f1"] == out["strict"]["f1_each_once"] == pytest.approx((1 + 1 + 0.75 + 0.5) / 4)
    assert (out["strict"]["f1@3s"], out["strict"]["f1@5s"]) == (0.75, 1.0)
    # 1 of 1 and 1 of 2 in v, nothing of w: precision 1/2, recall 1/4.
    out = both("vidchapters", tmp_path, lambda i: [[0, "Opening the box"]] if i.id == "v" else None)["strict"]
    assert out["f1@1s"] == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_kitchen_segments(tmp_path):
    out = both(
        "epfl-smart-kitchen",
        tmp_path,
        lambda i: ["cut", "pour", "pour", "pour", "stir"] if i.id == "1" else ["stir", "cut", "stir", "stir"],
    )
    assert out["strict"]["frames"] == pytest.approx((4 / 5 + 3 / 4) / 2)
    # Orders: alike (1), and stir cut stir for stir: 1 - 2/3.
    assert out["strict"]["edit"] == pytest.approx((1 + 1 / 3) / 2)
    # At 0.5: all three of the first; in the second stir 2/4 hits, 1 of 3 found and of 1 wanted: F 0.5.
    assert out["strict"]["f1@0.5"] == pytest.approx((1 + 0.5) / 2)


def test_camerabench_average_precision(tmp_path):
    benchmark, items = loaded("camerabench", tmp_path)
    scores = {
        "v": {"pan-left": 0.2, "static": 0.1, "tilt-up": 0},
        "w": {"pan-left": 0.9, "static": 0.2, "tilt-up": 1},
        "x": {"pan-left": 0.5, "static": 0.3, "tilt-up": 0},
    }
    out = score(benchmark, items, scores, "strict")
    # pan-left: ranks w (yes), x (no), v (yes): (1 + 2/3) / 2.
    assert (out["ap:pan-left"], out["ap:static"], out["ap:tilt-up"]) == (pytest.approx(5 / 6), 1.0, 1.0)
    assert benchmark.chance(items)["map"] == pytest.approx((2 / 3 + 1 / 3 + 1 / 3) / 3)
    # A video without scores comes last of each label: v of pan-left as before.
    assert score(benchmark, items, scores | {"v": None}, "strict")["ap:pan-left"] == pytest.approx(5 / 6)
    assert score(benchmark, items, scores | {"w": None}, "strict")["ap:pan-left"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_video_simpleqa_abstaining_is_neither_right_nor_wrong(tmp_path):
    replies = {"0-1": "It is Ada Lovelace.", "0-all": "I don't know", "1-1": "Paris"}
    out = both("video-simpleqa", tmp_path, lambda i: replies[i.id])["strict"]
    # 1 of 3 right, 1 of 2 of those that were tried: F = 2 * 1/2 * 1/3 / (5/6).
    assert (out["not_attempted"], out["f_score"]) == (pytest.approx(1 / 3), pytest.approx(0.4))


def test_magqa_talking_all_the_time(tmp_path):
    said = [[t, "he opens the door"] for t in range(10)]
    out = both("magqa", tmp_path, lambda i: said if i.id == "1" else None)
    # Marks of 5 in the first span, of 2 in the second, however often it is said; the other video has 1.
    assert out["published"]["in_span"] == out["strict"]["in_span"] == pytest.approx((3.5 + 1) / 2)
    assert (out["strict"]["turns"], out["strict"]["turns_that_differ"]) == (5, 0.5)


def test_magqa_tells_what_was_said_in_no_span(tmp_path):
    out = both("magqa", tmp_path, lambda i: [[1, "he opens the door"], [7, "he sits down"], [20, "it rains"]] if i.id == "1" else None)["strict"]
    assert (out["outside"], out["turns_that_differ"], out["in_span"]) == (pytest.approx(1 / 3), 1.5, 3.0)


def test_open_answers_have_a_mark_of_five(tmp_path):
    assert both("mimeqa", tmp_path, lambda i: "climbing a ladder" if i.video == "v" else "happy")["strict"]["mark"] == 5 / 2
    benchmark, items = loaded("mimeqa", tmp_path)
    # One word of two in both: an F1 of a half, of five, in whole marks.
    assert benchmark.judge(items[0], "climbing a wall", "strict", Offline()) == {"accuracy": 0.0, "mark": 2.0}


def test_an_answer_holds_the_truth_by_whole_words():
    right = Offline().right
    assert right("It is a red car.", "the car") and not right("a scar", "car") and not right("car", "") and not right("", "car")


def test_dream_events(tmp_path):
    out = both("dream-1k", tmp_path, lambda i: "A man opens the door. A cat sleeps." if i.id == "0" else None)["strict"]
    assert (out["recall"], out["precision"]) == (pytest.approx(0.5 / 2), pytest.approx(0.5 / 2))


def test_letters_in_replies():
    options = ["the red cup", "the blue pan", "both", "neither"]
    for reply, wanted in [
        ("B", 1), ("(c)", None), ("(C) both", 2), ("D.", 3), ("B: the blue pan", 1), ("The answer is A", 0), ("Option B, I think", 1),
        ("A cup stands there", None), ("the blue pan", 1), ("It is the red cup.", 0), ("I see a pan", None), ("E", None), ("", None),
        ("red cup or blue pan", None), ("It must be C!", 2),
    ]:  # fmt: skip
        assert parse.letter(reply, options) == wanted, reply


def test_times_and_spans_in_replies():
    assert [parse.seconds(t) for t in ("12.5 s", "1:30", "1:02:03", 7, "none")] == [12.5, 90, 3723, 7, None]
    assert parse.span("from 1.5 to 3 seconds") == parse.span("[1.5, 3]") == parse.span([1.5, 3]) == (1.5, 3)
    assert parse.span("0:10 - 0:20") == (10, 20)
    assert parse.spans("1 - 2, and 5 to 7") == [(1, 2), (5, 7)]
    assert (parse.span("at the end"), parse.order("no idea")) == (None, None)


def test_measures_by_hand():
    assert measures.tiou((0, 4), (2, 6)) == pytest.approx(2 / 6)
    assert measures.tiou((0, 4), (4, 2)) == 0
    assert measures.box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert measures.average_precision([0.9, 0.8, 0.7], [1, 0, 1]) == pytest.approx(5 / 6)
    assert measures.average_precision([0.5, 0.5], [1, 0]) == 0.5  # equal scores say nothing of the order
    assert measures.log_mean([0.5, 0.0, 1.0]) == pytest.approx((math.log(2) + 6 * math.log(10)) / 3)
    assert measures.seconds_f1([(0, 4)], [(2, 6)]) == pytest.approx(0.5)
    assert measures.token_f1("the red cup", "a red pan") == pytest.approx(0.5)
    # Two found may not share one wanted.
    assert measures.matched([[0.9], [0.8]], 0.5) == 1


def test_captions_against_recorded_values():
    """CIDEr-D of pycocoevalcap by hand for one pair of words' counts is its library's own test; here that ours hands it the right tables."""
    pairs = [("a man opens the door", ["a man opens the door"]), ("a dog runs", ["the cat sleeps on the sofa"])]
    alike, other = captions.cider(pairs)
    assert (alike, other) == (pytest.approx(10.0), pytest.approx(0.0))
    assert captions.bleu4([("a man opens the red door", ["a man opens the red door"])]) == pytest.approx(1.0, abs=1e-3)
    assert captions.meteor("the cat sat", ["the cats sat"]) == pytest.approx(
        0.98148, abs=1e-5
    )  # a stem, one chunk: 1 - 0.5 / 27
    # Two of two words and of three, one chunk: F of 1 and 2/3 by 9 to 1, times 1 - 0.5 / 8.
    assert captions.meteor("the cat", ["the cat sat"]) == pytest.approx((2 / 3) / (0.9 + 0.1 * 2 / 3) * (1 - 0.5 / 8))
    assert captions.rouge_l("the cat", ["the cat sat"]) == pytest.approx(0.8)
    found, wanted = (
        [(0, 10, "a man opens the door"), (10, 20, "he sits")],
        [(0, 10, "a man opens the door"), (15, 20, "he sits")],
    )
    likeness = lambda a, c: float(a == c)  # noqa: E731
    assert captions.soda_c(found, wanted, likeness) == pytest.approx((1 + 0.5) / 2)
    # The order counts: the two swapped have only one that can be kept.
    assert captions.soda_c(found, wanted[::-1], likeness) == pytest.approx(1 / 2)


spans = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)).map(lambda p: (min(p), max(p) + 0.1)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(spans, spans)
def test_span_measures_are_between_nought_and_one_and_symmetric(a, c):
    for least in (0.1, 0.5):
        assert 0 <= measures.set_f1(a, c, least) <= measures.set_f1(a, c, least, one_to_one=False) + 1e-9
        assert measures.set_f1(a, c, least) == pytest.approx(measures.set_f1(c, a, least))
    assert measures.set_f1(a, a, 0.99) == 1
    assert measures.tiou(a[0], c[0]) == measures.tiou(c[0], a[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_segment_measures(a, c):
    assert 0 <= measures.edit_score(a, c) == measures.edit_score(c, a) <= 1
    assert measures.edit_score(a, a) == measures.segment_f1(a, a, 0.9) == 1


def test_intervals_hold_the_figure_and_need_two_videos(tmp_path):
    benchmark = b.BENCHMARKS["mimeqa"]()
    items = [b.Item(str(k), f"v{k // 2}", truth="yes" if k % 3 else "no") for k in range(40)]
    rows = b.report(benchmark, items, {i.id: "yes" for i in items}, Offline())
    row = next(r for r in rows if r["mode"] == "strict" and r["measure"] == "accuracy")
    assert row["low"] <= row["score"] <= row["high"] and row["high"] - row["low"] > 0.05
    alone = b.report(benchmark, items[:2], {}, Offline())[0]
    assert (alone["low"], alone["high"]) == (None, None)


def test_a_report_has_a_row_for_each_task_with_its_own_chance(tmp_path):
    benchmark, items = loaded("tvbench", tmp_path)
    rows = b.report(benchmark, items, {items[0].id: "B"}, rounds=2)
    told = {r["task"]: (r["n"], r["score"], r["chance"], r["missing"]) for r in rows if r["mode"] == "strict"}
    assert told == {"": (2, 0.5, 0.4167, 1), "count": (1, 1.0, 0.5, 0), "order": (1, 0.0, 0.3333, 1)}


def test_what_is_of_one_source_is_drawn_together():
    benchmark = b.BENCHMARKS["mimeqa"]()
    items = [core.Item(str(k), f"v{k}", truth="yes", source="one") for k in range(4)]
    alone = b.report(benchmark, items, {i.id: "yes" for i in items[:2]}, Offline(), rounds=20)[0]
    assert (alone["score"], alone["low"], alone["high"]) == (0.5, None, None)


NAN = math.nan
# What a model may write where JSON is asked for, or a file of predictions may hold.
ODD = ["", "x", 1, NAN, True, [], {}, [NAN, NAN], [1, 2], ["a"], [["a", "b"]], [{"a": 1}], {"a": 1}, [None, None], [[NAN, "x"]],
       [[1, 2, None]], [[1, None]], ["yes"], [0.5, [NAN, 0.1], [0.1]], [NAN, [0.1], [0.1]], {"pan-left": "x"}, {"pan-left": NAN},
       {"answer_vqa": 1}, {"answer_vqa": "Oslo", "answer_spatial": [1]}, {"answer_vqa": "x", "answer_spatial": {"1.0": ["a"] * 4}}]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_reply_of_another_shape_ends_no_run(name, tmp_path):
    benchmark, items = loaded(name, tmp_path)
    for reply in ODD:
        for row in b.report(benchmark, items, {i.id: reply for i in items}, Offline(), rounds=2):
            assert 0 <= row["missing"] + row["unparsed"] <= row["n"]


def unread(name, folder, reply):
    """(n, unparsed, score) of the main measure, strict, where every item has this reply."""
    benchmark, items = loaded(name, folder)
    rows = b.report(benchmark, items, {i.id: reply for i in items}, Offline(), rounds=2)
    (row,) = [r for r in rows if r["mode"] == "strict" and r["measure"] == benchmark.main and not r["task"]]
    return row["n"], row["unparsed"], row["score"]


def test_what_is_no_number_is_no_hit_and_is_counted_as_unread(tmp_path):
    assert unread("egohoibench", tmp_path, [0.5, [0.1, NAN], [0.1]]) == (1, 1, 0.0)  # max() of these is 0.1, of [NaN, 0.1] NaN
    assert unread("ual-bench", tmp_path, [NAN, 3]) == (2, 2, 0.0)
    assert unread("ual-bench", tmp_path, [0, math.inf]) == (2, 2, 0.0)
    assert unread("streamingbench-proactive", tmp_path, [[NAN, "Goal"], [30, "Goal"]]) == (1, 1, 0.0)
    assert unread("streamingbench-proactive", tmp_path, [[30, None]]) == (1, 1, 0.0)
    assert unread("camerabench", tmp_path, {"pan-left": NAN})[:2] == (3, 3)
    assert unread("egoschema", tmp_path, True) == (2, 2, 0.0)
    assert unread("epfl-smart-kitchen", tmp_path, ["cut"]) == (2, 2, 0.0)  # a label for each frame, or none
    assert unread("dream-1k", tmp_path, ["A dog barks."]) == (2, 2, 0.0)


def test_limits_count_as_within(tmp_path):
    assert measures.matched([[0.5]], 0.5) == 1
    out = both("ual-bench", tmp_path, lambda i: [3, 6] if i.id == "a" else [1.5, 2.5])["strict"]
    assert (out["onset@1s"], out["onset@0.25s"]) == (1.0, 0.0)
    _, items = loaded("streamingbench-proactive", tmp_path)
    assert items[0].until_s == 34  # the truth and 4 s
    out = both("spookybench", tmp_path, lambda i: "star " + "other " * (12 if "words" not in i.task else 13))
    assert out["strict"]["whole_word"] == 0.5  # 13 words for a label of one
    out = both("spookybench", tmp_path, lambda i: f"{i.truth[0]} " + "other " * 13)
    assert (out["strict"]["accuracy"], out["strict"]["whole_word"]) == (1.0, 0.0)
    bins = [row | {"frame_count": n} for row in FILES["v-star"][""][:1] for n in (599, 600, 1799, 1800)]
    (tmp_path / "bins").write_text(json.dumps(bins))
    assert [i.task for i in b.BENCHMARKS["v-star"]().load(tmp_path / "bins")] == ["short", "medium", "medium", "long"]


def test_ual_bench_caps_a_distance_that_is_out_of_all_bounds(tmp_path):
    out = both("ual-bench", tmp_path, lambda i: [0, 20000])
    assert [(out[mode]["mean_td_s"], out[mode]["r1@td7s"]) for mode in core.MODES] == [((6 + 2.5) / 2, 0.0)] * 2


def test_a_letter_counts_anywhere_only_as_published_and_an_option_by_all_its_words(tmp_path):
    assert both("ovo-bench", tmp_path, lambda i: "Perhaps both, B" if i.options else None)["published"]["backward"] == 1.0
    assert parse.letter("the cat and the dog", ("a cat", "a cat and a dog")) == 1


def test_one_thing_that_is_found_counts_once():
    # Twice "a" of one wanted: 1 of 3 segments and 1 of 1.
    assert measures.segment_f1("aabaa", "aaaaa", 0.25) == pytest.approx(0.5)
    # One sentence for two wanted of the same span: 1 of 1 and 1 of 2.
    assert captions.soda_c([(0, 10, "x")], [(0, 10, "x")] * 2, lambda *_: 1.0) == pytest.approx(2 / 3)


def test_etbench_takes_a_span_that_runs_backwards_by_its_ends(tmp_path):
    benchmark, items = loaded("etbench", tmp_path)
    for item in (i for i in items if i.task in ("tvg", "tal", "dvc")):
        there = perfect("etbench", item)
        back = [[end, start, *text] for start, end, *text in (there if isinstance(there[0], list) else [there])]
        values = [benchmark.judge(item, reply, "strict", None)["score"] for reply in (there, back if item.task != "tvg" else back[0])]
        assert values == [1.0, 1.0], item.task


def test_etbench_takes_the_first_span_and_grounds_right_answers_only(tmp_path):
    replies = {"tvg": [[5, 6], [2, 4]], "tem": [[5, 6], [1, 2]], "vhd": [9, 4], "gvq": "(B) from 1 to 3"}
    benchmark, items = loaded("etbench", tmp_path)
    items = [i for i in items if i.task in replies]
    for mode in core.MODES:
        assert score(benchmark, items, {i.id: replies[i.task] for i in items}, mode)["score"] == 0


def test_etbench_has_times_for_options_too(tmp_path):
    row = {"task": "eca", "source": "s", "idx": 0, "video": "v", "q": "When is it?", "o": [[0, 3.5], [4, 6]], "p": 1}
    (tmp_path / "data").write_text(json.dumps([row]))
    benchmark = b.BENCHMARKS["etbench"]()
    items = benchmark.load(tmp_path / "data")
    assert items[0].options == ("0 - 3.5", "4 - 6") and "B. 4 - 6" in benchmark.prompt(items[0])
    assert score(benchmark, items, {items[0].id: "4 - 6"}, "strict")["score"] == 1.0


def test_etbench_takes_a_moment_of_any_annotator(tmp_path):
    row = {"task": "vhd", "source": "s", "idx": 0, "video": "v", "q": "A moment?", "tgt": [[[3, 5], [8, 9]], [[4, 6]]]}
    (tmp_path / "data").write_text(json.dumps([row]))
    benchmark = b.BENCHMARKS["etbench"]()
    (item,) = benchmark.load(tmp_path / "data")
    assert [benchmark.judge(item, at, "strict", None)["score"] for at in (4, 5.5, 7, 8.5)] == [1, 1, 0, 1]


def test_etbench_abilities_and_sentences(tmp_path):
    benchmark, items = loaded("etbench", tmp_path)
    right = {i.id: perfect("etbench", i) for i in items}
    out = score(benchmark, items, right | {i.id: [50, 60] for i in items if i.task == "tem"}, "strict")
    assert (out["complex"], out["grounding"], out["score"]) == (0.5, 1.0, pytest.approx(7 / 8))
    # The right words at another time are not those of any event.
    out = score(benchmark, items, right | {i.id: [[50, 60, "he opens the box"]] for i in items if i.task == "dvc"}, "strict")
    assert (out["dense"], out["sentences_by_meteor"]) == (0.0, 0.0)


def test_v_star_is_right_in_all_three_or_not(tmp_path):
    thin = {"1.0": [0, 0, 0.5, 10]}  # IoU 0.05
    out = both("v-star", tmp_path, lambda i: perfect("v-star", i) | {"answer_spatial": thin})["strict"]
    assert (out["all"], out["all_2"]) == (0.0, 1.0)
    # 1 of 3 words and 1 of 2: F 0.4, a mark of 1 of 3, where 2 is wanted.
    out = both("v-star", tmp_path, lambda i: perfect("v-star", i) | {"answer_vqa": "a cup on the table"})["strict"]
    assert out["what"] == 0.0


def test_vidchapters_starts_and_pairs(tmp_path):
    benchmark, items = loaded("vidchapters", tmp_path)
    for off, within in ((0.9, 1.0), (1, 0.0)):  # a second off is not within one
        values = benchmark.judge(items[0], [[off, "Opening the box"], [10 + off, "The first cup"]], "strict", None)
        assert (values["precision@1s"], values["recall@1s"], values["recall@3s"]) == (within, within, 1.0)


def test_vidchapters_a_title_of_no_chapter_is_nought(tmp_path):
    benchmark, _ = loaded("vidchapters", tmp_path)
    found, wanted = [(0, 4, "x"), (0, 5, "z"), (20, 30, "far")], [(0, 10, "y")]
    assert benchmark.pairs(found, wanted) == {(0, 0): ("x", ["y"]), (1, 0): ("z", ["y"])}
    # IoU 0.4, 0.5 and 0: two of three at 0.3, one at 0.5, none at 0.7 and 0.9.
    assert benchmark.titles(found, wanted, [1.0, 1.0]) == pytest.approx((2 / 3 + 1 / 3) / 4)
    assert benchmark.titles(found, wanted, [0.2, 0.8]) == pytest.approx((1.0 / 3 + 0.8 / 3) / 4)
    # A stretch of both chapters overlaps each by half, at 0.3 and 0.5 of the four; its title shares "the" with the second.
    out = both("vidchapters", tmp_path, lambda i: [[0, "Opening the box"]] if i.id == "v" else [[0, "Zebras"]])["strict"]
    alike = [captions.meteor("Opening the box", [title]) for title in ("Opening the box", "The first cup")]
    assert out["meteor"] == pytest.approx(sum(alike) / 2 / 2 / 2) and 0 < alike[1] < alike[0]


def test_vidchapters_has_precision_and_recall_apart(tmp_path):
    out = both("vidchapters", tmp_path, lambda i: [[0, "Opening the box"]] if i.id == "v" else None)["published"]
    # One chapter of twenty seconds is found for two of ten: its IoU with each is a half.
    assert (out["precision@iou0.3"], out["recall@iou0.3"], out["precision@iou0.7"]) == (1.0, 1.0, 0.0)
    assert (out["precision@1s"], out["recall@1s"], out["f1@1s"]) == (1.0, 0.5, pytest.approx(2 / 3))


def test_vidchapters_titles_of_given_chapters(tmp_path):
    benchmark, items = loaded("vidchapters-captions", tmp_path)
    assert [(i.from_s, i.until_s, i.truth) for i in items][1] == (10, 20, "The first cup of tea")
    assert benchmark.form(items[0]) == "text"
    out = both("vidchapters-captions", tmp_path, lambda i: "the first cup of coffee" if i.id == "v/1" else None)
    # Four words of five in the same order; ROUGE-L 4/5; BLEU-4: 4/5 * 3/4 * 2/3 * 1/2 to the fourth root, of that title alone.
    assert out["published"]["rouge_l"] == pytest.approx(0.8) and out["strict"]["rouge_l"] == pytest.approx(0.8 / 3)
    assert out["published"]["bleu4"] == pytest.approx(0.2**0.25, abs=1e-4)
    out = both("vidchapters-captions", tmp_path, lambda i: "the first cup of coffee" if i.id == "v/1" else i.truth)
    assert 6 < out["published"]["cider"] == out["strict"]["cider"] < 10  # two of three are right, and most of the other


def test_vidchapters_when_a_title_is(tmp_path):
    benchmark, items = loaded("vidchapters-grounding", tmp_path)
    assert (items[1].question, items[1].truth, benchmark.form(items[1])) == ('When is the chapter "The cup"?', (10, 20), "span")
    out = both("vidchapters-grounding", tmp_path, lambda i: [12, 19] if i.id == "v/1" else None)
    # IoU 7/10: five of the ten from 0.5 to 0.95; two seconds off.
    assert [out["published"][f"r1@iou{t}"] for t in (0.3, 0.5, 0.7, 0.9)] == [1, 1, 1, 0] and out["published"]["ap"] == 0.5
    assert [out["published"][f"r1@{t}s"] for t in (1, 3)] == [0, 1] and out["strict"]["r1@3s"] == pytest.approx(1 / 3)


def test_dream_1k_is_the_harmonic_mean(tmp_path):
    out = both("dream-1k", tmp_path, lambda i: "A man opens the door." if i.id == "0" else "A dog barks.")["strict"]
    assert (out["recall"], out["precision"], out["f1"]) == (0.75, 1.0, pytest.approx(6 / 7))


def test_an_interval_is_of_95_percent():
    items = [core.Item(str(k), f"v{k}") for k in range(100)]
    outcomes = [core.Outcome(i, {"accuracy": float(k % 2)}) for k, i in enumerate(items)]
    low, high = core.interval(outcomes, lambda chosen: core.means(chosen, ("accuracy",)))["accuracy"]
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), abs=0.02)
