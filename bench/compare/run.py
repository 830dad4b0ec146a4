"""Compares tlspost with other proxies on this machine; called by scripts/bench.

Each server has one worker, and the same sink behind it. All run at the same
time, and are loaded one after the other in rounds; what else the machine does
meanwhile hits them alike. The figure is the processor time of the server per
operation, median over the rounds.

    scripts/bench            some fifteen minutes
    scripts/bench --quick    within two minutes: less to be trusted
    scripts/bench --publish  writes the report into bench/README.md as well
"""

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report  # noqa: E402
import servers  # noqa: E402
import util  # noqa: E402  (from tests/e2e, which servers adds)

_OUTPUT = os.path.join(servers.BUILD, "report")


@dataclasses.dataclass
class Cell:
    """One kind of work. Its figure is per `unit`, of which `count` are done."""

    name: str
    title: str
    unit: str
    options: list
    certificate: str = "ecdsa"

    def units(self, results):
        if self.unit == "session":
            return results["sessions"]
        if self.unit == "MB":
            return results["octets"] / 1e6
        return results["messages"]


CELLS = (
    Cell(
        "handshake",
        "full handshake session, ECDSA P-256",
        "session",
        ["--messages=0", "--clients=20"],
    ),
    Cell(
        "handshake-rsa",
        "full handshake session, RSA-2048",
        "session",
        ["--messages=0", "--clients=20"],
        "rsa",
    ),
    Cell(
        "resumed",
        "resumed session",
        "session",
        ["--messages=0", "--clients=20", "--resume"],
    ),
    Cell(
        "single",
        "one 4 KiB message per connection",
        "message",
        ["--messages=1", "--clients=20"],
    ),
    Cell(
        "stream",
        "stream of 4 KiB messages, a command per round trip, 100 connections",
        "message",
        ["--messages=1000000", "--clients=100"],
    ),
    Cell(
        "pipelined",
        "stream of 4 KiB messages, pipelined, 100 connections",
        "message",
        ["--messages=1000000", "--clients=100", "--pipelining"],
    ),
    Cell(
        "bulk",
        "5 MiB messages, 4 connections",
        "MB",
        ["--messages=1000000", "--clients=4", "--size=5M"],
    ),
)


@dataclasses.dataclass
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    idle: tuple  # numbers of idle connections
    limit: float  # seconds, after which no further round is begun

    def duration(self, cell):
        # So many connections take their time to be made.
        return self.seconds + (0.3 if "--clients=100" in cell.options else 0)


QUICK = Plan(rounds=2, seconds=0.3, idle=(100,), limit=60)
FULL = Plan(rounds=7, seconds=3, idle=(500, 1000, 2000), limit=3600)


