"""What is shown with wireguard-go. Each case has a lab of its own; its name is a claim."""

import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import time

import nat
import natlab
from datagrams import Capture, Flood
from namespaces import Failed, Skipped, run, udp_socket, until
from nodes import PNET, PNetNode, WireGuardGo, endpoint, established, genkey, genpsk, is_running, pubkey

CASES = []


def case(name, claim, long=False):
    def add(function):
        CASES.append((name, claim, long, function))
        return function
    return add


def expect(true, what):
    if not true:
        raise Failed(what)


class Pair:
    """wireguard-go and our node, a cable between them, and each in the other's list."""

    def __init__(self, lab, we_dial=False, psk=None, wrong_psk=None, v6=False, listed=True, their_keepalive=None,
                 our_keepalive=None, options=()):
        self.lab = lab
        self.theirs, self.ours = lab.namespace("wg"), lab.namespace("us")
        left, right = lab.link(self.theirs, self.ours)
        self.their_address, self.our_address = left[v6], right[v6]
        self.wireguard = WireGuardGo(lab, self.theirs)
        self.node = PNetNode(lab, self.ours)
        if listed:
            self.node.list(
                self.wireguard.public, allowed=[f"{address}/{128 if ':' in address else 32}" for address in
                                                self.wireguard.tunnel],
                at=endpoint(self.their_address, self.wireguard.port) if we_dial else None, psk=psk,
                keepalive=our_keepalive)
        self.node.up(*options)
        self.wireguard.peer(
            self.node, at=None if we_dial else endpoint(self.our_address, self.node.port), psk=wrong_psk or psk,
            keepalive=their_keepalive)

    def age(self):
        return self.node.age(self.wireguard.public)

    def establish(self, we_dial=False, seconds=10):
        if we_dial:
            self.node.initiate(self.wireguard.public)
        else:
            self.wireguard.ping(self.node.tunnel[0], count=1, wait=1)
        established(self.wireguard, self.node, seconds)

    def is_running(self):
        return is_running(self.wireguard.process, self.node.process)


# Handshakes and pings


@case("responder", "wireguard-go dials, our node answers")
def responder(lab):
    pair = Pair(lab)
    pair.establish()
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")


@case("initiator", "our node dials, wireguard-go answers, and is seen to be plain WireGuard")
def initiator(lab):
    pair = Pair(lab, we_dial=True)
    pair.establish(we_dial=True)
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")
    until("it is plain", 15, lambda: pair.node.peer(pair.wireguard.public)["kind"] == "plain")


@case("responder-psk", "the same with a preshared key")
def responder_psk(lab):
    Pair(lab, psk=genpsk()).establish()


@case("initiator-psk", "the same with a preshared key")
def initiator_psk(lab):
    pair = Pair(lab, we_dial=True, psk=genpsk())
    pair.establish(we_dial=True)
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")


@case("wrong-psk", "different preshared keys give no session")
def wrong_psk(lab):
    pair = Pair(lab, psk=genpsk(), wrong_psk=genpsk())
    expect(pair.wireguard.ping(pair.node.tunnel[0], count=1) == 0, "no ping is answered")
    expect(pair.wireguard.handshake(pair.node) == 0, "wireguard-go has had no handshake")
    expect(pair.age() is None, "our node has had no handshake")


@case("ping-v4", "our node answers pings over IPv4, of up to the whole MTU")
def ping_v4(lab):
    pair = Pair(lab)
    pair.establish()
    for size in (0, 56, 1300, 1392):
        expect(pair.wireguard.ping(pair.node.tunnel[0], size=size, dont_fragment=True) == 3,
               f"3 pings of {size} bytes are answered")
    expect(pair.node.status()["echoesAnswered"] >= 13, "our node has counted them")


@case("ping-v6", "our node answers pings over IPv6, also at the address derived from its key")
def ping_v6(lab):
    pair = Pair(lab)
    pair.establish()
    for address in (pair.node.tunnel[1], pair.node.derived):
        for size in (56, 1300, 1372):
            expect(pair.wireguard.ping(address, size=size, dont_fragment=True) == 3,
                   f"3 pings of {size} bytes to {address} are answered")


@case("outer-v6", "handshakes and pings travel over IPv6 as well")
def outer_v6(lab):
    for we_dial in (False, True):
        pair = Pair(lab, we_dial=we_dial, v6=True)
        pair.establish(we_dial=we_dial)
        expect(pair.wireguard.ping(pair.node.tunnel[0], size=1300) == 3, "3 pings are answered")
        pair.node.down()


