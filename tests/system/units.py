#!/usr/bin/python3
"""units.py: systemd finds nothing wrong with the units in samples/, and they are closed as far as popper allows. A running systemd is
not needed. Prints TAP.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import PATIENCE, TESTS, Missing, find  # noqa: E402
from standing import POPPER, Server, begins, free_port, run_all, same  # noqa: E402
import mbox  # noqa: E402

SAMPLES = TESTS.parent / "samples"
EXPOSURE_MAX = 5.0  # what needs root, homes and everybody's uid cannot come near 0; a unit without hardening has 9.6


def copy(directory, name, **changes):
    text = (SAMPLES / name).read_text().replace("/usr/local/lib/popper ", f"{POPPER} ")
    for old, new in changes.items():
        text = re.sub(rf"(?m)^{old}=.*$", f"{old}={new}", text)
    (pathlib.Path(directory) / name).write_text(text)
    return str(pathlib.Path(directory) / name)


def analyze(*words):
    done = subprocess.run([find("systemd-analyze", "systemd"), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, text=True)
    return done.returncode, done.stdout + done.stderr


def verify(*units):
    status, said = analyze("verify", "--man=no", "--recursive-errors=no", *units)
    if status != 0 or "Unknown" in said or "ignoring" in said:
        raise AssertionError(f"status {status}: {said}")


def one_service_for_all():
    with tempfile.TemporaryDirectory(prefix="popper-units.") as directory:
        copy(directory, "popper@.service")
        verify(copy(directory, "popper.service"), copy(directory, "popper.socket"))


def a_service_for_each_connection():
    with tempfile.TemporaryDirectory(prefix="popper-units.") as directory:
        copy(directory, "popper.service")
        verify(copy(directory, "popper@.service"), copy(directory, "popper.socket", Accept="yes"))


def mistakes_are_seen():
    with tempfile.TemporaryDirectory(prefix="popper-units.") as directory:
        unit = pathlib.Path(copy(directory, "popper.service"))
        unit.write_text(unit.read_text().replace("ProtectClock=yes", "ProtectClocks=yes"))
        try:
            verify(str(unit))
        except AssertionError:
            return
        raise AssertionError("systemd-analyze verify finds nothing wrong with ProtectClocks")


def closed_as_far_as_possible():
    with tempfile.TemporaryDirectory(prefix="popper-units.") as directory:
        for name in ("popper.service", "popper@.service"):
            status, said = analyze("security", "--offline=yes", "--no-pager", copy(directory, name))
            exposure = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
            if not exposure or float(exposure[1]) > EXPOSURE_MAX:
                raise AssertionError(f"{name}: status {status}: {said}")
            for word in ("NoNewPrivileges=", "RestrictSUIDSGID="):
                if re.search(rf"(?m)^{word}", (SAMPLES / name).read_text()):
                    raise AssertionError(f"{name} has {word}, which breaks XTND XMIT")


def capabilities_are_enough():
    if os.getuid() != 0:
        raise Missing("needs root")
    names = re.search(r"(?m)^CapabilityBoundingSet=(.*)$", (SAMPLES / "popper.service").read_text())[1].lower().split()
    bounds = ",".join(["-all", *("+" + name.removeprefix("cap_") for name in names)])
    with Server() as server:
        maildrop = server.fill([1, 2])
        server.port = free_port()
        server.start(f"127.0.0.1:{server.port}", wrapper=[find("setpriv", "util-linux"), "--bounding-set", bounds, "--inh-caps", "-all"])
        server.wait_for("listening at")
        client = server.client()
        begins("login", "+OK alice has 2", client.login())
        begins("DELE", "+OK", client.ask("DELE 1"))
        begins("QUIT", "+OK", client.ask("QUIT"))
        same("messages left", 1, len(list(mbox.split(maildrop.read_bytes()))))
        bad = [r for r in server.records() if re.search("cannot|not permitted|denied", r)]
        same("complaints", [], bad)


CASES = [capabilities_are_enough, one_service_for_all, a_service_for_each_connection, mistakes_are_seen, closed_as_far_as_possible]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
