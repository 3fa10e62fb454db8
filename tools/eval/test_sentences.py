"""Tests of what the language side's vocabulary part reads and makes; they need no program."""

import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "language"))
import sentences as v  # noqa: E402

PACK = Path(__file__).parents[2] / "models/home"
TABLE = """100000 events, sentences of a vocabulary: 46.1 MiB, written in 60 us each
                                                    found   of CPU   median  longest
  a word of one in 1000, in full                      100   8.9 ms  19.5 ms  40.0 ms
  by meaning                                           20  22.0 ms  51.4 ms  90.1 ms
  by meaning, 1000 of them                           1000  25.0 ms  60.0 ms  99.0 ms
100000 events, each a text of its own: 60.0 MiB, written in 70 us each
  by meaning                                           20  99.0 ms  99.0 ms  99.0 ms
"""


def test_a_pack_loses_a_kind_and_nothing_else(tmp_path):
    pack = v.without(PACK, "fall", tmp_path / "pack")
    before, now = (tomllib.loads((p / "pack.toml").read_text()) for p in (PACK, pack))
    entries = tomllib.loads((pack / "vocabulary.toml").read_text())["entry"]
    assert len(entries) == now["vocabulary"]["entries"] == before["vocabulary"]["entries"] - 3
    assert "fall" not in {e["kind"] for e in entries} and (pack / "vocabulary.bin").stat().st_size == len(entries) * v.ROW_BYTES
    assert "fall" not in now["speak"].get("kinds", {}) and "fall" not in now["speak"]["calibration"]["offsets"]
    assert len(now["speak"]["calibration"]["offsets"]) == len(before["speak"]["calibration"]["offsets"]) - 1
    assert now["narrator"] == before["narrator"]


def test_a_fall_is_found_among_the_classes():
    assert v.when(" Falling (SW)[3.4 to 6]; Sitting[0 to 3.4]") == (3.4, 6.0)
    assert v.when("Fall (FW)[2.6 to 6]; Standing[1.3 to 2.2]") == (2.6, 6.0)
    assert v.when("Sitting[0 to 1]; Sleeping[2 to 8]") is None


def test_searches_are_read_from_the_first_table():
    found = v.search_figures(TABLE, 100_000)
    assert found["search"] == {"words": {"cpu_ms": 8.9, "clock_ms": 19.5}, "meaning": {"cpu_ms": 22.0, "clock_ms": 51.4}}
    assert found["search_100k_ms"] == 51.4


def test_what_was_measured_is_told():
    counts = {"falls": 7, "named": 3, "others": 7, "others_named": 1, "lists": 8}
    figures = v.search_figures(TABLE, 100_000) | {"add_sentence_s": 1.2, "add_to_known_s": 2.1}
    told = v.tell(figures | {"new_event": {"examples_1": counts}})
    assert "1.2 s to the file, 2.1 s until" in told and "taught by 1: named in 3 of 7" in told
    assert "nothing was taught" in v.tell(figures)
