import MeshSimulation
import Testing

@testable import MeshReliability

@Suite("Range set") struct RangeSetTests {
  private func ranges(_ set: RangeSet) -> [Range<UInt64>] { (0..<set.count).map { set[$0] } }

  private func ranges(_ model: Set<UInt64>) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    for number in model.sorted() {
      if let last = result.last, last.upperBound == number {
        result[result.count - 1] = last.lowerBound..<number + 1
      } else {
        result.append(number..<number + 1)
      }
    }
    return result
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `it does what a plain set does`(seed: UInt64) {
    var entropy = SeededEntropy(seed: seed)
    var set = RangeSet()
    var model: Set<UInt64> = []
    for step in 0..<400 {
      let low = UInt64(entropy.upTo(120))
      let range = low..<low + UInt64(entropy.upTo(12))
      switch entropy.upTo(9) {
      case 0...4:
        set.insert(range)
        model.formUnion(range)
      case 5...7:
        set.remove(range)
        model.subtract(range)
      case 8:
        let limit = UInt64(entropy.upTo(40))
        set.removeAll(below: limit)
        model = model.filter { $0 >= limit }
      default:
        let gap = (range.first { !model.contains($0) }).map { first in
          first..<((first..<range.upperBound).first { model.contains($0) } ?? range.upperBound)
        }
        #expect(set.firstGap(in: range) == gap, "seed \(seed), step \(step)")
      }
      #expect(ranges(set) == ranges(model), "seed \(seed), step \(step)")
      let probe = UInt64(entropy.upTo(130))
      #expect(set.contains(probe) == model.contains(probe), "seed \(seed), step \(step)")
    }
  }

  @Test func `taking from the front keeps the rest`() {
    var set = RangeSet()
    for index in 0..<500 as Range<UInt64> { set.insert(index * 3..<index * 3 + 1) }
    for index in 0..<499 as Range<UInt64> {
      #expect(set.first == index * 3..<index * 3 + 1)
      set.removeFirst()
      #expect(set.count == Int(499 - index))
    }
  }
}
