"""kdcsite: a real MIT KDC on a loopback port, in a directory of its own, for the scripts beside it.

    with Kdc(directory) as kdc:
        kdc.user("ann", "secret")
        keytab = kdc.service("pop/mail.example.test")
        with kdc.tickets("ann", "secret") as environment: ...   # KRB5_CONFIG and KRB5CCNAME, for clients

The programs are Debian's krb5-kdc and krb5-admin-server, unpacked (quickstart) or installed, and kinit of krb5-user. Nothing of the machine's own
Kerberos is read or changed. The server under test cleans its environment, so its krb5.conf is /etc/krb5.conf: see enter_namespace. Kdc itself needs no root.
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import NO_SHORT_FORM, UNPACKED, Missing, Skip, find, skip_all  # noqa: E402
from inetd import POPPER  # noqa: E402
from standing import run_all  # noqa: E402
from world import features  # noqa: E402

REALM = "EXAMPLE.TEST"


def free_port():
    """Of UDP and TCP both, most probably."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Kdc:
    def __init__(self, directory, realm=REALM):
        self.dir = pathlib.Path(directory) / f"kdc.{realm}"
        self.dir.mkdir()
        self.realm, self.port, self.process = realm, free_port(), None
        self.conf = self.dir / "krb5.conf"
        # Its module for databases is with the unpacked KDC.
        modules = [str(m.parent.absolute()) for u in UNPACKED for m in (u / "krb5-kdc/usr/lib").glob("*/krb5/plugins/kdb/db2.so")]
        self.conf.write_text(f"""[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    default_keytab_name = FILE:{self.dir}/keytab
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{self.port}
    }}
[domain_realm]
    localhost = {realm}
    .example.test = {realm}
""")
        (self.dir / "kdc.conf").write_text(f"""[kdcdefaults]
    kdc_listen = 127.0.0.1:{self.port}
    kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
    {realm} = {{
        database_name = {self.dir}/principal
        key_stash_file = {self.dir}/stash
        acl_file = {self.dir}/acl
        master_key_type = aes256-cts
        supported_enctypes = aes256-cts:normal aes128-cts:normal
    }}
[dbmodules]
    {"db_module_dir = " + modules[0] if modules else ""}
[logging]
    kdc = FILE:{self.dir}/kdc.log
""")
        self.keytab = self.dir / "keytab"
        self.environment = {**os.environ, "KRB5_CONFIG": str(self.conf), "KRB5_KDC_PROFILE": str(self.dir / "kdc.conf"), "KRB5RCACHENAME": "none:"}
        self.environment.pop("KRB5CCNAME", None)

    def run(self, program, package, *arguments, **more):
        return subprocess.run([find(program, package), *arguments], env=self.environment, check=True, capture_output=True, text=True, timeout=60,
                              **more).stdout

    def __enter__(self):
        for program in ("kinit", "kdestroy"):
            if not shutil.which(program):
                raise Missing(f"no {program} (package krb5-user)")
        self.run("kdb5_util", "krb5-kdc", "create", "-s", "-P", "master", "-r", self.realm)
        self.process = subprocess.Popen([find("krb5kdc", "krb5-kdc"), "-n", "-P", self.dir / "pid"], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.dir / "stderr", "w"))
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the KDC does not come up: {(self.dir / 'stderr').read_text()}")

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def admin(self, query):
        return self.run("kadmin.local", "krb5-admin-server", "-r", self.realm, "-p", "root/admin", "-q", query)  # -p: root may have no name here

    def user(self, name, password):
        self.admin(f"addprinc -pw {password} {name}")

    def service(self, principal, keytab=None):
        """Makes the principal and adds its key to the keytab (by default the one that krb5.conf names)."""
        keytab = keytab or self.keytab
        self.admin(f"addprinc -randkey {principal}")
        self.admin(f"ktadd -k {keytab} {principal}")
        return keytab

    @contextlib.contextmanager
    def tickets(self, principal, password, *options):
        """The environment of a client that has been through kinit."""
        cache = self.dir / f"tickets.{principal.replace('/', '_')}"
        environment = {**self.environment, "KRB5CCNAME": f"FILE:{cache}"}
        subprocess.run(["kinit", *options, principal], env=environment, input=password + "\n", check=True, capture_output=True, text=True, timeout=60)
        try:
            yield environment
        finally:
            subprocess.run(["kdestroy", "-q"], env=environment, check=False)


