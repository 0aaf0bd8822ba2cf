/// The two ECN bits of an IP header (RFC 3168 §5, RFC 9331 for ECT(1)).
@frozen
public enum ECN: UInt8, Sendable {
  case notECT = 0b00
  case ect1 = 0b01
  case ect0 = 0b10
  case ce = 0b11

  /// The codepoint in the low two bits of a traffic-class octet.
  @inlinable public init(trafficClass: UInt8) { self = ECN(rawValue: trafficClass & 0b11)! }
}
