#!/usr/bin/python3
"""intruder.py: what the user of a session, who has a shell, can do to its processes, which run as him: a debugger gets into neither session nor keeper, and
when he kills or stops them, at idle and at any moment of UPDATE (popper-trespass waits there for us), no mail is lost, doubled or torn. Prints TAP.

POPPER_TESTS=long: every way to die at every moment, otherwise one way at each.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

from cases import FORM, ROOT, SANITIZED, children, equal, gone, need, run_cases, wait_until
from spoolsite import MAIL_GID, Session, Site
import mbox
from trespass import Client

OPEN, GROUP = (0o1777, 0), (0o2775, MAIL_GID)
BEFORE = b"".join(mbox.message(n) for n in range(1, 5))
AFTER = b"".join(mbox.message(n) for n in (1, 3, 4))
NEW = mbox.message(9)

# Run as the user with the pid of a process of the same user: prints the names of what it could do.
BREAK_IN = """
import ctypes, os, sys
pid, libc, done = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True), []
ATTACH, SEIZE, DETACH = 16, 0x4206, 17
for name, request in (("ptrace attach", ATTACH), ("ptrace seize", SEIZE)):
    if libc.ptrace(request, pid, None, None) == 0:
        done.append(name)
        if request == ATTACH:
            os.waitpid(pid, 0x40000000)
            libc.ptrace(DETACH, pid, None, None)
        else:
            break
