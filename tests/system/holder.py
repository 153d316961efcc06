#!/usr/bin/python3
"""holder.py: makes processes of a server hang where nothing can kill them, as in the kernel with a file system that does not answer: traced, a
process that is killed stops before it gives anything back. Not a test.

Holder(pid) lets it be until it ends. Holder(pid, depth=2) also lets the processes that it makes from now on begin, but not those that they
make: these stand still before their first instruction. At the end of the block all go on.
"""
import ctypes
import os
import select
import signal
import subprocess
import sys

SEIZE, CONT, EVENT_MESSAGE = 0x4206, 7, 0x4201
TRACE_FORK, TRACE_EXIT = 0x2, 0x40
EVENT_FORK, EVENT_EXIT, EVENT_STOP = 1, 6, 128
PATIENCE = 40


class Holder:
    def __init__(self, pid, depth=0):
        self.tracer = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), str(pid), str(depth)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, bufsize=0)
        self.expect("ready", pid)

    def expect(self, word, pid=None):
        """The process that the next word of the tracer is about: "held" (before its first instruction) or "dying"."""
        ready, _, _ = select.select([self.tracer.stdout], [], [], PATIENCE)
        line = self.tracer.stdout.readline().decode().split() if ready else ["nothing"]
        if line[:1] != [word] or (pid and line[1:] != [str(pid)]):
            raise AssertionError(f"the tracer said {line} instead of {word} {pid or ''}")
        return int(line[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tracer.stdin.close()
        self.tracer.stdout.close()
        self.tracer.wait(10)


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def serve(first, depth):
    """Until nobody is traced any more."""
    known, early = {first: 0}, set()  # how deep below the first; those who stand before their parent has told of them
    ptrace(SEIZE, first, (TRACE_FORK if depth else 0) | TRACE_EXIT)
    print("ready", first, flush=True)

    def stands(pid):
        if known[pid] == depth:
            print("held", pid, flush=True)
        else:
            ptrace(CONT, pid, 0)

    while known:
        pid, status = os.waitpid(-1, 0x40000000)  # __WALL
        event, number = status >> 16, os.WSTOPSIG(status) if os.WIFSTOPPED(status) else 0
        if not number:
            known.pop(pid, None)
        elif event == EVENT_EXIT:
            print("dying", pid, flush=True)
        elif event == EVENT_STOP and pid not in known:
            early.add(pid)
        elif event == EVENT_STOP:
            stands(pid)
        elif event == EVENT_FORK:
            child = ctypes.c_ulong()
            ptrace(EVENT_MESSAGE, pid, ctypes.addressof(child))
            known[child.value] = known[pid] + 1
            if child.value in early:
                stands(child.value)
            ptrace(CONT, pid, 0)
        else:
            ptrace(CONT, pid, number)


if __name__ == "__main__":
    tracer = os.fork()
    if tracer == 0:
        serve(int(sys.argv[1]), int(sys.argv[2]))
        os._exit(0)
    os.close(1)
    sys.stdin.read()
    os.kill(tracer, signal.SIGKILL)
