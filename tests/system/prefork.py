#!/usr/bin/python3
"""prefork.py: the processes that standalone mode makes before there is a client (option prefork): who they are, what they know, what becomes of them.
Prints TAP.
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(os.path.abspath(__file__)).parent))
from cases import PATIENCE, SANDBOXED, Missing, is_alive, wait_until  # noqa: E402
from standing import POPPER, Client, Server, begins, descendants, run_all, same  # noqa: E402
from world import features  # noqa: E402

ROOT = os.getuid() == 0
SANITIZED = b"__asan_init" in POPPER.read_bytes()


def waiting(server, pairs=4):
    """{pid of a monitor: pid of its preauth} when as many wait as should, and are ready, and with each who will check the password; else None."""
    below = descendants(server.process.pid)
    found = {}
    for pid, fields in below.items():
        mine = [child for child, f in below.items() if f["PPid"] == str(pid) and f["State"].startswith("S")]
        closed_in = [child for child in mine if below[child]["NoNewPrivs"] == "1" and (not SANDBOXED or below[child]["Seccomp"] == "2")]
        if fields["PPid"] == str(server.process.pid) and len(mine) == 2 and len(closed_in) == 1:
            found[pid] = closed_in[0]
    return found if len(found) == pairs and len(below) == 3 * pairs else None


def checkers(server, pairs):
    return {pid for pid, fields in descendants(server.process.pid).items() if int(fields["PPid"]) in pairs and pid not in pairs.values()}


def wait_for(server, pairs=4):
    wait_until(f"{pairs} pairs wait", lambda: waiting(server, pairs) is not None)
    return waiting(server, pairs)


def links(pid):
    return sorted(os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{pid}/fd"))


def who_waits():
    # option: prefork
    with Server() as server:
        server.start()
        pairs = wait_for(server)
        below = descendants(server.process.pid)
        for monitor, preauth in pairs.items():
            fields = below[preauth]
            same("sandbox", "2" if SANDBOXED else fields["Seccomp"], fields["Seccomp"])
            same("capabilities", 0, int(fields["CapEff"], 16) | (int(fields["CapPrm"], 16) if ROOT else 0))
            # Nobody but root looks into a process that is closed in.
            if ROOT:
                same("what it holds besides /dev/null: its monitor and its door", ["socket"] * 2,
                     [v for v in links(preauth) if v != "/dev/null"])
            # The ends of its own, and syslogd where there is one; the trace is opened by the settings.
            others = [v for v in links(monitor) if v not in ("/dev/null", str(server.trace))]
            if others not in (["socket"] * 3, ["socket"] * 4):
                raise AssertionError(f"the monitor holds {links(monitor)}")
            if ROOT:
                same("the monitor is root", ["0"] * 4, below[monitor]["Uid"].split())
                if "0" in fields["Uid"].split() or "0" in fields["Gid"].split():
                    raise AssertionError(f"preauth's ids: {fields['Uid']}, {fields['Gid']}")
                if os.readlink(f"/proc/{preauth}/root") == "/":
                    raise AssertionError("preauth is not locked in")
        for checker in checkers(server, pairs):
            others = [v for v in links(checker) if v not in ("/dev/null", str(server.trace))]
            if others not in (["socket"], ["socket"] * 2):
                raise AssertionError(f"who will check the password holds {links(checker)}")


def a_client_meets_one_that_waited():
    with Server() as server:
        server.fill([1, 2])
        server.start()
        before = wait_for(server)
        ready = checkers(server, before)
        client = server.client()
        wait_until("another one waits", lambda: len(descendants(server.process.pid)) == 15)
        after = descendants(server.process.pid)
        same("who waited and lives", 12, len([p for p in (*before, *before.values(), *ready) if p in after]))
        begins("login", "+OK alice has 2 ", client.login())
        wait_until("who would check a password and has done it goes", lambda: len([p for p in ready if not is_alive(p)]) == 1)
        begins("DELE", "+OK", client.ask("DELE 1"))
        begins("QUIT", "+OK", client.ask("QUIT"))
        after = wait_for(server)
        same("those who still wait", 3, len(set(before) & set(after)))


def nobody_waits_where_the_option_is_0():
    with Server("set prefork = 0") as server:
        server.fill([1])
        server.start()
        same("processes", {}, descendants(server.process.pid))
        client = server.client()
        same("processes of the session", 2, len(descendants(server.process.pid)))
        begins("login", "+OK alice has 1 ", client.login())


def more_clients_than_wait():
    """The limits count clients, not processes."""
    with Server("set max-sessions-per-address = 16", "set prefork = 4") as server:
        server.start()
        wait_for(server)
        clients = [Client(server.port, source="127.0.0.5", greet=False) for _ in range(17)]
        greetings = [client.line() for client in clients]
        same("greetings", 16, len([g for g in greetings if g.startswith("+OK")]))
        begins("the last one", "-ERR [SYS/TEMP] Too many connections", greetings[16])
        begins("another address", "+OK", server.client(source="127.0.0.6").greeting)
        for client in clients[:16]:
            begins("each is served", "+OK", client.ask("USER alice"))


def new_settings_are_for_the_next_client():
    with Server() as server:
        server.start()
        before = wait_for(server)
        server.configure("set shy")
        server.signal(signal.SIGHUP)
        server.wait_for("the configuration was read again")
        same("the greeting of the next one", "+OK ready  ", server.client().greeting)
        wait_until("who knew the old ones is gone", lambda: not set(before) & set(descendants(server.process.pid)))
        for _ in range(6):
            same("greeting", "+OK ready  ", server.client().greeting)
        server.configure("set prefork = 1")
        server.signal(signal.SIGHUP)
        wait_until("read again", lambda: len([r for r in server.records() if "was read again" in r]) == 2)
        begins("greeting", "+OK", server.client().greeting)
        server.configure("set nonsense")
        server.signal(signal.SIGHUP)
        server.wait_for("the configuration stays as it was")
        begins("greeting after a wrong configuration", "+OK", server.client().greeting)


def dead_ones_are_replaced():
    with Server() as server:
        server.start()
        pairs = wait_for(server)
        victim = next(iter(pairs))
        os.kill(victim, signal.SIGKILL)
        server.wait_for("a process that waited for a client has ended (signal 9)")
        wait_until("its preauth goes with it", lambda: pairs[victim] not in descendants(server.process.pid))
        begins("greeting", "+OK", server.client().greeting)
        wait_until("as many as before", lambda: waiting(server) is not None)
        # All preauths are gone, and their monitors do not know it: nobody loses his connection.
        victims = list(waiting(server).values())
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_until("they are gone", lambda: not [p for p in victims if is_alive(p)])
        clients = [server.client() for _ in range(3)]
        for client in clients:
            begins("greeting", "+OK", client.greeting)
            begins("login", "+OK alice has 0 ", client.login())
            begins("QUIT", "+OK", client.ask("QUIT"))
        server.wait_for("a process that waited for a client was not there any more; another one serves him")
        server.wait_for("the process that serves the login from 127.0.0.1 was killed by signal 9 (Killed)")
        wait_for(server)


def all_end_with_the_server():
    with Server() as server:
        server.start()
        pairs = wait_for(server)
        everybody = [*pairs, *pairs.values()]
        server.signal(signal.SIGTERM)
        same("status", 0, server.wait())
        wait_until("all are gone", lambda: not [p for p in everybody if is_alive(p)])
    with Server() as server:
        server.start()
        pairs = wait_for(server)
        everybody = [*pairs, *pairs.values()]
        server.process.kill()
        server.wait()
        wait_until("all are gone", lambda: not [p for p in everybody if is_alive(p)])


def who_waits_sleeps():
    """Nobody is woken while nobody comes."""
    with Server() as server:
        server.start()
        pairs = wait_for(server)

        def switches():
            return {pid: pathlib.Path(f"/proc/{pid}/status").read_text().split("ctxt_switches:", 1)[1]
                    for pid in [server.process.pid, *pairs, *pairs.values()]}
        # The last ones may be about to lie down; who is woken by a clock is so in each second.
        for _ in range(5):
            before = switches()
            time.sleep(1)
            after = switches()
            if before == after:
                break
        same("wake-ups in a second", before, after)


def a_new_database_is_offered_at_once():
    if "APOP" not in features(POPPER):
        raise Missing("APOP is not built")
    with Server() as server:
        database = server.dir / "pop.auth"
        server.settings = (f"set apop-file = {database}",)
        server.configure()
        server.start()
        wait_for(server)
        client = server.client()
        same("no stamp", "", client.greeting.partition("<")[1])
        client.ask("QUIT")
        wait_for(server)
        for words in (["-init"], ["-user", "alice", "tanstaaf"]):
            subprocess.run([POPPER.parent / "popauth", "-file", database, *words], stdin=subprocess.DEVNULL, capture_output=True, check=True,
                           timeout=PATIENCE)
        stamps = [server.client().greeting.partition("<")[2] for _ in range(6)]
        same("different stamps", 6, len(set(stamps) - {""}))


def a_proxy_comes_first():
    """What reads its header is made when it is there: only the monitors wait, and who checks passwords."""
    with Server("set proxy-networks = 127.0.0.0/30") as server:
        server.start()
        wait_until("four monitors wait", lambda: len(descendants(server.process.pid)) == 8)
        client = Client(server.port, greet=False)
        client.say("PROXY TCP4 192.0.2.7 127.0.0.1 4711 110")
        begins("greeting", "+OK", client.line())
        client.close()


CASES = [who_waits, a_client_meets_one_that_waited, nobody_waits_where_the_option_is_0, more_clients_than_wait, new_settings_are_for_the_next_client,
         dead_ones_are_replaced, all_end_with_the_server, who_waits_sleeps, a_new_database_is_offered_at_once, a_proxy_comes_first]

if __name__ == "__main__":
    sys.exit(run_all(CASES))
