"""Tests of the suite: parts of videos, a server that is asked, replies that are kept, sets of rendered clips, the report."""

import argparse
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

import benchmarks as b
import prepare
import suite
import synthetic
import systems

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not here")
ITEM = b.Item("1", "v.mp4", "Which way?", ("left", "right"), 1, until_s=1.0)


def video(path, count=20, fps=5):
    """Pictures that grow brighter, so that each is known by its brightness."""
    frames = np.repeat(np.arange(count, dtype=np.uint8)[:, None, None, None] * 10 + 20, 32, 1).repeat(32, 2).repeat(3, 3)
    systems.write_frames(path, frames, fps)
    return path


def steps(path):
    """Which pictures a video shows, by their brightness."""
    return [round((int(f.mean()) - 20) / 10) for f in systems.frames_of(path)]


def test_what_is_written_in_the_end_has_its_folder_before_and_what_cannot_be_is_refused(tmp_path):
    path = tmp_path / "reports/of/today.json"
    assert prepare.outcome(str(path)) == path and path.parent.is_dir() and not path.exists()
    (tmp_path / "file").write_text("")
    for wrong, why in ((tmp_path, "is a folder"), (tmp_path / "file/today.json", "Not a directory|File exists")):
        with pytest.raises(argparse.ArgumentTypeError, match=why):
            prepare.outcome(str(wrong))


@needs_ffmpeg
def test_a_part_holds_nothing_of_what_comes_later(tmp_path):
    whole = video(tmp_path / "v.mp4")
    cut = systems.Cutter(tmp_path)
    assert steps(cut.part(whole, None, 2.0)) == list(range(10))
    assert steps(cut.part(whole, 1.0, 2.0)) == list(range(5, 10))
    assert cut.part(whole, None, None) == whole and cut.part(whole, 0, 99) == whole
    assert len(steps(cut.part(whole, 0, 0.01))) == 1  # a question at the very start sees one picture


@needs_ffmpeg
def test_controls_take_away_what_only_time_tells(tmp_path):
    whole = video(tmp_path / "v.mp4")
    seen = {name: steps(systems.Cutter(tmp_path, name).part(whole, None, 2.0)) for name in systems.CONTROLS}
    assert seen["reversed"] == list(range(9, -1, -1)) and seen["single frame"] == [5] * 10
    assert sorted(seen["shuffled"]) == list(range(10)) and seen["shuffled"] != seen["in order"]


@needs_ffmpeg
def test_captions_end_where_the_next_begins_and_silence_is_none(tmp_path):
    whole = video(tmp_path / "v.mp4")
    told = systems.Ocelli(tmp_path / "ocelli", tmp_path, systems.Cutter(tmp_path))
    told.told[whole] = [{"t_start_s": 0.5, "text": "a"}, {"t_start_s": 2.0, "text": "b"}], None
    assert told.captions(None, whole) == [[0.5, 2.0, "a"], [2.0, 4.0, "b"]]
    told.told[whole] = [], None
    assert told.captions(None, whole) is None


class Server(BaseHTTPRequestHandler):
    """As OpenAI's protocol has it; says what `answers` hold, and keeps what it was asked."""

    answers, asked = [], []

    def do_POST(self):
        self.asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        said = self.answers.pop(0)
        self.send_response(200 if said is not None else 500)
        self.end_headers()
        self.wfile.write(said if isinstance(said, bytes) else json.dumps({"choices": [{"message": {"content": said}}]}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.answers, Server.asked = [], []
    http = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/v1"
    http.shutdown()


@needs_ffmpeg
def test_a_server_is_shown_pictures_of_the_part_and_the_question(tmp_path, server):
    video(tmp_path / "v.mp4")
    Server.answers = ["B"]
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path), key="k", frames=3)
    assert asked.reply(b.BENCHMARKS["tvbench"](), ITEM, tmp_path / "v.mp4") == "B"
    path, headers, body = Server.asked[0]
    assert (path, headers["Authorization"], body["model"], body["temperature"]) == ("/v1/chat/completions", "Bearer k", "m", 0)
    *pictures, text = body["messages"][0]["content"]
    assert len(pictures) == 3 and all(p["image_url"]["url"].startswith("data:image/jpeg;base64,") for p in pictures)
    assert "Which way?" in text["text"] and "B. right" in text["text"]


@needs_ffmpeg
def test_a_server_is_polled_for_what_it_should_say_by_itself(tmp_path, server):
    video(tmp_path / "v.mp4")
    Server.answers = ["No", "No, not yet", "Goal"]
    item = b.Item("1", "v.mp4", 'Say "Goal" when it happens.', (), (2.5, "Goal"), from_s=0, until_s=3)
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path))
    assert asked.reply(b.BENCHMARKS["streamingbench-proactive"](), item, tmp_path / "v.mp4") == [[3, "Goal"]]
    shown = [len(body["messages"][0]["content"]) - 1 for _, _, body in Server.asked]
    assert shown == [5, 8, 8]  # 5, 10 and 15 pictures were there, 8 are shown at most


