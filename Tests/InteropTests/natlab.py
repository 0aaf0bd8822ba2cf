"""The NAT lab at the command line; started by scripts/natlab, which says how."""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from namespaces import Failed, Lab, run, udp_socket
from nat import KINDS, NATLab, PASSWORD, PORT, SERVER, SERVER6, SHORT_TIMEOUT, USER

STATE = "/run/pnet-natlab"


# A lab that outlives the command that made it.

def state_file(name):
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) or name.startswith("."):
        sys.exit(f"natlab: '{name}' is no name for a lab")
    return os.path.join(STATE, f"{name}.json")


def started(pid):
    """When a process began, in clock ticks since boot; tells it from a later one of that id. `None`: there is none."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def save(path, lab, finished=False):
    """Written whenever something was made, so that `down` finds it whatever happens in between."""
    state = {
        "namespaces": [namespace.name for namespace in lab.namespaces],
        "processes": [[process.pid, started(process.pid)] for process in lab.processes],
        "directory": lab.directory,
    }
    if finished:
        state["description"] = lab.describe()
        for label in ("left", "right"):
            side = getattr(lab, label)
            state[label] = {"host": side.host.name, "nats": [nat.name for nat in side.nats], "kind": side.kind,
                            "address": side.address}
        state["server"] = lab.server.name
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)


def end_all():
    """Ends what this process made, what it was about to note when a signal came included."""
    Lab.close_all()
    for name in os.listdir("/run/netns"):
        if re.fullmatch(rf"pnet-.*-{os.getpid()}-\d+", name):
            run("ip", "netns", "del", name, check=False)


def load(name):
    try:
        with open(state_file(name)) as file:
            return json.load(file)
    except FileNotFoundError:
        sys.exit(f"natlab: there is no lab '{name}'; make one with 'scripts/natlab up LEFT RIGHT'")


def up(arguments):
    path = state_file(arguments.name)
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        sys.exit(f"natlab: the lab '{arguments.name}' is up already; end it with 'scripts/natlab down'")
    try:
        lab = NATLab(arguments.left, arguments.right, changed=lambda lab: save(path, lab))
        if not arguments.no_server:
            try:
                lab.start_coturn()
            except (Failed, RuntimeError) as reason:
                raise Failed(f"{reason}\n{lab.logs()}") from None
        save(path, lab, finished=True)
    except BaseException:
        end_all()
        os.unlink(path)
        raise
    print(lab.describe())
    if not arguments.no_server:
        print(f"        STUN and TURN on {SERVER[0]}:{PORT}, user {USER}, password {PASSWORD}")
    print("run something in it: scripts/natlab exec left|right|server COMMAND…; end it: scripts/natlab down")
    return 0


def down(arguments):
    path = state_file(arguments.name)
    try:
        with open(path) as file:
            text = file.read()
    except FileNotFoundError:
        print(f"natlab: there is no lab '{arguments.name}'", file=sys.stderr)
        return 1
    state = json.loads(text) if text else {"processes": [], "namespaces": [], "directory": None}
    ours = [pid for pid, since in state["processes"] if since is not None and started(pid) == since]
    for pid in ours:
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 5
    while any(started(pid) is not None for pid in ours) and time.monotonic() < end:
        time.sleep(0.05)
    for pid, since in state["processes"]:
        if pid in ours and started(pid) == since:
            os.kill(pid, signal.SIGKILL)
    for namespace in state["namespaces"]:
        run("ip", "netns", "del", namespace, check=False)
    if state["directory"]:
        shutil.rmtree(state["directory"], ignore_errors=True)
    os.unlink(path)
    return 0


def status(arguments):
    print(load(arguments.name).get("description", "not whole"))
    return 0


def execute(arguments):
    state = load(arguments.name)
    where, command = arguments.where, arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        sys.exit("natlab: exec takes a command")
    if "server" not in state:
        sys.exit(f"natlab: the lab '{arguments.name}' is not whole; end it with 'scripts/natlab down'")
    if where == "server":
        namespace = state["server"]
    elif where in ("left", "right"):
        namespace = state[where]["host"]
    else:
        nats = state[where.removesuffix("-nat").removesuffix("-cgn")]["nats"]
        number = 1 if where.endswith("-cgn") else 0
        if number >= len(nats):
            sys.exit(f"natlab: there is no {where} in this lab")
        namespace = nats[number]
    os.execvp("ip", ["ip", "netns", "exec", namespace, *command])


# What is claimed of each kind, and what coturn's client finds.

EIM, ADM, APDM = "endpoint-independent", "address-dependent", "address-and-port-dependent"
WORDS = {"Endpoint Independent": EIM, "Address Dependent": ADM, "Address and Port Dependent": APDM}

EXPECTED = {
    # kind: (translated, mapping, filtering, hairpin)
    "public": ("no", EIM, EIM, "yes"),
    "full-cone": ("yes", EIM, EIM, "yes"),
    "address-restricted": ("yes", EIM, ADM, "no"),
    "port-restricted": ("yes", EIM, APDM, "no"),
    "symmetric": ("yes", APDM, APDM, "no"),
    "double": ("twice", EIM, APDM, "no"),
    "udp-blocked": ("no UDP", "-", "-", "-"),
    "ipv6-only": ("no IPv4", EIM, APDM, "yes"),
    "short-timeouts": ("yes", EIM, APDM, "no"),
}
# Seconds of silence, and whether a mapping must have lived through them.
LIFETIMES = {
    "port-restricted": ((SHORT_TIMEOUT + 3, True),),
    "short-timeouts": ((SHORT_TIMEOUT // 2, True), (SHORT_TIMEOUT + 3, False)),
}


def discover(side, *options):
    server = SERVER6[0] if side.kind == "ipv6-only" else SERVER[0]
    # The client ends with an error of its own when a NAT does not answer; what counts is what it says.
    return side.host.run("turnutils_natdiscovery", *options, "-L", side.address, server, check=False, timeout=60)


def behaviour(text, what):
    found = re.findall(rf"NAT with (.*) {what}!", text)
    return WORDS[found[-1]] if found else "-"


def mapped(text):
    return re.findall(r"UDP reflexive addr: (\S+):\d+$", text, re.MULTILINE)


def translated(lab, text):
    side = lab.left
    addresses = mapped(text)
    if side.kind == "udp-blocked":
        with side.host.entered():
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with probe:
            probe.settimeout(5)
            probe.connect((SERVER[0], PORT))
        return "no UDP" if not addresses else "yes"
    if side.kind == "ipv6-only":
        with side.host.entered():
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            try:
                probe.connect((SERVER[0], PORT))
                return "IPv4"
            except OSError:
                pass
        return "no IPv4" if addresses and all(one == side.address for one in addresses) else "yes"
    if not addresses:
        return "no answer"
    if all(one == side.address for one in addresses):
        return "no"
    if any(one != side.public for one in addresses):
        return "to an address of nobody"
    return "twice" if len(side.nats) == 2 and is_translated_before(side) else "yes"


def is_translated_before(side):
    """Whether the second of two NATs sees another address than the host's."""
    gateway = f"100.64.{side.number}.1"
    with udp_socket(side.nats[1], gateway) as listener, udp_socket(side.host, side.address) as sender:
        listener.settimeout(5)
        sender.sendto(b"?", (gateway, listener.getsockname()[1]))
        source = listener.recvfrom(16)[1][0]
    return source == f"100.64.{side.number}.100"


