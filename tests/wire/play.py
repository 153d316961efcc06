#!/usr/bin/python3
"""play.py FILE.wire...: plays transcripts against the real server as inetd would start it. Prints TAP.

tests/wire/README describes the format. Python's standard library only; no ports but one on the loopback; no root needed.
As root the server is started as root, and its users are unprivileged; a second pass starts it as an ordinary user.
"""
import argparse
import base64
import concurrent.futures
import contextlib
import email.utils
import hashlib
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mbox  # noqa: E402
import saslclient  # noqa: E402
from tlsclient import make_certificate  # noqa: E402
from session import Session, processes_of_session  # noqa: E402
from transcript import CHECKS, TALK, Broken, Mismatch, Step, describe, numbers, parse, short, unescape  # noqa: E402
from world import FIRST_UID, PATIENCE, Runner, World, features  # noqa: E402


def told_now(line):
    """X-LOCALTIME with the date (RFC 5322, with our zone) of this minute becomes `X-LOCALTIME (now)`."""
    match = re.fullmatch(rb"X-LOCALTIME (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4})", line)
    if not match:
        return line
    told, now = email.utils.parsedate_to_datetime(match[1].decode()), time.time()
    same = abs(told.timestamp() - now) < 60 and told.utcoffset().total_seconds() == time.localtime(now).tm_gmtoff and told.strftime("%a") == match[1][:3].decode()
    return b"X-LOCALTIME (now)" if same else line


class Late(Mismatch):
    """A reply came later than it should, and nothing else is wrong with the case."""


