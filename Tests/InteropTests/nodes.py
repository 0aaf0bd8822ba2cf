"""The two sides: wireguard-go, and our node as `pnet up` runs it."""

import itertools
import json
import os
import subprocess
import time

from namespaces import Failed, run, until

PNET = os.environ.get("PNET", "pnet")
_numbers = itertools.count(1)


def genkey():
    return run("wg", "genkey").strip()


def genpsk():
    return run("wg", "genpsk").strip()


def pubkey(private):
    return run("wg", "pubkey", stdin=private + "\n").strip()


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class WireGuardGo:
    """A stock peer: wireguard-go on a TUN device, configured with `wg`."""

    tunnel = ("10.214.0.1", "fd14::1")

    def __init__(self, lab, namespace, port=51820, mtu=1420):
        self.namespace, self.port = namespace, port
        self.private = genkey()
        self.public = pubkey(self.private)
        # The name is that of a socket in /run/wireguard too, which all namespaces share.
        self.device = f"pn{os.getpid()}n{next(_numbers)}"
        self.process = lab.start(namespace, "wireguard-go", "-f", self.device, env={"LOG_LEVEL": "verbose"})
        until("wireguard-go is up", 10, lambda: os.path.exists(f"/run/wireguard/{self.device}.sock"))
        self.wg("set", self.device, "private-key", "/dev/stdin", "listen-port", str(port), stdin=self.private + "\n")
        for address, bits in zip(self.tunnel, (24, 64)):
            extra = ("nodad",) if ":" in address else ()
            namespace.run("ip", "addr", "add", f"{address}/{bits}", "dev", self.device, *extra)
        namespace.run("ip", "link", "set", self.device, "mtu", str(mtu), "up")

    def wg(self, *arguments, **options):
        return self.namespace.run("wg", *arguments, **options)

    def peer(self, node, at=None, psk=None, keepalive=None, also=()):
        """Lists our node, or lists it anew."""
        prefixes = [f"{node.tunnel[0]}/32", f"{node.tunnel[1]}/128", *also]
        if node.derived:
            prefixes.append(f"{node.derived}/128")
            self.namespace.run("ip", "-6", "route", "replace", f"{node.derived}/128", "dev", self.device)
        arguments = ["set", self.device, "peer", node.public]
        if psk:
            arguments += ["preshared-key", "/dev/stdin"]
        if at:
            arguments += ["endpoint", at]
        if keepalive:
            arguments += ["persistent-keepalive", str(keepalive)]
        self.wg(*arguments, "allowed-ips", ",".join(prefixes), stdin=psk)

    def _value(self, what, node):
        for line in self.wg("show", self.device, what).splitlines():
            key, *values = line.split()
            if key == node.public:
                return values
        return None

    def handshake(self, node):
        """When the latest handshake was, in seconds since 1970; 0 before the first."""
        return int((self._value("latest-handshakes", node) or ["0"])[0])

    def endpoint_of(self, node):
        return (self._value("endpoints", node) or ["(none)"])[0]

    def transfer(self, node):
        """Bytes received from and sent to our node."""
        received, sent = self._value("transfer", node) or ("0", "0")
        return int(received), int(sent)

    def ping(self, address, count=3, interval=0.2, size=56, wait=2, dont_fragment=False):
        """Pings through the tunnel. Returns how many answers came."""
        command = ["ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-s", str(size), "-W", str(wait)]
        if dont_fragment:
            command += ["-M", "do"]
        text = self.namespace.run(*command, address, check=False, timeout=count * max(interval, 0.2) + wait + 30)
        return int(text.split(" received")[0].split(", ")[-1]) if " received" in text else 0


class PNetNode:
    """Our node: `pnet up` with a wg-quick file."""

    def __init__(self, lab, namespace, port=2552, tunnel=("10.214.0.2", "fd14::2"), private=None):
        self.lab, self.namespace, self.port, self.tunnel = lab, namespace, port, tunnel
        self.private = private or genkey()
        self.public = pubkey(self.private)
        number = next(_numbers)
        self.file = os.path.join(lab.directory, f"node{number}.conf")
        self.socket = os.path.join(lab.directory, f"node{number}.sock")
        self.derived = None
        self.peers = []
        self.process = None

    def list(self, public, allowed=(), at=None, psk=None, keepalive=None):
        """Lists a peer; takes effect with up()."""
        lines = ["[Peer]", f"PublicKey = {public}"]
        if psk:
            lines.append(f"PresharedKey = {psk}")
        if allowed:
            lines.append(f"AllowedIPs = {', '.join(allowed)}")
        if at:
            lines.append(f"Endpoint = {at}")
        if keepalive:
            lines.append(f"PersistentKeepalive = {keepalive}")
        self.peers.append("\n".join(lines))
        return self

    def up(self, *options):
        interface = f"""[Interface]
PrivateKey = {self.private}
ListenPort = {self.port}
Address = {self.tunnel[0]}/24, {self.tunnel[1]}/64
PostUp = iptables -A FORWARD -i %i -j ACCEPT
"""
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join([interface] + self.peers) + "\n")
        self.process = self.lab.start(
            self.namespace, PNET, "up", "-c", self.file, "--control", self.socket, "--state", self.lab.directory,
            *options)
        until("our node is up", 20, lambda: self._is_up())
        self.derived = self.status()["derivedAddress"]
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"pnet up ended with exit code {self.process.returncode}")
        return os.path.exists(self.socket) and "listening on UDP port" in open(self.process.log).read()

    def down(self):
        self.pnet("down")
        until("our node has ended", 10, lambda: self.process.poll() is not None)

    def pnet(self, *arguments, **options):
        return self.namespace.run(PNET, *arguments, "--control", self.socket, **options)

    def start(self, *arguments):
        return self.lab.start(self.namespace, PNET, *arguments, "--control", self.socket)

    def status(self):
        return json.loads(self.pnet("status", "--json"))

    def drops(self, reason):
        return self.status()["drops"][reason]

    def peer(self, public):
        return next((peer for peer in self.status()["peers"] if peer["publicKey"] == public), None)

    def age(self, public):
        """Seconds since the latest handshake; `None` before the first."""
        return self.peer(public).get("latestHandshakeSecondsAgo")

    def initiate(self, public):
        """Starts a handshake with a peer, and does not wait for what comes of it."""
        return self.start("ping", public, "-c", "1", "--timeout", "60")


def established(wireguard, node, seconds=10):
    """Waits until both sides say that there is a session."""
    until("a handshake, says wireguard-go", seconds, lambda: wireguard.handshake(node))
    until("a handshake, says our node", 3, lambda: node.age(wireguard.public) is not None)


def is_running(*processes):
    return all(process.poll() is None for process in processes)
