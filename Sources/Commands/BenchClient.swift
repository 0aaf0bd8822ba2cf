public import MeshPrimitives

/// What `pnet bench` measured.
public struct BenchResult: Codable, Equatable, Sendable {
  public struct Throughput: Codable, Equatable, Sendable {
    public var megabitsPerSecond: Double
    public var bytes: UInt64
    public var seconds: Double
    /// Both ends together.
    public var cpuSecondsPerGB: Double
  }
  public var peer: String
  public var path: String
  public var latencyMillisecondsP50: Double
  public var latencyMillisecondsP99: Double
  public var roundTrips: Int
  public var up: Throughput
  public var down: Throughput
}

/// Measures against a peer that serves ``BenchService``.
public struct BenchClient: Sendable {
  private let node: any NodeAccess
  private let key: PublicKey
  private let timeout: Duration

  public init(_ node: any NodeAccess, peer key: PublicKey, timeout: Duration) {
    self.node = node
    self.key = key
    self.timeout = timeout
  }

  /// - Parameter seconds: For each direction.
  public func run(seconds: Double) async throws -> BenchResult {
    let reply = try await node.ping(key, timeout: timeout)
    let latency = try await roundTrips()
    let up = try await measured { try await upload(seconds) }
    let down = try await measured { try await download(seconds) }
    return BenchResult(
      peer: key.description, path: reply.path, latencyMillisecondsP50: latency[latency.count / 2],
      latencyMillisecondsP99: latency[latency.count * 99 / 100], roundTrips: latency.count, up: up, down: down)
  }

  private func open(_ kind: BenchService.Request.Kind, seconds: Double? = nil) async throws -> StreamIO {
    let io = StreamIO(try await node.open(BenchService.name, at: key, timeout: timeout))
    try await io.send(BenchService.Request(kind: kind, seconds: seconds))
    return io
  }

  /// Milliseconds of up to 500 round trips of 64 bytes over a stream, or of one second; sorted.
  private func roundTrips() async throws -> [Double] {
    let io = try await open(.echo)
    var times: [Double] = []
    let bytes = [UInt8](repeating: 1, count: 64)
    let end = ContinuousClock.now + .seconds(1)
    while times.count < 500, times.isEmpty || ContinuousClock.now < end {
      let start = ContinuousClock.now
      try await io.stream.write(bytes)
      var missing = bytes.count
      while missing > 0 {
        guard let piece = try await io.bytes(upTo: missing) else { throw Failure("the peer ended too early", .broken) }
        missing -= piece.count
      }
      times.append(Double((ContinuousClock.now - start).wholeNanoseconds) / 1e6)
    }
    try await io.stream.finish()
    _ = try await io.bytes(upTo: 1)
    return times.sorted()
  }

  private func upload(_ seconds: Double) async throws -> UInt64 {
    let io = try await open(.upload)
    let block = [UInt8](repeating: 0xA5, count: 1 << 16)
    let end = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
    while ContinuousClock.now < end { try await io.stream.write(block) }
    try await io.stream.finish()
    guard let report = try await io.message(BenchService.Report.self) else {
      throw Failure("the peer ended too early", .broken)
    }
    _ = try await io.bytes(upTo: 1)
    return report.bytes
  }

  private func download(_ seconds: Double) async throws -> UInt64 {
    let io = try await open(.download, seconds: seconds)
    try await io.stream.finish()
    var bytes: UInt64 = 0
    while let piece = try await io.bytes(upTo: 1 << 17) { bytes += UInt64(piece.count) }
    return bytes
  }

  private func measured(_ transfer: () async throws -> UInt64) async throws -> BenchResult.Throughput {
    let before = try await usage()
    let start = ContinuousClock.now
    let bytes = try await transfer()
    let seconds = Double((ContinuousClock.now - start).wholeNanoseconds) / 1e9
    let cpu = try await usage() - before
    return BenchResult.Throughput(
      megabitsPerSecond: Double(bytes) * 8 / seconds / 1e6, bytes: bytes, seconds: seconds,
      cpuSecondsPerGB: bytes == 0 ? 0 : cpu / (Double(bytes) / 1e9))
  }

  /// CPU seconds of both ends.
  private func usage() async throws -> Double {
    let io = try await open(.usage)
    try await io.stream.finish()
    guard let report = try await io.message(BenchService.Report.self) else {
      throw Failure("the peer ended too early", .broken)
    }
    _ = try await io.bytes(upTo: 1)
    return try await BenchService.usage(node).cpuSeconds + report.usage.cpuSeconds
  }
}
