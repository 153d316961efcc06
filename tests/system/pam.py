#!/usr/bin/python3
"""pam.py: logins judged by PAM, with the server as root: pam_unix, pam_listfile and pam_faillock of Debian, and a module that is slow, crashes, asks
odd questions or renames the user (pam_try.c). Users and /etc/pam.d exist only in a private mount namespace. Prints TAP; with --show also what
the server logged. Needs root and mount namespaces; under CI as root their absence is a failure.

option: pam-service
option: pam-session
"""
import base64
import contextlib
import hashlib
import hmac
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import SANITIZED, descriptors_but_syslog, equal, is_alive, need, run_cases, skip_all, wait_until  # noqa: E402
from spoolsite import HASH, POPPER  # noqa: E402
from users import TODAY, children_of, enter_namespace  # noqa: E402
import mbox  # noqa: E402
from world import STAMP, features, hash_of  # noqa: E402
import tempfile  # noqa: E402

TRY = pathlib.Path("tests/system/pam_try.so").absolute()
SANITIZER_OPTIONS = {name: value for name, value in os.environ.items() if name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}
SHOW = "--show" in sys.argv
MODULES = [pathlib.Path(d) for d in ("/lib/x86_64-linux-gnu/security", "/usr/lib/x86_64-linux-gnu/security", "/lib/security", "/usr/lib/security", "/lib64/security")]
DENIED = '-ERR [AUTH] Password supplied for "%s" is incorrect.'
UNAVAILABLE = "-ERR [SYS/TEMP] Passwords cannot be checked at the moment; try again later."

# name, uid, the fields of shadow behind the name
USERS = [
    ("ann", 64411, f"{HASH}:{TODAY}:0:99999:7::"),
    ("ben", 64412, f"{HASH}:{TODAY}:0:99999:7::"),
    ("locked", 64413, f"!{HASH}:{TODAY}:0:99999:7::"),
    ("star", 64414, f"*:{TODAY}:0:99999:7::"),
    ("empty", 64415, f":{TODAY}:0:99999:7::"),
    ("gone", 64416, f"{HASH}:{TODAY}:0:99999:7::{TODAY - 3}"),
    ("stale", 64417, f"{HASH}:{TODAY - 100}:0:30:7::"),
    ("fresh", 64418, f"{HASH}:0:0:99999:7::"),
    ("low", 10, f"{HASH}:{TODAY}:0:99999:7::"),
    ("root", 0, f"{HASH}:{TODAY}:0:99999:7::"),
    ("shadowless", 64419, None),
    ("hush", 64420, f"{hash_of('Hush-7-secret')}:{TODAY}:0:99999:7::"),
]
UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"


