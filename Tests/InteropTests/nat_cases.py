"""STUN and TURN with coturn: its server with our checks, its clients with our servers. All on the loopback of a namespace."""

import json
import os
import re
import shutil

from cases import case, expect
from namespaces import Failed, Skipped, until
from nodes import PNET

USER, PASSWORD = "user", "pass"


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skipped(f"there is no '{tool}' (Debian: coturn)")


def listening(namespace, port):
    return f":{port} " in namespace.run("ss", "-Hlun")


def start(lab, namespace, port, *command):
    process = lab.start(namespace, *command)
    until(f"{os.path.basename(command[0])} {command[1]} listens", 10, lambda: listening(namespace, port))
    return process


def our_stun(lab, namespace):
    return start(lab, namespace, 3478, PNET, "stun-server", "--address", "127.0.0.1", "--other-address", "127.0.0.2")


def our_turn(lab, namespace, *options):
    return start(
        lab, namespace, 3478, PNET, "turn-server", "--address", "127.0.0.1", "--realm", "realm", "--quota", "100",
        "--user", f"{USER}:{PASSWORD}", *options)


def coturn(lab, namespace):
    return start(
        lab, namespace, 3478, "turnserver", "-n", "-a", "-u", f"{USER}:{PASSWORD}", "-r", "realm", "-L", "127.0.0.1", "-L",
        "127.0.0.2", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file", "stdout",
        "--pidfile", os.path.join(lab.directory, "turnserver.pid"))


def netcheck(namespace, *options, check=True):
    return json.loads(namespace.run(PNET, "netcheck", "--json", *options, check=check, timeout=120))


def uclient(namespace, *options):
    """Runs coturn's client and returns how many messages came back of how many."""
    said = namespace.run(
        "turnutils_uclient", "-u", USER, "-w", PASSWORD, "-p", "3478", *options, "127.0.0.1", timeout=90)
    found = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", said)
    if not found:
        raise Failed(f"turnutils_uclient says: {said[-300:]}")
    return tuple(int(number) for number in found[-1])


@case("stun-server-discovery", "coturn's discovery finds mapping and filtering with our STUN server")
def stun_server_discovery(lab):
    need("turnutils_natdiscovery", "turnutils_stunclient")
    namespace = lab.namespace("stun")
    our_stun(lab, namespace)
    said = namespace.run("turnutils_natdiscovery", "-m", "-f", "-p", "3478", "127.0.0.1")
    expect("Endpoint Independent Mapping" in said, f"a mapping in: {said}")
    expect("Endpoint Independent Filtering" in said, f"a filter in: {said}")
    said = namespace.run("turnutils_stunclient", "-p", "3478", "127.0.0.1")
    expect("Response origin: : 127.0.0.2" in said, f"an answer from the other address in: {said}")


@case("netcheck-coturn", "our check finds mapping, filtering and a working relay with coturn")
def netcheck_coturn(lab):
    need("turnserver")
    namespace = lab.namespace("coturn")
    coturn(lab, namespace)
    result = netcheck(
        namespace, "--stun", "127.0.0.1:3478", "--turn", "127.0.0.1:3478", "--user", USER, "--pass", PASSWORD)
    stun = result["ipv4"]
    expect(result["udp"] and not stun["isTranslated"], f"UDP without NAT: {stun}")
    expect(stun.get("mapping") == "endpoint-independent", f"a mapping: {stun}")
    expect(stun.get("filtering") == "endpoint-independent", f"a filter: {stun}")
    for relay in result["relays"]:
        expect(relay.get("roundTripMilliseconds"), f"a relay: {relay}")
    expect([relay["transport"] for relay in result["relays"]] == ["udp", "tcp"], f"relays by UDP and TCP: {result}")
    wrong = netcheck(namespace, "--turn", "127.0.0.1:3478", "--user", USER, "--pass", "wrong", check=False)
    expect(all(relay.get("problem") for relay in wrong["relays"]), f"no relay with a wrong password: {wrong}")


@case("turn-server-channels", "coturn's client relays over channels of our TURN server, between two allocations and to a peer")
def turn_server_channels(lab):
    need("turnutils_uclient", "turnutils_peer")
    namespace = lab.namespace("turn")
    our_turn(lab, namespace, "--allow-peer", "127.0.0.0/8")
    start(lab, namespace, 3480, "turnutils_peer", "-L", "127.0.0.2", "-p", "3480")
    for options in (["-y", "-c"], ["-y"], ["-c", "-e", "127.0.0.2", "-r", "3480"]):
        sent, received = uclient(namespace, "-n", "50", "-m", "2", *options)
        expect(received == sent > 0, f"{' '.join(options)}: {received} of {sent} came back")


