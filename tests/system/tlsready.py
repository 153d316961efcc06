#!/usr/bin/python3
"""tlsready.py: the process of standalone mode that has the TLS library ready and forks the relays: what it holds, who can ask it, whose relays end how, and
what becomes of sessions when it is killed, hangs, or its settings are old. Prints TAP.
"""
import contextlib
import ctypes
import errno
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import ROOT, SANDBOXED, SANITIZED, equal, is_alive, matches, memory, need, need_tls, program, status, wait_until  # noqa: E402
from standing import GID, POPPER, UID, Server, begins, descendants, free_port, run_all, same  # noqa: E402
from play import readable_by_others  # noqa: E402
from tlsclient import HOST, make_certificate  # noqa: E402
from world import features  # noqa: E402

SHARED = tempfile.TemporaryDirectory(prefix="popper-tlsready.")
GONE = "the process that has the TLS library ready "


def leave(client):
    """QUIT, and hangs up: the relay gives those who do not two seconds."""
    begins("QUIT", "+OK", client.ask("QUIT"))
    client.close()


class Site(Server):
    """With TLS; nobody waits for a client unless the settings say so: then the only child of the server is the process that this is about."""

    def __init__(self, *settings):
        need_tls()
        program("openssl")
        if not hasattr(Site, "cert"):
            Site.cert, Site.key = make_certificate(SHARED.name)
        super().__init__("set tls-support = stls", f"set tls-server-cert-file = {self.cert}", f"set tls-private-key-file = {self.key}", "set prefork = 0", "set debug",
                         *settings)

    def below(self):
        return [pid for pid, fields in descendants(self.process.pid).items() if fields["PPid"] == str(self.process.pid) and is_alive(pid)]

    def begin(self, binary=POPPER, **options):
        self.port = free_port()
        self.start(wrapper=["/bin/sh", "-c", f'exec "{binary}" 127.0.0.1:{self.port} -f "{self.conf}"'], **options)
        self.wait_for("listening at")
        return self.ready()

    def ready(self, but=()):
        """Its pid, where there is no client."""
        return wait_until("one child", lambda: (c := [p for p in self.below() if p not in but]) and len(c) == 1 and c)[0]

    def monitor(self, ready, but=()):
        """Of the one client besides."""
        return self.ready((ready, *but))

    def tls(self, client=None):
        return inside(client or self.client())


def inside(client):
    same("STLS", "+OK STLS", client.ask("STLS"))
    return shake_hands(client)


def shake_hands(client):
    context = ssl.create_default_context(cafile=str(Site.cert))
    client.socket = context.wrap_socket(client.socket, server_hostname=HOST)
    client.file = client.socket.makefile("rb")
    return client


def below_it(pid):
    return {int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if is_alive(p)}


def has_client(pid):
    with contextlib.suppress(FileNotFoundError, PermissionError):
        return "network" in sockets(pid).values()


def relays(pid):
    """Its living children that have a client."""
    need(ROOT, "not root: what a relay holds cannot be looked at")
    return {p for p in below_it(pid) if has_client(p)}


