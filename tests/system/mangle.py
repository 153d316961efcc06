#!/usr/bin/python3
"""mangle.py: XMANGLE on mail as it comes: charsets, encodings, all shapes of MIME, broken and endless ones, against the real server; the worker seen
from outside, killed, stopped and missing; curl and mpop. Prints TAP.
"""
import base64
import os
import pathlib
import quopri
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import FORM, ROOT, SANITIZED, children, equal, gone, need, possible, run_cases, wait_until  # noqa: E402
from spoolsite import MAIL_GID, POPPER, Site  # noqa: E402
from world import features  # noqa: E402

FROM = b"From a@b Mon Nov 23 05:00:00 2026\n"
PLAIN = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit", ""]
WANT = "XMANGLE(headers=subject)"
# In instrumented builds the sandbox is not enforced and everything takes longer.
COUNT = 300 if FORM == "short" else 3000
SLOWER = 10 if SANITIZED else 1


def letter(content):
    return FROM + (content.encode() if isinstance(content, str) else content).rstrip(b"\n") + b"\n\n"


def converted(*letters, wanted=WANT):
    """What RETR says of each, as text lines; and that LIST says its size."""
    need("GMime" in features(POPPER), "GMime is not built in")
    site = Site()
    try:
        site.fill("alice", b"".join(letter(content) for content in letters))
        session = site.open()
        found = []
        for number in range(1, len(letters) + 1):
            lines = session.body(f"RETR {number} {wanted}")
            size = int(session.must(f"LIST {number} {wanted}").split()[2])
            equal(f"size of message {number}", size, sum(len(line) + 2 for line in lines))
            found.append(lines)
        session.quit()
        return found
    finally:
        site.remove()


def body(lines):
    return [line.decode() for line in lines[lines.index(b"") + 1:]]


def shows(content, *expected, wanted=WANT):
    """The body is exactly this; more about the message in its name."""
    equal("body", body(converted(content, wanted=wanted)[0]), list(expected))


def charsets():
    texts = {"iso-8859-1": "Grüße £", "windows-1252": "„Grüße“ – 5 €", "koi8-r": "Привет, мир", "iso-2022-jp": "日本語のテキスト", "utf-8": "Ελληνικά ✓",
             "gb18030": "简体中文 𠀀", "gb2312": "简体中文", "big5": "繁體中文", "euc-kr": "한국어", "shift_jis": "カタカナ", "iso-8859-15": "œuvre €",
             "utf-7": "Grüße", "utf-16": "Grüße"}
    letters = []
    for charset, text in texts.items():
        raw = (text + "\n").encode(charset)
        letters.append(f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(raw))
        quoted = quopri.encodestring(raw) if charset != "utf-16" else base64.encodebytes(raw)
        letters.append(f'Content-Type: text/plain; charset="{charset.upper()}"\nContent-Transfer-Encoding: '.encode()
                       + (b"base64" if charset == "utf-16" else b"quoted-printable") + b"\n\n" + quoted)
    for lines, text in zip(converted(*letters), [t for text in texts.values() for t in (text, text)]):
        equal("body", body(lines), [text])


def charsets_that_lie():
    shows("Content-Type: text/plain\n\nGrüße\n".encode("latin-1"), "Grüße")
    shows("Content-Type: text/plain\n\nGrüße\n", "Grüße")
    shows("Content-Type: text/plain; charset=us-ascii\n\nGrüße\n", "Grüße")
    shows("Content-Type: text/plain; charset=nonsense\n\nGrüße\n".encode("latin-1"), "Grüße")
    shows(b"Content-Type: text/plain; charset=utf-8\n\nok \xff\xc3( end\n", "ok �� ( end".replace(" (", "("))
    shows(b"Content-Type: text/plain; charset=iso-8859-1\n\n\x93hi\x94 \x1b[31mred\x07\x00\n", "“hi” [31mred")
    shows("Content-Type: text/html\n\n<meta http-equiv=x content='text/html; charset=koi8-r'><p>Привет\n".encode("koi8-r"), "Привет")


