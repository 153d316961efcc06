#!/usr/bin/python3
"""trespass.py: every role of a session is told to make a call that it may not make, in the middle of its work (popper-trespass, trespass.c). Where there is
a sandbox the role dies of it, the log says so, and no mail is lost; where there is none (keeper, resolver, the database of bulletins) the kernel refuses it
to who they are. Prints TAP.

As anybody it shows the sandboxes, as root (CI) who everybody is, too, in a spool 1777 and in one root:mail 2775.
"""
import base64
import contextlib
import errno
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

from cases import FORM, ROOT, SANDBOXED, equal, need, need_tls, run_cases
from spoolsite import MAIL_GID, POPPER, Site
import kdcsite
import mbox
from play import readable_by_others
from recover import interrupt
import saslclient
from tlsclient import HOST, make_certificate
from world import features

BUILT = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()
OPEN, GROUP = (0o1777, 0), (0o2775, MAIL_GID)
BEFORE = b"".join(mbox.message(n) for n in range(1, 5))
AFTER = b"".join(mbox.message(n) for n in (1, 3, 4))

# What kills: issue 4 and the list in sandbox_gen.c.
DEADLY = ["open", "creat", "execve", "socket", "connect", "ptrace", "read-memory", "kill", "setuid", "setgid", "setgroups", "fork", "chroot", "mount",
          "unlink", "rename", "chmod", "memfd", "io-uring", "userns"]

# What who has no sandbox gets instead: call, error, and whether only root's server shows it.
REFUSED = [("open", errno.EACCES, True), ("kill", errno.EPERM, True), ("ptrace", errno.EPERM, True), ("read-memory", errno.EPERM, True),
           ("setuid", errno.EPERM, True), ("setgid", errno.EPERM, True), ("setgroups", errno.EPERM, True), ("chroot", errno.EPERM, True),
           ("mount", errno.EPERM, True), ("chmod", errno.EPERM, True)]


def traitor():
    program = BUILT.parent / "popper-trespass"
    need(program.exists(), "no popper-trespass")
    program = pathlib.Path(readable_by_others(program, traitor.directory.name))
    for name in ("popper-tls.so", "popper-krb5.so", "popper-drac.so"):
        module = BUILT.parent / name
        if module.exists() and program.parent != BUILT.parent and not (program.parent / name).exists():
            shutil.copy(module, program.parent)
    return program


traitor.directory = tempfile.TemporaryDirectory(prefix="popper-traitor.")
os.chmod(traitor.directory.name, 0o755)


class Note:
    """What the traitor did; see struct note in trespass.c."""

    def __init__(self, site):
        self.path = site.dir / "note"
        self.path.write_bytes(bytes(20))

    def read(self):
        """attempts, pid, whether it came back, error"""
        return struct.unpack("iiii", self.path.read_bytes()[:16])

    def go_on(self):
        with open(self.path, "r+b") as file:
            file.seek(16)
            file.write(b"\1")


