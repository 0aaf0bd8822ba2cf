/// The number that an attribute goes by (RFC 8489 §14 and IANA's registry). Those below 0x8000 must be understood.
@frozen
public struct AttributeType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Whether a message must be refused by who does not know the attribute (RFC 8489 §14).
  @inlinable public var isComprehensionRequired: Bool { rawValue < 0x8000 }
}

extension AttributeType {
  // RFC 8489 §18.3.
  @inlinable public static var mappedAddress: Self { Self(rawValue: 0x0001) }
  @inlinable public static var username: Self { Self(rawValue: 0x0006) }
  @inlinable public static var messageIntegrity: Self { Self(rawValue: 0x0008) }
  @inlinable public static var errorCode: Self { Self(rawValue: 0x0009) }
  @inlinable public static var unknownAttributes: Self { Self(rawValue: 0x000A) }
  @inlinable public static var realm: Self { Self(rawValue: 0x0014) }
  @inlinable public static var nonce: Self { Self(rawValue: 0x0015) }
  @inlinable public static var messageIntegritySHA256: Self { Self(rawValue: 0x001C) }
  @inlinable public static var passwordAlgorithm: Self { Self(rawValue: 0x001D) }
  @inlinable public static var userhash: Self { Self(rawValue: 0x001E) }
  @inlinable public static var xorMappedAddress: Self { Self(rawValue: 0x0020) }
  @inlinable public static var passwordAlgorithms: Self { Self(rawValue: 0x8002) }
  @inlinable public static var alternateDomain: Self { Self(rawValue: 0x8003) }
  @inlinable public static var software: Self { Self(rawValue: 0x8022) }
  @inlinable public static var alternateServer: Self { Self(rawValue: 0x8023) }
  @inlinable public static var fingerprint: Self { Self(rawValue: 0x8028) }

  // RFC 5780 §7.
  @inlinable public static var changeRequest: Self { Self(rawValue: 0x0003) }
  @inlinable public static var padding: Self { Self(rawValue: 0x0026) }
  @inlinable public static var responsePort: Self { Self(rawValue: 0x0027) }
  @inlinable public static var responseOrigin: Self { Self(rawValue: 0x802B) }
  @inlinable public static var otherAddress: Self { Self(rawValue: 0x802C) }

  // RFC 8445 §16.1.
  @inlinable public static var priority: Self { Self(rawValue: 0x0024) }
  @inlinable public static var useCandidate: Self { Self(rawValue: 0x0025) }
  @inlinable public static var iceControlled: Self { Self(rawValue: 0x8029) }
  @inlinable public static var iceControlling: Self { Self(rawValue: 0x802A) }

  // RFC 8656 §18.
  @inlinable public static var channelNumber: Self { Self(rawValue: 0x000C) }
  @inlinable public static var lifetime: Self { Self(rawValue: 0x000D) }
  @inlinable public static var xorPeerAddress: Self { Self(rawValue: 0x0012) }
  @inlinable public static var data: Self { Self(rawValue: 0x0013) }
  @inlinable public static var xorRelayedAddress: Self { Self(rawValue: 0x0016) }
  @inlinable public static var requestedAddressFamily: Self { Self(rawValue: 0x0017) }
  @inlinable public static var evenPort: Self { Self(rawValue: 0x0018) }
  @inlinable public static var requestedTransport: Self { Self(rawValue: 0x0019) }
  @inlinable public static var dontFragment: Self { Self(rawValue: 0x001A) }
  @inlinable public static var reservationToken: Self { Self(rawValue: 0x0022) }
  @inlinable public static var additionalAddressFamily: Self { Self(rawValue: 0x8000) }
  @inlinable public static var addressErrorCode: Self { Self(rawValue: 0x8001) }
  @inlinable public static var icmp: Self { Self(rawValue: 0x8004) }
}

/// A set of comprehension-required attributes, for ``STUNMessage/unknownAttributes(knowing:)``.
///
/// Of the types below 0x8000 those below 0x0040 can be in it: more have not been assigned.
@frozen
public struct AttributeSet: ExpressibleByArrayLiteral, Sendable {
  @usableFromInline var bits: UInt64 = 0

  @inlinable public init(arrayLiteral types: AttributeType...) { for type in types { insert(type) } }

  @inlinable public mutating func insert(_ type: AttributeType) {
    precondition(type.rawValue < 64, "only types below 0x0040 can be in the set")
    bits |= 1 << UInt64(type.rawValue)
  }

  @inlinable public func contains(_ type: AttributeType) -> Bool {
    type.rawValue < 64 && bits >> UInt64(type.rawValue) & 1 == 1
  }

  @inlinable public func union(_ other: AttributeSet) -> AttributeSet {
    var union = self
    union.bits |= other.bits
    return union
  }

  /// What RFC 8489 itself defines.
  public static let stun: AttributeSet = [
    .mappedAddress, .username, .messageIntegrity, .errorCode, .unknownAttributes, .realm, .nonce,
    .messageIntegritySHA256, .passwordAlgorithm, .userhash, .xorMappedAddress,
  ]
}