class Play:
    """Runs the steps of one case in its world."""

    def __init__(self, world):
        self.world, self.session, self.unsent, self.last, self.late = world, None, b"", None, None

    def current(self):
        if self.session is None:
            self.open("A", "")
        return self.session

    def open(self, name, args):
        self.session = self.world.sessions[name] = Session(self.world, args)

    def flush(self):
        """Commands that follow each other without a reply between them are one write: pipelining."""
        data, self.unsent = self.unsent, b""
        if data:
            self.current().send(data)

    def run(self):
        checks = []
        for step in self.world.case.steps:
            self.last = step
            if step.tag in CHECKS:
                checks.append(step)
            elif step.tag in ("C", "Craw"):
                self.current()
                self.unsent += unescape(step.text) if step.tag == "Craw" else self.world.expand(step.text).encode("latin-1") + b"\r\n"
            elif step.tag == "Cb64":
                self.current()
                self.unsent += base64.b64encode(unescape(step.text)) + b"\r\n"
            elif step.tag == "apop":
                self.current()
                self.unsent += self.apop(*step.text.split())
            elif step.tag in TALK:
                self.flush()
                getattr(self, "do_" + {"S~": "match", "S*": "body", "Sx": "repeated", "E~": "error_text", "Sb64~": "match_base64"}.get(step.tag, step.tag.lower().replace("-", "_")))(step)
        self.flush()
        self.do_end(None)
        for step in checks:
            self.last = step
            self.check(step)
        self.last = None
        self.check_silent_rules({s.tag for s in checks}, checks)
        if self.late:
            raise Late(self.late)

    # -- what a client does

    def do_session(self, step):
        name, _, args = step.text.partition(" ")
        if name in self.world.sessions:
            self.session = self.world.sessions[name]
        else:
            self.open(name, args)

    def do_login(self, step):
        user = self.world.user(step.text.strip() or self.world.users[0].name)
        session = self.current()
        self.greeting(session.line())
        for command in (f"USER {user.name}", f"PASS {user.password}"):
            session.send(command.encode("latin-1") + b"\r\n")
            reply = session.line()
            if not reply.startswith(b"+OK "):
                raise Mismatch(f"{command.split()[0]} was answered {short(reply)}")

    def apop(self, name, secret=None):
        """The command for the stamp of this connection's greeting; with the user's secret, or another."""
        secret = secret or self.world.secrets[name]
        digest = hashlib.md5((self.current().stamp + secret).encode("latin-1")).hexdigest()
        return f"APOP {name} {digest}\r\n".encode("latin-1")

    def do_auth(self, step):
        """A whole exchange of SASL, up to the reply that ends it, which is not read. Words after the name: secret=, initial, binding=NAME
        (end-point or wrong), flag=, nonce=, authzid=, break_proof, break_nonce, end_early."""
        mechanism, name, *words = step.text.split()
        options = dict(word.partition("=")[::2] for word in words)
        secret = options.pop("secret", None) or self.world.secrets.get(name) or self.world.user(name).password
        more = {key: value.encode("latin-1") if value else True for key, value in options.items() if key not in ("initial", "binding")}
        if mechanism.endswith("-PLUS"):
            more["binding"] = self.binding(options.get("binding", "end-point"))
        exchange = saslclient.exchange(mechanism, name.encode("latin-1"), secret.encode("latin-1"), **more)
        session = self.current()
        if "initial" in options:
            session.send(f"AUTH {mechanism} {self.encoded(exchange.step(b'')) or '='}\r\n".encode())
        else:
            session.send(f"AUTH {mechanism}\r\n".encode())
        while self.peek() == b"+ ":
            challenge = base64.b64decode(session.line()[2:], validate=True)
            session.send(self.encoded(exchange.step(challenge)).encode() + b"\r\n")

    def encoded(self, message):
        return base64.b64encode(message).decode()

    def peek(self):
        """The first two bytes of the next reply, which stays."""
        session = self.current()
        deadline = time.monotonic() + 10 * PATIENCE
        while len(session.input) < 2 and not session.at_eof and session.wait_input(deadline - time.monotonic()):
            pass
        return session.input[:2]

    def binding(self, name):
        """(name of a channel binding, its data) of this connection: Python tells us the certificate, but no exporter."""
        tls = self.current().tls
        if name == "wrong" or not tls:
            return "tls-server-end-point", hashlib.sha256(b"another certificate").digest()
        if name == "end-point":
            return "tls-server-end-point", hashlib.sha256(tls.object.getpeercert(True)).digest()
        return name, b"unknown"

    def do_match_base64(self, step):
        """Sb64~ REGEX: a challenge whose text matches as a whole."""
        line = self.current().line()
        pattern = self.world.expand(step.text, re.escape)
        if not line.startswith(b"+ ") or not re.fullmatch(pattern, base64.b64decode(line[2:], validate=True).decode("latin-1")):
            raise Mismatch(f"expected a challenge that matches {pattern!r}, got {short(line)}")

    def greeting(self, line):
        self.current().stamp = "".join(re.findall(r"<[^<>]*>$", line.decode("latin-1")))
        match = re.match(rb"\+OK Qpopper[^ ]* \(version (\S+)\) at (\S+) starting\.", line)
        if match:
            self.world.greeted_version, self.world.greeted_host = (g.decode("latin-1") for g in match.groups())
        elif not line.startswith(b"+OK"):
            raise Mismatch(f"the greeting is {short(line)}")

    def do_close(self, step):
        self.current().close()

    def do_reset(self, step):
        self.current().close(reset=True)

    def do_half_close(self, step):
        self.current().half_close()

    def do_pause(self, step):
        time.sleep(float(step.text))

    def do_kill(self, step):
        """kill SIGNAL: to every process of the session."""
        for pid in processes_of_session(self.current().process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, "SIG" + step.text.strip()))

    def do_run(self, step):
        pids = processes_of_session(self.session.process.pid) if self.session else []
        self.world.shell(step, PIDS=" ".join(map(str, pids)))

    def do_deliver(self, step):
        self.world.deliver(step)

    def do_end(self, step):
        for session in self.world.sessions.values():
            if session.status is None:
                session.finish()

    def do_now(self, step):
        """now CHECK: a check in the middle of a session."""
        tag, _, text = step.text.partition(" ")
        inner = Step(step.number, tag.rstrip(":"), text)
        if inner.tag not in CHECKS - {"exit"}:
            raise Broken(f"line {step.number}: now what?")
        self.check(inner)

    # -- what a client hears

    def do_s(self, step):
        line = self.current().line()
        if line.startswith((b"+OK Qpopper", b"+OK ready")):
            self.greeting(line)
        expected = self.world.expand(step.text).encode("latin-1")
        if line != expected:
            raise Mismatch(f"expected {short(expected)}, got {short(line)}")

    def do_repeated(self, step):
        """Sx: N TEXT: N lines that are all this."""
        count, _, text = step.text.partition(" ")
        for _ in range(int(count)):
            self.do_s(Step(step.number, "S", text))

    def do_match(self, step):
        line = self.current().line()
        if line.startswith((b"+OK Qpopper", b"+OK ready")):
            self.greeting(line)
        pattern = self.world.expand(step.text, re.escape)
        if not re.fullmatch(pattern, line.decode("latin-1")):
            raise Mismatch(f"expected a match of {pattern!r}, got {short(line)}")

    def do_error_text(self, step):
        line = self.current().line(b"\n")
        pattern = self.world.expand(step.text, re.escape)
        if not re.fullmatch(pattern, line.decode("latin-1")):
            raise Mismatch(f"expected a match of {pattern!r}, got {short(line)}")

    def do_body(self, step):
        expected, got = self.expected_body(step), [told_now(line) for line in self.current().body()]
        if expected is not None and expected != got:
            first = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
            raise Mismatch(f"the body has {len(got)} lines instead of {len(expected)}" if len(got) != len(expected) else "the body differs"
                           f": line {first + 1}: expected {short(expected[first:first + 1])}, got {short(got[first:first + 1])}")

    def expected_body(self, step):
        if step.block is not None:
            return [self.world.expand(line).encode("latin-1") for line in self.of_this_build(step.block)]
        text, _, spec = step.text.partition(" of ")
        words = text.split()
        messages = mbox.split(self.world.content(spec)) if spec else self.world.messages()
        if words[:1] == ["any"]:
            return None
        if words[:1] == ["message"]:
            return mbox.on_the_wire(messages[int(words[1]) - 1][1])
        if words[:1] == ["top"]:
            return mbox.on_the_wire(messages[int(words[1]) - 1][1], int(words[2]))
        if words[:1] == ["list"]:
            picked = numbers(words[1]) if len(words) > 1 else range(1, len(self.world.messages()) + 1)
            return [f"{n} {mbox.octets(self.world.messages()[n - 1][1])}".encode() for n in picked]
        if words[:1] == ["uidl"]:
            return [f"{n} {mbox.unique_id(*m)}".encode() for n, m in enumerate(self.world.messages(), 1)]
        if not step.text:
            return []
        return mbox.on_the_wire(self.world.content(step.text) + b"\n")

    def of_this_build(self, block):
        """Without the lines `[feature:NAME] ...` of what is not built in."""
        for line in block:
            match = re.match(r"\[feature:(\w+)\] ", line)
            if not match:
                yield line
            elif match[1] in features(self.world.popper):
                yield line[match.end():]

    def do_eof(self, step):
        self.current().expect_eof()

    def do_quiet(self, step):
        session = self.current()
        if session.input or session.wait_input(float(step.text)):
            raise Mismatch(f"silence expected, got {short(session.input)}" + (" and the end" if session.at_eof else ""))

    def do_elapsed(self, step):
        """elapsed A..B: seconds from the last command to the last reply."""
        low, _, high = step.text.partition("..")
        took = self.current().received_at - self.current().sent_at
        if took < float(low):
            raise Mismatch(f"the reply took {took:.2f} s")
        if took > float(high) * max(1, PATIENCE):
            self.late = self.late or f"line {step.number}: the reply took {took:.2f} s instead of {step.text}"

    def do_pieces(self, step):
        """pieces A..B: how many writes came since the last command."""
        low, _, high = step.text.partition("..")
        if not int(low) <= self.current().pieces <= int(high):
            raise Mismatch(f"the reply came in {self.current().pieces} pieces")

    # -- what is left behind

    def check(self, step):
        getattr(self, {"exit": "check_exit", "L": "check_log", "L~": "check_log", "L!": "check_log", "Y~": "check_syslog",
                       "Y!": "check_syslog", "M": "check_maildrop", "F": "check_file",
                       "F!": "check_file", "status": "check_status", "inode": "check_inode"}[step.tag])(step)

    def check_exit(self, step):
        name, _, value = step.text.rpartition(" ")
        session = self.world.sessions[name.strip() or "A"]
        if session.status != int(value):
            raise Mismatch(f"exit status {session.status}")

    def check_log(self, step):
        log = self.world.log()
        pattern = self.world.expand(step.text, re.escape if step.tag != "L" else lambda s: s)
        found = [line for line in log if (line == pattern if step.tag == "L" else re.search(pattern, line))]
        if bool(found) == (step.tag == "L!"):
            raise Mismatch(f"log: {'found ' + found[0] if found else 'not found'}")

    def check_syslog(self, step):
        """Y~ and Y!: records as they come to /dev/log, with priority and tag."""
        self.world.syslog.close()
        pattern = self.world.expand(step.text, re.escape)
        found = [record for record in self.world.syslog.records if re.search(pattern, record)]
        if bool(found) == (step.tag == "Y!"):
            raise Mismatch(f"syslog: {'found ' + found[0] if found else 'not found among ' + short(self.world.syslog.records, 3000)}")

    def check_maildrop(self, step):
        """M: same | gone | anything | SPEC, then perhaps `for USER`."""
        spec, _, name = step.text.partition(" for ")
        user = self.world.user(name.strip() or self.world.users[0].name)
        now, before, spec = self.world.look(user), self.world.before[user.name], spec.strip()
        if spec == "anything":
            return
        if spec == "gone":
            if now is not None:
                raise Mismatch("the maildrop exists")
            return
        if spec == "same":
            expected = before["bytes"] if before else None
        else:
            expected = self.world.content(spec)
        got = now["bytes"] if now else None
        if got != expected:
            raise Mismatch(f"maildrop of {user.name}: {describe(expected, got)}")

    def check_file(self, step):
        """F: PATH [SPEC], F! PATTERN; relative to the case's directory."""
        name, _, spec = self.world.expand(step.text).partition(" ")
        if step.tag == "F!":
            if found := list(self.world.dir.glob(name)):
                raise Mismatch(f"there is {found[0]}")
            return
        path = self.world.dir / name
        if not path.exists():
            raise Mismatch(f"there is no {path}")
        if spec and path.read_bytes() != self.world.content(spec):
            raise Mismatch(f"{path}: {describe(self.world.content(spec), path.read_bytes())}")

    def check_status(self, step):
        """status PATH MODE: type and mode bits in octal, such as 600."""
        name, mode = self.world.expand(step.text).split()
        found = stat.S_IMODE(os.lstat(self.world.dir / name).st_mode)
        if found != int(mode, 8):
            raise Mismatch(f"mode {found:o}")

    def check_inode(self, step):
        """inode: new: the maildrop was replaced by another file."""
        user = self.world.users[0]
        if self.world.look(user)["inode"] == self.world.before[user.name]["inode"]:
            raise Mismatch("the maildrop is the same file as before")

    def check_silent_rules(self, tags, checks):
        """What holds in every case unless it says otherwise (README: silent rules)."""
        told = {(s.text.partition(" for ")[2].strip() or self.world.users[0].name) for s in checks if s.tag == "M"}
        for user in self.world.users:
            before, now = self.world.before[user.name], self.world.look(user)
            if user.name not in told and (before or {}).get("bytes") != (now or {}).get("bytes"):
                raise Mismatch(f"the maildrop of {user.name} changed: {describe((before or {}).get('bytes'), (now or {}).get('bytes'))}")
            if before and now:
                for what in ("owner", "mode") if "inode" in tags else ("inode", "owner", "mode"):
                    if before[what] != now[what]:
                        raise Mismatch(f"{what} of {user.name}'s maildrop changed from {before[what]} to {now[what]} (I2)")
        allowed = [w for s in self.world.case.all("leaves") for w in s.text.split()]
        new = [f for f in os.listdir(self.world.spool) if f not in self.world.listed and f not in {u.name for u in self.world.users}
               and not re.fullmatch(r"\..*\.cache", f) and not any(pathlib.PurePath(f).match(p) for p in allowed)]
        if new:
            raise Mismatch(f"files left in the spool: {' '.join(sorted(new))}")
        for name, session in self.world.sessions.items():
            if session.status is not None and session.status < 0 and not self.world.case.all("kill"):
                raise Mismatch(f"session {name} died of signal {-session.status}")
        secrets = {s for s in [u.password for u in self.world.users] + list(self.world.secrets.values()) if len(s) >= 6}
        for line in self.world.log():
            for secret in secrets:
                if secret in line:
                    raise Mismatch(f"a password stands in the log: {line}")