# What our own `pnet netcheck` finds; coturn's words and ours are to be the same.

def find_pnet():
    """The built program: what $PNET names, or what lies in .build. `None`: there is none."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    built = [os.path.join(root, ".build", kind, "pnet") for kind in ("release", "debug")]
    for path in [os.environ["PNET"]] if os.environ.get("PNET") else built:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


def netcheck(side, pnet):
    """Returns (translated, mapping, filtering, hairpin) in the words of EXPECTED."""
    server = f"[{SERVER6[0]}]:{PORT}" if side.kind == "ipv6-only" else f"{SERVER[0]}:{PORT}"
    # It ends with 4 when UDP does not work; what counts is what it says.
    text = side.host.run(pnet, "netcheck", "--json", "--stun", server, check=False, timeout=90)
    try:
        report = json.loads(text[text.index("{"):])
    except ValueError:
        raise Failed(f"pnet netcheck printed no JSON: {text.strip()[:300]}") from None
    family = report.get("ipv6" if side.kind == "ipv6-only" else "ipv4") or {}
    if not report.get("udp"):
        return ("no UDP", "-", "-", "-")
    said = {True: "yes", False: "no", None: "-"}
    return (said[family.get("isTranslated")], family.get("mapping", "-"), family.get("filtering", "-"),
            said[family.get("hairpins")])


def expected_of_netcheck(kind):
    """The same, but it sees one NAT where there are two, asks one family, and tries no hairpin without a NAT."""
    where, mapping, filtering, hairpins = EXPECTED[kind]
    where = {"twice": "yes", "no IPv4": "no"}.get(where, where)
    return (where, mapping, filtering, "-" if where == "no" else hairpins)


def lives(side, seconds):
    return discover(side, "-t", "-T", str(seconds)).count("UDP reflexive addr") > 1


def check(kind, pnet=None):
    """Returns (what was found, as a row of the table; whether it is what is claimed; what `pnet` found, if given)."""
    lab = NATLab(kind, "public")
    try:
        lab.start_coturn()
        side = lab.left
        text = discover(side, "-m")
        found = (translated(lab, text), behaviour(text, "Mapping"), behaviour(discover(side, "-f"), "Filtering"),
                 hairpin(side) if mapped(text) else "-")
        right = found == EXPECTED[kind]
        lifetimes = []
        for seconds, expected in LIFETIMES.get(kind, ()):
            alive = lives(side, seconds)
            right = right and alive == expected
            lifetimes.append(f"{'>' if alive else '<'} {seconds} s")
        return found + (", ".join(lifetimes) or "-",), right, netcheck(side, pnet) if pnet else None
    except (Failed, OSError, RuntimeError) as reason:
        raise Failed(f"{reason}\n{lab.logs()}") from None
    finally:
        lab.close()


def hairpin(side):
    return "yes" if "Received a request" in discover(side, "-H") else "no"


def verify(arguments):
    def stop(*_):
        end_all()
        os._exit(130)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)
    kinds = arguments.kinds or list(KINDS)
    row = "{:8} {:20} {:10} {:28} {:28} {:8} {}"
    print(row.format("", "kind", "translated", "mapping", "filtering", "hairpin", "mapping lives"), flush=True)
    wrong = 0
    pnet = find_pnet()
    differs = 0
    # They spend their time waiting for answers that do not come.
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for kind, found in [(kind, pool.submit(check, kind, pnet)) for kind in kinds]:
            try:
                columns, right, ours = found.result()
                print(row.format("ok" if right else "MISMATCH", kind, *columns), flush=True)
                if not right:
                    print(row.format("", "  expected", *EXPECTED[kind], " ".join(
                        f"{'>' if alive else '<'} {seconds} s" for seconds, alive in LIFETIMES.get(kind, ()))))
                if ours:
                    same = ours == expected_of_netcheck(kind)
                    differs += not same
                    print(row.format("ok" if same else "MISMATCH", "  pnet netcheck", *ours, "-"), flush=True)
                    if not same:
                        print(row.format("", "  expected", *expected_of_netcheck(kind), "-"))
            except Failed as reason:
                right = False
                print(f"FAIL     {kind}: {reason}", flush=True)
            wrong += not right
    print(f"{len(kinds) - wrong} of {len(kinds)} NATs are what they are called")
    if pnet is None:
        print("SKIP pnet netcheck: there is no built pnet (PNET, .build/release/pnet, .build/debug/pnet)")
    elif differs:
        print(f"pnet netcheck finds {differs} of them to be something else")
    return 1 if wrong or differs else 0


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/natlab", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Two hosts behind kernel NATs of a chosen kind, in network namespaces of their own. Needs root.",
        epilog="kinds:\n" + "\n".join(f"  {kind:20} {what}" for kind, what in KINDS.items()))
    parser.add_argument("--name", default="default", help="one of several labs (default: default)")
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = commands.add_parser("up", help="make a lab; it stays until 'down'")
    one.add_argument("left", choices=KINDS, metavar="LEFT", help="the kind of NAT of the left host")
    one.add_argument("right", choices=KINDS, metavar="RIGHT", help="and of the right one")
    one.add_argument("--no-server", action="store_true", help="no coturn in the namespace 'server'")
    one.set_defaults(run=up)
    one = commands.add_parser("exec", help="run a command in it")
    one.add_argument("where", choices=["left", "right", "server", "left-nat", "left-cgn", "right-nat", "right-cgn"])
    one.add_argument("command", nargs=argparse.REMAINDER)
    one.set_defaults(run=execute)
    commands.add_parser("status", help="what there is").set_defaults(run=status)
    commands.add_parser("down", help="end it").set_defaults(run=down)
    one = commands.add_parser(
        "verify", help="show by turnutils_natdiscovery, and by pnet netcheck if built, that each is what it is called")
    one.add_argument("kinds", nargs="*", metavar="KIND", help="only these")
    one.set_defaults(run=verify)
    arguments = parser.parse_args()
    for kind in getattr(arguments, "kinds", ()):
        if kind not in KINDS:
            parser.error(f"no kind is called '{kind}'; there are {', '.join(KINDS)}")

    def stop(number, _):
        raise SystemExit(128 + number)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)
    try:
        return arguments.run(arguments)
    except (Failed, RuntimeError, subprocess.TimeoutExpired) as reason:
        print(f"natlab: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
