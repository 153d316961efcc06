"""session: one connection: the server's processes and our end of descriptors 0, 1 and 2.
"""
import errno
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import time
import tty

from tlsclient import TlsEnd
from transcript import Mismatch, short
from world import STEP_SECONDS


class Session:
    """A server process and our end of its descriptors 0, 1, 2."""

    def __init__(self, world, extra_args):
        self.world, self.input, self.at_eof, self.status, self.stamp = world, b"", False, None, ""
        self.sent_at = self.received_at = time.monotonic()
        self.pieces = 0  # what came at once, since the last command; where writes keep their limits it counts them
        self.tls = None
        self.start(extra_args)
        if world.runner.through:
            self.begin_tls(world.runner.certificate[0])

    def command(self, extra_args):
        case, world = self.world.case, self.world
        words = [str(world.popper)]
        if not any("config" in s.text.split() for s in case.all("without")):
            words += ["-f", str(world.dir / "popper.conf")]
        if not any("trace" in s.text.split() for s in case.all("without")):
            words += ["-t", str(world.trace)]
        for step in case.all("args"):
            words += case.args_without(world.expand(step.text).split())
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
        if self.world.syslog:
            environment |= {"LD_PRELOAD": str(self.world.dir / "devlog.so"), "POPPER_TEST_DEVLOG": str(self.world.dir / "devlog")}
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
        if transport == "pty":
            ours, theirs = pty.openpty()
            tty.setraw(theirs)
            self.socket = None
            os.set_blocking(ours, False)
            return (ours, ours), (theirs, theirs)
        if transport == "unix":
            ours, theirs = socket.socketpair()
        elif transport == "seqpacket":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                ours = socket.create_connection(listener.getsockname())
                theirs, _ = listener.accept()
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ours.setblocking(False)
        self.socket = ours
        fd = theirs.detach()
        return (ours.fileno(), ours.fileno()), (fd, fd)

    def begin_tls(self, cafile):
        """A server that closes instead has said so at its end."""
        tls, data = TlsEnd(cafile), None
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            done, out = tls.shake_hands(data)
            self.send_bytes(out)
            if done:
                break
            if not select.select([self.reader], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Mismatch(f"no TLS within {STEP_SECONDS:g} s")
            data = os.read(self.reader, 1 << 18)
        self.tls = tls
        self.input, self.at_eof = tls.decrypt(None)

    def send(self, data):
        """Sends everything, keeping what arrives meanwhile, so that neither side blocks for ever."""
        if self.tls:
            data = self.tls.encrypt(data)
        self.send_bytes(data)

    def send_bytes(self, data):
        deadline = time.monotonic() + STEP_SECONDS
        self.sent_at = time.monotonic()
        self.pieces = 0
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
        except OSError as e:
            if e.errno not in (errno.ECONNRESET, errno.EIO):  # a terminal whose other side is closed says EIO
                raise
            data = b""
        self.received_at = time.monotonic()
        self.at_eof = not data
        self.pieces += 1
        if self.tls:
            data, self.at_eof = self.tls.decrypt(data)
        self.input += data

    def wait_input(self, seconds):
        """Whether something came, or the end, within the time."""
        if self.at_eof:
            return True
        readable, _, _ = select.select([self.reader], [], [], max(0, seconds))
        if readable:
            self.receive()
        return bool(readable)

    def line(self, end=b"\r\n"):
        deadline = time.monotonic() + STEP_SECONDS
        while b"\n" not in self.input:
            if self.at_eof:
                raise Mismatch(f"the server closed; before that: {short(self.input)}")
            if not self.wait_input(deadline - time.monotonic()):
                raise Mismatch(f"no reply within {STEP_SECONDS:g} s; so far: {short(self.input)}")
        line, _, self.input = self.input.partition(b"\n")
        if end == b"\r\n" and not line.endswith(b"\r"):
            raise Mismatch(f"a line that does not end in CRLF: {short(line)}")
        return line[:len(line) + 1 - len(end)]

    def body(self):
        """A multi-line reply up to its dot, byte-stuffing undone."""
        lines = []
        while (line := self.line()) != b".":
            if line.startswith(b"."):
                if not line.startswith(b".."):
                    raise Mismatch(f"a line that is not byte-stuffed: {short(line)}")
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
            raise Mismatch(f"the end expected, got {short(self.input)}")
        if self.tls and not self.tls.goodbye and not self.world.case.all("kill"):
            raise Mismatch("the connection was cut without TLS's close_notify")

    def half_close(self):
        if self.tls:
            self.send_bytes(self.tls.say_goodbye())
        elif self.socket:
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
