#!/usr/bin/python3
"""proxy.py: the PROXY protocol: from whom a header is believed, what of it, and the samples for real HAProxy and nginx, which
stand before two servers that share a spool. Prints TAP.
"""
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import PATIENCE, ROOT, SANDBOXED, TESTS, Missing, find, matches, need, need_tls, wait_until  # noqa: E402
from standing import POPPER, Client, Server, begins, descendants, free_port, run_all, same  # noqa: E402
import mbox  # noqa: E402

V2 = b"\r\n\r\n\0\r\nQUIT\n"
SAMPLES = TESTS.parent / "samples"


def v2(command, family, body):
    return V2 + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def v2_client(ip, port=4711):
    return v2(1, 0x11, socket.inet_aton(ip) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", port, 110))


class Proxied(Client):
    """header is sent first, in pieces of some bytes."""

    def __init__(self, server, header, pieces=1000, source=None):
        super().__init__(server.port, source=source, greet=False)
        for at in range(0, len(header), pieces):
            self.socket.sendall(header[at:at + pieces])
        self.greeting = self.line()


def true_clients():
    # option: proxy-networks
    with Server("set proxy-networks = 192.0.2.0/24,127.0.0.0/30") as server:
        server.start()
        for ip, header in (("192.0.2.7", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\r\n"), ("2001:db8::7", b"PROXY TCP6 2001:db8::7 ::1 4711 110\r\n"),
                           ("192.0.2.8", v2_client("192.0.2.8"))):
            client = Proxied(server, header)
            begins("greeting", "+OK", client.greeting)
            begins("login", "+OK", client.login())
            begins("QUIT", "+OK", client.ask("QUIT"))
            server.wait_for(f'POP login by user "alice" at ({ip}) {ip}')
        client = Proxied(server, v2_client("192.0.2.9") + b"CAPA\r\n", pieces=1)
        begins("greeting after single bytes", "+OK", client.greeting)
        begins("what was sent with the header", "+OK", client.line())


def headers_without_client():
    with Server("set proxy-networks = 127.0.0.0/30", "set debug") as server:
        server.start()
        for header in (v2(0, 0, b""), v2(1, 0, b""), v2(1, 0x31, bytes(216)), b"PROXY UNKNOWN\r\n"):
            begins("greeting", "+OK", Proxied(server, header).greeting)
        same("clients", 4, len(server.wait_for('Servicing request from "127.0.0.1" at 127.0.0.1')))


def closed_without_greeting():
    with Server("set proxy-networks = 127.0.0.0/30", "set preauth-timeout = 2") as server:
        server.start()
        for name, header, reason in (("a command", b"USER alice\r\n", "does not begin with one"), ("nothing", b"", "did not come in time"),
                                     ("a broken one", b"PROXY TCP4 1.2.3.4\r\n", "four words"), ("half of one", V2, "did not come in time")):
            client = Proxied(server, header)
            same(f"greeting after {name}", "", client.greeting)
            same(f"the end after {name}", True, client.at_end())
            server.wait_for(f"the connection from proxy 127.0.0.1 is closed: no good PROXY protocol header: {'it ' if 'time' in reason else ''}")
            matches(name, reason, "\n".join(server.records()))


def the_reader_has_no_rights():
    with Server("set proxy-networks = 127.0.0.0/30", "set prefork = 0") as server:
        server.start()
        client = Client(server.port, greet=False)
        processes = wait_until("two processes", lambda: d if len(d := descendants(server.process.pid)) == 2 else None)
        pid, reader = next((p, f) for p, f in processes.items() if f["PPid"] != str(server.process.pid))
        wait_until("its sandbox", lambda: descendants(server.process.pid)[pid]["NoNewPrivs" if not SANDBOXED else "Seccomp"] == ("2" if SANDBOXED else "1"))
        reader = descendants(server.process.pid)[pid]
        same("capabilities", 0, int(reader["CapEff"], 16) | (int(reader["CapPrm"], 16) if os.getuid() == 0 else 0))
        same("new privileges", "1", reader["NoNewPrivs"])
        if os.getuid() == 0:
            if "0" in reader["Uid"].split() or "0" in reader["Gid"].split():
                raise AssertionError(f"the reader's ids: {reader['Uid']}, {reader['Gid']}")
            if os.readlink(f"/proc/{pid}/root") == "/":
                raise AssertionError("the reader is not locked in")
        client.close()


def headers_from_elsewhere():
    with Server("set proxy-networks = 127.0.0.0/30") as server:
        server.start()
        client = Proxied(server, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\r\n", source="127.0.0.9")
        begins("greeting", "+OK", client.greeting)
        same("what follows", "", client.line())
        server.wait_for("(null) at 127.0.0.9 (127.0.0.9): the connection is closed: a PROXY protocol header")
        client = Proxied(server, v2_client("192.0.2.7"), source="127.0.0.9")
        wait_until("the end after version 2", lambda: not client.is_open())
        if "192.0.2.7" in "\n".join(r for r in server.records() if "Received" not in r):
            raise AssertionError(f"believed: {server.records()}")


def policy_sees_the_true_client():
    with Server("set proxy-networks = 127.0.0.1", "set clear-text-password = local", "set max-sessions-per-address = 2") as server:
        server.start()
        far, near = Proxied(server, v2_client("192.0.2.7")), Proxied(server, v2_client("127.0.0.5"))
        begins("a password from afar", "-ERR", far.ask("USER alice"))
        begins("a password from here", "+OK", near.ask("USER alice"))
        begins("of an unknown client", "-ERR", Proxied(server, b"PROXY UNKNOWN\r\n").ask("USER alice"))
        more = [Proxied(server, v2_client("192.0.2.7")) for _ in range(2)]
        wait_until("one of three ends", lambda: sum(c.is_open() for c in [far, *more]) == 2)
        server.wait_for("client 192.0.2.7: ended: max-sessions-per-address is reached")


def another_host_has_a_loopback_of_its_own():
    """127.0.0.1 in the header of a proxy that is not on this host is not this host."""
    unshare = find("unshare", "util-linux")
    find("ip", "iproute2")
    if os.getuid() != 0:
        raise Missing("needs root for a network")
    with Server("set proxy-networks = 192.0.2.10,127.0.0.1", "set clear-text-password = local") as server:
        script = "ip link set lo up && ip address add 192.0.2.10/32 dev lo && exec \"$0\" \"$@\""
        server.process = subprocess.Popen([unshare, "-n", "/bin/sh", "-c", script, str(POPPER), "192.0.2.10:110", "127.0.0.1:110", "-f", str(server.conf)],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        server.wait_for("listening at 127.0.0.1:110")
        client = """import socket
for proxy in '192.0.2.10', '127.0.0.1':
    for header in b'PROXY TCP4 127.0.0.1 192.0.2.10 4711 110', b'PROXY TCP6 ::1 ::1 4711 110', b'PROXY TCP4 192.0.2.77 192.0.2.10 4711 110':
        with socket.create_connection((proxy, 110), 20, source_address=(proxy, 0)) as s:
            f = s.makefile('rwb')
            f.write(header + b'\\r\\nUSER alice\\r\\nQUIT\\r\\n')
            f.flush()
            print(proxy, [line[:4].decode().strip() for line in f])"""
        asked = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", sys.executable, "-c", client], capture_output=True, text=True, timeout=60, check=True)
        refused, taken = "['+OK', '-ERR', '+OK']", "['+OK', '+OK', '+OK']"
        same("replies", [f"192.0.2.10 {refused}"] * 3 + [f"127.0.0.1 {taken}"] * 2 + [f"127.0.0.1 {refused}"], asked.stdout.splitlines())


# Whether a password is taken in clear text; local: whose address is the host's own.
MODES = {"default": lambda local, tls: True, "never": lambda local, tls: False, "always": lambda local, tls: True,
         "local": lambda local, tls: local, "tls": lambda local, tls: tls, "ssl": lambda local, tls: tls}
# 127.0.0.0/8 and ::1 are local, the host's other addresses are not.
ADDRESSES = {"127.0.0.1": True, "127.9.8.7": True, "::1": True, "192.0.2.7": False, "2001:db8::7": False, "128.0.0.1": False}


def who_may_send_a_password():
    """Each mode of clear-text-password for each kind of client, before and inside TLS: what CAPA offers, and what USER hears."""
    # option: clear-text-password
    openssl = find("openssl", "openssl")
    with Server("set proxy-networks = 127.0.0.1", "set tls-support = stls", "set max-sessions-per-address = 100") as server:
        need_tls()
        key, cert = server.dir / "key.pem", server.dir / "cert.pem"
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key), "-out",
                        str(cert), "-days", "30", "-subj", "/CN=localhost"], check=True, capture_output=True, timeout=PATIENCE)
        key.chmod(0o600)
        context = ssl.create_default_context(cafile=str(cert))
        context.check_hostname = False
        files = [f"set tls-server-cert-file = {cert}", f"set tls-private-key-file = {key}"]
        server.configure(*files)
        server.start()
        for count, (mode, allows) in enumerate(MODES.items(), 1):
            server.configure(*files, f"set clear-text-password = {mode}")
            server.signal(signal.SIGHUP)
            wait_until("the new configuration", lambda count=count: len(server.wait_for("the configuration was read again")) == count)
            for address, local in ADDRESSES.items():
                kind = b"TCP6 %s ::1" if ":" in address else b"TCP4 %s 127.0.0.1"
                client = Proxied(server, b"PROXY " + kind % address.encode() + b" 4711 110\r\n")
                for tls in (False, True):
                    where = f"{mode}, {address}, {'inside' if tls else 'before'} TLS"
                    begins(f"CAPA ({where})", "+OK", client.ask("CAPA"))
                    offered = []
                    while (line := client.line()) != ".":
                        offered.append(line)
                    expected = allows(local, tls)
                    same(f"USER in CAPA ({where})", expected, "USER" in offered)
                    same(f"SASL PLAIN in CAPA ({where})", expected, any(line.startswith("SASL ") and "PLAIN" in line.split() for line in offered))
                    begins(f"USER ({where})", "+OK" if expected else "-ERR [AUTH]", client.ask("USER alice"))
                    if not tls:
                        begins("STLS", "+OK", client.ask("STLS"))
                        client.file.close()
                        client.socket = context.wrap_socket(client.socket)
                        client.file = client.socket.makefile("rb")
                client.close()


def header_then_tls():
    need_tls()
    openssl = find("openssl", "openssl")
    with Server("set proxy-networks = 127.0.0.1", "set tls-support = alternate-port") as server:
        key, cert = server.dir / "key.pem", server.dir / "cert.pem"
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key), "-out",
                        str(cert), "-days", "30", "-subj", "/CN=localhost"], check=True, capture_output=True, timeout=PATIENCE)
        key.chmod(0o600)
        server.configure(f"set tls-server-cert-file = {cert}", f"set tls-private-key-file = {key}")
        server.start()
        context = ssl.create_default_context(cafile=str(cert))
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain:
            plain.sendall(v2_client("192.0.2.7"))
            with context.wrap_socket(plain) as tls, tls.makefile("rb") as lines:
                begins("greeting", "+OK", lines.readline().decode())
                tls.sendall(b"USER alice\r\nPASS secret word\r\nQUIT\r\n")
                for _ in range(3):
                    begins("answer inside TLS", "+OK", lines.readline().decode())
        server.wait_for('POP login by user "alice" at (192.0.2.7) 192.0.2.7')


