#!/usr/bin/env python3
"""counts: instructions of whole sessions (monitor, keeper and session) by callgrind: a guard against regressions that does not depend on how busy the machine is.

    counts.py            measures and compares with counts.txt; more than TOLERANCE above it is an error
    counts.py --record   prints a new counts.txt

As an ordinary user, without sandbox (valgrind needs system calls that it forbids). What the kernel does does not count. Other compilers and libraries give
other numbers: what is compared is one machine before and after a change.
"""
import glob
import os
import pathlib
import re
import shutil
import sys

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(64321)
    os.setuid(64321)
HERE = pathlib.Path(os.path.abspath(__file__)).parent
sys.path[:0] = [str(HERE.parent / "system"), str(HERE)]
import mkmbox  # noqa: E402
import spoolsite  # noqa: E402

TOLERANCE = .03
RECORDED = HERE / "counts.txt"


def total(directory):
    """Of the first process (monitor, then keeper) and the last one (session): those between may be killed before callgrind has written all. Removes
    the files."""
    pids = sorted(int(name.rsplit(".", 1)[1]) for name in glob.glob(f"{directory}/cg.*"))
    found = 0
    for pid in pids:
        path = pathlib.Path(f"{directory}/cg.{pid}")
        m = re.search(r"^(?:totals|summary): (\d+)", path.read_text(errors="replace"), re.M)
        path.unlink()
        if pid in (pids[0], pids[-1]):
            found += int(m.group(1))
    return found

def login(session):
    session.must("STAT")


def check(session):
    session.must("STAT")
    session.body("UIDL")
    session.body("LIST")


def fetch(session):
    count = session.count()
    for n in range(1, count + 1):
        session.body(f"RETR {n}")


def thin(session):
    for n in range(1, session.count() + 1, 10):
        session.must(f"DELE {n}")


# name, maildrop, what is done, whether the maildrop is new to the server
SESSIONS = [("login", "tiny", login, True), ("login-repeat", "tiny", login, False), ("scan", "med", check, True), ("check-repeat", "med", check, False),
            ("send", "med", fetch, False), ("thin", "med", thin, False)]


def measure(site):
    counts, filled = {}, None
    for name, box, act, new in SESSIONS:
        if new or filled != box:
            mkmbox.build(box, str(site.dir))
            site.fill("alice", (site.dir / f"{box}.mbox").read_bytes())
            filled = box
        # The arguments behind the configuration would turn tracing on.
        wrapper = ["/bin/sh", "-c", f'exec valgrind -q --tool=callgrind --callgrind-out-file={site.dir}/cg.%p "$0" "$1" "$2"']
        s = site.open("alice", wrapper=wrapper)
        act(s)
        s.quit()
        counts[name] = total(site.dir)
    return counts


def recorded():
    lines = [line.split() for line in RECORDED.read_text(encoding="ascii").splitlines() if line and line[0] != "#"]
    return {name: int(count) for name, count in lines}


def compare(counts, old):
    """Whether none is above the tolerance."""
    good = True
    for name, count in counts.items():
        change = count / old[name] - 1 if name in old else 0
        verdict = "more than before" if change > TOLERANCE else "less: record it" if change < -TOLERANCE else ""
        good = good and change <= TOLERANCE
        print(f"{name:14} {count:12} {change:+7.1%} {verdict}")
    return good


def main():
    if not shutil.which("valgrind"):
        print("counts: no valgrind here", file=sys.stderr)
        return 1
    site = spoolsite.Site(("alice",), ["sandbox = off"])
    try:
        counts = measure(site)
    finally:
        site.remove()
    if "--record" in sys.argv:
        print("# Instructions of a session; written by make bench-count-record, compared by make bench-count.")
        print(*(f"{name} {count}" for name, count in counts.items()), sep="\n")
        return 0
    return 0 if compare(counts, recorded()) else 1


if __name__ == "__main__":
    sys.exit(main())
