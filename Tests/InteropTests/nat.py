"""A small internet for what crosses NATs: a public segment, a server on it with two addresses, and two hosts, `left` and
`right`, each behind a NAT of a chosen kind. Everything is namespaces, veth pairs and nftables; see docs/nat.md.

    left --- NAT --- [NAT] ---.
                              +--- public segment --- server
    right -- NAT --- [NAT] ---'
"""

import os

from namespaces import Lab, run, until

SERVER = ("203.0.113.10", "203.0.113.11")
SERVER6 = ("2001:db8::10", "2001:db8::11")
PORT, OTHER_PORT = 3478, 3479
USER, PASSWORD, REALM = "user", "pass", "natlab"
# Seconds that a silent UDP mapping lives under `short-timeouts`; RFC 4787 (REQ-5) asks for 120 at least.
SHORT_TIMEOUT = 10

# name: what it is, in the words of RFC 4787
KINDS = {
    "public": "no NAT: a public address",
    "full-cone": "endpoint-independent mapping and filtering, hairpin",
    "address-restricted": "endpoint-independent mapping, address-dependent filtering",
    "port-restricted": "endpoint-independent mapping, address and port-dependent filtering",
    "symmetric": "address and port-dependent mapping and filtering, random ports",
    "double": "port-restricted behind another port-restricted",
    "udp-blocked": "port-restricted, and UDP does not pass",
    "ipv6-only": "no IPv4; IPv6 behind a stateful firewall",
    "short-timeouts": f"port-restricted, and UDP mappings last {SHORT_TIMEOUT} s",
}

# Lets in what the inside asked for, and what a `dnat` of ours sends there. Unsolicited datagrams are dropped before
# connection tracking remembers them: one early packet of a peer would otherwise take the port that the inside is about
# to be mapped to.
FIREWALL = """
    chain forward {
      type filter hook forward priority 0; policy drop;
      %s
      ct state established,related accept
      ct status dnat accept
      iifname "lan" oifname "wan" accept
    }
    chain input { type filter hook input priority 0; iifname "wan" meta l4proto udp ct state new drop; }
"""

# Plain source NAT of Linux: it keeps the port, and lets in only whom the inside has sent to.
PORT_RESTRICTED = """
  table ip nat {
    chain post { type nat hook postrouting priority srcnat; oifname "wan" snat to %(wan)s; }
%(firewall)s
  }
"""

SYMMETRIC = """
  table ip nat {
    chain post { type nat hook postrouting priority srcnat; oifname "wan" snat to %(wan)s fully-random; }
%(firewall)s
  }
"""

# Linux has no cone NATs. The mapping is learnt, behind source NAT, from each packet that goes out, and a `dnat` of ours
# leads others to it.
FULL_CONE = """
  table ip nat {
    map cone { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
    chain pre {
      type nat hook prerouting priority dstnat;
      ip daddr %(wan)s meta l4proto udp dnat ip to udp dport map @cone
    }
    chain post {
      type nat hook postrouting priority srcnat;
      oifname "wan" snat to %(wan)s
      oifname "lan" ip saddr %(lan)s ct status dnat snat to %(wan)s
    }
    chain learn {
      type filter hook postrouting priority srcnat + 1;
      oifname "wan" ip saddr %(wan)s meta l4proto udp ct direction original update @cone { udp sport : ct original ip saddr . ct original proto-src }
    }
%(firewall)s
  }
"""

ADDRESS_RESTRICTED = """
  table ip nat {
    map cone { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
    set asked { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 5m; size 65535; }
    chain pre {
      type nat hook prerouting priority dstnat;
      iifname "wan" ip daddr %(wan)s meta l4proto udp udp dport . ip saddr @asked dnat ip to udp dport map @cone
    }
    chain post { type nat hook postrouting priority srcnat; oifname "wan" snat to %(wan)s; }
    chain learn {
      type filter hook postrouting priority srcnat + 1;
      oifname "wan" ip saddr %(wan)s meta l4proto udp ct direction original update @cone { udp sport : ct original ip saddr . ct original proto-src }
      oifname "wan" ip saddr %(wan)s meta l4proto udp update @asked { udp sport . ip daddr }
    }
%(firewall)s
  }
"""

FIREWALL_6 = """
  table ip6 firewall {
%(firewall)s
  }
"""

