#!/usr/bin/python3
"""old_configs.py: what old packages of Qpopper 4 shipped (facts page, section 11) starts unchanged: name of the program, switches and configuration
file of PLD, FreeBSD, Gentoo, Debian, Pardus, SUSE and a how-to. Only the paths of files are mapped below a private directory. Prints TAP.

In each case a user logs in, gets his mail and deletes some, and the log lines that old tools read are there.
"""
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
from cases import equal, need, run_cases  # noqa: E402
from spoolsite import POPPER, Site  # noqa: E402
import mbox  # noqa: E402

OPTIONS = {line.split("\t")[0]: line.split("\t") for line in os.popen(f"{POPPER} --list-options").read().splitlines()}
MAIL = [mbox.message(n) for n in (1, 2, 3)]
LOGIN = r'\(v[\d.]+\) POP login by user "alice" at \(\S+\) \S+$'
STATS = r"Stats: alice 1 \d+ 2 \d+ \S+ \S+$"


def built(option):
    return OPTIONS[option][5] == "yes"


class Package(Site):
    """root: where /etc and /var of the old host are."""

    def __init__(self):
        super().__init__(("alice", "bob"))
        self.root = self.dir / "root"
        self.bin = self.root / "bin"
        self.bin.mkdir(parents=True)
        for name in ("alice", "bob"):
            self.fill(name, b"".join(MAIL))
        # What the test needs, behind what the package has: users and spool of a private place.
        self.ours = f"set passwd-file = {self.dir}/passwd\nset spool-dir = {self.spool}\nset failure-delay = 0\nset tracefile = {self.trace}\n"

    def map(self, text):
        return re.sub(r"(?<![\w/])/(?=(etc|var|usr)/)", f"{self.root}/", text)

    def file(self, path, text, mode=0o644):
        there = self.root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)
        there.chmod(mode)
        return there

    def config_file(self, path, text):
        return self.file(path, self.map(text) + self.ours)

    def certificate(self, *paths):
        """Certificate and key, in one file or in two."""
        need(built("tls-support") and shutil.which("openssl"), "no TLS in this build, or no openssl")
        key, crt = self.dir / "k", self.dir / "c"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=old", "-keyout", key, "-out", crt], check=True,
                       capture_output=True)
        if len(paths) == 1:
            self.file(paths[0], key.read_text() + crt.read_text(), 0o600)
        else:
            self.file(paths[0], crt.read_text())
            self.file(paths[1], key.read_text(), 0o600)

    def start(self, name, switches):
        """The program under its old name, as inetd starts it. -> (socket, process)"""
        program = self.bin / name
        if not program.exists():
            program.symlink_to(POPPER)
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        server = subprocess.Popen([program, *self.map(switches).split()], executable=program, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/")
        theirs.close()
        return ours, server

    def session(self, name, switches, tls=None, user="alice", banner=r"\+OK Qpopper \(version"):
        s, server = self.start(name, switches)
        lines = None

        def wrap():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context.wrap_socket(s)

        def hear():
            return lines.readline().decode("latin-1").rstrip("\r\n")

        def say(command):
            s.sendall(command.encode() + b"\r\n")
            return hear()

        if tls == "alternate-port":
            s = wrap()
        lines = s.makefile("rb")
        greeting = hear()
        assert re.match(banner, greeting), greeting
        if tls == "stls":
            assert say("STLS").startswith("+OK")
            lines.close()
            s = wrap()
            lines = s.makefile("rb")
        assert say(f"USER {user}").startswith("+OK")
        answer = say("PASS secret")
        if answer.startswith("+OK"):
            assert "has 3 visible messages" in answer, answer
            assert say("DELE 1").startswith("+OK")
            assert say("QUIT").startswith("+OK")
        lines.close()
        s.close()
        server.wait(60)
        return answer

    def serves(self, *arguments, **more):
        answer = self.session(*arguments, **more)
        assert answer.startswith("+OK alice"), f"{answer}\n{self.log()}"
        self.logged(LOGIN)

    def logged(self, pattern):
        assert re.search(pattern, self.log(), re.MULTILINE), f"no {pattern} in\n{self.log()}"

    def left(self, path, count):
        equal(f"messages in {path}", path.read_bytes(), b"".join(MAIL[3 - count:]))


PLD = """\
# config file for qpopper
set nonauth-file     = /etc/qpopper/blacklist
set bulldir          = /var/mail/bulletins
set log-facility     = mail
set statistics       = true
#set home-dir-mail   = Mailbox
"""


def pld(p):
    p.file("/etc/qpopper/blacklist", "root\nbob\n")
    (p.root / "var/mail/bulletins").mkdir(parents=True)
    p.config_file("/etc/qpopper/config", PLD)
    p.serves("qpopper", "-s -f /etc/qpopper/config")
    p.left(p.drop(), 2)
    p.logged(STATS)
    assert p.session("qpopper", "-s -f /etc/qpopper/config", user="bob").startswith('-ERR [AUTH] Password supplied for "bob" is incorrect.')


def pld_home(p):
    p.file("/etc/qpopper/blacklist", "root\n")
    p.config_file("/etc/qpopper/config", PLD.replace("#set home", "set home").replace("set bulldir", "#set bulldir"))
    p.fill("alice", b"".join(MAIL), p.home("alice") / "Mailbox")
    p.serves("qpopper", "-s -f /etc/qpopper/config")
    p.left(p.home("alice") / "Mailbox", 2)


def pld_ssl(p):
    p.certificate("/etc/qpopper/server.crt", "/etc/qpopper/server.key")
    p.file("/etc/qpopper/blacklist", "root\n")
    p.config_file("/etc/qpopper/config-ssl", PLD.replace("set bulldir", "#set bulldir") + """\
set tls-server-cert-file = /etc/qpopper/server.crt
set tls-private-key-file = /etc/qpopper/server.key
""")
    p.serves("qpoppersd", "-s -l 2 -p 4 -f /etc/qpopper/config-ssl", tls="alternate-port")
    p.left(p.drop(), 2)
    p.logged(STATS)
    p.logged(r"TLSv1\.[23] handshake with client at ")


def pld_standalone(p):
    """995 -l 2 -p 4 -f FILE: the first argument is the port; an own one here."""
    p.certificate("/etc/qpopper/server.crt", "/etc/qpopper/server.key")
    need(built("daemon"), "no standalone mode in this build")
    p.config_file("/etc/qpopper/config-ssl", "set tls-server-cert-file = /etc/qpopper/server.crt\nset tls-private-key-file = /etc/qpopper/server.key\n")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    program = p.bin / "qpopperd"
    program.symlink_to(POPPER)
    server = subprocess.Popen([program, str(port), "-l", "2", "-p", "4", "-f", p.map("/etc/qpopper/config-ssl")], stdin=subprocess.DEVNULL, cwd="/")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for _ in range(200):
            try:
                with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30)) as s:
                    greeting = s.makefile("rb").readline()
                break
            except ConnectionRefusedError:
                subprocess.run(["sleep", "0.05"], check=True)
        assert greeting.startswith(b"+OK Qpopper (version"), greeting
    finally:
        server.terminate()
        server.wait(30)


