#!/usr/bin/python3
"""popauth.py: the program popauth: every option, at a pipe and at a terminal; and set-uid, as root in a small world of its own (chroot) with users
alice, bob and pop, where its old holes are tried again: CVE-2001-1487 (trace file), CVE-2005-1152 (umask), and what a caller can hand down.
Databases are looked at with libgdbm itself. Prints TAP. Under CI, as root, nothing is skipped.
"""
import base64
import ctypes
import ctypes.util
import fcntl
import hashlib
import hmac
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import ROOT, equal, need, possible, run_cases  # noqa: E402

POPAUTH = pathlib.Path(os.environ.get("POPAUTH", "popper/popauth")).absolute()
CONFIG = pathlib.Path("config.h")
ALICE, BOB, POP = 64001, 64002, 64003
DONE, USAGE, FORBIDDEN, UNKNOWN_USER, NO_DATABASE, BAD_SECRET = range(6)


# ---- the library's own view of a database

class Datum(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("size", ctypes.c_int)]


class Gdbm:
    def __init__(self):
        self.lib = ctypes.CDLL("libgdbm.so.6")
        self.lib.gdbm_open.restype = ctypes.c_void_p
        self.lib.gdbm_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        for name in ("gdbm_close", "gdbm_firstkey"):
            getattr(self.lib, name).argtypes = [ctypes.c_void_p]
        for name in ("gdbm_fetch", "gdbm_nextkey"):
            getattr(self.lib, name).argtypes = [ctypes.c_void_p, Datum]
            getattr(self.lib, name).restype = Datum
        self.lib.gdbm_firstkey.restype = Datum

    def read(self, path):
        db = self.lib.gdbm_open(os.fsencode(path), 0, 0, 0, None)
        assert db, f"gdbm cannot open {path}"
        records = {}
        key = self.lib.gdbm_firstkey(db)
        while key.bytes:
            value = self.lib.gdbm_fetch(db, key)
            records[ctypes.string_at(key.bytes, key.size)] = ctypes.string_at(value.bytes, value.size)
            key = self.lib.gdbm_nextkey(db, key)
        self.lib.gdbm_close(db)
        return records


def plain(secret):
    return bytes(c ^ 0xff for c in secret) + b"\0"


def secrets(path):
    """User names and what is stored of them; the random bytes for salts left out."""
    return {key: value for key, value in Gdbm().read(path).items() if key != b"\1\0"}


# ---- running it

