import ArgumentParser
import MeshCommands
import MeshPrimitives
import MeshRuntime

/// Which running node is meant.
struct NodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Name of the running node. (default: default)", valueName: "name"))
  var node: String?

  @Option(help: ArgumentHelp("Control socket of the running node, instead of its name.", valueName: "socket"))
  var control: String?

  /// Whether a flag names a node.
  var isGiven: Bool { node != nil || control != nil }

  /// The path of the control socket.
  func path(fileName: String? = nil) throws -> String {
    if let control { return control }
    if let node { return try ControlPath.path(of: node) }
    if let control = environmentValue("PNET_CONTROL") { return control }
    return try ControlPath.path(of: environmentValue("PNET_NODE") ?? fileName ?? "default")
  }
}

/// Where a node with a key of its own keeps what must survive restarts.
struct StateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep the last handshake's timestamp in this directory. (default: /var/lib/pnet for root, ~/.local/state/pnet)",
      valueName: "directory"))
  var state: String?

  /// Starts a node that keeps its state. One without a place for it is started all the same, unless the place was
  /// asked for.
  func start(_ settings: LocalNode.Settings, onStop: @escaping @Sendable () -> Void = {}) async throws -> LocalNode {
    var settings = settings
    settings.stateDirectory = state ?? environmentValue("PNET_STATE")
    guard settings.stateDirectory == nil, let usual = StatePath.directory() else {
      return try await LocalNode(settings, onStop: onStop)
    }
    settings.stateDirectory = usual
    do { return try await LocalNode(settings, onStop: onStop) } catch let MeshError.state(problem) {
      Console.note("warning: \(problem). Peers refuse this node if it starts again with a clock that went back.")
      settings.stateDirectory = nil
      return try await LocalNode(settings, onStop: onStop)
    }
  }
}

/// The running node, or one of the command's own.
struct UseOptions: ParsableArguments {
  @OptionGroup var node: NodeOptions
  @OptionGroup var state: StateOptions

  @Option(help: ArgumentHelp("Do without a running node: this file holds the key.", valueName: "file"))
  var key: String?

  @Option(
    help: ArgumentHelp("Do without a running node: listen on this UDP port. (default: any free one)", valueName: "port")
  )
  var listen: UInt16?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Do without a running node: know this peer. Repeatable.", valueName: "key[@host:port]"))
  var peer: [String] = []

  @Option(help: ArgumentHelp("Seconds to wait for the peer.", valueName: "seconds"))
  var timeout: Double = 10

  func validate() throws {
    guard timeout > 0, timeout <= 3600 else { throw ValidationError("--timeout must be from 0 to 3600 seconds.") }
  }

  var limit: Duration { .milliseconds(Int64(timeout * 1000)) }

  /// Runs `body` with a node.
  /// - Parameters:
  ///   - target: the peer that the command is about.
  ///   - services: what the command will serve: a node of its own is open for that from the first packet on.
  func withNode(
    for target: PeerArgument? = nil, serving services: [String: ServedPeers] = [:],
    _ body: @Sendable (any NodeAccess) async throws -> Void
  ) async throws {
    let isOwn = key != nil || listen != nil || !peer.isEmpty || target?.endpoint != nil
    if isOwn, node.isGiven {
      throw Failure(
        "--key, --listen and --peer start a node of the command's own: leave out --node and --control", .badInput)
    }
    let control = ControlClient(try node.path())
    let environment = ["PNET_KEY", "PNET_PEER"].contains { environmentValue($0) != nil }
    if !isOwn, node.isGiven || !environment { return try await body(control) }
    if !isOwn, try control.isRunning() { return try await body(control) }

    let own = try await start(target, services)
    do { try await body(own) } catch {
      await own.close()
      throw error
    }
    await own.close()
  }

  private func start(_ target: PeerArgument?, _ services: [String: ServedPeers]) async throws -> LocalNode {
    var settings: LocalNode.Settings
    let keyFile = key ?? environmentValue("PNET_KEY")
    if let path = keyFile {
      settings = LocalNode.Settings(identity: try Identity(base64: KeyFile.privateKey(path)))
    } else {
      settings = LocalNode.Settings(identity: .generate())
      Console.note("this command's node has a fresh key: \(settings.identity.publicKey)")
    }
    var peers = try Self.peers(peer)
    if let target, target.endpoint != nil || !peers.contains(where: { $0.publicKey == target.key }) {
      peers.removeAll { $0.publicKey == target.key }
      peers.append(Peer(target.key, at: target.endpoint))
    }
    settings.peers = peers
    settings.port = try listen ?? Self.port()
    settings.services = services
    // Nobody remembers a fresh key.
    return keyFile == nil ? try await LocalNode(settings) : try await state.start(settings)
  }

  /// `PNET_LISTEN`, or any free port.
  static func port(otherwise usual: UInt16 = 0) throws -> UInt16 {
    guard let text = environmentValue("PNET_LISTEN") else { return usual }
    guard let port = UInt16(text) else {
      throw Failure("PNET_LISTEN is not a port from 0 to 65535: \(text)", .badInput)
    }
    return port
  }

  /// The peers of the flags, or else those of `PNET_PEER`, separated by commas or blanks.
  static func peers(_ flags: [String]) throws -> [Peer] {
    let texts =
      flags.isEmpty
      ? (environmentValue("PNET_PEER") ?? "").split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init) : flags
    return try texts.map { text in
      let argument = try PeerArgument(text)
      return Peer(argument.key, at: argument.endpoint)
    }
  }
}

/// Who may use what a command serves.
struct AccessOptions: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Serve only this peer. Repeatable. (default: all listed peers)", valueName: "key"))
  var from: [String] = []

  @Flag(help: "Serve everybody, strangers too.")
  var anyone = false

  func access() throws -> ServedPeers {
    if anyone {
      guard from.isEmpty else { throw Failure("--anyone and --from exclude each other", .badInput) }
      return .any
    }
    return from.isEmpty ? .peers : .keys(try from.map { try PeerArgument.key($0).description })
  }
}
