import MeshCrypto
import MeshNode
import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshRouting
import MeshSession
import MeshSimulation

/// A node at an address, and all that happened to it.
final class NodeHost {
  var node: Node
  /// Where it sends from, and is reached.
  var address: SocketAddress
  /// Where it is reached besides.
  var aliases: [SocketAddress] = []
  var events: [NodeEvent] = []
  /// Bytes read from each stream, and the streams that ended.
  var received: [StreamHandle: [UInt8]] = [:]
  var ended: Set<StreamHandle> = []
  /// Bytes that are still to be written to each stream.
  var outgoing: [(stream: StreamHandle, bytes: [UInt8], sent: Int)] = []
  /// Whether streams are read as data comes.
  var reads = true

  init(_ node: consuming Node, at address: SocketAddress) {
    self.node = node
    self.address = address
  }

  var key: PublicKey { node.publicKey }
  var dropped: ReasonCounters<NodeDropReason> { node.drops }
  var deadline: Instant? { node.deadline }
  var hasEvents: Bool { node.hasEvents }
  func find(_ key: PublicKey) -> PeerID? { node.peer(for: key) }
  func opened() -> [StreamHandle] {
    events.compactMap { if case .streamOpened(let stream, _, _) = $0 { stream } else { nil } }
  }
}

/// Nodes on a network with delay, loss and a largest datagram, under a clock that is moved by hand.
final class NodeLab {
  var now = Instant(nanoseconds: 0)
  var hosts: [NodeHost] = []
  var delay = Duration.milliseconds(5)
  var mtu = 65_535
  /// Delays to some addresses, in place of ``delay``; an address without one, and with `nil`, swallows everything.
  var delays: [SocketAddress: Duration?] = [:]
  /// Called with each datagram that leaves.
  var onDatagram: ((_ datagram: [UInt8], _ from: SocketAddress, _ to: SocketAddress) -> Void)?
  /// Called with each event, before anything more is sent.
  var onEvent: ((_ host: NodeHost, _ event: NodeEvent) -> Void)?
  /// A host that sends so many bits a second: it is asked for the next burst when the last one has left.
  var rate: (from: SocketAddress, bits: Int)?
  private var busyUntil = Instant(nanoseconds: 0)
  /// Losses in a thousand.
  var loss: UInt64 = 0
  /// Where datagrams of others than hosts go.
  var sink: ((_ datagram: [UInt8], _ from: SocketAddress, _ to: SocketAddress) -> Void)?
  /// The timers of whoever is no host.
  var sinkDeadline: () -> Instant? = { nil }
  var sinkTimeout: () -> Void = {}
  private(set) var datagrams = 0
  /// How often the clock moved, or something was due.
  private(set) var turns = 0
  /// A host that starts again has the key of the old one and other randomness.
  private var created: UInt64 = 0
  private var idleRounds = 0
  private var random: SeededEntropy
  private var flying: [(at: Instant, datagram: [UInt8], from: SocketAddress, to: SocketAddress)] = []
  private var flyingHead = 0

  init(seed: UInt64 = 1) { random = SeededEntropy(seed: seed) }

  func addHost(_ seed: UInt64, configuration: Node.Configuration = Node.Configuration()) -> NodeHost {
    created += 1
    var entropy = SeededEntropy(seed: seed)
    let key = try! PrivateKey(generating: &entropy)
    let node = Node(
      privateKey: key, configuration: configuration, entropy: SeededEntropy(seed: seed &* 31 &+ created),
      provider: CipherProvider(preferring: .libsodium), now: now)
    let host = NodeHost(node, at: SocketAddress(IPAddress(v4: 0xC000_0200 + UInt32(seed)), port: 2552))
    hosts.append(host)
    return host
  }

  /// Two hosts that list each other; only the first knows the other's address.
  static func pair(
    seed: UInt64 = 1, configure: (inout Node.Configuration) -> Void = { _ in }
  ) throws -> (NodeLab, NodeHost, NodeHost) {
    let lab = NodeLab(seed: seed)
    var configuration = Node.Configuration()
    configure(&configuration)
    let left = lab.addHost(1, configuration: configuration)
    let right = lab.addHost(2, configuration: configuration)
    _ = try left.node.addPeer(PeerConfiguration(publicKey: right.key, endpoint: right.address), now: lab.now)
    _ = try right.node.addPeer(PeerConfiguration(publicKey: left.key), now: lab.now)
    return (lab, left, right)
  }

  func connect(_ host: NodeHost, to other: NodeHost) {
    host.node.connect(to: host.find(other.key)!, now: now)
    run(for: .milliseconds(500))
  }

