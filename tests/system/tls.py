#!/usr/bin/python3
"""tls.py: TLS as clients and administrators meet it: STLS and alternate-port, certificates and keys that are wrong, names, tickets, clients that misbehave,
the relay's rights, and the programs of other people (testssl.py has one more). Prints TAP.

tls.py [PART OF A NAME] runs some of it; POPPER_TESTS=long makes the large message larger than 2 GB. Certificates are made by openssl; nothing but loopback
is used. Under CI, as root, nothing is skipped.
"""
import base64
import contextlib
import hashlib
import itertools
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
sys.path.insert(0, str(TESTS / "wire"))
import mbox  # noqa: E402
from tlsclient import HOST, TlsEnd, make_certificate  # noqa: E402
from world import STAMP, features, hash_of  # noqa: E402

ROOT = os.getuid() == 0
LONG = os.environ.get("POPPER_TESTS") == "long"
POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
UID = 64001 if ROOT else os.getuid()
GID = 64001 if ROOT else os.getgid()
HASH = hash_of("secret")
SANITIZED = b"__asan_init" in POPPER.read_bytes()
PATIENCE = 15


class Skip(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Skip(reason)


def program(name):
    path = shutil.which(name)
    need(path, f"no {name} here")
    return path


def equal(what, got, expected):
    assert got == expected, f"{what}: {got!r} instead of {expected!r}"


def starts(what, got, expected):
    assert got.startswith(expected), f"{what}: {got!r} instead of {expected!r}"


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


def gone(pid):
    """Also when nobody has asked how it ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


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


# ---- a session

HANDSHAKE = (r"^\(v[\d.]+\) TLSv1\.3 handshake with client at 127\.0\.0\.1 \(127\.0\.0\.1\); new session-id; cipher: "
             r"TLS_\w+ \(TLS_\w+ TLSv1\.3 \S[^\n]*\S\), \d+ bits$")


# option: tls-support
def stls(site):
    site.fill(1, 2)
    s = site.open()
    starts("greeting", s.hear(), "+OK Qpopper")
    starts("CAPA", s.say("CAPA"), "+OK")
    before = s.body()
    assert "STLS" in before and "USER" in before, before
    equal("STLS", s.say("STLS"), "+OK STLS")
    s.begin_tls(site.shared.bundle)
    starts("CAPA", s.say("CAPA"), "+OK")
    inside, timeless = s.body(), [c for c in before if c != "STLS" and not c.startswith("X-LOCALTIME")]
    equal("capabilities inside", [c for c in inside if not c.startswith("X-LOCALTIME")], timeless)
    starts("second STLS", s.say("STLS"), "-ERR")
    s.login()
    starts("STLS after the login", s.say("STLS"), "-ERR")
    starts("STAT", s.say("STAT"), "+OK 2 ")
    starts("DELE", s.say("DELE 1"), "+OK")
    s.quit()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), mbox.message(2))
    site.logged(HANDSHAKE)
    site.not_logged("EOF|hangup|lost")


def alternate_port(site):
    site.set(tls_support="alternate-port").fill(1)
    s = site.open()
    s.begin_tls(site.shared.bundle)
    starts("greeting", s.hear(), "+OK Qpopper")
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS announced where it cannot be had"
    starts("STLS", s.say("STLS"), "-ERR")
    s.login()
    starts("RETR", s.say("RETR 1"), "+OK")
    equal("message", "\n".join(s.body()).encode("latin-1"), b"\n".join(mbox.on_the_wire(mbox.split(mbox.message(1))[0][1])))
    s.quit()
    equal("exit status", s.process.wait(10), 0)
    site.logged(HANDSHAKE)


def off(site):
    site.set(tls_support="none").fill(1)
    s = site.open()
    s.hear()
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS announced"
    starts("STLS", s.say("STLS"), "-ERR STLS is not offered here")
    s.login().quit()


def no_library_where_no_tls_is(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.fill(1)

    def maps(pid):
        return pathlib.Path(f"/proc/{pid}/maps").read_text()

    s = site.open()
    s.hear()
    for pid in (s.process.pid, *s.children()):
        assert "popper-tls.so" not in maps(pid), "the TLS module in a session without TLS"
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.login()
    relay = s.relay()
    for pid in {s.process.pid, *s.children()} - {relay}:
        assert all(name not in maps(pid) for name in ("popper-tls.so", "libssl", "libcrypto")), "the TLS library outside the relay"


def injected_plain_text_is_dropped(site):
    site.fill(1)
    s = site.open()
    s.hear()
    s.send(b"STLS\r\nUSER mallory\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
    equal("STLS", s.hear(), "+OK STLS")
    s.begin_tls(site.shared.bundle)
    starts("PASS", s.say("PASS secret"), "-ERR PASS must follow USER")
    starts("NOOP", s.say("QUIT"), "+OK")
    s.expect_end()
    site.not_logged("mallory|Received: .USER|POP login")


def user_is_forgotten(site):
    s = site.open()
    s.hear()
    starts("USER", s.say("USER alice"), "+OK")
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    starts("PASS", s.say("PASS secret"), "-ERR PASS must follow USER")


def mechanisms(capabilities):
    """The SASL mechanisms in the lines of CAPA."""
    return {word for line in capabilities if line.startswith("SASL ") for word in line.split()[1:]}


def clear_text_password_tls(site):
    site.set(clear_text_password="tls").fill(1)
    s = site.open()
    s.hear()
    s.say("CAPA")
    assert "USER" not in (offered := s.body()), "USER announced in clear text"
    equal("mechanisms in clear text", mechanisms(offered) & {"PLAIN", "LOGIN"}, set())
    refusal = "-ERR [AUTH] Clear-text passwords are accepted inside TLS only"
    plain = "AUTH PLAIN " + base64.b64encode(b"\0alice\0secret").decode()
    for line in ("USER alice", "PASS secret", plain, "AUTH LOGIN") * 3:  # none of them counts as a failed login
        starts(line, s.say(line), refusal)
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.say("CAPA")
    assert "USER" in (offered := s.body()), "USER not announced inside TLS"
    equal("mechanisms inside TLS", mechanisms(offered) & {"PLAIN", "LOGIN"}, {"PLAIN", "LOGIN"})
    starts("AUTH PLAIN inside TLS", s.say(plain), "+OK alice has ")
    s.quit()
    s = site.open()
    s.hear()
    for line in ("AUTH PLAIN", "AUTH LOGIN " + base64.b64encode(b"alice").decode()):
        starts(line, s.say(line), refusal)
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.login().quit()


def expected_stls(site):
    """Where USER is for TLS only the relay loads before it is asked for; and goes, with no word in the log, when it never is."""
    site.set(clear_text_password="tls").fill(1)
    s = site.open()
    s.hear()
    early = s.wait_for_relay()
    starts("USER", s.say("USER alice"), "-ERR [AUTH]")
    starts("STLS", s.say("STLS"), "+OK")
    s.begin_tls(site.shared.bundle)
    equal("relay", s.relay(), early)
    s.login().quit()
    equal("exit status", s.process.wait(10), 0)
    for last in ("QUIT", None):
        s = site.open()
        s.hear()
        s.wait_for_relay()
        if last:
            starts(last, s.say(last), "+OK")
        s.hang_up()
        equal("exit status of a session without STLS", s.process.wait(10), 0)
    if "APOP" in features(POPPER):
        site.add_secret()
        s = site.open()
        stamp = re.search("<.*>", s.hear())[0]
        early = s.wait_for_relay()
        starts("APOP", s.say("APOP alice " + hashlib.md5(stamp.encode() + b"tanstaaf").hexdigest()), "+OK alice has ")
        end = time.monotonic() + 20
        while not gone(early):
            assert time.monotonic() < end, "the relay outlived the login"
            time.sleep(.02)
        s.quit()
        equal("exit status", s.process.wait(10), 0)
    site.not_logged("killed|failed|TLS is not possible|left without a word")


def expected_stls_refused(site):
    key = site.dir / "none.key"
    site.set(clear_text_password="tls", tls_private_key_file=key).fill(1)
    s = site.open()
    s.hear()
    equal("STLS", s.say("STLS"), "-ERR [SYS/PERM] TLS is not possible at the moment; the server's log says why.")
    starts("second STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    starts("QUIT", s.say("QUIT"), "+OK")
    s.process.wait(10)
    site.logged(rf"^STLS from 127\.0\.0\.1 refused: the private key {key} cannot be opened")
    site.not_logged("was killed by signal")
    s = site.open()  # and where it is wrong, who does not ask learns nothing, but the log does
    s.hear()
    time.sleep(.2)
    starts("QUIT", s.say("QUIT"), "+OK")
    s.process.wait(10)
    site.logged(rf"^TLS is not possible: the private key {key} cannot be opened")


def clear_text_password_local(site):
    site.set(clear_text_password="local").fill(1)
    s = site.open()
    s.hear()
    s.login().quit()  # 127.0.0.1
    site.tls().login().quit()


def commands_behind_the_handshake(site):
    """What comes with the client's last words of the handshake, many commands in a record, and a command in many records."""
    site.fill(1)
    s = site.tls()
    s.send(b"USER alice\r\nPASS secret\r\n" + b"NOOP\r\n" * 3000)
    starts("USER", s.hear(), "+OK")
    starts("PASS", s.hear(), "+OK")
    for _ in range(3000):
        starts("NOOP", s.hear(), "+OK")
    for byte in b"STAT\r\n":
        s.send(bytes([byte]))
    starts("STAT", s.hear(), "+OK 1 ")
    s.quit()


def half_close(site):
    """A client that sends its commands and its end at once gets all the answers."""
    site.fill(1, 2, 3, lines=20000)
    s = site.tls()
    s.send(b"USER alice\r\nPASS secret\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nDELE 1\r\nQUIT\r\n")
    s.socket.sendall(s.tls.say_goodbye())
    s.hear(), s.hear()
    for n in (1, 2, 3):
        starts("RETR", s.hear(), "+OK")
        equal("lines", len(s.body()), len(mbox.on_the_wire(mbox.split(mbox.message(n, lines=20000))[0][1])))
    starts("DELE", s.hear(), "+OK")
    starts("QUIT", s.hear(), "+OK")
    s.expect_end()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), b"".join(mbox.message(n, lines=20000) for n in (2, 3)))


