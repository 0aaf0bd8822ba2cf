import MeshNode
import MeshPrimitives
import MeshReliability
import MeshRouting
import MeshSession
import Testing

@Suite("Node: IP packets beside a connection") struct EgressTests {
  /// An ICMPv6 echo request between the derived addresses of two nodes.
  static func echoRequest(from source: IPAddress, to destination: IPAddress, size: Int = 1_200, ecn: ECN = .notECT)
    -> [UInt8]
  {
    var packet = [UInt8](repeating: 0, count: size)
    packet[0] = 0x60
    packet[1] = ecn.rawValue << 4
    packet[4] = UInt8((size - 40) >> 8)
    packet[5] = UInt8((size - 40) & 0xFF)
    packet[6] = 58
    packet[7] = 64
    for (index, half) in [source.high, source.low, destination.high, destination.low].enumerated() {
      for byte in 0..<8 { packet[8 + 8 * index + byte] = UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * byte)) }
    }
    packet[40] = 128
    var sum = UInt32(size - 40) + 58
    for index in stride(from: 8, to: size, by: 2) where index != 42 {
      sum += UInt32(packet[index]) << 8 | UInt32(index + 1 < size ? packet[index + 1] : 0)
    }
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
    packet[42] = UInt8(truncatingIfNeeded: ~sum >> 8)
    packet[43] = UInt8(truncatingIfNeeded: ~sum)
    return packet
  }

  @Test func `an IP packet goes to the peer that its destination belongs to, and is answered`() throws {
    let (lab, left, right) = try NodeLab.pair()
    let request = Self.echoRequest(from: left.node.derivedAddress, to: right.node.derivedAddress)
    // Nothing is connected yet: it waits for the keys.
    try left.node.sendIP(request.bytes, now: lab.now)
    lab.run(for: .seconds(1))
    #expect(right.node.echoesAnswered == 1)
    // The answer came, and nobody here waits for it.
    #expect(left.dropped[.noDestination] == 1)
  }

  @Test func `what cannot be sent is refused with a reason`() throws {
    let (lab, left, right) = try NodeLab.pair()
    let own = left.node.derivedAddress
    let stranger = IPAddress("fd00::1")!
    func send(_ packet: [UInt8]) throws(IPSendError) { try left.node.sendIP(packet.bytes, now: lab.now) }
    #expect(throws: IPSendError.noRoute(stranger)) { try send(Self.echoRequest(from: own, to: stranger)) }
    #expect(throws: IPSendError.tooLong(bytes: 1_500, mtu: 1_420)) {
      try send(Self.echoRequest(from: own, to: right.node.derivedAddress, size: 1_500))
    }
    #expect(throws: IPSendError.self) { try send([0x45, 0]) }
  }

  /// The way out takes 20 Mbit/s: it is asked for a burst whenever the last one has left.
  @Test func `IP packets and a stream share a narrow way out, and neither waits long`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send([UInt8](repeating: 1, count: 30_000_000), on: stream, from: left)
    lab.rate = (left.address, 20_000_000)
    lab.run(for: .seconds(3))
    let request = Self.echoRequest(from: left.node.derivedAddress, to: right.node.derivedAddress, ecn: .ect0)
    let before = (answered: right.node.echoesAnswered, bytes: right.received.values.reduce(0) { $0 + $1.count })
    // 24 Mbit/s of IP for four seconds.
    let began = lab.now
    while lab.now - began < .seconds(4) {
      for _ in 0..<5 { try? left.node.sendIP(request.bytes, now: lab.now) }
      lab.run(for: .milliseconds(2))
    }
    let ip = Double(right.node.echoesAnswered - before.answered) * 1_200
    let bytes = Double(right.received.values.reduce(0) { $0 + $1.count } - before.bytes)
    #expect(ip / (ip + bytes) > 0.4 && ip / (ip + bytes) < 0.6, "\(ip) of IP, \(bytes) of the stream")
    #expect(ip + bytes > 0.85 * 20_000_000 / 8 * 4)
  }

  @Test(arguments: [4, 6]) func `a mark of congestion leaves the header valid`(version: Int) throws {
    var packet =
      version == 6
      ? Self.echoRequest(from: IPAddress("fd00::1")!, to: IPAddress("fd00::2")!, ecn: .ect1)
      : [0x45, 0x02, 0, 20, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7]
    func checksum() -> UInt32 {
      var sum: UInt32 = 0
      for index in stride(from: 0, to: 20, by: 2) { sum += UInt32(packet[index]) << 8 | UInt32(packet[index + 1]) }
      while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
      return sum
    }
    if version == 4 {
      let sum = ~checksum()
      packet[10] = UInt8(truncatingIfNeeded: sum >> 8)
      packet[11] = UInt8(truncatingIfNeeded: sum)
    }
    var bytes = packet.mutableBytes
    IPPacketHeader.markCongestion(&bytes)
    #expect(try IPPacketHeader(parsing: packet.bytes).ecn == .ce)
    if version == 4 { #expect(checksum() == 0xFFFF) }
  }
}
