/// Dictionaries that were checked, several versions side by side, up to a cap.
///
/// Reading and writing files is left to its caller: `DictionaryDirectory` of MeshDictionaryFiles keeps a store as a
/// directory.
public struct DictionaryStore: Sendable {
  public let maximumCount: Int
  /// Bytes of all dictionaries together.
  public let maximumBytes: Int
  /// In the order in which they were added: the newest is the last.
  public private(set) var dictionaries: [ZstdDictionary] = []
  private var preparedDictionaries: [PreparedDictionary] = []

  public init(maximumCount: Int = 64, maximumBytes: Int = 8 << 20) {
    precondition(maximumCount > 0 && maximumBytes > 0, "a store holds at least something")
    self.maximumCount = maximumCount
    self.maximumBytes = maximumBytes
  }

  /// Bytes of all dictionaries together.
  public var size: Int { dictionaries.reduce(0) { $0 + $1.size } }

  /// Adds a dictionary as the newest.
  ///
  /// - Returns: whether it was added; not when it is there already.
  /// - Throws: `.storeFull`.
  @discardableResult
  public mutating func add(_ dictionary: ZstdDictionary) throws(DictionaryError) -> Bool {
    guard self[dictionary.hash] == nil else { return false }
    guard dictionaries.count < maximumCount, size <= maximumBytes - dictionary.size else { throw .storeFull }
    dictionaries.append(dictionary)
    return true
  }

  /// Forgets a dictionary. Who uses it may go on.
  @discardableResult
  public mutating func remove(_ hash: DictionaryHash) -> ZstdDictionary? {
    preparedDictionaries.removeAll { $0.dictionary.hash == hash }
    guard let index = dictionaries.firstIndex(where: { $0.hash == hash }) else { return nil }
    return dictionaries.remove(at: index)
  }

  public subscript(hash: DictionaryHash) -> ZstdDictionary? { dictionaries.first { $0.hash == hash } }

  /// All dictionaries with this id of zstd, the newest last. There may be several.
  public func dictionaries(id: UInt32) -> [ZstdDictionary] { dictionaries.filter { $0.id == id } }

  /// The newest dictionary that is among `hashes`: what both ends hold.
  public func newest(among hashes: some Sequence<DictionaryHash>) -> ZstdDictionary? {
    let offered = Set(hashes)
    return dictionaries.last { offered.contains($0.hash) }
  }

  /// The dictionary made ready to compress at `level`; made once, and kept for as long as it is in the store.
  ///
  /// - Returns: `nil` when it is not in the store.
  /// - Throws: as `PreparedDictionary.init`.
  public mutating func prepared(
    _ hash: DictionaryHash, level: Int = 3
  ) throws(DictionaryError) -> PreparedDictionary? {
    let made = preparedDictionaries.first { $0.dictionary.hash == hash && $0.level == level }
    if let made { return made }
    guard let dictionary = self[hash] else { return nil }
    let ready = try PreparedDictionary(dictionary, level: level)
    preparedDictionaries.append(ready)
    return ready
  }
}
