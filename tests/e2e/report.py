"""What a run says of its tests: a line each, and what is known of a failure.

Plain text on standard output; it starts no test and counts for one process.
"""

import signal
import sys
import time
import traceback
import unittest

import util

_TEST_SECONDS = 120


def seconds_for(test):
    """What a test may take."""
    return getattr(test, "seconds", _TEST_SECONDS)


def name_of(test):
    """Its name, with the engine of its proxies where it has one."""
    engine = getattr(test, "engine", None)
    return test.id().removeprefix("__main__.") + (
        " [%s]" % engine if engine else ""
    )


class _TooSlow(Exception):
    """A single test took longer than any may."""


class Result(unittest.TestResult):
    """Prints a line per test as it ends, and what is known about a failure."""

    def __init__(self, verbose):
        super().__init__()
        self._verbose = verbose
        self._started = 0.0
        self._seconds = _TEST_SECONDS
        self._trouble = False
        self.passed = 0
        self.failed = []
        self.skip_reasons = []

    def sort(self, names):
        """Puts what failed or was skipped into the order of the names."""
        place = {name: index for index, name in enumerate(names)}

        def place_of(name):
            # A part of a test has the test's name, and more in parentheses.
            whole = name.partition(" (")[0]
            return place.get(name, place.get(whole, len(names)))

        self.failed.sort(key=place_of)
        self.skip_reasons.sort(key=lambda skipped: place_of(skipped[0]))

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._trouble = False
        signal.signal(signal.SIGALRM, self._too_slow)
        self._seconds = seconds_for(test)
        signal.alarm(self._seconds)
        if self._verbose:
            print("     %s ..." % name_of(test), flush=True)

    def _too_slow(self, _signal, _frame):
        raise _TooSlow("the test was stopped after %d s" % self._seconds)

    def stopTest(self, test):
        signal.alarm(0)
        if self._trouble:
            self.failed.append(name_of(test))
            for title, text in getattr(test, "logs", list)():
                print("    --- log of: %s" % title)
                print(
                    "        "
                    + util.tail(text, 40).replace("\n", "\n        ")
                )
        if hasattr(test, "forget_logs"):
            test.forget_logs()
        sys.stdout.flush()
        super().stopTest(test)

    def _line(self, word, test):
        print(
            "%s %s (%.1f s)"
            % (word, name_of(test), time.monotonic() - self._started),
            flush=True,
        )

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self._trouble:
            self.passed += 1
            self._line("ok  ", test)

    def _bad(self, test, error):
        if not self._trouble:
            self._line("FAIL", test)
        self._trouble = True
        text = "".join(traceback.format_exception(*error))
        print("    " + text.replace("\n", "\n    "), flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._bad(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._bad(test, error)
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule
            self.failed.append(name_of(test))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            print("    in %s" % subtest.id())
            self._bad(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skip_reasons.append((name_of(test), reason))
        self._line("SKIP", test)
        print("    NOT TESTED, because: %s" % reason, flush=True)
