"""world: what a case finds and leaves: how the server is started, its users, spool, configuration, log. A private directory each.
"""
import fcntl
import functools
import grp
import os
import pathlib
import re
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time

import mbox
from libcrypt import crypt
from transcript import Broken, Mismatch, block_bytes, content, numbers

FIRST_UID = 64321
PATIENCE = float(os.environ.get("POPPER_WIRE_PATIENCE", "1"))
STEP_SECONDS = 10 * PATIENCE
STAMP = re.compile(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d\.\d{3} \d{4} \[\d+\] ?")


@functools.lru_cache(None)
def features(popper):
    """What this server was built with, by the names of --list-options."""
    try:
        done = subprocess.run([popper, "--list-options"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STEP_SECONDS)
    except OSError:
        return frozenset()
    rows = [line.split("\t") for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return frozenset(row[4] for row in rows if row[5:6] == ["yes"])


class Runner:
    """How the server is started in this pass: over what, and as whom."""

    def __init__(self, transport, uid, certificate=None):
        """certificate: (certificate, key) of a server that is met through TLS."""
        self.transport, self.uid, self.certificate = transport, uid, certificate
        self.through = "through TLS" if certificate else None
        self.privileged = uid is None and os.getuid() == 0

    def name(self):
        return self.transport + (" as root" if self.privileged else "")

    def user_uid(self, index):
        if self.privileged:
            return FIRST_UID + index
        return self.uid if self.uid is not None else os.getuid()

    def user_gid(self, index):
        return self.user_uid(index) if self.privileged or self.uid is not None else os.getgid()


class User:
    def __init__(self, words, index, runner, world):
        options = dict(w.split("=", 1) for w in words[2:])
        self.name = words[0]
        self.password = words[1] if len(words) > 1 else "secret"
        self.uid = int(options.get("uid", runner.user_uid(index)))
        self.gid = int(options.get("gid", runner.user_gid(index)))
        self.home = pathlib.Path(world.expand(options.get("home", str(world.dir / "home" / self.name))))
        self.hash = options.get("hash") if "hash" in options else hash_of(self.password)
        self.maildrop = world.dir / world.expand(options["maildrop"]) if "maildrop" in options else world.spool / self.name

    def line(self):
        return f"{self.name}:{self.hash}:{self.uid}:{self.gid}:{self.name}:{self.home}:/bin/false\n"


hashes = {}


def hash_of(password):
    if password not in hashes:
        hashes[password] = crypt(password, "$5$rounds=1000$wiretests$")
    return hashes[password]


DEVLOG = pathlib.Path("tests/wire/devlog.so")  # in the build directory


class Syslog:
    """A syslogd: listens where devlog.so sends what is meant for /dev/log."""

    def __init__(self, directory):
        self.records = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(directory / "devlog"))
        os.chmod(directory / "devlog", 0o666)
        shutil.copy(DEVLOG, directory / "devlog.so")
        os.chmod(directory / "devlog.so", 0o755)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while record := self.socket.recv(65536):
            self.records.append(record.decode("latin-1"))

    def close(self):
        """All that was sent is in records."""
        if self.thread.is_alive():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
                ending.connect(self.socket.getsockname())
                ending.send(b"")
            self.thread.join()
            self.socket.close()


class World:
    """One case's private directory: configuration, users, spool; and the variables that transcripts may use."""

    def __init__(self, case, runner, popper):
        self.case, self.runner, self.popper = case, runner, popper
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-wire."))
        self.spool = self.dir / "spool"
        self.trace = self.dir / "trace"
        self.greeted_host = socket.gethostname()
        self.greeted_version = "?"
        self.definitions = {}
        self.sessions = {}
        self.held = []
        self.syslog = Syslog(self.dir) if case.all("Y~", "Y!") else None
        for step in case.all("define"):
            self.definitions[step.text.strip().split()[0]] = block_bytes(step.block or [])

    def own(self, path, uid=None, gid=None):
        if os.getuid() == 0:
            os.chown(path, self.runner.uid if uid is None and self.runner.uid is not None else (uid or 0),
                     self.runner.uid if gid is None and self.runner.uid is not None else (gid or 0), follow_symlinks=False)

    def build(self):
        for path, mode in ((self.dir, 0o755), (self.spool, 0o1777 if self.runner.privileged else 0o755), (self.dir / "home", 0o755),
                           (self.dir / "tmp", 0o1777 if self.runner.privileged else 0o700)):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
            self.own(path)
        self.spool_group = None
        for step in self.case.all("spool"):
            mode, _, group = step.text.partition(" ")
            self.spool_group = grp.getgrnam(group.strip()).gr_gid if group else None
            self.own(self.spool, gid=self.spool_group)
            self.spool.chmod(int(mode, 8))
        users = [shlex.split(s.text) for s in self.case.all("user")] or [["alice", "secret"]]
        self.users = [User(words, i, self.runner, self) for i, words in enumerate(users)]
        for user in self.users:
            if not user.home.exists() and self.dir in user.home.parents:
                user.home.mkdir(mode=0o700)
                self.own(user.home, user.uid, user.gid)
        self.put(self.dir / "passwd", "".join(u.line() for u in self.users).encode(), 0o600)
        self.put_maildrops()
        config = [f"set passwd-file = {self.dir}/passwd", f"set spool-dir = {self.spool}", "set failure-delay = 0",
                  "reset reverse-lookup"]
        if self.runner.through:
            config += ["set tls-support = alternate-port", f"set tls-server-cert-file = {self.runner.certificate[0]}",
                       f"set tls-private-key-file = {self.runner.certificate[1]}"]
        for step in self.case.all("config"):
            config += [self.expand(line) for line in ([step.text] if step.text else []) + (step.block or [])]
        config = self.case.config_without(config)
        if "APOP" in features(self.popper) and "apop-file" not in "".join(config):  # never the host's own
            config.append(f"set apop-file = {self.dir}/pop.auth")
        self.put(self.dir / "popper.conf", "".join(c + "\n" for c in config).encode("latin-1"), 0o644)
        for step in self.case.all("file"):
            name, *words = step.text.split(" ")
            options = dict(w.split("=", 1) for w in words if re.match(r"(mode|owner)=", w))
            spec = " ".join(w for w in words if not re.match(r"(mode|owner)=", w))
            owner = self.user(options["owner"]) if "owner" in options else None
            data = block_bytes([self.expand(line) for line in step.block]) if step.block is not None else self.content(spec)
            self.put(self.dir / self.expand(name), data, int(options.get("mode", "644"), 8), owner)
        self.put_secrets()
        for step in self.case.all("setup"):
            self.shell(step)
        self.before = {u.name: self.look(u) for u in self.users}
        # Held, so that a new file cannot get the same inode.
        self.held = [os.open(u.maildrop, os.O_PATH | os.O_NOFOLLOW) for u in self.users if self.before[u.name]]
        self.listed = set(os.listdir(self.spool))

    def put_secrets(self):
        """`secret: NAME SECRET [-scram]` lines, by popauth; the first makes the database."""
        self.secrets = {}
        file = self.dir / "pop.auth"
        for step in self.case.all("secret"):
            name, secret, *options = shlex.split(step.text)
            commands = [["-user", name, secret, *options]]
            if not self.secrets:
                commands.insert(0, ["-init"])
            self.secrets[name] = secret
            for command in commands:
                done = subprocess.run([self.popper.parent / "popauth", "-file", file, *command], stdin=subprocess.DEVNULL, capture_output=True)
                if done.returncode != 0:
                    raise Broken(f"popauth {command}: {done.stderr.decode('latin-1')}")
        if self.secrets:
            self.own(file)

    def put_maildrops(self):
        given = {self.users[0].name: self.content("messages(1-3)")}
        for step in self.case.all("maildrop"):
            spec, _, name = step.text.partition(" for ")
            name = name.strip() or self.users[0].name
            if spec.strip() == "none":
                given[name] = None
            else:
                given[name] = block_bytes(step.block) if step.block is not None else self.content(spec)
        for name, data in given.items():
            if data is not None:
                user = self.user(name)
                self.put(user.maildrop, data, 0o600, user)
                if self.spool_group is not None:
                    self.own(user.maildrop, user.uid, self.spool_group)
                    user.maildrop.chmod(0o660)
        self.original = given[self.users[0].name] or b""

    def make_parents(self, path):
        """Directories below the spool are like the spool, others in a home are the user's."""
        if path.exists():
            return
        self.make_parents(path.parent)
        path.mkdir()
        st = path.parent.stat()
        path.chmod(stat.S_IMODE(st.st_mode))
        if os.getuid() == 0:
            os.chown(path, st.st_uid, st.st_gid)

    def put(self, path, data, mode, owner=None):
        self.make_parents(path.parent)
        path.write_bytes(data)
        path.chmod(mode)
        self.own(path, owner.uid if owner else None, owner.gid if owner else None)

    def user(self, name):
        for user in self.users:
            if user.name == name:
                return user
        raise Broken(f"no user {name!r}")

    def content(self, spec):
        return content(spec, self.definitions, self.messages() if "original(" in spec else None)

    def messages(self):
        return mbox.split(self.original)

    def look(self, user):
        """What must not change behind a client's back."""
        try:
            st = os.lstat(user.maildrop)
        except FileNotFoundError:
            return None
        data = user.maildrop.read_bytes() if stat.S_ISREG(st.st_mode) else None
        return {"bytes": data, "inode": st.st_ino, "owner": (st.st_uid, st.st_gid), "mode": oct(st.st_mode)}

    def value(self, name, arguments):
        peer = "127.0.0.1" if self.runner.transport == "tcp" else "unknown"
        if name == "ID":
            return mbox.unique_id(*self.messages()[int(arguments) - 1])
        texts = [text for _, text in self.messages()] if name in ("COUNT", "OCTETS", "SIZE") else []
        if name in ("SIZE", "OCTETS"):
            return str(sum(mbox.octets(texts[n - 1]) for n in (numbers(arguments) if arguments else range(1, len(texts) + 1))))
        if name in ("SASL", "SASLPROOFS"):
            return " ".join(self.proofs() + (["PLAIN", "LOGIN"] if name == "SASL" else []))
        simple = {"HOST": self.greeted_host, "VERSION": self.greeted_version, "IP": peer, "CLIENT": peer, "DIR": str(self.dir),
                  "SPOOL": str(self.spool), "COUNT": str(len(texts)), "TRACE": str(self.trace), "UID": str(self.users[0].uid)
                  if hasattr(self, "users") else ""}
        if name not in simple:
            raise Broken(f"unknown variable ${name}")
        return simple[name]

    def proofs(self):
        """What CAPA lists as mechanisms that need no password, best first."""
        if not self.secrets:
            return []
        return [f"SCRAM-{h}{plus}" for h in ("SHA-256", "SHA-1") for plus in (("-PLUS", "") if self.runner.through else ("",))] + ["CRAM-MD5"]

    def expand(self, text, quote=lambda s: s):
        return re.sub(r"\$([A-Z]+)(?:\(([\d,-]*)\))?", lambda m: quote(self.value(m[1], m[2])), text)

    def shell(self, step, **more):
        environment = dict(os.environ, DIR=str(self.dir), SPOOL=str(self.spool), TRACE=str(self.trace), POPPER=str(self.popper),
                           USER=self.users[0].name, MAILDROP=str(self.users[0].maildrop), OWNER=str(self.users[0].uid),
                           CONF=str(self.dir / "popper.conf"), HOME=str(self.users[0].home), **more)
        done = subprocess.run(["/bin/sh", "-euc", step.text], cwd=self.dir, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=STEP_SECONDS * 3)
        if done.returncode != 0:
            raise Mismatch(f"{step.text!r} ended with status {done.returncode}: {done.stdout.decode('latin-1')}")

    def deliver(self, step):
        """Appends mail as a delivery agent does: dot lock, then fcntl lock."""
        spec, _, name = step.text.partition(" for ")
        user = self.user(name.strip() or self.users[0].name)
        lock = str(user.maildrop) + ".lock"
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise Mismatch("deliver: the dot lock stays") from None
                time.sleep(0.01)
        try:
            new = not user.maildrop.exists()
            with open(user.maildrop, "ab") as f:
                fcntl.lockf(f, fcntl.LOCK_EX)
                f.write(self.content(spec))
            if new:
                user.maildrop.chmod(0o600)
                self.own(user.maildrop, user.uid, user.gid)
        finally:
            os.unlink(lock)

    def log(self):
        """The text of each trace record, without stamp and pid."""
        if not self.trace.exists():
            return []
        lines = self.trace.read_bytes().decode("latin-1").split("\n")
        return [STAMP.sub("", line) for line in lines if STAMP.sub("", line)]

    def remove(self):
        for fd in self.held:
            os.close(fd)
        self.held = []
        if self.syslog:
            self.syslog.close()
        shutil.rmtree(self.dir, ignore_errors=True)
