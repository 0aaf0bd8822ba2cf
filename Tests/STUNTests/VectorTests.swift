import MeshPrimitives
import MeshSTUN
import Testing

@Suite("Vectors of RFC 5769 and RFC 8489") struct VectorTests {
  @Test(arguments: MessageVector.all) func `a message says what the standard says`(_ vector: MessageVector) throws {
    let bytes = vector.bytes
    let message = try STUNMessage(bytes.bytes)
    #expect(message.method == .binding)
    #expect("\(message.messageClass)" == vector.class)
    #expect(try message.text(.username) == vector.username)
    #expect(try message.text(.software) == vector.software)
    #expect(try message.text(.realm) == vector.realm)
    #expect(try message.text(.nonce) == vector.nonce)
    #expect(try message.value(.xorMappedAddress) == vector.mapped.map(address))
    #expect(try message.value(.priority) == vector.priority)
    #expect(try message.value(.iceControlled) == vector.iceControlled.map { UInt64($0, radix: 16)! })
    #expect(try message.passwordAlgorithm()?.rawValue == vector.algorithm)
    let userhash = vector.userhashOf.map { Userhash.compute(username: $0, realm: vector.realm ?? "") }
    #expect(try message.copy(.userhash) == userhash)
  }

  @Test(arguments: MessageVector.all) func `integrity and fingerprint verify`(_ vector: MessageVector) throws {
    let bytes = vector.bytes
    let message = try STUNMessage(bytes.bytes)
    #expect(message.integrity(with: vector.key) == .valid)
    #expect(message.integrity(with: IntegrityKey(shortTerm: "another")) == .wrong)
    #expect(message.fingerprint == (vector.fingerprint ? .valid : .absent))
  }

  @Test(arguments: MessageVector.all) func `a change of any byte is noticed`(_ vector: MessageVector) {
    let (original, key) = (vector.bytes, vector.key)
    // Everything before the fingerprint is covered by integrity; the fingerprint covers all but its own header.
    let covered = vector.fingerprint ? original.count - 8 : original.count
    for offset in original.indices {
      for bit in 0..<8 {
        var bytes = original
        bytes[offset] ^= 1 << UInt8(bit)
        guard let message = try? STUNMessage(bytes.bytes) else { continue }
        if offset < covered {
          #expect(message.integrity(with: key) != .valid, "byte \(offset), bit \(bit)")
        }
        if vector.fingerprint {
          #expect(message.fingerprint != .valid, "byte \(offset), bit \(bit)")
        }
      }
    }
  }

  @Test(arguments: MessageVector.all) func `no beginning of a message is a message`(_ vector: MessageVector) {
    let original = vector.bytes
    for count in 0..<original.count {
      #expect(throws: STUNError.self) { _ = try STUNMessage(original.bytes.extracting(first: count)).method }
    }
    #expect(throws: STUNError.wrongLength(original.count - 20)) {
      _ = try STUNMessage((original + [0, 0, 0, 0]).bytes).method
    }
  }

  @Test func `the writer makes the request of section 2_1 but for its padding`() throws {
    let vector = MessageVector.all[0]
    let original = vector.bytes
    let id = try STUNMessage(original.bytes).transactionID
    let written = message(.request, .binding, id) { writer, output in
      writer.append(.software, "STUN test client", to: &output)
      writer.append(.priority, 0x6E00_01FF, to: &output)
      writer.append(.iceControlled, 0x932F_F9B1_5126_3B36, to: &output)
      writer.append(.username, "evtj:h6vY", to: &output)
      // The vector pads with spaces, which the code covers.
      writer.appendIntegrity(.sha1, vector.key, to: &output)
      writer.appendFingerprint(to: &output)
    }
    #expect(written.count == original.count)
    #expect(written[..<73] == original[..<73])
    let message = try STUNMessage(written.bytes)
    #expect(message.integrity(with: vector.key) == .valid)
    #expect(message.fingerprint == .valid)
  }

  @Test func `the writer makes the long-term requests to the byte`() throws {
    let old = MessageVector.all[3]
    let oldBytes = old.bytes
    let oldID = try STUNMessage(oldBytes.bytes).transactionID
    let written = message(.request, .binding, oldID) { writer, output in
      writer.append(.username, old.username!, to: &output)
      writer.append(.nonce, old.nonce!, to: &output)
      writer.append(.realm, old.realm!, to: &output)
      writer.appendIntegrity(.sha1, old.key, to: &output)
    }
    #expect(written == oldBytes)

    let new = MessageVector.all[4]
    let newBytes = new.bytes
    let newID = try STUNMessage(newBytes.bytes).transactionID
    let rewritten = message(.request, .binding, newID) { writer, output in
      writer.append(.userhash, Userhash.compute(username: new.userhashOf!, realm: new.realm!).bytes, to: &output)
      writer.append(.nonce, new.nonce!, to: &output)
      writer.append(.realm, new.realm!, to: &output)
      writer.append(passwordAlgorithm: .sha256, to: &output)
      writer.appendIntegrity(.sha256, new.key, to: &output)
    }
    #expect(rewritten == newBytes)
  }
}
