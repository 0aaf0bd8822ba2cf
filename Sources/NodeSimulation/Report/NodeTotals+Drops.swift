internal import MeshNode
internal import MeshPrimitives
internal import MeshSession

extension NodeTotals {
  /// What was dropped, by the names of the reasons; those that occurred.
  var dropCounts: [(String, UInt64)] {
    DropReason.allCases.filter { sessionDrops[$0] > 0 }.map { ("\($0)", sessionDrops[$0]) }
      + NodeDropReason.allCases.filter { drops[$0] > 0 }.map { ("\($0)", drops[$0]) }
  }
}
