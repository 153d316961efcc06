#!/usr/bin/python3
"""tls_certificates.py: certificates and keys that are wrong, old, several; names, tickets; what the listener loads. Prints TAP.
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys

from cases import PATIENCE, ROOT, equal, possible, starts
from tlssite import POPPER, UID, GID, connects, no_handshake, main  # it says where the rest is
from tlsclient import HOST, TlsEnd, make_certificate  # noqa: E402


# ---- certificates and keys

def refused(site, pattern):
    """STLS is refused, the log says why, and the session goes on without."""
    site.fill(1)
    s = site.open()
    s.hear()
    equal("STLS", s.say("STLS"), "-ERR [SYS/PERM] TLS is not possible at the moment; the server's log says why.")
    starts("second STLS", s.say("STLS"), "-ERR [SYS/PERM]")
    starts("CAPA", s.say("CAPA"), "+OK")
    assert "STLS" not in s.body(), "STLS is still announced"
    s.login().quit()
    site.logged(r"^STLS from 127\.0\.0\.1 refused: " + pattern)
    site.not_logged("was killed by signal")  # by us, and nobody's concern


# option: tls-server-cert-file , option: tls-private-key-file
def wrong_files(site):
    cert, key = (shutil.copy(f, site.dir) for f in (site.shared.cert, site.shared.key))
    for f in (cert, key):
        os.chmod(f, 0o600)
    other_cert, other_key = make_certificate(site.dir, "other")

    def use(cert, key, pattern):
        site.set(tls_server_cert_file=cert, tls_private_key_file=key)
        refused(site, pattern)

    use(cert, other_key, f"the private key in {other_key} does not belong to the certificate in {cert}; one of the two files is not the newest")
    use(site.dir / "none.pem", key, f"the certificate {site.dir}/none.pem cannot be opened: No such file or directory")
    use(cert, site.dir / "none.key", f"the private key {site.dir}/none.key cannot be opened: No such file or directory")
    use(cert, None, f"there is no private key in PEM format in {cert}")
    use(key, key, f"there is no certificate in PEM format in {key}")
    use(site.dir, key, f"the certificate {site.dir} is not a regular file")
    (site.dir / "empty").write_bytes(b"")
    use(site.dir / "empty", key, f"the certificate {site.dir}/empty is empty")
    secret = site.dir / "secret.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", secret], check=True)
    secret.chmod(0o600)
    use(cert, secret, f"the private key in {secret} is encrypted, .*decrypt it with openssl pkey -in {secret}")
    chain = site.dir / "chain.pem"
    chain.write_bytes(other_cert.read_bytes() + pathlib.Path(cert).read_bytes())
    chain.chmod(0o644)
    use(chain, key, f"the private key in {key} belongs to certificate 2 in {chain}; move that certificate to the beginning")


def modes_and_owners(site):
    cert, key = (pathlib.Path(shutil.copy(f, site.dir)) for f in (site.shared.cert, site.shared.key))
    site.set(tls_server_cert_file=cert, tls_private_key_file=key)
    for mode, pattern in ((0o644, r"can be read by others than its owner \(mode 0644\); chmod 600 "),
                          (0o604, r"can be read by others than its owner \(mode 0604\)"),
                          (0o660, r"can be written to by others than its owner \(mode 0660\); chmod go-w ")):
        key.chmod(mode)
        refused(site, f"the private key {key} {pattern}")
    key.chmod(0o640)
    if ROOT:
        site.tls().login().quit()  # root:ssl-cert, as Debian does it
        key.chmod(0o600)
        os.chown(key, UID, GID)
        refused(site, f"the private key {key} belongs to uid {UID}, who could change it; chown it to root")
        os.chown(key, 0, 0)
    else:
        refused(site, "the private key .* can be read by others")
    key.chmod(0o600)
    cert.chmod(0o666)
    refused(site, f"the certificate {cert} can be written to by others")
    cert.chmod(0o644)
    site.tls().login().quit()
    both = site.dir / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    both.chmod(0o644)
    site.set(tls_server_cert_file=both, tls_private_key_file=None)
    refused(site, f"the file of certificate and private key {both} can be read by others")
    both.chmod(0o600)
    site.tls().login().quit()
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    site.tls().login().quit()
    link = site.dir / "link.pem"
    link.symlink_to(both)
    site.set(tls_server_cert_file=link)
    site.tls().login().quit()


def unreadable(site):
    possible(not ROOT, "root may read everything")
    key = pathlib.Path(shutil.copy(site.shared.key, site.dir))
    key.chmod(0)
    site.set(tls_private_key_file=key)
    refused(site, f"the private key {key} cannot be opened: Permission denied; popper must be started as root")


def wrong_at_the_alternate_port(site):
    site.set(tls_support="alternate-port", tls_private_key_file=site.dir / "none.key")
    s = site.open()
    with contextlib.suppress(ConnectionResetError):
        equal("what a client hears", s.socket.recv(100), b"")
    equal("exit status", s.process.wait(10), 75)
    site.logged(f"^TLS is not possible: the private key {site.dir}/none.key cannot be opened")


KEY_USAGE = "keyUsage=critical,keyCertSign,cRLSign"  # of an issuer, without which Python 3.13 believes it nothing


def dated(site, name, *words):
    """A certificate with dates of its own."""
    cert, key = site.dir / f"{name}.pem", site.shared.key
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={HOST}", "-out", site.dir / "csr"], check=True)
    (site.dir / "ext").write_text(f"subjectAltName=DNS:{HOST}\n")
    subprocess.run(["openssl", "x509", "-req", "-in", site.dir / "csr", "-signkey", key, "-extfile", site.dir / "ext", "-out", cert, *words],
                   check=True, stderr=subprocess.DEVNULL)
    cert.chmod(0o644)
    return cert


def expiry(site):
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    site.set(tls_server_cert_file=dated(site, "fifteen", "-days", "15"))  # the warning comes for 14 days
    connects(site, site.options["tls-server-cert-file"])[0].login().quit()
    site.not_logged("expire")
    thirteen = dated(site, "thirteen", "-days", "13")
    site.set(tls_server_cert_file=thirteen)
    connects(site, thirteen)[0].login().quit()
    site.logged(f"^the certificate in {thirteen} expires at {day}; renew it$")
    try:
        past = dated(site, "past", "-days", "-1")
    except subprocess.CalledProcessError:  # OpenSSL 3.5 takes dates instead
        past = dated(site, "past", "-not_before", "20200101000000Z", "-not_after", "20200201000000Z")
    site.set(tls_server_cert_file=past)
    _, error = connects(site, past)
    assert isinstance(error, ssl.SSLCertVerificationError), "an expired certificate is served, and the client must see it"
    site.logged(f"^the certificate in {past} expired at {day}; clients will refuse it: renew it$")
    chain = site.dir / "chain.pem"
    chain.write_bytes(pathlib.Path(site.shared.cert).read_bytes() + thirteen.read_bytes())
    chain.chmod(0o644)
    site.set(tls_server_cert_file=chain)
    site.tls().login().quit()
    site.logged(rf"^certificate 2 \(an issuer's\) in {chain} expires at {day}; renew it$")


def chains(site):
    """The issuer's certificate behind the server's is sent along: a client that knows the root only can verify."""
    ca = make_certificate(site.dir, "ca", "Test CA", extra=("-addext", "basicConstraints=critical,CA:true", "-addext", KEY_USAGE))

    def issue(name, by, extension):
        key, cert = site.dir / f"{name}.key", site.dir / f"{name}.pem"
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                        "-subj", f"/CN={name}", "-out", site.dir / "csr"], check=True, stderr=subprocess.DEVNULL)
        (site.dir / "ext").write_text(extension)
        subprocess.run(["openssl", "x509", "-req", "-in", site.dir / "csr", "-CA", by[0], "-CAkey", by[1], "-CAcreateserial", "-days", "30",
                        "-extfile", site.dir / "ext", "-out", cert], check=True, stderr=subprocess.DEVNULL)
        key.chmod(0o600)
        return cert, key

    middle = issue("middle", ca, f"basicConstraints=critical,CA:true\n{KEY_USAGE}\n")
    leaf = issue("leaf", middle, f"subjectAltName=DNS:{HOST}\n")
    chain = site.dir / "chain.pem"
    chain.write_bytes(leaf[0].read_bytes() + middle[0].read_bytes())
    chain.chmod(0o644)
    site.set(tls_server_cert_file=leaf[0], tls_private_key_file=leaf[1])
    _, error = connects(site, ca[0])
    assert isinstance(error, ssl.SSLCertVerificationError), "verified without the chain"
    site.set(tls_server_cert_file=chain)
    session, error = connects(site, ca[0])
    equal("with the chain", error, None)
    session.login().quit()


def several_certificates(site):
    """SNI chooses; who names nobody, or a stranger, gets the first."""
    one, two = make_certificate(site.dir, "one", "one.example.com"), make_certificate(site.dir, "two", "*.example.org")
    rsa = make_certificate(site.dir, "rsa", "one.example.com", key="rsa:2048")
    bundle = site.dir / "all.pem"
    bundle.write_bytes(b"".join(pair[0].read_bytes() for pair in (one, two, rsa)))
    site.set(f"set tls-server-cert-file = {two[0]}", f"set tls-private-key-file = {two[1]}",
             f"set tls-server-cert-file = {rsa[0]}", f"set tls-private-key-file = {rsa[1]}",
             tls_support="alternate-port", tls_server_cert_file=one[0], tls_private_key_file=one[1])

    def subject(*words):
        with site.listen() as port:
            out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts", *words], input=b"QUIT\r\n",
                                 capture_output=True, timeout=30).stdout
        shown = re.search(rb"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", out, re.S)[0]
        found = [n for n, pair in (("one", one), ("two", two), ("rsa", rsa)) if shown in pair[0].read_bytes()]
        return found[0]

    site.shared_bundle = bundle
    for host in ("one.example.com", "x.example.org"):
        _, error = connects(site, bundle, host=host)
        equal(host, error, None)
    equal("the client names two", subject("-servername", "mail.example.org"), "two")
    equal("the client names one", subject("-servername", "one.example.com"), "one")
    equal("the client names one and knows RSA only", subject("-servername", "one.example.com", "-sigalgs", "RSA-PSS+SHA256"), "rsa")
    equal("the client names a stranger", subject("-servername", "pop.invalid"), "one")
    equal("the client names nobody", subject("-noservername"), "one")
    equal("the client names nobody and knows RSA only", subject("-noservername", "-sigalgs", "RSA-PSS+SHA256"), "rsa")
    site.set(f"set tls-private-key-file = {two[1]}", tls_server_cert_file=one[0], tls_private_key_file=one[1])
    s = site.open()
    assert "tls-private-key-file names more files than tls-server-cert-file" in s.hear(), "too many keys"


def alpn(site):
    s = site.tls()
    equal("protocol", s.tls.object.selected_alpn_protocol(), "pop3")
    context = ssl.create_default_context(cafile=str(site.shared.bundle))
    context.set_alpn_protocols(["h2", "http/1.1"])
    no_handshake(site, context, "a browser was served")
    site.logged("failed: the client wants another protocol than POP3")


def resumes(port, *words):
    """Whether s_client resumes a session; it saves or loads one as its arguments say."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    out = b""
    while b"+OK Qpopper" not in out:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, f"s_client ended: {out!r}"
        out += piece
    process.stdin.write(b"QUIT\r\n")
    process.stdin.close()
    out += process.stdout.read()
    process.stdout.close()
    process.wait(20)
    return b"Reused" in out


