#!/usr/bin/python3
"""tlslinger.py: tls-linger: the process that has the TLS library ready and that a session from inetd leaves behind: who finds it, what it holds, when it ends, and
what becomes of sessions when it is killed, hangs or is not what it seems. As root. Prints TAP.

option: tls-linger
"""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import POPPER, ROOT, SANITIZED, children, equal, gone, is_alive, matches, memory, need, possible, starts, status, wait_until  # noqa: E402
from tlssite import main  # it says where the rest is
from tlsclient import HOST  # noqa: E402

RUN = "/var/run/popper-tls-"
NOBODY = 65534
READY = "the process %d that has the TLS library ready did not answer and was killed; the next session that needs it leaves another one behind"


def places():
    """{inode: path} of the sockets in /var/run at which such processes listen."""
    rows = (line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:])
    return {row[6]: row[7] for row in rows if len(row) > 7 and int(row[3], 16) & 0x10000 and "/popper-tls" in row[7]}


def links(pid):
    found = []
    with contextlib.suppress(FileNotFoundError, PermissionError):
        for n in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{n}"))
    return found


def left_by(site):
    """The processes that sessions of this site left behind and that can be called, {pid: path}."""
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            if str(site.dir / "conf").encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                for link in links(pid):
                    if (m := re.fullmatch(r"socket:\[(\d+)\]", link)) and m[1] in places():
                        # The name that it was bound to stays with the socket when it is moved.
                        found[pid] = next((str(p) for p in pathlib.Path("/var/run").glob("popper-tls-*") if is_at(p, pid)), "")
    return found


