#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// An IPv4 or IPv6 address. 17 bytes; comparing and hashing allocate nothing.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is not equal to the IPv4 address; see ``unmapped``.
@frozen
public struct IPAddress: Hashable, Sendable {
  @frozen public enum Family: UInt8, Sendable { case v4, v6 }

  public let family: Family
  /// The first eight bytes of an IPv6 address as a big-endian number; 0 for IPv4.
  public let high: UInt64
  /// The last eight bytes of an IPv6 address, or the four bytes of an IPv4 address, as a big-endian number.
  public let low: UInt64

  /// The IPv4 address whose four bytes are `bits` in network order: `0xC000_0201` is 192.0.2.1.
  @inlinable public init(v4 bits: UInt32) {
    family = .v4
    high = 0
    low = UInt64(bits)
  }

  /// The IPv6 address of the two halves, each a big-endian number.
  @inlinable public init(v6High high: UInt64, low: UInt64) {
    family = .v6
    self.high = high
    self.low = low
  }

  /// Bits in an address of this family: 32 or 128.
  @inlinable public var bitWidth: Int { family == .v4 ? 32 : 128 }

  /// The IPv4 address inside an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2); any other address unchanged.
  @inlinable public var unmapped: IPAddress {
    guard family == .v6, high == 0, low >> 32 == 0xFFFF else { return self }
    return IPAddress(v4: UInt32(truncatingIfNeeded: low))
  }

  public var isLoopback: Bool {
    family == .v4 ? low >> 24 == 127 : high == 0 && low == 1
  }

  public var isUnspecified: Bool { high == 0 && low == 0 }

  public var isMulticast: Bool {
    family == .v4 ? low >> 28 == 0xE : high >> 56 == 0xFF
  }

  /// The address in its usual text form, without zone; `nil` unless all of `text` is one address.
  public init?(_ text: some StringProtocol) {
    let text = String(text)
    guard text.utf8.count < 46, !text.utf8.contains(0) else { return nil }
    var v4 = in_addr()
    if unsafe inet_pton(AF_INET, text, &v4) == 1 {
      self.init(v4: UInt32(bigEndian: v4.s_addr))
      return
    }
    var halves: (UInt64, UInt64) = (0, 0)
    guard unsafe inet_pton(AF_INET6, text, &halves) == 1 else { return nil }
    self.init(v6High: UInt64(bigEndian: halves.0), low: UInt64(bigEndian: halves.1))
  }
}

extension IPAddress: CustomStringConvertible {
  /// The text form of RFC 5952.
  public var description: String {
    var text = [CChar](repeating: 0, count: 46)
    if family == .v4 {
      var bits = in_addr(s_addr: UInt32(truncatingIfNeeded: low).bigEndian)
      _ = unsafe inet_ntop(AF_INET, &bits, &text, 46)
    } else {
      var halves = (high.bigEndian, low.bigEndian)
      _ = unsafe inet_ntop(AF_INET6, &halves, &text, 46)
    }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension IPAddress: Comparable {
  /// IPv4 before IPv6, then by value: an order for output, the same in every process.
  @inlinable public static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.family.rawValue, left.high, left.low) < (right.family.rawValue, right.high, right.low)
  }
}
