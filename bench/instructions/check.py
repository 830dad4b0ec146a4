"""Instructions per operation: counts them, and compares with table.json.

    scripts/bench --instructions             counts and compares
    scripts/bench --instructions --update --reason="why they have changed"

Each kind of work runs in tlspost-cells, on one thread and without a kernel,
under callgrind; only what happens within CountedTurn is counted, which is the
worker's part of it. Two runs differ by less than one in a hundred. Times vary
with the machine, instructions do not: a kind of work that needs more than 5 %
more than the table says fails the check, until the table is updated with a
reason.

What a compiler makes of our sources, and what OpenSSL does, is theirs: the
table names both, and where they are others than here the figures are shown
and not judged.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_HERE))
_TABLE = os.path.join(_HERE, "table.json")
_README = os.path.join(os.path.dirname(_HERE), "README.md")
_BEGIN = "<!-- instructions:begin -->"
_END = "<!-- instructions:end -->"

TOLERANCE = 0.05
# Fewer than this are noise, whatever their share.
SMALLEST_CHANGE = 300
_OPERATIONS = {"session": 10, "MB": 5, "message": 40, "command": 100}
_PARTS = ("own", "system", "libssl", "libcrypto")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit("%s:\n%s" % (" ".join(command), done.stdout + done.stderr))
    return done.stdout


def first_number(text):
    match = re.search(r"\d+(\.\d+)+\w*", text)
    return match.group(0) if match else "unknown"


def toolchain(binary):
    """What decides about the figures beside our sources."""
    comment = run(["readelf", "-p", ".comment", binary])
    compilers = sorted(set(re.findall(r"\]\s+(\S.*\S)\s*$", comment, re.M)))
    # The C library's own start files name its compiler as well.
    return {
        "compiler": ", ".join(c for c in compilers if "Linker" not in c
                              and "mold" not in c),
        "openssl": first_number(run(["openssl", "version"])),
        "libc": first_number(run(["ldd", "--version"]).splitlines()[0]),
        "valgrind": first_number(run(["valgrind", "--version"])),
    }


def part_of(binary, obj, file):
    """Whose instructions these are; None: nobody's, the peers' or the loop's."""
    if obj == binary:
        place = file[len(_ROOT) + 1:] if file.startswith(_ROOT) else file
        return None if place.startswith(("bench/", "tests/")) else "own"
    name = os.path.basename(obj)
    if name.startswith("libssl"):
        return "libssl"
    return "libcrypto" if name.startswith("libcrypto") else "system"


def sums(path, binary):
    """{part: instructions} of a callgrind file."""
    totals = collections.Counter()
    names = {}

    def named(kind, text):
        # "(3) name" the first time, "(3)" later.
        match = re.match(r"\((\d+)\)(?: (.*))?$", text)
        if match is None:
            return text
        key = (kind, match.group(1))
        if match.group(2) is not None:
            names[key] = match.group(2)
        return names[key]

    obj = file = ""
    skip = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            key, equals, value = line.partition("=")
            if equals and re.fullmatch(r"[a-z]+", key):
                if key == "ob":
                    obj = named("ob", value)
                elif key in ("fl", "fi", "fe"):
                    file = named("fl", value)
                elif key == "cob":
                    named("ob", value)
                elif key in ("cfi", "cfl"):
                    named("fl", value)
                elif key == "calls":
                    skip = True
                continue
            if not line or not (line[0].isdigit() or line[0] in "+-*"):
                continue
            if skip:  # what the callee took is counted there
                skip = False
                continue
            part = part_of(binary, obj, file)
            if part is not None:
                totals[part] += int(line.split()[1])
    return totals


def certificate(folder, key):
    """The proxy's certificate of this kind, as options of tlspost-cells."""
    if key != "rsa":
        return []
    cert, private = os.path.join(folder, "rsa.pem"), os.path.join(folder, "rsa.key")
    if not os.path.exists(cert):
        run(["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey",
             "rsa:2048", "-subj", "/CN=mx.example", "-keyout", private,
             "-out", cert])
        os.chmod(private, 0o600)
    return ["--cert_file=" + cert, "--key_file=" + private]


def count(binary, folder, cell, options=(), operations=None):
    """{part: instructions per operation} of one kind of work."""
    name, key, unit = cell[:3]
    operations = operations or _OPERATIONS[unit]
    output = os.path.join(folder, name + ".callgrind")
    run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + output,
         "--toggle-collect=*CountedTurn*", "--quiet", binary, "--cell=" + name,
         "--operations=%d" % operations] + certificate(folder, key)
        + list(options))
    totals = sums(output, binary)
    os.remove(output)
    return {part: round(totals[part] / operations) for part in _PARTS}


def cells(binary):
    return [line.split("\t") for line in run([binary, "--list"]).splitlines()]


def judged(counts, ours):
    """What is compared: what we do or cause, or what OpenSSL does."""
    parts = ("own", "system") if ours else ("libssl", "libcrypto")
    return sum(counts[part] for part in parts)