def is_at(path, pid):
    """Whether who listens there is this process. It sees a call that says nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(str(path))
        return int.from_bytes(s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder) == pid
    return False


def the_one(site, but=()):
    """(its pid, where it is found)."""
    return wait_until("one process that is left", lambda: (f := {p: w for p, w in left_by(site).items() if w and p not in but}) and len(f) == 1 and [*f.items()])[0]


def connections():
    """The inodes of all TCP sockets."""
    return {line.split()[9] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]}


def relays(pid):
    """Its children that have a client; there may be one more, which was made ahead for the next one."""
    below = [p for p in children(pid) if is_alive(p)]
    return {p for p in below if any(link[8:-1] in connections() for link in links(p))}


def loaded(pid):
    return "popper-tls.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def lingering(case):
    """The case, with tls-linger; what it leaves ends with it."""
    def run(site):
        need(ROOT, "not root: nothing is left behind")
        site.set(tls_linger=60)
        site.undo.callback(lambda: [os.kill(pid, signal.SIGKILL) for pid in left_by(site)])
        site.undo.callback(lambda: [pathlib.Path(where).unlink() for where in left_by(site).values() if where])
        case(site)
    run.__name__, run.__doc__ = case.__name__, case.__doc__
    return run


def visit(site):
    s = site.tls().login()
    s.quit()
    s.hang_up()  # or the relay gives him time
    s.process.wait(10)


def after_a_visit(site):
    """(pid, place) of what one session with TLS has left."""
    site.fill(1)
    visit(site)
    return the_one(site)


def last_session_ends_it(site, pid, relay, session):
    """It takes nobody new, but its session goes on: who comes leaves another one behind, and it ends with that session."""
    next_one = site.tls()
    another, _ = the_one(site, {pid})
    equal("relays of the old one", relays(pid), {relay})
    equal("the session goes on", session.say("NOOP")[:3], "+OK")
    next_one.hang_up()
    session.quit()
    wait_until("its end", lambda: gone(pid))
    equal("the new one", True, is_alive(another))


@lingering
def what_is_left(site):
    site.fill(1)
    s = site.tls()
    own = s.relay()
    pid, where = the_one(site)
    equal("its session goes on", True, is_alive(own))
    wait_until("it has the library", lambda: loaded(pid))
    equal("it is none of the session's", False, pid in s.children())
    fields = status(pid)
    equal("uid", fields["Uid"].split(), ["0"] * 4)
    equal("its session and group", os.getsid(pid) != s.process.pid, True)
    kinds = sorted("socket" if link.startswith("socket:") else link for link in links(pid))
    # Its place, perhaps the way to syslogd, the trace file; nothing of the client.
    equal("what it holds", [k for k in kinds if k != "socket"], ["/dev/null"] * 3 + [str(site.trace)])
    equal("connections", [link for link in links(pid) if link[8:-1] in connections()], [])
    matches("no core", r"Max core file size +0 +0 ", pathlib.Path(f"/proc/{pid}/limits").read_text())
    equal("mode of its place", os.stat(where).st_mode & 0o077, 0)
    s.login().quit()
    s.process.wait(10)
    equal("it stays", True, is_alive(pid))
    equal("complaints", [], [r for r in site.log() if "process" in r])


@lingering
def the_next_ones_use_it(site):
    """Two at a time; each relay has what it would have from the monitor."""
    pid, _ = after_a_visit(site)
    wait_until("no relay", lambda: not relays(pid))
    first, second = site.tls(), site.tls()
    made = wait_until("two relays", lambda: len(r := relays(pid)) == 2 and r)
    for s in (first, second):
        equal("relays that the session made itself", [], [c for c in s.children() if loaded(c)])
    der = subprocess.run(["openssl", "pkey", "-in", site.shared.key, "-outform", "DER", "-traditional"], capture_output=True, check=True).stdout[7:39]
    for relay in made:
        fields = status(relay)
        assert "0" not in fields["Uid"].split() + fields["Gid"].split(), f"{fields['Uid']} {fields['Gid']}"
        equal("sandbox", fields["Seccomp"], "0" if SANITIZED else "2")
        equal("places that a relay holds", [], [link for link in links(relay) if link[8:-1] in places()])
        if not SANITIZED:
            seen = memory(relay)
            assert der in seen or der[::-1] in seen, "this test looks for the wrong thing"
    if not SANITIZED:
        assert not any(form in memory(pid) for form in (der, der[::-1])), "the private key is in the memory of what stays"
    first.login().quit()
    second.hang_up()
    wait_until("they end with their sessions", lambda: not relays(pid))
    equal("processes that are left", [pid], [*left_by(site)])
    equal("complaints", [], [r for r in site.log() if "process" in r])


@lingering
def how_relays_end(site):
    pid, _ = after_a_visit(site)
    s = site.tls().login()
    os.kill(wait_until("a relay", lambda: relays(pid)).pop(), signal.SIGKILL)
    while not s.at_eof:
        s.receive()
    site.logged(r"^the process that does TLS for 127\.0\.0\.1 was killed by signal 9 \(Killed\)$")


@lingering
def at_the_alternate_port(site):
    site.set(tls_support="alternate-port").fill(1)
    visit(site)
    pid, _ = the_one(site)
    s = site.tls()
    wait_until("its relay", lambda: len(relays(pid)) == 1)
    s.login().quit()


@lingering
def it_ends(site):
    """When nobody came for so long; who is there stays."""
    site.set(tls_linger=2).fill(1)
    visit(site)
    pid, where = the_one(site)
    s = site.tls().login()
    relay = wait_until("a relay", lambda: relays(pid)).pop()
    time.sleep(2.5)
    equal("while a session goes on", (True, True), (is_alive(pid), os.path.exists(where)))
    s.quit()
    ends = time.monotonic()
    s.hang_up()
    wait_until("the end of its relay", lambda: gone(relay))
    time.sleep(0.5)
    assert os.path.exists(where) or time.monotonic() - ends > 2, "it ended with its relay"
    wait_until("its end", lambda: gone(pid))
    equal("its place", False, os.path.exists(where))
    visit(site)
    the_one(site)


def let_it_age(pid):
    """It is made to think that its hour is over."""
    begin, end = (int(x, 16) for x in re.search(r"(?m)^(\w+)-(\w+) .*\[stack\]$", pathlib.Path(f"/proc/{pid}/maps").read_text()).groups())
    now = time.monotonic_ns()
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as mem:
        mem.seek(begin)
        stack = mem.read(end - begin)
        found = [n for n in range(0, len(stack) - 8, 4) if 3500 * 10**9 < struct.unpack_from("q", stack, n)[0] - now <= 3600 * 10**9]
        equal("a time in an hour", True, bool(found))
        for n in found:
            mem.seek(begin + n)
            mem.write(struct.pack("q", now))


@lingering
def it_is_old(site):
    """After an hour, however many come, it takes nobody new, and ends with its last session."""
    need(not SANITIZED, "sanitizers have places of their own")
    pid, _ = after_a_visit(site)
    s = site.tls().login()
    relay = wait_until("a relay", lambda: relays(pid)).pop()
    let_it_age(pid)
    last_session_ends_it(site, pid, relay, s)


@lingering
def it_is_told_to_end(site):
    """SIGTERM: nobody finds it any more; the sessions go on."""
    pid, where = after_a_visit(site)
    s = site.tls().login()
    relay = wait_until("a relay", lambda: relays(pid)).pop()
    os.kill(pid, signal.SIGTERM)
    wait_until("its place is gone", lambda: not os.path.exists(where))
    wait_until("so is the relay that it made ahead", lambda: {p for p in children(pid) if is_alive(p)} == {relay})
    last_session_ends_it(site, pid, relay, s)


@lingering
def killed(site):
    """What is left of it is in nobody's way."""
    pid, where = after_a_visit(site)
    os.kill(pid, signal.SIGKILL)
    wait_until("its end", lambda: gone(pid))
    equal("its place is left", True, os.path.exists(where))
    visit(site)
    another, there = the_one(site)
    equal("the place", there, where)
    s = site.tls()
    wait_until("the new one's relay", lambda: len(relays(another)) == 1)
    s.login().quit()
    equal("complaints", [], [r for r in site.log() if "process" in r])


