internal import MeshPrimitives

/// The constants of the protocol (WireGuard paper §5 and §6).
public enum WireGuard {
  public static let rekeyAfterMessages: UInt64 = 1 << 60
  /// 2^64 − 2^13 − 1: counters at or above it are neither sent nor accepted.
  public static let rejectAfterMessages = UInt64.max - (1 << 13)
  public static let rekeyAfterTime = Duration.seconds(120)
  public static let rejectAfterTime = Duration.seconds(180)
  public static let rekeyAttemptTime = Duration.seconds(90)
  public static let rekeyTimeout = Duration.seconds(5)
  public static let keepaliveTimeout = Duration.seconds(10)
  public static let cookieLifetime = Duration.seconds(120)

  /// Sizes of the messages, in bytes.
  public static let initiationSize = 148
  public static let responseSize = 92
  public static let cookieReplySize = 64
  /// Header of a transport message: type, receiver index and counter.
  public static let transportHeaderSize = 16
  /// Poly1305 tag.
  public static let tagSize = 16
  /// Bytes of a transport message besides its plaintext.
  public static let transportOverhead = transportHeaderSize + tagSize

  /// The size that `count` bytes of plaintext are padded to: the next multiple of 16, but never above the MTU of the
  /// tunnel (packets above it are padded by their last part alone).
  ///
  /// - Parameters:
  ///   - count: bytes of plaintext.
  ///   - mtu: the MTU of the tunnel in bytes; above 0.
  @inlinable public static func paddedSize(of count: Int, mtu: Int) -> Int {
    let unit = count > mtu ? count % mtu : count
    return count - unit + min((unit + 15) & ~15, mtu)
  }

  // In nanoseconds, for comparisons made per packet.
  static let rekeyAfter: Int64 = 120_000_000_000
  static let rejectAfter: Int64 = 180_000_000_000
  /// REJECT_AFTER_TIME − KEEPALIVE_TIMEOUT − REKEY_TIMEOUT.
  static let lastMinuteRekeyAfter: Int64 = 165_000_000_000
  /// Erasure of all keys: 3 × REJECT_AFTER_TIME.
  static let eraseAfter: Int64 = 540_000_000_000
  static let handshakeSpacing: Int64 = 5_000_000_000
  static let keepaliveAfter: Int64 = 10_000_000_000
  static let cookieLife: Int64 = 120_000_000_000
  static let initiationSpacing: Int64 = 20_000_000
  /// Largest random addition to REKEY_TIMEOUT.
  static let jitter: UInt64 = 334_000_000
  /// Handshakes are given up when the count of retries exceeds this: after 20 initiations, about 90 s.
  static let maximumRetries = 18
  static let stagedPackets = 128
}

/// The type of a message: its first byte; the next three are zero.
enum MessageType: UInt32 {
  case initiation = 1
  case response = 2
  case cookieReply = 3
  case transport = 4

  /// Type and size, or why the datagram is no message of WireGuard.
  static func classify(_ datagram: RawSpan) throws(DropReason) -> MessageType {
    guard datagram.byteCount >= 4,
      let type = unsafe MessageType(rawValue: UInt32(littleEndian: datagram.unsafeLoadUnaligned(as: UInt32.self)))
    else { throw .unknownType }
    let fits =
      switch type {
      case .initiation: datagram.byteCount == WireGuard.initiationSize
      case .response: datagram.byteCount == WireGuard.responseSize
      case .cookieReply: datagram.byteCount == WireGuard.cookieReplySize
      case .transport: datagram.byteCount >= WireGuard.transportOverhead
      }
    guard fits else { throw .wrongLength }
    return type
  }
}

extension RawSpan {
  /// Four bytes at `offset` as a little-endian number. Traps when out of bounds.
  func uint32(at offset: Int) -> UInt32 {
    unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// Eight bytes at `offset` as a little-endian number. Traps when out of bounds.
  func uint64(at offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
