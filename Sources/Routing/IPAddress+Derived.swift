public import MeshPrimitives

// The IPv6 address that each node owns: it says whose key to look for (docs: protocol, addresses).

extension IPAddress {
  /// The IPv6 address derived from a key: `fd`, then the first 15 bytes of the hash that the key's ``MeshAddress`` is the
  /// beginning of.
  ///
  /// - Parameter hash: the 32 bytes of `BLAKE2s-256("pnet.mesh.address.v1" ‖ key)`.
  public init(derivedFromAddressHash hash: RawSpan) {
    precondition(hash.byteCount == 32, "the hash of an address has 32 bytes")
    var high: UInt64 = 0xFD
    var low: UInt64 = 0
    for offset in 0..<7 { high = high << 8 | UInt64(hash.byte(at: offset)) }
    for offset in 7..<15 { low = low << 8 | UInt64(hash.byte(at: offset)) }
    self.init(v6High: high, low: low)
  }

  /// Whether this is the address derived from the key with `hash`, 32 bytes as for ``init(derivedFromAddressHash:)``.
  public func isDerived(fromAddressHash hash: RawSpan) -> Bool {
    self == IPAddress(derivedFromAddressHash: hash)
  }

  /// Whether a derived address could look like this one: it lies in `fd00::/8`, as other local addresses (RFC 4193) do.
  public var isInDerivedRange: Bool { IPPrefix.derivedRange.contains(self) }

  /// The first bytes of the hash, 10, that a derived address shows: those of the locator of the key to look for.
  /// `nil` outside of `fd00::/8`.
  public var derivedMeshAddress: MeshAddress? {
    guard isInDerivedRange else { return nil }
    let bytes = Array(capacity: 16) { output in
      output.append(high, .big)
      output.append(low, .big)
    }
    var reader = ByteReader(bytes.bytes.extracting(1..<11))
    return try? MeshAddress(parsing: &reader)
  }
}

extension IPPrefix {
  /// `fd00::/8`, where all derived addresses lie.
  public static let derivedRange = IPPrefix(IPAddress(v6High: 0xFD00_0000_0000_0000, low: 0), length: 8)!
}