# option: tls-ticket-key-file
def tickets(site):
    site.set(tls_support="alternate-port").fill(1)
    keys = site.dir / "ticket.keys"
    saved = site.dir / "saved"

    def visit(*words):
        with site.listen() as port:
            return resumes(port, *words)

    for version in ("-tls1_2", "-tls1_3"):
        site.set(tls_ticket_key_file=None)
        saved.unlink(missing_ok=True)
        assert not visit(version, "-sess_out", str(saved)), "the first visit"
        if saved.exists():
            assert not visit(version, "-sess_in", str(saved)), "resumed without a key"
        keys.write_bytes(os.urandom(80))
        keys.chmod(0o600)
        site.set(tls_ticket_key_file=keys)
        assert not visit(version, "-sess_out", str(saved)), "the first visit"
        assert visit(version, "-sess_in", str(saved)), f"not resumed ({version})"
        keys.write_bytes(os.urandom(80) + keys.read_bytes())
        assert visit(version, "-sess_in", str(saved)), f"not resumed with the key before ({version})"
        keys.write_bytes(keys.read_bytes()[:80])
        assert not visit(version, "-sess_in", str(saved)), f"resumed with a key that is gone ({version})"
    site.logged(r"handshake with client at .*; reused session-id; cipher: ")
    site.set(tls_support="stls")
    keys.write_bytes(b"x" * 79)
    refused(site, f"the ticket key file {keys} must have 80 bytes for each key, .*openssl rand -out {keys} 80")
    keys.chmod(0o644)
    refused(site, f"the ticket key file {keys} can be read by others")


