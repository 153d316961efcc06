"""standing: a server in standalone mode in a private directory, and clients of it, for the tests beside this file.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from cases import FORM, NO_SHORT_FORM, PATIENCE, run_cases, skip_all, wait_until
import mbox
from inetd import GID, POPPER, UID
from world import STAMP, hash_of

PASSWORD = "secret word"


def free_port(host="127.0.0.1"):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        return s.getsockname()[1]


def descendants(pid):
    """{pid: fields of its status} of all processes below one."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = pathlib.Path(f"/proc/{name}/status").read_text()
        except OSError:
            continue
        parents[int(name)] = dict(line.split(":\t", 1) for line in text.split("\n") if ":\t" in line)
    found, more = {}, [pid]
    while more:
        parent = more.pop()
        for child, fields in parents.items():
            if fields["PPid"] == str(parent):
                found[child] = fields
                more.append(child)
    return found


class Client:
    """Speaks POP3. source: which address of this host it comes from."""

    def __init__(self, port, host="127.0.0.1", source=None, greet=True):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE, source_address=(source, 0) if source else None)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line() if greet else None

    def line(self):
        """"" at the end, also when it was a reset: then we had said more than the server read."""
        try:
            return self.file.readline().decode("latin-1").rstrip("\r\n")
        except ConnectionResetError:
            return ""

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def ask(self, text):
        self.say(text)
        return self.line()

    def login(self, user="alice", password=PASSWORD):
        self.ask(f"USER {user}")
        return self.ask(f"PASS {password}")

    def take_all(self):
        """Fetches and deletes all messages. The texts of those that are deleted for certain."""
        texts = []
        for n in range(1, int(self.ask("STAT").split()[1]) + 1):
            begins("RETR", "+OK", self.ask(f"RETR {n}"))
            text = []
            while (line := self.line()) != ".":
                text.append(line[1:] if line.startswith(".") else line)
            texts.append("\n".join(text))
            self.ask(f"DELE {n}")
        return texts if self.ask("QUIT").startswith("+OK") else []

    def at_end(self):
        """The server has closed the connection."""
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True

    def is_open(self):
        """Throws away what the server has said."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(4096):
                pass
            return False
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """One popper. settings: lines of its configuration."""

    def __init__(self, *settings, users=("alice",), spool=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-standing."))
        self.dir.chmod(0o755)
        self.spool = spool or self.dir / "spool"
        self.spool.mkdir(exist_ok=True)
        self.spool.chmod(0o1777 if os.getuid() == 0 else 0o755)
        self.trace, self.conf = self.dir / "trace", self.dir / "popper.conf"
        self.settings = settings
        self.process, self.children = None, []
        (self.dir / "passwd").write_text("".join(f"{u}:{hash_of(PASSWORD)}:{UID}:{GID}::{self.dir}:/bin/false\n" for u in users))
        self.configure()

    def configure(self, *more):
        base = [f"set tracefile = {self.trace}", f"set passwd-file = {self.dir}/passwd", f"set spool-dir = {self.spool}",
                "set failure-delay = 0", "reset reverse-lookup"]
        self.conf.write_text("\n".join([*base, *self.settings, *more]) + "\n")

    def fill(self, numbers, user="alice"):
        path = self.spool / user
        path.write_bytes(b"".join(mbox.message(n) for n in numbers))
        path.chmod(0o600)
        if os.getuid() == 0:
            os.chown(path, UID, GID)
        return path

    def start(self, *addresses, wrapper=(), **options):
        if not addresses and not wrapper:
            self.port = free_port()
            addresses = [f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen([*wrapper, str(POPPER), *addresses, "-f", str(self.conf)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        if not wrapper:
            self.wait_for("listening at")
        return self

    def records(self):
        text = self.trace.read_text(encoding="latin-1") if self.trace.exists() else ""
        return [STAMP.sub("", line) for line in text.split("\n") if STAMP.sub("", line)]

    def wait_for(self, text):
        try:
            return wait_until(f"record {text!r}", lambda: [r for r in self.records() if text in r])
        except AssertionError as e:
            ended = self.process and self.process.poll() is not None
            raise AssertionError(f"{e}: {self.records()}, {self.process.stderr.read() if ended else 'server runs'}") from e

    def client(self, **options):
        return Client(self.port, **options)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        if self.process and self.process.poll() is None:
            for _ in range(3):
                if self.process.poll() is None:
                    self.signal(signal.SIGTERM)
                    time.sleep(0.1)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.process.stderr.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def same(what, expected, got):
    if expected != got:
        raise AssertionError(f"{what}: {got!r} instead of {expected!r}")


def begins(what, expected, got):
    if not got.startswith(expected):
        raise AssertionError(f"{what}: {got!r} instead of {expected}...")


def run_all(cases):
    """Not in the short form. The exit status."""
    return skip_all(NO_SHORT_FORM) if FORM == "short" else run_cases(cases)