RULES = {
    "full-cone": FULL_CONE,
    "address-restricted": ADDRESS_RESTRICTED,
    "symmetric": SYMMETRIC,
}


class Side:
    """A host and what is between it and the public segment."""

    def __init__(self, lab, label, kind, number):
        self.kind, self.number = kind, number
        self.public = f"203.0.113.{20 + number}"
        self.public6 = f"2001:db8::{20 + number}"
        self.host = lab.namespace(label)
        self.nats = []
        if kind == "public":
            lab.plug(self.host, "eth0", f"{self.public}/24", f"{self.public6}/64")
            self.address = self.public
        elif kind == "ipv6-only":
            self._ipv6_only(lab, label)
        else:
            self._behind_nat(lab, label)

    def _behind_nat(self, lab, label):
        lan = f"192.168.{self.number}"
        self.address = f"{lan}.100"
        outer = "wan"
        nat = lab.namespace(f"{label}-nat")
        self.nats.append(nat)
        wire(self.host, "eth0", nat, "lan")
        address(self.host, "eth0", f"{self.address}/24", gateway=f"{lan}.1")
        address(nat, "lan", f"{lan}.1/24")
        wan = self.public
        if self.kind == "double":
            cgn = lab.namespace(f"{label}-cgn")
            self.nats.append(cgn)
            middle = f"100.64.{self.number}"
            wire(nat, outer, cgn, "lan")
            address(nat, outer, f"{middle}.100/24", gateway=f"{middle}.1")
            address(cgn, "lan", f"{middle}.1/24")
            self._translate(nat, f"{middle}.100", f"{lan}.0/24")
            nat, lan = cgn, middle
        lab.plug(nat, "wan", f"{wan}/24")
        self._translate(nat, wan, f"{lan}.0/24")

    def _translate(self, nat, wan, lan):
        blocked = "meta l4proto udp drop" if self.kind == "udp-blocked" else ""
        sysctl(nat, "net.ipv4.ip_forward", 1)
        nat.run("nft", "-f", "-", stdin=RULES.get(self.kind, PORT_RESTRICTED) % {
            "wan": wan, "lan": lan, "firewall": FIREWALL % blocked})
        if self.kind == "short-timeouts":
            # The second holds for a mapping that was answered and is older than two seconds.
            sysctl(nat, "net.netfilter.nf_conntrack_udp_timeout", SHORT_TIMEOUT)
            sysctl(nat, "net.netfilter.nf_conntrack_udp_timeout_stream", SHORT_TIMEOUT)

    def _ipv6_only(self, lab, label):
        router = lab.namespace(f"{label}-nat")
        self.nats.append(router)
        prefix = f"2001:db8:{self.number}:"
        self.address = f"{prefix}:100"
        wire(self.host, "eth0", router, "lan")
        sysctl(router, "net.ipv6.conf.all.forwarding", 1)
        address(router, "lan", f"{prefix}:1/64")
        address(self.host, "eth0", f"{self.address}/64", gateway=f"{prefix}:1")
        lab.plug(router, "wan", f"{self.public6}/64")
        for device in ("lan", "wan"):
            # A router asks for neighbours of what it forwards from a link-local address, and does not ask without one.
            address(router, device, f"fe80::{20 + self.number}/64")
        router.run("nft", "-f", "-", stdin=FIREWALL_6 % {"firewall": FIREWALL % ""})
        # The segment is one network: whoever is on it directly needs the way to those behind a router.
        lab.routes6.append((f"{prefix}:/64", self.public6, router))


