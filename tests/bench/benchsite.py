"""benchsite: where the benchmark takes place: a private mount namespace with users, spool and PAM of its own. Nothing of it is seen outside, and it ends
with the process. Needs root.

enter() makes it. Over /etc lie our passwd, shadow, group, nsswitch.conf, pam.d and what the peers' packages would install; over /usr the unpacked peers;
over /var/mail a spool root:mail 2775 on a real disk; /run is empty, so that nobody finds a syslogd or leaves a pid file.
"""
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(os.path.abspath(__file__)).parent
sys.path.insert(0, str(HERE.parent / "wire"))
from libcrypt import crypt  # noqa: E402

BUILD = pathlib.Path.cwd()
WORK = BUILD / ".work/bench"
UNPACKED = sorted({p.resolve() for p in (BUILD / ".work/unpacked", HERE.parent.parent / ".work/unpacked") if p.is_dir()})
SPOOL = pathlib.Path("/var/mail")
PASSWORD = "benchpw"
MAIL_GID = 8
FIRST_UID = 64101
USERS_EACH = 4
LETTERS = "abcdefghijkl"     # one for each server, so that their states stay apart
MAGIC = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}

# A cheap hash, so that the server shows, and Debian's default.
HASH = crypt(PASSWORD, "$6$rounds=1000$popbench$")
YESCRYPT = crypt(PASSWORD, "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$")

# What the packages' maintainer scripts would make: name, uid, gid (solid-pop3d's user is in group mail, and without him it does not answer).
SYSTEM_USERS = [("popa3d", 64001, 64001), ("spop3d", 64002, MAIL_GID), ("dovecot", 64003, 64003), ("dovenull", 64004, 64004)]
SPOP3D = """<Global>
	MailDropName "/var/mail/%s"
	MailDropType mailbox
	LogStatistics no
</Global>
"""
PAM = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_unix.so\n"
PAM_SERVICES = ("popa3d", "solid-pop3d", "pop3d", "mailutils", "gnu-mailutils", "dovecot", "popper", "other")
libc = ctypes.CDLL(None, use_errno=True)


def mount(what, where, kind, flags, data=None):
    if libc.mount(what.encode(), str(where).encode(), kind, flags, data and data.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount over {where}")


def overlay(layers, where):
    """The layers lie over where, the first one on top, for reading only."""
    mount("overlay", where, b"overlay", 1, "lowerdir=" + ":".join(str(p) for p in [*layers, where]))


def lines_of(path):
    return [line + "\n" for line in pathlib.Path(path).read_text(encoding="latin-1").splitlines() if not line.startswith("bench")]


class Site:
    def __init__(self):
        # Not /tmp, which may be in memory.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="popper-bench.", dir=os.environ.get("BENCH_TMP", "/var/tmp")))
        self.dir.chmod(0o755)
        self.peers = False

    def users(self):
        names = [(f"bench{c}{n:02d}", HASH) for c in LETTERS for n in range(1, USERS_EACH + 1)]
        names += [(f"benchy{c}{n:02d}", YESCRYPT) for c in LETTERS for n in range(1, USERS_EACH + 1)]
        return names

    def write_etc(self):
        etc = self.dir / "etc"
        (etc / "pam.d").mkdir(parents=True)
        for name in PAM_SERVICES:
            (etc / "pam.d" / name).write_text(PAM)
        today = int(time.time() // 86400)
        passwd = lines_of("/etc/passwd")
        shadow = []
        passwd += [f"{name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n" for name, uid, gid in SYSTEM_USERS]
        for uid, (name, how) in enumerate(self.users(), FIRST_UID):
            passwd.append(f"{name}:x:{uid}:{uid}::{self.home(name)}:/bin/sh\n")
            shadow.append(f"{name}:{how}:{today}:0:99999:7:::\n")
        group = lines_of("/etc/group")
        group += [f"{name}:x:{gid}:\n" for name, _, gid in SYSTEM_USERS if gid != MAIL_GID]
        group += [f"{name}:x:{uid}:\n" for uid, (name, _) in enumerate(self.users(), FIRST_UID)]
        for name, text in (("passwd", "".join(passwd)), ("shadow", "".join(shadow)), ("group", "".join(group)),
                           ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"),
                           ("spop3d.conf", SPOP3D)):
            (etc / name).write_text(text, encoding="latin-1")
        (etc / "shadow").chmod(0o600)
        return etc

    def home(self, user):
        return self.dir / "home" / user

    def enter(self, with_peers):
        """For this process and its children. with_peers: their files, too, where the kernel has overlayfs."""
        etc = self.write_etc()
        if libc.unshare(0x00020000) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", None, 0x4000 | 0x40000)
        try:
            if with_peers:
                self.show_peers()
            overlay([etc], "/etc")
        except OSError as e:
            print(f"bench: no peers: {e}", file=sys.stderr)
            self.peers = False
            for path in etc.iterdir():
                if os.path.exists(f"/etc/{path.name}"):
                    mount(str(path), f"/etc/{path.name}", None, 4096)
        for name, where, mode, gid in (("spool", SPOOL, 0o2775, MAIL_GID), ("run", "/run", 0o755, 0)):
            path = self.dir / name
            path.mkdir()
            os.chown(path, 0, gid)
            path.chmod(mode)
            mount(str(path), where, None, 4096)
        for uid, (name, _) in enumerate(self.users(), FIRST_UID):
            self.home(name).mkdir(parents=True)
            os.chown(self.home(name), uid, uid)
        self.certificate()

    def show_peers(self):
        packages = [p for u in UNPACKED for p in sorted(u.iterdir()) if (p / "usr").is_dir()]
        lib = self.dir / "varlib"
        for name in ("popa3d", "solid-pop3d/bulletins"):
            (lib / name).mkdir(parents=True)
        overlay([lib], "/var/lib")
        overlay([p / "usr" for p in packages], "/usr")
        self.peers = True

    def certificate(self):
        """RSA 2048, what Let's Encrypt and most sites have."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "100", "-subj", "/CN=localhost", "-keyout",
                        self.dir / "key.pem", "-out", self.dir / "cert.pem"], check=True, stderr=subprocess.DEVNULL)
        (self.dir / "key.pem").chmod(0o600)

    def filesystem(self):
        """The file system of the spool when it is none that a sync reaches a disk on, else None."""
        out = subprocess.run(["stat", "-f", "-c", "%t", SPOOL], capture_output=True, text=True, check=True).stdout
        return MAGIC.get(int(out, 16))

    def fill(self, user, box, keep_times=False):
        """The maildrop of user is a copy of file box, synced. popa3d waits for a second before one that changed a moment ago."""
        path = SPOOL / user
        uid = next(u for u, (name, _) in enumerate(self.users(), FIRST_UID) if name == user)
        if path.exists():
            path.unlink()
        with open(box, "rb") as source, open(path, "wb") as to:
            size, at = os.fstat(source.fileno()).st_size, 0
            while at < size:
                at += os.copy_file_range(source.fileno(), to.fileno(), size - at)
            os.fsync(to.fileno())
            os.fchown(to.fileno(), uid, MAIL_GID)
            os.fchmod(to.fileno(), 0o660)
        old = os.stat(box).st_mtime_ns if keep_times else int((time.time() - 3600) * 1e9)
        os.utime(path, ns=(old, old))
        return path

    def remove(self):
        """Mounts go with the namespace; what is under them is ours."""
        for where in ("/run", str(SPOOL)):
            libc.umount2(where.encode(), 2)
        shutil.rmtree(self.dir, ignore_errors=True)