@needs_ffmpeg
def test_a_server_that_fails_is_no_answer_and_a_run_goes_on_where_it_stopped(tmp_path, server):
    video(tmp_path / "v.mp4")
    items = [ITEM, b.Item("2", "v.mp4", "Which way?", ("left", "right"), 0)]
    chosen = suite.Set("tvbench", b.BENCHMARKS["tvbench"](), items, tmp_path)
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path))
    Server.answers = ["B", None]
    assert suite.answer(asked, chosen, tmp_path / "kept.jsonl") == {"1": "B"}
    Server.answers = ["A"]
    assert suite.answer(asked, chosen, tmp_path / "kept.jsonl") == {"1": "B", "2": "A"}
    assert len(Server.asked) == 3  # the first was not asked again


@needs_ffmpeg
@pytest.mark.parametrize("said", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": null}', b'[1]'])
def test_a_server_that_says_something_else_is_no_answer(tmp_path, server, said):
    video(tmp_path / "v.mp4")
    Server.answers = [said]
    with pytest.raises(systems.Broken, match="does not answer as OpenAI's protocol"):
        systems.OpenAi(server, "m", systems.Cutter(tmp_path)).reply(b.BENCHMARKS["tvbench"](), ITEM, tmp_path / "v.mp4")


HANDS = b.Item("h", "v.mp4", "#C C opens the box", (), "", extra={"verb": ["#C C paints the box"], "noun": ["#C C opens the lamp"]})
CHAINS = b.Item("c", "v.mp4", "What?", (), {}, extra={"temporal": "When?", "spatial": "Where?", "at": ("2", "3")})


@needs_ffmpeg
def test_a_server_is_asked_in_the_form_of_each_benchmark(tmp_path, server):
    video(tmp_path / "v.mp4"), video(tmp_path / "w.mp4", 10)
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path))
    reply = lambda name, item, *answers: (Server.answers.extend(answers), asked.reply(b.BENCHMARKS[name](), item, tmp_path / "v.mp4"))[1]  # noqa: E731
    assert reply("egohoibench", HANDS, "#C C opens the box") == [1.0, [0.0], [0.0]]
    assert reply("egohoibench", HANDS, "#C C paints the box") == [0.0, [1.0], [0.0]]
    assert reply("egohoibench", HANDS, "I cannot tell.") is None
    moves = b.Item("m", "v.mp4", "", ("pan-left", "pan-left-up", "static"))
    assert reply("camerabench", moves, 'It does "pan-left".') == {"pan-left": 1.0, "pan-left-up": 0.0, "static": 0.0}
    twins = b.Item("t", "v.mp4", "Does it pan?", (), (True, False), extra={"twin": "Does it pan?", "twin_video": "w.mp4"})
    assert reply("camerabench-vqa", twins, "Yes.", "No.") == ["Yes.", "No."]
    assert [len(body["messages"][0]["content"]) for _, _, body in Server.asked[-2:]] == [9, 9]
    told = reply("v-star", CHAINS, "a cup", "[1, 2]", 'Here: {"2": [0, 0, 4, 4]}')
    assert told["answer_vqa"] == "a cup" and told["answer_spatial_2"] == '{"2": [0, 0, 4, 4]}' and told["answer_temporal"] == "[1, 2]"
    assert "2, 3" in Server.asked[-1][2]["messages"][0]["content"][-1]["text"]
    said = reply("magqa", b.Item("q", "v.mp4", "What happens?"), "It grows.", "no", "no", "No.")
    assert said == [[1.0, "It grows."]]


def test_ocelli_tells_movements_likeness_and_chains_from_what_it_saw(tmp_path, monkeypatch):
    told, part = systems.Ocelli(tmp_path / "ocelli", tmp_path, systems.Cutter(tmp_path)), tmp_path / "v.mp4"
    place = lambda *xs: "m." + bytes(np.array(xs, np.int8)).hex()  # noqa: E731
    told.told[part] = [{"text": "Someone walks.", "t_end_s": 2.0, "evidence": place(100, 0, 0)}], None
    told.moved[part] = {"The camera pans left."}
    labels = b.Item("m", "v.mp4", "", ("pan-left", "zoom-in", "static", "truck-left"))
    assert told.scores(labels, part) == {"pan-left": 1.0, "zoom-in": 0.0, "static": 0.0}  # of what it cannot tell it says nothing
    told.moved[part] = set()
    assert told.scores(labels, part)["static"] == 1.0
    sentences = {"Someone opens the box": (100, 0, 0), "Someone paints the box": (60, 80, 0), "Someone opens the lamp": (0, 100, 0)}
    told.places = {text: systems.vector(place(*at)) for text, at in sentences.items()}
    right, verbs, nouns = told.likeness(HANDS, part)
    assert (round(right, 3), [round(v, 3) for v in verbs], [round(n, 3) for n in nouns]) == (1.0, [0.6], [0.0])
    assert told.stream(b.Item("q", "v.mp4", "What happens?"), part) == [[2.0, "Someone walks."]]
    monkeypatch.setattr(told, "times", lambda item, _: [(1.0, 2.0)] if item.question == "When?" else [])
    monkeypatch.setattr(told, "text", lambda item, _: "a cup")
    assert told.chains(CHAINS, part) == {"answer_vqa": "a cup", "answer_temporal": "[1.0, 2.0]", "answer_temporal_2": "[1.0, 2.0]"}


