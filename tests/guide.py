#!/usr/bin/python3
"""guide.py: what GUIDE.md, README and the manual pages name is there: chapters, options with their values, command lines, switches of configure, samples,
tests, make targets. Prints TAP. Whether the prose is true no program can tell; whether its examples are taken, this one does.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

TREE = pathlib.Path(os.environ.get("srcdir", ".")).absolute()
POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
GUIDE = (TREE / "GUIDE.md").read_text()
README = (TREE / "README").read_text()
PAGES = {p.name: p.read_text() for p in sorted((TREE / "man").glob("*.[58]"))}
OPTIONS = {line.split("\t")[0] for line in subprocess.run([POPPER, "--list-options"], capture_output=True, text=True, check=True).stdout.splitlines()}
# Words in `code` that look like names of options, and are names of something else.
NO_OPTIONS = {"mail-lock-check"} - OPTIONS


def codes(text):
    return [" ".join(c.split()) for c in re.findall(r"`([^`]+)`", re.sub(r"(?m)^    .*$", "", text))]


def blocks(text):
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


def popper(*arguments):
    return subprocess.run([POPPER, *arguments], capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL)


def chapters():
    listed = re.findall(r"(?m)^- (.*)$", GUIDE.split("\n## ", 1)[0])
    headings = re.findall(r"(?m)^## (.*)$", GUIDE)
    return [] if listed == headings else [f"listed {listed}, but there are {headings}"]


def settings():
    """Every `set X = Y`, `set X`, `reset X`, `X = Y` in the guide is a line of a configuration file."""
    lines = [c for c in codes(GUIDE) if re.match(r"(re)?set [\w-]+", c)]
    lines += [f"set {c}" for c in codes(GUIDE) if re.match(r"[\w-]+ = \S", c) and c.split()[0] in OPTIONS]
    lines += [b for b in blocks(GUIDE) if re.match(r"(re)?set ", b)]
    found = []
    with tempfile.TemporaryDirectory(prefix="popper-guide.") as directory:
        conf = pathlib.Path(directory) / "conf"
        for line in lines:
            # A placeholder of an address or name is as good as any.
            conf.write_text(line.replace("= HOST", "= host.example").replace("= ADDRESS", "= 192.0.2.1") + "\n")
            got = popper("--print-config", "-f", conf)
            if re.search(r"unknown option|is no command|must |stands behind|is missing", got.stderr) and "not built" not in got.stderr:
                found.append(f"{line}: {got.stderr.strip()}")
    assert len(lines) > 20, lines
    return found


def names_of_options():
    """What a table or a sentence calls an option by name alone, where it has a hyphen in it and stands alone in `code`."""
    found = []
    for text, where in [(GUIDE, "GUIDE.md"), (README, "README")]:
        for c in codes(text):
            if re.fullmatch(r"(tls|max|mail|spool|home|cache|temp|hash|auto|group|check|clear|log|user|apop|auth|nonauth|passwd|uidl|update|pam|server)-[a-z-]+", c):
                if c not in OPTIONS and c not in NO_OPTIONS and not c.startswith("mail-host"):
                    found.append(f"{where}: {c}")
    return found


def command_lines():
    """Each `popper ...` that serves or prints is taken as far as its switches go."""
    lines = [c for c in codes(GUIDE + README) + blocks(GUIDE) + blocks(README) if c.startswith("popper ")]
    lines += [line[4:] for text in PAGES.values() for line in text.splitlines() if line.startswith(".Dl popper ")]
    lines += [re.sub(r"^\S+\s+stream.*/popper\s+", "", b) for b in blocks(GUIDE) + blocks(README) if "/usr/local/lib/popper" in b and "stream" in b]
    found = []
    with tempfile.TemporaryDirectory(prefix="popper-guide.") as directory:
        conf = pathlib.Path(directory) / "conf"
        conf.write_text("")
        for line in lines:
            words = shlex.split(line.split("|")[0])[1:]
            words = [str(conf) if w.endswith(".conf") else f"{directory}/t" if w.startswith("/tmp/") else w for w in words]
            long = [w for w in words if w.startswith("--")]
            if any(w not in ("--check", "--recover", "--print-config", "--list-options", "--version", "--help") for w in long):
                found.append(f"{line}: {long}")
                continue
            users = [w for w in words if w in ("mary", "USER", "NAME", "PID")]
            if users and not set(long) & {"--check", "--recover"}:
                found.append(f"{line}: a user, but neither --check nor --recover")
            got = popper(*[w for w in words if w not in long + users], "--print-config")
            # TLS wants a certificate, which the example's file has.
            if got.returncode and not re.search(r"tls-server-cert-file does not say|not built", got.stderr):
                found.append(f"{line}: {got.stderr.strip()}")
    assert len(lines) > 10, lines
    return found


def configure_switches():
    script = TREE / "configure"
    if not script.exists():
        return []
    help_text = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    found = []
    for c in codes(GUIDE + README):
        for switch in re.findall(r"--(?:enable|disable|with|without)-[a-z0-9-]+", c):
            positive = re.sub(r"^--disable-", "--enable-", re.sub(r"^--without-", "--with-", switch))
            if not any(s in help_text for s in (switch, positive, switch.replace("--enable-", "--disable-"), switch.replace("--with-", "--without-"))):
                found.append(switch)
    return found


def files():
    named = set(re.findall(r"\b((?:samples|tests)/[\w./@-]*\w)", GUIDE + README))
    missing = [n for n in sorted(named) if not (TREE / n).exists() and not pathlib.Path(n).exists() and not (TREE / (n + ".c")).exists()]
    missing += [f"samples/{n} beside it" for n in re.findall(r"`(popper@?\.service)`", GUIDE) if not (TREE / "samples" / n).exists()]
    # Rooms in the table for developers.
    table = GUIDE.split("### Which room is for what", 1)[1].split("\n###", 1)[0]
    for row in table.splitlines()[4:]:
        if row.count("|") < 3:
            continue
        floor = None
        for word in re.findall(r"`([\w/*.]+)`", row.split("|")[2]):
            parts = word.rsplit("/", 1)
            floor = parts[0] if len(parts) == 2 else floor
            base = TREE / floor if floor == "common" else TREE / "popper" / floor
            name = parts[-1] if parts[-1].endswith((".c", ".h")) else parts[-1].rstrip("*") + "*.c"
            if not list(base.glob(name)):
                missing.append(f"room {floor}/{parts[-1]}")
    return missing


def make_targets():
    makefiles = "\n".join(p.read_text() for p in [TREE / "Makefile.am", *TREE.glob("**/Makefile.inc")])
    usual = {"install", "uninstall", "check", "distcheck", "all"}
    found = []
    for c in codes(GUIDE + README):
        m = re.match(r"make (?:-s )?([a-z-]+)$", c)
        if m and m[1] not in usual and not re.search(rf"(?m)^{m[1]}( [\w-]+)*:", makefiles) and m[1] not in makefiles:
            found.append(c)
    return found


# What administrators look for: a heading, and words that its section must have.
TOPICS = {
    "install": ("## .*install",), "inetd": ("### From inetd",), "xinetd": ("### From xinetd",), "systemd": ("### With systemd",), "standalone": ("### By itself",),
    "TLS": ("## TLS",), "authentication": ("## Users and passwords",), "APOP": ("### .*APOP",), "PAM": ("### PAM",), "Kerberos": ("### Kerberos: KPOP",),
    "DRAC": ("### .*DRAC",), "the doctor": ("## .*--check",), "server mode": ("### Server mode, and when not",), "bulletins": ("## Bulletins",),
    "XMANGLE": ("## .*XMANGLE",), "from Qpopper 4": ("### From Qpopper 4", "update-on-abort", "Status", "CAPA"), "from Dovecot": ("### From Dovecot", "uidl-format"),
    "from UW": ("### From UW", "uidl-format"), "from Courier popd": ("### From Courier", "ids"), "several hosts": ("## Several hosts",), "tuning": ("## Tuning",),
    "trouble by symptom": ("### By symptom",), "trouble by log line": ("### By what .*log",), "a live session": ("### Looking at one session", "gdb|strace"),
    "security": ("## Security: .*not", "virtual users|one uid"), "processes": ("### .*processes",), "rooms": ("### Which room",),
    "how to add": ("### How to add", "option", "command", "password|secrets|store"),
}


def topics():
    """A section for each topic."""
    found = []
    for topic, (heading, *words) in TOPICS.items():
        section = re.search(rf"(?m)^({heading}.*)((?:\n(?!##).*)*)", GUIDE)
        if not section:
            found.append(f"{topic}: no heading {heading}")
        else:
            found += [f"{topic}: nothing of {word} under {section[1]}" for word in words if not re.search(word, section[2])]
    return found


CASES = [("the list of chapters", chapters), ("a section for each topic", topics), ("settings are taken", settings), ("options exist", names_of_options), ("command lines are taken", command_lines),
         ("switches of configure exist", configure_switches), ("samples, tests and rooms exist", files), ("make targets exist", make_targets)]


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, (name, case) in enumerate(CASES, 1):
        found = case()
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {name}")
        for line in found:
            print(f"# {line}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
