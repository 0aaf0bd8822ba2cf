import MeshPrimitives
import Testing

@testable import MeshCrypto

private typealias V = WireGuardVectors

@Suite("Noise IKpsk2, WireGuard's parameters") struct NoiseTests {
  static func initiator(
    to remote: PublicKey = V.responderPublic, into message: inout [UInt8]
  ) throws -> NoiseInitiator {
    let key = try PrivateKey(V.initiatorStatic)
    let shared = try key.sharedSecret(with: V.responderPublic)
    var entropy = FixedEntropy(bytes: V.initiatorEphemeral)
    var result: NoiseInitiator?
    message = try Array(capacity: 108) { output throws(KeyError) in
      result = try NoiseInitiator(
        localStatic: key, remoteStatic: remote, staticStatic: shared,
        timestamp: TAI64N(secondsSince1970: V.seconds, nanoseconds: V.nanoseconds), entropy: &entropy,
        writing: &output)
    }
    return result!
  }

  static func respond(
    to message: [UInt8], presharedKey: borrowing PresharedKey, provider: CipherProvider, into response: inout [UInt8]
  ) throws -> TransportKeys {
    let key = try PrivateKey(V.responderStatic)
    var entropy = FixedEntropy(bytes: V.responderEphemeral)
    var keys: TransportKeys?
    response = try Array(capacity: 48) { output throws(any Error) in
      var responder = try NoiseResponder(message, key)
      let shared = try key.sharedSecret(with: responder.remoteStatic)
      _ = try responder.readTimestamp(staticStatic: shared)
      keys = try responder.respond(
        presharedKey: presharedKey, entropy: &entropy, provider: provider, writing: &output)
    }
    return keys!
  }

  @Test func `both messages are the published ones`() throws {
    var message: [UInt8] = [], response: [UInt8] = []
    _ = try Self.initiator(into: &message)
    #expect(message == Array(V.initiation[8..<116]))
    let psk = try PresharedKey(V.presharedKey)
    _ = try Self.respond(
      to: message, presharedKey: psk, provider: CipherProvider(preferring: .libsodium), into: &response)
    #expect(response == Array(V.response[12..<60]))
  }

  @Test func `the responder reads the key and the time that were sent`() throws {
    let key = try PrivateKey(V.responderStatic)
    var responder = try NoiseResponder(Array(V.initiation[8..<116]), key)
    #expect(responder.remoteStatic == V.initiatorPublic)
    let time = try responder.readTimestamp(staticStatic: key.sharedSecret(with: responder.remoteStatic))
    #expect(Array(capacity: 12) { time.write(to: &$0) } == V.timestamp)
    #expect(responder.handshakeHash.rawBytes == V.hashAfterInitiation)
  }

  @Test(arguments: CipherProvider.available)
  func `the keys seal the published packets, by every backend`(backend: CipherBackend) throws {
    let provider = CipherProvider(preferring: backend)
    #expect(provider.table.allSatisfy { $0.backend == backend })
    let psk = try PresharedKey(V.presharedKey)
    var message: [UInt8] = [], response: [UInt8] = []
    let initiator = try Self.initiator(into: &message)
    let local = try PrivateKey(V.initiatorStatic)
    let answer = try Self.respond(to: message, presharedKey: psk, provider: provider, into: &response)
    let keys = try initiator.read(response, local, psk, provider)
    #expect(keys.exporter.handshakeHash.rawBytes == V.hashAfterResponse)
    #expect(answer.exporter.handshakeHash.rawBytes == V.hashAfterResponse)

    // The parts outlive the whole.
    var initiatorSeals = keys.sealing
    let initiatorOpens = keys.opening
    var responderSeals = answer.sealing
    let responderOpens = answer.opening

    func seal(_ key: inout SealingKey, _ plaintext: [UInt8]) throws -> ([UInt8], UInt64) {
      var buffer = plaintext + [UInt8](repeating: 0, count: 16)
      var span = buffer.mutableBytes
      let counter = try key.seal(&span)
      return (buffer, counter)
    }
    let keepalive = try seal(&initiatorSeals, [])
    #expect(keepalive == (Array(V.initiatorKeepalive[16...]), 0))
    var data = try seal(&initiatorSeals, V.dataPlaintext)
    #expect(data == (Array(V.data[16...]), 1))
    #expect(initiatorSeals.counter == 2)
    var back = try seal(&responderSeals, [])
    #expect(back == (Array(V.responderKeepalive[16...]), 0))

    var span = data.0.mutableBytes
    try responderOpens.open(&span, counter: 1)
    #expect(data.0.starts(with: V.dataPlaintext))
    span = back.0.mutableBytes
    try initiatorOpens.open(&span, counter: 0)
  }

