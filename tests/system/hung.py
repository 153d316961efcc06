#!/usr/bin/python3
"""hung.py: what hangs in the kernel, where it cannot be killed (a file system that does not answer), holds up nobody else. Prints TAP.
"""
import hashlib
import os
import pathlib
import re
import signal
import socket
import sys

from holder import Holder
from cases import ROOT, children, equal, gone, need, starts, wait_until
from tlssite import POPPER, main
from world import features


def sockets(pid):
    links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    return {link for link in links if link.startswith("socket:")}


def greeting(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        return client.makefile("rb").readline()


def configuration_on_hup(site):
    """Who tries it, and who loads the certificate for him, hang: the port goes on, and hangs with neither."""
    need(ROOT, "needs root, to trace the server")
    site.set(prefork=2)
    with site.standalone() as (server, port):
        starts("greeting", greeting(port), b"+OK")
        wait_until("two wait for clients, and one for who needs TLS", lambda: len([p for p in children(server.pid) if not gone(p)]) == 3)
        waiting = children(server.pid)
        with Holder(server.pid, depth=2) as holder:
            server.send_signal(signal.SIGHUP)
            loader = holder.expect("held")
            trier = int(re.search(r"PPid:\t(\d+)", pathlib.Path(f"/proc/{loader}/status").read_text())[1])
            assert trier not in waiting
            ours = sockets(server.pid)
            equal("sockets of the server that who tries has", sockets(trier) & ours, set())
            equal("sockets of the server that who loads has", sockets(loader) & ours, set())
            equal("who is killed", holder.expect("dying"), trier)
            site.logged("^the configuration stays as it was, because the new one is wrong: it, or a file that it names, could not be read within 10 seconds$")
            starts("greeting while it cannot die", greeting(port), b"+OK")
        wait_until("both are gone", lambda: gone(trier) and gone(loader))
        server.send_signal(signal.SIGHUP)
        site.logged("the configuration was read again")


def relay_that_nobody_needs(site):
    """Where clients are expected to ask for STLS a process loads the key ahead. Who logs in without waits for it neither at the login nor at the end."""
    need(ROOT, "needs root, to trace the server")
    need("APOP" in features(POPPER), "APOP is not built")
    site.set(clear_text_password="tls").fill(1)
    site.add_secret()
    s = site.open()
    stamp = re.search("<.*>", s.hear())[0]
    with Holder(s.wait_for_relay()) as holder:
        starts("APOP", s.say("APOP alice " + hashlib.md5(stamp.encode() + b"tanstaaf").hexdigest()), "+OK alice has ")
        relay = holder.expect("dying")
        s.quit()
        site.logged(rf"^the process {relay} that was to do TLS for 127\.0\.0\.1 cannot be killed; does the file system")
        equal("exit status", s.process.wait(10), 0)
    s = site.open()
    s.hear()
    with Holder(s.wait_for_relay()):
        s.quit()
        equal("exit status without a login", s.process.wait(10), 0)


if __name__ == "__main__":
    sys.exit(main([configuration_on_hup, relay_that_nobody_needs]))