class Comparison:
    """All that runs, and what was measured so far."""

    def __init__(self, plan, classes, folder):
        self.plan = plan
        self.begin = time.monotonic()
        self.classes = classes
        self.folder = folder
        self.sink = servers.Sink()
        self.running = []
        self.samples = {}  # {cell: {server: [microseconds per unit]}}
        self.latency = {}  # {cell: {server: results of the last round}}
        self.backend = {}  # {cell: {server: backend connections per message}}
        self.errors = []
        self.memory = {}  # {server: [(connections, bytes each)]}
        self.how = None

    def close(self):
        self.stop()
        self.sink.close()

    def start(self, certificate):
        for kind in self.classes:
            self.running.append(kind(self.folder, certificate, self.sink))
        self.how = self.running[0].process.account.how

    def stop(self):
        for server in self.running:
            server.close()
        self.running = []

    def load(self, server, options):
        """Runs tlspost-load to its end; its results."""
        done = subprocess.run(
            [
                servers.tool("tlspost-load"),
                "--server=127.0.0.1:%d" % server.port,
                "--tls=" + server.tls,
                "--json=-",
                "--quiet",
            ]
            + options,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if not done.stdout:
            raise RuntimeError("tlspost-load: " + done.stderr)
        return json.loads(done.stdout)

    def measure(self, cell, server):
        accounted = server.process.account
        options = cell.options + [
            "--duration=%dms" % (1000 * self.plan.duration(cell))
        ]
        backend = self.sink.counts()
        before = accounted.processor_us()
        results = self.load(server, options)
        used = accounted.processor_us() - before
        opened = self.sink.counts()["connections"] - backend["connections"]
        for error in results["errors"]:
            self.errors.append(
                "%s, %s: %d x %s (%s)"
                % (
                    server.name,
                    cell.name,
                    error["count"],
                    error["kind"],
                    error["example"],
                )
            )
        units = cell.units(results)
        if units > 0:
            self.samples.setdefault(cell.name, {}).setdefault(
                server.name, []
            ).append(used / units)
        if results["messages"] > 0:
            self.backend.setdefault(cell.name, {})[server.name] = (
                opened / results["messages"]
            )
        self.latency.setdefault(cell.name, {})[server.name] = results

    def measure_cells(self, cells):
        for number in range(self.plan.rounds):
            if number > 0 and time.monotonic() > self.begin + self.plan.limit:
                _say("no time for round %d" % (number + 1))
                break
            for cell in cells:
                for server in self.running:
                    self.measure(cell, server)
                    _say(
                        "round %d of %d: %s, %s"
                        % (number + 1, self.plan.rounds, cell.name, server.name)
                    )

    def measure_memory(self, kind, certificate):
        """What each of so many idle connections after EHLO adds.

        To a server that has just started, and while all are idle: what a
        handshake needs for a moment is not in it.
        """
        points = []
        for connections in self.plan.idle:
            if connections > kind.most_idle:
                break
            server = kind(self.folder, certificate, self.sink)
            try:
                points.append((connections, self.idle_bytes(server, connections)))
            finally:
                server.close()
            _say("memory: %s, %d connections" % (kind.name, connections))
        self.memory[kind.name] = points

    def idle_bytes(self, server, connections):
        # One session first: what is made once is no connection's.
        self.load(server, ["--messages=0", "--sessions=1", "--clients=1"])
        accounted = server.process.account
        before = accounted.memory_bytes()
        hold = 2 + connections / 300
        load = subprocess.Popen(
            [
                servers.tool("tlspost-load"),
                "--server=127.0.0.1:%d" % server.port,
                "--tls=" + server.tls,
                "--messages=0",
                "--clients=%d" % connections,
                "--sessions=%d" % connections,
                "--hold=%dms" % (1000 * hold),
                "--json=-",
                "--quiet",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        # The first ones stay until `hold` is over; the last ones are there.
        time.sleep(hold - 0.3)
        after = accounted.memory_bytes()
        results = json.loads(load.communicate()[0])
        slowest = results["phases"]["session"]["max_us"] / 1e6 - hold
        if results["sessions"] != connections or slowest > hold - 0.3:
            self.errors.append(
                "%s, memory: %d of %d connections, the slowest opened after "
                "%.1f s" % (server.name, results["sessions"], connections, slowest)
            )
        return (after - before) / connections


def _say(text):
    """The progress line."""
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _available(classes):
    """Those that can be had, and a line for each that cannot."""
    found, missing = [], []
    for kind in classes:
        try:
            kind.version()
            found.append(kind)
        except (util.Skip, OSError, subprocess.SubprocessError) as reason:
            missing.append("%s is left out: %s" % (kind.name, reason))
            print(missing[-1], file=sys.stderr)
    return found, missing


def _results(comparison, found, missing, cells, started):
    """Everything measured, as plain values."""
    return {
        "started": time.strftime("%Y-%m-%d %H:%M", time.gmtime(started)),
        "seconds": time.time() - started,
        "rounds": comparison.plan.rounds,
        "round_seconds": comparison.plan.seconds,
        "accounting": comparison.how,
        "machine": report.describe_machine(),
        "versions": {kind.name: kind.version() for kind in found},
        "tls_modes": {kind.name: kind.tls for kind in found},
        "missing": missing,
        "errors": comparison.errors,
        "cells": [
            {
                "name": cell.name,
                "title": cell.title,
                "unit": cell.unit,
                "servers": {
                    name: {
                        "median": statistics.median(values),
                        "low": min(values),
                        "high": max(values),
                        "rounds": len(values),
                    }
                    for name, values in comparison.samples.get(
                        cell.name, {}
                    ).items()
                },
                "backend_connections": comparison.backend.get(cell.name, {}),
                "latency": {
                    name: results["phases"].get(
                        "session" if cell.unit == "session" else "message"
                    )
                    for name, results in comparison.latency.get(
                        cell.name, {}
                    ).items()
                },
            }
            for cell in cells
        ],
        "memory": comparison.memory,
    }


def _compare(plan, cells, names):
    started = time.time()
    classes = [
        kind for kind in servers.ALL if not names or kind.slug() in names
    ]
    found, missing = _available(classes)
    folder = tempfile.mkdtemp(prefix="tlspost-bench-")
    comparison = Comparison(plan, found, folder)
    try:
        for kind in ("ecdsa", "rsa"):
            chosen = [cell for cell in cells if cell.certificate == kind]
            if not chosen:
                continue
            certificate = servers.Certificate(folder, kind)
            comparison.start(certificate)
            comparison.measure_cells(chosen)
            comparison.stop()
            if kind == "ecdsa":
                for server in found:
                    comparison.measure_memory(server, certificate)
        return _results(comparison, found, missing, cells, started)
    finally:
        comparison.close()
        servers.remove(folder)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--quick", action="store_true", help="few, short rounds")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the report into bench/README.md as well",
    )
    parser.add_argument(
        "--cell",
        action="append",
        choices=[cell.name for cell in CELLS],
        help="only this kind of work; may be repeated",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[kind.slug() for kind in servers.ALL],
        help="only this server; may be repeated",
    )
    options = parser.parse_args()
    cells = [cell for cell in CELLS if not options.cell or cell.name in options.cell]
    results = _compare(QUICK if options.quick else FULL, cells, options.only)
    shutil.rmtree(_OUTPUT, ignore_errors=True)
    os.makedirs(_OUTPUT)
    with open(os.path.join(_OUTPUT, "results.json"), "w", encoding="ascii") as file:
        json.dump(results, file, indent=1)
    text = report.render(results, _OUTPUT, "")
    with open(os.path.join(_OUTPUT, "report.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print("\n" + text)
    print("the report, its plots and all figures are in build/bench/report")
    if options.publish:
        report.publish(results)
        print("bench/README.md and bench/plots are written")
    return 1 if results["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
