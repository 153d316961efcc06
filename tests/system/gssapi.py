#!/usr/bin/python3
"""gssapi.py: AUTH GSSAPI with a real MIT KDC: curl and gsasl log in with tickets, and everything that may be wrong with tickets, keys, names and messages is
refused alike and told apart in the log. The server's krb5.conf and users are in a private mount namespace. Prints TAP; needs root, under CI as root its
absence is a failure. gssapi.py [--show] [NAME OF A CASE]

option: gssapi
"""
import base64
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kdcsite  # noqa: E402
from cases import find, matches  # noqa: E402
from standing import Server, begins, same  # noqa: E402

SHOW = "--show" in sys.argv
sys.argv = [a for a in sys.argv if a != "--show"]
UIDS = {"ann": 64401, "bob": 64402, "low": 10}
REFUSED = "-ERR [AUTH] "


class Gss(Server):
    def __init__(self, *settings):
        self.replay = tempfile.mkdtemp(prefix="popper-replay.")
        super().__init__("set gssapi", f"set kerberos-replay-dir = {self.replay}", "set debug", *settings, users=())
        for user in ("ann", "bob"):
            os.chown(self.fill(range(1, 4), user), UIDS[user], UIDS[user])

    def stop(self):
        super().stop()
        shutil.rmtree(self.replay, ignore_errors=True)


def curl(server, environment, user, *more):
    """(what it printed, exit status)"""
    done = subprocess.run([find("curl", "curl"), "-sv", "--login-options", "AUTH=GSSAPI", "--user", user, *more, f"pop3://localhost:{server.port}"],
                          env=environment, capture_output=True, text=True, timeout=30)
    if SHOW:
        print("".join(f"# {line}\n" for line in (done.stderr + done.stdout).splitlines() if line[:1] in "<>123"), end="")
    return done.stdout + done.stderr, done.returncode


class Gsasl:
    """Debian's gsasl speaks POP3 by itself only with --imap and --smtp, so it makes the tokens and we send them."""

    def __init__(self, environment, authzid):
        self.process = subprocess.Popen(["stdbuf", "-oL", find("gsasl", "gsasl"), "--client", "-m", "GSSAPI", "--service", "pop", "--hostname", "localhost",
                                         "--quality-of-protection=qop-auth", "-z", authzid, "-a", authzid, "--quiet"], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)

    def answer(self, challenge):
        self.process.stdin.write(challenge + "\n")
        self.process.stdin.flush()
        return self.line()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def converse(server, environment, authzid):
    """(the tokens of the client, the last line of the server)"""
    sent = []
    client = server.client()
    with Gsasl(environment, authzid) as peer:
        line = client.ask("AUTH GSSAPI")
        while line.startswith("+ "):
            if not sent:
                same("gsasl", "GSSAPI", peer.line())
            token = peer.answer(line[2:]) if sent else peer.line()
            sent.append(token)
            line = client.ask(token)
    if SHOW:
        print(f"# gsasl as {authzid!r}: tokens of {[len(t) for t in sent]} bytes; {line}")
    client.close()
    return sent, line


def curl_logs_in():
    with Gss() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        text, status = curl(server, tickets, "ann@EXAMPLE.TEST:")
        same("curl", 0, status)
        matches("session", r"(?s)< SASL .*GSSAPI.*> AUTH GSSAPI.*< \+OK ann has 3 visible messages", text)
        server.wait_for("AUTH GSSAPI: client 127.0.0.1 is ann@EXAMPLE.TEST")
        server.wait_for('POP login by user "ann" at (127.0.0.1) 127.0.0.1')
        server.wait_for('auth GSSAPI "ann"')


def again_with_the_same_ticket():
    """A ticket is good for many logins; what is not taken twice is a message."""
    with Gss() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        for _ in range(3):
            same("curl", 0, curl(server, tickets, "ann@EXAMPLE.TEST:")[1])


def a_replay_is_refused():
    with Gss() as server, kdc.tickets("ann", "secret") as tickets:
        server.start()
        sent, line = converse(server, tickets, "ann")
        begins("the first time", "+OK ann has 3", line)
        client = server.client()
        same("challenge", "+ ", client.ask("AUTH GSSAPI"))
        begins("again", REFUSED, client.ask(sent[0]))
        same("and it ends", True, client.at_end())
        client.close()
        server.wait_for("no good Kerberos ticket came by AUTH GSSAPI")


