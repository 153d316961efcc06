#!/usr/bin/python3
"""users.py: real system users, through the name service, shadow and libcrypt, with the server as root: who may log in, as whom the session then
runs, and what is said and logged about those who may not. The users exist only in a private mount namespace with its own /etc/passwd, /etc/shadow
and /etc/group. Prints TAP; needs root and mount namespaces, under CI as root their absence is a failure.
"""
import ctypes
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
sys.path.insert(0, str(TESTS / "wire"))
import mbox  # noqa: E402
from cases import skip_all
from world import hash_of  # noqa: E402

POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
SANITIZED = b"__asan_init" in POPPER.read_bytes()
CONFIG = POPPER.parent.parent / "config.h"
SANDBOXED = not SANITIZED and (not CONFIG.exists() or "#define WITH_SANDBOX 1" in CONFIG.read_text())
TODAY = int(time.time() // 86400)
DENIED = r'-ERR \[AUTH\] Password supplied for "%s" is incorrect\.'
GOOD = hash_of("secret")
YESCRYPT = "$y$j9T$PaC4YODLNhRsBJPWiNm9V.$XgSrFem.oA/s5MYN6/rhBzUb/IUz5cy2XxVJlGjoxvD"

# name, uid, shadow: hash:lstchg:min:max:warn:inactive:expire, what is logged about a right password (None: granted)
USERS = [
    ("ann", 64401, f"{GOOD}:{TODAY}:0:99999:7::", None),
    ("locked", 64402, f"!{GOOD}:{TODAY}:0:99999:7::", "locked"),
    ("star", 64403, f"*:{TODAY}:0:99999:7::", "locked"),
    ("empty", 64404, f":{TODAY}:0:99999:7::", "empty"),
    ("gone", 64405, f"{GOOD}:{TODAY}:0:99999:7::{TODAY - 3}", "expired"),
    ("stale", 64406, f"{GOOD}:{TODAY - 100}:0:30:7::", "expired"),
    ("fresh", 64407, f"{GOOD}:0:0:99999:7::", "change"),
    ("low", 10, f"{GOOD}:{TODAY}:0:99999:7::", "uid"),
    ("root", 0, f"{GOOD}:{TODAY}:0:99999:7::", "uid"),
]
failed = 0
count = 0


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed += not ok
    print(("ok" if ok else "not ok") + f" {count} - {name}")
    for line in detail.splitlines():
        print("# " + line)
    sys.stdout.flush()


def our_files(directory):
    lines = [f"{name}:x:{uid}:{uid or 0}::{directory}/home:/bin/sh\n" for name, uid, _, _ in USERS]
    lines.append("nobody:x:65534:65534::/nonexistent:/bin/false\n")
    return {
        "passwd": "".join(lines),
        "shadow": "".join(f"{name}:{shadow}:\n" for name, _, shadow, _ in USERS),
        "group": "root:x:0:\nmail:x:8:\nstaff:x:64501:ann\nothers:x:64502:locked\nann:x:64401:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
    }


def enter_namespace(directory, files, directories=()):
    """Puts files (name: text), and directories that are in `directory`, over those of /etc, for this process and its children only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0 or libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in files.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o600 if name == "shadow" else 0o644)
    for name in (*files, *directories):
        if libc.mount(str(directory / name).encode(), f"/etc/{name}".encode(), None, 4096, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount over /etc/{name}")


class Session:
    def __init__(self, directory, **more):
        self.trace = directory / "trace"
        if self.trace.exists():
            self.trace.unlink()
        self.ours, theirs = socket.socketpair()
        self.server = subprocess.Popen([POPPER, "-f", directory / "conf", "-t", self.trace], stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", **more)
        theirs.close()
        self.ours.settimeout(30)
        self.replies = self.ours.makefile("rb")
        self.greeting = self.replies.readline()

    def ask(self, line):
        self.ours.sendall(line.encode() + b"\r\n")
        return self.replies.readline().decode("latin-1").rstrip("\r\n")

    def login(self, name, password):
        assert self.ask("USER " + name).startswith("+OK Password required"), "USER is answered alike for all"
        return self.ask("PASS " + password)

    def log(self):
        return self.trace.read_text()

    def close(self):
        self.replies.close()
        self.ours.close()
        return self.server.wait(30)


def children_of(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if int(text.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(text.split()[0]))
    return found


def ids_of(pid):
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return lines["Uid"].split(), lines["Gid"].split(), sorted(map(int, lines["Groups"].split())), lines["Seccomp"].strip()


def check_granted(directory, name, uid):
    s = Session(directory)
    reply = s.login(name, "secret")
    report(reply.startswith(f"+OK {name} has 2 visible messages"), f"{name}: the right password", reply)
    sessions = children_of(s.server.pid)
    report(len(sessions) == 1, f"{name}: one session process")
    for role, pid in [("keeper", s.server.pid), ("session", sessions[0])]:
        uids, gids, groups, seccomp = ids_of(pid)
        ok = uids == [str(uid)] * 4 and set(gids) <= {str(uid), "8"} and groups == sorted({uid, 64501})
        ok = ok and (role == "keeper" or not SANDBOXED or seccomp == "2") and (role == "keeper" or gids == [str(uid)] * 4)
        report(ok, f"{name}: ids and groups of the {role}", f"{uids} {gids} {groups} seccomp {seccomp}")
    report(s.ask("DELE 1").startswith("+OK"), f"{name}: DELE")
    report(s.ask("QUIT").startswith("+OK"), f"{name}: QUIT")
    report(s.close() == 0, f"{name}: exit status 0")
    report((directory / "spool" / name).read_bytes() == mbox.message(2), f"{name}: the maildrop after it")
    report(re.search(rf'POP login by user "{name}" at \(', s.log()) is not None, f"{name}: login record")


def check_refused(directory, name, password, reason):
    s = Session(directory)
    reply = s.login(name, password)
    end = s.replies.read()
    report(re.fullmatch(DENIED % name, reply) is not None and end == b"", f"{name}: refused like everybody ({reason})", reply)
    s.close()
    log = s.log()
    report(f"[AUTH] Failed attempted login to {name} from host (" in log, f"{name}: failed login record ({reason})")
    report(reason in log, f"{name}: the reason is in the log ({reason})", "" if reason in log else log)
    report(password not in log, f"{name}: the password is not in the log ({reason})")


def check_other_spellings(directory):
    """A directory that takes them (directory.c): one maildrop for all of them, and no way past a list; and --check knows."""
    conf = (directory / "conf").read_text()
    environment = {"LD_PRELOAD": str(pathlib.Path("tests/system/directory.so").absolute())}
    for given in ("ann", "ANN", "Ann@dom.example"):
        s = Session(directory, env=environment)
        reply = s.login(given, "secret")
        report(reply.startswith("+OK ann has 1 visible message "), f"{given} is ann", reply)
        s.ask("QUIT")
        s.close()
        found = subprocess.run([POPPER, "--check", "-f", directory / "conf", given], env=environment, capture_output=True, text=True, check=False).stdout
        report(re.search(r"(?m)^ok: ann may log in by USER and PASS ", found) and f"{directory}/spool/ann: 1 messages" in found, f"{given}: --check", found)
    (directory / "denied").write_text("ann\n")
    (directory / "conf").write_text(f"{conf}set nonauth-file = {directory}/denied\n")
    s = Session(directory, env=environment)
    reply = s.login("ANN", "secret")
    report(re.fullmatch(DENIED % "ANN", reply) and not s.close() and "listed in nonauth-file" in s.log(), "ANN is in nonauth-file, as ann", reply)
    (directory / "conf").write_text(conf)


def main():
    if os.getuid() != 0:
        return skip_all("needs root")
    with tempfile.TemporaryDirectory(prefix="popper-users.") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        try:
            enter_namespace(directory, our_files(directory))
        except OSError as e:
            return skip_all(f"no mount namespace: {e}")
        (directory / "home").mkdir()
        spool = directory / "spool"
        spool.mkdir()
        os.chown(spool, 0, 8)
        spool.chmod(0o2775)
        drop = spool / "ann"
        drop.write_bytes(mbox.message(1) + mbox.message(2))
        os.chown(drop, 64401, 8)
        drop.chmod(0o660)
        (directory / "conf").write_text(f"set spool-dir = {spool}\nset failure-delay = 0\nreset reverse-lookup\nset debug\n")
        check_refused(directory, "ann", "Hush-7", "wrong password")
        check_granted(directory, "ann", 64401)
        for user, _, _, reason in USERS[1:]:
            check_refused(directory, user, "secret", reason)
        check_refused(directory, "nosuchuser", "secret", "no such user")
        text = (directory / "shadow").read_text().replace(GOOD, YESCRYPT)
        (directory / "shadow").write_text(text)
        s = Session(directory)
        report(s.login("ann", "secret").startswith("+OK ann has 1 visible message "), "yescrypt, Debian's default")
        s.ask("QUIT")
        s.close()
        if not SANITIZED:
            check_other_spellings(directory)
    print(f"1..{count}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
