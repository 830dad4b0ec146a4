"""The rules. Each is a function from a Source to (line, text) pairs, entered
in RULES under its name with what it applies to."""

import pathlib
import re

from lint_source import COROUTINE

ROOT = pathlib.Path(__file__).resolve().parent.parent

RULES = {}  # name: (applies(path), check(source))


def rule(name, applies):
    def enter(check):
        RULES[name] = (applies, check)
        return check
    return enter


def any_text(path):
    return path != "LICENSE"


def is_cpp(path):
    return path.endswith((".cc", ".h", ".inc"))


def in_proxy(path):
    return is_cpp(path) and path.startswith("proxy/")


def is_simulated(path):
    """Whether the simulations run it: all of the proxy but the process."""
    return in_proxy(path) and not re.match(r"proxy/(?:server|main)\b", path)


def _matches(source, pattern, text, code=None):
    for match in re.finditer(pattern, source.code if code is None else code):
        yield source.line_of(match.start()), f"{match.group(0).strip()}: {text}"


# --- Coroutines: the spellings that g++ 12 or a newer g++ gets wrong ---------

def _awaiting_statements(source):
    """(begin, text) of each statement that awaits, once."""
    seen = set()
    for match in re.finditer(r"\b(?:co_await|CO_TRY|CO_TRY_LET)\b",
                             source.code):
        begin, end = source.statement_around(match.start())
        if begin not in seen:
            seen.add(begin)
            yield begin, source.code[begin:end]


def _in_awaiting(source, pattern, text):
    for begin, statement in _awaiting_statements(source):
        match = re.search(pattern, statement)
        if match:
            yield source.line_of(begin + match.start()), text


@rule("coroutine-lambda", is_cpp)
def awaited_lambda(source):
    spans = [(begin, begin + len(text))
             for begin, text in _awaiting_statements(source)]
    for captures, body in source.lambdas():
        if captures.strip() and any(b <= body.begin < e for b, e in spans):
            yield (source.line_of(body.begin),
                   "a lambda with captures in a statement that awaits is "
                   "destroyed twice; give it a name first")


@rule("coroutine-conditional", is_cpp)
def awaited_conditional(source):
    yield from _in_awaiting(source, r"\?",
                            "?: in a statement that awaits destroys twice; use "
                            "if, or name the result first")


@rule("coroutine-brace", is_cpp)
def awaited_brace(source):
    bodies = {body.begin for _, body in source.lambdas()}
    for begin, statement in _awaiting_statements(source):
        for match in re.finditer(r"\{", statement):
            if begin + match.start() not in bodies:
                yield (source.line_of(begin + match.start()),
                       "{...} in a statement that awaits is destroyed twice; "
                       "name the value first")
                break


@rule("coroutine-binding", is_cpp)
def awaited_binding(source):
    yield from _in_awaiting(source, r"\bauto\s*&{0,2}\s*\[",
                            "no structured binding from co_await (newer g++ "
                            "leak); take the result into one name")


@rule("coroutine-expression", is_cpp)
def statement_expression(source):
    for match in re.finditer(r"\(\s*\{", source.directives):
        text = source.directives[match.end():match.end() + 400]
        if COROUTINE.search(text.split("})")[0]):
            yield (source.line_of(match.start()),
                   "co_await in a statement expression is miscompiled; use "
                   "CO_TRY or CO_TRY_LET")


@rule("coroutine-capture", is_cpp)
def capturing_coroutine(source):
    for captures, body in source.lambdas():
        inside = source.code[body.begin:body.end]
        if captures.strip() and COROUTINE.search(inside):
            yield (source.line_of(body.begin),
                   "a lambda with captures is a coroutine: the captures die "
                   "with the lambda; write a named function")


_ARRAY = re.compile(
    r"(?<=[;{}])\s*(?:const\s+)?(?:std::array\s*<[^;{}()]*>\s+\w+\s*(?=[;={])"
    r"|(?:[A-Za-z_][\w:]*\s+)*[A-Za-z_][\w:]*(?:<[^;{}()]*>)?[\s*]+\w+\s*"
    r"\[[^\]]*\]\s*(?=[;={]))")
_NO_TYPE = re.compile(r"\s*(?:return|co_return|delete|using|static|else)\b")


@rule("coroutine-array", is_cpp)
def array_in_coroutine(source):
    for match in _ARRAY.finditer(source.code):
        if _NO_TYPE.match(match.group(0)):
            continue
        body = source.function_body_around(match.end())
        if body and COROUTINE.search(source.code[body.begin:body.end]):
            lead = len(match.group(0)) - len(match.group(0).lstrip())
            yield (source.line_of(match.start() + lead),
                   "an array in a coroutine stays in its frame for the whole "
                   "session; call a plain function")


# --- Layers ------------------------------------------------------------------

_ALLOWED = {
    "common/base": ("common/base",),
    "common/io": ("common/base", "common/io"),
    "common/tls": ("common/base", "common/io", "common/tls"),
    "common/smtp": ("common/base", "common/smtp"),
    "proxy": ("common/", "proxy"),
}
_SYSTEM_HEADERS = {
    r"liburing(?:/|\.h)|linux/io_uring\.h|sys/epoll\.h": "common/io",
    r"ares\.h": "common/io",
    r"openssl/": "common/tls",
}
_IO_HEADERS = re.compile(
    r"(?:sys/(?:socket|uio|un|ioctl|select|poll|epoll|stat|mman)|unistd|fcntl"
    r"|netdb|poll|netinet/.*|arpa/.*|liburing)\.h$"
    r"|^(?:iostream|fstream|filesystem|thread)$")
_INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def _includes(source):
    for number, line in enumerate(source.raw_lines, 1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


@rule("layering", is_cpp)
def layering(source):
    free = source.path.startswith(("tests/", "bench/"))
    layer = next((name for name in _ALLOWED
                  if source.path.startswith(name + "/")), None)
    for number, ours, header in _includes(source):
        if header.endswith(".cc"):
            yield number, f"{header}: a .cc file is never included"
        if free:
            continue
        for pattern, home in _SYSTEM_HEADERS.items():
            if re.match(pattern, header) and layer != home:
                yield number, f"{header}: only {home} may include this"
        if layer == "common/smtp" and _IO_HEADERS.search(header):
            yield number, f"{header}: common/smtp does no I/O"
        project = ours and header.startswith(
            ("common/", "proxy/", "tests/", "bench/"))
        if layer and project and not header.startswith(_ALLOWED[layer]):
            yield number, f"{header}: {layer} may not include this layer"


# --- Calls and types that are not ours to use --------------------------------

@rule("clock", is_simulated)
def clock(source):
    yield from _matches(
        source, r"std::chrono::\w+_clock::now|\btime\(\s*(?:nullptr|NULL|0|&)"
        r"|\bgettimeofday\s*\(|\bclock_gettime\s*\(",
        "time comes from Loop, or simulations cannot control it")


@rule("randomness", is_simulated)
def randomness(source):
    yield from _matches(
        source, r"\bs?rand\s*\(|\brandom_device\b|\bgetrandom\s*\("
        r"|\bgetentropy\s*\(", "randomness comes from Loop, or a failing run "
        "cannot be replayed")


@rule("thread", lambda path: in_proxy(path) and not re.match(
    r"proxy/(?:server|server_thread|signals|log|tls_reloader|admin_thread"
    r"|control_server|main)\b", path))
def thread(source):
    yield from _matches(source, r"std::j?thread\b|std::async\b",
                        "only server, signals, log, tls_reloader, "
                        "admin_thread and control_server make threads")


@rule("string-view", lambda path: is_cpp(path) and
      path != "common/base/status.h")
def string_view(source):
    yield from _matches(source, r"absl::string_view\b",
                        "use std::string_view (see common/base/status.h)")


@rule("regex", is_cpp)
def regex(source):
    yield from _matches(source, r"std::regex\b|#\s*include\s*<regex>",
                        "std::regex is slow and recursive; write a parser",
                        source.directives)


@rule("absl-container", is_cpp)
def absl_container(source):
    for number, _, header in _includes(source):
        if header.startswith("absl/container/"):
            yield number, (f"{header}: g++ 14 with -fsanitize=undefined does "
                           "not compile it; use std::unordered_map")


@rule("using-namespace", is_cpp)
def using_namespace(source):
    for line, text in _matches(source, r"\busing\s+namespace\s+[\w:]+",
                               "name what you use"):
        literals = re.search(r"namespace\s+std::\w*literals", text)
        if source.path.endswith(".cc") and literals:
            continue
        yield line, text


# --- Shape of a file ---------------------------------------------------------

@rule("header-comment", is_cpp)
def header_comment(source):
    described = (ROOT / source.path).with_suffix(".h").exists()
    if described and source.path.endswith(".cc"):
        return  # its header says it
    if not source.text.startswith("// "):
        yield 1, "a file starts with a comment: what it is, what it never does"


@rule("include-guard", lambda path: path.endswith(".h"))
def include_guard(source):
    guard = "TLSPOST_" + re.sub(r"\W", "_", source.path).upper() + "_"
    defined = re.search(r"^#ifndef (\w+)\n#define (\w+)$", source.directives,
                        re.MULTILINE)
    if not defined or set(defined.groups()) != {guard}:
        yield 1, f"the include guard must be {guard}"


MAX_FILE_LINES, MAX_FUNCTION_LINES = 600, 100
GOOD_FILE_LINES, GOOD_FUNCTION_LINES = 500, 70


@rule("length", is_cpp)
def length(source):
    if len(source.raw_lines) > MAX_FILE_LINES:
        yield 1, f"{len(source.raw_lines)} lines; split it (aim for " \
            f"{GOOD_FILE_LINES})"
    for function in source.functions():
        first = source.line_of(function.begin)
        lines = source.line_of(function.body.end) - first + 1
        if lines > MAX_FUNCTION_LINES:
            yield first, f"a function of {lines} lines; split it (aim for " \
                f"{GOOD_FUNCTION_LINES})"


def length_warnings(source):
    """What is on its way to break the length rule; never an error."""
    if GOOD_FILE_LINES < len(source.raw_lines) <= MAX_FILE_LINES:
        yield 1, f"warning: {len(source.raw_lines)} lines"
    for function in source.functions():
        first = source.line_of(function.begin)
        lines = source.line_of(function.body.end) - first + 1
        if GOOD_FUNCTION_LINES < lines <= MAX_FUNCTION_LINES:
            yield first, f"warning: a function of {lines} lines"


# --- Any text ----------------------------------------------------------------

# Written in parts, or these lines would break their own rules.
_UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b")
_MACHINE_PATH = re.compile(r"(?<![\w.~*])/(?:work|home|root|Users)/\w")


@rule("unfinished", any_text)
def unfinished(source):
    for number, line in enumerate(source.raw_lines, 1):
        if _UNFINISHED.search(line):
            yield number, "finish it, or open an issue"


@rule("machine-path", any_text)
def machine_path(source):
    for number, line in enumerate(source.raw_lines, 1):
        if _MACHINE_PATH.search(line):
            yield number, "a path of one machine"
