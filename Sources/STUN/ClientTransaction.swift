public import MeshPrimitives

/// One request and its retransmissions (RFC 8489 §6.2), whatever its method: the part that every client shares.
///
/// The caller makes the message (all retransmissions are the same bytes), sends what ``nextTransmit(into:now:)`` gives, and
/// calls ``finish()`` when a message that ``matches(_:from:)`` has been accepted. A response that fails its integrity check is
/// not accepted: the transaction goes on.
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func start(_ server: SocketAddress, _ entropy: inout some Entropy, now: Instant) -> ClientTransaction {
///   let id = TransactionID(random: &entropy)
///   let request = [UInt8](capacity: 64) { output in _ = MessageWriter(.request, .binding, id, to: &output) }
///   return ClientTransaction(id, request, to: server, now: now)
/// }
///
/// func handle(_ datagram: [UInt8], from source: SocketAddress, _ transaction: inout ClientTransaction) -> SocketAddress? {
///   guard let message = try? STUNMessage(datagram.bytes), transaction.matches(message, from: source) else { return nil }
///   transaction.finish()
///   return try? message.value(.xorMappedAddress)
/// }
/// ```
public struct ClientTransaction: Sendable {
  /// How it stands.
  public enum State: Sendable { case waiting, timedOut, finished }

  public let id: TransactionID
  public let destination: SocketAddress
  public private(set) var state = State.waiting
  /// How often the request was sent.
  public private(set) var requestsSent = 0
  /// When it was sent first.
  public private(set) var firstSent: Instant?
  private let message: [UInt8]
  private let timing: RetransmissionTiming
  private let transport: STUNTransport
  private var due: Instant
  private var interval: Duration

  /// - Parameter message: a request with the transaction ID `id`.
  public init(
    _ id: TransactionID, _ message: [UInt8], to destination: SocketAddress, over transport: STUNTransport = .datagram,
    timing: RetransmissionTiming = RetransmissionTiming(), now: Instant
  ) {
    precondition(timing.requests >= 1, "a request is sent once at least")
    self.id = id
    self.destination = destination
    self.message = message
    self.timing = timing
    self.transport = transport
    due = now
    interval = timing.initialTimeout
  }

  /// Bytes of the request: the free capacity that ``nextTransmit(into:now:)`` needs.
  public var messageSize: Int { message.count }

  private var isExhausted: Bool { requestsSent == (transport == .stream ? 1 : timing.requests) }

  /// When something is due: a retransmission, or the end. `nil` once it has ended.
  public var deadline: Instant? { state == .waiting ? due : nil }

  /// Whether `message` answers this request: a response with its transaction ID from where it was sent to. A response from
  /// elsewhere is not, whoever sent it.
  public func matches(_ message: borrowing STUNMessage, from source: SocketAddress) -> Bool {
    state == .waiting && requestsSent > 0 && message.transactionID == id && source == destination
      && (message.messageClass == .success || message.messageClass == .error)
  }

  /// A response was accepted, or nobody waits for one any more: nothing is sent from now on.
  public mutating func finish() { state = .finished }

  /// Fails the transaction when its last request was sent long enough ago.
  public mutating func handleTimeout(now: Instant) {
    if state == .waiting, due <= now, isExhausted { state = .timedOut }
  }

  /// Appends the request to `output` and returns its destination, or `nil` when none is due at `now`.
  /// - Precondition: `output` has room for ``messageSize`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> SocketAddress? {
    guard state == .waiting, due <= now, !isExhausted else { return nil }
    requestsSent += 1
    if firstSent == nil { firstSent = now }
    if transport == .stream {
      due = now + timing.reliableTimeout
    } else if isExhausted {
      due = now + timing.initialTimeout * timing.lastTimeoutFactor
    } else {
      due = now + interval
      interval *= 2
    }
    output.append(message.bytes)
    return destination
  }
}
