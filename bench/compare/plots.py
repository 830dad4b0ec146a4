"""Plots as SVG, written by hand: bars, distributions, lines."""

import html
import math
import os

_WIDTH, _LEFT, _RIGHT = 760, 210, 90
_COLOURS = ("#1b6ca8", "#5fa8d3", "#d1495b", "#edae49", "#66a182", "#8d6a9f",
            "#7f7f7f")
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:bold;"
    "font-size:13px}.axis{stroke:#bbb;stroke-width:1}"
)


def _svg(height, parts):
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
        'viewBox="0 0 %d %d"><style>%s</style>'
        '<rect width="100%%" height="100%%" fill="#fff"/>%s</svg>\n'
        % (_WIDTH, height, _WIDTH, height, _STYLE, "".join(parts))
    )


def _text(x, y, text, anchor="start", kind=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>' % (
        x,
        y,
        anchor,
        kind,
        html.escape(text),
    )


def _line(x1, y1, x2, y2):
    return '<line class="axis" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>' % (
        x1,
        y1,
        x2,
        y2,
    )


def _bars(cells, names):
    """One group per cell, each scaled to its own largest bar."""
    parts, y = [], 10
    room = _WIDTH - _LEFT - _RIGHT
    for cell in cells:
        y += 22
        parts.append(
            _text(10, y, "%s, µs per %s" % (cell["title"], cell["unit"]), kind="title")
        )
        y += 8
        values = cell["servers"]
        most = max((value["high"] for value in values.values()), default=0) or 1
        for index, name in enumerate(names):
            if name not in values:
                continue
            value = values[name]
            width = room * value["median"] / most
            low, high = (_LEFT + room * value[k] / most for k in ("low", "high"))
            parts.append(
                '<rect x="%d" y="%d" width="%.1f" height="14" fill="%s"/>'
                % (_LEFT, y, width, _COLOURS[index % len(_COLOURS)])
            )
            parts.append(
                '<line stroke="#222" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>'
                % (low, y + 7, high, y + 7)
            )
            parts.append(_text(_LEFT - 8, y + 11, name, "end"))
            parts.append(_text(high + 6, y + 11, "%.0f" % value["median"]))
            y += 18
    return _svg(y + 15, parts)


def _axes(parts, height, x_ticks, y_ticks, x_label, y_label):
    bottom = height - 40
    parts.append(_line(60, bottom, _WIDTH - 170, bottom))
    parts.append(_line(60, 40, 60, bottom))
    for x, text in x_ticks:
        parts.append(_line(x, bottom, x, bottom + 4))
        parts.append(_text(x, bottom + 17, text, "middle"))
    for y, text in y_ticks:
        parts.append(_line(60, y, _WIDTH - 170, y))
        parts.append(_text(55, y + 4, text, "end"))
    parts.append(_text(60 + (_WIDTH - 230) / 2, height - 6, x_label, "middle"))
    parts.append(_text(10, 32, y_label))


def _curve(points, index):
    return '<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (
        _COLOURS[index % len(_COLOURS)],
        " ".join("%.1f,%.1f" % point for point in points),
    )


def _legend(index, name):
    y = 50 + 20 * index
    return '<rect x="%d" y="%d" width="12" height="12" fill="%s"/>' % (
        _WIDTH - 155,
        y,
        _COLOURS[index % len(_COLOURS)],
    ) + _text(_WIDTH - 138, y + 10, name)


def _distribution(cell, names):
    """Share of the messages that took no longer, over a logarithmic time."""
    height, width = 340, _WIDTH - 230
    shown = {name: cell["latency"][name] for name in names if cell["latency"].get(name)}
    if not shown:
        return None
    times = [time for one in shown.values() for time, _ in one["buckets"]]
    low = math.floor(math.log10(max(min(times), 1)))
    high = max(math.ceil(math.log10(max(times))), low + 1)
    bottom = height - 40

    def x_of(us):
        return 60 + width * (math.log10(max(us, 1)) - low) / (high - low)

    def y_of(share):
        return bottom - (bottom - 40) * share

    parts = [_text(10, 16, cell["title"] + ": latency", kind="title")]
    _axes(
        parts,
        height,
        [(x_of(10**e), _time(10**e)) for e in range(low, high + 1)],
        [(y_of(k / 4), "%d %%" % (25 * k)) for k in range(5)],
        "took no longer than",
        "of all",
    )
    for index, name in enumerate(names):
        if name not in shown:
            continue
        seen, points = 0, []
        for time, count in shown[name]["buckets"]:
            points.append((x_of(time), y_of(seen / shown[name]["count"])))
            seen += count
            points.append((x_of(time), y_of(seen / shown[name]["count"])))
        parts += [_curve(points, index), _legend(index, name)]
    return _svg(height, parts)


def _time(us):
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size:
            return "%g %s" % (us / size, unit)
    return "%g µs" % us


def _memory(memory, names):
    """All that the idle connections use, over their number."""
    height, width = 340, _WIDTH - 230
    bottom = height - 40
    most_x = max(count for points in memory.values() for count, _ in points)
    most_y = (
        max(n * use["bytes"] for points in memory.values() for n, use in points) or 1
    )
    parts = [_text(10, 16, "idle TLS connections: memory (PSS)", kind="title")]

    def at(count, size):
        return (
            60 + width * count / most_x,
            bottom - (bottom - 40) * max(count * size, 0) / most_y,
        )

    _axes(
        parts,
        height,
        [(60 + width * k / 4, "%d" % (most_x * k / 4)) for k in range(5)],
        [
            (bottom - (bottom - 40) * k / 4, "%.1f" % (most_y * k / 4e6))
            for k in range(5)
        ],
        "connections",
        "MB",
    )
    for index, name in enumerate(names):
        if name in memory:
            points = [at(0, 0)] + [
                at(count, use["bytes"]) for count, use in memory[name]
            ]
            parts += [_curve(points, index), _legend(index, name)]
    return _svg(height, parts)


def draw(results, folder):
    """Writes the plots; yields (file name, title)."""
    names = list(results["versions"])
    timed = [cell for cell in results["cells"] if cell["unit"]]
    drawn = [("processor.svg", "processor time", _bars(timed, names))]
    for cell in results["cells"]:
        if cell["name"] in ("single", "stream", "pipelined", "noop"):
            plot = _distribution(cell, names)
            if plot is not None:
                drawn.append(
                    ("latency-%s.svg" % cell["name"], "latency: " + cell["title"], plot)
                )
    if results["memory"]:
        drawn.append(
            ("memory.svg", "memory of idle connections", _memory(results["memory"], names))
        )
    for name, title, text in drawn:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        yield name, title
