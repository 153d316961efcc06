#!/usr/bin/python3
"""xmit.py: mail that a client sends with XTND XMIT through the sendmail of real Postfix (with its set-gid postdrop) and real Exim (set-uid), started by the
keeper as the user: it arrives in a mailbox as it was sent; and what the client hears when these programs refuse, hang, or lack their rights. Prints TAP.

As root, in a mount namespace with its own /etc (deliveries.py). What any program as mail-command shows is in tests/wire/xtnd.wire.
"""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from deliveries import Exim, Postfix, enter_namespace, unpacked
from cases import FORM, ROOT, equal, need, run_cases, skip_all
from spoolsite import MAIL_GID, Session, Site
import mbox

OPEN, GROUP = (0o1777, 0), (0o2775, MAIL_GID)
USERS = ["alice", "bob"]
BODY = [b"a first line", b".a dot in front", b".", b"", b"..", b"8-bit \xe4\xf6\xfc and UTF-8 \xc3\xa9", b"From here it is quoted in the mailbox", b"x" * 900,
        b"the line before was long", b"", b"the end"]


class PostfixHere(Postfix):
    """Where its set-gid programs look for it: they believe no environment."""
    CONFIGURATION = pathlib.Path("/etc/postfix")
    SERVICES = Postfix.SERVICES + "pickup unix n - n 60 1 pickup\n"

    def __init__(self, site):
        self.CONFIGURATION.mkdir(exist_ok=True)
        super().__init__(site)
        self.program = self.dir / "sbin" / "sendmail"

    def commands(self, directory):
        ours = self.dir / "sbin"
        ours.mkdir(exist_ok=True)
        for name in ("sendmail", "postdrop"):
            shutil.copy(directory / name, ours)
            (ours / name).chmod(0o755)
        shutil.chown(ours / "postdrop", "root", "postdrop")
        (ours / "postdrop").chmod(0o2755)
        library = unpacked("postfix", "usr/lib/postfix")
        if str(library) != "/usr/lib/postfix":
            # Set-gid programs take no LD_LIBRARY_PATH, but the loader's cache, which is ours here.
            pathlib.Path("/etc/ld.so.conf.d/postfix.conf").write_text(f"{library}\n")
            subprocess.run(["ldconfig", "-X"], check=True, timeout=60)
        return ours


def quiet_ldconfig():
    """Its second cache is not in /etc."""
    if pathlib.Path("/var/cache/ldconfig").exists():
        subprocess.run(["mount", "-t", "tmpfs", "none", "/var/cache/ldconfig"], check=True)


class Desk:
    """A spool, a mail transport agent, and popper with its sendmail as mail-command. One serves several cases: agents start slowly."""
    open_ones = {}

    def __init__(self, kind, spool):
        self.agent = None
        self.site = Site(USERS, (), *spool, tempfile.mkdtemp(prefix="popper-spool."))
        try:
            self.agent = kind(self.site)
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            if self.agent:
                self.agent.close()
        finally:
            self.site.remove()
            shutil.rmtree(self.site.spool)


@contextlib.contextmanager
def at_desk(kind, spool, *options):
    """With empty mailboxes."""
    need(FORM != "short", "not in the short form")
    need(ROOT, "needs root")
    if (kind, spool) not in Desk.open_ones:
        close_desks(kind)  # there is one configuration in /etc
        Desk.open_ones[kind, spool] = Desk(kind, spool)
    desk = Desk.open_ones[kind, spool]
    for name in USERS:
        desk.site.fill(name, b"")
    desk.site.trace.unlink(missing_ok=True)
    desk.site.configure(f"mail-command = {desk.agent.program}", "debug", *options)
    yield desk


def close_desks(kind=None):
    for key in list(Desk.open_ones):
        if kind in (None, key[0]):
            Desk.open_ones.pop(key).close()


def mailbox(desk, name, seconds=30):
    """The text of the one message that arrives."""
    end = time.monotonic() + seconds
    while not (data := desk.site.drop(name).read_bytes()).endswith(b"\n\n") or pathlib.Path(f"{desk.site.drop(name)}.lock").exists():
        assert time.monotonic() < end, f"no mail for {name} within {seconds} s"
        time.sleep(0.05)
    message, = mbox.split(data)
    return message[1]


