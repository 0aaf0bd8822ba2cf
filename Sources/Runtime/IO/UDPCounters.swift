internal import Glibc

/// What a socket did, and what became of what it could not do. Nothing of it ends the loop.
public struct UDPCounters: Equatable, Sendable {
  /// Datagrams that came, those of one message counted singly.
  public var receivedDatagrams: UInt64 = 0
  /// UDP payload of these, in bytes.
  public var receivedBytes: UInt64 = 0
  /// Messages that did not fit into their buffer, dropped.
  public var receivedTruncated: UInt64 = 0
  /// Datagrams that the kernel took, those of one run counted singly.
  public var sentDatagrams: UInt64 = 0
  /// UDP payload of these, in bytes.
  public var sentBytes: UInt64 = 0
  /// System calls that sent or tried to.
  public var sendCalls: UInt64 = 0
  /// System calls that received or tried to.
  public var receiveCalls: UInt64 = 0
  /// Flushes that ended because the socket's buffer was full.
  public var sendBlocked: UInt64 = 0
  /// Runs whose source the kernel refused, sent from an address that it chose.
  public var refusedSources: UInt64 = 0

  // Datagrams that were dropped, by reason.

  /// Longer than the path or device takes (EMSGSIZE).
  public var tooLarge: UInt64 = 0
  /// No route, network or host there (ENETUNREACH, EHOSTUNREACH, ENETDOWN), or a family that the socket lacks.
  public var unreachable: UInt64 = 0
  /// An answer said that nobody listens (ECONNREFUSED).
  public var refused: UInt64 = 0
  /// A firewall forbids it (EPERM, EACCES).
  public var denied: UInt64 = 0
  /// The device's queue is full (ENOBUFS, ENOMEM).
  public var noBuffers: UInt64 = 0
  /// The destination is none that can be used (EINVAL, EADDRNOTAVAIL).
  public var badAddress: UInt64 = 0
  /// Any other error.
  public var otherErrors: UInt64 = 0
  /// Errors of receiving.
  public var receiveErrors: UInt64 = 0

  mutating func count(_ datagrams: Int, droppedFor errno: Int32) {
    let count = UInt64(datagrams)
    switch errno {
    case EMSGSIZE: tooLarge += count
    case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EAFNOSUPPORT: unreachable += count
    case ECONNREFUSED: refused += count
    case EPERM, EACCES: denied += count
    case ENOBUFS, ENOMEM: noBuffers += count
    case EINVAL, EADDRNOTAVAIL: badAddress += count
    default: otherErrors += count
    }
  }
}
