#!/usr/bin/python3
"""check.py: popper --check. In each case one thing is broken, and the finding and the exit status say so; and nothing in the spool is another afterwards.
As root and, what an ordinary user can see, as one. Prints TAP.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
from recover import interrupt  # noqa: E402
from cases import ROOT, SANITIZED, Skip, equal, need, possible, run_cases  # noqa: E402
from spoolsite import FIRST_UID, HASH, MAIL_GID, POPPER, Site  # noqa: E402
import mbox  # noqa: E402

MAIL = b"".join(mbox.message(n) for n in range(1, 5))
OPTIONS = {line.split("\t")[0]: line.split("\t") for line in os.popen(f"{POPPER} --list-options").read().splitlines()}
LEVELS = {"ok": 0, "warning": 1, "error": 2}


def built(option):
    return OPTIONS[option][5] == "yes"


def state(directory):
    """Names, owners, modes, sizes, times and bytes of all there is; the directories' own times may change by scratch files."""
    found = {}
    for path in sorted(directory.rglob("*")):
        st = path.lstat()
        found[str(path)] = (st.st_ino, st.st_mode, st.st_uid, st.st_nlink, st.st_size,
                            None if path.is_dir() else (st.st_mtime_ns, path.is_file() and not path.is_symlink() and path.read_bytes()))
    return found


class Doctor(Site):
    """A site that is well, apart from what a machine for tests lacks."""

    def __init__(self, *config, **more):
        super().__init__(config=("mail-command = /bin/true", *config), **more)
        self.fill("alice", MAIL)

    def set(self, *config):
        self.configure("mail-command = /bin/true", *config)

    def check(self, *arguments, wrapper=(), conf=True, **more):
        """The findings as [(level, text)]; the exit status must be that of the worst."""
        before = state(self.spool)
        got = subprocess.run([*wrapper, POPPER, "--check", *arguments, *(("-f", self.conf) if conf else ())], capture_output=True, text=True,
                             check=False, timeout=60, **more)
        lines = got.stdout.splitlines()
        assert lines and got.stderr == "", f"{got}"
        for line in lines:
            assert re.match(r"(ok|warning|error): .{8}", line) and "  " not in line, line
        found = [tuple(line.split(": ", 1)) for line in lines]
        equal("exit status", got.returncode, max(LEVELS[level] for level, _ in found))
        equal("the spool", state(self.spool), before)
        equal("complaints said twice", [f for f in found if f[0] != "ok" and found.count(f) > 1], [])
        # No machine for tests need have a syslogd.
        return [f for f in found if "/dev/log" not in f[1]]

    def finds(self, level, pattern, *arguments, beside=None, **more):
        """Exactly one complaint (or several that all fit), of that level; beside: what else may be complained of."""
        found = self.check(*arguments, **more)
        complaints = [f for f in found if f[0] != "ok"]
        fit = [text for _, text in complaints if re.search(pattern, text)]
        others = [text for _, text in complaints if not re.search(pattern, text) and not (beside and re.search(beside, text))]
        assert fit and not others, f"{complaints} instead of {level}: {pattern}"
        equal("level", complaints[0][0], level)
        return complaints

    def is_well(self, *arguments, **more):
        found = self.check(*arguments, **more)
        equal("complaints", [f for f in found if f[0] != "ok"], [])
        return [text for _, text in found]


def has(texts, pattern):
    assert any(re.search(pattern, t) for t in texts), f"no {pattern} in {texts}"


def well(site):
    texts = site.is_well("alice")
    has(texts, rf"^configuration file {site.conf}$")
    has(texts, rf"{site.spool}: locks that work there: dotlock, fcntl, flock; used: dotlock,fcntl$")
    has(texts, r"^alice may log in: uid \d+, gid \d+, home /.*, of a passwd-file$")
    has(texts, r"^alice may log in by USER and PASS over every connection$")
    has(texts, rf"^{site.drop()}: 4 messages, \d+ octets$")
    has(texts, r"\.alice\.cache: no index yet$")


def sample(site):
    need(ROOT, "not root")
    conf = site.dir / "sample.conf"
    shutil.copy(os.path.join(os.environ.get("srcdir", "."), "samples", "popper.conf"), conf)
    conf.chmod(0o644)
    found = site.check("-f", conf, conf=False)
    equal("errors", [f for f in found if f[0] == "error" and "/var/mail" not in f[1]], [])
    assert ("ok", f"configuration file {conf}") in found, found


def index_states(site):
    session = site.open()
    session.quit()
    has(site.is_well("alice"), r"\.alice\.cache: the index is (valid|to be verified)")
    with open(site.drop(), "ab") as drop:
        drop.write(mbox.message(5))
    has(site.is_well("alice"), r"the index is valid, mail came since$")
    has(site.is_well("alice"), r"/alice: 5 messages, ")
    site.fill("alice", mbox.message(7) + MAIL)
    has(site.is_well("alice"), r"the index is not of use: the next login reads all")
    site.set("index = false")
    has(site.is_well("alice"), r"^no index is kept")


def open_session(site):
    session = site.open()
    has(site.is_well("alice"), r"a session is open \(process \d+\)")
    session.close()
    assert not any("session is open" in t for t in site.is_well("alice"))


def wrong_settings(site):
    with open(site.conf, "a", encoding="ascii") as conf:
        conf.write("set timeot = 5\n")
    found = site.finds("error", r"conf:6: unknown option \"timeot\"; did you mean timeout\?|nobody")
    equal("lines", len(found), 2)
    inner = site.dir / "inner.conf"
    inner.write_text("set shy = perhaps\n")
    with open(site.conf, "a", encoding="ascii") as conf:
        conf.write(f"set spool-dir = {site.spool}\nset config-file = {inner}\nsat timing\nset config-file = {inner}.not\n")
    found = site.check()
    equal("all of it", [text.split(":")[:2] for _, text in found[:-1]],
          [[str(site.conf), "6"], [str(inner), "1"], [str(site.conf), "9"], [str(site.conf), "10"]])
    equal("each is an error, and the end", [level for level, _ in found], ["error"] * 5)
    assert "serves nobody; nothing else was looked at" in found[-1][1], found[-1]
    site.set("mail-locks = \"\"", "cache-name = .%s.pop")
    found = site.check()
    equal("what does not go together", [text.split(": ")[0] for _, text in found[:-1]], [f"{site.conf}:6", f"{site.conf}:7"])
    site.set("temp-name = .%s.x", "cache-name = .%s.x")
    site.finds("error", r"temp-name and cache-name are the same|nobody")
    site.conf.unlink()
    site.finds("error", r"cannot read the configuration file .*No such file|nobody")
    site.finds("error", r"unknown switch|nobody", "-Z")


