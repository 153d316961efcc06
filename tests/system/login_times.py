#!/usr/bin/python3
"""login_times.py [TRIES]: how long failed logins take, by kind of user, for PASS (shadow), PASS (PAM), APOP and GSSAPI. With failure-delay every answer comes at the
fixed instant; without it what is left is the work, which is one hash for every kind where it is ours. Prints TAP, and the distributions as comments;
`make login-times` tries each kind 200 times. Needs root and mount namespaces; under CI as root their absence is a failure.
"""
import concurrent.futures
import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kdcsite  # noqa: E402
import pam  # noqa: E402
from gssapi import Gsasl  # noqa: E402
from pam import Visit  # noqa: E402
from cases import SANITIZED, need, run_cases, skip_all  # noqa: E402
from libcrypt import crypt  # noqa: E402
from spoolsite import POPPER  # noqa: E402
from users import TODAY  # noqa: E402
from world import features  # noqa: E402

# What Debian makes, and popper for names that nobody has.
YESCRYPT = crypt("secret", "$y$j9T$PaC4YODLNhRsBJPWiNm9V.$")
AGES = f":{TODAY}:0:99999:7::"
pam.USERS[:] = [
    ("wrong", 64411, YESCRYPT + AGES),
    ("locked", 64412, "!" + YESCRYPT + AGES),
    ("apoponly", 64413, "*" + AGES),
    ("scramonly", 64414, "*" + AGES),
    ("apoplocked", 64415, "!" + YESCRYPT + AGES),
]
TRIES = int(sys.argv.pop()) if sys.argv[-1].isdigit() else 4
DELAY = 1
LATE = 0.4 if TRIES < 50 else 0.15  # s, of a machine that has other things to do
TYPICAL = "in the median" if TRIES >= 50 else "at their quickest"
AT_ONCE = 10
hash_seconds = 0  # as measured first
PASS_KINDS = ["unknown", "wrong", "locked", "apoponly", "scramonly"]
APOP_KINDS = ["unknown", "apoponly", "wrong", "scramonly", "apoplocked"]
GSSAPI_KINDS = ["garbage", "unknown", "other"]  # no ticket; one of a name that nobody here has; one that is not for the user who is asked for


def last_message(site, visit, kind):
    """Of AUTH GSSAPI: everything before it is said here."""
    assert visit.say("AUTH GSSAPI") == "+ ", "no GSSAPI"
    if kind == "garbage":
        return "bm8gdGlja2V0"
    with Gsasl(site.tickets[kind], "wrong" if kind == "other" else kind) as peer:
        assert peer.line() == "GSSAPI", "gsasl"
        line = visit.say(peer.line())
        empty = peer.answer(line[2:])
        return peer.answer(visit.say(empty)[2:])


