import ArgumentParser
import MeshCommands
import MeshPrimitives
import MeshRuntime
import MeshSTUN
import MeshTURN
import MeshTraversal

/// Runs what waits in the kernel on a thread of its own; Ctrl-C ends it.
private func onThread<Value: Sendable>(_ stop: StopFlag, _ body: @escaping @Sendable () throws -> Value) async throws
  -> Value
{
  let outcome = OutcomeBox<Value>()
  let thread = try EngineThread(name: "pnet-nat") { outcome.set(Result { try body() }) }
  await withTaskCancellationHandler {
    await thread.finished()
  } onCancel: {
    stop.stop()
  }
  try Task.checkCancellation()
  return try outcome.take()
}

private final class OutcomeBox<Value: Sendable>: @unchecked Sendable {
  // Written by the thread before it ends, read after it has ended.
  private var result: Result<Value, any Error>?
  func set(_ result: Result<Value, any Error>) { self.result = result }
  func take() throws -> Value { try result!.get() }
}

struct NetCheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "netcheck", abstract: "Find out what the network does to UDP.",
    discussion: """
      Asks the servers that you name, and nobody else. Mapping and filtering (RFC 4787) need a STUN server with two \
      addresses (RFC 5780), such as 'pnet stun-server' with --alternate. --turn makes two allocations and sends through both.
      """)

  @Option(parsing: .singleValue, help: ArgumentHelp("A STUN server. Repeatable.", valueName: "host:port"))
  var stun: [String] = []

  @Option(parsing: .singleValue, help: ArgumentHelp("A TURN server, over UDP. Repeatable.", valueName: "host:port"))
  var turn: [String] = []

  @Option(help: ArgumentHelp("User name for the TURN servers.", valueName: "name"))
  var user: String?

  @Option(help: ArgumentHelp("Password for the TURN servers. (also: PNET_TURN_PASSWORD)", valueName: "password"))
  var pass: String?

  @Flag(help: "Measure how long an idle mapping lives: takes about that long.")
  var lifetime = false

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard !stun.isEmpty || !turn.isEmpty else { throw ValidationError("Name a server: --stun or --turn.") }
    guard turn.isEmpty || user != nil else { throw ValidationError("--turn needs --user and --pass.") }
  }

  func run() async throws {
    let stop = StopFlag()
    var result = NetCheckOutput()
    for text in stun {
      let (server, lifetime) = (try await serverAddress(text), lifetime)
      let found = try await onThread(stop) { try NetCheck.stun(server, lifetime: lifetime, stop: stop) }
      result.stun.append(NetCheckOutput.Server(text, found))
    }
    let password = pass ?? environmentValue("PNET_TURN_PASSWORD") ?? ""
    for text in turn {
      let (server, user) = (try await serverAddress(text), user ?? "")
      let found = try await onThread(stop) {
        try NetCheck.turn(server, username: user, password: password, stop: stop)
      }
      result.turn.append(NetCheckOutput.Relay(text, found))
    }
    if json { Console.out(try JSON.pretty(result)) } else { result.lines.forEach(Console.out) }
    let isGood = result.stun.contains { $0.udp } || result.turn.contains { $0.relays }
    if !isGood { throw Failure("no server answered, or none relayed", .unreachable) }
  }
}

/// Reads `HOST:PORT`, or `HOST` with port 3478.
private func serverAddress(_ text: String) async throws -> SocketAddress {
  let hasPort = text.hasSuffix("]") ? false : text.last.map { $0.isNumber } == true && text.contains(":")
  do { return try await NameResolver.resolve(hasPort ? text : text + ":3478") } catch {
    throw Failure("\(text): \(error)", .badInput)
  }
}

/// What `netcheck` prints, as JSON and in words.
struct NetCheckOutput: Encodable {
  struct Server: Encodable {
    var server: String
    var udp: Bool
    var ipv6: Bool
    var mapped: String?
    var local: String?
    var translated: Bool?
    var roundTripMilliseconds: Double?
    var mapping: String?
    var filtering: String?
    var hairpinning: Bool?
    var otherAddress: String?
    var lifetimeAliveSeconds: Int64?
    var lifetimeExpiredSeconds: Int64?
    var error: String?

    init(_ name: String, _ result: NetCheck.STUNResult) {
      let report = result.report
      server = name
      udp = report.mappedAddress != nil
      ipv6 = result.server.address.family == .v6
      mapped = report.mappedAddress.map { "\($0)" }
      local = result.local.map { "\($0)" }
      translated = report.isTranslated
      roundTripMilliseconds = report.roundTrip.map(milliseconds)
      mapping = report.mapping.map { "\($0)" }
      filtering = report.filtering.map { "\($0)" }
      hairpinning = report.hairpinning
      otherAddress = report.otherAddress.map { "\($0)" }
      lifetimeAliveSeconds = result.lifetime?.alive?.components.seconds
      lifetimeExpiredSeconds = result.lifetime?.expired?.components.seconds
      error = report.rejected.map { "\($0)" }
    }
  }

