"""servers: the servers under test: how each is started, counted and stopped. To add one: a row in TARGETS, with a letter of its own.

kind inetd: openbsd-inetd starts it for each connection, without a limit on the rate; alone: it listens itself; dovecot: Debian's settings on a
private base_dir. state: what a server keeps beside the maildrop, which a first visit must not find.
"""
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

from benchsite import BUILD, SPOOL, UNPACKED

POPPER = pathlib.Path(os.environ.get("POPPER", BUILD / "popper/popper")).absolute()
POPPER_STATE = ["{spool}/.{user}.*"]
TARGETS = [
    {"name": "popper", "letter": "a", "kind": "inetd", "bin": POPPER, "state": POPPER_STATE, "ours": True},
    {"name": "popper-server", "letter": "b", "kind": "inetd", "bin": POPPER, "state": POPPER_STATE, "ours": True, "set": ["server-mode"]},
    {"name": "popper-alone", "letter": "c", "kind": "alone", "bin": POPPER, "state": POPPER_STATE, "ours": True,
     "set": ["max-sessions-per-address = 1000"]},
    # As a site that takes no password outside TLS: the server knows before the client says so that there will be TLS. The
    # same programs as above, so that nobody looks at them once more.
    {"name": "popper-tls", "letter": "j", "kind": "inetd", "bin": POPPER, "state": POPPER_STATE, "ours": True, "only_tls": True,
     "set": ["clear-text-password = tls"]},
    {"name": "popper-alone-tls", "letter": "k", "kind": "alone", "bin": POPPER, "state": POPPER_STATE, "ours": True, "only_tls": True,
     "set": ["max-sessions-per-address = 1000", "clear-text-password = tls"]},
    # From inetd, with the process that has the library loaded left behind.
    {"name": "popper-linger", "letter": "l", "kind": "inetd", "bin": POPPER, "state": POPPER_STATE, "ours": True, "only_tls": True, "stays": 1,
     "set": ["tls-linger = 60"]},
    {"name": "popa3d", "letter": "d", "kind": "inetd", "bin": "popa3d"},
    {"name": "solid", "letter": "e", "kind": "inetd", "bin": "solid-pop3d"},
    {"name": "mailutils", "letter": "f", "kind": "inetd", "bin": "pop3d", "args": ["--inetd"]},
    {"name": "dovecot", "letter": "g", "kind": "dovecot", "bin": "dovecot", "state": ["{home}/mail"], "tls": True},
    # Its documented mode for busy sites: login processes that stay.
    {"name": "dovecot-hp", "letter": "h", "kind": "dovecot", "bin": "dovecot", "state": ["{home}/mail"], "tls": True,
     "conf": "service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}\n"},
    {"name": "floor", "letter": "i", "kind": "inetd", "bin": BUILD / "tests/bench/trivial"},
]
CGROUP = f"/sys/fs/cgroup/cpuacct/popper-bench-{os.getpid()}"