@case("allowed-ips", "a packet from an address that is not the peer's is dropped and counted")
def allowed_ips(lab):
    pair = Pair(lab)
    pair.establish()
    pair.theirs.run("ip", "addr", "add", "10.214.0.77/24", "dev", pair.wireguard.device)
    text = pair.theirs.run(
        "ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-I", "10.214.0.77", pair.node.tunnel[0], check=False)
    expect(" 0 received" in text, "no ping is answered")
    expect(pair.node.drops("node.sourceNotAllowed") == 2, "node.sourceNotAllowed is 2")


@case("keys", "wg and pnet make the same of the same keys")
def keys(lab):
    private = genkey()
    expect(run(PNET, "pubkey", stdin=private + "\n").strip() == pubkey(private), "pnet pubkey is wg pubkey")
    own = run(PNET, "genkey").strip()
    expect(run(PNET, "pubkey", stdin=own + "\n").strip() == pubkey(own), "wg takes a key that pnet made")


# Keepalives


@case("keepalive-theirs", "the persistent keepalives of wireguard-go arrive")
def keepalive_theirs(lab):
    pair = Pair(lab, their_keepalive=1)
    established(pair.wireguard, pair.node)
    before = pair.node.peer(pair.wireguard.public)["receivedBytes"]
    time.sleep(5.5)
    grown = pair.node.peer(pair.wireguard.public)["receivedBytes"] - before
    expect(3 * 32 <= grown <= 7 * 32 and grown % 32 == 0, f"4 to 6 keepalives of 32 bytes in 5.5 s, not {grown} bytes")


@case("keepalive-ours", "the persistent keepalives of our node arrive")
def keepalive_ours(lab):
    pair = Pair(lab, we_dial=True, our_keepalive=1)
    established(pair.wireguard, pair.node)
    # Our node asks three times whether the peer is one of its own; then there are keepalives alone.
    until("it is plain", 15, lambda: pair.node.peer(pair.wireguard.public)["kind"] == "plain")
    before = pair.wireguard.transfer(pair.node)[0]
    time.sleep(5.5)
    grown = pair.wireguard.transfer(pair.node)[0] - before
    expect(3 * 32 <= grown <= 7 * 32 and grown % 32 == 0, f"4 to 6 keepalives of 32 bytes in 5.5 s, not {grown} bytes")


@case("keepalive-passive", "data that nobody answers gets a keepalive after 10 s, and no new handshake", long=True)
def keepalive_passive(lab):
    pair = Pair(lab)
    pair.establish()
    until("it is plain", 15, lambda: pair.node.peer(pair.wireguard.public)["kind"] == "plain")
    pair.wireguard.peer(pair.node, also=("10.214.0.99/32",))
    first, before = pair.wireguard.handshake(pair.node), pair.wireguard.transfer(pair.node)[0]
    expect(pair.wireguard.ping("10.214.0.99", count=1) == 0, "nobody answers there")
    time.sleep(18)
    expect(pair.wireguard.transfer(pair.node)[0] - before == 32, "one keepalive came")
    expect(pair.wireguard.handshake(pair.node) == first, "there was no new handshake")
    expect(pair.node.drops("node.noDestination") == 1, "node.noDestination is 1")


# Rekeys


def rekey(lab, we_dial):
    pair = Pair(lab, we_dial=we_dial)
    pair.establish(we_dial=we_dial)
    first = pair.wireguard.handshake(pair.node)
    received = pair.wireguard.ping(pair.node.tunnel[0], count=650, interval=0.2)
    expect(received == 650, f"650 pings in 130 s are answered, not {received}")
    second, age = pair.wireguard.handshake(pair.node), pair.age()
    expect(118 <= second - first <= 126, f"wireguard-go saw a second handshake after 120 s, not {second - first}")
    expect(age < 16, f"our node saw it too, not {age} s ago")
    expect(pair.is_running(), "both still run")


@case("rekey-theirs", "wireguard-go began the session and renews it after 120 s; no ping of 130 s is lost", long=True)
def rekey_theirs(lab):
    rekey(lab, we_dial=False)


@case("rekey-ours", "our node began the session and renews it after 120 s; no ping of 130 s is lost", long=True)
def rekey_ours(lab):
    rekey(lab, we_dial=True)


@case("restart-theirs", "after a restart of wireguard-go with the same key there is a new session at once")
def restart_theirs(lab):
    pair = Pair(lab)
    pair.establish()
    old = pair.wireguard
    old.process.terminate()
    old.process.wait(5)
    fresh = WireGuardGo(lab, pair.theirs)
    fresh.private, fresh.public = old.private, old.public
    fresh.wg("set", fresh.device, "private-key", "/dev/stdin", stdin=old.private + "\n")
    fresh.peer(pair.node, at=endpoint(pair.our_address, pair.node.port))
    expect(fresh.ping(pair.node.tunnel[0], wait=3) == 3, "3 pings are answered")


