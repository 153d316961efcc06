#!/usr/bin/python3
"""resolver.py: names of clients, from a name server of our own in private namespaces (root only): what is believed, what is logged,
and that nobody waits for a name server that is silent. Prints TAP.
"""
import os
import pathlib
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import again_in_namespaces, matches, skip_all, wait_until  # noqa: E402
from standing import Server, begins, descendants, run_all, same  # noqa: E402

INSIDE = "POPPER_RESOLVER_NAMESPACES"
# client: (its name or None: there is none, or "": no answer; the addresses of that name or None: it does not exist)
NAMES = {
    "127.0.0.20": (b"good.example", ["127.0.0.99", "127.0.0.20"]),
    "127.0.0.21": (b"liar.example", ["127.0.0.99"]),
    "127.0.0.22": (b"gone.example", None),
    "127.0.0.23": (None, None),
    "127.0.0.24": (b"", None),
    "127.0.0.25": (b"bad name.example", ["127.0.0.25"]),
    "127.0.0.26": (b"127.0.0.1", ["127.0.0.26"]),
    "127.0.0.27": (b"slow.example", ["127.0.0.27"]),
}


class NameServer(threading.Thread):
    """Knows NAMES."""

    def __init__(self):
        super().__init__(daemon=True)
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.start()

    def run(self):
        while True:
            query, asker = self.socket.recvfrom(4096)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]])
                at += 1 + query[at]
            question, kind = query[12:at + 5], struct.unpack("!H", query[at + 1:at + 3])[0]
            name = b".".join(labels)
            self.questions.append(name)
            answers = self.answers(name, kind)
            if answers is None:
                continue
            if b"slow" in name:
                time.sleep(0.5)
            code = 0 if answers or self.exists(name) else 3
            reply = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0) + question
            for data in answers:
                reply += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data
            self.socket.sendto(reply, asker)

    def exists(self, name):
        return any(known == name and addresses is not None for known, addresses in NAMES.values())

    def answers(self, name, kind):
        if kind == 12:
            ip = ".".join(reversed(name.decode().split(".")[:4]))
            known = NAMES.get(ip, (None, None))[0]
            if known == b"":
                return None
            return [b"".join(bytes([len(part)]) + part for part in known.split(b".")) + b"\0"] if known else []
        addresses = next((a for known, a in NAMES.values() if known == name), None)
        return [socket.inet_aton(a) for a in addresses or []] if kind == 1 else []


def visit(server, source):
    began = time.monotonic()
    client = server.client(source=source)
    greeted = time.monotonic()
    begins("greeting", "+OK", client.greeting)
    begins("login", "+OK", client.login())
    logged_in = time.monotonic()
    begins("QUIT", "+OK", client.ask("QUIT"))
    client.close()
    return greeted - began, logged_in - began


def site(*options):
    return Server("set reverse-lookup", "set debug", *options)


def names_that_are_believed():
    # option: reverse-lookup
    with site() as server:
        server.start()
        visit(server, "127.0.0.20")
        server.wait_for('POP login by user "alice" at (good.example) 127.0.0.20')
        visit(server, "127.0.0.27")
        server.wait_for('POP login by user "alice" at (slow.example) 127.0.0.27')


def names_that_are_not():
    with site() as server:
        server.start()
        for ip, record in (("127.0.0.21", 'Client address "127.0.0.21" not listed for its host name "liar.example"'),
                           ("127.0.0.22", 'Client at "127.0.0.22" resolves to an unknown host name "gone.example"'),
                           ("127.0.0.26", 'Client at "127.0.0.26" resolves to an unknown host name "127.0.0.1"')):
            visit(server, ip)
            server.wait_for(record)
            server.wait_for(f'POP login by user "alice" at ({ip}) {ip}')
        # glibc refuses such a name itself.
        visit(server, "127.0.0.25")
        server.wait_for('POP login by user "alice" at (127.0.0.25) 127.0.0.25')


def no_name():
    with site() as server:
        server.start()
        visit(server, "127.0.0.23")
        matches("reason", r"Unable to get canonical name of client 127\.0\.0\.23: Name or service not known \(-2\)",
                server.wait_for("Unable to get canonical name")[0])


def a_silent_name_server():
    with site() as server:
        server.start()
        greeted, logged_in = visit(server, "127.0.0.24")
        # The name is waited for three seconds.
        if greeted > 2 or not 2 < logged_in < 8:
            raise AssertionError(f"greeting after {greeted:.1f} s, login after {logged_in:.1f} s")
        server.wait_for("Unable to get canonical name of client 127.0.0.24: no answer in time (110)")
        began = time.monotonic()
        client = server.client(source="127.0.0.24")
        begins("QUIT at once", "+OK", client.ask("QUIT"))
        same("the end", True, client.at_end())
        if time.monotonic() - began > 2:
            raise AssertionError("who does not log in waits for the name server")


def who_asks_is_nobody():
    with site("set prefork = 0") as server:
        server.start()
        client = server.client(source="127.0.0.24")
        wait_until("no process but the server and its monitor is root",
                   lambda: [f["Uid"].split()[0] for f in descendants(server.process.pid).values()].count("0") == 1)
        same("monitor, preauth and the one who asks", 3, len(descendants(server.process.pid)))
        client.ask("QUIT")


def nothing_is_asked():
    with site("reset reverse-lookup") as server:
        server.start()
        before = len(name_server.questions)
        visit(server, "127.0.0.20")
        server.wait_for('POP login by user "alice" at (127.0.0.20) 127.0.0.20')
        same("questions", [], name_server.questions[before:])


CASES = [names_that_are_believed, names_that_are_not, no_name, a_silent_name_server, who_asks_is_nobody, nothing_is_asked]

FILES = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n", "nsswitch.conf": "passwd: files\nhosts: dns\n", "hosts": ""}


if __name__ == "__main__":
    if INSIDE in os.environ:
        name_server = NameServer()
        sys.exit(run_all(CASES))
    status = again_in_namespaces(INSIDE, FILES) if os.getuid() == 0 and os.environ.get("POPPER_TESTS") != "short" else None
    sys.exit(skip_all("needs root and namespaces of its own") if status is None else status)