@contextlib.contextmanager
def service_without_kdc(directory, host):
    """The service's side alone: a realm and a key for pop/HOST, and meanwhile an /etc of the caller's own. Yields the server's options."""
    directory = pathlib.Path(directory)
    (directory / "krb5.conf").write_text(f"[libdefaults]\n    default_realm = {REALM}\n    dns_lookup_kdc = false\n")
    subprocess.run(["ktutil"], input=f"add_entry -password -p pop/{host}@{REALM} -k 1 -e aes256-cts\nsecret\nwrite_kt {directory}/keytab\nquit\n", text=True,
                   capture_output=True, check=True)
    enter_namespace(directory, {"krb5.conf": directory / "krb5.conf"})
    try:
        yield ["kerberos", "kerberos-service = pop", f"kerberos-keytab = {directory}/keytab", f"kerberos-replay-dir = {directory}/replay"]
    finally:
        subprocess.run(["umount", "-l", "/etc"], check=True)


# Bytes of a client that does not speak krb5_sendauth.
NO_TICKET = b"\0\0\0\4none" * 2


def enter_namespace(directory, files):
    """Gives this process and its children an /etc of their own, a copy with other files in it ({"krb5.conf": path, ...}), which may change afterwards.
    OSError when that cannot be done."""
    etc = pathlib.Path(directory) / "etc"
    etc.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source, target, kind, flags):
        if libc.mount(source.encode(), target.encode(), kind, flags, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount {target}")
    if libc.unshare(0x00020000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", "/", None, 0x4000 | 0x40000)  # MS_REC | MS_PRIVATE
    mount("etc", str(etc), b"tmpfs", 0)  # some thousand files that never see a disk
    subprocess.run(["cp", "-a", "/etc/.", etc], check=True)
    for name, source in files.items():
        (etc / name).unlink(missing_ok=True)
        (etc / name).symlink_to(source)
    mount(str(etc), "/etc", None, 8192)  # MS_MOVE


def files_of_host(directory, uids, shadow_of):
    """{name in /etc: file} of a host with these users, whose homes are in directory/home. shadow_of(user): what follows the name in /etc/shadow."""
    homes = directory / "home"
    homes.mkdir()
    lines = []
    for user, uid in uids.items():
        (homes / user).mkdir()
        os.chown(homes / user, uid, uid)
        lines.append(f"{user}:x:{uid}:{uid}::{homes}/{user}:/bin/sh\n")
    texts = {"passwd": "root:x:0:0:::\n" + "".join(lines) + "nobody:x:65534:65534::/nonexistent:/bin/false\n",
             "shadow": "".join(f"{user}:{shadow_of(user)}\n" for user in uids),
             "group": "root:x:0:\nmail:x:8:\n", "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"}
    mounts = {}
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o600 if name == "shadow" else 0o644)
        mounts[name] = directory / name
    return mounts


def trust(ours, other):
    """People of the other realm may have tickets for our services; both know both."""
    for one in (ours, other):
        one.admin(f"addprinc -pw between krbtgt/{ours.realm}@{other.realm}")
    realms = "[realms]\n" + "".join(f"    {one.realm} = {{\n        kdc = 127.0.0.1:{one.port}\n    }}\n" for one in (other, ours))
    text = other.conf.read_text().replace(f"localhost = {other.realm}", f"localhost = {ours.realm}")
    other.conf.write_text(text + realms + f"[domain_realm]\n    localhost = {ours.realm}\n")
    ours.conf.write_text(ours.conf.read_text() + realms)


def play(cases, feature, uids, prepare, shadow_of=lambda user: "*:20000:0:99999:7:::"):
    """Runs the cases (standing.run_all) on a host with these users between two realms, after prepare(our Kdc, the other Kdc, directory of homes).
    Returns main's status. Skips without the feature; without root or a KDC, too, which under CI as root is a failure."""
    if os.environ.get("POPPER_TESTS") == "short" or feature not in features(POPPER):
        return skip_all(f"{NO_SHORT_FORM}, and a build without {feature} has nothing to test", allowed=True)
    if os.getuid() != 0:
        return skip_all("needs root")
    with tempfile.TemporaryDirectory(prefix="popper-kdc.") as name:
        top = pathlib.Path(name)
        top.chmod(0o755)
        try:
            ours, other = Kdc(top), Kdc(top, "OTHER.TEST")
            enter_namespace(top, {**files_of_host(top, uids, shadow_of), "krb5.conf": ours.conf})
            with ours, other:
                other.user("ann", "elsewhere")
                trust(ours, other)
                prepare(ours, other, top / "home")
                return run_all(cases)
        except (Skip, OSError) as reason:
            return skip_all(reason)
