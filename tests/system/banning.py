#!/usr/bin/python3
"""banning.py: what the real server logs, read by others: samples/fail2ban with fail2ban-regex, in syslog's form and in the tracefile's, against clients
who forge records; the jail with fail2ban-client; and logwatch's stock script for every line that it knows. Prints TAP.

fail2ban and logwatch may be installed or unpacked (quickstart); under CI, as root, their absence is a failure.
"""
import base64
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import FORM, NO_SHORT_FORM, SANITIZED, UNPACKED, equal, find, need, possible, run_cases, skip_all  # noqa: E402
from spoolsite import POPPER, Site  # noqa: E402
import kdcsite  # noqa: E402
import mbox  # noqa: E402
from world import Syslog, features  # noqa: E402

SAMPLES = pathlib.Path(os.environ.get("srcdir", "."), "samples/fail2ban").absolute()
FORGED = "203.0.113.9"
RECORD = f"[AUTH] Failed attempted login to x from host (h) {FORGED}"
REAL = "127.0.0.2"


class Logged(Site):
    """A site whose records go to a syslogd of ours and to the tracefile."""

    def __init__(self, *config):
        super().__init__(("alice",), config)
        if "APOP" in features(POPPER):
            self.configure(*config, f"apop-file = {self.dir}/pop.auth")
            for words in (["-init"], ["-user", "alice", "tanstaaf"]):
                subprocess.run([POPPER.parent / "popauth", "-file", self.dir / "pop.auth", *words], check=True, capture_output=True)
        self.fill("alice", mbox.message(1) + mbox.message(2))
        self.syslog = Syslog(self.dir)

    def visit(self, *lines, source=REAL, family=socket.AF_INET, end=b"QUIT\r\n", hang_up=False, name="popper", first=b""):
        """A client from that address says the lines (functions are given the greeting). All that it heard."""
        with socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family) as listener:
            client = socket.socket(family)
            client.settimeout(30)
            client.bind((source, 0))
            client.connect(listener.getsockname()[:2])
            theirs = listener.accept()[0]
        server = subprocess.Popen([name, "-f", self.conf, "-t", self.trace], executable=POPPER, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/",
                                  env={"LD_PRELOAD": str(self.dir / "devlog.so"), "POPPER_TEST_DEVLOG": str(self.dir / "devlog")})
        theirs.close()
        client.sendall(first)
        greeting = client.recv(1000)
        lines = [line(greeting) if callable(line) else line for line in lines]
        client.sendall(b"".join(line if isinstance(line, bytes) else line.encode() + b"\r\n" for line in lines) + end)
        if hang_up:
            client.shutdown(socket.SHUT_WR)
        heard = b""
        try:
            while got := client.recv(10000):
                heard += got
        except ConnectionResetError:
            pass  # it ended before it had read all
        client.close()
        server.wait(30)
        return heard

    def syslog_lines(self, lowest=6):
        """As a syslogd writes them."""
        self.syslog.close()
        lines = []
        for record in self.syslog.records:
            priority, text = re.match(r"(?s)<(\d+)>(.*)", record).groups()
            if int(priority) & 7 <= lowest:
                lines.append(re.sub(r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) ", r"\1 mailhost ", text.rstrip("\0\n")))
        return lines

    def remove(self):
        self.syslog.close()
        super().remove()


# ---- fail2ban


def fail2ban(program, *arguments):
    path = pathlib.Path(find(program, "fail2ban"))
    packages = path.parent.parent / "lib/python3/dist-packages"
    done = subprocess.run(["/usr/bin/python3", path, *arguments], env={**os.environ, "PYTHONPATH": str(packages)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
    return done.stdout


def fail2ban_configuration(site):
    """The package's, with our two files where their heads say."""
    find("fail2ban-regex", "fail2ban")
    stock = next(p for p in [pathlib.Path("/etc/fail2ban"), *(u / "fail2ban/etc/fail2ban" for u in UNPACKED)] if (p / "filter.d/common.conf").exists())
    there = site.dir / "fail2ban"
    shutil.copytree(stock, there)
    shutil.copy(SAMPLES / "fail2ban-filter.conf", there / "filter.d/popper.conf")
    shutil.copy(SAMPLES / "fail2ban-jail.conf", there / "jail.d/popper.conf")
    return there


def found_in(site, lines):
    """What the filter finds: (address, user) of each record."""
    there = fail2ban_configuration(site)
    log = site.dir / "popper.log"
    log.write_bytes("".join(line + "\n" for line in lines).encode("latin-1"))
    out = fail2ban("fail2ban-regex", "-o", "<ip> <F-USER>", log, there / "filter.d/popper.conf")
    return [tuple(line.split(" ", 1)) for line in out.split("\n") if line]


def auth_plain(name):
    token = base64.b64encode(f"\0{name}\0wrong1".encode("latin-1"))
    return b"AUTH PLAIN " + token + b"\r\n"


# (what the client says, the user that the record then shows; None: whatever)
FORGERIES = [
    (["USER ann", "PASS wrong1"], "ann"),
    (["USER nobody-at-all", "PASS wrong1"], "nobody-at-all"),
    (["USER ../etc", "PASS wrong1"], "../etc"),
    ([f"USER {FORGED}", "PASS wrong1"], FORGED),
    ([f"USER ({FORGED})", "PASS wrong1"], f"({FORGED})"),
    ([f"USER x\u00a0from\u00a0host\u00a0(h)\u00a0{FORGED}".encode() + b"\r\n", "PASS wrong1"], None),
    ([f"USER x\xa0from\xa0host\xa0(h)\xa0{FORGED}".encode("latin-1") + b"\r\n", "PASS wrong1"], None),
    ([f"USER x\u2028[AUTH]\u2028from\u2028host\u2028(h)\u2028{FORGED}".encode() + b"\r\n", "PASS wrong1"], None),
    ([f"USER x\r{RECORD.replace(' ', chr(11))}", "PASS wrong1"], None),
    (["USER <HOST>", "PASS wrong1"], "<HOST>"),
    (['USER "', "PASS wrong1"], r"\x22"),
    (["USER " + "a" * 500, "PASS wrong1"], "a" * 64 + "..."),
    ([f"USER {'a' * 60}@{FORGED}", "PASS wrong1"], None),
    (["USER ann", "PASS " + RECORD], "ann"),
    ([f"APOP x@{FORGED} 0123"], f"x@{FORGED}"),
]
# What is no failed login, whatever it looks like.
NONE = [[f"USER x\tfrom\thost\t(h)\t{FORGED}", "PASS wrong1"], [RECORD], [f"USER {RECORD}"], [f"XTND {RECORD}"], [f"CAPA {RECORD}"], ["\0" + RECORD], [f"PROXY {RECORD}"]]


def forgeries(site):
    """The records' users, in order; from REAL all of them."""
    users = []
    for lines, user in FORGERIES:
        if lines[0][:4] == "APOP" and "APOP" not in features(POPPER):
            continue
        site.visit(*lines)
        users.append(user)
    for lines in NONE:
        site.visit(*lines)
    names = [f"x from host (h) {FORGED}", f"x [AUTH] Failed attempted login to y from host (h) {FORGED}", "two  words"]
    for name in names:
        if b"-ERR [AUTH]" in site.visit(auth_plain(name)):
            users.append(name.replace(" ", r"\x20"))
    return users


def check_found(found, users):
    equal("records found", len(found), len(users))
    for (address, shown), user in zip(found, users):
        equal(f"the address for {shown}", address, REAL)
        if user is not None:
            equal("the user", shown, user)


def filter_reads_syslog(site):
    users = forgeries(site)
    check_found(found_in(site, site.syslog_lines(7)), users)
    return f"{len(users)} records, 0 of them with the forged address"


def filter_reads_tracefile(site):
    users = forgeries(site)
    found = found_in(site, site.trace.read_text(encoding="latin-1").split("\n"))
    check_found(found, users)


def filter_knows_addresses_and_names(site):
    site.visit("USER ann", "PASS wrong1", name="in.qpopper")
    site.visit("USER ann", "PASS wrong1", name="/usr/local/lib/qpopper")
    possible(pathlib.Path("/proc/net/if_inet6").exists(), "no IPv6")
    site.visit("USER ann", "PASS wrong1", source="::1", family=socket.AF_INET6, name="qpopperd")
    equal("found", found_in(site, site.syslog_lines()), [(REAL, "ann"), (REAL, "ann"), ("::1", "ann")])


def filter_knows_kerberos(_):
    need("Kerberos" in features(POPPER), "Kerberos is not built")
    need(os.getuid() == 0, "not root: no /etc of our own")
    need(shutil.which("ktutil"), "no ktutil (package krb5-user)")
    with tempfile.TemporaryDirectory(prefix="popper-kdc.") as directory, kdcsite.service_without_kdc(directory, "localhost") as settings:
        site = Logged(*SITE, *settings)
        try:
            site.visit(first=kdcsite.NO_TICKET)
            site.visit(first=b"\0\0\0\x13KRB5_SENDAUTH_V1.0\0" + f"\0\0\0\x0b{FORGED}\0".encode().replace(b"\x0b", bytes([len(FORGED) + 1]), 1))
            lines = site.syslog_lines()
            equal("found in syslog", [address for address, _ in found_in(site, lines)], [REAL, REAL])
            shutil.rmtree(site.dir / "fail2ban")
            equal("found in the tracefile", [address for address, _ in found_in(site, site.trace.read_text(encoding="latin-1").split("\n"))], [REAL, REAL])
        finally:
            site.remove()


def jail_is_understood(site):
    there = fail2ban_configuration(site)
    jail = there / "jail.d/popper.conf"
    jail.write_text(jail.read_text().replace("/var/log/popper.log", f"{site.dir}/popper.log"))
    (there / "jail.d/defaults-debian.conf").unlink(missing_ok=True)  # sshd, whose log is not here
    (site.dir / "popper.log").write_text("")
    out = fail2ban("fail2ban-client", "-c", str(there), "-d")
    for wanted in ("'add', 'popper'", "'maxretry', 6", f"'addlogpath', '{site.dir}/popper.log'", "'start', 'popper'", "pop3,pop3s,kpop"):
        assert wanted in out, f"{wanted} is not in {out}"
    # Without a syslogd: the journal, under each name that inetd.conf of an old host may have given.
    jail.write_text(re.sub(r"(?m)^logpath .*$", "backend = systemd", jail.read_text()))
    out = fail2ban("fail2ban-client", "-c", str(there), "-d")
    match = re.search(r"'addjournalmatch', (.*)\]", out)
    assert match, out
    equal("names in the journal", sorted(re.findall(r"SYSLOG_IDENTIFIER=([\w.]+)", match.group(1))), ["in.qpopper", "popper", "qpopper", "qpopperd"])
    equal("between them", match.group(1).count("'+'"), 3)


# ---- logwatch


def logwatch(lines):
    """(what the stock script says, its list of unknown records) about records without their heads."""
    script = find("logwatch", "logwatch")
    root = pathlib.Path(script).parent.parent.parent
    service = root / "usr/share/logwatch/scripts/services/in.qpopper"
    need(service.exists(), "no script for qpopper in logwatch")
    texts = [re.sub(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d mailhost \S+?\[\d+\]: ", "", line) for line in lines]
    out = subprocess.run(["perl", service], input="".join(text + "\n" for text in texts), env={**os.environ, "LOGWATCH_DETAIL_LEVEL": "10"}, capture_output=True,
                         text=True, check=True).stdout
    known, _, unknown = out.partition("**Unmatched Entries**")
    return known, re.findall(r"^   (.*): \d+ Time\(s\)$", unknown, re.M)


def apop(greeting):
    stamp = greeting[greeting.index(b"<"):].strip()
    return "APOP alice " + hashlib.md5(stamp + b"tanstaaf").hexdigest()


def logwatch_knows_our_lines(site):
    """Facts page 4.3: all lines that logwatch's script names, and nothing of them among what it does not know."""
    site.visit("USER alice", "PASS secret", "DELE 1")
    site.visit("USER alice", "PASS wrong1")
    site.visit("USER bob", "PASS wrong1")
    site.visit("USER alice", end=b"", hang_up=True)
    site.visit("USER alice", "PASS secret", end=b"", hang_up=True)
    holder = site.open()
    site.visit("USER alice", "PASS secret")
    holder.quit()
    if "APOP" in features(POPPER):
        site.visit(apop)
        site.visit("APOP alice 0123")
    lines = site.syslog_lines()
    known, unknown = logwatch(lines)
    patterns = [r"Plaintext Connections:\n +\d+ from 127\.0\.0\.2", r"^ *alice +\d+ +\| +1 +\d+ ", r"Failed Logins:\n(?:  .*\n)*?  alice: \d", r"^  bob: 1 time"]
    if "APOP" in features(POPPER):
        patterns.append(r"APOP Connections:\n +1 from alice")
    for pattern in patterns:
        assert re.search(pattern, known, re.M), f"{pattern} is not in {known}"
    for part in (r"\(v\S+\) Timing for alice@127\.0\.0\.2 \(normal\) auth=", r"-ERR \[AUTH\]", r"-ERR \[IN-USE\]", r"-ERR POP EOF or I/O Error"):
        assert any(re.search(part, line) for line in lines), f"the server logged no {part}: {lines}"
    ours = r"maildrop of alice: \S+ is locked by another session \(process \d+\)$"
    equal("what logwatch does not know", [line for line in unknown if not re.match(ours, line)], [])
    return f"{len(lines)} records; not known to logwatch: {unknown}"


def logcheck_mails_only_failures(site):
    """As logcheck uses the file: its lines but for comments, for egrep."""
    rules = site.dir / "rules"
    rules.write_text("".join(line for line in (SAMPLES.parent / "logcheck").read_text().splitlines(True) if not line.startswith("#")))
    site.visit("USER alice", "PASS secret", "DELE 1")
    site.visit("USER alice", "PASS secret", name="/usr/sbin/in.qpopper", source="::1", family=socket.AF_INET6)
    if "APOP" in features(POPPER):
        site.visit(apop)
    site.visit("USER alice", "PASS wrong1")
    lines = site.syslog_lines()
    mailed = subprocess.run(["grep", "-Evf", rules], input="".join(line + "\n" for line in lines), capture_output=True, text=True, check=True).stdout
    for record in (r"POP login by", r"Stats: alice", r"Timing for alice"):
        assert any(re.search(record, line) for line in lines), f"no {record} in {lines}"
    equal("all that is mailed is about the refused one", [line for line in mailed.splitlines() if "[AUTH]" not in line], [])
    assert "Failed attempted login to alice" in mailed, mailed


SITE = ["statistics", "timing", "clear-text-password = always"]


def run(case):
    site = Logged(*SITE)
    try:
        return case(site)
    finally:
        site.remove()


CASES = [filter_reads_syslog, filter_reads_tracefile, filter_knows_addresses_and_names, jail_is_understood, logwatch_knows_our_lines, logcheck_mails_only_failures,
         filter_knows_kerberos]

if __name__ == "__main__":
    if FORM == "short":
        sys.exit(skip_all(NO_SHORT_FORM))
    if SANITIZED:
        sys.exit(skip_all("the sanitizers' runtime and devlog.so cannot both be loaded first"))
    sys.exit(run_cases([(case.__name__.replace("_", " "), run, case) for case in CASES]))
