#!/usr/bin/python3
"""terminals.py: the programs that want a terminal, against the server under the real openbsd-inetd: mutt with a folder pop:// and pops://, and telnet in the
hands of an administrator. Prints TAP; with --show also what the server's trace says of each visit.
"""
import re
import shlex
import subprocess
import sys

import logins
import mbox
from cases import find
from inetd import PASSWORD, same
from logins import SECRET

LEAVE_ALONE = "set pop_checkinterval=600 quit=yes delete=yes confirmappend=no wait_key=no pop_reconnect=no mark_old=no ssl_force_tls=no"


def in_terminal(command, text=None):
    """script(1) is the terminal; without a size newer ones of ncurses do not take it."""
    find("script", "bsdutils")
    return subprocess.run(["script", "-qec", "stty rows 24 cols 80; " + shlex.join(str(word) for word in command), "/dev/null"], input=text, stdin=None if text else subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=60, check=False)


def subjects(site):
    return [re.search(rb"(?m)^Subject: (.*)$", text).group(1).decode() for _, text in mbox.split(site.maildrop.read_bytes())]


def mutt(site, keys, *settings, scheme="pop", secret=SECRET):
    """Opens the maildrop as a folder and presses keys."""
    rc = site.dir / "muttrc"
    rc.write_text("\n".join([LEAVE_ALONE, f"set folder={site.dir} pop_user=alice pop_pass=\"{secret}\"", *(f"set {s}" for s in settings), f"push '{keys}'", ""]))
    got = in_terminal(["env", "TERM=xterm", "LANG=C", find("mutt", "mutt"), "-n", "-F", rc, "-f", f"{scheme}://alice@127.0.0.1:{site.port}/"])
    same("status of mutt", 0, got.returncode)
    return got.stdout


def second_is_deleted(site, *how, **more):
    site.fill(range(1, 4))
    before = subjects(site)
    copy = site.dir / "copied"
    copy.unlink(missing_ok=True)
    mutt(site, f"1<enter><enter>q<copy-message><kill-line>{copy}<enter>y2<enter>d<quit>", *how, **more)
    same("what is left", [before[0], *before[2:]], subjects(site))
    same("messages that mutt has copied", 1, len(mbox.split(copy.read_bytes())))


def mutt_user(site):
    site.configure("clear-text-password = always")
    second_is_deleted(site, "pop_authenticators=user", secret=PASSWORD)
    site.logged(r"^Stats: alice 1 ")


def mutt_apop(site):
    second_is_deleted(site, "pop_authenticators=apop")
    site.logged(r'^apop "alice"$')


def mutt_scram(site):
    second_is_deleted(site, "pop_authenticators=scram-sha-256")
    site.logged(r"SCRAM-SHA-256")


def mutt_in_tls(site):
    site.tls("clear-text-password = always")
    second_is_deleted(site, "pop_authenticators=user", f"certificate_file={site.certificate()}", "ssl_verify_host=no", scheme="pops", secret=PASSWORD)
    site.logged(r"TLSv1\.3 handshake")


def mutt_after_stls(site):
    site.tls("tls-support = stls", "clear-text-password = tls")
    second_is_deleted(site, "pop_authenticators=user", f"certificate_file={site.certificate()}", "ssl_verify_host=no", "ssl_starttls=yes", secret=PASSWORD)
    site.logged(r'Received: "STLS"')
    site.logged(r"TLSv1\.3 handshake")


def telnet(site):
    """Line by line, as the lines of a terminal arrive."""
    site.configure("clear-text-password = always")
    site.fill(range(1, 4))
    got = in_terminal([find("telnet", "telnet"), "127.0.0.1", site.port], f"USER alice\nPASS {PASSWORD}\nSTAT\nLIST 1\nTOP 1 0\nUIDL\nQUIT\n")
    for wanted in (r"\+OK Qpopper \(version .*\) at .* starting\.", r"\+OK Password required for alice\.", r"\+OK alice has 3 visible messages",
                   r"\+OK 3 \d+", r"Subject: ", r"\+OK Pop server at .* signing off\.", r"Connection closed by foreign host\."):
        if not re.search(wanted, got.stdout):
            raise AssertionError(f"no {wanted!r} in {got.stdout}")


VISITS = [mutt_user, mutt_apop, mutt_scram, mutt_in_tls, mutt_after_stls, telnet]

if __name__ == "__main__":
    sys.exit(logins.main(VISITS))
