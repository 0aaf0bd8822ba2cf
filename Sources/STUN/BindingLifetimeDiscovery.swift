public import MeshPrimitives

/// Finds out how long an idle mapping lives (RFC 5780 §4.6), with a server that takes RESPONSE-PORT.
///
/// Each waiting time has a socket of its own, so that all are waited for at once: after its time the server is asked, from
/// socket 0, to answer to the port that the socket was mapped to. The whole takes about as long as the mapping lives.
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func start(_ server: SocketAddress, _ entropy: any Entropy, now: Instant) -> BindingLifetimeDiscovery {
///   // Needs `socketCount` sockets, numbered from 0.
///   BindingLifetimeDiscovery(
///     to: server, waits: BindingLifetimeDiscovery.usualWaits, entropy: entropy, now: now)
/// }
/// ```
public struct BindingLifetimeDiscovery: Sendable {
  /// What was found.
  public struct Report: Equatable, Sendable {
    /// The longest waiting time after which the mapping was still there.
    public var alive: Duration?
    /// The shortest after which it was not.
    public var expired: Duration?
    /// Whether the server does what the test needs, and the mappings had one address.
    public var isConclusive: Bool
  }

  /// A datagram's way out.
  public struct Transmit: Equatable, Sendable {
    public var destination: SocketAddress
    public var socket: Int
  }

  /// In steps that tell the usual settings apart.
  public static let usualWaits: [Duration] =
    [10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300].map { .seconds($0) }

  /// The free capacity that ``nextTransmit(into:now:)`` needs, in bytes.
  public static let maximumSize = 64

  private enum Stage: Sendable {
    case mapping(ClientTransaction)
    case waiting(SocketAddress, until: Instant)
    case asking(SocketAddress, ClientTransaction)
    case alive, expired
  }

  private let server: SocketAddress
  private let waits: [Duration]
  private let timing: RetransmissionTiming
  private var entropy: any Entropy
  private var stages: [Stage] = []
  private var isConclusive = true
  private var isReported = false

  /// - Precondition: `waits` ascend and are not empty.
  public init(
    to server: SocketAddress, waits: [Duration], entropy: any Entropy, now: Instant
  ) {
    precondition(!waits.isEmpty && zip(waits, waits.dropFirst()).allSatisfy { $0 < $1 }, "waiting times must ascend")
    self.server = server
    self.waits = waits
    self.entropy = entropy
    timing = RetransmissionTiming(initialTimeout: .milliseconds(500), requests: 4, lastTimeoutFactor: 4)
    for _ in waits { stages.append(.mapping(request(nil, now))) }
  }

  /// One for each waiting time, and one to ask from.
  public var socketCount: Int { waits.count + 1 }

  private mutating func request(_ port: UInt16?, _ now: Instant) -> ClientTransaction {
    let id = TransactionID(random: &entropy)
    let message = [UInt8](capacity: Self.maximumSize) { output in
      var writer = MessageWriter(.request, .binding, id, to: &output)
      if let port { writer.append(responsePort: port, to: &output) }
      writer.appendFingerprint(to: &output)
    }
    return ClientTransaction(id, message, to: server, timing: timing, now: now)
  }

  public var deadline: Instant? {
    guard !isOver else { return nil }
    return stages.reduce(nil) { deadline, stage in
      switch stage {
      case .mapping(let transaction), .asking(_, let transaction): earliest(deadline, transaction.deadline)
      case .waiting(_, let until): earliest(deadline, until)
      case .alive, .expired: deadline
      }
    }
  }

  /// - Parameter socket: the number of the socket that the datagram came in by.
  public mutating func handle(_ bytes: RawSpan, from source: SocketAddress, on socket: Int, now: Instant) {
    guard let message = try? STUNMessage(bytes), message.fingerprint != .wrong, source == server else { return }
    for index in stages.indices {
      switch stages[index] {
      case .mapping(let transaction) where transaction.matches(message, from: source) && socket == index + 1:
        guard let mapped = try? message.value(.xorMappedAddress) else {
          isConclusive = false
          return
        }
        stages[index] = .waiting(mapped, until: now + waits[index])
      case .asking(let mapped, let transaction) where transaction.matches(message, from: source):
        // An answer to the socket that asked is an error, or ignores the port.
        guard message.messageClass == .success, socket == index + 1 else {
          isConclusive = false
          return
        }
        // Who asked must have been seen at the same address, or the answer could not have come here.
        let asker = try? message.value(.xorMappedAddress)
        if asker?.address != mapped.address { isConclusive = false }
        stages[index] = .alive
      default: continue
      }
    }
  }

  public mutating func handleTimeout(now: Instant) {
    for index in stages.indices {
      switch stages[index] {
      case .mapping(var transaction):
        transaction.handleTimeout(now: now)
        stages[index] = .mapping(transaction)
        if transaction.state == .timedOut { isConclusive = false }
      case .waiting(let mapped, let until) where until <= now:
        stages[index] = .asking(mapped, request(mapped.port, now))
      case .asking(let mapped, var transaction):
        transaction.handleTimeout(now: now)
        stages[index] = transaction.state == .timedOut ? .expired : .asking(mapped, transaction)
      default: continue
      }
    }
  }

  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> Transmit? {
    guard !isOver else { return nil }
    for index in stages.indices {
      switch stages[index] {
      case .mapping(var transaction):
        let destination = transaction.nextTransmit(into: &output, now: now)
        stages[index] = .mapping(transaction)
        if let destination { return Transmit(destination: destination, socket: index + 1) }
      case .asking(let mapped, var transaction):
        let destination = transaction.nextTransmit(into: &output, now: now)
        stages[index] = .asking(mapped, transaction)
        if let destination { return Transmit(destination: destination, socket: 0) }
      default: continue
      }
    }
    return nil
  }

  /// Whether all times up to the first after which the mapping was gone are settled, or nothing can be found out.
  private var isOver: Bool {
    guard isConclusive else { return true }
    for stage in stages {
      switch stage {
      case .alive: continue
      case .expired: return true
      default: return false
      }
    }
    return true
  }

  /// The report, once, at the end.
  public mutating func nextReport() -> Report? {
    guard isOver, !isReported else { return nil }
    isReported = true
    var report = Report(alive: nil, expired: nil, isConclusive: isConclusive)
    for (stage, wait) in zip(stages, waits) {
      switch stage {
      case .alive: report.alive = wait
      case .expired:
        report.expired = wait
        return report
      default: return report
      }
    }
    return report
  }
}
