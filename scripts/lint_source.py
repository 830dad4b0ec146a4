"""A C++ file as the lint sees it: comments and strings blanked, brackets
matched, statements and functions found. No parser: it relies on the layout
that clang-format gives (a space before the brace of a block, none before the
brace of an initializer)."""

import bisect
import dataclasses
import re

_TOKEN = re.compile(
    r"""(?P<raw>(?:u8|u|U|L)?R"(?P<delimiter>[^\s()\\]*)\(.*?\)(?P=delimiter)")
      | (?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<word>[A-Za-z_]\w*)
      | (?P<number>\d(?:'?[\w.])*)
      | (?P<char>'(?:\\.|[^'\\\n])+')""", re.VERBOSE | re.DOTALL)

_OPEN, _CLOSE = "([{", ")]}"
_NO_BLOCK_AFTER = {"return", "co_return", "co_yield", "co_await"}
_CONTROL = re.compile(r"^\s*(?:\}?\s*else\b|if\b|for\b|while\b|switch\b|do\b"
                      r"|case\b|default\b|try\b|catch\b|$)")
_SCOPE = re.compile(r"^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?"
                    r"(?:class|struct|union|enum|namespace|extern)\b",
                    re.DOTALL)
_ACCESS = re.compile(r"\b(?:public|private|protected)\s*:")
COROUTINE = re.compile(r"\b(?:co_await|co_return|co_yield|CO_TRY|CO_TRY_LET)\b")


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def scrub(text):
    """`text` with comments, strings and characters blanked, same length."""

    def replace(match):
        found = match.group(0)
        if match.lastgroup in ("word", "number"):
            return found
        if match.group("comment") is not None:
            return _blank(found)
        return found[0] + _blank(found[1:-1]) + found[-1]

    return _TOKEN.sub(replace, text)


def _drop_directives(code):
    """Blanks preprocessor lines, which need not have matching brackets."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda match: _blank(match.group(0)), code,
                  flags=re.MULTILINE)


@dataclasses.dataclass
class Bracket:
    """A matched pair; `block` tells a block from an initializer or call."""

    begin: int
    end: int
    kind: str
    block: bool
    outer: "Bracket"


@dataclasses.dataclass
class Function:
    """A function's body with the line its declaration starts on."""

    begin: int
    body: Bracket


class Source:
    """One file; positions are offsets into `text` and into `code` alike."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.raw_lines = text.splitlines()
        self.directives = scrub(text)
        self.code = _drop_directives(self.directives)
        self._newlines = [m.start() for m in re.finditer("\n", text)]
        self.root = Bracket(-1, len(self.code), "{", True, None)
        self.brackets = self._match_brackets()
        self._by_begin = {b.begin: b for b in self.brackets}
        self._by_end = {b.end: b for b in self.brackets}

    def line_of(self, position):
        return bisect.bisect_left(self._newlines, position) + 1

    def _match_brackets(self):
        found, stack = [], [self.root]
        for position, char in enumerate(self.code):
            if char in _OPEN:
                block = char == "{" and self._opens_block(position, stack[-1])
                bracket = Bracket(position, len(self.code), char, block,
                                  stack[-1])
                found.append(bracket)
                stack.append(bracket)
            elif char in _CLOSE and len(stack) > 1:
                stack.pop().end = position
        return found

    def _opens_block(self, position, outer):
        before = self.code[:position].rstrip()
        spaced = len(before) < position
        if not before or before[-1] in ";)}:\"":
            return True
        if before[-1] == "{":
            return outer.block
        if before[-1] in "=,([?<&|+":
            return False
        word = re.search(r"\w+$", before)
        if word is not None and word.group(0) in _NO_BLOCK_AFTER:
            return False
        return spaced

    def enclosing(self, position):
        """The innermost bracket around `position`."""
        inner = self.root
        for bracket in self.brackets:
            if bracket.begin >= position:
                break
            if bracket.end > position:
                inner = bracket
        return inner

    def block_around(self, position):
        bracket = self.enclosing(position)
        while not bracket.block:
            bracket = bracket.outer
        return bracket

    def statement_around(self, position):
        """(begin, end) of the statement that `position` is in."""
        block = self.block_around(position)
        begin = cursor = block.begin + 1
        while cursor < block.end:
            bracket = self._by_begin.get(cursor)
            if bracket is not None:
                if bracket.block:
                    if cursor > position:
                        return begin, cursor
                    begin = bracket.end + 1
                cursor = bracket.end + 1
                continue
            if self.code[cursor] == ";":
                if cursor > position:
                    return begin, cursor
                begin = cursor + 1
            cursor += 1
        return begin, block.end

    def header_of(self, block):
        """What stands in front of a block's brace, back to the last end."""
        cursor = block.begin - 1
        while cursor > block.outer.begin:
            inner = self._by_end.get(cursor)
            if inner is not None:
                if inner.block:
                    break
                cursor = inner.begin - 1
                continue
            if self.code[cursor] == ";":
                break
            cursor -= 1
        return cursor + 1, self.code[cursor + 1:block.begin]

    def functions(self):
        """Functions at namespace or class level, in order."""
        scopes = {id(self.root)}
        for bracket in self.brackets:
            if not bracket.block or id(bracket.outer) not in scopes:
                continue
            begin, header = self.header_of(bracket)
            declared = _ACCESS.sub(lambda m: _blank(m.group(0)), header)
            if _SCOPE.match(declared):
                scopes.add(id(bracket))
            elif "(" in declared:
                lead = len(declared) - len(declared.lstrip())
                yield Function(begin + lead, bracket)

    def function_body_around(self, position):
        """The body of the innermost function or lambda around `position`."""
        block = self.block_around(position)
        while block is not self.root:
            _, header = self.header_of(block)
            if "(" in header or "[" in header:
                if not _CONTROL.match(header):
                    return block
            block = self.block_around(block.begin)
        return None

    def lambdas(self):
        """(captures, body) of each lambda."""
        for bracket in self.brackets:
            if bracket.kind != "[" or not self._starts_lambda(bracket):
                continue
            cursor = bracket.end + 1
            while cursor < len(self.code):
                inner = self._by_begin.get(cursor)
                if inner is not None and inner.kind == "{":
                    yield self.code[bracket.begin + 1:bracket.end], inner
                    break
                if inner is not None:
                    cursor = inner.end + 1
                elif re.match(r"[\w\s:<>,*&\-]", self.code[cursor]):
                    cursor += 1
                else:
                    break

    def _starts_lambda(self, bracket):
        before = self.code[:bracket.begin].rstrip()
        after = self.code[bracket.end + 1:bracket.end + 40].lstrip()
        if not re.match(r"[({<]|mutable\b|->", after):
            return False
        word = re.search(r"\w+$", before)
        if word is not None:
            return word.group(0) in _NO_BLOCK_AFTER
        return not before.endswith((")", "]", "["))
