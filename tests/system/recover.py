#!/usr/bin/python3
"""recover.py: popper --recover: journals that real sessions left when they were killed in UPDATE are settled without a login. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from cases import ROOT, SANITIZED, Missing, equal, need, run_cases
from spoolsite import FIRST_UID, MAIL_GID, POPPER, Session, Site
import mbox

BEFORE = b"".join(mbox.message(n) for n in range(1, 5))
AFTER = b"".join(mbox.message(n) for n in (1, 3, 4))
KILLS = 4  # at the first three fsyncs or so the journal stays, at one of them with a torn maildrop; found out below


def interrupt(site, user, n, *arguments):
    """A session that deletes message 2, each process of which is killed at its n-th fsync."""
    need(shutil.which("strace") and not SANITIZED, "no strace, or a build with sanitizers")
    wrapper = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", f"inject=fsync:signal=KILL:when={n}")
    session = Session(site, user, arguments, wrapper)
    session.must("DELE 2")
    session.say("QUIT")
    session.close()


def journals(directory):
    return sorted(p.name for p in directory.rglob(".*.journal"))


def check_settled(site, drop_of):
    equal("journals left", journals(site.dir), [])
    for name in site.users:
        assert drop_of(name).read_bytes() in (BEFORE, AFTER), f"{name}: the maildrop is torn"


def make_directories(site, directory):
    """Hash directories, with the mode of the spool."""
    if not directory.exists():
        make_directories(site, directory.parent)
        directory.mkdir()
        directory.chmod(site.spool.stat().st_mode & 0o7777)


def several_users(config, spool_mode, spool_gid, drop_of):
    names = [f"user{n}" for n in range(1, KILLS + 1)]
    if drop_of is hashed_drop:
        names[0] = "u.1"  # whose second directory is "."
    site = Site(names, config, spool_mode, spool_gid)
    try:
        torn = 0
        for n, name in enumerate(names, 1):
            make_directories(site, drop_of(site, name).parent)
            site.fill(name, BEFORE, drop_of(site, name))
            interrupt(site, name, n)
            torn += drop_of(site, name).read_bytes() not in (BEFORE, AFTER)
        left = [name for name in names if drop_of(site, name).with_name(f".{drop_of(site, name).name}.journal").exists()]
        assert len(left) >= 3 and torn, f"the sessions were not cut where it matters: {left}, {torn} torn"
        if config and "home" not in config[0]:
            (site.spool / "x").mkdir(exist_ok=True)
            (site.spool / "x" / ".user2.journal").touch()  # not where user2's would be
        got = site.run("--recover")
        expected = "".join(f"{name}: settled\n" for name in left)
        equal("what it says", got.stdout, expected)
        equal("exit status", got.returncode, 0)
        (site.spool / "x" / ".user2.journal").unlink(missing_ok=True)
        check_settled(site, lambda name: drop_of(site, name))
        for name in names:
            session = site.open(name)
            equal(f"{name}: messages", session.count(), 4 if drop_of(site, name).read_bytes() == BEFORE else 3)
            session.quit()
        equal("a second time", (site.run("--recover").stdout, site.run("--recover").returncode), ("", 0))
        return f"{len(left)} journals, {torn} maildrops torn before"
    finally:
        site.remove()


def listed(site, name):
    """Numbers of the sample messages that a session sees, sorted."""
    session = site.open(name)
    found = [int(re.search(rb"(?mi)^message-id: <(\d+)@", b"\n".join(session.body(f"TOP {n} 0"))).group(1)) for n in range(1, session.count() + 1)]
    session.quit()
    return sorted(found)


def temp_dir_moves():
    """A session that had the mail of an old temp drop is killed; the next login has another temp-dir, the one after that the first again."""
    names = [f"user{n}" for n in range(1, 9)]
    site = Site(names)
    try:
        elsewhere = site.dir / "elsewhere"
        elsewhere.mkdir()
        elsewhere.chmod(0o1777)
        left = done = 0
        for n, name in enumerate(names, 1):
            site.fill(name, BEFORE)
            site.fill(name, mbox.message(20) + mbox.message(21), site.spool / f".{name}.pop")
            interrupt(site, name, n)  # deletes 21
            left += (site.spool / f".{name}.journal").exists()
        site.configure(f"temp-dir = {elsewhere}")
        for name in names:
            now = listed(site, name)
            assert now in ([1, 2, 3, 4], [1, 2, 3, 4, 20]), f"{name} with the other temp-dir: {now}"
            done += 20 in now
        site.configure()
        for name in names:
            now = listed(site, name)
            assert now in ([1, 2, 3, 4, 20], [1, 2, 3, 4, 20, 21]), f"{name} with the first temp-dir: {now}"
        equal("journals left", journals(site.dir), [])
        assert left >= 3 and 0 < done < len(names), f"{left} journals, {done} finished"
        return f"{left} journals; {done} of {len(names)} had been committed"
    finally:
        site.remove()


def one_user():
    site = Site(("alice", "bob"))
    try:
        for name in site.users:
            site.fill(name, BEFORE)
            interrupt(site, name, 3)
        equal("journals", journals(site.dir), [".alice.journal", ".bob.journal"])
        got = site.run("--recover", "bob")
        equal("what it says", (got.stdout, got.returncode), ("bob: settled\n", 0))
        equal("journals left", journals(site.dir), [".alice.journal"])
        got = site.run("--recover", "bob")
        equal("again", (got.stdout, got.returncode), ("bob: nothing to do\n", 0))
        got = site.run("--recover", "../bob")
        equal("no name", (got.stdout, got.returncode), ("--recover: not a possible user name: ../bob\n", 1))
        got = site.run("--recover", "carol")
        equal("nobody", (got.stdout, got.returncode), ("carol: could not be settled: no such user\n", 1))
    finally:
        site.remove()


def nothing_is_made():
    site = Site(("alice",))
    try:
        site.fill("alice", BEFORE)
        got = site.run("--recover", "alice")
        equal("what it says", (got.stdout, got.returncode), ("alice: nothing to do\n", 0))
        equal("files", sorted(p.name for p in site.spool.iterdir()), ["alice"])
    finally:
        site.remove()


def what_cannot_be():
    """Somebody else's file with the name of a journal, a name that nobody has, a maildrop in use: said, and nothing is touched."""
    site = Site(("alice", "bob", "carol"))
    try:
        for name in site.users:
            site.fill(name, BEFORE)
        bait = site.spool / ".alice.journal"
        bait.write_bytes(b"#!popper journal\nx\n")
        if ROOT:
            os.chown(bait, FIRST_UID + 7, FIRST_UID + 7)
        else:
            bait.chmod(0o666)
        (site.spool / ".nobodyhere.journal").touch()
        (site.spool / ".bad name.journal").touch()
        (site.spool / ".carol.journal").symlink_to("/etc/passwd")
        busy = site.open("bob")
        (site.spool / ".bob.journal").touch()
        got = site.run("--recover")
        equal("exit status", got.returncode, 1)
        lines = got.stdout.splitlines()
        equal("lines", [line.split(":")[0] for line in lines], ["alice", "bob", "carol", "nobodyhere"])
        for line in lines:
            assert re.match(r"[a-z]+: could not be settled: .{8}", line), line
        assert "no such user" in lines[3], lines[3]
        equal("maildrop of alice", site.drop("alice").read_bytes(), BEFORE)
        equal("the other's file", bait.read_bytes(), b"#!popper journal\nx\n")
        busy.must("NOOP")
        busy.close()
        return " | ".join(lines)
    finally:
        site.remove()


