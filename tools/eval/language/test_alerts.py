import json
import tomllib

import alerts


def line(**event):
    return json.dumps({"id": 1, "camera": "camera", "t_start_s": 0.0, "t_end_s": 0.0, "text": "", **event})


def test_latency_counts_from_the_picture_that_completes_the_evidence():
    zero = alerts.zero("watching; time 0 is 2026-11-26T18:00:00.500Z")
    lines = [
        (zero + 2.0, line(type="health", text="watching; time 0 is 2026-11-26T18:00:00.500Z", t_start_s=1.5)),
        (zero + 3.25, line(id=2, type="alert", text="condition 3", t_end_s=3.0)),
        (zero + 3.26, line(id=2, type="update", text="Someone walks.")),
        (zero + 4.1, line(id=4, type="alert", text="Someone falls to the floor!", t_end_s=4.0)),
        (zero + 9.0, line(id=4, type="alert_end")),
    ]
    told, texts, fall = alerts.follow(lines)
    assert [round(ms) for ms in told] == [250, 100] and [round(ms) for ms in texts] == [10]
    assert round(fall, 3) == 2.6, "in seconds of the clip, which begins with the first picture"


def test_quantiles_are_values_that_were_measured():
    assert alerts.quantiles([]) is None
    assert alerts.quantiles(range(1, 101)) == {"p50": 51, "p99": 100, "max": 100, "count": 100}


def test_there_are_as_many_conditions_as_are_told_of():
    table = tomllib.loads(alerts.config(["walk", "sit"]))["alert"]
    assert len(table) == alerts.CONDITIONS and {tuple(a["kinds"]) for a in table} == {("walk",), ("sit",)}
    assert len({(a["kinds"][0], a["for"]) for a in table}) == alerts.CONDITIONS


def test_onsets_are_those_of_the_labels():
    assert alerts.falls()["gmdcsa24/subject-3_fall_16"] == 1.8
    assert alerts.video(alerts.Path("d"), "gmdcsa24/subject-1_fall_13").as_posix() == "d/gmdcsa24/subject-1/fall/13.mp4"


def test_what_was_not_measured_is_said():
    figures = {"condition_cost_us": 0.01, "picture_us_of_conditions": {"32": 0.3}, "alert_latency_ms": None, "alert_text_ms": None}
    assert "not measured" in alerts.tell(figures)
