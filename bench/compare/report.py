"""The report: tables and plots of what bench/compare/run.py has measured."""

import os
import platform
import re
import statistics
import subprocess

import plots

_BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_BEGIN = "<!-- results:begin -->"
_END = "<!-- results:end -->"
_OURS = "tlspost"


def describe_machine():
    """Processor, cores, kernel, OpenSSL, and how busy it was."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        match = re.search(r"model name\s*: (.*)", file.read())
    openssl = subprocess.run(
        ["openssl", "version"], capture_output=True, text=True, check=False
    ).stdout.split()[:2]
    return {
        "processor": match.group(1) if match else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "openssl": " ".join(openssl),
        "load_average": os.getloadavg()[0],
    }


def _cell_row(cell, names):
    """A line of the main table; the ratios are to the server of our kind."""
    row = ["%s (µs per %s)" % (cell["title"], cell["unit"])]
    for name in names:
        value = cell["servers"].get(name)
        if value is None:
            row.append("–")
        else:
            row.append(
                "%.0f (%.0f–%.0f)"
                % (value["median"], value["low"], value["high"])
            )
    return row


def _share(cell, name, names, modes):
    """tlspost's time over that of `name`, begun the way it begins TLS; or None.

    The median of what the rounds came to, each by itself: what disturbs one
    round disturbs both in it.
    """
    ours = next(
        (
            cell["servers"].get(each)
            for each in names
            if each.startswith(_OURS) and modes[each] == modes[name]
        ),
        None,
    )
    theirs = cell["servers"].get(name)
    if ours is None or theirs is None:
        return None
    return statistics.median(
        our / their for our, their in zip(ours["values"], theirs["values"])
    )


def _ratio_row(cell, names, modes):
    row = [cell["title"]]
    for name in names:
        if name.startswith(_OURS):
            continue
        share = _share(cell, name, names, modes)
        row.append("–" if share is None else "%.2f" % share)
    if cell["goal"]:
        peer, goal = cell["goal"]
        row.append("%.2f of %s" % (goal, peer))
    else:
        row.append("–")
    return row


def _latency_row(cell, names):
    row = [cell["title"]]
    for name in names:
        times = cell["latency"].get(name)
        if not times:
            row.append("–")
        else:
            row.append(
                "%.2f / %.2f" % (times["p50_us"] / 1e3, times["p99_us"] / 1e3)
            )
    return row


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + " --- |" + " ---: |" * (len(head) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _head(results):
    machine = results["machine"]
    versions = ", ".join(
        "%s %s" % (name, version)
        for name, version in results["versions"].items()
        if not name.startswith(_OURS + ",")
    )
    text = (
        "%s UTC, %d minutes: %s, %d cores, Linux %s, %s; %s. Median (lowest to "
        "highest) of up to %d alternating rounds of %g s; processor time by %s; the "
        "machine's load average was %.1f at the end.\n"
        % (
            results["started"],
            round(results["seconds"] / 60) or 1,
            machine["processor"],
            machine["cores"],
            machine["kernel"],
            machine["openssl"],
            versions,
            results["rounds"],
            results["round_seconds"],
            results["accounting"],
            machine["load_average"],
        )
    )
    for line in results["missing"] + results["errors"]:
        text += "\n**%s**\n" % line
    return text


def _ratio(value):
    return "–" if value is None else "%.4f" % value


def _memory(results):
    """What an idle connection costs each server."""
    counts = sorted(
        {count for points in results["memory"].values() for count, _ in points}
    )
    rows = []
    for name, points in results["memory"].items():
        uses = dict(points)
        row = [name]
        for count in counts:
            known = count in uses
            row.append("%.1f" % (uses[count]["bytes"] / 1024) if known else "–")
        plain = results["memory_plaintext"].get(name)
        row.append("%.2f" % (plain[1]["bytes"] / 1024) if plain else "–")
        last = points[-1][1] if points else None
        row.append("%.2f" % last["descriptors"] if last else "–")
        row.append("%.2f" % last["backend"] if last else "–")
        rows.append(row)
    head = ["connections"] + ["%d" % count for count in counts]
    head += ["before STARTTLS", "descriptors each", "backend connections each"]
    return (
        "\n### Memory of an idle TLS connection after EHLO, KiB (PSS)\n\n"
        + _table(head, rows)
    )


def _scale(results):
    """What a message costs as there are more clients."""
    names = []
    for figures in results["scale"].values():
        names += [name for name in figures if name not in names]
    rows = [
        ["{:,}".format(int(clients))]
        + ["%.0f" % figures[name] if name in figures else "–" for name in names]
        for clients, figures in results["scale"].items()
    ]
    return (
        "\n### More clients and another worker: stream of 4 KiB messages, a "
        "command per round trip, µs per message\n\n"
        + _table(["clients"] + names, rows)
    )


def _floors(results, names):
    """What OpenSSL alone takes, beside all that a server does with it."""
    rows = []
    for cell in results["cells"]:
        floor = results["floors"].get(cell["name"])
        if floor is None:
            continue
        row = [cell["title"], "%.0f" % floor]
        for name in names:
            value = cell["servers"].get(name)
            row.append("%.2f" % (floor / value["median"]) if value else "–")
        rows.append(row)
    return (
        "\n### OpenSSL's part: the server's side of the handshake in memory, or "
        "AES-128-GCM over the octets once, by tlspost-micro; its share of what a "
        "server takes\n\n" + _table(["work", "µs"] + names, rows)
    )


# KiB of an idle connection of tlspost, after EHLO in TLS and before STARTTLS.
_IDLE_GOAL = 15.0
_PLAINTEXT_GOAL = 1.0
# With fewer it is what is made once that is seen.
_ENOUGH_IDLE = 1000


def _missed(results, names, modes):
    """A line for each thing that tlspost set out for and did not reach, as
    the tables of the report round it."""
    lines = []

    def judge(what, value, goal, most=True, digits=2):
        value = round(value, digits)
        if value > goal if most else value < goal:
            lines.append(
                "%s: %.*f, asked %s %.*f"
                % (what, digits, value, "at most" if most else "at least", digits, goal)
            )

    ours = [name for name in names if name.startswith(_OURS)]
    for cell in results["cells"]:
        if cell["goal"] and cell["goal"][0] in names:
            peer, goal = cell["goal"]
            share = _share(cell, peer, names, modes)
            if share is not None:
                judge("%s, share of %s's time" % (cell["title"], peer), share, goal)
        floor = results["floors"].get(cell["name"])
        for name in ours:
            times = cell["latency"].get(name)
            if cell["p99_goal_ms"] and times:
                what = "%s, p99 in ms, %s" % (cell["title"], name)
                judge(what, times["p99_us"] / 1e3, cell["p99_goal_ms"])
            value = cell["servers"].get(name)
            if cell["floor_goal"] and floor and value:
                what = "%s, OpenSSL's part of it, %s" % (cell["title"], name)
                judge(what, floor / value["median"], cell["floor_goal"], most=False)
    for name in ours:
        points = results["memory"].get(name)
        if not points or points[-1][0] < _ENOUGH_IDLE:
            continue
        what = "idle TLS connection, KiB, %s" % name
        judge(what, points[-1][1]["bytes"] / 1024, _IDLE_GOAL, digits=1)
        plain = results["memory_plaintext"].get(name)
        if plain:
            what = "idle connection before STARTTLS, KiB, %s" % name
            judge(what, plain[1]["bytes"] / 1024, _PLAINTEXT_GOAL)
    return lines


def render(results, folder, prefix):
    """The report as Markdown; its plots are written into folder."""
    names = list(results["versions"])
    modes = results["tls_modes"]
    peers = [name for name in names if not name.startswith(_OURS)]
    cells = results["cells"]
    titles = ["%s (%s)" % (name, modes[name]) for name in names]
    text = _head(results)
    timed = [cell for cell in cells if cell["unit"]]
    text += "\n### Processor time of the server\n\n"
    text += _table(["work"] + names, [_cell_row(cell, names) for cell in timed])
    if peers:
        text += "\n### tlspost's share of the peer's time\n\n"
        text += _table(
            ["work"] + peers + ["goal"],
            [_ratio_row(cell, names, modes) for cell in timed],
        )
    missed = _missed(results, names, modes)
    text += "\n### Goals that were missed\n\n"
    text += "".join("- %s\n" % line for line in missed) or "None.\n"
    text += "\n### Latency, p50 / p99 in ms, of the round with the median p99\n\n"
    text += _table(
        ["work"] + titles, [_latency_row(cell, names) for cell in cells]
    )
    text += "\n### Connections to the backend per message\n\n"
    text += _table(
        ["work"] + names,
        [
            [cell["title"]]
            + [_ratio(cell["backend_connections"].get(name)) for name in names]
            for cell in cells
            if cell["backend_connections"]
        ],
    )
    if results["floors"]:
        text += _floors(results, names)
    if results["scale"]:
        text += _scale(results)
    if results["memory"]:
        text += _memory(results)
    for name, title in plots.draw(results, folder):
        text += "\n![%s](%s%s)\n" % (title, prefix, name)
    return text


def publish(results):
    """Puts the report between its marks in bench/README.md."""
    folder = os.path.join(_BENCH, "plots")
    os.makedirs(folder, exist_ok=True)
    text = render(results, folder, "plots/")
    path = os.path.join(_BENCH, "README.md")
    with open(path, encoding="utf-8") as file:
        readme = file.read()
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + _BEGIN + "\n" + text + _END + after)
