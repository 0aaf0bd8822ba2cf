/// What became of the messages that one dictionary, or none, was used for. Counters wrap.
public struct DictionaryStatistics: Equatable, Sendable {
  /// Compressed, or decompressed.
  public var messages: UInt64 = 0
  /// Their bytes as the application knows them.
  public var contentBytes: UInt64 = 0
  /// Their bytes as they travel.
  public var compressedBytes: UInt64 = 0
  /// Tried and not worth it: these travel as they are.
  public var incompressible: UInt64 = 0
  /// Bytes of those.
  public var incompressibleBytes: UInt64 = 0
  /// Not tried at all, by ``AdaptiveBypass``.
  public var bypassed: UInt64 = 0
  /// Bytes of those.
  public var bypassedBytes: UInt64 = 0
  /// Failed to decompress.
  public var failures: UInt64 = 0

  public init() {}

  /// How many times smaller all messages together became, those that travel as they are included; 1 when there were none.
  public var ratio: Double {
    let plain = Double(incompressibleBytes) + Double(bypassedBytes)
    let travelled = Double(compressedBytes) + plain
    return travelled > 0 ? (Double(contentBytes) + plain) / travelled : 1
  }

  /// The sums of both.
  public static func += (left: inout Self, right: Self) {
    left.messages &+= right.messages
    left.contentBytes &+= right.contentBytes
    left.compressedBytes &+= right.compressedBytes
    left.incompressible &+= right.incompressible
    left.incompressibleBytes &+= right.incompressibleBytes
    left.bypassed &+= right.bypassed
    left.bypassedBytes &+= right.bypassedBytes
    left.failures &+= right.failures
  }
}
