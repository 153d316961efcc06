#!/usr/bin/python3
"""A caricature of a server, for selftest.py only: enough POP3 to show that the player sees what is wrong.

FAKE_FAULT in its environment makes it misbehave in one way.
"""
import email.utils
import os
import pathlib
import socket
import sys
import time

config = dict(line[4:].split(" = ") for line in open(sys.argv[sys.argv.index("-f") + 1]).read().split("\n") if " = " in line)
trace = open(sys.argv[sys.argv.index("-t") + 1], "a")
fault = os.environ.get("FAKE_FAULT", "")
drop = pathlib.Path(config["spool-dir"], "alice")
deleted = False


def say(text, end=b"\r\n"):
    os.write(1, text.encode("latin-1") + end)


def log(text):
    trace.write(f"Jan  1 10:00:00.000 2024 [{os.getpid()}] {text}\n")
    trace.flush()


def commands():
    data = b""
    while True:
        while b"\n" not in data:
            more = os.read(0, 65536)
            if not more:
                return
            data += more
        line, _, data = data.partition(b"\n")
        yield line.decode("latin-1").rstrip("\r")


say("+OK Qpopper (version 9.9) at fake starting.  ")
for command in commands():
    if command == "STAT":
        log("stat was asked")
        if fault == "syslog":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
                syslog.connect("/dev/log")
                syslog.send(b"<133>stat")
        if fault == "password":
            log("somebody said secret")
        say("+OK 1 10", b"\n" if fault == "lf" else b"\r\n")
    elif command == "SLOW":
        time.sleep(0.3)
        say("+OK slow")
    elif command == "RETR":
        say("+OK\r\nSubject: x\r\n\r\n" + (".dot" if fault == "stuffing" else "..dot") + "\r\n.")
    elif command[:4] == "DATE":
        say("+OK\r\nX-LOCALTIME " + email.utils.formatdate(time.time() - float(command[5:]), True) + "\r\n.")
    elif command == "DELE":
        deleted = True
        say("+OK")
    elif command == "QUIT":
        say("+OK bye")
        if deleted:
            drop.write_bytes(b"")
        break
    elif command == "HANG":
        time.sleep(60)
    else:
        say("+OK " + command[:20])
if fault == "inode":
    data = drop.read_bytes()
    drop.unlink()
    drop.write_bytes(data)
if fault == "litter":
    pathlib.Path(config["spool-dir"], "alice.lock").write_bytes(b"")
if fault == "child" and os.fork() == 0:
    time.sleep(60)
if fault == "signal":
    os.kill(os.getpid(), 11)
sys.exit(3 if fault == "status" else 0)
