"""Draws the report of `cargo xtask soak --json FILE`: resident set over the hours, and the median step of each hour.

    python docs/soak_plot.py docs/soak-24h.json docs/soak-24h.svg
"""

import json
import sys

WIDTH, HEIGHT, LEFT, TOP = 720, 150, 70, 28


def panel(y, title, lines, hours, least, most, dashed=None):
    """SVG of one set of axes whose top is at `y`; `lines` are lists of (hour, value), with a gap between two."""

    def at(hour, value):
        return LEFT + hour / hours * (WIDTH - LEFT - 20), y + HEIGHT - (value - least) / (most - least) * HEIGHT

    def path(points):
        return " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points)

    out = [f'<text x="{LEFT}" y="{y - 8}">{title}</text>']
    for value in (least, (least + most) / 2, most):
        out.append(f'<polyline points="{path([(0, value), (hours, value)])}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at(0, value)[1] + 4:.1f}" text-anchor="end">{value:g}</text>')
    if dashed is not None:
        out.append(f'<polyline points="{path([(0, dashed), (hours, dashed)])}" stroke="#c33" stroke-dasharray="4"/>')
    for line in lines:
        out.append(f'<polyline points="{path(line)}" stroke="#246" stroke-width="1.5"/>')
    for hour in range(0, int(hours) + 1, max(1, int(hours) // 8)):
        out.append(f'<text x="{at(hour, 0)[0]:.1f}" y="{y + HEIGHT + 16}" text-anchor="middle">{hour}</text>')
    return out


def main():
    with open(sys.argv[1]) as file:
        report = json.load(file)
    hours, mib = report["hours"], 1 << 20
    resident = [[(h, b / mib) for h, b in uptime] for uptime in report["rss_samples_by_uptime"]]
    planned = report["planned_bytes"] / mib
    steps = [(h + 0.5, ms) for h, ms in enumerate(report["step_p50_ms_by_hour"]) if h < hours]
    most = 10 * (int(planned / 10) + 1)
    title = "resident set, MiB (dashed: the plan), over hours of stream; a gap is a restart"
    out = panel(TOP, title, resident, hours, 0, most, planned)
    # A page is 4 KiB: what grows is seen from near by.
    values = [v for uptime in resident for _, v in uptime]
    least, most = int(min(values)), int(max(values)) + 1
    out += panel(TOP + HEIGHT + 60, "the same from near by", resident, hours, least, most)
    slow = max(ms for _, ms in steps) * 1.5
    title = "median step of each hour, ms (a shared machine)"
    out += panel(TOP + 2 * (HEIGHT + 60), title, [steps], hours, 0, round(slow, 1))
    height = 3 * (HEIGHT + 60) + TOP
    style = 'font-family="sans-serif" font-size="12" fill="none"'
    text = "\n".join(out).replace("<text ", '<text fill="#333" ')
    with open(sys.argv[2], "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {style}>\n{text}\n</svg>\n')


if __name__ == "__main__":
    main()