def for_somebody_else():
    with Gss() as server, kdc.tickets("bob", "secret") as tickets:
        server.start()
        begins("bob as ann", REFUSED, converse(server, tickets, "ann")[1])
        server.wait_for("the Kerberos ticket is for somebody else (bob@EXAMPLE.TEST)")
        begins("bob as himself", "+OK bob has 3", converse(server, tickets, "bob")[1])


def k5login_lets_others_in():
    with Gss() as server, kdc.tickets("bob", "secret") as tickets:
        server.start()
        k5login = homes / "ann" / ".k5login"
        k5login.write_text("bob@EXAMPLE.TEST\n")
        os.chown(k5login, UIDS["ann"], UIDS["ann"])
        try:
            begins("bob as ann", "+OK ann has 3", converse(server, tickets, "ann")[1])
        finally:
            k5login.unlink()


def who_has_no_account():
    """Same reply as for a bad ticket."""
    with Gss() as server:
        server.start()
        for user, reason in (("nouser", "no such user"), ("low", "is not above block-uid")):
            with kdc.tickets(user, "secret") as tickets:
                same(user, '-ERR [AUTH] Password supplied for "" is incorrect.', converse(server, tickets, user)[1])
            server.wait_for(reason)


def another_realm():
    with Gss() as server, other.tickets("ann", "elsewhere") as tickets:
        server.start()
        begins("ann of elsewhere", REFUSED, converse(server, tickets, "ann")[1])
        server.wait_for("(ann@OTHER.TEST)")


def no_ticket():
    with Gss() as server:
        server.start()
        _, status = curl(server, {**kdc.environment, "KRB5CCNAME": "FILE:/nonexistent/cache"}, "ann@EXAMPLE.TEST:")
        same("it fails", True, status != 0)
        same("no login", [], [r for r in server.records() if "POP login" in r])


def garbage():
    with Gss() as server:
        server.start()
        for token in (b"", b"x", bytes(range(256)), b"`" + b"\xff" * 5000, bytes.fromhex("6082ffff06092a864886f712010202")):
            client = server.client()
            same("challenge", "+ ", client.ask("AUTH GSSAPI"))
            line = client.ask(base64.b64encode(token).decode())
            if line == "+ ":
                line = client.ask(base64.b64encode(b"x").decode())
            same(repr(token[:9]), '-ERR [AUTH] Password supplied for "" is incorrect.', line)
            client.close()
        client = server.client()
        client.ask("AUTH GSSAPI")
        begins("too long", "-ERR AUTH: a line longer than 8000 bytes", client.ask("A" * 8001))
        begins("go on", "+ ", client.ask("AUTH GSSAPI"))
        begins("cancel", "-ERR AUTH: cancelled", client.ask("*"))
        begins("a command line is as long as ever", "-ERR Command line longer than 1024 bytes", client.ask("A" * 1025))
        client.close()


def no_keys():
    with Gss("set kerberos-keytab = /nonexistent/keytab") as server:
        server.start()
        client = server.client()
        client.ask("AUTH GSSAPI")
        begins("no keytab", "-ERR [SYS/TEMP]", client.ask("eHh4"))
        client.close()
        server.wait_for("nobody can log in by AUTH GSSAPI: keytab")


def only_when_it_is_set():
    with Gss("reset gssapi") as server:
        server.start()
        client = server.client()
        client.say("CAPA")
        lines = []
        while not lines or lines[-1] != ".":
            lines.append(client.line())
        same("CAPA", [], [line for line in lines if "GSSAPI" in line])
        begins("AUTH", "-ERR", client.ask("AUTH GSSAPI"))
        client.close()


CASES = [curl_logs_in, again_with_the_same_ticket, a_replay_is_refused, for_somebody_else, k5login_lets_others_in, who_has_no_account, another_realm,
         no_ticket, garbage, no_keys, only_when_it_is_set]


def prepare(*site):
    global kdc, other, homes
    kdc, other, homes = site
    for user in (*UIDS, "nouser"):
        kdc.user(user, "secret")
    kdc.service("pop/localhost")


if __name__ == "__main__":
    sys.exit(kdcsite.play(CASES, "GSSAPI", UIDS, prepare))
