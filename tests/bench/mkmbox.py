#!/usr/bin/env python3
"""mkmbox: deterministic, realistic maildrops for the benchmark: the same bytes on every machine.

    mkmbox.py DIRECTORY [NAME ...]   names: those of SETS, or MESSAGESxBYTES

Each NAME.mbox gets a NAME.json beside it: messages, bytes, and the octets that a server should announce (CRLF line ends, no From_ line, no
separator line).
"""
import base64
import json
import os
import random
import sys
import time

SETS = {               # messages, target bytes
    "empty": (0, 0),
    "tiny": (10, 100_000),
    "nonl": (10, 100_000),           # last line has no newline
    "med": (1_000, 10_000_000),
    "large": (10_000, 100_000_000),
    "big": (20, 500_000_000),
    "huge": (100_000, 165_000_000),  # comes to about 190 MB: just under popa3d's limit of 200 MB
    "giant": (1, 2_200_000_000),     # one message beyond 31 bits
}
WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or "
         "meeting invoice report attached please regards thanks server update schedule project budget "
         "quarterly review deploy ticket customer shipment order number payment request draft").split()
HOSTS = ["mail.example.org", "mx1.example.net", "relay.example.com", "smtp.example.edu"]
UTF8 = "Grüße, señor — naïve café, 日本語のメール, Ελληνικά".encode()
LATIN = "Sm\xf8rrebr\xf8d \xe5 la carte, d\xe9j\xe0 vu".encode("latin-1")


def headers(r, i, t, ctype):
    h, h2 = r.choice(HOSTS), r.choice(HOSTS)
    u = "%s.%s" % (r.choice(WORDS), r.choice(WORDS))
    d = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(t))
    ident = "%08x.%06x" % (r.getrandbits(32), i)
    L = ["Return-Path: <%s@%s>" % (u, h),
         "X-Original-To: bench@example.org",
         "Delivered-To: bench@example.org"]
    for k in range(r.choice((1, 2, 2, 3))):
        L += ["Received: from %s (%s [192.0.2.%d])" % (h2, h2, r.randrange(1, 255)),
              "\tby %s (Postfix) with ESMTPS id %010X" % (h, r.getrandbits(40)),
              "\tfor <bench@example.org>; " + d]
    if r.random() < .6:
        L += ["DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=s1;" % h,
              "\tbh=" + base64.b64encode(r.randbytes(32)).decode() + ";",
              "\th=From:To:Subject:Date:Message-ID;",
              "\tb=" + base64.b64encode(r.randbytes(54)).decode(),
              "\t " + base64.b64encode(r.randbytes(54)).decode()]
    subj = " ".join(r.choice(WORDS) for _ in range(r.randrange(2, 9)))
    if r.random() < .15:
        subj = "=?utf-8?B?" + base64.b64encode(UTF8[:30]).decode() + "?="
    L += ["Date: " + d, 'From: "%s" <%s@%s>' % (u.title(), u, h), "To: bench@example.org",
          "Message-ID: <%s@%s>" % (ident, h), "Subject: " + subj, "MIME-Version: 1.0",
          "Content-Type: " + ctype]
    if r.random() < .4:
        L += ["List-Unsubscribe: <mailto:unsub-%d@%s>" % (i, h), "X-Mailer: ExampleMail 7.%d" % r.randrange(9)]
    fr = "From %s@%s %s" % (u, h, time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(t)))
    return fr.encode(), ("\n".join(L)).encode()


def text_pool(r):
    """about 400 paragraphs with the odd awkward line"""
    pool = []
    for k in range(400):
        lines = []
        for _ in range(r.randrange(3, 14)):
            s = ""
            while len(s) < r.randrange(40, 76):
                s += r.choice(WORDS) + " "
            lines.append(s.strip().encode())
        q = r.random()
        if q < .05:
            lines.append(b">From the desk of someone who starts a line with From")
        elif q < .10:
            lines.append(b".")
        elif q < .14:
            lines.append(b"..two dots, and")
        elif q < .18:
            lines.append(b".profile is a dot file")
        elif q < .26:
            lines.append(UTF8)
        elif q < .30:
            lines.append(LATIN)
        elif q < .33:
            lines.append(b"x" * r.randrange(990, 4000))
        elif q < .335:
            lines.append(b"<td>" * 4000)
        lines.append(b"")
        pool.append(b"\n".join(lines) + b"\n")
    return pool


def b64lines(r, n):
    n = n * 57 // 77
    s = base64.encodebytes(r.randbytes(n))   # 76-column lines with \n
    return s


def build(name, out):
    """The JSON of maildrop `name`, which is made unless it is there."""
    path = os.path.join(out, name + ".mbox")
    if os.path.exists(os.path.join(out, name + ".json")):
        with open(os.path.join(out, name + ".json"), encoding="ascii") as f:
            return json.load(f)
    n, target = SETS[name] if name in SETS else map(int, name.split("x"))
    r = random.Random("popbench-" + name)
    pool = text_pool(r)
    blob = b64lines(r, 4_000_000)
    lines = len(blob) // 77
    w = [r.lognormvariate(0, 1.0) if name not in ("big", "giant") else r.uniform(.8, 1.2) for _ in range(n)]
    tot = sum(w) or 1
    octets = 0
    t = 1_767_225_600
    with open(path, "wb", 1 << 20) as f:
        for i in range(n):
            t += r.randrange(30, 4000)
            size = max(900, int(w[i] / tot * target))
            attach = name in ("big", "giant") or (size > 12_000 and r.random() < .5)
            bd = "=_b%08x" % r.getrandbits(32)
            fr, h = headers(r, i, t, 'multipart/mixed; boundary="%s"' % bd if attach
                            else "text/plain; charset=utf-8")
            size = max(len(h) + 150, size)
            parts = [h, b"\n\n"]
            left = size - len(h) - len(fr) - 4
            if attach:
                parts.append(b"--" + bd.encode() + b"\nContent-Type: text/plain; charset=utf-8\n"
                             b"Content-Transfer-Encoding: 8bit\n\n" + r.choice(pool)
                             + b"--" + bd.encode() + b"\nContent-Type: application/octet-stream; name=\"a.bin\"\n"
                             b"Content-Transfer-Encoding: base64\n"
                             b"Content-Disposition: attachment; filename=\"a.bin\"\n\n")
                left -= sum(map(len, parts)) - len(h)
                while left > 0:
                    k = min(lines, max(1, left // 77))
                    a = r.randrange(0, lines - k + 1) * 77
                    parts.append(blob[a:a + k * 77])
                    left -= k * 77
                parts.append(b"--" + bd.encode() + b"--\n")
            else:
                while left > 0:
                    p = r.choice(pool)
                    if len(p) > left and len(p) > 1200:
                        p = pool[0]
                    if len(p) > left + 100:
                        p = p[:p.rfind(b"\n", 0, max(60, left)) + 1] or b"ok\n"
                    parts.append(p)
                    left -= len(p)
            m = b"".join(parts)
            if m[-1:] != b"\n":
                m += b"\n"
            if name == "nonl" and i == n - 1:
                m = m.rstrip(b"\n")
                f.write(fr + b"\n" + m)
                octets += len(m) + m.count(b"\n") + 2
                break
            f.write(fr + b"\n" + m + b"\n")
            octets += len(m) + m.count(b"\n")
    meta = {"name": name, "messages": n, "bytes": os.path.getsize(path), "octets": octets}
    with open(os.path.join(out, name + ".json"), "w", encoding="ascii") as f:
        json.dump(meta, f)
    return meta


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for wanted in sys.argv[2:] or SETS:
        print(build(wanted, sys.argv[1]))
