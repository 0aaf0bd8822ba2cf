import MeshBenchmarks

/// Measures the layers. `bench --help` tells how.
@main struct Bench {
  static let usage = """
    usage: bench [--json] [--list] [--rounds N] [LAYER | LAYER/OPERATION[/CASE]]…
    Figures are CPU time per operation: median and minimum of N rounds (15), in which the cases of an operation take turns.
    """

  static func main() {
    var runner = Runner()
    var filters: [String] = []
    var isJSON = false
    var isList = false
    var arguments = CommandLine.arguments.dropFirst()
    while let argument = arguments.popFirst() {
      switch argument {
      case "--json": isJSON = true
      case "--list": isList = true
      case "--rounds":
        guard let rounds = arguments.popFirst().flatMap({ Int($0) }), (1...1000).contains(rounds) else {
          fail("--rounds takes a number from 1 to 1000")
        }
        runner.rounds = rounds
      case "-h", "--help":
        print(usage)
        return
      default:
        guard !argument.hasPrefix("-") else { fail("unknown option '\(argument)'\n\(usage)") }
        filters.append(argument.lowercased())
      }
    }
    for filter in filters where !Benchmark.all.contains(where: { matches($0, filter) }) {
      fail("nothing is called '\(filter)'. Layers: \(Benchmark.layers.joined(separator: ", "))")
    }
    let chosen = Benchmark.all.filter { benchmark in
      filters.isEmpty || filters.contains { matches(benchmark, $0) }
    }
    if isList {
      for benchmark in chosen { print(benchmark.name) }
      return
    }
    #if DEBUG
    fail("build with -c release: figures of a debug build say nothing")
    #endif
    let report: Report = isJSON ? JSONReport() : TableReport()
    report.begin()
    var rest = chosen[...]
    while let first = rest.first {
      let group = rest.prefix { $0.operation == first.operation }
      rest = rest.dropFirst(group.count)
      report.add(runner.run(Array(group)))
    }
    report.end()
  }

  /// Whether `filter`, in lower case, is the name or a whole first part of it.
  static func matches(_ benchmark: Benchmark, _ filter: String) -> Bool {
    let name = benchmark.name.lowercased()
    return name == filter || name.hasPrefix(filter + "/")
  }

  static func fail(_ message: String) -> Never {
    print("bench: \(message)")
    exit(code: 2)
  }
}