def test_a_server_is_shown_all_sentences_in_another_order_each_time(tmp_path, monkeypatch):
    asked, shown = systems.OpenAi("http://x", "m", systems.Cutter(tmp_path)), []
    monkeypatch.setattr(asked, "say", lambda part, text: shown.append(text.splitlines()[1:-1]) or "A")
    others = {"verb": [f"#C C {k} the box" for k in range(10)], "noun": [f"#C C opens the {k}" for k in range(10)]}
    replies = [asked.likeness(b.Item(str(k), "v.mp4", "#C C opens the box", (), "", extra=others), None) for k in range(12)]
    assert all(len(lines) == 21 for lines in shown) and len({tuple(lines) for lines in shown}) == 12
    for (right, verbs, nouns), lines in zip(replies, shown):
        assert right + sum(verbs) + sum(nouns) == 1 and right == (lines[0] == "A. #C C opens the box")


def answers_of(tmp_path, monkeypatch, answers):
    """Ocelli that saw two events in a video, and a program that gives these answers; and what that was asked."""
    told, part, asked = systems.Ocelli(tmp_path / "ocelli", tmp_path, systems.Cutter(tmp_path)), tmp_path / "v.mp4", []
    place = lambda *xs: "m." + bytes(np.array(xs, np.int8)).hex()  # noqa: E731
    events = [{"text": "Someone walks.", "t_end_s": 2.0, "evidence": place(100, 0)}, {"text": "Someone falls.", "t_end_s": 4.0, "evidence": place(0, 100)}]
    told.told[part] = events, tmp_path / "journal"
    at = {"walks": (100, 0), "neither": (70, 70), "Someone walks.": (100, 0), "somebody walks": (90, 20), "somebody sits": (20, 90)}
    told.places = {text: systems.vector(place(*xs)) for text, xs in at.items()}

    def run(command, *arguments, give=None):
        asked.append((command, *arguments))
        if command == "events":
            return '{"id": 1, "t_start_s": 1.0, "t_end_s": 2.0}\n{"id": 2, "t_start_s": 3.0, "t_end_s": 4.0}\n{"t_start_s": 0.0}\n'
        if command == "replay":
            arguments[arguments.index("--trace") + 1].write_text('{"kinds": {"stir": 0.2, "cut": 0.7}}\n{"kinds": {"stir": 0.6, "cut": 0.1}}\n')
            return ""
        return json.dumps({"answer": "Yes.", "abstained": False, "value": None, "evidence": []} | answers.pop(0))

    monkeypatch.setattr(systems, "probe", lambda _: (8, 8, 5.0, 9.0))
    monkeypatch.setattr(told, "run", run)
    return told, part, asked


def test_ocelli_chooses_what_is_nearest_to_any_of_what_it_saw(tmp_path, monkeypatch):
    told, part, _ = answers_of(tmp_path, monkeypatch, [])
    item = lambda *options: b.Item("1", "v.mp4", "What?", options, 0)  # noqa: E731
    assert told.choice(item("neither", "walks"), part) == "B"
    assert told.choice(item("A. neither", "B. walks"), part) == "B. walks"  # as it is written, for who compares texts
    assert told.choice(item("Caption A: walks", "Caption B: neither"), part) == "Caption A: walks"
    told.told[part] = [], None
    assert told.choice(item("walks", "neither"), part) is None
    assert told.is_it({"text": "Someone walks."}, "somebody walks") and not told.is_it({"text": "Someone walks."}, "somebody sits")


def test_ocelli_answers_by_ask_in_each_form_and_what_is_refused_is_missing(tmp_path, monkeypatch):
    refused = {"abstained": True, "answer": "Nothing in what I saw says no."}
    given = [{"evidence": [2]}, {}, {"value": 3}, {"value": None}, {"evidence": [2]}, {"evidence": [2, 1]}, {"evidence": [2]}, refused, {}, refused, {}, refused, refused, refused]
    told, part, asked = answers_of(tmp_path, monkeypatch, given)
    item = b.Item("1", "v.mp4", "When?", extra={"about": "somebody falls", "twin": "Blue?"})
    either = b.Item("1", "v.mp4", "Which, and when?", ("neither", "walks"), task="gvq")
    assert b.BENCHMARKS["etbench"]().form(either) == "choice_span"
    assert "like (A) from" in b.BENCHMARKS["etbench"]().prompt(either)
    assert (told.choice_span(either, part), told.choice_span(either, part)) == ("(B) from 3.0 to 4.0", "B")
    asked.clear()
    assert (told.number(item, part), told.number(item, part)) == ("3", None)
    assert asked[0][1] == "How often: somebody falls"
    assert told.span(item, part) == [3.0, 4.0] and told.spans(item, part) == [[1.0, 2.0], [3.0, 4.0]] and told.moment(item, part) == 3.0
    assert told.span(item, part) is None
    assert told.yes_no(item, part) == "Yes." and asked[-1][1] == "Is it now that somebody falls?"
    assert told.pair(item, part, part) == [None, "Yes."] and asked[-1][1] == "Blue?"
    assert told.pair(item, part, part) is None
    assert told.text(item, part) == "Someone walks. Someone falls."  # what it saw, where it has no answer
    assert told.labels(item, part) == ["cut", "stir"]


