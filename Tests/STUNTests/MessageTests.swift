import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

@Suite("STUN messages") struct MessageTests {
  static let methods: [MessageMethod] = [
    .binding, .allocate, .refresh, .send, .data, .createPermission, .channelBind, MessageMethod(rawValue: 0xFFF),
    MessageMethod(rawValue: 0x555),
  ]

  @Test(arguments: methods) func `class and method survive the interleaved bits`(_ method: MessageMethod) throws {
    for kind in [MessageClass.request, .indication, .success, .error] {
      let bytes = message(kind, method)
      let read = try STUNMessage(bytes.bytes)
      #expect(read.messageClass == kind)
      #expect(read.method == method)
      #expect(STUNMessage.isSTUN(bytes.bytes) == true)
    }
  }

  @Test func `the type of a Binding error response is 0x0111`() {
    #expect(message(.error, .binding)[..<2] == [0x01, 0x11])
    #expect(message(.indication, .send)[..<2] == [0x00, 0x16])
    #expect(message(.success, .allocate)[..<2] == [0x01, 0x03])
  }

  @Test func `bytes without the cookie or with a top bit are another protocol`() {
    var bytes = message(.request)
    bytes[4] ^= 1
    #expect(throws: STUNError.notSTUN) { _ = try STUNMessage(bytes.bytes).method }
    #expect(STUNMessage.isSTUN(bytes.bytes) == false)
    bytes = message(.request)
    bytes[0] |= 0x40
    #expect(throws: STUNError.notSTUN) { _ = try STUNMessage(bytes.bytes).method }
    #expect(STUNMessage.isSTUN(bytes.bytes) == false)
  }

  static let addresses = ["192.0.2.1:32853", "[2001:db8::1]:1", "255.255.255.255:65535", "0.0.0.0:0"]
  @Test(arguments: addresses) func `addresses survive with and without a mask`(_ text: String) throws {
    let value = address(text)
    let bytes = message(.success) { writer, output in
      writer.append(.mappedAddress, value, to: &output)
      writer.append(.xorMappedAddress, value, to: &output)
    }
    let read = try STUNMessage(bytes.bytes)
    #expect(try read.value(.mappedAddress) == value)
    #expect(try read.value(.xorMappedAddress) == value)
  }

  @Test func `every kind of attribute survives`() throws {
    let bytes = message(.error) { writer, output in
      writer.append(.staleNonce, to: &output)
      writer.append(unknownAttributes: [.useCandidate, .evenPort, .priority], to: &output)
      writer.append(passwordAlgorithms: [.sha256, .md5], to: &output)
      writer.append(.useCandidate, to: &output)
      writer.append(.iceControlling, .max, to: &output)
      writer.append(ChangeRequest.changeIP, to: &output)
      writer.append(responsePort: 4711, to: &output)
      writer.append(.nonce, [1, 2, 3].bytes, to: &output)
    }
    let read = try STUNMessage(bytes.bytes)
    #expect(try read.errorCode() == .staleNonce)
    #expect(read.errorReason == "Stale Nonce")
    #expect(try read.listedUnknownAttributes() == [.useCandidate, .evenPort, .priority])
    #expect(try read.passwordAlgorithms() == [.sha256, .md5])
    #expect(try read.value(.useCandidate))
    #expect(try read.value(.iceControlling) == .max)
    #expect(try read.value(.iceControlled) == nil)
    #expect(try read.changeRequest() == .changeIP)
    #expect(try read.responsePort() == 4711)
    #expect(try read.copy(.nonce) == [1, 2, 3])
  }

  @Test func `of two attributes of one type the first counts`() throws {
    let bytes = message(.success) { writer, output in
      writer.append(.priority, 1, to: &output)
      writer.append(.priority, 2, to: &output)
    }
    #expect(try STUNMessage(bytes.bytes).value(.priority) == 1)
  }