def run(*args, stdin=b"", root=None, uid=None, before=None, program=None, cwd=None):
    """Status, stdout and stderr. root: chroot there; uid: run as that user (real uid); before: called in the child."""
    def prepare():
        if root:
            os.chroot(root)
            os.chdir("/")
        if before:
            before()
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
    done = subprocess.run([program or str(POPAUTH), *args], input=stdin, capture_output=True, preexec_fn=prepare, cwd=cwd, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Here:
    """A directory for databases of our own, reached with -file."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-popauth."))
        self.file = self.dir / "pop.auth"

    def __call__(self, *args, **more):
        return run("-file", str(self.file), *args, **more)

    def must(self, *args, **more):
        status, out, err = self(*args, **more)
        equal(f"status of {args} ({err})", status, DONE)
        return out

    def refused(self, status, said, *args, **more):
        got, out, err = self(*args, **more)
        equal(f"status of {args} ({out}{err})", got, status)
        assert said in err, f"{args}: {said!r} is not in {err!r}"
        equal("lines of stderr", err.count("\n"), 1)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def has_its_help_and_version(here):
    status, out, err = run("-help")
    equal("status", status, DONE)
    equal("stderr", err, "")
    for option in ("-trace", "-debug", "-init", "-safe", "-list", "-delete", "-user", "-scram", "-help", "-version", "-file"):
        assert option in out, f"{option} is not in the help"
    equal("--help", run("--help"), run("-help"))
    status, out, err = run("-version")
    equal("status", status, DONE)
    version = re.search(r'#define PACKAGE_VERSION "(.*)"', CONFIG.read_text()).group(1)
    equal("version", out, f"popauth of popper {version}\n")


def tells_how_it_is_used(here):
    one = "only one of -user, -delete, -list, -init, -help and -version"
    secret = "what follows -user USER is no option, and no secret"
    for args, said in ((["-nonsense"], 'unknown option "-nonsense"\n'), (["-usr", "bob"], 'unknown option "-usr"; did you mean -user?\n'),
                       (["-lits"], "did you mean -list?"), (["--vers"], "did you mean -version?"), (["s3cret"], 'argument 1 belongs to nothing; options begin with -\n'),
                       (["-delete"], "-delete wants a USER behind it"), (["-user"], "-user wants a USER"), (["-trace"], "-trace wants a FILE"),
                       (["-file"], "-file wants a FILE"), (["--file", "-list"], "-file wants a FILE"), (["-init", "-list"], one),
                       (["-list", "-delete", "bob"], one), (["-safe"], "-safe goes with -init"), (["-list", "-safe"], "-safe goes with -init"),
                       (["-init", "-scram"], "-scram goes only with a new secret"), (["-user", "a", "b", "c"], secret), (["-user", "a", "-s3cret"], secret),
                       (["-user", "a", "s3cret", "-debug", "more"], secret), (["-user", "a", "-scram", "-debug", "-s3cret"], secret),
                       (["-user", "a", "-scram", "x", "s3cret"], secret), (["-user", "a", "-file", "F", "x", "s3cret"], secret),
                       (["-scram", "s3cret"], "argument 2 belongs to nothing"), (["-delete", "a", "s3cret"], "argument 3 belongs to nothing"),
                       (["a", "-s3cret"], "argument 1 belongs to nothing"), (["-user", "-scram"], "-user wants a USER"),
                       (["-list", "ALL", "s3cret"], "argument 3 belongs to nothing"), ([""], "argument 1 belongs to nothing"), (["-"], "argument 1 belongs to nothing"),
                       (["-\x1b[2J"], 'unknown option "-\\x1b[2J"')):
        status, out, err = run(*args)
        equal(f"status of {args}", status, USAGE)
        first, usage = err.split("\n", 1)
        assert first.startswith("popauth: ") and said in first + "\n", f"{args}: {err!r} instead of {said!r}"
        assert usage.startswith("usage: popauth") and out == "", f"{args}: {out!r} {err!r}"
        assert "s3cret" not in err, f"{args}: {err!r}"
    # A session of its own: posix_spawn(3), which Python would use else, refuses to start anything without arguments.
    done = subprocess.run([], executable=str(POPAUTH), input=b"", capture_output=True, timeout=60, start_new_session=True)
    assert done.returncode in (FORBIDDEN, UNKNOWN_USER, NO_DATABASE, BAD_SECRET), done


def makes_a_database(here):
    here.must("-init", before=lambda: os.umask(0))
    equal("mode", stat.S_IMODE(here.file.stat().st_mode), 0o600)
    equal("records", secrets(here.file), {})
    equal("files", os.listdir(here.dir), ["pop.auth"])


def init_safe_keeps_what_is_there(here):
    here.must("-init", "-safe")
    here.must("-user", "alice", stdin=b"tanstaaf\n")
    before = here.file.read_bytes()
    out = here.must("-init", "-safe")
    assert "nothing was done" in out, out
    equal("database", here.file.read_bytes(), before)
    here.must("-init")
    equal("records", secrets(here.file), {})


def adds_changes_and_removes(here):
    here.must("-init")
    equal("said", here.must("-user", "alice", stdin=b"tanstaaf\n"), "added secret of alice\n")
    equal("said", here.must("-user", "bob", "on the line"), "added secret of bob\n")
    equal("records", secrets(here.file), {b"alice\0": plain(b"tanstaaf"), b"bob\0": plain(b"on the line")})
    equal("said", here.must("-user", "alice", stdin=b"other\nmore\n"), "changed secret of alice\n")
    equal("list", here.must("-list", "ALL"), "alice\tAPOP\nbob\tAPOP\n")
    equal("list", here.must("-list", "bob"), "bob\tAPOP\n")
    equal("said", here.must("-delete", "bob"), "removed bob\n")
    equal("records", secrets(here.file), {b"alice\0": plain(b"other")})
    here.refused(UNKNOWN_USER, "no such user", "-delete", "bob")
    here.refused(UNKNOWN_USER, "no such user", "-list", "bob")
    equal("mode", stat.S_IMODE(here.file.stat().st_mode), 0o600)


def takes_any_secret_of_255_bytes(here):
    here.must("-init")
    for secret in (b"x", b" blanks  and\xc3\xa4\xff ", b"y" * 255):
        here.must("-user", "alice", stdin=secret + b"\n")
        equal("record", secrets(here.file), {b"alice\0": plain(secret)})
    here.must("-user", "alice", stdin=b"no newline")
    equal("record", secrets(here.file), {b"alice\0": plain(b"no newline")})
    here.must("-user", "alice", stdin=b"from elsewhere\r\n")
    equal("record", secrets(here.file), {b"alice\0": plain(b"from elsewhere")})


def refuses_bad_secrets(here):
    here.must("-init")
    here.must("-user", "alice", "good")
    for said, secret in (("no secret", b""), ("empty", b"\n"), ("longer than 255", b"x" * 256 + b"\n"), ("longer than 255", b"x" * 100000),
                         ("NUL", b"a\0b\n"), ("control", b"a\tb\n"), ("control", b"a\x7f\n")):
        here.refused(BAD_SECRET, said, "-user", "alice", stdin=secret)
        here.refused(BAD_SECRET, said, "-user", "alice", "-scram", stdin=secret)
    here.refused(BAD_SECRET, "longer", "-user", "alice", "x" * 256)
    here.refused(BAD_SECRET, "empty", "-user", "alice", "")
    here.refused(BAD_SECRET, "control", "-user", "alice", "a\nb")
    equal("records", secrets(here.file), {b"alice\0": plain(b"good")})


def keeps_odd_names_apart(here):
    here.must("-init")
    here.must("-user", "x" * 64, "s")
    here.must("-user", "%n%s", "s")
    here.must("-user", "../x", "s")
    for name in ("x" * 65, "x" * 10000, "", "\1alice", " x"):
        here.refused(USAGE, "64 bytes", "-user", name, "s")
        here.refused(USAGE, "64 bytes", "-delete", name)
    here.must("-user", "bell\a\"\n", "s")
    out = here.must("-list", "ALL")
    equal("list", out, "%n%s\tAPOP\n../x\tAPOP\nbell\\x07\\x22\\x0a\tAPOP\n" + "x" * 64 + "\tAPOP\n")


def scram_key(hash_name, secret, text):
    name, rest, keys = text.split("$")
    iterations, salt = rest.split(":")
    equal("iterations", iterations, "10000")
    salted = hashlib.pbkdf2_hmac(hash_name, secret, base64.b64decode(salt), int(iterations))
    client = hmac.digest(salted, b"Client Key", hash_name)
    expected = [hashlib.new(hash_name, client).digest(), hmac.digest(salted, b"Server Key", hash_name)]
    equal(f"keys of {name}", [base64.b64decode(k) for k in keys.split(":")], expected)
    return name


def scram_keeps_verifiers_only(here):
    here.must("-init")
    here.must("-user", "alice", "pencil")
    equal("said", here.must("-user", "alice", "-scram", stdin=b"pencil\n"), "changed SCRAM verifiers of alice\n")
    records = secrets(here.file)
    equal("keys", list(records), [b"\1alice\0"])
    lines = records[b"\1alice\0"].rstrip(b"\0").decode().splitlines()
    equal("mechanisms", [scram_key(h, b"pencil", line) for h, line in zip(("sha1", "sha256"), lines)], ["SCRAM-SHA-1", "SCRAM-SHA-256"])
    equal("list", here.must("-list", "ALL"), "alice\tSCRAM\n")
    here.must("-user", "alice", "eraser")  # who has verifiers keeps having them
    lines = secrets(here.file)[b"\1alice\0"].rstrip(b"\0").decode().splitlines()
    scram_key("sha256", b"eraser", lines[1])
    assert b"eraser" not in here.file.read_bytes() and plain(b"eraser")[:-1] not in here.file.read_bytes()
    here.must("-delete", "alice")
    equal("records", secrets(here.file), {})


def says_what_is_wrong_with_the_database(here):
    here.refused(NO_DATABASE, "popauth -init", "-list", "ALL")
    here.must("-init")
    here.must("-user", "alice", "s")
    good = here.file.read_bytes()
    here.file.chmod(0o644)
    for args in (["-list", "ALL"], ["-user", "alice", "t"], ["-delete", "alice"]):
        here.refused(NO_DATABASE, "has mode 0644, but must have 0600", *args)
    here.file.chmod(0o600)
    here.file.write_bytes(b"alice:s\n" * 100)
    here.refused(NO_DATABASE, "CONVERSION", "-user", "alice", "t")
    here.file.write_bytes(good[:5000])
    here.refused(NO_DATABASE, "damaged", "-user", "alice", "t")
    equal("bytes", here.file.stat().st_size, 5000)
    here.file.write_bytes(good)
    os.link(here.file, here.dir / "second")
    here.refused(NO_DATABASE, "2 links", "-user", "alice", "t")
    (here.dir / "second").unlink()
    here.file.rename(here.dir / "second")
    here.file.symlink_to("second")
    here.refused(NO_DATABASE, "symbolic link", "-user", "alice", "t")
    equal("database", (here.dir / "second").read_bytes(), good)


def converts_a_database_of_bsd(here):
    """The line of the manual page's section CONVERSION."""
    need(subprocess.run(["perl", "-MDB_File", "-MGDBM_File", "-e", "1"], capture_output=True).returncode == 0, "no perl with DB_File")
    subprocess.run(["perl", "-MDB_File", "-e",
                    'tie %a, "DB_File", $ARGV[0], O_RDWR|O_CREAT, 0600, $DB_HASH or die; $a{"alice\\0"} = ~"abc" . "\\0"', f"{here.file}.db"], check=True)
    here.refused(NO_DATABASE, "CONVERSION", "-list", "ALL")
    page = (pathlib.Path(os.environ.get("srcdir", ".")) / "man/popauth.8").read_text()
    section = page[page.index(".Sh CONVERSION"):]
    command = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section, re.S | re.M).group(1)
    command = command.replace("\\e", "\\").replace("\\(aq", "'").replace("/etc/pop.auth", str(here.file))
    subprocess.run(["sh", "-ec", command], check=True)
    equal("list", here.must("-list", "ALL"), "alice\tAPOP\n")
    equal("records", secrets(here.file), {b"alice\0": plain(b"abc")})


