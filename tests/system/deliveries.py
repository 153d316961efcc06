#!/usr/bin/python3
"""deliveries.py: mail is delivered by the programs of others, each with its own kind of lock, while POP sessions retrieve and delete at random. Every message
carries a serial number; in the end each has either been retrieved whole and deleted under a +OK to QUIT, or stands whole in the maildrop: exactly once. Prints TAP.

As root, in a mount namespace with its own /etc, Exim and Postfix deliver, too (unpacked, see quickstart, or installed). POPPER_TESTS=long: 1,000 deliveries
during 200 sessions for each case; short: nothing.
"""
import ctypes
import os
import pathlib
import random
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import time

from cases import FORM, ROOT, equal, need, run_cases, skip_all
from spoolsite import FIRST_UID, MAIL_GID, Site
import mbox

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
DELIVERIES, SESSIONS = (1000, 200) if FORM == "long" else (60, 20)
SEED = int(os.environ.get("POPPER_SEED", time.time_ns() % 1000000))
PATIENCE = 60  # seconds for the last of them
STAMP = "Mon Jan  1 10:00:00 2024"
USERS = [f"user{i}" for i in range(1, 101 if FORM == "long" else 7)]
CLIENTS = 2 * len(USERS)  # at once: 200 in the long form


def unpacked(package, path):
    """A file of a package that is unpacked (quickstart puts it there), or installed."""
    for root in (pathlib.Path(".work/unpacked") / package, TESTS.parent / ".work/unpacked" / package, pathlib.Path("/")):
        if (root / path).exists():
            return (root / path).absolute()
    return None


def body(serial):
    return "".join(f"serial {serial}, line {i}\n" for i in range(serial * 7 % 60)) + f"end of {serial}\n"


def message(serial):
    return f"From: s{serial}@example.com\nMessage-ID: <{serial}@example.com>\nSubject: serial {serial}\nDate: Mon, 1 Jan 2024 10:00:00 +0000\n\n{body(serial)}"


def serial_of(lines):
    """Of a whole message as lines; what is not whole is none."""
    text = b"\n".join(lines).decode("latin-1")
    header, _, rest = text.partition("\n\n")
    found = re.search(r"(?m)^Subject: serial (\d+)$", header)
    assert found, f"no message of ours: {text!r}"
    serial = int(found.group(1))
    equal(f"the body of {serial}", rest.rstrip("\n"), body(serial).rstrip("\n"))
    return serial


# ---- agents: each delivers to a user or raises

class Agent:
    def __init__(self, site):
        self.site = site

    def close(self):
        pass

    def run(self, name, command, text):
        ids = {"user": self.site.users[name], "group": self.site.users[name], "extra_groups": [self.site.group] if self.site.group else []} if ROOT else {}
        environment = {"HOME": str(self.site.home(name)), "LOGNAME": name, "PATH": "/usr/bin:/bin", "LANG": "C"}
        subprocess.run(command, input=text.encode(), env=environment, cwd="/", capture_output=True, check=True, timeout=PATIENCE, umask=0o077, **ids)


def mbox_text(serial):
    return f"From sender@example.com {STAMP}\n{message(serial)}\n"


class Procmail(Agent):
    """A dot lock of its own and the kernel's lock that it was built with (fcntl on Debian)."""
    needs = ["procmail"]

    def deliver(self, name, serial):
        rc = self.site.home(name) / "procmailrc"
        if not rc.exists():
            rc.write_text(f"SHELL=/bin/sh\nLOCKSLEEP=1\nORGMAIL=/dev/null\nDEFAULT={self.site.home(name)}/never\n:0:\n{self.site.drop(name)}\n")
            rc.chmod(0o644)
        self.run(name, ["procmail", "-m", rc], mbox_text(serial))


class Dotlockfile(Agent):
    """liblockfile's program; no other lock. Writes in pieces."""
    needs = ["dotlockfile"]
    script = 'dotlockfile -l -r 100 -i 1 "$0.lock" || exit 75; head -c 100 >>"$0"; sleep 0.01; cat >>"$0"; dotlockfile -u "$0.lock"'

    def deliver(self, name, serial):
        # In a spool of gid mail only the set-gid program makes the lock.
        self.run(name, ["sh", "-c", self.script, self.site.drop(name)], mbox_text(serial))