def charsets_asked_for():
    text = "Content-Type: text/plain; charset=utf-8\nSubject: =?utf-8?q?gr=C3=BCn?=\n\nGrüße – 5 € „x“ 日本\n"
    for charset, expected in (("us-ascii", b'Gruss e - 5 EUR ,,x" ??'), ("iso-8859-1", b"Gr\xfc\xdfe - 5 EUR"), ("koi8-r", None), ("gb18030", None)):
        lines = converted(text, wanted=f"XMANGLE(charset={charset};headers=subject)")[0]
        equal("type", lines[2], f"Content-Type: text/plain; charset={charset}".encode())
        assert all(b > 31 or b == 27 for line in lines for b in line), lines
        if charset == "us-ascii":
            assert all(b < 128 for line in lines for b in line) and lines[0] == b"Subject: grun", lines
            equal("encoding", lines[3], b"Content-Transfer-Encoding: 7bit")
        if expected and charset == "iso-8859-1":
            assert lines[-1].startswith(expected), lines
    japanese = converted("Content-Type: text/plain; charset=utf-8\n\n日本\n.テスト\n", wanted="XMANGLE(charset=iso-2022-jp)")[0]
    equal("text", b"\n".join(japanese[-2:]).decode("iso-2022-jp"), "日本\n.テスト")


def headers():
    lines = converted("From: =?iso-8859-1?q?M=FCller=2C_J=2E?= <j@x>, b@y\nTo: undisclosed:;\nX-Other: no\nsubject: =?utf-8?b?R3LDvMOfZQ==?=\n"
                      " =?utf-8?q?_zwei?=\nCc: a@b\nContent-Type: text/plain\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nReply-To: =?utf-8?q?x=0d=0aBcc:_evil?= <r@x>\n"
                      "Subject: " + "word " * 60 + "\n\nx\n", wanted="XMANGLE")[0]
    head = [line.decode() for line in lines[:lines.index(b"")]]
    equal("From", head[0], 'From: "Müller, J." <j@x>, b@y')
    assert "subject: Grüße zwei" in head and not any(line.startswith(("X-Other", "Bcc")) for line in head), head
    assert all(len(line) <= 78 for line in head) and any(line.startswith(" word") for line in head), head


def plain_texts():
    shows("Subject: x\n\none\n\n\ntwo  \n-- \nsig\n", "one", "", "", "two", "-- ", "sig")
    shows("Subject: x\n\n")
    shows("Subject: x\nContent-Type: text/plain; format=flowed\n\nThis is \none line.\n>> quoted \n>> text\n> less\n From\n-- \nsig \n-- \n",
          "This is one line.", ">> quoted text", "> less", "From", "-- ", "sig", "-- ")
    shows("Subject: x\nContent-Type: text/plain; format=flowed; delsp=yes\n\n日 \n本\n", "日本")
    shows("Subject: x\n\n> quoted text that is too long for a line\n  * an item of a list that is too long\n", "> quoted text that is", "> too long for a line",
          "  * an item of a list", "    that is too long", wanted="XMANGLE(wrap=22)")
    text = "x" * 2000 + "\n" + "word " * 500
    lines = body(converted("Subject: x\n\n" + text + "\n")[0])
    assert all(len(line) < 999 for line in lines) and "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", ""), "long lines"
    shows("Subject: x\n\nbefore\nbegin 644 a b.txt\n#86)C\n`\nend\nafter\nbegin 644 no file\n", "before", "", "[attachment not shown: a b.txt (uuencoded, 3 bytes)]", "",
          "after", "begin 644 no file")
    shows("Subject: x\nContent-Type: application/octet-stream; name=a.bin\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n#86)C\n`\nend\n",
          "[attachment not shown: a.bin (application/octet-stream, 3 bytes)]", "")