def spare(ready, but=()):
    """The one that was made ahead and waits in its sandbox, when both sleep: it has said that it is ready, and was heard."""
    def waits(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            inside = status(pid)["Seccomp"] == "2" or not SANDBOXED
            return inside and [*sockets(pid).values()] == ["messages"] and all(status(p)["State"][0] == "S" for p in (pid, ready))
    return wait_until("one that waits", lambda: [p for p in below_it(ready) - set(but) if waits(p)])[0]


def relay(ready, but=()):
    return wait_until("a relay", lambda: relays(ready) - set(but)).pop()


def maps(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


def need_root():
    need(ROOT, "not root: what is not dumpable cannot be looked at")


def sockets(pid):
    """{inode: kind}"""
    kinds = {}
    for line in pathlib.Path("/proc/net/unix").read_text().split("\n")[1:-1]:
        fields = line.split()
        kinds[fields[6]] = {"0001": "stream", "0002": "log", "0005": "messages"}.get(fields[4])  # 0000: one that is going
    found = {}
    for n in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if m := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{n}")):
                found[m[1]] = kinds.get(m[1], "network")
    return found


def messages(pid):
    return {inode for inode, kind in sockets(pid).items() if kind == "messages"}


def no_key(server, where, others):
    der = subprocess.run(["openssl", "pkey", "-in", server.key, "-outform", "DER", "-traditional"], capture_output=True, check=True).stdout
    number = der[7:39]  # SEC 1: version, then the number
    same("the form of the key", b"\x04\x20", der[5:7])
    seen = memory(where)
    assert number in seen or number[::-1] in seen, "this test looks for the wrong thing"
    for pid in others:
        seen = memory(pid)
        assert not any(form in seen for form in (number, number[::-1], server.key.read_bytes()[40:80])), f"the private key in the memory of {pid}"


def what_it_holds():
    need_root()
    with Site() as server:
        ready = server.begin()
        wait_until("the library is loaded", lambda: "libssl" in maps(ready) or "popper-tls.so" in maps(ready))
        assert "popper-tls.so" not in maps(server.process.pid) and "libcrypto" not in maps(server.process.pid), "the library in the listener"
        same("sockets but the log", ["messages"], sorted(set(sockets(ready).values()) - {"log"}))
        same("ends", 1, len(messages(ready)))
        same("ends that the listener has, too", set(), messages(ready) & messages(server.process.pid))
        links = {os.readlink(f"/proc/{ready}/fd/{n}") for n in os.listdir(f"/proc/{ready}/fd")}
        same("what else", set(), {v for v in links if not v.startswith("socket:")} - {"/dev/null", str(server.trace)})
        matches("no core", r"Max core file size +0 +0 ", pathlib.Path(f"/proc/{ready}/limits").read_text())
        clients = [server.tls() for _ in range(3)]
        wait_until("three relays", lambda: len(relays(ready)) == 3)
        spare(ready)
        wait_until("one channel for each, and one for the next", lambda: len(sockets(ready)) - len([k for k in sockets(ready).values() if k == "log"]) == 5)
        same("kinds", {"messages"}, set(sockets(ready).values()) - {"log"})
        if not SANITIZED:  # sanitizers have memory of their own, terabytes of it
            no_key(server, relay(ready), (ready, server.process.pid))
        for client in clients:
            client.close()
        wait_until("no relay is left, nor a channel", lambda: not relays(ready) and len(messages(ready)) == 2)


def nobody_looks_into_it():
    with Site() as server:
        program, options = POPPER, {}
        if ROOT:
            os.chmod(SHARED.name, 0o755)
            program, options = readable_by_others(POPPER, SHARED.name), {"user": UID, "group": GID, "extra_groups": []}
            for name in ("cert", "key"):
                shutil.copy(getattr(server, name), server.dir / name)
                os.chown(server.dir / name, UID, GID)
            server.conf.write_text(server.conf.read_text().replace(str(server.cert), f"{server.dir}/cert").replace(str(server.key), f"{server.dir}/key"))
            for path in (server.dir, server.conf, server.dir / "passwd"):
                os.chown(path, UID, GID)
        ready = server.begin(program, **options)
        same("owner of the listener's memory", UID, os.stat(f"/proc/{server.process.pid}/mem").st_uid)
        wait_until("not dumpable", lambda: os.stat(f"/proc/{ready}/mem").st_uid == 0)


def who_can_ask_it():
    """The listener, and monitors before their login; none of all the others."""
    need_root()
    with Site() as server:
        if "APOP" in features(POPPER):
            for words in (["-init"], ["-user", "bob", "tanstaaf"]):
                subprocess.run([POPPER.parent / "popauth", "-file", server.dir / "pop.auth", *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
            server.configure(f"set apop-file = {server.dir}/pop.auth")
        server.fill([1])
        ready = server.begin()
        end = messages(server.process.pid)
        same("the listener's ends", 1, len(end))
        client = server.client()
        monitor = server.monitor(ready)

        def others(least):
            found = wait_until(f"{least} more", lambda: len(o := set(descendants(monitor)) | relays(ready)) >= least and o)
            # Who was just born closes what is not his.
            wait_until("that nobody else has it", lambda: not any(end & messages(pid) for pid in found if is_alive(pid)))
        same("the monitor's", end, end & messages(monitor))
        others(1)
        if "APOP" in features(POPPER):
            begins("SCRAM", "+ ", client.ask("AUTH SCRAM-SHA-256 biwsbj1ib2Iscj14"))
            others(2)
            begins("cancelled", "-ERR", client.ask("*"))
        same("the monitor's after that", end, end & messages(monitor))
        inside(client)
        relay(ready)
        others(2)
        same("the monitor's after STLS", set(), end & messages(monitor))
        begins("login", "+OK", client.login())
        others(2)
        client.close()
        wait_until("its end", lambda: not is_alive(monitor))
        # Without STLS.
        client = server.client()
        monitor = server.monitor(ready)
        same("the monitor's", end, end & messages(monitor))
        begins("login", "+OK", client.login())
        wait_until("the keeper has it no more", lambda: not end & messages(monitor))
        others(1)


def its_relays():
    """Two at the same time: each has what it would have if the monitor had made it, and nothing of the other."""
    need_root()
    with Site() as server:
        server.fill([1])
        ready = server.begin()
        first = server.tls()
        one = relay(ready)
        second = server.tls()
        two = relay(ready, {one})
        for pid in (one, two):
            fields = descendants(server.process.pid)[pid]
            for name in ("Uid", "Gid"):
                assert "0" not in fields[name].split(), f"{name} {fields[name]}"
            same("capabilities", 0, int(fields["CapEff"], 16) | int(fields["CapPrm"], 16))
            same("sandbox", "2" if SANDBOXED else fields["Seccomp"], fields["Seccomp"])
            assert os.readlink(f"/proc/{pid}/root") != "/", "not locked in"
            if not SANITIZED:
                matches("descriptors at most", r"Max open files +16 +16 ", pathlib.Path(f"/proc/{pid}/limits").read_text())
            same("its sockets", ["messages", "network", "stream"], sorted(sockets(pid).values()))
            same("what else it has", {"/dev/null"}, {v for n in os.listdir(f"/proc/{pid}/fd") if not (v := os.readlink(f"/proc/{pid}/fd/{n}")).startswith("socket:")})
        same("sockets that both have", set(), set(sockets(one)) & set(sockets(two)))
        same("sockets that it has of theirs", set(), set(sockets(ready)) & {*sockets(one), *sockets(two)})
        same("signals that are blocked", 0, int(descendants(server.process.pid)[one]["SigBlk"], 16))
        begins("login", "+OK alice has 1 ", first.login())
        leave(first)
        wait_until("it ends with its session", lambda: not is_alive(one))
        begins("the other one", "+OK", second.ask("CAPA"))
        same("it lives", True, is_alive(two))


def the_next_one():
    """Is made ahead: in its sandbox, with nothing but the way to who made it, until the client comes."""
    need_root()
    with Site() as server:
        server.fill([1])
        ready = server.begin()
        equal("before anybody wanted TLS", below_it(ready), set())
        leave(server.tls())
        wait_until("the end of that relay", lambda: not relays(ready))
        waits = spare(ready)
        fields = status(waits)
        assert "0" not in fields["Uid"].split() + fields["Gid"].split(), f"{fields['Uid']} {fields['Gid']}"
        equal("capabilities", int(fields["CapEff"], 16) | int(fields["CapPrm"], 16), 0)
        assert os.readlink(f"/proc/{waits}/root") != "/", "not locked in"
        equal("its sockets", list(sockets(waits).values()), ["messages"])
        equal("what else it has", {os.readlink(f"/proc/{waits}/fd/{n}") for n in os.listdir(f"/proc/{waits}/fd")} - {f"socket:[{n}]" for n in sockets(waits)}, {"/dev/null"})
        client = server.tls()
        equal("who serves the next client", relays(ready), {waits})
        begins("login", "+OK alice has 1 ", client.login())
        another = spare(ready, {waits})
        os.kill(waits, signal.SIGKILL)
        server.wait_for("the process that does TLS for 127.0.0.1 was killed by signal 9 (Killed)")
        # One that was killed is not missed.
        os.kill(another, signal.SIGKILL)
        wait_until("its end", lambda: not is_alive(another))
        begins("USER", "+OK", server.tls().ask("USER alice"))
        equal("complaints", [r for r in server.records() if "another" in r or "TLS is not" in r or "refused" in r], [])


def the_next_one_and_a_renewal():
    """A certificate that was renewed, or is broken, since one was made ahead counts for the client who comes next."""
    need_root()
    with Site() as server:
        for name in ("cert", "key"):
            shutil.copy(getattr(server, name), server.dir / name)
        server.conf.write_text(server.conf.read_text().replace(str(server.cert), f"{server.dir}/cert").replace(str(server.key), f"{server.dir}/key"))
        ready = server.begin()
        leave(server.tls())
        old = spare(ready)
        new, key = make_certificate(server.dir, "new")
        os.rename(new, server.dir / "cert")
        same("half of a pair", "-ERR", server.client().ask("STLS").split()[0])
        server.wait_for("STLS from 127.0.0.1 refused: ")
        os.rename(key, server.dir / "key")
        client = server.client()
        same("STLS", "+OK STLS", client.ask("STLS"))
        context = ssl.create_default_context(cafile=str(server.dir / "cert"))
        client.socket = context.wrap_socket(client.socket, server_hostname=HOST)
        wait_until("the old one is gone", lambda: not is_alive(old))
        spare(ready, relays(ready))


def how_they_end():
    """One that is killed, by whomever, is in the log as if it were the monitor's child, once."""
    with Site() as server:
        server.fill([1, 2])
        ready = server.begin()
        client = server.tls()
        os.kill(relay(ready), signal.SIGKILL)
        same("before the login", True, client.at_end())
        killed = "the process that does TLS for 127.0.0.1 was killed by signal 9 (Killed)"
        server.wait_for(killed)
        wait_until("the end of the session", lambda: server.below() == [ready])
        client = server.tls()
        begins("login", "+OK alice has 2 ", client.login())
        begins("DELE", "+OK", client.ask("DELE 1"))
        os.kill(relay(ready), signal.SIGKILL)
        same("inside a session", True, client.at_end())
        wait_until("the second record", lambda: len([r for r in server.records() if killed in r]) == 2)
        wait_until("the end of the session", lambda: server.below() == [ready])
        client = server.tls()
        begins("login", "+OK alice has 2 ", client.login())
        leave(client)
        wait_until("the end of the session", lambda: server.below() == [ready])
        same("all records", 2, len([r for r in server.records() if "killed" in r]))


def by_the_sandbox():
    traitor = POPPER.parent / "popper-trespass"
    need(SANDBOXED and traitor.exists(), "the sandbox is not enforced in this build")
    with Site() as server:
        note = server.dir / "note"
        note.write_bytes(bytes(20))
        server.begin(traitor, env={"TRESPASS": "tlsrelay:open", "TRESPASS_NOTE": str(note)})
        client = server.tls()
        same("the end", "", client.ask("CAPA"))
        same("attempts", 1, struct.unpack("iiii", note.read_bytes()[:16])[0])
        server.wait_for("client 127.0.0.1: the tlsrelay process was killed by the sandbox")


def one_that_nobody_needs():
    """Made ahead where TLS is expected, for a client who logs in without: killed, and nobody hears of it."""
    need("APOP" in features(POPPER), "APOP is not built")
    with Site("set clear-text-password = tls") as server:
        for words in (["-init"], ["-user", "alice", "tanstaaf"]):
            subprocess.run([POPPER.parent / "popauth", "-file", server.dir / "pop.auth", *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        server.configure(f"set apop-file = {server.dir}/pop.auth")
        server.fill([1])
        ready = server.begin()
        client = server.client()
        os.kill(relay(ready), signal.SIGSTOP)  # or it might see by itself that nobody needs it
        stamp = re.search("<.*>", client.greeting)[0]
        begins("APOP", "+OK alice has 1 ", client.ask("APOP alice " + hashlib.md5(stamp.encode() + b"tanstaaf").hexdigest()))
        wait_until("no relay", lambda: not relays(ready))
        leave(client)
        wait_until("the end of the session", lambda: server.below() == [ready])
        same("complaints", [], [r for r in server.records() if "killed" in r or "process" in r])
        # And one who wants it.
        client = server.client()
        one = relay(ready)
        inside(client)
        same("the relay that was there", {one}, relays(ready))
        begins("login", "+OK alice has 1 ", client.login())


def at_the_alternate_port():
    with Site() as server:
        server.configure("set tls-support = alternate-port")
        server.fill([1])
        ready = server.begin()
        client = shake_hands(server.client(greet=False))
        begins("greeting", "+OK", client.line())
        same("relays", 1, len(relays(ready)))
        begins("login", "+OK alice has 1 ", client.login())
        leave(client)
        wait_until("the end of the session", lambda: server.below() == [ready])


def killed():
    """Sessions go on, the next ones load the library themselves, the log says it once, and another one comes."""
    with Site() as server:
        server.fill([1, 2])
        ready = server.begin()
        running = server.tls()
        begins("login", "+OK alice has 2 ", running.login())
        one = relay(ready)
        waits = server.client()
        monitors = set(server.below()) - {ready}
        same("sessions", 2, len(monitors))
        os.kill(ready, signal.SIGKILL)
        server.wait_for(GONE + "has ended (signal 9); another one takes its place in 1 s, until then each session that needs it loads it")
        inside(waits)  # it knew the dead one
        begins("a session with a relay of its own", "+OK", waits.ask("CAPA"))
        same("whose relay goes on", True, is_alive(one))
        begins("the session that ran", "+OK 2 ", running.ask("STAT"))
        another = server.ready(monitors)
        client = server.tls()
        wait_until("its relay", lambda: len(relays(another)) == 1)
        begins("the session that ran", "+OK", running.ask("DELE 1"))
        leave(running)
        wait_until("its relay ends", lambda: not is_alive(one))
        begins("a login", "+OK alice has 1 ", client.login())
        # Again, so soon: the next one takes its time, and who comes is served all the same.
        os.kill(another, signal.SIGKILL)
        server.wait_for(GONE + "has ended (signal 9); another one takes its place in 2 s")
        begins("USER", "+OK", server.tls().ask("USER alice"))
        same("records", 2, len([r for r in server.records() if GONE in r]))
        same("errors", [], [r for r in server.records() if "refused" in r or "was killed" in r or "no TLS" in r])


def hung():
    """One that does not answer is killed; who waited for it, and who comes, is served."""
    with Site() as server:
        ready = server.begin()
        first = server.tls()
        clients = [server.client() for _ in range(3)]
        os.kill(ready, signal.SIGSTOP)
        for client in clients:
            client.say("STLS")
        for client in clients:
            same("STLS", "+OK STLS", client.line())
            begins("inside", "+OK", shake_hands(client).ask("USER alice"))
        server.wait_for(GONE + "did not answer and was killed (signal 9)")
        begins("one from before", "+OK", first.ask("USER alice"))
        monitors = set(server.below())
        wait_until("another one", lambda: set(server.below()) - monitors)
        another = server.ready(monitors)
        last = server.tls()
        begins("USER", "+OK", last.ask("USER alice"))
        same("relays", 1, len(relays(another)))
        same("records", 1, len([r for r in server.records() if GONE in r]))


def a_late_answer():
    """Who was asked, and comes to it when nobody waits any more, makes no second relay for that client."""
    with Site() as server:
        ready = server.begin()
        client = server.client()
        monitor = server.monitor(ready)
        os.kill(server.process.pid, signal.SIGSTOP)  # nobody kills it
        try:
            os.kill(ready, signal.SIGSTOP)
            inside(client)
            own = wait_until("the monitor's own relay", lambda: len(relays(monitor)) >= 1)
            os.kill(ready, signal.SIGCONT)
            begins("USER", "+OK", client.ask("USER alice"))
            wait_until("no relay of the other", lambda: not relays(ready))
            begins("USER", "+OK", client.ask("USER alice"))
            same("own", True, own)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)


def those_that_wait():
    """Processes that wait for a client ask the one of their time; when it is gone others take their place."""
    need_root()
    with Site() as server:
        server.configure("set prefork = 2")
        server.fill([1])
        server.start()

        def loaded():
            return [pid for pid in server.below() if "popper-tls.so" in maps(pid)]
        ready = wait_until("it is ready", loaded)[0]
        waiting = set(wait_until("two wait", lambda: len(w := server.below()) == 3 and w)) - {ready}
        client = server.tls()
        same("relays", 1, len(relays(ready)))
        begins("login", "+OK alice has 1 ", client.login())
        os.kill(ready, signal.SIGKILL)
        server.wait_for(GONE)
        wait_until("one who waited is gone, the other one is the keeper", lambda: len([p for p in waiting if is_alive(p)]) == 1)
        another = wait_until("another one", loaded)[0]
        wait_until("two wait", lambda: len(server.below()) == 4)
        end = messages(server.process.pid) & messages([p for p in server.below() if p not in waiting and p != another][0])
        same("ends that the listener shares with who waits", 1, len(end))
        last = server.tls()
        wait_until("its relay", lambda: len(relays(another)) == 1)
        begins("USER", "+OK", last.ask("USER alice"))


def new_settings():
    """After HUP another one serves; the old one goes when its last session does."""
    with Site() as server:
        server.fill([1])
        ready = server.begin()
        running = server.tls()
        begins("login", "+OK alice has 1 ", running.login())
        before = server.client()
        monitors = set(server.below()) - {ready}
        server.signal(signal.SIGHUP)
        server.wait_for("the configuration was read again")
        another = server.ready((ready, *monitors))
        inside(before)
        same("relays of the old one", 2, len(relays(ready)))
        after = server.tls()
        wait_until("relay of the new one", lambda: len(relays(another)) == 1)
        before.close()
        wait_until("one relay", lambda: len(relays(ready)) == 1)
        begins("a session of the old one", "+OK 1 ", running.ask("STAT"))
        leave(running)
        wait_until("the old one is gone", lambda: not is_alive(ready))
        begins("a session of the new one", "+OK", after.ask("USER alice"))
        server.configure("set tls-support = none")
        server.signal(signal.SIGHUP)
        wait_until("read again", lambda: len([r for r in server.records() if "was read again" in r]) == 2)
        after.close()
        wait_until("none is left", lambda: not server.below())
        same("records", [], [r for r in server.records() if GONE in r])


def let_key_age(server):
    """Five hours, for the listener."""
    symbols = subprocess.run(["nm", POPPER], capture_output=True, text=True, check=True).stdout
    offset = [int(line.split()[0], 16) for line in symbols.split("\n") if line.endswith(" b made")]
    same("places of that name", 1, len(offset))
    base = int(maps(server.process.pid).split("-")[0], 16)
    with open(f"/proc/{server.process.pid}/mem", "r+b", buffering=0) as mem:
        mem.seek(base + offset[0])
        then = struct.unpack("q", mem.read(8))[0]
        assert 0 < then <= time.monotonic_ns(), f"{then} is no time when the key was made"
        mem.seek(base + offset[0])
        mem.write(struct.pack("q", then - 5 * 3600 * 10**9))


def new_ticket_keys():
    """When the key is old the next session gets a new one, and so another process that forks the relays. Two keys back tickets still are good."""
    need_root()
    need(not SANITIZED, "sanitizers have places of their own")
    program("nm")
    with Site() as server:
        ready = server.begin()
        context = ssl.create_default_context(cafile=str(Site.cert))

        def visit(session=None):
            client = server.client()
            same("STLS", "+OK STLS", client.ask("STLS"))
            client.socket = context.wrap_socket(client.socket, server_hostname=HOST, session=session)
            client.file = client.socket.makefile("rb")
            begins("CAPA", "+OK", client.ask("CAPA"))
            result = client.socket.session_reused, client.socket.session
            client.close()
            return result
        session = visit()[1]
        resumed = []
        for _ in range(4):
            resumed.append(visit(session)[0])
            let_key_age(server)
            server.client().close()
            before, ready = ready, wait_until("another one", lambda old=ready: [p for p in server.below() if p != old and relays_come_from(p)])[0]
            wait_until("the old one is gone", lambda old=before: not is_alive(old))
        same("resumed", [True, True, True, False], resumed)


def relays_come_from(pid):
    try:
        return "popper-tls.so" in maps(pid)
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        return False


def its_end():
    """With the listener, however that ends; not before the sessions that it lets go on."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with Site() as server:
            ready = server.begin()
            server.signal(number)
            server.wait()
            wait_until(f"its end after signal {number}", lambda ready=ready: not is_alive(ready))
    with Site() as server:
        server.fill([1])
        ready = server.begin()
        client, waits = server.tls(), server.client()
        begins("login", "+OK alice has 1 ", client.login())
        os.kill(ready, signal.SIGTERM)  # as systemd does, which tells all of them
        server.signal(signal.SIGTERM)
        server.wait_for("2 sessions go on")
        inside(waits)
        wait_until("who had not asked yet gets his relay", lambda: len(relays(ready)) == 2)
        begins("DELE", "+OK", client.ask("DELE 1"))
        waits.close()
        server.process.kill()
        server.wait()
        begins("STAT", "+OK 0 ", client.ask("STAT"))
        same("it lives as long as the session", True, is_alive(ready))
        leave(client)
        wait_until("its end", lambda: not is_alive(ready))
    # Killed when no more clients come: nothing takes its place.
    with Site() as server:
        ready = server.begin()
        client = server.client()
        server.signal(signal.SIGTERM)
        server.wait_for("1 sessions go on")
        os.kill(ready, signal.SIGKILL)
        server.wait_for(GONE + "has ended (signal 9); each session that needs it loads it")
        begins("USER", "+OK", inside(client).ask("USER alice"))
        same("another one", [], [r for r in server.records() if "another one" in r])


def where_there_is_no_tls():
    with Site() as server:
        server.configure("set tls-support = none")
        server.fill([1])
        server.start()
        same("processes", {}, descendants(server.process.pid))
        begins("login", "+OK alice has 1 ", server.client().login())


def more_than_descriptors():
    """The room for channels ends: who has no relay there any more makes his own; and whose channel was the last one, his relay has room for what it takes out."""
    need_root()
    with Site() as server:
        ready = server.begin()
        wait_until("the library is loaded", lambda: relays_come_from(ready))
        first = max(int(n) for n in os.listdir(f"/proc/{ready}/fd")) + 1
        hard = resource.prlimit(ready, resource.RLIMIT_NOFILE)[1]
        clients = []
        for room in range(first, first + 7):
            resource.prlimit(ready, resource.RLIMIT_NOFILE, (room, hard))
            clients += [server.tls() for _ in range(3)]
            begins("the last one", "+OK", clients[-1].ask("USER alice"))
        made = len(relays(ready))
        assert 3 <= made < len(clients), f"{made} relays"


def forbid_pidfd():
    """As a kernel before Linux 5.3, or a container's filter: pidfd_open(2) fails with ENOSYS. The number is that of all processors."""
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, 434), (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7fff0000))
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program_of = struct.pack("HP", len(steps), ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program_of), 0, 0):
        os._exit(99)


def where_there_is_no_pidfd():
    """Nobody could be sure to kill the right one: sessions make their relays themselves."""
    with Site() as server:
        server.fill([1])
        server.start(preexec_fn=forbid_pidfd)
        same("processes", {}, descendants(server.process.pid))
        client = server.tls()
        begins("login", "+OK alice has 1 ", client.login())
        leave(client)
        wait_until("the end of the session", lambda: not server.below())


CASES = [what_it_holds, nobody_looks_into_it, who_can_ask_it, its_relays, the_next_one, the_next_one_and_a_renewal, how_they_end, by_the_sandbox, one_that_nobody_needs, at_the_alternate_port, killed, hung,
         a_late_answer, those_that_wait, new_settings, new_ticket_keys, its_end, where_there_is_no_tls, where_there_is_no_pidfd, more_than_descriptors]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
