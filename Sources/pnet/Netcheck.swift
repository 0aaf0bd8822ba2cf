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

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A STUN server; port 3478 unless said otherwise. Repeatable.", valueName: "host[:port]"))
  var stun: [String] = []

  @Flag(help: "Measure how long an idle binding of the NAT lives: takes as long as that, up to 5 minutes.")
  var lifetime = false

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard !stun.isEmpty else { throw ValidationError("Name at least one STUN server with --stun HOST:PORT.") }
  }

  func run() async throws {
    var servers: [NetCheck.Server] = []
    for name in stun {
      servers.append(NetCheck.Server(name, try await Resolver.addresses(of: Self.endpoint(name, usualPort: 3478))))
    }
    var check = NetCheck(servers: servers)
    check.measuresLifetime = lifetime
    let report = try await check.run()
    Console.out(try json ? JSON.pretty(report) : NetReportText.render(report))
    if !report.udp { throw ExitCode(Failure.Code.unreachable.rawValue) }
  }

  /// `text` with a port.
  static func endpoint(_ text: String, usualPort: UInt16) -> String {
    if let address = IPAddress(text) { return SocketAddress(address, port: usualPort).description }
    let tail = text.drop { $0 != "]" }
    return (tail.isEmpty ? text[...] : tail).contains(":") ? text : "\(text):\(usualPort)"
  }
}
