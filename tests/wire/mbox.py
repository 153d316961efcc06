"""mbox: what the players expect: sample messages, and an mbox reader that shares no code and no idea with the server's.

The reader follows mbox(5) and the facts page, sections 5.2 and 5.3. It is for tests: clear, slow, and sure of its input.
"""
import functools
import hashlib
import re

DATE = re.compile(
    rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d(:\d\d)?"
    rb"( [A-Z]{3,4}| [+-]\d{4})? \d{4}( [A-Z]{3,4}| [+-]\d{4})?( remote from \S+)?$")


def is_from_line(line):
    """Whether a line (without its end) separates messages, given that an empty line stands before it."""
    if not line.startswith(b"From "):
        return False
    rest = line[5:].rstrip(b"\r")
    return any(DATE.match(rest[at:].lstrip(b" ")) for at in [0] + [m.end() for m in re.finditer(b" ", rest)])


def message(number, lines=0):
    """Sample message `number` as it stands in a maildrop, separating empty line included."""
    day, second = 1 + number % 28, number % 60
    text = (
        f"From sender{number}@example.com Mon Jan {day:2} 10:00:{second:02} 2024\n"
        f"Received: from mx.example.com by pop.example.com; Mon, {day} Jan 2024 10:00:{second:02} +0000\n"
        f"From: Sender {number} <sender{number}@example.com>\n"
        f"To: somebody@example.com\n"
        f"Subject: message number {number}\n"
        f" goes on in a second line\n"
        f"Date: Mon, {day} Jan 2024 10:00:00 +0000\n"
        f"Message-ID: <{number}@example.com>\n"
        f"\n"
        f"This is message {number}.\n"
        f".a line with a dot in front\n"
        f"..with two\n"
        f".\n"
        f"From here on nothing separates.\n"
        f">From sender@example.com Mon Jan  1 10:00:00 2024\n"
        f"\n")
    text += "".join(f"line {i} of message {number}\n" for i in range(1, number % 7 + lines + 1))
    return text.encode() + b"\n"


# A session that reads a thousand messages asks about the same maildrop for each.
@functools.lru_cache(16)
def split(maildrop):
    """The messages of a maildrop as ((From_ line, text), ...), both as stored; text includes the separating empty line."""
    messages = []
    previous = b""
    for line in maildrop.splitlines(keepends=True) if b"\r" not in maildrop and b"\v" not in maildrop and b"\f" not in maildrop \
            else re.findall(rb"[^\n]*\n|[^\n]+$", maildrop):
        if previous in (b"", b"\n", b"\r\n") and is_from_line(line.rstrip(b"\n")):
            messages.append([line, b""])
        elif not messages:
            raise ValueError("the maildrop does not start with a From_ line")
        else:
            messages[-1][1] += line
        previous = line
    return tuple(tuple(m) for m in messages)


def on_the_wire(text, body_lines=None):
    """What RETR (or TOP with body_lines) sends of a message's text, before byte-stuffing: a list of lines without CRLF.

    The empty line that separates messages is not sent; the one that ends the header always is, and is made up where it lacks.
    """
    lines = text.rstrip(b"\0").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    lines = [(line[:-1] if line.endswith(b"\r") else line).replace(b"\0", b" ") for line in lines]
    if b"" not in lines:
        lines.append(b"")
    header_end = lines.index(b"")
    if len(lines) > header_end + 1 and lines[-1] == b"":
        lines.pop()
    return lines if body_lines is None else lines[:header_end + 1 + body_lines]


def octets(text):
    return sum(len(line) + 2 for line in on_the_wire(text))


def header_fields(text):
    fields = []
    for line in text.split(b"\n"):
        if line in (b"", b"\r"):
            break
        if line[:1] in b" \t" and fields:
            fields[-1] += b"\n" + line
        else:
            fields.append(line)
    return fields


def unique_id(from_line, text):
    """The unique id of a message without a stored one, in the qpopper format: MD5 in base 80 (facts page 5.2)."""
    from_line = from_line.rstrip(b"\r\n") + b"\n"
    digest = hashlib.md5(from_line)
    for field in header_fields(text):
        if field.split(b":")[0].strip().lower() in (b"received", b"date", b"message-id", b"subject"):
            digest.update(field + b"\n")
    digest.update(from_line)
    digest = digest.digest()
    result = ""
    for group in range(0, 16, 4):
        value = 0
        for byte in digest[group:group + 4]:
            value = value * 16 + byte
        for _ in range(5):
            value, digit = divmod(value, 80)
            result += chr(0x21 + digit).replace(".", "~")
    return result
