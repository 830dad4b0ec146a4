"""Unit files of systemd, as far as the tests look at them."""


def read(text):
    """{section: {key: [values]}}, in their order."""
    unit = {}
    section = None
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section = unit.setdefault(line.strip("[]"), {})
            continue
        key, _, value = line.partition("=")
        section.setdefault(key, []).append(value)
    return unit


def command_of(unit, key="ExecStart"):
    """The command line that does to a process what the unit would."""
    service = {key: values[-1] for key, values in unit["Service"].items()}
    rights = "-all,+" + service["AmbientCapabilities"].lower().replace(
        "cap_", "", 1
    )
    return (
        "setpriv --reuid=%s --regid=%s --groups=%s --no-new-privs "
        "--inh-caps=%s --ambient-caps=%s --bounding-set=%s -- %s"
        % (
            service["User"],
            service["Group"],
            service["SupplementaryGroups"],
            rights,
            rights,
            rights,
            service[key],
        )
    )