def findings(table, counts, here):
    """(faults, remarks, kinds of work that are wrong, whether any was judged).

    The first two have a line each.
    """
    faults, remarks, wrong = [], [], 0
    known = table["toolchain"]
    checks = []
    if known["compiler"] == here["compiler"] and known["libc"] == here["libc"]:
        checks.append((True, "our own"))
    else:
        remarks.append("another compiler or C library: our own are not judged")
    if known["openssl"] == here["openssl"]:
        checks.append((False, "OpenSSL's"))
    else:
        remarks.append("another OpenSSL: its instructions are not judged")
    for name, got in counts.items():
        known_faults = len(faults)
        if name not in table["cells"]:
            faults.append("%s is not in the table" % name)
            wrong += 1
            continue
        for ours, whose in checks:
            was = judged(table["cells"][name], ours)
            now = judged(got, ours)
            if abs(now - was) <= max(TOLERANCE * was, SMALLEST_CHANGE):
                continue
            line = "%s: %s instructions %d -> %d (%+.1f %%)" % (
                name, whose, was, now, 100.0 * (now - was) / max(was, 1))
            if now > was:
                faults.append(line)
            else:
                remarks.append(line + "; update the table to keep the gain")
        wrong += len(faults) > known_faults
    return faults, remarks, wrong, bool(checks)


def show(counts, table):
    print("%-14s %10s %10s %10s %11s %9s" % (("cell",) + _PARTS + ("ours was",)))
    for name, got in counts.items():
        was = table["cells"].get(name)
        print("%-14s %10d %10d %10d %11d %9s" % (
            (name,) + tuple(got[part] for part in _PARTS)
            + (judged(was, True) if was else "-",)))


def markdown(table, listed):
    """The table as bench/README.md has it."""
    chain = table["toolchain"]
    text = ("%s, OpenSSL %s, C library %s.\n\n| work | per | own | C and C++ "
            "library | libssl | libcrypto |\n| --- | --- |%s\n" % (
                chain["compiler"], chain["openssl"], chain["libc"],
                " ---: |" * len(_PARTS)))
    for name, _, unit, title in listed:
        counts = table["cells"].get(name)
        if counts is not None:
            text += "| %s | %s | %s |\n" % (
                title, unit, " | ".join("{:,}".format(counts[part])
                                        for part in _PARTS))
    return text


def update(counts, table, here, reason, listed):
    changes = {}
    for name, got in counts.items():
        was = table["cells"].get(name)
        changes[name] = [judged(was, True) if was else None, judged(got, True)]
        table["cells"][name] = got
    table["toolchain"] = here
    table["changes"].append({"date": time.strftime("%Y-%m-%d"),
                             "reason": reason, "ours": changes})
    with open(_TABLE, "w", encoding="ascii") as file:
        json.dump(table, file, indent=1)
        file.write("\n")
    with open(_README, encoding="utf-8") as file:
        readme = file.read()
    before, _, rest = readme.partition(_BEGIN)
    after = rest.partition(_END)[2]
    with open(_README, "w", encoding="utf-8") as file:
        file.write(before + _BEGIN + "\n" + markdown(table, listed) + _END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", help="tlspost-cells of an optimised build",
                        default=os.path.join(_ROOT, "build/bench/bench/tlspost-cells"))
    parser.add_argument("--cell", action="append", help="only this one")
    parser.add_argument("--update", action="store_true",
                        help="write what was counted into the table")
    parser.add_argument("--reason", help="why it has changed; goes into the table")
    parser.add_argument("--clients", type=int, action="append", default=[],
                        help="instead: what a message costs with so many "
                        "plaintext clients that take turns; may be repeated")
    options = parser.parse_args()
    if options.update and not options.reason:
        parser.error("--update needs a --reason")
    # As callgrind names it.
    options.binary = os.path.abspath(options.binary)
    listed = cells(options.binary)
    with tempfile.TemporaryDirectory(prefix="tlspost-instructions-") as folder:
        if options.clients:
            return scale(options, folder, listed)
        chosen = [cell for cell in listed
                  if not options.cell or cell[0] in options.cell]
        counts = {cell[0]: count(options.binary, folder, cell) for cell in chosen}
    with open(_TABLE, encoding="ascii") as file:
        table = json.load(file)
    show(counts, table)
    here = toolchain(options.binary)
    if options.update:
        update(counts, table, here, options.reason, listed)
        print("table.json and bench/README.md are written")
        return 0
    faults, remarks, wrong, judges = findings(table, counts, here)
    for line in remarks:
        print(("note: " if judges else "skipped: ") + line)
    for line in faults:
        print("FAULT: " + line)
    if faults:
        print("explain it with --update --reason=..., or make it faster")
    print("%d passed, %d failed, %d skipped" % (
        len(counts) - wrong if judges else 0, wrong, 0 if judges else len(counts)))
    return 1 if faults else 0


def scale(options, folder, listed):
    cell = next(each for each in listed if each[0] == "pipelined")
    print("%8s %12s %12s" % ("clients", "own", "system"))
    for clients in options.clients:
        got = count(options.binary, folder, cell,
                    ["--tls=no", "--clients=%d" % clients,
                     "--warm-up=%d" % clients],
                    operations=max(clients, 100))
        print("%8d %12d %12d" % (clients, got["own"], got["system"]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