# ---- at a terminal

class Terminal:
    """popauth with a terminal of its own."""

    def __init__(self, *args, **more):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(POPAUTH, [str(POPAUTH), *args])
        self.text = b""

    def expect(self, text, seconds=10):
        limit = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < limit, f"{text!r} did not come: {self.text!r}"
            try:
                self.text += os.read(self.fd, 1000)
            except OSError:
                break
        assert text in self.text, f"{text!r} did not come: {self.text!r}"
        self.text = self.text[self.text.index(text) + len(text):]

    def type(self, text):
        os.write(self.fd, text)

    def echoes(self):
        import termios
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait(self):
        seen = self.text
        while True:
            try:
                more = os.read(self.fd, 1000)
            except OSError:
                break
            if not more:
                break
            seen += more
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return status, seen.decode()


def asks_twice_without_echo(here):
    here.must("-init")
    t = Terminal("-file", str(here.file), "-user", "alice")
    t.expect(b"New secret for alice: ")
    assert not t.echoes()
    t.type(b"pencil\n")
    t.expect(b"Again: ")
    assert not t.echoes()
    t.type(b"pencil\n")
    status, seen = t.wait()
    equal("status", os.waitstatus_to_exitcode(status), DONE)
    assert "added secret of alice" in seen and "pencil" not in seen, seen
    equal("records", secrets(here.file), {b"alice\0": plain(b"pencil")})