class Pam:
    """The host, as the server sees it. Its directory, configuration and log are made anew for each case."""

    def __init__(self):
        self.etc = pathlib.Path(tempfile.mkdtemp(prefix="popper-pam-etc."))
        self.etc.chmod(0o755)
        (self.etc / "pam.d").mkdir()
        lines = [f"{name}:x:{uid}:{uid}::{self.etc}/home:/bin/sh\n" for name, uid, _ in USERS]
        lines.append("nobody:x:65534:65534::/nonexistent:/bin/false\n")
        enter_namespace(self.etc, {
            "passwd": "".join(lines),
            "shadow": "".join(f"{name}:{shadow}:\n" for name, _, shadow in USERS if shadow is not None),
            "group": "root:x:0:\nmail:x:8:\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
        }, ["pam.d"])

    def begin(self):
        """Everything as in the beginning."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-pam."))
        self.dir.chmod(0o755)
        self.spool, self.trace, self.conf, self.note = self.dir / "spool", self.dir / "trace", self.dir / "conf", self.dir / "note"
        self.spool.mkdir()
        self.spool.chmod(0o1777)
        for name, uid, _ in USERS:
            drop = self.spool / name
            drop.write_bytes(mbox.message(1) + mbox.message(2))
            os.chown(drop, uid, uid)
            drop.chmod(0o600)
        for path in (self.etc / "pam.d").iterdir():
            path.unlink()
        self.service(UNIX)
        self.configure()

    def end(self):
        if SHOW:
            print(*(f"#   {line}" for line in self.log()), sep="\n")
        subprocess.run(["rm", "-rf", self.dir], check=True)

    def service(self, text, name="pop3"):
        (self.etc / "pam.d" / name).write_text(text)

    def configure(self, *lines, delay=0):
        lines = [f"spool-dir = {self.spool}", f"failure-delay = {delay}", "reverse-lookup = false", "pam-service = pop3", "debug", *lines]
        if "APOP" in features(POPPER) and "apop-file" not in "".join(lines):
            lines.append(f"apop-file = {self.dir}/pop.auth")
        self.conf.write_text("".join(f"set {line}\n" for line in lines))

    def log(self):
        text = self.trace.read_text(encoding="latin-1") if self.trace.exists() else ""
        return [STAMP.sub("", line) for line in text.splitlines() if STAMP.sub("", line)]

    def logged(self, pattern):
        assert any(re.search(pattern, line) for line in self.log()), f"no record with {pattern!r} in\n" + "\n".join(self.log())

    def notes(self):
        return self.note.read_text().splitlines() if self.note.exists() else []

    def steps(self):
        """What the module was called for."""
        return [line.split(" user=")[0] for line in self.notes()]

    def granted(self, name, password="secret", shown=None):
        s = Visit(self)
        reply = s.login(name, password)
        assert reply.startswith(f"+OK {shown or name} has 2 visible messages"), reply
        return s

    def refused(self, name, reason, password="secret", reply=DENIED):
        s = Visit(self)
        got = s.login(name, password)
        equal("the reply", got, reply % name if "%" in reply else reply)
        equal("then", s.lines.read(), b"")
        s.close()
        self.logged(reason)
        assert not any(password in line for line in self.log()), "the password is in the log"


class Visit:
    """A connection over loopback to a server that is started as inetd would, with an environment that it must not keep."""

    def __init__(self, site, **more):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname(), timeout=30)
            theirs = listener.accept()[0]
        self.server = subprocess.Popen([POPPER, "-f", site.conf, "-t", site.trace], stdin=theirs, stdout=theirs, stderr=theirs, cwd="/",
                                       env={"LD_BIND_NOW": "1", "HOME": "/root", "PAM_EVIL": "1", **SANITIZER_OPTIONS}, **more)
        theirs.close()
        self.lines = self.socket.makefile("rb")
        self.greeting = self.hear()

    def hear(self):
        return self.lines.readline().decode("latin-1").rstrip("\r\n")

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.hear()

    def login(self, name, password):
        equal("the reply to USER", self.say("USER " + name), f"+OK Password required for {name}.")
        return self.say("PASS " + password)

    def close(self):
        self.lines.close()
        self.socket.close()
        return self.server.wait(30)

    def quit(self):
        assert self.say("QUIT").startswith("+OK")
        equal("the exit status", self.close(), 0)


# ---- Debian's modules


def unix_grants(site):
    s = site.granted("ann")
    for pid in (s.server.pid, *children_of(s.server.pid)):
        assert "64411\t64411\t64411\t64411" in pathlib.Path(f"/proc/{pid}/status").read_text(), "keeper and session are the user"
        assert "popper-pam" not in pathlib.Path(f"/proc/{pid}/maps").read_text(), "only the checker loads PAM"
    assert s.say("DELE 1").startswith("+OK")
    s.quit()
    equal("the maildrop", (site.spool / "ann").read_bytes(), mbox.message(2))
    site.logged(r'POP login by user "ann" at \(127\.0\.0\.1\) 127\.0\.0\.1$')


UNIX_REFUSES = [
    ("ann", "wrong1", r"login refused: PAM \(service pop3\), authentication: Authentication failure \(7\)"),
    ("locked", "secret", r"authentication: Authentication failure \(7\)"),
    ("star", "secret", r"authentication: Authentication failure \(7\)"),
    ("empty", "secret", r"authentication: "),
    ("gone", "secret", r"account: User account has expired \(13\)"),
    ("stale", "secret", r"account: Authentication token is no longer valid; new one required \(12\)"),
    ("fresh", "secret", r"account: Authentication token is no longer valid; new one required \(12\)"),
    ("shadowless", "secret", r"authentication: "),
    ("nosuchuser", "secret", "no such user"),
    ("low", "secret", "uid 10 is not above block-uid 10"),
    ("root", "secret", "uid 0 may not log in"),
    ("../ann", "secret", "not a possible user name"),
    ("ann", "x" * 600, r"authentication: "),
]


def unix_refuses(site):
    for name, password, reason in UNIX_REFUSES:
        site.trace.unlink(missing_ok=True)
        site.refused(name, reason, password)
        site.logged(rf"^\[AUTH\] Failed attempted login to {re.escape(name)} from host \(127\.0\.0\.1\) 127\.0\.0\.1$")


def unix_password_may_be_old(site):
    site.configure("check-password-expired = false")
    site.granted("stale").quit()
    site.refused("gone", "account: User account has expired")


def listfile_denies(site):
    (site.dir / "blacklist").write_text("ben\n")
    site.service(f"auth required pam_listfile.so item=user sense=deny file={site.dir}/blacklist onerr=fail\n" + UNIX)
    site.granted("ann").quit()
    site.refused("ben", r"authentication: Authentication failure \(7\)")


def faillock_locks(site):
    tally = site.dir / "tally"
    rules = f"dir={tally} deny=3 unlock_time=600"
    site.service(f"auth required pam_faillock.so preauth {rules}\nauth sufficient pam_unix.so\nauth [default=die] pam_faillock.so authfail {rules}\n"
                 f"account required pam_faillock.so {rules}\naccount required pam_unix.so\n")
    site.granted("ann").quit()
    for _ in range(3):
        site.refused("ann", r"authentication: Permission denied \(6\)", "wrong1")
    site.refused("ann", r"login refused: PAM")
    site.granted("ben").quit()
    subprocess.run(["faillock", "--dir", tally, "--user", "ann", "--reset"], check=True, stdout=subprocess.DEVNULL)
    site.granted("ann").quit()


# ---- a module that does odd things


def auth(site, *words, account="", session=""):
    site.service(f"auth required {TRY} {' '.join(words)}\naccount required {TRY} {account}\nsession required {TRY} {session}\n")


def what_a_module_sees(site):
    auth(site, f"note={site.note}", "password=secret", account=f"note={site.note}")
    site.granted("ann").quit()
    equal("the steps", site.steps(), ["authenticate", "account", "credentials", "delete credentials"])
    for line in site.notes():
        assert " user=ann rhost=127.0.0.1 tty=pop3 euid=0 umask=077 core=0 cpu=-1 fsize=-1 env=PATH=" in line, line
        assert "EVIL" not in line and "HOME" not in line and "LD_" not in line, line


def limits_of_who_started_us_are_not_the_modules(site):
    """What inetd may use up is not the limit of the site's modules, which write their own files. Hard limits are lifted where root may."""
    capabilities = re.search(r"CapEff:\s*(\w+)", pathlib.Path("/proc/self/status").read_text())[1]
    may_lift = bool(int(capabilities, 16) >> 24 & 1)  # CAP_SYS_RESOURCE
    none = resource.RLIM_INFINITY
    auth(site, f"note={site.note}", "password=secret", account=f"note={site.note}")
    for cpu, size, seen in ((none, none, (-1, -1)), (60, 2 << 20, (-1, -1) if may_lift else (60, 2 << 20))):
        def little(cpu=cpu, size=size):
            resource.setrlimit(resource.RLIMIT_CPU, (50, cpu))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, size))

        s = Visit(site, preexec_fn=little)
        limits = pathlib.Path(f"/proc/{s.server.pid}/limits").read_text()
        assert re.search(r"Max cpu time +50 ", limits) and re.search(r"Max file size +1048576 ", limits), limits
        assert s.login("ann", "secret").startswith("+OK ann has 2 "), "no login"
        s.quit()
        equal("the steps", site.steps(), ["authenticate", "account", "credentials", "delete credentials"])
        for line in site.notes():
            assert f" cpu={seen[0]} fsize={seen[1]} " in line, line
        site.note.unlink()


