"""Which edge cases of the protocol notes have a test that carries their number.

An edge case 73 is tested where a test's name holds E073: a GoogleTest case or
a Python test method. One without a test must have its reason in
tests/README.md, in a line that begins "- E073: ". scripts/lint calls this.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Protocol notes section 4: numbered from 1.
COUNT = 118

_CPP = re.compile(r"^TEST(?:_[FP])?\(\s*\w+,\s*(\w+)\)", re.MULTILINE)
_PYTHON = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)
_NUMBER = re.compile(r"E(\d{3})(?!\d)")
_REASON = re.compile(r"^- E(\d{3}): \S", re.MULTILINE)


def numbers_in(names):
    """The numbers that the names of some tests carry."""
    return {int(number) for name in names for number in _NUMBER.findall(name)}


def tested(root=ROOT):
    """The numbers that have a test."""
    names = []
    for path in sorted((root / "tests").rglob("*_test.cc")):
        names += _CPP.findall(path.read_text())
    for path in sorted((root / "tests/e2e").glob("test_*.py")):
        names += _PYTHON.findall(path.read_text())
    return numbers_in(names)


def explained(root=ROOT):
    """The numbers that have a reason instead."""
    text = (root / "tests/README.md").read_text()
    return {int(number) for number in _REASON.findall(text)}


def problems(has_test, has_reason):
    """One line for each number that is not as it should be."""
    for number in sorted(set(range(1, COUNT + 1)) - has_test - has_reason):
        yield f"edge case E{number:03} has neither a test nor a reason"
    for number in sorted(has_test & has_reason):
        yield (f"edge case E{number:03} has a test: its reason in "
               "tests/README.md is out of date")
    for number in sorted((has_test | has_reason) - set(range(1, COUNT + 1))):
        yield f"there is no edge case E{number:03}"