class Client:
    """Over loopback TCP, the server started as inetd would, with the traitor in it."""

    def __init__(self, site, role, call, first=b"", more=()):
        self.note = Note(site)
        environment = {"TRESPASS": f"{role}:{call}", "TRESPASS_NOTE": str(self.note.path), **dict(more)}
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.socket = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
        with theirs:
            self.server = subprocess.Popen([traitor(), "-f", site.conf, "-t", site.trace], stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", env=environment)
        self.socket.settimeout(20)
        self.lines = self.socket.makefile("rb")
        self.socket.sendall(first)

    def hear(self):
        """"" at the end, also when it was a reset."""
        try:
            return self.lines.readline().decode("latin-1")
        except ConnectionError:
            return ""

    def say(self, line):
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(line.encode() + b"\r\n")
        return self.hear()

    def begin_tls(self, certificate):
        context = ssl.create_default_context(cafile=str(certificate))
        self.say("STLS")
        self.socket = context.wrap_socket(self.socket, server_hostname=HOST)
        self.lines = self.socket.makefile("rb")

    def close(self):
        self.lines.close()
        self.socket.close()
        return self.server.wait(20)


# ---- how far a client gets when somebody dies; each returns all that it heard

def before_login(client):
    return [client.hear(), client.say("CAPA"), client.hear()]


def after_login(client):
    assert client.hear().startswith("+OK"), "no greeting"
    client.say("USER alice")
    assert client.say("PASS secret").startswith("+OK"), "login"
    return [client.say("DELE 2"), client.say("RSET"), client.say("QUIT"), client.hear()]


def until_quit(client):
    assert client.hear().startswith("+OK"), "no greeting"
    client.say("USER alice")
    client.say("PASS secret")
    assert client.say("DELE 2").startswith("+OK"), "DELE"
    return [client.say("QUIT"), client.hear()]


def inside_tls(client):
    assert client.hear().startswith("+OK"), "no greeting"
    client.begin_tls(inside_tls.certificate)
    return [client.say("CAPA"), client.hear()]


def by_auth(client):
    greeting = client.hear()
    assert greeting.startswith("+OK"), "no greeting"
    stamp = re.search("<.*>", greeting)[0]
    assert client.say("AUTH CRAM-MD5").startswith("+ "), "no challenge"
    reply = client.say(base64.b64encode(saslclient.cram_md5(stamp.encode(), b"alice", b"tanstaaf")).decode())
    return [reply, client.say("QUIT"), client.hear()]


SANDBOXES = {
    # role: how the client goes on, options, what the client says first, the record
    "preauth": (before_login, [], b"", "client 127.0.0.1: the preauth process was killed by the sandbox"),
    "proxyreader": (before_login, ["proxy-networks = 127.0.0.1"], b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 110\r\n",
                    "client 127.0.0.1: the preauth process was killed by the sandbox"),
    "tlsrelay": (inside_tls, ["tls-support = stls"], b"", "client 127.0.0.1: the tlsrelay process was killed by the sandbox"),
    "saslstate": (by_auth, ["apop-file = {dir}/pop.auth"], b"", "the saslstate process was killed by the sandbox"),
    "session": (after_login, [], b"", "session of alice: the session process was killed by the sandbox"),
    "update": (until_quit, [], b"", "session of alice: the session process was killed by the sandbox"),
}


def options_of(site_options):
    if any("tls" in option for option in site_options):
        need_tls()
        need(shutil.which("openssl"), "no openssl")
        if not hasattr(inside_tls, "certificate"):
            inside_tls.certificate, inside_tls.key = make_certificate(traitor.directory.name)
        site_options = [*site_options, f"tls-server-cert-file = {inside_tls.certificate}", f"tls-private-key-file = {inside_tls.key}"]
    if any("apop-file" in option for option in site_options):
        need("APOP" in features(POPPER), "the database of secrets is not built")
        database = pathlib.Path(traitor.directory.name) / "pop.auth"
        for words in (["-init"], ["-user", "alice", "tanstaaf"]):
            subprocess.run([BUILT.parent / "popauth", "-file", database, *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        site_options = [option.format(dir=traitor.directory.name) for option in site_options]
    return site_options


def dies(role, spool):
    need(FORM != "short", "not in the short form")
    need(SANDBOXED, "the sandbox is not enforced in this build")
    play_role, options, first, record = SANDBOXES[role]
    site = Site(("alice",), options_of(options), *spool)
    try:
        for call in DEADLY:
            site.fill("alice", BEFORE)
            site.trace.unlink(missing_ok=True)
            client = Client(site, role, call, first)
            try:
                heard = play_role(client)
            finally:
                status = client.close()
            attempts, pid, returned, error = client.note.read()
            equal(f"{call}: attempts", attempts, 1)
            assert not returned, f"{call} came back with error {error} ({os.strerror(error)})"
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"{call}: process {pid} lives"
            equal(f"{call}: exit status of the server", status, 0 if role in ("proxyreader", "saslstate") else 75)
            equal(f"{call}: the end of the connection", heard[-1], "")
            assert record in site.log(), f"{call}: no record {record!r} in {site.log()}"
            equal(f"{call}: the maildrop", site.drop().read_bytes(), BEFORE)
            equal(f"{call}: what is left in the spool", [p.name for p in site.spool.iterdir() if p.name not in ("alice", ".alice.cache")], [])
        # Without the traitor all is well.
        client = Client(site, "nobody", "open", first)
        assert not any("-ERR" in line for line in play_role(client)), "the role does not work even without a traitor"
        client.close()
    finally:
        site.remove()


@contextlib.contextmanager
def kerberos_site(choose=lambda settings: settings):
    """choose: which of the options of a service of Kerberos."""
    with kdcsite.service_without_kdc(tempfile.mkdtemp(prefix="kdc.", dir=traitor.directory.name), HOST) as settings:
        site = Site(("alice",), choose(settings))
        try:
            yield site
        finally:
            site.remove()


def kpop_dies():
    """It may open files, in a root directory that has one."""
    need(FORM != "short", "not in the short form")
    need(SANDBOXED, "the sandbox is not enforced in this build")
    need("Kerberos" in features(POPPER), "Kerberos is not built")
    need(ROOT, "not root: no root directory and no /etc of its own")
    need(shutil.which("ktutil"), "no ktutil (package krb5-user)")
    refusals = {"open": "ENOENT", "creat": "ENOENT", "memfd": "ENOSYS"}
    with kerberos_site() as site:
        for call in DEADLY:
            site.trace.unlink(missing_ok=True)
            client = Client(site, "kpop", call, kdcsite.NO_TICKET)
            heard = client.hear()
            status = client.close()
            attempts, pid, returned, error = client.note.read()
            if call in refusals:
                equal(f"{call}: it came back", (attempts, returned, errno.errorcode.get(error)), (1, 1, refusals[call]))
                continue
            equal(f"{call}: attempts, and whether it came back", (attempts, returned), (1, 0))
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"{call}: process {pid} lives"
            equal(f"{call}: what the client hears", heard, "")
            equal(f"{call}: exit status of the server", status, 0)
            record = "no Kerberos for client 127.0.0.1: the kpop process was killed by the sandbox"
            assert record in site.log(), f"{call}: no record {record!r} in {site.log()}"
        client = Client(site, "nobody", "open", kdcsite.NO_TICKET)
        assert "-ERR [AUTH] Kerberos authentication failed." in client.hear(), "the role does not work even without a traitor"
        client.close()


def gssapi_dies():
    """What serves AUTH GSSAPI: as kpop, but its library may ask for a socket in vain."""
    need(FORM != "short", "not in the short form")
    need(SANDBOXED, "the sandbox is not enforced in this build")
    need("GSSAPI" in features(POPPER), "GSSAPI is not built")
    need(ROOT, "not root: no root directory and no /etc of its own")
    need(shutil.which("ktutil"), "no ktutil (package krb5-user)")
    refusals = {"open": "ENOENT", "creat": "ENOENT", "memfd": "ENOSYS", "socket": "ENOSYS"}
    with kerberos_site(lambda settings: ["gssapi"] + [s for s in settings if s.startswith(("kerberos-keytab", "kerberos-replay-dir"))]) as site:
        for call in DEADLY:
            site.trace.unlink(missing_ok=True)
            client = Client(site, "saslticket", call)
            assert client.hear().startswith("+OK"), "no greeting"
            assert client.say("AUTH GSSAPI").startswith("+"), "no GSSAPI"
            heard = client.say(base64.b64encode(b"no ticket").decode())
            client.close()
            attempts, pid, returned, error = client.note.read()
            assert attempts, f"{call}: not reached: {heard!r}, {site.log()}"
            if call in refusals:
                equal(f"{call}: it came back", (attempts, returned, errno.errorcode.get(error)), (1, 1, refusals[call]))
                continue
            equal(f"{call}: attempts, and whether it came back", (attempts, returned), (1, 0))
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"{call}: process {pid} lives"
            assert heard.startswith("-ERR [SYS/TEMP] "), f"{call}: the client hears {heard!r}"
            record = "the gssapi process was killed by the sandbox"
            assert record in site.log(), f"{call}: no record {record!r} in {site.log()}"


def dracteller_may_not():
    need("DRAC" in features(POPPER), "DRAC is not built")
    refused("dracteller", ["drac-host = 127.0.0.1"], GROUP)


def orphans_end(options, first):
    """Whose parent dies before he knows, at the very beginning, ends as well: otherwise he would serve somebody whom nobody counts any more."""
    need(FORM != "short", "not in the short form")
    site = Site(("alice",), options)
    try:
        client = Client(site, "birth", "pause", first)
        end = time.monotonic() + 20
        while not client.note.read()[0]:
            assert time.monotonic() < end, "no child"
            time.sleep(0.01)
        client.server.kill()
        client.server.wait()
        client.note.go_on()
        client.socket.settimeout(5)
        equal("what the client hears", client.hear(), "")
        client.close()
    finally:
        site.remove()


def recovery_dies():
    """Whoever settles a journal dies over it; the next one settles it."""
    need(FORM != "short", "not in the short form")
    need(SANDBOXED, "the sandbox is not enforced in this build")
    site = Site()
    try:
        site.fill("alice", BEFORE)
        interrupt(site, "alice", 3)
        journal = site.spool / ".alice.journal"
        kept, torn = journal.read_bytes(), site.drop().read_bytes()
        for call in DEADLY:
            note = Note(site)
            done = subprocess.run([traitor(), "--recover", "alice", "-f", site.conf, "-t", site.trace], capture_output=True, text=True, cwd="/", timeout=20,
                                  env={"TRESPASS": f"recovery:{call}", "TRESPASS_NOTE": str(note.path)}, check=False)
            attempts, _, returned, error = note.read()
            equal(f"{call}: attempts, and whether it came back", (attempts, returned, error), (1, 0, 0))
            assert done.returncode == 1 and "could not be settled" in done.stdout + done.stderr, f"{call}: {done}"
            assert "recovery of alice: the session process was killed by the sandbox" in site.log(), f"{call}: {site.log()}"
            equal(f"{call}: journal and maildrop", (journal.read_bytes(), site.drop().read_bytes()), (kept, torn))
            site.trace.unlink()
        equal("recovery in the end", site.run("--recover", "alice").stdout, "alice: settled\n")
        assert site.drop().read_bytes() in (BEFORE, AFTER), "the maildrop is torn"
        equal("files", sorted(p.name for p in site.spool.iterdir() if not p.name.endswith(".cache")), ["alice"])
    finally:
        site.remove()


# ---- popper-mangle, a program of its own

# These its filter refuses without killing: a strange charset or an odd library looks for a file, and does well without it.
MISSED = ["open", "creat"]
CONVERTED = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit", ""]


class MangleTraitor:
    """popper with popper-mangle-trespass in the place of popper-mangle."""

    def __init__(self, site):
        program = BUILT.parent / "popper-mangle-trespass"
        need(program.exists(), "popper-mangle is not built")
        self.site = site
        self.directory = site.dir / "bin"
        self.directory.mkdir()
        self.directory.chmod(0o755)
        shutil.copy(POPPER, self.directory / "popper")
        shutil.copy(program, self.directory / "popper-mangle")
        self.note = self.directory / "mangle-note"

    def play(self, call, dialogue):
        """The replies to the whole dialogue, and the note."""
        (self.directory / "mangle-call").write_text(call)
        self.note.write_bytes(bytes(20))
        self.note.chmod(0o666)
        self.site.trace.unlink(missing_ok=True)
        done = subprocess.run([self.directory / "popper", "-f", self.site.conf, "-t", self.site.trace], input="\r\n".join([*dialogue, ""]).encode(),
                              capture_output=True, check=False, cwd="/", timeout=30)
        equal(f"{call}: exit status of the server", done.returncode, 0)
        return done.stdout.decode().split("\r\n"), struct.unpack("iiii", self.note.read_bytes()[:16])


def the_mangler_dies(spool):
    """The client hears of it, the next message is converted by another worker, and the session goes on to its end."""
    need(SANDBOXED, "the sandbox is not enforced in this build")
    site = Site(("alice",), [], *spool)
    letter = b"From a@b Mon Nov 23 05:00:00 2026\nSubject: %d\n\ntext %d\n\n"
    before = letter % (1, 1) + letter % (2, 2)
    wanted = "XMANGLE(headers=x-none)"
    dialogue = ["USER alice", "PASS secret", f"RETR 1 {wanted}", f"RETR 1 {wanted}", "DELE 2", "QUIT"]
    said = "the mangler process was killed by the sandbox"
    try:
        traitor_there = MangleTraitor(site)
        # memfd: its answers are such files.
        for call in [call for call in DEADLY if call != "memfd"]:
            site.fill("alice", before)
            replies, (attempts, pid, returned, error) = traitor_there.play(call, dialogue)
            equal(f"{call}: attempts", attempts, 1)
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"{call}: process {pid} lives"
            refusals = [line for line in replies if line.startswith("-ERR")]
            logged = f"a message of alice could not be converted to text (popper-mangle): {said}" in site.log()
            if call in MISSED:
                equal(f"{call}: came back, with an error", (returned, errno.errorcode.get(error)), (1, "ENOSYS"))
                equal(f"{call}: refusals, records", (refusals, logged), ([], False))
            else:
                assert not returned, f"{call} came back with error {error} ({os.strerror(error)})"
                equal(f"{call}: refusals", [line.partition(": it tried")[0] for line in refusals], [f"-ERR [SYS/TEMP] Message 1 cannot be converted: {said}"])
                assert logged, f"{call}: no record {said!r} in {site.log()}"
            equal(f"{call}: how often the message was converted", "\n".join(replies).count("\n".join([*CONVERTED, "text 1"])), 2 if call in MISSED else 1)
            equal(f"{call}: the maildrop in the end", mbox_without_marks(site.drop().read_bytes()), letter % (1, 1))
    finally:
        site.remove()


def mbox_without_marks(content):
    return re.sub(rb"(?m)^(Status|X-UIDL|X-[A-Z-]+): .*\n", b"", content)


# ---- who has no sandbox has no rights

def refused(role, options, spool):
    """The call comes back with an error, and the session goes on."""
    need(FORM != "short", "not in the short form")
    need(ROOT, "not root: everybody is the same user")
    site = Site(("alice", "bob"), [option.format(dir=traitor.directory.name) for option in options], *spool)
    try:
        site.fill("bob", BEFORE)
        site.fill("alice", BEFORE)
        site.open().quit()
        for name, call, more, expected in [(call, call, {}, error) for call, error, _ in REFUSED] + [
                ("bob's mail", "open", {"TRESPASS_FILE": str(site.drop("bob"))}, errno.EACCES)]:
            site.fill("alice", BEFORE)
            client = Client(site, role, call, more=more.items())
            assert client.hear().startswith("+OK"), f"{name}: no greeting"
            client.say("USER alice")
            reply = client.say("PASS secret")
            assert reply.startswith("+OK alice has "), f"{name}: login: {reply}"
            assert client.say("QUIT").startswith("+OK"), f"{name}: QUIT"
            equal(f"{name}: exit status", client.close(), 0)
            attempts, _, returned, error = client.note.read()
            equal(f"{name}: attempts, and whether it came back", (attempts, returned), (1, 1))
            equal(f"{name}: the answer", errno.errorcode.get(error, "success"), errno.errorcode[expected])
    finally:
        site.remove()


def bulletins():
    """A directory of bulletins with a database of an ordinary user."""
    directory = pathlib.Path(traitor.directory.name) / "bulls"
    if not directory.exists():
        directory.mkdir()
        (directory / "1.one").write_bytes(mbox.message(77))
        for name in ("bulldb.pag", "bulldb.dir"):
            (directory / name).touch()
            if ROOT:
                os.chown(directory / name, 64099, 64099)
    return directory


def refused_to_the_database(spool):
    done = subprocess.run([POPPER, "--list-options"], capture_output=True, text=True, check=True)
    row = next(line.split("\t") for line in done.stdout.splitlines() if line.startswith("bulldb-max-tries\t"))
    need(row[5] == "yes", "the database of bulletins is not built")
    refused("bulldb", [f"bulldir = {bulletins()}"], spool)


def dracteller_dies():
    """Once it has found the host; the session suffers nothing, and the log says that nobody was told."""
    need(FORM != "short", "not in the short form")
    need(SANDBOXED, "the sandbox is not enforced in this build")
    need("DRAC" in features(POPPER), "DRAC is not built")
    site = Site(("alice",), ["drac-host = 127.0.0.1"])
    try:
        for call in DEADLY:
            site.fill("alice", BEFORE)
            site.trace.unlink(missing_ok=True)
            client = Client(site, "drac", call)
            assert not any(line.startswith("-ERR") for line in until_quit(client)), f"{call}: the session suffers"
            equal(f"{call}: exit status", client.close(), 0)
            attempts, pid, returned, error = client.note.read()
            equal(f"{call}: attempts, and whether it came back", (attempts, returned, error), (1, 0, 0))
            assert not pathlib.Path(f"/proc/{pid}").exists(), f"{call}: process {pid} lives"
            record = "so mail from there may be refused: the drac process was killed by the sandbox"
            assert record in site.log(), f"{call}: no record {record!r} in {site.log()}"
            equal(f"{call}: the maildrop", site.drop().read_bytes(), AFTER)
    finally:
        site.remove()


def no_traitor_is_shipped():
    for program in (POPPER, BUILT.parent / "popper-tls.so", BUILT.parent / "popper-mangle"):
        if pathlib.Path(program).exists():
            assert b"mangle-call" not in pathlib.Path(program).read_bytes(), f"{program} has a traitor in it"
            assert b"TRESPASS" not in pathlib.Path(program).read_bytes(), f"{program} has a traitor in it"
    need((BUILT.parent / "popper-trespass").exists(), "no popper-trespass")
    assert b"TRESPASS" in (BUILT.parent / "popper-trespass").read_bytes(), "this test looks for the wrong thing"


CASES = [("no traitor is shipped", no_traitor_is_shipped)]
CASES += [(f"{role} dies of a forbidden call, spool 1777", dies, role, OPEN) for role in SANDBOXES]
CASES += [("update dies of a forbidden call, spool 2775", dies, "update", GROUP),
          ("recovery dies of a forbidden call", recovery_dies),
          ("popper-mangle dies of a forbidden call, spool 1777", the_mangler_dies, OPEN),
          ("popper-mangle dies of a forbidden call, spool 2775", the_mangler_dies, GROUP),
          ("preauth ends with its monitor from the beginning", orphans_end, [], b""),
          ("proxyreader ends with its monitor from the beginning", orphans_end, ["proxy-networks = 127.0.0.1"], b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 110\r\n"),
          ("the keeper may not, spool 1777", refused, "keeper", [], OPEN),
          ("the keeper may not, spool 2775", refused, "keeper", [], GROUP),
          ("the resolver may not, spool 2775", refused, "resolver", ["reverse-lookup = true"], GROUP),
          ("the process of the bulletin database may not, spool 2775", refused_to_the_database, GROUP),
          ("dracteller's process that talks may not, spool 2775", dracteller_may_not),
          ("dracteller's process that talks dies of a forbidden call", dracteller_dies),
          ("what serves AUTH GSSAPI dies of a forbidden call", gssapi_dies),
          ("kpop dies of a forbidden call", kpop_dies)]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
