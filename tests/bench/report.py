"""report: the table of ratios: median over rounds, the spread over rounds, the bar, the best peer of the same run.

"x floor, least" divides the least of ours by the floor made of the least: what is left when the machine has nothing else to do, where a busy machine makes the
medians say little. "CPU" is the processor time of a session, all processes of the server together.
"""
import json
import statistics
import sys

from cases import ALONE, ALONE_TLS, CASES, LINGER, NORMAL, SERVER, TLS, floor_of, normal_extra

OURS = (NORMAL, SERVER, ALONE, TLS, ALONE_TLS, LINGER)


def collect(records):
    """(results by case and server, floors by name): lists over rounds."""
    results, floors = {}, {}
    for r in records:
        if "floors" in r:
            for name, ms in r["floors"].items():
                floors.setdefault(name, []).append(ms)
        elif "case" in r and not r.get("memory"):
            results.setdefault((r["case"], r["server"]), []).append(r)
            if r["server"] == "floor" and not r["errors"]:
                floors.setdefault("trip" if r["case"] == "noop" else r["case"], []).append(r.get("trip", r["ms"]))
    return results, floors


def times(results, case, server):
    rows = results.get((case.name, server), [])
    return [r["ms"] for r in rows if not r["errors"] and r["ms"] is not None]


def cpu(results, case, server):
    values = [r["cpu"] for r in results.get((case.name, server), []) if not r["errors"] and r.get("cpu") is not None]
    return f"{statistics.median(values):.2f}" if values else ""


def spread(values):
    return f"{min(values):.2f}-{max(values):.2f}"


def verdict(ratio, bar, noise):
    """noise: relative spread of the floor; a difference below it is a tie."""
    if bar is None:
        return ""
    if ratio <= bar:
        return "met"
    return "tie" if ratio <= bar * (1 + noise) else "missed"


def floor_noise(floors, case):
    """Half the spread between the quartiles of the part of the floor that decides, relative."""
    names = {"login": "login", "check": "scan:" + case.box, "top": "trip", "fetch": "send:" + case.box, "drain": "trip", "thin": "copy:" + case.box,
             "noop": "trip"}
    values = sorted(floors.get(names[case.scenario], []))
    if len(values) < 3:
        return 0
    return (values[len(values) * 3 // 4] - values[len(values) // 4]) / 2 / statistics.median(values)


def lines(records):
    results, floors = collect(records)
    medians = {name: statistics.median(v) for name, v in floors.items()}
    least = {name: min(v) for name, v in floors.items()}
    servers = list(dict.fromkeys(s for _, s in results))
    peers = [s for s in servers if s not in OURS and s != "floor"]
    yield "| case | server | floor ms | ms, median (rounds: least-most) | x floor | x floor, least | bar | | CPU ms | best peer, x floor |"
    yield "| --- " * 10 + "|"
    for case in CASES:
        floor = floor_of(case, medians)
        best = min(((statistics.median(t), p) for p in peers if (t := times(results, case, p))), default=None)
        shown = f"{best[0] / floor:.2f} {best[1]}" if best and floor else ""
        for server in OURS:
            t = times(results, case, server)
            if not t:
                bad = [r for r in results.get((case.name, server), []) if r["errors"]]
                if bad:
                    yield f"| {case.name} | {server} | | fails: {bad[0]['error']} | | | | | | {shown} |"
                continue
            if floor is None:
                yield f"| {case.name} | {server} | | {statistics.median(t):.2f} ({spread(t)}) | | | | | {cpu(results, case, server)} | {shown} |"
                continue
            allowed = floor + (normal_extra(case, medians) if server == NORMAL else 0)
            ratio, bar = statistics.median(t) / allowed, case.bars.get(server)
            best_ratio = min(t) / (floor_of(case, least) + (normal_extra(case, least) if server == NORMAL else 0))
            yield (f"| {case.name} | {server} | {allowed:.2f} | {statistics.median(t):.2f} ({spread(t)}) | {ratio:.2f} | {best_ratio:.2f} | {bar or ''} | "
                   f"{verdict(ratio, bar, floor_noise(floors, case))} | {cpu(results, case, server)} | {shown} |")
    yield ""
    yield from other_lines(records, floors)


def other_lines(records, floors):
    for r in records:
        if r.get("memory") and not r["errors"]:
            yield f"memory, {r['case']}, {r['server']}: largest process {r['peak_kb']} KB, all {r['peak_all_kb']} KB"
    for r in records:
        if "calls" in r:
            yield f"system calls of a repeated check, {r['box']}, {r['calls']}: session {r['session']} (bar 60), all processes {r['all']} (bar 300)"
    yield "floors, ms, median (rounds: least-most): " + ", ".join(
        f"{name} {statistics.median(v):.3f} ({min(v):.3f}-{max(v):.3f})" for name, v in sorted(floors.items()))


def main():
    records = [json.loads(line) for name in sys.argv[1:] for line in open(name, encoding="utf-8")]
    print(*lines(records), sep="\n")


if __name__ == "__main__":
    main()
