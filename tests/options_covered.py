#!/usr/bin/python3
"""options_covered.py: every row of the option table has a test that shows what it does. Prints TAP, a case an option.

For an option of this build: some transcript (tests/wire/*.wire) sets it, by its name in `config:` or its switch in `args:`, and is not
passed any more when just that is left out. Where a transcript cannot show it, a comment `option: NAME` in a unit or system test says
which one does. For an option of a part that is not built: setting it is refused before the greeting, with a text that says so.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("POPPER_WIRE_PATIENCE", "0.4")  # what is expected to fail does so by waiting
TESTS = pathlib.Path(os.path.abspath(__file__)).parent
sys.path.insert(0, str(TESTS / "wire"))
import play  # noqa: E402
from transcript import parse  # noqa: E402
from world import Runner  # noqa: E402

POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
VALUES = {"bool": ["true"], "int": ["1"]}
OTHER_VALUES = ["x", "/x", "x%s", "127.0.0.1"]


class Option:
    """A row of the table."""

    def __init__(self, line):
        self.name, self.kind, switch, self.sources, self.feature, built, self.default = line.split("\t")
        self.built = built == "yes"
        self.letter = switch[1] if switch != "-" else None

    def set_by_line(self, line):
        match = re.match(r"\s*(?:re)?set\s+([^\s=#]+)", line, re.IGNORECASE)
        return match is not None and match[1].lower() == self.name.lower()

    def args_without(self, words):
        kept, words = [], iter(words)
        for word in words:
            if not self.letter or word[:1] != "-" or word[1:2] != self.letter:
                kept.append(word)
            elif len(word) == 2 and self.kind != "bool":
                next(words, None)
        return kept

    def set_by(self, case):
        if case.all("E~"):
            return False  # it is refused before the greeting, which shows no effect
        lines = [line for s in case.all("config") for line in [s.text] + (s.block or [])]
        words = [word for s in case.all("args") for word in s.text.split()]
        return any(map(self.set_by_line, lines)) or self.args_without(words) != words

    def values(self):
        """Something else than the default."""
        if self.kind != "mnemonic":
            return VALUES.get(self.kind, OTHER_VALUES)
        listed = re.search(r"one of (.*)", refusal(self, "no such word"))
        return [word for word in listed[1].split(", ") if word != self.default] if listed else []


def refusal(option, value):
    """What the server says to a configuration file that sets the option; "" when it takes it."""
    with tempfile.NamedTemporaryFile("w", prefix="popper-options.") as conf:
        conf.write(f'set {option.name} = "{value}"\n')
        conf.flush()
        done = subprocess.run([POPPER, "--print-config", "-f", conf.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    return done.stderr.decode("latin-1").strip() if done.returncode == 1 else ""


def refused(option):
    """(verdict, text) for an option of a part that is not built."""
    says = [refusal(option, value) for value in option.values()]
    if any(f"needs {option.feature}, which is not built in: " in text and option.name in text for text in says):
        return "ok", f"is refused: needs {option.feature}"
    return "not ok", f"is not built in, but setting it is not refused: {says}"


def runner_for(case):
    """As root, TCP starts the server as root; what is pinned to something else is played over that, as an ordinary user."""
    pinned = [s.text.split() for s in case.all("over")]
    transport = "tcp" if not pinned or "tcp" in pinned[-1] else pinned[-1][0]
    needs = {word for s in case.all("needs") for word in s.text.split()}
    ordinary = os.getuid() == 0 and (transport != "tcp" or "ordinary-user" in needs)
    return Runner(transport, play.FIRST_UID if ordinary else None)


def shown(option, cases, popper):
    """(verdict, text) for an option of this build."""
    passed, skipped = [], []
    for name, case in cases:
        if not option.set_by(case):
            continue
        runner = runner_for(case)
        reason = play.reason_to_skip(case, runner, popper)[0]
        if reason:
            skipped.append(reason)
            continue
        case.left_out = option
        verdict, text, _ = play.play_once(case, runner, popper)
        case.left_out = None
        if verdict == "not ok" and "Mismatch: " in text:
            return "ok", name
        passed.append(name)
    for path in sorted(TESTS.glob("unit/*.c")) + sorted(TESTS.glob("system/*.[pc]*")):
        if re.search(rf"option: {re.escape(option.name)}(?![\w-])", path.read_text(encoding="utf-8")):
            return "ok", f"{path.parent.name}/{path.name}"
    if skipped:
        return "skip", skipped[0]
    return "not ok", f"is set, but without it passes, too: {'; '.join(passed)}" if passed else "no test shows an effect"


def judge(option, cases, popper):
    if not option.built:
        return refused(option)
    return shown(option, cases, popper)


def selftest(cases, popper):
    """An option that nothing obeys, and one that is said not to be built although it is, would be noticed."""
    bogus = Option("takeover-idle\tint\t-\tfile\t-\tyes\t30")
    idle = [(name, case) for name, case in cases if case.name == "a login"]
    for _, case in idle:
        case.steps.append(play.Step(0, "config", "set takeover-idle = 77"))
    nothing = shown(bogus, idle, popper)
    for _, case in idle:
        case.steps.pop()
    wrong = refused(Option("timeout\tint\t-T\tfile\tTLS\tno\t600"))
    return idle and nothing[0] == "not ok" and "without it passes" in nothing[1] and wrong[0] == "not ok"


def main():
    listed = subprocess.run([POPPER, "--list-options"], stdout=subprocess.PIPE, check=True).stdout.decode("ascii")
    options = [Option(line) for line in listed.splitlines()]
    files = sorted((TESTS / "wire").glob("*.wire"))

    def read_cases():
        # Each thread marks cases of its own.
        return [(f"{path.name}: {case.name}", case) for path in files for case in parse(path)]

    print(f"1..{len(options) + 1}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="popper-options.") as shared, concurrent.futures.ThreadPoolExecutor(3) as pool:
        os.chmod(shared, 0o755)
        popper = play.readable_by_others(POPPER, shared)
        results = [pool.submit(lambda option: judge(option, read_cases(), popper), option) for option in options]
        for number, (option, result) in enumerate(zip(options, results), 1):
            verdict, text = result.result()
            failed += verdict == "not ok"
            print(f"ok {number} - {option.name} # SKIP {text}" if verdict == "skip" else f"{verdict} {number} - {option.name}: {text}", flush=True)
        if selftest(read_cases(), popper):
            print(f"ok {len(options) + 1} - what is not shown would be noticed")
        else:
            print(f"not ok {len(options) + 1} - what is not shown would be noticed")
            failed += 1
    return 1 if failed or len(options) < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
