import Glibc
import MeshPrimitives
import MeshRuntime
import Synchronization
import Testing

/// A live node on loopback, and whoever wants it harm. In a process of its own, whose memory nothing else changes.
@Suite("Hostile packets") struct HostileTests {
  @Test func `a million hostile packets are counted by name, cost no memory, and disturb no stream`() async {
    await #expect(processExitsWith: .success) {
      let siege = try await Siege()
      for kind in Attacker.Kind.allCases { try await siege.expectCounted(kind) }
      // What is allocated once is allocated now.
      try await siege.attack(100_000)
      let before = Siege.residentBytes
      try await siege.attack(1_000_000)
      let grown = Siege.residentBytes - before
      #expect(grown < 1 << 20, "the process grew by \(grown) bytes")
      try await siege.end()
    }
  }
}

/// A server under attack while a client talks to it.
final class Siege: Sendable {
  private let server: Mesh
  private let client: Mesh
  private let attacker: Attacker
  private let serving: Task<Void, any Error>
  private let talking: Task<Int, any Error>
  private let isOver = AtomicFlag()

  final class AtomicFlag: Sendable {
    private let value = Atomic(false)
    func set() { value.store(true, ordering: .relaxed) }
    var isSet: Bool { value.load(ordering: .relaxed) }
  }

  init() async throws {
    let (left, right) = (Identity.generate(), Identity.generate())
    server = try await Mesh(identity: right, peers: [Peer(left.publicKey)])
    attacker = try Attacker(server: server.publicKey, port: server.port)
    client = try await Mesh(identity: left, peers: [Peer(server.publicKey, at: "127.0.0.1:\(attacker.port)")])
    serving = MeshTests.serveEcho(server)
    let stream = try await client.open("echo", at: server.publicKey)
    let isOver = isOver
    // Block by block, so that what is on its way stays small.
    talking = Task {
      var count = 0
      while !isOver.isSet {
        let block = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ count) }
        try await stream.write(block)
        var answer: [UInt8] = []
        while answer.count < block.count, let chunk = try await stream.read() { answer += chunk }
        #expect(answer == block)
        count += block.count
        try await Task.sleep(for: .milliseconds(1))
      }
      try await stream.finish()
      #expect(try await stream.read() == nil)
      try await stream.flushed()
      return count
    }
    while attacker.capturedCount < 200 { try await Task.sleep(for: .milliseconds(5)) }
    // The client's initiation, sent again within five seconds, is answered; older, it is refused.
    while try await client.status().peers[0].latestHandshakeSecondsAgo ?? 0 < 5.5 {
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  private func drops() async throws -> [String: UInt64] { try await server.status().drops.filter { $0.value > 0 } }

  private func total() async throws -> Int { try await drops().values.reduce(0) { $0 + Int($1) } }

  /// Sends one volley, and expects each of its datagrams to be counted for the right reason and nothing else to be.
  func expectCounted(_ kind: Attacker.Kind) async throws {
    let before = try await drops()
    attacker.attack([kind])
    try await settle(at: before.values.reduce(0) { $0 + Int($1) } + Attacker.volley)
    var difference = try await drops()
    for (reason, count) in before { difference[reason]! -= count }
    difference = difference.filter { $0.value > 0 }
    #expect(Set(difference.keys).isSubset(of: kind.reasons), "\(kind): \(difference)")
    #expect(difference.values.reduce(0, +) == UInt64(Attacker.volley), "\(kind): \(difference)")
  }

  /// Sends at least `count` hostile datagrams, all of which must be counted, but for those that the kernel lost.
  func attack(_ count: Int) async throws {
    let (first, sentBefore, lostBefore) = (try await total(), attacker.sentCount, lost)
    var kinds = 0
    while kinds * Attacker.volley < count {
      attacker.attack([Attacker.Kind.allCases[kinds % Attacker.Kind.allCases.count]])
      kinds += 1
      // No more on the way than the kernel has room for, and than waits in the queue of handshakes.
      var patience = 25_000
      while try await total() - first + lost - lostBefore + 512 < kinds * Attacker.volley, patience > 0 {
        try await Task.sleep(for: .microseconds(100))
        patience -= 1
      }
      let drops = try await drops()
      try #require(patience > 0, "\(drops), \(lost) lost of \(attacker.sentCount)")
    }
    let sent = kinds * Attacker.volley
    for _ in 0..<500 where try await total() - first + lost - lostBefore < sent {
      try await Task.sleep(for: .milliseconds(10))
    }
    let counted = try await total() - first
    #expect(attacker.sentCount - sentBefore == sent)
    #expect(counted <= sent && counted + lost - lostBefore >= sent, "\(counted) of \(sent), \(lost) lost")
  }

  /// Datagrams to the server for which the kernel had no room.
  private var lost: Int {
    let port = ":" + String(Int(server.port) + 0x10000, radix: 16, uppercase: true).dropFirst()
    for path in ["/proc/self/net/udp6", "/proc/self/net/udp"] {
      for line in Self.lines(of: path) {
        let fields = line.split(separator: " ")
        if fields.count > 12, fields[1].hasSuffix(port) { return Int(fields.last!) ?? 0 }
      }
    }
    return 0
  }

  /// Waits until that many datagrams were dropped; five seconds at most.
  private func settle(at count: Int) async throws {
    for _ in 0..<500 {
      if try await total() >= count { return }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  func end() async throws {
    isOver.set()
    let count = try await talking.value
    #expect(count > 100_000, "the stream carried \(count) bytes")
    let status = try await server.status()
    #expect(status.peers.count == 1 && status.peers[0].publicKey == client.publicKey.description)
    #expect(status.peers[0].endpoint == "127.0.0.1:\(attacker.port)", "no spoofed packet moved the endpoint")
    await client.close()
    await server.close()
    await attacker.stop()
    try await serving.value
  }

  /// The memory of this process that is its own.
  static var residentBytes: Int {
    for line in lines(of: "/proc/self/status") where line.hasPrefix("RssAnon:") {
      return Int(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1])! << 10
    }
    return 0
  }

  private static func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var lines: [String] = []
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, Int32(line.count), file) != nil {
      lines.append(String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return lines
  }
}
