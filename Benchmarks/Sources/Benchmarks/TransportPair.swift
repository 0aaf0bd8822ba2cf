import MeshCrypto
import MeshPrimitives
import MeshSimulation

/// The keys of both ends of a finished handshake.
struct TransportPair: ~Copyable {
  var left: TransportKeys
  var right: TransportKeys

  init(_ provider: CipherProvider) {
    let ends = NoiseEnds()
    var initiator: NoiseInitiator?
    let first = [UInt8](capacity: NoiseInitiator.messageSize) { initiator = ends.initiate(writing: &$0) }
    var responder = ends.read(first)
    ends.readTimestamp(&responder)
    var right: TransportKeys?
    var finishing: NoiseResponder? = consume responder
    let second = [UInt8](capacity: NoiseResponder.messageSize) { output in
      right = ends.respond(finishing.take()!, provider, writing: &output)
    }
    left = ends.finish(initiator!, second, provider)
    self.right = right.take()!
  }
}

/// Two keys that know each other, and the steps of a handshake between them.
final class NoiseEnds {
  let left: PrivateKey
  let right: PrivateKey
  let leftSecret: SharedSecret
  let rightSecret: SharedSecret
  let presharedKey = PresharedKey()
  var entropy = SystemEntropy()
  let timestamp = TAI64N(secondsSince1970: 1_700_000_000, nanoseconds: 0)

  init() {
    left = try! PrivateKey(generating: &entropy)
    right = try! PrivateKey(generating: &entropy)
    leftSecret = try! left.sharedSecret(with: right.publicKey)
    rightSecret = try! right.sharedSecret(with: left.publicKey)
  }

  func initiate(writing output: inout OutputRawSpan) -> NoiseInitiator {
    try! NoiseInitiator(
      localStatic: left, remoteStatic: right.publicKey, staticStatic: leftSecret, timestamp: timestamp,
      entropy: &entropy, writing: &output)
  }

  func read(_ first: [UInt8]) -> NoiseResponder { try! NoiseResponder(reading: first.bytes, localStatic: right) }

  func readTimestamp(_ responder: inout NoiseResponder) {
    _ = try! responder.readTimestamp(staticStatic: rightSecret)
  }

  func respond(
    _ responder: consuming NoiseResponder, _ provider: CipherProvider, writing output: inout OutputRawSpan
  ) -> TransportKeys {
    try! responder.respond(presharedKey: presharedKey, entropy: &entropy, provider: provider, writing: &output)
  }

  func finish(_ initiator: borrowing NoiseInitiator, _ second: [UInt8], _ provider: CipherProvider) -> TransportKeys {
    try! initiator.read(response: second.bytes, localStatic: left, presharedKey: presharedKey, provider: provider)
  }
}