def reason_to_skip(case, runner, popper):
    pinned = [s.text.split() for s in case.all("over")]
    if pinned and runner.transport not in pinned[-1]:
        return None, True
    if case.all("Y~", "Y!") and b"__asan_init" in popper.read_bytes():
        return "a library before that of the sanitizer", True
    if runner.through and (case.all("without") or any(s.tag in ("E", "E~") for s in case.steps)):
        return None, True  # without its configuration file, or before there is TLS
    for step in case.all("needs"):
        for need in step.text.split():
            if need == "root" and not runner.privileged:
                return "needs a server started as root", os.getuid() == 0
            if need == "ordinary-user" and runner.privileged:
                return "needs a server started as an ordinary user", True
            if need == "tls" and not runner.through:
                return "needs TLS", True
            if need == "plain" and runner.through:
                return "needs a connection without TLS", True
            if need == "sandbox" and (b"__asan_init" in popper.read_bytes() or b"`set sandbox = off` serves without" not in popper.read_bytes()):
                return "needs a sandbox, which builds with sanitizers or without libseccomp do not have", True
            if need.startswith("feature:") and need[8:] not in features(popper):
                return f"needs {need[8:]}, which is not built in", False
            if need.startswith("program:") and not shutil.which(need[8:]):
                return f"needs {need[8:]}", False
    return None, False


