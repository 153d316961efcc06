#!/usr/bin/python3
"""standalone.py: popper that listens by itself: addresses, signals, limits, systemd. Clients of many addresses are this host's
127.0.0.x. Prints TAP.
"""
import base64
import contextlib
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import PATIENCE, TESTS, Missing, Skip, find, matches, wait_until  # noqa: E402
from standing import GID, PASSWORD, POPPER, UID, Client, Server, begins, descendants, free_port, run_all, same  # noqa: E402
import mbox  # noqa: E402
from libcrypt import crypt  # noqa: E402
import saslclient  # noqa: E402
from world import features  # noqa: E402

TURN_SECONDS = 20  # SUPERVISED_WAIT_MS


def several_addresses():
    ports = [free_port() for _ in range(3)]
    addresses = [f"127.0.0.1:{ports[0]}", f"127.0.0.2:{ports[1]}", f":{ports[2]}"]
    everywhere = [("127.0.0.1", ports[0]), ("127.0.0.2", ports[1]), ("127.0.0.3", ports[2])]
    if pathlib.Path("/proc/net/if_inet6").exists():
        addresses.insert(1, f"[::1]:{ports[1]}")
        everywhere += [("::1", ports[1]), ("::1", ports[2])]
    with Server("set debug") as server:
        server.start(*addresses)
        for host, port in everywhere:
            client = Client(port, host)
            begins(f"greeting at {host}", "+OK", client.greeting)
            same("reply to QUIT", "+OK", client.ask("QUIT")[:3])
            client.close()
        server.wait_for('Servicing request from "127.0.0.1" at 127.0.0.1')


def the_newer_protocol():
    """[v6]:port, also where the machine has no such address: a network of its own has ::1."""
    unshare = find("unshare", "util-linux")
    find("ip", "iproute2")
    if os.getuid() != 0:
        raise Missing("needs root for a network")
    if not pathlib.Path("/proc/sys/net/ipv6").exists():
        raise Skip("a kernel without IPv6")
    with Server("set debug") as server:
        server.fill([1])
        script = "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0 2>/dev/null; ip link set lo up && exec \"$0\" \"$@\""
        server.process = subprocess.Popen([unshare, "-n", "/bin/sh", "-c", script, str(POPPER), "[::1]:110", ":8110", "-f", str(server.conf)],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        server.wait_for("listening at [::1]:110")
        client = """import socket
for port in 110, 8110:
    with socket.create_connection(('::1', port), 20) as s:
        f = s.makefile('rwb')
        f.write(b'USER alice\\r\\nPASS %s\\r\\nQUIT\\r\\n')
        f.flush()
        print([line[:3] for line in f])""" % PASSWORD
        asked = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", sys.executable, "-c", client], capture_output=True, text=True, timeout=60, check=True)
        same("replies", f"{[b'+OK'] * 4}\n" * 2, asked.stdout)
        server.wait_for('POP login by user "alice" at (::1) ::1')


def the_default_port():
    """110, for an address without one. In a network of its own, where nobody has that port."""
    unshare = find("unshare", "util-linux")
    if os.getuid() != 0:
        raise Missing("needs root for port 110 and a network")
    find("ip", "iproute2")
    with Server() as server:
        wrapper = [unshare, "-n", "/bin/sh", "-c", 'ip link set lo up && exec "$0" "$@"']
        server.process = subprocess.Popen([*wrapper, str(POPPER), "127.0.0.1", "-f", str(server.conf)], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        same("where", 1, len(server.wait_for("listening at 127.0.0.1:110")))
        # A client in that network.
        asked = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", sys.executable, "-c",
                                "import socket; s = socket.create_connection(('127.0.0.1', 110), 10); print(s.recv(100)[:3].decode())"],
                               capture_output=True, text=True, timeout=PATIENCE, check=True)
        same("greeting", "+OK\n", asked.stdout)
    defaults = subprocess.run([find("gcc", "gcc"), "-E", "-P", "-I", str(TESTS.parent / "popper"), "-I", str(POPPER.parent.parent), "-D_DEBUG", "-xc", "-"], input='#include "settings/defaults.h"\nport STANDALONE_PORT\n',
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
    same("of a build with -D_DEBUG", "port 8765", defaults.stdout.split("\n")[-2])


def a_whole_session():
    with Server("set statistics") as server:
        maildrop = server.fill(range(1, 4))
        server.start()
        client = server.client()
        begins("login", "+OK alice has 3 visible messages", client.login())
        begins("DELE", "+OK", client.ask("DELE 2"))
        begins("QUIT", "+OK", client.ask("QUIT"))
        same("messages left", 2, len(list(mbox.split(maildrop.read_bytes()))))
        server.wait_for("Stats: alice 1 ")


def a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run([str(POPPER), address], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, text=True)
        same("status and message", (1, f"popper: {address} in use\n"), (done.returncode, done.stderr))


def room_for_all_who_may_come():
    """Descriptors for max-preauth, also for one that comes with SIGHUP."""
    def files(which):
        return int(next(line for line in pathlib.Path(f"/proc/{server.process.pid}/limits").read_text().splitlines() if "open files" in line).split()[which])
    with Server("set prefork = 0") as server:
        server.configure("set max-preauth = 10")
        server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096)))
        few = files(3)
        server.configure("set max-preauth = 2000")
        server.signal(signal.SIGHUP)
        server.wait_for("the configuration was read again")
        wait_until("more of them", lambda: files(3) > 2000)
        server.configure("set max-preauth = 10")
        server.signal(signal.SIGHUP)
        wait_until("fewer again", lambda: files(3) == few)
        # Sessions have what popper was started with.
        client = server.client()
        client.login()
        pid = next(iter(descendants(server.process.pid)))
        limit = pathlib.Path(f"/proc/{pid}/limits").read_text()
        matches("limit of the keeper", r"Max open files +256 +4096 ", limit)


