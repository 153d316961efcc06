#!/usr/bin/env python3
"""bench: the benchmark. Measures the cases of cases.py on ours and on the peers that are there, interleaved, with floors in the same run, and prints the
table of ratios. Nothing is asserted about time.

    make bench [BENCH_ARGS="--rounds N --cases 'login.*,thin-large' --servers popper,popa3d --limit SECONDS"]
    make bench-quick             ours only, two rounds, no maildrop over 100 MB
    bench.py --memory | --calls  peak memory; system calls of a check

Needs root (a private mount namespace, see benchsite.py). Results are kept as JSON lines in .work/bench.
"""
import argparse
import json
import os
import re
import sys
import time

import benchsite
import report
import seen
from cases import CASES, takes_part
from measure import Maildrops, floors, one
from servers import POPPER, TARGETS, Server

MEMORY_CASES = ("check-large-first", "check-large", "check-huge", "fetch-large-pl", "thin-large")


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--cases", default=".*", help="regular expressions, with commas")
    p.add_argument("--servers", default="")
    p.add_argument("--limit", type=float, default=1e9, help="seconds; nothing is begun after that")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--memory", action="store_true")
    p.add_argument("--calls", action="store_true")
    p.add_argument("--out", default="")
    a = p.parse_args()
    if a.quick:
        a.rounds = 2
    return a


class Bench:
    def __init__(self, arguments, site):
        self.arguments, self.site = arguments, site
        self.records, self.slow = [], set()
        self.began = time.monotonic()
        self.maildrops = Maildrops(site)
        self.cases = [c for c in CASES if any(re.fullmatch(x, c.name) for x in arguments.cases.split(",")) and not (arguments.quick and c.slow)]
        wanted = arguments.servers.split(",") if arguments.servers else []
        targets = [t for t in TARGETS if (not wanted or t["name"] in wanted or t["name"] == "floor") and
                   (not arguments.quick or t.get("ours") or t["name"] == "floor")]
        self.servers = [s for s in (Server(t, site) for t in targets) if s.available()]
        self.out = open(arguments.out or benchsite.WORK / time.strftime("run-%Y%m%d-%H%M%S.jsonl"), "a", encoding="utf-8")

    def note(self, record):
        self.records.append(record)
        self.out.write(json.dumps(record) + "\n")
        self.out.flush()

    def start(self):
        for s in list(self.servers):
            try:
                s.start()
            except RuntimeError as e:
                if s.target.get("ours") or s.name == "floor":
                    raise
                print(f"bench: without {s.name}: {e}")
                s.stop()
                self.servers.remove(s)
        print(f"bench: {POPPER}; servers: {', '.join(s.name for s in self.servers)}; {os.cpu_count()} processors")
        seen.look_at_disk(self.site)
        for s in self.servers:
            if s.name != "floor" and not s.target.get("only_tls"):
                seen.look(s, self.maildrops)

    def stop(self):
        for s in self.servers:
            s.stop()
        self.out.close()

    def measure(self, server, case, number):
        before = time.monotonic()
        try:
            r = one(server, case, self.maildrops)
        except (RuntimeError, OSError, ValueError) as e:
            r = {"case": case.name, "server": server.name, "errors": 1, "error": str(e)[:300], "ms": None, "mismatches": 0}
        r["round"] = number
        if r["errors"] or time.monotonic() - before > 12:
            self.slow.add((case.name, server.name))     # not again
        self.note(r)
        print(f"{number} {case.name:18} {server.name:14} " + (f"{r['ms']:.2f} ms" if not r["errors"] else r["error"]), flush=True)

    def floor_cases(self):
        """The sessions of the floor that the wanted cases need."""
        wanted = {c.name for c in self.cases}
        extra = [c for c in CASES if c.name not in wanted and c.name in ("login", "login-c4", "noop")]
        return [(c, True) for c in extra] + [(c, False) for c in self.cases]

    def round(self, number):
        boxes = list(dict.fromkeys(c.box for c in self.cases))
        self.note({"round": number, "floors": floors(self.site, boxes, [c.box for c in self.cases if c.tls and c.scenario != "login"])})
        for case, floor_only in self.floor_cases():
            # The order is turned round every other round.
            for s in self.servers if number % 2 == 0 else self.servers[::-1]:
                if time.monotonic() - self.began > self.arguments.limit:
                    return
                if (floor_only and s.name != "floor") or not takes_part(s.name, case) or (case.name, s.name) in self.slow:
                    continue
                self.measure(s, case, number)

    def memory(self):
        for case in (c for c in CASES if c.name in MEMORY_CASES):
            for s in self.servers:
                if s.name != "floor" and takes_part(s.name, case):
                    self.note({**one(s, case, self.maildrops, memory=True), "memory": True})

    def calls(self):
        for s in (s for s in self.servers if s.name in ("popper", "popper-server")):
            for box in ("tiny", "med", "large"):
                self.maildrops.repeat(s, s.user(), box)
                session, total = seen.report_calls(s, self.site)
                self.note({"calls": s.name, "box": box, "session": session, "all": total})

    def run(self):
        a = self.arguments
        if a.memory or not (a.quick or a.calls or a.cases != ".*"):
            self.memory()
        if a.calls or not (a.memory or a.quick or a.cases != ".*"):
            self.calls()
        if not (a.memory or a.calls):
            for number in range(a.rounds):
                self.round(number)
        print(*report.lines(self.records), sep="\n")
        print(f"bench: {time.monotonic() - self.began:.0f} s; kept as {self.out.name}")


def main():
    arguments = parse()
    if os.getuid() != 0:
        print("bench: needs root", file=sys.stderr)
        return 1
    benchsite.WORK.mkdir(parents=True, exist_ok=True)
    site = benchsite.Site()
    bench = None
    try:
        site.enter(with_peers=not arguments.quick)
        bench = Bench(arguments, site)
        bench.start()
        bench.run()
    except seen.Refused as e:
        print(f"bench: refuses to compare: {e}", file=sys.stderr)
        return 1
    finally:
        if bench:
            bench.stop()
        site.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
