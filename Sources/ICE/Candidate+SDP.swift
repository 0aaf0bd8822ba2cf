internal import MeshPrimitives

extension Candidate {
  /// Bytes in a line that ``init(parsing:)`` takes.
  public static var maximumLineLength: Int { 512 }

  /// Reads a candidate line (RFC 8839 §5.1), with or without `a=` and `candidate:` in front and a line end behind.
  ///
  /// Extensions behind the type are checked for their form and left out. IPv4-mapped IPv6 addresses become IPv4 ones.
  public init(parsing line: some StringProtocol) throws(CandidateError) {
    guard line.utf8.count <= Self.maximumLineLength else { throw .tooLong(line.utf8.count) }
    var text = Array(line.utf8)[...]
    while let last = text.last, last == 0x0A || last == 0x0D { text.removeLast() }
    for prefix in ["a=", "candidate:"] where text.starts(with: prefix.utf8) { text.removeFirst(prefix.utf8.count) }
    var words = Words(text)

    let foundation = try words.next(.foundation)
    guard ICECredentials.isText(foundation, 1...32) else { throw .malformed(.foundation) }
    guard let component = Words.number(try words.next(.component), digits: 3), (1...256).contains(component) else {
      throw .malformed(.component)
    }
    guard try words.next(.transport).lowercased() == "udp" else { throw .unsupportedTransport }
    guard let priority = Words.number(try words.next(.priority), digits: 10), (1...0x7FFF_FFFF).contains(priority)
    else { throw .malformed(.priority) }
    let address = try Self.address(words.next(.address), .address)
    guard let port = Words.number(try words.next(.port), digits: 5), let port = UInt16(exactly: port) else {
      throw .malformed(.port)
    }
    guard try words.next(.type) == "typ" else { throw .malformed(.type) }
    let kind: Kind
    switch try words.next(.type) {
    case "host": kind = .host
    case "srflx": kind = .serverReflexive
    case "prflx": kind = .peerReflexive
    case "relay": kind = .relayed
    default: throw .unsupportedType
    }
    self.init(
      foundation: foundation, component: UInt16(component), priority: UInt32(priority),
      address: SocketAddress(address, port: port), kind: kind)

    var relatedAddress: IPAddress?
    while let name = words.nextIfAny() {
      switch name {
      case "raddr": relatedAddress = try Self.address(words.next(.relatedAddress), .relatedAddress)
      case "rport":
        guard let port = Words.number(try words.next(.relatedPort), digits: 5), let port = UInt16(exactly: port),
          let relatedAddress
        else { throw .malformed(.relatedPort) }
        related = SocketAddress(relatedAddress, port: port)
      default:
        guard !name.isEmpty else { throw .malformed(.extension) }
        _ = try words.next(.extension)
      }
    }
  }

  private static func address(_ word: String, _ field: CandidateError.Field) throws(CandidateError) -> IPAddress {
    if let address = IPAddress(word) { return address.unmapped }
    let isName = word.utf8.allSatisfy { byte in
      ICECredentials.isICECharacter(byte) && byte != 0x2B && byte != 0x2F || byte == 0x2D || byte == 0x2E
    }
    // What ends in a number is a broken address.
    guard field == .address, isName, let last = word.utf8.last, !(0x30...0x39).contains(last) else {
      throw .malformed(field)
    }
    throw .hostName
  }
}

extension Candidate: CustomStringConvertible {
  /// The candidate line without `a=`.
  public var description: String {
    var line =
      "candidate:\(foundation) \(component) UDP \(priority) \(address.address) \(address.port) typ \(kind)"
    if let related { line += " raddr \(related.address) rport \(related.port)" }
    return line
  }
}

extension Candidate.Kind: CustomStringConvertible {
  /// The word for it in a candidate line.
  public var description: String {
    switch self {
    case .host: "host"
    case .serverReflexive: "srflx"
    case .peerReflexive: "prflx"
    case .relayed: "relay"
    }
  }
}

/// The words of a line, which single spaces part.
private struct Words {
  private var words: ArraySlice<ArraySlice<UInt8>>

  init(_ text: ArraySlice<UInt8>) { words = text.split(separator: 0x20, omittingEmptySubsequences: false)[...] }

  mutating func nextIfAny() -> String? { words.popFirst().map { String(decoding: $0, as: UTF8.self) } }

  mutating func next(_ field: CandidateError.Field) throws(CandidateError) -> String {
    guard let word = nextIfAny() else { throw .missing(field) }
    guard !word.isEmpty else { throw .malformed(field) }
    return word
  }

  /// A number of decimal digits and nothing else.
  static func number(_ word: String, digits: Int) -> UInt64? {
    guard word.utf8.count <= digits, word.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return UInt64(word)
  }
}
