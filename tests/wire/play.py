#!/usr/bin/python3
"""play.py FILE.wire...: plays transcripts against the real server as inetd would start it. Prints TAP.

tests/wire/README describes the format. Python's standard library only; no ports but one on the loopback; no root needed.
As root the server is started as root, and its users are unprivileged; a second pass starts it as an ordinary user.
"""
import argparse
import concurrent.futures
import fcntl
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mbox  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

HERE = pathlib.Path(os.path.abspath(__file__)).parent
FIRST_UID = 64321
PATIENCE = float(os.environ.get("POPPER_WIRE_PATIENCE", "1"))
STEP_SECONDS = 10 * PATIENCE
STAMP = re.compile(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d\.\d{3} \d{4} \[\d+\] ?")


class Mismatch(Exception):
    """The server did something else than the transcript says."""


class Broken(Exception):
    """The transcript itself cannot be read."""


# ---------------------------------------------------------------------------------------------- reading a transcript

SETUP = {"config", "args", "user", "maildrop", "file", "env", "over", "needs", "setup", "without", "leaves"}
TALK = {"C", "Craw", "S", "S~", "S*", "eof", "close", "half-close", "reset", "session", "login", "pause", "quiet", "elapsed", "run",
        "deliver", "kill", "end", "now"}
CHECKS = {"exit", "L", "L~", "L!", "M", "F", "F!", "status"}
BLOCKS = {"S*", "maildrop", "file", "define", "config", "passwd"}


class Step:
    def __init__(self, number, tag, text):
        self.number, self.tag, self.text, self.block = number, tag, text, None


class Case:
    def __init__(self, name, number, steps):
        self.name, self.number, self.steps = name, number, steps

    def all(self, *tags):
        return [s for s in self.steps if s.tag in tags]


def parse(path):
    """The cases of a transcript file; what stands before the first case belongs to every one."""
    prologue, cases, steps = [], [], None
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="latin-1").split("\n"), 1):
        current = prologue if steps is None else steps
        if line.startswith("|"):
            if not current or current[-1].tag not in BLOCKS:
                raise Broken(f"{path}:{number}: a block of | lines belongs after one of {' '.join(sorted(BLOCKS))}")
            if current[-1].block is None:
                current[-1].block = []
            current[-1].block.append(line[2:] if line.startswith("| ") else line[1:])
            continue
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            steps = []
            cases.append(Case(line[3:].strip(), number, steps))
            continue
        match = re.match(r"(S:\*|[CSLMF][~!]?:|L~|L!|F!|S~|[A-Za-z-]+:?)(?: (.*))?$", line)
        if not match:
            raise Broken(f"{path}:{number}: not understood: {line}")
        tag = {"S:*": "S*"}.get(match[1], match[1].rstrip(":"))
        if tag not in SETUP | TALK | CHECKS | {"define"}:
            raise Broken(f"{path}:{number}: unknown tag {tag}")
        current.append(Step(number, tag, match[2] or ""))
    if not cases:
        raise Broken(f"{path}: no case (a line '== name')")
    for case in cases:
        case.steps[:0] = prologue
    return cases


# ---------------------------------------------------------------------------------------------- texts and variables

def numbers(text):
    """"1-3,7" as [1, 2, 3, 7]."""
    result = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, _, last = part.partition("-")
        result += range(int(first), int(last or first) + 1)
    return result


def unescape(text):
    r"""Bytes of a text with \r \n \t \0 \\ \" \xHH and \rep{N}{text} (text may hold escapes, not braces)."""
    result, at = b"", 0
    plain = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", '"': b'"'}
    for match in re.finditer(r'\\(?:rep\{(\d+)\}\{([^{}]*)\}|x([0-9A-Fa-f]{2})|([rnt0\\"])|(.))', text):
        result += text[at:match.start()].encode("latin-1")
        at = match.end()
        if match[5]:
            raise Broken(f"unknown escape {match[0]}")
        result += unescape(match[2]) * int(match[1]) if match[1] else bytes([int(match[3], 16)]) if match[3] else plain[match[4]]
    return result + text[at:].encode("latin-1")


