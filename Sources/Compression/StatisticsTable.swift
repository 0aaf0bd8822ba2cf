/// Statistics of each dictionary that one context was used with, in the order of first use.
struct StatisticsTable: Sendable {
  /// `nil` stands for no dictionary.
  private(set) var entries: [(hash: DictionaryHash?, statistics: DictionaryStatistics)] = [(nil, .init())]
  private var current = 0

  /// Dictionaries that have an entry of their own: those beyond are counted together with the last.
  private static let capacity = 64

  /// Makes the entry of `hash` the current one. For the change of a dictionary, not for each message.
  mutating func select(_ hash: DictionaryHash?) {
    if let index = entries.firstIndex(where: { $0.hash == hash }) {
      current = index
    } else {
      if entries.count < Self.capacity { entries.append((hash, .init())) }
      current = entries.count - 1
    }
  }

  mutating func update(_ change: (inout DictionaryStatistics) -> Void) { change(&entries[current].statistics) }

  subscript(hash: DictionaryHash?) -> DictionaryStatistics {
    entries.first { $0.hash == hash }?.statistics ?? DictionaryStatistics()
  }
}