# ---------------------------------------------------------------------------------------------- real proxies

class Running:
    """A proxy in the foreground."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def greeted(port):
    try:
        client = Client(port)
    except OSError:
        return None
    return client if client.greeting.startswith("+OK") else None


def deliver(path, number):
    """As a delivery agent does: dot lock, append."""
    lock = f"{path}.lock"
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            time.sleep(0.02)
    try:
        with open(path, "ab") as f:
            f.write(mbox.message(number))
    finally:
        os.unlink(lock)


def fetch_some(port, rounds, got):
    """Takes what is there and deletes it, again and again. What was deleted for certain goes to got."""
    for _ in range(rounds):
        client = greeted(port)
        if not client:
            continue
        if not client.login().startswith("+OK"):
            client.close()  # the other one has the maildrop
            time.sleep(0.05)
            continue
        got += client.take_all()
        client.close()


def number_of(text):
    return next(line for line in text.split("\n") if line.lower().startswith("subject:"))


def two_behind_haproxy_lose_nothing():
    haproxy = find("haproxy", "haproxy")
    with tempfile.TemporaryDirectory(prefix="popper-spool.") as name:
        os.chmod(name, 0o755)
        spool = pathlib.Path(name) / "spool"
        options = ("set proxy-networks = 127.0.0.1", "set takeover-idle = 0")
        with Server(*options, spool=spool) as one, Server(*options, spool=spool) as two:
            one.start()
            two.start()
            maildrop = one.fill(range(1, 6))
            front = free_port()
            configuration = (SAMPLES / "haproxy.cfg").read_text().replace("bind :110", f"bind 127.0.0.1:{front}")
            configuration = configuration.replace("bind :995", f"bind 127.0.0.1:{free_port()}").replace("balance source", "balance roundrobin")
            configuration = configuration.replace("192.0.2.11:110", f"127.0.0.1:{one.port}").replace("192.0.2.12:110", f"127.0.0.1:{two.port}")
            (one.dir / "haproxy.cfg").write_text(configuration)
            with Running(haproxy, "-db", "-f", str(one.dir / "haproxy.cfg")):
                wait_until("HAProxy", lambda: greeted(front))
                got = []
                readers = [threading.Thread(target=fetch_some, args=(front, 25, got)) for _ in range(3)]
                for reader in readers:
                    reader.start()
                for number in range(6, 41):
                    deliver(maildrop, number)
                    time.sleep(0.02)
                for reader in readers:
                    reader.join()
                fetch_some(front, 5, got)
            sent = [t.decode("latin-1") for t in (b"\n".join(mbox.on_the_wire(text)) for _, text in
                                                  mbox.split(b"".join(mbox.message(n) for n in range(1, 41))))]
            same("messages", sorted(number_of(t) for t in sent), sorted(number_of(t) for t in got))  # a short answer to what is missing
            same("texts", sorted(sent), sorted(got))
            same("maildrop", b"", maildrop.read_bytes())
            for server in (one, two):
                server.wait_for('POP login by user "alice" at (127.0.0.1) 127.0.0.1')


def nginx_takes_users_to_their_hosts():
    nginx = find("nginx", "nginx-light")
    users = ("alice", "bob", "carol", "dave", "erin", "frank")
    with Server("set proxy-networks = 127.0.0.1", users=users) as one, Server("set proxy-networks = 127.0.0.1", users=users) as two:
        for server in (one, two):
            server.port = free_port("127.0.0.1")
        shared = one.port
        one.start(f"127.0.0.1:{shared}")
        two.start(f"127.0.0.2:{shared}")
        front, asked = free_port(), free_port()
        configuration = (SAMPLES / "nginx.conf").read_text().replace("listen 110", f"listen 127.0.0.1:{front}").replace("8008", str(asked))
        configuration = configuration.replace("192.0.2.11", "127.0.0.1").replace("192.0.2.12", "127.0.0.2").replace("Auth-Port 110", f"Auth-Port {shared}")
        (one.dir / "nginx.conf").write_text(f"daemon off;\nerror_log {one.dir}/nginx.log;\npid {one.dir}/nginx.pid;\n{configuration}")
        with Running(nginx, "-c", str(one.dir / "nginx.conf")):
            wait_until("nginx", lambda: greeted(front))
            for _ in range(2):
                for user in users:
                    client = Client(front)
                    begins(f"login of {user}", "+OK", client.login(user))
                    client.ask("QUIT")
            refused = Client(front).login(password="wrong")
            begins("a wrong password", "-ERR [AUTH]", refused)
        logins = [[r.split('"')[1] for r in s.records() if "POP login by user" in r] for s in (one, two)]
        same("who came to both", set(), set(logins[0]) & set(logins[1]))
        same("logins", sorted(2 * users), sorted(logins[0] + logins[1]))
        if not all(logins):
            raise AssertionError(f"one host has all users: {logins}")


def sample_for_haproxy_is_good():
    subprocess.run([find("haproxy", "haproxy"), "-c", "-q", "-f", str(SAMPLES / "haproxy.cfg")], check=True, timeout=PATIENCE)


def sample_for_nginx_is_good():
    need(ROOT, "not root: nginx takes the port to look at the file")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="popper-samples."))
    try:
        done = subprocess.run([find("nginx", "nginx-light"), "-t", "-q", "-c", str((SAMPLES / "nginx.conf").resolve()), "-g",
                               f"error_log {directory}/log; pid {directory}/pid;"], capture_output=True, timeout=PATIENCE)
        if done.returncode:
            raise AssertionError(done.stderr.decode())
    finally:
        shutil.rmtree(directory)


CASES = [true_clients, headers_without_client, closed_without_greeting, the_reader_has_no_rights, headers_from_elsewhere,
         policy_sees_the_true_client, another_host_has_a_loopback_of_its_own, who_may_send_a_password, header_then_tls,
         sample_for_haproxy_is_good, sample_for_nginx_is_good, two_behind_haproxy_lose_nothing, nginx_takes_users_to_their_hosts]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
