"""tlssite: a spool with one user, a configuration with TLS, and sessions over loopback, for tls.py and its like. Their words on the command line are parts of the
names of cases. Certificates are made by openssl; nothing but loopback is used. Under CI, as root, nothing is skipped.
"""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from cases import FORM, NO_SHORT_FORM, PATIENCE, POPPER, ROOT, equal, run_cases, skip_all, starts, telling
import mbox
from tlsclient import HOST, TlsEnd, make_certificate
from world import STAMP, hash_of

LONG = FORM == "long"
UID = 64001 if ROOT else os.getuid()
GID = 64001 if ROOT else os.getgid()
HASH = hash_of("secret")


class Authority:
    """One for all tests: making keys takes time. Whoever needs another certificate makes it."""

    def __init__(self, directory):
        self.dir = directory
        self.cert, self.key = make_certificate(directory)
        self.bundle = self.cert


class Site:
    """A spool with one user, a configuration with TLS, sessions over loopback TCP."""

    def __init__(self, shared):
        self.shared = shared
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-tls."))
        self.dir.chmod(0o755)
        self.spool, self.trace, self.home = self.dir / "spool", self.dir / "trace", self.dir / "home"
        self.drop = self.spool / "alice"
        self.spool.mkdir()
        self.home.mkdir()
        self.spool.chmod(0o1777 if ROOT else 0o755)
        if ROOT:
            os.chown(self.home, UID, GID)
        (self.dir / "passwd").write_text(f"alice:{HASH}:{UID}:{GID}:Alice:{self.home}:/bin/sh\n")
        self.options = {"passwd-file": f"{self.dir}/passwd", "spool-dir": self.spool, "failure-delay": 0, "reverse-lookup": "false",
                        "debug": "true", "tls-support": "stls", "tls-server-cert-file": shared.cert, "tls-private-key-file": shared.key}
        self.popper = POPPER
        self.sessions = []
        self.undo = contextlib.ExitStack()

    def set(self, *more, **options):
        """Options by name, _ for -; None takes one away; more: whole lines."""
        for name, value in options.items():
            self.options[name.replace("_", "-")] = value
        self.more = more
        return self

    more = ()

    def fill(self, *numbers, **how):
        self.write(b"".join(mbox.message(n, **how) for n in numbers))

    def write(self, data):
        self.drop.write_bytes(data)
        self.drop.chmod(0o600)
        if ROOT:
            os.chown(self.drop, UID, GID)

    def add_secret(self):
        self.options["apop-file"] = f"{self.dir}/pop.auth"
        for words in (["-init"], ["-user", "alice", "tanstaaf"]):
            subprocess.run([POPPER.parent / "popauth", "-file", f"{self.dir}/pop.auth", *words], check=True, capture_output=True)

    def log(self):
        lines = self.trace.read_text(encoding="latin-1").split("\n") if self.trace.exists() else []
        return [STAMP.sub("", line) for line in lines if STAMP.sub("", line)]

    def logged(self, pattern, seconds=5):
        """Waits for a record: processes end at their own time."""
        end = time.monotonic() + seconds
        while not (found := [line for line in self.log() if re.search(pattern, line)]):
            assert time.monotonic() < end, f"no record matches {pattern!r}"
            time.sleep(0.02)
        return found[0]

    def not_logged(self, pattern):
        found = [line for line in self.log() if re.search(pattern, line)]
        assert not found, f"a record matches {pattern!r}: {found[0]}"

    def command(self):
        (self.dir / "conf").write_text("".join(f"set {n} = {v}\n" for n, v in self.options.items() if v is not None)
                                       + "".join(line + "\n" for line in self.more))
        return [self.popper, "-t", self.trace, "-f", self.dir / "conf"]

    def open(self, **options):
        session = Session(self.command(), **options)
        self.sessions.append(session)
        return session

    def tls(self, rcvbuf=None, **options):
        """A session that is inside TLS and was greeted, whichever way."""
        session = self.open(rcvbuf=rcvbuf)
        if self.options["tls-support"] == "stls":
            session.hear()
            equal("STLS", session.say("STLS"), "+OK STLS")
        session.begin_tls(self.shared.bundle, **options)
        if self.options["tls-support"] != "stls":
            session.hear()
        return session

    def close(self):
        self.undo.close()
        for s in self.sessions:
            s.hang_up()
        try:
            for s in self.sessions:
                s.process.wait(10)
        except subprocess.TimeoutExpired:
            raise AssertionError("a server did not end within 10 s of its client") from None
        finally:
            for s in self.sessions:
                s.process.kill()
            subprocess.run(["rm", "-rf", self.dir], check=True)

    @contextlib.contextmanager
    def standalone(self):
        """A server that listens itself, and its port."""
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        server = subprocess.Popen([self.command()[0], f"127.0.0.1:{port}", *self.command()[1:]], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/")
        try:
            if server.poll() is None:
                self.logged("listening at|popper: ", 10)
            yield server, port
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)
            server.stderr.close()

    @contextlib.contextmanager
    def listen(self):
        """A port on which each connection gets a server, as inetd would do it."""
        command = self.command()
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            listener.settimeout(0.2)
            stop = threading.Event()
            children = []

            def serve():
                while not stop.is_set():
                    try:
                        client, _ = listener.accept()
                    except TimeoutError:
                        continue
                    with client:
                        client.settimeout(None)
                        children.append(subprocess.Popen(command, stdin=client, stdout=client, stderr=client, cwd="/"))

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield listener.getsockname()[1]
            finally:
                stop.set()
                thread.join()
                for child in children:
                    try:
                        child.wait(10)
                    except subprocess.TimeoutExpired:
                        child.kill()


