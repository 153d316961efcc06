"""cases: what is measured, against which floor, and how good it must be: issue 7's table as data.

A case: scenario and maildrop; state: first (the server has never seen the maildrop), repeat (it has), new (repeat, and one message has arrived since);
seconds, or a number of sessions; bars: for which of our servers, as multiples of the floor.
"""
import dataclasses

CORES = 2


@dataclasses.dataclass
class Case:
    name: str
    scenario: str
    box: str
    bars: dict                   # server: multiple of the floor
    state: str = "repeat"
    connections: int = 1
    window: int = 0
    tls: str = ""
    delayed_acks: bool = False
    yescrypt: bool = False
    seconds: float = 0           # 0: `sessions`
    sessions: int = 1
    slow: bool = False           # not in --quick

    def amount(self):
        return ["--seconds", str(self.seconds)] if self.seconds else ["--sessions", str(self.sessions)]

    def changes_maildrop(self):
        return self.scenario in ("drain", "thin")


NORMAL, SERVER, ALONE = "popper", "popper-server", "popper-alone"
TLS, ALONE_TLS, LINGER = "popper-tls", "popper-alone-tls", "popper-linger"


def both(bar):
    return {NORMAL: bar, SERVER: bar}


CASES = [
    Case("login", "login", "tiny", {NORMAL: 1.8, ALONE: 1.0}, seconds=1),
    Case("login-c4", "login", "tiny", {NORMAL: 1.8, ALONE: 1.0}, connections=4, seconds=1),
    Case("login-yescrypt-c2", "login", "tiny", {NORMAL: 1.15}, connections=2, yescrypt=True, seconds=1.5),
    Case("login-stls", "login", "tiny", {NORMAL: 4.0, ALONE: 4.0, TLS: 4.0, ALONE_TLS: 4.0, LINGER: 4.0}, tls="stls", seconds=1),
    Case("noop", "noop", "tiny", {NORMAL: 1.3}, sessions=3),
    Case("check-med", "check", "med", both(1.8), seconds=1),
    Case("check-large-first", "check", "large", both(2.0), state="first"),
    Case("check-large", "check", "large", both(.6), seconds=1),
    Case("check-large-new", "check", "large", both(.7), state="new"),
    Case("check-huge", "check", "huge", both(1.5), sessions=3, slow=True),
    Case("check-big", "check", "big", both(.1), sessions=3, slow=True),
    Case("fetch-tiny-delack", "fetch", "tiny", both(1.8), delayed_acks=True, sessions=5),
    Case("fetch-large", "fetch", "large", both(1.4)),
    Case("fetch-large-pl", "fetch", "large", both(2.0), window=32),
    Case("fetch-big", "fetch", "big", both(1.8), slow=True),
    Case("fetch-large-tls", "fetch", "large", {SERVER: 2.0}, tls="stls", window=32),
    Case("top-large", "top", "large", both(1.3)),
    Case("drain-large", "drain", "large", both(1.4)),
    Case("thin-large", "thin", "large", both(1.5)),
    Case("thin-huge", "thin", "huge", both(1.5), slow=True),
    Case("thin-big", "thin", "big", both(.9), slow=True),
]

# Cases that say nothing about a server of this kind.
ONLY = {"floor": ("login", "login-c4", "noop"), TLS: ("login-stls",), ALONE_TLS: ("login-stls",), LINGER: ("login-stls",), "dovecot-hp": ("login", "login-c4", "login-yescrypt-c2", "login-stls")}
REFUSED = {("solid", "large"), ("solid", "huge"), ("solid", "big"), ("mailutils", "huge"), ("mailutils", "big")}


def takes_part(server, case):
    """server: its name."""
    if server in ONLY:
        return case.name in ONLY[server]
    if server == ALONE:
        return ALONE in case.bars
    if case.tls and server not in (NORMAL, SERVER, "dovecot", "dovecot-hp"):
        return False
    if case.tls and case.scenario != "login" and server == NORMAL:
        return False
    return (server, case.box) not in REFUSED


MESSAGES = {"empty": 0, "tiny": 10, "med": 1000, "large": 10000, "huge": 100000, "big": 20, "giant": 1}
TRIPS = {"fetch": 1, "top": 1, "drain": 2, "thin": .1}


def floor_of(case, f):
    """Milliseconds, or None when a part of it was not measured. f: name to milliseconds; see measure.floors() and the sessions of the server `floor`."""
    share = max(1, case.connections / CORES)
    login = "login-c4" if case.connections == 4 else "login"
    try:
        if case.tls and case.scenario != "login":
            return f["tls:" + case.box]
        base = f[login] + f["crypt:yescrypt" if case.yescrypt else "crypt:sha512"] * share
        trips = 0 if case.window else MESSAGES[case.box] * TRIPS.get(case.scenario, 0)
        base += trips * f["trip"] * share
        if case.scenario == "noop":
            return base + 1000 * f["trip"]
        scan, send = f["scan:" + case.box] * share, f.get("send:" + case.box)
        if case.scenario in ("login", "check", "top"):
            return base + scan
        if case.scenario in ("fetch", "drain"):
            return base + send * share
        return base + scan + .9 * f["copy:" + case.box]
    except (KeyError, TypeError):
        return None


def normal_extra(case, f):
    """What normal mode is allowed besides for fetching 500 MB: one copy, without a sync."""
    return f.get("plaincopy:" + case.box, 0) if case.name == "fetch-big" else 0
