import MeshPrimitives
import MeshRuntime

/// How many messages a second go from one `Mesh` to another on loopback, by the async API: one task sends, one receives, both
/// in this process, with an engine thread each. Prints a line per size; CPU is that of the whole process, both ends.
@main struct MessageRate {
  static func main() async throws {
    print("  bytes    messages/s    Mbit/s    CPU ns/message")
    for size in [16, 200, 1_000, 10_000, 100_000] {
      let count = max(2_000, min(1_000_000, 500_000_000 / size))
      let (seconds, cpu) = try await measure(count, of: size)
      let rate = Double(count) / seconds
      print(
        column(size, 7), column(Int(rate), 13), column(Int(rate * Double(size) * 8 / 1e6), 9),
        column(Int(cpu / Double(count) * 1e9), 17))
    }
  }

  private static func column(_ value: Int, _ width: Int) -> String {
    let text = "\(value)"
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private static func measure(_ count: Int, of size: Int) async throws -> (seconds: Double, cpu: Double) {
    let (left, right) = (Identity.generate(), Identity.generate())
    let server = try await Mesh(identity: right, peers: [Peer(left.publicKey)])
    let client = try await Mesh(
      identity: left, peers: [Peer(right.publicKey, at: "127.0.0.1:\(server.port)")])
    let inbox = server.messages("rate")
    let sender = try await client.sender("rate", to: server.publicKey)
    let receiving = Task {
      var received = 0
      for try await _ in inbox {
        received += 1
        if received == count { break }
      }
    }
    let message = [UInt8](repeating: 0xA5, count: size)
    let start = ContinuousClock.now
    let before = CPUTime.ofProcess()
    for _ in 0..<count { try await sender.send(message) }
    try await receiving.value
    let cpu = CPUTime.ofProcess() - before
    let elapsed = ContinuousClock.now - start
    await client.close()
    await server.close()
    return (elapsed / .seconds(1), cpu)
  }
}