for name in ("mem", "environ", "auxv", "maps", "syscall", "stack"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            if name != "mem":
                file.read(1)
        done.append(name)
    except OSError:
        pass
try:
    os.listdir(f"/proc/{pid}/fd")
    done.append("fd")
except OSError:
    pass
pinned = os.pidfd_open(pid)
if libc.syscall(438, pinned, 0, 0) >= 0:
    done.append("pidfd_getfd")
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
room = ctypes.create_string_buffer(8)
here, there = Piece(ctypes.addressof(room), 8), Piece(int(sys.argv[2], 16), 8)
if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 8:
    done.append("process_vm_readv")
print(" ".join(name.replace(" ", "_") for name in done))
"""


def as_user(site, *command, name="alice"):
    ids = {"user": site.users[name], "group": site.users[name], "extra_groups": []} if ROOT else {}
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", timeout=60, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C"}, **ids)


def kill(site, number, pid):
    done = as_user(site, "/bin/sh", "-c", f"kill -{number} {pid}")
    equal(f"kill -{number} {pid} by its user", (done.returncode, done.stderr), (0, ""))


def address_in(pid):
    """Of a page that can be read; the same program is mapped at another place in each process."""
    with open(f"/proc/{pid}/maps", encoding="latin-1") as maps:
        return next(line.split("-")[0] for line in maps if " r" in line)


class Victim(subprocess.Popen):
    """An ordinary process of the user, with which all these things work: so the ways in are ways in."""

    def __init__(self, site):
        ids = {"user": site.users["alice"], "group": site.users["alice"], "extra_groups": []} if ROOT else {}
        super().__init__(["/bin/sleep", "60"], cwd="/", env={}, **ids)


def nobody_gets_in(spool):
    need(FORM != "short", "not in the short form")
    site = Site(("alice",), (), *spool)
    try:
        site.fill("alice", BEFORE)
        session = Session(site, "alice")
        keeper = session.server.pid
        inside, = children(keeper)
        victim = Victim(site)
        try:
            wait_until("exec of sleep", lambda: b"sleep" in pathlib.Path(f"/proc/{victim.pid}/cmdline").read_bytes())
            address = address_in(victim.pid)
            could = set(as_user(site, "/usr/bin/python3", "-SE", "-c", BREAK_IN, str(victim.pid), address).stdout.split())
            ways = {"ptrace_attach", "ptrace_seize", "mem", "environ", "auxv", "maps", "syscall", "fd", "pidfd_getfd", "process_vm_readv"}
            equal("what can be done to an ordinary process", could - {"stack"}, ways)
        finally:
            victim.kill()
            victim.wait()
        for role, pid in (("keeper", keeper), ("session", inside)):
            # Without root we cannot look for an address; any will do, because the right is looked at first.
            done = as_user(site, "/usr/bin/python3", "-SE", "-c", BREAK_IN, str(pid), address_in(pid) if ROOT else "1000")
            equal(f"what can be done to the {role}", (done.stdout.split(), done.returncode, done.stderr), ([], 0, ""))
        assert session.say("NOOP").startswith("+OK"), "the session does not go on"
        session.quit()
    finally:
        site.remove()


def gdb_gets_nowhere():
    need(FORM != "short", "not in the short form")
    gdb = shutil.which("gdb")
    need(gdb, "no gdb")
    site = Site()

    def attach(pid):
        done = as_user(site, gdb, "-nx", "-batch", "-p", str(pid), "-ex", "print 6*7", "-ex", "info registers pc", "-ex", "generate-core-file /dev/null")
        return done.stdout + done.stderr

    try:
        site.fill("alice", BEFORE)
        session = Session(site, "alice")
        victim = Victim(site)
        try:
            said = attach(victim.pid)
            assert "not permitted" not in said and "\npc " in said, f"gdb cannot even look at an ordinary process: {said}"
        finally:
            victim.kill()
            victim.wait()
        heard = []
        for role, pid in (("keeper", session.server.pid), ("session", children(session.server.pid)[0])):
            said = attach(pid)
            assert "ptrace: Operation not permitted" in said and "\npc " not in said, f"gdb -p on the {role}: {said}"
            heard.append(f"gdb -p {role}: " + next(line for line in said.splitlines() if "not permitted" in line))
        assert session.say("NOOP").startswith("+OK"), "the session does not go on"
        session.quit()
        return "\n# ".join(heard)
    finally:
        site.remove()


def no_core():
    """A crash leaves no memory of it, whatever limit the user would like."""
    need(FORM != "short", "not in the short form")
    site = Site()
    try:
        site.fill("alice", BEFORE)
        for role in ("keeper", "session"):
            session = Session(site, "alice", wrapper=("/bin/sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$0" "$@"'))
            keeper = session.server.pid
            inside, = children(keeper)
            kill(site, "SEGV", keeper if role == "keeper" else inside)
            session.lines.close()
            session.socket.close()
            _, status = os.waitpid(keeper, 0)
            session.server.returncode = 0
            assert not os.WCOREDUMP(status), f"the {role} dumped core"
            wait_until("the end of the session", lambda: gone(inside))
        equal("cores", [str(p) for p in pathlib.Path("/").glob("core*")], [])
    finally:
        site.remove()


# ---- ways to die: each gets the pids of keeper and session, and returns when both are gone

def session_killed(site, keeper, inside, go_on):
    kill(site, "KILL", inside)
    go_on()


def session_stopped_and_killed(site, keeper, inside, go_on):
    kill(site, "STOP", inside)
    time.sleep(0.01)
    kill(site, "KILL", inside)
    go_on()


def keeper_killed(site, keeper, inside, go_on):
    """The session may be in UPDATE. Without the keeper it has no dot lock, which others take for stale at once: it must not write one byte more."""
    kill(site, "KILL", keeper)
    wait_until("the end of the keeper", lambda: gone(keeper))
    wait_until("the end of the session with its keeper", lambda: gone(inside))


def keeper_stopped_and_killed(site, keeper, inside, go_on):
    kill(site, "STOP", keeper)
    go_on()
    time.sleep(0.05)
    kill(site, "KILL", keeper)


def all_killed(site, keeper, inside, go_on):
    kill(site, "STOP", keeper)
    kill(site, "KILL", inside)
    kill(site, "KILL", keeper)
    go_on()


WAYS = [session_killed, keeper_killed, session_stopped_and_killed, keeper_stopped_and_killed, all_killed]
KEEPER_LIVES = (session_killed, session_stopped_and_killed)


def settle(site, where, allowed):
    """Mail comes, then the next login: everything is there once, and nothing is left behind."""
    drop = site.drop().read_bytes()
    with open(site.drop(), "ab") as file:
        file.write(NEW)
    session = Session(site, "alice")
    count = session.count()
    session.quit()
    now = site.drop().read_bytes()
    assert now in [data + NEW for data in allowed], f"{where}: lost, doubled or torn: {len(now)} octets (before the login {len(drop)})\n{site.log()}"
    equal(f"{where}: messages", count, len(list(mbox.split(now))))
    equal(f"{where}: what is left in the spool", sorted(p.name for p in site.spool.iterdir()), [".alice.cache", "alice"])
    return now


def killed_at_idle(spool):
    need(FORM != "short", "not in the short form")
    site = Site(("alice",), ("takeover-idle = 0",), *spool)
    try:
        for way in WAYS:
            site.fill("alice", BEFORE)
            session = Session(site, "alice")
            session.must("DELE 2")
            session.body("RETR 3")
            keeper = session.server.pid
            inside, = children(keeper)
            way(site, keeper, inside, lambda: None)
            wait_until("the end of the session", lambda: gone(inside))
            session.close()
            equal(f"{way.__name__}: the maildrop", site.drop().read_bytes(), BEFORE)
            settle(site, way.__name__, [BEFORE])
    finally:
        site.remove()


def one_death(site, way, moment):
    """Whether UPDATE has so many moments."""
    site.fill("alice", BEFORE)
    site.trace.unlink(missing_ok=True)
    client = Client(site, "write", "pause", more={"TRESPASS_COUNT": str(moment)}.items())
    client.hear()
    client.say("USER alice")
    assert client.say("PASS secret").startswith("+OK"), "login"
    assert client.say("DELE 2").startswith("+OK"), "DELE"
    client.socket.sendall(b"QUIT\r\n")
    wait_until(f"moment {moment} of UPDATE, or its end", lambda: client.note.read()[0] or client.server.poll() is not None)
    if not client.note.read()[0]:
        client.close()
        return None
    keeper, inside = client.server.pid, client.note.read()[1]
    journal = site.spool / ".alice.journal"
    begun = journal.exists()
    way(site, keeper, inside, client.note.go_on)
    wait_until("the end of the session", lambda: gone(inside))
    if way in KEEPER_LIVES:
        # Nobody has to log in: until the keeper goes it has had the journal settled.
        where = f"{way.__name__} before file call {moment}"
        wait_until(f"{where}: recovery by the keeper", lambda: not journal.exists(), 10)
        assert site.drop().read_bytes() in (BEFORE, AFTER), f"{where}: the maildrop is torn, and no journal is left\n{site.log()}"
        site.recovered += begun
    reply = client.hear()
    client.close()
    done = settle(site, f"{way.__name__} before file call {moment}", [BEFORE, AFTER])
    # +OK is a promise.
    assert not reply.startswith("+OK") or done == AFTER + NEW, f"{way.__name__} before file call {moment}: +OK, but nothing was deleted"
    return done == AFTER + NEW


def killed_in_update(spool, ways=WAYS, config=()):
    need(FORM != "short", "not in the short form")
    need(not SANITIZED, "slow with sanitizers")
    site = Site(("alice",), ("takeover-idle = 0", *config), *spool)
    site.recovered = 0  # journals that the keeper had settled
    outcomes = []
    try:
        for moment in range(1, 60):
            chosen = ways if FORM == "long" else [ways[(moment + spool[1]) % len(ways)]]
            done = [one_death(site, way, moment) for way in chosen]
            if None in done:
                break
            outcomes += done
        assert len(outcomes) > 8 and True in outcomes and False in outcomes, f"it was not cut in the middle: {outcomes}"
        assert site.recovered > 1 or not set(ways) & set(KEEPER_LIVES), "no session was killed while there was a journal"
        return f"{len(outcomes)} deaths, {outcomes.count(True)} with the deletion done; {site.recovered} journals settled by the keeper"
    finally:
        site.remove()


CASES = [("nobody gets into session and keeper, spool 1777", nobody_gets_in, OPEN),
         ("nobody gets into session and keeper, spool 2775", nobody_gets_in, GROUP),
         ("gdb -p is refused", gdb_gets_nowhere),
         ("no core file", no_core),
         ("killed at idle, spool 1777", killed_at_idle, OPEN),
         ("killed at idle, spool 2775", killed_at_idle, GROUP),
         ("killed in UPDATE, spool 1777", killed_in_update, OPEN),
         ("killed in UPDATE, spool 2775", killed_in_update, GROUP),
         ("the keeper is killed in UPDATE, dot locks alone", killed_in_update, OPEN, [keeper_killed], ("mail-locks = dotlock",))]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
