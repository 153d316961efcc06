#!/usr/bin/python3
"""tls_relay.py: clients that misbehave inside TLS, large messages, and the rights of the relay. POPPER_TESTS=long makes the large message larger than
2 GB. Prints TAP.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import signal
import socket
import ssl
import sys
import time

from cases import ROOT, SANITIZED, equal, memory, need, starts, status
from tlssite import LONG, UID, GID, HASH, main  # it says where the rest is
import mbox  # noqa: E402
from tlsclient import HOST  # noqa: E402
from world import hash_of  # noqa: E402


# ---- clients that misbehave, and large things

def vm_peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def no_memory(session, relay):
    """Of nobody who serves it, whatever waits for the client."""
    if not ROOT or SANITIZED:
        return
    for pid in {session.process.pid, relay, *session.children()} - {None}:
        assert vm_peak(pid) < 20000, f"process {pid} has {vm_peak(pid)} kB"


def client_that_stops_reading(site):
    """In clear text and in TLS, begun in either way: what waits is bounded, the timeout ends it, the log says so, and nothing is deleted."""
    modes = ("set server-mode", "reset server-mode")
    for number, support in enumerate(("none", "stls", "alternate-port")):
        for mode in modes if LONG else modes[number % 2:][:1]:
            site.trace.unlink(missing_ok=True)
            site.set(mode, timeout=1, tls_support=support).fill(1, lines=400000)
            if support == "none":
                s = site.open(rcvbuf=4096)
                s.hear()
            else:
                s = site.tls(rcvbuf=4096)
            s.login()
            relay = s.relay() if ROOT and support != "none" else None
            begin = time.monotonic()
            s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
            time.sleep(0.5)
            no_memory(s, relay)
            s.process.wait(15)
            took = time.monotonic() - begin
            assert 0.9 < took < 7, f"{support}: it ended after {took:.1f} s; the timeout is 1 s"
            if support == "none":
                site.logged(r"^\(v[\d.]+\) I/O error flushing output to client alice at 127\.0\.0\.1 \(127\.0\.0\.1\)$")
            else:
                site.logged(r"I/O error flushing output to client alice at 127\.0\.0\.1 \(127\.0\.0\.1\)|took nothing of what was sent for too long")
            equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=400000))


def slow_reader(site):
    """Back-pressure: a client that reads little by little gets everything, and nobody's memory grows."""
    site.set("set server-mode").fill(1, lines=100000)
    s = site.tls(rcvbuf=65536).login()
    s.send(b"RETR 1\r\n")
    for _ in range(20):
        time.sleep(0.05)
        s.receive()
    starts("RETR", s.hear(), "+OK")
    while not s.input.endswith(b"\r\n.\r\n"):
        s.receive()
    got = s.input[:-3].replace(b"\r\n", b"\n")
    s.input = b""
    expected = b"\n".join(mbox.on_the_wire(mbox.split(mbox.message(1, lines=100000))[0][1])) + b"\n"
    assert got.replace(b"\n..", b"\n.") == expected, f"{len(got)} bytes instead of {len(expected)}"
    s.quit()


def flood_of_commands(site):
    """A client that sends without end and never reads is stopped by back-pressure, not by anybody's memory."""
    site.set(timeout=2).fill(1, lines=1000)
    s = site.tls().login()
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    flood = s.tls.encrypt(b"RETR 1\r\n" * 1000)
    s.socket.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < 1 << 26:
            sent += s.socket.send(flood)
            flood = s.tls.encrypt(b"RETR 1\r\n" * 1000)
    assert sent < 1 << 24, f"it took {sent} bytes"
    s.process.wait(15)


def vanished_before_it_got_all(site):
    """QUIT was sent ahead, but what was asked for did not arrive: nothing is deleted."""
    site.set(timeout=3).fill(1, lines=60000)
    s = site.tls(rcvbuf=4096).login()
    s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    s.process.wait(30)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=60000))
    site.logged("nothing was deleted|I/O error flushing output")


def last_bytes_not_taken(site):
    """All of the message is in our kernel's buffers, but the client's machine does not take it."""
    site.set(timeout=3).fill(1, lines=2000)
    s = site.tls(rcvbuf=2048).login()
    begin = time.monotonic()
    s.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    s.process.wait(30)
    assert time.monotonic() - begin > 2, "it did not wait"
    equal("maildrop", site.drop.read_bytes(), mbox.message(1, lines=2000))
    site.logged("QUIT came before the client had taken what we sent")
    site.not_logged("I/O error flushing")