@case("restart-ours", "after a restart of our node with the same key there is a new session")
def restart_ours(lab):
    pair = Pair(lab, we_dial=True)
    pair.establish(we_dial=True)
    pair.node.down()
    pair.node.up()
    pair.node.initiate(pair.wireguard.public)
    until("a session", 10, lambda: pair.age() is not None)
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")


# Roaming


@case("roaming-theirs", "wireguard-go changes its port, and our node follows")
def roaming_theirs(lab):
    pair = Pair(lab)
    pair.establish()
    age = pair.age()
    pair.wireguard.wg("set", pair.wireguard.device, "listen-port", "51999")
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")
    status = pair.node.peer(pair.wireguard.public)
    expect(status["endpoint"] == endpoint(pair.their_address, 51999), f"our node follows, not {status['endpoint']}")
    expect(status["latestHandshakeSecondsAgo"] > age, "in the same session")


@case("roaming-ours", "the port that our node is seen at changes, and wireguard-go follows")
def roaming_ours(lab):
    pair = Pair(lab, we_dial=True)
    pair.establish(we_dial=True)
    first = pair.wireguard.handshake(pair.node)
    # As a NAT that forgot its binding would do: the same node and session, another port.
    pair.ours.nft(f"""
        add rule inet t out udp sport {pair.node.port} udp sport set 40001
        add chain inet t pre {{ type filter hook prerouting priority -300; }}
        add rule inet t pre udp dport 40001 udp dport set {pair.node.port}
    """)
    pair.node.initiate(pair.wireguard.public)
    pair.wireguard.ping(pair.node.tunnel[0], count=1)
    until("wireguard-go follows", 15,
          lambda: pair.wireguard.endpoint_of(pair.node) == endpoint(pair.our_address, 40001))
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")
    expect(pair.wireguard.handshake(pair.node) == first, "in the same session")


@case("roaming-restart", "our node starts again at another port with the same key, and wireguard-go follows")
def roaming_restart(lab):
    pair = Pair(lab, we_dial=True)
    pair.establish(we_dial=True)
    pair.node.down()
    pair.node.port = 2777
    pair.node.up()
    pair.node.initiate(pair.wireguard.public)
    until("wireguard-go follows", 15,
          lambda: pair.wireguard.endpoint_of(pair.node) == endpoint(pair.our_address, 2777))
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")


# Loss


@case("loss", "with a fifth of all packets lost each way, handshakes complete and pings get through")
def loss(lab):
    for we_dial in (False, True):
        pair = Pair(lab, we_dial=we_dial)
        pair.ours.nft("""
            add counter inet t lost
            add rule inet t in meta l4proto udp numgen random mod 100 < 20 counter name lost drop
            add rule inet t out meta l4proto udp numgen random mod 100 < 20 counter name lost drop
        """)
        if we_dial:
            pair.node.initiate(pair.wireguard.public)
        else:
            pair.wireguard.ping(pair.node.tunnel[0], count=5, interval=1)
        established(pair.wireguard, pair.node, 40)
        received = pair.wireguard.ping(pair.node.tunnel[0], count=200, interval=0.02)
        # 64 % on average; these bounds are six deviations away.
        expect(87 <= received <= 169, f"about 128 of 200 pings are answered, not {received}")
        expect(pair.ours.count("lost") > 30, "packets were lost")


def drop_first(namespace, chain, kind):
    """Drops the first message of a type: a quota is used up by it, and the rule matches no more."""
    size = {1: 148, 2: 92}[kind] + 28
    namespace.nft(f"""
        add counter inet t lost
        add counter inet t seen
        add rule inet t {chain} udp length {size - 20} @ih,0,8 {kind} counter name seen
        add rule inet t {chain} udp length {size - 20} @ih,0,8 {kind} quota until {size + size // 2} bytes counter name lost drop
    """)


def lost_message(lab, we_dial, kind):
    pair = Pair(lab, we_dial=we_dial)
    comes_in = (kind == 1) != we_dial
    drop_first(pair.ours, "in" if comes_in else "out", kind)
    start = time.monotonic()
    if we_dial:
        pair.node.initiate(pair.wireguard.public)
        established(pair.wireguard, pair.node, 12)
    else:
        expect(pair.wireguard.ping(pair.node.tunnel[0], count=1, wait=12) == 1, "the ping that waited is answered")
        established(pair.wireguard, pair.node, 1)
    expect(pair.ours.count("lost") == 1, "exactly one message was lost")
    expect(pair.ours.count("seen") >= 2, "it was sent again")
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")
    return time.monotonic() - start


