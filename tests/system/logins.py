#!/usr/bin/python3
"""logins.py: every way to log in, used by the clients that people have, against the server under the real openbsd-inetd: curl, fetchmail, mpop,
Python's poplib and Perl's Net::POP3. Prints TAP; with --show also what the server's trace says of each visit.

What is not installed is skipped; under CI, as root, a skip is a failure.
"""
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
from inetd import PASSWORD, STRICT, Site, Skip, find, run, same  # noqa: E402
import mbox  # noqa: E402
from world import STAMP, features  # noqa: E402

SHOW = "--show" in sys.argv
SECRET = "tanstaaf"


class Logins(Site):
    """alice has a secret of her own in the database, beside the password of the host."""

    def __init__(self, directory):
        if "APOP" not in features(inetd.POPPER):
            raise Skip("APOP is not built")
        super().__init__(directory)
        self.database = directory / "pop.auth"
        # As root over loopback, with everything in the trace file.
        conf = directory / "inetd.conf"
        conf.write_text(re.sub(r"( -t \S+)?\n$", f" -t {self.trace}\n", conf.read_text()))
        with open(directory / "popper.conf", "a") as f:
            f.write(f"set apop-file = {self.database}\n")
        self.popauth("-init")
        self.popauth("-user", "alice", SECRET)
        self.fill(range(1, 4))

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


VISITS = [curl_apop, curl_apop_refused, fetchmail_apop, mpop_apop, mpop_password_of_who_has_a_secret, mpop_password_with_always, poplib_apop,
          perl_apop, stamps_are_not_made_twice]


def visit_once(number, visit, site):
    name = visit.__name__.replace("_", " ")
    try:
        site.forget_log()
        site.configure()
        visit(site)
        print(f"ok {number} - {name}")
    except Skip as reason:
        print(f"not ok {number} - {name}: {reason}, and nothing may be skipped here" if STRICT else f"ok {number} - {name} # SKIP {reason}")
        return not STRICT
    except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, poplib.error_proto) as e:
        print(f"not ok {number} - {name}", *(f"# {line}" for line in f"{type(e).__name__}: {e}".split("\n")), sep="\n")
        return False
    finally:
        if SHOW:
            print(*(f"#   {line}" for line in site.log()), sep="\n")
        sys.stdout.flush()
    return True


def main():
    if os.environ.get("POPPER_TESTS") == "short":
        print("1..0 # SKIP the short form runs no system tests")
        return 0
    directory = pathlib.Path(tempfile.mkdtemp(prefix="popper-logins."))
    site, well = None, True
    try:
        site = Logins(directory)
        site.start()
        print(f"1..{len(VISITS)}", flush=True)
        for number, visit in enumerate(VISITS, 1):
            well &= visit_once(number, visit, site)
    except Skip as reason:
        print(f"Bail out! {reason}, and nothing may be skipped here" if STRICT else f"1..0 # SKIP {reason}")
        return STRICT
    finally:
        if site:
            site.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return not well


if __name__ == "__main__":
    sys.exit(main())
