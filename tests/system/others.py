#!/usr/bin/python3
"""others.py: a shell user's mail program changes the maildrop during a session: real mutt and mailutils, as the user. The session's deletions are applied to
the same messages, found again by unique id; nothing else is touched; what cannot be found is logged. Prints TAP.

The oracle: what the other program left, message by message, minus those that the session deleted, byte for byte.
"""
import os
import re
import shutil
import subprocess
import sys

from cases import ROOT, equal, need, need_name, program, run_cases
from spoolsite import Site
import mbox

MUTT = "set quit=yes delete=yes move=no beep=no confirmappend=no confirmcreate=no save_empty=yes copy=no mark_old=yes wait_key=no"
COUNT = 9


def as_user(site, command, text=None, named=False):
    """named: the program wants a user whom the system knows, so it runs as who we are."""
    ids = {"user": site.users["alice"], "group": site.users["alice"], "extra_groups": []} if ROOT and not named else {}
    home = site.home("alice")
    environment = {"HOME": str(home), "USER": "alice", "LOGNAME": "alice", "TERM": "xterm", "PATH": "/usr/bin:/bin", "LANG": "C", "MAIL": str(site.drop())}
    return subprocess.run(command, input=text, cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False, **ids)


def mutt(site, path, keys, settings=""):
    """mutt wants a terminal with a size, which script(1) gives it, but for the size."""
    need(shutil.which("mutt") and shutil.which("script"), "no mutt, or no script")
    rc = site.home("alice") / "muttrc"
    rc.write_text(f"{MUTT} folder={site.home('alice')} {settings}\npush '{keys}'\n")
    rc.chmod(0o644)
    before = path.stat().st_mtime_ns, path.read_bytes()
    got = as_user(site, ["script", "-qec", f"stty rows 24 cols 80; mutt -n -F {rc} -f {path}", "/dev/null"], "")
    assert got.returncode == 0, f"mutt: {got}"
    assert (path.stat().st_mtime_ns, path.read_bytes()) != before, f"mutt changed nothing: {got.stdout[-500:]!r}"


def mutt_deletes(site):
    """Two of the session's own, and one that it keeps."""
    mutt(site, site.drop(), "2<enter>d4<enter>d7<enter>d<quit>")


def mutt_reads(site):
    """Status and X-Status appear, everything moves up; then the times are as before."""
    times = site.drop().stat()
    mutt(site, site.drop(), "1<enter><enter>q3<enter><flag-message><quit>")
    os.utime(site.drop(), ns=(times.st_atime_ns, times.st_mtime_ns))


def mutt_reorders(site):
    """By saving all in another order and back."""
    other = site.home("alice") / "sorted"
    mutt(site, site.drop(), f"<save-message><kill-line>{other}<enter>" * COUNT + "<quit>", "sort=reverse-subject")
    equal("size of what mutt left", site.drop().stat().st_size, 0)
    mutt(site, other, f"<save-message><kill-line>{site.drop()}<enter>" * COUNT + "<quit>", "sort=mailbox-order")
    equal("the new order", [number(m) for m in split(site.drop().read_bytes())], list(range(COUNT, 0, -1)))


def mail_deletes(site):
    program("mail")
    need_name()
    got = as_user(site, ["mail", "-f", str(site.drop())], "delete 2 3 9\nquit\n", True)
    assert got.returncode == 0, f"mail: {got}"


def mail_reads(site):
    program("mail")
    need_name()
    times = site.drop().stat()
    got = as_user(site, ["mail", "-f", str(site.drop())], "type 1\ntype 4\nhold 1 4\nquit\n", True)
    assert got.returncode == 0, f"mail: {got}"
    os.utime(site.drop(), ns=(times.st_atime_ns, times.st_mtime_ns))