class NATLab(Lab):
    """Two hosts behind NATs of these kinds, and a server that sees both from outside."""

    def __init__(self, left, right, changed=lambda lab: None):
        super().__init__()
        self._changed = changed
        self._ports = 0
        self.routes6 = []
        self.coturn = None
        try:
            self._build(left, right)
        except BaseException:
            self.close()
            raise

    def _build(self, left, right):
        self.segment = self.namespace("net")
        for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"):
            # Bridged packets are no business of a firewall; where its module is not there, they are none anyway.
            sysctl(self.segment, f"net.bridge.{key}", 0, check=False)
        self.segment.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.segment.run("ip", "link", "set", "br0", "up")
        self.server = self.namespace("server")
        self.plug(self.server, "eth0", *(f"{a}/24" for a in SERVER), *(f"{a}/64" for a in SERVER6))
        # What it sends to private addresses, as a relay does, gets lost on the way, as on the internet. Without a route
        # the call fails, and coturn gives up the relayed socket.
        wire(self.server, "internet", self.segment, "sink")
        self.server.run("ip", "link", "set", "internet", "arp", "off")
        self.server.run("ip", "route", "add", "default", "dev", "internet")
        self.server.run("ip", "-6", "route", "add", "default", "dev", "internet")
        self.left = Side(self, "left", left, 1)
        self.right = Side(self, "right", right, 2)
        self._route6()

    def namespace(self, label):
        made = super().namespace(label)
        self._changed(self)
        return made

    def start(self, *arguments, **options):
        process = super().start(*arguments, **options)
        self._changed(self)
        return process

    def plug(self, namespace, device, *addresses):
        """A cable from a namespace to the public segment."""
        self._ports += 1
        port = f"port{self._ports}"
        wire(namespace, device, self.segment, port)
        self.segment.run("ip", "link", "set", port, "master", "br0", "up")
        for one in addresses:
            address(namespace, device, one)

    def _route6(self):
        on_segment = [self.server]
        for side in (self.left, self.right):
            if side.kind == "public":
                on_segment.append(side.host)
            elif side.kind == "ipv6-only":
                on_segment.append(side.nats[0])
        for namespace in on_segment:
            for prefix, gateway, router in self.routes6:
                if router is not namespace:
                    namespace.run("ip", "-6", "route", "add", prefix, "via", gateway)

    def start_coturn(self):
        """A STUN server by RFC 5780 and TURN server, on all addresses of `server`."""
        listeners = [part for one in (*SERVER, *SERVER6) for part in ("-L", one)]
        self.coturn = self.start(
            self.server, "turnserver", "-n", *listeners, "-p", str(PORT), "--alt-listening-port", str(OTHER_PORT), "-a",
            "-u", f"{USER}:{PASSWORD}", "-r", REALM, "--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout",
            "--simple-log", "--pidfile", os.path.join(self.directory, "turnserver.pid"), "--db",
            os.path.join(self.directory, "turndb"), "--min-port", "49160", "--max-port", "49960")
        until("coturn listens", 15, self._coturn_listens)

    def _coturn_listens(self):
        if self.coturn.poll() is not None:
            raise RuntimeError("turnserver ended")
        listening = self.server.run("ss", "-Hnlu")
        return all(f"{one}:{port}" in listening for one in SERVER for port in (PORT, OTHER_PORT))

    def describe(self):
        """What there is, for people."""
        lines = []
        for label in ("left", "right"):
            side = getattr(self, label)
            way = " -> ".join(nat.name for nat in side.nats)
            lines.append(f"{label + ':':7} {side.host.name}  {side.address}  {side.kind}: {KINDS[side.kind]}"
                         + (f"  (behind {way})" if way else ""))
        lines.append(f"server: {self.server.name}  {' '.join(SERVER)} {' '.join(SERVER6)}")
        return "\n".join(lines)


def wire(left, left_device, right, right_device):
    run("ip", "-n", left.name, "link", "add", left_device, "type", "veth", "peer", "name", right_device,
        "netns", right.name)
    for namespace, device in ((left, left_device), (right, right_device)):
        # Only addresses that are given: no link-local ones among the candidates of an IPv4 host.
        sysctl(namespace, f"net.ipv6.conf.{device}.addr_gen_mode", 1, check=False)
        sysctl(namespace, f"net.ipv6.conf.{device}.accept_ra", 0, check=False)
        namespace.run("ip", "link", "set", device, "up")


def address(namespace, device, prefix, gateway=None):
    extra = ("nodad",) if ":" in prefix else ()
    namespace.run("ip", "addr", "add", prefix, "dev", device, *extra)
    if gateway:
        namespace.run("ip", "-6" if ":" in gateway else "-4", "route", "add", "default", "via", gateway)


def sysctl(namespace, key, value, check=True):
    # Device names have dots in places, keys have none.
    path = "/proc/sys/" + key.replace(".", "/")
    namespace.run("sh", "-c", f"echo {value} > {path}", check=check)
