import MeshPrimitives
import MeshSTUN
import MeshSimulation

extension Fuzzing {
  private static let key = IntegrityKey(shortTerm: "VOkJxbRl1RmTxUk/WvJxBt")
  private static let source = SocketAddress(IPAddress(v4: 0xCB00_7109), port: 40_000)

  /// Reads a message in every way there is, and gives it to the server.
  public static func stun(_ input: [UInt8]) {
    serve(input)
    guard let message = try? STUNMessage(input.bytes) else { return }
    require(STUNMessage.isSTUN(input.bytes), "what is read must be told from other protocols")
    var offset = STUNMessage.headerSize
    var count = 0
    while let attribute = message.attribute(at: &offset) {
      require(attribute.value.upperBound <= input.count, "an attribute must lie in its message")
      count += 1
    }
    require(count <= STUNMessage.maximumAttributes, "attributes must be capped")
    for key in [AddressKey.mappedAddress, .xorMappedAddress, .alternateServer, .otherAddress, .responseOrigin] {
      _ = try? message.value(key)
    }
    _ = try? message.value(.priority)
    _ = try? message.value(.iceControlling)
    _ = try? message.value(.useCandidate)
    for key in [BytesKey.username, .userhash, .realm, .nonce, .software, .alternateDomain, .padding] {
      _ = try? message.text(key)
    }
    _ = try? message.errorCode()
    _ = message.errorReason
    _ = try? message.listedUnknownAttributes()
    _ = try? message.passwordAlgorithm()
    _ = try? message.passwordAlgorithms()
    _ = try? message.changeRequest()
    _ = try? message.responsePort()
    let unknown = message.unknownAttributes(knowing: .stun)
    require(unknown.count <= 16, "the list of unknown attributes must be capped")
    _ = message.fingerprint
    _ = message.integrity(with: key)
    // What a writer makes of an address reads back.
    if let address = try? message.value(.xorMappedAddress) {
      let again = [UInt8](capacity: 64) { output in
        var writer = MessageWriter(message.messageClass, message.method, message.transactionID, to: &output)
        writer.append(.xorMappedAddress, address, to: &output)
      }
      let read = try? STUNMessage(again.bytes).value(.xorMappedAddress)
      require(read == address, "an address must survive")
    }
    judge(message)
  }

  private static func serve(_ input: [UInt8]) {
    var entropy = SeededEntropy(seed: 1)
    var configuration = BindingServer.Configuration()
    configuration.sources = 4
    let (one, two) = (IPAddress(v4: 0xC000_0201), IPAddress(v4: 0xC000_0202))
    configuration.addresses = [
      SocketAddress(one, port: 1), SocketAddress(one, port: 2), SocketAddress(two, port: 1),
      SocketAddress(two, port: 2),
    ]
    var server = BindingServer(configuration, entropy: &entropy)
    let answer = [UInt8](capacity: BindingServer.maximumSize) {
      _ = server.respond(to: input.bytes, from: source, now: Instant(nanoseconds: 0), into: &$0)
    }
    require(answer.count <= input.count + BindingServer.maximumGrowth, "an answer must not grow")
  }

  private static func judge(_ message: borrowing STUNMessage) {
    for credentials in [
      STUNCredentials.none, .shortTerm(username: "u", password: "p"), .longTerm(username: "u", password: "p"),
    ] {
      var authentication = ClientAuthentication(credentials)
      _ = authentication.judge(message)
      let request = [UInt8](capacity: 20 + ClientAuthentication.maximumSize) { output in
        var writer = MessageWriter(.request, .binding, message.transactionID, to: &output)
        authentication.append(to: &writer, &output)
        require(writer.isComplete, "a request must fit, whatever a server asks for")
      }
      require((try? STUNMessage(request.bytes).method) == .binding, "a request must be well-formed")
    }
  }
}
