#!/usr/bin/python3
"""kpop.py: KPOP with a real MIT KDC: fetchmail and a small client on libkrb5 log in with tickets, and everything that may be wrong with tickets, keys,
clocks, names and clients is refused alike and told apart in the log. The server's krb5.conf and users are in a private mount namespace. Prints TAP;
needs root, under CI as root its absence is a failure. kpop.py [NAME OF A CASE]

option: kerberos
option: kerberos-keytab
option: kerberos-replay-dir
option: kerberos-service
"""
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kdcsite  # noqa: E402
from cases import Missing, find, matches, wait_until  # noqa: E402
from inetd import POPPER  # noqa: E402
from standing import Client, Server, begins, descendants, same  # noqa: E402
from tlsclient import make_certificate  # noqa: E402
from world import features, hash_of  # noqa: E402

SENDAUTH = pathlib.Path("tests/system/sendauth").absolute()
REFUSAL = "-ERR [AUTH] Kerberos authentication failed."
UIDS = {"ann": 64401, "bob": 64402, "low": 10, "gone": 64403}


class Kpop(Server):
    """Of two users of the host (ann, bob), whose /etc/passwd is ours."""

    def __init__(self, *settings):
        self.replay = tempfile.mkdtemp(prefix="popper-replay.")
        super().__init__("set kerberos", "set kerberos-service = pop", f"set kerberos-replay-dir = {self.replay}", "set debug", *settings, users=())
        for user in ("ann", "bob"):
            os.chown(self.fill(range(1, 4), user), UIDS[user], UIDS[user])

    def stop(self):
        super().stop()
        shutil.rmtree(self.replay, ignore_errors=True)

    def connect(self, environment, service="pop", *more):
        return Sendauth(self.port, environment, service, *more)