def long_journal():
    """Its owner can make it as long as he likes: the others, and the start of the host, do not wait until all of it is read."""
    site = Site(("alice", "bob"))
    try:
        for name in site.users:
            site.fill(name, BEFORE)
            interrupt(site, name, 3)
        os.truncate(site.spool / ".alice.journal", 1 << 40)
        got = site.run("--recover", timeout=60)
        equal("what it says", (got.stdout, got.returncode), ("alice: settled\nbob: settled\n", 0))
        check_settled(site, site.drop)
    finally:
        site.remove()


def time_is_up():
    """One maildrop that takes too long, for which a signal as from the clock stands here, does not keep the others waiting."""
    site = Site(("alice", "bob"))
    try:
        for name in site.users:
            site.fill(name, BEFORE)
            interrupt(site, name, 3)
        late = ("strace", "-f", "-qq", "-o", site.dir / "calls", "-e", "trace=alarm", "-e", "inject=alarm:signal=ALRM")
        got = subprocess.run([*late, POPPER, "--recover", "-f", site.conf, "-t", site.trace], capture_output=True, text=True, check=False, timeout=60)
        text = "could not be settled: it took longer than 600 seconds; look how large the maildrop and its journal are; the next login goes on"
        equal("what it says", (got.stdout, got.returncode), (f"alice: {text}\nbob: {text}\n", 1))
        assert f"--recover: maildrop of bob: {text[22:]}" in site.log(), site.log()
        equal("and without that", site.run("--recover").stdout, "alice: settled\nbob: settled\n")
        check_settled(site, site.drop)
    finally:
        site.remove()


