import ArgumentParser
import MeshCommands
import MeshPrimitives
import Synchronization

struct Send: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send files to a peer that runs 'pnet receive'.",
    discussion: "What was interrupted goes on where it stopped when it is sent again.")

  @Argument(help: ArgumentHelp("The peer's public key.", valueName: "key[@host:port]"))
  var peer: String

  @Argument(help: ArgumentHelp("What to send.", valueName: "file"))
  var files: [String]

  @Flag(help: "Print a line of JSON per file.")
  var json = false

  @OptionGroup var use: UseOptions

  func run() async throws {
    let target = try PeerArgument(peer)
    try FileSender.check(files)
    try await use.withNode(for: target) { node in
      let stream = try await node.open(FileService.name, at: target.key, timeout: use.limit)
      let bar = ProgressBar()
      defer { bar.clear() }
      do {
        try await FileSender(stream) { bar.show($0) }.send(files) { file in
          bar.clear()
          Console.out(try json ? String(decoding: JSON.line(file), as: UTF8.self) : Self.describe(file, "sent"))
        }
      } catch let error {
        let failure = Failure(describing: error)
        guard failure.code == .refused, failure.message.contains("\"\(FileService.name)\"") else { throw error }
        throw Failure("\(target.key) takes no files from us: run 'pnet receive DIR' there, and list our key", .refused)
      }
    }
  }

  static func describe(_ file: TransferredFile, _ verb: String) -> String {
    guard file.transferred > 0 || file.size == 0 else { return "\(file.name): \(byteCount(file.size)), there already" }
    let rate = file.seconds > 0 ? Double(file.transferred) * 8 / file.seconds / 1e6 : 0
    let resumed =
      file.transferred < file.size ? " (the first \(byteCount(file.size - file.transferred)) were there)" : ""
    return "\(file.name): \(byteCount(file.size)) \(verb) in \(decimal(file.seconds, digits: 2)) s, "
      + "\(decimal(rate, digits: 0)) Mbit/s, verified\(resumed)"
  }
}

struct Receive: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take files from peers into a directory.",
    discussion: """
      A file appears under its name only when it is whole and its SHA-256 is right. Runs until Ctrl-C, or with --once \
      until the first sender has sent all.
      """)

  @Argument(help: ArgumentHelp("Where to put them.", valueName: "directory"))
  var directory: String

  @Flag(help: "Replace files of the same name; otherwise they are refused.")
  var overwrite = false

  @Flag(help: "End after the first sender.")
  var once = false

  @Flag(help: "Print a line of JSON per file.")
  var json = false

  @OptionGroup var access: AccessOptions
  @OptionGroup var use: UseOptions

  func run() async throws {
    let target = try ReceiveDirectory(directory, isOverwriting: overwrite)
    let access = try access.access()
    try await use.withNode(serving: [FileService.name: access]) { node in
      let (ended, end) = AsyncStream.makeStream(of: Failure?.self)
      let bar = ProgressBar()
      defer { bar.clear() }
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await node.serve(FileService.name, from: access) { stream in
              let failure = await Self.take(stream, target, isJSON: json, isQuiet: once, bar: bar)
              if once {
                end.yield(failure)
                end.finish()
              }
            }
          }
          group.addTask {
            for await failure in ended { if let failure { throw failure } }
          }
          defer { group.cancelAll() }
          try await group.next()
        }
      } catch is CancellationError where !once {
        // Ctrl-C is how this ends.
      }
    }
  }

  /// Takes the files of one stream and reports them. - Returns: what went wrong.
  @discardableResult
  static func take(
    _ stream: any NodeStream, _ directory: ReceiveDirectory, isJSON: Bool, isQuiet: Bool, bar: ProgressBar?
  ) async -> Failure? {
    do {
      try await directory.receive(stream, report: { bar?.show($0) }) { file in
        bar?.clear()
        guard !isQuiet || bar != nil else { return }
        Console.out(
          try isJSON
            ? String(decoding: JSON.line(file), as: UTF8.self) : "\(Send.describe(file, "received")) from \(file.peer)")
      }
      return nil
    } catch {
      bar?.clear()
      let failure = Failure(describing: error)
      if !isQuiet { Console.note("from \(stream.peer): \(failure.message)") }
      return failure
    }
  }
}
