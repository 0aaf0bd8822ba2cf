import ArgumentParser
import MeshCommands
import MeshPrimitives
import MeshRuntime
import MeshTraversal

struct Netcheck: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "netcheck", abstract: "Find out what the network does to UDP: NAT, filter, bindings.",
    discussion: """
      Asks STUN servers, which must be named: there are none by default. A server with two addresses (RFC 5780), such as \
      'pnet stun-server' with --address and --other-address, tells most. Exits with 4 when UDP does not work.
      """)

  enum Transport: String, ExpressibleByArgument, CaseIterable { case udp, tcp, tls }

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A STUN server; port 3478 unless said otherwise. Repeatable.", valueName: "host[:port]"))
  var stun: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A TURN server; port 3478, with TLS 5349, unless said otherwise. Repeatable.", valueName: "host[:port]"))
  var turn: [String] = []

  @Option(
    parsing: .singleValue,
    help: "How to reach TURN servers. Repeatable. (default: udp and tcp)")
  var transport: [Transport] = []

  @Option(help: "The user on the TURN servers.")
  var user: String?

  @Option(name: .customLong("pass"), help: "The password; seen by whoever lists processes.")
  var password: String?

  @Option(name: .customLong("pass-file"), help: ArgumentHelp("A file that holds the password.", valueName: "file"))
  var passwordFile: String?

  @Flag(help: "Take any certificate of a TURN server.")
  var insecure = false

  @Flag(help: "Measure how long an idle binding of the NAT lives: takes as long as that, up to 5 minutes.")
  var lifetime = false

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard !stun.isEmpty || !turn.isEmpty else {
      throw ValidationError("Name at least one server with --stun HOST:PORT or --turn HOST:PORT.")
    }
    if !turn.isEmpty {
      guard user != nil, password != nil || passwordFile != nil else {
        throw ValidationError("A TURN server needs --user, and --pass or --pass-file.")
      }
    }
  }

  func run() async throws {
    var servers: [NetCheck.Server] = []
    for name in stun {
      servers.append(NetCheck.Server(name, try await Resolver.addresses(of: Self.endpoint(name, usualPort: 3478))))
    }
    var check = NetCheck(servers: servers)
    check.measuresLifetime = lifetime
    check.turnServers = try await turnServers()
    let report = try await check.run()
    Console.out(try json ? JSON.pretty(report) : NetReportText.render(report))
    if report.udp != true, !report.relays.contains(where: { $0.problem == nil }) {
      throw ExitCode(Failure.Code.unreachable.rawValue)
    }
  }

  private func turnServers() async throws -> [NetCheck.TURNServer] {
    guard let user, !turn.isEmpty else { return [] }
    var secret = password ?? ""
    if let passwordFile {
      let bytes = try KeyFile.read(passwordFile, limit: 4096, isSecret: true).bytes
      secret = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
    var servers: [NetCheck.TURNServer] = []
    for name in turn {
      let ways = transport.isEmpty ? [.udp, .tcp] : transport.compactMap { TURNTransport(rawValue: $0.rawValue) }
      for transport in ways {
        let endpoint = Self.endpoint(name, usualPort: transport == .tls ? 5349 : 3478)
        let host = endpoint.hasPrefix("[") ? endpoint.dropFirst().prefix { $0 != "]" } : endpoint.prefix { $0 != ":" }
        var server = NetCheck.TURNServer(
          name, host: String(host), try await Resolver.addresses(of: endpoint), over: [transport], username: user,
          password: secret)
        server.isVerifying = !insecure
        servers.append(server)
      }
    }
    return servers
  }

  /// `text` with a port.
  static func endpoint(_ text: String, usualPort: UInt16) -> String {
    if let address = IPAddress(text) { return SocketAddress(address, port: usualPort).description }
    let tail = text.drop { $0 != "]" }
    return (tail.isEmpty ? text[...] : tail).contains(":") ? text : "\(text):\(usualPort)"
  }
}
