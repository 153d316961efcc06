"""site: a spool with some users of a passwd-file, and POP3 sessions with the built server as inetd would start it. For the scripts beside it.

By root the users have uids of their own, from 64001 up; by anybody else all of them are whoever runs the tests.
"""
import os
import pathlib
import socket
import subprocess
import tempfile

import cases
from cases import ROOT
from play import readable_by_others
from world import hash_of

# A copy when the build is where ordinary users cannot go, such as /root.
ELSEWHERE = tempfile.TemporaryDirectory(prefix="popper-build.")
os.chmod(ELSEWHERE.name, 0o755)
POPPER = readable_by_others(cases.POPPER, ELSEWHERE.name)
HASH = hash_of("secret")
FIRST_UID = 64001
MAIL_GID = 8


class Site:
    def __init__(self, users=("alice",), config=(), spool_mode=0o1777, spool_gid=0, spool=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-site."))
        self.dir.chmod(0o755)
        self.spool = pathlib.Path(spool) if spool else self.dir / "spool"
        self.spool.mkdir(exist_ok=True)
        self.trace = self.dir / "trace"
        self.conf = self.dir / "conf"
        self.users = {}
        entries = []
        for i, name in enumerate(users):
            self.users[name] = FIRST_UID + i if ROOT else os.getuid()
            home = self.home(name)
            home.mkdir(parents=True)
            if ROOT:
                os.chown(home, self.users[name], self.users[name])
            entries.append(f"{name}:{HASH}:{self.users[name]}:{self.users[name] if ROOT else os.getgid()}::{home}:/bin/sh\n")
        self.group = spool_gid
        if ROOT:
            os.chown(self.spool, 0, spool_gid)
        self.spool.chmod(spool_mode if ROOT else 0o755)
        (self.dir / "passwd").write_text("".join(entries))
        self.configure(*config)

    def configure(self, *config):
        lines = [f"passwd-file = {self.dir}/passwd", f"spool-dir = {self.spool}", "failure-delay = 0", "reverse-lookup = false", *config]
        self.conf.write_text("".join(f"set {line}\n" for line in lines))

    def home(self, name):
        return self.dir / "home" / name

    def drop(self, name="alice"):
        return self.spool / name

    def fill(self, name, data, path=None):
        """The maildrop, of the user, in a spool of gid mail of that group too."""
        path = path or self.drop(name)
        path.write_bytes(data)
        path.chmod(0o660 if self.group else 0o600)
        if ROOT:
            os.chown(path, self.users[name], self.group or self.users[name])

    def log(self):
        return self.trace.read_text() if self.trace.exists() else ""

    def run(self, *arguments, **more):
        return subprocess.run([POPPER, *arguments, "-f", self.conf, "-t", self.trace], capture_output=True, text=True, check=False, **more)

    def open(self, name="alice", *arguments, wrapper=()):
        return Session(self, name, arguments, wrapper)

    def remove(self):
        subprocess.run(["rm", "-rf", self.dir], check=True)


class Session:
    """Logged in, or ConnectionError."""

    def __init__(self, site, name, arguments=(), wrapper=()):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(120)
        self.server = subprocess.Popen([*wrapper, POPPER, "-f", site.conf, "-t", site.trace, *arguments], stdin=theirs, stdout=theirs,
                                       stderr=subprocess.DEVNULL, cwd="/")
        theirs.close()
        self.lines = self.socket.makefile("rb")
        self.hear()
        self.must(f"USER {name}")
        self.greeting = self.say("PASS secret")
        if not self.greeting.startswith("+OK"):
            self.close()
            raise ConnectionError(self.greeting)

    def hear(self):
        return self.lines.readline().decode("latin-1")

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.hear()

    def must(self, line):
        reply = self.say(line)
        if not reply.startswith("+OK"):
            self.close()
            raise ConnectionError(f"{line}: {reply!r}")
        return reply

    def body(self, line):
        """The lines of a multi-line reply, without line ends and byte-stuffing."""
        self.must(line)
        found = []
        while True:
            got = self.lines.readline()
            if got in (b".\r\n", b""):
                return found
            found.append(got[1:-2] if got.startswith(b".") else got[:-2])

    def count(self):
        return int(self.must("STAT").split()[1])

    def quit(self):
        self.must("QUIT")
        self.close()

    def close(self):
        """The exit status."""
        self.lines.close()
        self.socket.close()
        return self.server.wait(60)
