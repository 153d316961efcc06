#!/usr/bin/python3
"""samples.py: the samples for inetd, xinetd, rsyslog and logrotate, taken by their programs; the two that start popper do, on the ports of the
samples, in a network and a mount name space of their own. (units.py and proxy.py have those for systemd, HAProxy and nginx.) Prints TAP.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
from cases import ROOT, equal, find, need, run_cases  # noqa: E402
from spoolsite import POPPER, Site  # noqa: E402

SAMPLES = pathlib.Path(os.environ.get("srcdir", ".")) / "samples"


def name_space():
    need(ROOT, "not root")
    need(subprocess.run(["unshare", "-mn", "true"], check=False, capture_output=True).returncode == 0, "no name spaces")


def talk(port):
    """What the server in this name space says first, once it is there."""
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                said = s.makefile("rb").readline()
                if said:
                    s.sendall(b"QUIT\r\n")
                    return said
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"nobody answers at port {port}")


def inside(command, port):
    """In the name spaces: starts the super-server, talks, ends it. (Run as `samples.py --inside PORT COMMAND...`)"""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        print(talk(port).decode("latin-1"), end="")
    except AssertionError:
        server.send_signal(signal.SIGTERM)
        print(server.communicate(timeout=10)[0].decode("latin-1"))
        raise
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=10)
    return 0


def serves(sample, old, command):
    """The sample as it is, but for the paths of program and configuration, serves on port 110."""
    name_space()
    site = Site()
    try:
        text = (SAMPLES / sample).read_text()
        assert old in text and "/etc/popper.conf" in text, text
        conf = site.dir / sample
        conf.write_text(text.replace("/usr/local/lib/popper", str(POPPER)).replace("/etc/popper.conf", str(site.conf)))
        # xinetd and inetd write pid files; /run of the host is not theirs.
        (site.dir / "run").mkdir()
        done = subprocess.run(["unshare", "-mn", "sh", "-c", f"mount --bind {site.dir}/run /run && exec \"$@\"", "sh", sys.executable, "-B", os.path.abspath(__file__),
                               "--inside", "110", *[w.replace("CONF", str(conf)) for w in command]], capture_output=True, text=True, check=False, timeout=60)
        assert re.match(r"\+OK Qpopper \(version .*\) at \S+ starting\. ", done.stdout), f"{done.stdout}{done.stderr}"
        return done.stdout.strip()
    finally:
        site.remove()


def rsyslog():
    rsyslogd = find("rsyslogd", "rsyslog")
    modules = next(iter(pathlib.Path(rsyslogd).parent.parent.glob("lib/*/rsyslog")), None)

    def says(text):
        with tempfile.TemporaryDirectory(prefix="popper-samples.") as directory:
            main = pathlib.Path(directory) / "main.conf"
            main.write_text(f'module(load="imuxsock")\n{text}')
            done = subprocess.run([rsyslogd, *(("-M", str(modules)) if modules else ()), "-N1", "-f", str(main)], capture_output=True, text=True, check=False, timeout=30)
            return done.returncode, done.stdout + done.stderr

    text = (SAMPLES / "popper.rsyslog").read_text()
    status, said = says(text)
    equal("status", status, 0)
    assert "error" not in said.lower(), said
    assert says(text.replace("& stop", "& stopp"))[0] != 0, "rsyslogd finds nothing wrong with `& stopp`"


def logrotate():
    program = find("logrotate", "logrotate")

    def says(text):
        with tempfile.TemporaryDirectory(prefix="popper-samples.") as directory:
            directory = pathlib.Path(directory)
            log, conf = directory / "popper.log", directory / "conf"
            log.write_text("x\n")
            # Who runs this is no adm; the directory's mode is not the matter.
            conf.write_text(text.replace("/var/log/popper.log", str(log)).replace("root adm", f"{os.getuid()} {os.getgid()}"))
            conf.chmod(0o644)
            done = subprocess.run([program, "-d", "-f", "-s", directory / "state", conf], capture_output=True, text=True, check=False, timeout=30)
            return done.returncode, done.stdout + done.stderr

    text = (SAMPLES / "popper.logrotate").read_text()
    status, said = says(text)
    equal("status", status, 0)
    assert "log needs rotating" in said and "error" not in said, said
    assert "rsyslog-rotate" in said, said
    status, said = says(text.replace("weekly", "weeekly"))
    assert status != 0 or "error" in said or "unknown option 'weeekly'" in said, f"logrotate finds nothing wrong with weeekly: {said}"


def from_courier():
    """A Maildir as the real courierpop3d 1.0.16 left it: its names, its courierpop3dsizelist. It said UID1-1795727821 and UID2-1795727821."""
    site = Site()
    try:
        maildir = site.dir / "Maildir"
        for sub in ("new", "cur", "tmp"):
            (maildir / sub).mkdir(parents=True)
        (maildir / "cur" / "1700000001.M1P1.vm:2,S").write_bytes(b"From: a@b\nX-UIDL: old\nSubject: letter 1\n\ntext 1\nFrom here on\n")
        (maildir / "new" / "1700000002.M1P1.vm").write_bytes(b"From: a@b\r\nSubject: letter 2\r\n\r\ntext 2")
        (maildir / "new" / "1700000003.M1P1.vm").write_bytes(b"Subject: letter 3, which no client has seen\n\n")
        (maildir / "courierpop3dsizelist").write_text("/3 3 1795727821\n1700000001.M1P1.vm:2,S 40 1:1795727821:0\n1700000002.M1P1.vm:2, 40 2:1795727821:0\n")
        made = subprocess.run([sys.executable, SAMPLES / "maildir2mbox", maildir], capture_output=True, check=True).stdout
        site.fill("alice", made)
        session = site.open()
        ids = session.body("UIDL")
        equal("ids of Courier", ids[:2], [b"1 UID1-1795727821", b"2 UID2-1795727821"])
        equal("messages", len(ids), 3)
        equal("the last one that was read", session.say("LAST").split()[1], "1")
        equal("message 1", [line for line in session.body("RETR 1") if not line.startswith(b"Status")],
              [b"From: a@b", b"Subject: letter 1", b"X-UIDL: UID1-1795727821", b"", b"text 1", b">From here on"])
        assert b"text 2" in session.body("RETR 2")
        session.quit()
        made = subprocess.run([sys.executable, SAMPLES / "maildir2mbox", "--dovecot", maildir], capture_output=True, check=True).stdout
        assert b"X-UIDL: 1700000003.M1P1.vm\n" in made, made
        made = subprocess.run([sys.executable, SAMPLES / "maildir2mbox", site.dir], capture_output=True, check=False)
        assert made.returncode == 1 and made.stderr.startswith(b"usage: "), made
    finally:
        site.remove()


def from_odd_maildirs():
    """What mail filters, moves between programs and users' hands leave in a Maildir."""
    site = Site()
    try:
        maildir = site.dir / "Maildir"
        for sub in ("new", "cur/folder", "tmp"):
            (maildir / sub).mkdir(parents=True)
        os.mkfifo(maildir / "new" / "1700000009.fifo")
        letters = {"cur/1700000000.a:2,S": b"From foo@bar Mon Jan  1 10:00:00 2024\nSubject: a\nX-UIDL:\n  old\nX-IMAPbase: 1 2\n\ntext\n",
                   "cur/1700000001.b:2,": b"\ntext without header\n\nFrom here\n", "new/1700000002.c": b"",
                   "cur/20231115120000.d": b"Subject: d\n\nd\n", "new/99999999999999999999.e": b"Subject: e\n\ne",
                   f"cur/1700000005.{'f' * 60}:2,": b"Subject: f\n\nf"}
        (maildir / "new" / ".1700000006.hidden").write_bytes(b"Subject: what tools keep there\n\n")
        for name, letter in letters.items():
            (maildir / name).write_bytes(letter)
            os.utime(maildir / name, (1700000003 if ".d" in name else 1700000004, ) * 2)
        made = subprocess.run([sys.executable, SAMPLES / "maildir2mbox", "--dovecot", maildir], capture_output=True, check=True, timeout=30)
        equal("complaints", [line.split(b": ")[1] for line in made.stderr.splitlines()], [os.fsencode(maildir / list(letters)[-1])])
        site.fill("alice", made.stdout)
        session = site.open()
        equal("messages", session.count(), len(letters))
        equal("ids", session.body("UIDL")[:5], [b"1 1700000000.a", b"2 1700000001.b", b"3 1700000002.c", b"4 20231115120000.d", b"5 99999999999999999999.e"])
        equal("a From_ line and a folded id in it", [line for line in session.body("RETR 1") if not line.startswith(b"Status")],
              [b"Subject: a", b"X-UIDL: 1700000000.a", b"", b"text"])
        equal("no header", session.body("RETR 2"), [b"X-UIDL: 1700000001.b", b"", b"text without header", b"", b">From here"])
        assert session.body("RETR 6")[0] == b"Subject: f"
        session.quit()
    finally:
        site.remove()


CASES = [
    ("inetd.conf line", lambda: serves("popper.inetd", "nowait.1000", [find("inetd", "openbsd-inetd"), "-i", "CONF"])),
    ("xinetd file", lambda: serves("popper.xinetd", "service pop3", [find("xinetd", "xinetd"), "-dontfork", "-filelog", "/dev/null", "-f", "CONF", "-pidfile", "/run/x"])),
    ("rsyslog snippet", rsyslog),
    ("logrotate file", logrotate),
    ("maildir2mbox with odd Maildirs", from_odd_maildirs),
    ("maildir2mbox: the ids of Courier", from_courier),
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[3:], int(sys.argv[2])))
    sys.exit(run_cases(CASES))