def hang_up_before_tls(site):
    s = site.open()
    s.hear()
    s.say("STLS")
    s.hang_up()
    s.process.wait(10)
    site.logged("left without a word of TLS")


def hang_up_inside(site):
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    s.hang_up()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))


# ---- handshakes that fail

def not_tls(site):
    site.set(tls_support="alternate-port")
    for said in (b"CAPA\r\n", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 100):
        s = site.open()
        s.send(said)
        s.at_eof or s.socket.recv(100)
        with contextlib.suppress(ConnectionResetError):
            while s.socket.recv(100):
                pass
        s.process.wait(10)
    site.logged(r"^TLS handshake with client at 127\.0\.0\.1 \(127\.0\.0\.1\) failed: what the client sent is not TLS \(")


def client_without_trust(site):
    other, _ = make_certificate(site.dir, "other")
    s, error = connects(site, other)
    assert isinstance(error, ssl.SSLCertVerificationError), error
    context = ssl.create_default_context(cafile=str(other))
    s = site.open()
    s.hear()
    s.say("STLS")
    try:
        context.wrap_socket(s.socket, server_hostname=HOST)
        raise AssertionError("an unknown certificate was believed")
    except ssl.SSLError:
        pass
    s.process.wait(10)
    site.logged(r"(handshake|connection) with client .*: the client does not know who issued our certificate: is the chain complete\?")