@case("initiation-lost-theirs", "the initiation of wireguard-go is lost, its next one gets through")
def initiation_lost_theirs(lab):
    lost_message(lab, False, 1)


@case("initiation-lost-ours", "our initiation is lost, and a copy of it gets through within 2 s")
def initiation_lost_ours(lab):
    seconds = lost_message(lab, True, 1)
    expect(seconds < 4, f"it took less than 4 s with the pings, not {seconds:.1f}")


@case("response-lost-ours", "our response is lost, and the next initiation is answered")
def response_lost_ours(lab):
    lost_message(lab, False, 2)


@case("response-lost-theirs", "the response of wireguard-go is lost, and our next initiation gets another")
def response_lost_theirs(lab):
    lost_message(lab, True, 2)


# Attacks


@case("replay", "captured packets that are sent again are dropped, counted, and change nothing")
def replay(lab):
    pair = Pair(lab)
    capture = Capture(pair.theirs, "eth1")
    try:
        pair.establish()
        expect(pair.wireguard.ping(pair.node.tunnel[0], count=10) == 10, "10 pings are answered")
        capture.stop()
        before, echoes = pair.node.status(), pair.node.status()["echoesAnswered"]
        data, initiations = capture.to_port(pair.node.port, 4), capture.to_port(pair.node.port, 1)
        expect(len(data) >= 10 and initiations, "packets were captured")
        for frame in data * 3:
            capture.send(frame)
        after = until("all are counted", 5, lambda: next(
            (status for status in [pair.node.status()]
             if status["drops"]["session.replayed"] - before["drops"]["session.replayed"] == 3 * len(data)), None))
        # The same initiation within 5 s is answered with the same response, later it is refused; neither starts anew.
        time.sleep(max(0, 6 - pair.age()))
        for frame in initiations:
            capture.send(frame)
        until("the initiations are counted", 5, lambda: pair.node.drops("session.replayedTimestamp") == len(initiations))
        after = pair.node.status()
        expect(after["echoesAnswered"] == echoes, "no ping was answered again")
        peers = before["peers"], after["peers"]
        for name in ("endpoint", "receivedBytes", "sentBytes"):
            was, now = (side[0][name] for side in peers)
            # The three questions whether the peer is one of ours may still go out meanwhile.
            expect(was == now or name == "sentBytes" and now - was <= 2 * 200, f"{name} is still {was}, not {now}")
        expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")
    finally:
        capture.close()


@case("unlisted", "a peer that is not listed gets no answer at all")
def unlisted(lab):
    pair = Pair(lab, listed=False)
    pair.ours.nft("""
        add counter inet t came
        add counter inet t went
        add rule inet t in meta l4proto { udp, icmp } counter name came
        add rule inet t out meta l4proto { udp, icmp } counter name went
    """)
    expect(pair.wireguard.ping(pair.node.tunnel[0], count=1, wait=7) == 0, "no ping is answered")
    expect(pair.ours.count("came") >= 2, "its initiations came")
    expect(pair.ours.count("went") == 0, "nothing went out")
    expect(pair.node.drops("session.unknownPeer") >= 2, "session.unknownPeer counts them")
    expect(pair.node.status()["peers"] == [], "no peer was added")


def count_cookies(namespace, chain):
    namespace.nft(f"""
        add counter inet t cookies
        add rule inet t {chain} udp length 72 @ih,0,8 3 counter name cookies
    """)


@case("cookie-ours", "while our node is flooded with initiations, wireguard-go gets through with a cookie")
def cookie_ours(lab):
    pair = Pair(lab)
    attacker = lab.namespace("flood")
    (source, _), (target, _) = lab.link(attacker, pair.ours)
    pair.ours.nft(f"""
        add counter inet t cookies
        add rule inet t out ip daddr {pair.their_address} udp length 72 @ih,0,8 3 counter name cookies
    """)
    sockets = [udp_socket(attacker, source) for _ in range(16)]
    with Flood(sockets, pair.node.public, (target, pair.node.port)) as flood:
        expect(pair.wireguard.ping(pair.node.tunnel[0], count=1, wait=20) == 1, "the ping that waited is answered")
        established(pair.wireguard, pair.node)
        expect(pair.wireguard.ping(pair.node.tunnel[0], count=20, wait=3) >= 19, "pings are answered under the flood")
    expect(pair.ours.count("cookies") >= 1, "wireguard-go was asked for a cookie")
    expect(pair.node.drops("session.cookieRequired") > 100, f"so were others ({flood.sent} initiations were sent)")
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered after it")