@lingering
def hung(site):
    """One that does not answer is killed; who waited for it is served."""
    pid, _ = after_a_visit(site)
    os.kill(pid, signal.SIGSTOP)
    s = site.tls().login()
    wait_until("its end", lambda: gone(pid))
    site.logged("^" + re.escape(READY % pid) + "$")
    s.quit()
    another, _ = the_one(site)
    s = site.tls()
    wait_until("the new one's relay", lambda: len(relays(another)) == 1)


@lingering
def a_new_one_while_one_waits(site):
    """Who gives up waiting for one leaves that alone which has its place meanwhile."""
    pid, where = after_a_visit(site)
    os.kill(pid, signal.SIGKILL)
    wait_until("its end", lambda: gone(pid))
    mute = subprocess.Popen([sys.executable, "-c", f"import os, signal, socket\nos.unlink({where!r})\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                             f"s.bind({where!r})\ns.listen(5)\nprint('there', flush=True)\nkept = s.accept()\nsignal.pause()"], stdout=subprocess.PIPE)
    with mute:
        site.undo.callback(mute.kill)
        mute.stdout.readline()
        waits = site.open()
        waits.hear()
        waits.send(b"STLS\r\n")
        wait_until("it was called", lambda: len([k for k in links(mute.pid) if k.startswith("socket:")]) == 2)
        os.unlink(where)
        visit(site)
        another, _ = the_one(site)
        equal("STLS", waits.hear(), "+OK STLS")
        equal("the mute one", mute.wait(10), -signal.SIGKILL)
    site.logged("^" + re.escape(READY % mute.pid) + "$")
    equal("who is called", True, is_at(where, another))
    equal("the processes", [another], [*left_by(site)])


@lingering
def its_place_is_another_ones(site):
    """It ends, and leaves that one alone."""
    pid, where = after_a_visit(site)
    os.unlink(where)
    visit(site)
    another, _ = the_one(site)
    os.kill(pid, signal.SIGTERM)
    wait_until("its end", lambda: gone(pid))
    equal("who is called", True, is_at(where, another))


@lingering
def other_settings(site):
    """Whoever has others, another configuration file or another view of the file system does not meet it."""
    pid, where = after_a_visit(site)
    site.options["timeout"] = 700
    visit(site)
    other = [p for p in left_by(site) if p != pid]
    equal("the processes", len(other), 1)
    wait_until("two places", lambda: len({*left_by(site).values()} - {""}) == 2)
    equal("its relays", relays(pid), set())
    del site.options["timeout"]
    s = site.tls()
    wait_until("the first one's relay", lambda: len(relays(pid)) == 1)
    s.hang_up()
    command = site.command
    site.command = lambda: ["unshare", "--mount", "--propagation", "private", *command()]
    s = site.tls()
    wait_until("one of its own", lambda: len(left_by(site)) == 3)
    s.hang_up()
    site.command = command
    equal("its place", True, os.path.exists(where))


@lingering
def another_program(site):
    """After an upgrade nobody uses the old one."""
    pid, _ = after_a_visit(site)
    for name in ("popper", "popper-tls.so"):
        shutil.copy(POPPER.parent / name, site.dir / name)
    site.popper = site.dir / "popper"
    s = site.tls()
    wait_until("one of its own", lambda: len(left_by(site)) == 2)
    equal("relays of the old one", relays(pid), set())
    s.hang_up()


@lingering
def another_module(site):
    """An upgrade replaces two files. A session between them leaves a process behind that has the old one of them; whoever comes when both are there has the new one."""
    site.fill(1)
    for name in ("popper", "popper-tls.so"):
        shutil.copy(POPPER.parent / name, site.dir / name)
    site.popper, module = site.dir / "popper", site.dir / "popper-tls.so"
    right = module.read_bytes()
    said = subprocess.run([POPPER, "-v"], capture_output=True, check=True)
    version = re.search(rb"version (\S+)", said.stdout + said.stderr)[1]
    module.write_bytes(right.replace(version + b"\0", b"0" * len(version) + b"\0"))
    s = site.open()
    s.hear()
    starts("half an upgrade", s.say("STLS"), "-ERR [SYS/PERM] TLS is not possible")
    s.hang_up()
    s.process.wait(10)
    pid, _ = the_one(site)
    (site.dir / "new").write_bytes(right)
    (site.dir / "new").chmod(0o755)
    os.rename(site.dir / "new", module)
    visit(site)
    wait_until("one with the new module", lambda: len(left_by(site)) == 2)
    s = site.tls()
    equal("relays of the old one", relays(pid), set())
    s.hang_up()


@lingering
def an_impostor(site):
    """Somebody else's socket at that place, however he did it, is not asked."""
    pid, where = after_a_visit(site)
    os.kill(pid, signal.SIGKILL)
    wait_until("its end", lambda: gone(pid))
    os.unlink(where)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as fake:
        fake.bind(where)
        os.seteuid(NOBODY)
        fake.listen(5)
        os.seteuid(0)
        visit(site)
        fake.settimeout(5)
        call, _ = fake.accept()
        with call:
            call.settimeout(5)
            equal("what he was told", call.recv(100), b"")
    another, there = the_one(site)
    equal("the place", there, where)
    equal("who is there", True, is_alive(another))


@lingering
def nobody_else_calls(site):
    pid, where = after_a_visit(site)
    os.seteuid(NOBODY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(where)
            raise AssertionError("somebody who is not root could call it")
    except PermissionError:
        pass
    finally:
        os.seteuid(0)
    # And calls that come to nothing, which only root can make, leave nothing.
    for words in (b"", b"nonsense"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(where)
            if words:
                s.send(words)
    wait_until("nobody is left", lambda: not relays(pid))
    equal("it lives", True, is_alive(pid))
    visit(site)
    equal("the processes", [pid], [*left_by(site)])


@lingering
def where_there_is_no_room(site):
    """Without descriptors for another channel it makes way."""
    pid, where = after_a_visit(site)
    wait_until("the one for the next client, and its door", lambda: not relays(pid) and len(children(pid)) == 1)
    held = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
    room = min({*range(len(held) + 1)} - held)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, room))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(where)
        wait_until("its end", lambda: gone(pid))
    equal("its place", False, os.path.exists(where))
    visit(site)
    the_one(site)


@lingering
def many_at_once(site):
    """Those who come at the same time with nobody there leave few behind, and all are served."""
    site.fill(1)
    command = site.command()
    site.command = lambda: command  # which is not to write the configuration that others are reading
    sessions = [site.open() for _ in range(12)]
    for s in sessions:
        s.hear()
    for s in sessions:
        s.send(b"STLS\r\n")
    for s in sessions:
        equal("STLS", s.hear(), "+OK STLS")
        s.begin_tls(site.shared.bundle)
        starts("CAPA", s.say("CAPA"), "+OK")
    for s in sessions:
        s.hang_up()
    for s in sessions:
        s.process.wait(10)
    pid, _ = wait_until("one that is found", lambda: [(p, w) for p, w in left_by(site).items() if w])[0]
    s = site.tls()
    wait_until("its relay", lambda: len(relays(pid)) == 1)
    s.hang_up()


@lingering
def clients_resume(site):
    """It has a key for tickets; without it nothing is resumed from inetd."""
    site.fill(1)
    context = ssl.create_default_context(cafile=str(site.shared.bundle))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the ticket comes with the handshake

    def resumes(session=None):
        s = site.open()
        s.hear()
        s.say("STLS")
        with context.wrap_socket(s.socket, server_hostname=HOST, session=session) as wrapped:
            return wrapped.session_reused, wrapped.session
    first = resumes()[1]
    pid, _ = the_one(site)
    equal("the first one", False, resumes(first)[0])
    ticket = resumes()[1]
    equal("the next one", True, resumes(ticket)[0])
    equal("it lives", True, is_alive(pid))


def not_asked_for(site):
    """Without the option, without root, and by itself nothing is left."""
    site.fill(1)
    visit(site)
    equal("without the option", {}, left_by(site))
    site.set(tls_linger=60)
    with site.standalone() as (_, port), socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rb") as reader:
        reader.readline()
        s.sendall(b"STLS\r\n")
        starts("STLS", reader.readline(), b"+OK STLS")
        equal("by itself", {}, left_by(site))
    if ROOT:
        return
    visit(site)
    equal("without root", {}, left_by(site))


@lingering
def where_it_cannot_be(site):
    """Where /var/run cannot be written to, without /proc, and without pidfds nothing is left: sessions load the library, and log and --check say why."""
    site.fill(1)
    command = site.command()
    mounted = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    possible(subprocess.run([*mounted, "mount -t tmpfs -o ro none /mnt"], capture_output=True).returncode == 0, "nothing can be mounted")
    expect_nothing(site, [*mounted, 'mount -t tmpfs -o ro none "$(readlink -f /var/run)" && exec "$@"', "sh", *command], "/var/run/: Read-only file system")
    forbid = f"import os, sys\nos.chdir({os.getcwd()!r})\nsys.path[:0] = {sys.path!r}\nimport tlsready\ntlsready.forbid_pidfd()\nos.execv(sys.argv[1], sys.argv[1:])"
    expect_nothing(site, [sys.executable, "-c", forbid, *command], "pidfd_open: Function not implemented")
    # There the module of a popper that is not installed is not found.
    expect_warning([*mounted, 'mount -t tmpfs none /proc && exec "$@"', "sh", *command], "/proc/self/exe: No such file or directory")


def expect_warning(command, why):
    said = subprocess.run([*command, "--check"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    matches("--check", f"(?m)^warning: tls-linger: no process can be left behind that has the TLS library ready: {why}$", said)


def expect_nothing(site, command, why):
    site.trace.unlink(missing_ok=True)
    site.command = lambda: command
    visit(site)
    site.logged(f"^tls-linger: no process can be left behind that has the TLS library ready: {why}$")
    equal("what is left", {}, left_by(site))
    expect_warning(command, why)


CASES = [what_is_left, the_next_ones_use_it, how_relays_end, at_the_alternate_port, it_ends, it_is_old, it_is_told_to_end, killed, hung, a_new_one_while_one_waits, its_place_is_another_ones, other_settings, another_program, another_module, an_impostor,
         nobody_else_calls, where_there_is_no_room, many_at_once, clients_resume, not_asked_for, where_it_cannot_be]

if __name__ == "__main__":
    sys.exit(main(CASES))
