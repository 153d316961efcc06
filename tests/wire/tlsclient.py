"""tlsclient: the client's TLS between a transcript and a socket, without any waiting of its own; and certificates for tests.
"""
import pathlib
import ssl
import subprocess

HOST = "pop.example.com"


def make_certificate(directory, name="server", host=HOST, days=200, key="ec", extra=()):
    """A self-signed certificate DIRECTORY/NAME.pem with its key NAME.key (0600). Both paths."""
    cert, private = pathlib.Path(directory) / f"{name}.pem", pathlib.Path(directory) / f"{name}.key"
    kind = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if key == "ec" else [key]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", private, "-out", cert, "-days", str(days),
                    "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", *extra],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    private.chmod(0o600)
    cert.chmod(0o644)
    return cert, private


class TlsEnd:
    """Turns what the socket gave into plain text and plain text into what goes to the socket."""

    def __init__(self, cafile, host=HOST):
        context = ssl.create_default_context(cafile=str(cafile))
        context.set_alpn_protocols(["pop3"])
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.goodbye = False  # the server said that it sends no more

    def shake_hands(self, data):
        """(done, what to send), given what came (None: nothing yet; b"": the end)."""
        if data is not None:
            self.feed(data)
        try:
            self.object.do_handshake()
            return True, self.outgoing.read()
        except ssl.SSLWantReadError:
            return False, self.outgoing.read()

    def feed(self, data):
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def decrypt(self, data):
        """(plain text, whether it is the end); data None: what came with the handshake."""
        plain = b""
        if data is not None:
            self.feed(data)
        try:
            while piece := self.object.read(1 << 18):
                plain += piece
            self.goodbye = True
            return plain, True
        except ssl.SSLWantReadError:
            return plain, False
        except ssl.SSLZeroReturnError:
            self.goodbye = True
            return plain, True
        except ssl.SSLError:
            return plain, True

    def encrypt(self, plain):
        self.object.write(plain)
        return self.outgoing.read()

    def say_goodbye(self):
        """What says that we send no more; we still read."""
        try:
            self.object.unwrap()
        except ssl.SSLError:
            pass
        return self.outgoing.read()
