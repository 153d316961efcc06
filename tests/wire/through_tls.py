#!/usr/bin/python3
"""through_tls.py: every transcript once more, through TLS. Prints TAP. By hand: play.py --through-tls FILE.wire...
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import play  # noqa: E402

POPPER = pathlib.Path(os.environ.get("POPPER", "popper/popper")).absolute()


def main():
    if os.environ.get("POPPER_TESTS") == "short":
        print("1..0 # SKIP the short form does not go through TLS")
        return 0
    if not (POPPER.parent / "popper-tls.so").exists():
        print("1..0 # SKIP TLS is not built")
        return 0
    if not shutil.which("openssl"):
        print("1..0 # SKIP no openssl here to make a certificate")
        return 0
    here = pathlib.Path(os.path.abspath(__file__)).parent
    sys.argv[1:] = ["--through-tls", *map(str, sorted(here.glob("*.wire")))]
    return play.main()


if __name__ == "__main__":
    sys.exit(main())