DOVECOT = """
base_dir = {dir}/base
state_dir = {dir}/state
log_path = /dev/null
listen = 127.0.0.1
protocols = pop3
disable_plaintext_auth = no
mail_location = mbox:~/mail:INBOX=/var/mail/%u
mail_privileged_group = mail
mail_max_userip_connections = 1000
first_valid_uid = 1
ssl = yes
ssl_cert = <{site}/cert.pem
ssl_key = <{site}/key.pem
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = pam
}}
userdb {{
  driver = passwd
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def find(name):
    """A program: a path, one of an unpacked package, or one that is installed."""
    if os.path.sep in str(name):
        return str(name) if os.access(name, os.X_OK) else None
    for root in UNPACKED:
        for path in sorted(glob.glob(f"{root}/*/usr/sbin/{name}")):
            return path
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Server:
    def __init__(self, target, site):
        self.target, self.site, self.name = target, site, target["name"]
        self.dir = site.dir / "run" / self.name
        self.cgroup = f"{CGROUP}/{self.name}"
        self.process, self.port, self.resting = None, None, 0

    def available(self):
        kind = self.target["kind"]
        if not find(self.target["bin"]) or (kind == "inetd" and not find("inetd")):
            return False
        return kind != "dovecot" or (self.site.peers and os.path.exists("/usr/lib/dovecot/pop3"))

    def user(self, number=1, yescrypt=False):
        return f"bench{'y' if yescrypt else ''}{self.target['letter']}{number:02d}"

    def words(self):
        """For the load client, where a case does not say."""
        return ["--tls", "stls"] if self.target.get("only_tls") else []

    def user_format(self, yescrypt=False):
        return f"bench{'y' if yescrypt else ''}{self.target['letter']}%02d"

    def state_of(self, user):
        return [s.format(user=user, spool=SPOOL, home=self.site.home(user)) for s in self.target.get("state", [])]

    def popper_conf(self):
        """Mail of the system's users, TLS on offer, nothing that waits for others, as at a busy site."""
        lines = ["reverse-lookup = false", "failure-delay = 0", "statistics", "tls-support = stls", f"tls-server-cert-file = {self.site.dir}/cert.pem",
                 f"tls-private-key-file = {self.site.dir}/key.pem", *self.target.get("set", [])]
        path = self.dir / "popper.conf"
        path.write_text("".join(f"set {line}\n" for line in lines))
        return ["-f", str(path)]

    def inetd_argv(self):
        t = self.target
        program = find(t["bin"])
        words = [os.path.basename(program), *(self.popper_conf() if t.get("ours") else t.get("args", []))]
        # inetd takes no more than a few words in a line's place for arguments, and no comma in a path.
        (self.dir / "inetd.conf").write_text(f"127.0.0.1:{self.port} stream tcp4 nowait.1000000 root {program} {' '.join(words)}\n")
        return [find("inetd"), "-i", "-R", "1000000000", "-q", "512", str(self.dir / "inetd.conf")]

    def argv(self):
        kind = self.target["kind"]
        if kind == "inetd":
            return self.inetd_argv()
        if kind == "alone":
            return [str(self.target["bin"]), f"127.0.0.1:{self.port}", *self.popper_conf()]
        (self.dir / "dovecot.conf").write_text(DOVECOT.format(dir=self.dir, site=self.site.dir, port=self.port) + self.target.get("conf", ""))
        return ["/usr/sbin/dovecot", "-F", "-c", str(self.dir / "dovecot.conf")]

    def start(self, wrapper=()):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.port = free_port()
        argv = [*wrapper, *self.argv()]
        try:
            os.makedirs(self.cgroup, exist_ok=True)
        except OSError:
            self.cgroup = None

        def enter():
            if self.cgroup:
                with open(self.cgroup + "/cgroup.procs", "w", encoding="ascii") as f:
                    f.write(str(os.getpid()))
        with open(self.dir / "out", "wb") as out:
            self.process = subprocess.Popen(argv, preexec_fn=enter, start_new_session=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.wait_for_greeting()
        time.sleep(.2)
        self.resting = len(self.pids())

    def wait_for_greeting(self):
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                    if s.recv(3) == b"+OK":
                        s.sendall(b"QUIT\r\n")
                        s.recv(100)
                        return
            except OSError:
                pass
            time.sleep(.05)
        raise RuntimeError(f"{self.name} does not answer: {(self.dir / 'out').read_text(errors='replace')[:500]}")

    def pids(self):
        if self.cgroup:
            with open(self.cgroup + "/cgroup.procs", encoding="ascii") as f:
                return [int(word) for word in f.read().split()]
        found, todo = [], [self.process.pid]
        while todo:
            found.append(todo.pop())
            for path in glob.glob(f"/proc/{found[-1]}/task/*/children"):
                try:
                    with open(path, encoding="ascii") as f:
                        todo += [int(word) for word in f.read().split()]
                except OSError:
                    pass
        return found

    def cpu_ms(self):
        """Processor time that it and all it started have used, or None."""
        try:
            with open(self.cgroup + "/cpuacct.usage", encoding="ascii") as f:
                return int(f.read()) / 1e6
        except (OSError, TypeError):
            return None

    def settle(self, seconds=1.0):
        """Waits until the processes of the last session are gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(self.pids()) > self.resting + self.target.get("stays", 0):
            if self.target["kind"] == "dovecot" and time.monotonic() > end - seconds + .03:
                break
            time.sleep(.001)

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in self.pids() if self.cgroup else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(.1)
        self.process = None
        try:
            os.rmdir(self.cgroup or "")
            os.rmdir(CGROUP)
        except OSError:
            pass


class PeakMemory(threading.Thread):
    """The most that one process of a server, and all of them, held, in KB: looked up every millisecond."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.on, self.one, self.all = server, True, 0, 0
        self.skip = set() if server.target["kind"] == "dovecot" else set(server.pids())

    def run(self):
        while self.on:
            total = 0
            for pid in self.server.pids():
                if pid not in self.skip:
                    kb = self.peak_of(pid)
                    total += kb
                    self.one = max(self.one, kb)
            self.all = max(self.all, total)
            time.sleep(.001)

    @staticmethod
    def peak_of(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return next((int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)
        except OSError:
            return 0
