import CMeshAllocationCounter

/// One thing to be measured.
public struct Benchmark: Sendable {
  /// How the work is done: `count` operations a call.
  public enum Work {
    /// The whole call is measured.
    case loop((_ count: Int) -> Void)
    /// The call measures a part of what it does, and returns it in nanoseconds of the thread's CPU time.
    case timed((_ count: Int) -> Int64)
  }

  /// `layer/operation/case`. The cases of one operation take turns, round by round.
  public let name: String
  /// Bytes that an operation handles; 0 when it is not about bytes.
  public let bytes: Int
  /// The name, within the operation, of the case that this one is held against.
  public let reference: String?
  /// A hot path in steady state: the allocation gate fails when it allocates.
  public let isAllocationFree: Bool
  /// What it comes to besides time, such as a ratio: name and value, asked for after the run.
  let figures: @Sendable () -> [(name: String, value: Double)]
  let make: @Sendable () -> Work?

  /// - Parameter make: makes what the case needs; `nil` when this machine does not have it.
  public init(
    _ name: String, bytes: Int = 0, against reference: String? = nil, allocationFree: Bool = false,
    figures: @escaping @Sendable () -> [(name: String, value: Double)] = { [] },
    _ make: @escaping @Sendable () -> Work?
  ) {
    self.name = name
    self.bytes = bytes
    self.reference = reference
    self.isAllocationFree = allocationFree
    self.figures = figures
    self.make = make
  }

  public var layer: Substring { name.prefix { $0 != "/" } }
  /// `layer/operation`.
  public var operation: Substring {
    name.split(separator: "/").prefix(2).last.map { name[..<$0.endIndex] } ?? name[...]
  }
  var label: Substring { name.split(separator: "/").last ?? name[...] }

  /// All cases, layer by layer. A new hot path is one more case, here and in the gate at once.
  public static let all: [Benchmark] =
    replayCases + cryptoCases + noiseCases + sessionCases + stunCases + turnCases + iceCases + compressionCases
    + packetCases + wireCases + routingCases + reliabilityCases + nodeCases + runtimeCases

  /// The layers that have cases, in order.
  public static var layers: [String] {
    all.reduce(into: []) { if $0.last != String($1.layer) { $0.append(String($1.layer)) } }
  }
}

/// Memory of `count` bytes, for as long as the process lives.
func memory(_ count: Int) -> UnsafeMutableRawBufferPointer {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
  buffer.initializeMemory(as: UInt8.self, repeating: 0x5A)
  return buffer
}

/// A place for a value that cannot be copied, which closures share.
final class Box<Value: ~Copyable> {
  var value: Value
  init(_ value: consuming Value) { self.value = value }
}

/// Keeps the optimiser from removing what `value` took to compute.
@inline(never) func use(_ value: UInt64) { sink &+= value }
nonisolated(unsafe) private var sink: UInt64 = 0

/// What the calling thread has allocated so far, in calls.
func allocations() -> UInt64 { mesh_allocations() }
