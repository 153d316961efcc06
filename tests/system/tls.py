#!/usr/bin/python3
"""tls.py: TLS as clients meet it: STLS and alternate-port, who may say what when, handshakes that fail, the programs of other people (testssl.py has one
more). Prints TAP.
"""
import base64
import contextlib
import hashlib
import itertools
import os
import pathlib
import re
import ssl
import subprocess
import sys
import time

from cases import ROOT, equal, gone, need, need_name, program, starts, wait_until
from tlssite import POPPER, connects, no_handshake, run, main  # it says where the rest is
import mbox  # noqa: E402
from tlsclient import HOST, TlsEnd, make_certificate  # noqa: E402
from world import features  # noqa: E402


# ---- a session

HANDSHAKE = (r"^\(v[\d.]+\) TLSv1\.3 handshake with client at 127\.0\.0\.1 \(127\.0\.0\.1\); new session-id; cipher: "
             r"TLS_\w+ \(TLS_\w+ TLSv1\.3 \S[^\n]*\S\), \d+ bits$")


# option: tls-support
def stls(site):
    site.fill(1, 2)
    s = site.open()
    starts("greeting", s.hear(), "+OK Qpopper")
    starts("CAPA", s.say("CAPA"), "+OK")
    before = s.body()
    assert "STLS" in before and "USER" in before, before
    equal("STLS", s.say("STLS"), "+OK STLS")
    s.begin_tls(site.shared.bundle)
    starts("CAPA", s.say("CAPA"), "+OK")
    inside, timeless = s.body(), [c for c in before if c != "STLS" and not c.startswith("X-LOCALTIME")]
    equal("capabilities inside", [c for c in inside if not c.startswith("X-LOCALTIME")], timeless)
    starts("second STLS", s.say("STLS"), "-ERR")
    s.login()
    starts("STLS after the login", s.say("STLS"), "-ERR")
    starts("STAT", s.say("STAT"), "+OK 2 ")
    starts("DELE", s.say("DELE 1"), "+OK")
    s.quit()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), mbox.message(2))
    site.logged(HANDSHAKE)
    site.not_logged("EOF|hangup|lost")


def alternate_port(site):
    site.set(tls_support="alternate-port").fill(1)
    s = site.open()
    s.begin_tls(site.shared.bundle)
    starts("greeting", s.hear(), "+OK Qpopper")
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS announced where it cannot be had"
    starts("STLS", s.say("STLS"), "-ERR")
    s.login()
    starts("RETR", s.say("RETR 1"), "+OK")
    equal("message", "\n".join(s.body()).encode("latin-1"), b"\n".join(mbox.on_the_wire(mbox.split(mbox.message(1))[0][1])))
    s.quit()
    equal("exit status", s.process.wait(10), 0)
    site.logged(HANDSHAKE)


def off(site):
    site.set(tls_support="none").fill(1)
    s = site.open()
    s.hear()
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS announced"
    starts("STLS", s.say("STLS"), "-ERR STLS is not offered here")
    s.login().quit()