def conversation(site):
    auth(site, "name", "password=secret", "text")
    site.granted("ann").quit()
    site.logged(r'^PAM \(service pop3\) says of ann: "first\\x0asecond \\x22quoted\\x22 \\x1b\[2J x{173}\.\.\."$')
    site.logged(r'says of ann: "an error"$')
    for style in (5, 7, 99):
        auth(site, f"style={style}", "password=secret")
        site.refused("ann", rf"wants an answer of style {style}, which POP3 cannot give")
        site.logged(r"authentication of ann: Conversation error \(19\): a module could not do its work; look for its own record")
    auth(site, "password=secret", account="password=secret")
    site.refused("ann", r"account: Conversation error")


RESULTS = [(7, DENIED), (10, DENIED), (11, DENIED), (8, DENIED), (9, DENIED), (4, DENIED), (3, DENIED), (13, DENIED), (12, DENIED), (26, UNAVAILABLE),
           (28, UNAVAILABLE), (1, UNAVAILABLE), (2, UNAVAILABLE), (5, UNAVAILABLE)]


def results(site):
    """pam_sm_authenticate and pam_sm_acct_mgmt end with a code: maxtries (11), user unknown (10), ..."""
    for code, reply in RESULTS:
        auth(site, f"code={code}")
        site.refused("ann", rf"PAM \(service pop3\), authentication: .* \({code}\)", reply=reply)
        site.refused("nosuchuser", "passwords cannot be checked: PAM" if reply is UNAVAILABLE else "no such user", reply=reply)
        auth(site, "password=secret", account=f"code={code}")
        site.refused("ann", rf"PAM \(service pop3\), account: .* \({code}\)", reply=reply)
    auth(site, "password=secret", "cred=17")
    site.refused("ann", r"PAM \(service pop3\), credentials: Failure setting user credentials \(17\)")


