import MeshCrypto
import MeshNode
import MeshPrimitives
import MeshRuntime
import MeshSession
import Synchronization

/// Somebody on the path between two nodes: carries their datagrams, keeps copies of some, and sends the server whatever
/// it is told to, from its own addresses and from that which the server takes for the client's.
final class Attacker: Sendable {
  /// What is sent, and the reasons one of which must count each datagram of it.
  enum Kind: Int, CaseIterable, Sendable {
    case random, stun, unknownTypes, wrongLengths, oversized, badMAC1, noHandshake, unlisted, unknownReceivers, replays,
      forged, oldInitiation, foreignResponse

    var reasons: Set<String> {
      switch self {
      case .random, .unknownTypes: ["node.unknownDatagram"]
      case .stun: ["node.unexpectedSTUN"]
      case .wrongLengths: ["session.wrongLength"]
      case .badMAC1: ["session.invalidMAC1"]
      case .noHandshake: Self.underLoad.union(["session.forged"])
      case .unlisted: Self.underLoad.union(["session.unknownPeer"])
      case .oversized, .unknownReceivers, .foreignResponse: ["session.unknownReceiver"]
      case .replays: ["session.replayed", "session.tooOld"]
      case .forged: ["session.forged"]
      case .oldInitiation: Self.underLoad.union(["session.replayedTimestamp"])
      }
    }

    private static let underLoad: Set<String> = [
      "session.cookieRequired", "session.rateLimited", "session.handshakeQueueFull",
    ]
  }

  private struct Orders {
    var kinds: [Kind] = []
    var isOver = false
  }

  /// Where the client reaches the server through us.
  let port: UInt16
  private let orders = Mutex(Orders())
  private let captured = Atomic<Int>(0)
  private let sent = Atomic<Int>(0)
  private let thread = Mutex<EngineThread?>(nil)

  /// Datagrams of a kind that one order sends.
  static let volley = 64

  init(server: PublicKey, port serverPort: UInt16) throws {
    let path = try Path(server: server, port: serverPort)
    port = path.socket.local.port
    let handed = Handed(path: path)
    let started = try EngineThread(name: "attacker") { [unowned self] in handed.path.run(for: self) }
    thread.withLock { $0 = started }
  }

  private struct Handed: @unchecked Sendable { let path: Path }

  /// Datagrams of the client that were copied.
  var capturedCount: Int { captured.load(ordering: .acquiring) }
  /// Hostile datagrams that the kernel took.
  var sentCount: Int { sent.load(ordering: .acquiring) }

  func attack(_ kinds: [Kind]) { orders.withLock { $0.kinds += kinds } }

  func stop() async {
    orders.withLock { $0.isOver = true }
    await thread.withLock { $0 }?.finished()
  }

  /// What the thread owns.
  private final class Path {
    var socket: UDPSocket
    private var others: [OtherSource] = []
    private var received = try! ReceiveBatch()
    private var batch = try! SendBatch()
    private var poller = try! Poller()
    private let server: SocketAddress
    private var client: SocketAddress?
    private var copies: [[UInt8]] = []
    private var responses: [[UInt8]] = []
    private var ammunition: [[[UInt8]]]
    private var turn = 0
    private var random = SystemEntropy()

    /// A socket of its own address.
    final class OtherSource {
      var socket: UDPSocket
      init(_ number: UInt32) throws { socket = try UDPSocket(address: IPAddress(v4: 0x7F00_0100 + number)) }
    }

    init(server: PublicKey, port: UInt16) throws {
      self.server = SocketAddress(IPAddress("127.0.0.1")!, port: port)
      socket = try UDPSocket(address: IPAddress("127.0.0.1"))
      others = try (0..<16).map { try OtherSource($0) }
      ammunition = Array(repeating: [], count: Kind.allCases.count)
      try poller.add(socket.descriptor, token: 1)
      for kind in Kind.allCases { ammunition[kind.rawValue] = make(kind, against: server) }
    }

    func run(for attacker: Attacker) {
      while true {
        let orders = attacker.orders.withLock { orders in
          defer { orders.kinds.removeAll(keepingCapacity: true) }
          return orders
        }
        if orders.isOver { return }
        poller.wait(until: MonotonicClock.now + (orders.kinds.isEmpty ? .milliseconds(1) : .zero))
        carry()
        attacker.captured.store(copies.count, ordering: .releasing)
        for kind in orders.kinds {
          shoot(kind)
          attacker.sent.add(Attacker.volley, ordering: .releasing)
          carry()
        }
      }
    }

    private func carry() {
      while socket.receive(into: &received) > 0 {
        received.forEachDatagram { message, datagram in
          let destination: SocketAddress?
          if message.source == server {
            destination = client
            keep(datagram.bytes, among: &responses, upTo: 64)
          } else {
            client = message.source
            destination = server
            keep(datagram.bytes, among: &copies, upTo: 4096)
          }
          guard let destination else { return }
          let transmit = Transmit(to: destination, ecn: message.ecn)
          while !batch.append(datagram.bytes, transmit) { _ = socket.flush(&batch) }
        }
        while socket.flush(&batch) == .blocked {}
      }
    }