# option: tls-version
def old_versions(site):
    openssl = program("openssl")
    site.set(tls_support="alternate-port")
    weak = ["-cipher", "DEFAULT:@SECLEVEL=0"]

    def speaks(port, *words):
        done = subprocess.run([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", *words], input=b"QUIT\r\n",
                              capture_output=True, timeout=30)
        return b"+OK" in done.stdout

    with site.listen() as port:
        assert not speaks(port, "-tls1_1", *weak), "TLS 1.1"
        assert not speaks(port, "-tls1", *weak), "TLS 1.0"
        assert speaks(port, "-tls1_2"), "no TLS 1.2"
        assert speaks(port, "-tls1_3"), "no TLS 1.3"
    site.logged("failed: the client has only versions of TLS that tls-version does not allow")
    site.set(tls_version="TLSv1.2")
    with site.listen() as port:
        assert not speaks(port, "-tls1_3") and speaks(port, "-tls1_2"), "tls-version = TLSv1.2"
    site.set(tls_version="TLSv1.3")
    with site.listen() as port:
        assert speaks(port, "-tls1_3") and not speaks(port, "-tls1_2"), "tls-version = TLSv1.3"
    site.set(tls_version="all", tls_cipher_list="DEFAULT:@SECLEVEL=0")
    with site.listen() as port:
        assert speaks(port, "-tls1_1", *weak), "tls-version = all with ciphers for it"
    site.set(tls_version="SSLv3", tls_cipher_list=None)
    with site.listen() as port:
        assert not speaks(port, "-tls1_1", *weak) and speaks(port, "-tls1_2"), "tls-version = SSLv3 means default"
    site.logged("tls-version = SSLv3 is obsolete and counts as default")


# option: tls-cipher-list , option: tls-ciphersuites
def ciphers(site):
    site.set(tls_support="alternate-port", tls_version="TLSv1.2", tls_cipher_list="ECDHE-ECDSA-AES128-GCM-SHA256")
    equal("cipher", site.tls().tls.object.cipher()[0], "ECDHE-ECDSA-AES128-GCM-SHA256")
    site.set(tls_version="TLSv1.3", tls_ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
    equal("ciphersuite", site.tls().tls.object.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")
    site.set(tls_version="default", tls_cipher_list="no-such-cipher", tls_ciphersuites=None, tls_support="stls")
    s = site.open()
    s.hear()
    starts("STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    site.logged("tls-cipher-list = no-such-cipher: the TLS library knows no such ciphers")
    site.set(tls_cipher_list=None, tls_ciphersuites="TLS_NONE")
    s = site.open()
    s.hear()
    starts("STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    site.logged("tls-ciphersuites = TLS_NONE: the TLS library knows no such ciphersuites")


# option: tls-options , option: tls-workarounds
def library_options(site):
    """tls-options are the library's bits, repeated ones add up; tls-workarounds is taken."""
    site.set("set tls-options = 0x20000000", tls_support="alternate-port", tls_options="0x4000", tls_workarounds="true")
    equal("version", site.tls().tls.object.version(), "TLSv1.2")  # SSL_OP_NO_TLSv1_3


def silent_client(site):
    site.set(preauth_timeout=1)
    s = site.open()
    s.hear()
    s.say("STLS")
    begin = time.monotonic()
    while s.socket.recv(100):
        pass
    assert time.monotonic() - begin < 30, "it took too long"
    s.process.wait(10)
    site.logged(r"^TLS handshake with client at \S+ \(127\.0\.0\.1\) not finished within 1 seconds$|Timeout \(1 secs\) during nw read from \(null\)")


def handshake_drop_by_drop(site):
    """The time is for the whole handshake, and for all that comes before the login, not for each byte."""
    site.set(preauth_timeout=1)
    tls = TlsEnd(site.shared.bundle)
    _, hello = tls.shake_hands(None)

    def trickles(session, data, pause):
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in itertools.cycle(data):
                session.socket.sendall(bytes([byte]))
                time.sleep(pause)
                if session.process.poll() is not None:
                    break
        assert 0.8 < time.monotonic() - begin < 30, f"it had {time.monotonic() - begin:.1f} s instead of 1"

    s = site.open()
    s.hear()
    s.say("STLS")
    trickles(s, hello[:-1] if len(hello) > 60 else hello, 0.05)
    site.logged(r"^TLS handshake with client at \S+ \(127\.0\.0\.1\) not finished within 1 seconds$|Timeout \(1 secs\) during nw read from \(null\)")
    s = site.tls()
    trickles(s, s.tls.encrypt(b"USER alice USER alice"), 0.05)
    site.logged(r"Timeout \(1 secs\) during nw read from \(null\) at 127\.0\.0\.1 \(127\.0\.0\.1\)")


# ---- certificates and keys

def refused(site, pattern):
    """STLS is refused, the log says why, and the session goes on without."""
    site.fill(1)
    s = site.open()
    s.hear()
    equal("STLS", s.say("STLS"), "-ERR [SYS/PERM] TLS is not possible at the moment; the server's log says why.")
    starts("second STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS is still announced"
    s.login().quit()
    site.logged(r"^STLS from 127\.0\.0\.1 refused: " + pattern)
    site.not_logged("was killed by signal")  # by us, and nobody's concern


# option: tls-server-cert-file , option: tls-private-key-file
def wrong_files(site):
    cert, key = (shutil.copy(f, site.dir) for f in (site.shared.cert, site.shared.key))
    for f in (cert, key):
        os.chmod(f, 0o600)
    other_cert, other_key = make_certificate(site.dir, "other")

    def use(cert, key, pattern):
        site.set(tls_server_cert_file=cert, tls_private_key_file=key)
        refused(site, pattern)

    use(cert, other_key, f"the private key in {other_key} does not belong to the certificate in {cert}; one of the two files is not the newest")
    use(site.dir / "none.pem", key, f"the certificate {site.dir}/none.pem cannot be opened: No such file or directory")
    use(cert, site.dir / "none.key", f"the private key {site.dir}/none.key cannot be opened: No such file or directory")
    use(cert, None, f"there is no private key in PEM format in {cert}")
    use(key, key, f"there is no certificate in PEM format in {key}")
    use(site.dir, key, f"the certificate {site.dir} is not a regular file")
    (site.dir / "empty").write_bytes(b"")
    use(site.dir / "empty", key, f"the certificate {site.dir}/empty is empty")
    secret = site.dir / "secret.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", secret], check=True)
    secret.chmod(0o600)
    use(cert, secret, f"the private key in {secret} is encrypted, .*decrypt it with openssl pkey -in {secret}")
    chain = site.dir / "chain.pem"
    chain.write_bytes(other_cert.read_bytes() + pathlib.Path(cert).read_bytes())
    chain.chmod(0o644)
    use(chain, key, f"the private key in {key} belongs to certificate 2 in {chain}; move that certificate to the beginning")


def modes_and_owners(site):
    cert, key = (pathlib.Path(shutil.copy(f, site.dir)) for f in (site.shared.cert, site.shared.key))
    site.set(tls_server_cert_file=cert, tls_private_key_file=key)
    for mode, pattern in ((0o644, r"can be read by others than its owner \(mode 0644\); chmod 600 "),
                          (0o604, r"can be read by others than its owner \(mode 0604\)"),
                          (0o660, r"can be written to by others than its owner \(mode 0660\); chmod go-w ")):
        key.chmod(mode)
        refused(site, f"the private key {key} {pattern}")
    key.chmod(0o640)
    if ROOT:
        site.tls().login().quit()  # root:ssl-cert, as Debian does it
        key.chmod(0o600)
        os.chown(key, UID, GID)
        refused(site, f"the private key {key} belongs to uid {UID}, who could change it; chown it to root")
        os.chown(key, 0, 0)
    else:
        refused(site, "the private key .* can be read by others")
    key.chmod(0o600)
    cert.chmod(0o666)
    refused(site, f"the certificate {cert} can be written to by others")
    cert.chmod(0o644)
    site.tls().login().quit()
    both = site.dir / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    both.chmod(0o644)
    site.set(tls_server_cert_file=both, tls_private_key_file=None)
    refused(site, f"the file of certificate and private key {both} can be read by others")
    both.chmod(0o600)
    site.tls().login().quit()
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    site.tls().login().quit()
    link = site.dir / "link.pem"
    link.symlink_to(both)
    site.set(tls_server_cert_file=link)
    site.tls().login().quit()


def unreadable(site):
    need(not ROOT, "root may read everything")
    key = pathlib.Path(shutil.copy(site.shared.key, site.dir))
    key.chmod(0)
    site.set(tls_private_key_file=key)
    refused(site, f"the private key {key} cannot be opened: Permission denied; popper must be started as root")


def wrong_at_the_alternate_port(site):
    site.set(tls_support="alternate-port", tls_private_key_file=site.dir / "none.key")
    s = site.open()
    with contextlib.suppress(ConnectionResetError):
        equal("what a client hears", s.socket.recv(100), b"")
    equal("exit status", s.process.wait(10), 75)
    site.logged(f"^TLS is not possible: the private key {site.dir}/none.key cannot be opened")


def dated(site, name, *words):
    """A certificate with dates of its own."""
    cert, key = site.dir / f"{name}.pem", site.shared.key
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={HOST}", "-out", site.dir / "csr"], check=True)
    (site.dir / "ext").write_text(f"subjectAltName=DNS:{HOST}\n")
    subprocess.run(["openssl", "x509", "-req", "-in", site.dir / "csr", "-signkey", key, "-extfile", site.dir / "ext", "-out", cert, *words],
                   check=True, stderr=subprocess.DEVNULL)
    cert.chmod(0o644)
    return cert


def expiry(site):
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    site.set(tls_server_cert_file=dated(site, "fifteen", "-days", "15"))  # the warning comes for 14 days
    connects(site, site.options["tls-server-cert-file"])[0].login().quit()
    site.not_logged("expire")
    thirteen = dated(site, "thirteen", "-days", "13")
    site.set(tls_server_cert_file=thirteen)
    connects(site, thirteen)[0].login().quit()
    site.logged(f"^the certificate in {thirteen} expires at {day}; renew it$")
    past = dated(site, "past", "-days", "-1")
    site.set(tls_server_cert_file=past)
    _, error = connects(site, past)
    assert isinstance(error, ssl.SSLCertVerificationError), "an expired certificate is served, and the client must see it"
    site.logged(f"^the certificate in {past} expired at {day}; clients will refuse it: renew it$")
    chain = site.dir / "chain.pem"
    chain.write_bytes(pathlib.Path(site.shared.cert).read_bytes() + thirteen.read_bytes())
    chain.chmod(0o644)
    site.set(tls_server_cert_file=chain)
    site.tls().login().quit()
    site.logged(rf"^certificate 2 \(an issuer's\) in {chain} expires at {day}; renew it$")


def chains(site):
    """The issuer's certificate behind the server's is sent along: a client that knows the root only can verify."""
    ca = make_certificate(site.dir, "ca", "Test CA", extra=("-addext", "basicConstraints=critical,CA:true"))

    def issue(name, by, extension):
        key, cert = site.dir / f"{name}.key", site.dir / f"{name}.pem"
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                        "-subj", f"/CN={name}", "-out", site.dir / "csr"], check=True, stderr=subprocess.DEVNULL)
        (site.dir / "ext").write_text(extension)
        subprocess.run(["openssl", "x509", "-req", "-in", site.dir / "csr", "-CA", by[0], "-CAkey", by[1], "-CAcreateserial", "-days", "30",
                        "-extfile", site.dir / "ext", "-out", cert], check=True, stderr=subprocess.DEVNULL)
        key.chmod(0o600)
        return cert, key

    middle = issue("middle", ca, "basicConstraints=critical,CA:true\n")
    leaf = issue("leaf", middle, f"subjectAltName=DNS:{HOST}\n")
    chain = site.dir / "chain.pem"
    chain.write_bytes(leaf[0].read_bytes() + middle[0].read_bytes())
    chain.chmod(0o644)
    site.set(tls_server_cert_file=leaf[0], tls_private_key_file=leaf[1])
    _, error = connects(site, ca[0])
    assert isinstance(error, ssl.SSLCertVerificationError), "verified without the chain"
    site.set(tls_server_cert_file=chain)
    session, error = connects(site, ca[0])
    equal("with the chain", error, None)
    session.login().quit()


def several_certificates(site):
    """SNI chooses; who names nobody, or a stranger, gets the first."""
    one, two = make_certificate(site.dir, "one", "one.example.com"), make_certificate(site.dir, "two", "*.example.org")
    rsa = make_certificate(site.dir, "rsa", "one.example.com", key="rsa:2048")
    bundle = site.dir / "all.pem"
    bundle.write_bytes(b"".join(pair[0].read_bytes() for pair in (one, two, rsa)))
    site.set(f"set tls-server-cert-file = {two[0]}", f"set tls-private-key-file = {two[1]}",
             f"set tls-server-cert-file = {rsa[0]}", f"set tls-private-key-file = {rsa[1]}",
             tls_support="alternate-port", tls_server_cert_file=one[0], tls_private_key_file=one[1])

    def subject(*words):
        with site.listen() as port:
            out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts", *words], input=b"QUIT\r\n",
                                 capture_output=True, timeout=30).stdout
        shown = re.search(rb"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", out, re.S)[0]
        found = [n for n, pair in (("one", one), ("two", two), ("rsa", rsa)) if shown in pair[0].read_bytes()]
        return found[0]

    site.shared_bundle = bundle
    for host in ("one.example.com", "x.example.org"):
        _, error = connects(site, bundle, host=host)
        equal(host, error, None)
    equal("the client names two", subject("-servername", "mail.example.org"), "two")
    equal("the client names one", subject("-servername", "one.example.com"), "one")
    equal("the client names one and knows RSA only", subject("-servername", "one.example.com", "-sigalgs", "RSA-PSS+SHA256"), "rsa")
    equal("the client names a stranger", subject("-servername", "pop.invalid"), "one")
    equal("the client names nobody", subject("-noservername"), "one")
    equal("the client names nobody and knows RSA only", subject("-noservername", "-sigalgs", "RSA-PSS+SHA256"), "rsa")
    site.set(f"set tls-private-key-file = {two[1]}", tls_server_cert_file=one[0], tls_private_key_file=one[1])
    s = site.open()
    assert "tls-private-key-file names more files than tls-server-cert-file" in s.hear(), "too many keys"


def alpn(site):
    s = site.tls()
    equal("protocol", s.tls.object.selected_alpn_protocol(), "pop3")
    context = ssl.create_default_context(cafile=str(site.shared.bundle))
    context.set_alpn_protocols(["h2", "http/1.1"])
    s = site.open()
    s.hear()
    s.say("STLS")
    try:
        context.wrap_socket(s.socket, server_hostname=HOST)
        raise AssertionError("a browser was served")
    except ssl.SSLError:
        pass
    s.process.wait(10)
    site.logged("failed: the client wants another protocol than POP3")


def resumes(port, *words):
    """Whether s_client resumes a session; it saves or loads one as its arguments say."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    out = b""
    while b"+OK Qpopper" not in out:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, f"s_client ended: {out!r}"
        out += piece
    process.stdin.write(b"QUIT\r\n")
    process.stdin.close()
    out += process.stdout.read()
    process.stdout.close()
    process.wait(20)
    return b"Reused" in out


# option: tls-ticket-key-file
def tickets(site):
    site.set(tls_support="alternate-port").fill(1)
    keys = site.dir / "ticket.keys"
    saved = site.dir / "saved"

    def visit(*words):
        with site.listen() as port:
            return resumes(port, *words)

    for version in ("-tls1_2", "-tls1_3"):
        site.set(tls_ticket_key_file=None)
        saved.unlink(missing_ok=True)
        assert not visit(version, "-sess_out", str(saved)), "the first visit"
        if saved.exists():
            assert not visit(version, "-sess_in", str(saved)), "resumed without a key"
        keys.write_bytes(os.urandom(80))
        keys.chmod(0o600)
        site.set(tls_ticket_key_file=keys)
        assert not visit(version, "-sess_out", str(saved)), "the first visit"
        assert visit(version, "-sess_in", str(saved)), f"not resumed ({version})"
        keys.write_bytes(os.urandom(80) + keys.read_bytes())
        assert visit(version, "-sess_in", str(saved)), f"not resumed with the key before ({version})"
        keys.write_bytes(keys.read_bytes()[:80])
        assert not visit(version, "-sess_in", str(saved)), f"resumed with a key that is gone ({version})"
    site.logged(r"handshake with client at .*; reused session-id; cipher: ")
    site.set(tls_support="stls")
    keys.write_bytes(b"x" * 79)
    refused(site, f"the ticket key file {keys} must have 80 bytes for each key, .*openssl rand -out {keys} 80")
    keys.chmod(0o644)
    refused(site, f"the ticket key file {keys} can be read by others")


def standalone(site):
    """One process makes the ticket key; HUP brings new certificates to new sessions, and broken ones change nothing."""
    cert, key = (shutil.copy(f, site.dir) for f in (site.shared.cert, site.shared.key))
    other_cert, other_key = make_certificate(site.dir, "other")
    site.set(tls_support="alternate-port", tls_server_cert_file=cert, tls_private_key_file=key)

    def served(port):
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=10).strip()

    def is_in(path):
        return pathlib.Path(path).read_text().strip()

    with site.standalone() as (server, port):
        saved = site.dir / "saved"
        assert not resumes(port, "-sess_out", str(saved)), "the first visit"
        assert resumes(port, "-sess_in", str(saved)), "not resumed"
        equal("certificate", served(port), is_in(site.shared.cert))
        shutil.copy(other_cert, cert)  # and not the key: broken
        server.send_signal(signal.SIGHUP)
        site.logged(f"the configuration stays as it was, because the new one is wrong: the private key in {key} does not belong to")
        shutil.copy(other_key, key)
        server.send_signal(signal.SIGHUP)
        site.logged("the configuration was read again")
        equal("certificate", served(port), is_in(other_cert))
    site.set(tls_private_key_file=site.dir / "none.key")
    server = subprocess.run([site.command()[0], "127.0.0.1:0", *site.command()[1:]], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=20, text=True)
    assert server.returncode == 1 and f"the private key {site.dir}/none.key cannot be opened" in server.stderr, server


def server_random(site, port):
    """What the server's first handshake message says is random; the session is then left."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        if site.options["tls-support"] == "stls":
            s.recv(1000)
            s.sendall(b"STLS\r\n")
            assert s.recv(1000).startswith(b"+OK")
        _, hello = TlsEnd(site.shared.bundle).shake_hands(None)
        s.sendall(hello)
        answer = b""
        while len(answer) < 43:
            answer += s.recv(1000) or b"the server closed".ljust(43)
    assert answer[0] == 22 and answer[5] == 2, f"no ServerHello: {answer!r}"
    return answer[11:43]


def loaded_by_the_listener(site):
    """Where each client needs TLS the process that listens has the library, but no key; what sessions call random differs. Elsewhere it has neither."""
    need(ROOT, "not root: memory cannot be looked at")
    der = subprocess.run(["openssl", "pkey", "-in", site.shared.key, "-outform", "DER", "-traditional"], capture_output=True, check=True).stdout
    secret = der[7:39]  # SEC 1: version, then the number
    assert der[5:7] == b"\x04\x20", "another form of key than this test knows"
    for support, password, there in (("alternate-port", "default", True), ("stls", "tls", True), ("stls", "default", False)):
        site.trace.unlink(missing_ok=True)
        site.set(tls_support=support, clear_text_password=password)
        with site.standalone() as (server, port):
            equal(f"{support}, {password}: module in the listener", "popper-tls.so" in pathlib.Path(f"/proc/{server.pid}/maps").read_text(), there)
            randoms = [server_random(site, port) for _ in range(6)]
            equal("different ones", len(set(randoms)), 6)
            found = memory(server.pid)
            assert secret not in found and secret[::-1] not in found and site.shared.key.read_bytes()[40:80] not in found, "the key is in the memory of the listener"
        site.logged("ended$")
        site.not_logged("killed|refused")


def module_missing(site):
    (site.dir / "bin").mkdir()
    site.popper = shutil.copy(POPPER, site.dir / "bin")
    refused(site, r".*/popper-tls\.so is missing: ")
    module = shutil.copy(POPPER.parent / "popper-tls.so", site.dir / "bin")
    site.tls().login().quit()
    os.chmod(module, 0o666)
    if ROOT:
        refused(site, f"{module} must belong to root and be writable to nobody else")
    pathlib.Path(module).write_bytes(b"nonsense")
    os.chmod(module, 0o644)
    refused(site, f"{module} cannot be loaded: ")


# ---- clients that misbehave, and large things

def vm_peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def no_memory(session, relay):
    """Of nobody who serves it, whatever waits for the client."""
    if not ROOT or SANITIZED:
        return
    for pid in {session.process.pid, relay, *session.children()} - {None}:
        assert vm_peak(pid) < 20000, f"process {pid} has {vm_peak(pid)} kB"


def client_that_stops_reading(site):
    """In clear text and in TLS, begun in either way: what waits is bounded, the timeout ends it, the log says so, and nothing is deleted."""
    modes = ("set server-mode", "reset server-mode")
    for number, support in enumerate(("none", "stls", "alternate-port")):
        for mode in modes if LONG else modes[number % 2:][:1]:
            site.trace.unlink(missing_ok=True)
            site.set(mode, timeout=1, tls_support=support).fill(1, lines=400000)
            if support == "none":
                s = site.open(rcvbuf=4096)
                s.hear()
            else:
                s = site.tls(rcvbuf=4096)
            s.login()
            relay = s.relay() if ROOT and support != "none" else None
            begin = time.monotonic()
            s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
            time.sleep(0.5)
            no_memory(s, relay)
            s.process.wait(15)
            took = time.monotonic() - begin
            assert 0.9 < took < 7, f"{support}: it ended after {took:.1f} s; the timeout is 1 s"
            if support == "none":
                site.logged(r"^\(v[\d.]+\) I/O error flushing output to client alice at 127\.0\.0\.1 \(127\.0\.0\.1\)$")
            else:
                site.logged(r"I/O error flushing output to client alice at 127\.0\.0\.1 \(127\.0\.0\.1\)|took nothing of what was sent for too long")
            equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=400000))


