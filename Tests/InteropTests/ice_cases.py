"""`pnet ice` between kernel NATs of every kind, and with aioice in both roles."""

import concurrent.futures
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time

import nat
from cases import case, expect
from namespaces import Failed, Skipped
from nodes import PNET

HERE = os.path.dirname(os.path.abspath(__file__))
AIOICE = (sys.executable, os.path.join(HERE, "aioice_agent.py"))
OURS = (PNET, "ice")
SERVER4 = f"{nat.SERVER[0]}:{nat.PORT}"
SERVER6 = f"[{nat.SERVER6[0]}]:{nat.PORT}"

# Kinds that differ in what comes of them, and what does: by the theory, a direct path where one side's filter lets the
# other in before its mapping has to be known.
KINDS = ("public", "full-cone", "address-restricted", "port-restricted", "symmetric", "double", "udp-blocked", "ipv6-only")
CONES = ("public", "full-cone", "address-restricted")


def expected(left, right):
    """`direct`, `relay`, or `none`."""
    if "udp-blocked" in (left, right):
        return "none"
    if "ipv6-only" in (left, right):
        if left == right or "public" in (left, right):
            return "direct"
        return "relay"
    if "symmetric" in (left, right):
        other = right if left == "symmetric" else left
        return "direct" if other in CONES else "relay"
    return "direct"


def servers(kind):
    """Where an agent behind this kind asks. Without IPv4 it has nothing but IPv6, also for its relay."""
    at = SERVER6 if kind == "ipv6-only" else SERVER4
    return ["--stun", at, "--turn", at, "--user", nat.USER, "--pass", nat.PASSWORD]


class Agent:
    def __init__(self, namespace, program, role, options, seconds):
        self.process = subprocess.Popen(
            namespace.command(*program, "--role", role, "--secs", str(seconds), *options), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def description(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the agent ended: {self.process.stderr.read()[-400:]}")
        return line

    def hear(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def end(self):
        """Its states, whether data came, and the seconds until it was connected."""
        began, states, connected = time.monotonic(), {}, None
        for line in self.process.stdout:
            state = json.loads(line)
            states[state["state"]] = state
            if state["state"] == "connected":
                connected = time.monotonic() - began
        return states, self.process.wait() == 0, connected

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def connect(lab, left, right, options=((), ()), seconds=12):
    """Lets two agents, one on each side, connect. Returns the way and the seconds."""
    agents = []
    try:
        for side, program, role, more in (
                (lab.left, left, "controlling", options[0]), (lab.right, right, "controlled", options[1])):
            agents.append(Agent(side.host, program, role, [*servers(side.kind), *more], seconds))
        lines = [agent.description() for agent in agents]
        agents[0].hear(lines[1])
        agents[1].hear(lines[0])
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            (first, heard, seconds), (second, heard_too, _) = pool.map(Agent.end, agents)
    finally:
        for agent in agents:
            agent.stop()
    if "connected" not in first or "connected" not in second:
        return "none", None
    if not heard or not heard_too:
        raise Failed(f"connected, but no data: {first} {second}")
    kinds = {first["connected"]["local"], first["connected"]["remote"]}
    return "relay" if "relay" in kinds else "direct", seconds


def pair(kinds, agents, **arguments):
    """Two agents, left and right, behind NATs of these kinds."""
    lab = nat.NATLab(*kinds)
    try:
        lab.start_coturn()
        return connect(lab, *agents, **arguments)
    finally:
        lab.close()


def need_coturn():
    if not shutil.which("turnserver"):
        raise Skipped("there is no 'turnserver' (Debian: coturn)")


def table(found):
    rows = ["| | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for left in KINDS:
        cells = []
        for right in KINDS:
            way, seconds = found.get((left, right)) or found.get((right, left))
            cells.append(way if seconds is None else f"{way}, {seconds:.1f} s")
        rows.append(f"| {left} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


@case("ice-nats", "two of our agents connect between kernel NATs of every kind as they should", long=True)
def ice_nats(lab):
    need_coturn()
    pairs = [(left, right) for number, left in enumerate(KINDS) for right in KINDS[number:]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        found = dict(zip(pairs, pool.map(lambda kinds: pair(kinds, (OURS, OURS)), pairs)))
    print(table(found), flush=True)
    wrong = [f"{left} x {right}: {way}, not {expected(left, right)}"
             for (left, right), (way, _) in found.items() if way != expected(left, right)]
    expect(not wrong, "; ".join(wrong))


@case("ice-relay-only", "two of our agents that may only use the relay connect through it")
def ice_relay_only(lab):
    need_coturn()
    way, _ = pair(("full-cone", "public"), (OURS, OURS), options=(["--relay-only"], ["--relay-only"]))
    expect(way == "relay", f"{way}, not by the relay")


def with_aioice(left, right, ways):
    """`ways`: what may come of a pair that could be direct."""
    need_coturn()
    if importlib.util.find_spec("aioice") is None:
        raise Skipped("aioice is not there: pip install aioice")
    wrong = []
    kinds = [("public", "public"), ("full-cone", "port-restricted"), ("port-restricted", "port-restricted"),
             ("address-restricted", "symmetric"), ("port-restricted", "symmetric"), ("double", "full-cone")]
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        found = pool.map(lambda one: pair(one, (left, right), seconds=20), kinds)
        for (first, second), (way, _) in zip(kinds, found):
            if way not in (ways if expected(first, second) == "direct" else ("relay",)):
                wrong.append(f"{first} x {second}: {way}, not {expected(first, second)}")
    expect(not wrong, "; ".join(wrong))


@case("ice-aioice-controlled", "our agent controls one of aioice, between kernel NATs")
def ice_aioice_controlled(lab):
    with_aioice(OURS, AIOICE, ("direct",))


@case("ice-aioice-controlling", "aioice's agent controls one of ours, between kernel NATs")
def ice_aioice_controlling(lab):
    # aioice takes the first pair that works, and that may be the relay.
    with_aioice(AIOICE, OURS, ("direct", "relay"))