class FcntlOnly(Agent):
    needs = ["/usr/bin/python3"]
    script = """import fcntl, os, sys, time
text = sys.stdin.buffer.read()
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.write(fd, text[:100])
time.sleep(0.01)
os.write(fd, text[100:])
"""

    def deliver(self, name, serial):
        self.run(name, ["/usr/bin/python3", "-SE", "-c", self.script, self.site.drop(name)], mbox_text(serial))


class FlockOnly(Agent):
    needs = ["flock"]
    script = 'exec 9>>"$0"; flock 9; head -c 100 >&9; sleep 0.01; cat >&9'

    def deliver(self, name, serial):
        self.run(name, ["sh", "-c", self.script, self.site.drop(name)], mbox_text(serial))


class Exim(Agent):
    """Dot lock and fcntl, as root for the user."""

    def __init__(self, site):
        super().__init__(site)
        there = unpacked("exim4-daemon-light", "usr/sbin/exim4")
        need(there, "no exim4 (package exim4-daemon-light)")
        self.program = site.dir / "exim4"
        shutil.copy(there, self.program)
        self.program.chmod(0o4755)
        queue = site.dir / "exim"
        queue.mkdir()
        shutil.chown(queue, "Debian-exim")
        pathlib.Path("/etc/exim4").mkdir(exist_ok=True)
        conf = pathlib.Path("/etc/exim4/exim4.conf")
        conf.write_text(f"""exim_path = {self.program}
spool_directory = {queue}
log_file_path = {queue}/%slog
primary_hostname = test.invalid
qualify_domain = test.invalid
never_users =
keep_environment =
add_environment =
disable_ipv6
queue_run_max = 5
begin routers
local:
  driver = accept
  check_local_user
  transport = mbox
begin transports
mbox:
  driver = appendfile
  file = {site.spool}/$local_part_data
  mode = {"0660" if site.group else "0600"}
{"  group = mail" if site.group else ""}
  mode_fail_narrower = false
  lock_interval = 1s
  lock_retries = 60
begin retry
* * F,1h,1s
""")
        conf.chmod(0o644)

    def deliver(self, name, serial):
        subprocess.run([self.program, "-odi", "-oi", name], input=message(serial).encode(), capture_output=True, check=True, timeout=PATIENCE)

    def close(self):
        end = time.monotonic() + PATIENCE
        while subprocess.run([self.program, "-bpc"], capture_output=True, check=True).stdout.strip() != b"0":
            log = (self.site.dir / "exim" / "mainlog").read_text()
            assert time.monotonic() < end and "Frozen" not in log, f"Exim still has mail in its queue:\n{log[-1000:]}"
            subprocess.run([self.program, "-qff"], capture_output=True, check=False)


