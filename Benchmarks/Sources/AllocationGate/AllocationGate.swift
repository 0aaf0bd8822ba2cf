import MeshBenchmarks

/// Exits 1 when a hot path allocates in steady state. To be built for release: debug builds allocate where release
/// builds do not.
@main struct AllocationGate {
  static func main() {
    #if DEBUG
    print("allocation-gate: build it with -c release; a debug build allocates where a release build does not")
    exit(code: 2)
    #else
    guard Gate.canCount else {
      print("allocation-gate: allocations are counted with glibc only")
      exit(code: 2)
    }
    var failures = 0
    for benchmark in Benchmark.all where benchmark.isAllocationFree {
      guard let result = Gate.run(benchmark) else {
        print("skip  \(benchmark.name): not on this machine")
        continue
      }
      if result.allocations > 0 { failures += 1 }
      let verdict = result.allocations == 0 ? "ok  " : "FAIL"
      print("\(verdict)  \(benchmark.name): \(result.allocations) allocations in \(Gate.operations) operations")
    }
    guard failures == 0 else {
      print("allocation-gate: \(failures) hot paths allocate")
      exit(code: 1)
    }
    #endif
  }
}
