import ArgumentParser
import Glibc
import MeshCommands

/// Runs the command line: errors as one plain line, exit codes, Ctrl-C as cancellation.
@main enum Program {
  static func main() async {
    let task = Task { await run() }
    Signals.install { _ in task.cancel() }
    exit(await task.value)
  }

  private static func run() async -> Int32 {
    var command: any ParsableCommand
    do { command = try PNet.parseAsRoot() } catch { PNet.exit(withError: error) }
    do {
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      return 0
    } catch let error as CleanExit {
      PNet.exit(withError: error)
    } catch let code as ExitCode {
      // All was said.
      return code.rawValue
    } catch {
      let failure = Failure(describing: error)
      Console.note(failure.message)
      return failure.code.rawValue
    }
  }
}

struct PNet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pnet",
    abstract: "An encrypted mesh: dial a public key, not an address, on a port that also speaks WireGuard.",
    discussion: """
      A node is started with 'pnet up'. The other commands use the node that runs (--node, --control), or start one of \
      their own for as long as they take (--key, --peer KEY@HOST:PORT).

      Flags count over the environment (PNET_CONFIG, PNET_KEY, PNET_LISTEN, PNET_PEER, PNET_ACCEPT, PNET_NODE, \
      PNET_CONTROL, PNET_STATE), that over the configuration file, and that over what is usual.

      Exit codes: 0 done; 1 failed; 2 a wrong or unreadable key, configuration or file; 3 no node runs; 4 the peer is \
      unknown or does not answer; 5 the peer refused; 6 a transfer broke or arrived damaged; 64 wrong use of the \
      command line; 130 interrupted.
      """,
    version: "0.1.0",
    subcommands: [
      GenerateKey.self, DerivePublicKey.self, Up.self, Down.self, Status.self, PeerCommand.self, Ping.self, Send.self,
      Receive.self, Cat.self, Serve.self, Bench.self, Netcheck.self, STUNServerCommand.self,
      TURNServerCommand.self, ICECommand.self, Dict.self, Simulate.self, DemoCommand.self,
    ])
}