  @Test func `without a preshared key the two still agree, and not with one who has it`() throws {
    let provider = CipherProvider(preferring: .libsodium)
    var message: [UInt8] = [], response: [UInt8] = []
    let initiator = try Self.initiator(into: &message)
    let local = try PrivateKey(V.initiatorStatic)
    _ = try Self.respond(to: message, presharedKey: PresharedKey(), provider: provider, into: &response)
    #expect(throws: CryptoError.forged) {
      _ = try initiator.read(response, local, PresharedKey(V.presharedKey), provider)
    }
    // Nothing changed by that: the true one still works.
    _ = try initiator.read(response, local, PresharedKey(), provider)
  }

  @Test func `every flipped bit and every wrong length of a response is refused, and the true one read afterwards`()
    throws
  {
    let provider = CipherProvider(preferring: .libsodium)
    var message: [UInt8] = []
    let initiator = try Self.initiator(into: &message)
    let local = try PrivateKey(V.initiatorStatic)
    let psk = try PresharedKey(V.presharedKey)
    let response = Array(V.response[12..<60])
    for bit in 0..<response.count * 8 {
      var forged = response
      forged[bit / 8] ^= 1 << (bit % 8)
      if bit == 255 { continue }  // RFC 7748 §5 masks this bit of the point, but the hash does not: see below.
      #expect(throws: CryptoError.self) {
        _ = try initiator.read(forged, local, psk, provider)
      }
    }
    var masked = response
    masked[31] ^= 0x80
    #expect(throws: CryptoError.forged) {
      _ = try initiator.read(masked, local, psk, provider)
    }
    for count in 0..<48 {
      #expect(throws: CryptoError.forged) {
        _ = try initiator.read(Array(response[..<count]), local, psk, provider)
      }
    }
    _ = try initiator.read(response, local, psk, provider)
  }

  @Test func `every flipped bit and every wrong length of an initiation is refused`() throws {
    let key = try PrivateKey(V.responderStatic)
    let message = Array(V.initiation[8..<116])
    let shared = try key.sharedSecret(with: V.initiatorPublic)
    for bit in 0..<message.count * 8 {
      var forged = message
      forged[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: CryptoError.self) {
        var responder = try NoiseResponder(forged, key)
        _ = try responder.readTimestamp(staticStatic: shared)
      }
    }
    for count in [0, 1, 31, 32, 80, 107, 109] {
      let cut = Array((message + [0]).prefix(count))
      #expect(throws: CryptoError.forged) { _ = try NoiseResponder(cut, key) }
    }
  }

  @Test func `a timestamp that is refused can be tried again`() throws {
    let key = try PrivateKey(V.responderStatic)
    var responder = try NoiseResponder(Array(V.initiation[8..<116]), key)
    let wrong = try key.sharedSecret(with: V.responderPublic)
    #expect(throws: CryptoError.forged) { _ = try responder.readTimestamp(staticStatic: wrong) }
    _ = try responder.readTimestamp(staticStatic: key.sharedSecret(with: V.initiatorPublic))
  }

  @Test func `both ends export the same keys, another for each label and message`() throws {
    let provider = CipherProvider(preferring: .libsodium)
    let psk = PresharedKey()
    var message: [UInt8] = [], response: [UInt8] = []
    let initiator = try Self.initiator(into: &message)
    let key = try PrivateKey(V.responderStatic)
    var responder = try NoiseResponder(message, key)
    _ = try responder.readTimestamp(staticStatic: key.sharedSecret(with: V.initiatorPublic))
    func bytes(_ secret: consuming SharedSecret) -> [UInt8] { secret.array() }
    let exported = bytes(initiator.exportKey(label: "a"))
    #expect(exported == bytes(responder.exportKey(label: "a")))
    #expect(exported == BLAKE2s.kdf(V.chainAfterInitiation, [0x61]).0)
    #expect(initiator.handshakeHash == responder.handshakeHash)
    #expect(exported != bytes(initiator.exportKey(label: "b")))
    let answer = try Self.respond(to: message, presharedKey: psk, provider: provider, into: &response)
    let keys = try initiator.read(response, PrivateKey(V.initiatorStatic), psk, provider)
    #expect(bytes(keys.exporter.exportKey(label: "a")) == bytes(answer.exporter.exportKey(label: "a")))
    #expect(bytes(keys.exporter.exportKey(label: "a")) != exported)
  }

  @Test(arguments: LowOrderPoints.all) func `an ephemeral key of low order is refused`(point: [UInt8]) throws {
    let key = try PrivateKey(V.responderStatic)
    let forged = point + Array(V.initiation[40..<116])
    #expect(throws: CryptoError.lowOrderPoint) { _ = try NoiseResponder(forged, key) }
    var message: [UInt8] = []
    let initiator = try Self.initiator(into: &message)
    #expect(throws: CryptoError.lowOrderPoint) {
      _ = try initiator.read(
        (point + Array(V.response[44..<60])), PrivateKey(V.initiatorStatic), PresharedKey(),
        CipherProvider(preferring: .libsodium))
    }
    #expect(throws: KeyError.lowOrderPoint) { _ = try Self.initiator(to: publicKey(point), into: &message) }
  }
}
