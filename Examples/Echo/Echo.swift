// Two nodes on this machine that know only each other's key and one UDP address: the ten lines of the README, run.
import PNetMesh

@main struct Echo {
  static func main() async throws {
    let (alice, bob) = (Identity.generate(), Identity.generate())

    // The serving side: streams come by service name, each from a key.
    let server = try await Mesh(identity: bob, peers: [Peer(alice.publicKey)])
    let echo = server.incoming("echo")
    let chat = server.messages("chat")
    let serving = Task {
      for try await stream in echo {
        for try await chunk in stream { try await stream.write(chunk) }
        try await stream.finish()
        try await stream.flushed()
      }
    }

    // The dialling side: a key, not an address.
    let client = try await Mesh(identity: alice, peers: [Peer(bob.publicKey, at: "127.0.0.1:\(server.port)")])
    let stream = try await client.open("echo", at: bob.publicKey)
    try await stream.write("hello")
    try await stream.finish()
    var answer: [UInt8] = []
    for try await chunk in stream { answer += chunk }
    print("\(stream.peer) says \(String(decoding: answer, as: UTF8.self))")

    // Whole messages, without a stream.
    try await client.send(Array("good night".utf8), to: bob.publicKey, service: "chat", lane: .control)
    for try await message in chat {
      print("\(message.peer) sends \(String(decoding: message.bytes, as: UTF8.self))")
      break
    }

    let pong = try await client.ping(bob.publicKey)
    print("\(pong.path), \(pong.roundTrip)")
    serving.cancel()
    await client.close()
    await server.close()
  }
}
