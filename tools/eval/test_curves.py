"""Tests of tools/bench/curves.py: what one more costs, worked out by hand, and the report."""

from pathlib import Path

import pytest

import curves


def row(curve, at, **measures):
    return {"curve": curve, "at": at, **{m: sorted(v)[len(v) // 2] for m, v in measures.items()}, "rounds": measures}


ROWS = [
    # 4 ms and 2, 3 or 1 us for each condition; nothing of memory.
    *(row("conditions", n, cpu_ms_a_picture=[4 + 0.002 * n, 4 + 0.003 * n, 4 + 0.001 * n], planned_bytes=[100, 100, 100]) for n in (1, 4, 16, 64)),
    *(row("sentences", n, cpu_ms_a_picture=[4 + n / 1e6], planned_bytes=[50 * n + 7]) for n in (100, 1000, 100_000)),
    *(row("cameras", n, cpu_s_a_second=[0.01 * n], planned_bytes=[n << 20], resident_bytes=[(2 * n + 1) << 20], seen=[75 * n], late=[0]) for n in (1, 16)),
]  # fmt: skip


def test_what_one_more_costs():
    got = {(s["curve"], s["measure"]): s for s in curves.slopes(ROWS)}
    condition = got["conditions", "cpu_ms_a_picture"]
    assert [condition[k] for k in ("value", "low", "high")] == pytest.approx([2, 1, 3])
    assert got["conditions", "planned_bytes"]["value"] == 0
    assert got["sentences", "cpu_ms_a_picture"]["value"] == pytest.approx(1)  # us a thousand
    assert got["sentences", "planned_bytes"]["value"] == pytest.approx(50)
    assert [got["cameras", m]["value"] for m in ("cpu_s_a_second", "planned_bytes", "resident_bytes")] == pytest.approx([10, 1, 2])


def test_a_camera_counts_by_the_pictures_that_came():
    half = [row("cameras", n, cpu_s_a_second=[0.01 * came], planned_bytes=[n], resident_bytes=[n], seen=[75 * came], late=[0]) for n, came in ((1, 1), (16, 8))]
    others = [r for r in ROWS if r["curve"] != "cameras"]
    got = next(s for s in curves.slopes(others + half) if s["measure"] == "cpu_s_a_second")
    assert got["value"] == pytest.approx(10)


def test_the_report_has_each_curve_and_what_the_soak_said():
    soak = {"file": "s.json", "hours": 2, "steps": 9000, "slope_ms_per_hour": 0.001, "standard_error": 0.0005, "rss_slope": 2000, "rss_standard_error": 1000}
    steps = [{"curve": "hours", "at": h, "step_p50_ms": 1.5} for h in range(2)]
    machine = {"cpu": "a CPU", "cores": 2, "load": 0.1}
    told = {"machine": machine, "profile": "debug", "rounds": 3, "slopes": curves.slopes(ROWS), "curves": ROWS + steps, "soak": soak,
            "conditions_alone": {"condition_cost_us": 0.0111, "picture_us_of_conditions": {"256": 2.92, "1": 0.0114, "32": 0.354}}}  # fmt: skip
    text = curves.markdown(told, Path("x.svg"))
    assert "| CPU of a picture for one condition more | 2 us | 1, 3 |" in text and "![curves](x.svg)" in text
    assert "| 16 | 0.16 | 33.0 MiB | 16.0 MiB | 1200 | 0 |" in text
    assert "2 simulated hours, 9,000 steps; the median step grew by +1.0 µs an hour (standard error 0.5)" in text
    assert "by itself (`ocelli-bench conditions`): 0.0111 us a picture (0.0114 us for 1, 0.354 us for 32, 2.92 us for 256)." in text
    assert curves.alone(Path("no/such/program")) is None
    svg = curves.plot(told["curves"])
    assert svg.count("<polyline") == 4 and svg.count("<circle") == 4 + 3 + 2 + 2  # no resolution here


def test_a_program_that_fails_ends_the_run_with_its_words(tmp_path):
    program = tmp_path / "ocelli"
    program.write_text("#!/bin/sh\necho no pack >&2\nexit 3\n")
    program.chmod(0o755)
    args = type("Args", (), {"program": program, "pack": tmp_path})
    with pytest.raises(SystemExit, match="no pack"):
        curves.used(args, tmp_path / "a.mp4")
