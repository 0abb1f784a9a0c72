"""As much of Groovy as a declarative Jenkinsfile is written in: blocks, calls with one text, assignments of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r]+ | //[^\n]* | /\*.*?\*/)
    | (?P<text>'''(?:\\.|(?!''').)*''' | \"\"\"(?:\\.|(?!\"\"\").)*\"\"\"
        | '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*")
    | (?P<end>[\n;])
    | (?P<name>[A-Za-z_][\w.]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True)
class Token:
    """A word, a text, a mark or the end of a statement, and where in the source it is."""

    kind: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Call:
    """A call such as ``sh 'make'``, ``sh('make')`` or ``sh(script: 'make', returnStatus: true)``."""

    name: str
    text: str


@dataclass
class Block:
    """What stands between two braces, with the words before them.

    Attributes
    ----------
    name
        The first word, such as ``stage``.
    text_argument
        The first text between the word and the brace, such as a stage's name; empty where there is none.
    body
        The source within.
    """

    name: str
    text_argument: str = ""
    body: str = ""
    tokens: list[Token] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def named(self, name: str) -> list[Block]:
        """Return the blocks of a name that stand directly in this one."""
        return [block for block in self.blocks if block.name == name]

    def calls(self, name: str, *, deep: bool = False) -> list[Call]:
        """Return the calls of a function in order, with ``deep`` those in inner blocks too.

        Raises
        ------
        ValueError
            Where what is called with can't be told from the file, such as a variable.
        """
        found = [(at, Call(name, text)) for at, text in self._called(name)]
        if deep:
            for block in self.blocks:
                at = block.tokens[0].start if block.tokens else 0
                found += [(at, call) for call in block.calls(name, deep=True)]
        return [call for _, call in sorted(found, key=lambda one: one[0])]

    def assignments(self) -> Iterator[tuple[str, str]]:
        """Yield the names that are assigned a text, with it."""
        for first, second, third in zip(self.tokens, self.tokens[1:], self.tokens[2:], strict=False):
            if first.kind == "name" and second.value == "=" and third.kind == "text":
                yield first.value, _unquoted(third.value)

    def _called(self, name: str) -> Iterator[tuple[int, str]]:
        for index, token in enumerate(self.tokens):
            if token.kind != "name" or token.value != name:
                continue
            rest = self.tokens[index + 1 :]
            if rest and rest[0].value == "(":
                rest = rest[1:]
            if len(rest) > 2 and rest[0].value == "script" and rest[1].value == ":":
                rest = rest[2:]
            if not rest or rest[0].kind != "text" or _computed(rest[0].value):
                raise ValueError(
                    f"{name} is called with something else than one text that stands in the file"
                )
            yield token.start, _unquoted(rest[0].value)


def parse(source: str) -> Block:
    """Return a file as a block without a name.

    Raises
    ------
    ValueError
        Where braces don't match.
    """
    tokens = [
        Token(str(found.lastgroup), found.group(), found.start(), found.end())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "space"
    ]
    root = Block("")
    open_blocks, starts, words = [root], [0], list[Token]()
    for token in tokens:
        if token.value == "{" and token.kind == "mark":
            texts = [one for one in words if one.kind == "text"]
            name = words[0].value if words else ""
            block = Block(name, _unquoted(texts[0].value) if texts else "")
            open_blocks[-1].blocks.append(block)
            open_blocks.append(block)
            starts.append(token.end)
            words = []
        elif token.value == "}" and token.kind == "mark":
            if len(open_blocks) == 1:
                raise ValueError(f"line {_line(source, token.start)}: a brace is closed that was not opened")
            open_blocks.pop().body = source[starts.pop() : token.start].strip()
            words = []
        elif token.kind == "end":
            words = []
        else:
            open_blocks[-1].tokens.append(token)
            words.append(token)
    if len(open_blocks) > 1:
        raise ValueError(f"line {_line(source, starts[-1])}: a brace is opened that is not closed")
    return root


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _computed(text: str) -> bool:
    # In double quotes Groovy fills in variables.
    return text.startswith('"') and re.search(r"(?<!\\)\$", text) is not None


def _unquoted(text: str) -> str:
    inner = text[3:-3] if text.startswith(("'''", '"""')) else text[1:-1]
    return re.sub(
        r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), inner, flags=re.DOTALL
    )