def crash(site):
    auth(site, "crash")
    for name in ("ann", "nosuchuser"):
        # Sanitizers make an exit status of the signal.
        end = r"ended without an answer \(exit status 1\)" if SANITIZED else r"was killed by signal 11"
        site.refused(name, rf"passwords cannot be checked: the process that checks passwords {end}", reply=UNAVAILABLE)
    assert not list(pathlib.Path("/").glob("core*")), "a core"


def timed_refusal(site, reply=DENIED):
    s = Visit(site)
    equal("the reply to USER", s.say("USER ann"), "+OK Password required for ann.")
    began = time.monotonic()
    equal("the reply", s.say("PASS wrong1"), reply % "ann")
    taken = time.monotonic() - began
    s.close()
    return taken


def pams_delay_is_ours(site):
    """The module asks for four seconds."""
    auth(site, "delay=4", "password=secret")
    taken = timed_refusal(site)
    assert taken < 3.5, f"{taken} s without failure-delay"
    site.configure(delay=1)
    taken = timed_refusal(site)
    assert 1 <= taken < 3.5, f"{taken} s with failure-delay = 1"


def slow(site):
    site.configure(delay=1)
    auth(site, "sleep=1", "password=secret")
    # A busy machine makes single ones longer, never shorter.
    taken = [timed_refusal(site) for _ in range(3)]
    assert 2 <= min(taken) < 2.5, f"{taken} s: the next multiple of failure-delay is 2 s"
    s = site.granted("ann")
    s.quit()