@case("turn-server-indications", "coturn's client relays with Send and Data indications of our TURN server")
def turn_server_indications(lab):
    need("turnutils_uclient", "turnutils_peer")
    namespace = lab.namespace("turn")
    our_turn(lab, namespace, "--allow-peer", "127.0.0.2")
    start(lab, namespace, 3480, "turnutils_peer", "-L", "127.0.0.2", "-p", "3480")
    sent, received = uclient(namespace, "-s", "-n", "50", "-m", "2", "-c", "-e", "127.0.0.2", "-r", "3480")
    expect(received == sent > 0, f"{received} of {sent} came back")


@case("turn-server-tcp", "coturn's client comes by TCP to our TURN server, over channels and with indications")
def turn_server_tcp(lab):
    need("turnutils_uclient", "turnutils_peer")
    namespace = lab.namespace("turn")
    our_turn(lab, namespace, "--allow-peer", "127.0.0.0/8")
    start(lab, namespace, 3480, "turnutils_peer", "-L", "127.0.0.2", "-p", "3480")
    for options in (["-y", "-c"], ["-c", "-e", "127.0.0.2", "-r", "3480"], ["-s", "-c", "-e", "127.0.0.2", "-r", "3480"]):
        sent, received = uclient(namespace, "-t", "-n", "50", "-m", "2", *options)
        expect(received == sent > 0, f"{' '.join(options)}: {received} of {sent} came back")


@case("turn-server-refuses", "our TURN server relays to nothing inside unless it is told to")
def turn_server_refuses(lab):
    need("turnutils_uclient")
    namespace = lab.namespace("turn")
    our_turn(lab, namespace)
    said = namespace.run(
        "turnutils_uclient", "-u", USER, "-w", PASSWORD, "-p", "3478", "-n", "5", "-c", "-e", "127.0.0.2", "-r", "3480",
        "127.0.0.1", check=False)
    expect("403" in said, f"a refusal in: {said[-300:]}")


class BehindNAT:
    """A client, a kernel NAT, and our STUN server with two addresses."""

    def __init__(self, lab, source_nat):
        self.client, self.nat, self.server = (lab.namespace(label) for label in ("client", "nat", "server"))
        (client, _), (inside, _) = lab.link(self.client, self.nat)
        (outside, _), (server, _) = lab.link(self.nat, self.server)
        second = server.rsplit(".", 1)[0] + ".3"
        self.server.run("ip", "addr", "add", f"{second}/24", "dev", "eth2")
        self.client.run("ip", "route", "add", "default", "via", inside)
        self.nat.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.nat.nft(f"""
            table ip nat {{
              chain post {{ type nat hook postrouting priority 100; oifname "eth2" {source_nat}; }}
            }}
            table inet t {{
              chain unsolicited {{ type filter hook input priority 0; iifname "eth2" udp dport 1024-65535 drop; }}
            }}
        """)
        self.address, self.outside, self.inside = server, outside, client
        lab.start(self.server, PNET, "stun-server", "--address", server, "--other-address", second)
        until("our STUN server listens", 10, lambda: listening(self.server, 3478))

    def check(self, *options):
        return netcheck(self.client, "--stun", f"{self.address}:3478", *options)["ipv4"]


@case("netcheck-masquerade", "behind masquerade our check finds one mapping and a filter by address and port")
def netcheck_masquerade(lab):
    network = BehindNAT(lab, "masquerade")
    found = network.check()
    expect(found["isTranslated"], f"a translation: {found}")
    expect(found["views"][0]["mappedAddress"].split(":")[0] == network.outside, f"the NAT's address: {found}")
    expect(found["localAddress"] == network.inside, f"the client's own address: {found}")
    expect(found.get("mapping") == "endpoint-independent", f"one mapping: {found}")
    expect(found.get("filtering") == "address-and-port-dependent", f"a filter by address and port: {found}")


@case("netcheck-symmetric", "behind random ports our check finds a mapping for each destination")
def netcheck_symmetric(lab):
    found = BehindNAT(lab, "masquerade fully-random").check()
    expect(found.get("mapping") == "address-and-port-dependent", f"mappings by address and port: {found}")
    expect(found.get("filtering") == "address-and-port-dependent", f"a filter by address and port: {found}")


@case("netcheck-lifetime", "behind a NAT that forgets after 12 s our check says so", long=True)
def netcheck_lifetime(lab):
    network = BehindNAT(lab, "masquerade")
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        network.nat.run("sysctl", "-qw", f"net.netfilter.{name}=12")
    found = network.check("--lifetime")
    expect(found["lifetime"].get("atLeastSeconds") == 10, f"alive after 10 s: {found}")
    expect(found["lifetime"].get("lessThanSeconds") == 15, f"gone after 15 s: {found}")