def test_who_does_not_look_answers_as_each_benchmark_reads(tmp_path):
    blind, item = systems.Blind(), b.Item("1", "v.mp4", "Which cup is red?", ("A. a pan", "B. the red cup"), 1)
    assert [blind.reply(b.BENCHMARKS[name](), item, None) for name in ("tvbench", "tempcompass")] == ["B", "B. the red cup"]


@pytest.mark.parametrize(("seconds", "now"), [(4.25, "2026-01-01T12:00:04.250Z"), (86399.9999, "2026-01-02T11:59:59.999Z")])
def test_a_question_is_asked_at_the_end_of_a_video_of_any_length(tmp_path, monkeypatch, seconds, now):
    told = systems.Ocelli(tmp_path / "ocelli", tmp_path, systems.Cutter(tmp_path))
    told.told[tmp_path / "v.mp4"] = [], None
    monkeypatch.setattr(systems, "probe", lambda _: (8, 8, 5.0, seconds))
    asked = []
    monkeypatch.setattr(told, "run", lambda *arguments: (asked.append(arguments), "{}")[1])
    told.ask("When?", tmp_path / "v.mp4")
    assert asked[0][asked[0].index("--now") + 1] == now


def test_sets_ask_nothing_that_has_two_answers():
    made = lambda *spans: synthetic.Rendered("c", None, "c.mp4", 9.0, "r", False, None, [], [], list(spans))  # noqa: E731
    once, again = made(("walk", 0, 1), ("sit", 1, 2)), made(("walk", 0, 1), ("sit", 1, 2), ("walk", 2, 3))
    assert [len(synthetic.overall([clip])["questions.json"]) for clip in (once, again)] == [1, 0]
    assert synthetic.in_order(again, ["sit", "walk"]) and not synthetic.in_order(once, ["sit", "walk"])
    titles = lambda *names: {"chapters": [{"time": k, "label": name} for k, name in enumerate(names)]}  # noqa: E731
    assert synthetic.apart({"f": {"a": titles("x", "y"), "b": titles("x", "y", "x")}}) == {"f": {"a": titles("x", "y")}}


def made(name, *spans, questions=(), narrations=(), seconds=6.0, path=None):
    return synthetic.Rendered(name, path, f"{name}.mp4", seconds, "room", False, "order", list(questions), list(narrations), list(spans))


FALLS = [made(f"c{k}", ("walk", 0, 2), ("fall", 2, 3), ("lie", 3, 6)) for k in range(24)]


def test_the_right_one_of_a_choice_stands_anywhere():
    for rows in (
        [(r["options"], r["gt"]) for r in synthetic.online(FALLS)["ovo_bench_new.json"] if "options" in r],
        [([o[3:] for o in q["options"]], "ABCD".index(q["answer"])) for v in synthetic.timed_choices(FALLS)["questions_real.json"] for q in v["questions"]],
    ):
        assert {options[right] for options, right in rows} == {"somebody falls"}
        assert all(len(set(options)) == len(options) for options, _ in rows)
        assert {right for _, right in rows} == set(range(len(rows[0][0])))
    told = synthetic.overall(FALLS)
    right = [row[f"option {told['subset_answers.json'][row['q_uid']]}"] for row in told["questions.json"]]
    assert set(right) == {"somebody walks, then somebody falls, then somebody lies"}
    # One of the others has the same in the other order.
    assert all("somebody lies, then somebody falls, then somebody walks" in row.values() for row in told["questions.json"])
    assert set(told["subset_answers.json"].values()) == set(range(5))


def test_what_is_asked_in_a_stream_is_true_only_from_its_time_on():
    rows = {r["task"]: r for r in synthetic.online(FALLS[:1])["ovo_bench_new.json"]}
    assert {task: rows[task]["realtime"] for task in ("ACR", "EPM")} == {"ACR": 3, "EPM": 4.5}
    assert [(t["realtime"], t["count"]) for t in rows["REC"]["test_info"]] == [(1.6, 0), (3, 1)]
    assert [(t["realtime"], t["type"]) for t in rows["SSR"]["test_info"]] == [(1.6, 0), (3, 1)]
    assert [(t["realtime"], t["type"]) for t in rows["CRR"]["test_info"]] == [(1.6, 0), (3.4, 1)]
    (video,) = synthetic.proactive(FALLS[:1])["questions_proactive.json"]
    assert (video["questions"][0]["ground_truth_time_stamp"], video["questions"][0]["ground_truth_output"]) == ("0:00:03.00", "fall")
    told = [{"start_s": 1.0, "end_s": 2.0, "text": "He walks.", "kind": "walk"}]
    assert json.loads(synthetic.as_told([made("c", narrations=told)])["magqa.jsonl"])["answer_time"] == [[1.0, 3.0]]


def test_a_probe_is_asked_as_a_choice_and_with_yes_or_no():
    ask = {"question": "Which first?", "answer": "wave", "kind": "order", "choices": ["clap", "wave"]}
    told = synthetic.temporal([made("a", questions=[ask]), made("b", questions=[ask])])
    assert told["multi-choice.json"]["a.mp4"]["order"] == [{"question": "Which first?\nA. clap\nB. wave", "answer": "B. wave"}]
    asked = [told["yes_no.json"][video]["order"][0] for video in ("a.mp4", "b.mp4")]
    assert [(q["question"], q["answer"]) for q in asked] == [("Which first? Is it this: clap?", "no"), ("Which first? Is it this: wave?", "yes")]