def not_root_but_others():
    """As an ordinary user: others' maildrops are left alone and named."""
    need(ROOT, "not root")
    site = Site(("alice", "bob"))
    try:
        for name in site.users:
            site.fill(name, BEFORE)
            interrupt(site, name, 3)
        os.chown(site.trace, site.users["bob"], 0)
        got = site.run("--recover", user=site.users["bob"], group=site.users["bob"], extra_groups=[])
        equal("exit status", got.returncode, 1)
        lines = got.stdout.splitlines()
        assert lines[0].startswith("alice: could not be settled: ") and lines[1:] == ["bob: settled"], lines
        equal("journals left", journals(site.dir), [".alice.journal"])
        return lines[0]
    finally:
        site.remove()


def boot_unit():
    unit = os.path.join(os.environ.get("srcdir", "."), "samples", "popper-recover.service")
    need(shutil.which("systemd-analyze"), "no systemd-analyze")
    with open(unit, encoding="ascii") as file:
        text = file.read().replace("/usr/local/lib/popper", "/bin/true")
    site = Site()
    try:
        (site.dir / "popper-recover.service").write_text(text)
        got = subprocess.run(["systemd-analyze", "verify", "--man=no", site.dir / "popper-recover.service"], capture_output=True, text=True, check=False)
        lines = [line for line in got.stderr.splitlines() if "popper-recover" in line]
        assert got.returncode == 0 and not lines, got.stderr
    finally:
        site.remove()


def units_start_in_order():
    """All samples enabled, with the socket: at boot systemd must not have to leave one out, and the search comes before who serves mail."""
    need(shutil.which("systemd-analyze"), "no systemd-analyze")
    samples = os.path.join(os.environ.get("srcdir", "."), "samples")
    site = Site()
    try:
        texts = {}
        for name in ("popper.socket", "popper.service", "popper@.service", "popper-recover.service"):
            with open(os.path.join(samples, name), encoding="ascii") as file:
                texts[name] = file.read().replace("/usr/local/lib/popper ", "/bin/true ")
            (site.dir / name).write_text(texts[name])
        for target, name in (("sockets", "popper.socket"), ("multi-user", "popper-recover.service")):
            (site.dir / f"{target}.target.wants").mkdir()
            (site.dir / f"{target}.target.wants" / name).symlink_to(f"../{name}")
        got = subprocess.run(["systemd-analyze", "verify", "--man=no", "multi-user.target"], capture_output=True, text=True, check=False,
                             env={**os.environ, "SYSTEMD_UNIT_PATH": f"{site.dir}:"})
        # Other units of the host may have their own.
        equal("cycles", [line for line in got.stderr.splitlines() if "popper" in line and re.search("cycle|dependency on", line)], [])
        # A template cannot be named by whom it waits for.
        assert re.search(r"(?m)^Before=popper\.service ", texts["popper-recover.service"]), "popper.service does not wait"
        assert re.search(r"(?m)^After=.*popper-recover\.service", texts["popper@.service"]), "popper@.service does not wait"
    finally:
        site.remove()