def content(spec, definitions, numbered=None):
    """Bytes of a fixture: terms joined by ' + ': messages(1-3[, lines=N]), original(1,3), "text with escapes", a definition, empty."""
    result = b""
    for term in re.findall(r'"(?:[^"\\]|\\.)*"|[^+"\s][^+"]*(?="|\+|$)', spec.strip()):
        term = term.strip()
        if term.startswith('"'):
            result += unescape(term[1:-1])
        elif term.startswith("messages("):
            picked, _, lines = term[9:-1].partition("lines=")
            result += b"".join(mbox.message(n, int(lines or 0)) for n in numbers(picked))
        elif term.startswith("original(") and numbered is not None:
            result += b"".join(b"".join(numbered[n - 1]) for n in numbers(term[9:-1]))
        elif term in definitions:
            result += definitions[term]
        elif term != "empty":
            path = HERE / "fixtures" / term
            if not path.is_file():
                raise Broken(f"no fixture {term!r}")
            result += path.read_bytes()
    return result


def block_bytes(block):
    return "".join(line + "\n" for line in block).encode("latin-1")


# ---------------------------------------------------------------------------------------------- the server's surroundings

class Runner:
    """How the server is started in this pass: over what, and as whom."""

    def __init__(self, transport, uid, through=None):
        self.transport, self.uid, self.through = transport, uid, through
        self.privileged = uid is None and os.getuid() == 0

    def name(self):
        return self.transport + (" as root" if self.privileged else "") + (f" {self.through}" if self.through else "")

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
        self.maildrop = world.spool / self.name

    def line(self):
        return f"{self.name}:{self.hash}:{self.uid}:{self.gid}:{self.name}:{self.home}:/bin/false\n"


hashes = {}


def hash_of(password):
    if password not in hashes:
        hashes[password] = crypt.crypt(password, "$5$rounds=1000$wiretests$")
    return hashes[password]


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
        users = [s.text.split() for s in self.case.all("user")] or [["alice", "secret"]]
        self.users = [User(words, i, self.runner, self) for i, words in enumerate(users)]
        for user in self.users:
            if not user.home.exists() and self.dir in user.home.parents:
                user.home.mkdir(mode=0o700)
                self.own(user.home, user.uid, user.gid)
        self.put(self.dir / "passwd", "".join(u.line() for u in self.users).encode(), 0o600)
        self.put_maildrops()
        config = [f"set passwd-file = {self.dir}/passwd", f"set spool-dir = {self.spool}", "set failure-delay = 0",
                  "reset reverse-lookup"]
        for step in self.case.all("config"):
            config += [self.expand(line) for line in ([step.text] if step.text else []) + (step.block or [])]
        self.put(self.dir / "popper.conf", "".join(c + "\n" for c in config).encode("latin-1"), 0o644)
        for step in self.case.all("file"):
            name, *words = step.text.split(" ")
            options = dict(w.split("=", 1) for w in words if re.match(r"(mode|owner)=", w))
            spec = " ".join(w for w in words if not re.match(r"(mode|owner)=", w))
            owner = self.user(options["owner"]) if "owner" in options else None
            data = block_bytes([self.expand(line) for line in step.block]) if step.block is not None else self.content(spec)
            self.put(self.dir / self.expand(name), data, int(options.get("mode", "644"), 8), owner)
        for step in self.case.all("setup"):
            self.shell(step)
        self.before = {u.name: self.look(u) for u in self.users}
        self.listed = set(os.listdir(self.spool))

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
        self.original = given[self.users[0].name] or b""

    def put(self, path, data, mode, owner=None):
        path.parent.mkdir(parents=True, exist_ok=True)
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
        texts = [text for _, text in self.messages()] if name in ("COUNT", "OCTETS", "SIZE") else []
        if name in ("SIZE", "OCTETS"):
            return str(sum(mbox.octets(texts[n - 1]) for n in (numbers(arguments) if arguments else range(1, len(texts) + 1))))
        simple = {"HOST": self.greeted_host, "VERSION": self.greeted_version, "IP": peer, "CLIENT": peer, "DIR": str(self.dir),
                  "SPOOL": str(self.spool), "COUNT": str(len(texts)), "TRACE": str(self.trace), "UID": str(self.users[0].uid)
                  if hasattr(self, "users") else ""}
        if name not in simple:
            raise Broken(f"unknown variable ${name}")
        return simple[name]

    def expand(self, text, quote=lambda s: s):
        return re.sub(r"\$([A-Z]+)(?:\(([\d,-]*)\))?", lambda m: quote(self.value(m[1], m[2])), text)

    def shell(self, step):
        environment = dict(os.environ, DIR=str(self.dir), SPOOL=str(self.spool), TRACE=str(self.trace), POPPER=str(self.popper),
                           USER=self.users[0].name, MAILDROP=str(self.users[0].maildrop), OWNER=str(self.users[0].uid),
                           CONF=str(self.dir / "popper.conf"))
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
        shutil.rmtree(self.dir, ignore_errors=True)