def test_what_is_asked_of_a_clip_is_true_of_it_and_its_twin_is_not():
    rows = synthetic.hallucinations([made("a", ("wave", 0, 1), ("clap", 1, 2)), made("b", ("wave", 0, 1))])["temporal.json"]
    assert [(r["basic"]["video"], r["basic"]["question"], r["hallucination"]["question"]) for r in rows] == [("b.mp4", "Does somebody wave?", "Does somebody clap?")]
    assert all(yes != no for yes, no in synthetic.DEEDS.values())
    assert synthetic.once(made("a", ("fall", 0, 1)), "fall") is None  # it may have begun before
    table = synthetic.segments([made("a", ("cut", 0.4, 0.8), seconds=1.0)])["segments.json"]
    assert table[0]["labels"] == ["none", "none", "cut", "cut", "none"]
    walks = made("a", ("walk", 0, 1), ("sit", 1, 2), ("walk", 2, 3))
    assert [r["tgt"] for r in synthetic.grounded([walks])["etbench_txt_v1.0.json"]] == [[[0, 1], [2, 3]]]
    assert synthetic.story(made("a", ("walk", 0, 1), ("sit", 1, 1.2), ("lie", 2, 3))) == ["walk", "lie"]


def test_where_somebody_is_who_does_a_thing_is_asked_of_who_is_alone(tmp_path):
    for people, count in ((1, 1), (2, 0)):
        clip(tmp_path, people, [("nobody", 10), ("enter", 10)], people=people)
        alone = made("c", ("nobody", 0, 2), ("enter", 2, 4), path=tmp_path / f"{people}.npz")
        assert len(synthetic.chained([alone])["vstar.json"]) == count


@needs_ffmpeg
def test_clips_in_their_order_show_what_happened(tmp_path):
    for k in range(4):
        frames = np.repeat(np.array([60, 120, 180], np.uint8), 5)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)
        np.savez(tmp_path / f"{k}.npz", frames=frames)
    spans = [("reach", 0, 1), ("cut", 1, 2), ("stir", 2, 3)]
    rows = synthetic.orders([made(f"t{k}", *spans, path=tmp_path / f"{k}.npz") for k in range(4)], tmp_path)["vcr.json"]
    assert len({tuple(r["ground_truth"]) for r in rows}) > 1
    for row in rows:
        light = systems.frames_of(tmp_path / row["video_file"]).mean((1, 2, 3))
        shown = [light[k * 8 + 2] for k in range(3)]  # five pictures of each, and three black ones
        assert sorted(shown) == [shown[k] for k in row["ground_truth"]]


def test_a_bar_is_as_long_as_its_score_is_of_the_best(tmp_path):
    benchmark = b.BENCHMARKS["magqa"]()
    row = {"name": "magqa", "system": "x", "task": "", "measure": "in_span", "mode": "strict", "score": 2.0, "low": None, "high": None, "chance": None}
    assert 'width="168.0"' in suite.bars([row], {"magqa": benchmark})  # two fifths of 420


def clip(path, seed, kinds, probe=None, view="side", light=90, people=1):
    """A file as tools/scenes writes it; kinds: [(kind, frames)]. Who is in it stands at the same place of all pictures."""
    import words

    labels = [words.KINDS.index(kind) for kind, count in kinds for _ in range(count)]
    frames = np.full((len(labels), 126, 224, 3), light, np.uint8)
    meta = {"scene": f"room{seed}", "view": view, "people": people} | ({"probe": probe, "probe_set": str(seed)} if probe else {})
    qa = [{"question": "Which of the two happens first?", "answer": "wave", "kind": "order", "choices": ["clap", "wave"]}]
    told = [{"start_s": 0.0, "end_s": 1.0, "text": "A man walks.", "kind": kinds[0][0], "actors": [], "objects": ["table", "pan"], "relations": []}]
    mask = np.zeros(frames.shape[:3], bool)
    mask[:, 20:60, 100:130] = True
    np.savez(
        path / f"{seed}.npz",
        frames=frames,
        kind=np.array(labels, np.int8),
        meta=json.dumps(meta),
        qa=json.dumps(qa),
        mask_bits=np.packbits(mask),
        mask_shape=np.array(mask.shape),
        narrations=json.dumps(told),
    )


