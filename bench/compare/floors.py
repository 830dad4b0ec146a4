"""What OpenSSL alone takes of an operation: no server can take less."""

import json
import subprocess

import processes

# The benchmark of tlspost-micro for each cell.
_FLOORS = {
    "handshake": "BM_ServerHandshake/tls13_p256/manual_time",
    "handshake-rsa": "BM_ServerHandshake/tls13_rsa2048/manual_time",
    "resumed": "BM_ServerHandshake/tls13_p256_resumed/manual_time",
    "bulk": "BM_FloorAesGcm/16384",
}


def measure():
    """{cell: microseconds} of _FLOORS, per session or per MB."""
    done = subprocess.run(
        [
            processes.tool("tlspost-micro"),
            "--benchmark_filter=^(%s)$" % "|".join(_FLOORS.values()),
            "--benchmark_repetitions=5",
            "--benchmark_enable_random_interleaving=true",
            "--benchmark_min_time=0.2",
            "--benchmark_format=json",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found = {}
    for each in json.loads(done.stdout)["benchmarks"]:
        if each.get("aggregate_name") != "median":
            continue
        for cell, name in _FLOORS.items():
            if each["run_name"].startswith(name):
                rate = each.get("bytes_per_second")
                found[cell] = 1e12 / rate if rate else each["real_time"] / 1e3
    return found