def write_large(site):
    """A message of 200 MB (POPPER_TESTS=long: 2.2 GB); the size and the hash of what a client must get."""
    header = b"From: a@example.com\nSubject: large\n\n"
    lines = [b"x%075d\n" % n for n in range(1 << 14)]
    block = b"".join(lines)
    sent = block.replace(b"\n", b"\r\n")
    expected, size = hashlib.sha256(header.replace(b"\n", b"\r\n")), len(header.replace(b"\n", b"\r\n"))
    with open(site.drop, "wb") as f:
        f.write(b"From a@example.com Mon Jan  1 10:00:00 2024\n" + header)
        for _ in range((2200 << 20 if LONG else 200 << 20) // len(block)):
            f.write(block)
            expected.update(sent)
            size += len(sent)
    site.drop.chmod(0o600)
    if ROOT:
        os.chown(site.drop, UID, GID)
    return size, expected.hexdigest()


def fetch_large(site, support, *modes):
    """Byte for byte, with the octets that were announced, and memory does not grow."""
    size, expected = write_large(site)
    for mode in modes:
        site.set(mode, tls_support=support)
        s = site.open()
        if support == "stls":
            s.hear()
            equal("STLS", s.say("STLS"), "+OK STLS")
        if support != "none":
            s.socket = ssl.create_default_context(cafile=str(site.shared.bundle)).wrap_socket(s.socket, server_hostname=HOST)
        s.socket.settimeout(120)
        if support != "stls":
            s.hear()
        s.login()
        relay = s.relay() if ROOT and support != "none" else None
        s.send(b"RETR 1\r\n")
        equal("RETR", s.hear(), f"+OK {size} octets")
        got, total = hashlib.sha256(), 0
        while total < size:
            piece = s.input or s.socket.recv(1 << 20)
            s.input = piece[size - total:]
            piece = piece[:size - total]
            assert piece, f"the end after {total} of {size} octets"
            got.update(piece)
            total += len(piece)
        equal("hash of the message", got.hexdigest(), expected)
        equal("the end of it", s.hear(), ".")
        no_memory(s, relay)
        starts("QUIT", s.say("QUIT"), "+OK")
        s.hang_up()
        equal("exit status", s.process.wait(20), 0)
    assert not any("octet count" in line for line in site.log()), "octets"


def large_message(site):
    fetch_large(site, "stls", "set server-mode")


def large_message_from_the_beginning(site):
    fetch_large(site, "alternate-port", "set server-mode", "reset server-mode")


def large_message_in_clear(site):
    fetch_large(site, "none", "set server-mode", *(["reset server-mode"] if LONG else []))


# ---- the relay's rights

def relay_has_no_rights(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.fill(1)
    s = site.tls().login()
    relay = s.relay()
    nobody = [line.split(":") for line in open("/etc/passwd", encoding="latin-1") if line.startswith("nobody:")][0]
    st = status(relay)
    equal("uids", st["Uid"].split(), [nobody[2]] * 4)
    equal("gids", st["Gid"].split(), [nobody[3]] * 4)
    equal("groups", st["Groups"].split(), [nobody[3]])
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(field, int(st[field], 16), 0)
    equal("no_new_privs", st["NoNewPrivs"].strip(), "1")
    if not SANITIZED:
        equal("seccomp", st["Seccomp"].strip(), "2")
    equal("owner of /proc/PID/mem (0 says not dumpable)", os.stat(f"/proc/{relay}/mem").st_uid, 0)
    limits = pathlib.Path(f"/proc/{relay}/limits").read_text()
    for name, most in (("core file size", 0), ("processes", 0), ("open files", 16)):
        assert re.search(rf"^Max {name} +{most} +{most} ", limits, re.M), limits
    kinds = sorted(os.readlink(f"/proc/{relay}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{relay}/fd"))
    equal("descriptors", kinds, ["/dev/null", "socket", "socket", "socket", "socket"])
    assert os.readlink(f"/proc/{relay}/root") != "/", "not locked in"
    client = os.readlink(f"/proc/{relay}/fd/0")
    others = {s.process.pid, *s.children()} - {relay}
    equal("processes beside the relay", len(others), 2)
    for pid in others:
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert client not in held, "somebody else holds the client's connection"


def relay_forgets(site):
    """The relay had the password in clear; the next thing that the client says wipes it."""
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    need(not SANITIZED, "sanitizers have memory of their own")
    password = "Never-seen-again-7"
    (site.dir / "passwd").write_text((site.dir / "passwd").read_text().replace(HASH, hash_of(password)))
    site.fill(1)
    s = site.tls()
    relay = s.relay()
    starts("USER", s.say("USER alice"), "+OK")
    starts("PASS", s.say(f"PASS {password}"), "+OK")
    starts("NOOP", s.say("NOOP"), "+OK")
    seen = memory(relay)
    assert str(site.shared.cert).encode() in seen, "this is not the memory of the relay"
    assert password.encode() not in seen, "the password is in the memory of the relay"


def relay_killed(site):
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    need(ROOT, "not root: which one the relay is cannot be seen")
    os.kill(s.relay(), signal.SIGKILL)
    while s.socket.recv(1000):
        pass
    s.process.wait(10)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))
    site.logged("the process that does TLS for 127.0.0.1 was killed by signal 9")


def session_killed(site):
    site.fill(1)
    s = site.tls().login()
    need(ROOT, "not root: which one the relay is cannot be seen")
    session = [pid for pid in s.children() if pid != s.relay()][0]
    os.kill(session, signal.SIGKILL)
    s.expect_end()
    s.process.wait(10)


def terminated(site):
    """An order to end reaches the session; the client is told through TLS."""
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    os.killpg(s.process.pid, signal.SIGTERM)
    starts("last word", s.hear(), "-ERR")
    s.expect_end()
    s.process.wait(10)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))


def takeover(site):
    site.set(takeover_idle=1).fill(1)
    first = site.tls().login()
    time.sleep(1.1)
    site.tls().login().quit()
    assert "[IN-USE]" in first.hear(), "the old session was not told"
    first.expect_end()


CASES = [client_that_stops_reading, slow_reader, flood_of_commands, vanished_before_it_got_all, last_bytes_not_taken, large_message, large_message_in_clear,
         *([large_message_from_the_beginning] if LONG else []), relay_has_no_rights, relay_forgets, relay_killed, session_killed, terminated, takeover]

if __name__ == "__main__":
    sys.exit(main(CASES))
