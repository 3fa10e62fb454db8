"""Draws the report of `cargo xtask soak --json FILE`: resident set over the hours, and the median step of each hour.

    python docs/soak_plot.py docs/soak-24h.json docs/soak-24h.svg
"""

import json
import sys

WIDTH, HEIGHT, LEFT, TOP = 720, 150, 70, 28


def panel(y, title, points, hours, most, line=None):
    """SVG of one set of axes whose top is at `y`; `points` are (hour, value)."""
    at = lambda h, v: f"{LEFT + h / hours * (WIDTH - LEFT - 20):.1f},{y + HEIGHT - v / most * HEIGHT:.1f}"  # noqa: E731
    out = [f'<text x="{LEFT}" y="{y - 8}">{title}</text>']
    for value in (0, most / 2, most):
        left, right = at(0, value), at(hours, value)
        out.append(f'<polyline points="{left} {right}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{float(left.split(",")[1]) + 4}" text-anchor="end">{value:g}</text>')
    if line is not None:
        out.append(f'<polyline points="{at(0, line)} {at(hours, line)}" stroke="#c33" stroke-dasharray="4"/>')
    path = " ".join(at(h, v) for h, v in points)
    out.append(f'<polyline points="{path}" stroke="#246" fill="none" stroke-width="1.5"/>')
    for hour in range(0, int(hours) + 1, max(1, int(hours) // 8)):
        x = at(hour, 0).split(",")[0]
        out.append(f'<text x="{x}" y="{y + HEIGHT + 16}" text-anchor="middle">{hour}</text>')
    return out


def main():
    with open(sys.argv[1]) as file:
        report = json.load(file)
    hours, mib = report["hours"], 1 << 20
    resident = [(h, b / mib) for h, b in report["rss_samples"]]
    planned = report["planned_bytes"] / mib
    steps = [(h + 0.5, ms) for h, ms in enumerate(report["step_p50_ms_by_hour"]) if h < hours]
    most = 10 * (int(planned / 10) + 1)
    out = panel(TOP, "resident set, MiB (dashed: the plan), over hours of stream", resident, hours, most, planned)
    slow = max(ms for _, ms in steps) * 1.5
    out += panel(TOP + HEIGHT + 60, "median step of each hour, ms (a shared machine)", steps, hours, round(slow, 1))
    height = 2 * (HEIGHT + 60) + TOP
    style = 'font-family="sans-serif" font-size="12" fill="none"'
    text = "\n".join(out).replace("<text ", '<text fill="#333" ')
    with open(sys.argv[2], "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {style}>\n{text}\n</svg>\n')


if __name__ == "__main__":
    main()