def no_library_where_no_tls_is(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.fill(1)

    def maps(pid):
        return pathlib.Path(f"/proc/{pid}/maps").read_text()

    s = site.open()
    s.hear()
    for pid in (s.process.pid, *s.children()):
        assert "popper-tls.so" not in maps(pid), "the TLS module in a session without TLS"
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.login()
    relay = s.relay()
    for pid in {s.process.pid, *s.children()} - {relay}:
        assert all(name not in maps(pid) for name in ("popper-tls.so", "libssl", "libcrypto")), "the TLS library outside the relay"


def injected_plain_text_is_dropped(site):
    site.fill(1)
    s = site.open()
    s.hear()
    s.send(b"STLS\r\nUSER mallory\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
    equal("STLS", s.hear(), "+OK STLS")
    s.begin_tls(site.shared.bundle)
    starts("PASS", s.say("PASS secret"), "-ERR PASS must follow USER")
    starts("NOOP", s.say("QUIT"), "+OK")
    s.expect_end()
    site.not_logged("mallory|Received: .USER|POP login")


def user_is_forgotten(site):
    s = site.open()
    s.hear()
    starts("USER", s.say("USER alice"), "+OK")
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    starts("PASS", s.say("PASS secret"), "-ERR PASS must follow USER")


def mechanisms(capabilities):
    """The SASL mechanisms in the lines of CAPA."""
    return {word for line in capabilities if line.startswith("SASL ") for word in line.split()[1:]}


def clear_text_password_tls(site):
    site.set(clear_text_password="tls").fill(1)
    s = site.open()
    s.hear()
    s.say("CAPA")
    assert "USER" not in (offered := s.body()), "USER announced in clear text"
    equal("mechanisms in clear text", mechanisms(offered) & {"PLAIN", "LOGIN"}, set())
    refusal = "-ERR [AUTH] Clear-text passwords are accepted inside TLS only"
    plain = "AUTH PLAIN " + base64.b64encode(b"\0alice\0secret").decode()
    for line in ("USER alice", "PASS secret", plain, "AUTH LOGIN") * 3:  # none of them counts as a failed login
        starts(line, s.say(line), refusal)
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.say("CAPA")
    assert "USER" in (offered := s.body()), "USER not announced inside TLS"
    equal("mechanisms inside TLS", mechanisms(offered) & {"PLAIN", "LOGIN"}, {"PLAIN", "LOGIN"})
    starts("AUTH PLAIN inside TLS", s.say(plain), "+OK alice has ")
    s.quit()
    s = site.open()
    s.hear()
    for line in ("AUTH PLAIN", "AUTH LOGIN " + base64.b64encode(b"alice").decode()):
        starts(line, s.say(line), refusal)
    s.say("STLS")
    s.begin_tls(site.shared.bundle)
    s.login().quit()


def expected_stls(site):
    """Where USER is for TLS only the relay loads before it is asked for; and goes, with no word in the log, when it never is."""
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.set(clear_text_password="tls").fill(1)
    s = site.open()
    s.hear()
    early = s.wait_for_relay()
    starts("USER", s.say("USER alice"), "-ERR [AUTH]")
    starts("STLS", s.say("STLS"), "+OK")
    s.begin_tls(site.shared.bundle)
    equal("relay", s.relay(), early)
    s.login().quit()
    equal("exit status", s.process.wait(10), 0)
    for last in ("QUIT", None):
        s = site.open()
        s.hear()
        s.wait_for_relay()
        if last:
            starts(last, s.say(last), "+OK")
        s.hang_up()
        equal("exit status of a session without STLS", s.process.wait(10), 0)
    if "APOP" in features(POPPER):
        site.add_secret()
        s = site.open()
        stamp = re.search("<.*>", s.hear())[0]
        early = s.wait_for_relay()
        starts("APOP", s.say("APOP alice " + hashlib.md5(stamp.encode() + b"tanstaaf").hexdigest()), "+OK alice has ")
        end = time.monotonic() + 20
        while not gone(early):
            assert time.monotonic() < end, "the relay outlived the login"
            time.sleep(.02)
        s.quit()
        equal("exit status", s.process.wait(10), 0)
    site.not_logged("killed|failed|TLS is not possible|left without a word")


def expected_stls_refused(site):
    key = site.dir / "none.key"
    site.set(clear_text_password="tls", tls_private_key_file=key).fill(1)
    s = site.open()
    s.hear()
    equal("STLS", s.say("STLS"), "-ERR [SYS/PERM] TLS is not possible at the moment; the server's log says why.")
    starts("second STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    starts("QUIT", s.say("QUIT"), "+OK")
    s.process.wait(10)
    site.logged(rf"^STLS from 127\.0\.0\.1 refused: the private key {key} cannot be opened")
    site.not_logged("was killed by signal")
    s = site.open()  # and where it is wrong, who does not ask learns nothing, but the log does
    s.hear()
    wait_until("who loads the key has failed", lambda: any(gone(p) for p in s.children()))
    starts("QUIT", s.say("QUIT"), "+OK")
    s.process.wait(10)
    site.logged(rf"^TLS is not possible: the private key {key} cannot be opened")


def clear_text_password_local(site):
    site.set(clear_text_password="local").fill(1)
    s = site.open()
    s.hear()
    s.login().quit()  # 127.0.0.1
    site.tls().login().quit()


def commands_behind_the_handshake(site):
    """What comes with the client's last words of the handshake, many commands in a record, and a command in many records."""
    site.fill(1)
    s = site.tls()
    s.send(b"USER alice\r\nPASS secret\r\n" + b"NOOP\r\n" * 3000)
    starts("USER", s.hear(), "+OK")
    starts("PASS", s.hear(), "+OK")
    for _ in range(3000):
        starts("NOOP", s.hear(), "+OK")
    for byte in b"STAT\r\n":
        s.send(bytes([byte]))
    starts("STAT", s.hear(), "+OK 1 ")
    s.quit()


def half_close(site):
    """A client that sends its commands and its end at once gets all the answers."""
    site.fill(1, 2, 3, lines=20000)
    s = site.tls()
    s.send(b"USER alice\r\nPASS secret\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nDELE 1\r\nQUIT\r\n")
    s.socket.sendall(s.tls.say_goodbye())
    s.hear(), s.hear()
    for n in (1, 2, 3):
        starts("RETR", s.hear(), "+OK")
        equal("lines", len(s.body()), len(mbox.on_the_wire(mbox.split(mbox.message(n, lines=20000))[0][1])))
    starts("DELE", s.hear(), "+OK")
    starts("QUIT", s.hear(), "+OK")
    s.expect_end()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), b"".join(mbox.message(n, lines=20000) for n in (2, 3)))


def hang_up_before_tls(site):
    s = site.open()
    s.hear()
    s.say("STLS")
    s.hang_up()
    s.process.wait(10)
    site.logged("left without a word of TLS")


def hang_up_inside(site):
    site.fill(1)
    s = site.tls().login()
    starts("DELE", s.say("DELE 1"), "+OK")
    s.hang_up()
    equal("exit status", s.process.wait(10), 0)
    equal("maildrop", site.drop.read_bytes(), mbox.message(1))


# ---- handshakes that fail

def not_tls(site):
    site.set(tls_support="alternate-port")
    for said in (b"CAPA\r\n", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 100):
        s = site.open()
        s.send(said)
        s.at_eof or s.socket.recv(100)
        with contextlib.suppress(ConnectionResetError):
            while s.socket.recv(100):
                pass
        s.process.wait(10)
    site.logged(r"^TLS handshake with client at 127\.0\.0\.1 \(127\.0\.0\.1\) failed: what the client sent is not TLS \(")


def client_without_trust(site):
    other, _ = make_certificate(site.dir, "other")
    s, error = connects(site, other)
    assert isinstance(error, ssl.SSLCertVerificationError), error
    context = ssl.create_default_context(cafile=str(other))
    no_handshake(site, context, "an unknown certificate was believed")
    site.logged(r"(handshake|connection) with client .*: the client does not know who issued our certificate: is the chain complete\?")


# option: tls-version
def old_versions(site):
    openssl = program("openssl")
    site.set(tls_support="alternate-port")
    weak = ["-cipher", "DEFAULT:@SECLEVEL=0"]

    def speaks(port, *words):
        done = subprocess.run([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", *words], input=b"QUIT\r\n",
                              capture_output=True, timeout=30)
        return b"+OK" in done.stdout

    with site.listen() as port:
        assert not speaks(port, "-tls1_1", *weak), "TLS 1.1"
        assert not speaks(port, "-tls1", *weak), "TLS 1.0"
        assert speaks(port, "-tls1_2"), "no TLS 1.2"
        assert speaks(port, "-tls1_3"), "no TLS 1.3"
    site.logged("failed: the client has only versions of TLS that tls-version does not allow")
    site.set(tls_version="TLSv1.2")
    with site.listen() as port:
        assert not speaks(port, "-tls1_3") and speaks(port, "-tls1_2"), "tls-version = TLSv1.2"
    site.set(tls_version="TLSv1.3")
    with site.listen() as port:
        assert speaks(port, "-tls1_3") and not speaks(port, "-tls1_2"), "tls-version = TLSv1.3"
    site.set(tls_version="all", tls_cipher_list="DEFAULT:@SECLEVEL=0")
    with site.listen() as port:
        assert speaks(port, "-tls1_1", *weak), "tls-version = all with ciphers for it"
    site.set(tls_version="SSLv3", tls_cipher_list=None)
    with site.listen() as port:
        assert not speaks(port, "-tls1_1", *weak) and speaks(port, "-tls1_2"), "tls-version = SSLv3 means default"
    site.logged("tls-version = SSLv3 is obsolete and counts as default")


# option: tls-cipher-list , option: tls-ciphersuites
def ciphers(site):
    site.set(tls_support="alternate-port", tls_version="TLSv1.2", tls_cipher_list="ECDHE-ECDSA-AES128-GCM-SHA256")
    equal("cipher", site.tls().tls.object.cipher()[0], "ECDHE-ECDSA-AES128-GCM-SHA256")
    site.set(tls_version="TLSv1.3", tls_ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
    equal("ciphersuite", site.tls().tls.object.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")
    site.set(tls_version="default", tls_cipher_list="no-such-cipher", tls_ciphersuites=None, tls_support="stls")
    s = site.open()
    s.hear()
    starts("STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    site.logged("tls-cipher-list = no-such-cipher: the TLS library knows no such ciphers")
    site.set(tls_cipher_list=None, tls_ciphersuites="TLS_NONE")
    s = site.open()
    s.hear()
    starts("STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    site.logged("tls-ciphersuites = TLS_NONE: the TLS library knows no such ciphersuites")


# option: tls-options , option: tls-workarounds
def library_options(site):
    """tls-options are the library's bits, repeated ones add up; tls-workarounds is taken."""
    site.set("set tls-options = 0x20000000", tls_support="alternate-port", tls_options="0x4000", tls_workarounds="true")
    equal("version", site.tls().tls.object.version(), "TLSv1.2")  # SSL_OP_NO_TLSv1_3


def silent_client(site):
    site.set(preauth_timeout=1)
    s = site.open()
    s.hear()
    s.say("STLS")
    begin = time.monotonic()
    while s.socket.recv(100):
        pass
    assert time.monotonic() - begin < 30, "it took too long"
    s.process.wait(10)
    site.logged(r"^TLS handshake with client at \S+ \(127\.0\.0\.1\) not finished within 1 seconds$|Timeout \(1 secs\) during nw read from \(null\)")


def handshake_drop_by_drop(site):
    """The time is for the whole handshake, and for all that comes before the login, not for each byte."""
    site.set(preauth_timeout=1)
    tls = TlsEnd(site.shared.bundle)
    _, hello = tls.shake_hands(None)

    def trickles(session, data, pause):
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in itertools.cycle(data):
                session.socket.sendall(bytes([byte]))
                time.sleep(pause)
                if session.process.poll() is not None:
                    break
        assert 0.8 < time.monotonic() - begin < 30, f"it had {time.monotonic() - begin:.1f} s instead of 1"

    s = site.open()
    s.hear()
    s.say("STLS")
    trickles(s, hello[:-1] if len(hello) > 60 else hello, 0.05)
    site.logged(r"^TLS handshake with client at \S+ \(127\.0\.0\.1\) not finished within 1 seconds$|Timeout \(1 secs\) during nw read from \(null\)")
    s = site.tls()
    trickles(s, s.tls.encrypt(b"USER alice USER alice"), 0.05)
    site.logged(r"Timeout \(1 secs\) during nw read from \(null\) at 127\.0\.0\.1 \(127\.0\.0\.1\)")


# ---- other people's programs

def both_ways(site, visit):
    """Visits the server with STLS and at the alternate port."""
    for support in ("stls", "alternate-port"):
        site.set(tls_support=support, clear_text_password="tls").fill(1, 2)
        with site.listen() as port:
            visit(port, support == "stls")
    site.not_logged("failed|refused")


def curl(site):
    command = [program("curl"), "-sS", "--cacert", str(site.shared.bundle), "--user", "alice:secret", "--max-time", "20"]

    def visit(port, begins_plain):
        url = f"{'pop3' if begins_plain else 'pop3s'}://{HOST}:{port}/"
        words = [*command, "--resolve", f"{HOST}:{port}:127.0.0.1", *(["--ssl-reqd"] if begins_plain else [])]
        got = run([*words, url])
        equal("LIST", len(got.splitlines()), 2)
        got = run([*words, url + "2"])
        equal("message", got, b"".join(line + b"\r\n" for line in mbox.on_the_wire(mbox.split(mbox.message(2))[0][1])))

    both_ways(site, visit)


def fetchmail(site):
    path = program("fetchmail")
    need_name()

    def visit(port, begins_plain):
        got, rc = site.dir / "fetched", site.dir / "fetchmailrc"
        got.unlink(missing_ok=True)
        rc.write_text(f'poll 127.0.0.1 port {port} protocol pop3 auth password username "alice" password "secret" '
                      + ('sslproto "TLS1.2+"' if begins_plain else "ssl")
                      + f' sslcertck sslcertfile "{site.shared.bundle}" sslcommonname "{HOST}"\n'
                      f"fetchall no keep no rewrite mda \"/bin/sh -c 'cat >>{got}'\"\n")
        rc.chmod(0o600)
        run([path, "-f", str(rc), "--nosyslog", "--pidfile", str(site.dir / "fetchmail.pid")],
            env={**os.environ, "FETCHMAILHOME": str(site.dir), "LC_ALL": "C"})
        equal("messages", got.read_bytes().count(b"Received: from mx.example.com"), 2)
        equal("maildrop", site.drop.read_bytes(), b"")

    both_ways(site, visit)


def mpop(site):
    path = program("mpop")

    def visit(port, begins_plain):
        got, conf = site.dir / "popped", site.dir / "mpoprc"
        got.unlink(missing_ok=True)
        fingerprint = run(["openssl", "x509", "-in", str(site.shared.cert), "-noout", "-fingerprint", "-sha256"]).decode().partition("=")[2]
        conf.write_text(f"account a\nhost 127.0.0.1\nport {port}\ntls on\ntls_starttls {'on' if begins_plain else 'off'}\n"
                        f"tls_fingerprint {fingerprint.strip()}\nuser alice\npassword secret\nauth user\ndelivery mbox {got}\n"
                        f"uidls_file {site.dir}/uidls-{port}\nkeep off\nreceived_header off\naccount default : a\n")
        conf.chmod(0o600)
        run([path, "-C", str(conf), "-q"])
        equal("messages", got.read_bytes().count(b"Received: from mx.example.com"), 2)
        equal("maildrop", site.drop.read_bytes(), b"")

    both_ways(site, visit)


def s_client(site):
    openssl = program("openssl")

    def visit(port, begins_plain):
        words = ["-starttls", "pop3"] if begins_plain else []
        done = subprocess.run([openssl, "s_client", *words, "-connect", f"127.0.0.1:{port}", "-CAfile", str(site.shared.bundle),
                               "-servername", HOST, "-verify_return_error", "-verify_hostname", HOST, "-quiet"],
                              input=b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n", capture_output=True, timeout=30)
        assert b"+OK 2 " in done.stdout and b"signing off" in done.stdout, done

    both_ways(site, visit)


CASES = [stls, alternate_port, off, no_library_where_no_tls_is, injected_plain_text_is_dropped, user_is_forgotten, clear_text_password_tls, expected_stls, expected_stls_refused,
         clear_text_password_local, commands_behind_the_handshake, half_close, hang_up_before_tls, hang_up_inside,
         not_tls, client_without_trust, old_versions, ciphers, library_options, silent_client, handshake_drop_by_drop,
         curl, fetchmail, mpop, s_client]

if __name__ == "__main__":
    sys.exit(main(CASES))