def takes_only_the_same_twice(here):
    here.must("-init")
    for second in (b"pencils\n", b"penci\n", b"\n", b"\4"):
        t = Terminal("-file", str(here.file), "-user", "alice")
        t.expect(b"New secret")
        t.type(b"pencil\n")
        t.expect(b"Again")
        t.type(second)
        equal("status", os.waitstatus_to_exitcode(t.wait()[0]), BAD_SECRET)
    equal("records", secrets(here.file), {})


def leaves_the_terminal_as_it_was(here):
    here.must("-init")
    for key, number in ((b"\3", signal.SIGINT), (b"\x1c", signal.SIGQUIT), (None, signal.SIGTERM)):
        master, slave = pty.openpty()
        child = subprocess.Popen([str(POPAUTH), "-file", str(here.file), "-user", "alice"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(0, 0x540E, 0))
        t = Terminal.__new__(Terminal)
        t.fd, t.text = master, b""
        t.expect(b"New secret")
        assert not t.echoes()
        if key:
            t.type(key)
        else:
            child.send_signal(number)
        equal("status", child.wait(10), -number)
        assert t.echoes(), "the terminal does not echo any more"
        os.close(master)
        os.close(slave)
    equal("records", secrets(here.file), {})


def asks_anew_after_a_stop(here):
    here.must("-init")
    t = Terminal("-file", str(here.file), "-user", "alice")
    t.expect(b"New secret")
    t.type(b"pen\x1a")
    limit = time.monotonic() + 10
    # Nobody can continue the leader of an orphaned process group that stops: the kernel drops the stop, and the question comes again.
    t.expect(b"New secret", limit - time.monotonic())
    t.type(b"eraser\n")
    t.expect(b"Again")
    t.type(b"eraser\n")
    equal("status", os.waitstatus_to_exitcode(t.wait()[0]), DONE)
    equal("records", secrets(here.file), {b"alice\0": plain(b"eraser")})


def asks_before_throwing_away(here):
    here.must("-init")
    here.must("-user", "alice", "s")
    for answer, left in ((b"no\n", 1), (b"y\n", 1), (b"\n", 1), (b"yes\n", 0)):
        t = Terminal("-file", str(here.file), "-init")
        t.expect(b"Throw away")
        t.type(answer)
        equal("status", os.waitstatus_to_exitcode(t.wait()[0]), FORBIDDEN if left else DONE)
        equal("records", len(secrets(here.file)), left)


def traces_and_debugs(here):
    here.must("-init")
    trace = here.dir / "trace"
    here.must("-trace", str(trace), "-user", "alice", "the secret", before=lambda: os.umask(0))
    equal("mode", stat.S_IMODE(trace.stat().st_mode), 0o600)
    text = trace.read_text()
    assert 'added secret of "alice" in' in text and "opened the database" in text, text
    assert "the secret" not in text, text
    status, out, err = here("-debug", "-list", "ALL")
    equal("status", status, DONE)
    assert "popauth: debug: opened the database" in err, err
    here.refused(FORBIDDEN, "trace file", "-trace", str(here.dir / "no" / "where"), "-list", "ALL")


# ---- set-uid, in a world of its own

class World:
    """A root directory with popauth set-uid pop in it, and three users."""

    def __init__(self, mode=0o4755, owner=POP):
        need(ROOT, "not root")
        need(b"__asan_init" not in POPAUTH.read_bytes(), "a sanitizer is no program to run set-uid")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-popauth."))
        self.dir.chmod(0o755)
        for name in ("etc", "bin", "dev", "home/alice", "home/pop", "tmp"):
            (self.dir / name).mkdir(parents=True)
        (self.dir / "tmp").chmod(0o1777)
        os.chown(self.dir / "home/alice", ALICE, ALICE)
        os.chown(self.dir / "home/pop", POP, POP)
        (self.dir / "home/pop").chmod(0o700)
        for name, minor in (("null", 3), ("full", 7)):  # the C library fills closed descriptors with both
            os.mknod(self.dir / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            (self.dir / "dev" / name).chmod(0o666)
        (self.dir / "etc/passwd").write_text("".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for name, uid in (
            ("root", 0), ("alice", ALICE), ("bob", BOB), ("pop", POP))))
        (self.dir / "etc/nsswitch.conf").write_text("passwd: files\n")
        self.copy_program()
        self.program = self.dir / "bin/popauth"
        shutil.copy(POPAUTH, self.program)
        os.chown(self.program, owner, owner)
        self.program.chmod(mode)
        possible(not os.statvfs(self.dir).f_flag & os.ST_NOSUID, f"{self.dir} is mounted nosuid")
        self.file = self.dir / "etc/pop.auth"

    def copy_program(self):
        listed = subprocess.run(["ldd", str(POPAUTH)], capture_output=True, text=True, check=True).stdout
        gdbm = subprocess.run([sys.executable, "-c", "import ctypes; ctypes.CDLL('libgdbm.so.6'); "
                               "print(next(l.split()[-1] for l in open('/proc/self/maps') if 'libgdbm.so' in l))"], capture_output=True, text=True, check=True)
        for path in re.findall(r"(/\S+\.so\S*)", listed) + [gdbm.stdout.strip()]:
            name = "libgdbm.so.6" if "libgdbm.so" in path else os.path.basename(path)
            target = self.dir / os.path.dirname(path).lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(path), target / name)

    def __call__(self, *args, uid=ALICE, **more):
        return run(*args, root=self.dir, uid=uid, program="/bin/popauth", **more)

    def must(self, *args, **more):
        status, out, err = self(*args, **more)
        equal(f"status of {args} ({err})", status, DONE)
        return out

    def refused(self, status, said, *args, **more):
        before = self.file.read_bytes() if self.file.is_file() else None
        got, out, err = self(*args, **more)
        equal(f"status of {args} ({out}{err})", got, status)
        assert said in err, f"{args}: {said!r} is not in {err!r}"
        equal("database", self.file.read_bytes() if self.file.is_file() else None, before)

    def filled(self):
        self.must("-init", uid=0)
        self.must("-user", "alice", "old", uid=0)
        self.must("-user", "bob", "bobs", uid=0)
        return self

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def only_root_inits(world):
    for uid in (ALICE, POP):
        world.refused(FORBIDDEN, "only the super-user", "-init", uid=uid)
        world.refused(FORBIDDEN, "only the super-user", "-init", "-safe", uid=uid)
    world.must("-init", uid=0, before=lambda: os.umask(0))
    st = world.file.stat()
    equal("owner", (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (POP, POP, 0o600))
    world.refused(FORBIDDEN, "only the super-user", "-init", uid=POP)


def users_change_themselves_only(world):
    world.must("-init", uid=0)
    world.refused(UNKNOWN_USER, "ask the administrator to add you", stdin=b"mine\n")
    world.refused(UNKNOWN_USER, "no such user", "-list")
    world.filled()
    equal("said", world.must(stdin=b"mine\n"), "changed secret of alice\n")
    equal("said", world.must("-user", "alice", "mine2"), "changed secret of alice\n")
    equal("list", world.must("-list"), "alice\tAPOP\n")
    equal("list", world.must("-list", "alice"), "alice\tAPOP\n")
    equal("said", world.must("-scram", stdin=b"mine3\n"), "changed SCRAM verifiers of alice\n")
    equal("list", world.must("-list"), "alice\tSCRAM\n")
    for args in (["-user", "bob", "stolen"], ["-list", "bob"], ["-list", "ALL"], ["-delete", "bob"], ["-delete", "alice"], ["-user", "carol", "x"],
                 ["-user", "pop", "x"], ["-list", "carol"]):
        world.refused(FORBIDDEN, "only the super-user and the owner", *args)
    world.refused(FORBIDDEN, "more rights than you", "-file", "/tmp/x", "-list")
    world.refused(FORBIDDEN, "no name in the user database", uid=64999, stdin=b"x\n")
    equal("bob", secrets(world.file)[b"bob\0"], plain(b"bobs"))


def owner_may_all_but_init(world):
    world.filled()
    world.must("-user", "carol", "c", uid=POP)
    world.must("-delete", "bob", uid=POP)
    equal("list", world.must("-list", "ALL", uid=POP), "alice\tAPOP\ncarol\tAPOP\n")
    equal("list", world.must("-list", "alice", uid=POP), "alice\tAPOP\n")


def works_set_uid_root_too(world):
    world.close()
    world.__init__(owner=0)
    world.filled()
    world.must(stdin=b"mine\n")
    equal("alice", secrets(world.file)[b"alice\0"], plain(b"mine"))
    st = world.file.stat()
    equal("owner", (st.st_uid, stat.S_IMODE(st.st_mode)), (POP, 0o600))
    world.refused(FORBIDDEN, "only the super-user and", "-user", "bob", "stolen")
    victim = world.dir / "etc/passwd"
    before = victim.read_bytes()
    world.refused(FORBIDDEN, "trace file", "-trace", "/etc/passwd", "-list")
    equal("passwd", victim.read_bytes(), before)


def trace_file_is_the_callers(world):
    """CVE-2001-1487: a link named as trace file let users write to files of the owner of popauth."""
    world.filled()
    secret = world.dir / "home/pop/diary"
    secret.write_text("dear diary\n")
    os.chown(secret, POP, POP)
    (world.dir / "home/pop").chmod(0o755)
    shared = world.dir / "tmp/shared"
    shared.write_text("of pop\n")
    os.chown(shared, POP, POP)
    shared.chmod(0o666)
    for number, target in enumerate(("/etc/pop.auth", "/home/pop/diary", "/tmp/shared", "/etc/passwd", "/bin/popauth")):
        link = world.dir / f"tmp/link{number}"
        link.symlink_to(target)
        os.chown(link, ALICE, ALICE, follow_symlinks=False)
        for path in (f"/tmp/link{number}", target):
            world.refused(FORBIDDEN, "trace file", "-trace", path, "-list")
    world.refused(FORBIDDEN, "trace file", "-trace", "/home/pop/new", "-list")
    os.link(secret, world.dir / "tmp/hard")
    world.refused(FORBIDDEN, "trace file", "-trace", "/tmp/hard", "-list")
    equal("diary", secret.read_text(), "dear diary\n")
    equal("shared", shared.read_text(), "of pop\n")
    world.must("-trace", "/home/alice/trace", "-user", "alice", "hidden", before=lambda: os.umask(0))
    st = (world.dir / "home/alice/trace").stat()
    equal("trace", (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (ALICE, ALICE, 0o600))
    assert "hidden" not in (world.dir / "home/alice/trace").read_text()


def umask_does_not_matter(world):
    """CVE-2005-1152: files that group or others could write to."""
    world.filled()
    (world.dir / "etc").chmod(0o777)  # here the file is replaced
    inode = world.file.stat().st_ino
    world.must(stdin=b"mine\n", before=lambda: os.umask(0))
    st = world.file.stat()
    assert st.st_ino != inode
    equal("database", (st.st_uid, stat.S_IMODE(st.st_mode)), (POP, 0o600))
    equal("files", sorted(os.listdir(world.dir / "etc")), ["nsswitch.conf", "passwd", "pop.auth"])


def in_place_in_a_directory_of_root(world):
    world.filled()
    inode = world.file.stat().st_ino
    world.must(stdin=b"mine\n")
    st = world.file.stat()
    equal("database", (st.st_ino, st.st_uid, stat.S_IMODE(st.st_mode)), (inode, POP, 0o600))
    equal("alice", secrets(world.file)[b"alice\0"], plain(b"mine"))
    equal("files", sorted(os.listdir(world.dir / "etc")), ["nsswitch.conf", "passwd", "pop.auth"])


def closed_descriptors_write_nowhere(world):
    world.filled()
    for closed in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)):
        def close(closed=closed):
            for fd in closed:
                os.close(fd)
        secret = f"x{closed}".encode()
        equal("status", world("-debug", "-user", "bob", secret, before=close)[0], FORBIDDEN)
        equal(f"status without {closed}", world("-debug", "-user", "alice", secret, before=close)[0], DONE)
        equal(f"status without {closed}", world("-list", before=close)[0], NO_DATABASE if 1 in closed else DONE)
        equal("records", secrets(world.file), {b"alice\0": plain(secret), b"bob\0": plain(b"bobs")})


