#!/usr/bin/env python3
"""plot: what a session costs against the size of the maildrop, as a picture: SVG by gnuplot, with the floor of reading everything as a line to compare
with. Messages of 10 KB, from 10 to 50,000 of them, the least of a few rounds, on popper in server mode and on popa3d and dovecot where they are.

    make bench-plot        writes .work/bench/cost.svg and cost.dat
"""
import argparse
import dataclasses
import os
import subprocess
import sys

import benchsite
from cases import CASES
from measure import Maildrops, box, floors, one
from servers import TARGETS, Server

SIZES = [10, 100, 1000, 10000, 50000]
BYTES_EACH = 10000
CURVES = [("check-large-first", "first check"), ("check-large", "check again"), ("fetch-large-pl", "fetch all"), ("thin-large", "delete every 10th")]
PEERS = {"popa3d": [0, 1], "dovecot": [1]}
SLOW_SECONDS = 10


def case_of(name, size):
    case = next(c for c in CASES if c.name == name)
    return dataclasses.replace(case, box=f"{size}x{size * BYTES_EACH}", seconds=0, sessions=1)


def measure(site, rounds):
    """(label, size): milliseconds."""
    found, maildrops = {}, Maildrops(site)
    wanted = {"popper-server": range(len(CURVES)), **PEERS}
    servers = [s for s in (Server(t, site) for t in TARGETS if t["name"] in wanted) if s.available()]
    try:
        for s in servers:
            s.start()
        for size in SIZES:
            name = f"{size}x{size * BYTES_EACH}"
            found["read it all (floor)", size] = min(floors(site, [name])["scan:" + name] for _ in range(rounds))
            for s in servers:
                for curve in wanted[s.name]:
                    label = ("popper" if s.target.get("ours") else s.name) + ": " + CURVES[curve][1]
                    if found.get((label, size // 10), 0) < SLOW_SECONDS * 1e3:
                        results = [one(s, case_of(CURVES[curve][0], size), maildrops) for _ in range(rounds)]
                        found[label, size] = min(r["ms"] for r in results)
                        print(f"{size:7} {label:32} {found[label, size]:10.2f} ms", flush=True)
    finally:
        for s in servers:
            s.stop()
    return found


def draw(found, data, picture):
    labels = list(dict.fromkeys(label for label, _ in found))
    with open(data, "w", encoding="ascii") as f:
        for label in labels:
            f.write(f'"{label}"\n' + "".join(f"{box(f'{n}x{n * BYTES_EACH}')['bytes'] / 1e6} {ms}\n" for (at, n), ms in found.items() if at == label) + "\n\n")
    lines = ", ".join(f"'{data}' index {n} using 1:2 with linespoints lw 2 {'dt 2' if 'floor' in label else ''} title \"{label}\""
                      for n, label in enumerate(labels))
    script = (f"set terminal svg size 800,520 background 'white'; set output '{picture}'; set logscale xy; set grid; set key left top; "
              f"set xlabel 'maildrop, MB (messages of 10 KB)'; set ylabel 'one session, ms'; plot {lines}")
    subprocess.run(["gnuplot", "-e", script], check=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    rounds = p.parse_args().rounds
    benchsite.WORK.mkdir(parents=True, exist_ok=True)
    site = benchsite.Site()
    try:
        site.enter(with_peers=True)
        found = measure(site, rounds)
    finally:
        site.remove()
    draw(found, benchsite.WORK / "cost.dat", benchsite.WORK / "cost.svg")
    for size in SIZES:
        os.unlink(benchsite.WORK / f"{size}x{size * BYTES_EACH}.mbox")
        os.unlink(benchsite.WORK / f"{size}x{size * BYTES_EACH}.json")
    print(f"bench: {benchsite.WORK / 'cost.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