def html():
    shows("""Content-Type: text/html; charset=utf-8

<html><head><title>no</title><style>p { color: red }</style><script>alert("no")</script></head><body>
<h1>Hello &amp; welcome</h1><p>A <b>paragraph</b> with
a <a href="https://example.com/x?y=1">link</a>, <a href="https://example.com/">example.com</a>, <a href="mailto:bob@example.com?subject=x">Bob</a>
and <a href="#top">nowhere</a>.<br>Next line.
<ul><li>one<li>two<ol><li>a</li><li>b</li></ol><li>three</ul>
<blockquote>quoted<blockquote>twice</blockquote></blockquote>
<table><tr><th>Name</th><th>Price</th></tr><tr><td>Äpfel</td><td>1.20</td></tr><tr><td>日本</td><td>3</td></tr></table>
<table><tr><td><table><tr><td>left<br>below</td><td>right</td></tr></table></td></tr></table>
<pre>  as   it
is</pre><img src=x alt="a picture"><div style="display: none">hidden</div><hr>&#x9b;31mend</body></html>
""", "Hello & welcome", "", "A paragraph with a link <https://example.com/x?y=1>, example.com, Bob", "<bob@example.com> and nowhere.", "Next line.", "", "  * one",
          "  * two", "     1. a", "     2. b", "  * three", "", "> quoted", ">", "> > twice", "", "Name   Price", "------------", "Äpfel  1.20", "日本   3", "",
          "left", "below", "", "right", "", "  as   it", "is", "", "[a picture]", "-" * 40, "31mend")
    shows("Content-Type: text/html\n\n<table><tr><td>" + "long " * 20 + "<td>b</table>", ("long " * 15).strip(), "long long long long long | b")
    both = "Content-Type: multipart/alternative; boundary=B\n\n--B\n\nplain\n--B\nContent-Type: text/html\n\n<p>html\n--B--\n"
    shows(both, "plain")
    equal("html", converted(both, wanted="XMANGLE(text=html)")[0][-1:], [b"<p>html"])
    equal("type", converted(both, wanted="XMANGLE(text=html;headers=to)")[0][1], b"Content-Type: text/html; charset=UTF-8")
    shows("Subject: x\n\nno HTML <here>\n", "no HTML <here>", wanted="XMANGLE(text=html)")
    shows("Content-Type: multipart/alternative; boundary=B\n\n--B\n\n \n--B\nContent-Type: text/html\n\n<p>html\n--B--\n", "html")


def part(kind, text, more=""):
    return f"Content-Type: {kind}\n{more}\n{text}\n"