def slow_reader(site):
    """Back-pressure: a client that reads little by little gets everything, and nobody's memory grows."""
    site.set("set server-mode").fill(1, lines=100000)
    s = site.tls(rcvbuf=65536).login()
    s.send(b"RETR 1\r\n")
    for _ in range(20):
        time.sleep(0.05)
        s.receive()
    starts("RETR", s.hear(), "+OK")
    while not s.input.endswith(b"\r\n.\r\n"):
        s.receive()
    got = s.input[:-3].replace(b"\r\n", b"\n")
    s.input = b""
    expected = b"\n".join(mbox.on_the_wire(mbox.split(mbox.message(1, lines=100000))[0][1])) + b"\n"
    assert got.replace(b"\n..", b"\n.") == expected, f"{len(got)} bytes instead of {len(expected)}"
    s.quit()


def flood_of_commands(site):
    """A client that sends without end and never reads is stopped by back-pressure, not by anybody's memory."""
    site.set(timeout=2).fill(1, lines=1000)
    s = site.tls().login()
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    flood = s.tls.encrypt(b"RETR 1\r\n" * 1000)
    s.socket.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < 1 << 26:
            sent += s.socket.send(flood)
            flood = s.tls.encrypt(b"RETR 1\r\n" * 1000)
    assert sent < 1 << 24, f"it took {sent} bytes"
    s.process.wait(15)