def several_files(site):
    """In the order in which they are named: each is looked at, and what the last one says counts."""
    second = site.dir / "second.conf"
    second.write_text("set shy\nset timeout = 77\n")
    texts = site.is_well("-f", second)
    equal("files", [text for text in texts if text.startswith("configuration file")], [f"configuration file {second}", f"configuration file {site.conf}"])
    second.write_text(f"set spool-dir = {site.dir}/nowhere\n")
    site.is_well("-f", second)
    site.finds("error", r"spool-dir .*/nowhere: No such file", "-f", site.conf, "-f", second, conf=False)
    second.write_text("set timeot = 5\n")
    site.finds("error", rf"^{second}:1: unknown option \"timeot\"|nobody", "-f", second)
    site.finds("error", rf"^{second}:1: unknown option \"timeot\"|nobody", "-f", site.conf, "-f", second, conf=False)
    # Also of which nothing counts now: who can write to it may add what does.
    second.write_text("set failure-delay = 7\n")
    second.chmod(0o666)
    site.finds("error", rf"^{second} can be written to by everybody", "-f", second)
    site.finds("error", rf"^{second} can be written to by everybody", "-f", site.conf, "-f", second, conf=False)


def obsolete_word(site):
    need(built("tls-version"), "no TLS in this build")
    site.set("tls-version = SSLv3")
    site.finds("warning", r"SSLv3")


def config_modes(site):
    site.conf.chmod(0o666)
    site.finds("error", rf"{site.conf} can be written to by everybody \(mode 0666\).*chmod o-w")
    if ROOT:
        site.conf.chmod(0o664)
        os.chown(site.conf, 0, 64055)
        site.finds("warning", r"by group 64055")
        site.conf.chmod(0o644)
        os.chown(site.conf, 64044, 0)
        site.finds("error", r"belongs to uid 64044")


def nested_config(site):
    other = site.dir / "other"
    other.write_text("set timeout = 700\n")
    other.chmod(0o666)
    site.set(f"config-file = {other}")
    site.finds("error", rf"^{other} can be written to by everybody")


def null_is_nobodys_to_mend(site):
    """It says "none" (a configuration file), or is the wrong kind of thing; in no case is a host's /dev/null to be given another mode."""
    site.set("config-file = /dev/null", "nonauth-file = /dev/null", "passwd-file = /dev/null", "bulldir = /dev/null")
    found = site.check()
    equal("advice about its mode", [text for _, text in found if re.search(r"chmod o-\S+ /dev/null", text)], [])
    has([text for _, text in found], r"^configuration file /dev/null$")


def user_files(site):
    passwd = site.dir / "passwd"
    passwd.chmod(0o644)
    site.finds("warning", r"passwd-file .*everybody can read the hashes", "-f", site.conf)
    passwd.chmod(0o602)
    site.finds("error", r"passwd-file cannot be used|logins fail")
    site.finds("error", r"passwd-file cannot be used|logins fail|a store of users cannot be read", "alice")
    passwd.chmod(0o600)
    site.set("auth-file = /nonexistent/auth")
    site.finds("error", r"auth-file cannot be used, so nobody may log in")
    nonauth = site.dir / "nonauth"
    site.set(f"nonauth-file = {nonauth}")
    site.finds("error", r"nonauth-file cannot be read, so it denies nobody")
    site.finds("error", r"nonauth-file cannot be read, so it denies nobody", "alice")
    nonauth.write_text("bob\n")
    nonauth.chmod(0o666)
    site.finds("warning", r"everybody can take himself off it")
    nonauth.chmod(0o644)
    nonauth.write_text("alice\n")
    site.finds("error", r"alice may not log in: listed in nonauth-file", "alice")


def trace_file(site):
    trace = site.dir / "t"
    site.set(f"tracefile = {trace}")
    has(site.is_well(), r"^tracefile .*not for always")
    assert not trace.exists(), "it was made"
    trace.touch(0o644)
    trace.chmod(0o644)
    site.finds("warning", r"tracefile .* can be read by everybody")
    trace.unlink()
    trace.symlink_to("/etc/passwd")
    site.finds("error", r"t.*link.*nobody is served")
    site.set("tracefile = /nonexistent/t")
    site.finds("error", r"tracefile /nonexistent/t cannot be made")


def mail_command(site):
    site.configure("mail-command = '/nonexistent/sendmail -x'")
    site.finds("warning", r"mail-command /nonexistent/sendmail: No such file")
    site.configure("mail-command = /etc/passwd")
    site.finds("warning", r"mail-command /etc/passwd: Permission denied")
    site.configure("mail-command = /etc/passwd", "xmit = false")
    site.is_well()


def secrets(site):
    need(built("apop-file"), "no database of secrets in this build")
    db = site.dir / "auth"
    site.set(f"apop-file = {db}")
    has(site.is_well(), r"apop-file .* is not there: no APOP")
    subprocess.run([POPPER.parent / "popauth", "-file", db, "-init"], check=True, capture_output=True)
    site.finds("warning", r"apop-file .* holds nobody's secret, but clients are offered APOP, .* add users")
    subprocess.run([POPPER.parent / "popauth", "-file", db, "-user", "alice", "sesame"], check=True, capture_output=True)
    texts = site.is_well("alice")
    has(texts, r"apop-file .* holds secrets of 1; all clients are offered APOP and AUTH by it; where only some users have secrets leave CRAM-MD5 and SCRAM out of sasl-mechanisms$")
    site.set(f"apop-file = {db}", "sasl-mechanisms = PLAIN")
    barred = site.is_well("alice")
    has(barred, r"apop-file .* holds secrets of 1; all clients are offered APOP$")
    has(barred, r"^alice may log in by APOP over every connection$")
    assert not any(re.match("alice may log in by AUTH", text) for text in barred), barred
    has(texts, r"^alice may not log in by USER and PASS: has a secret in apop-file")
    for way in ("APOP", "AUTH CRAM-MD5", "AUTH SCRAM"):
        has(texts, rf"^alice may log in by {way} over every connection$")
    has(site.is_well("bob"), r"^bob may not log in by APOP: no secret in apop-file$")
    assert not any("sesame" in t for t in texts)
    db.chmod(0o640)
    site.finds("error", r"apop-file.*mode 0640|alice by USER and PASS: .*mode 0640|no way to log in", "alice")
    db.chmod(0o600)
    db.write_bytes(b"no database at all" * 100)
    site.finds("error", r"apop-file: ")


