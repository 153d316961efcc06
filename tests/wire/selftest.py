#!/usr/bin/python3
"""selftest.py: shows that play.py sees what is wrong: every kind of expectation is met once and missed once."""
import concurrent.futures
import os
import pathlib
import sys
import tempfile

os.environ["POPPER_WIRE_PATIENCE"] = "0.3"
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import play  # noqa: E402
from transcript import Broken, parse  # noqa: E402
from world import DEVLOG, Runner  # noqa: E402

FAKE = pathlib.Path(os.path.abspath(__file__)).parent / "fake_popper.py"
RETR = "login\nC: RETR\nS: +OK\nS:* \"Subject: x\\n\\n.dot\\n\"\nC: QUIT\nS: +OK bye\n"
STAT = "login\nC: STAT\nS: +OK 1 10\n"

# name, passes, transcript
CASES = [
    ("exact reply", True, "S: +OK Qpopper (version $VERSION) at $HOST starting.  "),
    ("wrong reply", False, "S: +OK Qpopper (version 1.0) at $HOST starting.  "),
    ("pattern", True, "login\nC: STAT\nS~ \\+OK \\d+ \\d+"),
    ("pattern must match all of the line", False, "login\nC: STAT\nS~ \\+OK"),
    ("no reply", False, "login\nS: +OK"),
    ("too few replies to a pipeline", False, "login\nC: a\nC: b\nS: +OK a\nS: +OK b\nS: +OK c"),
    ("pipeline", True, "login\nC: a\nC: b\nS: +OK a\nS: +OK b"),
    ("repeated replies", True, "login\nCraw: \\rep{3}{a\\n}\nSx: 3 +OK a"),
    ("too few repeated replies", False, "login\nCraw: \\rep{3}{a\\n}\nSx: 4 +OK a"),
    ("raw bytes", True, "login\nCraw: \\rep{3}{A}\\x42\\r\\n\nS: +OK AAAB"),
    ("body", True, RETR),
    ("body that differs", False, RETR.replace(".dot", ".cot")),
    ("body that is longer", False, RETR.replace(".dot\\n", ".dot\\nmore\\n")),
    ("body as a block", True, "login\nC: RETR\nS: +OK\nS:*\n| Subject: x\n|\n| .dot"),
    ("body as a block that differs", False, "login\nC: RETR\nS: +OK\nS:*\n| Subject: x\n| .dot"),
    ("time of day", True, "login\nC: DATE 0\nS: +OK\nS:*\n| X-LOCALTIME (now)"),
    ("another time of day", False, "login\nC: DATE 3600\nS: +OK\nS:*\n| X-LOCALTIME (now)"),
    ("line of a feature that is not there", True, RETR.replace('S:* "Subject: x\\n\\n.dot\\n"', "S:*\n| [feature:No] y\n| Subject: x\n|\n| .dot")),
    ("body without byte-stuffing", False, "env: FAKE_FAULT=stuffing\n" + RETR),
    ("line end without CR", False, "env: FAKE_FAULT=lf\n" + STAT),
    ("end of the connection", True, "login\nC: QUIT\nS: +OK bye\neof"),
    ("no end of the connection", False, "login\neof"),
    ("a reply instead of the end", False, "login\nC: STAT\neof"),
    ("half-close", True, "login\nhalf-close\neof"),
    ("silence", True, "login\nquiet 0.05"),
    ("noise", False, "login\nC: STAT\nquiet 1"),
    ("elapsed", True, "login\nC: SLOW\nS: +OK slow\nelapsed 0.3..0.9"),
    ("too fast", False, "login\nC: SLOW\nS: +OK slow\nelapsed 1..2"),
    ("too slow", False, "login\nC: SLOW\nS: +OK slow\nelapsed 0..0.2"),
    ("exit status", True, "env: FAKE_FAULT=status\n" + STAT + "exit: 3"),
    ("wrong exit status", False, STAT + "exit: 3"),
    ("death by a signal", False, "env: FAKE_FAULT=signal\n" + STAT),
    ("log line", True, STAT + "L: stat was asked"),
    ("missing log line", False, STAT + "L: stat was"),
    ("log pattern", True, STAT + "L~ ^stat was"),
    ("missing log pattern", False, STAT + "L~ ^was"),
    ("absent log pattern", True, STAT + "L! nothing"),
    ("log pattern that should be absent", False, STAT + "L! asked"),
    ("password in the log", False, "env: FAKE_FAULT=password\n" + STAT),
    ("maildrop as it should be", True, "login\nC: DELE\nS: +OK\nC: QUIT\nS: +OK bye\nM: empty"),
    ("maildrop changed silently", False, "login\nC: DELE\nS: +OK\nC: QUIT\nS: +OK bye"),
    ("maildrop not changed", False, STAT + "M: messages(1)"),
    ("maildrop untouched", True, STAT + "M: messages(1-3)\nM: same"),
    ("maildrop original messages", True, STAT + "M: original(1-3)"),
    ("maildrop gone", False, STAT + "M: gone"),
    ("maildrop replaced", False, "env: FAKE_FAULT=inode\n" + STAT),
    ("file left behind", False, "env: FAKE_FAULT=litter\n" + STAT),
    ("file left behind as told", True, "env: FAKE_FAULT=litter\nleaves: *.lock\n" + STAT + "F: spool/alice.lock empty"),
    ("file with another content", False, "env: FAKE_FAULT=litter\nleaves: *.lock\n" + STAT + "F: spool/alice.lock \"x\""),
    ("missing file", False, STAT + "F: spool/alice.lock"),
    ("file that should not be", False, STAT + "F! spool/a*"),
    ("file mode", False, STAT + "status: spool/alice 666"),
    ("process left behind", False, "env: FAKE_FAULT=child\n" + STAT),
    ("server that does not end", False, "login\nC: HANG\nclose"),
    ("shell step", True, "login\nrun test -s $MAILDROP"),
    ("shell step that fails", False, "login\nrun test ! -s $MAILDROP"),
    ("delivery", True, "login\ndeliver messages(4)\nM: messages(1-4)"),
    ("check in between", False, "login\nnow M: empty\nM: same"),
    ("two sessions", True, "login\nsession b\nlogin\nC: b\nS: +OK b\nsession A\nC: a\nS: +OK a"),
    ("pieces", True, "over: seqpacket\nlogin\nC: a\nC: b\nS: +OK a\nS: +OK b\npieces 2..2"),
    ("too few pieces", False, "over: seqpacket\nlogin\nC: a\nC: b\nS: +OK a\nS: +OK b\npieces 3..9"),
    ("unknown variable", False, "login\nC: STAT\nS: +OK $NONSENSE"),
]

