import ArgumentParser
import MeshCommands
import MeshPrimitives
import MeshRuntime
import MeshTURN
import MeshTraversal

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

struct TURNServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "turn-server", abstract: "Run a TURN server.",
    discussion: """
      Relays for the users that are named, over UDP and TCP (RFC 8656), and answers Binding requests. Peers in private, \
      loopback, link-local and other ranges that are not public are refused unless --allow-peer names them. A password \
      given with --user can be seen in the list of processes: --users reads a file of lines NAME:PASSWORD.
      """)

  @Option(help: ArgumentHelp("UDP and TCP port. (default: 3478)", valueName: "port"))
  var port: UInt16 = 3478

  @Option(help: ArgumentHelp("Listen on this address alone.", valueName: "ip"))
  var address: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Relay from this address; once per family. (default: --address, or the one that the default route leaves from)",
      valueName: "ip"))
  var relayAddress: [String] = []

  @Option(help: ArgumentHelp("Ports to relay from. (default: 49152-65535)", valueName: "first-last"))
  var ports: String?

  @Option(help: "The realm of the users.")
  var realm = "pnet"

  @Option(parsing: .singleValue, help: ArgumentHelp("A user. Repeatable.", valueName: "name:password"))
  var user: [String] = []

  @Option(help: ArgumentHelp("Users, a line NAME:PASSWORD each.", valueName: "file"))
  var users: String?

  @Option(
    help: ArgumentHelp(
      "The secret of time-limited credentials: user 'EXPIRY:NAME', password base64(HMAC-SHA1(secret, user)).",
      valueName: "file"))
  var secret: String?

  @Flag(help: "Listen on UDP alone.")
  var udpOnly = false

  @Option(
    parsing: .singleValue, help: ArgumentHelp("Relay to these addresses too. Repeatable.", valueName: "address/length"))
  var allowPeer: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Do not relay to these addresses. Repeatable.", valueName: "address/length"))
  var refusePeer: [String] = []

  @Option(help: ArgumentHelp("Allocations that a user may have at once.", valueName: "number"))
  var quota = 10

  @Option(help: ArgumentHelp("Allocations of all users together.", valueName: "number"))
  var maximum = 10_000

  @Option(help: ArgumentHelp("The longest lifetime that is granted.", valueName: "seconds"))
  var maxLifetime = 3600

  @Option(help: ArgumentHelp("Bytes per second that an allocation may relay. (default: no limit)", valueName: "bytes"))
  var rate: Int?

  func validate() throws {
    for text in [address].compactMap({ $0 }) + relayAddress where IPAddress(text) == nil {
      throw ValidationError("'\(text)' is not an IP address.")
    }
    for family in [IPAddress.Family.v4, .v6] {
      guard relayAddress.count(where: { IPAddress($0)?.family == family }) <= 1 else {
        throw ValidationError("--relay-address can be given once per family.")
      }
    }
    for text in allowPeer + refusePeer where AddressBlock(text) == nil {
      throw ValidationError("'\(text)' is not a block of addresses: write ADDRESS/LENGTH.")
    }
    guard portRange != nil else { throw ValidationError("--ports must be FIRST-LAST, from 1 to 65535.") }
    guard (1...262_144).contains(quota), (1...262_144).contains(maximum) else {
      throw ValidationError("--quota and --maximum must be from 1 to 262144.")
    }
    guard (600...86_400).contains(maxLifetime) else {
      throw ValidationError("--max-lifetime must be from 600 to 86400 seconds.")
    }
    if let rate { guard rate >= 2048 else { throw ValidationError("--rate must be 2048 or more.") } }
  }

  private var portRange: ClosedRange<UInt16>? {
    guard let ports else { return 49_152...65_535 }
    let parts = ports.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
    guard parts.count == 2, let first = parts[0], let last = parts[1], first > 0, first <= last else { return nil }
    return first...last
  }

  func run() async throws {
    var configuration = TURNService.Configuration(
      users: try TURNUsers.directory(realm: realm, users: user, file: users, secretFile: secret))
    configuration.port = port
    configuration.address = address.flatMap { IPAddress($0) }
    configuration.acceptsTCP = !udpOnly
    var server = TURNServer.Configuration()
    let relays = relayAddress.isEmpty ? usualRelays(configuration.address) : relayAddress.compactMap { IPAddress($0) }
    server.relayV4 = relays.first { $0.family == .v4 }
    server.relayV6 = relays.first { $0.family == .v6 }
    guard !relays.isEmpty else { throw Failure("no route leads out of here: name --relay-address", .badInput) }
    server.ports = portRange!
    server.ownAddresses = [configuration.address].compactMap { $0 }
    server.peers.allowed = allowPeer.compactMap { AddressBlock($0) }
    server.peers.refused += refusePeer.compactMap { AddressBlock($0) }
    server.allocationsPerUser = quota
    server.maximumAllocations = maximum
    server.maximumLifetime = .seconds(maxLifetime)
    server.bytesPerSecond = rate
    configuration.server = server
    let service = try TURNService(configuration)
    Console.out(
      "listening on \(service.local) (\(udpOnly ? "UDP" : "UDP and TCP")), relaying from "
        + relays.map(\.description).joined(separator: " and "))
    await service.finished()
    let statistics = service.statistics
    Console.out(
      "relayed \(statistics.packetsToPeers) packets to peers and \(statistics.packetsToClients) to clients; "
        + "dropped or refused \(statistics.drops.total)\(Self.reasons(statistics.drops))")
  }

  private static func reasons(_ drops: ReasonCounters<TURNServer.Drop>) -> String {
    let counted = TURNServer.Drop.allCases.filter { drops[$0] > 0 }
    return counted.isEmpty ? "" : ": " + counted.map { "\($0) \(drops[$0])" }.joined(separator: ", ")
  }

  /// The address that is listened on, or those that packets to the internet leave from. Nothing is sent.
  private func usualRelays(_ listening: IPAddress?) -> [IPAddress] {
    if let listening { return [listening] }
    return ["192.0.2.1", "2001:db8::1"].compactMap { LocalAddress.toward(SocketAddress(IPAddress($0)!, port: 9)) }
  }
}
