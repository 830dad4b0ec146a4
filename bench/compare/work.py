"""What scripts/bench measures: the kinds of work, and how much of each."""

import dataclasses

# Not among CELLS: an amount that is held, not work that is done; and work of
# tlspost alone.
MEMORY = "memory"
SCALE = "scale"
FLOOR = "floor"
# So many clients open their connections in a second: idle ones exactly so,
# those that send at the least.
OPENED_PER_SECOND = 400


@dataclasses.dataclass
class Cell:
    """One kind of work. Its figure is per `unit`, of which `count` are done."""

    name: str
    title: str
    unit: str  # empty: no figure but the latency
    options: list
    certificate: str = "ecdsa"
    # Megabytes of a message, if the unit is "MB".
    message_mb: float = 0
    # What another load generator does to the same server meanwhile.
    beside: tuple = ()
    # Whose latency is shown: a phase of tlspost-load.
    phase: str = "message"
    in_quick: bool = True
    # What was set out for: (peer, share of its time that tlspost may take);
    # milliseconds for the 99th percentile; OpenSSL's share of the whole.
    goal: tuple = ()
    p99_goal_ms: float = 0
    floor_goal: float = 0

    def clients(self):
        return max(
            int(option.partition("=")[2])
            for option in list(self.options) + list(self.beside)
            if option.startswith("--clients=")
        )

    def settling(self):
        """Seconds until so many clients are connected: in no figure."""
        if self.unit == "session":
            return 0
        return 0.2 + self.clients() / OPENED_PER_SECOND

    def units(self, results, taken):
        """How many of its units were done; `taken`: messages at the sink."""
        if self.unit == "session":
            return results["sessions"]
        return taken * (self.message_mb if self.unit == "MB" else 1)


CELLS = (
    Cell(
        "handshake",
        "full handshake session, ECDSA P-256",
        "session",
        ["--messages=0", "--clients=20"],
        phase="session",
        goal=("nginx mail", 0.80),
    ),
    Cell(
        "handshake-rsa",
        "full handshake session, RSA-2048",
        "session",
        ["--messages=0", "--clients=20"],
        "rsa",
        phase="session",
        in_quick=False,
        goal=("nginx mail", 0.90),
    ),
    Cell(
        "resumed",
        "resumed session",
        "session",
        ["--messages=0", "--clients=20", "--resume"],
        phase="session",
        goal=("nginx mail", 0.80),
    ),
    Cell(
        "single",
        "one 4 KiB message per connection",
        "message",
        ["--messages=1", "--clients=20"],
        goal=("HAProxy", 0.75),
    ),
    Cell(
        "stream",
        "stream of 4 KiB messages, a command per round trip, 100 connections",
        "message",
        ["--messages=1000000", "--clients=100"],
        goal=("HAProxy", 0.90),
    ),
    Cell(
        "pipelined",
        "stream of 4 KiB messages, pipelined, 100 connections",
        "message",
        ["--messages=1000000", "--clients=100", "--pipelining"],
        goal=("HAProxy", 0.95),
    ),
    Cell(
        "bulk",
        "5 MiB messages, 4 connections",
        "MB",
        ["--messages=1000000", "--clients=4", "--size=5M"],
        message_mb=5 * 1.048576,
        goal=("HAProxy", 0.85),
        floor_goal=0.35,
    ),
    Cell(
        "stream-1000",
        "stream of 4 KiB messages, a command per round trip, 1,000 connections",
        "message",
        ["--messages=1000000", "--clients=1000"],
        in_quick=False,
        goal=("HAProxy", 0.90),
    ),
    Cell(
        "noop",
        "NOOP of 20 live sessions while clients do nothing but handshakes, "
        "ECDSA P-256",
        "",
        ["--messages=0", "--noops=1000000", "--pause=5ms", "--clients=20"],
        beside=("--messages=0", "--clients=100"),
        phase="noop",
        p99_goal_ms=5,
    ),
    Cell(
        "noop-rsa",
        "NOOP of 20 live sessions while clients do nothing but handshakes, "
        "RSA-2048",
        "",
        ["--messages=0", "--noops=1000000", "--pause=5ms", "--clients=20"],
        "rsa",
        beside=("--messages=0", "--clients=100"),
        in_quick=False,
        phase="noop",
        p99_goal_ms=5,
    ),
)


@dataclasses.dataclass
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    idle: tuple  # numbers of idle connections
    warm_up: int  # sessions before these are opened
    scale: dict  # {number of clients that send: rounds}
    limit: float  # seconds, after which no further round is begun


QUICK = Plan(
    rounds=2, seconds=0.3, idle=(100,), warm_up=1, scale={}, limit=40
)
FULL = Plan(
    rounds=5,
    seconds=2,
    idle=(1000, 10000),
    # More than a ring of receive buffers has, so that each has been used.
    warm_up=1500,
    scale={10: 3, 100: 3, 1000: 3, 10000: 3},
    limit=1500,
)
