// Typed names of attributes: what `STUNMessage.value(_:)` reads and `MessageWriter.append(_:_:to:)` writes. Each is a type
// number with the form of its value; other layers add theirs in extensions.

/// An attribute that holds an address: family, port, 4 or 16 bytes (RFC 8489 §14.1, §14.2).
@frozen
public struct AddressKey: Sendable {
  public let type: AttributeType
  /// Whether the value is masked with cookie and transaction ID.
  public let isXORed: Bool

  @inlinable public init(_ type: AttributeType, isXORed: Bool) {
    self.type = type
    self.isXORed = isXORed
  }

  @inlinable public static var mappedAddress: Self { Self(.mappedAddress, isXORed: false) }
  @inlinable public static var xorMappedAddress: Self { Self(.xorMappedAddress, isXORed: true) }
  @inlinable public static var alternateServer: Self { Self(.alternateServer, isXORed: false) }
  /// Where the response was sent from (RFC 5780 §7.3).
  @inlinable public static var responseOrigin: Self { Self(.responseOrigin, isXORed: false) }
  /// The server's address that differs in IP and port (RFC 5780 §7.4).
  @inlinable public static var otherAddress: Self { Self(.otherAddress, isXORed: false) }
}

/// An attribute that holds a big-endian number of 32 bits.
@frozen
public struct UInt32Key: Sendable {
  public let type: AttributeType
  @inlinable public init(_ type: AttributeType) { self.type = type }

  /// The priority of a peer-reflexive candidate (RFC 8445 §7.1.1).
  @inlinable public static var priority: Self { Self(.priority) }
}

/// An attribute that holds a big-endian number of 64 bits.
@frozen
public struct UInt64Key: Sendable {
  public let type: AttributeType
  @inlinable public init(_ type: AttributeType) { self.type = type }

  /// The tie-breaker of an agent in the controlled role (RFC 8445 §7.1.3).
  @inlinable public static var iceControlled: Self { Self(.iceControlled) }
  /// The tie-breaker of an agent in the controlling role (RFC 8445 §7.1.3).
  @inlinable public static var iceControlling: Self { Self(.iceControlling) }
}

/// An attribute without a value: it is there or not.
@frozen
public struct FlagKey: Sendable {
  public let type: AttributeType
  @inlinable public init(_ type: AttributeType) { self.type = type }

  /// Nomination (RFC 8445 §7.1.2).
  @inlinable public static var useCandidate: Self { Self(.useCandidate) }
}

/// An attribute that holds bytes, often UTF-8 text, of a bounded length.
@frozen
public struct BytesKey: Sendable {
  public let type: AttributeType
  /// The least and the greatest length, in bytes.
  public let lengths: ClosedRange<Int>

  @inlinable public init(_ type: AttributeType, _ lengths: ClosedRange<Int>) {
    self.type = type
    self.lengths = lengths
  }

  @inlinable public static var username: Self { Self(.username, 0...513) }
  @inlinable public static var userhash: Self { Self(.userhash, 32...32) }
  @inlinable public static var realm: Self { Self(.realm, 0...763) }
  @inlinable public static var nonce: Self { Self(.nonce, 0...763) }
  @inlinable public static var software: Self { Self(.software, 0...763) }
  @inlinable public static var alternateDomain: Self { Self(.alternateDomain, 0...255) }
  /// Zeros that make a message longer (RFC 5780 §7.6).
  @inlinable public static var padding: Self { Self(.padding, 0...65_504) }
}
