"""Compares tlspost with other proxies on this machine; called by scripts/bench.

Each server has one worker, and the same sink behind it. All run at the same
time, and are loaded one after the other in rounds; what else the machine does
meanwhile hits them alike. The figure is the processor time of the server per
operation, median over the rounds.

    scripts/bench            some thirty minutes
    scripts/bench --quick    within two minutes: less to be trusted
    scripts/bench --publish  writes the report into bench/README.md as well
"""

import argparse
import contextlib
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

import floors  # noqa: E402
import processes  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import util  # noqa: E402  (from tests/e2e, which processes adds)
import work  # noqa: E402

_OUTPUT = os.path.join(processes.BUILD, "report")


class Comparison:
    """All that runs, and what was measured so far."""

    def __init__(self, plan, classes, folder):
        self.plan = plan
        self.begin = time.monotonic()
        self.classes = classes
        self.folder = folder
        self.sink = processes.Sink()
        self.running = []
        self.samples = {}  # {cell: {server: [microseconds per unit]}}
        self.latency = {}  # {cell: {server: [times of its phase, by round]}}
        self.backend = {}  # {cell: {server: backend connections per message}}
        self.errors = []
        self.scale = {}  # see measure_scale()
        self.floors = {}  # see floors.measure()
        self.memory = {}  # {server: [(connections, idle_use())]}
        self.plaintext = {}  # {server: (connections, idle_use())}
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

    def start_load(self, server, options, gives_way=False):
        return subprocess.Popen(
            (["nice", "-n", "10"] if gives_way else [])
            + [
                processes.tool("tlspost-load"),
                "--server=127.0.0.1:%d" % server.port,
                "--tls=" + server.tls,
                "--json=-",
                "--quiet",
            ]
            + list(options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def load(self, server, options):
        """Runs tlspost-load to its end; its results."""
        return _finish(self.start_load(server, options))

    def measure(self, cell, server):
        """One sample: what the server has used between two looks at it.

        The first look is taken when all clients are connected, so that
        handshakes are in no figure but their own; how much was done meanwhile
        is asked of the sink, which knows, except for sessions.
        """
        settling = cell.settling()
        whole = settling + self.plan.seconds
        beside = None
        if cell.beside:
            beside = self.start_load(
                server,
                list(cell.beside) + ["--duration=%dms" % (1000 * (whole + 0.5))],
                # The latency that is measured shall be the server's, and not
                # that of its clients among each other.
                gives_way=True,
            )
        options = list(cell.options)
        if settling > 0:
            options.append("--warm-up=%dms" % (1000 * settling))
        # The load goes on while the second look is taken.
        spare = 0.2 if settling > 0 else 0
        options.append("--duration=%dms" % (1000 * (whole + spare)))
        begin = self.sink.counts()
        running = self.start_load(server, options)
        with _ended_on_failure(beside):
            results, used, taken = self._between(running, server, settling)
        end = self.sink.counts()
        if beside is not None:
            self.note_errors(cell, server, _finish(beside))
        self.note_errors(cell, server, results)
        units = cell.units(results, taken) if cell.unit else 0
        if units > 0:
            self.samples.setdefault(cell.name, {}).setdefault(
                server.name, []
            ).append(used / units)
        if end["messages"] > begin["messages"]:
            self.backend.setdefault(cell.name, {})[server.name] = (
                end["connections"] - begin["connections"]
            ) / (end["messages"] - begin["messages"])
        times = results["phases"].get(cell.phase)
        if times:
            self.latency.setdefault(cell.name, {}).setdefault(
                server.name, []
            ).append(times)

    def _between(self, running, server, settling):
        """The results of a load, and what the server used for how many messages."""
        accounted = server.process.account
        time.sleep(settling)
        before, taken = accounted.processor_us(), self.sink.counts()["messages"]
        if settling == 0:
            results = _finish(running)
            return results, accounted.processor_us() - before, 0
        time.sleep(self.plan.seconds)
        used = accounted.processor_us() - before
        taken = self.sink.counts()["messages"] - taken
        return _finish(running), used, taken

    def note_errors(self, cell, server, results):
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

    @contextlib.contextmanager
    def noting_failure(self, server, name):
        """A load that does not end, or has no result, is one of the errors: what
        was measured before, and what can be measured after it, counts."""
        try:
            yield
        except _LoadFailed as failure:
            self.errors.append("%s, %s: %s" % (server.name, name, failure))

    def measure_cells(self, cells):
        for number in range(self.plan.rounds):
            if number > 0 and time.monotonic() > self.begin + self.plan.limit:
                _say("no time for round %d" % (number + 1))
                break
            for cell in cells:
                for server in self.running:
                    if cell.clients() > server.most_idle:
                        continue
                    if number >= server.enough_rounds:
                        continue
                    with self.noting_failure(server, cell.name):
                        self.measure(cell, server)
                    _say(
                        "round %d of %d: %s, %s"
                        % (number + 1, self.plan.rounds, cell.name, server.name)
                    )

    def measure_scale(self, certificate):
        """What a message costs with more clients, and with a second worker.

        {clients: {server: [microseconds per message]}}
        """
        kinds = (servers.Tlspost, servers.TlspostTwoWorkers)
        both = []
        try:
            for kind in kinds:
                both.append(kind(self.folder, certificate, self.sink))
            for wished, rounds in self.plan.scale.items():
                clients = min(wished, processes.most_connections())
                cell = work.Cell(
                    "%s-%d" % (work.SCALE, clients),
                    "stream of 4 KiB messages",
                    "message",
                    [
                        "--messages=1000000",
                        "--clients=%d" % clients,
                        # So many handshakes at once would be refused.
                        "--ramp=%dms" % (1000 * clients / work.OPENED_PER_SECOND),
                    ],
                )
                for number in range(rounds):
                    for server in both:
                        with self.noting_failure(server, cell.name):
                            self.measure(cell, server)
                        _say(
                            "scale: %d clients, %s, round %d of %d"
                            % (clients, server.name, number + 1, rounds)
                        )
                self.scale[clients] = self.samples.pop(cell.name, {})
        finally:
            for server in both:
                server.close()

    def measure_memory(self, kind, certificate):
        """What each of so many idle connections after EHLO adds.

        To a server that has had some sessions, one after another: what is made
        once is no connection's. They are opened one by one, too: what the
        allocator keeps of handshakes at the same time is not theirs either.
        Where clients begin in plaintext, also before STARTTLS, once.
        """
        points = []
        for wished in self.plan.idle:
            connections = min(
                wished, processes.most_connections(), kind.most_idle
            )
            if points and points[-1][0] == connections:
                break
            points.append((connections, self.idle_use(kind, certificate, connections)))
            _say("memory: %s, %d connections" % (kind.name, connections))
        self.memory[kind.name] = points
        if kind.tls == "starttls" and kind.plaintext and points:
            connections = points[-1][0]
            self.plaintext[kind.name] = (
                connections,
                self.idle_use(kind, certificate, connections, plaintext=True),
            )
            _say("memory before STARTTLS: %s" % kind.name)

    def idle_use(self, kind, certificate, connections, plaintext=False):
        """{"bytes", "descriptors", "backend"} of each of the connections."""
        server = kind(self.folder, certificate, self.sink)
        tls = "none" if plaintext else server.tls
        try:
            warm_up = self.plan.warm_up if kind.warms_up else 1
            self.load(
                server,
                ["--messages=0", "--sessions=%d" % warm_up, "--clients=1"],
            )
            return self.hold(server, connections, tls)
        finally:
            server.close()

    def hold(self, server, connections, tls):
        accounted = server.process.account
        before = (
            accounted.memory_bytes(),
            accounted.descriptors(),
            self.sink.counts()["connections"],
        )
        hold = server.opens_within + connections / work.OPENED_PER_SECOND
        load = self.start_load(
            server,
            [
                "--tls=" + tls,
                "--messages=0",
                "--clients=%d" % connections,
                "--sessions=%d" % connections,
                "--session-rate=%d" % work.OPENED_PER_SECOND,
                "--hold=%dms" % (1000 * hold),
            ],
        )
        # The first ones stay until `hold` is over; the last ones are there.
        time.sleep(hold - 0.3)
        after = (
            accounted.memory_bytes(),
            accounted.descriptors(),
            self.sink.counts()["connections"],
        )
        results = _finish(load)
        sessions = results["phases"].get("session")
        slowest = sessions["max_us"] / 1e6 - hold if sessions else hold
        if results["sessions"] != connections or slowest > hold - 0.3:
            self.errors.append(
                "%s, memory: %d of %d connections, the slowest opened after "
                "%.1f s" % (server.name, results["sessions"], connections, slowest)
            )
        return {
            name: (end - begin) / connections
            for name, begin, end in zip(
                ("bytes", "descriptors", "backend"), before, after
            )
        }


class _LoadFailed(Exception):
    """A tlspost-load without results."""


def _finish(running):
    """What this tlspost-load has found out."""
    try:
        out, error = running.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise _LoadFailed("tlspost-load did not end within 300 s") from None
    if not out:
        raise _LoadFailed("tlspost-load: " + error)
    return json.loads(out)


@contextlib.contextmanager
def _ended_on_failure(beside):
    """Ends the process (or None) when what it runs beside has failed."""
    try:
        yield
    except _LoadFailed:
        if beside is not None:
            beside.kill()
            beside.communicate()
        raise


def _typical(rounds):
    """The times of the round whose p99 is the median one."""
    ordered = sorted(rounds, key=lambda times: times["p99_us"])
    return ordered[len(ordered) // 2]


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
                "goal": cell.goal,
                "p99_goal_ms": cell.p99_goal_ms,
                "floor_goal": cell.floor_goal,
                "servers": {
                    name: {
                        "median": statistics.median(values),
                        "low": min(values),
                        "high": max(values),
                        "values": values,
                    }
                    for name, values in comparison.samples.get(
                        cell.name, {}
                    ).items()
                },
                "backend_connections": comparison.backend.get(cell.name, {}),
                "latency": {
                    name: _typical(rounds)
                    for name, rounds in comparison.latency.get(
                        cell.name, {}
                    ).items()
                },
            }
            for cell in cells
        ],
        "scale": {
            clients: {
                name: statistics.median(values) for name, values in figures.items()
            }
            for clients, figures in comparison.scale.items()
        },
        "floors": comparison.floors,
        "memory": comparison.memory,
        "memory_plaintext": comparison.plaintext,
    }


