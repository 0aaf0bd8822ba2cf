public import MeshSTUN

// The attributes of RFC 8656 §18 as typed keys.

extension AddressKey {
  @inlinable public static var xorPeerAddress: Self { Self(.xorPeerAddress, isXORed: true) }
  @inlinable public static var xorRelayedAddress: Self { Self(.xorRelayedAddress, isXORed: true) }
}

extension UInt32Key {
  /// Seconds.
  @inlinable public static var lifetime: Self { Self(.lifetime) }
  /// The number is in the upper 16 bits.
  @inlinable public static var channelNumber: Self { Self(.channelNumber) }
  /// The protocol of IP is in the upper 8 bits.
  @inlinable public static var requestedTransport: Self { Self(.requestedTransport) }
  /// The family, 1 or 2, is in the upper 8 bits.
  @inlinable public static var requestedAddressFamily: Self { Self(.requestedAddressFamily) }
  /// The family, 2, is in the upper 8 bits.
  @inlinable public static var additionalAddressFamily: Self { Self(.additionalAddressFamily) }
  /// The family is in the upper 8 bits, class and number of the error in the lowest 16 (RFC 8656 §18.12).
  @inlinable public static var addressErrorCode: Self { Self(.addressErrorCode) }
}

extension FlagKey {
  @inlinable public static var dontFragment: Self { Self(.dontFragment) }
}

extension BytesKey {
  @inlinable public static var data: Self { Self(.data, 0...65_535) }
  @inlinable public static var reservationToken: Self { Self(.reservationToken, 8...8) }
  /// One byte, whose top bit asks for the next port to be kept.
  @inlinable public static var evenPort: Self { Self(.evenPort, 1...1) }
}

extension AttributeSet {
  /// What a TURN server or client must understand beside ``stun``.
  public static let turn: AttributeSet = AttributeSet.stun.union([
    .channelNumber, .lifetime, .xorPeerAddress, .data, .xorRelayedAddress, .requestedAddressFamily, .evenPort,
    .requestedTransport, .dontFragment, .reservationToken,
  ])
}

/// Numbers of RFC 8656.
enum TURN {
  static let udp: UInt8 = 17
  static let permissionLifetime: Int64 = 300_000_000_000
  static let channelLifetime: Int64 = 600_000_000_000
  static let reservationLifetime: Int64 = 30_000_000_000
}
