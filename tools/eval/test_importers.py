"""Tests of the importers: a row or two in each data set's own form."""

import csv
import json

import pytest

import importers

TALK = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "A cat jumps."}]
MAN = {
    "captions": [
        {"idx": "0", "content": "a man"},
        {"idx": "1", "content": "he sits"},
        {"idx": "-1", "content": "a man sits down"},
    ]
}

# name -> (file, content, [(video, text, start_s, end_s)])
FILES = {
    "valley": (
        "a.json",
        [{"id": "1", "v_id": "1", "video": "1.mp4", "source": "webvid", "conversations": TALK}],
        [("1.mp4", "A cat jumps.", 0, None)],
    ),
    "youku-mplug": ("a.csv", [{"video_id:FILE": "v.mp4", "title": "小猫跳上桌子"}], [("v.mp4", "小猫跳上桌子", 0, None)]),
    "mmtrail": (
        "a.json",
        [
            {
                "basic": {"clip_id": "c", "video_path": "v.mp4", "video_fps": 25.0, "clip_start_end_idx": [25, 75]},
                "scene": {"caption": "A man runs.", "merge_caption": ""},
                "misc": {"music_caption": [{"text": "rock", "time": "0:00-10:00"}]},
            }
        ],
        [("v.mp4", "A man runs.", 1, 3), ("v.mp4", "rock", 1, 3)],
    ),
    "sharegpt4video": (
        "a.jsonl",
        [{"video_id": "v", "video_path": "v.mp4", "timestamp": [["0:00", "0:02"], ["0:02", "0:04"]], **MAN}],
        [("v.mp4", "a man", 0, 2), ("v.mp4", "he sits", 2, 4), ("v.mp4", "a man sits down", 0, None)],
    ),
    "hd-vila": (
        "a.jsonl",
        [{"video_id": "v", "url": "u", "clip": [{"clip_id": "v.0.mp4", "span": ["00:00:59.159", "00:01:07.700"]}]}],
        [("v", "", 59.159, 67.7)],
    ),
    "live-cc": (
        "a.jsonl",
        [
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "video", "video": "v.mp4", "video_start": 1, "video_end": 3},
                        {"type": "text", "text": "A game"},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "text_stream", "text_stream": [[1.0, 1.5, "he"], [1.5, 2.0, "shoots"]]}],
                },
            ]
        ],
        [("v.mp4", "he", 1, 1.5), ("v.mp4", "shoots", 1.5, 2)],
    ),
    "et-instruct": (
        "a.json",
        [{"task": "tvg", "source": "s", "video": "v.mp4", "tgt": [1.0, 2.0], "conversations": TALK}],
        [("v.mp4", "A cat jumps.", 0, None)],
    ),
    "vtg-it": (
        "a.json",
        [{"video": "v.mp4", "QA": [{"q": "When?", "a": "1.0 - 2.5 seconds"}]}],
        [("v.mp4", "1.0 - 2.5 seconds", 0, None)],
    ),
    "activitynet": (
        "a.json",
        {"v": {"duration": 9.0, "timestamps": [[0, 4.5], [4, 10]], "sentences": [" A man.", "He sits."]}},
        [("v", "A man.", 0, 4.5), ("v", "He sits.", 4, 9.0)],
    ),
    "epic-kitchens": (
        "a.csv",
        [
            {
                "narration_id": "P01_01_0",
                "participant_id": "P01",
                "video_id": "P01_01",
                "start_timestamp": "00:01:02.50",
                "stop_timestamp": "00:01:04.00",
                "narration": "open door",
                "verb": "open",
                "noun": "door",
            }
        ],
        [("P01_01", "open door", 62.5, 64)],
    ),
    "charades": (
        "a.csv",
        [
            {
                "id": "46GP8",
                "subject": "HR43",
                "scene": "Kitchen",
                "script": "A person cooks.",
                "actions": "c092 11.90 21.20;c147 0.00 12.60",
                "length": "24.83",
            }
        ],
        [("46GP8", "A person cooks.", 0, 24.83), ("46GP8", "", 11.9, 21.2), ("46GP8", "", 0, 12.6)],
    ),
    "coin": (
        "a.json",
        {
            "database": {
                "v": {
                    "class": "MakeTea",
                    "duration": 99,
                    "annotation": [{"id": "7", "label": "boil water", "segment": [1.0, 5.0]}],
                }
            }
        },
        [("v", "boil water", 1, 5)],
    ),
    "youcook2": (
        "a.json",
        {
            "database": {
                "v": {
                    "duration": 99,
                    "subset": "training",
                    "annotations": [{"segment": [3, 9], "id": 0, "sentence": "chop the onion"}],
                }
            }
        },
        [("v", "chop the onion", 3, 9)],
    ),
}


def write(folder, file, content):
    path = folder / file
    if path.suffix == ".csv":
        with path.open("w", newline="") as out:
            rows = csv.DictWriter(out, content[0])
            rows.writeheader()
            rows.writerows(content)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", FILES)
def test_rows_become_clips(name, tmp_path):
    file, content, wanted = FILES[name]
    clips = list(importers.read(name, write(tmp_path, file, content)))
    assert [(c.video, c.text, c.start_s, c.end_s) for c in clips] == pytest.approx(wanted)
    assert len({c.id for c in clips}) == len(clips) and all(c.dataset == name for c in clips)


