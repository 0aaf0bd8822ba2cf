import ArgumentParser
import MeshCommands
import MeshPrimitives

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show a running node and its peers.")

  @OptionGroup var node: NodeOptions

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Show it again every second.")
  var watch = false

  func run() async throws {
    let path = try node.path()
    let name =
      path.split(separator: "/").last.map { $0.hasSuffix(".sock") ? String($0.dropLast(5)) : String($0) } ?? path
    let control = ControlClient(path)
    repeat {
      let status = try await control.status()
      // A terminal is cleared; a pipe gets one state after the other.
      if watch, !json, Descriptor.standardOutput.isTerminal { Console.raw("\u{1B}[H\u{1B}[2J") }
      if json {
        Console.out(try watch ? String(decoding: JSON.line(status), as: UTF8.self) : JSON.pretty(status))
      } else {
        Console.out(StatusText.render(status, name: name, isColored: Console.isColored))
      }
      if watch { try await Task.sleep(for: .seconds(1)) }
    } while watch
  }
}

struct PeerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer", abstract: "Add or remove a peer of a running node.", subcommands: [Add.self, Remove.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Add a peer until the node ends.")

    @Argument(help: ArgumentHelp("Its public key, and where it is if that is known.", valueName: "key[@host:port]"))
    var peer: String

    @OptionGroup var node: NodeOptions

    func run() async throws { try await ControlClient(node.path()).add(PeerArgument(peer)) }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Forget a peer: its session and its streams end at once.")

    @Argument(help: ArgumentHelp("Its public key.", valueName: "key"))
    var peer: String

    @OptionGroup var node: NodeOptions

    func run() async throws {
      let key = try PeerArgument.key(peer)
      let control = ControlClient(try node.path())
      guard try await control.status().peers.contains(where: { $0.publicKey == key.description }) else {
        throw Failure("the node has no peer \(key)", .unreachable)
      }
      try await control.remove(key)
    }
  }
}

struct Ping: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Measure the round trip to a peer, and show the path.")

  @Argument(help: ArgumentHelp("Its public key.", valueName: "key[@host:port]"))
  var peer: String

  @Option(name: [.short, .long], help: ArgumentHelp("How often. (default: until Ctrl-C)", valueName: "number"))
  var count: Int?

  @Option(name: [.short, .long], help: ArgumentHelp("Seconds between two.", valueName: "seconds"))
  var interval: Double = 1

  @Flag(help: "Print a line of JSON per answer.")
  var json = false

  @OptionGroup var use: UseOptions

  func validate() throws {
    guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count must be at least 1.") }
    guard (0.01...3600).contains(interval) else {
      throw ValidationError("--interval must be from 0.01 to 3600 seconds.")
    }
  }

  func run() async throws {
    let target = try PeerArgument(peer)
    try await use.withNode(for: target) { node in
      var times: [Double] = []
      var sent = 0
      var last: Failure?
      do {
        while sent < count ?? .max {
          if sent > 0 { try await Task.sleep(for: .milliseconds(Int64(interval * 1000))) }
          sent += 1
          do {
            let reply = try await node.ping(target.key, timeout: use.limit)
            times.append(reply.milliseconds)
            if json {
              Console.out(String(decoding: try JSON.line(reply), as: UTF8.self))
            } else {
              Console.out("\(sent): \(reply.path), \(decimal(reply.milliseconds, digits: 2)) ms")
            }
          } catch {
            let failure = Failure(describing: error)
            if failure.code == .interrupted || failure.code == .noNode { throw failure }
            last = failure
            Console.note(failure.message)
          }
        }
      } catch let failure as Failure where failure.code != .interrupted {
        throw failure
      } catch {
        if Task.isCancelled, count != nil, times.count < sent { throw error }
      }
      guard let least = times.min(), let most = times.max() else { throw last ?? Failure("no answer", .unreachable) }
      guard !json else { return }
      let mean = times.reduce(0, +) / Double(times.count)
      Console.out(
        "\(times.count) of \(sent) answered; min/mean/max \(decimal(least, digits: 2))/\(decimal(mean, digits: 2))/\(decimal(most, digits: 2)) ms"
      )
    }
  }
}
