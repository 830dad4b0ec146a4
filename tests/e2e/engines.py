"""Which engine the proxies of a test run on: io_uring or epoll.

A run over both takes twice as long, so most tests run over one of them. Which
one is each class's own, by a hash of its name that no run changes; a class
with `both_engines` runs over both all the same.
"""

import zlib

CHOICES = ("io_uring", "epoll", "both", "mixed")
_ENGINES = CHOICES[:2]


def _engines_of(test, choice):
    if choice in _ENGINES:
        return (choice,)
    if choice == "both" or test.both_engines:
        return _ENGINES
    name = "%s.%s" % (type(test).__module__, type(test).__qualname__)
    return (_ENGINES[zlib.crc32(name.encode()) % 2],)


def assign(tests, choice):
    """These tests, each with its engine; those over both come twice."""
    result = []
    for test in tests:
        # What unittest makes of a module that cannot be loaded has none.
        if not getattr(test, "needs_proxy", False) or test.chooses_engine:
            result.append(test)
            continue
        for engine in _engines_of(test, choice):
            again = type(test)(test._testMethodName)
            again.engine = engine
            result.append(again)
    return result
