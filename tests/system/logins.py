#!/usr/bin/python3
"""logins.py: every way to log in, used by the clients that people have, against the server under the real openbsd-inetd: curl, fetchmail, mpop,
gsasl, Python's poplib and Perl's Net::POP3. Prints TAP; with --show also what the server's trace says of each visit, and what gsasl and it said to
each other.

What is not installed is skipped; under CI, as root, a skip is a failure.
"""
import base64
import hashlib
import os
import pathlib
import poplib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import inetd  # noqa: E402
from cases import FORM, NO_SHORT_FORM, Missing, Skip, find, run_cases, skip_all  # noqa: E402
from inetd import PASSWORD, Site, run, same  # noqa: E402
import mbox  # noqa: E402
import saslclient  # noqa: E402
from tlsclient import HOST, make_certificate  # noqa: E402
from world import STAMP, features  # noqa: E402

SHOW = "--show" in sys.argv
SECRET = "tanstaaf"


class Logins(Site):
    """alice has a secret of her own in the database, beside the password of the host."""

    def __init__(self, directory):
        if "APOP" not in features(inetd.POPPER):
            raise Missing("APOP is not built")
        super().__init__(directory)
        self.database = directory / "pop.auth"
        # As root over loopback, with everything in the trace file.
        conf = directory / "inetd.conf"
        conf.write_text(re.sub(r"( -t \S+)?\n$", f" -t {self.trace}\n", conf.read_text()))
        with open(directory / "popper.conf", "a") as f:
            # option: apop-file: the host has no other database with these secrets
            f.write(f"set apop-file = {self.database}\n")
        self.popauth("-init")
        self.popauth("-user", "alice", SECRET)
        self.said = []
        self.fill(range(1, 4))

    def certificate(self):
        if not shutil.which("openssl") or not (inetd.POPPER.parent / "popper-tls.so").exists():
            raise Missing("no TLS, or no openssl to make a certificate")
        if not (self.dir / "server.pem").exists():
            make_certificate(self.dir)
        return self.dir / "server.pem"

    def tls(self, *lines):
        self.configure("tls-support = alternate-port", f"tls-server-cert-file = {self.certificate()}",
                       f"tls-private-key-file = {self.dir}/server.key", *lines)

    def popauth(self, *args):
        run([str(inetd.POPPER.parent / "popauth"), "-file", str(self.database), *args])

    def configure(self, *lines):
        """Other settings for the next sessions: inetd starts a server for each."""
        conf = self.dir / "popper.conf"
        kept = [line for line in conf.read_text().splitlines() if "# case" not in line]
        conf.write_text("".join(line + "\n" for line in kept + [f"set {line} # case" for line in lines]))

    def log(self):
        text = self.trace.read_text(encoding="latin-1") if self.trace.exists() else ""
        return [STAMP.sub("", line) for line in text.splitlines() if STAMP.sub("", line)]

    def forget_log(self):
        if self.trace.exists():
            self.trace.write_text("")

    def logged(self, pattern):
        if not any(re.search(pattern, line) for line in self.log()):
            raise AssertionError(f"no record with {pattern!r} in {self.log()}")

    def listing(self):
        messages = mbox.split(self.maildrop.read_bytes())
        return "".join(f"{n} {mbox.octets(text)}\r\n" for n, (_, text) in enumerate(messages, 1)).encode()


