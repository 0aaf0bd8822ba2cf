import ArgumentParser
import MeshCommands
import MeshCompression

struct Dict: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make, keep and measure the dictionaries that small messages are compressed with.",
    discussion: """
      A dictionary contains pieces of what it was trained from. Files are made with mode 0600, in the directory of --dir. \
      They are zstd dictionaries: 'zstd -D FILE' uses them as they are, and 'zstd --train' makes such ones.

      A DICTIONARY is a file, or of those in the directory the id or the beginning of the hash.
      """,
    subcommands: [
      Train.self, List.self, Show.self, Evaluate.self, Diff.self, Apply.self, Export.self,
    ])

  struct ShelfOption: ParsableArguments {
    @Option(
      name: .customLong("dir"),
      help: ArgumentHelp(
        "The directory of dictionaries. (default: $PNET_DICTIONARIES, or /var/lib/pnet/dictionaries for root and "
          + "~/.local/share/pnet/dictionaries for others)",
        valueName: "directory"))
    var directory: String?

    func open() throws -> DictionaryShelf { try DictionaryShelf(directory ?? DictionaryShelf.usualPath) }
  }

  struct SampleOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "What a sample is: 'files', 'lines', 'paragraphs' (between empty lines), or a number of bytes.",
        valueName: "split"))
    var split = "files"

    @Option(help: ArgumentHelp("zstd's level, 1 to 19.", valueName: "level"))
    var level = 3

    func validate() throws {
      guard SampleFiles.Split(split) != nil else {
        throw ValidationError("--split is 'files', 'lines', 'paragraphs', or a number of bytes from 16 to 131072.")
      }
      guard (1...19).contains(level) else { throw ValidationError("--level must be from 1 to 19.") }
    }

    func read(_ files: [String]) throws -> [[UInt8]] {
      try SampleFiles(split: SampleFiles.Split(split) ?? .files).read(files)
    }
  }

  struct Train: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train a dictionary from samples, in the size that serves best.",
      discussion: """
        The samples are shuffled; a part of them is kept apart, and the dictionary of each size is measured on that. The \
        smallest that is nearly as good as the best is kept. The same samples and --seed give the same dictionary.
        """)

    @Argument(help: ArgumentHelp("Files or directories of samples.", valueName: "file"))
    var files: [String]

    @Option(help: ArgumentHelp("One size in KiB, 8 to 256, in place of trying all.", valueName: "kib"))
    var size: Int?

    @Option(help: ArgumentHelp("Decides the order of the samples.", valueName: "number"))
    var seed: UInt64 = 1

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var samples: SampleOptions
    @OptionGroup var shelf: ShelfOption

    func validate() throws {
      guard (8...256).contains(size ?? 8) else { throw ValidationError("--size must be from 8 to 256.") }
    }

    func run() async throws {
      let shelf = try shelf.open()
      var options = TrainingOptions()
      options.level = samples.level
      if let size { options.sizes = [size * 1024] }
      let bar = ProgressBar()
      defer { bar.clear() }
      let (dictionary, report) = try DictionaryShelf.train(try samples.read(files), options, seed: seed) {
        done, total in
        bar.show("training", step: done, of: total)
      }
      bar.clear()
      let training = DictionaryFacts.Training(report)
      let file = try shelf.save(dictionary, training: training)
      guard !json else {
        return Console.out(try JSON.pretty(DictionaryFacts(dictionary, file: file, training: training)))
      }
      Dict.print(training, chosen: dictionary.size)
      Console.out("\(file)")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the dictionaries of the directory, oldest first.")

    @Flag(help: "Print a line of JSON per dictionary.")
    var json = false

    @OptionGroup var shelf: ShelfOption

    func run() async throws {
      let shelf = try shelf.open()
      for dictionary in shelf.dictionaries {
        let facts = shelf.facts(of: dictionary)
        if json {
          Console.out(String(decoding: try JSON.line(facts), as: UTF8.self))
        } else {
          let ratio = facts.training.map { "  \(decimal($0.ratio, digits: 2)) x smaller when it was trained" } ?? ""
          Console.out("\(dictionary)  \(dictionary.size) B\(ratio)")
        }
      }
      for refused in shelf.refused { Console.note("left out: \(refused.reason)") }
      if shelf.dictionaries.isEmpty, shelf.refused.isEmpty, !json {
        Console.note("there are none in \(shelf.path): make one with 'pnet dict train'")
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what is known of a dictionary.")

    @Argument(help: ArgumentHelp("Which.", valueName: "dictionary"))
    var dictionary: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var shelf: ShelfOption

    func run() async throws {
      let shelf = try shelf.open()
      let dictionary = try shelf.find(dictionary)
      let facts = shelf.facts(of: dictionary)
      guard !json else { return Console.out(try JSON.pretty(facts)) }
      Console.out("id           \(facts.id)")
      Console.out("BLAKE2b-256  \(facts.hash)")
      Console.out("size         \(facts.size) B")
      if let file = facts.file { Console.out("file         \(file)") }
      if let training = facts.training { Dict.print(training, chosen: facts.size) }
    }
  }

  struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure a dictionary on samples, and tell whether it should be trained anew.")

    @Argument(help: ArgumentHelp("Which.", valueName: "dictionary"))
    var dictionary: String

    @Argument(help: ArgumentHelp("Files or directories of samples.", valueName: "file"))
    var files: [String]

    @Option(
      help: ArgumentHelp(
        "The share of the ratio that may be lost before it should be trained anew.", valueName: "share"))
    var decay = 0.15

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var samples: SampleOptions
    @OptionGroup var shelf: ShelfOption

    func validate() throws {
      guard (0.01...0.99).contains(decay) else { throw ValidationError("--decay must be from 0.01 to 0.99.") }
    }

    func run() async throws {
      let shelf = try shelf.open()
      let dictionary = try shelf.find(dictionary)
      let result = try DictionaryEvaluation(
        dictionary, on: try samples.read(files), level: samples.level, training: shelf.facts(of: dictionary).training,
        decay: decay)
      guard !json else { return Console.out(try JSON.pretty(result)) }
      Console.out("samples             \(result.samples), \(result.sampleBytes) B")
      Console.out(
        "without dictionary  \(result.plainBytes) B, \(decimal(result.plainRatio, digits: 2)) x smaller")
      Console.out(
        "with \(dictionary)  \(result.compressedBytes) B, \(decimal(result.ratio, digits: 2)) x smaller")
      if let trained = result.trainedRatio, let isNeeded = result.needsRetraining {
        Console.out("when it was trained \(decimal(trained, digits: 2)) x smaller")
        Console.out(isNeeded ? "train it anew: 'pnet dict train' with current samples" : "it still fits")
      }
    }
  }

  struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a diff that turns one dictionary into another, for who holds the first.")

    @Argument(help: ArgumentHelp("The dictionary to start from.", valueName: "old"))
    var old: String

    @Argument(help: ArgumentHelp("The dictionary to arrive at.", valueName: "new"))
    var new: String

    @Option(name: [.short, .customLong("output")], help: ArgumentHelp("The file to make.", valueName: "file"))
    var output: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var shelf: ShelfOption

    func run() async throws {
      let shelf = try shelf.open()
      let (old, new) = (try shelf.find(old), try shelf.find(new))
      let bytes = try DictionaryShelf.diff(from: old, to: new)
      try DictionaryShelf.write(bytes, to: output, isReplacing: false)
      guard !json else {
        return Console.out(try JSON.pretty(DiffFacts(from: old, to: new, file: output, size: bytes.count)))
      }
      let share = Double(bytes.count) * 100 / Double(new.size)
      Console.out("\(output): \(bytes.count) B, \(decimal(share, digits: 1)) % of \(new)")
    }
  }

  struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the new dictionary out of a diff and the old one, and verify its hash.")

    @Argument(help: ArgumentHelp("What 'pnet dict diff' made.", valueName: "diff"))
    var diff: String

    @Option(
      help: ArgumentHelp("The old one. (default: the one in the directory that the diff names)", valueName: "old"))
    var old: String?

    @Option(
      name: [.short, .customLong("output")],
      help: ArgumentHelp("Write it to this new file, not into the directory.", valueName: "file"))
    var output: String?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var shelf: ShelfOption

    func run() async throws {
      let shelf = try shelf.open()
      let dictionary = try shelf.apply(diff, to: try old.map { try shelf.find($0) })
      if let output { try DictionaryShelf.write(dictionary.bytes, to: output, isReplacing: false) }
      let file = try output ?? shelf.save(dictionary)
      Console.out(try json ? JSON.pretty(DictionaryFacts(dictionary, file: file)) : file)
    }
  }

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a dictionary to a file that is to leave this machine.",
      discussion: "Whoever gets it can read the pieces of samples that it contains.")

    @Argument(help: ArgumentHelp("Which.", valueName: "dictionary"))
    var dictionary: String

    @Option(name: [.short, .customLong("output")], help: ArgumentHelp("The file to make.", valueName: "file"))
    var output: String

    @OptionGroup var shelf: ShelfOption

    func run() async throws {
      let dictionary = try shelf.open().find(dictionary)
      try DictionaryShelf.write(dictionary.bytes, to: output, isReplacing: false)
      Console.note(
        "warning: \(output) contains pieces of what it was trained from, readable by whoever gets it; give it only to those "
          + "who may see that")
      Console.out(output)
    }
  }

  /// How a dictionary was trained, in words.
  static func print(_ training: DictionaryFacts.Training, chosen: Int) {
    Console.out(
      "trained      from \(training.samples) samples, \(training.sampleBytes) B; measured on \(training.holdOutSamples) that "
        + "were kept apart, level \(training.level)")
    Console.out("none         \(decimal(training.plainRatio, digits: 2)) x smaller")
    for candidate in training.candidates {
      let size = "\(candidate.size) B"
      Console.out(
        size + String(repeating: " ", count: max(1, 13 - size.count))
          + "\(decimal(candidate.ratio, digits: 2)) x smaller"
          + (candidate.size == chosen ? "  <- chosen" : ""))
    }
    let payOff = training.messagesToPayOff.map { ", its own size after \($0) messages" } ?? ""
    Console.out("saves        \(decimal(training.savedPerMessage, digits: 0)) B per message\(payOff)")
  }
}