@needs_ffmpeg
def test_sets_of_rendered_clips_are_read_by_the_benchmarks_own_loaders(tmp_path):
    for part in ("probes", "test"):
        (tmp_path / part).mkdir()
    clip(tmp_path / "probes", 1, [("walk", 20)], "order")
    clip(tmp_path / "test", 2, [("walk", 10), ("fall", 5), ("lie", 10)], light=200)
    clip(tmp_path / "test", 3, [("nobody", 10), ("enter", 10), ("sit_down", 5), ("sit", 10), ("wave", 5)])
    clip(tmp_path / "test", 4, [("stir", 10), ("cut", 5)], view="table")
    files = (sorted((tmp_path / part).glob("*.npz")) for part in ("probes", "test"))
    sets = {
        name: (b.BENCHMARKS[kind](), path)
        for name, kind, path in synthetic.make(*files, tmp_path / "sets", 2, 0.2)
    }
    items = {name: benchmark.load(path) for name, (benchmark, path) in sets.items()}
    assert set(sets) - {"needle"} == set(b.BENCHMARKS)  # every scorer has a set of our own
    assert items["ual-bench"][0].truth == (2.0, 3.0)
    moved = {i.video.split("-")[1]: i.truth for i in items["camerabench"]}
    assert moved == {"pan_left": {"pan-left"}, "pan_right": {"pan-right"}}
    first = items["egoschema"][0]
    assert first.options[first.truth] == "somebody walks, then somebody falls, then somebody lies"
    assert [(i.question, i.truth) for i in items["video-simpleqa"]][1] == ("What happened after somebody walks?", "somebody falls")
    assert items["tvbench"][0].options[items["tvbench"][0].truth] == "wave"
    pairs = {i.question: i.extra["twin"] for i in items["videohallucer"]}
    assert pairs["Does somebody fall?"] == "Does somebody climb a ladder?"
    forward = {i.id: i.truth for i in items["ovo-bench"] if i.task == "REC"}
    assert set(forward.values()) == {0, 1}
    hands = items["egohoibench"][0]
    assert (hands.question, hands.from_s, hands.until_s) == ("#C C stirs the pan", 0, 1)
    assert hands.extra["verb"][0] == "#C C paints the pan" and len(hands.extra["noun"]) == 10 and "#C C stirs the pan" not in hands.extra["noun"]
    falls = items["v-star"][0].truth
    assert falls == {"answer": "somebody falls", "span": (2.0, 3.0), "boxes": {"2": (100, 20, 130, 60), "3": (100, 20, 130, 60)}}
    assert (tmp_path / "sets/egohoibench/EgoMCQ_hardnegHOI.csv").read_text().startswith("video_uid\tclip_start")
    needle = items["needle"][0]
    light = systems.frames_of(tmp_path / "sets/videos" / needle.video)[:, 112, 112, 0]
    ((start, end),) = needle.truth["spans"]
    first = int(np.argmax(light > 150)) / 5  # the clip with the fall, which is from 2 to 3 s of it
    assert (start, end) == (first + 2, first + 3) and len(light) / 5 == 3 + 8 + 3 + 5  # seconds of the clips that were drawn, and of the fall
    pairs = {i.extra["twin_video"] for i in items["camerabench-vqa"] if i.task == "pan-left"}
    assert pairs and all("pan_right" in video for video in pairs)
    for benchmark, path in sets.values():
        for item in benchmark.load(path):
            assert (tmp_path / "sets/videos" / item.video).exists(), (benchmark.name, item.video)
            assert benchmark.form(item) in b.core.FORMS


def test_the_report_has_both_modes_intervals_and_controls(tmp_path):
    benchmark = b.BENCHMARKS["tvbench"]()
    items = [b.Item(str(k), f"v{k}", "Which?", ("up", "down"), k % 2, "way") for k in range(6)]
    rows = [r | {"system": "x"} for r in b.report(benchmark, items, {i.id: "A" for i in items[:4]})]
    text = suite.markdown("T", "about", rows, rows, {"tvbench": benchmark})
    assert "| tvbench | x | accuracy | 0.333 | 0.333 [" in text and "| 0.500 | 6 | 2 | 0 |" in text and "## Controls" in text
    page = suite.page("T <b>", "about", rows, rows, {"tvbench": benchmark})
    assert "T &lt;b&gt;" in page and page.count("<svg") == 2 and "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_each_mode_has_its_column_and_each_figure_its_place():
    benchmark = b.BENCHMARKS["tvbench"]()
    row = {"name": "tvbench", "system": "x", "task": "", "measure": "accuracy", "mode": "strict", "score": 0.25, "low": 0.125, "high": 0.5, "chance": 0.75, "n": 8, "missing": 1, "unparsed": 2}
    of = lambda **other: row | other  # noqa: E731
    rows = [of(mode="published", score=0.5), row, of(measure="beside", score=0.9), of(task="t", score=0.3), of(task="t", mode="published", score=0.6)]
    text = suite.markdown("T", "about", rows, [of(system="y", score=0.125)] + [of(system="y", mode="published", score=0.2)], {"tvbench": benchmark})
    told = [line for line in text.splitlines() if line.startswith("| tvbench")]
    assert told == [
        "| tvbench | x | accuracy | 0.500 | 0.250 [0.12, 0.50] | 0.750 | 8 | 1 | 2 |",
        "| tvbench | y | accuracy | 0.200 | 0.125 [0.12, 0.50] | 0.750 | 8 | 1 | 2 |",
        "| tvbench | x | t | 0.300 [0.12, 0.50] | 0.750 | 8 |",
    ]
    drawn = suite.bars(rows, {"tvbench": benchmark})
    # 420 to the right of 260: a quarter, from an eighth to a half, chance at three quarters; one bar, of the strict score.
    assert 'width="105.0"' in drawn and 'd="M312.5 13H470.0"' in drawn and 'd="M575.0 ' in drawn and drawn.count("<rect") == 1
    page = suite.page("T", "about", rows, [of(system="y"), of(system="y", mode="published")], {"tvbench": benchmark})
    assert page.count("tvbench, x") == page.count("tvbench, y") == 1 and page.count("<td>x</td>") == page.count("<td>y</td>") == 1