def multi(kind, *parts, boundary="B", end=True):
    inside = "".join(f"--{boundary}\n{p}" for p in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{inside}' + (f"--{boundary}--\n" if end else "")


def shapes():
    text, page = part("text/plain", "text"), part("text/html", "<p>page")
    inner = "From: in@x\nX-No: no\nSubject: inner\n\ninner text\n"
    pdf = part("application/pdf", base64.encodebytes(b"x" * 1000).decode(), 'Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename*=utf-8\'\'a%C3%A4.pdf\n')
    note = "[attachment not shown: aä.pdf (application/pdf, 1000 bytes)]"
    shows(multi("mixed", text, pdf), "text", "", note, "")
    shows(multi("mixed", text, pdf, text), "text", "", note, "", "text")
    shows(multi("mixed", text, part("text/plain", "x", 'Content-Disposition: attachment; filename="/etc/\x1b[1m\n passwd"\n')), "text", "",
          "[attachment not shown: /etc/[1m passwd (text/plain, 1 bytes)]", "")
    shows(multi("related", page, part("image/png", "x", "Content-ID: <1@x>\n")), "page", "", "[attachment not shown: without a name (image/png, 1 bytes)]", "")
    shows(multi('related; start="<2@x>"', part("image/png", "x"), part("text/html", "<p>root", "Content-ID: <2@x>\n")), "root", "",
          "[attachment not shown: without a name (image/png, 1 bytes)]", "")
    shows(multi("signed", text, part("application/pgp-signature", "x")), "text", "", "[the part above is signed; the signature was not checked]", "")
    shows(multi("encrypted", part("application/pgp-encrypted", "Version: 1"), part("application/octet-stream", "x")),
          "[this message is encrypted; it can be read by a program that has the key only]", "")
    shows(multi("mixed", text, part("message/rfc822", inner)), "text", "", "[an included message]", "", "From: in@x", "Subject: inner", "", "inner text")
    shows(multi("report; report-type=delivery-status", text, part("message/delivery-status", "Action: failed"), part("message/rfc822", inner)), "text", "",
          "[the message that this is about]", "", "From: in@x", "Subject: inner", "")
    shows(multi("mixed", multi("alternative", text, multi("related", page, part("image/png", "x"), boundary="R"), boundary="A"), pdf), "text", "", note, "")
    shows(multi("digest", "\n" + inner), "[an included message]", "", "From: in@x", "Subject: inner", "", "inner text")


def broken_shapes():
    text = part("text/plain", "text")
    shows(multi("mixed", text, text, end=False), "text", "", "text")
    shows("Content-Type: multipart/mixed; boundary=X\n\nno such\nboundary\n", "[no parts could be found in this message; this is how it reads]", "", "no such", "boundary")
    shows("Content-Type: multipart/mixed\n\ntext\n", "[no parts could be found in this message; this is how it reads]", "", "text")
    shows(multi("mixed", multi("mixed", text, boundary="I", end=False), text), "text", "", "text")
    shows(multi("mixed", multi("mixed", text), text), "text", "", "text")
    shows("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nd29y!!ZA=\n=\n", "word")
    converted("no header at all\nbut text\n", "Content-Type: ;;;=\nContent-Transfer-Encoding: x\n\ntext\n", "Content-Type: message/rfc822\n\n", "Content-Type: message/partial; id=1; number=1; total=2\n\nx\n", "Content-Type: message/external-body\n\nx\n", "\n", "\n\n")


def deep(levels):
    return ("".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(levels)) + "\ndeep\n"
            + "".join(f"--b{i}--\n" for i in reversed(range(levels))))


def bounds():
    """What one message may cost, all of these by one worker, with the worker's greatest memory."""
    need("GMime" in features(POPPER), "GMime is not built in")
    monsters = {
        "50 levels": deep(50),
        "20,000 levels": deep(20000),
        "20,000 included messages": "Content-Type: message/rfc822\n\nSubject: x\n" * 20000 + "\nx\n",
        "10,000 parts": multi("mixed", *[part("image/png", "x")] * 10000),
        "10,000 texts": multi("mixed", *[f"\ntext {i}\n" for i in range(10000)]),
        "10,000 alternatives": multi("alternative", *[part("text/html", "<p>x")] * 10000),
        "deep HTML": "Content-Type: text/html\n\n" + "<div><table><tr><td><ul><li><blockquote>" * 30000 + "x",
        "1 MB of HTML attributes": "Content-Type: text/html\n\n<p " + "a=b " * 250000 + ">x",
        "20 MB in one line": "Content-Type: text/plain\n\n" + "x " * 10000000,
        "20 MB of base64 text": "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + ("eHh4eHh4eHgK" * 6 + "\n") * 280000,
        "1 MB in Subject": "Subject: " + "=?utf-8?q?x?= " * 70000 + "\n\nx\n",
        "100,000 fields": "Subject: x\n" * 100000 + "\nx\n",
    }
    if FORM == "short":
        monsters = {name: monsters[name] for name in ("50 levels", "10,000 parts", "deep HTML")}
    site = Site()
    said = []
    try:
        site.fill("alice", b"".join(letter(m) for m in monsters.values()))
        session = site.open()
        session.body("RETR 1 XMANGLE")  # so that there is a worker
        for number, name in enumerate(monsters, 1):
            began = processor_time(session)
            lines = session.body(f"RETR {number} XMANGLE")
            took = processor_time(session) - began
            size = sum(len(line) + 2 for line in lines)
            assert took < 5 * SLOWER and size < 12 << 20, f"{name}: {took:.2f} s, {size} octets"
            said.append(f"{name}: {took * 1000:.0f} ms of a processor, {size} octets")
            if name == "50 levels":
                equal(name, lines[-1], b"deep")
        peak = int(next(line.split()[1] for line in pathlib.Path(f"/proc/{worker_of(session)}/status").read_text().splitlines() if line.startswith("VmHWM")))
        assert peak < 250000 or SANITIZED, f"the worker used {peak} KiB"
        said.append(f"the worker used {peak} KiB at most")
        session.quit()
        return "; ".join(said)
    finally:
        site.remove()


