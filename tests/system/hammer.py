#!/usr/bin/python3
"""hammer.py: clients of every bad habit at once, against a server in standalone mode: they vanish at any byte, reset, close one side, read slowly, send
nonsense, begin TLS or not, hold on to sessions; meanwhile mail is delivered under locks, and processes of the server are killed at random. Every message carries a
serial number. In the end each was either retrieved whole and deleted under a +OK to QUIT, or stands whole in the maildrop, exactly once; no process, lock or
temporary file is left, and the listener has as many descriptors as at first. Prints TAP.

POPPER_TESTS=long: two minutes for each case instead of a few seconds (make hammer); POPPER_SEED repeats the same habits, though not the same instants.
"""
import collections
import contextlib
import fcntl
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback

from deliveries import message, serial_of
from cases import FORM, ROOT, SANITIZED, children, descriptors_but_syslog, equal, need, run_cases, wait_until
from spoolsite import MAIL_GID, POPPER, Site
import mbox
from standing import free_port
from tlsclient import make_certificate

SECONDS = 120 if FORM == "long" else 3
SEED = int(os.environ.get("POPPER_SEED", time.time_ns() % 1000000))
USERS = [f"user{i}" for i in range(1, 6)]
CLIENTS, SENDERS, PREFORK = 10, 2, 2
STAMP = "Mon Jan  1 10:00:00 2024"
OPEN, GROUP = (0o1777, 0), (0o2775, MAIL_GID)


class Gone(Exception):
    """The client has had enough."""


class Lost(Exception):
    """The server has ended the connection."""


