#!/usr/bin/python3
"""inject.py: the real server, killed at every write-like system call of a session that deletes, and with ENOSPC, EDQUOT, EIO and EINTR injected at every
one (strace --inject counts calls per process, so that the n-th call of each role is hit). Whatever happens: no mail is lost or doubled, a +OK to QUIT
means that the deletion is done, an -ERR carries [SYS/TEMP] or [SYS/PERM] and is explained in the log, and the next session works. Prints TAP.

POPPER_TESTS=long takes every error everywhere; otherwise each error at the first calls and every third, and every kill.
"""
import concurrent.futures
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
sys.path.insert(0, str(TESTS / "wire"))
import mbox  # noqa: E402
from world import hash_of  # noqa: E402

POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
LONG = os.environ.get("POPPER_TESTS") == "long"
KILL_ONLY = ["openat"]
CALLS = ["pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "copy_file_range", "unlinkat", "renameat", "renameat2", "linkat", "write", *KILL_ONLY]
JOBS = 6
ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EINTR"]
UID = 64001 if os.getuid() == 0 else os.getuid()
BEFORE = list(range(1, 9))
AFTER = [1, 3, 4, 6, 7, 8]
COMMANDS = ["USER alice", "PASS secret", "RETR 1", "DELE 2", "DELE 5", "QUIT"]


class Site:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-inject."))
        self.dir.chmod(0o755)
        self.spool = self.dir / "spool"
        self.spool.mkdir()
        self.drop = self.spool / "alice"
        self.trace = self.dir / "trace"
        self.calls = self.dir / "calls"
        (self.dir / "passwd").write_text(f"alice:{hash_of('secret')}:{UID}:{UID}::/:/bin/sh\n")
        (self.dir / "conf").write_text(f"set passwd-file = {self.dir}/passwd\nset spool-dir = {self.spool}\nset failure-delay = 0\n"
                                       "reset reverse-lookup\n")
        self.listed = []  # by the last UIDL: the unique ids
        self.reset()

    def reset(self):
        for path in self.spool.iterdir():
            path.unlink()
        self.drop.write_bytes(b"".join(mbox.message(n) for n in BEFORE))
        self.drop.chmod(0o600)
        if os.getuid() == 0:
            os.chown(self.spool, UID, UID)
            os.chown(self.drop, UID, UID)
        if self.trace.exists():
            self.trace.unlink()
        self.was = self.file()

    def file(self):
        """Inode, owner, group and mode of the maildrop."""
        status = self.drop.stat()
        return status.st_ino, status.st_uid, status.st_gid, oct(status.st_mode)

    def session(self, commands, mode, wrapper=()):
        """The first lines of the replies; shorter than the commands when the server went away."""
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        server = subprocess.Popen([*wrapper, POPPER, "-f", self.dir / "conf", "-t", self.trace, *mode], stdin=theirs, stdout=theirs,
                                  stderr=subprocess.DEVNULL, cwd="/")
        theirs.close()
        replies = []
        with ours, ours.makefile("rb") as lines:
            try:
                lines.readline()
                for command in commands:
                    ours.sendall(command.encode() + b"\r\n")
                    reply = lines.readline().decode("latin-1")
                    if not reply:
                        break
                    replies.append(reply)
                    if command.startswith(("RETR", "UIDL")) and reply.startswith("+OK"):
                        listing = []
                        while (line := lines.readline()) not in (b".\r\n", b""):
                            listing.append(line)
                        if command == "UIDL":
                            self.listed = [line.split()[1] for line in listing]
            except OSError:
                pass
        server.wait(60)
        return replies

    def held(self):
        """The numbers of the messages in the maildrop, in order; None when it is not made of whole messages."""
        data = self.drop.read_bytes()
        found = []
        while data:
            for n in BEFORE:
                text = mbox.message(n)
                if data.startswith(text):
                    found.append(n)
                    data = data[len(text):]
                    break
            else:
                return None
        return found


def strace_of(site, call, what, n):
    return ["strace", "-f", "-qq", "-o", str(site.calls), "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={n}"]


def judge(site, replies, killed, may_lock, mode, ids):
    """What is wrong, or None."""
    quit_ok = len(replies) == len(COMMANDS) and replies[-1].startswith("+OK")
    errors = [r for r in replies if r.startswith("-ERR")]
    if not killed and not quit_ok and not errors:
        return f"neither +OK nor -ERR: {replies}"
    log = site.trace.read_text() if site.trace.exists() else ""
    for reply in errors:
        if "[SYS/TEMP]" not in reply and "[SYS/PERM]" not in reply:
            return f"an -ERR without response code: {reply}"
        # Where the keeper was killed nobody could write it.
        if not killed and reply[5:].strip() not in log:
            return f"this is not in the log: {reply}"
    if quit_ok and site.held() != AFTER:
        return f"+OK to QUIT, but the maildrop holds {site.held()}"
    # The next session works, and finds everything that is kept exactly once.
    replies = site.session(["USER alice", "PASS secret", "UIDL", "QUIT"], mode)
    if len(replies) != 4 or not all(r.startswith("+OK") for r in replies):
        return f"the next session: {replies}; {site.trace.read_text()[-500:]}"
    if site.held() not in (BEFORE, AFTER):
        return f"afterwards the maildrop holds {site.held()}"
    if site.file() != site.was:
        return f"inode, owner, group, mode of the maildrop: {site.file()}, before {site.was}"
    if site.listed != [ids[n] for n in site.held()]:
        return f"other unique ids than before: {site.listed} for {site.held()}"
    # A dot lock that could not be unlinked, or whose owner was killed, is stale: the next one to need it breaks it.
    known = ("alice", ".alice.cache", "alice.lock" if may_lock else "")
    left = sorted(p.name for p in site.spool.iterdir() if p.name not in known)
    return f"left behind: {left}" if left else None


def ids_of(mode):
    """The unique id of each message, as a session gives it before anything is deleted."""
    site = Site()
    try:
        replies = site.session(["USER alice", "PASS secret", "UIDL", "QUIT"], mode)
        assert len(replies) == 4 and len(set(site.listed)) == len(BEFORE), f"{replies}, {site.listed}"
        return dict(zip(BEFORE, site.listed))
    finally:
        shutil.rmtree(site.dir)


def play(mode, call, what):
    """One row: what happens to the n-th call, for every n, at a site of its own: (number of sessions it happened to, what went wrong)."""
    site = Site()
    ids = ids_of(mode)
    wrong = []
    n = runs = 0
    try:
        while True:
            n += 1
            if not LONG and what != "signal=KILL" and n > 3 and n % 3 != ERRORS.index(what[6:]) % 3:
                continue
            site.reset()
            replies = site.session(COMMANDS, mode, strace_of(site, call, what, n))
            calls = site.calls.read_text()
            # By SIGKILL end also roles whose peer is gone: that is no injected error.
            if ("killed by SIGKILL" if what == "signal=KILL" else "INJECTED") not in calls:
                return runs, wrong
            runs += 1
            killed = what == "signal=KILL"
            fault = judge(site, replies, killed, killed or call == "unlinkat", mode, ids)
            if fault:
                wrong.append(f"at call {n}: {fault}")
    finally:
        shutil.rmtree(site.dir)


def main():
    if os.environ.get("POPPER_TESTS") == "short":
        print("1..0 # SKIP not in the short form")
        return 0
    if not shutil.which("strace"):
        print("1..0 # SKIP no strace")
        return 0
    # Side by side: in some the server waits for a lock that could not be removed, up to ten seconds a session. Those first.
    faults = ["signal=KILL", *(f"error={e}" for e in ERRORS)]
    rows = [(mode, call, what) for call in CALLS for mode in ([], ["-S"]) for what in (faults[:1] if call in KILL_ONLY else faults)]
    rows.sort(key=lambda row: row[1] != "unlinkat")
    total = failed = count = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for (mode, call, what), (runs, wrong) in zip(rows, pool.map(lambda row: play(*row), rows)):
            total += runs
            if runs == 0:
                continue
            count += 1
            failed += bool(wrong)
            print(("not ok" if wrong else "ok") + f" {count} - {what} at {call}{' in server mode' if mode else ''}: {runs} runs")
            for line in wrong:
                print("# " + line.replace("\n", "\n# "))
            sys.stdout.flush()
    print(f"# {total} sessions")
    print(f"1..{count}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
