#!/usr/bin/python3
"""option_files.py: every option in every option file of a user, made from the table: what may stand there is taken, what may not is
refused by its name and line, and the session goes on. Prints TAP.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
sys.path.insert(0, str(TESTS / "wire"))
import play  # noqa: E402
from transcript import parse  # noqa: E402

POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
AT_ONCE = 9  # more bad lines would end the reading
FILES = {"home": ("-u", "home/alice/.qpopper-options", "owner=alice "), "spool": ("-U", "spool/.alice.qpopper-options", "")}


class Option:
    def __init__(self, line):
        self.name, self.kind, _, sources, self.feature, built, self.default = line.split("\t")
        self.sources = sources.split(",")
        self.refused_feature = built == "no" and self.kind != "mnemonic" and not (self.kind == "bool" and self.default == "false")

    def line(self):
        """The default, so that nothing changes; as a site's spool-dir it would be the real one."""
        return f"set {self.name} = {'$SPOOL' if self.name == 'spool-dir' else self.default}"


def checks(option, source, number):
    path = FILES[source][1].replace(".", "\\.")
    where = f"{path}:{number}: "
    if source not in option.sources:
        return [f"L~ {where}{option.name} may not be set in the option file of a user"]
    if option.refused_feature:
        return [f"L~ {where}{option.name} needs {option.feature}, which is not built in"]
    return [f"L! {where}"]


def case_of(source, options):
    switch, path, owner = FILES[source]
    lines = [f"== {source}: {', '.join(o.name for o in options)}", f"args: {switch}", "leaves: .alice.*", f"file: {path} {owner}".rstrip(),
             *(f"| {o.line()}" for o in options), "login", "C: QUIT", "S~ \\+OK .*", "eof"]
    for number, option in enumerate(options, 1):
        lines += checks(option, source, number)
    return "\n".join(lines)


def main():
    listed = subprocess.run([POPPER, "--list-options"], stdout=subprocess.PIPE, check=True).stdout.decode("ascii")
    options = [Option(line) for line in listed.splitlines()]
    texts = [case_of(source, options[i:i + AT_ONCE]) for source in FILES for i in range(0, len(options), AT_ONCE)]
    # That a wrong expectation is noticed: an option that may not stand there, said to be taken.
    shy = next(o for o in options if o.name == "shy")
    texts.append(case_of("home", [shy]).replace("L~ ", "L! "))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="popper-options.") as shared:
        os.chmod(shared, 0o755)
        popper = play.readable_by_others(POPPER, shared)
        path = pathlib.Path(shared) / "options.wire"
        path.write_text("\n\n".join(texts) + "\n", encoding="ascii")
        cases = parse(path)
        print(f"1..{len(cases)}", flush=True)
        for number, case in enumerate(cases, 1):
            verdict, text = play.play_case(case, play.Runner("unix", None), popper)
            good, name = verdict == "ok", case.name
            if number == len(cases):
                good, name = verdict == "not ok" and "log: found" in text, "a wrong expectation is noticed"
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} - {name}", *([] if good else ["# " + line for line in text.split("\n")]),
                  sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
