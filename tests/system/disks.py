#!/usr/bin/python3
"""disks.py: real file systems on loop devices, in a private mount namespace: deleting on an ext4 that is full up to its last block; full xfs and btrfs; the copy
for a session in normal mode, which xfs and btrfs share with the maildrop instead of making it. Prints TAP.

What is guaranteed on a full disk (GUIDE, "When the disk is full"): deleting works where one block is free or an index was written before; without either, cutting
messages off the end works, and everything else is refused with [SYS/TEMP] and leaves the maildrop as it was. Nothing is lost in any case.
Needs root and loop devices; in CI only the lack of loop devices is a reason to skip.
"""
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from cases import FORM, ROOT, SANITIZED, equal, need, program, run_cases, skip_all
from spoolsite import Site
import mbox

LIBC = ctypes.CDLL(None, use_errno=True)
BLOCK = 4096
MEGABYTE = 1 << 20
FILLER = "filler"
SYSTEMS = {  # megabytes of the image, and how it is made
    "ext4": (24, ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(BLOCK)]),
    "xfs": (320, ["mkfs.xfs", "-q"]),
    "btrfs": (160, ["mkfs.btrfs", "-q"]),
}


class Disk:
    """A file system in a file, mounted where only we see it."""

    def __init__(self, kind):
        self.kind = kind
        size, command = SYSTEMS[kind]
        need(ROOT, "only root may mount")
        program(command[0])
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-disk."))
        self.dir.chmod(0o755)
        self.spool = self.dir / "spool"
        self.spool.mkdir()
        image = self.dir / "image"
        with open(image, "wb") as f:
            f.truncate(size * MEGABYTE)
        subprocess.run([*command, image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, self.spool], check=True, capture_output=True)
        self.spool.chmod(0o1777)

    def sync(self):
        fd = os.open(self.spool, os.O_RDONLY)
        failed = LIBC.syncfs(fd)
        os.close(fd)
        assert not failed, "syncfs"

    def free(self):
        """Blocks that a user may still take."""
        self.sync()
        got = os.statvfs(self.spool)
        return got.f_bavail * got.f_frsize // BLOCK

    def used(self):
        self.sync()
        got = os.statvfs(self.spool)
        return (got.f_blocks - got.f_bfree) * got.f_frsize

    def fill(self, left):
        """All but so many blocks."""
        with open(self.spool / FILLER, "ab", buffering=0) as f:
            for piece in (MEGABYTE, 16 * BLOCK, BLOCK):
                try:
                    while True:
                        f.write(bytes(piece))
                        if piece > BLOCK:
                            os.fsync(f.fileno())
                except OSError:
                    pass
            self.sync()
            f.truncate((f.tell() // BLOCK - left) * BLOCK)
            # ext4 may then give back, or take, a block of its own for what it notes about the file.
            for _ in range(20 if self.kind == "ext4" else 0):
                more = self.free() - left
                if more == 0:
                    break
                if more > 0:
                    f.write(bytes(more * BLOCK))
                else:
                    f.truncate((os.fstat(f.fileno()).st_size // BLOCK + more) * BLOCK)

    def empty(self):
        for path in self.spool.iterdir():
            if path.is_file():
                path.unlink()
        self.sync()

    def remove(self):
        subprocess.run(["umount", self.spool], check=True)
        shutil.rmtree(self.dir)


def letters(numbers, size):
    return [mbox.message(n, size // 24) for n in numbers]


DISKS = {}


def disk(kind):
    if kind not in DISKS:
        DISKS[kind] = Disk(kind)
    DISKS[kind].empty()
    return DISKS[kind]


COUNT = 8
DELETIONS = {  # name: (messages that go, whether it is a cut)
    "the first": ([1], False),
    "one in the middle": ([4], False),
    "every second": ([1, 3, 5, 7], False),
    "the last two": ([7, 8], True),
    "all": (list(range(1, COUNT + 1)), True),
}


def delete(site, numbers, mode, retrieve):
    session = site.open("alice", *mode)
    equal("messages", session.count(), COUNT)
    if retrieve:
        equal("its text", b"This is message 2." in session.body("RETR 2"), True)
    for n in numbers:
        session.must(f"DELE {n}")
    reply = session.say("QUIT")
    session.close()
    return reply


def full_disk(kind, left, index, which, size, mode, retrieve=False):
    """left: free blocks when the session comes; index: it was written when there was still room."""
    numbers, cut = DELETIONS[which]
    place = disk(kind)
    site = Site(spool=place.spool)
    try:
        before = letters(range(1, COUNT + 1), size)
        site.fill("alice", b"".join(before))
        if index:
            site.open("alice").quit()
        place.fill(left)
        if kind == "ext4":
            equal("free blocks", place.free(), left)
        reply = delete(site, numbers, mode, retrieve)
        kept = [m for n, m in enumerate(before, 1) if n not in numbers]
        if kind == "ext4" and (left > 0 or index or cut):
            assert reply.startswith("+OK"), f"QUIT: {reply}"
        if reply.startswith("+OK"):
            equal("the maildrop", site.drop().read_bytes(), b"".join(kept))
            said = None
        else:
            assert "[SYS/TEMP]" in reply, f"QUIT: {reply}"
            assert "space" in reply, f"the reason: {reply}"
            said = reply.strip()
            if kind == "ext4":
                equal("the maildrop", site.drop().read_bytes(), b"".join(before))
            (place.spool / FILLER).unlink()
            place.sync()
            session = site.open("alice")  # settles what was begun
            left_over = session.count()
            session.quit()
            assert left_over in (COUNT, len(kept)), f"{left_over} messages"
            equal("the maildrop when there is room", site.drop().read_bytes(), b"".join(before if left_over == COUNT else kept))
        equal("beside it", sorted(p.name for p in place.spool.iterdir() if p.name not in ("alice", ".alice.cache", FILLER, "lost+found")), [])
        return said
    finally:
        site.remove()


def shared_copy(kind, shares):
    """What a session that retrieves adds to the disk."""
    place = disk(kind)
    size = {"ext4": 2, "xfs": 50, "btrfs": 12}[kind] * MEGABYTE
    site = Site(spool=place.spool)
    try:
        site.fill("alice", b"".join(letters(range(1, COUNT + 1), size // COUNT)))
        session = site.open()
        before = place.used()
        session.body("RETR 2")
        added = place.used() - before
        for n in (1, 5):
            session.must(f"DELE {n}")
        session.quit()
        equal("the maildrop", site.drop().read_bytes(), b"".join(letters([2, 3, 4, 6, 7, 8], size // COUNT)))
        assert added < size // 20 if shares else added >= size * 9 // 10, f"{added} bytes for {size}"
        return f"a copy of {size} bytes takes {added} bytes of the disk"
    finally:
        site.remove()


def cases():
    for index in (False, True):
        for left in (0, 1, 2, 40) if FORM == "long" or not index else (0, 1):
            for which in DELETIONS:
                for size in (300, 100000) if left < 40 else (100000,):
                    mode = ["-S"] if (left + size // 1000) % 2 else []
                    name = f"ext4, {left} blocks free, {'an' if index else 'no'} index, {size} bytes a message{', server mode' if mode else ''}: delete {which}"
                    yield name, full_disk, "ext4", left, index, which, size, mode
    yield "ext4, 0 blocks free, an index: retrieve, then delete the first", full_disk, "ext4", 0, True, "the first", 20000, [], True
    yield "ext4, room for the copy alone: retrieve, then delete the first", full_disk, "ext4", 40, False, "the first", 20000, [], True
    for kind in ("xfs", "btrfs"):
        for which in ("every second", "all"):
            for retrieve in (False, True):
                yield f"{kind} full{', retrieve' if retrieve else ''}: delete {which}", full_disk, kind, 0, True, which, 100000, [], retrieve
    yield "ext4: the copy takes room", shared_copy, "ext4", False
    yield "xfs: the copy is shared", shared_copy, "xfs", True
    yield "btrfs: the copy is shared", shared_copy, "btrfs", True


def loop_devices():
    """Why there are none, or None."""
    got = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    return None if got.returncode == 0 and os.path.exists(got.stdout.strip()) else f"no loop device: {got.stderr.strip() or got.stdout.strip()}"


def main():
    if FORM == "short" or SANITIZED or not ROOT:
        return skip_all("not in the short form" if FORM == "short" else "only root may mount" if not ROOT else "not with sanitizers")
    reason = loop_devices()
    if reason:
        return skip_all(reason, allowed=True)
    if LIBC.unshare(0x00020000) != 0 or LIBC.mount(b"none", b"/", None, 0x4000 | 0x40000, None) != 0:
        return skip_all(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    try:
        return run_cases(list(cases()))
    finally:
        for place in DISKS.values():
            place.remove()


if __name__ == "__main__":
    sys.exit(main())