def who_hangs_up_during_a_slow_check(site):
    """Everything ends; nobody is let in, and it is no failed login. Whose last command waits gets his answer."""
    auth(site, "sleep=8", "password=secret")
    for reset in (False, True):
        site.trace.unlink(missing_ok=True)
        s = Visit(site)
        s.say("USER ann")
        s.socket.sendall(b"PASS secret\r\n")
        time.sleep(0.5)
        began = time.monotonic()
        if reset:
            s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        equal("exit status", s.close(), 0)
        taken = time.monotonic() - began
        assert taken < 3, f"it went on for {taken} s"
        assert not any("POP login by" in line or "Failed attempted" in line for line in site.log()), site.log()
    auth(site, "sleep=1", "password=secret")
    s = Visit(site)
    s.socket.sendall(b"USER ann\r\nPASS secret\r\nQUIT\r\n")
    s.socket.shutdown(socket.SHUT_WR)
    replies = [s.hear() for _ in range(3)]
    assert replies[1].startswith("+OK ann has ") and replies[2].startswith("+OK"), replies
    s.close()


def a_denied_user_is_not_counted_as_a_login(site):
    (site.dir / "nonauth").write_text("ann\n")
    site.configure(f"nonauth-file = {site.dir}/nonauth")
    auth(site, "password=secret", f"note={site.note}")
    site.refused("ann", "login refused: listed in nonauth-file")
    equal("what came after the password", site.steps(), [])
    site.granted("ben").quit()
    equal("steps of another", site.steps(), ["authenticate", "credentials", "delete credentials"])


def rename(site):
    virtual = site.dir / "passwd"
    virtual.write_text(f"vera:{HASH}:64499:64499::{site.dir}:\n")
    virtual.chmod(0o600)
    site.configure(f"passwd-file = {virtual}")
    auth(site, "password=secret", "rename=ben")
    site.granted("ann", shown="ben").quit()
    for name, reason in (("root", "uid 0 may not log in"), ("../ann", "not a possible user name"), ("nosuchuser", "no such user"),
                         ("vera", "PAM made another user of this one, who is in passwd-file")):
        auth(site, "password=secret", f"rename={name}")
        site.refused("ann", reason)


def virtual_users_are_not_pams(site):
    virtual = site.dir / "passwd"
    virtual.write_text(f"vera:{HASH}:64499:64499::{site.dir}:\n")
    virtual.chmod(0o600)
    site.configure(f"passwd-file = {virtual}")
    auth(site, f"note={site.note}", "code=7")
    s = Visit(site)
    equal("vera", s.login("vera", "secret"), "+OK vera has 0 visible messages (0 hidden) in 0 octets.")
    s.quit()
    site.refused("vera", "login refused: wrong password", "wrong1")
    equal("the module's calls", site.steps(), [])


def apop_is_judged(site):
    need("APOP" in features(POPPER), "APOP is not built")
    popauth = [POPPER.parent / "popauth", "-file", site.dir / "pop.auth"]
    for words in (["-init"], ["-user", "ann", "tanstaaf"], ["-user", "gone", "tanstaaf"]):
        subprocess.run([*popauth, *words], check=True, capture_output=True)

    def apop(name, secret="tanstaaf"):
        s = Visit(site)
        stamp = s.greeting[s.greeting.index("<"):]
        reply = s.say(f"APOP {name} {hashlib.md5((stamp + secret).encode()).hexdigest()}")
        s.close()
        return reply

    equal("the account is good", apop("ann")[:7], "+OK ann")
    equal("the account has expired", apop("gone"), DENIED % "gone")
    site.logged(r"PAM \(service pop3\), account: User account has expired")
    auth(site, f"note={site.note}")
    equal("a wrong digest", apop("ann", "other"), DENIED % "ann")
    equal("nobody is judged for it", site.steps(), [])
    auth(site, "code=7", account=f"note={site.note}")
    equal("PAM's passwords have no say", apop("ann")[:7], "+OK ann")
    equal("steps", site.steps(), ["account"])


