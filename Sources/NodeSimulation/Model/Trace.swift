public import MeshPrimitives

/// One thing that happened in a run.
public struct TraceEntry: Sendable {
  public enum Kind: Equatable, Sendable {
    /// A datagram left a host.
    case sent
    /// It reached a host that took it.
    case arrived
    /// It was lost, found a queue full or was too long: the link says which.
    case dropped(String)
    /// Nobody has the address, or a NAT on the way out did not let it pass.
    case unroutable
    /// A NAT did not let it in.
    case filtered
    case partitioned
    /// The host is down or asleep.
    case nobody
    /// Sent by an attacker, and it reached a host.
    case forged
    /// Something else than a datagram: what a node said, or what befell a host.
    case event(String)

    public var name: String {
      switch self {
      case .sent: "sent"
      case .arrived: "arrived"
      case .dropped(let reason): reason
      case .unroutable: "unroutable"
      case .filtered: "filtered"
      case .partitioned: "partitioned"
      case .nobody: "nobody"
      case .forged: "forged"
      case .event(let text): text
      }
    }
  }

  /// Since the start of the run.
  public let time: Duration
  public let kind: Kind
  /// Numbers of hosts; -1: nobody.
  public let sender: Int
  public let receiver: Int
  /// Bytes of UDP payload; 0 for events.
  public let size: Int
  /// The type of a WireGuard message, its first byte.
  public let type: UInt8
  public let ecn: ECN
  /// Of the content.
  public let hash: UInt64
}

/// The last things that happened.
struct TraceMemory {
  private static let capacity = 4096
  private var entries: [TraceEntry] = []
  private var next = 0

  mutating func add(_ entry: TraceEntry) {
    if entries.count < Self.capacity {
      entries.append(entry)
    } else {
      entries[next] = entry
      next = (next + 1) % Self.capacity
    }
  }

  /// Oldest first.
  var all: [TraceEntry] { Array(entries[next...] + entries[..<next]) }
}

extension SimulatedNetwork {
  func trace(_ kind: TraceEntry.Kind, from sender: Int, to receiver: Int, _ bytes: RawSpan, _ ecn: ECN) {
    switch kind {
    case .sent, .arrived, .forged: break
    default: counts.drops[kind.name, default: 0] += 1
    }
    var content = Fingerprint()
    content.mix(bytes)
    record(
      TraceEntry(
        time: now - start, kind: kind, sender: sender, receiver: receiver, size: bytes.byteCount,
        type: bytes.byteCount > 0 ? bytes.byte(at: 0) : 0, ecn: ecn, hash: content.value))
  }

  /// Notes something else than a datagram.
  func note(_ text: String, host: Int, other: Int = -1, value: UInt64 = 0) {
    record(
      TraceEntry(
        time: now - start, kind: .event(text), sender: host, receiver: other, size: 0, type: 0, ecn: .notECT,
        hash: value))
  }

  private func record(_ entry: TraceEntry) {
    fingerprint.mix(UInt64(bitPattern: now.nanoseconds))
    fingerprint.mix(
      UInt64(UInt32(truncatingIfNeeded: entry.sender)) << 32 | UInt64(UInt32(truncatingIfNeeded: entry.receiver)))
    fingerprint.mix(entry.hash ^ UInt64(entry.size) << 8 ^ UInt64(entry.kind.code) ^ UInt64(entry.ecn.rawValue) << 6)
    memory.add(entry)
    observer?(entry)
  }
}

extension TraceEntry.Kind {
  fileprivate var code: UInt8 {
    switch self {
    case .sent: 1
    case .arrived: 2
    case .dropped(let reason): reason.utf8.reduce(3) { $0 &* 31 &+ $1 }
    case .unroutable: 4
    case .filtered: 5
    case .partitioned: 6
    case .nobody: 7
    case .forged: 8
    case .event(let text): text.utf8.reduce(9) { $0 &* 31 &+ $1 }
    }
  }
}