def _compare(plan, cells, names, extras):
    started = time.time()
    classes = [
        kind for kind in servers.ALL if not names or kind.slug() in names
    ]
    found, missing = _available(classes)
    folder = tempfile.mkdtemp(prefix="tlspost-bench-")
    comparison = Comparison(plan, found, folder)
    try:
        # The few of RSA first: the limit is for the many.
        for kind in ("rsa", "ecdsa"):
            chosen = [cell for cell in cells if cell.certificate == kind]
            if not chosen:
                continue
            certificate = processes.Certificate(folder, kind)
            comparison.start(certificate)
            comparison.measure_cells(chosen)
            comparison.stop()
        certificate = processes.Certificate(folder, "ecdsa")
        if work.SCALE in extras:
            comparison.measure_scale(certificate)
        if work.FLOOR in extras:
            comparison.floors = floors.measure()
            _say("floors: what OpenSSL alone takes")
        if work.MEMORY in extras:
            for kind in found:
                with comparison.noting_failure(kind, work.MEMORY):
                    comparison.measure_memory(kind, certificate)
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
        choices=[cell.name for cell in work.CELLS]
        + [work.MEMORY, work.SCALE, work.FLOOR],
        help="only this kind of work; may be repeated",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[kind.slug() for kind in servers.ALL],
        help="only this server; may be repeated",
    )
    options = parser.parse_args()
    cells = [
        cell
        for cell in work.CELLS
        if (cell.name in options.cell if options.cell else
            cell.in_quick or not options.quick)
    ]
    results = _compare(
        work.QUICK if options.quick else work.FULL,
        cells,
        options.only,
        options.cell or (work.MEMORY, work.SCALE, work.FLOOR),
    )
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
