"""saslclient: the client's side of the mechanisms of AUTH, written from the RFCs for the tests; it shares nothing with the server.

An exchange takes the server's challenges one by one and gives the client's messages; it checks the server's signature itself.
"""
import base64
import hashlib
import hmac
import os


class Refused(Exception):
    """The client does not believe the server."""


def cram_md5(challenge, name, secret):
    return name + b" " + hmac.new(secret, challenge, "md5").hexdigest().encode()


def plain(name, secret, authzid=b""):
    return authzid + b"\0" + name + b"\0" + secret


class Scram:
    """flag: b"n", b"y" or b"p=NAME"; data: what it binds to. break_*: what a bad client does."""

    def __init__(self, hash_name, name, secret, authzid=b"", flag=b"n", data=b"", nonce=None, break_proof=False, break_nonce=False,
                 break_end=False):
        self.hash, self.secret, self.state = hash_name, secret, 0
        self.header = flag + b"," + (b"a=" + authzid if authzid else b"") + b","
        self.data, self.break_proof, self.break_nonce = data, break_proof, break_nonce
        self.break_end = break_end
        self.nonce = nonce or base64.b64encode(os.urandom(18))
        self.bare = b"n=" + name.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=" + self.nonce

    def hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def step(self, challenge):
        self.state += 1
        return (self.first, self.final, self.last)[self.state - 1](challenge)

    def first(self, challenge):
        if challenge:
            raise Refused("the server speaks first")
        return self.header + self.bare

    def final(self, challenge):
        parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
        if not parts[b"r"].startswith(self.nonce) or len(parts[b"r"]) <= len(self.nonce):
            raise Refused("a nonce that is not ours")
        self.salt, self.iterations = base64.b64decode(parts[b"s"]), int(parts[b"i"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.secret, self.salt, self.iterations)
        client = self.hmac(salted, b"Client Key")
        nonce = parts[b"r"][:-1] if self.break_nonce else parts[b"r"]
        without = b"c=" + base64.b64encode(self.header + self.data) + b",r=" + nonce
        message = self.bare + b"," + challenge + b"," + without
        signature = self.hmac(hashlib.new(self.hash, client).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        if self.break_proof:
            proof = bytes([proof[0] ^ 1]) + proof[1:]
        self.expected = b"v=" + base64.b64encode(self.hmac(self.hmac(salted, b"Server Key"), message))
        return without + b",p=" + base64.b64encode(proof)

    def last(self, challenge):
        if challenge != self.expected:
            raise Refused(f"the server does not know the secret: {challenge!r}")
        return b"more" if self.break_end else b""


class Answers:
    """Fixed messages, or functions of the challenge."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def step(self, challenge):
        answer = self.answers.pop(0)
        return answer(challenge) if callable(answer) else answer


def exchange(mechanism, name, secret, binding=None, **more):
    """An exchange by its name in AUTH. name, secret: bytes. binding: (name, data) for -PLUS."""
    mechanism = mechanism.upper()
    if mechanism.startswith("SCRAM-"):
        plus = mechanism.endswith("-PLUS")
        if plus and "flag" not in more:
            more |= {"flag": b"p=" + binding[0].encode(), "data": binding[1]}
        return Scram("sha256" if "256" in mechanism else "sha1", name, secret, **more)
    if mechanism == "CRAM-MD5":
        return Answers(lambda challenge: cram_md5(challenge, name, secret))
    if mechanism == "PLAIN":
        return Answers(plain(name, secret, **more))
    if mechanism == "LOGIN":
        return Answers(name, secret)
    raise ValueError(f"no mechanism {mechanism}")


def server_first(mechanism):
    return mechanism.upper() in ("CRAM-MD5", "LOGIN")
