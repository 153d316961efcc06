#!/usr/bin/python3
"""bulletins.py: the real server, killed at every write-like system call of a session that deletes mail and a bulletin and gets two more, with .popbull and
with the database. Whatever happens, after a few more sessions each bulletin that was kept is in the maildrop exactly once, the deleted one and the deleted
mail are both there once or both gone, and the sessions work. Prints TAP.
"""
import os
import re
import shutil
import sys

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
from inject import POPPER, UID, Site, strace_of  # noqa: E402

CALLS = ["pwrite64", "write", "fsync", "fdatasync", "ftruncate", "copy_file_range", "unlinkat", "sendmsg"]
COMMANDS = ["USER alice", "PASS secret", "UIDL", "DELE 1", "DELE 10", "QUIT"]
NOTHING = ["USER alice", "PASS secret", "STAT", "QUIT"]
FROM = "From postmaster@example.com Mon Jan  1 10:00:00 2024\n"
BULLETINS = [5, 6, 7]  # 9, 10, 11 in the list: 6 is deleted


class BulletinSite(Site):
    def __init__(self, database):
        self.database = database
        super().__init__()
        passwd = self.dir / "passwd"
        passwd.write_text(passwd.read_text().replace("::/:", f"::{self.dir}/home:"))
        with open(self.dir / "conf", "a", encoding="ascii") as conf:
            conf.write(f"set bulldir = {self.bulls}\n")

    def reset(self):
        super().reset()
        self.bulls, self.home = self.dir / "bulls", self.dir / "home"
        for path in self.bulls, self.home:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o755)
        for number in BULLETINS:
            (self.bulls / str(number)).write_text(f"{FROM}Subject: bulletin {number}\n\ntext\n\n")
        popbull = self.home / ".popbull"
        popbull.write_text("4\n")
        popbull.chmod(0o600)
        made = [self.home, popbull]
        if self.database:
            (self.bulls / "bulldb.pag").touch(0o600)
            made.append(self.bulls / "bulldb.pag")
        for path in made:
            if os.getuid() == 0:
                os.chown(path, UID, UID)
        if self.database:
            self.session(NOTHING[:2], [])  # known, but without QUIT nothing is noted

    def subjects(self):
        return re.findall(r"^Subject: (.*)$", self.drop.read_text(), re.MULTILINE)


def judge(site, replies, everything):
    """What is wrong, or None."""
    lock = site.spool / "alice.lock"
    if lock.exists() and lock.stat().st_size == 0:
        lock.unlink()  # killed before its text was in it: goes by age otherwise
    for _ in range(2):
        later = site.session(NOTHING, [])
        if len(later) != 4 or not all(r.startswith("+OK") for r in later):
            return f"a session afterwards: {later}; {site.trace.read_text()[-500:]}"
    is_there = site.subjects()
    done = [s for s in everything if s not in (everything[0], "bulletin 6")]
    lagging = "cannot note the last bulletin" in site.trace.read_text()
    quit_ok = len(replies) == len(COMMANDS) and replies[-1].startswith("+OK")
    allowed = [sorted(done)] if quit_ok else [sorted(done), sorted(everything)]
    if lagging:  # the number could not be noted: the one that is nowhere comes once more
        allowed.append(sorted(done + ["bulletin 6"]))
    return None if sorted(is_there) in allowed else f"{replies[-1:]}: the maildrop holds {is_there}"


def main():
    if not shutil.which("strace"):
        print("1..0 # SKIP no strace")
        return 0
    count = failed = total = 0
    built = any(line.split("\t")[4:6] == ["bulldb", "yes"] for line in os.popen(f"{POPPER} --list-options"))
    for database in [False, True] if built else [False]:
        site = BulletinSite(database)
        everything = site.subjects() + [f"bulletin {n}" for n in BULLETINS]
        for call in CALLS:
            n = runs = 0
            wrong = []
            while True:
                n += 1
                site.reset()
                replies = site.session(COMMANDS, [], strace_of(site, call, "signal=KILL", n))
                if "killed by SIGKILL" not in site.calls.read_text():
                    break
                runs += 1
                fault = judge(site, replies, everything)
                if fault:
                    wrong.append(f"at call {n}: {fault}")
            if runs == 0:
                continue
            total += runs
            count += 1
            failed += bool(wrong)
            print(("not ok" if wrong else "ok") + f" {count} - killed at {call}{', database' if database else ''}: {runs} runs")
            for line in wrong:
                print("# " + line.replace("\n", "\n# "))
            sys.stdout.flush()
        shutil.rmtree(site.dir)
    print(f"# {total} sessions\n1..{count}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