SYSLOG = [
    ("syslog record", True, "env: FAKE_FAULT=syslog\n" + STAT + "Y~ ^<133>stat"),
    ("missing syslog record", False, STAT + "Y~ stat"),
    ("syslog record that should be absent", False, "env: FAKE_FAULT=syslog\n" + STAT + "Y! stat"),
]


def verdict(text, runner):
    with tempfile.NamedTemporaryFile("w", suffix=".wire") as f:
        f.write("== case\n" + text + "\n")
        f.flush()
        return play.play_case(parse(f.name)[0], runner, FAKE)


def replays():
    """What is wrong with the judgement of cases that were late: (how often a case was played, verdict, text)."""
    late, good, bad = ("not ok", "late", True), ("ok", "", False), ("not ok", "bad", False)
    wanted = [([good], (1, "ok", "")), ([bad], (1, "not ok", "bad")), ([late, good], (2, "ok", "played 1 times in vain: late")),
              ([late, bad], (2, "not ok", "bad")), ([late] * 3, (3, "not ok", "late"))]
    once, results, found = play.play_once, [], []
    play.play_once = lambda *_: results.pop(0)
    try:
        for outcomes, expected in wanted:
            results[:] = outcomes
            judged = play.play_case(None, None, None)
            found.append((len(outcomes) - len(results), *judged))
    finally:
        play.play_once = once
    return [f"{got} instead of {expected}" for got, (_, expected) in zip(found, wanted) if got != expected]


def main():
    failed = 0
    wrong = replays()
    # The other fault is told, not that it was late.
    verdict_of_both, why = verdict("login\nC: SLOW\nS: +OK slow\nelapsed 0..0.2\nC: STAT\nS: +OK wrong", Runner("unix", None))
    if verdict_of_both != "not ok" or "late" in why or "expected" not in why:
        wrong.append(f"late and wrong: {verdict_of_both}, {why}")
    if b"__asan_init" not in DEVLOG.read_bytes():
        CASES.extend(SYSLOG)
    for name, text in (("unknown tag", "X: y"), ("block in the wrong place", "pause 1\n| x"), ("nonsense", "== case\n???")):
        try:
            verdict(text, Runner("unix", None))
            CASES.append((f"{name} should be refused", True, "S: wrong"))
        except Broken:
            pass
    print(f"1..{len(CASES) + 1}")
    pool = concurrent.futures.ThreadPoolExecutor(6)
    plays = []
    for number, (name, passes, text) in enumerate(CASES, 1):
        transport = "seqpacket" if text.startswith("over: seqpacket") else ("tcp", "unix", "pipe")[number % 3]
        runner = Runner(transport, None)
        plays.append((number, name, passes, runner, pool.submit(verdict, text, runner)))
    for number, name, passes, runner, play_result in plays:
        got, why = play_result.result()
        good = got == ("ok" if passes else "not ok") and not (not passes and why.startswith("Broken"))  \
            or (name == "unknown variable" and "Broken" in why)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}{'' if passes else ' is seen'} ({runner.name()})", flush=True)
        if not good:
            print("# " + (why or "passed").replace("\n", "\n# "))
    failed += bool(wrong)
    print(("not ok" if wrong else "ok") + f" {len(CASES) + 1} - who is late is played again, who is wrong is not", *(f"# {line}" for line in wrong), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