  struct Relay: Encodable {
    var server: String
    var relays: Bool
    var relayed: [String]
    var mapped: String?
    var roundTripMilliseconds: Double?
    var error: String?

    init(_ name: String, _ result: NetCheck.TURNResult) {
      server = name
      relays = result.roundTrip != nil
      relayed = result.relayed.map { "\($0)" }
      mapped = result.mapped.map { "\($0)" }
      roundTripMilliseconds = result.roundTrip.map(milliseconds)
      error = result.failure.map { "\($0)" }
    }
  }

  var stun: [Server] = []
  var turn: [Relay] = []

  private static let mappingWords = [
    "endpointIndependent": "one for all destinations (endpoint-independent)",
    "addressDependent": "one per address (address-dependent)",
    "addressAndPortDependent": "one per address and port (address- and port-dependent, \"symmetric\")",
  ]
  private static let filteringWords = [
    "endpointIndependent": "lets everybody in (endpoint-independent)",
    "addressDependent": "lets in the addresses that were sent to (address-dependent)",
    "addressAndPortDependent": "lets in the addresses and ports that were sent to (address- and port-dependent)",
  ]

  var lines: [String] {
    var lines: [String] = []
    for server in stun {
      lines.append("STUN \(server.server)")
      guard server.udp else {
        lines.append("  UDP           \(server.error.map { "answered with \($0)" } ?? "no answer")")
        continue
      }
      lines.append("  UDP           yes\(server.ipv6 ? ", over IPv6" : "")")
      if let mapped = server.mapped { lines.append("  seen as       \(mapped)") }
      if let local = server.local { lines.append("  own address   \(local)") }
      if let translated = server.translated {
        lines.append("  NAT           \(translated ? "yes" : "none")")
      }
      if let time = server.roundTripMilliseconds { lines.append("  round trip    \(decimal(time, digits: 1)) ms") }
      lines.append(
        "  mapping       \(server.mapping.flatMap { Self.mappingWords[$0] } ?? "not known: needs a server with two addresses")"
      )
      lines.append(
        "  filtering     \(server.filtering.flatMap { Self.filteringWords[$0] } ?? "not known: needs a server with two addresses")"
      )
      if let hairpinning = server.hairpinning { lines.append("  hairpinning   \(hairpinning ? "yes" : "no")") }
      if server.lifetimeAliveSeconds != nil || server.lifetimeExpiredSeconds != nil {
        let alive = server.lifetimeAliveSeconds.map { "at least \($0) s" } ?? "short"
        let expired = server.lifetimeExpiredSeconds.map { ", less than \($0) s" } ?? ""
        lines.append("  idle mapping  lives \(alive)\(expired)")
      }
    }
    for server in turn {
      lines.append("TURN \(server.server)")
      if !server.relayed.isEmpty { lines.append("  relayed at    \(server.relayed.joined(separator: ", "))") }
      if let mapped = server.mapped { lines.append("  seen as       \(mapped)") }
      if let time = server.roundTripMilliseconds {
        lines.append("  relays        yes, \(decimal(time, digits: 1)) ms there and back through two allocations")
      } else {
        lines.append("  relays        no: \(server.error ?? "no answer")")
      }
    }
    return lines
  }
}

private func milliseconds(_ duration: Duration) -> Double {
  (Double(duration.wholeNanoseconds) / 1000).rounded() / 1000
}