def test_each_importer_has_an_example():
    assert set(FILES) == set(importers.IMPORTERS)


def test_what_is_asked_comes_along(tmp_path):
    file, content, _ = FILES["vtg-it"]
    clip = next(importers.read("vtg-it", write(tmp_path, file, content)))
    assert clip.extra == {"question": "When?", "spans": [(1.0, 2.5)]}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_row_is_named_and_never_guessed(name, tmp_path):
    file, content, _ = FILES[name]
    good = write(tmp_path, file, content)
    if good.suffix == ".jsonl":
        good.write_text(good.read_text() + '{"video_id": \n')
        with pytest.raises(importers.BadRow, match="line 2 is no JSON"):
            list(importers.read(name, good))
    empty = write(
        tmp_path, "b" + good.suffix, {"database": {"v": {}}, "v": {}} if isinstance(content, dict) else [{"odd": "1"}]
    )
    with pytest.raises(importers.BadRow, match=f"not as {name} has them"):
        list(importers.read(name, empty))


def test_a_clip_does_not_end_before_it_begins(tmp_path):
    table = {"database": {"v": {"annotations": [{"segment": [9, 3], "id": 0, "sentence": "chop"}]}}}
    with pytest.raises(importers.BadRow, match="before it begins"):
        list(importers.read("youcook2", write(tmp_path, "a.json", table)))


def clips(name, folder, content=None):
    file, example, _ = FILES[name]
    return list(importers.read(name, write(folder, file, content or example)))


def test_what_a_caption_is_of_and_where_an_answer_lies_come_along(tmp_path):
    assert [c.labels for c in clips("sharegpt4video", tmp_path)] == [("change",), ("change",), ("whole",)]
    assert clips("et-instruct", tmp_path)[0].extra["spans"] == [(1.0, 2.0)]
    row = FILES["et-instruct"][1][0]
    assert clips("et-instruct", tmp_path, [row | {"tgt": [[1.0, 2.0], [4.0, 5.0]]}])[0].extra["spans"] == [(1.0, 2.0), (4.0, 5.0)]


def test_labels_and_who_says_it_come_along(tmp_path):
    told = {name: [(c.labels, c.said_by) for c in clips(name, tmp_path)] for name in ("epic-kitchens", "coin", "charades", "et-instruct", "mmtrail", "live-cc")}
    assert told == {
        "epic-kitchens": [(("open", "door"), "caption")], "coin": [(("MakeTea",), "caption")], "et-instruct": [(("tvg",), "answer")],
        "charades": [((), "caption"), (("c092",), "label"), (("c147",), "label")], "mmtrail": [((), "caption"), ((), "music")], "live-cc": [((), "speech")] * 2,
    }  # fmt: skip
    assert clips("live-cc", tmp_path)[0].extra == {"title": "A game"}


def test_the_better_caption_and_all_turns_are_taken(tmp_path):
    row = FILES["youku-mplug"][1][0]
    assert clips("youku-mplug", tmp_path, [row | {"golden_caption": "猫"}])[0].text == "猫"
    row = FILES["mmtrail"][1][0]
    assert clips("mmtrail", tmp_path, [row | {"scene": {"caption": "A man.", "merge_caption": "A man runs away."}}])[0].text == "A man runs away."
    row = FILES["hd-vila"][1][0]
    assert clips("hd-vila", tmp_path, [row | {"clip": [row["clip"][0] | {"text": "hello"}]}])[0].text == "hello"
    row = FILES["et-instruct"][1][0]
    assert [c.id for c in clips("et-instruct", tmp_path, [row | {"conversations": TALK * 2}])] == ["0-0", "0-1"]


def test_both_names_of_who_speaks_are_known(tmp_path):
    said = [{"from": "user", "value": "What?"}, {"from": "assistant", "value": "A cat."}]
    row = FILES["valley"][1][0] | {"conversations": said}
    assert [(c.text, c.extra["question"]) for c in clips("valley", tmp_path, [row])] == [("A cat.", "What?")]


def test_a_byte_order_mark_is_no_part_of_a_columns_name(tmp_path):
    file, content, _ = FILES["charades"]
    path = write(tmp_path, file, content)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert next(importers.read("charades", path)).video == "46GP8"


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("coin", "[1", "is no JSON"),
        ("activitynet", '{"v": {"duration": 9, "timestamps": [[0, 1]], "sentences": [null]}}', "not as activitynet has them"),
        ("youcook2", '{"database": {"v": {"annotations": [{"segment": [NaN, 5], "id": 0, "sentence": "x"}]}}}', "no times"),
        ("youcook2", '{"database": {"v": {"annotations": [{"segment": [1, 5], "id": 0, "sentence": null}]}}}', "no text"),
        ("mmtrail", '[{"basic": {"video_fps": 0, "clip_start_end_idx": [1, 2]}, "scene": {}, "misc": {}}]', "ZeroDivisionError"),
    ],
)
def test_null_nan_and_broken_files_are_told(name, text, why, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(importers.BadRow, match=why):
        list(importers.read(name, tmp_path / "a.json"))
