/// A 10-byte locator: the beginning of a hash of a public key. It names whom to look for and is no identity.
///
/// MeshCrypto derives it: `BLAKE2s-256("pnet.mesh.address.v1" ‖ key)[0..<10]`.
@frozen
public struct MeshAddress: Hashable, Sendable {
  @usableFromInline let head: UInt64
  @usableFromInline let tail: UInt16

  /// Takes 10 bytes from `reader`.
  /// - Throws: `.truncated` when fewer are left.
  @inlinable public init(parsing reader: inout ByteReader) throws(DecodeError) {
    try reader.require(10)
    head = try reader.readUInt64(.big)
    tail = try reader.readUInt16(.big)
  }

  /// Appends the 10 bytes.
  @inlinable public func write(to output: inout OutputRawSpan) {
    output.append(head, .big)
    output.append(tail, .big)
  }
}

extension MeshAddress: CustomStringConvertible {
  /// 20 lower-case hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    let text = (0..<10).flatMap { index -> [UInt8] in
      let byte = index < 8 ? head >> (56 - 8 * UInt64(index)) : UInt64(tail) >> (8 * UInt64(9 - index))
      return [digits[Int(byte >> 4 & 0xF)], digits[Int(byte & 0xF)]]
    }
    return String(decoding: text, as: UTF8.self)
  }
}