def test_replies_to_another_part_of_a_video_are_others(tmp_path):
    for until_s in (1.0, 2.0):
        suite.rows_of(systems.Blind(), suite.Set("tvbench", b.BENCHMARKS["tvbench"](), [b.Item("1", "v.mp4", "Which?", ("a", "b"), 1, until_s=until_s)], tmp_path), tmp_path)
    assert len(list(tmp_path.glob("tvbench-*.jsonl"))) == 2


def test_the_json_is_a_row_a_line():
    told = {"about": 'a "b"', "sets": [{"n": 1}, {"n": None}], "controls": []}
    text = suite.lines_of(told)
    assert json.loads(text) == told and '{"n": 1},\n{"n": null}\n' in text


def test_replies_are_kept_by_what_program_and_pack_hold(tmp_path):
    program, pack = tmp_path / "ocelli", tmp_path / "pack"
    pack.mkdir()
    program.write_bytes(b"1"), (pack / "pack.toml").write_text("a"), (pack / "stab.onnx").write_bytes(b"2")
    seen = {suite.content.__wrapped__(program, pack)}
    program.touch()
    assert suite.content.__wrapped__(program, pack) in seen
    for path in (program, pack / "pack.toml", pack / "stab.onnx"):
        path.write_bytes(path.read_bytes() + b"x")
        seen.add(suite.content.__wrapped__(program, pack))
    assert len(seen) == 4


def test_a_folder_that_is_no_benchmark_or_cannot_be_read_is_named(tmp_path):
    (tmp_path / "odd").mkdir()
    with pytest.raises(SystemExit, match="called like no benchmark"):
        suite.real_sets(tmp_path)
    (tmp_path / "odd").rename(tmp_path / "egoschema")
    with pytest.raises(SystemExit, match="cannot be read as egoschema"):
        suite.real_sets(tmp_path)
    for text in ("[[1]]", '{"a": [1]}', "null", "[", "\x00"):
        (tmp_path / "egoschema/questions.json").write_text(text)
        (tmp_path / "egoschema/subset_answers.json").write_text("{}")
        with pytest.raises(SystemExit, match="cannot be read as egoschema"):
            suite.real_sets(tmp_path)
    with pytest.raises(SystemExit, match="is no folder"):
        suite.real_sets(tmp_path / "none")


@needs_ffmpeg
def test_a_copy_is_another_set_than_our_own_and_names_videos_without_their_endings(tmp_path, server):
    (tmp_path / "egoschema/videos").mkdir(parents=True)
    rows = [{"q_uid": "a.1", "question": "What?"} | {f"option {k}": f"thing {k}" for k in range(5)}]
    (tmp_path / "egoschema/questions.json").write_text(json.dumps(rows)), (tmp_path / "egoschema/subset_answers.json").write_text('{"a.1": 1}')
    video(tmp_path / "egoschema/videos/a.1.mp4")
    (chosen,) = suite.real_sets(tmp_path)
    assert (chosen.name, chosen.benchmark.name) == ("egoschema-real", "egoschema")
    Server.answers = ["B"]
    told = suite.rows_of(systems.OpenAi(server, "m", systems.Cutter(tmp_path)), chosen, tmp_path)
    assert {(r["name"], r["score"]) for r in told} == {("egoschema-real", 1.0)}
    assert json.loads((tmp_path / "egoschema-real-submission.json").read_text()) == {"a.1": 1}


def test_a_set_that_there_is_not_is_told_before_anything_is_rendered(monkeypatch):
    monkeypatch.setattr(suite, "own_sets", lambda _: pytest.fail("rendered"))
    monkeypatch.setattr("sys.argv", ["suite", "--only", "tv-bench"])
    with pytest.raises(SystemExit, match="tv-bench: there is no such set; there are .*tvbench"):
        suite.main()


@pytest.mark.parametrize("also", [[], ["--only", "tvbench"]])
def test_for_copies_alone_nothing_of_our_own_is_rendered(tmp_path, monkeypatch, capsys, also):
    (tmp_path / "copies/vcrbench").mkdir(parents=True)
    (tmp_path / "copies/vcrbench/rows.json").write_text(json.dumps([{"qid": 1, "goal": "tea", "question": "Tea?", "answer": [1, 2]}]))
    rendered = []
    monkeypatch.setattr(suite, "own_sets", lambda _: rendered.append(1) or [])
    monkeypatch.setattr(suite, "rows_of", lambda *_: [])
    monkeypatch.setattr("sys.argv", ["suite", "--program", __file__, "--kept", str(tmp_path), "--real", str(tmp_path / "copies"), "--only", "vcrbench-real", *also])
    suite.main()
    assert len(rendered) == len(also) / 2 and "1 items of 1 sets" in capsys.readouterr().out


