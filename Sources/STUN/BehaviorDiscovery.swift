public import MeshPrimitives

/// Finds out how the NAT before us behaves (RFC 5780 §4), with one socket and a server that has two addresses.
///
/// The filtering tests come before those of the mapping, which open the filter. Feed it every datagram of the socket that is
/// STUN, requests too: one of its own comes back when the NAT hairpins.
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func describe(_ discovery: inout BehaviorDiscovery) {
///   while let report = discovery.nextReport() {
///     guard let address = report.mappedAddress else { return print("no UDP to this server") }
///     print("seen as", address)
///     if report.mapping == .endpointIndependent { print("one mapping for all destinations") }
///     if report.hairpinning == true { print("hairpins") }
///   }
/// }
/// ```
public struct BehaviorDiscovery: Sendable {
  private enum Test: Sendable { case first, filterAddress, filterPort, hairpin, mapAddress, mapPort }

  private struct Probe: Sendable {
    let test: Test
    var transaction: ClientTransaction
  }

  /// The free capacity that ``nextTransmit(into:now:)`` needs, in bytes.
  public static let maximumSize = 128
  /// Makes a request long enough for servers that say no more than they are asked.
  private static let filler = "PNet Mesh: NAT behaviour discovery, RFC 5780"

  private let server: SocketAddress
  private let local: SocketAddress?
  private let timing: RetransmissionTiming
  private let silenceTiming: RetransmissionTiming
  private var entropy: any Entropy
  private var probes: [Probe] = []
  private var report = BehaviorReport()
  /// Filtering tests that nobody answered.
  private var silent: [Test] = []
  /// What the server's second address saw, at its first and its second port.
  private var second: SocketAddress?
  private var third: SocketAddress?
  private var isReported = false
  private var isFinished = false

  /// - Parameters:
  ///   - local: the address of the socket, if it is known.
  ///   - timing: of the tests that should be answered.
  ///   - silenceTiming: of those whose silence means something.
  public init(
    to server: SocketAddress, local: SocketAddress?, timing: RetransmissionTiming = RetransmissionTiming(),
    silenceTiming: RetransmissionTiming = RetransmissionTiming(
      initialTimeout: .milliseconds(500), requests: 3, lastTimeoutFactor: 4),
    entropy: any Entropy, now: Instant
  ) {
    self.server = server
    self.local = local
    self.timing = timing
    self.silenceTiming = silenceTiming
    self.entropy = entropy
    start(.first, to: server, timing, now)
  }

  private mutating func start(
    _ test: Test, to destination: SocketAddress, _ timing: RetransmissionTiming, change: ChangeRequest? = nil,
    _ now: Instant
  ) {
    let id = TransactionID(random: &entropy)
    let message = [UInt8](capacity: Self.maximumSize) { output in
      var writer = MessageWriter(.request, .binding, id, to: &output)
      writer.append(.software, Self.filler, to: &output)
      if let change { writer.append(change, to: &output) }
      writer.appendFingerprint(to: &output)
    }
    probes.append(
      Probe(test: test, transaction: ClientTransaction(id, message, to: destination, timing: timing, now: now)))
  }

  public var deadline: Instant? {
    probes.reduce(nil) { earliest($0, $1.transaction.deadline) }
  }

  public mutating func handle(_ bytes: RawSpan, from source: SocketAddress, now: Instant) {
    guard let message = try? STUNMessage(bytes), message.method == .binding, message.fingerprint != .wrong,
      let index = probes.firstIndex(where: { $0.transaction.id == message.transactionID }),
      probes[index].transaction.requestsSent > 0
    else { return }
    let probe = probes[index]
    if probe.test == .hairpin {
      guard message.messageClass == .request else { return }
      report.hairpinning = true
    } else {
      guard message.messageClass == .success || message.messageClass == .error else { return }
      guard isExpected(source, probe) || message.messageClass == .error && source == server else { return }
      guard answered(probe, message, now) else { return }
    }
    probes.remove(at: index)
    advance(after: probe.test, now)
  }

  /// Whether the answer to `probe` may come from `source`. One that did not change its address says nothing.
  private func isExpected(_ source: SocketAddress, _ probe: Probe) -> Bool {
    switch probe.test {
    case .filterAddress: source == report.otherAddress
    case .filterPort: source.address == server.address && source.port == report.otherAddress?.port
    default: source == probe.transaction.destination
    }
  }

  /// Takes in an answer; `false` when it is none.
  private mutating func answered(_ probe: Probe, _ message: borrowing STUNMessage, _ now: Instant) -> Bool {
    let address = (try? message.value(.xorMappedAddress)) ?? (try? message.value(.mappedAddress))
    guard message.messageClass == .success, let address else {
      if probe.test == .first { report.rejected = (try? message.errorCode()) ?? .badRequest }
      // A server that cannot change its address: the tests end, and nothing is known of the filter.
      if probe.test == .filterAddress || probe.test == .filterPort { report.otherAddress = nil }
      return true
    }
    switch probe.test {
    case .first:
      report.mappedAddress = address
      if probe.transaction.requestsSent == 1 { report.roundTrip = probe.transaction.firstSent.map { now - $0 } }
      report.isTranslated = local.map { $0.address != address.address || $0.port != address.port }
      if let other = try? message.value(.otherAddress), other.address.family == server.address.family,
        other.address != server.address, other.port != server.port
      {
        report.otherAddress = other
      }
    case .filterAddress, .filterPort: break
    case .mapAddress: second = address
    case .mapPort: third = address
    case .hairpin: return false
    }
    return true
  }

  public mutating func handleTimeout(now: Instant) {
    var index = 0
    while index < probes.count {
      probes[index].transaction.handleTimeout(now: now)
      if probes[index].transaction.state == .timedOut {
        let test = probes.remove(at: index).test
        if test == .hairpin { report.hairpinning = false }
        if test == .filterAddress || test == .filterPort { silent.append(test) }
        advance(after: test, now)
      } else {
        index += 1
      }
    }
  }

  private mutating func advance(after test: Test, _ now: Instant) {
    if test == .first, let mapped = report.mappedAddress {
      if report.otherAddress != nil {
        start(.filterAddress, to: server, silenceTiming, change: [.changeIP, .changePort], now)
        start(.filterPort, to: server, silenceTiming, change: .changePort, now)
      }
      if report.isTranslated != false { start(.hairpin, to: mapped, silenceTiming, now) }
    }
    if test == .filterAddress || test == .filterPort,
      !probes.contains(where: { $0.test == .filterAddress || $0.test == .filterPort })
    {
      if let other = report.otherAddress {
        if !silent.contains(.filterAddress) {
          report.filtering = .endpointIndependent
        } else {
          report.filtering = silent.contains(.filterPort) ? .addressAndPortDependent : .addressDependent
        }
        if report.isTranslated == false {
          report.mapping = .endpointIndependent
        } else {
          start(.mapAddress, to: SocketAddress(other.address, port: server.port), timing, now)
          start(.mapPort, to: other, timing, now)
        }
      }
    }
    if test == .mapAddress || test == .mapPort, let first = report.mappedAddress, let second {
      if first == second {
        report.mapping = .endpointIndependent
      } else if let third {
        report.mapping = second == third ? .addressDependent : .addressAndPortDependent
      }
    }
    if probes.isEmpty { isFinished = true }
  }

  /// Appends a request to `output` and returns its destination, or `nil` when none is due at `now`.
  /// - Precondition: `output` has room for ``maximumSize`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> SocketAddress? {
    for index in probes.indices {
      if let destination = probes[index].transaction.nextTransmit(into: &output, now: now) { return destination }
    }
    return nil
  }

  /// The report, once, when all tests have ended.
  public mutating func nextReport() -> BehaviorReport? {
    guard isFinished, !isReported else { return nil }
    isReported = true
    return report
  }
}
