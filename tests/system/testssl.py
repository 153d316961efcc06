#!/usr/bin/python3
"""testssl.py: what testssl.sh has to say about our TLS, at an alternate port and after STLS, side by side. Prints TAP.

Takes minutes of mostly waiting: run by CI, with POPPER_TESTS=long, or with an argument.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

from cases import need, program
from tlssite import LONG, Site, main
from tlsclient import HOST  # noqa: E402

# What a host with a certificate of its own making cannot have, and what tells nothing about the server.
TRUST = re.compile(r"cert_(chain_of_trust|caRecord|certificatePolicies|trust|notRevoked|crl|ocsp|mustStaple|expiration|validityPeriod)|"
                   r"OCSP|DNS_CAA|overall_grade|grade_cap|final_score|scanTime|cert_commonName|cert_subjectAltName|cert_extlife|"
                   r"cert_revocation|intermediate_cert|certificate_transparency|engine_problem")
BAD = ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")


def testssl_finds(site, port, *words):
    out = site.dir / "testssl.json"
    subprocess.run([program("testssl"), "--quiet", "--color", "0", "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", str(out), "--warnings", "off",
                    "--openssl-timeout", "10", *words, f"{HOST}:{port}"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=1200, cwd=site.dir)
    findings = json.loads(out.read_text())
    assert len(findings) > 50, f"testssl did not finish: {findings}"
    return findings


def judge(shared, support, *words):
    """Nothing of medium severity or worse but for the certificate, which nobody issued."""
    site = Site(shared)
    try:
        site.set(tls_support=support)
        with site.listen() as port:
            findings = testssl_finds(site, port, *words)
    finally:
        site.close()
    if keep := os.environ.get("POPPER_TESTSSL_OUT"):
        pathlib.Path(f"{keep}-{support}.json").write_text(json.dumps(findings, indent=1))
    bad = [f for f in findings if f["severity"] in BAD and not TRUST.match(f["id"])]
    assert not bad, f"{support}: {json.dumps(bad, indent=1)}"


def testssl(site):
    need(os.environ.get("CI") == "true" or LONG or sys.argv[1:], "takes minutes: run by CI, POPPER_TESTS=long, or with an argument")
    program("testssl")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(judge, site.shared, *how) for how in (("alternate-port",), ("stls", "-t", "pop3"))]
        for run in runs:
            run.result()


if __name__ == "__main__":
    sys.exit(main([testssl]))