  func open(_ service: String, from host: NodeHost, to other: NodeHost) throws -> StreamHandle {
    try host.node.openStream(to: host.find(other.key)!, service: service)
  }

  func send(_ bytes: [UInt8], on stream: StreamHandle, from host: NodeHost) {
    host.outgoing.append((stream, bytes, 0))
    settle()
  }

  func settle() {
    for host in hosts {
      while host.node.serveHandshake(now: now) {}
      drain(host)
    }
  }

  private func drain(_ host: NodeHost) {
    while true {
      var moved = false
      while let event = host.node.nextEvent() {
        moved = true
        host.events.append(event)
        onEvent?(host, event)
        if case .readable(let stream) = event, host.reads { read(stream, of: host) }
      }
      for index in host.outgoing.indices {
        let (stream, bytes, sent) = host.outgoing[index]
        guard sent < bytes.count else { continue }
        let count = (try? host.node.write(bytes.span.bytes.extracting(sent..<bytes.count), to: stream)) ?? 0
        host.outgoing[index].sent += count
        if host.outgoing[index].sent == bytes.count { try? host.node.finish(stream) }
      }
      let isLimited = rate?.from == host.address
      if isLimited, busyUntil > now { return }
      var burst: Burst?
      let bytes = Array(capacity: 65_536) {
        burst = host.node.nextTransmit(
          into: &$0, now: now,
          wall: TAI64N(
            secondsSince1970: 1_700_000_000 + now.nanoseconds / 1_000_000_000,
            nanoseconds: UInt32(now.nanoseconds % 1_000_000_000)))
      }
      if let burst {
        moved = true
        if isLimited, let rate {
          busyUntil = now.advanced(nanoseconds: Int64(bytes.count) * 8_000_000_000 / Int64(rate.bits))
        }
        for start in stride(from: 0, to: bytes.count, by: burst.segmentSize) {
          fly(
            Array(bytes[start..<min(start + burst.segmentSize, bytes.count)]), from: host.address, to: burst.destination
          )
        }
      }
      if !moved, !host.hasEvents { return }
    }
  }

  func read(_ stream: StreamHandle, of host: NodeHost) {
    while true {
      var result = ReadResult.blocked
      let bytes = Array(capacity: 16_384) { result = (try? host.node.read(stream, into: &$0)) ?? .blocked }
      host.received[stream, default: []] += bytes
      switch result {
      case .bytes: continue
      case .blocked: return
      case .finished, .reset:
        host.ended.insert(stream)
        return
      }
    }
  }

  private func fly(_ datagram: [UInt8], from: SocketAddress, to: SocketAddress) {
    datagrams += 1
    onDatagram?(datagram, from, to)
    if datagram.count > mtu || (loss > 0 && random.nextUInt64() % 1000 < loss) { return }
    guard let delay = delays[to] ?? delay else { return }
    let at = now + delay
    // In order of arrival; what was sent first comes first.
    var place = flying.count
    while place > flyingHead, flying[place - 1].at > at { place -= 1 }
    flying.insert((at, datagram, from, to), at: place)
  }

  func inject(_ datagram: [UInt8], into host: NodeHost, from source: SocketAddress) {
    var datagram = datagram
    var bytes = datagram.mutableBytes
    host.node.handle(&bytes, from: source, ecn: .notECT, now: now)
  }

  func run(until instant: Instant) {
    settle()
    while true {
      var next = flyingHead < flying.count ? flying[flyingHead].at : nil
      for host in hosts { next = earliest(next, host.deadline) }
      next = earliest(next, sinkDeadline())
      if rate != nil, busyUntil > now { next = earliest(next, busyUntil) }
      guard let next, next <= instant else { break }
      turns += 1
      // A deadline that stays in the past would keep an engine awake for ever.
      idleRounds = next > now ? 0 : idleRounds + 1
      precondition(idleRounds < 10_000, "a deadline at \(next) is due again and again at \(now)")
      now = max(now, next)
      while flyingHead < flying.count, flying[flyingHead].at <= now {
        let arrived = flying[flyingHead]
        flyingHead += 1
        if let host = hosts.first(where: { $0.address == arrived.to || $0.aliases.contains(arrived.to) }) {
          inject(arrived.datagram, into: host, from: arrived.from)
        } else {
          sink?(arrived.datagram, arrived.from, arrived.to)
        }
      }
      if flyingHead > 4096 {
        flying.removeFirst(flyingHead)
        flyingHead = 0
      }
      for host in hosts where host.deadline.map({ $0 <= now }) ?? false { host.node.handleTimeout(now: now) }
      if let due = sinkDeadline(), due <= now { sinkTimeout() }
      settle()
    }
    now = instant
  }

  func run(for duration: Duration) { run(until: now + duration) }
}
