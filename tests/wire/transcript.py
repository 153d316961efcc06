"""transcript: reads *.wire files into cases, and the texts in them into bytes. It knows nothing of servers.

tests/wire/README describes the format.
"""
import os
import pathlib
import re

import mbox

HERE = pathlib.Path(os.path.abspath(__file__)).parent


class Mismatch(Exception):
    """The server did something else than the transcript says."""


class Broken(Exception):
    """The transcript itself cannot be read."""


SETUP = {"config", "args", "user", "maildrop", "file", "env", "over", "needs", "setup", "without", "leaves", "again", "spool", "secret"}
TALK = {"C", "Craw", "S", "S~", "Sx", "E~", "S*", "eof", "close", "half-close", "reset", "session", "login", "pause", "quiet", "elapsed", "run",
        "deliver", "kill", "end", "now", "pieces", "apop", "auth", "Cb64", "Sb64~"}
CHECKS = {"exit", "L", "L~", "L!", "Y~", "Y!", "M", "F", "F!", "status", "inode"}
BLOCKS = {"S*", "maildrop", "file", "define", "config", "passwd"}


class Step:
    def __init__(self, number, tag, text):
        self.number, self.tag, self.text, self.block = number, tag, text, None


class Case:
    def __init__(self, name, number, steps):
        self.name, self.number, self.steps = name, number, steps
        self.left_out = None  # an option whose settings are left out, see tests/options_covered.py

    def config_without(self, lines):
        """Lines of a configuration file but those that set what is left out."""
        return [line for line in lines if not (self.left_out and self.left_out.set_by_line(line))]

    def args_without(self, words):
        """Arguments but the switches of what is left out, with their values."""
        return self.left_out.args_without(words) if self.left_out else words

    def all(self, *tags):
        return [s for s in self.steps if s.tag in tags]

    def variants(self):
        """The case, and the case with the arguments of each `again:` (unless one says none)."""
        words = [s.text for s in self.all("again")]
        extra = [] if "none" in words else words
        return [self] + [Case(f"{self.name} [{w}]", self.number, self.steps + [Step(self.number, "args", w)]) for w in extra]


def parse(path):
    """The cases of a transcript file; what stands before the first case belongs to every one."""
    prologue, cases, steps = [], [], None
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="latin-1").split("\n"), 1):
        current = prologue if steps is None else steps
        if line.startswith("|"):
            if not current or current[-1].tag not in BLOCKS:
                raise Broken(f"{path}:{number}: a block of | lines belongs after one of {' '.join(sorted(BLOCKS))}")
            if current[-1].block is None:
                current[-1].block = []
            current[-1].block.append(line[2:] if line.startswith("| ") else line[1:])
            continue
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            steps = []
            cases.append(Case(line[3:].strip(), number, steps))
            continue
        match = re.match(r"(S:\*|Sx:|[CSLMF][~!]?:|Cb64:|Sb64~|E~|L~|L!|Y~|Y!|F!|S~|[A-Za-z-]+:?)(?: (.*))?$", line)
        if not match:
            raise Broken(f"{path}:{number}: not understood: {line}")
        tag = {"S:*": "S*"}.get(match[1], match[1].rstrip(":"))
        if tag not in SETUP | TALK | CHECKS | {"define"}:
            raise Broken(f"{path}:{number}: unknown tag {tag}")
        current.append(Step(number, tag, match[2] or ""))
    if not cases:
        raise Broken(f"{path}: no case (a line '== name')")
    for case in cases:
        case.steps[:0] = prologue
    return cases


def numbers(text):
    """"1-3,7" as [1, 2, 3, 7]."""
    result = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, _, last = part.partition("-")
        result += range(int(first), int(last or first) + 1)
    return result


def unescape(text):
    r"""Bytes of a text with \r \n \t \0 \\ \" \xHH and \rep{N}{text} (text may hold escapes, not braces)."""
    result, at = b"", 0
    plain = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", '"': b'"'}
    for match in re.finditer(r'\\(?:rep\{(\d+)\}\{([^{}]*)\}|x([0-9A-Fa-f]{2})|([rnt0\\"])|(.))', text):
        result += text[at:match.start()].encode("latin-1")
        at = match.end()
        if match[5]:
            raise Broken(f"unknown escape {match[0]}")
        result += unescape(match[2]) * int(match[1]) if match[1] else bytes([int(match[3], 16)]) if match[3] else plain[match[4]]
    return result + text[at:].encode("latin-1")


def content(spec, definitions, numbered=None):
    """Bytes of a fixture: terms joined by ' + ': messages(1-3[, lines=N]), original(1,3), "text with escapes", a definition, empty."""
    result = b""
    for term in re.findall(r'"(?:[^"\\]|\\.)*"|[^+"\s][^+"]*(?="|\+|$)', spec.strip()):
        term = term.strip()
        if term.startswith('"'):
            result += unescape(term[1:-1])
        elif term.startswith("messages("):
            picked, _, lines = term[9:-1].partition("lines=")
            result += b"".join(mbox.message(n, int(lines or 0)) for n in numbers(picked))
        elif term.startswith("original(") and numbered is not None:
            result += b"".join(b"".join(numbered[n - 1]) for n in numbers(term[9:-1]))
        elif term in definitions:
            result += definitions[term]
        elif term != "empty":
            path = HERE / "fixtures" / term
            if not path.is_file():
                raise Broken(f"no fixture {term!r}")
            result += path.read_bytes()
    return result


def block_bytes(block):
    return "".join(line + "\n" for line in block).encode("latin-1")


def short(data, most=300):
    """The bytes or lines as they would stand in Python, cut."""
    text = repr(data)
    return text if len(text) <= most else f"{text[:most]}... ({len(data)} in all)"


def describe(expected, got):
    if expected is None or got is None:
        return f"{'there is none' if got is None else 'there is one'}"
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    return (f"{len(got)} bytes instead of {len(expected)}, first difference at {at}: expected "
            f"{expected[max(0, at - 20):at + 40]!r}, got {got[max(0, at - 20):at + 40]!r}")
