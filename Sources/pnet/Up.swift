import ArgumentParser
import MeshCommands
import MeshPrimitives
import MeshRouting
import MeshRuntime

struct Up: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a node in the foreground.",
    discussion: """
      Needs a key: from --key, PNET_KEY, or the configuration. A wg-quick file works as it is; what of it needs root is \
      reported and left out. Ends on Ctrl-C, SIGTERM or 'pnet down'.
      """)

  enum Accept: String, ExpressibleByArgument, CaseIterable { case listed, any }

  @Option(name: [.short, .long], help: ArgumentHelp("A wg-quick file.", valueName: "file"))
  var config: String?

  @Option(help: ArgumentHelp("File that holds the private key.", valueName: "file"))
  var key: String?

  @Option(help: ArgumentHelp("UDP port; 0 for any free one. (default: 2552)", valueName: "port"))
  var listen: UInt16?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A peer, besides those of the file. Repeatable.", valueName: "key[@host:port]"))
  var peer: [String] = []

  @Option(help: "Whose handshakes are answered: those of listed peers, or any.")
  var accept: Accept?

  @OptionGroup var node: NodeOptions
  @OptionGroup var state: StateOptions

  @Option(help: ArgumentHelp("Take files from listed peers into this directory.", valueName: "directory"))
  var receive: String?

  @Flag(help: "Serve 'pnet bench' to listed peers.")
  var bench = false

  @Flag(help: "Say nothing but errors.")
  var quiet = false

  @Flag(help: .hidden)
  var whileInput = false

  func run() async throws {
    let file = try readConfig()
    var settings = try settings(file)
    if bench { settings.services[BenchService.name] = .peers }
    if receive != nil { settings.services[FileService.name] = .peers }
    let directory = try receive.map { path throws(Failure) in try ReceiveDirectory(path) }
    let path = try node.path(fileName: file?.name)
    let (stopped, stop) = AsyncStream.makeStream(of: Void.self)
    let local = try await state.start(settings) { stop.finish() }
    do {
      let server = try ControlServer(path, for: local)
      if !quiet {
        Console.out("public key: \(local.mesh.publicKey)")
        Console.out(
          "listening on UDP port \(local.mesh.port); address \(local.mesh.derivedAddress); control socket \(path)")
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run() }
        group.addTask { for await _ in stopped {} }
        if whileInput { group.addTask { while try await Descriptor.standardInput.read() != nil {} } }
        if bench {
          group.addTask {
            try await local.serve(BenchService.name, from: .peers) { await BenchService.serve($0, on: local) }
          }
        }
        if let directory {
          let quiet = quiet
          group.addTask {
            try await local.serve(FileService.name, from: .peers) { stream in
              await Receive.take(stream, directory, isJSON: false, isQuiet: quiet, bar: nil)
            }
          }
        }
        defer { group.cancelAll() }
        try await group.next()
      }
    } catch is CancellationError {
      // Ctrl-C and SIGTERM are the usual ways to end a node.
    } catch {
      await local.close()
      throw error
    }
    await local.close()
  }

  private func readConfig() throws -> WireGuardConfig? {
    guard let path = config ?? environmentValue("PNET_CONFIG") else { return nil }
    let (bytes, warning) = try KeyFile.read(path, limit: WireGuardConfig.maximumSize, isSecret: true)
    if let warning { Console.note("warning: \(warning)") }
    let file = try WireGuardConfig(parsing: bytes, file: path)
    if !quiet {
      for line in file.unused { Console.note("\(path):\(line.line): \(line.key) is not used: \(line.reason)") }
    }
    return file
  }

  private func settings(_ file: WireGuardConfig?) throws -> LocalNode.Settings {
    let secret: String
    if let path = key ?? environmentValue("PNET_KEY") {
      secret = try KeyFile.privateKey(path)
    } else if let given = file?.privateKey {
      secret = given.base64
    } else {
      let hint = config.map { "\($0) has no PrivateKey" } ?? "there is no key"
      throw Failure("\(hint): make one with 'pnet genkey -o FILE' and give it with --key FILE", .badInput)
    }
    var settings = LocalNode.Settings(identity: try Identity(base64: secret))
    settings.port = try listen ?? UseOptions.port(otherwise: file?.listenPort ?? 2552)
    settings.addresses = file?.addresses.map(\.address) ?? []
    settings.mtu = file?.mtu
    settings.acceptsAny = try acceptance(file) == .any
    settings.peers = try peers(file)
    return settings
  }

  private func acceptance(_ file: WireGuardConfig?) throws -> Accept {
    if let accept { return accept }
    if let text = environmentValue("PNET_ACCEPT") {
      guard let accept = Accept(rawValue: text) else {
        throw Failure("PNET_ACCEPT is neither 'listed' nor 'any': \(text)", .badInput)
      }
      return accept
    }
    return file?.accept == .any ? .any : .listed
  }

  /// Those of the file and those of the flags; of a peer that is in both, the flag's endpoint counts.
  private func peers(_ file: WireGuardConfig?) throws -> [Peer] {
    var peers = (file?.peers ?? []).map { peer in
      Peer(
        peer.publicKey, at: peer.endpoint, presharedKey: peer.presharedKey?.base64, allowedIPs: peer.allowedIPs,
        persistentKeepalive: peer.persistentKeepalive.map { .seconds($0) })
    }
    for given in try UseOptions.peers(peer) {
      if let index = peers.firstIndex(where: { $0.publicKey == given.publicKey }) {
        if given.endpoint != nil { peers[index].endpoint = given.endpoint }
      } else {
        peers.append(given)
      }
    }
    return peers
  }
}

struct Down: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "End a running node.")

  @OptionGroup var node: NodeOptions

  func run() async throws {
    let control = ControlClient(try node.path())
    try await control.stop()
    for _ in 0..<200 {
      if try !control.isRunning() { return }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw Failure("the node was told to end, but still runs after 5 seconds")
  }
}
