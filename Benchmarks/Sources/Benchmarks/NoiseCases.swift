import MeshCrypto
import MeshPrimitives

/// What the handshake costs each side, without session and MACs. The cached secret of the two static keys is given, as a
/// session has it.
let noiseCases: [Benchmark] = [
  Benchmark("noise/x25519/shared-secret") {
    let ends = NoiseEnds()
    let key = ends.right.publicKey
    return .loop { count in
      for _ in 0..<count { _ = try! ends.left.sharedSecret(with: key) }
    }
  },
  Benchmark("noise/handshake/initiator") {
    let (ends, provider) = (NoiseEnds(), CipherProvider())
    let (initiator, second) = exchange(ends, provider)
    return .loop { count in
      for _ in 0..<count {
        use(UInt64([UInt8](capacity: NoiseInitiator.messageSize) { _ = ends.initiate(writing: &$0) }.count))
        _ = ends.finish(initiator.value, second, provider)
      }
    }
  },
  Benchmark("noise/handshake/responder") {
    let (ends, provider) = (NoiseEnds(), CipherProvider())
    let first = [UInt8](capacity: NoiseInitiator.messageSize) { _ = ends.initiate(writing: &$0) }
    return .loop { count in
      for _ in 0..<count {
        var responder = ends.read(first)
        ends.readTimestamp(&responder)
        var finishing: NoiseResponder? = consume responder
        let second = [UInt8](capacity: NoiseResponder.messageSize) { output in
          _ = ends.respond(finishing.take()!, provider, writing: &output)
        }
        use(UInt64(second.count))
      }
    }
  },
]

/// A handshake up to its second message.
private func exchange(_ ends: NoiseEnds, _ provider: CipherProvider) -> (Box<NoiseInitiator>, [UInt8]) {
  var initiator: NoiseInitiator?
  let first = [UInt8](capacity: NoiseInitiator.messageSize) { initiator = ends.initiate(writing: &$0) }
  var responder = ends.read(first)
  ends.readTimestamp(&responder)
  var finishing: NoiseResponder? = consume responder
  let second = [UInt8](capacity: NoiseResponder.messageSize) { output in
    _ = ends.respond(finishing.take()!, provider, writing: &output)
  }
  return (Box(initiator.take()!), second)
}