def clear_text(site):
    site.set("clear-text-password = local")
    has(site.is_well("alice"), r"may log in by USER and PASS from this host itself")
    mend = "; set tls-support = stls, with a certificate, or another clear-text-password$"
    nobody = "^clear-text-password = (tls|never), .* nobody can log in"
    if built("tls-support"):
        site.set("clear-text-password = tls")
        site.finds("error", "^clear-text-password = tls, but tls-support is off, so that nobody can log in" + mend)
        site.finds("error", r"alice has no way to log in|" + nobody, "alice")
    if built("apop-file"):
        site.set("clear-text-password = never")
        site.finds("error", nobody)
        db = site.dir / "pop.auth"
        for words in (["-init"], ["-user", "alice", "sesame"]):
            subprocess.run([POPPER.parent / "popauth", "-file", db, *words], check=True, capture_output=True)
        site.set("clear-text-password = never", f"apop-file = {db}")
        site.is_well()
        if built("tls-support"):
            site.set("clear-text-password = tls", f"apop-file = {db}")
            site.finds("warning", "^clear-text-password = tls, but tls-support is off, so that only who has a secret in apop-file can log in" + mend)
    if built("gssapi") and built("tls-support"):
        site.set("clear-text-password = tls", "gssapi")
        found = [f for f in site.check() if f[1].startswith("clear-text")]
        equal("with tickets", 1, len(found))
        equal("its level", "warning", found[0][0])
        assert re.search("so that only who has a Kerberos ticket can log in" + mend, found[0][1]), found
        site.set("clear-text-password = tls", "gssapi", "sasl-mechanisms = PLAIN")
        has([text for level, text in site.check() if level == "error"], nobody)


def bulletins(site):
    bulls = site.dir / "bulls"
    site.set(f"bulldir = {bulls}")
    site.finds("warning", r"bulldir .* cannot be read by everybody: No such file")
    bulls.mkdir(mode=0o755)
    bulls.chmod(0o755)
    first = bulls / "1.first"
    first.write_text("From me@here Mon Jan  1 10:00:00 2024\nSubject: x\n\ntext\n")
    first.chmod(0o644)
    has(site.is_well(), r"bulldir .*: 1 bulletins")
    (bulls / "2.second").write_text("Subject: no From_ line\n\n")
    (bulls / "2.second").chmod(0o644)
    site.finds("warning", r"2\.second does not begin with a From_ line")
    (bulls / "2.second").unlink()
    bulls.chmod(0o777)
    site.finds("error", r"everybody can put a bulletin there")
    if ROOT:
        bulls.chmod(0o755)
        first.chmod(0o600)
        site.finds("warning", r"bulletin not shown to everybody: .*1\.first")
        bulls.chmod(0o700)
        site.finds("warning", r"bulldir .* cannot be read by everybody: Permission denied")


def bulletin_database(site):
    need(built("bulldb-nonfatal"), "no database of bulletins in this build")
    bulls = site.dir / "bulls"
    bulls.mkdir(mode=0o755)
    bulls.chmod(0o755)
    db = bulls / "bulldb.pag"
    db.touch(0o600)
    site.set(f"bulldir = {bulls}")
    if ROOT:
        os.chown(db, 64077, 64077)
    has(site.is_well(), r"database of bulletins in ")
    db.write_bytes(b"garbage" * 1000)
    site.finds("error", r"database of bulletins")
    site.set(f"bulldir = {bulls}", "bulldb-nonfatal")
    site.finds("warning", r"database of bulletins")


def new_bulletins(site):
    bulls = site.dir / "bulls"
    bulls.mkdir(mode=0o755)
    bulls.chmod(0o755)
    (bulls / "3").write_text("From me@here Mon Jan  1 10:00:00 2024\nSubject: x\n\ntext\n")
    (bulls / "3").chmod(0o644)
    site.set(f"bulldir = {bulls}", "max-bulletins = 1")
    has(site.is_well("alice"), r"^1 new bulletins$")
    assert not (site.home("alice") / ".popbull").exists()


def spool_missing(site):
    shutil.rmtree(site.spool)
    site.spool.mkdir()
    site.set("spool-dir = /nonexistent/spool")
    site.finds("error", r"spool-dir /nonexistent/spool: No such file or directory: no dot locks: logins will fail; make it with mode 1777")
    site.finds("error", r"/nonexistent/spool", "alice")


def spool_modes(site):
    need(ROOT, "not root")
    site.spool.chmod(0o755)
    site.finds("error", r"users cannot make files there \(mode 0755, group 0\): no dot locks")
    site.finds("error", r"users cannot make files|no file can be made there: Permission denied|alice cannot have a session", "alice")
    site.spool.chmod(0o777)
    site.finds("error", r"everybody can remove everybody's files \(mode 0777\); chmod 1777")
    os.chown(site.spool, 0, MAIL_GID)
    site.spool.chmod(0o2775)
    site.is_well("alice")
    site.spool.chmod(0o755)
    site.set("mail-locks = fcntl")
    site.finds("error", r"users cannot make files there .*: no index and no lock of sessions: logins will fail")
    site.finds("error", r"users cannot make files|no file can be made|no index|bob cannot have a session", "bob")  # nobody's: only the first


def temp_and_cache(site):
    for option, level in (("temp-dir", "error"), ("cache-dir", "error")):
        site.set(f"{option} = /nonexistent/x")
        site.finds(level, rf"{option} /nonexistent/x: No such file")
        site.finds(level, r"/nonexistent/x", "alice")
    if ROOT:
        other = site.dir / "other"
        other.mkdir(mode=0o755)
        other.chmod(0o755)
        site.set(f"temp-dir = {other}", f"cache-dir = {other}")
        site.finds("error", r"(temp|cache)-dir .*users cannot make files there .*: no index and no lock of sessions: logins will fail")
        found = [text for level, text in site.check("alice") if level == "error"]
        has(found, r"^alice cannot have a session: neither .*/other/\.alice\.cache nor .*/other/\.alice\.pop can be made")
        site.set(f"temp-dir = {other}")
        site.finds("error", r"temp-dir .*users cannot make files there .*: no index and no lock of sessions: logins will fail")


