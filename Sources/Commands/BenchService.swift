internal import MeshPrimitives

/// The service `pnet.bench`: takes bytes, gives bytes, sends small ones back, and tells what its process has used.
///
/// A stream carries one ``Request``. `upload`: the client sends until it finishes, and gets a ``Report``. `download`:
/// the server sends for the time asked for, at most ``maximumSeconds``, and finishes. `echo`: what comes goes back.
/// `usage`: a ``Report``.
public enum BenchService {
  public static let name = "pnet.bench"
  static let maximumSeconds = 60.0

  struct Request: Codable, Sendable {
    enum Kind: String, Codable { case upload, download, echo, usage }
    var kind: Kind
    var seconds: Double?
  }

  struct Report: Codable, Sendable {
    var bytes: UInt64
    var usage: ProcessUsage
  }

  /// Serves one stream.
  public static func serve(_ stream: any NodeStream, on node: any NodeAccess) async {
    let io = StreamIO(stream)
    do {
      guard let request = try await io.message(Request.self) else { return stream.reset() }
      switch request.kind {
      case .upload:
        var bytes: UInt64 = 0
        while let piece = try await io.bytes(upTo: 1 << 17) { bytes += UInt64(piece.count) }
        try await io.send(Report(bytes: bytes, usage: try await usage(node)))
      case .download:
        let block = [UInt8](repeating: 0x5A, count: 1 << 16)
        let seconds = min(max(request.seconds ?? 1, 0), maximumSeconds)
        let end = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
        while ContinuousClock.now < end { try await stream.write(block) }
      case .echo: while let piece = try await io.bytes(upTo: 1 << 16) { try await stream.write(piece) }
      case .usage: try await io.send(Report(bytes: 0, usage: try await usage(node)))
      }
      try await stream.finish()
      try await stream.flushed()
    } catch {
      stream.reset()
    }
  }

  /// What this end has used: this process, and the node's when that is another.
  static func usage(_ node: any NodeAccess) async throws -> ProcessUsage {
    var usage = ProcessUsage.current()
    if let other = try await node.usage() {
      usage.cpuSeconds += other.cpuSeconds
      usage.residentBytes += other.residentBytes
    }
    return usage
  }
}