# ---------------------------------------------------------------------------------------------- one connection

class Session:
    """A server process and our end of its descriptors 0, 1, 2."""

    def __init__(self, world, extra_args):
        self.world, self.input, self.at_eof, self.status = world, b"", False, None
        self.sent_at = self.received_at = time.monotonic()
        self.start(extra_args)

    def command(self, extra_args):
        case, world = self.world.case, self.world
        words = [str(world.popper)]
        if not any("config" in s.text.split() for s in case.all("without")):
            words += ["-f", str(world.dir / "popper.conf")]
        if not any("trace" in s.text.split() for s in case.all("without")):
            words += ["-t", str(world.trace)]
        for step in case.all("args"):
            words += world.expand(step.text).split()
        return words + world.expand(extra_args).split()

    def start(self, extra_args):
        ours, theirs = self.connect()
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "GCOV_PREFIX"):
            if name in os.environ:
                environment[name] = os.environ[name]
        for step in self.world.case.all("env"):
            name, _, value = step.text.partition("=")
            environment[name] = self.world.expand(value)
        command = self.command(extra_args)
        wrapper = os.environ.get("POPPER_WIRE_WRAPPER", "").split()
        as_user = {"user": self.world.runner.uid, "group": self.world.runner.uid, "extra_groups": []} if self.world.runner.uid is not None else {}
        self.process = subprocess.Popen(wrapper + command, stdin=theirs[0], stdout=theirs[1], stderr=theirs[1], cwd="/", env=environment,
                                        start_new_session=True, **as_user)
        for fd in set(theirs):
            os.close(fd)
        self.reader, self.writer = ours

    def connect(self):
        """((our read fd, our write fd), (their stdin, their stdout))."""
        transport = self.world.runner.transport
        if transport == "pipe":
            to_read, to_write = os.pipe()
            from_read, from_write = os.pipe()
            self.socket = None
            for fd in (to_write, from_read):
                os.set_blocking(fd, False)
            return (from_read, to_write), (to_read, from_write)
        if transport == "unix":
            ours, theirs = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                ours = socket.create_connection(listener.getsockname())
                theirs, _ = listener.accept()
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ours.setblocking(False)
        self.socket = ours
        fd = theirs.detach()
        return (ours.fileno(), ours.fileno()), (fd, fd)

    def send(self, data):
        """Sends everything, keeping what arrives meanwhile, so that neither side blocks for ever."""
        deadline = time.monotonic() + STEP_SECONDS
        self.sent_at = time.monotonic()
        while data:
            readable, writable, _ = select.select([] if self.at_eof else [self.reader], [self.writer], [], max(0, deadline - time.monotonic()))
            if not readable and not writable:
                raise Mismatch("the server does not take what we send")
            if readable:
                self.receive()
            if writable:
                try:
                    data = data[os.write(self.writer, data):]
                except (BrokenPipeError, ConnectionResetError):
                    return  # what the server said before it closed is still to be read

    def receive(self):
        try:
            data = os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.received_at = time.monotonic()
        self.at_eof = not data
        self.input += data

    def wait_input(self, seconds):
        """Whether something came, or the end, within the time."""
        if self.at_eof:
            return True
        readable, _, _ = select.select([self.reader], [], [], max(0, seconds))
        if readable:
            self.receive()
        return bool(readable)

    def line(self):
        deadline = time.monotonic() + STEP_SECONDS
        while b"\n" not in self.input:
            if self.at_eof:
                raise Mismatch(f"the server closed; before that: {self.input!r}")
            if not self.wait_input(deadline - time.monotonic()):
                raise Mismatch(f"no reply within {STEP_SECONDS:g} s; so far: {self.input!r}")
        line, _, self.input = self.input.partition(b"\n")
        if not line.endswith(b"\r"):
            raise Mismatch(f"a line that does not end in CRLF: {line!r}")
        return line[:-1]

    def body(self):
        """A multi-line reply up to its dot, byte-stuffing undone."""
        lines = []
        while (line := self.line()) != b".":
            if line.startswith(b"."):
                if not line.startswith(b".."):
                    raise Mismatch(f"a line that is not byte-stuffed: {line!r}")
                line = line[1:]
            lines.append(line)
        return lines

    def expect_eof(self):
        deadline = time.monotonic() + STEP_SECONDS
        while not self.at_eof:
            if not self.wait_input(deadline - time.monotonic()):
                raise Mismatch(f"the connection stays open for {STEP_SECONDS:g} s")
            if self.input:
                break
        if self.input:
            raise Mismatch(f"the end expected, got {self.input!r}")

    def half_close(self):
        if self.socket:
            self.socket.shutdown(socket.SHUT_WR)
        else:
            os.close(self.writer)
            self.writer = -1

    def close(self, reset=False):
        if self.socket:
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.socket.close()
            self.socket = None
        elif self.reader >= 0:
            for fd in {self.reader, self.writer} - {-1}:
                try:
                    os.close(fd)
                except OSError:
                    pass
        self.reader = self.writer = -1
        self.at_eof = True

    def finish(self):
        """Our side is closed: every process of the session must end by itself."""
        self.close()
        try:
            self.status = self.process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Mismatch(f"the server does not end within {STEP_SECONDS:g} s of our closing") from None
        deadline = time.monotonic() + STEP_SECONDS
        while left := processes_of_session(self.process.pid):
            if time.monotonic() > deadline:
                raise Mismatch(f"processes of the session stay behind: {left}")
            time.sleep(0.02)

    def kill_everything(self):
        self.close()
        for pid in processes_of_session(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


def processes_of_session(sid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == sid and fields[0] not in "ZX":
                found.append(int(entry))
    return found


# ---------------------------------------------------------------------------------------------- playing

class Play:
    """Runs the steps of one case in its world."""

    def __init__(self, world):
        self.world, self.session, self.unsent, self.last = world, None, b"", None

    def current(self):
        if self.session is None:
            self.open("A", "")
        return self.session

    def open(self, name, args):
        self.session = self.world.sessions[name] = Session(self.world, args)

    def flush(self):
        """Commands that follow each other without a reply between them are one write: pipelining."""
        data, self.unsent = self.unsent, b""
        if data:
            self.current().send(data)

    def run(self):
        checks = []
        for step in self.world.case.steps:
            self.last = step
            if step.tag in CHECKS:
                checks.append(step)
            elif step.tag in ("C", "Craw"):
                self.current()
                self.unsent += unescape(step.text) if step.tag == "Craw" else self.world.expand(step.text).encode("latin-1") + b"\r\n"
            elif step.tag in TALK:
                self.flush()
                getattr(self, "do_" + {"S~": "match", "S*": "body"}.get(step.tag, step.tag.lower().replace("-", "_")))(step)
        self.flush()
        self.do_end(None)
        for step in checks:
            self.last = step
            self.check(step)
        self.last = None
        self.check_silent_rules({s.tag for s in checks}, checks)

    # -- what a client does

    def do_session(self, step):
        name, _, args = step.text.partition(" ")
        if name in self.world.sessions:
            self.session = self.world.sessions[name]
        else:
            self.open(name, args)

    def do_login(self, step):
        user = self.world.user(step.text.strip() or self.world.users[0].name)
        session = self.current()
        self.greeting(session.line())
        for command in (f"USER {user.name}", f"PASS {user.password}"):
            session.send(command.encode("latin-1") + b"\r\n")
            reply = session.line()
            if not reply.startswith(b"+OK "):
                raise Mismatch(f"{command.split()[0]} was answered {reply!r}")

    def greeting(self, line):
        match = re.match(rb"\+OK Qpopper[^ ]* \(version (\S+)\) at (\S+) starting\.", line)
        if match:
            self.world.greeted_version, self.world.greeted_host = (g.decode("latin-1") for g in match.groups())
        elif not line.startswith(b"+OK"):
            raise Mismatch(f"the greeting is {line!r}")

    def do_close(self, step):
        self.current().close()

    def do_reset(self, step):
        self.current().close(reset=True)

    def do_half_close(self, step):
        self.current().half_close()

    def do_pause(self, step):
        time.sleep(float(step.text))

    def do_kill(self, step):
        """kill SIGNAL: to every process of the session."""
        for pid in processes_of_session(self.current().process.pid):
            os.kill(pid, getattr(signal, "SIG" + step.text.strip()))

    def do_run(self, step):
        self.world.shell(step)

    def do_deliver(self, step):
        self.world.deliver(step)

    def do_end(self, step):
        for session in self.world.sessions.values():
            if session.status is None:
                session.finish()

    def do_now(self, step):
        """now CHECK: a check in the middle of a session."""
        tag, _, text = step.text.partition(" ")
        inner = Step(step.number, tag.rstrip(":"), text)
        if inner.tag not in CHECKS - {"exit"}:
            raise Broken(f"line {step.number}: now what?")
        self.check(inner)

    # -- what a client hears

    def do_s(self, step):
        line = self.current().line()
        if line.startswith(b"+OK Qpopper"):
            self.greeting(line)
        expected = self.world.expand(step.text).encode("latin-1")
        if line != expected:
            raise Mismatch(f"expected {expected!r}, got {line!r}")

    def do_match(self, step):
        line = self.current().line()
        if line.startswith(b"+OK Qpopper"):
            self.greeting(line)
        pattern = self.world.expand(step.text, re.escape)
        if not re.fullmatch(pattern, line.decode("latin-1")):
            raise Mismatch(f"expected a match of {pattern!r}, got {line!r}")

    def do_body(self, step):
        expected, got = self.expected_body(step), self.current().body()
        if expected is not None and expected != got:
            first = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
            raise Mismatch(f"the body has {len(got)} lines instead of {len(expected)}" if len(got) != len(expected) else "the body differs"
                           f": line {first + 1}: expected {expected[first:first + 1]!r}, got {got[first:first + 1]!r}")

    def expected_body(self, step):
        if step.block is not None:
            return [self.world.expand(line).encode("latin-1") for line in step.block]
        words = step.text.split()
        if words[:1] == ["any"]:
            return None
        if words[:1] == ["message"]:
            return mbox.on_the_wire(self.world.messages()[int(words[1]) - 1][1])
        if words[:1] == ["top"]:
            return mbox.on_the_wire(self.world.messages()[int(words[1]) - 1][1], int(words[2]))
        if words[:1] == ["list"]:
            picked = numbers(words[1]) if len(words) > 1 else range(1, len(self.world.messages()) + 1)
            return [f"{n} {mbox.octets(self.world.messages()[n - 1][1])}".encode() for n in picked]
        if not step.text:
            return []
        return mbox.on_the_wire(self.world.content(step.text) + b"\n")

    def do_eof(self, step):
        self.current().expect_eof()

    def do_quiet(self, step):
        session = self.current()
        if session.input or session.wait_input(float(step.text)):
            raise Mismatch(f"silence expected, got {session.input!r}" + (" and the end" if session.at_eof else ""))

    def do_elapsed(self, step):
        """elapsed A..B: seconds from the last command to the last reply."""
        low, _, high = step.text.partition("..")
        took = self.current().received_at - self.current().sent_at
        if took < float(low) or took > float(high) * PATIENCE:
            raise Mismatch(f"the reply took {took:.2f} s")

    # -- what is left behind

    def check(self, step):
        getattr(self, {"exit": "check_exit", "L": "check_log", "L~": "check_log", "L!": "check_log", "M": "check_maildrop", "F": "check_file",
                       "F!": "check_file", "status": "check_status"}[step.tag])(step)

    def check_exit(self, step):
        name, _, value = step.text.rpartition(" ")
        session = self.world.sessions[name.strip() or "A"]
        if session.status != int(value):
            raise Mismatch(f"exit status {session.status}")

    def check_log(self, step):
        log = self.world.log()
        pattern = self.world.expand(step.text, re.escape if step.tag != "L" else lambda s: s)
        found = [line for line in log if (line == pattern if step.tag == "L" else re.search(pattern, line))]
        if bool(found) == (step.tag == "L!"):
            raise Mismatch(f"log: {'found ' + found[0] if found else 'not found'}")

    def check_maildrop(self, step):
        """M: same | gone | SPEC, then perhaps `for USER`."""
        spec, _, name = step.text.partition(" for ")
        user = self.world.user(name.strip() or self.world.users[0].name)
        now, before, spec = self.world.look(user), self.world.before[user.name], spec.strip()
        if spec == "gone":
            if now is not None:
                raise Mismatch("the maildrop exists")
            return
        if spec == "same":
            expected = before["bytes"] if before else None
        else:
            expected = self.world.content(spec)
        got = now["bytes"] if now else None
        if got != expected:
            raise Mismatch(f"maildrop of {user.name}: {describe(expected, got)}")

    def check_file(self, step):
        """F: PATH [SPEC], F! PATTERN; relative to the case's directory."""
        name, _, spec = self.world.expand(step.text).partition(" ")
        if step.tag == "F!":
            if found := list(self.world.dir.glob(name)):
                raise Mismatch(f"there is {found[0]}")
            return
        path = self.world.dir / name
        if not path.exists():
            raise Mismatch(f"there is no {path}")
        if spec and path.read_bytes() != self.world.content(spec):
            raise Mismatch(f"{path}: {describe(self.world.content(spec), path.read_bytes())}")

    def check_status(self, step):
        """status PATH MODE: type and mode bits in octal, such as 600."""
        name, mode = self.world.expand(step.text).split()
        found = stat.S_IMODE(os.lstat(self.world.dir / name).st_mode)
        if found != int(mode, 8):
            raise Mismatch(f"mode {found:o}")

    def check_silent_rules(self, tags, checks):
        """What holds in every case unless it says otherwise (README: silent rules)."""
        told = {(s.text.partition(" for ")[2].strip() or self.world.users[0].name) for s in checks if s.tag == "M"}
        for user in self.world.users:
            before, now = self.world.before[user.name], self.world.look(user)
            if user.name not in told and (before or {}).get("bytes") != (now or {}).get("bytes"):
                raise Mismatch(f"the maildrop of {user.name} changed: {describe((before or {}).get('bytes'), (now or {}).get('bytes'))}")
            if before and now:
                for what in ("inode", "owner", "mode"):
                    if before[what] != now[what]:
                        raise Mismatch(f"{what} of {user.name}'s maildrop changed from {before[what]} to {now[what]} (I2)")
        allowed = [w for s in self.world.case.all("leaves") for w in s.text.split()]
        new = [f for f in os.listdir(self.world.spool) if f not in self.world.listed and f not in {u.name for u in self.world.users}
               and not re.fullmatch(r"\..*\.cache", f) and not any(pathlib.PurePath(f).match(p) for p in allowed)]
        if new:
            raise Mismatch(f"files left in the spool: {' '.join(sorted(new))}")
        for name, session in self.world.sessions.items():
            if session.status is not None and session.status < 0 and not self.world.case.all("kill"):
                raise Mismatch(f"session {name} died of signal {-session.status}")
        secrets = {u.password for u in self.world.users if len(u.password) >= 6}
        for line in self.world.log():
            for secret in secrets:
                if secret in line:
                    raise Mismatch(f"a password stands in the log: {line}")


def describe(expected, got):
    if expected is None or got is None:
        return f"{'there is none' if got is None else 'there is one'}"
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    return (f"{len(got)} bytes instead of {len(expected)}, first difference at {at}: expected "
            f"{expected[max(0, at - 20):at + 40]!r}, got {got[max(0, at - 20):at + 40]!r}")


# ---------------------------------------------------------------------------------------------- all cases

def reason_to_skip(case, runner):
    pinned = [s.text.split() for s in case.all("over")]
    if pinned and runner.transport not in pinned[-1]:
        return None, True
    for step in case.all("needs"):
        for need in step.text.split():
            if need == "root" and not runner.privileged:
                return "needs a server started as root", os.getuid() == 0
            if need == "ordinary-user" and runner.privileged:
                return "needs a server started as an ordinary user", True
            if need.startswith("program:") and not shutil.which(need[8:]):
                return f"needs {need[8:]}", False
    return None, False


def play_case(case, runner, popper):
    """(verdict, text): verdict is "ok", "not ok" or "skip"."""
    world = play = None
    try:
        world = World(case, runner, popper)
        world.build()
        play = Play(world)
        play.run()
        return "ok", ""
    except (Mismatch, Broken, subprocess.TimeoutExpired, OSError, ValueError, KeyError, IndexError) as e:
        where = f"line {play.last.number}: {play.last.tag} {play.last.text}\n" if play and play.last else ""
        text = f"{where}{type(e).__name__}: {e}"
        if world:
            text += "\nlog:\n" + "\n".join("  " + line for line in world.log()[-30:])
        return "not ok", text
    finally:
        if world:
            for session in world.sessions.values():
                session.kill_everything()
            if not os.environ.get("POPPER_WIRE_KEEP"):
                world.remove()


def runners(arguments):
    """As root: over TCP started as root, as inetd does, and over a local socket started as an ordinary user."""
    ordinary = FIRST_UID if os.getuid() == 0 and not arguments.as_root else None
    everything = [Runner("tcp", None), Runner("unix", ordinary), Runner("pipe", ordinary)]
    wanted = (arguments.over or ("tcp" if os.environ.get("POPPER_TESTS") == "short" else "tcp,unix,pipe")).split(",")
    return [r for r in everything if r.transport in wanted]


def readable_by_others(popper, directory):
    """The server's file if everybody may run it, else a copy that everybody may run (a build under /root)."""
    if os.getuid() != 0 or all(p.stat().st_mode & 0o001 for p in [popper, *popper.parents]):
        return popper
    copy = pathlib.Path(directory) / "popper"
    shutil.copy(popper, copy)
    copy.chmod(0o755)
    return copy


def main():
    parser = argparse.ArgumentParser(description="plays POP3 transcripts against popper; see tests/wire/README")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--popper", default=os.environ.get("POPPER", "popper/popper"))
    parser.add_argument("--over", help="comma list of tcp, unix, pipe")
    parser.add_argument("--only", help="cases whose name matches this regular expression")
    parser.add_argument("--as-root", action="store_true", help="start the server as root over every transport")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    popper = pathlib.Path(arguments.popper).absolute()
    if not popper.exists():
        print(f"Bail out! there is no {popper}: build first, or set POPPER")
        return 1
    try:
        cases = [(path, case) for path in arguments.files for case in parse(path)]
    except Broken as e:
        print(f"Bail out! {e}")
        return 1
    with tempfile.TemporaryDirectory(prefix="popper-wire.") as shared:
        os.chmod(shared, 0o755)
        popper = readable_by_others(popper, shared)
        return play_all(arguments, cases, popper)


def play_all(arguments, cases, popper):
    plays = []
    for runner in runners(arguments):
        for path, case in cases:
            # Pipes are tried by the cases that ask for them: the conversation is the same.
            if runner.transport == "pipe" and not case.all("over") and not arguments.over:
                continue
            if arguments.only and not re.search(arguments.only, case.name):
                continue
            why, silently = reason_to_skip(case, runner)
            if not silently:
                plays.append((f"{pathlib.Path(path).stem}: {case.name} ({runner.name()})", why, case, runner))
    failed = 0
    print(f"1..{len(plays)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = [(name, why, pool.submit(play_case, case, runner, popper) if not why else None) for name, why, case, runner in plays]
        for number, (name, why, result) in enumerate(results, 1):
            verdict, text = result.result() if result else ("skip", why)
            if verdict == "skip":
                print(f"ok {number} - {name} # SKIP {text}", flush=True)
                continue
            failed += verdict != "ok"
            print(f"{verdict} {number} - {name}", *("# " + line for line in text.split("\n") if text), sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