def curl(site, user, *options, status=0):
    command = [find("curl", "curl"), "-sS", "--max-time", "20", "--user", user, *options, f"pop3://127.0.0.1:{site.port}/"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if done.returncode != status:
        raise AssertionError(f"curl ended with status {done.returncode} instead of {status}: {done.stderr.decode()}")
    if status == 0:
        same("LIST", site.listing(), done.stdout)


def curl_apop(site):
    curl(site, f"alice:{SECRET}", "--login-options", "AUTH=+APOP")
    site.logged(r'^apop "alice"$')


def curl_apop_refused(site):
    curl(site, f"alice:{PASSWORD}", "--login-options", "AUTH=+APOP", status=67)
    site.logged(r"login refused: wrong digest \(APOP\)")


def fetchmail(site, *words):
    rc, got = site.dir / "fetchmailrc", site.dir / "fetched"
    rc.write_text(f"poll 127.0.0.1 port {site.port} {' '.join(words)} username \"alice\" password \"{SECRET}\" sslproto \"\"\n"
                  f"fetchall keep no rewrite mda \"/bin/sh -c 'cat >>{got}'\"\n")
    rc.chmod(0o600)
    got.unlink(missing_ok=True)
    run([find("fetchmail", "fetchmail"), "-f", str(rc), "--nosyslog", "--pidfile", str(site.dir / "fetchmail.pid")],
        env={**os.environ, "FETCHMAILHOME": str(site.dir), "LC_ALL": "C"})
    same("messages that fetchmail got", b"3", str(got.read_bytes().count(b"\nSubject: ")).encode())


def fetchmail_apop(site):
    fetchmail(site, "protocol apop")
    site.logged(r'^apop "alice"$')


def mpop(site, auth, secret=SECRET, *more):
    conf, got = site.dir / "mpoprc", site.dir / "popped"
    conf.write_text(f"account a\nhost 127.0.0.1\nport {site.port}\ntls off\nuser alice\npassword {secret}\nauth {auth}\n{''.join(m + chr(10) for m in more)}"
                    f"delivery mbox {got}\nuidls_file {site.dir}/uidls\nonly_new off\nkeep on\nreceived_header off\naccount default : a\n")
    conf.chmod(0o600)
    got.unlink(missing_ok=True)
    run([find("mpop", "mpop"), "-C", str(conf), "-q"])
    same("messages that mpop got", b"3", str(len(mbox.split(got.read_bytes()))).encode())


def mpop_apop(site):
    mpop(site, "apop")
    site.logged(r'^apop "alice"$')


# ---- AUTH

def curl_chooses_what_is_offered(site):
    """curl takes the best that CAPA names: with the host's password that must be PLAIN."""
    for mechanisms, status in (("all", 67), ("PLAIN,LOGIN", 0)):
        site.configure("clear-text-password = always", f"sasl-mechanisms = {mechanisms}")
        curl(site, f"alice:{PASSWORD}", status=status)
    site.logged(r"AUTH by PLAIN$")


def curl_auth(site, mechanism, secret=SECRET, status=0, *more):
    curl(site, f"alice:{secret}", "--login-options", f"AUTH={mechanism}", *more, status=status)
    if status == 0:
        site.logged(f'by {mechanism}$')


def curl_cram_md5(site):
    curl_auth(site, "CRAM-MD5")
    site.logged(r'^auth CRAM-MD5 "alice"$')
    site.logged(r'^\(v5\.0\.0\) POP login by user "alice" at')


def curl_cram_md5_refused(site):
    curl_auth(site, "CRAM-MD5", PASSWORD, 67)
    site.logged(r"^\[AUTH\] Failed attempted login to alice from host \(127\.0\.0\.1\) 127\.0\.0\.1$")
    site.logged(r"login refused: wrong digest \(CRAM-MD5\)")


def curl_plain(site):
    site.configure("clear-text-password = always")
    curl_auth(site, "PLAIN", PASSWORD)
    curl_auth(site, "PLAIN", PASSWORD, 0, "--sasl-ir")


def curl_plain_refused(site):
    site.configure("clear-text-password = always")
    curl_auth(site, "PLAIN", "wrong", 67)
    site.logged("login refused: wrong password")


def curl_login(site):
    site.configure("clear-text-password = always")
    curl_auth(site, "LOGIN", PASSWORD)


def curl_finds_no_plain_without_tls(site):
    """CAPA does not list it, and curl does not send the password."""
    site.configure("clear-text-password = tls")
    curl_auth(site, "PLAIN", PASSWORD, 67)
    if any("AUTH by" in line or "PASS" in line for line in site.log()):
        raise AssertionError(f"curl sent something: {site.log()}")


def mpop_auth(site, mechanism, secret=SECRET, *more):
    mpop(site, mechanism, secret, *more)
    site.logged(f'by {mechanism.upper()}$')


def mpop_cram_md5(site):
    mpop_auth(site, "cram-md5")


def mpop_scram_sha_1(site):
    mpop_auth(site, "scram-sha-1")
    site.logged(r'^auth SCRAM-SHA-1 "alice"$')


def mpop_scram_sha_256(site):
    mpop_auth(site, "scram-sha-256")
    site.logged(r'^auth SCRAM-SHA-256 "alice"$')


def mpop_scram_refused(site):
    try:
        mpop_auth(site, "scram-sha-256", PASSWORD)
    except AssertionError as error:
        if "authentication failed (method SCRAM-SHA-256)" not in str(error):
            raise
    else:
        raise AssertionError("a wrong secret let in")
    site.logged(r"login refused: wrong secret \(SCRAM\)")


def mpop_scram_with_verifiers_only(site):
    """Nothing is stored that is worth stealing."""
    site.popauth("-delete", "alice")
    try:
        site.popauth("-user", "alice", SECRET, "-scram")
        mpop_auth(site, "scram-sha-1")
        mpop_auth(site, "scram-sha-256")
        try:
            mpop_auth(site, "cram-md5")
        except AssertionError:
            site.logged("login refused: has verifiers for SCRAM only")
        else:
            raise AssertionError("CRAM-MD5 let in")
    finally:
        site.popauth("-delete", "alice")
        site.popauth("-user", "alice", SECRET)


def mpop_plain(site):
    site.configure("clear-text-password = always")
    mpop_auth(site, "plain", PASSWORD)


def mpop_login(site):
    site.configure("clear-text-password = always")
    mpop_auth(site, "login", PASSWORD)


def mpop_scram_in_tls(site):
    site.tls()
    more = ("tls on", "tls_starttls off", f"tls_trust_file {site.certificate()}", f"tls_host_override {HOST}")
    # One that can bind the exchange to its channel (Debian 13's) says nothing without to a server that can, too; Debian 12's knows no such name.
    try:
        mpop_auth(site, "scram-sha-256-plus", SECRET, *more)
    except AssertionError:
        mpop_auth(site, "scram-sha-256", SECRET, *more)


def fetchmail_cram_md5(site):
    fetchmail(site, "protocol pop3", "auth cram-md5")
    site.logged(r'^auth CRAM-MD5 "alice"$')


class Gsasl:
    """The command gsasl as the client's side of one exchange; a challenge goes to it, and its answer comes, in base64."""

    def __init__(self, mechanism, secret, exporter):
        self.process = subprocess.Popen([find("gsasl", "gsasl"), "--quiet", "--client", "-m", mechanism, "-a", "alice", "-p", secret], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        # What it prompts for, on the same line as its first words: tls-exporter, and tls-unique if there is none.
        self.questions = [] if not mechanism.startswith("SCRAM") else [base64.b64encode(exporter).decode()] + ([] if exporter else [""])
        line = self.process.stdout.readline().rstrip("\n")
        if mechanism not in line:
            raise AssertionError(f"gsasl says {line!r}")

    def answer(self, challenge):
        if challenge is not None:
            print(challenge, file=self.process.stdin, flush=True)
        else:
            for text in self.questions:
                print(text, file=self.process.stdin, flush=True)
        return re.sub("^(Enter [^:]*: )+", "", self.process.stdout.readline().rstrip("\n"))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Line:
    """A POP3 connection by hand, over plain TCP or through openssl s_client, which tells the channel binding."""

    def __init__(self, site, tls=False):
        self.site, self.exporter = site, b""
        command = [find("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{site.port}", "-CAfile", str(site.certificate()), "-ign_eof",
                   "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"] if tls else \
            [sys.executable, "-c", TCP_CLIENT, str(site.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.hear()

    def hear(self):
        """The next reply; what s_client says itself is passed over."""
        while line := self.process.stdout.readline().decode("latin-1").strip("\r\n"):
            if match := re.match(r"\s+Keying material: ([0-9A-F]+)", line):
                self.exporter = bytes.fromhex(match[1])
            if line.startswith(("+OK", "+ ", "-ERR")):
                self.site.said.append(f"S: {line}")
                return line
            if line == "+":
                return "+ "
        return self.hear() if self.process.poll() is None else ""

    def say(self, text):
        self.site.said.append(f"C: {text}")
        self.process.stdin.write(text.encode() + b"\r\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


TCP_CLIENT = """
import socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def out():
    while data := s.recv(4096):
        sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
threading.Thread(target=out, daemon=True).start()
while data := sys.stdin.buffer.raw.read(4096):
    s.sendall(data)
"""


def gsasl(site, mechanism, secret=SECRET, tls=False, initial=False):
    """The reply that ends it."""
    line = Line(site, tls)
    client = Gsasl(mechanism, secret, line.exporter if mechanism.endswith("-PLUS") else b"")
    try:
        if mechanism == "CRAM-MD5":
            reply = line.say(f"AUTH {mechanism}")
            client.answer(None)
        elif initial:
            reply = line.say(f"AUTH {mechanism} {client.answer(None)}")
        else:
            line.say(f"AUTH {mechanism}")
            reply = line.say(client.answer(None))
        while reply.startswith("+ "):
            reply = line.say(client.answer(reply[2:]))
        if reply.startswith("+OK"):
            same("STAT", b"+OK 3 ", line.say("STAT").encode()[:6])
            line.say("QUIT")
        return reply
    finally:
        line.close()
        client.close()


def gsasl_must(site, mechanism, **more):
    reply = gsasl(site, mechanism, **more)
    if not reply.startswith("+OK alice has 3 visible messages"):
        raise AssertionError(f"{reply!r}; {site.said}")
    if mechanism != "PLAIN":
        site.logged(f'^auth {mechanism} "alice"$')


def gsasl_scram_sha_256(site):
    gsasl_must(site, "SCRAM-SHA-256", initial=True)


def gsasl_scram_sha_1(site):
    gsasl_must(site, "SCRAM-SHA-1")


def gsasl_cram_md5(site):
    gsasl_must(site, "CRAM-MD5")


def gsasl_plain(site):
    site.configure("clear-text-password = always")
    gsasl_must(site, "PLAIN", secret=PASSWORD, initial=True)


def gsasl_scram_sha_256_plus_bound_to_the_exporter(site):
    site.tls()
    gsasl_must(site, "SCRAM-SHA-256-PLUS", tls=True, initial=True)


def gsasl_scram_sha_1_plus_bound_to_the_exporter(site):
    site.tls()
    gsasl_must(site, "SCRAM-SHA-1-PLUS", tls=True)


def gsasl_scram_in_tls_without_binding(site):
    site.tls()
    gsasl_must(site, "SCRAM-SHA-256", tls=True)


def poplib_auth(site, *messages):
    client = poplib.POP3("127.0.0.1", site.port, timeout=20)
    try:
        reply = client._shortcmd(messages[0])
    except poplib.error_proto:
        client.close()
        raise
    same("STAT", b"3", str(client.stat()[0]).encode())
    client.quit()
    return reply


def poplib_plain(site):
    site.configure("clear-text-password = always")
    poplib_auth(site, "AUTH PLAIN " + base64.b64encode(b"\0alice\0" + PASSWORD.encode()).decode())


def poplib_scram_sha_256(site):
    """poplib knows nothing of AUTH, but sends and hears lines for who does."""
    client = poplib.POP3("127.0.0.1", site.port, timeout=20)
    exchange = saslclient.exchange("SCRAM-SHA-256", b"alice", SECRET.encode())
    client._putcmd("AUTH SCRAM-SHA-256")
    while (reply := client._getline()[0]).startswith(b"+ ") or reply == b"+":
        client._putline(base64.b64encode(exchange.step(base64.b64decode(reply[2:]))))
    same("reply", b"+OK alice has 3 ", reply[:16])
    same("STAT", b"3", str(client.stat()[0]).encode())
    client.quit()


def perl_auth(site, secret):
    find("perl", "perl")
    script = ('use Net::POP3; use Authen::SASL; my $p = Net::POP3->new($ARGV[0], Port => $ARGV[1], Timeout => 20) or die "no connection\\n"; '
              'my $s = Authen::SASL->new(mechanism => $ARGV[4], callback => { user => $ARGV[2], pass => $ARGV[3] }); '
              'die "refused\\n" unless $p->auth($s); print scalar keys %{$p->list}; $p->quit')
    if subprocess.run(["perl", "-MAuthen::SASL", "-MDigest::HMAC_MD5", "-e", "1"], capture_output=True).returncode:
        raise Missing("no Authen::SASL or Digest::HMAC_MD5 (packages libauthen-sasl-perl, libdigest-hmac-perl)")
    return lambda mechanism: same("messages", b"3", run(["perl", "-e", script, "127.0.0.1", str(site.port), "alice", secret, mechanism]))


def perl_cram_md5(site):
    perl_auth(site, SECRET)("CRAM-MD5")
    site.logged(r'^auth CRAM-MD5 "alice"$')


def perl_plain(site):
    site.configure("clear-text-password = always")
    perl_auth(site, PASSWORD)("PLAIN")
    site.logged("AUTH by PLAIN$")


def perl_login(site):
    site.configure("clear-text-password = always")
    perl_auth(site, PASSWORD)("LOGIN")
    site.logged("AUTH by LOGIN$")


def mpop_password_of_who_has_a_secret(site):
    try:
        mpop(site, "user", PASSWORD)
    except AssertionError as error:
        if 'Password supplied for "alice" is incorrect' not in str(error):
            raise
    else:
        raise AssertionError("the password let in")
    site.logged("login refused: has a secret in apop-file")


def mpop_password_with_always(site):
    site.configure("clear-text-password = always")
    mpop(site, "user", PASSWORD)


def poplib_apop(site):
    client = poplib.POP3("127.0.0.1", site.port, timeout=20)
    client.apop("alice", SECRET)
    same("STAT", b"3", str(client.stat()[0]).encode())
    client.quit()


def perl_apop(site):
    script = ('use Net::POP3; my $p = Net::POP3->new($ARGV[0], Port => $ARGV[1], Timeout => 20) or die "no connection\\n"; '
              'my $n = $p->apop($ARGV[2], $ARGV[3]); die "refused\\n" unless defined $n; print $n + 0; $p->quit')
    same("messages", b"3", run([find("perl", "perl"), "-e", script, "127.0.0.1", str(site.port), "alice", SECRET]))


def stamps_are_not_made_twice(site):
    """What somebody saw of a login is of no use for another one."""
    seen = {poplib.POP3("127.0.0.1", site.port, timeout=20).getwelcome().split(b"<")[1] for _ in range(20)}
    same("different stamps", b"20", str(len(seen)).encode())
    client = poplib.POP3("127.0.0.1", site.port, timeout=20)
    stamp = b"<" + client.getwelcome().split(b"<")[1]
    client.apop("alice", SECRET)
    client.quit()
    client = poplib.POP3("127.0.0.1", site.port, timeout=20)
    try:
        client._shortcmd(f"APOP alice {hashlib.md5(stamp + SECRET.encode()).hexdigest()}")
    except poplib.error_proto:
        return
    raise AssertionError("a digest was taken twice")


VISITS = [curl_chooses_what_is_offered,
          curl_apop, curl_apop_refused, fetchmail_apop, mpop_apop, mpop_password_of_who_has_a_secret, mpop_password_with_always, poplib_apop,
          perl_apop, stamps_are_not_made_twice,
          curl_cram_md5, curl_cram_md5_refused, curl_plain, curl_plain_refused, curl_login, curl_finds_no_plain_without_tls,
          mpop_cram_md5, mpop_scram_sha_1, mpop_scram_sha_256, mpop_scram_refused, mpop_scram_with_verifiers_only, mpop_plain, mpop_login,
          mpop_scram_in_tls, fetchmail_cram_md5,
          gsasl_plain, gsasl_cram_md5, gsasl_scram_sha_1, gsasl_scram_sha_256, gsasl_scram_sha_256_plus_bound_to_the_exporter,
          gsasl_scram_sha_1_plus_bound_to_the_exporter, gsasl_scram_in_tls_without_binding,
          poplib_plain, poplib_scram_sha_256, perl_cram_md5, perl_plain, perl_login]


def visit_once(visit, site):
    site.forget_log()
    site.configure()
    site.said.clear()
    try:
        visit(site)
    finally:
        if SHOW:
            print(*(f"#   {line}" for line in site.log() + site.said), sep="\n")


def main(visits):
    if FORM == "short":
        return skip_all(NO_SHORT_FORM)
    sys.argv = [word for word in sys.argv if word != "--show"]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="popper-logins."))
    site = None
    try:
        site = Logins(directory)
        site.start()
        return run_cases([(visit.__name__.replace("_", " "), visit_once, visit, site) for visit in visits])
    except Skip as reason:
        return skip_all(reason)
    finally:
        if site:
            site.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(VISITS))