def test_two_questions_of_one_name_are_refused_and_one_twice_is_not(tmp_path):
    (tmp_path / "ual-bench").mkdir()
    row = {"video_id": "a", "start_time": 1, "end_time": 2}
    (tmp_path / "ual-bench/rows.json").write_text(json.dumps([row, row]))
    assert len(suite.real_sets(tmp_path)[0].items) == 2
    (tmp_path / "ual-bench").rename(tmp_path / "vcrbench")
    rows = [{"qid": 1, "goal": "tea", "question": q, "answer": [1, 2]} for q in ("Tea?", "Egg?")]
    (tmp_path / "vcrbench/rows.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit, match="two questions called 1"):
        suite.real_sets(tmp_path)


@needs_ffmpeg
def test_a_video_that_is_missing_or_broken_is_told_and_no_reply_is_kept(tmp_path, server, capsys):
    (tmp_path / "v.mp4").write_bytes(b"no video")
    items = [ITEM, b.Item("2", "none.mp4", "Which way?", ("left", "right"), 0)]
    chosen = suite.Set("tvbench", b.BENCHMARKS["tvbench"](), items, tmp_path)
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path))
    assert suite.answer(asked, chosen, tmp_path / "kept.jsonl") == {}
    told = capsys.readouterr().err
    assert "v.mp4 is no video" in told and "none.mp4" in told and (tmp_path / "kept.jsonl").read_text() == ""


def test_a_reply_that_was_half_written_is_asked_again(tmp_path):
    (tmp_path / "kept.jsonl").write_text('{"id": "1", "reply": "B"}\n{"id": "2", "re')
    items = [ITEM, b.Item("2", "v.mp4", "Which way?", ("left", "right"), 0)]
    chosen = suite.Set("tvbench", b.BENCHMARKS["tvbench"](), items, tmp_path)
    assert suite.answer(systems.Blind(), chosen, tmp_path / "kept.jsonl") == {"1": "B", "2": "A"}
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 2


@needs_ffmpeg
def test_a_stream_without_an_end_is_polled_to_the_videos(tmp_path, server):
    video(tmp_path / "v.mp4")
    Server.answers = ["No"] * 3 + ["It rains"]
    item = b.Item("1", "v.mp4", "What happens?", (), (((1.0, 2.0), "it rains"),))
    asked = systems.OpenAi(server, "m", systems.Cutter(tmp_path))
    assert asked.reply(b.BENCHMARKS["magqa"](), item, tmp_path / "v.mp4") == [[4, "It rains"]]


@needs_ffmpeg
@pytest.mark.parametrize("count", [5, 6])
def test_a_system_that_fails_more_than_five_times_ends_the_run(tmp_path, count):
    items = [b.Item(str(k), "none.mp4", "Which way?", ("left", "right"), 0) for k in range(count)]
    chosen = suite.Set("tvbench", b.BENCHMARKS["tvbench"](), items, tmp_path)
    asked = systems.OpenAi("http://127.0.0.1:9/v1", "m", systems.Cutter(tmp_path))
    if count == 5:
        assert suite.answer(asked, chosen, tmp_path / "kept.jsonl") == {}
    else:
        with pytest.raises(SystemExit, match="failed more than five times"):
            suite.answer(asked, chosen, tmp_path / "kept.jsonl")


@needs_ffmpeg
def test_what_is_said_of_a_part_is_dated_by_the_whole_videos_clock(tmp_path, monkeypatch):
    whole, cut = video(tmp_path / "v.mp4"), systems.Cutter(tmp_path)
    told = systems.Ocelli(tmp_path / "ocelli", tmp_path, cut)
    monkeypatch.setattr(told, "is_it", lambda event, text: True)
    told.told[cut.part(whole, 1.0, 4.0)] = [{"t_start_s": 1.0, "t_end_s": 1.5, "text": "He runs."}], None
    item = b.Item("1", "v.mp4", 'Say "Goal" when he runs.', (), (2.5, "Goal"), from_s=1.0, until_s=4.0)
    assert told.reply(b.BENCHMARKS["streamingbench-proactive"](), item, whole) == [[2.5, "Goal"]]


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["ocelli", "openai"])
def test_each_question_of_a_pair_is_asked_of_its_own_video(tmp_path, monkeypatch, kind):
    (tmp_path / "videos/a").mkdir(parents=True)
    one, other = video(tmp_path / "videos/a/v.mp4"), video(tmp_path / "videos/w.mp4")
    rows = [{"basic": {"video": "a/v.mp4", "question": "Red?", "answer": "yes"}, "hallucination": {"video": "w.mp4", "question": "Blue?", "answer": "no"}}]  # fmt: skip
    (tmp_path / "temporal.json").write_text(json.dumps(rows))
    benchmark = b.BENCHMARKS["videohallucer"]()
    (item,) = benchmark.load(tmp_path / "temporal.json")
    cut, asked = systems.Cutter(tmp_path), []
    system = systems.Ocelli(tmp_path / "ocelli", tmp_path, cut) if kind == "ocelli" else systems.OpenAi("http://x", "m", cut)
    monkeypatch.setattr(system, "said", lambda question, shown: asked.append((shown, question)) or "yes", raising=False)
    monkeypatch.setattr(system, "say", lambda shown, question: asked.append((shown, question.split()[0])) or "yes", raising=False)
    assert system.reply(benchmark, item, one) == ["yes", "yes"]
    assert asked == [(one, "Red?"), (other, "Blue?")]
