import MeshCrypto
import MeshNode
import MeshPrimitives
import MeshReliability
import MeshSession

/// Two nodes with a stream between them, whose bursts go from one to the other without a network, under a clock that is
/// moved by hand.
final class NodePair {
  private static let delay: Int64 = 50_000

  private var left: Node
  private var right: Node
  private let leftAddress = SocketAddress(IPAddress(v4: 0xC000_0201), port: 2552)
  private let rightAddress = SocketAddress(IPAddress(v4: 0xC000_0202), port: 2552)
  private var now = Instant(nanoseconds: 0)
  private let burst = memory(65_536)
  private let source = [UInt8](repeating: 0xA5, count: 65_536)
  private let target = memory(65_536)
  private var leftStream: StreamHandle?
  private var rightStream: StreamHandle?

  /// Whether the stream carries bulk data.
  private let streams: Bool

  init(_ provider: CipherProvider, streams: Bool = true) {
    self.streams = streams
    left = Self.node(provider)
    right = Self.node(provider)
    right.setService("bench", access: .peers)
    _ = try! right.addPeer(PeerConfiguration(publicKey: left.publicKey), now: now)
    let peer = try! left.addPeer(PeerConfiguration(publicKey: right.publicKey, endpoint: rightAddress), now: now)
    left.connect(to: peer, now: now)
    for _ in 0..<10_000 where leftStream == nil {
      _ = step()
      leftStream = try? left.openStream(to: peer, service: "bench")
    }
    for _ in 0..<10_000 where rightStream == nil { _ = step() }
    precondition(rightStream != nil, "the nodes must connect")
  }

  private static func node(_ provider: CipherProvider) -> Node {
    var entropy = SystemEntropy()
    // As over Ethernet; what carries more is not what is measured here.
    var configuration = Node.Configuration()
    configuration.largestPacket = 1472
    return Node(
      privateKey: try! PrivateKey(generating: &entropy), configuration: configuration, entropy: entropy,
      provider: provider, now: Instant(nanoseconds: 0))
  }

  /// Runs until `count` full datagrams have moved.
  func move(_ count: Int) {
    var moved = 0
    var idle = 0
    while moved < count {
      let now = step()
      moved += now
      idle = now == 0 ? idle + 1 : 0
      precondition(idle < 10_000, "datagrams must move")
    }
  }

  /// Sends `count` IP packets of 1,280 bytes from the left to the right node, which has no use for them.
  func sendIP(_ count: Int) {
    let packet = packet
    var sent = 0
    while sent < count {
      for _ in 0..<32 { try! left.sendIP(packet.bytes, now: now) }
      sent += 32
      var moved = 0
      while moved < 32 { moved += step() }
    }
  }

  /// A UDP packet between the two nodes' derived addresses.
  private lazy var packet: [UInt8] = {
    var packet = [UInt8](repeating: 0, count: 1_280)
    packet[0] = 0x60
    packet[4] = UInt8((1_280 - 40) >> 8)
    packet[5] = UInt8((1_280 - 40) & 0xFF)
    packet[6] = 17
    let (from, to) = (left.derivedAddress, right.derivedAddress)
    for (index, half) in [from.high, from.low, to.high, to.low].enumerated() {
      for byte in 0..<8 { packet[8 + 8 * index + byte] = UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * byte)) }
    }
    return packet
  }()

  /// What is due of each side goes to the other. Returns how many full datagrams moved.
  private func step() -> Int {
    if let leftStream, streams { Self.fill(&left, leftStream, source) }
    let wall = TAI64N(
      secondsSince1970: 1_700_000_000 + now.nanoseconds / 1_000_000_000,
      nanoseconds: UInt32(now.nanoseconds % 1_000_000_000))
    var moved = Self.carry(from: &left, leftAddress, to: &right, burst, now, wall)
    now = now.advanced(nanoseconds: Self.delay)
    moved += Self.carry(from: &right, rightAddress, to: &left, burst, now, wall)
    now = now.advanced(nanoseconds: Self.delay)
    while left.nextEvent() != nil {}
    while let event = right.nextEvent() {
      if case .streamOpened(let stream, _, _) = event { rightStream = stream }
    }
    if let rightStream {
      while true {
        var output = OutputRawSpan(buffer: target, initializedCount: 0)
        guard case .bytes? = try? right.read(rightStream, into: &output) else { break }
      }
    }
    if let deadline = left.deadline, deadline <= now { left.handleTimeout(now: now) }
    if let deadline = right.deadline, deadline <= now { right.handleTimeout(now: now) }
    return moved
  }

  private static func fill(_ node: inout Node, _ stream: StreamHandle, _ source: [UInt8]) {
    do {
      while try node.write(source.bytes, to: stream) == source.count {}
    } catch { fatalError("the stream must take bytes") }
  }

  private static func carry(
    from sender: inout Node, _ source: SocketAddress, to receiver: inout Node, _ burst: UnsafeMutableRawBufferPointer,
    _ now: Instant, _ wall: TAI64N
  ) -> Int {
    var full = 0
    for _ in 0..<2 {
      var output = OutputRawSpan(buffer: burst, initializedCount: 0)
      guard let sent = sender.nextTransmit(into: &output, now: now, wall: wall) else { return full }
      let size = output.byteCount
      var run = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: burst[0..<size]))
      receiver.handle(&run, segmentSize: sent.segmentSize, from: source, ecn: sent.ecn, now: now)
      if sent.segmentSize > 1000 { full += size / sent.segmentSize + (size % sent.segmentSize > 1000 ? 1 : 0) }
      while receiver.serveHandshake(now: now) {}
    }
    return full
  }
}