class Storm:
    """A server, what was delivered to it, and what became of that."""

    def __init__(self, spool, config):
        self.site = Site(USERS, (), *spool)
        cert, key = make_certificate(self.site.dir)
        self.port = free_port()
        self.site.configure("tls-support = stls", f"tls-server-cert-file = {cert}", f"tls-private-key-file = {key}", "timeout = 20", "takeover-idle = 1",
                            "max-sessions-per-address = 1000", "max-preauth = 1000", "mail-command = /bin/true", f"prefork = {PREFORK}", *config)
        for name in USERS:
            self.site.fill(name, b"")
        self.server = subprocess.Popen([POPPER, f"127.0.0.1:{self.port}", "-f", self.site.conf, "-t", self.site.trace], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until("the server listens", lambda: "listening at" in self.site.log())
            wait_until("as many wait as shall", self.is_quiet)
        except BaseException:
            self.close()
            raise
        self.waiting = len(self.with_sessions())
        self.descriptors = self.count_descriptors()
        self.end = time.monotonic() + SECONDS
        self.lock = threading.Lock()
        self.user_locks = {name: threading.Lock() for name in USERS}
        self.sent, self.taken, self.maybe = {}, collections.Counter(), set()
        self.faults, self.count = [], collections.Counter()

    def processes(self):
        """Those of the server, without the listener."""
        found, parents = [], [self.server.pid]
        while parents:
            pid = parents.pop()
            try:
                below = [int(n) for n in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            except OSError:
                continue
            found += below
            parents += below
        return found

    def with_library(self):
        """The process that has the TLS library ready, if there is one: where it was killed often the next one takes its time."""
        found = []
        for pid in children(self.server.pid):
            with contextlib.suppress(OSError):
                if "popper-tls.so" in pathlib.Path(f"/proc/{pid}/maps").read_text():
                    found.append(pid)
        return found

    def is_quiet(self):
        before = self.with_sessions()
        time.sleep(0.3)
        return len(before) == 3 * PREFORK and before == self.with_sessions()

    def made_ahead(self):
        """The relay of the next client, which waits for a minute: all that it has is one socket, its door."""
        found = []
        for pid in (child for library in self.with_library() for child in children(library)):
            with contextlib.suppress(OSError):
                links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
                if len([link for link in links if link.startswith("socket:")]) == 1:
                    found.append(pid)
        return found

    def with_sessions(self):
        return set(self.processes()) - set(self.with_library()) - set(self.made_ahead())

    def count_descriptors(self):
        return len(descriptors_but_syslog(self.server.pid)) - len(self.with_library())

    def wait_for_descriptors(self):
        """As many as at first: a monitor that waited and was killed is replaced after a second."""
        try:
            wait_until("descriptors", lambda: self.count_descriptors() == self.descriptors, 60)
        except AssertionError as e:
            listing = subprocess.run(["ls", "-l", f"/proc/{self.server.pid}/fd"], capture_output=True, text=True, check=False).stdout
            raise AssertionError(f"the listener has {self.count_descriptors()} descriptors instead of {self.descriptors}; below it {self.processes()}; {listing}") from e

    def run(self):
        workers = [threading.Thread(target=self.work, args=(one_session, SEED + i)) for i in range(CLIENTS)]
        workers += [threading.Thread(target=self.work, args=(deliver, SEED + 100 + i)) for i in range(SENDERS)]
        workers.append(threading.Thread(target=self.work, args=(kill_one, SEED + 200)))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self, what, seed):
        chance = random.Random(seed)
        while time.monotonic() < self.end and not self.faults:
            try:
                what(self, chance)
            except Exception:  # whatever it is, the case must know
                self.faults.append(traceback.format_exc())

    def close(self):
        self.server.terminate()
        try:
            return self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
            return "killed, because SIGTERM did not end it"
        finally:
            if "POPPER_KEEP" not in os.environ:
                self.site.remove()


# ---- who works on it

def deliver(storm, chance):
    """As a delivery agent with dot lock and fcntl, in two pieces."""
    time.sleep(chance.random() * 0.1)
    name = chance.choice(USERS)
    path = storm.site.drop(name)
    with storm.user_locks[name]:
        end = time.monotonic() + 30
        while True:
            try:
                os.close(os.open(f"{path}.lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
                break
            except FileExistsError:
                assert time.monotonic() < end, f"{path}.lock stays"
                time.sleep(0.02)
        try:
            with open(path, "r+b", buffering=0) as drop:
                fcntl.lockf(drop, fcntl.LOCK_EX)
                with storm.lock:
                    serial = len(storm.sent) + 1
                    storm.sent[serial] = name
                text = f"From sender@example.com {STAMP}\n{message(serial)}\n".encode()
                drop.seek(0, os.SEEK_END)
                cut = chance.randrange(len(text))
                drop.write(text[:cut])
                time.sleep(chance.choice([0, 0, 0.02]))
                drop.write(text[cut:])
        finally:
            os.unlink(f"{path}.lock")


def kill_one(storm, chance):
    time.sleep(chance.random() * 0.5)
    pids = storm.processes()
    if pids:
        try:
            os.kill(chance.choice(pids), chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGURG]))
            storm.count["kills"] += 1
        except ProcessLookupError:
            pass


class Client:
    def __init__(self, port, chance):
        self.chance = chance
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        if chance.random() < 0.2:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.patience = chance.randrange(20, 40000) if chance.random() < 0.5 else None  # bytes until it vanishes
        self.heard = b""

    def spend(self, n):
        if self.patience is not None:
            self.patience -= n
            if self.patience <= 0:
                raise Gone

    def send(self, data):
        whole = self.patience is None or len(data) < self.patience
        try:
            self.socket.sendall(data if whole else data[:self.chance.randrange(len(data) + 1)])
        except OSError as error:
            raise Lost from error
        self.spend(len(data))

    def line(self):
        while b"\n" not in self.heard:
            try:
                got = self.socket.recv(self.chance.choice([1, 100, 4096, 65536]))
            except OSError as error:
                raise Lost from error
            if not got:
                raise Lost
            if self.chance.random() < 0.003:
                time.sleep(self.chance.random() * 1.5)
            self.heard += got
            self.spend(len(got))
        line, self.heard = self.heard.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def ask(self, text):
        """Of a single command the reply; any -ERR that says the session is over is the end for the client."""
        self.send(text.encode() + b"\r\n")
        reply = self.line()
        if re.match(r"-ERR (\[IN-USE\]|\[SYS/TEMP\]|SIGHUP)", reply):
            raise Lost(reply)
        return reply

    def body(self):
        lines = []
        while (line := self.line()) != ".":
            lines.append((line[1:] if line.startswith(".") else line).encode("latin-1"))
        return lines

    def begin_tls(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            self.socket = context.wrap_socket(self.socket)
        except OSError as error:
            raise Lost from error

    def half_close(self):
        if not isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def close(self):
        how = self.chance.random()
        if how < 0.3 and self.socket.fileno() >= 0:  # a handshake that failed leaves nothing
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        elif how < 0.5:
            self.half_close()
            time.sleep(self.chance.random() * 0.3)
        self.socket.close()


def begin(client, chance, name):
    """Whether the client is logged in; with everything that may come before."""
    client.line()
    if chance.random() < 0.05:
        client.send(chance.randbytes(chance.randrange(1, 3000)) + b"\r\n")
        return False
    if chance.random() < 0.3 and client.ask("STLS").startswith("+OK"):
        client.begin_tls()
    if chance.random() < 0.1:
        client.ask("AUTH PLAIN")
        client.ask("*")
    wrong = chance.random() < 0.1
    client.send(f"USER {name}\r\nPASS {'wrong' if wrong else 'secret'}\r\n".encode())
    client.line()
    return client.line().startswith("+OK") and not wrong


def use(storm, client, chance, name, deleted):
    """What a session does before QUIT. The serials of what it has deleted are in the set deleted."""
    count = int(client.ask("STAT").split()[1])
    if chance.random() < 0.5:
        client.ask("UIDL")
        ids = [line.split()[1] for line in client.body()]
        equal("different ids", len(set(ids)), len(ids))
    for number in range(1, count + 1):
        what = chance.random()
        if what < 0.5:
            client.ask(f"RETR {number}")
            serial = serial_of(client.body())
            equal(f"whose {serial} is", storm.sent.get(serial), name)
            if chance.random() < 0.7:
                deleted.add(serial)  # also if the reply does not come
                client.ask(f"DELE {number}")
        elif what < 0.6:
            client.send(f"TOP {number} 3\r\nLIST {number}\r\n".encode())
            if client.line().startswith("+OK"):
                client.body()
            client.line()
        elif what < 0.61:
            client.ask("RSET")
            deleted.clear()
        elif what < 0.62 and client.ask("XTND XMIT").startswith("+OK"):
            client.ask("To: somebody\r\n\r\n" + "hello\r\n" * chance.randrange(100) + ".")
        elif what < 0.625:
            time.sleep(chance.random() * 2)


def one_session(storm, chance):
    name, deleted, quitting = chance.choice(USERS), set(), False
    client = Client(storm.port, chance)
    try:
        if not begin(client, chance, name):
            return
        storm.count["logins"] += 1
        use(storm, client, chance, name, deleted)
        if chance.random() < 0.1:
            return
        quitting = True
        client.send(b"QUIT\r\n")
        if chance.random() < 0.1:
            client.half_close()
        reply = client.line()
        with storm.lock:
            if reply.startswith("+OK"):
                storm.taken.update(deleted)
                storm.count["quits"] += 1
                quitting = False
            elif "[SYS/TEMP] No mail is lost" not in reply:  # otherwise the next login may go on from there
                quitting = False
    except (Gone, Lost):
        storm.count["broken off"] += 1
    finally:
        if quitting:
            with storm.lock:
                storm.maybe |= deleted
        client.close()


# ---- what is left

def last_login(storm, name):
    """Settles what killed sessions left."""
    with socket.create_connection(("127.0.0.1", storm.port), timeout=60) as connection, connection.makefile("rwb") as file:
        file.write(f"USER {name}\r\nPASS secret\r\nQUIT\r\n".encode())
        file.flush()
        replies = file.read().decode("latin-1")
    assert re.fullmatch(r"(\+OK [^\n]*\n){4}", replies), f"the last login of {name}: {replies}"


def judge(storm):
    held = collections.Counter()
    for name in USERS:
        for _, text in mbox.split(storm.site.drop(name).read_bytes()):
            serial = serial_of(text.rstrip(b"\n").split(b"\n"))
            equal(f"whose {serial} is", name, storm.sent[serial])
            held[serial] += 1
    wrong = [(serial, held[serial], storm.taken[serial]) for serial in storm.sent
             if held[serial] + storm.taken[serial] not in ((0, 1) if serial in storm.maybe else (1,))]
    equal("lost or doubled: (serial, in the maildrop, taken)", wrong, [])
    left = [p.name for p in storm.site.spool.iterdir() if p.name not in USERS and not re.fullmatch(r"\.user\d\.cache", p.name)]
    equal("left in the spool", left, [])


def hammer(spool, config):
    need(FORM != "short", "not in the short form")
    need(ROOT, "needs root")
    need(not SANITIZED or FORM == "long", "slow with sanitizers")
    storm = Storm(spool, config)
    try:
        storm.run()
        assert not storm.faults, f"seed {SEED}: " + "\n".join(storm.faults[:3])
        # Also those that take the place of one that was killed while it waited: the last logins shall meet nobody who is dying.
        wait_until("all sessions end, and as many wait as at first", storm.is_quiet, 60)
        for name in USERS:
            last_login(storm, name)
        wait_until("the last sessions end", lambda: len(storm.with_sessions()) <= storm.waiting)
        storm.wait_for_descriptors()
        judge(storm)
        said = ", ".join(f"{n} {what}" for what, n in sorted(storm.count.items()))
        result = f"seed {SEED}: {len(storm.sent)} messages, {sum(storm.taken.values())} taken; {said}"
    finally:
        status = storm.close()
    equal("exit status of the server", status, 0)
    return result


CASES = [
    ("normal mode, spool root:mail 2775", hammer, GROUP, ()),
    ("server mode, spool 1777", hammer, OPEN, ("server-mode = true",)),
    ("fast-update, no Status headers, spool root:mail 2775", hammer, GROUP, ("server-mode = true", "fast-update = true", "update-status-headers = false")),
    ("dot locks alone, no index", hammer, OPEN, ("mail-locks = dotlock", "index = false")),
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
