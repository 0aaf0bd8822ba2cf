/// When a request is sent again and when it is given up (RFC 8489 §6.2).
public struct RetransmissionTiming: Hashable, Sendable {
  /// RTO: how long after the first request the second goes out; each further wait is twice the one before.
  public var initialTimeout = Duration.milliseconds(500)
  /// Rc: how often the request is sent, at most.
  public var requests = 7
  /// Rm: how many RTO after the last request the transaction fails.
  public var lastTimeoutFactor = 16
  /// Ti: how long a transaction over a reliable transport may take.
  public var reliableTimeout = Duration.milliseconds(39_500)

  public init() {}

  public init(initialTimeout: Duration, requests: Int = 7, lastTimeoutFactor: Int = 16) {
    self.initialTimeout = initialTimeout
    self.requests = requests
    self.lastTimeoutFactor = lastTimeoutFactor
  }
}

/// What carries the messages.
@frozen
public enum STUNTransport: UInt8, Sendable {
  /// UDP (or DTLS): messages are datagrams, and requests are sent again.
  case datagram
  /// TCP or TLS: messages follow one another in a stream, and nothing is sent again.
  case stream
}