def standalone(site):
    """One process makes the ticket key; HUP brings new certificates to new sessions, and broken ones change nothing."""
    cert, key = (shutil.copy(f, site.dir) for f in (site.shared.cert, site.shared.key))
    other_cert, other_key = make_certificate(site.dir, "other")
    site.set(tls_support="alternate-port", tls_server_cert_file=cert, tls_private_key_file=key)

    def served(port):
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=10).strip()

    def is_in(path):
        return pathlib.Path(path).read_text().strip()

    with site.standalone() as (server, port):
        saved = site.dir / "saved"
        assert not resumes(port, "-sess_out", str(saved)), "the first visit"
        assert resumes(port, "-sess_in", str(saved)), "not resumed"
        equal("certificate", served(port), is_in(site.shared.cert))
        shutil.copy(other_cert, cert)  # and not the key: broken
        server.send_signal(signal.SIGHUP)
        site.logged(f"the configuration stays as it was, because the new one is wrong: the private key in {key} does not belong to")
        shutil.copy(other_key, key)
        server.send_signal(signal.SIGHUP)
        site.logged("the configuration was read again")
        equal("certificate", served(port), is_in(other_cert))
    site.set(tls_private_key_file=site.dir / "none.key")
    server = subprocess.run([site.command()[0], "127.0.0.1:0", *site.command()[1:]], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=20, text=True)
    assert server.returncode == 1 and f"the private key {site.dir}/none.key cannot be opened" in server.stderr, server