def play_case(case, runner, popper):
    """(verdict, text): verdict is "ok" or "not ok". Where a reply came too late, and nothing else is wrong, the case is played again: a server that is late is so
    each time, one that the machine kept waiting is not. The text says how often and how late."""
    before = []
    for _ in range(3):
        verdict, text, late = play_once(case, runner, popper)
        if not late:
            break
        before.append(text)
    notes = [f"played {len(before)} times in vain: {why}" for why in before[:1] if verdict == "ok"]
    return verdict, "\n".join(notes) or text


def play_once(case, runner, popper):
    """(verdict, text, whether a late reply is all that is wrong)"""
    world = play = None
    try:
        world = World(case, runner, popper)
        world.build()
        play = Play(world)
        play.run()
        return "ok", "", False
    except (Mismatch, Broken, subprocess.TimeoutExpired, OSError, ValueError, KeyError, IndexError) as e:
        where = f"line {play.last.number}: {play.last.tag} {play.last.text}\n" if play and play.last else ""
        text = f"{where}{'Mismatch' if isinstance(e, Mismatch) else type(e).__name__}: {e}"
        if world:
            text += "\nlog:\n" + "\n".join("  " + line[:400] for line in world.log()[-30:])
        return "not ok", text, isinstance(e, Late)
    finally:
        if world:
            for session in world.sessions.values():
                session.kill_everything()
            if not os.environ.get("POPPER_WIRE_KEEP"):
                world.remove()


