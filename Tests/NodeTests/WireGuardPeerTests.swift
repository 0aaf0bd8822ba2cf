import MeshCrypto
import MeshNode
import MeshPacket
import MeshPrimitives
import MeshRouting
import MeshSession
import MeshSimulation
import Testing

/// A WireGuard device with one peer, a node, that says what a test has it say inside the tunnel.
final class WireGuardPeer {
  var device: Device
  let address = SocketAddress("192.0.2.99:51820")!
  let lab: NodeLab
  var peer: PeerID!
  var received: [[UInt8]] = []
  private let host: NodeHost

  init(_ lab: NodeLab, of host: NodeHost) throws {
    var entropy = SeededEntropy(seed: 4711)
    device = Device(
      privateKey: try PrivateKey(generating: &entropy), entropy: entropy,
      provider: CipherProvider(preferring: .libsodium))
    self.lab = lab
    self.host = host
    peer = try device.addPeer(PeerConfiguration(publicKey: host.key, endpoint: host.address), now: lab.now)
    lab.sink = { [unowned self] datagram, source, _ in
      var datagram = datagram
      var bytes = datagram.mutableBytes
      if case .data(_, let payload) = device.handle(&bytes, from: source, now: lab.now) {
        received.append(Array(datagram[payload]))
      }
      while device.serveHandshake(now: lab.now) {}
      flush()
    }
    lab.sinkDeadline = { [unowned self] in device.deadline }
    lab.sinkTimeout = { [unowned self] in
      device.handleTimeout(now: lab.now)
      flush()
    }
  }

  var key: PublicKey { device.publicKey }

  func send(_ payload: [UInt8]) {
    device.send(payload.bytes, to: peer, now: lab.now)
    flush()
  }

  private func flush() {
    while true {
      var transmit: MeshSession.Transmit?
      let datagram = Array(capacity: 65_536) {
        transmit = device.nextTransmit(
          into: &$0, now: lab.now, wall: TAI64N(secondsSince1970: 1_700_000_000, nanoseconds: 0))
      }
      guard transmit != nil else { return }
      lab.inject(datagram, into: host, from: address)
      lab.settle()
    }
  }
}

@Suite("Node and plain WireGuard") struct WireGuardPeerTests {
  static func lab() throws -> (NodeLab, NodeHost, WireGuardPeer) {
    let lab = NodeLab()
    var configuration = Node.Configuration()
    configuration.addresses = [IPAddress("10.7.0.1")!]
    let host = lab.addHost(1, configuration: configuration)
    let peer = try WireGuardPeer(lab, of: host)
    _ = try host.node.addPeer(
      PeerConfiguration(publicKey: peer.key, endpoint: peer.address), allowedIPs: [IPPrefix("10.7.0.2/32")!],
      now: lab.now)
    return (lab, host, peer)
  }