    private func keep(_ datagram: RawSpan, among kept: inout [[UInt8]], upTo limit: Int) {
      if kept.count < limit { kept.append([UInt8](copying: datagram)) }
    }

    /// Sends a volley, each from the next of all sources; the first is that of the client.
    private func shoot(_ kind: Kind) {
      let datagrams = choose(kind)
      turn += 1
      let source = turn % (others.count + 1)
      let transmit = Transmit(to: server)
      for index in 0..<Attacker.volley {
        let datagram = datagrams[(turn &* Attacker.volley &+ index) % datagrams.count]
        while !batch.append(datagram.bytes, transmit) { flush(source) }
      }
      flush(source)
    }

    private func flush(_ source: Int) {
      if source == 0 {
        while socket.flush(&batch) == .blocked {}
      } else {
        while others[source - 1].socket.flush(&batch) == .blocked {}
      }
    }

    private func choose(_ kind: Kind) -> [[UInt8]] {
      if ammunition[kind.rawValue].isEmpty {
        ammunition[kind.rawValue] =
          switch kind {
          case .replays: copies.filter { $0[0] == 4 }
          case .forged: forgeries()
          case .oldInitiation: copies.filter { $0[0] == 1 }
          default: responses.filter { $0[0] == 2 || $0[0] == 4 }
          }
      }
      return ammunition[kind.rawValue]
    }

    /// The client's packets with a counter that is new, and other bytes.
    private func forgeries() -> [[UInt8]] {
      copies.filter { $0[0] == 4 }.prefix(256).map { original in
        var copy = original
        let index = 16 + Int(random.nextUInt64() % UInt64(copy.count - 16))
        copy[index] ^= 1 << UInt8(random.nextUInt64() % 8)
        copy[14] = 0x40
        return copy
      }
    }

    private func bytes(_ count: Int, _ head: [UInt8] = []) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      var span = bytes.mutableBytes
      random.fill(&span)
      bytes.replaceSubrange(0..<min(count, head.count), with: head.prefix(count))
      return bytes
    }

    private func make(_ kind: Kind, against server: PublicKey) -> [[UInt8]] {
      switch kind {
      case .random: (0..<512).map { bytes($0 % 128 * 11, [0x80 | UInt8($0 % 64)]) }
      case .stun: (0..<64).map { bytes(20 + $0 * 8, [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]) }
      case .unknownTypes:
        (0..<512).map { bytes(4 + $0, [[0, 5, 6, 255, 1, 2, 3, 4][$0 % 8], 0, UInt8($0 % 8 / 4), 0]) }
      case .wrongLengths:
        (0..<512).map { number in
          let kind = UInt8(number % 4 + 1)
          let count = kind == 4 ? 4 + number % 28 : [147, 149, 91, 93, 63, 65, 4, 1400][number / 4 % 8]
          return bytes(count, [kind, 0, 0, 0])
        }
      case .oversized: (0..<15).map { bytes(1501 + $0 * 500, [4, 0, 0, 0]) } + [bytes(65_000, [4, 0, 0, 0])]
      case .badMAC1: (0..<256).map { _ in bytes(148, [1, 0, 0, 0]) }
      case .noHandshake:
        (0..<256).map { _ in
          let body = bytes(116, [1, 0, 0, 0])
          let mac = BLAKE2s.mac16(key: BLAKE2s.hash("mac1----", server).bytes, body.bytes)
          return body + mac.withBytes { [UInt8](copying: $0) } + [UInt8](repeating: 0, count: 16)
        }
      case .unlisted: (0..<64).map { _ in Self.strangerInitiation(to: server) }
      case .unknownReceivers: (0..<512).map { bytes([92, 64, 32, 1400][$0 % 4], [[2, 3, 4, 4][$0 % 4], 0, 0, 0]) }
      case .replays, .forged, .oldInitiation, .foreignResponse: []
      }
    }

    /// A true initiation of somebody whom the server does not list.
    private static func strangerInitiation(to server: PublicKey) -> [UInt8] {
      var entropy = SystemEntropy()
      let now = MonotonicClock.now
      var node = Node(
        privateKey: try! PrivateKey(generating: &entropy), entropy: entropy,
        provider: CipherProvider(preferring: .libsodium),
        now: now)
      let peer = try! node.addPeer(
        PeerConfiguration(publicKey: server, endpoint: SocketAddress(IPAddress("127.0.0.1")!, port: 1)), now: now)
      node.connect(to: peer, now: now)
      return Array(capacity: 2048) {
        _ = node.nextTransmit(into: &$0, now: now, wall: TAI64N(secondsSince1970: 1_800_000_000, nanoseconds: 0))
      }
    }
  }
}
