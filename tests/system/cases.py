"""cases: what the scripts of this directory have in common: how their cases run and which may be skipped, and what they ask about processes.

A case that cannot run for want of a program, a right or a part of the build is skipped (need, find, program); where nothing may be missing, under CI as root,
that is a failure. What no preparation gives (a file system of this kernel, a uid that may not read everything) is skipped everywhere (possible).
"""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

TESTS = pathlib.Path(os.path.abspath(__file__)).parent.parent
sys.path.insert(0, str(TESTS / "wire"))
UNPACKED = [pathlib.Path(".work/unpacked"), TESTS.parent / ".work/unpacked"]
POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
SANITIZED = b"__asan_init" in POPPER.read_bytes()
CONFIG = POPPER.parent.parent / "config.h"
SANDBOXED = not SANITIZED and (not CONFIG.exists() or "#define WITH_SANDBOX 1" in CONFIG.read_text())
ROOT = os.getuid() == 0
CI = os.environ.get("CI") == "true"
FORM = os.environ.get("POPPER_TESTS", "")
# The runs from an archive (short) have nothing unpacked.
STRICT = CI and ROOT and FORM != "short" and not SANITIZED
PATIENCE = 20
NO_SHORT_FORM = "the short form runs no system tests"


class Skip(Exception):
    pass


class Missing(Skip):
    pass


def need(condition, reason):
    if not condition:
        raise Missing(reason)


def possible(condition, reason):
    if not condition:
        raise Skip(reason)


def program(name):
    path = shutil.which(name)
    need(path, f"no {name} here")
    return path


def find(name, package):
    """The path of a program of a package, installed or unpacked."""
    for root in [pathlib.Path("/"), *(u / package for u in UNPACKED)]:
        for directory in ("usr/sbin", "usr/bin", "sbin", "bin"):
            if (root / directory / name).exists():
                return str((root / directory / name).absolute())
    raise Missing(f"no {name} (package {package})")


def need_tls():
    need((POPPER.parent / "popper-tls.so").exists(), "TLS is not built")


def need_name():
    """Of the user who runs the tests: some clients want one."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        need(False, "a uid without a name")


# ---- assertions

def equal(what, got, expected):
    assert got == expected, f"{what}: {got!r} instead of {expected!r}"


def starts(what, got, expected):
    assert got.startswith(expected), f"{what}: {got!r} instead of {expected!r}"


def matches(what, pattern, got):
    assert re.search(pattern, got), f"{what}: {got!r} does not match {pattern}"


def wait_until(what, condition, seconds=PATIENCE):
    """The true value of condition()."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {seconds} s in vain for: {what}"
        time.sleep(0.02)
    return result


# ---- processes

def status(pid):
    """The lines of its /proc/PID/status by name."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children(pid):
    """Of its first thread. Of nobody where it is gone."""
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(pid):
    """A zombie is not: where process 1 reaps nobody an orphan stays one."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid):
    return not is_alive(pid)


def memory(pid):
    """Everything that the process can write to."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in open(f"/proc/{pid}/maps", encoding="latin-1"):
            span, rights = line.split()[:2]
            if "w" in rights:
                begin, end = (int(x, 16) for x in span.split("-"))
                mem.seek(begin)
                found += mem.read(end - begin)
    return found


def descriptors_but_syslog(pid):
    """{number: what it is} of those of a process, without its ways to syslogd: who stands in for him in another test comes and goes."""
    sockets = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]]
    datagram = {f"socket:[{row[6]}]" for row in sockets if row[4] == "0002"}
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            what = os.readlink(f"/proc/{pid}/fd/{name}")
            if what not in datagram:
                found[int(name)] = what
    return found


# ---- running them

@contextlib.contextmanager
def telling(log):
    """When what is done here fails, the lines of log() are said, too."""
    try:
        yield
    except Skip:
        raise
    except Exception as error:
        error.lines = [*getattr(error, "lines", []), *log()]
        raise


def say(text):
    for line in text.splitlines():
        print(f"# {line}")


def run_case(number, name, case, *arguments):
    """Prints its line of TAP; when it fails also why, otherwise what it returns, if anything. Whether all is well."""
    try:
        said = case(*arguments)
    except Skip as reason:
        if STRICT and isinstance(reason, Missing):
            print(f"not ok {number} - {name}: {reason}, and nothing may be skipped here", flush=True)
            return False
        print(f"ok {number} - {name} # SKIP {reason}", flush=True)
    except Exception as error:  # whatever it was: the next case runs
        print(f"not ok {number} - {name}")
        say(f"{type(error).__name__}: {error}")
        if isinstance(error, subprocess.CalledProcessError):
            say(f"{error.stdout}\n{error.stderr}")
        say("\n".join(getattr(error, "lines", [])))
        say("".join(traceback.format_tb(error.__traceback__)))
        sys.stdout.flush()
        return False
    else:
        print(f"ok {number} - {name}", flush=True)
        say(str(said or ""))
    return True


def run_cases(cases):
    """cases: functions, or (name, function, arguments...). Words on the command line choose those that have all of them in their names. The exit status."""
    cases = [c if isinstance(c, tuple) else (c.__name__.replace("_", " "), c) for c in cases]
    cases = [c for c in cases if all(word.replace("_", " ") in c[0] for word in sys.argv[1:])]
    print(f"1..{len(cases)}", flush=True)
    return 0 if all([run_case(number, *case) for number, case in enumerate(cases, 1)]) else 1


def again_in_namespaces(mark, files, also="true"):
    """Runs this script again, with mark in its environment, where the network and these files ({name: text}) of /etc are its own, after the command `also`.
    Its exit status; None: that cannot be done here."""
    with tempfile.TemporaryDirectory(prefix="popper-namespaces.") as directory:
        os.chmod(directory, 0o755)
        for name, text in files.items():
            pathlib.Path(directory, name).write_text(text)
        mounts = " && ".join(f"mount --bind {directory}/{name} /etc/{name}" for name in files)
        enter = ["unshare", "-n", "-m", "sh", "-c", f'ip link set lo up && {also} && {mounts} && exec "$@"', "sh"]
        try:
            subprocess.run([*enter, "true"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return subprocess.run([*enter, sys.executable, "-B", os.path.abspath(sys.argv[0]), *sys.argv[1:]], env={**os.environ, mark: "1"}, check=False).returncode


def skip_all(reason, allowed=False):
    """Instead of run_cases. The exit status."""
    bad = STRICT and not allowed
    print(f"Bail out! {reason}, and nothing may be skipped here" if bad else f"1..0 # SKIP {reason}")
    return int(bad)
