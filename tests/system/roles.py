#!/usr/bin/python3
"""roles.py: the processes of a session seen from outside: who they are (uid, gid, groups, sandbox, descriptors), what is left when one of them is
killed, and how two sessions of one user exclude each other or take over. Prints TAP.

Uids are looked at by root only; everything else runs as anybody. Under CI, as root, nothing is skipped.
"""
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import kdcsite
import mbox
from cases import POPPER, ROOT, SANDBOXED, SANITIZED, children, equal, memory, need, run_cases, status, telling, wait_until
import spoolsite
from spoolsite import HASH, MAIL_GID
from world import features, hash_of

UID = 64001 if ROOT else os.getuid()
GID = 64001 if ROOT else os.getgid()


class Site(spoolsite.Site):
    """A spool with one user, alice."""

    def __init__(self, spool_mode=0o1777, spool_gid=0, config=()):
        super().__init__(config=("debug", *config), spool_mode=spool_mode, spool_gid=spool_gid)
        self.sessions = []

    def put(self, *numbers):
        self.fill("alice", b"".join(mbox.message(n) for n in numbers))

    def open(self, *wrapper):
        session = Session(self, wrapper)
        self.sessions.append(session)
        return session

    def close(self):
        for s in self.sessions:
            s.hang_up()
        for s in self.sessions:
            try:
                s.process.wait(5)
            except subprocess.TimeoutExpired:
                s.process.kill()
                raise AssertionError("a server did not end within 5 s of its client") from None
        self.remove()