RARE = ("pipe", "pty", "seqpacket")  # only for the cases that ask for them


def runners(arguments, certificate):
    """As root: over TCP started as root, as inetd does, and over a local socket started as an ordinary user."""
    ordinary = FIRST_UID if os.getuid() == 0 and not arguments.as_root else None
    if certificate:
        return [Runner("tcp", None, certificate)]
    everything = [Runner("tcp", None), Runner("unix", ordinary), *(Runner(rare, ordinary) for rare in RARE)]
    wanted = (arguments.over or ("tcp" if os.environ.get("POPPER_TESTS") == "short" else ",".join(("tcp", "unix", *RARE)))).split(",")
    return [r for r in everything if r.transport in wanted]


def readable_by_others(popper, directory):
    """The server's file if everybody may run it, else a copy that everybody may run (a build under /root)."""
    if os.getuid() != 0 or all(p.stat().st_mode & 0o001 for p in [popper, *popper.parents]):
        return popper
    for program in [popper] + [p for p in [popper.parent / "popauth", popper.parent / "popper-mangle"] if p.exists()]:
        shutil.copy(program, directory)
        (pathlib.Path(directory) / program.name).chmod(0o755)
    for module in popper.parent.glob("popper-*.so"):
        shutil.copy(module, directory)
    return pathlib.Path(directory) / popper.name


