#!/usr/bin/python3
"""inetd.py: the server under the real openbsd-inetd, on a loopback port, visited by real clients: curl, fetchmail, mpop; nmap
must know it, and logwatch's stock patterns must parse what it logs. Prints TAP.

What is not installed is skipped; under CI, as root, a skip is a failure. Packages that conflict with others or bring daemons
are taken unpacked from .work/unpacked (quickstart puts them there). Nothing outside a private directory is changed.
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from cases import FORM, NO_SHORT_FORM, POPPER, Missing, find, run_cases, skip_all
import mbox
from play import readable_by_others
from transcript import describe
from world import FIRST_UID, STAMP, hash_of

UID = FIRST_UID if os.getuid() == 0 else os.getuid()
GID = FIRST_UID if os.getuid() == 0 else os.getgid()
PASSWORD = "secret word"


class Syslog(threading.Thread):
    """Stands in for syslogd where /dev/log is free: the records as the server really sends them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.lines, self.socket = [], None
        if os.getuid() == 0 and not os.path.lexists("/dev/log"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind("/dev/log")
            os.chmod("/dev/log", 0o666)
            self.start()

    def run(self):
        mine = self.socket
        while record := mine.recv(65536):
            self.lines.append(record.rstrip(b"\0\n").decode("latin-1"))

    def stop(self):
        if self.socket:
            os.unlink("/dev/log")
            self.socket = None


class Site:
    """A spool, a configuration and an inetd that serves it."""

    def __init__(self, directory):
        try:
            me = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            raise Missing("inetd starts servers for users by name, and we have none") from None
        self.dir = directory
        self.spool = directory / "spool"
        self.trace = directory / "trace"
        self.maildrop = self.spool / "alice"
        self.syslog = Syslog()
        os.chmod(directory, 0o755)
        self.spool.mkdir()
        self.spool.chmod(0o1777 if os.getuid() == 0 else 0o755)
        (directory / "home").mkdir()
        os.chown(directory / "home", UID, GID)
        (directory / "passwd").write_text(f"alice:{hash_of(PASSWORD)}:{UID}:{GID}:Alice:{directory}/home:/bin/false\n")
        (directory / "popper.conf").write_text(
            f"set passwd-file = {directory}/passwd\nset spool-dir = {self.spool}\nset failure-delay = 0\n"
            "reset reverse-lookup\nset statistics\n"
            "set log-login = '(v%0) POP login by user \"%1\" at (%2) %3'\nset log-facility = mail\n")
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        # The tag in.qpopper is the one that logwatch's configuration looks for.
        (directory / "inetd.conf").write_text(
            f"127.0.0.1:{self.port} stream tcp4 nowait.1000 {me} "
            f"{readable_by_others(POPPER, directory)} in.qpopper -f {directory}/popper.conf{'' if self.syslog.socket else f' -t {self.trace}'}\n")
        pid_file = pathlib.Path("/run/inetd.pid")
        self.other_inetd = pid_file.read_bytes() if pid_file.exists() else None
        self.inetd = None

    def start(self):
        self.inetd = subprocess.Popen([find("inetd", "openbsd-inetd"), "-i", str(self.dir / "inetd.conf")], stdin=subprocess.DEVNULL)
        self.wait_for_port()

    def wait_for_port(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                    if s.recv(3) == b"+OK":
                        s.sendall(b"QUIT\r\n")
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("inetd does not bring up the server within 10 s")

    def fill(self, numbers):
        self.maildrop.write_bytes(b"".join(mbox.message(n) for n in numbers))
        self.maildrop.chmod(0o600)
        if os.getuid() == 0:
            os.chown(self.maildrop, UID, GID)

    def stop(self):
        if self.inetd:
            self.inetd.send_signal(signal.SIGTERM)
            self.inetd.wait(10)
        self.syslog.stop()
        if self.other_inetd is not None:
            pathlib.Path("/run/inetd.pid").write_bytes(self.other_inetd)


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with status {done.returncode}: {(done.stdout + done.stderr).decode('latin-1')}")
    return done.stdout


def same(what, expected, got):
    if expected != got:
        raise AssertionError(f"{what}: {describe(expected, got)}")


def texts(maildrop):
    """The texts of messages, without From_ lines and what clients add in front, quoting of From undone."""
    result = []
    for _, text in mbox.split(maildrop):
        text = text[text.index(b"Received: from mx.example.com"):]
        result.append(re.sub(rb"\n>+From ", b"\nFrom ", b"\n".join(mbox.on_the_wire(text))))
    return result


def expected_texts(numbers):
    return texts(b"".join(mbox.message(n) for n in numbers))


# ---------------------------------------------------------------------------------------------- the visits

def curl_lists_and_fetches(site):
    curl = [find("curl", "curl"), "-sS", "--user", f"alice:{PASSWORD}", "--max-time", "20"]
    site.fill(range(1, 6))
    url = f"pop3://127.0.0.1:{site.port}/"
    expected = "".join(f"{n} {mbox.octets(text)}\r\n" for n, (_, text) in enumerate(mbox.split(site.maildrop.read_bytes()), 1))
    same("LIST", expected.encode(), run([*curl, url]))
    for n, (_, text) in enumerate(mbox.split(site.maildrop.read_bytes()), 1):
        got = run([*curl, url + str(n)])
        same(f"message {n}", b"".join(line + b"\r\n" for line in mbox.on_the_wire(text)), got)


def curl_deletes(site):
    site.fill(range(1, 6))
    run([find("curl", "curl"), "-sS", "--user", f"alice:{PASSWORD}", "--max-time", "20", "-X", "DELE", "--head",
         f"pop3://127.0.0.1:{site.port}/3"])
    same("maildrop", b"".join(mbox.message(n) for n in (1, 2, 4, 5)), site.maildrop.read_bytes())


def curl_refused(site):
    done = subprocess.run([find("curl", "curl"), "-sS", "--user", "alice:wrong", "--max-time", "20", f"pop3://127.0.0.1:{site.port}/"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    if done.returncode != 67:
        raise AssertionError(f"curl with a wrong password ended with status {done.returncode} instead of 67: {done.stderr!r}")


def fetchmail_takes_all(site):
    fetchmail = find("fetchmail", "fetchmail")
    site.fill(range(1, 8))
    got = site.dir / "fetched"
    rc = site.dir / "fetchmailrc"
    rc.write_text(f'poll 127.0.0.1 port {site.port} protocol pop3 auth password username "alice" password "{PASSWORD}" sslproto ""\n'
                  f"fetchall no keep no rewrite mda \"/bin/sh -c '(echo From x@y Mon Jan 11 10:00:00 2024; cat; echo) >>{got}'\"\n")
    rc.chmod(0o600)
    run([fetchmail, "-f", str(rc), "--nosyslog", "--pidfile", str(site.dir / "fetchmail.pid")],
        env={**os.environ, "FETCHMAILHOME": str(site.dir), "LC_ALL": "C"})
    same("what fetchmail got", b"\n".join(expected_texts(range(1, 8))), b"\n".join(texts(got.read_bytes())))
    same("maildrop", b"", site.maildrop.read_bytes())


def mpop_keeps_then_takes(site):
    mpop = find("mpop", "mpop")
    site.fill(range(1, 6))
    got = site.dir / "popped"
    conf = site.dir / "mpoprc"
    conf.write_text(f"account a\nhost 127.0.0.1\nport {site.port}\ntls off\nuser alice\npassword {PASSWORD}\nauth user\n"
                    f"delivery mbox {got}\nuidls_file {site.dir}/uidls\nkeep on\nreceived_header off\naccount default : a\n")
    conf.chmod(0o600)
    everything = site.maildrop.read_bytes()
    run([mpop, "-C", str(conf), "-q"])
    same("what mpop got", b"\n".join(expected_texts(range(1, 6))), b"\n".join(texts(got.read_bytes())))
    same("maildrop after mpop with keep", everything, site.maildrop.read_bytes())
    # It knows the unique ids: a second visit fetches nothing but the new message.
    with open(site.maildrop, "ab") as f:
        f.write(mbox.message(6))
    got.unlink()
    run([mpop, "-C", str(conf), "-q"])
    same("what mpop got then", b"\n".join(expected_texts([6])), b"\n".join(texts(got.read_bytes())))
    run([mpop, "-C", str(conf), "-q", "--keep=off"])
    same("maildrop after mpop without keep", b"", site.maildrop.read_bytes())


def nmap_knows_us(site):
    out = run([find("nmap", "nmap"), "-n", "-Pn", "-sT", "-sV", "-p", str(site.port), "127.0.0.1"]).decode("latin-1")
    if not re.search(rf"^{site.port}/tcp +open +pop3 +Qpopper pop3d 5\.", out, re.M):
        raise AssertionError(f"nmap says: {out}")


def logwatch_parses_our_records(site):
    logwatch = pathlib.Path(find("logwatch", "logwatch"))
    perl = find("perl", "perl")
    if site.syslog.socket:
        # option: log-facility
        facilities = {int(line[1:line.index(">")]) >> 3 for line in site.syslog.lines if " in.qpopper[" in line}
        if facilities != {2}:
            raise AssertionError(f"records went to the facilities {facilities} instead of mail (2)")
        records = [re.sub(r"^<\d+>", "", line) for line in site.syslog.lines]
        # What goes to the log by default: a debug record is priority 7.
        records = [r for r, line in zip(records, site.syslog.lines) if int(line[1:line.index(">")]) & 7 < 7]
        # Said where the machine kept our syslogd from reading.
        records = [r for r in records if not re.search(r"\d+ log records were lost: syslogd did not read", r)]
        records = [re.sub(r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) ", r"\1 mailhost ", r) for r in records]
    else:
        stamp = time.strftime("%b %e %H:%M:%S")
        known = r"^(Stats: |\(v\S+\) POP login|\[AUTH\] Failed)"
        records = [f"{stamp} mailhost in.qpopper[1]: {text}" for line in site.trace.read_text().split("\n")
                   if re.match(known, text := STAMP.sub("", line))]
    logs = site.dir / "log"
    logs.mkdir(exist_ok=True)
    (logs / "mail.log").write_text("\n".join(records) + "\n")
    (site.dir / "logwatch-conf").mkdir(exist_ok=True)
    script = logwatch.resolve().read_text(encoding="latin-1")
    root = logwatch.parent.parent.parent
    if str(root) != "/":
        script = script.replace("/usr/share/logwatch", f"{root}/usr/share/logwatch")
    script = script.replace("/etc/logwatch", str(site.dir / "logwatch-conf")).replace("/var/cache/logwatch", str(site.dir))
    (site.dir / "logwatch.pl").write_text(script, encoding="latin-1")
    out = run([perl, str(site.dir / "logwatch.pl"), "--service", "in.qpopper", "--range", "all", "--detail", "high", "--output", "stdout",
               "--format", "text", "--logdir", str(logs), "--hostname", "mailhost"]).decode("latin-1")
    for what, pattern in (("logins", r"Plaintext Connections:\n +\d+ from 127\.0\.0\.1"), ("statistics", r"^ *alice +\d+ +\| +\d+ "),
                          ("the failed login", r"Failed Logins:\n *alice: 1 time")):
        if not re.search(pattern, out, re.M):
            raise AssertionError(f"logwatch does not see {what} in {records}: {out}")
    if "Unmatched" in out:
        raise AssertionError(f"logwatch does not know all that we log: {out}")


VISITS = [curl_lists_and_fetches, curl_deletes, curl_refused, fetchmail_takes_all, mpop_keeps_then_takes, nmap_knows_us,
          logwatch_parses_our_records]


def visit_it(visit, directory, sites):
    if not sites:
        sites.append(Site(directory))
    if not sites[0].inetd:
        sites[0].start()
    visit(sites[0])


def main():
    if FORM == "short":
        return skip_all(NO_SHORT_FORM)
    directory, sites = pathlib.Path(tempfile.mkdtemp(prefix="popper-inetd.")), []
    try:
        return run_cases([(visit.__name__.replace("_", " "), visit_it, visit, directory, sites) for visit in VISITS])
    finally:
        for site in sites:
            site.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
