internal import MeshPrimitives

/// A bounded choice of the messages that went by, to train a dictionary from.
///
/// Each message that is offered has the same chance to be in it (reservoir sampling), with one exception: no contributor
/// holds more than an eighth of the reservoir, neither of its places nor of its bytes, unless it is the only one. So nobody
/// can fill the dictionary of others by sending much.
///
/// - Important: A dictionary contains pieces of the samples. What was trained from live traffic is private to those whose
///   traffic it was.
public struct SampleReservoir: Sendable {
  /// Samples at most.
  public let capacity: Int
  /// Bytes of all samples at most.
  public let byteCapacity: Int
  /// Messages that are smaller or larger than this many bytes are passed over.
  public let sizes: ClosedRange<Int>
  private struct Sample: Sendable {
    let bytes: [UInt8]
    let contributor: UInt64
  }
  private struct Contributor: Sendable {
    var count = 0
    var bytes = 0
    /// Messages seen from it while it had a sample here.
    var seen: UInt64 = 0
  }
  private var slots: [Sample] = []
  /// Looked up only, never iterated: nothing depends on its order. Not more entries than samples.
  private var contributors: [UInt64: Contributor] = [:]
  private var random: SplitMix
  /// Bytes of all samples.
  public private(set) var byteCount = 0
  /// Messages of a fitting size that were offered.
  public private(set) var offered: UInt64 = 0

  /// - Parameters:
  ///   - capacity: At least 8.
  ///   - byteCapacity: At least eight times the largest message.
  ///   - seed: 64 random bits, drawn by the caller.
  public init(
    capacity: Int = 8192, byteCapacity: Int = 8 << 20, sizes: ClosedRange<Int> = 16...16_384, seed: UInt64
  ) {
    precondition(capacity >= 8, "an eighth of the reservoir must be at least one sample")
    precondition(sizes.lowerBound > 0 && sizes.upperBound <= byteCapacity / 8, "a sample fits an eighth of the bytes")
    self.capacity = capacity
    self.byteCapacity = byteCapacity
    self.sizes = sizes
    random = SplitMix(seed: seed)
  }

  public var count: Int { slots.count }

  /// The samples, in no order that means anything.
  public var samples: [[UInt8]] { slots.map(\.bytes) }

  /// How many have contributed what is in it.
  public var contributorCount: Int { contributors.count }

  /// How much of what is in it comes from one contributor, 0 to 1: by places or bytes, whichever is more.
  public func share(of contributor: UInt64) -> Double {
    guard let held = contributors[contributor], byteCount > 0 else { return 0 }
    return max(Double(held.count) / Double(count), Double(held.bytes) / Double(byteCount))
  }

  /// Takes a copy of `message`, perhaps.
  ///
  /// - Parameter contributor: A number that stands for who sent it.
  /// - Returns: whether it was taken.
  @discardableResult
  public mutating func offer(_ message: RawSpan, from contributor: UInt64) -> Bool {
    guard sizes.contains(message.byteCount) else { return false }
    offered &+= 1
    if contributors.count == 1, contributors[contributor] == nil { trimTheOnlyOne() }
    contributors[contributor, default: Contributor()].seen &+= 1
    let isTaken = take(message, from: contributor)
    if let held = contributors[contributor], held.count == 0 { contributors[contributor] = nil }
    return isTaken
  }

  /// Forgets all samples.
  public mutating func removeAll() {
    slots.removeAll(keepingCapacity: true)
    contributors.removeAll()
    byteCount = 0
    offered = 0
  }

  private mutating func take(_ message: RawSpan, from contributor: UInt64) -> Bool {
    let size = message.byteCount
    let isAlone = contributors.count == 1
    let countLimit = isAlone ? capacity : capacity / 8
    let byteLimit = isAlone ? byteCapacity : byteCapacity / 8
    guard let held = contributors[contributor] else { return false }
    if held.count >= countLimit || held.bytes > byteLimit - size {
      // In place of its own: each of its messages had the same chance.
      guard held.count > 0, random.next() % max(1, held.seen) < UInt64(held.count) else { return false }
      repeat {
        guard let index = ownIndex(contributor) else { break }
        remove(at: index)
      } while contributors[contributor].map { $0.count >= countLimit || $0.bytes > byteLimit - size } ?? false
    } else if slots.count >= capacity || byteCount > byteCapacity - size {
      guard random.next() % max(1, offered) < UInt64(slots.count) else { return false }
    }
    while slots.count >= capacity || byteCount > byteCapacity - size { remove(at: random.below(slots.count)) }
    slots.append(Sample(bytes: [UInt8](copying: message), contributor: contributor))
    byteCount += size
    // What was seen of it counts on, also when its last sample just went.
    var mine = contributors[contributor] ?? Contributor(seen: held.seen)
    mine.count += 1
    mine.bytes += size
    contributors[contributor] = mine
    return true
  }

  /// A second one has come: the first keeps an eighth.
  private mutating func trimTheOnlyOne() {
    while slots.count > capacity / 8 || byteCount > byteCapacity / 8 { remove(at: random.below(slots.count)) }
  }

  /// The place of some sample of the contributor: the first from a random one on.
  private mutating func ownIndex(_ contributor: UInt64) -> Int? {
    guard !slots.isEmpty else { return nil }
    let start = random.below(slots.count)
    for step in 0..<slots.count {
      let index = (start + step) % slots.count
      if slots[index].contributor == contributor { return index }
    }
    return nil
  }

  private mutating func remove(at index: Int) {
    slots.swapAt(index, slots.count - 1)
    let sample = slots.removeLast()
    byteCount -= sample.bytes.count
    guard var held = contributors[sample.contributor] else { return }
    held.count -= 1
    held.bytes -= sample.bytes.count
    contributors[sample.contributor] = held.count > 0 ? held : nil
  }
}
