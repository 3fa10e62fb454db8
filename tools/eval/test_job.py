"""Tests of tools/bench/job.py: energy, the rows of others' files, and the report."""

import json
import sys
from pathlib import Path

import pytest

import job


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