def no_descriptors_left():
    """The record names what is missing, and when there are some again all is as before."""
    with Server("set prefork = 0", "set max-sessions-per-address = 1000", "set max-preauth = 1000") as server:
        server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
        clients = [Client(server.port, greet=False) for _ in range(40)]
        server.wait_for("client 127.0.0.1: refused: there is no process for it: Too many open files")
        for client in clients:
            client.close()
        wait_until("another client is greeted", lambda: Client(server.port).greeting.startswith("+OK"))


def without_dev_null():
    """As somebody's script left it. It does not start, and says why."""
    unshare = find("unshare", "util-linux")
    if os.getuid() != 0:
        raise Missing("needs root for a /dev of its own")
    with Server() as server:
        script = "mount -t tmpfs -o mode=755 dev /dev && exec \"$0\" \"$@\""
        done = subprocess.run([unshare, "-m", "/bin/sh", "-c", script, str(POPPER), f"127.0.0.1:{free_port()}", "-f", str(server.conf)],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        same("exit status", 75, done.returncode)
        server.wait_for("/dev/null cannot be opened: No such file or directory; make it again: mknod -m 666 /dev/null c 1 3")


def background_and_pid_file():
    # option: daemon
    # option: pid-file
    with Server() as server:
        pid_file = server.dir / "popper.pid"
        server.configure("set daemon", f"set pid-file = {pid_file}")
        port = free_port()
        done = subprocess.run([str(POPPER), f"127.0.0.1:{port}", "-f", "popper.conf"], stdin=subprocess.DEVNULL, cwd=server.dir,
                              capture_output=True, timeout=PATIENCE)
        same("what the started process says", (0, b"", b""), (done.returncode, done.stdout, done.stderr))
        pid = int(pid_file.read_text())
        try:
            begins("greeting at once", "+OK", Client(port).greeting)
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == pid or int(fields[3]) == os.getsid(0) or fields[4] != "0":
                raise AssertionError(f"session {fields[3]} and terminal {fields[4]} of process {pid}")
            same("its directory", "/", os.readlink(f"/proc/{pid}/cwd"))
            same("mode", 0o644, pid_file.stat().st_mode & 0o777)
            # It stays the one that was written, whatever the configuration names now.
            server.configure("set daemon", f"set pid-file = {pid_file}.other")
            # The configuration was named from another directory.
            os.kill(pid, signal.SIGHUP)
            server.wait_for("the configuration was read again")
            done = subprocess.run([str(POPPER), f"127.0.0.1:{port}", "-f", str(server.conf)], stdin=subprocess.DEVNULL, timeout=PATIENCE,
                                  capture_output=True)
            same("a second one", (1, f"popper: 127.0.0.1:{port} in use\n".encode()), (done.returncode, done.stderr))
            same("pid file after that", pid, int(pid_file.read_text()))
        finally:
            for _ in range(3):
                os.kill(pid, signal.SIGTERM)
                time.sleep(0.05)
                if not pathlib.Path(f"/proc/{pid}").exists():
                    break
        wait_until("its end", lambda: not pid_file.exists())


def a_pid_file_that_is_not_ours():
    with Server() as server:
        pid_file = server.dir / "popper.pid"
        server.configure(f"set pid-file = {pid_file}")
        pid_file.write_text("1\n")
        pid_file.chmod(0o666)
        done = subprocess.run([str(POPPER), f"127.0.0.1:{free_port()}", "-f", str(server.conf)], stdin=subprocess.DEVNULL, timeout=PATIENCE,
                              capture_output=True)
        same("where anybody can write", (1, True), (done.returncode, b"popper.pid has mode 0666" in done.stderr))
        pid_file.unlink()
        server.start()
        wait_until("the pid file", pid_file.exists)
        pid_file.write_text("1\n")
        server.signal(signal.SIGTERM)
        same("status", 0, server.wait())
        same("what somebody else has written there", "1\n", pid_file.read_text())


def reload_on_hup():
    with Server() as server:
        server.start()
        running = server.client()
        server.configure("set shy")
        server.signal(signal.SIGHUP)
        server.wait_for("the configuration was read again")
        same("new greeting", "+OK ready  ", server.client().greeting)
        begins("the session that ran", "+OK", running.login())
        server.configure("set nonsense")
        server.signal(signal.SIGHUP)
        record = server.wait_for("the configuration stays as it was")[0]
        matches("why", r'popper\.conf:\d+: unknown option "nonsense"', record)
        same("greeting", "+OK ready  ", server.client().greeting)


def term_drains_then_ends():
    with Server() as server:
        server.fill([1, 2])
        server.start()
        clients = [server.client(), server.client()]
        clients[0].login()
        server.signal(signal.SIGTERM)
        server.wait_for("2 sessions go on")
        try:
            Client(server.port)
            raise AssertionError("a connection after SIGTERM")
        except ConnectionRefusedError:
            pass
        begins("a session goes on", "+OK 2 ", clients[0].ask("STAT"))
        begins("and can be ended well", "+OK", clients[0].ask("QUIT"))
        server.signal(signal.SIGTERM)
        same("the other one was ended", True, clients[1].at_end())
        same("status", 0, server.wait())


def sessions_of_one_address():
    # option: max-sessions-per-address
    with Server("set max-sessions-per-address = 2") as server:
        server.start()
        clients = [server.client(source="127.0.0.5") for _ in range(2)]
        third = server.client(source="127.0.0.5")
        begins("the third", "-ERR [SYS/TEMP] Too many connections", third.greeting)
        same("the third", True, third.at_end())
        server.wait_for("client 127.0.0.5: refused: max-sessions-per-address")
        wait_until("a record of the others, a second later", lambda: server.client(source="127.0.0.5").greeting.startswith("-ERR")
                   and any("more clients since the last such record)" in record for record in server.records()))
        begins("another address", "+OK", server.client(source="127.0.0.6").greeting)
        clients[0].ask("QUIT")
        wait_until("room again", lambda: server.client(source="127.0.0.5").greeting.startswith("+OK"))


def sessions_in_all():
    # option: max-sessions
    users = ("alice", "bob", "carol")
    with Server("set max-sessions = 2", users=users) as server:
        server.start()
        clients = [server.client() for _ in range(2)]
        for client, user in zip(clients, users):
            begins("login", "+OK", client.login(user))
        begins("one too many", "-ERR [SYS/TEMP]", server.client().greeting)
        server.wait_for("refused: max-sessions is reached, and all of them have logged in")
        begins("who has logged in stays", "+OK", clients[0].ask("NOOP"))
        clients[1].ask("QUIT")
        wait_until("room again", lambda: server.client().greeting.startswith("+OK"))


def a_flood_does_not_lock_out():
    # option: max-preauth
    with Server("set max-preauth = 10", "set max-sessions = 20") as server:
        server.start()
        slow = [server.client(source="127.0.0.8"), server.client(source="127.0.0.9")]
        flood = [Client(server.port, source="127.0.0.7", greet=False) for _ in range(60)]
        for _ in range(5):
            client = server.client(source="127.0.0.10")
            begins("greeting in a flood", "+OK", client.greeting)
            begins("login in a flood", "+OK", client.login())
            begins("QUIT", "+OK", client.ask("QUIT"))
            flood += [Client(server.port, source="127.0.0.7", greet=False) for _ in range(10)]
        for client in slow:
            begins("who came before the flood", "+OK", client.ask("CAPA"))
        wait_until("the flood is cut", lambda: sum(c.is_open() for c in flood) <= 10, 60)
        server.wait_for("127.0.0.7: ended before it logged in: max-preauth")


def trickle(server):
    """For how long a client is served that sends a byte now and then."""
    client, began = server.client(), time.monotonic()
    for _ in range(40):
        try:
            client.socket.sendall(b"N")
        except OSError:
            break
        if not client.is_open():
            break
        time.sleep(0.1)
    return time.monotonic() - began


def slow_clients_end():
    with Server("set preauth-timeout = 2") as server:
        server.start()
        # A busy machine makes single ones longer.
        had = min(trickle(server) for _ in range(3))
        if not 1.5 < had < 3.5:
            raise AssertionError(f"a client that trickles had {had:.1f} s instead of 2")


def grandchildren(pid):
    """{pid: state} of the children of the server's children that are not dead."""
    parents, states = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            parents[int(name)], states[int(name)] = int(fields[1]), fields[0]
    return {child: states[child] for child, parent in parents.items() if parents.get(parent) == pid}


def checks_at_the_same_time(server, clients, most):
    """Everybody gives a wrong password, so that nothing is born but processes that check one. They are stopped, until as many stand as may be; while they
    do, no other is born. So nothing is a matter of how fast anybody is."""
    for n, client in enumerate(clients):
        client.ask(f"USER u{n}")
    before = grandchildren(server.process.pid)

    def checkers():
        return {pid: state for pid, state in grandchildren(server.process.pid).items() if pid not in before}

    def stop_all():
        """Whether there are enough that stand: one that was about to end does not."""
        for pid in checkers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return list(checkers().values()).count("T") >= most

    try:
        for client in clients:
            client.say("PASS wrong")
        wait_until(f"{most} checks", stop_all)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            same("checks at the same time", ["T"] * most, list(checkers().values()))
            time.sleep(0.02)
    finally:
        for pid in checkers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    for client in clients:
        begins("a wrong password", "-ERR [AUTH]", client.line())
    begins("the turns are given back", "+OK", server.client(source="127.0.0.19").login("u0"))


def slow_users(server, count):
    """Each check takes a fifth of a second of a processor: some are seen before they end."""
    slow = crypt(PASSWORD, "$6$rounds=200000$standalone$")
    (server.dir / "passwd").write_text("".join(f"u{n}:{slow}:{UID}:{GID}::{server.dir}:/bin/false\n" for n in range(count)))


def checks_wait_for_their_turn():
    # option: max-password-checks
    with Server("set max-password-checks = 1", "set prefork = 0") as server:
        slow_users(server, 4)
        server.start()
        checks_at_the_same_time(server, [server.client(source=f"127.0.0.{20 + n}") for n in range(4)], 1)


def a_check_for_each_processor():
    """By default."""
    processors = os.sysconf("SC_NPROCESSORS_ONLN")
    if processors > 64:
        raise Skip("too many processors to keep them all busy")
    with Server("set prefork = 0") as server:
        slow_users(server, processors + 2)
        server.start()
        checks_at_the_same_time(server, [server.client(source=f"127.0.0.{20 + n}") for n in range(processors + 2)], processors)


def a_flood_of_passwords_does_not_lock_out():
    """Forty clients of one address want yescrypt's work at once; who comes from another address is not the last to be served, and each is answered."""
    with Server("set prefork = 0", "set max-sessions-per-address = 100", "set max-preauth = 100") as server:
        hashed = crypt(PASSWORD, crypt("", "$y$j9T$PaC4YODLNhRsBJPWiNm9V."))
        server.start()
        (server.dir / "passwd").write_text("".join(f"{name}:{hashed}:{UID}:{GID}::{server.dir}:/bin/false\n" for name in ("alice", "bob")))
        flood = [server.client(source="127.0.0.60") for _ in range(40)]
        for client in flood:
            client.ask("USER bob")
        began = time.monotonic()
        for client in flood:
            client.say("PASS wrong")
        begins("login from elsewhere", "+OK alice has 0 ", server.client(source="127.0.0.61").login())
        # How many of the forty have an answer: a matter of turns, not of time.
        answered = sum(bool(select.select([client.socket], [], [], 0)[0]) for client in flood)
        if answered > 30:
            raise AssertionError(f"{answered} of 40 were served before one of another address")
        # On a machine that is very slow the last ones hear that it lasts too long: after 20 seconds, and nobody before.
        replies, waiting = [], list(flood)
        while waiting:
            for client in [c for c in waiting if c.socket in select.select([c.socket for c in waiting], [], [], 60)[0]]:
                replies.append((client.line()[:15], time.monotonic() - began >= TURN_SECONDS))
                waiting.remove(client)
        same("other replies", set(), set(replies) - {("-ERR [AUTH] Pas", False), ("-ERR [AUTH] Pas", True), ("-ERR [SYS/TEMP]", True)})
        begins("the first of them", "-ERR [AUTH]", replies[0][0])
        print(f"# {answered} of 40 were served before one of another address")


def exchange(client, mechanism, name, secret):
    """What ends it."""
    client_side = saslclient.exchange(mechanism, name.encode(), secret.encode())
    reply = client.ask(f"AUTH {mechanism}")
    while reply.startswith("+ "):
        reply = client.ask(base64.b64encode(client_side.step(base64.b64decode(reply[2:]))).decode())
    return reply


def exchanges_wait_for_their_turn_at_each_step():
    """Who is in the middle of AUTH holds up nobody, and who fails takes nobody's turn with him."""
    if "APOP" not in features(POPPER):
        raise Missing("APOP is not built")
    with Server("set max-password-checks = 1") as server:
        database = server.dir / "pop.auth"
        server.configure("set max-password-checks = 1", f"set apop-file = {database}")
        for words in (["-init"], ["-user", "alice", "tanstaaf"]):
            subprocess.run([POPPER.parent / "popauth", "-file", database, *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        server.fill([1])
        server.start()
        idle = server.client(source="127.0.0.31")
        begins("the first step of who goes no further", "+ ", idle.ask("AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg="))
        for n in range(3):
            begins("a wrong secret", "-ERR [AUTH]", exchange(server.client(source=f"127.0.0.{40 + n}"), "SCRAM-SHA-256", "alice", "wrong"))
            client = server.client(source=f"127.0.0.{50 + n}")
            begins("the right one", "+OK alice has 1 ", exchange(client, "SCRAM-SHA-256", "alice", "tanstaaf"))
            client.ask("QUIT")
        begins("cancelled", "-ERR", idle.ask("*"))
        begins("login of who was idle", "+OK alice has 1 ", exchange(idle, "CRAM-MD5", "alice", "tanstaaf"))


def failures_take_longer_and_longer():
    with Server("set failure-delay = 1") as server:
        server.start()
        times = {}

        def fail(source, count):
            for _ in range(count):
                client, began = server.client(source=source), time.monotonic()
                begins("a wrong password", "-ERR [AUTH]", client.login(password="wrong"))
                times.setdefault(source, []).append(time.monotonic() - began)

        # The first three of an address are not slower; those of one attempt after the other. A busy machine makes single ones longer, never shorter.
        addresses = [f"127.0.0.{n}" for n in (30, 31, 32)]
        others = [threading.Thread(target=fail, args=(address, 4)) for address in addresses]
        for other in others:
            other.start()
        for other in others:
            other.join()
        same("attempts", [4] * 3, [len(times.get(address, [])) for address in addresses])
        shortest = [int(min(times[address][n] for address in addresses) + 0.1) for n in range(4)]
        same("seconds", [1, 1, 1, 2], shortest)
        fail("127.0.0.40", 1)
        if times["127.0.0.40"][0] > max(times[address][3] for address in addresses):
            raise AssertionError(f"another address suffers: {times}")


class Manager:
    """Where a server says how it is: systemd's end of sd_notify."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)

    def expect(self, *lines):
        note = self.socket.recv(4096).decode()
        for line in lines:
            matches("notification", rf"(?m)^{line}$", note)


def notifications():
    with Server() as server:
        manager = Manager(server.dir)
        server.start(env={**os.environ, "NOTIFY_SOCKET": manager.path})
        manager.expect("READY=1")
        server.signal(signal.SIGHUP)
        manager.expect("RELOADING=1", r"MONOTONIC_USEC=\d+")
        manager.expect("READY=1")
        server.signal(signal.SIGTERM)
        manager.expect("STOPPING=1")
        same("status", 0, server.wait())
        manager.socket.close()


def socket_activation(accept, *more):
    activate = find("systemd-socket-activate", "systemd")
    with Server() as server:
        server.fill([1])
        server.port = free_port()
        server.start(wrapper=[activate, f"--listen=127.0.0.1:{server.port}", *accept, *more])
        client = wait_until("a connection", lambda: try_client(server))
        begins("greeting", "+OK", client.greeting)
        begins("login", "+OK alice has 1 ", client.login())
        begins("QUIT", "+OK", client.ask("QUIT"))
        second = server.client()
        begins("a second client", "+OK", second.greeting)
        second.ask("QUIT")


def try_client(server):
    try:
        return server.client()
    except ConnectionRefusedError:
        return None


def systemd_listening_socket():
    socket_activation([])


def systemd_socket_per_connection_as_stdin():
    socket_activation(["--accept"], "--inetd")


def systemd_socket_per_connection_as_descriptor():
    socket_activation(["--accept"])


CASES = [several_addresses, the_newer_protocol, the_default_port, a_whole_session, a_port_in_use, room_for_all_who_may_come, no_descriptors_left, without_dev_null, background_and_pid_file, a_pid_file_that_is_not_ours, reload_on_hup, term_drains_then_ends,
         sessions_of_one_address, sessions_in_all, a_flood_does_not_lock_out, slow_clients_end, checks_wait_for_their_turn, a_check_for_each_processor, a_flood_of_passwords_does_not_lock_out,
         exchanges_wait_for_their_turn_at_each_step,
         failures_take_longer_and_longer, notifications, systemd_listening_socket, systemd_socket_per_connection_as_stdin,
         systemd_socket_per_connection_as_descriptor]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