@case("cookie-theirs", "while wireguard-go is flooded with initiations, our node gets through with its cookie")
def cookie_theirs(lab):
    pair = Pair(lab, we_dial=True)
    attacker = lab.namespace("flood")
    (source, _), (target, _) = lab.link(attacker, pair.theirs)
    count_cookies(pair.ours, "in")
    sockets = [udp_socket(attacker, source) for _ in range(16)]
    with Flood(sockets, pair.wireguard.public, (target, pair.wireguard.port)):
        pair.node.initiate(pair.wireguard.public)
        established(pair.wireguard, pair.node, 40)
    expect(pair.ours.count("cookies") >= 1, "our node was asked for a cookie")
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered after it")


@case("garbage", "forged datagrams of each type, from the address of the peer, change nothing")
def garbage(lab):
    pair = Pair(lab)
    pair.establish()
    before = pair.node.status()
    sender = udp_socket(pair.theirs, pair.their_address)
    sender.connect((pair.our_address, pair.node.port))
    for number in range(2000):
        kind = number % 5
        head = bytes([kind, 0, 0, 0]) + os.urandom(12)
        size = (60, 148, 92, 64, 48)[kind]
        sender.send((head + os.urandom(size - 16))[:size])
    sender.close()
    until("all are counted", 5, lambda: sum(pair.node.status()["drops"].values()) - sum(before["drops"].values()) >= 2000)
    drops = pair.node.status()["drops"]
    for reason, count in (("node.unknownDatagram", 400), ("session.invalidMAC1", 400), ("session.unknownReceiver", 1200)):
        expect(drops[reason] == count, f"{reason} is {count}, not {drops[reason]}")
    expect(pair.wireguard.ping(pair.node.tunnel[0]) == 3, "3 pings are answered")


# Our own protocol beside it


@case("stream-beside", "one port at the same time: a file between two of our nodes, and pings of wireguard-go")
def stream_beside(lab):
    received = os.path.join(lab.directory, "received")
    os.mkdir(received)
    theirs, ours, third = lab.namespace("wg"), lab.namespace("us"), lab.namespace("them")
    (their_address, _), (our_address, _) = lab.link(theirs, ours)
    (our_other, _), _ = lab.link(ours, third)
    wireguard = WireGuardGo(lab, theirs)
    sender = PNetNode(lab, third, tunnel=("10.214.0.3", "fd14::3"))
    node = PNetNode(lab, ours)
    node.list(wireguard.public, allowed=[f"{wireguard.tunnel[0]}/32", f"{wireguard.tunnel[1]}/128"])
    node.list(sender.public)
    node.up("--receive", received)
    sender.list(node.public, at=endpoint(our_other, node.port)).up()
    wireguard.peer(node, at=endpoint(our_address, node.port))
    expect(wireguard.ping(node.tunnel[0]) == 3, "3 pings are answered before it")

    path = os.path.join(lab.directory, "file")
    content = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(128):
            file.write(number.to_bytes(8, "big") + content)
    sending = subprocess.Popen(
        sender.namespace.command(PNET, "send", node.public, path, "--control", sender.socket),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.processes.append(sending)
    sending.log = os.devnull
    answered, rounds = 0, 0
    while sending.poll() is None or rounds == 0:
        rounds += 1
        answered += wireguard.ping(node.tunnel[rounds % 2], count=20, interval=0.02)
        expect(rounds < 100, "the file is sent within a minute")
    text = sending.stdout.read()
    expect(sending.returncode == 0, f"the file is sent: {text.strip()}")
    # The queue of a busy cable may drop a ping or two.
    expect(answered >= rounds * 20 * 0.95, f"{rounds * 20} pings meanwhile are answered, not {answered}")
    hashes = []
    for name in (path, os.path.join(received, "file")):
        with open(name, "rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    expect(hashes[0] == hashes[1], "the file is the same at both ends")
    expect(node.peer(sender.public)["kind"] == "mesh", "the other node is seen as one of ours")


@case("nat-kinds", "every NAT of the lab is what it is called, says coturn's turnutils_natdiscovery")
def nat_kinds(lab):
    for tool in ("turnserver", "turnutils_natdiscovery"):
        if not shutil.which(tool):
            raise Skipped(f"there is no '{tool}'")
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        checks = [(kind, pool.submit(natlab.check, kind)) for kind in nat.KINDS]
        wrong = [f"{kind}: {check.result()[0]}" for kind, check in checks if not check.result()[1]]
    expect(not wrong, f"these are something else: {wrong}")