  @Test func `what follows integrity does not count, but the other integrity and the fingerprint do`() throws {
    let key = IntegrityKey(shortTerm: "secret")
    var bytes = message(.request) { writer, output in
      writer.append(.priority, 1, to: &output)
      writer.appendIntegrity(.sha1, key, to: &output)
      writer.appendIntegrity(.sha256, size: 16, key, to: &output)
    }
    // USE-CANDIDATE, which an attacker adds behind the codes.
    bytes += [0x00, 0x25, 0, 0]
    bytes[3] += 4
    let read = try STUNMessage(bytes.bytes)
    #expect(try read.value(.priority) == 1)
    #expect(!(try read.value(.useCandidate)))
    #expect(read.integrity(.sha1, with: key) == .valid)
    #expect(read.integrity(.sha256, with: key) == .valid)
  }

  static let sizes = [16, 20, 24, 28, 32]
  @Test(arguments: sizes) func `a truncated SHA-256 code verifies, and a changed one does not`(_ size: Int) throws {
    let key = IntegrityKey(shortTerm: "secret")
    let bytes = message(.request) { writer, output in
      writer.appendIntegrity(.sha256, size: size, key, to: &output)
      writer.appendFingerprint(to: &output)
    }
    let read = try STUNMessage(bytes.bytes)
    #expect(read.integrity(with: key) == .valid)
    #expect(read.fingerprint == .valid)
    var changed = bytes
    changed[24 + size - 1] ^= 1
    #expect(try STUNMessage(changed.bytes).integrity(with: key) == .wrong)
  }

  static let wrongSizes = [0, 4, 12, 18, 36]
  @Test(arguments: wrongSizes) func `a SHA-256 code of another length is malformed`(_ size: Int) {
    let bytes = message(.request) {
      $0.append(raw: .messageIntegritySHA256, [UInt8](repeating: 0, count: size).bytes, to: &$1)
    }
    #expect(throws: STUNError.malformed(.messageIntegritySHA256)) { _ = try STUNMessage(bytes.bytes).method }
  }

  @Test func `nothing may follow the fingerprint`() {
    var bytes = message(.request) { $0.appendFingerprint(to: &$1) }
    bytes += [0x80, 0x22, 0, 0]
    bytes[3] += 4
    #expect(throws: STUNError.malformed(.fingerprint)) { _ = try STUNMessage(bytes.bytes).method }
  }

  @Test func `an attribute that reaches out of its message is malformed`() {
    let bytes = message(.request) { $0.append(.priority, 1, to: &$1) }
    for size in [5, 8, 255] {
      var changed = bytes
      changed[23] = UInt8(size)
      #expect(throws: STUNError.malformed(.priority)) { _ = try STUNMessage(changed.bytes).method }
    }
  }

  @Test func `values of another length than their type has are malformed, one by one`() throws {
    let bytes = message(.success) { writer, output in
      for type in [
        AttributeType.xorMappedAddress, .priority, .iceControlled, .errorCode, .userhash, .passwordAlgorithm,
        .changeRequest, .responsePort, .unknownAttributes,
      ] {
        writer.append(raw: type, [1].bytes, to: &output)
      }
      writer.append(raw: .useCandidate, [1].bytes, to: &output)
    }
    func isMalformed(_ body: (STUNMessage) throws -> Bool) -> Bool {
      do { _ = try body(STUNMessage(bytes.bytes)) } catch { if case STUNError.malformed = error { return true } }
      return false
    }
    #expect(isMalformed { try $0.value(.xorMappedAddress) != nil })
    #expect(isMalformed { try $0.value(.priority) != nil })
    #expect(isMalformed { try $0.value(.iceControlled) != nil })
    #expect(isMalformed { try $0.value(.useCandidate) })
    #expect(isMalformed { try $0.value(.userhash) != nil })
    #expect(isMalformed { try $0.errorCode() != nil })
    #expect(isMalformed { try $0.passwordAlgorithm() != nil })
    #expect(isMalformed { try $0.changeRequest() != nil })
    #expect(isMalformed { try $0.responsePort() != nil })
    #expect(isMalformed { try $0.listedUnknownAttributes() != nil })
  }

