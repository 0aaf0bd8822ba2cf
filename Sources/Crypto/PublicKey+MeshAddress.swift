public import MeshPrimitives

extension PublicKey {
  /// `BLAKE2s-256("pnet.mesh.address.v1" ‖ key)`, whose beginning is the mesh address.
  public func addressHash() -> Digest32 { BLAKE2s.hash("pnet.mesh.address.v1", self) }

  /// The 10-byte locator of this key.
  public var meshAddress: MeshAddress {
    let hash = addressHash()
    var reader = ByteReader(hash.bytes)
    guard let address = try? MeshAddress(parsing: &reader) else { fatalError("unreachable: 32 bytes") }
    return address
  }
}
