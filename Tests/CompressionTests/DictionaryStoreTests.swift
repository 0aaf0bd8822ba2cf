import MeshCompression
import MeshPrimitives
import Testing

@Suite("Dictionary store") struct DictionaryStoreTests {
  @Test func `versions live side by side, each once, the newest last`() throws {
    var store = DictionaryStore()
    let added = try [Corpus.dictionary, Corpus.retrained, Corpus.foreign, Corpus.retrained].map { try store.add($0) }
    #expect(added == [true, true, true, false])
    #expect(store.dictionaries.map(\.hash) == [Corpus.dictionary.hash, Corpus.retrained.hash, Corpus.foreign.hash])
    #expect(store[Corpus.retrained.hash] === Corpus.retrained)
    #expect(store.dictionaries(id: Corpus.foreign.id).map(\.hash) == [Corpus.foreign.hash])
    #expect(store.newest(among: [Corpus.retrained.hash, Corpus.dictionary.hash]) === Corpus.retrained)
    #expect(store.newest(among: [DictionaryHash(of: [1].bytes)]) == nil)
    #expect(store.remove(Corpus.retrained.hash) === Corpus.retrained)
    #expect(store.remove(Corpus.retrained.hash) == nil)
    #expect(store.newest(among: [Corpus.retrained.hash, Corpus.dictionary.hash]) === Corpus.dictionary)
  }

  @Test func `two dictionaries of one id are both kept`() throws {
    var forged = Corpus.dictionary.bytes
    forged[forged.count - 1] ^= 1
    let twin = try ZstdDictionary(forged)
    var store = DictionaryStore()
    try store.add(Corpus.dictionary)
    try store.add(twin)
    #expect(twin.id == Corpus.dictionary.id)
    #expect(store.dictionaries(id: twin.id).map(\.hash) == [Corpus.dictionary.hash, twin.hash])
  }

  @Test func `the caps hold`() throws {
    var few = DictionaryStore(maximumCount: 1)
    try few.add(Corpus.dictionary)
    #expect(throws: DictionaryError.storeFull) { try few.add(Corpus.foreign) }
    var small = DictionaryStore(maximumBytes: Corpus.dictionary.size + Corpus.foreign.size - 1)
    try small.add(Corpus.dictionary)
    #expect(throws: DictionaryError.storeFull) { try small.add(Corpus.foreign) }
    small.remove(Corpus.dictionary.hash)
    try small.add(Corpus.foreign)
  }

  @Test func `a dictionary is prepared once per level`() throws {
    var store = DictionaryStore()
    try store.add(Corpus.dictionary)
    let first = try #require(try store.prepared(Corpus.dictionary.hash, level: 3))
    let again = try store.prepared(Corpus.dictionary.hash, level: 3)
    let other = try store.prepared(Corpus.dictionary.hash, level: 1)
    let foreign = try store.prepared(Corpus.foreign.hash)
    #expect(again === first && other !== first && foreign == nil)
    store.remove(Corpus.dictionary.hash)
    let removed = try store.prepared(Corpus.dictionary.hash)
    #expect(removed == nil)
  }
}
