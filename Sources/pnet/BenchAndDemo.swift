import ArgumentParser
import MeshCommands
import MeshPrimitives

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure throughput, latency and CPU time to a peer.",
    discussion: "The peer serves it with 'pnet bench --serve' or 'pnet up --bench'.")

  @Argument(help: ArgumentHelp("The peer's public key.", valueName: "key[@host:port]"))
  var peer: String?

  @Flag(help: "Serve the other side until Ctrl-C.")
  var serve = false

  @Option(help: ArgumentHelp("Seconds for each direction.", valueName: "seconds"))
  var seconds: Double = 5

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var use: UseOptions

  func validate() throws {
    guard (peer != nil) != serve else { throw ValidationError("Give either a peer's key, or --serve.") }
    guard (0.1...60).contains(seconds) else { throw ValidationError("--seconds must be from 0.1 to 60.") }
  }

  func run() async throws {
    guard let peer else {
      return try await use.withNode(serving: [BenchService.name: .peers]) { node in
        do {
          try await node.serve(BenchService.name, from: .peers) { await BenchService.serve($0, on: node) }
        } catch is CancellationError {}
      }
    }
    let target = try PeerArgument(peer)
    try await use.withNode(for: target) { node in
      let result = try await BenchClient(node, peer: target.key, timeout: use.limit).run(seconds: seconds)
      guard !json else { return Console.out(try JSON.pretty(result)) }
      Console.out("path        \(result.path)")
      Console.out(
        "round trip  p50 \(decimal(result.latencyMillisecondsP50, digits: 3)) ms, p99 \(decimal(result.latencyMillisecondsP99, digits: 3)) ms (64 B over a stream, \(result.roundTrips) times)"
      )
      for (name, way) in [("up  ", result.up), ("down", result.down)] {
        Console.out(
          "\(name)        \(decimal(way.megabitsPerSecond, digits: 0)) Mbit/s (\(byteCount(way.bytes)) in \(decimal(way.seconds, digits: 1)) s), \(decimal(way.cpuSecondsPerGB, digits: 2)) CPU s/GB, both ends"
        )
      }
    }
  }
}

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "The first minute: two nodes on this machine, and a file moved by key.")

  @Option(
    help: ArgumentHelp("Move this file. (default: one that is made up, half random, half text)", valueName: "file"))
  var file: String?

  @Option(help: ArgumentHelp("Size of the file that is made up.", valueName: "megabytes"))
  var size = 256

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard (1...100_000).contains(size) else { throw ValidationError("--size must be from 1 to 100000 megabytes.") }
  }

  func run() async throws {
    if let file { try FileSender.check([file]) }
    let isJSON = json
    let report = try await Demo(file: file, megabytes: size) { text in if !isJSON { Console.out(text) } }.run()
    guard !json else { return Console.out(try JSON.pretty(report)) }
    Console.out("")
    Console.out("path         \(report.path)")
    Console.out("round trip   \(decimal(report.roundTripMilliseconds, digits: 2)) ms")
    Console.out(
      "moved        \(byteCount(report.bytes)) in \(decimal(report.seconds, digits: 2)) s, until it was verified and on disk"
    )
    Console.out("throughput   \(decimal(report.megabitsPerSecond, digits: 0)) Mbit/s")
    Console.out(
      "CPU          \(decimal(report.cpuSecondsPerGB, digits: 2)) s per GB, both nodes, with hashing and files")
    Console.out("SHA-256      \(report.sha256), the same at both ends")
  }
}
