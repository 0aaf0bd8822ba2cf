import MeshCrypto
import MeshPrimitives
import MeshSession
import MeshSimulation
import Testing

/// Whole messages that an independent implementation made, given to a device (keys 00…1f, 20…3f and so on, clamped).
@Suite("Messages of an independent implementation") struct VectorTests {
  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { UInt8($0 < 0x60 ? $0 - 0x30 : $0 - 0x57) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  static func key(_ first: UInt8) -> PrivateKey {
    let bytes = [UInt8](first..<first + 32)
    return try! PrivateKey(copying: bytes.bytes)
  }

  static let initiation = bytes(
    "010000004433221179a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51af0225eb421886af8f54fb31289d49dcd82"
      + "b0f6f3279d40d7cff913fece0c64ad226eef3320755b393b72f16842c8d7ee78a74e937e3f2a8291f4ecc104a5b66daebd03498e0b8cafcb"
      + "a5c038c01f79483ed68dd82959b84444ea937300000000000000000000000000000000")

  @Test func `an initiation that it made is answered`() throws {
    let lab = Lab()
    let device = Device(
      privateKey: Self.key(0x20), entropy: SeededEntropy(seed: 1), provider: CipherProvider(preferring: .libsodium))
    let host = Host(device, at: SocketAddress("192.0.2.2:1")!)
    lab.hosts = [host]
    let psk = [UInt8](0x80..<0xA0)
    host.peer = try host.device.addPeer(
      PeerConfiguration(publicKey: Self.key(0).publicKey, presharedKey: PresharedKey(copying: psk.bytes)), now: lab.now)
    #expect(lab.inject(Self.initiation, into: host, from: SocketAddress("192.0.2.1:51820")!) == .queued)
    lab.settle()
    let response = try #require(lab.wire.first)
    #expect(response.kind == .response && response.to == SocketAddress("192.0.2.1:51820"))
    #expect(Array(response.datagram[8..<12]) == [0x44, 0x33, 0x22, 0x11], "the receiver index is the sender's")
    #expect(host.device.drops.total == 0)
  }

  @Test func `a device with another key does not take it`() throws {
    let lab = Lab()
    let host = lab.addHost(3)
    #expect(
      lab.inject(Self.initiation, into: host, from: SocketAddress("192.0.2.1:51820")!) == .dropped(.invalidMAC1))
  }
}