def server_random(site, port):
    """What the server's first handshake message says is random; the session is then left."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        if site.options["tls-support"] == "stls":
            s.recv(1000)
            s.sendall(b"STLS\r\n")
            assert s.recv(1000).startswith(b"+OK")
        _, hello = TlsEnd(site.shared.bundle).shake_hands(None)
        s.sendall(hello)
        answer = b""
        while len(answer) < 43:
            answer += s.recv(1000) or b"the server closed".ljust(43)
    assert answer[0] == 22 and answer[5] == 2, f"no ServerHello: {answer!r}"
    return answer[11:43]


def one_library_for_all(site):
    """All relays come from one process that has the library (tlsready.py is about that); what they call random differs."""
    for support, password in (("alternate-port", "default"), ("stls", "tls"), ("stls", "default")):
        site.trace.unlink(missing_ok=True)
        site.set(tls_support=support, clear_text_password=password)
        with site.standalone() as (_, port):
            randoms = [server_random(site, port) for _ in range(6)]
            equal(f"{support}, {password}: different ones", len(set(randoms)), 6)
        site.logged("ended$")
        site.not_logged("killed|refused")


def module_missing(site):
    (site.dir / "bin").mkdir()
    site.popper = shutil.copy(POPPER, site.dir / "bin")
    refused(site, r".*/popper-tls\.so is missing: ")
    module = shutil.copy(POPPER.parent / "popper-tls.so", site.dir / "bin")
    site.tls().login().quit()
    os.chmod(module, 0o666)
    if ROOT:
        refused(site, f"{module} must belong to root and be writable to nobody else")
    pathlib.Path(module).write_bytes(b"nonsense")
    os.chmod(module, 0o644)
    refused(site, f"{module} cannot be loaded: ")


CASES = [wrong_files, modes_and_owners, unreadable, wrong_at_the_alternate_port, expiry, chains, several_certificates, alpn, tickets, standalone, one_library_for_all,
         module_missing]

if __name__ == "__main__":
    sys.exit(main(CASES))
