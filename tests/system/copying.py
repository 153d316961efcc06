#!/usr/bin/python3
"""copying.py: the temp drop of a large maildrop, which the keeper makes while the session already sends: every message is right before, during and after the
copy; the locks are held as long as it lasts and no longer; QUIT, a client that vanishes, a killed session and a disk that takes no more leave nothing behind
and lose nothing. Where files share blocks, or the file system is not known, no such copy is made: then a tmpfs of our own takes the place of TMPDIR.
Prints TAP.
"""
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from cases import ROOT, children, equal, need, run_cases, skip_all
from spoolsite import Site
import mbox

COUNT = 120
PADDING = b"a line of text that makes it long enough\n" * 6000  # 240 KB a message, 29 MB in all


def text(n):
    return mbox.message(n)[:-1] + PADDING + b"%d\n" % n + b"\n"


def fill(site):
    site.fill("alice", b"".join(text(n) for n in range(1, COUNT + 1)))
    while time.time() - site.drop().stat().st_ctime < .1:
        time.sleep(.01)  # what changed a moment ago is copied before it is sent (dropmark's racy)


def body_of(n):
    return text(n).split(b"\n", 1)[1][:-2].split(b"\n")


def look(session, numbers):
    for n in numbers:
        equal(f"message {n}", session.body(f"RETR {n}") == body_of(n), True)


def lock(site):
    return pathlib.Path(f"{site.drop()}.lock")


def wait_for_copy(site):
    """The copy is made when its lock goes."""
    end = time.monotonic() + 60
    while lock(site).exists():
        assert time.monotonic() < end, "the maildrop is still locked"
        time.sleep(.01)


def left(site):
    """What lies in the spool besides maildrop and index."""
    return sorted(p.name for p in site.spool.iterdir() if p.name not in ("alice", ".alice.cache"))


def files_without_a_name(session, expected):
    """Mode and size of those that the session's processes have open."""
    if not ROOT:
        return  # nobody else may look into a session
    found = set()
    for pid in (session.server.pid, *children(session.server.pid)):
        for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                found.add((oct(stat.S_IMODE(status.st_mode)), status.st_size))
    equal("files without a name", found, expected)


def all_is_right():
    site = Site()
    try:
        fill(site)
        session = site.open()
        equal("messages", session.count(), COUNT)
        look(session, range(1, COUNT + 1))
        wait_for_copy(site)
        files_without_a_name(session, {(oct(0o400), sum(len(text(n)) for n in range(1, COUNT + 1)))})
        # From here on nobody minds what happens to the maildrop.
        site.fill("alice", b"something else")
        look(session, [COUNT, 1, 7])
        session.close()
        equal("left", left(site), [])
        equal("complaints", [line for line in site.log().splitlines() if "no temp drop" in line], [])
    finally:
        site.remove()


def quit_at_once():
    site = Site()
    try:
        fill(site)
        session = site.open()
        look(session, [3])
        for n in range(2, COUNT + 1, 2):
            session.must(f"DELE {n}")
        session.quit()
        equal("the maildrop", site.drop().read_bytes() == b"".join(text(n) for n in range(1, COUNT + 1, 2)), True)
        equal("left", left(site), [])
    finally:
        site.remove()


def killed(who):
    site = Site()
    try:
        fill(site)
        session = site.open()
        session.must("RETR 1")
        if who == "client":
            session.socket.shutdown(socket.SHUT_RDWR)
        else:
            need(os.path.exists(f"/proc/{session.server.pid}/task/{session.server.pid}/children"), "no list of children")
            for pid in children(session.server.pid):
                os.kill(pid, signal.SIGKILL)
        session.server.wait(60)
        session.close()
        equal("left", left(site), [])
        again = site.open()
        equal("messages", again.count(), COUNT)
        look(again, [1, COUNT])
        again.quit()
    finally:
        site.remove()


def no_room():
    """A limit on the size of files stands for a full disk: the messages come from the maildrop itself."""
    site = Site()
    try:
        fill(site)
        session = site.open(wrapper=["/bin/sh", "-c", 'ulimit -f 20000; exec "$@"', "sh"])
        look(session, [1, 2])
        wait_for_copy(site)
        look(session, [5, COUNT, 1])
        files_without_a_name(session, set())
        session.must("DELE 1")
        session.must("RSET")
        session.quit()
        found = [line for line in site.log().splitlines() if "no temp drop for" in line and "sent from the maildrop itself" in line]
        equal("records", len(found), 1)
        equal("left", left(site), [])
    finally:
        site.remove()


CASES = [
    ("all messages are right; once it is made the maildrop may go", all_is_right),
    ("DELE and QUIT at once", quit_at_once),
    ("the client vanishes", killed, "client"),
    ("the session is killed", killed, "session"),
    ("the copy cannot be made", no_room),
]

def where_copies_are_plain():
    """Whether TMPDIR is on a file system of fskind's that copies plainly: ext4, f2fs, tmpfs."""
    kind = subprocess.run(["stat", "-f", "-c", "%t", tempfile.gettempdir()], capture_output=True, text=True, check=True).stdout.strip()
    return kind in ("ef53", "f2f52010", "1021994")


def on_a_tmpfs():
    """Begins anew there, in a mount namespace of its own."""
    where = tempfile.mkdtemp(prefix="popper-copying.")
    try:
        script = 'mount -t tmpfs -o mode=1777 none "$TMPDIR" && exec "$@"'
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-B", *sys.argv], env={**os.environ, "TMPDIR": where}, check=False).returncode
    finally:
        os.rmdir(where)


def main():
    if where_copies_are_plain():
        return run_cases(CASES)
    if ROOT and shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0:
        return on_a_tmpfs()
    return skip_all("no file system here where copies are made aside, nor may one be mounted")


if __name__ == "__main__":
    sys.exit(main())
