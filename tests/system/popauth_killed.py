#!/usr/bin/python3
"""popauth_killed.py: popauth, killed at every system call that writes (strace --inject), and told at each that the disk is full. Whatever happens: the
database is the old one or the new one, to libgdbm itself; where popauth says that it has done it, it is the new one, and otherwise what it says is true;
no lock is left, no file that others may read; the next popauth does its work at once and clears up; and APOP works. Prints TAP.

POPPER_TESTS=long: also at calls that open and close, and each fault with each change (make popauth-killed).
"""
import hashlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from popauth import POPAUTH, plain, secrets  # noqa: E402
from cases import FORM, ROOT, equal, need, run_cases  # noqa: E402
from spoolsite import POPPER, Site  # noqa: E402

LONG = FORM == "long"
CALLS = ["write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fchmod", "fchown", "renameat", "linkat", "unlinkat", "unlink", *(["openat", "close"] if LONG else [])]
NEED_ROOM = ["write", "pwrite64", "fsync", "ftruncate", "renameat", "linkat"]
OWNER = 64001
BEFORE = {b"alice\0": plain(b"old secret"), b"bob\0": plain(b"bob's")}
FULL = "error=ENOSPC"


class Database(Site):
    """Of two users, whose popauth runs as `uid`."""

    def __init__(self, pair=False, in_place=False):
        super().__init__(("alice", "dora"))
        self.etc = self.dir / "etc"
        self.etc.mkdir()
        self.path, self.pair, self.uid = self.etc / "pop.auth", pair, None
        self.file = self.etc / "pop.auth.pag" if pair else self.path
        self.configure(f"apop-file = {self.path}")
        self.fill("dora", b"")
        self.popauth("-init")
        for name, secret in ((b"alice", "old secret"), (b"bob", "bob's")):
            self.popauth("-user", name.decode(), secret)
        self.content = self.path.read_bytes()
        self.uid = OWNER if in_place else None

    def restore(self):
        for path in self.etc.iterdir():
            path.unlink()
        self.file.write_bytes(self.content)
        self.file.chmod(0o600)
        if self.pair:
            os.link(self.file, self.etc / "pop.auth.dir")
        if self.uid:
            os.chown(self.file, self.uid, self.uid)

    def popauth(self, *words, wrapper=()):
        """(exit status, what it says)"""
        ids = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        done = subprocess.run([*wrapper, POPAUTH, "-file", self.path, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60, **ids)
        return done.returncode, done.stdout + done.stderr

    def current(self):
        """The file that there is now: -init makes one of a pair."""
        return self.path if self.path.exists() else self.file

    def login(self, name, secret):
        session = subprocess.Popen([POPPER, "-f", self.conf, "-t", self.trace], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
        greeting = session.stdout.readline().decode().strip()
        if "<" not in greeting:
            session.communicate(timeout=60)
            return greeting
        digest = hashlib.md5((greeting[greeting.index("<"):] + secret).encode()).hexdigest()
        return session.communicate(f"APOP {name} {digest}\r\nQUIT\r\n".encode(), timeout=60)[0].decode().split("\r\n")[0]


def judge(site, after, status, said):
    """status: None if it was killed. What is wrong is an AssertionError."""
    left = [path for path in site.etc.iterdir() if path.name not in ("pop.auth", "pop.auth.pag", "pop.auth.dir")]
    equal("what others may do with what is left", [path.name for path in left if path.stat().st_mode & 0o777 != 0o600], [])
    now = secrets(site.current())
    if status == 0:
        equal(f"what it says it has done ({said})", now, after)
    else:
        assert now in (BEFORE, after), f"neither the old content nor the new one: {now}"
    if status and "was not changed" in said:
        equal(f"what it says ({said})", now, BEFORE)
    assert status is None or status == 0 or said.startswith("popauth: "), f"status {status}, said {said!r}"
    equal("the next popauth", site.popauth("-user", "dora", "dora's"), (0, "added secret of dora\n"))
    equal("what is stored then", secrets(site.current()), {**now, b"dora\0": plain(b"dora's")})
    if site.uid:  # the server takes root's
        os.chown(site.file, 0, 0)
    equal("APOP", site.login("dora", "dora's")[:12], "+OK dora has")
    if site.pair and site.file.exists():
        equal("the second name of the file", (site.etc / "pop.auth.dir").stat().st_ino, site.file.stat().st_ino)
    if b"alice\0" in now:
        secret = bytes(c ^ 0xff for c in now[b"alice\0"][:-1]).decode()
        equal("APOP of another", site.login("alice", secret)[:13], "+OK alice has")
    return [path for path in site.etc.iterdir() if path.name.startswith(".")]


def each_call(what, after, words, kind):
    """litter: a temporary file may stay, because the next one would have another name."""
    need(POPAUTH.exists(), "popauth is not built (no gdbm)")
    need(shutil.which("strace"), "no strace")
    need(FORM != "short", "not in the short form")
    need(not kind.get("in_place") or ROOT, "needs root")
    site, runs, changed = Database(kind.get("pair"), kind.get("in_place")), 0, 0
    calls = site.dir / "calls"
    calls.touch()
    calls.chmod(0o666)
    try:
        for call in NEED_ROOM if what == FULL else CALLS:
            n = 1
            while True:
                site.restore()
                status, said = site.popauth(*words, wrapper=("strace", "-qq", "-o", calls, "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={n}"))
                if ("killed by SIGKILL" if what == "signal=KILL" else "INJECTED") not in calls.read_text():
                    break
                runs += 1
                try:
                    changed += secrets(site.current()) == after
                    rest = judge(site, after, None if what == "signal=KILL" else status, said)
                    assert kind.get("litter") or not rest, f"the next popauth leaves {rest}"
                except AssertionError as error:
                    raise AssertionError(f"at {call} number {n}: {error}") from error
                n += 1
        # Otherwise nothing was between the beginning and the end.
        assert runs >= 5 and 0 < changed < runs, f"{runs} runs, {changed} of them with the new content"
        return f"{runs} runs, {changed} of them with the new content"
    finally:
        site.remove()


CHANGED = {**BEFORE, b"alice\0": plain(b"a new and longer secret")}
GONE = {b"bob\0": plain(b"bob's")}
CHANGE = ("-user", "alice", "a new and longer secret")
KILL = "signal=KILL"
EVERYTHING = [
    ("a secret is changed", CHANGED, CHANGE, {}, {KILL}),
    ("a secret is changed in a directory of root", CHANGED, CHANGE, {"in_place": True}, {KILL, FULL}),
    ("a secret is changed in a pair of files", CHANGED, CHANGE, {"pair": True}, {KILL}),
    ("a user is removed", GONE, ("-delete", "alice"), {}, set()),
    ("all is thrown away", {}, ("-init",), {"litter": True}, {KILL}),
    ("a pair is thrown away", {}, ("-init",), {"pair": True, "litter": True}, set()),
]
CASES = [(f"{name}, {said}", each_call, what, after, words, kind)
         for name, after, words, kind, always in EVERYTHING for what, said in ((KILL, "killed"), (FULL, "the disk is full")) if LONG or what in always]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
