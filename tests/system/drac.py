#!/usr/bin/python3
"""drac.py: logins are told to a real DRAC server on libtirpc behind the real rpcbind, and what is missing or wrong there neither delays nor
fails a login. The rpcbind is Debian's, unpacked; it, the name service and the network are in namespaces of their own. Prints TAP; needs root
and namespaces, under CI as root their absence is a failure.

option: drac-host
"""
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import NO_SHORT_FORM, SANDBOXED, again_in_namespaces, find, matches, skip_all, wait_until  # noqa: E402
from inetd import POPPER  # noqa: E402
from standing import Client, Server, descendants, run_all, same  # noqa: E402
from world import features  # noqa: E402

INSIDE = "POPPER_DRAC_TEST"
DRACD = pathlib.Path("tests/system/dracd").absolute()


class Rpcbind:
    def __enter__(self):
        self.process = subprocess.Popen([find("rpcbind", "rpcbind"), "-f", "-i"], stdin=subprocess.DEVNULL)
        wait_until("rpcbind's socket", lambda: os.path.exists("/run/rpcbind.sock"))
        wait_until("rpcbind answers", lambda: subprocess.run([find("rpcinfo", "rpcbind"), "-T", "udp", "127.0.0.1", "100000", "2"],
                                                             capture_output=True, check=False).returncode == 0)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class Dracd:
    """how: the result, or silent."""

    def __init__(self, how="0"):
        self.how = how

    def __enter__(self):
        self.process = subprocess.Popen([DRACD, self.how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        same("the DRAC server's first word", "ready\n", self.process.stdout.readline())
        return self

    def told(self):
        return self.process.stdout.readline().strip()

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.rest = self.process.stdout.read()
        self.process.stdout.close()


def visit(server, source="127.0.0.20", send=b"", **options):
    """Seconds from PASS to its +OK, and how long the rest took."""
    client = server.client(source=source, greet=not send, **options)
    if send:
        client.socket.sendall(send)
        client.line()
    client.ask("USER alice")
    began = time.monotonic()
    reply = client.ask("PASS secret word")
    if not reply.startswith("+OK"):
        raise AssertionError(f"login: {reply!r}")
    logged_in = time.monotonic() - began
    began = time.monotonic()
    client.ask("QUIT")
    if not client.at_end():
        raise AssertionError("the connection stays")
    return logged_in, time.monotonic() - began


def quickly(times, what):
    """Nobody waited for it: that would have been three seconds."""
    if max(times) >= 3:
        raise AssertionError(f"{what}: login after {times[0]:.2f} s, end {times[1]:.2f} s later")
    print(f"# {what}: login after {times[0] * 1000:.0f} ms, the end {times[1] * 1000:.0f} ms after QUIT")


def site(*settings):
    return Server("set debug", "set prefork = 0", *(settings or ("set drac-host = 127.0.0.1",)))


def a_login_is_told():
    with Rpcbind(), Dracd() as dracd, site() as server:
        server.start()
        quickly(visit(server), "a DRAC server that answers")
        same("the server was told", "add 127.0.0.20", dracd.told())
        server.wait_for("the DRAC server on 127.0.0.1 was told that alice has logged in from 127.0.0.20")


def a_name_is_looked_up():
    with Rpcbind(), Dracd() as dracd, site("set drac-host = relay.example.test") as server:
        server.start()
        visit(server, "127.0.0.21")
        same("the server was told", "add 127.0.0.21", dracd.told())


def a_failed_login_is_not_told():
    with Rpcbind(), Dracd() as dracd, site() as server:
        server.start()
        client = server.client(source="127.0.0.22")
        client.login(password="wrong")
        client.close()
        visit(server, "127.0.0.23")
        same("the only thing that the server was told", "add 127.0.0.23", dracd.told())


def behind_a_proxy_the_client_counts():
    with Rpcbind(), Dracd() as dracd, site("set drac-host = localhost", "set proxy-networks = 127.0.0.24") as server:
        server.start()
        visit(server, "127.0.0.24", b"PROXY TCP4 192.0.2.77 192.0.2.1 4711 110\r\n")
        same("the server was told", "add 192.0.2.77", dracd.told())


def ipv6_clients():
    """IPv4 in IPv6 is IPv4; there is nothing to tell about others."""
    with Rpcbind(), Dracd() as dracd, site() as server:
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as inetd:
            server.port = inetd.getsockname()[1]
            for host, source in (("::1", "::1"), ("127.0.0.1", "127.0.0.25")):
                client = Client(server.port, host=host, source=source, greet=False)
                theirs, _ = inetd.accept()
                process = subprocess.Popen([POPPER, "-f", server.conf], stdin=theirs, stdout=theirs, stderr=theirs)
                theirs.close()
                client.line()
                matches("login", r"\+OK", client.login())
                client.close()
                same("exit status", 0, process.wait(10))
        server.wait_for("DRAC is not told about client ::1: it knows only IPv4 addresses")
        same("the only thing that the server was told", "add 127.0.0.25", dracd.told())


def once(server):
    """One record says that it failed, also when all that had to do with it is gone."""
    wait_until("no process is left", lambda: not descendants(server.process.pid))
    same("records about it", 1, sum("DRAC was not told" in r for r in server.records()))


def refused(result, pattern):
    with Rpcbind(), Dracd(result) as dracd, site() as server:
        server.start()
        quickly(visit(server), f"result {result}")
        same("the server was told", "add 127.0.0.20", dracd.told())
        server.wait_for("DRAC was not told that alice has logged in from 127.0.0.20, so mail from there may be refused: the DRAC server on 127.0.0.1 " + pattern)
        same("records about it", 1, sum("DRAC" in r for r in server.records()))


def permission():
    refused("1", "takes nothing from this host (permission); list this host in its file of allowed hosts")


def system_error():
    refused("2", "had a system error; its own log says more")


def another_result():
    refused("3", "answered with an unknown error (3); its own log may say more")


def without_rpcbind():
    with site() as server:
        server.start()
        quickly(visit(server), "no rpcbind")
        record = server.wait_for("DRAC was not told that alice has logged in")[0]
        matches("what to do", r"rpcbind on drac-host 127\.0\.0\.1 does not answer \(.*\); start it there, and let UDP to port 111 through", record)
        once(server)


def without_a_drac_server():
    with Rpcbind(), site() as server:
        server.start()
        quickly(visit(server), "rpcbind without a DRAC server")
        server.wait_for("rpcbind on drac-host 127.0.0.1 knows no DRAC server (program 900101 version 1 over UDP); start it there")


def given_up(server, what, record):
    """A login is told in vain: the session does not wait, and the processes do not stay."""
    server.start()
    taken = []
    # A busy machine makes single ones longer.
    while not taken or (min(taken) >= 4 and len(taken) < 3):
        quickly(visit(server), what)
        began = time.monotonic()
        server.wait_for(record)
        wait_until("no process is left", lambda: not descendants(server.process.pid))
        taken.append(time.monotonic() - began)
    if not 1 < min(taken) < 4:
        raise AssertionError(f"it was given up after {taken} s")


def a_silent_server():
    with Rpcbind(), Dracd("silent"), site() as server:
        given_up(server, "a DRAC server that says nothing", "the DRAC server on 127.0.0.1 is registered with rpcbind but does not answer; restart it")
        once(server)


def a_silent_host():
    """Nothing comes back from it: the deadline is one for everything together."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as portmapper, site("set drac-host = 127.0.0.99") as server:
        portmapper.bind(("127.0.0.99", 111))
        given_up(server, "a host from which nothing comes back", "DRAC was not told that alice has logged in")


def a_name_that_nobody_knows():
    with site("set drac-host = nowhere.example.test") as server:
        server.start()
        quickly(visit(server), "a name that nobody knows")
        server.wait_for("no IPv4 address of drac-host nowhere.example.test can be found: ")
        once(server)


def who_talks_is_nobody():
    """While the DRAC server is silent: keeper, who waits, who talks."""
    with Rpcbind(), Dracd("silent"), site() as server:
        server.start()
        client = server.client()
        client.login()
        library = "libtirpc"

        def loaded():
            return [p for p in descendants(server.process.pid) if library in pathlib.Path(f"/proc/{p}/maps").read_text()]
        talkers = wait_until("one process loads libtirpc", loaded)
        same("processes with libtirpc", 1, len(talkers))
        for pid, fields in descendants(server.process.pid).items():
            if "0" in fields["Uid"].split():
                raise AssertionError(f"process {pid} is root after the login")
        if SANDBOXED:
            wait_until("it is closed in", lambda: descendants(server.process.pid)[talkers[0]]["Seccomp"] == "2")
            same("its no_new_privs", "1", descendants(server.process.pid)[talkers[0]]["NoNewPrivs"])
        fields = descendants(server.process.pid)[talkers[0]]
        same("its uid", ["65534"] * 4, fields["Uid"].split())
        same("its capabilities", 0, int(fields["CapEff"], 16))
        links = sorted(os.readlink(f"/proc/{talkers[0]}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{talkers[0]}/fd"))
        same("files that it has", [], [v for v in links if v not in ("/dev/null", "socket")])
        client.ask("QUIT")


def nobody_is_busy():
    """More processes of the privsep user than a user may have, as on a host whose limits are low and whose clients are many. (Threads count, too.)"""
    limit = 200  # of those who log in there are fewer, also while other tests run
    threads = f"""import os, threading, time
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for _ in range({limit + 10}):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print('ready', flush=True)
time.sleep(600)"""
    others = subprocess.Popen([sys.executable, "-c", threads], stdout=subprocess.PIPE)
    try:
        same("the others", b"ready\n", others.stdout.readline())
        with Rpcbind(), Dracd() as dracd, site() as server:
            server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit)))
            visit(server, "127.0.0.28")
            server.wait_for("the DRAC server on 127.0.0.1 was told that alice has logged in from 127.0.0.28")
            same("the server was told", "add 127.0.0.28", dracd.told())
    finally:
        others.kill()
        others.communicate()


def unset_for_one_user():
    """A user's own file may turn it off or name another host."""
    with Rpcbind(), Dracd() as dracd, site("set drac-host = 127.0.0.1", "set spool-options") as server:
        options = server.spool / ".alice.qpopper-options"
        options.write_text('set drac-host = ""\n')
        server.start()
        visit(server, "127.0.0.26")
        server.wait_for("DRAC is not told: drac-host is not set for this user")
        options.unlink()
        visit(server, "127.0.0.27")
        same("the only thing that the server was told", "add 127.0.0.27", dracd.told())


CASES = [a_login_is_told, a_name_is_looked_up, a_failed_login_is_not_told, behind_a_proxy_the_client_counts, ipv6_clients, permission,
         system_error, another_result, without_rpcbind, without_a_drac_server, a_silent_server, a_silent_host, a_name_that_nobody_knows,
         who_talks_is_nobody, nobody_is_busy, unset_for_one_user]


# Debian's rpcbind becomes _rpc, whom its package makes.
FILES = {"passwd": pathlib.Path("/etc/passwd").read_text() + "_rpc:x:64199:65534::/run/rpcbind:/usr/sbin/nologin\n",
         "hosts": "127.0.0.1 localhost\n127.0.0.1 relay.example.test\n", "nsswitch.conf": "passwd: files\nhosts: files\nservices: files\nrpc: files\n"}


def main():
    if INSIDE in os.environ:
        return run_all(CASES)
    if os.environ.get("POPPER_TESTS") == "short" or "DRAC" not in features(POPPER):
        return skip_all(f"{NO_SHORT_FORM}, and a build without DRAC has nothing to test", allowed=True)
    status = again_in_namespaces(INSIDE, FILES, "mount -t tmpfs -o mode=755 run /run && mkdir /run/rpcbind") if os.getuid() == 0 else None
    return skip_all("needs root and namespaces of its own") if status is None else status


if __name__ == "__main__":
    sys.exit(main())
