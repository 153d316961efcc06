"""seen: what one of our servers does in a session: its processes with uid and sandbox, its syncs, its journal, its system calls. Nothing is compared
unless every process that meets the client's bytes is in the sandbox and syncs happen.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from benchsite import PASSWORD, SPOOL, Site
from measure import talk

SYNC = re.compile(r"^(fsync|fdatasync)\(")
OUTPUT = re.compile(r"^(write|writev|sendto|sendmsg)\((0|1),")


class Refused(Exception):
    pass


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    field = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {"pid": pid, "parent": int(field["PPid"]), "uids": sorted(set(field["Uid"].split())), "sandbox": field["Seccomp"].strip() == "2"}


def holds(pid, what):
    try:
        return any(os.readlink(fd.path) == what for fd in os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def living(server, client):
    """The processes that have the connection of this client, and who made them; others wait for theirs."""
    time.sleep(.05)
    ends = [f":{server.port:04X}", f":{client.getsockname()[1]:04X}"]
    with open("/proc/net/tcp", encoding="ascii") as table:
        inode = next(f[9] for f in map(str.split, table) if [f[1][-5:], f[2][-5:]] == ends)
    found = [status_of(p) for p in server.pids() if holds(p, f"socket:[{inode}]")]
    parents = {p["parent"] for p in found} - {p["pid"] for p in found} - {server.process.pid}
    return [status_of(p) for p in sorted(parents)] + found


def processes(server):
    """Before and after the login: (processes, processes)."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        replies = s.makefile("rb")
        replies.readline()
        before = living(server, s)
        for line in (f"USER {server.user()}", f"PASS {PASSWORD}"):
            s.sendall(line.encode() + b"\r\n")
            reply = replies.readline()
        if not reply.startswith(b"+OK"):
            raise Refused(f"{server.name}: {reply!r}")
        after = living(server, s)
        s.sendall(b"QUIT\r\n")
        replies.read()
    server.settle()
    return before, after


def wait_until_traced(pids):
    files = [pathlib.Path(f"/proc/{pid}/status") for pid in pids]
    for _ in range(200):
        if all("TracerPid:\t0\n" not in f.read_text(encoding="ascii") for f in files):
            return
        time.sleep(.01)
    raise Refused("strace cannot look at the server")


def traced(server, scenario, prefix):
    """The system calls of one session, by process: lists of lines of strace."""
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.mkdir(parents=True)
    pids = server.pids()  # by itself, those too that wait for a client
    tracer = subprocess.Popen(["strace", "-qq", "-ff", "-o", str(prefix / "t"), "-p", ",".join(map(str, pids))], stderr=subprocess.DEVNULL)
    wait_until_traced(pids)
    result = talk(server.port, scenario, server.user(), *server.words())
    server.settle()
    time.sleep(.1)
    tracer.terminate()
    tracer.wait(10)
    if result["errors"]:
        raise Refused(f"{server.name}: {scenario} under strace: {result['first_error']}")
    calls = [p.read_text(errors="replace").splitlines() for p in sorted(prefix.iterdir()) if p.name != f"t.{server.process.pid}"]
    return [[line for line in lines if re.match(r"[a-z]\w*\(", line)] for lines in calls]


def journal_name(calls):
    names = [m.group(1) for lines in calls for line in lines if (m := re.search(r'openat\(.*"([^"]*)", .*O_CREAT', line)) and "journal" in m.group(1)]
    return names[0] if names else None


def session_calls(calls):
    """Those of the process that serves the TRANSACTION state, without its writes to the client."""
    lines = next((p for p in calls if any("visible message" in line for line in p)), [])
    return len([line for line in lines if not OUTPUT.match(line)])


def report_calls(server, site, prefix=None):
    """System calls of a repeated check: (session after login, all processes), writes of output not counted."""
    calls = traced(server, "check", prefix or site.dir / "strace")
    return session_calls(calls), sum(len([c for c in lines if not OUTPUT.match(c)]) for lines in calls)


def look(server, maildrops, say=print):
    """Prints what one session showed. Raises Refused when it is no fair comparison."""
    user = server.user()
    maildrops.first(server, user, "tiny")
    before, after = processes(server)
    for when, found in (("before the login", before), ("after the login", after)):
        say(f"  {server.name}, {when}: " + "; ".join(f"uid {'/'.join(p['uids'])}{' in the sandbox' if p['sandbox'] else ''}" for p in found))
    syncs, journal = look_at_update(server, maildrops, say)
    if server.target.get("ours"):
        judge(server.name, before, after, syncs, journal)
    maildrops.now.pop(user, None)


def judge(name, before, after, syncs, journal):
    """Peers are compared as they are; ours has to bring its protection along."""
    if sum(p["sandbox"] for p in before) < 1 or sum(p["sandbox"] for p in after) < 1:
        raise Refused(f"{name}: no process is in the sandbox: built without it, or with sanitizers, or `sandbox` is not `enforce`")
    if any("0" in p["uids"] for p in after):
        raise Refused(f"{name}: a process is root after the login")
    if syncs < 4 or not journal:
        raise Refused(f"{name}: deleting synced {syncs} times, journal {journal}: it is not safe against crashes here")


def look_at_update(server, maildrops, say):
    maildrops.first(server, server.user(), "tiny")
    calls = traced(server, "thin", maildrops.site.dir / "strace")
    syncs = sum(bool(SYNC.match(line)) for lines in calls for line in lines)
    journal = journal_name(calls)
    say(f"  {server.name}, deleting one message of ten: {syncs} syncs, journal {journal or 'none'}, {len(calls)} processes")
    return syncs, journal


def look_at_disk(site: Site):
    memory = site.filesystem()
    if memory:
        raise Refused(f"{SPOOL} of the benchmark is on {memory}, where a sync does nothing; set BENCH_TMP to a directory on a disk")