def freebsd(p):
    """keep-temp-drop, a file of those who may not log in, shy; in PREFIX/libexec."""
    p.file("/usr/local/etc/qpopper/popusers", "# users who may not use POP\ntoor\n")
    p.config_file("/usr/local/etc/qpopper/qpopper.config", """\
set nonauth-file = /usr/local/etc/qpopper/popusers
set keep-temp-drop = true
set shy = true
set clear-text-password = default
""")
    p.serves("qpopper", "-s -f /usr/local/etc/qpopper/qpopper.config", banner=r"\+OK ready  ")
    p.logged(STATS)
    equal("temp drop", (p.spool / ".alice.pop").stat().st_size, 0)


def gentoo(p):
    p.certificate("/etc/mail/certs/cert.pem")
    p.config_file("/etc/qpopper.conf", """\
set tls-support          = stls
set tls-server-cert-file = /etc/mail/certs/cert.pem
set tls-version          = default
set shy                  = true
set log-facility         = mail
""")
    p.serves("popper", "-f /etc/qpopper.conf", tls="stls", banner=r"\+OK ready  ")
    p.left(p.drop(), 2)


def gentoo_mailbox(p):
    p.config_file("/etc/qpopper.conf", "set home-dir-mail = Mailbox\nset shy = true\nset statistics\n")
    p.fill("alice", b"".join(MAIL), p.home("alice") / "Mailbox")
    p.serves("popper", "-s -f /etc/qpopper.conf", banner=r"\+OK ready  ")
    p.left(p.home("alice") / "Mailbox", 2)
    p.logged(STATS)


def debian(p):
    """In its bulletin directory there need be nothing, nor need it be there; a note in the log at most."""
    p.config_file("/etc/qpopper.conf", """\
# /etc/qpopper.conf
set bulldir              = /var/spool/popbull
set debug                = false
set reverse-lookup       = false
set update-on-abort      = false
set log-facility         = mail
""")
    p.serves("in.qpopper", "-f /etc/qpopper.conf")
    p.left(p.drop(), 2)


def pardus(p):
    p.config_file("/etc/qpopper.conf", "set server-mode = true\nset group-server-mode = users\nset chunky-writes = always\n")
    p.serves("popper", "-s -f /etc/qpopper.conf")
    p.left(p.drop(), 2)
    p.logged(STATS)


def suse(p):
    """xinetd's server_args, no file (the test's own aside)."""
    p.config_file("/etc/ours", "")
    p.serves("popper", "-s -f /etc/ours")
    p.left(p.drop(), 2)
    p.logged(STATS)


def how_to(p):
    """Tuned as in a how-to of the time."""
    p.config_file("/etc/ours", "")
    p.serves("popper", "-F -S -s -R -T 600 -f /etc/ours")
    p.left(p.drop(), 2)
    p.logged(STATS)


def old_words(p):
    """Names and words in any case, the alias, values of old TLS, tabs, comments behind values, quotes of all kinds, no newline at the end."""
    p.certificate("/etc/mail/certs/cert.pem")
    conf = p.config_file("/etc/qpopper.conf", """\
\tSET TLS-Support\t= STLS\t# as vendors wrote it
set tls-version = SSLv23
set tls-workarounds
set TLS-server-cert-file = "/etc/mail/certs/cert.pem"
set uw-kludge = TRUE
set Log-Facility = 'local3'
set log-login = `(v%0) POP login by user "%1" at (%2) %3`
set timeout = 0x78
reset Debug
""")
    conf.write_text(conf.read_text().rstrip("\n"))
    p.serves("popper", "-f /etc/qpopper.conf", tls="stls")


def run(case):
    def inner():
        package = Package()
        try:
            return case(package)
        finally:
            package.remove()
    return inner


CASES = [pld, pld_home, pld_ssl, pld_standalone, freebsd, gentoo, gentoo_mailbox, debian, pardus, suse, how_to, old_words]

if __name__ == "__main__":
    sys.exit(run_cases([(case.__name__.replace("_", " "), run(case)) for case in CASES]))