def low_limits_are_refused(world):
    world.filled()
    for what, limit in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_FSIZE, 4096), (resource.RLIMIT_CPU, 1), (resource.RLIMIT_NOFILE, 16),
                        (resource.RLIMIT_AS, 64 << 20), (resource.RLIMIT_DATA, 16 << 20)):
        world.refused(FORBIDDEN, "is too low", stdin=b"mine\n", before=lambda what=what, limit=limit: resource.setrlimit(what, (limit, limit)))
    # Soft ones are raised.
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    world.must(stdin=b"mine\n", before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard)))
    equal("alice", secrets(world.file)[b"alice\0"], plain(b"mine"))


def cannot_be_interrupted(world):
    """While it waits for the lock: no signal of the caller's, no timer that he set; and his secret is not to be seen."""
    world.filled()
    with open(world.file, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)

        def prepare():
            os.chroot(world.dir)
            os.chdir("/")
            os.setgroups([])
            os.setresgid(ALICE, ALICE, ALICE)
            os.setresuid(ALICE, ALICE, ALICE)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
        child = subprocess.Popen(["/bin/popauth", "-user", "alice", "visible"], preexec_fn=prepare, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        limit = time.monotonic() + 10
        while True:
            status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            if re.search(rf"^Uid:\t{POP}\t{POP}\t{POP}\t", status, re.M):
                break
            assert time.monotonic() < limit, "its real uid stays the caller's:\n" + status
            time.sleep(0.01)
        blocked = int(re.search(r"^SigBlk:\t(\w+)", status, re.M).group(1), 16)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGQUIT):
            assert blocked & 1 << (number - 1), f"{number} is not blocked"
        assert b"visible" not in pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes()
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT):
            killer = subprocess.run(["/bin/sh", "-c", f"kill -{number.value} {child.pid}"], capture_output=True, preexec_fn=lambda: os.setresuid(ALICE, ALICE, ALICE))
            assert killer.returncode != 0, f"the caller may send {number}"
        time.sleep(0.4)
        equal("running", child.poll(), None)
    out, err = child.communicate(timeout=20)
    equal("said", (child.returncode, out, err), (DONE, b"changed secret of alice\n", b""))
    equal("alice", secrets(world.file)[b"alice\0"], plain(b"visible"))


