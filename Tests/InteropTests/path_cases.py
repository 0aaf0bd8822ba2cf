"""Two of our nodes over paths that lose, delay, mark, narrow and move, as kernels make them. Prints figures.

    left == left router ==== right router == right

The cable in the middle is where things happen. Packets travel one by one, so that a router drops and marks single ones.
"""

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time

from cases import case, expect
from namespaces import Failed, until
from nodes import PNET, PNetNode, endpoint

MEGABYTE = 1_000_000
DEVICES = {"left": ("eth1",), "left_router": ("eth1", "eth2"), "right_router": ("eth2", "eth3"), "right": ("eth3",)}


class Way:
    """Two nodes with two routers between them; the left one sends.

    `delay`: seconds that each packet is held back by the left router, either way.
    """

    def __init__(self, lab, v6=False, mtu=1500, delay=None):
        self.lab = lab
        for name in DEVICES:
            setattr(self, name, lab.namespace(name.replace("_", "-")))
        self.left_address, left_gate = (end[v6] for end in lab.link(self.left, self.left_router))
        left_middle, right_middle = (end[v6] for end in lab.link(self.left_router, self.right_router))
        right_gate, self.right_address = (end[v6] for end in lab.link(self.right_router, self.right))
        self._gates = {"left": left_gate, "left_router": right_middle, "right_router": left_middle, "right": right_gate}
        for name, devices in DEVICES.items():
            namespace = getattr(self, name)
            for device in devices:
                namespace.run("ip", "link", "set", device, "mtu", str(mtu), "gso_max_segs", "1")
            namespace.run(
                "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                "net.ipv4.conf.all.promote_secondaries=1", "net.ipv4.conf.all.rp_filter=0")
            self.route(name)
        # No router ever says that a packet was too big.
        for router in (self.left_router, self.right_router):
            router.nft("""
                table inet t {
                  chain out {
                    icmp type destination-unreachable drop
                    icmpv6 type { packet-too-big, destination-unreachable } drop
                  }
                  chain on { type filter hook forward priority 0; }
                }
            """)
        if delay:
            self._delay(delay)
        self.received = os.path.join(lab.directory, "received")
        os.mkdir(self.received)
        self.sender = PNetNode(lab, self.left, tunnel=("10.214.0.1", "fd14::1"))
        self.receiver = PNetNode(lab, self.right)
        self.receiver.list(self.sender.public)
        self.sender.list(self.receiver.public, at=endpoint(self.right_address, self.receiver.port))

    def up(self):
        self.receiver.up("--receive", self.received)
        self.sender.up()
        return self

    def restart(self):
        """A sender that knows nothing."""
        self.sender.down()
        self.sender.up()

    def route(self, name):
        """Whatever is not next door is behind the next router."""
        getattr(self, name).run("ip", "route", "replace", "default", "via", self._gates[name])

    def _delay(self, seconds):
        router = self.left_router
        program = os.path.join(os.path.dirname(__file__), "delay.py")
        process = self.lab.start(router, sys.executable, program, "hold", str(seconds))
        until("packets are held back", 10, lambda: "ready" in open(process.log).read())
        router.run("ip", "link", "set", "hold", "mtu", "9000", "txqueuelen", "20000", "up")
        for device in DEVICES["left_router"]:
            router.run("ip", "rule", "add", "iif", device, "lookup", "100")
        router.run("ip", "route", "add", "default", "dev", "hold", "table", "100")

    @staticmethod
    def rules(router, *rules):
        """What a router does to packets on their way, instead of what it did before."""
        router.run("nft", "flush", "chain", "inet", "t", "on")
        lines = "\n".join(rules)
        router.nft(f"table inet t {{\nchain on {{\n{lines}\n}}\n}}")

    def set_mtu(self, size):
        """Of the cable in the middle."""
        for router in (self.left_router, self.right_router):
            router.run("ip", "link", "set", "eth2", "mtu", str(size))

    def peer(self):
        """What the sender says of the receiver."""
        return self.sender.peer(self.receiver.public) or {}

    def size_found(self, best, seconds=8):
        """Waits until packets of the sender have the size that is best, or that below it, since sizes closer than 32
        bytes are not told apart. Returns it and how long that took.
        """
        start = time.monotonic()
        end = start + seconds
        while (size := self.peer()["packetSize"]) not in (best - 16, best) and time.monotonic() < end:
            time.sleep(0.05)
        expect(best - 16 <= size <= best, f"packets of {best} bytes, or 16 less, within {seconds} s, not of {size}")
        return size, time.monotonic() - start

    def send(self, size, seconds=60):
        """Sends a file of so many bytes to the end, and returns what the sender says of it."""
        return Transfer(self, size, seconds).finish()

    def ping(self, count, interval):
        """Round trips in ms, sorted."""
        text = self.sender.pnet(
            "ping", self.receiver.public, "-c", str(count), "-i", str(interval), check=False,
            timeout=count * interval + 30)
        return sorted(float(found) for found in re.findall(r", ([\d.]+) ms$", text, re.MULTILINE))


class Transfer:
    """`pnet send` at work. What is at the receiver is looked at all the time."""

    def __init__(self, way, size, seconds=60):
        self.way, self.size, self.deadline = way, size, time.monotonic() + seconds
        self.name = f"file{len(os.listdir(way.lab.directory))}"
        path = os.path.join(way.lab.directory, self.name)
        content = os.urandom(size)
        self.hash = hashlib.sha256(content).hexdigest()
        with open(path, "wb") as file:
            file.write(content)
        self.process = subprocess.Popen(
            way.left.command(PNET, "send", way.receiver.public, path, "--json", "--control", way.sender.socket),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.process.log = os.devnull
        way.lab.processes.append(self.process)
        # (when, bytes at the receiver), at each growth.
        self.growth = [(time.monotonic(), 0)]
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _look(self):
        while self.process.poll() is None:
            size = self.there()
            if size > self.growth[-1][1]:
                self.growth.append((time.monotonic(), size))
            time.sleep(0.004)

    def there(self):
        """Bytes at the receiver until now."""
        try:
            return max((entry.stat().st_size for entry in os.scandir(self.way.received)
                        if entry.name.lstrip(".").startswith(self.name)), default=0)
        except OSError:
            return 0

    def wait_for(self, part):
        """Until this part of the file is there."""
        until(f"{part:.0%} of the file are there", 30,
              lambda: self.there() >= part * self.size or self.process.poll() is not None, interval=0.004)
        expect(self.process.poll() is None, "the transfer is still under way when its path changes")

    def finish(self):
        try:
            text, _ = self.process.communicate(timeout=max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"{self.size} bytes arrive in time: {self.there()} did; {self.way.peer()}") from None
        self._watch.join()
        expect(self.process.returncode == 0, f"the file is sent: {text.strip()}")
        with open(os.path.join(self.way.received, self.name), "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        expect(found == self.hash, "the file is the same at both ends")
        return json.loads(text)

    def gap(self):
        """The longest time, in seconds, in which nothing came."""
        times = [when for when, _ in self.growth]
        return max((b - a for a, b in zip(times[1:], times[2:])), default=0)

    def resumed(self, when):
        """Seconds from then until something came."""
        return next((after - when for after, _ in self.growth if after > when), float("inf"))


def rate(file):
    """Goodput in Mbit/s."""
    return file["transferred"] * 8 / file["seconds"] / 1e6


def figures(text):
    print(f"     {text}", flush=True)


# Loss


def dropping(way, per_mille):
    way.rules(way.left_router, f"meta l4proto udp numgen random mod 1000 < {per_mille} drop" if per_mille else "")


@case("path-drop", "files arrive whole over paths that drop 1, 5 and 20 % of the packets each way")
def path_drop(lab):
    way = Way(lab).up()
    said = []
    for percent, size in ((0, 20), (1, 10), (5, 5), (20, 1)):
        dropping(way, percent * 10)
        lost = way.peer().get("lostPackets", 0)
        file = way.send(size * MEGABYTE)
        lost = way.peer()["lostPackets"] - lost
        expect(not percent or lost > 0, f"packets are lost at {percent} %")
        said.append(f"{percent} %: {rate(file):.1f} Mbit/s ({lost} lost)")
    figures("goodput without delay: " + ", ".join(said))


@case("path-drop-delayed", "the same with a round trip of 20 ms")
def path_drop_delayed(lab):
    way = Way(lab, delay=0.01).up()
    said = []
    for percent, size in ((1, 2), (5, 1), (20, 0.25)):
        # Each packet passes the chain twice: to the device that holds it, and from it.
        dropping(way, percent * 5)
        said.append(f"{percent} %: {rate(way.send(int(size * MEGABYTE))):.2f} Mbit/s")
    figures("goodput at 20 ms: " + ", ".join(said))


@case("path-loss-burst", "a transfer goes on within 1.5 s after 3 s in which nothing got through")
def path_loss_burst(lab):
    said = []
    way = Way(lab).up()
    limit(way, "20mbit", "50ms")
    for what in ("a silent drop", "the sender's cable out"):
        transfer = Transfer(way, 5 * MEGABYTE)
        transfer.wait_for(0.3)
        if what == "a silent drop":
            way.rules(way.left_router, "drop")
            time.sleep(3)
            way.rules(way.left_router)
        else:
            way.left.run("ip", "link", "set", "eth1", "down")
            time.sleep(3)
            way.left.run("ip", "link", "set", "eth1", "up")
            way.route("left")
        up = time.monotonic()
        transfer.finish()
        resumed = transfer.resumed(up)
        said.append(f"{what}: {resumed:.2f} s")
        # A probe leaves each second.
        expect(resumed < 1.5, f"after {what} it goes on within 1.5 s, not {resumed:.2f} s")
    figures("on again after " + ", ".join(said))


# Rate


def limit(way, rate, latency):
    """The cable in the middle carries so much to the right, and its queue holds that for so long."""
    way.left_router.run(
        "tc", "qdisc", "replace", "dev", "eth2", "root", "tbf", "rate", rate, "burst", "5kb", "latency", latency)


@case("path-rate", "a transfer fills a link of 20 Mbit/s, with a shallow and a bloated buffer")
def path_rate(lab):
    way = Way(lab, delay=0.01).up()
    way.send(100_000)
    idle = way.ping(20, 0.02)
    said = [f"idle: ping p50 {statistics.median(idle):.1f} ms"]
    for latency, least in (("10ms", 0.7), ("500ms", 0.8)):
        limit(way, "20mbit", latency)
        transfer = Transfer(way, 12 * MEGABYTE)
        transfer.wait_for(0.1)
        pings = way.ping(60, 0.05)
        file = transfer.finish()
        share = rate(file) / 20
        expect(len(pings) >= 55, f"60 pings are answered, not {len(pings)}")
        said.append(f"buffer {latency}: {share:.0%} of the link, ping p50 {statistics.median(pings):.0f} ms"
                    f" p99 {pings[int(len(pings) * 0.99)]:.0f} ms")
        expect(share > least, f"with a buffer of {latency} {least:.0%} of the link are used: {share:.0%}")
        expect(share < 1, f"the link is limited: {share:.0%}")
    figures("; ".join(said))


# MTU


def fitting(mtu, v6=False):
    """Bytes of UDP payload that a packet may have, as the sizes of tunnels are multiples of 16."""
    return mtu - (48 if v6 else 28) & ~15


def narrow(lab, mtu, v6=False):
    """A transfer over a cable of an MTU, with no word of routers about it."""
    way = Way(lab, v6=v6)
    way.set_mtu(mtu)
    way.up()
    best = fitting(mtu, v6)
    first = way.send(2 * MEGABYTE)
    size, seconds = way.size_found(best)
    second = way.send(2 * MEGABYTE)
    return (f"packets of {size} B, {best} would fit, found {seconds:.1f} s after a first file;"
            f" {rate(first):.0f}, then {rate(second):.0f} Mbit/s")


@case("path-mtu-1280", "a path of 1280 bytes whose routers are silent is found out")
def path_mtu_1280(lab):
    figures(narrow(lab, 1280))


@case("path-mtu-1280-v6", "the same over IPv6")
def path_mtu_1280_v6(lab):
    figures(narrow(lab, 1280, v6=True))


@case("path-mtu-1124", "a path of 1124 bytes whose routers are silent is found out")
def path_mtu_1124(lab):
    figures(narrow(lab, 1124))


@case("path-mtu-9000", "jumbo frames are found and used")
def path_mtu_9000(lab):
    way = Way(lab, mtu=9000).up()
    way.send(100_000)
    size, seconds = way.size_found(8_960)
    figures(f"packets of {size} B after another {seconds:.1f} s; {rate(way.send(20 * MEGABYTE)):.0f} Mbit/s")


@case("path-mtu-shrinks", "a transfer goes on when its path shrinks to 1280, and to 1124 bytes, and nobody says so")
def path_mtu_shrinks(lab):
    way = Way(lab).up()
    limit(way, "20mbit", "50ms")
    said = []
    for old, new in ((1500, 1280), (1280, 1124)):
        if old != 1500:
            # A bigger size is looked for again after ten minutes only.
            way.restart()
        way.send(100_000)
        way.size_found(fitting(old))
        transfer = Transfer(way, 5 * MEGABYTE)
        transfer.wait_for(0.3)
        way.set_mtu(new)
        shrunk = time.monotonic()
        transfer.finish()
        gap = max(transfer.gap(), transfer.resumed(shrunk))
        size, _ = way.size_found(fitting(new))
        said.append(f"{old} to {new}: gap {gap:.2f} s, then packets of {size} B")
        expect(gap < 3, f"a gap of less than 3 s, not {gap:.2f} s, when the path shrinks to {new}")
    figures("; ".join(said))


# ECN


@case("path-ecn-mark", "a path that marks above 20 Mbit/s and never drops is kept to that")
def path_ecn_mark(lab):
    way = Way(lab, delay=0.01).up()
    way.rules(
        way.right_router,
        "udp dport 2552 ip ecn { ect0, ect1 } limit rate over 1700/second burst 40 packets ip ecn set ce")
    transfer = Transfer(way, 12 * MEGABYTE)
    transfer.wait_for(0.1)
    pings = way.ping(60, 0.05)
    file = transfer.finish()
    peer = way.peer()
    figures(f"{rate(file):.1f} Mbit/s, {peer['congestionMarks']} packets marked, {peer['lostPackets']} lost,"
            f" ping p50 {statistics.median(pings):.1f} ms p99 {pings[int(len(pings) * 0.99)]:.1f} ms")
    expect(peer["congestionMarks"] > 0, "marks are seen")
    expect(peer["usesECN"], "the path is known to carry marks")
    expect(10 < rate(file) < 26, f"marks keep the rate near 20 Mbit/s: {rate(file):.1f}")


@case("path-ecn-bleach", "a path that wipes, forges, changes or drops marks is found out, and asked for none")
def path_ecn_bleach(lab):
    way = Way(lab, delay=0.01).up()
    said = []
    for what, rules in (
        ("untouched", ""), ("wiped", "ip ecn set not-ect"), ("all marked", "ip ecn { ect0, ect1 } ip ecn set ce"),
        ("swapped", "ip ecn ect0 ip ecn set ect1"), ("dropped", "ip ecn != not-ect drop"),
    ):
        way.rules(way.right_router, rules)
        if said:
            way.restart()
        file = way.send(2 * MEGABYTE)
        said.append(f"{what}: {rate(file):.1f} Mbit/s")
        expect(way.peer()["usesECN"] == (what == "untouched"), f"{what}: usesECN is {way.peer()['usesECN']}")
    figures(", ".join(said))


# Moving


def moving(lab, move, delay=None):
    """Something moves in the middle of a transfer. Returns the longest gap in it."""
    way = Way(lab, delay=delay).up()
    limit(way, "20mbit", "50ms")
    transfer = Transfer(way, 5 * MEGABYTE)
    transfer.wait_for(0.3)
    move(way)
    moved = time.monotonic()
    transfer.finish()
    gap = max(transfer.gap(), transfer.resumed(moved))
    expect(gap < 3, f"the gap is below 3 s, not {gap:.2f} s")
    return gap


def readdress(way, name, device, old, new):
    namespace = getattr(way, name)
    namespace.run("ip", "addr", "add", f"{new}/24", "dev", device)
    namespace.run("ip", "addr", "del", f"{old}/24", "dev", device)
    way.route(name)


@case("path-roam", "a transfer goes on when the address of the sender changes")
def path_roam(lab):
    gap = moving(lab, lambda way: readdress(way, "left", "eth1", way.left_address, "10.213.1.9"))
    figures(f"gap {gap:.2f} s")


@case("path-roam-receiver", "a transfer goes on when the address of the receiver changes")
def path_roam_receiver(lab):
    gap = moving(lab, lambda way: readdress(way, "right", "eth3", way.right_address, "10.213.3.9"))
    figures(f"gap {gap:.2f} s")


@case("path-roam-nat", "a transfer goes on when a NAT gives the sender another port")
def path_roam_nat(lab):
    def map_to(way, port):
        way.rules(
            way.left_router, f'iifname "eth1" udp sport 2552 udp sport set {port}',
            f'iifname "eth2" udp dport {port} udp dport set 2552 accept', 'iifname "eth2" udp dport 1024-65535 drop')

    way = Way(lab)
    map_to(way, 4001)
    way.up()
    limit(way, "20mbit", "50ms")
    transfer = Transfer(way, 5 * MEGABYTE)
    transfer.wait_for(0.3)
    expect(way.receiver.peer(way.sender.public)["endpoint"].endswith(":4001"), "the NAT is seen")
    map_to(way, 4002)
    moved = time.monotonic()
    transfer.finish()
    gap = max(transfer.gap(), transfer.resumed(moved))
    expect(way.receiver.peer(way.sender.public)["endpoint"].endswith(":4002"), "the NAT's new port is in use")
    expect(gap < 3, f"the gap is below 3 s, not {gap:.2f} s")
    figures(f"gap {gap:.2f} s")