@contextlib.contextmanager
def realm(site):
    """The service has keys, and site.tickets are for the kinds of users."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="popper-kdc."))
        os.chmod(directory, 0o755)
        kdc = stack.enter_context(kdcsite.Kdc(directory))
        kdc.service("pop/localhost")
        site.tickets = {}
        for user in GSSAPI_KINDS[1:]:
            kdc.user(user, "secret")
            site.tickets[user] = stack.enter_context(kdc.tickets(user, "secret"))
        kdcsite.enter_namespace(directory, {"krb5.conf": kdc.conf})
        stack.callback(subprocess.run, ["umount", "-l", "/etc"], check=True)
        yield ["gssapi", f"kerberos-replay-dir = {directory}/replay"]


def one(site, how, name):
    """Seconds from the password, or digest, to the answer; and seconds of processor time of the whole visit."""
    s = Visit(site)
    shown = name
    if how == "GSSAPI":
        line, shown = last_message(site, s, name), ""
    elif how == "APOP":
        stamp = s.greeting[s.greeting.index("<"):]
        line = f"APOP {name} {hashlib.md5((stamp + 'not the secret').encode()).hexdigest()}"
    else:
        s.say("USER " + name)
        line = "PASS not-the-password"
    began = time.monotonic()
    reply = s.say(line)
    taken = time.monotonic() - began
    assert reply == pam.DENIED % shown, reply
    s.lines.close()
    s.socket.close()
    usage = os.wait4(s.server.pid, 0)[2]
    s.server.returncode = 0
    return taken, usage.ru_utime + usage.ru_stime


def show(what, taken):
    taken = sorted(taken)
    at = [taken[min(len(taken) - 1, len(taken) * p // 100)] * 1000 for p in (0, 5, 25, 50, 75, 95, 100)]
    print(f"# {what:34} n={len(taken):3}  " + "  ".join(f"{name}={ms:8.2f}" for name, ms in zip(("min", "5%", "25%", "median", "75%", "95%", "max"), at)) + " ms")


def prepare(site, how, delay):
    pam_lines = [] if how == "PASS by PAM" else ['pam-service = ""']
    site.configure(*pam_lines, *site.kerberos, delay=delay)
    if "APOP" in features(POPPER) and not (site.dir / "pop.auth").exists():
        popauth = [POPPER.parent / "popauth", "-file", site.dir / "pop.auth"]
        for words in (["-init"], ["-user", "apoponly", "tanstaaf"], ["-user", "apoplocked", "tanstaaf"], ["-user", "scramonly", "tanstaaf", "-scram"]):
            subprocess.run([*popauth, *words], check=True, capture_output=True)


def at_the_fixed_instant(site, how, kinds):
    prepare(site, how, DELAY)
    medians = {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        # Kinds take turns, so that what the machine does besides hits them alike.
        tries = [(kind, pool.submit(one, site, how, kind)) for _ in range(TRIES) for kind in kinds]
        taken = {kind: [t.result()[0] for k, t in tries if k == kind] for kind in kinds}
    for kind in kinds:
        show(f"{how}, {kind}, delay {DELAY} s", taken[kind])
        # Of a few tries beside other tests the quickest counts: a server that is late is so each time, one that the machine kept waiting is not.
        # Where the work of those who come at once does not fit into the delay the next multiple is the instant.
        at = [DELAY + t % DELAY for t in taken[kind]] if hash_seconds * AT_ONCE > DELAY / 2 else taken[kind]
        medians[kind] = statistics.median(at) if TRIES >= 50 else min(at)
        assert min(taken[kind]) >= DELAY, f"{kind}: answered after {min(taken[kind])} s"
        assert medians[kind] <= DELAY + LATE, f"{kind}: {medians[kind]} s {TYPICAL}"
    apart = max(medians.values()) - min(medians.values())
    assert apart < LATE / 2, f"the kinds are {apart} s apart {TYPICAL}: {medians}"
    return f"the kinds are {apart * 1000:.2f} ms apart {TYPICAL}"


def work(site, how, kinds, ours):
    """One after the other, with nothing in between. ours: the work is popper's, and the same for all."""
    prepare(site, how, 0)
    tries = {kind: [] for kind in kinds}
    for _ in range(TRIES):
        for kind in kinds:
            tries[kind].append(one(site, how, kind))
    for kind in kinds:
        show(f"{how}, {kind}, no delay", [taken for taken, _ in tries[kind]])
        show(f"{how}, {kind}, processor", [cpu for _, cpu in tries[kind]])
    # Of the processors, because other work on the machine does not count there.
    medians = {kind: statistics.median(cpu for _, cpu in tries[kind]) for kind in kinds}
    spread = f"processor time, medians from {min(medians.values()) * 1000:.2f} to {max(medians.values()) * 1000:.2f} ms"
    # A hash is most of it: one too many or too few would double or halve it.
    assert not ours or max(medians.values()) < 1.6 * min(medians.values()), spread
    return spread


def hash_time(_):
    global hash_seconds
    began = time.monotonic()
    for _ in range(10):
        crypt("not-the-password", YESCRYPT)
    hash_seconds = (time.monotonic() - began) / 10
    return f"one hash of this kind takes {hash_seconds * 1000:.2f} ms here"


def run(case, site, *arguments):
    need(not arguments or arguments[0] != "APOP" or "APOP" in features(POPPER), "APOP is not built")
    need(not arguments or arguments[0] != "PASS by PAM" or "PAM" in features(POPPER), "PAM is not built")
    if "APOP" not in features(POPPER) and len(arguments) > 1:
        arguments = (arguments[0], arguments[1][:3], *arguments[2:])
    need(not arguments or arguments[0] != "GSSAPI" or "GSSAPI" in features(POPPER), "GSSAPI is not built")
    site.begin()
    site.kerberos = []
    try:
        if not arguments or arguments[0] != "GSSAPI":
            return case(site, *arguments)
        with realm(site) as site.kerberos:
            return case(site, *arguments)
    finally:
        site.end()


CASES = [("one hash", run, hash_time)] + [
    (f"{how}: {name}", run, case, how, kinds, *more)
    for how, kinds, ours in (("PASS", PASS_KINDS, True), ("PASS by PAM", PASS_KINDS, False), ("APOP", APOP_KINDS, TRIES >= 50), ("GSSAPI", GSSAPI_KINDS, False))
    for name, case, more in (("failed logins are answered at the fixed instant", at_the_fixed_instant, ()), ("the work", work, (ours,)))
]


def main():
    if SANITIZED or os.environ.get("POPPER_TESTS") == "short":
        return skip_all("times of a build with sanitizers, or of the short form, say nothing")
    if os.getuid() != 0:
        return skip_all("needs root")
    try:
        site = pam.Pam()
    except OSError as e:
        return skip_all(f"no mount namespace: {e}")
    try:
        return run_cases([(name, case, arguments[0], site, *arguments[1:]) for name, case, *arguments in CASES])
    finally:
        subprocess.run(["rm", "-rf", site.etc], check=True)


if __name__ == "__main__":
    sys.exit(main())
