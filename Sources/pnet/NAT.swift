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

struct STUNServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stun-server", abstract: "Run a STUN server.",
    discussion: """
      Answers Binding requests (RFC 8489), each source at a limited rate and never with more than 24 bytes above what it \
      sent. With two addresses of this machine it also serves the discovery of NAT behaviour (RFC 5780).
      """)

  @Option(help: ArgumentHelp("UDP port. (default: 3478)", valueName: "port"))
  var port: UInt16 = 3478

  @Option(help: ArgumentHelp("Listen on this address alone.", valueName: "ip"))
  var address: String?

  @Option(help: ArgumentHelp("A second address of this machine, for RFC 5780. Needs --address.", valueName: "ip"))
  var otherAddress: String?

  @Option(help: ArgumentHelp("The second UDP port, for RFC 5780. (default: 3479)", valueName: "port"))
  var otherPort: UInt16 = 3479

  @Option(help: ArgumentHelp("Requests per second and source.", valueName: "number"))
  var rate = 20

  func validate() throws {
    let given = [address, otherAddress].compactMap { $0 }
    for text in given where IPAddress(text) == nil { throw ValidationError("'\(text)' is not an IP address.") }
    let hosts = given.compactMap { IPAddress($0) }
    if otherAddress != nil {
      guard hosts.count == 2 else { throw ValidationError("--other-address needs --address.") }
      guard hosts[0] != hosts[1], hosts[0].family == hosts[1].family else {
        throw ValidationError("--address and --other-address must differ, and be of one family.")
      }
      guard port != otherPort || port == 0 else { throw ValidationError("--port and --other-port must differ.") }
    }
    guard (1...100_000).contains(rate) else { throw ValidationError("--rate must be from 1 to 100000.") }
  }

  func run() async throws {
    var configuration = STUNService.Configuration()
    configuration.port = port
    configuration.otherPort = otherPort
    configuration.addresses = [address, otherAddress].compactMap { $0.flatMap { IPAddress($0) } }
    configuration.requestsPerSecond = rate
    configuration.burst = rate * 2
    let service = try STUNService(configuration)
    Console.out("answering on \(service.addresses.map(\.description).joined(separator: ", "))")
    await service.finished()
    let statistics = service.statistics
    Console.out("answered \(statistics.answered), dropped \(statistics.drops.total)")
  }
}
