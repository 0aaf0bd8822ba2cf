import MeshPrimitives
import Testing

@testable import MeshCrypto
@testable import MeshSession

/// Many packets at once, as segmentation offload gives and takes them.
@Suite("Runs of packets") struct RunTests {
  private let segment = 16 + 64 + 16

  /// Two devices with a session, and a run of packets from the left to the right one whose plaintexts begin with 1, 2, …
  private func run(_ count: Int, last: Int = 48) throws -> (ends: Ends, run: [UInt8]) {
    let (lab, left, right) = try Lab.pair()
    let greeting = [UInt8](repeating: 9, count: 16)
    left.device.send(greeting.bytes, to: left.peer, now: lab.now)
    lab.run(for: .seconds(1))
    var run = [UInt8](repeating: 0, count: (count - 1) * segment + 32 + last)
    for index in 0..<count { run[index * segment + 16] = UInt8(index + 1) }
    var bytes = run.mutableBytes
    try left.device.seal(&bytes, segmentSize: segment, to: left.peer, now: lab.now)
    return (Ends(lab: lab, left: left, right: right), run)
  }

  private struct Ends {
    let lab: Lab
    let left: Host
    let right: Host
  }

  private func open(_ run: inout [UInt8], _ ends: Ends) -> (bytes: Int, firsts: [UInt8])? {
    var bytes = run.mutableBytes
    guard
      let result = ends.right.device.open(
        &bytes, segmentSize: segment, from: ends.left.address, now: ends.lab.now)
    else {
      return nil
    }
    return (result.bytes, ends.right.device.opened.map { run[$0.lowerBound] })
  }

  @Test func `a run is sealed and opened as its packets would be one by one`() throws {
    let (ends, original) = try run(5)
    var run = original
    let opened = try #require(open(&run, ends))
    #expect(opened.bytes == run.count && opened.firsts == [1, 2, 3, 4, 5])
    let traffic = ends.right.device.statistics(of: ends.right.peer)!.traffic
    #expect(traffic.receivedPackets >= 5)
    // All of it again: replayed.
    run = original
    let again = try #require(open(&run, ends))
    #expect(again.firsts == [] && ends.right.device.drops[.replayed] == 5)
  }

  @Test func `one forged packet in a run costs that one only`() throws {
    var (ends, run) = try run(4)
    run[segment + 20] ^= 1
    let opened = try #require(open(&run, ends))
    #expect(opened.bytes == run.count && opened.firsts == [1, 3, 4])
    #expect(ends.right.device.drops[.forged] == 1)
  }

  @Test func `a run ends where something else begins`() throws {
    var (ends, run) = try run(4)
    // Not of this session any more.
    run[2 * segment + 4] ^= 1
    let opened = try #require(open(&run, ends))
    #expect(opened.bytes == 2 * segment && opened.firsts == [1, 2])
    var rest = [UInt8](run[(2 * segment)...])
    #expect(open(&rest, ends) == nil)
    var handshake = [UInt8](repeating: 0, count: segment)
    handshake[0] = 1
    #expect(open(&handshake, ends) == nil)
  }

  @Test(arguments: [0, 1, 4, 16, 20, 31]) func `segments that are too short for a packet are none, whatever follows`(
    size: Int
  )
    throws
  {
    let (ends, run) = try run(2)
    var short = run
    var bytes = short.mutableBytes
    let result = ends.right.device.open(&bytes, segmentSize: size, from: ends.left.address, now: ends.lab.now)
    #expect(result == nil)
  }

  /// No test sends 2^64 packets; but none of those may leave as it came.
  @Test func `keys that are nearly used up take no run that is longer than what is left`() {
    let provider = CipherProvider(preferring: .libsodium)
    let key = SecretBytes()
    let keys = TransportKeys(
      sealing: SealingKey(CipherKey(SecretBytes(), provider, sealing: true), counter: SealingKey.counterLimit - 3),
      opening: OpeningKey(CipherKey(SecretBytes(), provider, sealing: false)),
      exporter: HandshakeExporter(chainingKey: key, handshakeHash: .zero))
    let now = Instant(nanoseconds: 0)
    let pair = KeyPair(keys: keys, localIndex: 1, remoteIndex: 2, isInitiator: true, window: 64, began: now, now: now)
    #expect(pair.canSend(3, at: now) && !pair.canSend(4, at: now))
    var run = [UInt8](repeating: 7, count: 3 * segment)
    var bytes = run.mutableBytes
    let last = pair.seal(&bytes, segmentSize: segment)
    #expect(last == SealingKey.counterLimit - 1 && !pair.canSend(at: now))
    for start in stride(from: 0, to: run.count, by: segment) {
      #expect(Array(run[start + 16..<start + 80]) != [UInt8](repeating: 7, count: 64))
    }
  }
}