  /// An echo request with right checksums, padded to a multiple of 16.
  static func ping(from source: [UInt8], to destination: [UInt8], size: Int = 56) -> [UInt8] {
    func sum(_ bytes: [UInt8]) -> UInt16 {
      var sum: UInt32 = 0
      for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
      }
      while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
      return ~UInt16(sum)
    }
    let isV4 = source.count == 4
    var icmp: [UInt8] = [isV4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 1] + (0..<size).map { UInt8(truncatingIfNeeded: $0) }
    let pseudo: [UInt8] =
      isV4 ? [] : source + destination + [0, 0, UInt8(icmp.count >> 8), UInt8(icmp.count & 255), 0, 0, 0, 58]
    let check = sum(pseudo + icmp)
    icmp[2] = UInt8(check >> 8)
    icmp[3] = UInt8(check & 255)
    var packet: [UInt8]
    if isV4 {
      let total = 20 + icmp.count
      packet = [0x45, 0, UInt8(total >> 8), UInt8(total & 255), 0, 1, 0x40, 0, 64, 1, 0, 0] + source + destination
      let check = sum(packet)
      packet[10] = UInt8(check >> 8)
      packet[11] = UInt8(check & 255)
    } else {
      packet = [0x60, 0, 0, 0, UInt8(icmp.count >> 8), UInt8(icmp.count & 255), 58, 64] + source + destination
    }
    packet += icmp
    return packet + [UInt8](repeating: 0, count: -packet.count & 15)
  }

  @Test(arguments: [0, 1, 56, 1300]) func `its ping to the node's address is answered`(size: Int) throws {
    let (lab, host, peer) = try Self.lab()
    peer.send(Self.ping(from: [10, 7, 0, 2], to: [10, 7, 0, 1], size: size))
    lab.run(for: .milliseconds(100))
    let reply = try #require(peer.received.first { $0[0] == 0x45 })
    #expect(Array(reply[12..<20]) == [10, 7, 0, 1, 10, 7, 0, 2])
    #expect(reply[20] == 0 && reply.count % 16 == 0)
    // The reply carries the same data, and its own checksums are right: a node would refuse it otherwise.
    let request = Self.ping(from: [10, 7, 0, 2], to: [10, 7, 0, 1], size: size)
    #expect(Array(reply[24..<28 + size]) == Array(request[24..<28 + size]))
    #expect(host.node.echoesAnswered == 1)
  }

  @Test(arguments: [1393, 2100, 9000, 60_000]) func `a ping above the tunnel's MTU is dropped`(size: Int) throws {
    let (lab, host, peer) = try Self.lab()
    peer.send(Self.ping(from: [10, 7, 0, 2], to: [10, 7, 0, 1], size: size))
    lab.run(for: .milliseconds(100))
    #expect(host.node.echoesAnswered == 0 && host.dropped[.noDestination] == 1)
  }

  @Test func `so is its ping to the address that belongs to the node's key`() throws {
    let (lab, host, peer) = try Self.lab()
    func bytes(_ address: IPAddress) -> [UInt8] {
      Array(capacity: 16) {
        $0.append(address.high, .big)
        $0.append(address.low, .big)
      }
    }
    let own = bytes(IPAddress(derivedFromAddressHash: peer.key.addressHash().bytes))
    peer.send(Self.ping(from: own, to: bytes(host.node.derivedAddress)))
    lab.run(for: .milliseconds(100))
    let reply = try #require(peer.received.first { $0[0] >> 4 == 6 })
    #expect(reply[40] == 129)
  }

  @Test func `packets from addresses that are not its own are dropped and counted`() throws {
    let (lab, host, peer) = try Self.lab()
    peer.send(Self.ping(from: [10, 7, 0, 3], to: [10, 7, 0, 1]))
    peer.send(Self.ping(from: [10, 7, 0, 2], to: [10, 7, 0, 9]))
    peer.send([0x45] + [UInt8](repeating: 0, count: 31))
    peer.send([0x20] + [UInt8](repeating: 0, count: 31))
    peer.send([0x81, 3] + [UInt8](repeating: 0, count: 30))
    var broken = Self.ping(from: [10, 7, 0, 2], to: [10, 7, 0, 1])
    broken[30] ^= 1
    peer.send(broken)
    lab.run(for: .milliseconds(100))
    #expect(host.dropped[.sourceNotAllowed] == 1)
    #expect(host.dropped[.noDestination] == 2, "another address, and a wrong checksum")
    #expect(host.dropped[.malformedIP] == 1)
    #expect(host.dropped[.malformedPayload] == 1)
    #expect(host.dropped[.unsupportedFrame] == 1)
    #expect(!peer.received.contains { $0[0] == 0x45 })
  }

  @Test func `it is known as plain after three unanswered Hellos, within ten seconds`() throws {
    let (lab, host, peer) = try Self.lab()
    let id = try #require(host.find(peer.key))
    host.node.connect(to: id, now: lab.now)
    lab.run(for: .seconds(10))
    #expect(host.events == [.plain(id)])
    #expect(peer.received.count { $0[0] >> 4 == 8 } == 3)
    #expect(host.node.status(of: id)?.kind == .plain)
    lab.run(for: .seconds(120))
    #expect(peer.received.count { $0[0] >> 4 == 8 } == 3, "nothing of ours afterwards")
  }

  @Test func `a peer that went silent is not taken for plain for ever`() throws {
    let (lab, host, peer) = try Self.lab()
    let id = try #require(host.find(peer.key))
    let answer = lab.sink
    // It answers the initiation, and is gone.
    lab.sink = { datagram, source, now in
      lab.sink = nil
      lab.sinkTimeout = {}
      lab.sinkDeadline = { nil }
      answer?(datagram, source, now)
    }
    host.node.connect(to: id, now: lab.now)
    lab.run(for: .seconds(16))
    #expect(host.events == [.plain(id)])
    for _ in 0..<3 {
      host.events = []
      host.node.connect(to: id, now: lab.now)
      lab.run(for: .seconds(60))
      #expect(host.events == [.unreachable(id)])
      #expect(host.node.status(of: id)?.kind == .unknown)
    }
  }

  @Test func `a numbered packet before a Hello is dropped and not acknowledged`() throws {
    let (lab, host, peer) = try Self.lab()
    peer.send(
      Self.framed {
        PacketWriter.writeNumber(1, to: &$0); PacketWriter.writePing(to: &$0)
      })
    lab.run(for: .seconds(1))
    #expect(host.dropped[.beforeHello] == 1)
  }

  @Test func `a field that was not listed ends the connection with unsupported`() throws {
    let (lab, host, peer) = try Self.lab()
    let id = try #require(host.find(peer.key))
    // Hello{incarnation: 7, heard, settled} with the node's incarnation mirrored.
    func hello() -> [UInt8] {
      Self.framed { output in
        PacketWriter.writeOther(field: FieldNumber.hello, length: 22, to: &output)
        output.append(UInt8(0x09))
        output.append(UInt64(7), .little)
        output.append(UInt8(0x11))
        output.append(host.node.incarnation, .little)
        output.append(UInt8(0x18))
        output.append(UInt8(1))
        output.append(UInt8(0x58))
        output.append(UInt8(1))
      }
    }
    peer.send(hello())
    lab.run(for: .milliseconds(100))
    #expect(host.events.contains(.connected(id)))
    peer.received = []
    peer.send(
      Self.framed { output in
        PacketWriter.writeNumber(1, to: &output)
        PacketWriter.writeOther(field: 40, length: 2, to: &output)
        output.append(UInt16(0), .little)
      })
    lab.run(for: .seconds(1))
    #expect(host.dropped[.unsupportedField] == 1)
    #expect(host.events.contains { if case .disconnected(id, _) = $0 { true } else { false } })
    #expect(peer.received.contains { $0.contains(0x72) }, "a Close was sent")
  }

  static func framed(_ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
    Array(capacity: 512) { output in
      PayloadKind.writeTypedHeader(to: &output)
      body(&output)
      PayloadKind.pad(to: (output.byteCount + 15) & ~15, from: 0, in: &output)
    }
  }
}
