internal import MeshPrimitives
internal import MeshSTUN

/// Send and Data indications around data that lies in a buffer already (RFC 8656 §11): header, XOR-PEER-ADDRESS, DATA.
enum DataIndication {
  /// Bytes before the data, at most: 20 of header, 24 of address, 4 of attribute header.
  static let headroom = 48

  /// Writes all that an indication has around `payload`; `nil` when there is no room before or behind it.
  static func wrap(
    _ bytes: inout MutableRawSpan, _ payload: Range<Int>, method: MessageMethod, peer: SocketAddress, id: TransactionID
  ) -> Range<Int>? {
    let isV4 = peer.address.family == .v4
    let head = isV4 ? 36 : 48
    let padding = -payload.count & 3
    let length = head - 20 + payload.count + padding
    guard payload.lowerBound >= head, length <= 0xFFFF, padding <= bytes.byteCount - payload.upperBound else {
      return nil
    }
    let start = payload.lowerBound - head
    let cookie = STUNMessage.magicCookie
    // Class indication is bit 4; both methods are below 16.
    bytes.store(UInt32(method.rawValue | 0x10) << 16 | UInt32(length), at: start, .big)
    bytes.store(cookie, at: start + 4, .big)
    bytes.store(id.high, at: start + 8, .big)
    bytes.store(id.low, at: start + 12, .big)
    let port = UInt32(peer.port ^ UInt16(truncatingIfNeeded: cookie >> 16))
    bytes.store(UInt32(AttributeType.xorPeerAddress.rawValue) << 16 | (isV4 ? 8 : 20), at: start + 20, .big)
    bytes.store((isV4 ? 1 : 2) << 16 | port, at: start + 24, .big)
    if isV4 {
      bytes.store(UInt32(truncatingIfNeeded: peer.address.low) ^ cookie, at: start + 28, .big)
    } else {
      bytes.store(peer.address.high ^ (UInt64(cookie) << 32 | UInt64(id.high)), at: start + 28, .big)
      bytes.store(peer.address.low ^ id.low, at: start + 36, .big)
    }
    bytes.store(
      UInt32(AttributeType.data.rawValue) << 16 | UInt32(payload.count), at: payload.lowerBound - 4, .big)
    for offset in payload.upperBound..<payload.upperBound + padding {
      bytes.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
    }
    return start..<payload.upperBound + padding
  }
}