def worker_of(session):
    found = [p for p in children(session.server.pid) if pathlib.Path(f"/proc/{p}/comm").read_text().startswith("popper-mangle")]
    equal("workers", len(found), 1)
    return found[0]


def site_with(*letters, config=(), **spool):
    need("GMime" in features(POPPER), "GMime is not built in")
    site = Site(config=config, **spool)
    site.fill("alice", b"".join(letter(content) for content in letters))
    return site


def worker_is_powerless(**spool):
    site = site_with("\nx\n", **spool)
    try:
        session = site.open()
        equal("children before", len(children(session.server.pid)), 1)
        session.body("RETR 1 XMANGLE")
        pid = worker_of(session)
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        uid, gid = (site.users["alice"],) * 2 if ROOT else (os.getuid(), os.getgid())
        equal("uids", [int(n) for n in status["Uid"].split()], [uid] * 4)
        equal("gids", [int(n) for n in status["Gid"].split()], [gid] * 4)
        equal("groups", [int(n) for n in status["Groups"].split()], [gid] if ROOT else os.getgroups())
        equal("capabilities", int(status["CapPrm"], 16) if ROOT else 0, 0)
        equal("no_new_privs", status["NoNewPrivs"].strip(), "1")
        config = POPPER.parent.parent / "config.h"
        if not SANITIZED and config.exists() and "#define WITH_SANDBOX 1" in config.read_text():
            equal("seccomp", status["Seccomp"].strip(), "2")
        if ROOT:
            equal("environment", pathlib.Path(f"/proc/{pid}/environ").read_bytes(), b"")
            for _ in range(100):  # it closes the files of the message after its answer
                fds = sorted((int(fd), os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0]) for fd in os.listdir(f"/proc/{pid}/fd"))
                if len(fds) == 3:
                    break
                time.sleep(0.02)
            equal("descriptors", fds, [(0, "socket"), (1, "/dev/null"), (2, "/dev/null")])
            equal("owner of /proc/PID/mem (0 says not dumpable)", os.stat(f"/proc/{pid}/mem").st_uid, 0)
        limits = {line[:25].strip(): line[26:].split()[0] for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]}
        equal("limits", [limits[kind] for kind in ("Max cpu time", "Max file size", "Max processes", "Max core file size", "Max open files")],
              ["120", str(16 << 20), "0", "0", "16"])
        assert SANITIZED or limits["Max address space"] == str(768 << 20), limits
        for _ in range(5):
            session.body("RETR 1 XMANGLE")
        equal("the same worker", worker_of(session), pid)
        session.quit()
        assert not pathlib.Path(f"/proc/{pid}").exists(), "the worker outlives its session"
    finally:
        site.remove()


def worker_is_powerless_in_a_spool_of_group_mail():
    """Where the keeper has that group in reserve."""
    need(ROOT, "not root")
    worker_is_powerless(spool_mode=0o2775, spool_gid=MAIL_GID)


def hit(pid, signal_number):
    """Of a process that is stopped; only some signals end it then."""
    os.kill(pid, signal_number)
    if signal_number != signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)


