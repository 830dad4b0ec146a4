"""Runs lint, builds and tests, and counts them; called by scripts/test.

Stages, in order: lint; machine (what is shipped beside the program, as far as
reading tells; scripts/test-machine builds and runs it); clang++ with
AddressSanitizer and UndefinedBehaviorSanitizer (unit and simulation tests);
fuzz (a minute of libFuzzer); g++, as it is shipped (the same tests);
instructions (what each kind of work takes in that build, against the table);
end to end, with clang's sanitized binary. Builds are made one after the other, and
tests run beside the next build, which gives way to them; the end-to-end tests
begin as soon as there is a binary. What tests printed is shown at the end, in
the order of the stages. A stage whose build failed is counted as one failure and
the others go on.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped\b")


@dataclasses.dataclass
class Result:
    """What one stage came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    notes: list = dataclasses.field(default_factory=list)


def run(command, **options):
    """Runs `command` in the checkout with its output shown; returns status."""
    print(f"test: {' '.join(map(str, command))}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False, **options).returncode


class Background:
    """A command that runs at once, beside others; shown when it has ended."""

    def __init__(self, command, env=None):
        self._title = f"test: {' '.join(map(str, command))}"
        self._started = time.monotonic()
        self._ended = None
        self._output = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, env=env,
                                         stdout=self._output,
                                         stderr=subprocess.STDOUT)
        print(f"{self._title} (shown at the end)", flush=True)
        # Nobody waits for it yet, and how long it took is wanted all the same.
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self):
        self._process.wait()
        self._ended = time.monotonic()

    def finish(self):
        """Shows what it printed; returns status, lines and seconds."""
        self._thread.join()
        self._output.seek(0)
        lines = self._output.readlines()
        self._output.close()
        print(self._title)
        print("".join(lines), end="", flush=True)
        return self._process.returncode, lines, self._ended - self._started


class Counted:
    """A command that prints "N passed, N failed, N skipped"; runs at once."""

    def __init__(self, command):
        self._running = Background(command)

    def finish(self, result):
        """Adds up what it came to, when it has ended."""
        status, lines, seconds = self._running.finish()
        result.seconds += seconds
        counts = None
        for line in lines:
            if match := COUNT_LINE.match(line):
                counts = [int(group) for group in match.groups()]
            if "skipped: " in line:
                result.notes.append(line.strip())
        if counts is not None:
            result.passed += counts[0]
            result.failed += counts[1]
            result.skipped += counts[2]
        if status != 0 and (counts is None or counts[1] == 0):
            result.failed += 1
            result.notes.append(f"exit status {status}")
        if status == 0 and counts is None:
            result.failed += 1
            result.notes.append("printed no closing line")


class UnitTests:
    """The test binaries of a build, run through ctest; they run at once."""

    def __init__(self, preset):
        self._reports = tempfile.TemporaryDirectory()
        env = dict(os.environ, GTEST_OUTPUT=f"xml:{self._reports.name}/",
                   ASAN_OPTIONS="detect_stack_use_after_return=1",
                   UBSAN_OPTIONS="print_stacktrace=1")
        self._running = Background(
            ["nice", "-n", "5", "ctest", "--test-dir", f"build/{preset}",
             "--output-on-failure", "--no-tests=error",
             "--parallel", str(os.cpu_count())], env)

    def finish(self, result):
        """Adds up what they came to, when they have ended."""
        status, _, seconds = self._running.finish()
        result.seconds += seconds
        reports = add_gtest_reports(self._reports.name, result)
        self._reports.cleanup()
        if reports == 0 or (status != 0 and result.failed == 0):
            # A binary that crashes leaves no report.
            result.failed += 1
            result.notes.append("a test binary crashed or was not built")


def add_gtest_reports(folder, result):
    """Counts the test cases in GoogleTest's XML files; returns how many."""
    reports = sorted(pathlib.Path(folder).glob("*.xml"))
    for report in reports:
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None:
                result.failed += 1
                result.notes.append(f"failed: {name}")
            elif skipped is not None or case.get("result") == "skipped":
                result.skipped += 1
                text = skipped.get("message") or "" if skipped is not None else ""
                reason = text.strip().splitlines()[-1:] or ["no reason given"]
                result.notes.append(f"skipped: {name}: {reason[0]}")
            elif case.get("status") == "run":
                result.passed += 1
    return len(reports)


def build(preset, result, target="all"):
    started = time.monotonic()
    status = run(["nice", "-n", "10", "scripts/build", preset, target])
    result.seconds += time.monotonic() - started
    if status == 0:
        return True
    result.failed += 1
    result.notes.append("the build failed")
    return False


class EndToEnd:
    """The end-to-end tests, which run beside other stages."""

    def __init__(self, is_chosen):
        self._is_chosen = is_chosen
        self._running = None

    def start(self):
        """Begins them, unless they are not asked for or there is no binary."""
        binary = ROOT / "build/clang/proxy/tlspost"
        if self._is_chosen and self._running is None and binary.exists():
            self._running = Counted(["tests/e2e/run", "--binary", str(binary)])

    def finish(self, result):
        self.start()
        if self._running is None:
            result.failed += 1
            result.notes.append("the clang build left no tlspost to test")
            return
        self._running.finish(result)


def lint(_result, _beside):
    return Counted(["scripts/lint"])


def machine(_result, _beside):
    return Counted(["tests/machine/run", "--quick"])


def clang(result, beside):
    if build("clang", result, "programs"):
        beside.start()
        if build("clang", result):
            return UnitTests("clang")
    return None


def gcc(result, _beside):
    return UnitTests("gcc") if build("gcc", result) else None


def instructions(_result, _beside):
    # Of the build that users get.
    return Counted([sys.executable, "bench/instructions/check.py", "--binary",
                    "build/gcc/bench/tlspost-cells"])


def fuzz(_result, _beside):
    # Beside the next build: one core of it is enough.
    return Counted(["nice", "-n", "10", "tests/fuzz/run", "--seconds=60",
                    "--jobs=1"])


def end_to_end(_result, beside):
    return beside


STAGES = {"lint": lint, "machine": machine, "clang": clang, "fuzz": fuzz,
          "gcc": gcc, "instructions": instructions, "e2e": end_to_end}


def print_summary(results, left_out):
    print("\n" + "=" * 72)
    print(f"{'stage':<10}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        print(f"{result.name:<10}{result.passed:>8}{result.failed:>8}"
              f"{result.skipped:>9}{result.seconds:>9.0f}")
        for note in result.notes:
            print(f"    {note}")
    for name in left_out:
        print(f"{name:<10}not asked for")
    print("=" * 72)
    totals = [sum(getattr(result, key) for result in results)
              for key in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*totals), flush=True)
    return totals[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", metavar="STAGE",
                        help="only these: " + ", ".join(STAGES))
    options = parser.parse_args()
    chosen = options.stages or list(STAGES)
    for name in chosen:
        if name not in STAGES:
            parser.error(f"no stage {name}; there are {', '.join(STAGES)}")
    results, running = [], []
    beside = EndToEnd("e2e" in chosen)
    for name, stage in STAGES.items():
        if name not in chosen:
            continue
        result = Result(name)
        results.append(result)
        running.append((stage(result, beside), result))
    for each, result in running:
        if each is not None:
            each.finish(result)
    left_out = [name for name in STAGES if name not in chosen]
    return 1 if print_summary(results, left_out) else 0


if __name__ == "__main__":
    sys.exit(main())
