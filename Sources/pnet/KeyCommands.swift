import ArgumentParser
import MeshCommands

struct GenerateKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "genkey", abstract: "Make a private key, as 'wg genkey' does.")

  @Option(
    name: [.short, .customLong("output")], help: ArgumentHelp("Write it to a new file of mode 0600.", valueName: "file")
  )
  var output: String?

  func run() async throws {
    let key = try KeyFile.generate()
    if let output { return try KeyFile.create(output, key) }
    if Console.isOutputWorldReadable {
      Console.note("warning: the key goes to a file that everybody can read; use 'pnet genkey -o FILE' or 'umask 077'")
    }
    Console.out(key)
  }
}

struct DerivePublicKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pubkey",
    abstract: "Read a private key from standard input and print its public key, as 'wg pubkey' does.")

  func run() async throws {
    var text: [UInt8] = []
    while text.count <= 4096, let bytes = try await Descriptor.standardInput.read(upTo: 4096) { text += bytes }
    guard text.count <= 4096 else { throw Failure("that is no private key: it is too long", .badInput) }
    Console.out(try KeyFile.publicKey(of: String(decoding: text, as: UTF8.self)))
  }
}
