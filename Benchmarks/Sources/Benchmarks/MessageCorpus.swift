import MeshSimulation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Small messages of made-up services, as JSON and as protobuf, with an entropy that is known.
///
/// There are 120 schemas, of which few are frequent (Zipf, exponent 0.9). A schema has 5 to 16 fields, named by one to three
/// words of a vocabulary of 4,000. A field is of one kind: one of 2 to 12 words that are its own (Zipf), a flag, a whole
/// number below a bound of 10 to 1,000,000, an amount with cents, a time that goes on, an identifier of 8 random hexadecimal
/// digits behind a fixed prefix, a word of the vocabulary (Zipf), or a phrase of 3 to 8 such words. Messages outside 170 to
/// 610 B of JSON are drawn again. All is from a seed.
///
/// ``bits`` sums -log2 of the probability of every choice: who knew schemas, words and probabilities by heart could not
/// spend less on the mean.
struct MessageCorpus {
  enum Encoding { case json, protobuf }

  private enum Kind {
    case choice([Int], Zipf), flag, number(Int), amount, time, identifier(String), word, phrase(Int)
  }
  private enum Value { case text(String), number(Int), amount(Int), flag(Bool) }
  private struct Field {
    let name: String
    let kind: Kind
  }

  private var random: SeededEntropy
  private let words: [String]
  private let schemas: [[Field]]
  private let schemaChoice: Zipf
  private let wordChoice: Zipf
  private var clock = 1_763_990_000_000
  /// Bits of all choices so far.
  private(set) var bits = 0.0

  /// - Parameters:
  ///   - seed: Of the vocabulary and schemas.
  ///   - stream: Of the messages.
  ///   - replaced: How many of the schemas are other ones, with the same vocabulary.
  init(seed: UInt64 = 1, stream: UInt64 = 1, replaced: Int = 0) {
    var random = SeededEntropy(seed: seed)
    let syllables = [
      "an", "ber", "con", "der", "es", "fo", "ga", "hi", "in", "ja", "ke", "lo", "mi", "na", "or", "per", "que", "ra",
      "se", "tion", "un", "ver", "wa", "xi", "yo", "zu", "pro", "sta", "tri", "ment", "ful", "ing", "ed", "al", "co",
    ]
    let words = (0..<4000).map { _ in
      (0...1 + random.upTo(2)).map { _ in syllables[Int(random.upTo(Int64(syllables.count - 1)))] }.joined()
    }
    func fields(_ random: inout SeededEntropy) -> [Field] {
      func word() -> String { words[Int(random.upTo(3999))] }
      return (0..<5 + random.upTo(11)).map { _ in
        let name = word() + (0..<random.upTo(2)).map { _ in "_" + word() }.joined()
        let kind: Kind
        switch random.upTo(19) {
        case 0...5:
          let own = (0...1 + random.upTo(10)).map { _ in Int(random.upTo(3999)) }
          kind = .choice(own, Zipf(own.count, 1.2))
        case 6...7: kind = .flag
        case 8...11: kind = .number([10, 100, 1000, 100_000, 1_000_000][Int(random.upTo(4))])
        case 12: kind = .amount
        case 13...14: kind = .time
        case 15...16: kind = .identifier(word().prefix(4) + "-")
        case 17...18: kind = .word
        default: kind = .phrase(3 + Int(random.upTo(5)))
        }
        return Field(name: name, kind: kind)
      }
    }
    var schemas = (0..<120).map { _ in fields(&random) }
    var other = SeededEntropy(seed: seed &+ 1000)
    // Evenly over frequent and rare ones.
    for index in 0..<replaced { schemas[index * 120 / replaced] = fields(&other) }
    self.words = words
    self.schemas = schemas
    schemaChoice = Zipf(120, 0.9)
    wordChoice = Zipf(4000, 1.05)
    self.random = SeededEntropy(seed: stream &+ 77)
  }

  mutating func messages(_ count: Int, _ encoding: Encoding) -> [[UInt8]] { (0..<count).map { _ in next(encoding) } }