def vanished_before_it_got_all(site):
    """QUIT was sent ahead, but what was asked for did not arrive: nothing is deleted."""
    site.set(timeout=3).fill(1, lines=60000)
    s = site.tls(rcvbuf=4096).login()
    s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    s.process.wait(30)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=60000))
    site.logged("nothing was deleted|I/O error flushing output")


def last_bytes_not_taken(site):
    """All of the message is in our kernel's buffers, but the client's machine does not take it."""
    site.set(timeout=3).fill(1, lines=2000)
    s = site.tls(rcvbuf=2048).login()
    begin = time.monotonic()
    s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    s.process.wait(30)
    assert time.monotonic() - begin > 2, "it did not wait"
    equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=2000))
    site.logged("QUIT came before the client had taken what we sent")
    site.not_logged("I/O error flushing")


def write_large(site):
    """A message of 200 MB (POPPER_TESTS=long: 2.2 GB); the size and the hash of what a client must get."""
    header = b"From: a@example.com\nSubject: large\n\n"
    lines = [b"x%075d\n" % n for n in range(1 << 14)]
    block = b"".join(lines)
    sent = block.replace(b"\n", b"\r\n")
    expected, size = hashlib.sha256(header.replace(b"\n", b"\r\n")), len(header.replace(b"\n", b"\r\n"))
    with open(site.drop, "wb") as f:
        f.write(b"From a@example.com Mon Jan  1 10:00:00 2024\n" + header)
        for _ in range((2200 << 20 if LONG else 200 << 20) // len(block)):
            f.write(block)
            expected.update(sent)
            size += len(sent)
    site.drop.chmod(0o600)
    if ROOT:
        os.chown(site.drop, UID, GID)
    return size, expected.hexdigest()


def fetch_large(site, support, *modes):
    """Byte for byte, with the octets that were announced, and memory does not grow."""
    size, expected = write_large(site)
    for mode in modes:
        site.set(mode, tls_support=support)
        s = site.open()
        if support == "stls":
            s.hear()
            equal("STLS", s.say("STLS"), "+OK STLS")
        if support != "none":
            s.socket = ssl.create_default_context(cafile=str(site.shared.bundle)).wrap_socket(s.socket, server_hostname=HOST)
        s.socket.settimeout(120)
        if support != "stls":
            s.hear()
        s.login()
        relay = s.relay() if ROOT and support != "none" else None
        s.send(b"RETR 1\r\n")
        equal("RETR", s.hear(), f"+OK {size} octets")
        got, total = hashlib.sha256(), 0
        while total < size:
            piece = s.input or s.socket.recv(1 << 20)
            s.input = piece[size - total:]
            piece = piece[:size - total]
            assert piece, f"the end after {total} of {size} octets"
            got.update(piece)
            total += len(piece)
        equal("hash of the message", got.hexdigest(), expected)
        equal("the end of it", s.hear(), ".")
        no_memory(s, relay)
        starts("QUIT", s.say("QUIT"), "+OK")
        s.hang_up()
        equal("exit status", s.process.wait(20), 0)
    assert not any("octet count" in line for line in site.log()), "octets"


def large_message(site):
    fetch_large(site, "stls", "set server-mode")


def large_message_from_the_beginning(site):
    fetch_large(site, "alternate-port", "set server-mode", "reset server-mode")


def large_message_in_clear(site):
    fetch_large(site, "none", "set server-mode", *(["reset server-mode"] if LONG else []))


# ---- the relay's rights

def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def memory(pid):
    """Everything that the process can write to."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in open(f"/proc/{pid}/maps", encoding="latin-1"):
            span, rights = line.split()[:2]
            if "w" in rights:
                begin, end = (int(x, 16) for x in span.split("-"))
                mem.seek(begin)
                found += mem.read(end - begin)
    return found


def relay_has_no_rights(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.fill(1)
    s = site.tls().login()
    relay = s.relay()
    nobody = [line.split(":") for line in open("/etc/passwd", encoding="latin-1") if line.startswith("nobody:")][0]
    st = status(relay)
    equal("uids", st["Uid"].split(), [nobody[2]] * 4)
    equal("gids", st["Gid"].split(), [nobody[3]] * 4)
    equal("groups", st["Groups"].split(), [nobody[3]])
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(field, int(st[field], 16), 0)
    equal("no_new_privs", st["NoNewPrivs"].strip(), "1")
    if not SANITIZED:
        equal("seccomp", st["Seccomp"].strip(), "2")
    equal("owner of /proc/PID/mem (0 says not dumpable)", os.stat(f"/proc/{relay}/mem").st_uid, 0)
    limits = pathlib.Path(f"/proc/{relay}/limits").read_text()
    for name, most in (("core file size", 0), ("processes", 0), ("open files", 16)):
        assert re.search(rf"^Max {name} +{most} +{most} ", limits, re.M), limits
    kinds = sorted(os.readlink(f"/proc/{relay}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{relay}/fd"))
    equal("descriptors", kinds, ["/dev/null", "socket", "socket", "socket", "socket"])
    assert os.readlink(f"/proc/{relay}/root") != "/", "not locked in"
    client = os.readlink(f"/proc/{relay}/fd/0")
    others = {s.process.pid, *s.children()} - {relay}
    equal("processes beside the relay", len(others), 2)
    for pid in others:
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert client not in held, "somebody else holds the client's connection"


def relay_forgets(site):
    """The relay had the password in clear; the next thing that the client says wipes it."""
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    need(not SANITIZED, "sanitizers have memory of their own")
    password = "Never-seen-again-7"
    (site.dir / "passwd").write_text((site.dir / "passwd").read_text().replace(HASH, hash_of(password)))
    site.fill(1)
    s = site.tls()
    relay = s.relay()
    starts("USER", s.say("USER alice"), "+OK")
    starts("PASS", s.say(f"PASS {password}"), "+OK")
    starts("NOOP", s.say("NOOP"), "+OK")
    seen = memory(relay)
    assert str(site.shared.cert).encode() in seen, "this is not the memory of the relay"
    assert password.encode() not in seen, "the password is in the memory of the relay"


def relay_killed(site):
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    need(ROOT, "not root: which one the relay is cannot be seen")
    os.kill(s.relay(), signal.SIGKILL)
    while s.socket.recv(1000):
        pass
    s.process.wait(10)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))
    site.logged("the process that does TLS for 127.0.0.1 was killed by signal 9")


def session_killed(site):
    site.fill(1)
    s = site.tls().login()
    need(ROOT, "not root: which one the relay is cannot be seen")
    session = [pid for pid in s.children() if pid != s.relay()][0]
    os.kill(session, signal.SIGKILL)
    s.expect_end()
    s.process.wait(10)


def terminated(site):
    """An order to end reaches the session; the client is told through TLS."""
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    os.killpg(s.process.pid, signal.SIGTERM)
    starts("last word", s.hear(), "-ERR")
    s.expect_end()
    s.process.wait(10)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))


def takeover(site):
    site.set(takeover_idle=1).fill(1)
    first = site.tls().login()
    time.sleep(1.1)
    site.tls().login().quit()
    assert "[IN-USE]" in first.hear(), "the old session was not told"
    first.expect_end()


# ---- other people's programs

def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **options)
    assert done.returncode == 0, f"{command[0]} ended with status {done.returncode}: {(done.stdout + done.stderr).decode('latin-1')}"
    return done.stdout


def both_ways(site, visit):
    """Visits the server with STLS and at the alternate port."""
    for support in ("stls", "alternate-port"):
        site.set(tls_support=support, clear_text_password="tls").fill(1, 2)
        with site.listen() as port:
            visit(port, support == "stls")
    site.not_logged("failed|refused")


def curl(site):
    command = [program("curl"), "-sS", "--cacert", str(site.shared.bundle), "--user", "alice:secret", "--max-time", "20"]

    def visit(port, begins_plain):
        url = f"{'pop3' if begins_plain else 'pop3s'}://{HOST}:{port}/"
        words = [*command, "--resolve", f"{HOST}:{port}:127.0.0.1", *(["--ssl-reqd"] if begins_plain else [])]
        got = run([*words, url])
        equal("LIST", len(got.splitlines()), 2)
        got = run([*words, url + "2"])
        equal("message", got, b"".join(line + b"\r\n" for line in mbox.on_the_wire(mbox.split(mbox.message(2))[0][1])))

    both_ways(site, visit)


def fetchmail(site):
    path = program("fetchmail")

    def visit(port, begins_plain):
        got, rc = site.dir / "fetched", site.dir / "fetchmailrc"
        got.unlink(missing_ok=True)
        rc.write_text(f'poll 127.0.0.1 port {port} protocol pop3 auth password username "alice" password "secret" '
                      + ('sslproto "TLS1.2+"' if begins_plain else "ssl")
                      + f' sslcertck sslcertfile "{site.shared.bundle}" sslcommonname "{HOST}"\n'
                      f"fetchall no keep no rewrite mda \"/bin/sh -c 'cat >>{got}'\"\n")
        rc.chmod(0o600)
        run([path, "-f", str(rc), "--nosyslog", "--pidfile", str(site.dir / "fetchmail.pid")],
            env={**os.environ, "FETCHMAILHOME": str(site.dir), "LC_ALL": "C"})
        equal("messages", got.read_bytes().count(b"Received: from mx.example.com"), 2)
        equal("maildrop", site.drop.read_bytes(), b"")

    both_ways(site, visit)


def mpop(site):
    path = program("mpop")

    def visit(port, begins_plain):
        got, conf = site.dir / "popped", site.dir / "mpoprc"
        got.unlink(missing_ok=True)
        fingerprint = run(["openssl", "x509", "-in", str(site.shared.cert), "-noout", "-fingerprint", "-sha256"]).decode().partition("=")[2]
        conf.write_text(f"account a\nhost 127.0.0.1\nport {port}\ntls on\ntls_starttls {'on' if begins_plain else 'off'}\n"
                        f"tls_fingerprint {fingerprint.strip()}\nuser alice\npassword secret\nauth user\ndelivery mbox {got}\n"
                        f"uidls_file {site.dir}/uidls-{port}\nkeep off\nreceived_header off\naccount default : a\n")
        conf.chmod(0o600)
        run([path, "-C", str(conf), "-q"])
        equal("messages", got.read_bytes().count(b"Received: from mx.example.com"), 2)
        equal("maildrop", site.drop.read_bytes(), b"")

    both_ways(site, visit)


def s_client(site):
    openssl = program("openssl")

    def visit(port, begins_plain):
        words = ["-starttls", "pop3"] if begins_plain else []
        done = subprocess.run([openssl, "s_client", *words, "-connect", f"127.0.0.1:{port}", "-CAfile", str(site.shared.bundle),
                               "-servername", HOST, "-verify_return_error", "-verify_hostname", HOST, "-quiet"],
                              input=b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n", capture_output=True, timeout=30)
        assert b"+OK 2 " in done.stdout and b"signing off" in done.stdout, done

    both_ways(site, visit)


CASES = [stls, alternate_port, off, no_library_where_no_tls_is, injected_plain_text_is_dropped, user_is_forgotten, clear_text_password_tls, expected_stls, expected_stls_refused,
         clear_text_password_local, commands_behind_the_handshake, half_close, hang_up_before_tls, hang_up_inside,
         not_tls, client_without_trust, old_versions, ciphers, library_options, silent_client, handshake_drop_by_drop,
         wrong_files, modes_and_owners, unreadable, wrong_at_the_alternate_port, expiry, chains, several_certificates, alpn, tickets, standalone, loaded_by_the_listener, module_missing,
         client_that_stops_reading, slow_reader, flood_of_commands, vanished_before_it_got_all, last_bytes_not_taken, large_message, large_message_in_clear, *([large_message_from_the_beginning] if LONG else []),
         relay_has_no_rights, relay_forgets, relay_killed, session_killed, terminated, takeover,
         curl, fetchmail, mpop, s_client]


def play(number, case, shared):
    name = case.__name__.replace("_", " ")
    site = Site(shared)
    log = []
    try:
        try:
            case(site)
        finally:
            log = site.log()
            site.close()
        print(f"ok {number} - {name}")
        return True
    except Skip as reason:
        print(f"ok {number} - {name} # SKIP {reason}")
        return True
    except (AssertionError, OSError, ValueError, IndexError, TypeError, KeyError, subprocess.SubprocessError) as error:
        print(f"not ok {number} - {name}")
        for line in [f"{type(error).__name__}: {error}", *log[-30:]]:
            print("# " + line.replace("\n", "\n# "))
        return False
    finally:
        sys.stdout.flush()


def main(cases):
    if os.environ.get("POPPER_TESTS") == "short":
        print("1..0 # SKIP the short form runs no system tests")
        return 0
    if not (POPPER.parent / "popper-tls.so").exists():
        print("1..0 # SKIP TLS is not built")
        return 0
    if not shutil.which("openssl"):
        print("1..0 # SKIP no openssl here to make certificates")
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cases = [c for c in cases if all(word in c.__name__ for word in sys.argv[1:])]
    print(f"1..{len(cases)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="popper-tls.") as directory:
        os.chmod(directory, 0o755)
        shared = Authority(directory)
        return 0 if all([play(n, case, shared) for n, case in enumerate(cases, 1)]) else 1


if __name__ == "__main__":
    sys.exit(main(CASES))