struct STUNServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stun-server", abstract: "Answer STUN requests: tell others their address.",
    discussion: """
      Answers within a rate per source, and never with much more than it was sent. With --address and --alternate, two \
      addresses of this machine, it also serves NAT behaviour discovery (RFC 5780) on the port and the next one.
      """)

  @Option(help: ArgumentHelp("UDP port.", valueName: "port"))
  var listen: UInt16 = 3478

  @Option(help: ArgumentHelp("The address to listen on. (default: all)", valueName: "address"))
  var address: String?

  @Option(help: ArgumentHelp("A second address, for behaviour discovery.", valueName: "address"))
  var alternate: String?

  @Option(help: ArgumentHelp("Requests per second and source.", valueName: "number"))
  var rate = 20

  func validate() throws {
    guard (1...1_000_000).contains(rate) else { throw ValidationError("--rate must be from 1 to 1000000.") }
    guard alternate == nil || address != nil else { throw ValidationError("--alternate needs --address.") }
    guard alternate == nil || listen < 65_535 && listen > 0 else {
      throw ValidationError("With --alternate, --listen must leave room for the next port.")
    }
  }

  func run() async throws {
    let stop = StopFlag()
    var configuration = BindingServer.Configuration()
    (configuration.requestsPerSecond, configuration.burst) = (rate, min(rate * 2, 1_000_000))
    let first = try address.map { try ipAddress($0) }
    let loop: STUNServerLoop
    do {
      if let first, let alternate {
        let second = try ipAddress(alternate)
        guard first.family == second.family, first != second else {
          throw Failure("--address and --alternate must be two addresses of one family", .badInput)
        }
        loop = try STUNServerLoop(
          addresses: (first, second), ports: (listen, listen + 1), configuration, stop: stop)
      } else {
        loop = try STUNServerLoop(port: listen, address: first, configuration, stop: stop)
      }
    } catch let error as SocketError { throw Failure("\(error)") }
    Console.out("listening on \(loop.localAddresses.map { "\($0)" }.joined(separator: ", "))")
    try await onThread(stop) { loop.run() }
  }
}

private func ipAddress(_ text: String) throws -> IPAddress {
  guard let address = IPAddress(text) else { throw Failure("'\(text)' is no IP address", .badInput) }
  return address
}

/// The lines of a file of users; empty ones and those that begin with # are left out.
private func userLines(_ path: String) throws -> [String] {
  let bytes = try KeyFile.read(path, limit: 1 << 20, isSecret: true, holding: "passwords").bytes
  return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    .filter { !$0.hasPrefix("#") }
}

struct TURNServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "turn-server", abstract: "Relay UDP for users (TURN), over UDP.",
    discussion: """
      Users come from --user, or from a file with a line NAME:PASSWORD for each; with --secret also time-limited ones (the \
      user name is EXPIRY:ANYTHING). Relays to public addresses only, unless --allow-peer names others.
      """)

  @Option(help: ArgumentHelp("UDP port.", valueName: "port"))
  var listen: UInt16 = 3478

  @Option(
    help: ArgumentHelp("The address to listen on and to relay from, one of this machine's.", valueName: "address"))
  var address: String

  @Option(help: ArgumentHelp("Realm of the users.", valueName: "name"))
  var realm = "pnet"

  @Option(parsing: .singleValue, help: ArgumentHelp("A user. Repeatable.", valueName: "name:password"))
  var user: [String] = []

  @Option(help: ArgumentHelp("A file of users, which others must not be able to read.", valueName: "file"))
  var users: String?

  @Option(help: ArgumentHelp("Secret of time-limited credentials.", valueName: "secret"))
  var secret: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Addresses that may be peers although they are not public. Repeatable.", valueName: "block"))
  var allowPeer: [String] = []

  @Option(help: ArgumentHelp("Allocations per user.", valueName: "number"))
  var quota = 10

  @Option(help: ArgumentHelp("Bytes per second of an allocation. (default: no limit)", valueName: "number"))
  var rate: Int?

  func validate() throws {
    guard !user.isEmpty || users != nil || secret != nil else {
      throw ValidationError("Nobody could use it: give --user, --users or --secret.")
    }
    guard (1...100_000).contains(quota) else { throw ValidationError("--quota must be from 1 to 100000.") }
    guard realm.utf8.count <= 127 else { throw ValidationError("--realm has at most 127 bytes.") }
  }

  func run() async throws {
    var configuration = TURNServer.Configuration()
    let own = try ipAddress(address)
    if own.family == .v4 { configuration.relayV4 = own } else { configuration.relayV6 = own }
    configuration.allocationsPerUser = quota
    configuration.bytesPerSecond = rate
    for text in allowPeer {
      guard let block = AddressBlock(text) else { throw Failure("'\(text)' is no address block", .badInput) }
      configuration.peers.allowed.append(block)
    }
    var directory = UserDirectory(realm: realm)
    let lines = try users.map(userLines) ?? []
    for line in user + lines {
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.count <= 512 else {
        throw Failure("a user is written NAME:PASSWORD", .badInput)
      }
      directory.add(String(parts[0]), password: String(parts[1]))
    }
    if let secret { directory.acceptTimeLimited(secret: secret) }
    let stop = StopFlag()
    let loop: TURNServerLoop
    do {
      loop = try TURNServerLoop(port: listen, address: own, configuration, users: directory, stop: stop)
    } catch { throw Failure("\(error)") }
    Console.out("listening on \(loop.localAddress)")
    try await onThread(stop) { loop.run() }
  }
}