class Postfix(Agent):
    """Dot lock and fcntl, by its local(8)."""
    CONFIGURATION = None  # a directory; by default one of ours
    SERVICES = """127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
"""

    def __init__(self, site):
        super().__init__(site)
        master = unpacked("postfix", "usr/lib/postfix/sbin/master")
        need(master, "no Postfix (package postfix)")
        library = master.parent.parent
        self.dir = site.dir / "postfix"
        self.queue = self.dir / "queue"
        configuration = self.CONFIGURATION or self.dir
        self.lock = threading.Lock()
        self.port = 8000 + os.getpid() % 20000
        self.make_queue()
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.queue, "data_directory": self.dir / "data", "daemon_directory": master.parent,
            "command_directory": self.commands(library.parent.parent / "sbin"), "shlib_directory": library, "meta_directory": self.dir,
            "import_environment": "LD_LIBRARY_PATH MAIL_CONFIG", "maillog_file_prefixes": site.dir, "maillog_file": self.dir / "log",
            "myhostname": "test.invalid", "mydestination": "test.invalid", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8", "alias_maps": "", "alias_database": "", "mailbox_size_limit": "0", "mail_spool_directory": site.spool,
            "mailbox_delivery_lock": "fcntl, dotlock", "minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s",
            "biff": "no", "local_recipient_maps": "", "smtpd_peername_lookup": "no", "smtpd_client_connection_count_limit": "0",
        }
        (configuration / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        (configuration / "master.cf").write_text(self.SERVICES.format(port=self.port))
        self.master = subprocess.Popen([master, "-c", configuration, "-d"], env={"LD_LIBRARY_PATH": str(library), "PATH": "/usr/bin:/bin"}, cwd="/",
                                       start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.smtp = self.connect()

    def commands(self, directory):
        """Where postdrop and its like are."""
        return directory

    def make_queue(self):
        for name in "incoming active bounce corrupt defer deferred flush hold saved trace private data".split():
            path = self.dir / "data" if name == "data" else self.queue / name
            path.mkdir(parents=True, mode=0o700)
            shutil.chown(path, "postfix")
        (self.queue / "pid").mkdir()
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            (self.queue / name).mkdir()
            shutil.chown(self.queue / name, "postfix", "postdrop")
            (self.queue / name).chmod(mode)
        self.dir.chmod(0o755)

    def connect(self):
        end = time.monotonic() + 30
        while True:
            try:
                return smtplib.SMTP("127.0.0.1", self.port, timeout=60)
            except OSError:
                if time.monotonic() > end or self.master.poll() is not None:
                    self.master.terminate()
                    raise
                time.sleep(0.2)

    def deliver(self, name, serial):
        with self.lock:
            self.smtp.sendmail("sender@test.invalid", [f"{name}@test.invalid"], message(serial).encode())

    def close(self):
        end = time.monotonic() + PATIENCE
        try:
            while any(p.is_file() for d in ("maildrop", "incoming", "active", "deferred") for p in (self.queue / d).rglob("*")):
                assert time.monotonic() < end, "Postfix still has mail in its queue"
                time.sleep(0.1)
            self.smtp.close()
        finally:
            self.master.terminate()
            self.master.wait(30)


# ---- clients

class Count:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}        # serial: user
        self.taken = []       # serials that a client retrieved and deleted
        self.sessions = self.busy = self.errors = 0
        self.senders = 0      # that still deliver
        self.faults = []


def one_session(site, name, mode, chance, count):
    """Retrieves some, deletes some of these. False when another session of this user was there."""
    try:
        session = site.open(name, *mode)
    except ConnectionError as error:
        if "[IN-USE]" in str(error):
            return False
        raise
    taken = []
    for number in range(1, session.count() + 1):
        if chance.random() < 0.6:
            serial = serial_of(session.body(f"RETR {number}"))
            if chance.random() < 0.7:
                session.must(f"DELE {number}")
                taken.append(serial)
    reply = session.say("QUIT")
    session.close()
    with count.lock:
        count.sessions += 1
        if reply.startswith("+OK"):
            count.taken += taken
        else:
            assert "[SYS/TEMP]" in reply, f"QUIT: {reply}"
            count.errors += 1
    return True


def client(site, name, sessions, count, seed):
    chance = random.Random(seed)
    try:
        while (sessions > 0 or count.senders) and not count.faults:
            time.sleep(chance.random() / 5)
            if one_session(site, name, chance.choice([[], ["-S"]]), chance, count):
                sessions -= 1
            else:
                count.busy += 1
    except Exception as error:  # whatever it is, the case must know
        count.faults.append(f"session of {name}: {type(error).__name__}: {error}")


def sender(agent, names, serials, count):
    try:
        for serial in serials:
            name = names[serial % len(names)]
            with count.lock:
                count.sent[serial] = name
            agent.deliver(name, serial)
    except subprocess.CalledProcessError as error:
        count.faults.append(f"{type(agent).__name__}: {error} {error.stdout} {error.stderr}")
    except Exception as error:
        count.faults.append(f"{type(agent).__name__}: {type(error).__name__}: {error}")
    finally:
        with count.lock:
            count.senders -= 1


def judge(site, count):
    held = []
    for name in site.users:
        data = site.drop(name).read_bytes()
        for line, text in mbox.split(data):
            serial = serial_of(text.rstrip(b"\n").split(b"\n"))
            equal(f"whose {serial} is", name, count.sent[serial])
            held.append(serial)
    both = sorted(count.taken + held)
    doubled = sorted({s for s in both if both.count(s) > 1})
    lost = sorted(set(count.sent) - set(both))
    equal("lost", lost, [])
    equal("doubled", doubled, [])
    left = sorted(p.name for p in site.spool.iterdir() if p.name not in USERS and not re.fullmatch(r"\.user\d+\.cache", p.name))
    equal("left in the spool", left, [])
    return len(held)


def storm(kinds, locks, spool_mode, spool_gid):
    need(FORM != "short", "not in the short form")
    for kind in kinds:
        for program in getattr(kind, "needs", []):
            need(shutil.which(program), f"no {program}")
    need(ROOT or not any(kind in (Exim, Postfix) for kind in kinds), "Exim and Postfix need root")
    site = Site(USERS, [f"mail-locks = {locks}", "takeover-idle = 0"], spool_mode, spool_gid, tempfile.mkdtemp(prefix="popper-spool."))
    agents, count = [], Count()
    began = time.monotonic()
    try:
        for name in site.users:
            site.fill(name, b"")
        for kind in kinds:
            agents.append(kind(site))
        workers = []
        for i in range(2 * len(agents)):
            serials = range(1 + i, DELIVERIES + 1, 2 * len(agents))
            workers.append(threading.Thread(target=sender, args=(agents[i % len(agents)], list(site.users), serials, count)))
        for i in range(CLIENTS):
            share = len(range(i, SESSIONS, CLIENTS))
            workers.append(threading.Thread(target=client, args=(site, USERS[i % len(USERS)], share, count, SEED + i)))
        count.senders = 2 * len(agents)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        while agents:
            agents.pop().close()
        assert not count.faults, f"seed {SEED}: " + "\n".join(count.faults[:5])
        held = judge(site, count)
        equal("delivered", len(count.sent), DELIVERIES)
        return (f"seed {SEED}: {DELIVERIES} deliveries, {count.sessions} sessions ({count.errors} ended in [SYS/TEMP], {count.busy} logins heard IN-USE): "
                f"{len(count.taken)} taken, {held} left, {time.monotonic() - began:.1f} s")
    finally:
        while agents:
            try:
                agents.pop().close()
            except (AssertionError, OSError):
                pass
        if "POPPER_KEEP" not in os.environ:
            site.remove()
            shutil.rmtree(site.spool)


def enter_namespace(names=USERS):
    """Our own /etc, for this process and its children only: the users of the spool are users of the system there."""
    directory = tempfile.mkdtemp(prefix="popper-etc.")
    etc = directory + "/etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0 or libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) != 0 \
            or libc.mount(etc.encode(), b"/etc", None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), "unshare, mount")
    passwd, group = pathlib.Path("/etc/passwd"), pathlib.Path("/etc/group")
    users = [(name, FIRST_UID + i) for i, name in enumerate(names)] + [("Debian-exim", 64190), ("postfix", 64191)]
    for name, uid in users:
        for file, entry in ((passwd, f"{name}:x:{uid}:{uid}::/:/bin/sh\n"), (group, f"{name}:x:{uid}:\n")):
            if not re.search(f"(?m)^{name}:", file.read_text()):
                file.write_text(file.read_text() + entry)
    if not re.search("(?m)^postdrop:", group.read_text()):
        group.write_text(group.read_text() + "postdrop:x:64192:\n")
    return directory


OPEN, GROUP = (0o1777, 0), (0o2775, MAIL_GID)
CASES = [
    ("procmail, dot locks of liblockfile", storm, [Procmail, Dotlockfile], "dotlock,fcntl", *OPEN),
    ("procmail, fcntl alone", storm, [Procmail, FcntlOnly], "dotlock,fcntl", *OPEN),
    ("flock alone", storm, [FlockOnly], "dotlock,fcntl,flock", *OPEN),
    ("Exim, Postfix, procmail, fcntl alone", storm, [Exim, Postfix, Procmail, FcntlOnly], "dotlock,fcntl", *OPEN),
    ("Exim, Postfix, dot locks of liblockfile", storm, [Exim, Postfix, Dotlockfile], "dotlock,fcntl", *OPEN),
    ("procmail and Postfix in a spool root:mail", storm, [Procmail, Postfix], "dotlock,fcntl", *GROUP),
]


def main():
    directory = None
    if ROOT and FORM != "short":
        try:
            directory = enter_namespace()
        except OSError as error:
            return skip_all(f"no mount namespace: {error}")
    try:
        return run_cases(CASES)
    finally:
        if directory:
            subprocess.run(["umount", "-l", "/etc"], check=True)
            shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
