"""Tests in several processes at once: they wait more than they work.

Each job is a fork of this process that runs one test after another, with a
Postfix, certificates and ports of its own. The report is as that of one
process: whole tests, in the order of the list. It never runs a test twice,
and a job that dies fails the test that it was running.
"""

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
import time

import case
import report

_CONTEXT = multiprocessing.get_context("fork")
# What a job that was told to end may take for taking its Postfix down.
_END_SECONDS = 30


class _Job:
    """One process; the test it runs is `index`, None while it has none."""

    def __init__(self, tests, others, seconds):
        self._output = tempfile.TemporaryFile()
        self._shown = 0
        self.index = None
        self.started = 0.0
        self.connection, theirs = _CONTEXT.Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = _CONTEXT.Process(
            target=self._work, args=(theirs, tests, others, seconds)
        )
        self.process.start()
        theirs.close()

    def take(self, index):
        self.index = index
        self.started = time.monotonic()
        self.connection.send(index)

    def finish(self, total):
        """Adds the test's outcome to total; None, or how the job died."""
        try:
            passed, failed, skip_reasons = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(_END_SECONDS)
            return "its process ended with status %s" % self.process.exitcode
        total.passed += passed
        total.failed += failed
        total.skip_reasons += skip_reasons
        return None

    def output(self):
        """What was printed since the last call."""
        size = os.fstat(self._output.fileno()).st_size
        text = os.pread(
            self._output.fileno(), size - self._shown, self._shown
        )
        self._shown = size
        return text.decode("utf-8", "backslashreplace")

    def _work(self, connection, tests, others, seconds):
        # An end of a pipe that stays open here would hide its owner's death.
        self.connection.close()
        for other in others:
            other.connection.close()
        os.dup2(self._output.fileno(), sys.stdout.fileno())
        os.dup2(self._output.fileno(), sys.stderr.fileno())
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            case.shared.prepare(tests)
            while True:
                index = connection.recv()
                if index is None:
                    break
                result = report.Result(verbose=False)
                tests[index].run(result)
                sys.stdout.flush()
                sys.stderr.flush()
                connection.send(
                    (result.passed, result.failed, result.skip_reasons)
                )
        except (EOFError, KeyboardInterrupt):
            pass  # The run ended before its tests did.
        finally:
            case.shared.close()


class _Printer:
    """Prints each test's text when those of all tests before it are out."""

    def __init__(self):
        self._texts = {}
        self._next = 0

    def add(self, index, text):
        self._texts[index] = text
        while self._next in self._texts:
            sys.stdout.write(self._texts.pop(self._next))
            self._next += 1
        sys.stdout.flush()

    def flush(self):
        for index in sorted(self._texts):
            sys.stdout.write(self._texts[index])
        sys.stdout.flush()


def run(tests, count, verbose, seconds, total):
    """Runs all tests in up to count jobs and adds the outcomes to total.

    No job lives longer than that many seconds. KeyboardInterrupt ends the
    jobs and goes on.
    """
    printer = _Printer()
    # Those that may take longest first, so that nobody waits for them alone.
    waiting = sorted(
        reversed(range(len(tests))),
        key=lambda index: report.seconds_for(tests[index]),
    )
    jobs = []
    try:
        for _ in range(min(count, len(tests))):
            jobs.append(_Job(tests, jobs, seconds))
        _feed(jobs, waiting, tests, verbose)
        while any(job.index is not None for job in jobs):
            busy = {
                job.connection: job for job in jobs if job.index is not None
            }
            for connection in multiprocessing.connection.wait(list(busy)):
                job = busy[connection]
                index, death = job.index, job.finish(total)
                printer.add(index, job.output() + _remark(job, tests, death))
                job.index = None
                if death is not None:
                    total.failed.append(report.name_of(tests[index]))
                    jobs.remove(job)
            _feed(jobs, waiting, tests, verbose)
        for index in waiting:
            name = report.name_of(tests[index])
            printer.add(
                index, "FAIL %s (0.0 s)\n    no job was left for it\n" % name
            )
            total.failed.append(name)
    finally:
        printer.flush()
        total.sort([report.name_of(test) for test in tests])
        _end(jobs)


def _is_crowd(test):
    """Whether it keeps the machine busy by itself: one of these at a time."""
    return getattr(test, "crowd", False)


def _feed(jobs, waiting, tests, verbose):
    """Gives each job without a test the next one that may begin now."""
    for job in jobs:
        if job.index is not None:
            continue
        crowded = any(
            each.index is not None and _is_crowd(tests[each.index])
            for each in jobs
        )
        for index in reversed(waiting):
            if not (crowded and _is_crowd(tests[index])):
                break
        else:
            return
        waiting.remove(index)
        if verbose:
            print("     %s ..." % report.name_of(tests[index]), flush=True)
        job.take(index)


def _remark(job, tests, death):
    if death is None:
        return ""
    return "FAIL %s (%.1f s)\n    %s\n" % (
        report.name_of(tests[job.index]),
        time.monotonic() - job.started,
        death,
    )


def _end(jobs):
    """A job without a test is told to end, any other one is stopped."""
    for job in jobs:
        if job.index is None:
            with contextlib.suppress(OSError):
                job.connection.send(None)
        else:
            job.process.terminate()
    deadline = time.monotonic() + _END_SECONDS
    for job in jobs:
        job.process.join(max(0, deadline - time.monotonic()))
        if job.process.is_alive():
            job.process.kill()
            job.process.join()