class Session:
    """One connection, the server started as inetd would."""

    def __init__(self, command, rcvbuf=None):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.socket = socket.socket()
            if rcvbuf:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            self.socket.connect(server.getsockname())
            theirs, _ = server.accept()
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", start_new_session=True)
        theirs.close()
        self.socket.settimeout(PATIENCE)
        self.tls, self.input, self.at_eof = None, b"", False

    def begin_tls(self, bundle, **options):
        tls, data = TlsEnd(bundle, **options), None
        while True:
            done, out = tls.shake_hands(data)
            self.socket.sendall(out)
            if done:
                self.tls = tls
                self.input, self.at_eof = tls.decrypt(None)
                return
            data = self.socket.recv(1 << 18)

    def receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self.at_eof = not data
        if self.tls:
            data, self.at_eof = self.tls.decrypt(data)
        self.input += data

    def hear(self):
        while b"\n" not in self.input:
            assert not self.at_eof, f"the server closed; before that: {self.input!r}"
            self.receive()
        line, _, self.input = self.input.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def body(self):
        lines = []
        while (line := self.hear()) != ".":
            lines.append(line[1:] if line.startswith(".") else line)
        return lines

    def send(self, data):
        self.socket.sendall(self.tls.encrypt(data) if self.tls else data)

    def say(self, line):
        self.send(line.encode("latin-1") + b"\r\n")
        return self.hear()

    def login(self):
        starts("USER", self.say("USER alice"), "+OK")
        starts("PASS", self.say("PASS secret"), "+OK alice has ")
        return self

    def quit(self):
        starts("QUIT", self.say("QUIT"), "+OK")
        self.expect_end()

    def expect_end(self):
        while not self.at_eof:
            self.receive()
        equal("after the end", self.input, b"")
        assert not self.tls or self.tls.goodbye, "the connection was cut without TLS's close_notify"

    def hang_up(self):
        self.socket.close()

    def children(self):
        return [int(p) for p in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def relay(self):
        """The child that has the module in its memory."""
        for pid in self.children():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/maps", encoding="latin-1") as maps:
                if "popper-tls.so" in maps.read():
                    return pid
        raise AssertionError("no relay")

    def wait_for_relay(self):
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(AssertionError):
                return self.relay()
            assert time.monotonic() < end, "no relay"
            time.sleep(.01)


def connects(site, bundle, **options):
    """Whether a handshake succeeds, and how it failed."""
    session = site.open()
    if site.options["tls-support"] == "stls":
        session.hear()
        session.say("STLS")
    try:
        session.begin_tls(bundle, **options)
        return session, None
    except (ssl.SSLError, ConnectionResetError) as e:
        with contextlib.suppress(OSError, AttributeError):
            session.socket.sendall(session.failed.outgoing.read())
        return session, e


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"{command[0]} ended with status {done.returncode}: {(done.stdout + done.stderr).decode('latin-1')}"
    return done.stdout


def no_handshake(site, context, otherwise):
    """After STLS the client, by its context, or the server ends it. otherwise: what went wrong if there is one."""
    s = site.open()
    s.hear()
    s.say("STLS")
    try:
        context.wrap_socket(s.socket, server_hostname=HOST)
        raise AssertionError(otherwise)
    except ssl.SSLError:
        pass
    s.process.wait(10)


def play(case, shared):
    site, log = Site(shared), []
    with telling(lambda: log[-30:]):
        try:
            case(site)
        finally:
            log = site.log()
            site.close()


def main(cases):
    if FORM == "short":
        return skip_all(NO_SHORT_FORM)
    if not (POPPER.parent / "popper-tls.so").exists():
        return skip_all("TLS is not built")
    if not shutil.which("openssl"):
        return skip_all("no openssl here to make certificates")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="popper-tls.") as directory:
        os.chmod(directory, 0o755)
        shared = Authority(directory)
        return run_cases([(case.__name__.replace("_", " "), play, case, shared) for case in cases])
