import ArgumentParser
import MeshCommands
import MeshICE
import MeshPrimitives
import MeshRuntime
import MeshTraversal

struct ICECommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ice", abstract: "Run an ICE agent with signalling by hand.",
    discussion: """
      Prints a line of JSON when candidates are gathered; it goes to the other agent, whose line is read from standard \
      input. Then both try to connect, and send small datagrams until they hear one. Ends with 0 only when data came.
      """)

  enum Role: String, ExpressibleByArgument, CaseIterable { case controlling, controlled }

  @Option(help: "Who chooses the pair: one of the two must.")
  var role: Role

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A STUN server; port 3478 unless said otherwise. Repeatable.", valueName: "host[:port]"))
  var stun: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A TURN server; port 3478 unless said otherwise. Repeatable.", valueName: "host[:port]"))
  var turn: [String] = []

  @Option(help: "The user on the TURN servers.")
  var user: String?

  @Option(name: .customLong("pass"), help: "The password; seen by whoever lists processes.")
  var password: String?

  @Flag(help: "Tell and use relayed candidates alone.")
  var relayOnly = false

  @Flag(help: "Use IPv6 alone.")
  var v6 = false

  @Option(help: ArgumentHelp("How long to try.", valueName: "seconds"))
  var secs = 30

  func validate() throws {
    guard (1...3600).contains(secs) else { throw ValidationError("--secs must be from 1 to 3600.") }
    if !turn.isEmpty {
      guard user != nil, password != nil else { throw ValidationError("A TURN server needs --user and --pass.") }
    }
    if relayOnly, turn.isEmpty { throw ValidationError("--relay-only needs --turn.") }
  }

  /// What is printed once the two are, or are not, connected.
  private struct State: Encodable {
    var state: String
    var local: String?
    var remote: String?
    var pair: String?
    var got: String?
  }

  func run() async throws {
    var configuration = ICESession.Configuration(role: role == .controlling ? .controlling : .controlled)
    for name in stun {
      configuration.stunServers += try await Resolver.addresses(of: Netcheck.endpoint(name, usualPort: 3478))
    }
    for name in turn {
      configuration.turnServers += try await Resolver.addresses(of: Netcheck.endpoint(name, usualPort: 3478))
    }
    configuration.username = user ?? ""
    configuration.password = password ?? ""
    configuration.isRelayOnly = relayOnly
    configuration.limit = .seconds(secs)
    if v6 { configuration.families = [.v6] }
    let session = try ICESession(configuration)
    var hasData = false
    for await event in session.events {
      switch event {
      case .gathered(let description):
        Console.out(String(decoding: try JSON.line(description), as: UTF8.self))
        session.setRemote(try await Self.theirs())
      case .connected(let local, let remote, let pair):
        try print(State(state: "connected", local: local, remote: remote, pair: pair))
      case .data(let bytes):
        hasData = true
        try print(State(state: "data", got: String(decoding: bytes, as: UTF8.self)))
      case .failed: try print(State(state: "failed"))
      case .noData: try print(State(state: "nodata"))
      }
    }
    await session.close()
    if !hasData { throw ExitCode(Failure.Code.unreachable.rawValue) }
  }

  private func print(_ state: State) throws { Console.out(String(decoding: try JSON.line(state), as: UTF8.self)) }

  /// The other side's line.
  private static func theirs() async throws -> ICESession.Description {
    var line: [UInt8] = []
    while !line.contains(UInt8(ascii: "\n")), line.count < 65_536, let piece = try await Descriptor.standardInput.read()
    {
      line += piece
    }
    let text = Array(line.prefix { $0 != UInt8(ascii: "\n") })
    guard !text.isEmpty else { throw Failure("the other agent's line did not come on standard input", .badInput) }
    do { return try JSON.parse(ICESession.Description.self, text) } catch {
      throw Failure("the other agent's line is not JSON with 'ufrag', 'pwd' and 'candidates'", .badInput)
    }
  }
}
