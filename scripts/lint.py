"""Checks the project's rules; called by scripts/lint.

First every rule is tried on examples that it must reject and accept
(lint_examples.py), then on the tree. A line may be excused by a comment on it
or above it: "lint-ok: RULE, because ...".
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

import edge_cases
import lint_examples
import lint_rules
from lint_source import Source

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOT_OURS = {".git", "build", ".cache", "__pycache__"}
FORMATTER_VERSION = "14"  # others lay some lines out differently
EXCUSE = re.compile(r"lint-ok: ([\w-]+), because \w")


def excused(source, name, line):
    for number in (line, line - 1):
        if 1 <= number <= len(source.raw_lines):
            match = EXCUSE.search(source.raw_lines[number - 1])
            if match and match.group(1) == name:
                return True
    return False


def findings(name, source):
    applies, check = lint_rules.RULES[name]
    if not applies(source.path):
        return []
    return sorted({(line, text) for line, text in check(source)
                   if not excused(source, name, line)})


def self_test(name):
    """What is wrong with a rule itself."""
    if name not in lint_examples.EXAMPLES:
        return [f"rule {name} has no examples"]
    path, rejected, accepted = lint_examples.EXAMPLES[name]
    wrong = []
    for text in rejected:
        if not findings(name, Source(path, text)):
            wrong.append(f"rule {name} does not reject:\n{text}")
    for text in accepted:
        for line, message in findings(name, Source(path, text)):
            wrong.append(f"rule {name} rejects line {line} ({message}) "
                         f"of:\n{text}")
    if not rejected or not accepted:
        wrong.append(f"rule {name} needs examples of both kinds")
    return wrong


def read_sources():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(set(folders) - NOT_OURS)
        for file in sorted(files):
            path = pathlib.Path(folder, file)
            try:
                text = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue  # no text, or a link to nothing
            yield Source(path.relative_to(ROOT).as_posix(), text)


def check_rules(sources):
    """Prints findings; returns (passed, failed) counted in rules."""
    passed = failed = 0
    for name in lint_rules.RULES:
        wrong = self_test(name)
        for source in sources:
            wrong += [f"{source.path}:{line}: {text} [{name}]"
                      for line, text in findings(name, source)]
        print("".join(line + "\n" for line in wrong), end="")
        passed, failed = passed + (not wrong), failed + bool(wrong)
    for source in filter(lambda s: lint_rules.is_cpp(s.path), sources):
        for line, text in lint_rules.length_warnings(source):
            print(f"{source.path}:{line}: {text}")
    return passed, failed


def check_format():
    """None when it cannot be told, with the reason printed."""
    try:
        version = subprocess.run(["clang-format", "--version"], check=True,
                                 capture_output=True, text=True).stdout
    except OSError:
        print("lint: skipped: format: no clang-format")
        return None
    if f"version {FORMATTER_VERSION}." not in version:
        print("lint: skipped: format: needs clang-format "
              f"{FORMATTER_VERSION}, this is {version.strip()}")
        return None
    check = subprocess.run(["scripts/format", "--check"], cwd=ROOT, text=True,
                           check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    print("".join(line + "\n" for line in check.stdout.splitlines()
                  if ": error: " in line), end="")
    return check.returncode == 0


def pyflakes(arguments, text=None):
    """Its findings, a line each."""
    return subprocess.run(["pyflakes3", *arguments], input=text, text=True,
                          cwd=ROOT, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout


def check_python(sources):
    """Names that are not there, and imports that nobody needs."""
    if shutil.which("pyflakes3") is None:
        print("lint: skipped: python: no pyflakes3")
        return None
    works = (len(pyflakes([], "import os\nprint(o)\n").splitlines()) == 2 and
             not pyflakes([], "import os\nprint(os)\n"))
    if not works:
        print("pyflakes3 does not find what it should")
    # Programs without an ending are those that a line at their top names.
    files = [source.path for source in sources
             if source.path.endswith(".py") or
             source.text.startswith("#!/usr/bin/env python3")]
    wrong = pyflakes(files)
    print(wrong, end="")
    return works and not wrong


def check_edge_cases():
    every = set(range(1, edge_cases.COUNT + 1))
    names = ["E001AndE118OfIt", "test_E0071_no", "E12"]
    works = (edge_cases.numbers_in(names) == {1, 118} and
             not list(edge_cases.problems(every, set())) and
             len(list(edge_cases.problems(every - {7}, {8, 200}))) == 3)
    if not works:
        print("the check of edge cases does not find what it should")
    wrong = list(edge_cases.problems(edge_cases.tested(),
                                     edge_cases.explained()))
    print("".join(line + "\n" for line in wrong), end="")
    return works and not wrong


def check_tidy(sources, wanted):
    if not wanted:
        print("lint: skipped: clang-tidy: takes minutes, only with --tidy")
        return None
    if not (ROOT / "build/dev/compile_commands.json").exists():
        print("lint: skipped: clang-tidy: run scripts/build dev first")
        return None
    if shutil.which("clang-tidy") is None:
        print("lint: skipped: clang-tidy: not installed")
        return None
    files = [source.path for source in sources if source.path.endswith(".cc")
             and source.path.startswith(("common/", "proxy/"))]
    tidy = subprocess.run(
        ["xargs", "-P", str(os.cpu_count()), "-n", "1", "clang-tidy",
         "--quiet", "-p", "build/dev"],
        input="\n".join(files), text=True, cwd=ROOT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    # clang-tidy 14 also reports a library's nameless parameters, without a
    # place; what has no line is not ours.
    found = sorted(set(re.findall(r"^\S+:\d+:\d+: (?:error|warning): .*$",
                                  tidy.stdout, re.MULTILINE)))
    print("".join(line.replace(f"{ROOT}/", "") + "\n" for line in found),
          end="")
    return not found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tidy", action="store_true",
                        help="run clang-tidy as well (slow)")
    options = parser.parse_args()
    sources = list(read_sources())
    passed, failed = check_rules(sources)
    outcomes = [check_format(), check_python(sources), check_edge_cases(),
                check_tidy(sources, options.tidy)]
    passed += outcomes.count(True)
    failed += outcomes.count(False)
    print(f"{passed} passed, {failed} failed, {outcomes.count(None)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