def auth_is_judged(site):
    """AUTH PLAIN sends a password, CRAM-MD5 proves a secret: PAM judges the account in both cases, the password in the first."""
    need("APOP" in features(POPPER), "APOP is not built")
    popauth = [POPPER.parent / "popauth", "-file", site.dir / "pop.auth"]
    for words in (["-init"], ["-user", "ben", "tanstaaf"], ["-user", "gone", "tanstaaf"]):
        subprocess.run([*popauth, *words], check=True, capture_output=True)

    def visit(exchange):
        s = Visit(site)
        reply = exchange(s)
        s.close()
        return reply

    def plain(name, password):
        return visit(lambda s: s.say("AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode()))

    def cram(name, secret):
        def exchange(s):
            challenge = base64.b64decode(s.say("AUTH CRAM-MD5")[2:])
            digest = hmac.new(secret.encode(), challenge, "md5").hexdigest()
            return s.say(base64.b64encode(f"{name} {digest}".encode()).decode())
        return visit(exchange)

    equal("AUTH PLAIN", plain("ann", "secret")[:7], "+OK ann")
    for name, password in (("ann", "wrong1"), ("gone", "secret"), ("nosuchuser", "secret")):
        equal(f"AUTH PLAIN of {name}", plain(name, password)[:11], "-ERR [AUTH]")
    equal("AUTH CRAM-MD5", cram("ben", "tanstaaf")[:7], "+OK ben")
    equal("AUTH CRAM-MD5, expired", cram("gone", "tanstaaf")[:11], "-ERR [AUTH]")
    site.logged(r"gone at .*PAM \(service pop3\), account: User account has expired")
    equal("AUTH CRAM-MD5, wrong", cram("ben", "other")[:11], "-ERR [AUTH]")


# ---- what is missing


def no_service_file(site):
    (site.etc / "pam.d" / "pop3").unlink()
    site.service("auth required pam_deny.so\naccount required pam_deny.so\n", "other")
    site.refused("ann", r"there is no /etc/pam\.d/pop3, so that PAM judges by its rules for \"other\"; copy samples/pam\.d/pop3 there")
    site.service(UNIX, "other")
    site.granted("ann").quit()
    (site.etc / "pam.d" / "other").unlink()
    site.refused("ann", r"passwords cannot be checked: PAM cannot be used for the service pop3: ", reply=UNAVAILABLE)


def no_module_of_pam(site):
    site.service("auth required pam_nowhere.so\naccount required pam_unix.so\n")
    site.refused("ann", r"authentication: Module is unknown \(28\)", reply=UNAVAILABLE)


def no_module_of_ours(site):
    """A server in a directory of its own, without popper-pam.so, nor one where it would be installed."""
    alone = site.dir / "alone"
    alone.mkdir()
    copy = alone / "popper"
    copy.write_bytes(POPPER.read_bytes())
    copy.chmod(0o755)
    s = socket.socketpair()
    server = subprocess.Popen([copy, "-f", site.conf, "-t", site.trace], stdin=s[1], stdout=s[1], stderr=s[1], cwd="/")
    s[1].close()
    s[0].sendall(b"USER ann\r\nPASS secret\r\n")
    lines = s[0].makefile("rb").read().decode()
    server.wait(30)
    assert UNAVAILABLE in lines, lines
    site.logged(r"popper-pam\.so is missing: No such file or directory; install it, it belongs to popper")


def check_command(site):
    """popper --check hears of it beforehand, asks about the account, and opens nothing."""
    def check(*words):
        done = subprocess.run([POPPER, "--check", *words, "-f", site.conf], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False)
        return done.stdout + done.stderr

    note = f"note={site.note}"
    auth(site, note, account=note, session=note)
    site.configure("pam-session")
    said = check("ann")
    assert re.search(r"PAM judges the system's users by the rules for pop3", said) and re.search(r"ann may log in: uid 64411", said), said
    equal("the steps", site.steps(), ["account"])
    site.service(UNIX)
    said = check("gone")
    assert re.search(r"gone may not log in: PAM \(service pop3\), account: User account has expired", said), said
    (site.etc / "pam.d" / "pop3").unlink()
    said = check()
    assert re.search(r"there is no /etc/pam\.d/pop3", said) and "PAM judges the" not in said, said


def the_sample(site):
    """samples/pam.d/pop3 with Debian's common files as they are."""
    for name in ("common-auth", "common-account"):
        need(name in COMMON, f"no /etc/pam.d/{name}")
        site.service(COMMON[name], name)
    sample = pathlib.Path(os.environ.get("srcdir", "."), "samples/pam.d/pop3")
    site.service(sample.read_text())
    site.granted("ann").quit()
    for name in ("locked", "gone", "stale", "nosuchuser"):
        site.refused(name, "login refused: ")


COMMON = {path.name: path.read_text() for path in pathlib.Path("/etc/pam.d").glob("common-*")}


# ---- sessions of PAM


def helper_of(s):
    found = [pid for pid in children_of(s.server.pid) if "Uid:\t0\t0\t0\t0" in pathlib.Path(f"/proc/{pid}/status").read_text()]
    equal("processes that stay as root", len(found), 1)
    return found[0]


def memory_holds(pid, secret):
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            ends, mode = line.split()[:2]
            if mode.startswith("rw"):
                begin, end = (int(x, 16) for x in ends.split("-"))
                mem.seek(begin)
                try:
                    if secret in mem.read(end - begin):
                        return line
                except OSError:
                    pass
    return None


def wait_for(site, steps):
    with contextlib.suppress(AssertionError):
        wait_until("the steps", lambda: site.steps() == steps)
    equal("the steps", site.steps(), steps)


OPENED = ["authenticate", "account", "credentials", "open session"]
CLOSED = [*OPENED, "close session", "delete credentials"]


def with_session(site):
    site.configure("pam-session")
    note = f"note={site.note}"
    site.service(f"auth required {TRY} {note}\nauth required pam_unix.so\naccount required {TRY} {note}\nsession required {TRY} {note}\n")


def session(site):
    with_session(site)
    s = site.granted("hush", "Hush-7-secret")
    equal("the steps", site.steps(), OPENED)
    helper = helper_of(s)
    # It wipes the password and closes the way to the monitor once it has said its verdict, of which we may hear before.
    wait_until("it has closed the way to the monitor", lambda: not any(name.startswith("socket:") for name in descriptors_but_syslog(helper).values()))
    equal("what it has open, besides ways to syslogd", [re.sub(":.*", "", name) for _, name in sorted(descriptors_but_syslog(helper).items()) if name != str(site.trace)],
          ["/dev/null"] * 3 + ["pipe"])
    if not SANITIZED:  # whose memory is too large to be looked through
        equal("the password in its memory", memory_holds(helper, b"Hush-7-secret"), None)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(helper, number)
    assert s.say("NOOP").startswith("+OK")
    equal("the steps so far", site.steps(), OPENED)
    s.quit()
    wait_for(site, CLOSED)


def session_of_who_is_killed(site):
    with_session(site)
    for victim in ("keeper", "session", "both", "client"):
        site.note.unlink(missing_ok=True)
        s = site.granted("hush", "Hush-7-secret")
        helper = helper_of(s)
        others = [pid for pid in children_of(s.server.pid) if pid != helper]
        if victim in ("keeper", "both"):
            os.kill(s.server.pid, signal.SIGKILL)
        if victim in ("session", "both"):
            for pid in others:
                # Without its keeper a session ends by itself.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        s.close()
        wait_for(site, CLOSED)


def session_is_not_opened_for_the_refused(site):
    with_session(site)
    (site.dir / "nonauth").write_text("hush\n")
    site.configure("pam-session", f"nonauth-file = {site.dir}/nonauth")
    site.refused("hush", "nonauth", "Hush-7-secret")
    equal("the steps", site.steps(), ["authenticate"])
    site.note.unlink()
    site.refused("ben", "PAM", "wrong1")
    equal("the steps", site.steps(), ["authenticate"])


def leave_while_checked(site, session):
    """A client leaves while his password is checked; a session is opened for him in the end. Returns when its server has ended."""
    site.configure("pam-session", delay=0)
    site.service(f"auth required {TRY} sleep=1 password=secret\naccount required {TRY}\nsession required {TRY} {session}\n")
    s = Visit(site)
    before = children_of(s.server.pid)
    s.say("USER ann")
    s.socket.sendall(b"PASS secret\r\n")
    wait_until("the check has begun", lambda: set(children_of(s.server.pid)) - set(before))
    for pid in before:  # who met the client: nobody waits for the verdict any more
        os.kill(pid, signal.SIGKILL)
    s.close()


def session_of_who_has_left(site):
    """It is closed, and may take its time for that."""
    need(not SANITIZED, "times")
    note = f"note={site.note}"
    leave_while_checked(site, f"{note} sleep=2 {note}")
    equal("the steps", site.steps(), ["open session"] * 2 + ["close session"] * 2)
    assert not any("within 10 seconds" in line for line in site.log()), site.log()


def session_of_who_has_left_hangs(site):
    need(not SANITIZED, "times")
    began = time.monotonic()
    leave_while_checked(site, f"note={site.note} sleep=30")
    assert 8 < time.monotonic() - began < 20, time.monotonic() - began
    equal("the steps", site.steps(), ["open session"])
    site.logged(r"^ann: PAM has not ended the session of a client who is gone within 10 seconds, and is ended itself; what its session modules have begun ")


def session_that_cannot_be_opened(site):
    site.configure("pam-session")
    auth(site, f"note={site.note}", "password=secret", session=f"note={site.note} code=14")
    site.refused("ann", r"PAM \(service pop3\), session: Cannot make/remove an entry for the specified session \(14\)")
    equal("the steps", site.steps(), ["authenticate", "credentials", "open session", "delete credentials"])


def no_session_unless_asked(site):
    note = f"note={site.note}"
    auth(site, note, "password=secret", session=note)
    s = site.granted("ann")
    equal("the steps", site.steps(), ["authenticate", "credentials", "delete credentials"])
    equal("children", len(children_of(s.server.pid)), 1)
    s.quit()


def session_with_pam_unix(site):
    site.configure("pam-session")
    site.service(UNIX + "session required pam_unix.so\n")
    s = site.granted("ann")
    helper = helper_of(s)
    s.quit()
    wait_until("the helper ends", lambda: not is_alive(helper))


CASES = [unix_grants, unix_refuses, unix_password_may_be_old, listfile_denies, faillock_locks, what_a_module_sees, limits_of_who_started_us_are_not_the_modules, conversation, results, crash,
         pams_delay_is_ours, slow, who_hangs_up_during_a_slow_check, a_denied_user_is_not_counted_as_a_login, rename, virtual_users_are_not_pams, apop_is_judged, auth_is_judged,
         no_service_file, no_module_of_pam, no_module_of_ours, check_command, the_sample, session, session_of_who_is_killed, session_of_who_has_left,
         session_of_who_has_left_hangs, session_is_not_opened_for_the_refused,
         session_that_cannot_be_opened, no_session_unless_asked, session_with_pam_unix]


def run(case, site):
    site.begin()
    try:
        return case(site)
    finally:
        site.end()


def main():
    sys.argv = [word for word in sys.argv if word != "--show"]
    if "PAM" not in features(POPPER):
        return skip_all("PAM is not built")
    if os.getuid() != 0:
        return skip_all("needs root")
    try:
        site = Pam()
    except OSError as e:
        return skip_all(f"no mount namespace: {e}")
    try:
        return run_cases([(case.__name__.replace("_", " "), run, case, site) for case in CASES])
    finally:
        subprocess.run(["rm", "-rf", site.etc], check=True)


if __name__ == "__main__":
    sys.exit(main())
