#!/usr/bin/python3
"""ports.py: one program behind three lines of a real openbsd-inetd's inetd.conf, with high ports that stand for 110, 109 (another configuration, with
cache-dir, temp-dir and server mode of its own) and 995 (TLS): each serves in its own way, and they exclude each other on a maildrop. Prints TAP.
"""
import contextlib
import fcntl
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import Missing, find, matches, wait_until  # noqa: E402
from standing import PASSWORD, Client, begins, free_port, run_all, same  # noqa: E402
import mbox  # noqa: E402
from inetd import GID, POPPER, UID  # noqa: E402
from play import readable_by_others  # noqa: E402
from proxy import deliver, number_of  # noqa: E402
from tlsclient import HOST, make_certificate  # noqa: E402
from world import STAMP, hash_of  # noqa: E402

MODULE = POPPER.parent / "popper-tls.so"


class TlsClient(Client):
    def __init__(self, port, certificate, greet=True):
        super().__init__(port, greet=False)
        self.file.close()
        self.socket = ssl.create_default_context(cafile=str(certificate)).wrap_socket(self.socket, server_hostname=HOST)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line() if greet else None


class Services:
    """idle: takeover-idle."""

    def __init__(self, idle):
        try:
            me = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            raise Missing("inetd starts servers for users by name, and we have none") from None
        inetd = find("inetd", "openbsd-inetd")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-ports."))
        self.dir.chmod(0o755)
        self.spool, self.trace, self.maildrop = self.dir / "spool", self.dir / "trace", self.dir / "spool" / "alice"
        for name in ("spool", "other", "home"):
            (self.dir / name).mkdir()
            (self.dir / name).chmod(0o1777 if os.getuid() == 0 else 0o755)
        if os.getuid() == 0:
            os.chown(self.dir / "home", UID, GID)
        (self.dir / "passwd").write_text(f"alice:{hash_of(PASSWORD)}:{UID}:{GID}:Alice:{self.dir}/home:/bin/false\n")
        base = (f"set passwd-file = {self.dir}/passwd\nset spool-dir = {self.spool}\nset failure-delay = 0\nreset reverse-lookup\nset debug\n"
                f"set tracefile = {self.trace}\nset takeover-idle = {idle}\n")
        self.certificate, key = make_certificate(self.dir)
        (self.dir / "popper.conf").write_text(base)
        (self.dir / "pop2.conf").write_text(base + f"set server-mode\nset shy\nset cache-dir = {self.dir}/other\nset temp-dir = {self.dir}/other\n")
        (self.dir / "pop3s.conf").write_text(base + f"set tls-server-cert-file = {self.certificate}\nset tls-private-key-file = {key}\n")
        program = readable_by_others(POPPER, self.dir)
        if MODULE.exists() and pathlib.Path(program).parent != POPPER.parent:
            shutil.copy(MODULE, pathlib.Path(program).parent)
        self.ports = {"pop3": free_port(), "pop2": free_port()}
        words = {"pop3": "popper -f {}/popper.conf", "pop2": "popper -f {}/pop2.conf", "pop3s": "popper -l 2 -p 4 -f {}/pop3s.conf"}
        if MODULE.exists():
            self.ports["pop3s"] = free_port()
        (self.dir / "inetd.conf").write_text("".join(
            f"127.0.0.1:{port} stream tcp4 nowait.1000 {me} {program} {words[name].format(self.dir)}\n" for name, port in self.ports.items()))
        pid_file = pathlib.Path("/run/inetd.pid")
        self.other_inetd = pid_file.read_bytes() if pid_file.exists() else None
        self.inetd = subprocess.Popen([inetd, "-i", self.dir / "inetd.conf"], stdin=subprocess.DEVNULL)
        self.clients = []

    def open(self, name):
        client = TlsClient(self.ports[name], self.certificate) if name == "pop3s" else Client(self.ports[name])
        self.clients.append(client)
        return client

    def ready(self):
        def answers(name):
            with contextlib.suppress(OSError):
                return self.open(name).greeting.startswith("+OK")
        for name in self.ports:
            wait_until(f"{name} through inetd", lambda name=name: answers(name))
        return self

    def fill(self, numbers):
        self.maildrop.write_bytes(b"".join(mbox.message(n) for n in numbers))
        self.maildrop.chmod(0o600)
        if os.getuid() == 0:
            os.chown(self.maildrop, UID, GID)

    def wait_for_lock(self):
        """Nobody has the lock of sessions, which index or temp drop carry."""
        def is_free(path):
            with open(path, "rb") as file:
                held = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
                return struct.unpack("hhqqi4x", held)[0] == fcntl.F_UNLCK
        wait_until("the lock of the session before goes", lambda: all(is_free(path) for where in (self.spool, self.dir / "other")
                                                                 for path in where.glob(".alice.*")))

    def log(self):
        text = self.trace.read_text(encoding="latin-1") if self.trace.exists() else ""
        return "\n".join(STAMP.sub("", line) for line in text.split("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.close()
        self.inetd.send_signal(signal.SIGTERM)
        self.inetd.wait(10)
        if self.other_inetd is not None:
            pathlib.Path("/run/inetd.pid").write_bytes(self.other_inetd)
        shutil.rmtree(self.dir, ignore_errors=True)


def capabilities(client):
    begins("CAPA", "+OK", client.ask("CAPA"))
    found = []
    while (line := client.line()) != ".":
        found.append(line)
    return found


def each_serves_in_its_own_way():
    with Services(0).ready() as services:
        services.fill([1, 2])
        ids = {}
        for name in services.ports:
            client = services.open(name)
            matches(f"greeting of {name}", r"^\+OK ready" if name == "pop2" else r"^\+OK Qpopper", client.greeting)
            same(f"STLS of {name}", False, "STLS" in capabilities(client))
            begins(f"login at {name}", "+OK alice has 2 visible messages", client.login())
            client.ask("UIDL")
            ids[name] = [client.line() for _ in range(3)]
            begins(f"QUIT at {name}", "+OK", client.ask("QUIT"))
            services.wait_for_lock()
        same("unique ids", 1, len({tuple(i) for i in ids.values()}))
        if "pop3s" in services.ports:
            with socket.create_connection(("127.0.0.1", services.ports["pop3s"]), timeout=20) as plain:
                plain.sendall(b"USER alice\r\n")
                heard = b""
                with contextlib.suppress(ConnectionResetError):
                    while piece := plain.recv(1000):
                        heard += piece
                same("POP3 in clear text at pop3s", False, b"+OK" in heard)
            wait_until("the record", lambda: "handshake with client at 127.0.0.1 (127.0.0.1) failed: what the client sent is not TLS" in services.log())
            matches("record", r"TLSv1\.3 handshake with client at 127\.0\.0\.1 \(127\.0\.0\.1\); new session-id", services.log())
        same("files beside the maildrop", [".alice.cache", "alice"], sorted(p.name for p in services.spool.iterdir()))


def every_pair(services):
    return [(a, b) for a in services.ports for b in services.ports]


def they_exclude_each_other():
    with Services(0).ready() as services:
        for first, second in every_pair(services):
            services.fill([1, 2])
            one = services.open(first)
            begins(f"login at {first}", "+OK", one.login())
            two = services.open(second)
            begins(f"login at {second} beside {first}", "-ERR [IN-USE] TEMPDROP lock busy!", two.login())
            same(f"the refused session at {second}", True, two.at_end() or two.line().startswith("+OK Pop server"))
            begins("DELE", "+OK", one.ask("DELE 1"))
            begins("QUIT", "+OK", one.ask("QUIT"))
            same("the end", True, one.at_end())
            # The connection ends a moment before the lock; with takeover-idle = 0 that is not waited for long.
            services.wait_for_lock()
            three = services.open(second)
            begins(f"login at {second} after {first}", "+OK alice has 1 visible message ", three.login())
            three.close()
            services.wait_for_lock()


def an_idle_one_gives_way():
    with Services(1).ready() as services:
        for first, second in (("pop3", "pop2"), ("pop2", "pop3"), ("pop3s", "pop2"), ("pop2", "pop3s")):
            if {first, second} - set(services.ports):
                continue
            services.fill([1, 2])
            one = services.open(first)
            begins(f"login at {first}", "+OK", one.login())
            one.ask("DELE 1")
            time.sleep(1.1)
            two = services.open(second)
            begins(f"login at {second} beside an idle {first}", "+OK alice has 2 ", two.login())
            begins(f"what {first} hears", "-ERR [IN-USE]", one.line())
            begins("QUIT", "+OK", two.ask("QUIT"))


def nothing_is_lost_or_doubled():
    """All three at once, while mail is delivered."""
    with Services(0).ready() as services:
        services.fill(range(1, 4))
        got, errors, count = [], [], 30
        stop = threading.Event()

        def visit(name):
            while not stop.is_set() or services.maildrop.stat().st_size:
                client = TlsClient(services.ports[name], services.certificate) if name == "pop3s" else Client(services.ports[name])
                reply = client.login()
                if reply.startswith("+OK"):
                    got.extend(client.take_all())
                elif "[IN-USE]" not in reply:
                    errors.append(f"{name}: {reply}")
                    return
                client.close()
                time.sleep(0.02)

        visitors = [threading.Thread(target=visit, args=(name,)) for name in services.ports]
        for visitor in visitors:
            visitor.start()
        for number in range(4, count + 1):
            deliver(services.maildrop, number)
            time.sleep(0.02)
        stop.set()
        for visitor in visitors:
            visitor.join()
        same("errors", [], errors)
        sent = [(b"\n".join(mbox.on_the_wire(text))).decode("latin-1") for _, text in mbox.split(b"".join(mbox.message(n) for n in range(1, count + 1)))]
        same("messages", sorted(number_of(t) for t in sent), sorted(number_of(t) for t in got))
        same("their texts", sorted(sent), sorted(got))


CASES = [each_serves_in_its_own_way, they_exclude_each_other, an_idle_one_gives_way, nothing_is_lost_or_doubled]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