def as_alice(world):
    """For preexec_fn."""
    os.chroot(world.dir)
    os.chdir("/")
    os.setgroups([])
    os.setresgid(ALICE, ALICE, ALICE)
    os.setresuid(ALICE, ALICE, ALICE)


def one_who_was_removed_stays_removed(world):
    """Also while he is asked for his new secret; and so it is with the kind of what is stored."""
    looked = b"popauth: debug: opened the database\n"
    for meanwhile, left, wanted in ((["-delete", "alice"], "", (UNKNOWN_USER, b"", b"popauth: you are not in the database; ask the administrator to add you\n")),
                                    (["-user", "alice", "new", "-scram"], "alice\tSCRAM\n", (DONE, b"changed SCRAM verifiers of alice\n", b""))):
        world.filled()
        child = subprocess.Popen(["/bin/popauth", "-debug"], preexec_fn=lambda: as_alice(world), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal("first word", child.stderr.readline(), looked)
        world.must(*meanwhile, uid=0)
        out, err = child.communicate(b"mine\n", timeout=20)
        said = err.replace(looked.replace(b"\n", b" for a change\n"), b"")
        equal(f"said after {meanwhile}", (child.returncode, out, said), wanted)
        equal(f"list after {meanwhile}", world.must("-list", "ALL", uid=0), left + "bob\tAPOP\n")


def waits(child):
    """For something that does not come: it sleeps, however often one looks."""
    asleep = 0
    while asleep < 5:
        state = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        assert state != "Z", "it has ended"
        asleep = asleep + 1 if state == "S" else 0
        time.sleep(0.02)


def nobody_who_does_not_listen_keeps_the_lock(world):
    """What popauth says goes where the caller likes: into a pipe that is full."""
    for words in (["-debug", "-list"], ["-debug", "-user", "alice", "hers"]):
        world.filled()
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(4096))
        except BlockingIOError:
            os.set_blocking(writing, True)
        child = subprocess.Popen(["/bin/popauth", *words], preexec_fn=lambda: as_alice(world), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        try:
            waits(child)
            status, _, err = world("-user", "bob", "his", uid=0)
            equal(f"status of another one while {words} says something to nobody ({err})", status, DONE)
        finally:
            os.close(reading)
            child.wait(20)


def environment_is_not_believed(world):
    world.filled()

    def prepare():
        os.environ.clear()
    status, out, err = world("-list", before=prepare)
    equal("said", (status, out), (DONE, "alice\tAPOP\n"))
    done = subprocess.run(["/bin/popauth", "-list"], capture_output=True, env={"TZ": ":/etc/pop.auth", "MALLOC_PERTURB_": "1", "LANG": "../../x", "GCONV_PATH": "/tmp"},
                          preexec_fn=lambda: (os.chroot(world.dir), os.chdir("/"), os.setgroups([]), os.setresgid(ALICE, ALICE, ALICE), os.setresuid(ALICE, ALICE, ALICE)))
    equal("said", (done.returncode, done.stdout), (DONE, b"alice\tAPOP\n"))


PLAIN = [has_its_help_and_version, tells_how_it_is_used, makes_a_database, init_safe_keeps_what_is_there, adds_changes_and_removes,
         takes_any_secret_of_255_bytes, refuses_bad_secrets, keeps_odd_names_apart, scram_keeps_verifiers_only, says_what_is_wrong_with_the_database,
         converts_a_database_of_bsd, asks_twice_without_echo, takes_only_the_same_twice, leaves_the_terminal_as_it_was, asks_anew_after_a_stop,
         asks_before_throwing_away, traces_and_debugs]
SETUID = [only_root_inits, users_change_themselves_only, owner_may_all_but_init, works_set_uid_root_too, trace_file_is_the_callers, umask_does_not_matter,
          in_place_in_a_directory_of_root, closed_descriptors_write_nowhere, low_limits_are_refused, cannot_be_interrupted, one_who_was_removed_stays_removed,
          nobody_who_does_not_listen_keeps_the_lock, environment_is_not_believed]


def play(case, kind):
    need(POPAUTH.exists(), "popauth is not built (no gdbm)")
    place = kind()
    try:
        case(place)
    finally:
        place.close()


if __name__ == "__main__":
    sys.exit(run_cases([(case.__name__.replace("_", " "), play, case, kind) for cases, kind in ((PLAIN, Here), (SETUID, World)) for case in cases]))
