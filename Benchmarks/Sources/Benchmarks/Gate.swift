import CMeshAllocationCounter

/// Runs every case that must not allocate, and tells which do.
public enum Gate {
  public struct Result {
    public let name: String
    /// Calls of the allocator in ``operations`` operations.
    public let allocations: UInt64
  }

  /// Operations before counting starts: buffers, tables and pools have grown by then.
  static let warmUp = 100_000
  /// Operations that are counted.
  public static let operations = 20_000

  /// Whether allocations can be counted here.
  public static var canCount: Bool {
    guard mesh_counts_allocations() != 0 else { return false }
    // The counter must see what Swift allocates, or the gate would pass everything.
    let before = mesh_allocations()
    use(UInt64(UInt(bitPattern: ObjectIdentifier(Box(before)).hashValue)))
    return mesh_allocations() > before
  }

  public static func run(_ benchmark: Benchmark) -> Result? {
    guard let work = benchmark.make() else { return nil }
    _ = perform(warmUp, work)
    let before = mesh_allocations()
    _ = perform(operations, work)
    return Result(name: benchmark.name, allocations: mesh_allocations() - before)
  }
}
