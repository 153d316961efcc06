"""measure: one case on one server: puts the maildrop into the state that the case wants, lets the load client work, reads its result. And the floors."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from benchsite import BUILD, HASH, PASSWORD, SPOOL, WORK, YESCRYPT
from servers import PeakMemory, free_port
import mkmbox

CLIENT = BUILD / "tests/bench/popbench"
FLOORS = BUILD / "tests/bench/floors"
NEW = ("From a@example.org Thu Jan  1 00:00:00 2026\nReturn-Path: <a@example.org>\nMessage-ID: <new.{}@example.org>\n"
       "From: a@example.org\nTo: bench@example.org\nSubject: one more\n\nhello\n\n")
# An index that was written sooner after the last change is looked at again (GUIDE, chapter 9).
RACY_SECONDS = .06


def box(name):
    WORK.mkdir(parents=True, exist_ok=True)
    meta = mkmbox.build(name, str(WORK))
    meta["path"] = WORK / f"{name}.mbox"
    return meta


def talk(port, scenario, user, *more):
    """The load client's result."""
    argv = [CLIENT, "--port", str(port), "--scenario", scenario, "--user", user, "--password", PASSWORD, "--timeout", "100", *map(str, more)]
    out = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=500).stdout
    return json.loads(out)


class Maildrops:
    """What is in each account's maildrop now."""

    def __init__(self, site):
        self.site, self.now = site, {}

    def forget_state(self, server, user):
        for pattern in server.state_of(user):
            for path in sorted(pathlib.Path(pattern).parent.glob(pathlib.Path(pattern).name)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def first(self, server, user, name):
        self.forget_state(server, user)
        self.site.fill(user, box(name)["path"])
        self.now[user] = (name, "first")

    def visit(self, server, user, times):
        for _ in range(times):
            time.sleep(RACY_SECONDS)
            result = talk(server.port, "check", user, *server.words())
            if result["errors"]:
                raise RuntimeError(f"{server.name}: the visit before: {result['first_error']}")
            server.settle()
        time.sleep(RACY_SECONDS)

    def repeat(self, server, user, name):
        """Seen before. What a slow server writes at its first visits is kept and put back."""
        if self.now.get(user) == (name, "repeat"):
            return
        kept = self.site.dir / "kept" / f"{server.name}-{user}-{name}"
        if not kept.is_dir():
            self.first(server, user, name)
            self.visit(server, user, 2)
            kept.mkdir(parents=True)
            if server.target["kind"] == "dovecot":
                shutil.copy2(SPOOL / user, kept / "mbox")
                for n, path in enumerate(server.state_of(user)):
                    subprocess.run(["cp", "-a", path, kept / f"state{n}"], check=True)
        elif server.target["kind"] == "dovecot":
            for n, path in enumerate(server.state_of(user)):
                shutil.rmtree(path, ignore_errors=True)
                subprocess.run(["cp", "-a", kept / f"state{n}", path], check=True)
            self.site.fill(user, kept / "mbox", keep_times=True)
            self.visit(server, user, 1)
        else:
            self.first(server, user, name)
            self.visit(server, user, 1)
        self.now[user] = (name, "repeat")

    def prepare(self, server, case, user):
        if server.target["kind"] == "inetd" and server.name == "floor":
            return
        if case.state == "first":
            self.first(server, user, case.box)
        else:
            self.repeat(server, user, case.box)
        if case.state == "new":
            with open(SPOOL / user, "a", encoding="ascii") as f:
                f.write(NEW.format(time.monotonic_ns()))
            # As in fill(): popa3d waits for a second before what changed a moment ago.
            os.utime(SPOOL / user, times=(time.time() - 1800,) * 2)
            time.sleep(RACY_SECONDS)


def one(server, case, maildrops, memory=False):
    """A dict: ms (median of the sessions), errors, error, phases, mismatches; with memory: peak_kb, peak_all_kb."""
    for n in range(1, case.connections + 1):
        maildrops.prepare(server, case, server.user(n, case.yescrypt))
    more = ["--connections", case.connections, "--users", case.connections, "--window", case.window, *case.amount(), "--tls", case.tls or "no"]
    if server.name != "floor":
        more += ["--messages", box(case.box)["messages"] + (case.state == "new")]
    if case.delayed_acks:
        more.append("--delayed-acks")
    if not server.target.get("ours"):
        more.append("--tolerant")
    sampler = PeakMemory(server) if memory else None
    if sampler:
        sampler.start()
    cpu = server.cpu_ms()
    r = talk(server.port, case.scenario, server.user_format(case.yescrypt), *more)
    server.settle()
    cpu = None if cpu is None else (server.cpu_ms() - cpu) / max(1, r["ok"] + r["errors"])
    if sampler:
        sampler.on = False
        sampler.join()
    if case.changes_maildrop() or case.state != "repeat":
        for n in range(1, case.connections + 1):
            maildrops.now.pop(server.user(n, case.yescrypt), None)
    result = {"case": case.name, "server": server.name, "errors": r["errors"], "error": r["first_error"], "mismatches": r["mismatches"],
              "octets": r["octets"], "sessions": r["ok"], "phases": {k: v["med"] * 1e3 for k, v in r["phases"].items()}}
    result["ms"], result["cpu"] = result["phases"].get("session"), cpu
    if case.scenario == "noop" and result["ms"] is not None:
        result["trip"] = result["phases"]["dele"] / 1000
    if sampler:
        result.update(peak_kb=sampler.one, peak_all_kb=sampler.all)
    return result


# ---- floors

def floor(*argv):
    return json.loads(subprocess.run([FLOORS, *map(str, argv)], capture_output=True, text=True, check=True).stdout)


def wait_for_listener(port, process):
    for _ in range(1000):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(.01)
    raise RuntimeError(f"{process.args[0]} does not listen")


def send_floor(path, times):
    port = free_port()
    server = subprocess.Popen([FLOORS, "serve", str(port), str(path)])
    try:
        wait_for_listener(port, server)
        return talk(port, "raw", "-", "--sessions", times)["phases"]["session"]["med"] * 1e3
    finally:
        server.kill()
        server.wait()


def tls_floor(site, path, times):
    """openssl s_server sending the same bytes, asked by the same client."""
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", f"{site.dir}/cert.pem", "-key",
                               f"{site.dir}/key.pem", "-WWW"], cwd=path.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(port, server)
        r = talk(port, "get", "-", "--tls", "implicit", "--path", "/" + path.name, "--sessions", times)
        if r["errors"] or r["octets"] < os.path.getsize(path) * times:
            raise RuntimeError(f"openssl s_server did not send {path}: {r}")
        return r["phases"]["session"]["med"] * 1e3
    finally:
        server.kill()
        server.wait()


def floors(site, boxes, tls_boxes=()):
    """One round of them: a dict of milliseconds."""
    f = {"crypt:sha512": floor("crypt", HASH, PASSWORD, 9)["crypt"], "crypt:yescrypt": floor("crypt", YESCRYPT, PASSWORD, 5)["crypt"]}
    for name in boxes:
        path = box(name)["path"]
        times = {"tiny": 51, "med": 21, "large": 5}.get(name, 3)
        f["scan:" + name] = floor("scan", path, times)["scan"]
        copied = floor("copy", path, SPOOL / ".floor", times)
        f["copy:" + name], f["plaincopy:" + name], f["fsync:" + name] = copied["copy"], copied["copy"] - copied["fsync"], copied["fsync"]
        f["send:" + name] = send_floor(path, times)
    for name in tls_boxes:
        f["tls:" + name] = tls_floor(site, box(name)["path"], 3)
    return f