def hashed(site):
    """What is missing and is made by the first login is no complaint."""
    site.set("hash-spool = 2")
    has(site.is_well("alice"), r"/a/l/alice: its directory is not there yet; the first login makes it \(check-hash-dir\)$")
    site.set("hash-spool = 2", "check-hash-dir = false")
    site.finds("error", r"/a/l/alice: the directory cannot be opened: No such file|no index|cannot have a session|from the maildrop itself", "alice")


def what_is_lost(site):
    """What is said without a user about directories in which users can make no files is what sessions then meet."""
    need(ROOT, "not root")
    shut, good, gone = site.dir / "shut", site.dir / "good", site.dir / "gone"
    shut.mkdir()
    shut.chmod(0o755)
    good.mkdir()
    good.chmod(0o1777)
    fine = {"logins will fail": False, "no journal": False, "from the maildrop itself": False, "reads all of the maildrop": False}
    seen = {phrase: set() for phrase in fine}
    for spool_mode in (0o1777, 0o755):
        for config in ([], [f"temp-dir = {shut}"], [f"temp-dir = {gone}"], [f"temp-dir = {good}"], [f"cache-dir = {shut}"], [f"cache-dir = {gone}"],
                       [f"cache-dir = {good}"], [f"temp-dir = {gone}", f"cache-dir = {good}"], [f"temp-dir = {good}", f"cache-dir = {shut}"],
                       [f"temp-dir = {shut}", f"cache-dir = {gone}"], [f"temp-dir = {gone}", "home-dir-misc"], [f"temp-dir = {good}", "index = false"],
                       [f"cache-dir = {good}", "index = false"], ["home-dir-misc"]):
            site.spool.chmod(spool_mode)
            site.set("mail-locks = fcntl", *config)
            said = "\n".join(text for level, text in site.check() if level != "ok")
            met = dict(fine)
            site.trace.unlink(missing_ok=True)
            try:
                session = site.open()
                session.body("RETR 1")
                session.must("DELE 1")
                met["no journal"] = session.say("QUIT").startswith("-ERR [SYS/TEMP] No mail is lost")
                session.close()
                met["from the maildrop itself"] = "are sent from the maildrop itself" in site.log()
                met["reads all of the maildrop"] = "index = false" not in config and not any(
                    (d / ".alice.cache").exists() and (d / ".alice.cache").stat().st_size for d in (site.spool, good, site.home("alice")))  # empty: a lock
            except ConnectionError as refused:
                assert "a session needs a lock there" in str(refused), refused
                met["logins will fail"] = True
            if met["logins will fail"]:
                said = "logins will fail" if "logins will fail" in said else said
            for phrase, wanted in met.items():
                assert (phrase in said) == wanted, f"spool {spool_mode:o}, {config}: {phrase!r} met: {wanted}; said: {said!r}"
                seen[phrase].add(wanted)
            for directory in (site.spool, good, site.home("alice")):
                for path in directory.glob(".alice.*"):
                    path.unlink()
            site.fill("alice", MAIL)
    equal("each was met and not met", [phrase for phrase, both in seen.items() if len(both) != 2], [])


def one_thing_about_a_missing_temp_dir(site):
    for config, then in (((), "no index and no lock of sessions: logins will fail"), ((f"cache-dir = {site.spool}",), "sessions send mail from the maildrop itself")):
        site.set(f"temp-dir = {site.dir}/gone", *config)
        found = [f for f in site.check("alice") if f[0] != "ok"]
        equal("findings", len(found), 1)
        has([found[0][1]], rf"^temp-dir {site.dir}/gone: No such file or directory: {then}.*; make it with mode 1777")


def jail(site):
    """/var/empty, in a /var of our own."""
    need(ROOT, "not root")
    config = POPPER.parent.parent / "config.h"
    if config.exists() and re.search(r'(?m)^#define PRIVSEP_PATH "(?!/var/empty")', config.read_text()):
        raise Skip("configured with another --with-privsep-path")
    for script, said in (("true", r"^/var/empty is missing, so processes that meet clients \(uid \d+\) are locked into /proc/self/fdinfo, where nothing"),
                         ("mkdir -m 755 /var/empty", r"^processes that meet clients have uid \d+ and are locked into /var/empty$"),
                         ("mkdir -m 777 /var/empty; chmod 777 /var/empty", r"^/var/empty is not a directory of root's in which nobody else can make files, so"),
                         ("mkdir -m 755 /var/empty; chown 64001 /var/empty", r"^/var/empty is not a directory of root's in which nobody else can make files, so")):
        has(site.is_well(wrapper=mounted(f"mount -t tmpfs -o mode=755 var /var && {script}")), said)


def locks(site):
    need(ROOT, "not root")
    site.set("mail-locks = dotlock,fcntl,flock", "no-atomic-open")
    has(site.is_well(), r"locks that work there: dotlock, fcntl, flock; used: dotlock,fcntl,flock")


def mounted(script):
    """A wrapper that runs something in a mount namespace of its own first."""
    need(ROOT, "not root")
    need(subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0, "no mount namespaces")
    return ("unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh")


def file_systems(site):
    copies = mounted(f"mount -t tmpfs -o mode=1777,size=64m none {site.spool}")
    has([t for level, t in site.check(wrapper=copies) if level == "ok"],
        rf"^{site.spool}: no reflinks \(.+\): a session that fetches mail copies the maildrop; server-mode spares that$")
    site.set("server-mode")
    assert not any("reflinks" in t for _, t in site.check(wrapper=copies)), "nothing is copied in server mode"
    site.set()
    tmpfs = mounted(f"mount -t tmpfs -o mode=1777,size=64m none {site.spool}")
    site.finds("warning", r"spool-dir .* is on tmpfs: mail and journals are gone when the host stops", wrapper=tmpfs)
    small = mounted(f"mount -t tmpfs -o mode=1777,size=1m none {site.spool}")
    site.finds("warning", r"only \d+ KiB are free", beside="tmpfs", wrapper=small)
    full = mounted(f"mount -t tmpfs -o mode=1777,size=64k none {site.spool}; head -c 65536 /dev/zero > {site.spool}/x")
    found = site.check(wrapper=full)
    assert any(level == "error" and "only 0 KiB are free" in text for level, text in found), found
    readonly = mounted(f"mount --bind {site.spool} {site.spool} && mount -o remount,ro,bind {site.spool}")
    found = site.check(wrapper=readonly)
    assert any(level == "error" and "mounted read-only" in text for level, text in found), found