def movemail_takes_all(site):
    need(shutil.which("movemail"), "no movemail")
    inbox = site.home("alice") / "inbox"
    got = as_user(site, ["movemail", str(site.drop()), str(inbox)], None, True)
    assert got.returncode == 0, f"movemail: {got}"
    equal("taken", [number(m) for m in split(inbox.read_bytes())], list(range(1, COUNT + 1)))


def backup_by_mv(site):
    """An older state of some messages, one that is new, in a new file."""
    new = site.spool / "restored"
    site.fill("alice", b"".join(mbox.message(n) for n in (30, 4, 2, 1, COUNT)), new)
    new.rename(site.drop())


def unlinked(site):
    site.drop().unlink()


def nobody(site):
    """The control: the oracle agrees with an ordinary session, too."""


def split(data):
    return [line + text for line, text in mbox.split(data)]


def number(message):
    return int(re.search(rb"(?mi)^message-id: <(\d+)@", message).group(1))


def session_with(other, mode, deleted, then):
    site = Site()
    try:
        site.fill("alice", b"".join(mbox.message(n) for n in range(1, COUNT + 1)))
        session = site.open("alice", *mode)
        equal("messages", session.count(), COUNT)
        inode = site.drop().stat().st_ino
        for n in deleted:
            session.must(f"DELE {n}")
        other(site)
        if not site.drop().exists() and not then:
            session.quit()
            assert not site.drop().exists(), "the maildrop is there again"
            assert "nothing is left to delete in the maildrop" in site.log(), f"the log: {site.log()}"
            return "there was no file any more"
        if not site.drop().exists():
            site.fill("alice", b"")
        replaced = site.drop().stat().st_ino != inode
        if ROOT and replaced:  # a program that was run as root made it root's
            os.chown(site.drop(), site.users["alice"], site.users["alice"])
        with open(site.drop(), "ab") as drop:
            for n in then:
                drop.write(mbox.message(n))
        left = split(site.drop().read_bytes())
        new_inode = site.drop().stat().st_ino
        numbers = [number(m) for m in left]
        reply = session.say("QUIT")
        session.close()
        assert reply.startswith("+OK"), f"QUIT: {reply}"
        kept = [m for m in left if number(m) not in deleted]
        equal("kept", [number(m) for m in split(site.drop().read_bytes())], [number(m) for m in kept])
        equal("their bytes", site.drop().read_bytes(), b"".join(kept))
        if replaced:  # mailutils writes a new file
            equal("the inode after the update", site.drop().stat().st_ino, new_inode)
            assert re.search("another program has put a new file in place of the maildrop", site.log()), f"the log: {site.log()}"
        found = len(set(numbers) & set(deleted))
        told = re.search(r"during the session: (\d+) deleted messages were found again, (\d+) were not", site.log())
        if other is nobody:
            assert not told, f"the log: {site.log()}"
        elif numbers != then or deleted:
            assert told, f"not in the log: {site.log()}"
            equal("found and missed in the log", told.groups(), (str(found), str(len(deleted) - found)))
        session = site.open("alice", *mode)
        ids = [line.split()[1] for line in session.body("UIDL")]
        expected = [mbox.unique_id(*m).encode() for m in mbox.split(site.drop().read_bytes())]
        equal("unique ids of the next session", ids, expected)
        session.quit()
        return "the file was another one" if replaced else None
    finally:
        site.remove()


OTHERS = [("nobody", nobody), ("mutt deletes", mutt_deletes), ("mutt reads and flags, the times are set back", mutt_reads),
          ("mutt saves in another order", mutt_reorders), ("mail deletes", mail_deletes), ("mail reads, the times are set back", mail_reads),
          ("movemail takes everything", movemail_takes_all), ("a backup is restored by mv", backup_by_mv), ("the file is removed", unlinked)]
CASES = [(f"{name}{', server mode' if mode else ''}; the session deletes {deleted}{', then mail comes' if then else ''}", session_with, other, mode, deleted, then)
         for name, other in OTHERS for mode in ([], ["-S"]) for deleted, then in (([2, 3, 4], []), ([1, COUNT], [20, 21]))]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
