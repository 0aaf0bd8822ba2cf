internal import MeshCrypto
internal import MeshPrimitives

/// The labels of the MAC fields (paper §5.4.4, §5.4.7), 8 bytes each.
enum Label {
  static let mac1: StaticString = "mac1----"
  static let cookie: StaticString = "cookie--"
}

/// Where the MAC fields of a handshake message begin.
struct MACOffsets {
  let mac1, mac2: Int

  init(messageSize: Int) {
    mac1 = messageSize - 32
    mac2 = messageSize - 16
  }
}

/// Verifies MAC1 and MAC2 of handshake messages to us and makes cookie replies (paper §5.3, §5.4.7).
struct CookieChecker {
  private let mac1Key: Digest32
  private let replyKey: Digest32
  /// R_m: 32 random bytes, new every 120 s.
  private var secret = [UInt8](repeating: 0, count: 32)
  private var secretMade: Instant?

  init(publicKey: PublicKey) {
    mac1Key = BLAKE2s.hash(Label.mac1, publicKey)
    replyKey = BLAKE2s.hash(Label.cookie, publicKey)
  }

  func hasValidMAC1(_ message: RawSpan) -> Bool {
    let offsets = MACOffsets(messageSize: message.byteCount)
    return BLAKE2s.mac16(key: mac1Key.bytes, message.extracting(0..<offsets.mac1))
      .matches(message.extracting(offsets.mac1..<offsets.mac2))
  }

  mutating func hasValidMAC2(_ message: RawSpan, from source: SocketAddress, now: Instant) -> Bool {
    guard let secretMade, now.nanoseconds(since: secretMade) < WireGuard.cookieLife else { return false }
    let offsets = MACOffsets(messageSize: message.byteCount)
    return BLAKE2s.mac16(key: cookie(for: source).bytes, message.extracting(0..<offsets.mac2))
      .matches(message.extracting(offsets.mac2..<message.byteCount))
  }

  /// A cookie reply to `message`, which came from `source`: 64 bytes.
  mutating func reply(
    to message: RawSpan, from source: SocketAddress, now: Instant, entropy: inout any Entropy
  ) -> [UInt8] {
    if secretMade.map({ now.nanoseconds(since: $0) >= WireGuard.cookieLife }) ?? true {
      var span = secret.mutableBytes
      entropy.fill(&span)
      secretMade = now
    }
    let offsets = MACOffsets(messageSize: message.byteCount)
    var nonce = [UInt8](repeating: 0, count: 24)
    var span = nonce.mutableBytes
    entropy.fill(&span)
    let cookie = cookie(for: source)
    return Array(capacity: WireGuard.cookieReplySize) { output in
      output.append(MessageType.cookieReply.rawValue, .little)
      output.append(message.uint32(at: 4), .little)
      output.append(nonce.bytes)
      XChaCha20Poly1305.seal(
        key: replyKey.bytes, nonce: nonce.bytes, plaintext: cookie.bytes,
        authenticating: message.extracting(offsets.mac1..<offsets.mac2), into: &output)
    }
  }

  /// MAC(R_m, address ‖ port).
  private func cookie(for source: SocketAddress) -> Tag16 {
    let encoded = Array(capacity: 18) { output in
      if source.address.family == .v4 {
        output.append(UInt32(truncatingIfNeeded: source.address.low), .big)
      } else {
        output.append(source.address.high, .big)
        output.append(source.address.low, .big)
      }
      output.append(source.port, .big)
    }
    return BLAKE2s.mac16(key: secret.bytes, encoded.bytes)
  }
}

/// Puts MAC1 and MAC2 on handshake messages to one peer and takes in its cookie replies.
struct CookieHolder {
  private var cookie: (value: Tag16, received: Instant)?
  /// MAC1 of the last handshake message sent: a cookie reply is bound to it.
  private var lastMAC1: Tag16?

  /// Fills the MAC fields, the last 32 bytes of `message`.
  mutating func sign(_ message: inout [UInt8], to peer: PublicKey, now: Instant) {
    let offsets = MACOffsets(messageSize: message.count)
    let mac1 = BLAKE2s.mac16(
      key: BLAKE2s.hash(Label.mac1, peer).bytes, message.bytes.extracting(0..<offsets.mac1))
    lastMAC1 = mac1
    var bytes = message.mutableBytes
    bytes.copy(mac1.bytes, at: offsets.mac1)
    signAgain(&message, now: now)
  }

  /// Fills MAC2 alone, with the cookie that is valid now: all bytes before it stay as they are.
  func signAgain(_ message: inout [UInt8], now: Instant) {
    guard let cookie, now.nanoseconds(since: cookie.received) < WireGuard.cookieLife else { return }
    let offsets = MACOffsets(messageSize: message.count)
    let mac2 = BLAKE2s.mac16(key: cookie.value.bytes, message.bytes.extracting(0..<offsets.mac2))
    var bytes = message.mutableBytes
    bytes.copy(mac2.bytes, at: offsets.mac2)
  }

  /// Takes in a cookie reply of 64 bytes; one reply per MAC1 sent.
  mutating func handle(reply: RawSpan, from peer: PublicKey, now: Instant) throws(DropReason) {
    guard let mac1 = lastMAC1 else { throw .noHandshake }
    do {
      let plaintext = try Array(capacity: 16) { output throws(CryptoError) in
        try XChaCha20Poly1305.open(
          key: BLAKE2s.hash(Label.cookie, peer).bytes, nonce: reply.extracting(8..<32),
          ciphertext: reply.extracting(32..<64), authenticating: mac1.bytes, into: &output)
      }
      var reader = ByteReader(plaintext.bytes)
      cookie = (try Tag16(parsing: &reader), now)
    } catch { throw .forged }
    lastMAC1 = nil
  }
}