def network_file_systems(site):
    """The kernel's answer about the file system is replaced: none can be mounted here."""
    need(shutil.which("strace"), "no strace")

    def on(magic):
        # Machines of 32 bits have another call, which has the buffer's size before it.
        call, buffer = ("fstatfs64", 3) if struct.calcsize("P") == 4 else ("fstatfs", 2)
        said = magic.to_bytes(struct.calcsize("P"), "little").hex()
        return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:poke_exit=@arg{buffer}={said}")
    for magic, name in ((0x6969, "NFS"), (0xff534d42, "CIFS"), (0xfe534d42, "SMB"), (0x00c36400, "CephFS"), (0x5346414f, "AFS"), (0x01161970, "GFS2"), (0x7461636f, "OCFS2"),
                        (0x65735546, "unknown")):
        has(site.is_well(wrapper=on(magic)), rf"^spool-dir {site.spool} is on {name}: treated as a network file system \(file times count after 2 s\)$")
    assert not any("network file system" in text for text in site.is_well(wrapper=on(0xef53))), "ext4"
    (site.dir / "index").mkdir()
    (site.dir / "index").chmod(0o1777)
    (site.dir / "temp").mkdir()
    (site.dir / "temp").chmod(0o1777)
    site.set(f"cache-dir = {site.dir}/index", f"temp-dir = {site.dir}/temp")
    texts = site.is_well(wrapper=on(0x6969))
    for option, where in (("spool-dir", "spool"), ("cache-dir", "index"), ("temp-dir", "temp")):
        has(texts, rf"^{option} {site.dir}/{where} is on NFS: treated as a network file system")
    site.set("mail-locks = fcntl")
    site.finds("warning", rf"^spool-dir {site.spool} is on NFS, where only dot locks are sure to reach other hosts; add dotlock to mail-locks$", wrapper=on(0x6969))


def privsep(site):
    need(ROOT, "not root")
    passwd = site.dir / "etc-passwd"
    passwd.write_text("root:x:0:0::/root:/bin/sh\n")
    site.finds("warning", r"there is no user .* in /etc/passwd for the processes that meet clients", wrapper=mounted(f"mount --bind {passwd} /etc/passwd"))
    has(site.is_well(), r"processes that meet clients (have uid \d+ and|\(uid \d+\)) are locked into /")