def cron_line():
    """The command of the sample as cron would run it, with our paths, and with a logger that shows what it was given."""
    with open(os.path.join(os.environ.get("srcdir", "."), "samples", "popper-recover.cron"), encoding="ascii") as file:
        lines = [line for line in file.read().splitlines() if line and not line.startswith("#")]
    equal("lines of the sample", len(lines), 1)
    when, user, command = lines[0].split(None, 2)
    equal("when, and as whom", (when, user), ("@reboot", "root"))
    assert "%" not in command, f"cron makes line ends of %: {command}"
    names = [f"user{n}" for n in range(1, KILLS + 1)]
    site = Site(names)
    try:
        for n, name in enumerate(names, 1):
            site.fill(name, BEFORE)
            interrupt(site, name, n)
        left = [name for name in names if f".{name}.journal" in journals(site.dir)]
        assert any(site.drop(name).read_bytes() not in (BEFORE, AFTER) for name in left), f"no maildrop is torn: {left}"
        ours = command.replace("/usr/local/lib/popper ", f"{POPPER} -f {site.conf} -t {site.trace} ")
        assert ours != command, f"the server has another path: {command}"
        logger = site.dir / "logger"
        logger.write_text('#!/bin/sh\necho "$@"\ncat\n')
        logger.chmod(0o755)
        got = subprocess.run(["/bin/sh", "-c", ours], capture_output=True, text=True, check=False, timeout=60, cwd="/",
                             env={"PATH": f"{site.dir}:/usr/bin:/bin"})
        equal("what it says", (got.stdout, got.stderr, got.returncode), ("-t popper -p local0.info\n" + "".join(f"{n}: settled\n" for n in left), "", 0))
        check_settled(site, site.drop)
    finally:
        site.remove()


def spool_drop(site, name):
    return site.drop(name)


def hashed_drop(site, name):
    return site.spool / name[0] / name[1] / name


def home_drop(site, name):
    return site.home(name) / "Mailbox"


def as_ordinary_user():
    """Everything once more as who is not root; from a copy, since the tree may be where only root can go."""
    if not ROOT:
        raise Missing("not root")
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory(prefix="popper-recover.") as copy:
        os.chmod(copy, 0o755)
        for room in ("system", "wire"):
            shutil.copytree(os.path.join(tests, room), os.path.join(copy, "tests", room), ignore=shutil.ignore_patterns("*.log", "*.trs", "*.o"))
        shutil.copytree(os.path.join(os.path.dirname(tests), "samples"), os.path.join(copy, "samples"))
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        server = shutil.copy(POPPER, os.path.join(copy, "popper"))
        status = subprocess.run(["/usr/bin/python3", "-B", os.path.join(copy, "tests/system/recover.py")], user=FIRST_UID, group=FIRST_UID,
                                extra_groups=[], cwd=copy, env={**os.environ, "POPPER": server, "srcdir": copy}, capture_output=True,
                                text=True, check=False)
    assert status.returncode == 0, status.stdout + status.stderr


CASES = [
    ("killed in UPDATE, several users", several_users, (), 0o1777, 0, spool_drop),
    ("killed in UPDATE, in a spool root:mail 2775", several_users, (), 0o2775, MAIL_GID, spool_drop),
    ("killed in UPDATE, in hash directories", several_users, ("hash-spool = 2",), 0o1777, 0, hashed_drop),
    ("killed in UPDATE, in home directories", several_users, ("home-dir-mail = Mailbox",), 0o1777, 0, home_drop),
    ("temp-dir is another one at the next login", temp_dir_moves),
    ("one user", one_user),
    ("where there is nothing to do nothing is made", nothing_is_made),
    ("what cannot be settled is said and not touched", what_cannot_be),
    ("a long journal", long_journal),
    ("one maildrop that takes too long", time_is_up),
    ("an ordinary user settles his own", not_root_but_others),
    ("the sample of a boot unit", boot_unit),
    ("the samples of all units start in order", units_start_in_order),
    ("the sample of a line for cron", cron_line),
    ("as an ordinary user", as_ordinary_user),
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
