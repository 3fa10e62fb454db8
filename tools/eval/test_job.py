"""Tests of tools/bench/job.py: energy, the rows of others' files, and the report."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import job
import objects


def counter(root, name, at, most=1000):
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{at}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder / "energy_uj"


def test_energy_is_that_of_whole_cpus_and_goes_on_where_a_counter_begins_anew(tmp_path):
    one, other = counter(tmp_path, "intel-rapl:0", 100), counter(tmp_path, "intel-rapl:1", 900)
    counter(tmp_path, "intel-rapl:0:0", 7)  # a part of the first
    before, why = job.energy_uj(tmp_path)
    assert why is None and list(before.values()) == [100, 900]
    one.write_text("400"), other.write_text("50")
    assert job.joules(before, job.energy_uj(tmp_path)[0]) == pytest.approx((300 + 150) / 1e6)


def test_without_energy_the_reason_is_told(tmp_path):
    at, why = job.energy_uj(tmp_path / "none")
    assert at is None and "not shown" in why
    assert job.energy_uj(tmp_path)[1].endswith("no counter of a whole CPU")


def test_a_peak_is_that_of_the_program_and_not_of_who_starts_it():
    ours = bytearray(b"x" * (300 << 20))
    holds = lambda mib: f"import time; x = bytearray(b'x' * ({mib} << 20)); time.sleep(0.2)"  # noqa: E731
    small, large = (job.ran([sys.executable, "-c", holds(mib)])[3] for mib in (1, 100))
    assert len(ours) > 2 * small > 0 and 100 << 20 < large - small + (2 << 20) < 220 << 20


def test_rows_of_the_other_files(tmp_path):
    stab, language, home = tmp_path / "stab", tmp_path / "language", tmp_path / "home"
    stab.write_text(json.dumps({"cases": [{"case": "busy", "threads": 1, "ours_ms": 1, "ort_int8_ms": 2, "ort_f32_ms": 3}]}))
    figures = {f"{side}_{m}": k for k, side in enumerate(("ours", "llama_cpp")) for m in ("prefill_tok_s", "decode_tok_s", "rss_bytes")}
    language.write_text(json.dumps({"smollm2": figures}))
    rows = job.engines(stab, language)
    assert [r["system"] for r in rows] == ["ocelli", "onnxruntime int8", "onnxruntime f32", *["ocelli"] * 3, *["llama.cpp"] * 3]
    assert [r["value"] for r in rows] == [1, 2, 3, 0, 0, 0, 1, 1, 1]
    told = {"set": "s", "system": "ocelli", "told_after_s": 0.6, "told_after_s_low": 0.4, "told_after_s_high": 0.8}
    home.write_text(json.dumps([told, told | {"told_after_s": None}]))
    assert [(r["measure"], r["value"]) for r in job.told_after(home)] == [("event_to_output_s", 0.6)]
    assert job.told_after(tmp_path / "none") == []


def test_the_report_has_what_was_measured_and_why_not():
    facts = {"cpu": "a CPU", "cores": 2, "load": 3.0, "no_energy_because": "no counter"}
    args = type("Args", (), {"program": Path("release/ocelli"), "rounds": 1, "report": None, "home": Path("home.json")})
    row = {"system": "ocelli", "clip": "a.mp4"}
    rows = [row | {"measure": "cpu_s_per_hour", "value": 104.0}, row | {"measure": "energy_j_per_hour", "value": None, "why": "no counter"}]
    delays = [row | {"measure": "event_to_output_s", "value": 0.6, "low": 0.4, "high": 0.8}]
    engines = [row | {"clip": "STAB", "measure": "stab_ms", "system": s, "value": v} for s, v in (("ocelli", 0.3), ("another", 0.6))]
    engines += [row | {"clip": "head", "measure": "rss_bytes", "value": 3 << 20}]
    text = job.markdown(facts, args, rows, delays, engines, {})
    assert "| a.mp4 | ocelli | 104 |" in text and "Energy was not measured: no counter." in text
    assert "| a.mp4 | ocelli | 0.60 [0.40, 0.80] |" in text and "| STAB | stab_ms | 0.3 | 0.6 (2.00) |" in text
    assert "| work | measure | ocelli |\n|---|---|---|\n| head | rss_bytes | 3 MiB |" in text
    assert "## Published figures, and ours on the same work" in text


def test_where_the_detector_looks():
    assert objects.around([(0, 0, 768, 432)], 768, 432) == (0, 0, 768)  # the whole picture, and grey below it
    assert objects.around([(100, 100, 150, 180)], 768, 432) == (0, 0, 416)  # no smaller than the network sees it
    x, y, side = objects.around([(600, 100, 700, 200), (300, 300, 350, 420)], 768, 432)
    assert side == 480 and x == round(500 - side / 2) and y == 0


def test_what_nanodet_says_of_a_place():
    """One place of the middle stride, whose distances are 1, 2, 3 and 4 strides for sure."""
    outputs = {}
    for stride in objects.STRIDES:
        cells = objects.SIZE // stride
        outputs[cells * cells, 80], outputs[cells * cells, 44] = np.zeros((cells * cells, 80)), np.zeros((cells * cells, 44))
    at = 10 * 26 + 3
    outputs[26 * 26, 80][at, 2] = 0.9
    for side in range(4):
        outputs[26 * 26, 44][at, 11 * side + side + 1] = 100
    boxes, scores = objects.decoded(outputs)
    k = 52 * 52 + at
    assert boxes.shape == (52 * 52 + 26 * 26 + 13 * 13, 4) and scores[k].argmax() == 2
    assert boxes[k] == pytest.approx([3.5 * 16 - 16, 10.5 * 16 - 32, 3.5 * 16 + 48, 10.5 * 16 + 64])


def test_an_object_is_told_of_when_it_was_found_three_times_and_again_when_it_was_gone():
    there, seen = objects.Objects(), lambda label: [(label, 0.9, (0, 0, 1, 1))]
    told = [there.put(seen("person") if k in (0, 1, 3, 4, 5, 6, 20) else [], k / 5) for k in range(21)]
    assert [k for k, news in enumerate(told) if news] == [5]  # the first two were not enough; 2.8 s without are no leaving
    assert told[5] == [{"label": "person", "from_s": pytest.approx(0.6), "told_s": 1.0}] and there.boxes() == [(0, 0, 1, 1)]
    told = [there.put(seen("person") if k > 50 else [], k / 5) for k in range(21, 55)]
    assert [k + 21 for k, news in enumerate(told) if news] == [53]


def test_a_person_is_told_of_at_the_third_picture():
    assert job.third_in_a_row_s(np.array([1, 1, 0, 1, 1, 1, 1], bool)) == 1.0
    assert job.third_in_a_row_s(np.array([1, 1, 0], bool)) is None


@pytest.mark.parametrize("text, who", [("Someone comes in.", True), ("A person is walking.", True), ("Nobody is in view.", False), ("A personal note.", False)])
def test_a_narration_of_a_person(text, who):
    assert bool(job.PERSON.search(text)) == who