def system_users(site):
    """No passwd-file: the host's users, with shadow."""
    need(ROOT, "not root")
    day = int(time.time() // 86400)
    etc = site.dir / "etc"
    etc.mkdir()
    names = {"ann": f"{HASH}:{day}:0:99999:7::", "lock": f"!{HASH}:{day}:0:99999:7::", "star": f"*:{day}:0:99999:7::",
             "old": f"{HASH}:{day - 100}:0:30:7::"}
    (etc / "passwd").write_text("nobody:x:65534:65534::/:/bin/false\n" + "".join(
        f"{name}:x:{FIRST_UID + 20 + i}:{FIRST_UID + 20 + i}::{site.dir}/home:/bin/sh\n" for i, name in enumerate(names)))
    (etc / "shadow").write_text("".join(f"{name}:{entry}:\n" for name, entry in names.items()))
    (etc / "shadow").chmod(0o600)
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\n")
    wrapper = mounted(" && ".join(f"mount --bind {etc}/{f} /etc/{f}" for f in ("passwd", "shadow", "nsswitch.conf")))
    site.conf.write_text(f"set spool-dir = {site.spool}\nset mail-command = /bin/true\nset reverse-lookup = false\n")
    texts = site.is_well("ann", wrapper=wrapper)
    has(texts, r"^ann may log in: uid 64021, gid 64021, home /[^,]*$")
    has(texts, r"/ann \(not there yet\): 0 messages, 0 octets$")
    has([t for _, t in site.check("star", wrapper=wrapper)], r"star may not log in by USER and PASS: has no password")
    site.finds("error", r"lock may not log in: account is locked", "lock", wrapper=wrapper)
    site.finds("warning", r"star has no way to log in", "star", wrapper=wrapper)
    site.finds("error", r"old may not log in: password expired 70 days ago", "old", wrapper=wrapper)
    site.finds("error", r"carol may not log in: no such user|carol: no such user; his maildrop", "carol", wrapper=wrapper)
    site.finds("error", r"root may not log in: no such user|root: no such user", "root", wrapper=wrapper)


def pam(site):
    need(built("pam-service"), "no PAM in this build")
    etc = site.dir / "etc"
    (etc / "pam.d").mkdir(parents=True)
    (etc / "pam.d" / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    (etc / "passwd").write_text(f"nobody:x:65534:65534::/:/bin/false\nann:x:{FIRST_UID + 20}:{FIRST_UID + 20}::{site.dir}/home:/bin/sh\n")
    (etc / "shadow").write_text("ann:*:20000:0:99999:7:::\n")
    (etc / "shadow").chmod(0o600)
    wrapper = mounted(" && ".join(f"mount --bind {etc}/{f} /etc/{f}" for f in ("passwd", "shadow", "pam.d")))
    site.conf.write_text(f"set spool-dir = {site.spool}\nset mail-command = /bin/true\nset reverse-lookup = false\nset pam-service = pop3\n")
    site.finds("warning", r"there is no /etc/pam\.d/pop3, so that PAM judges by", wrapper=wrapper)
    site.finds("warning", r"there is no /etc/pam\.d/pop3|ann may not log in: PAM", "ann", wrapper=wrapper)
    has([t for level, t in site.check("ann", wrapper=wrapper) if level == "error"], r"ann may not log in: PAM")
    service = etc / "pam.d" / "pop3"
    service.write_text("auth required pam_permit.so\naccount required pam_permit.so\n")
    texts = site.is_well("ann", wrapper=wrapper)
    has(texts, r"^pam-service: PAM judges the system's users by the rules for pop3$")
    has(texts, r"^ann may log in by USER and PASS over every connection$")
    service.write_text("auth required pam_permit.so\naccount required pam_deny.so\n")
    site.finds("error", r"ann may not log in: ", "ann", wrapper=wrapper)


def modules(site):
    """A module that is missing where the program was copied to without it."""
    need(built("tls-support") and ROOT, "no TLS in this build, or not root")
    alone = site.dir / "alone"
    alone.mkdir()
    shutil.copy(POPPER, alone / "popper")
    site.set("tls-support = stls", "tls-server-cert-file = /nonexistent")
    done = subprocess.run([alone / "popper", "--check", "-f", site.conf], capture_output=True, text=True, check=False, timeout=60)
    equal("exit status", done.returncode, 2)
    if built("xmangle"):
        has([t for _, t in site.check()], rf"^XMANGLE: {POPPER.parent}/popper-mangle$")
    assert re.search(r"error: TLS: .*popper-tls\.so (is missing|cannot be loaded|is of another)|error: TLS: .*/nonexistent", done.stdout), done.stdout
    if built("xmangle") and not os.path.exists("/usr/local/lib/popper-mangle"):
        assert re.search(r"warning: XMANGLE: .*popper-mangle is missing", done.stdout), done.stdout


def drac(site):
    need(built("drac-host"), "no DRAC in this build")
    if not SANITIZED:  # their xdrmem_create looks for that of a libtirpc which was there from the start
        site.set("drac-host = 127.0.0.1")
        said = site.is_well()
        has(said, r"^popper-drac\.so can be loaded$")
        has(said, r"^drac-host: 127\.0\.0\.1 has an IPv4 address")
    nobodys = "x" * 64 + ".invalid"  # no name server is asked for that
    site.set(f"drac-host = {nobodys}")
    site.finds("error", rf"drac-host: no IPv4 address of drac-host {nobodys} can be found: .*; correct drac-host or the name service$")
    site.set("drac-host = 127.0.0.1")
    alone = site.dir / "alone"
    alone.mkdir()
    shutil.copy(POPPER, alone / "popper")
    possible(not os.path.exists("/usr/local/lib/popper-drac.so"), "popper is installed here")
    done = subprocess.run([alone / "popper", "--check", "-f", site.conf], capture_output=True, text=True, check=False, timeout=60)
    assert re.search(r"(?m)^error: .*popper-drac\.so", done.stdout) and done.returncode == 2, done.stdout
    version = subprocess.run([POPPER, "-v"], capture_output=True, check=True).stdout.split()[2]
    (alone / "popper-drac.so").write_bytes((POPPER.parent / "popper-drac.so").read_bytes().replace(version + b"\0", version[:-1] + b"z\0"))
    done = subprocess.run([alone / "popper", "--check", "-f", site.conf], capture_output=True, text=True, check=False, timeout=60)
    assert re.search(r"(?m)^error: .*popper-drac\.so is of another version \(\S+z\) than popper ", done.stdout), done.stdout


def keytab(site):
    need(built("kerberos"), "no Kerberos in this build")
    etc = site.dir / "etc"
    etc.mkdir()
    (etc / "krb5.conf").write_text("[libdefaults]\ndefault_realm = EXAMPLE.ORG\ndns_lookup_kdc = false\n")
    wrapper = mounted(f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc")
    possible(subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode == 0, "no overlayfs here")
    replay = site.dir / "replay"
    site.set("kerberos", f"kerberos-keytab = {site.dir}/keytab", f"kerberos-replay-dir = {replay}")
    site.finds("error", r"^kerberos: .*keytab", wrapper=wrapper)
    replay.mkdir(mode=0o755)
    replay.chmod(0o755)
    found = site.check(wrapper=wrapper)
    assert any(level == "error" and "kerberos-replay-dir" in text and "mode 0700" in text for level, text in found), found
    if shutil.which("ktutil"):
        replay.chmod(0o700)
        subprocess.run(["ktutil"], input=f"addent -password -p rcmd/host.example@EXAMPLE.ORG -k 1 -e aes256-cts-hmac-sha1-96\nx\nwkt {site.dir}/keytab\n", text=True,
                       check=True, capture_output=True)
        has(site.is_well(wrapper=wrapper), r"^kerberos: the keytab has keys for rcmd/HOST$")


def gssapi(site):
    """Without kerberos it needs the keys too, of its own service, the replay cache, and one module more."""
    need(built("gssapi"), "no GSSAPI in this build")
    etc, alone, replay = site.dir / "etc", site.dir / "alone", site.dir / "replay"
    for directory in etc, alone:
        directory.mkdir()
    (etc / "krb5.conf").write_text("[libdefaults]\ndefault_realm = EXAMPLE.ORG\ndns_lookup_kdc = false\n")
    wrapper = mounted(f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc")
    possible(subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode == 0, "no overlayfs here")
    site.set("gssapi", "kerberos-service = rcmd", f"kerberos-keytab = {site.dir}/keytab", f"kerberos-replay-dir = {replay}")
    equal("lines", len(site.finds("error", rf"^gssapi: .*{site.dir}/keytab", wrapper=wrapper)), 1)
    replay.mkdir()
    replay.chmod(0o1777)
    site.finds("error", r"^gssapi: .*keytab|^kerberos-replay-dir .* must be .* with mode 0700", wrapper=wrapper)
    has([t for level, t in site.check(wrapper=wrapper) if level == "error"], r"^kerberos-replay-dir ")
    has([t for level, t in site.check(wrapper=wrapper) if level == "ok"], r"^popper-gsasl\.so can be loaded$")
    for name in "popper", "popper-krb5.so":
        shutil.copy(POPPER.parent / name, alone / name)
    done = subprocess.run([*wrapper, alone / "popper", "--check", "-f", site.conf], capture_output=True, text=True, check=False, timeout=60)
    equal("exit status", done.returncode, 2)
    if not os.path.exists("/usr/local/lib/popper-gsasl.so"):
        assert re.search(r"error: .*popper-gsasl\.so is missing", done.stdout), done.stdout
    if shutil.which("ktutil"):
        replay.chmod(0o700)
        for service, well_now in (("rcmd", False), ("pop", True)):
            subprocess.run(["ktutil"], input=f"addent -password -p {service}/host.example@EXAMPLE.ORG -k 1 -e aes256-cts-hmac-sha1-96\nx\nwkt {site.dir}/keytab\n",
                           text=True, check=True, capture_output=True)
            if well_now:
                has(site.is_well(wrapper=wrapper), r"^gssapi: the keytab has keys for pop/HOST$")
            else:
                site.finds("error", r"^gssapi: .*pop/", wrapper=wrapper)


def names(site):
    site.set("downcase-user", "trim-domain")
    has(site.is_well("Alice@Example.ORG"), r"^Alice@Example\.ORG logs in as alice$")
    site.set()
    site.finds("error", r'"\.\./bob" can be nobody\'s name', "../bob")
    found = site.finds("error", r"can be nobody's name", "a\nb\033[1m")
    assert r"a\x0ab\x1b[1m" in found[0][1], found


def maildrop_kinds(site):
    site.fill("alice", b"this is no mbox\n")
    site.finds("error", r"does not begin with a From_ line", "alice")
    site.fill("alice", MAIL)
    site.drop().chmod(0o644)
    site.finds("warning", r"/alice can be read by everybody \(mode 0644\)", "alice")
    site.drop().unlink()
    site.drop().symlink_to("/etc/passwd")
    site.finds("error", r"/alice", "alice")
    site.drop().unlink()
    os.mkfifo(site.drop(), 0o600)
    if ROOT:
        os.chown(site.drop(), site.users["alice"], 0)
    site.finds("error", r"/alice", "alice")
    site.drop().unlink()
    has(site.is_well("alice"), r"/alice \(not there yet\): 0 messages")
    if ROOT:
        site.fill("alice", MAIL)
        os.chown(site.drop(), FIRST_UID + 9, 0)
        site.finds("error", r"/alice", "alice")


def leftovers(site):
    pop = site.spool / ".alice.pop"
    site.fill("alice", mbox.message(9), pop)
    site.finds("warning", r"a temp drop that an earlier server left for .*/alice holds 1 messages: they are listed first", "alice")
    has([t for _, t in site.check("alice")], r"/alice: 5 messages")
    pop.write_bytes(b"garbage\n")
    site.finds("warning", r"the temp drop that was left .* is no mbox file", "alice")
    pop.unlink()
    site.fill("alice", b"x", site.spool / ".alice.orphan.1700000000")
    site.fill("alice", b"x", site.spool / ".alice.next")
    complaints = site.finds("warning", r"\.alice\.orphan\.1700000000 beside .* did not fit the maildrop|\.alice\.next beside .* may be removed", "alice")
    equal("lines", len(complaints), 2)
    (site.spool / ".alice.orphan.1700000000").unlink()
    (site.spool / ".alice.next").unlink()
    (site.spool / ".alice.lock.new").touch()
    (site.spool / ".alice.lock.old.0123456789abcdef").touch()
    complaints = site.finds("warning", r"\.alice\.lock\.(new|old\.0123456789abcdef) beside .* by a dot lock .* no mail", "alice")
    equal("lines about dot locks", len(complaints), 2)


def rights_over_journal(site):
    """Who reads a journal, which its owner can write, has given up the spool's group for good before it is opened."""
    need(ROOT, "needs root")
    os.chown(site.spool, 0, MAIL_GID)
    site.spool.chmod(0o2775)
    site.group = MAIL_GID
    site.fill("alice", MAIL)
    interrupt(site, "alice", 3)
    assert (site.spool / ".alice.journal").exists(), "the session was not cut where it matters"
    calls = site.dir / "calls"
    site.check("alice", wrapper=("strace", "-f", "-qq", "-o", calls, "-e", "trace=setresgid,?setresgid32,openat"))
    lines = calls.read_text().replace("setresgid32(", "setresgid(").splitlines()
    opened = next(i for i, line in enumerate(lines) if '".alice.journal"' in line)
    reader = lines[opened].split()[0]
    gid = FIRST_UID
    before = [" ".join(line.split()[1:]) for line in lines[:opened] if line.split()[0] == reader and "setresgid" in line]
    assert f"setresgid({gid}, {gid}, {MAIL_GID}) = 0" in before, f"the group was not at hand: {before}"
    assert f"setresgid({gid}, {gid}, {gid}) = 0" in before, f"the journal was opened by a process that can take the group again: {before}"


def journal(site):
    interrupt(site, "alice", 3)
    path = site.spool / ".alice.journal"
    assert path.exists()
    site.finds("warning", r"\.alice\.journal: an update .*; the next login or popper --recover settles it: never remove it", "alice")
    path.write_bytes(b"From me Mon Jan  1 10:00:00 2024\n\nno journal\n")
    site.finds("warning", r"\.alice\.journal is no journal of ours", "alice")
    path.write_bytes(b"popper journal 9: do not edit\n" + bytes(482))
    site.finds("error", r"\.alice\.journal was written by a newer popper", "alice")
    path.unlink()
    path.symlink_to("/etc/passwd")
    site.finds("error", r"\.alice\.journal: .*; logins fail", "alice")


def dot_locks(site):
    lock = site.spool / "alice.lock"
    dead = subprocess.Popen(["true"])
    dead.wait()
    lock.write_text("0")
    site.finds("warning", r"alice\.lock was made \d+ s ago by another program", "alice")
    os.utime(lock, (1, 1))
    site.finds("warning", r"alice\.lock is \d+ s old: stale; the next login breaks it", "alice")
    boot = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()
    namespace = os.readlink("/proc/self/ns/pid")
    lock.write_text(f"{dead.pid} {socket.gethostname()} {boot} 1 {namespace}\n")
    found = site.finds("warning", r"alice\.lock ", "alice")
    return found[0][1]


def option_files(site):
    site.set("user-options")
    path = site.home("alice") / ".qpopper-options"
    path.write_text("set server-mode\nset spool-dir = /tmp\nset nonsense = 1\n")
    if ROOT:
        os.chown(path, site.users["alice"], 0)
    complaints = site.finds("warning", r"spool-dir may not be set in the option file of a user's home|unknown option \"nonsense\"", "alice")
    equal("lines", len(complaints), 2)
    has([t for _, t in site.check("alice")], r"/alice, in server mode: 4 messages")


def home_mail(site):
    site.set("home-dir-mail = Mailbox")
    site.fill("alice", MAIL, site.home("alice") / "Mailbox")
    has(site.is_well("alice"), rf"^{site.home('alice')}/Mailbox: 4 messages")
    has(site.is_well(), r"maildrops are in the homes")


def as_user(site):
    """An ordinary user looks at himself, and at others in vain."""
    need(ROOT, "not root: all the cases are")
    (site.dir / "passwd").chmod(0o644)
    site.conf.chmod(0o644)
    me = {"user": site.users["alice"], "group": site.users["alice"], "extra_groups": []}
    found = site.finds("warning", r"everybody can read the hashes", "alice", **me)
    texts = [t for _, t in site.check("alice", **me)]
    has(texts, r"^not started as root: sessions have uid 64001")
    has(texts, rf"^{site.drop()}: 4 messages")
    site.fill("bob", MAIL)
    found = site.check("bob", **me)
    has([t for _, t in found], r"the maildrop of bob is not looked at: only root and uid 64002 may")
    site.drop().chmod(0o400)
    found = site.check("alice", **me)
    has([t for level, t in found if level == "error"], r"/alice.*Permission denied")


def resolver(site):
    need(built("reverse-lookup"), "no resolver in this build")
    site.conf.write_text(site.conf.read_text().replace("set reverse-lookup = false\n", ""))
    has(site.is_well(), r"^reverse-lookup: 127\.0\.0\.1 (is localhost|has no name) \(looked up in \d+ ms\)")
    etc = site.dir / "etc"
    etc.mkdir()
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:9\n")
    (etc / "nsswitch.conf").write_text("hosts: dns\n")
    # A name server that never answers, on the loopback of a network namespace of our own.
    silent = ("import socket, subprocess, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('127.0.0.1', 53))\n"
              "sys.exit(subprocess.call(sys.argv[1:]))")
    mounts = " && ".join(f"mount --bind {etc}/{f} /etc/{f}" for f in ("resolv.conf", "nsswitch.conf"))
    wrapper = ("unshare", "-n", *mounted(f"ip link set lo up && {mounts}"), sys.executable, "-c", silent)
    site.finds("warning", r"^reverse-lookup: the name of 127\.0\.0\.1 took \d{4} ms to look up, and each login waits", wrapper=wrapper)


def certificate(site, name, *words, host=None, key=None):
    """A PEM file of certificate and key. -> its path"""
    path = site.dir / f"{name}.pem"
    host = host or socket.gethostname()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-addext",
                    f"subjectAltName=DNS:{host}", "-keyout", path, "-out", site.dir / "crt", *words], check=True, capture_output=True)
    path.write_text((site.dir / "crt").read_text() + (key or path.read_text()))
    path.chmod(0o600)
    return path


def tls(site):
    need(built("tls-support") and shutil.which("openssl"), "no TLS in this build, or no openssl")
    missing = "/nonexistent/cert.pem"
    site.set("tls-support = stls", f"tls-server-cert-file = {missing}")
    site.finds("error", rf"TLS: .*{missing} cannot be opened: No such file")
    good = certificate(site, "good", "-days", "100")
    site.set("tls-support = stls", f"tls-server-cert-file = {good}")
    # No authority knows it.
    found = site.finds("warning", r"the certificate in .*good\.pem is signed by itself")
    equal("lines", len(found), 1)
    has([t for _, t in site.check()], rf"^certificate in {good}: for \S+; (99|100) days are left; issuers in the file: 0")
    soon = certificate(site, "soon", "-days", "5")
    site.set("tls-support = stls", f"tls-server-cert-file = {soon}")
    site.finds("warning", r"soon\.pem expires at", beside="signed by itself")
    other = certificate(site, "other", "-days", "100", host="other.example")
    site.set("tls-support = stls", f"tls-server-cert-file = {other}")
    site.finds("warning", r"no certificate is for \S+, the name of this host", beside="signed by itself")
    wrong = certificate(site, "wrong", "-days", "100", key=good.read_text())
    site.set("tls-support = stls", f"tls-server-cert-file = {wrong}")
    found = site.check()
    assert any(level == "error" and re.search(r"belongs? to (the )?certificate", text) for level, text in found), found
    good.chmod(0o644)
    site.set("tls-support = stls", f"tls-server-cert-file = {good}")
    site.finds("error", r"can be read by others than its owner \(mode 0644\)")
    good.chmod(0o600)
    site.set("tls-support = stls", f"tls-server-cert-file = {good}", "tls-cipher-list = NONSENSE")
    site.finds("error", r"tls-cipher-list = NONSENSE")


def chain(site):
    """An authority of the host's, an issuer between, with and without it in the file."""
    need(built("tls-support") and shutil.which("openssl"), "no TLS in this build, or no openssl")
    host = socket.gethostname()

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=site.dir)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.crt", "-days", "300")
    (site.dir / "ca.ext").write_text("basicConstraints=critical,CA:true\n")
    (site.dir / "leaf.ext").write_text(f"subjectAltName=DNS:{host}\n")
    for name, issuer, ext in (("between", "root", "ca.ext"), ("leaf", "between", "leaf.ext")):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial", "-days", "200", "-extfile", ext,
                "-out", f"{name}.crt")
    whole, alone = site.dir / "whole.pem", site.dir / "alone.pem"
    read = {n: (site.dir / n).read_text() for n in ("leaf.crt", "leaf.key", "between.crt")}
    whole.write_text(read["leaf.crt"] + read["between.crt"] + read["leaf.key"])
    alone.write_text(read["leaf.crt"] + read["leaf.key"])
    for path in whole, alone:
        path.chmod(0o600)
    site.set("tls-support = alternate-port", f"tls-server-cert-file = {whole}")
    site.finds("warning", r"will refuse the certificate in .*whole\.pem: self-signed certificate in certificate chain|unable to get (local )?issuer certificate")
    site.set("tls-support = alternate-port", f"tls-server-cert-file = {alone}")
    site.finds("warning", r"its issuers' certificates are missing from the file: use the full chain")
    where = subprocess.run(["openssl", "version", "-d"], capture_output=True, text=True, check=True).stdout.split('"')[1]
    store = os.path.realpath(f"{where}/certs")
    hashed = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", site.dir / "root.crt"], capture_output=True, text=True, check=True).stdout.strip()
    trusted = site.dir / "trusted"
    trusted.mkdir()
    shutil.copy(site.dir / "root.crt", trusted / f"{hashed}.0")
    wrapper = mounted(f"mount --bind {trusted} {store}")
    site.set("tls-support = alternate-port", f"tls-server-cert-file = {whole}")
    has(site.is_well(wrapper=wrapper), r"certificate in .*whole\.pem: for .*issuers in the file: 1")
    site.set("tls-support = alternate-port", f"tls-server-cert-file = {alone}")
    site.finds("warning", r"unable to get local issuer certificate; its issuers' certificates are missing", wrapper=wrapper)


def run(case):
    def inner():
        site = Doctor(users=("alice", "bob"))
        try:
            (site.dir / "passwd").chmod(0o600)
            return case(site)
        finally:
            site.remove()
    return inner


CASES = [well, sample, index_states, open_session, wrong_settings, several_files, obsolete_word, config_modes, nested_config, null_is_nobodys_to_mend, user_files, trace_file, mail_command, secrets,
         clear_text, bulletins, bulletin_database, new_bulletins, spool_missing, spool_modes, temp_and_cache, hashed, what_is_lost,
         one_thing_about_a_missing_temp_dir, jail, locks, file_systems, network_file_systems, privsep, system_users,
         pam, modules, drac, keytab, gssapi, names, maildrop_kinds, leftovers, journal, rights_over_journal, dot_locks, option_files, home_mail, as_user, resolver, tls, chain]

if __name__ == "__main__":
    sys.exit(run_cases([(case.__name__.replace("_", " "), run(case)) for case in CASES]))