def worker_dies(signal_number, said, config=()):
    site = site_with("\none\n", "\ntwo\n", config=config)
    try:
        session = site.open()
        session.body("RETR 1 XMANGLE")
        os.kill(worker_of(session), signal.SIGSTOP)
        killer = threading.Timer(1, hit, (worker_of(session), signal_number))
        killer.start()
        reply = session.say("RETR 2 XMANGLE")
        killer.join()
        assert reply.startswith(f"-ERR [SYS/TEMP] Message 2 cannot be converted: {said}"), reply
        assert f"a message of alice could not be converted to text (popper-mangle): {said}" in site.log(), site.log()
        equal("next", session.body("RETR 2 XMANGLE")[-1], b"two")
        equal("as it is", session.body("RETR 2"), [b"", b"two"])
        equal("QUIT", session.say("DELE 1")[:3], "+OK")
        session.quit()
    finally:
        site.remove()


def worker_is_killed():
    worker_dies(signal.SIGKILL, "the process that converts it was killed by signal 9")


def worker_trespasses():
    """As its filter kills it."""
    worker_dies(signal.SIGSYS, "the mangler process was killed by the sandbox")


def processor_time(session):
    """Seconds that the worker has had, however busy the machine is otherwise."""
    fields = pathlib.Path(f"/proc/{worker_of(session)}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker_hangs():
    worker_dies(signal.SIGSTOP, "it took longer than 2 seconds", config=["timeout = 2"])


def idle_worker_is_killed():
    """Between two messages: nobody notices."""
    site = site_with("\none\n")
    try:
        session = site.open()
        session.body("RETR 1 XMANGLE")
        worker = worker_of(session)
        os.kill(worker, signal.SIGKILL)
        wait_until("it is dead", lambda: gone(worker))
        equal("next", session.body("RETR 1 XMANGLE")[-1], b"one")
        session.quit()
        assert "could not be converted" not in site.log(), site.log()
    finally:
        site.remove()


def popper_alone(site):
    """A directory with popper and no other part of it."""
    copy = site.dir / "bin"
    copy.mkdir(mode=0o755)
    copy.chmod(0o755)
    shutil.copy(POPPER, copy / "popper")
    return copy


def program_is_missing():
    site = site_with("\none\n")
    try:
        copy = popper_alone(site)
        possible(not pathlib.Path("/usr/local/lib/popper-mangle").exists(), "popper is installed here")
        done = subprocess.run([copy / "popper", "-f", site.conf, "-t", site.trace], input=b"USER alice\r\nPASS secret\r\nRETR 1 XMANGLE\r\nLIST XMANGLE\r\nRETR 1\r\nQUIT\r\n",
                              capture_output=True, check=False, cwd="/")
        replies = done.stdout.decode().splitlines()
        assert any(line.startswith("-ERR [SYS/TEMP] Message 1 cannot be converted: ") and "popper-mangle is missing" in line for line in replies), replies
        assert "1 7" in replies and "one" in replies, replies
        assert "no message of alice can be converted to text: " in site.log(), site.log()
    finally:
        site.remove()


def program_is_of_another_version():
    """An upgrade while the old popper still listens."""
    site = site_with("\none\n")
    try:
        copy = popper_alone(site)
        version = subprocess.run([POPPER, "-v"], capture_output=True, check=True).stdout.split()[2]
        worker = pathlib.Path(POPPER).with_name("popper-mangle").read_bytes()
        other = worker.replace(version + b"\0", version[:-1] + b"z\0")
        assert other != worker, f"no {version} in it"
        (copy / "popper-mangle").write_bytes(other)
        (copy / "popper-mangle").chmod(0o755)
        done = subprocess.run([copy / "popper", "-f", site.conf, "-t", site.trace], input=b"USER alice\r\nPASS secret\r\nRETR 1 XMANGLE\r\nRETR 1\r\nQUIT\r\n",
                              capture_output=True, check=False, cwd="/")
        replies = done.stdout.decode().splitlines()
        assert any(line.startswith("-ERR [SYS/TEMP] Message 1 cannot be converted: popper-mangle is of another version than popper ") for line in replies), replies
        assert "one" in replies and "is of another version" in site.log(), site.log()
    finally:
        site.remove()


def many_messages():
    """One process for all of them."""
    site = site_with(*[f"Subject: {i}\n\ntext {i}\n" for i in range(COUNT)])
    try:
        session = site.open()
        session.body("RETR 1 XMANGLE")
        pid = worker_of(session)
        began = time.monotonic()
        lines = session.body("LIST XMANGLE")
        took = time.monotonic() - began
        equal("lines", len(lines), COUNT)
        equal("worker", worker_of(session), pid)
        equal("size", int(lines[-1].split()[1]), sum(len(line) + 2 for line in session.body(f"RETR {COUNT} XMANGLE")))
        session.quit()
        return f"LIST XMANGLE of {COUNT} messages: {took:.2f} s"
    finally:
        site.remove()


class Listener(socketserver.ThreadingTCPServer):
    """As inetd starts the server."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, site):
        self.site = site
        super().__init__(("127.0.0.1", 0), None)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, client_address):
        subprocess.run([POPPER, "-f", self.site.conf, "-t", self.site.trace], stdin=request, stdout=request, stderr=subprocess.DEVNULL, check=False, cwd="/")


PICTURE = multi("mixed", part("text/html", "<p>Hello <b>you</b>"), part("image/png", "x", 'Content-Disposition: attachment; filename="p.png"\n'))


def curl_asks():
    need(shutil.which("curl"), "no curl")
    site = site_with("Subject: hi\n" + PICTURE)
    listener = Listener(site)
    try:
        done = subprocess.run(["curl", "-sS", "--user", "alice:secret", "-X", "RETR 1 XMANGLE(text=plain)", f"pop3://127.0.0.1:{listener.server_address[1]}/"],
                              capture_output=True, check=True, timeout=20)
        equal("what curl got", done.stdout.decode().splitlines(),
              ["Subject: hi", *PLAIN, "Hello you", "", "[attachment not shown: p.png (image/png, 1 bytes)]", ""])
        done = subprocess.run(["curl", "-sS", "--user", "alice-no-mime:secret", f"pop3://127.0.0.1:{listener.server_address[1]}/1"], capture_output=True, check=True, timeout=20)
        assert b"Hello you" in done.stdout and b"image/png, 1 bytes" in done.stdout, done.stdout
    finally:
        listener.shutdown()
        listener.server_close()
        site.remove()


def mpop_without_mime():
    need(shutil.which("mpop"), "no mpop")
    site = site_with("From: a@b\nSubject: hi\n" + PICTURE)
    listener = Listener(site)
    try:
        conf, got = site.dir / "mpoprc", site.dir / "got"
        conf.write_text(f"defaults\naccount a\nhost 127.0.0.1\nport {listener.server_address[1]}\nuser alice-no-mime\npassword secret\nauth user\nkeep on\ntls off\n"
                        f"delivery mbox {got}\nuidls_file {site.dir}/uidls\nreceived_header off\naccount default : a\n")
        conf.chmod(0o600)
        subprocess.run(["mpop", "-C", str(conf), "-q"], check=True, capture_output=True, text=True, timeout=20)
        text = got.read_text()
        assert "Content-Type: text/plain; charset=UTF-8\n" in text and "Hello you\n" in text and "multipart" not in text, text
    finally:
        listener.shutdown()
        listener.server_close()
        site.remove()


CASES = [(case.__name__.replace("_", " "), case) for case in
         (charsets, charsets_that_lie, charsets_asked_for, headers, plain_texts, html, shapes, broken_shapes, bounds, worker_is_powerless, worker_is_powerless_in_a_spool_of_group_mail, worker_is_killed,
          worker_trespasses, worker_hangs, idle_worker_is_killed, program_is_missing, program_is_of_another_version, many_messages, curl_asks, mpop_without_mime)]

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