  mutating func next(_ encoding: Encoding) -> [UInt8] {
    while true {
      let before = bits
      let index = draw(schemaChoice)
      let schema = schemas[index]
      let values = schema.map { value($0.kind) }
      let json = Self.json(schema, values)
      guard (170...610).contains(json.count) else {
        bits = before
        continue
      }
      return encoding == .json ? json : Self.protobuf(index, values)
    }
  }

  private mutating func draw(_ zipf: Zipf) -> Int {
    let index = zipf.index(Double(random.next() >> 11) / Double(1 << 53 as UInt64))
    bits -= log2(zipf.probability(index))
    return index
  }

  private mutating func below(_ bound: Int) -> Int {
    bits += log2(Double(bound))
    return Int(random.upTo(Int64(bound - 1)))
  }

  private mutating func value(_ kind: Kind) -> Value {
    switch kind {
    case .choice(let own, let zipf): return .text(words[own[draw(zipf)]])
    case .flag: return .flag(below(2) == 1)
    case .number(let bound): return .number(below(bound))
    case .amount: return .amount(below(100_000))
    case .time:
      clock += below(5000)
      return .number(clock)
    case .identifier(let prefix):
      let digits = String(below(1 << 32), radix: 16)
      return .text(prefix + String(repeating: "0", count: 8 - digits.count) + digits)
    case .word: return .text(words[draw(wordChoice)])
    case .phrase(let count): return .text((0..<count).map { _ in words[draw(wordChoice)] }.joined(separator: " "))
    }
  }

  private static func json(_ schema: [Field], _ values: [Value]) -> [UInt8] {
    let fields = zip(schema, values).map { field, value in
      switch value {
      case .text(let text): "\"\(field.name)\":\"\(text)\""
      case .number(let number): "\"\(field.name)\":\(number)"
      case .amount(let cents): "\"\(field.name)\":\(cents / 100).\(cents % 100 / 10)\(cents % 10)"
      case .flag(let flag): "\"\(field.name)\":\(flag)"
      }
    }
    return Array("{\(fields.joined(separator: ","))}".utf8)
  }

  /// Field 1 is the schema; the others follow it. Amounts are cents.
  private static func protobuf(_ schema: Int, _ values: [Value]) -> [UInt8] {
    var bytes: [UInt8] = []
    func varint(_ value: Int) {
      var rest = value
      while rest > 127 {
        bytes.append(UInt8(rest & 127) | 128)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
    varint(1 << 3)
    varint(schema)
    for (index, value) in values.enumerated() {
      switch value {
      case .text(let text):
        varint((index + 2) << 3 | 2)
        varint(text.utf8.count)
        bytes += text.utf8
      case .number(let number), .amount(let number):
        varint((index + 2) << 3)
        varint(number)
      case .flag(let flag):
        varint((index + 2) << 3)
        varint(flag ? 1 : 0)
      }
    }
    return bytes
  }
}

/// The n-th of `count` things has a probability in proportion to 1/n^exponent.
struct Zipf {
  private let cumulative: [Double]

  init(_ count: Int, _ exponent: Double) {
    var sum = 0.0
    let sums = (1...count).map { rank -> Double in
      sum += 1 / pow(Double(rank), exponent)
      return sum
    }
    cumulative = sums.map { $0 / sum }
  }

  /// The thing for a random number from 0 to 1.
  func index(_ random: Double) -> Int {
    var (low, high) = (0, cumulative.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if cumulative[middle] > random { high = middle } else { low = middle + 1 }
    }
    return low
  }

  func probability(_ index: Int) -> Double { cumulative[index] - (index > 0 ? cumulative[index - 1] : 0) }
}

/// Shannon entropy of single bytes, in bits per byte.
func byteEntropy(_ messages: [[UInt8]]) -> Double {
  var counts = [Int](repeating: 0, count: 256)
  for message in messages { for byte in message { counts[Int(byte)] += 1 } }
  let total = Double(counts.reduce(0, +))
  return counts.reduce(0.0) { $1 == 0 ? $0 : $0 - Double($1) / total * log2(Double($1) / total) }
}
