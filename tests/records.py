#!/usr/bin/python3
"""records.py [--write]: the section "All records" of popper(8) lists what the sources write to the log at priority notice and above, each text as the
source has it, with ... for what is filled in. With --write (make update-records) it is written anew. And what stands in DIAGNOSTICS before that is in
the sources. Prints TAP.

It reads the calls of log_write in the sources; a text that is put together elsewhere (%s alone) is left out, and is counted, so that no more of them come.
"""
import os
import pathlib
import re
import sys

TREE = pathlib.Path(os.environ.get("srcdir", "."))
PAGE = TREE / "man" / "popper.8"
BEGIN, END = '.\\" begin of records: make update-records\n', '.\\" end of records\n'
LEVELS = {"LOG_CRIT": "crit", "LOG_ERR": "err", "LOG_WARNING": "warning", "LOG_NOTICE": "notice"}
# Not of the server: the test that plays a traitor, popauth.
LEFT_OUT = {"trespass.c", "trespass_calls.c", "trespass_mangle.c", "popauth.c"}
LITERAL = r'"((?:[^"\\]|\\.)*)"'
PUT_TOGETHER_MAX = 9


def calls():
    """(priorities, format) of each log_write with a literal format."""
    for path in sorted(p for folder in ("common", "popper") for p in (TREE / folder).rglob("*.c")):
        if path.name in LEFT_OUT:
            continue
        text = re.sub(r"(?s)/\*.*?\*/", "", path.read_text())
        for m in re.finditer(r"\blog_write\(\s*([^;]*?),\s*((?:" + LITERAL + r"|PACKAGE_VERSION|PRIVSEP_\w+|PRI\w+|\s)+)[,)]", text):
            parts = re.findall(LITERAL + r"|(PRI\w+)|([A-Z_]{4,})", m[2])
            yield re.findall(r"LOG_[A-Z]+", m[1]), "".join(literal or ("lu" if number else "..." if macro else "") for literal, number, macro in parts)


def readable(text):
    text = re.sub(r"%(?:%|[-+ 0#]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|ll|[hlzjt])?[a-zA-Z]?)", lambda m: "%" if m[0] == "%%" else "...", text)
    text = text.replace('\\"', '"').replace("\\\\x", "\\x")
    return " ".join(text.split())


def records():
    """{level: sorted texts}, and those that are put together elsewhere."""
    found, elsewhere = {level: set() for level in LEVELS.values()}, []
    for priorities, text in calls():
        text = readable(text)
        levels = [LEVELS[p] for p in priorities if p in LEVELS]
        if levels and not re.search(r"[a-z]{3}", text):
            elsewhere.append(text)
        elif levels:
            found[levels[-1]].add(text)
    return {level: sorted(texts, key=str.lower) for level, texts in found.items()}, elsewhere


def roff(text):
    """One record, for mdoc: a sentence a line, lines of less than 80 characters."""
    out = []
    for sentence in re.split(r"(?<=[a-z)][.?]) (?=[A-Z])", text.replace("\\", "\\e").replace("-", "\\-")):
        line = ""
        for word in sentence.split():
            if line and len(line) + len(word) > 76:
                out.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        out.append(line)
    return "".join(("\\&" if line[0] in ".'" else "") + line + "\n" for line in out)


def section():
    found, _ = records()
    text = ""
    for level, texts in found.items():
        text += f".Pp\nAt priority {level}:\n.Bl -item -compact -offset indent\n"
        text += "".join(".It\n" + roff(t) for t in texts) + ".El\n"
    return text


def not_written(page):
    """Records described in DIAGNOSTICS whose fixed words stand in no text of the sources, in this order."""
    texts = set()
    for path in sorted(p for folder in ("common", "popper") for p in (TREE / folder).rglob("*.[ch]")):
        source = re.sub(r"PACKAGE_VERSION|PRI[a-z]\w+", '""', re.sub(r"(?s)/\*.*?\*/", "", path.read_text()))
        texts.update("".join(re.findall(LITERAL, m[0])).replace('\\"', '"') for m in re.finditer(rf"(?:{LITERAL}[\s\\]*)+", source))
    described = page.split(".Sh DIAGNOSTICS")[1].split(".Ss All records")[0].replace(r"\(dq", '"')
    records = [r for line in re.findall(r"(?m)^\.It Li (.*)$", described) for r in line.strip('"').split('" , Li "')]
    assert len(records) > 12, records
    fixed = [re.split(r"(?<=\(v)V|\b(?:N|new|normal)\b|\b(?!ERR\b|I/O)[A-Z]{2,}\b", r) for r in records]
    patterns = [".*?".join(re.escape(word) for word in words) for words in fixed]
    return [r for r, pattern in zip(records, patterns) if not any(re.search(pattern, text) for text in texts)]


def main():
    page = PAGE.read_text()
    head, old, tail = page.split(BEGIN)[0], page.split(BEGIN)[1].split(END)[0], page.split(END)[1]
    if "--write" in sys.argv:
        PAGE.write_text(head + BEGIN + section() + END + tail)
        return 0
    found, elsewhere = records()
    new = section()
    cases = [("enough records are found", [] if sum(map(len, found.values())) > 100 else [str(found)]),
             ("popper(8) lists them all (otherwise: make update-records)", sorted(set(new.splitlines()) ^ set(old.splitlines()))),
             ("what DIAGNOSTICS describes is written", not_written(page)),
             ("not more are put together elsewhere", [] if len(elsewhere) <= PUT_TOGETHER_MAX else elsewhere)]
    print(f"1..{len(cases)}")
    for number, (name, wrong) in enumerate(cases, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for line in wrong:
            print(f"# {line}")
    return any(wrong for _, wrong in cases)


if __name__ == "__main__":
    sys.exit(main())