def transmit(session, header, body):
    """The reply to the whole message."""
    session.must("XTND XMIT")
    lines = [*header, b"", *body]
    session.socket.sendall(b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n")
    return session.hear().rstrip("\r\n")


def arrives(kind, spool):
    with at_desk(kind, spool) as desk:
        session = Session(desk.site, "alice")
        reply = transmit(session, [b"To: bob@test.invalid", b"Subject: through the server", b"X-Kept: yes"], BODY)
        equal("reply", reply, "+OK Message sent successfully")
        assert session.say("NOOP").startswith("+OK"), "the session does not go on"
        session.quit()
        text = mailbox(desk, "bob")
        header, _, body = text.partition(b"\n\n")
        equal("the body", re.sub(rb"(?m)^>From ", b"From ", body).rstrip(b"\n").split(b"\n"), BODY)
        for field in (rb"(?m)^Subject: through the server$", rb"(?m)^X-Kept: yes$", rb"(?m)^To: bob@test.invalid$", rb"(?m)^From: .*alice@test\.invalid"):
            assert re.search(field, header), f"no field {field} in {header}"
        assert 'Pop transmit from "alice" on ' in desk.site.log(), desk.site.log()
        equal("what is left in the spool", sorted(p.name for p in desk.site.spool.iterdir() if not p.name.endswith(".cache")), USERS)
        # The one who got it reads it by POP.
        session = Session(desk.site, "bob")
        session.must("STAT")
        got = session.body("RETR 1")
        equal("what bob's client gets", [line for line in got if line == b"X-Kept: yes"], [b"X-Kept: yes"])
        session.quit()
        return "reply: " + reply


def no_recipient(kind, complaint):
    """What the program complains about is in the reply and in the log."""
    with at_desk(kind, OPEN) as desk:
        session = Session(desk.site, "alice")
        reply = transmit(session, [b"Subject: to nobody"], [b"x"])
        assert re.fullmatch(rf"-ERR Unable to send message: {desk.agent.program} ended with exit status \d+: .*{complaint}.*", reply), reply
        session.quit()
        assert re.search(rf"alice at \S+ \(\S+\): a message of XTND XMIT was not sent: .*{complaint}", desk.site.log()), desk.site.log()
        return reply


def too_large():
    """message_size_limit of Postfix."""
    with at_desk(PostfixHere, OPEN) as desk:
        with open("/etc/postfix/main.cf", "a", encoding="ascii") as file:
            file.write("message_size_limit = 20000\n")
        session = Session(desk.site, "alice")
        reply = transmit(session, [b"To: bob@test.invalid"], [b"x" * 70] * 1000)
        assert re.fullmatch(r"-ERR Unable to send message: .*sendmail ended with exit status \d+: .*(File|file|message).* too (big|large).*", reply), reply
        reply2 = transmit(session, [b"To: bob@test.invalid"], [b"small"])
        equal("a small one after it", reply2, "+OK Message sent successfully")
        session.quit()
        equal("what arrived", mailbox(desk, "bob").partition(b"\n\n")[2].strip(), b"small")
        return reply


def without_its_group():
    """postdrop without set-gid cannot write the queue and tries for ever: it is killed, and with it what it started. With no_new_privs it would be so always."""
    with at_desk(PostfixHere, OPEN, "timeout = 3") as desk:
        (desk.agent.dir / "sbin" / "postdrop").chmod(0o755)
        session = Session(desk.site, "alice")
        begin = time.monotonic()
        reply = transmit(session, [b"To: bob@test.invalid"], [b"x"])
        equal("reply", reply, f"-ERR Unable to send message: {desk.agent.program} did not end within 3 seconds and was killed.")
        assert 2.5 < time.monotonic() - begin < 30, f"it took {time.monotonic() - begin:.1f} s"
        left = subprocess.run(["ps", "-o", "stat=,args=", "-u", str(desk.site.users["alice"])], capture_output=True, text=True).stdout
        assert not re.search(r"(?m)^[^Z].*(postdrop|sendmail)", left), f"processes left: {left}"
        session.quit()
        (desk.agent.dir / "sbin" / "postdrop").chmod(0o2755)
        session = Session(desk.site, "alice")
        equal("with its group again", transmit(session, [b"To: bob@test.invalid"], [b"now"]), "+OK Message sent successfully")
        session.quit()
        equal("what arrived", mailbox(desk, "bob").partition(b"\n\n")[2].strip(), b"now")
        return reply


def client_gone(kind):
    """In the middle of a message: nothing is sent."""
    with at_desk(kind, OPEN) as desk:
        session = Session(desk.site, "alice")
        session.must("XTND XMIT")
        session.socket.sendall(b"To: bob@test.invalid\r\n\r\nhalf of it\r\n")
        session.close()
        assert "gone in the middle of a message of XTND XMIT; it was not sent" in desk.site.log(), desk.site.log()
        session = Session(desk.site, "alice")
        equal("a whole one", transmit(session, [b"To: bob@test.invalid"], [b"whole"]), "+OK Message sent successfully")
        session.quit()
        equal("what arrived", mailbox(desk, "bob").partition(b"\n\n")[2].strip(), b"whole")


def larger_than_we_take():
    """256 MiB; the rest is read and dropped, and the session goes on."""
    need(FORM != "short", "not in the short form")
    site = Site(("alice",), ("mail-command = /bin/false",))
    try:
        site.fill("alice", b"")
        session = Session(site, "alice")
        session.must("XTND XMIT")
        piece = (b"x" * 1022 + b"\r\n") * 1024
        for _ in range(257):
            session.socket.sendall(piece)
        session.socket.sendall(b".\r\n")
        equal("reply", session.hear(), f"-ERR Unable to send message: it has more than {256 << 20} bytes.\r\n")
        session.quit()
        assert "a message of XTND XMIT was not sent: it has more than" in site.log(), site.log()
        equal("what is left in the spool", sorted(p.name for p in site.spool.iterdir()), [".alice.cache", "alice"])
    finally:
        site.remove()


def who_runs_it(spool):
    """The rights of mail-command."""
    need(FORM != "short", "not in the short form")
    need(ROOT, "needs root")
    site = Site(USERS, (), *spool)
    try:
        site.fill("alice", mbox.message(1))
        script = site.dir / "sendmail"
        script.write_text(f"#!/bin/sh\nexec >{site.home('alice')}/seen\ncat /proc/self/status\nls -l /proc/self/fd\nenv\numask\npwd\necho \"$@\"\n"
                          f"cat {site.drop('bob')} && echo READ\ncat >/dev/null\n")
        script.chmod(0o755)
        site.fill("bob", mbox.message(2))
        site.configure(f"mail-command = '{script} one -two'")
        session = Session(site, "alice")
        equal("reply", transmit(session, [b"To: bob"], [b"x"]), "+OK Message sent successfully")
        session.quit()
        seen = (site.home("alice") / "seen").read_text()
        status = dict(line.split(":\t", 1) for line in seen.split("\n") if ":\t" in line)
        uid = str(site.users["alice"])
        equal("uids", status["Uid"].split(), [uid] * 4)
        equal("gids", status["Gid"].split(), [uid] * 4)
        equal("groups", status["Groups"].split(), [uid])
        for field in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            equal(field, int(status[field], 16), 0)
        equal("no_new_privs and sandbox", (status["NoNewPrivs"], status["Seccomp"]), ("0", "0"))
        # 32 and 33 are the C library's own, which nobody can set.
        equal("signals blocked and ignored", (int(status["SigBlk"], 16), int(status["SigIgn"], 16) & ~(3 << 31)), (0, 0))
        equal("descriptors", sorted(re.findall(r" (\d+) -> ", seen))[:4], ["0", "1", "2", "3"])  # 3 is ls's directory
        assert not re.search(r" [4-9] -> ", seen), seen
        assert "socket:" not in seen, f"it has a socket: {seen}"
        equal("environment", sorted(line.split("=")[0] for line in seen.split("\n") if re.match(r"^[A-Z_]+=", line) and not line.startswith(("_=", "PWD="))),
              ["HOME", "LOGNAME", "PATH", "USER"])
        lines = seen.split("\n")
        assert "0022" in lines and "one -two -t -i -oem" in lines and "READ" not in lines, seen
    finally:
        site.remove()


CASES = [("Postfix, spool 1777", arrives, PostfixHere, OPEN),
         ("Exim, spool 1777", arrives, Exim, OPEN),
         ("Postfix refuses a message to nobody", no_recipient, PostfixHere, "No recipient addresses found"),
         ("Exim refuses a message to nobody", no_recipient, Exim, "no recipients found in headers"),
         ("Postfix refuses what is too large", too_large),
         ("Postfix without its group is killed in time", without_its_group),
         ("a client that goes in the middle sends nothing", client_gone, PostfixHere),
         ("Postfix, spool root:mail 2775", arrives, PostfixHere, GROUP),
         ("Exim, spool root:mail 2775", arrives, Exim, GROUP),
         ("a message larger than we take", larger_than_we_take),
         ("mail-command has the user's rights and nothing else, spool 1777", who_runs_it, OPEN),
         ("mail-command has the user's rights and nothing else, spool 2775", who_runs_it, GROUP)]


def main():
    directory = None
    if ROOT and FORM != "short":
        try:
            directory = enter_namespace(USERS)
            quiet_ldconfig()
        except OSError as error:
            return skip_all(f"no mount namespace: {error}")
    try:
        return run_cases(CASES)
    finally:
        close_desks()
        if directory:
            subprocess.run(["umount", "-l", "/etc"], check=True)
            shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