class Sendauth:
    """A session by our client."""

    def __init__(self, port, environment, service="pop", *more):
        self.process = subprocess.Popen([SENDAUTH, "127.0.0.1", str(port), service, *more], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.said = self.line()

    def line(self):
        return self.process.stdout.readline().decode("latin-1").rstrip("\r\n")

    def say(self, text):
        self.process.stdin.write(text.encode() + b"\r\n")
        self.process.stdin.flush()

    def ask(self, text):
        self.say(text)
        return self.line()

    def login(self, user, password="whatever"):
        begins("USER", "+OK", self.ask(f"USER {user}"))
        return self.ask(f"PASS {password}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def proved(server, environment, *more):
    session = server.connect(environment, *more)
    same("the ticket", "proved", session.said)
    begins("greeting", "+OK Qpopper (version ", session.line())
    return session


# ---- good tickets

def a_ticket_logs_in():
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        with proved(server, tickets) as session:
            begins("PASS", "+OK ann has 3 visible messages", session.login("ann"))
            begins("QUIT", "+OK", session.ask("QUIT"))
        server.wait_for("Kerberos: client 127.0.0.1 is ann@EXAMPLE.TEST (KPOPV1.0)")
        server.wait_for('POP login by user "ann" at (127.0.0.1) 127.0.0.1')


def run_fetchmail(server, port, tickets):
    """(what it printed, how many messages it got). It takes a ticket for a login only where the port is that of the service "kpop" by name; /etc is our own."""
    services = pathlib.Path("/etc/services")
    lines = services.read_text().splitlines() if services.exists() else []
    services.write_text("".join(f"{line}\n" for line in [*(s for s in lines if not s.startswith("kpop")), f"kpop {port}/tcp"]))
    home = server.dir / "fetchmail"
    home.mkdir(exist_ok=True)
    got, rc = home / "mail", home / "rc"
    got.write_text("")
    rc.write_text(f'poll localhost protocol KPOP auth kerberos_v5 user ann password x sslproto "" fetchall keep mda "cat >>{got}"\n')
    rc.chmod(0o600)
    done = subprocess.run([find("fetchmail", "fetchmail"), "-v", "-f", rc, "--pidfile", home / "pid", "--idfile", home / "ids"],
                          env={**tickets, "HOME": str(home), "FETCHMAILHOME": str(home), "LC_ALL": "C"}, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr, got.read_text().count("Subject:")


def fetchmail_proves_who_it_is():
    """Debian's fetchmail 6.4.37, built with +KRB5, from its ticket to the end of the session. With `port NUMBER` it would end by itself where PASS should come,
    having "run out of allowed authenticators"."""
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        printed, got = run_fetchmail(server, server.port, tickets)
        for line in printed.splitlines():
            print("# " + line)
        matches("fetchmail", r"(?s)POP3< \+OK Qpopper.*POP3> USER ann.*POP3< \+OK.*POP3> PASS krb_ticket.*POP3< \+OK ann has 3 .*POP3> QUIT.*POP3< \+OK", printed)
        same("messages", 3, got)
        server.wait_for("Kerberos: client 127.0.0.1 is ann@EXAMPLE.TEST (KPOPV1.0)")


def commands_sent_ahead_are_not_eaten():
    """USER, PASS and QUIT are on the way before the server has taken the ticket."""
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets, Recorder(0) as recorder:
        server.start()
        recorder.more = b"USER ann\r\nPASS x\r\nSTAT\r\nQUIT\r\n"
        recorder.target = server.port
        with Sendauth(recorder.port, tickets) as session:
            same("the ticket", "proved", session.said)
            begins("greeting", "+OK", session.line())
            begins("USER", "+OK Password required", session.line())
            begins("PASS", "+OK ann has", session.line())
            begins("STAT", "+OK 3 ", session.line())
            begins("QUIT", "+OK", session.line())


def any_version_string():
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        with proved(server, tickets, "pop", "something else") as session:
            begins("PASS", "+OK", session.login("ann"))
        server.wait_for("is ann@EXAMPLE.TEST (something else)")


def the_usual_service_is_rcmd():
    with Kpop("reset daemon") as server, kdc.tickets("ann", "secret") as tickets:
        server.settings = tuple(s for s in server.settings if "kerberos-service" not in s)
        server.configure()
        server.start()
        with proved(server, tickets, "rcmd") as session:
            begins("PASS", "+OK", session.login("ann"))
        with server.connect(tickets, "pop") as session:
            begins("another service", "refused", session.said)
        server.wait_for("the client has a ticket for a service or host whose key is not in the keytab: add it (kadmin: ktadd)")


def a_keytab_of_its_own():
    """option: kerberos-keytab"""
    keytab = kdc.dir / "other.keytab"
    if not keytab.exists():
        kdc.service("kpop/localhost", keytab)
    with Kpop("set kerberos-service = kpop", f"set kerberos-keytab = {keytab}") as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        with proved(server, tickets, "kpop") as session:
            begins("PASS", "+OK", session.login("ann"))


def only_user_and_pass():
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        with server.connect(tickets) as session:
            greeting = session.line()
            same("no stamp in the greeting", False, "<" in greeting)
            begins("APOP", "-ERR", session.ask("APOP ann 0123456789abcdef0123456789abcdef"))
            session.say("CAPA")
            listed = []
            while not listed or listed[-1] != ".":
                listed.append(session.line())
            same("USER in CAPA", True, "USER" in listed)
            same("SASL in CAPA", [], [line for line in listed if line.startswith("SASL")])
            begins("AUTH", "-ERR", session.ask("AUTH PLAIN AGFubgBzZWNyZXQ="))
            begins("PASS", "+OK", session.login("ann"))


def no_password_is_said():
    """So clear-text-password does not count."""
    for word in ("never", "tls"):
        with Kpop(f"set clear-text-password = {word}") as server, kdc.tickets("ann", "secret") as tickets:
            server.start()
            with proved(server, tickets) as session:
                begins("PASS", "+OK", session.login("ann"))


# ---- whose ticket

def denied(server, tickets, user, pattern, principal="ann@EXAMPLE.TEST"):
    with proved(server, tickets) as session:
        same("refused like a wrong password", f'-ERR [AUTH] Password supplied for "{user}" is incorrect.', session.login(user))
    matches("record", pattern, server.wait_for(f"[AUTH] Failed attempted login to {user}")[-1] + "\n".join(server.records()))


def of_somebody_else():
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        denied(server, tickets, "bob", r"the Kerberos ticket is for somebody else \(ann@EXAMPLE\.TEST\), who is neither this user in our realm nor listed in his")


def k5login():
    """krb5_kuserok, asked as the user: his home is closed to everybody else."""
    home = homes / "bob"
    file = home / ".k5login"
    file.write_text("ann@EXAMPLE.TEST\n")
    for path in (home, file):
        os.chown(path, UIDS["bob"], UIDS["bob"])
    file.chmod(0o600)
    home.chmod(0o700)
    try:
        with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
            server.start()
            with proved(server, tickets) as session:
                begins("PASS", "+OK bob has 3 visible messages", session.login("bob"))
            os.chown(file, UIDS["ann"], UIDS["ann"])
            denied(server, tickets, "bob", "the Kerberos ticket is for somebody else")
    finally:
        file.unlink()


class K5login:
    """~bob/.k5login is what make(path) makes."""

    def __init__(self, make):
        self.path, self.make = homes / "bob" / ".k5login", make

    def __enter__(self):
        os.chown(homes / "bob", UIDS["bob"], UIDS["bob"])
        self.make(self.path)
        os.chown(self.path, UIDS["bob"], UIDS["bob"], follow_symlinks=False)
        return self

    def __exit__(self, *_):
        self.path.unlink()


def k5login_is_anything():
    """Whatever the user puts there is opened by nobody but him; no file of root is read, and nobody waits."""
    listed = "ann@EXAMPLE.TEST\n"
    secret = homes / "of-root"
    secret.write_text(listed)
    secret.chmod(0o600)

    def huge(path):
        with open(path, "w") as file:
            file.truncate(20 << 20)

    with Kpop() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        for name, make in (("a link to a file of root", lambda p: p.symlink_to(secret)), ("a link to a directory", lambda p: p.symlink_to("/")),
                           ("garbage", lambda p: p.write_bytes(bytes(range(256)) * 4000)), ("a line without end", lambda p: p.write_bytes(b"ann@" * 4000000)),
                           ("20 MB of nothing", huge), ("a link to nothing", lambda p: p.symlink_to("/nonexistent")), ("a link to itself", lambda p: p.symlink_to(p)),
                           ("a link to /dev/null", lambda p: p.symlink_to("/dev/null"))):
            server.trace.write_text("")
            with K5login(make):
                began = time.monotonic()
                denied(server, tickets, "bob", "the Kerberos ticket is for somebody else")
                print(f"# {name}: refused after {time.monotonic() - began:.2f} s")
        with K5login(lambda p: p.write_text(listed)), proved(server, tickets) as session:
            begins("a plain one", "+OK bob has", session.login("bob"))


def k5login_is_a_fifo():
    """Who opens it has become the user for good; he is given up after five seconds."""
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets, K5login(os.mkfifo):
        server.start()
        with proved(server, tickets) as session:
            begins("USER", "+OK", session.ask("USER bob"))
            session.say("PASS x")
            began = time.monotonic()

            def loaded():
                return [p for p in descendants(server.process.pid) if "libkrb5.so" in pathlib.Path(f"/proc/{p}/maps").read_text()
                        and descendants(server.process.pid)[p]["Uid"].split()[1] == str(UIDS["bob"])]
            opener = wait_until("somebody opens it", loaded)
            same("processes with the library", 1, len(opener))
            fields = descendants(server.process.pid)[opener[0]]
            same("its uids", [str(UIDS["bob"])] * 4, fields["Uid"].split())
            same("its gids", [str(UIDS["bob"])] * 4, fields["Gid"].split())
            same("its groups", [str(UIDS["bob"])], fields["Groups"].split())
            same("its capabilities", 0, int(fields["CapEff"], 16) | int(fields["CapPrm"], 16))
            same("it is not dumpable", 0, os.stat(f"/proc/{opener[0]}/mem").st_uid)
            links = sorted(os.readlink(f"/proc/{opener[0]}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{opener[0]}/fd"))
            same("files that it has", [], [v for v in links if v not in ("/dev/null", "socket")])
            begins("PASS", "-ERR", session.line())
            if not 3 < time.monotonic() - began < 30:
                raise AssertionError(f"it was given up after {time.monotonic() - began:.1f} s")
            same("it is gone", False, os.path.exists(f"/proc/{opener[0]}"))
        record = server.wait_for(".k5login could not be read within 5 seconds; look whether it is a plain file of the user")[0]
        print("# " + record)


def two_components():
    with Kpop() as server, kdc.tickets("ann/admin", "secret") as tickets:
        server.start()
        denied(server, tickets, "ann", r"somebody else \(ann/admin@EXAMPLE\.TEST\)")


def another_realm():
    """A trusted one: its ann is not our ann."""
    with Kpop() as server, other.tickets("ann", "elsewhere") as tickets:
        server.start()
        denied(server, tickets, "ann", r"somebody else \(ann@OTHER\.TEST\)")


def accounts_count():
    with Kpop(f"set nonauth-file = {kdc.dir}/nonauth") as server:
        (kdc.dir / "nonauth").write_text("bob\n")
        server.start()
        for user, reason in (("bob", "listed in nonauth-file"), ("low", "uid 10 is not above block-uid 10"), ("gone", "expired"), ("nouser", "no such user")):
            with kdc.tickets(user, "secret") as tickets, proved(server, tickets) as session:
                same(user, f'-ERR [AUTH] Password supplied for "{user}" is incorrect.', session.login(user))
            server.wait_for(f"Failed attempted login to {user}")
            matches(user, reason, "\n".join(server.records()))


def virtual_users():
    """Their name in our realm is enough; ~/.k5login is the business of the host's users."""
    with Kpop() as server, kdc.tickets("vera", "secret") as tickets:
        (server.dir / "passwd").write_text(f"vera:*:64405:64405::{server.dir}:/bin/false\nbob:*:64406:64406::{server.dir}:/bin/false\n")
        server.start()
        with proved(server, tickets) as session:
            begins("PASS", "+OK vera has 0 visible messages", session.login("vera"))
        denied(server, tickets, "bob", r"somebody else \(vera@EXAMPLE\.TEST\)")


# ---- bad tickets and clients

class Recorder:
    """Between a client and the server: keeps what the client sends, and adds `more` to the last of it."""

    def __init__(self, target):
        self.target, self.sent, self.more = target, b"", b""

    def __enter__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def serve(self):
        ours, _ = self.server.accept()
        theirs = self.connect()

        def back():
            while data := self.next_of(theirs):
                ours.sendall(data)
        threading.Thread(target=back, daemon=True).start()
        while data := self.next_of(ours):
            self.sent += data
            # The ticket is the longest of the three messages.
            theirs.sendall(data + (self.more if len(self.sent) > 300 else b""))
            if len(self.sent) > 300:
                self.more = b""
        theirs.shutdown(socket.SHUT_RDWR)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.target))

    @staticmethod
    def next_of(client):
        try:
            return client.recv(4096)
        except ConnectionError:
            return b""

    def __exit__(self, *_):
        self.server.close()


class TlsTunnel(Recorder):
    """Speaks TLS with the server, by openssl."""

    def connect(self):
        ours, theirs = socket.socketpair()
        self.tls = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{self.target}", "-CAfile", self.certificate, "-verify_return_error"],
                                    stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        theirs.close()
        return ours

    def __exit__(self, *_):
        super().__exit__()
        self.tls.kill()
        self.tls.wait()


def inside_tls():
    """tls-support = alternate-port: first TLS, then the ticket, then the session."""
    if "TLS" not in features(POPPER):
        raise Missing("TLS is not built")
    certificate, key = make_certificate(kdc.dir)
    with Kpop("set tls-support = alternate-port", f"set tls-server-cert-file = {certificate}", f"set tls-private-key-file = {key}") as server:
        with kdc.tickets("ann", "secret") as tickets, TlsTunnel(0) as tunnel:
            server.start()
            tunnel.target, tunnel.certificate = server.port, certificate
            with Sendauth(tunnel.port, tickets) as session:
                same("the ticket", "proved", session.said)
                begins("greeting", "+OK", session.line())
                begins("PASS", "+OK ann has 3 visible messages", session.login("ann"))
                begins("QUIT", "+OK", session.ask("QUIT"))
            server.wait_for("Kerberos: client 127.0.0.1 is ann@EXAMPLE.TEST (KPOPV1.0)")
            with server.connect(tickets) as session:
                begins("a ticket without TLS", "refused", session.said)


def pam_has_the_account():
    """pam-service: its account rules count, its auth rules are not asked (ann's password is another one), but set the credentials."""
    if "PAM" not in features(POPPER):
        raise Missing("PAM is not built")
    file = pathlib.Path("/etc/pam.d/popper-kpop")  # of our own /etc
    if not os.path.samefile("/etc/krb5.conf", kdc.conf):
        raise AssertionError("this is the machine's /etc")
    with Kpop("set pam-service = popper-kpop") as server:
        server.start()
        for rules, user, may in (("auth required pam_unix.so\naccount required pam_unix.so\n", "ann", True),
                                 ("auth required pam_unix.so\naccount required pam_unix.so\n", "gone", False),
                                 ("auth required pam_permit.so\naccount required pam_deny.so\n", "ann", False)):
            file.write_text(rules)
            with kdc.tickets(user, "secret") as tickets, proved(server, tickets) as session:
                reply = session.login(user)
            print(f"# {user}, {rules!r}: {reply}")
            begins(f"{user} with {rules!r}", f"+OK {user} has" if may else f'-ERR [AUTH] Password supplied for "{user}" is incorrect.', reply)


def a_replay():
    """What was overheard is refused by another process of the server, also after a restart."""
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets, Recorder(0) as recorder:
        server.start()
        recorder.target = server.port
        with Sendauth(recorder.port, tickets) as session:
            same("the ticket", "proved", session.said)
        for restarted in (False, True):
            if restarted:
                server.process.terminate()
                server.process.wait(10)
                server.trace.unlink()
                server.start()
            same("the replay", REFUSAL, answer_to(server, recorder.sent))
            server.wait_for("Kerberos authentication of client 127.0.0.1 failed: no good ticket came: Request is a replay; somebody sent what a client had sent "
                            "before")
        with proved(server, tickets) as session:
            begins("a fresh one", "+OK", session.login("ann"))


def answer_to(server, data, end=True):
    """The last line of what the server says to raw bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        got = b""
        try:
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
            while more := client.recv(4096):
                got += more
        except ConnectionError:
            pass
    return got.decode("latin-1").rstrip("\r\n").split("\n")[-1][-len(REFUSAL):]


def message(data):
    return len(data).to_bytes(4, "big") + data


def bytes_that_are_none():
    hello = message(b"KRB5_SENDAUTH_V1.0\0") + message(b"KPOPV1.0\0")
    with Kpop() as server:
        server.start()
        for name, data, pattern in (
                ("a POP3 client", b"USER ann\r\nPASS x\r\n", "no good ticket came"),
                ("another protocol", message(b"KRB5_SENDAUTH_V9.9\0") + message(b"x\0"), "that is no client of KPOP"),
                ("2 GB announced", b"\x7f\xff\xff\xff", "it announced more than any ticket has|the client ended the connection"),
                ("4 GB announced", b"\xff\xff\xff\xff", "it announced more than any ticket has|the client ended the connection"),
                ("2 GB of ticket", hello + b"\x80\0\0\0xx", "it announced more than any ticket has|the client ended the connection"),
                ("an empty ticket", hello + message(b""), "no good ticket came: "),
                ("garbage", hello + message(bytes(range(256)) * 8), "no good ticket came: "),
                ("nothing and the end", b"", "the client ended the connection"),
                ("half a length", b"\0\0", "the client ended the connection"),
                ("half a ticket", hello + b"\0\0\4\0abc", "the client ended the connection")):
            server.trace.write_text("")
            same(name, REFUSAL, answer_to(server, data))
            matches(name, pattern, server.wait_for("Kerberos authentication of client 127.0.0.1 failed: ")[0])
            print(f"# {name}: {server.records()[-1][:150]}")


def truncated_and_mangled_tickets():
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets, Recorder(0) as recorder:
        server.start()
        recorder.target = server.port
        with Sendauth(recorder.port, tickets) as session:
            same("the ticket", "proved", session.said)
        sent = recorder.sent
        for at in (len(sent) - 1, len(sent) - 200, 60, 40):
            same(f"cut at {at}", REFUSAL, answer_to(server, sent[:at]))
        for at in range(45, len(sent), 37):
            same(f"byte {at} changed", REFUSAL, answer_to(server, sent[:at] + bytes([sent[at] ^ 0x55]) + sent[at + 1:]))
        same("killed by the sandbox", [], [r for r in server.records() if "killed by the sandbox" in r])


def a_client_that_says_nothing():
    with Kpop("set preauth-timeout = 1") as server:
        server.start()
        for data in (b"", b"\0\0\0\x13KRB5_SEND"):
            server.trace.write_text("")
            began = time.monotonic()
            answer_to(server, data, end=False)
            if not 0.8 < time.monotonic() - began < 30:
                raise AssertionError(f"it ended after {time.monotonic() - began:.1f} s")
            server.wait_for("no complete ticket came within 1 seconds")


def another_clock():
    """What the client says is too old: the server's tolerance is one second here, instead of a client with a wrong clock."""
    with Kpop() as server, kdc.tickets("ann", "secret") as tickets, Recorder(0) as recorder:
        # clockskew counts on the server's side: an authenticator that waited for longer is out of time.
        text = kdc.conf.read_text()
        kdc.conf.write_text(text.replace("[libdefaults]", "[libdefaults]\n    clockskew = 1"))
        try:
            server.start()
            recorder.target = server.port
            with Sendauth(recorder.port, tickets) as session:
                same("in time", "proved", session.said)
            time.sleep(2.5)
            os.unlink(f"{server.replay}/jail/replay")  # otherwise it is known already
            same("late", REFUSAL, answer_to(server, recorder.sent))
            server.wait_for("Clock skew too great; the clocks of client and server differ by more than krb5.conf's clockskew: set both by NTP")
        finally:
            kdc.conf.write_text(text)


def a_new_key_on_the_kdc():
    """The keytab still has the old one."""
    keytab = kdc.dir / "old.keytab"
    kdc.service("oldpop/localhost", keytab)
    kdc.admin("cpw -randkey oldpop/localhost")
    with Kpop("set kerberos-service = oldpop", f"set kerberos-keytab = {keytab}") as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        with server.connect(tickets, "oldpop") as session:
            begins("the ticket", "refused", session.said)
        record = server.wait_for("Kerberos authentication of client 127.0.0.1 failed")[0]
        matches("what to do", "make the keytab anew|whose key is not in the keytab", record)


# ---- the server's own trouble

def cannot(server, pattern):
    server.trace.write_text("")
    same("the same reply", REFUSAL, answer_to(server, message(b"KRB5_SENDAUTH_V1.0\0"), end=False))
    matches("record", pattern, server.wait_for("no Kerberos for client 127.0.0.1: ")[0])
    print("# " + server.records()[-1][:200])


def no_keytab():
    with Kpop("set kerberos-keytab = /nonexistent/keytab") as server:
        server.start()
        cannot(server, r"keytab FILE:/nonexistent/keytab has no key for pop/HOST: .*not found; make one on the KDC \(kadmin: addprinc -randkey "
               "pop/HOST, ktadd -k FILE pop/HOST\\)")


def no_such_key():
    with Kpop("set kerberos-service = imap") as server:
        server.start()
        cannot(server, "has no key for imap/HOST; make one on the KDC")


def a_keytab_that_is_none():
    path = kdc.dir / "text"
    path.write_text("this is not a keytab\n")
    with Kpop(f"set kerberos-keytab = {path}") as server:
        server.start()
        cannot(server, "has no key for pop/HOST: ")


def a_replay_dir_of_others():
    with Kpop() as server:
        server.start()
        os.chmod(server.replay, 0o755)
        cannot(server, "must belong to root and have mode 700; chown root .*; chmod 700")
        os.chmod(server.replay, 0o700)
        os.chown(server.replay, 64401, 64401)
        cannot(server, "must belong to root and have mode 700")


def no_krb5_conf():
    with Kpop() as server:
        text = kdc.conf.read_text()
        kdc.conf.write_text("[libdefaults]\n")
        try:
            server.start()
            cannot(server, "our realm is not known: .*; set default_realm in /etc/krb5.conf")
        finally:
            kdc.conf.write_text(text)


def not_on_a_pipe():
    with Kpop() as server:
        done = subprocess.run([POPPER, "-f", server.conf], input=b"", capture_output=True, timeout=30)
        same("reply", b"", done.stdout)
        server.wait_for("no Kerberos for client unknown: Kerberos needs a client on a socket")


# ---- rights

def who_takes_the_ticket_is_nobody():
    """While a client says nothing: the process that waits has no rights, no files, one keytab in memory, and knows the library; no other process does."""
    with Kpop() as server:
        server.start()
        client = Client(server.port, greet=False)

        def waiting():
            # Builds without libseccomp, or with sanitizers, have no sandbox: then the next thing that it does is to wait.
            return [p for p, f in descendants(server.process.pid).items() if f["Uid"].split() == ["65534"] * 4 and f["NoNewPrivs"].strip() == "1"]
        taker = wait_until("it waits", waiting)[0]
        fields = descendants(server.process.pid)[taker]
        same("its uid", ["65534"] * 4, fields["Uid"].split())
        same("its capabilities", 0, int(fields["CapEff"], 16) | int(fields["CapPrm"], 16))
        same("no new privileges", "1", fields["NoNewPrivs"].strip())
        same("its root directory", f"{server.replay}/jail", os.readlink(f"/proc/{taker}/root"))
        same("what is in there", ["replay"], os.listdir(f"{server.replay}/jail"))
        st = os.stat(f"{server.replay}/jail/replay")
        same("the replay cache is its own", (65534, 0o600), (st.st_uid, stat.S_IMODE(st.st_mode)))
        same("nobody else gets there", 0o700, stat.S_IMODE(os.stat(server.replay).st_mode))
        same("it is not dumpable", 0, os.stat(f"/proc/{taker}/mem").st_uid)
        keys = os.stat(kdc.keytab)
        for n in os.listdir(f"/proc/{taker}/fd"):
            st = os.stat(f"/proc/{taker}/fd/{n}")
            same(f"descriptor {n} is the keytab", False, (st.st_dev, st.st_ino) == (keys.st_dev, keys.st_ino))
        for pid in [server.process.pid, *descendants(server.process.pid)]:
            has = "libkrb5.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()
            same(f"process {pid} has loaded the library", pid == taker, has)
        client.close()


def without_root():
    """As an ordinary user, with a keytab of his own."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="popper-kpop."))
    try:
        shutil.copy(kdc.keytab, directory / "keytab")
        (directory / "passwd").write_text(f"ann:*:64401:64401::{directory}:/bin/false\n")
        (directory / "spool").mkdir()
        for path in (directory, directory / "keytab", directory / "passwd", directory / "spool"):
            os.chown(path, UIDS["ann"], UIDS["ann"])
        (directory / "conf").write_text(f"set kerberos\nset kerberos-service = pop\nset kerberos-keytab = {directory}/keytab\nset kerberos-replay-dir = {directory}/replay\n"
                                        f"set passwd-file = {directory}/passwd\nset spool-dir = {directory}/spool\nreset reverse-lookup\nset tracefile = {directory}/trace\n")
        with socket.create_server(("127.0.0.1", 0)) as inetd, kdc.tickets("ann", "secret") as tickets:
            session = []
            thread = threading.Thread(target=lambda: session.append(Sendauth(inetd.getsockname()[1], tickets)))
            thread.start()
            theirs, _ = inetd.accept()
            popper = subprocess.Popen([POPPER, "-f", directory / "conf"], stdin=theirs, stdout=theirs, stderr=theirs, user=UIDS["ann"], group=UIDS["ann"],
                                      extra_groups=[])
            theirs.close()
            thread.join(20)
            with session[0] as client:
                same("the ticket", "proved", client.said)
                begins("greeting", "+OK", client.line())
                begins("PASS", "+OK ann has 0 visible messages", client.login("ann"))
                client.ask("QUIT")
            same("exit status", 0, popper.wait(10))
        same("the replay cache", ["replay"], os.listdir(directory / "replay"))
    finally:
        shutil.rmtree(directory)


CASES = [a_ticket_logs_in, fetchmail_proves_who_it_is, commands_sent_ahead_are_not_eaten, any_version_string, the_usual_service_is_rcmd, a_keytab_of_its_own,
         only_user_and_pass, no_password_is_said, of_somebody_else, k5login, k5login_is_anything, k5login_is_a_fifo, two_components, another_realm, accounts_count, virtual_users,
         inside_tls, pam_has_the_account, a_replay, bytes_that_are_none,
         truncated_and_mangled_tickets, a_client_that_says_nothing, another_clock, a_new_key_on_the_kdc, no_keytab, no_such_key, a_keytab_that_is_none,
         a_replay_dir_of_others, no_krb5_conf, not_on_a_pipe, who_takes_the_ticket_is_nobody, without_root]


def prepare(*site):
    global kdc, other, homes
    kdc, other, homes = site
    for user in (*UIDS, "vera", "nouser", "ann/admin"):
        kdc.user(user, "secret")
    for service in ("pop/localhost", "rcmd/localhost"):
        kdc.service(service)


def shadow_of(user):
    today = int(time.time() // 86400)
    return f"{hash_of('secret') if user != 'bob' else '*'}:{today}:0:99999:7::{today - 3 if user == 'gone' else ''}:"


if __name__ == "__main__":
    sys.exit(kdcsite.play(CASES, "Kerberos", UIDS, prepare, shadow_of))