  @Test func `an IPv4 family with sixteen bytes is malformed`() throws {
    let bytes = message(.success) { $0.append(.xorMappedAddress, address("[::1]:1"), to: &$1) }
    var changed = bytes
    changed[25] = 1
    #expect(throws: STUNError.malformed(.xorMappedAddress)) {
      _ = try STUNMessage(changed.bytes).value(.xorMappedAddress)
    }
  }

  @Test func `unknown attributes that must be understood are listed once, the others are not`() throws {
    let bytes = message(.request) { writer, output in
      writer.append(raw: AttributeType(rawValue: 0x7FFF), RawSpan(), to: &output)
      writer.append(.username, "u", to: &output)
      writer.append(raw: AttributeType(rawValue: 0x002F), RawSpan(), to: &output)
      writer.append(raw: AttributeType(rawValue: 0x7FFF), RawSpan(), to: &output)
      writer.append(raw: AttributeType(rawValue: 0x8FFF), RawSpan(), to: &output)
    }
    let unknown = try STUNMessage(bytes.bytes).unknownAttributes(knowing: .stun)
    #expect(unknown == [AttributeType(rawValue: 0x7FFF), AttributeType(rawValue: 0x002F)])
  }

  @Test func `129 attributes are too many`() throws {
    func with(_ count: Int) -> [UInt8] {
      message(.request) { writer, output in for _ in 0..<count { writer.append(.useCandidate, to: &output) } }
    }
    #expect(try STUNMessage(with(128).bytes).value(.useCandidate))
    #expect(throws: STUNError.tooManyAttributes) { _ = try STUNMessage(with(129).bytes).method }
  }

  @Test func `a writer leaves out what does not fit and says so`() throws {
    let bytes = [UInt8](capacity: 30) { output in
      var writer = MessageWriter(.request, .binding, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.priority, 1, to: &output)
      #expect(writer.isComplete)
      writer.append(.priority, 2, to: &output)
      #expect(!writer.isComplete)
    }
    #expect(bytes.count == 28)
    #expect(try STUNMessage(bytes.bytes).value(.priority) == 1)
  }

  @Test func `a message can be written behind other bytes`() throws {
    let key = IntegrityKey(shortTerm: "p")
    let bytes = [UInt8](capacity: 200) { output in
      output.append(0xFFFF as UInt16, .big)
      var writer = MessageWriter(.request, .binding, TransactionID(high: 3, low: 4), to: &output)
      writer.append(.username, "abc", to: &output)
      writer.appendIntegrity(.sha1, key, to: &output)
      writer.appendFingerprint(to: &output)
    }
    let read = try STUNMessage(bytes.bytes.extracting(droppingFirst: 2))
    #expect(read.integrity(with: key) == .valid)
    #expect(read.fingerprint == .valid)
  }

  @Test func `random bytes are read or refused, never worse`() {
    var entropy = SeededEntropy(seed: 0x57)
    for round in 0..<20_000 {
      var bytes = [UInt8](repeating: 0, count: Int(entropy.upTo(120)))
      var span = bytes.mutableBytes
      entropy.fill(&span)
      if bytes.count >= 20, round & 3 != 0 {
        bytes.replaceSubrange(0..<8, with: [0, 1, 0, UInt8(bytes.count - 20) & ~3, 0x21, 0x12, 0xA4, 0x42])
        bytes.removeLast(bytes.count & 3)
        for offset in stride(from: 20, to: bytes.count, by: 4) where entropy.chance(0.6) {
          bytes[offset] = entropy.chance(0.5) ? 0 : 0x80
          bytes[offset + 1] &= 0x2F
          bytes[offset + 2] = 0
          bytes[offset + 3] &= 0x1F
        }
      }
      guard let read = try? STUNMessage(bytes.bytes) else { continue }
      var offset = STUNMessage.headerSize
      var last = offset
      while let attribute = read.attribute(at: &offset) {
        #expect(attribute.value.lowerBound >= last && attribute.value.upperBound <= bytes.count)
        last = attribute.value.upperBound
      }
    }
  }
}
