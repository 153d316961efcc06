#!/usr/bin/python3
"""bench_smoke.py: the benchmark does not rot: every scenario once on each of our servers with a small maildrop, what the load client says compared with what the
generator says, the table of ratios at the end. Nothing is asserted about time. Prints TAP; needs root, mount namespaces, openbsd-inetd, strace.
"""
import dataclasses
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
import benchsite  # noqa: E402
import cases  # noqa: E402
import report  # noqa: E402
import seen  # noqa: E402
from measure import CLIENT, Maildrops, box, floors, one  # noqa: E402
from servers import POPPER, TARGETS, Server, find  # noqa: E402

STRICT = os.environ.get("CI") == "true"
FETCHED = {"fetch": 1, "drain": 1}


def missing():
    """Why it cannot run here, and whether CI may skip it."""
    if os.environ.get("POPPER_TESTS") == "short":
        return "the short form runs no system tests", True
    if b"__asan_init" in POPPER.read_bytes():
        return "a build with sanitizers", True
    config = POPPER.parent.parent / "config.h"
    if config.exists() and "#define WITH_SANDBOX 1" not in config.read_text():
        return "a build without sandbox, which the benchmark refuses", True
    if not CLIENT.exists():
        return "built without TLS", True
    if os.getuid() != 0:
        return "needs root", False
    gone = [p for p in ("inetd", "strace", "openssl") if not find(p)]
    return (f"no {' '.join(gone)} here", False) if gone else (None, False)


def small(case):
    """The case on the smallest maildrop, one session a connection."""
    return dataclasses.replace(case, box="tiny", seconds=0, sessions=case.connections)


WITHOUT_SANDBOX = {**TARGETS[0], "name": "popper-open", "letter": "d", "set": ["sandbox = off"]}
IN, ROOT = {"uids": ["64101"], "sandbox": True}, {"uids": ["0", "64101"], "sandbox": False}
# What is seen of a session, and what is said when it must not be compared.
SIGHTS = [
    ("all as it should be", [[IN, ROOT], [IN], 7, ".x.journal"], None),
    ("nobody in the sandbox before the login", [[ROOT], [IN], 7, ".x.journal"], "no process is in the sandbox"),
    ("nobody in the sandbox after it", [[IN], [{**IN, "sandbox": False}], 7, ".x.journal"], "no process is in the sandbox"),
    ("root after the login", [[IN], [IN, ROOT], 7, ".x.journal"], "a process is root after the login"),
    ("too few syncs", [[IN], [IN], 3, ".x.journal"], "synced 3 times"),
    ("no journal", [[IN], [IN], 7, None], "journal None"),
]


def refusal(look, *arguments):
    try:
        look(*arguments)
    except seen.Refused as why:
        return str(why)
    return None


def distinct():
    """The cases that differ with one maildrop for all."""
    found = {}
    for c in cases.CASES:
        found.setdefault((c.scenario, c.state, c.connections, c.window, c.tls, c.delayed_acks, c.yescrypt), c)
    return list(found.values())


class InMemory:
    """A site whose spool is where a sync does nothing."""

    @staticmethod
    def filesystem():
        return "tmpfs"


class Smoke:
    def __init__(self, site):
        self.site, self.maildrops, self.records = site, Maildrops(site), []
        self.servers = [Server(t, site) for t in TARGETS if t.get("ours") or t["name"] == "floor"]
        self.count = self.failed = 0

    def report(self, why, name):
        self.count += 1
        self.failed += why is not None
        print(f"{'not ok' if why else 'ok'} {self.count} - {name}")
        if why:
            print(f"# {why}")
        sys.stdout.flush()

    def look(self, server):
        try:
            seen.look(server, self.maildrops, say=lambda text: print("#" + text))
            return None
        except seen.Refused as why:
            return str(why)

    def refuses(self):
        for name, sight, expected in SIGHTS:
            said = refusal(seen.judge, "x", *sight)
            good = said is None if expected is None else expected in (said or "")
            self.report(None if good else f"it said {said!r}", f"{'refused' if expected else 'compared'}: {name}")
        server = Server(WITHOUT_SANDBOX, self.site)
        try:
            server.start()
            said = self.look(server)
        finally:
            server.stop()
        self.report(None if "no process is in the sandbox" in (said or "") else f"it said {said!r}", "refused: a server with `sandbox = off`")
        self.report(None if "on tmpfs" in (refusal(seen.look_at_disk, InMemory()) or "") else "it is taken",
                    "refused: a spool in memory")

    def case(self, server, case):
        try:
            r = one(server, case, self.maildrops)
        except (RuntimeError, OSError, ValueError) as why:
            return str(why)
        self.records.append({**r, "round": 0})
        if r["errors"] or r["mismatches"]:
            return f"{r['errors']} errors, {r['mismatches']} wrong sizes: {r['error']}"
        octets = box("tiny")["octets"] * FETCHED.get(case.scenario, 0) * r["sessions"]
        if octets and r["octets"] != octets:
            return f"{r['octets']} octets fetched instead of {octets}"
        return None

    def table(self):
        lines = list(report.lines([{"round": 0, "floors": floors(self.site, ["tiny"], ["tiny"])}, *self.records]))
        rows = [line for line in lines if line.startswith("| login | popper |")]
        return None if len(rows) == 1 and " x " not in rows[0] and rows[0].count("|") == 11 else f"no row for login: {lines}"

    def run(self):
        for s in self.servers:
            s.start()
            if s.target.get("ours") and not s.target.get("only_tls"):
                self.report(self.look(s), f"{s.name}: sandbox, uids, syncs and journal")
        self.refuses()
        for case in distinct():
            for s in self.servers:
                if cases.takes_part(s.name, case):
                    self.report(self.case(s, small(case)), f"{case.name} on {s.name}")
        self.report(self.table(), "the table of ratios")


def main():
    why, always = missing()
    if why:
        print(f"Bail out! {why}" if STRICT and not always else f"1..0 # SKIP {why}")
        return STRICT and not always
    site = benchsite.Site()
    smoke = Smoke(site)
    try:
        try:
            site.enter(with_peers=False)
        except OSError as e:
            print(f"Bail out! no mount namespace: {e}" if STRICT else f"1..0 # SKIP no mount namespace: {e}")
            return STRICT
        smoke.run()
    finally:
        for s in smoke.servers:
            s.stop()
        site.remove()
    print(f"1..{smoke.count}")
    return smoke.failed != 0


if __name__ == "__main__":
    sys.exit(main())