def main():
    parser = argparse.ArgumentParser(description="plays POP3 transcripts against popper; see tests/wire/README")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--popper", default=os.environ.get("POPPER", "popper/popper"))
    parser.add_argument("--over", help="comma list of tcp, unix, pipe, pty, seqpacket")
    parser.add_argument("--only", help="cases whose name matches this regular expression")
    parser.add_argument("--as-root", action="store_true", help="start the server as root over every transport")
    parser.add_argument("--through-tls", action="store_true", help="over tcp, with TLS from the beginning; each case once")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    popper = pathlib.Path(arguments.popper).absolute()
    if not popper.exists():
        print(f"Bail out! there is no {popper}: build first, or set POPPER")
        return 1
    try:
        cases = [(path, variant) for path in arguments.files for case in parse(path)
                 for variant in case.variants()[:1 if arguments.through_tls else None]]
    except Broken as e:
        print(f"Bail out! {e}")
        return 1
    with tempfile.TemporaryDirectory(prefix="popper-wire.") as shared:
        os.chmod(shared, 0o755)
        popper = readable_by_others(popper, shared)
        return play_all(arguments, cases, popper, make_certificate(shared) if arguments.through_tls else None)


def play_all(arguments, cases, popper, certificate):
    plays = []
    for runner in runners(arguments, certificate):
        for path, case in cases:
            # These are tried by the cases that ask for them: the conversation is the same.
            if runner.transport in RARE and not case.all("over") and not arguments.over:
                continue
            if arguments.only and not re.search(arguments.only, case.name):
                continue
            why, silently = reason_to_skip(case, runner, popper)
            if not silently:
                plays.append((f"{pathlib.Path(path).stem}: {case.name} ({runner.name()})", why, case, runner))
    failed = 0
    print(f"1..{len(plays)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = [(name, why, pool.submit(play_case, case, runner, popper) if not why else None) for name, why, case, runner in plays]
        for number, (name, why, result) in enumerate(results, 1):
            verdict, text = result.result() if result else ("skip", why)
            if verdict == "skip":
                print(f"ok {number} - {name} # SKIP {text}", flush=True)
                continue
            failed += verdict != "ok"
            print(f"{verdict} {number} - {name}", *("# " + line for line in text.split("\n") if text), sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