def bad_inheritance():
    """What a careless parent may leave: the server must put it right."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGURG, signal.SIGCHLD})
    os.umask(0)


class Session:
    """One connection over loopback TCP, the server started as inetd would."""

    def __init__(self, site, wrapper):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.socket = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
        extra = os.open("/etc/hostname" if os.path.exists("/etc/hostname") else "/etc/passwd", os.O_RDONLY)
        self.process = subprocess.Popen([*wrapper, POPPER, "-f", site.dir / "conf", "-t", site.trace], stdin=theirs, stdout=theirs, stderr=theirs,
                                        pass_fds=(extra,), preexec_fn=None if wrapper else bad_inheritance)
        os.close(extra)
        theirs.close()
        self.socket.settimeout(10)
        self.lines = self.socket.makefile("rb")

    def hear(self):
        return self.lines.readline().decode()

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.hear()

    def login(self):
        assert self.hear().startswith("+OK"), "no greeting"
        assert self.say("USER alice").startswith("+OK"), "USER refused"
        return self.say("PASS secret")

    def must_login(self):
        reply = self.login()
        assert reply.startswith("+OK"), f"login: {reply}"
        return self

    def child(self):
        """The pid of the one child of the server besides the process that waits for a password (root's, without the client): preauth before the login,
        the session after."""
        wait_until("the one child besides", lambda: len(serving(self.process.pid)) == 1)
        return serving(self.process.pid)[0]

    def hang_up(self):
        self.lines.close()
        self.socket.close()

    def hung_up(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def waits_for_a_password(pid, monitor):
    """It has the monitor's uid, but not the client's connection."""
    try:
        return os.readlink(f"/proc/{pid}/fd/0") == "/dev/null" and ids(pid, "Uid") == ids(monitor, "Uid")
    except OSError:  # not dumpable, or gone
        return False


def serving(pid):
    return [p for p in children(pid) if not waits_for_a_password(p, pid)]


def ids(pid, field):
    return [int(n) for n in status(pid)[field].split()]


def assert_powerless(pid, uid, gid):
    equal("uids", ids(pid, "Uid"), [uid] * 4)
    equal("gids", ids(pid, "Gid"), [gid] * 4)
    equal("groups", ids(pid, "Groups"), [gid])
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(field, int(status(pid)[field], 16), 0)


def assert_signals_ignored(pid):
    """SIGPIPE and SIGXFSZ: what was being written fails instead."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        equal(f"ignores {number.name}", int(status(pid)["SigIgn"], 16) >> (number - 1) & 1, 1)


def assert_closed_in(pid):
    equal("no_new_privs", ids(pid, "NoNewPrivs"), [1])
    assert_signals_ignored(pid)
    if SANDBOXED:
        equal("seccomp", ids(pid, "Seccomp"), [2])
    equal("owner of /proc/PID/mem (0 says not dumpable)", os.stat(f"/proc/{pid}/mem").st_uid, 0)


def assert_limited(pid, files):
    """The limits of sandbox.c: no core, no new process, so many descriptors; none of them can be raised again."""
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    limits = {line[:25].strip(): line[26:].split()[:2] for line in lines}
    for name, most in (("Max core file size", 0), ("Max processes", 0), ("Max open files", files)):
        equal(f"{name}, soft and hard", limits[name], [str(most)] * 2)


def descriptors(pid):
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


# ---- who they are

def preauth_is_nobody(site):
    need(ROOT, "not root")
    s = site.open()
    s.hear()
    nobody = [line.split(":") for line in open("/etc/passwd") if line.startswith("nobody:")][0]
    equal("monitor's uids", ids(s.process.pid, "Uid"), [0] * 4)
    assert_powerless(s.child(), int(nobody[2]), int(nobody[3]))
    root = os.readlink(f"/proc/{s.child()}/root")
    assert root == "/var/empty" or root.startswith("/proc/"), f"root directory: {root}"


def preauth_is_closed_in(site):
    s = site.open()
    s.hear()
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    assert_closed_in(s.child())
    assert_limited(s.child(), 16)
    kinds = sorted(v.split(":")[0] for v in descriptors(s.child()).values())
    equal("descriptors", kinds, ["/dev/null", "socket", "socket", "socket"])


def one_more(monitor, before):
    wait_until("one process more", lambda: len(set(serving(monitor)) - before) == 1)
    return (set(serving(monitor)) - before).pop()


def saslstate_is_nobody(site):
    need(ROOT, "not root")
    need("APOP" in features(POPPER), "the database of secrets is not built")
    need(not SANITIZED, "sanitizers have memory of their own")
    database = site.dir / "pop.auth"
    for words in (["-init"], ["-user", "alice", "tanstaaf"], ["-user", "bob", "never-to-be-seen-here"]):
        subprocess.run([POPPER.parent / "popauth", "-file", database, *words], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    with open(site.dir / "conf", "a") as conf:
        conf.write(f"set apop-file = {database}\n")
    s = site.open()
    s.hear()
    before = {s.child()}
    assert s.say("AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=").startswith("+ "), "no challenge"  # n,,n=alice,r=x
    pid = one_more(s.process.pid, before)
    nobody = [line.split(":") for line in open("/etc/passwd") if line.startswith("nobody:")][0]
    assert_powerless(pid, int(nobody[2]), int(nobody[3]))
    assert_closed_in(pid)
    root = os.readlink(f"/proc/{pid}/root")
    assert root == "/var/empty" or root.startswith("/proc/"), f"root directory: {root}"
    equal("descriptors", sorted(v.split(":")[0] for v in descriptors(pid).values()), ["/dev/null"] * 3 + ["socket"])
    client = os.readlink(f"/proc/{min(before)}/fd/0")
    assert client not in descriptors(pid).values(), "it holds the client's connection"
    # alice's secret and nothing else; the monitor holds neither, nor does preauth.
    assert b"tanstaaf" in memory(pid), "this test looks in the wrong place"
    assert b"never-to-be-seen-here" not in memory(pid) and bytes(b ^ 0xff for b in b"never-to-be-seen-here") not in memory(pid), "bob's secret"
    for other in (s.process.pid, *before):
        assert b"tanstaaf" not in memory(other) and bytes(b ^ 0xff for b in b"tanstaaf") not in memory(other), f"{other} has the secret"
    assert s.say("*").startswith("-ERR"), "cancelled"
    wait_until("the end of the process", lambda: set(serving(s.process.pid)) == before)


def gssapi_is_nobody(site):
    """What serves AUTH GSSAPI is the only process with the service's keys and the Kerberos libraries."""
    need(ROOT, "not root")
    need("GSSAPI" in features(POPPER), "GSSAPI is not built")
    need(not SANITIZED, "sanitizers have memory of their own")
    need(shutil.which("ktutil"), "no ktutil (package krb5-user)")
    with kdcsite.service_without_kdc(site.dir, socket.getfqdn("127.0.0.1")) as settings:
        with open(site.dir / "conf", "a") as conf:
            conf.write("".join(f"set {line}\n" for line in ["gssapi", *settings] if line.startswith(("gssapi", "kerberos-keytab", "kerberos-replay-dir"))))
        s = site.open()
        s.hear()
        before = {s.child()}
        assert s.say("AUTH GSSAPI").startswith("+ "), "no challenge"
        assert s.say("").startswith("+ "), "an empty message is no first one, so that it waits"
        pid = one_more(s.process.pid, before)
        nobody = [line.split(":") for line in open("/etc/passwd") if line.startswith("nobody:")][0]
        assert_powerless(pid, int(nobody[2]), int(nobody[3]))
        assert_closed_in(pid)
        equal("root directory", os.readlink(f"/proc/{pid}/root"), f"{site.dir}/replay/jail")
        equal("files there", os.listdir(f"/proc/{pid}/root"), ["replay"])
        kinds = sorted(v.split(":")[0] for v in descriptors(pid).values())
        equal("descriptors", kinds, ["/dev/null"] * 3 + ["/memfd", "socket"])
        client = os.readlink(f"/proc/{min(before)}/fd/0")
        assert client not in descriptors(pid).values(), "it holds the client's connection"
        key = (site.dir / "keytab").read_bytes()[-36:-4]  # before four bytes of its version
        assert key in memory(pid), "this test looks in the wrong place"
        for other in (s.process.pid, *before):
            assert key not in memory(other), f"{other} has the key"
            assert "krb5" not in pathlib.Path(f"/proc/{other}/maps").read_text(), f"{other} has loaded Kerberos"
        assert s.say("*").startswith("-ERR"), "cancelled"
        wait_until("the end of the process", lambda: set(serving(s.process.pid)) == before)
        s.hang_up()


def session_in_an_open_spool(site):
    need(ROOT, "not root")
    site.put(1, 2)
    s = site.open().must_login()
    for pid in (s.process.pid, s.child()):
        assert_powerless(pid, UID, GID)
        equal("owner of /proc/PID/mem (0 says not dumpable)", os.stat(f"/proc/{pid}/mem").st_uid, 0)
    assert_closed_in(s.child())
    assert_limited(s.child(), 64)
    equal("keeper's seccomp", ids(s.process.pid, "Seccomp"), [0])
    equal("keeper's no_new_privs (sendmail may be set-gid)", ids(s.process.pid, "NoNewPrivs"), [0])


def session_in_a_group_spool(site):
    need(ROOT, "not root")
    site.put(1, 2)
    s = site.open().must_login()
    equal("keeper's gids: the spool's only saved", ids(s.process.pid, "Gid"), [GID, GID, MAIL_GID, GID])
    equal("keeper's groups", ids(s.process.pid, "Groups"), [GID])
    assert_powerless(s.child(), UID, GID)
    assert s.say("DELE 1").startswith("+OK"), "DELE"
    assert s.say("QUIT").startswith("+OK"), "QUIT"
    equal("maildrop", site.drop().read_bytes(), mbox.message(2))


def first_mail_in_a_group_spool(site):
    need(ROOT, "not root")
    s = site.open().must_login()
    assert s.say("QUIT").startswith("+OK"), "QUIT"
    st = os.stat(site.spool / ".alice.cache")
    equal("index: uid, mode", (st.st_uid, st.st_mode & 0o777), (UID, 0o600))


def no_privsep_user(site):
    """Where /etc/passwd lacks the user, preauth is nobody by number, and the log says what to do."""
    need(ROOT, "not root")
    need(shutil.which("unshare"), "no unshare")
    (site.dir / "etc-passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    s = site.open("unshare", "-m", "/bin/sh", "-c", f'mount --bind {site.dir}/etc-passwd /etc/passwd && exec "$0" "$@"')
    assert s.hear().startswith("+OK"), "no greeting"
    assert_powerless(s.child(), 65534, 65534)
    assert_closed_in(s.child())
    wait_until("the warning", lambda: "there is no user nobody in /etc/passwd for the processes that meet clients; nobody is used" in site.log())


def passwords_are_wiped(site):
    """A password is in nobody's memory once it was judged: neither the right one in keeper and session, nor a wrong one in monitor and preauth while they wait."""
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    need(not SANITIZED, "sanitizers have memory of their own")
    right, wrong = "Never-seen-again-7", "Wrong-and-gone-8"
    long = 450 * "x"  # so that no later message happens to lie over the end of it
    (site.dir / "passwd").write_text((site.dir / "passwd").read_text().replace(HASH, hash_of(long + right)))
    with open(site.dir / "conf", "a") as conf:
        conf.write("set failure-delay = 20\n")
    site.put(1)
    s = site.open()
    s.hear()
    s.say("USER alice")
    assert s.say(f"PASS {long}{right}").startswith("+OK alice has 1 "), "login"
    s.say("NOOP")
    for role, pid in (("keeper", s.process.pid), ("session", s.child())):
        seen = memory(pid)
        assert b"alice" in seen, f"this is not the memory of the {role}"
        assert right.encode() not in seen, f"the password is in the memory of the {role}"
    s = site.open()
    s.hear()
    s.say("USER alice")
    s.socket.sendall(f"PASS {long}{wrong}\r\n".encode())
    wait_until("the verdict", lambda: "[AUTH] Failed attempted login to alice" in site.log())
    for role, pid in (("monitor", s.process.pid), ("preauth", s.child())):
        wait_until(f"the wrong password goes from the memory of the {role}", lambda pid=pid: wrong.encode() not in memory(pid), 10)
        assert b"alice" in memory(pid), f"this is not the memory of the {role}"


def session_holds_only_what_it_was_handed(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    site.put(1)
    s = site.open().must_login()
    kept = sorted(descriptors(s.child()).values(), key=lambda v: v.split(":")[0])
    equal("descriptors", [v.split(":")[0] for v in kept],
          sorted(["/dev/null", "socket", "socket", "socket", str(site.drop()), str(site.spool / ".alice.cache")]))
    client = os.readlink(f"/proc/{s.child()}/fd/0")
    assert client not in descriptors(s.process.pid).values(), "the keeper still holds the client's connection"


def environment_is_an_allow_list(site):
    need(ROOT, "not root: what is not dumpable cannot be looked at")
    os.environ["LD_SOMETHING"] = "x"
    s = site.open()
    s.hear()
    pid = s.process.pid
    with open(f"/proc/{pid}/maps") as maps:
        assert "ld" in maps.read()
    equal("working directory", os.readlink(f"/proc/{pid}/cwd"), "/")


# ---- one at a time

def second_session_is_refused(site):
    site.put(1)
    first = site.open().must_login()
    second = site.open()
    second.hear()
    second.say("USER alice")
    second.socket.sendall(b"PASS secret\r\n")
    stop = time.monotonic() + 10
    while not select.select([second.socket], [], [], 0)[0] and time.monotonic() < stop:  # alive, so it does not give way
        assert first.say("NOOP").startswith("+OK"), "NOOP of the first session"
        time.sleep(0.05)
    reply = second.hear()
    assert reply.startswith("-ERR [IN-USE] TEMPDROP lock busy!  Is another session active? (11)"), reply
    assert second.hung_up(), "the refused session goes on"
    assert first.say("STAT").startswith("+OK 1 "), "the first session suffered"
    assert first.say("QUIT").startswith("+OK"), "QUIT"


def idle_session_gives_way(site):
    site.put(1, 2)
    first = site.open().must_login()
    assert first.say("DELE 1").startswith("+OK"), "DELE"
    time.sleep(1.1)
    second = site.open().must_login()
    assert "[IN-USE]" in first.hear() and first.hung_up(), "the old session goes on"
    assert second.say("STAT").startswith("+OK 2 "), "the idle session's deletion was done"
    equal("exit status of the old session", first.process.wait(5), 0)
    assert "gave way to a new login" in site.log() and "took the maildrop over from process" in site.log(), site.log()
    equal("maildrop", site.drop().read_bytes(), mbox.message(1) + mbox.message(2))


def takeover_of_a_client_that_does_not_read(site):
    site.put(1)
    with open(site.drop(), "ab") as drop:
        drop.write(mbox.message(2, lines=400000))
    first = site.open().must_login()
    first.socket.sendall(b"RETR 2\r\n")
    time.sleep(1.5)
    second = site.open().must_login()
    assert second.say("STAT").startswith("+OK 2 "), "STAT"


def stamps(site, text):
    """When records with this text were made, in seconds of the day."""
    found = [line.split()[2].split(":") for line in site.log().splitlines() if text in line]
    return [int(hour) * 3600 + int(minute) * 60 + float(second) for hour, minute, second in found]


def takeover_idle_0_is_never(site):
    site.put(1)
    first = site.open().must_login()
    reply = site.open().login()
    assert reply.startswith("-ERR [IN-USE]"), reply
    wait_until("the record of the refusal", lambda: stamps(site, "is locked by another session"))
    # Asking takes two seconds. By the log's stamps, because on a busy machine the rest of a login may take as long.
    begin, end = stamps(site, "POP login by user")[-1], stamps(site, "is locked by another session")[-1]
    assert (end - begin) % 86400 < 1.5, "it waited although nobody can be asked"
    assert first.say("QUIT").startswith("+OK"), "QUIT"


def busy_without_index_too(site):
    site.put(1)
    first = site.open().must_login()
    assert (site.spool / ".alice.pop").exists(), "no temp drop to lock"
    assert not (site.spool / ".alice.cache").exists(), "an index although it is off"
    assert site.open().login().startswith("-ERR [IN-USE]"), "a second session"
    assert first.say("QUIT").startswith("+OK"), "QUIT"
    first.process.wait(5)
    assert not (site.spool / ".alice.pop").exists(), "the temp drop that only carried the lock is left"
    site.open().must_login()


# ---- somebody dies

def client_hangs_up_before_the_login(site):
    s = site.open()
    s.hear()
    s.hang_up()
    equal("exit status", s.process.wait(5), 0)


def client_hangs_up_after_the_login(site):
    site.put(1)
    s = site.open().must_login()
    assert s.say("DELE 1").startswith("+OK"), "DELE"
    s.hang_up()
    equal("exit status", s.process.wait(5), 0)
    equal("maildrop", site.drop().read_bytes(), mbox.message(1))


def killed_preauth(site):
    s = site.open()
    s.hear()
    os.kill(s.child(), signal.SIGKILL)
    equal("exit status", s.process.wait(5), 75)
    assert s.hung_up(), "the connection stays"
    assert "killed by signal 9" in site.log(), site.log()


def killed_monitor(site):
    s = site.open()
    s.hear()
    child = s.child()
    s.process.kill()
    s.process.wait(5)
    wait_until("preauth ends with its monitor", lambda: not os.path.exists(f"/proc/{child}") or status(child)["State"].split()[0] == "Z")
    assert s.hung_up(), "the connection stays"


def killed_session(site):
    site.put(1, 2)
    s = site.open().must_login()
    assert s.say("DELE 1").startswith("+OK"), "DELE"
    os.kill(s.child(), signal.SIGKILL)
    equal("exit status", s.process.wait(5), 75)
    assert s.hung_up(), "the connection stays"
    assert "ended without a word (signal 9)" in site.log(), site.log()
    assert site.open().must_login().say("STAT").startswith("+OK 2 "), "STAT"


def killed_keeper(site):
    site.put(1, 2)
    s = site.open().must_login()
    assert s.say("DELE 1").startswith("+OK"), "DELE"
    s.process.kill()
    s.process.wait(5)
    assert s.hear().startswith("-ERR [SYS/TEMP]"), "the session was not told"
    assert s.hung_up(), "the session goes on without keeper"
    assert site.open().must_login().say("STAT").startswith("+OK 2 "), "STAT"
    equal("maildrop", site.drop().read_bytes(), mbox.message(1) + mbox.message(2))


def terminated(site):
    for number in (signal.SIGTERM, signal.SIGHUP):
        site.put(1)
        s = site.open().must_login()
        assert s.say("DELE 1").startswith("+OK"), "DELE"
        s.process.send_signal(number)
        reply = s.hear()
        assert reply.startswith("-ERR"), reply
        assert s.hung_up(), "the session goes on"
        equal("exit status", s.process.wait(5), 0)
        equal("maildrop", site.drop().read_bytes(), mbox.message(1))
    assert "-ERR SIGHUP or SIGPIPE flagged" in site.log(), site.log()


def killed_in_update(site):
    """The n-th fsync of any process of the session is its last call, for every n: the next login finds all or nothing of the deletion."""
    need(shutil.which("strace") and not SANITIZED, "no strace, or a build with sanitizers")
    before, after = mbox.message(1) + mbox.message(2) + mbox.message(3), mbox.message(1) + mbox.message(3)
    seen = set()
    for n in range(1, 20):
        site.put(1, 2, 3)
        s = site.open("strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", f"inject=fsync:signal=KILL:when={n}")
        s.must_login()
        assert s.say("DELE 2").startswith("+OK"), "DELE"
        s.say("QUIT")
        s.hang_up()
        s.process.wait(10)
        seen.add(site.drop().read_bytes())
        killed = "ended without a word" in site.log() or n == 1
        s = site.open().must_login()
        count = s.say("STAT").split()[1]
        assert s.say("QUIT").startswith("+OK"), "QUIT"
        s.process.wait(10)
        left = {path.name for path in site.spool.iterdir()}
        equal(f"files after fsync {n}", left, {"alice", ".alice.cache"})
        assert site.drop().read_bytes() in (before, after), f"the maildrop is torn after fsync {n}"
        equal(f"messages after fsync {n}", count, "2" if site.drop().read_bytes() == after else "3")
        if not killed:
            break
        site.trace.unlink(missing_ok=True)
    assert n > 3 and before in seen and after in seen, f"it was never cut in the middle ({n} kills)"


def several_users_of_the_spool(site):
    """The maildrop of somebody else, a symlink and a hard link are refused with a text that says what to do."""
    site.put(1)
    site.drop().rename(site.dir / "elsewhere")
    site.drop().symlink_to(site.dir / "elsewhere")
    reply = site.open().login()
    assert reply.startswith("-ERR [SYS/PERM]"), reply
    site.drop().unlink()
    os.link(site.dir / "elsewhere", site.drop())
    reply = site.open().login()
    assert reply.startswith("-ERR [SYS/PERM]"), reply
    site.drop().unlink()
    if ROOT:
        site.put(1)
        os.chown(site.drop(), 64002, 64002)
        site.drop().chmod(0o666)
        reply = site.open().login()
        assert reply.startswith("-ERR [SYS/PERM]"), reply


CASES = [
    ("before the login nobody speaks to the client", preauth_is_nobody, {}),
    ("before the login everything is closed", preauth_is_closed_in, {}),
    ("during AUTH one process without rights has one user's record", saslstate_is_nobody, {}),
    ("during AUTH GSSAPI one process without rights has the service's keys", gssapi_is_nobody, {}),
    ("after the login nothing runs as root, in a spool 1777", session_in_an_open_spool, {}),
    ("in a spool root:mail 2775 only the keeper has the group, saved", session_in_a_group_spool,
     {"spool_mode": 0o2775, "spool_gid": MAIL_GID}),
    ("in a spool root:mail 2775 a first visit makes the index", first_mail_in_a_group_spool,
     {"spool_mode": 0o2775, "spool_gid": MAIL_GID}),
    ("without a privsep user it is nobody all the same", no_privsep_user, {}),
    ("passwords are wiped", passwords_are_wiped, {}),
    ("the session holds only what it was handed", session_holds_only_what_it_was_handed, {}),
    ("the server works in /", environment_is_an_allow_list, {}),
    ("a second session of an active user hears IN-USE", second_session_is_refused, {"config": ("takeover-idle = 1",)}),
    ("an idle session gives way, nothing is deleted", idle_session_gives_way, {"config": ("takeover-idle = 1",)}),
    ("a session whose client does not read gives way", takeover_of_a_client_that_does_not_read, {"config": ("takeover-idle = 1",)}),
    ("takeover-idle = 0 asks nobody", takeover_idle_0_is_never, {"config": ("takeover-idle = 0",)}),
    ("without an index the temp drop carries the lock", busy_without_index_too, {"config": ("index = false", "takeover-idle = 0")}),
    ("a client that hangs up before the login ends everything", client_hangs_up_before_the_login, {}),
    ("a client that hangs up after the login ends everything, nothing is deleted", client_hangs_up_after_the_login, {}),
    ("preauth killed", killed_preauth, {}),
    ("monitor killed", killed_monitor, {}),
    ("session killed", killed_session, {}),
    ("keeper killed", killed_keeper, {}),
    ("killed at each fsync of UPDATE", killed_in_update, {}),
    ("SIGTERM and SIGHUP end a session without update", terminated, {}),
    ("maildrops that are not the user's own file are refused", several_users_of_the_spool, {}),
]


def run(case, options):
    site = Site(**options)
    log = ""
    with telling(lambda: log.splitlines()):
        try:
            case(site)
        finally:
            log = site.log()
            site.close()


if __name__ == "__main__":
    sys.exit(run_cases([(name, run, case, options) for name, case, options in CASES]))
