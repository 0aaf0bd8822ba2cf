/// The caps that both codecs keep, so that they accept the same packets.
public enum PacketLimits {
  /// The greatest number of a packet.
  public static let maxNumber: UInt64 = 1 << 62 - 1
  /// Fields in one `Packet`, each element of a repeated one counted.
  public static let fields = 256
  /// Ranges in one `Ack`.
  public static let ackRanges = 256
  /// Bytes of a service name.
  public static let serviceLength = 255
  /// The greatest sum of a frame's offset and its length, in bytes.
  public static let maxOffset: UInt64 = 1 << 62 - 1
}
