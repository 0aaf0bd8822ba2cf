import Glibc
import MeshCommands
import Testing

@Suite("Key files") struct KeyFileTests {
  let directory = TemporaryDirectory()

  @Test func `a new key file is for its owner only, and is never overwritten`() throws {
    let path = directory.path + "/key"
    try KeyFile.create(path, "first")
    var facts = stat()
    try #require(stat(path, &facts) == 0)
    #expect(facts.st_mode & 0o777 == 0o600)
    #expect(throws: Failure.self) { try KeyFile.create(path, "second") }
    #expect(try KeyFile.read(path, limit: 100, isSecret: true).bytes == Array("first\n".utf8))
  }

  @Test func `a key that others can read is an error that prints the chmod`() throws {
    let path = directory.path + "/my key"
    try KeyFile.create(path, KeyFile.generate())
    #expect(chmod(path, 0o640) == 0)
    let failure = #expect(throws: Failure.self) { try KeyFile.privateKey(path) }
    #expect(failure?.message.hasSuffix("run 'chmod 600 '\(path)''") == true)
    #expect(failure?.code == .badInput)
    #expect(chmod(path, 0o600) == 0)
    #expect(try KeyFile.privateKey(path).utf8.count == 44)
  }

  @Test func `a known private key gives its public key, blanks or not`() throws {
    // RFC 7748 §6.1, Alice.
    let key = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
    #expect(try KeyFile.publicKey(of: "  \(key)\r\n") == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=")
    #expect(throws: Failure.self) { try KeyFile.publicKey(of: String(key.dropLast())) }
  }

  @Test func `what is no file, or too large, is refused`() throws {
    #expect(throws: Failure.self) { try KeyFile.read(directory.path, limit: 100, isSecret: false) }
    #expect(throws: Failure.self) { try KeyFile.read(directory.path + "/none", limit: 100, isSecret: false) }
    #expect(throws: Failure.self) { try KeyFile.read("/dev/zero", limit: 100, isSecret: true) }
  }
}
