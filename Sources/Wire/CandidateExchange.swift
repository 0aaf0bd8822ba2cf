internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// ICE candidates and credentials (RFC 8445), whole or one after the other (RFC 8838).
  public struct CandidateExchange: Equatable, Sendable {
    /// Counts ICE restarts.
    public var generation: UInt64 = 0
    public var ufrag: String = ""
    public var password: String = ""
    /// At most 16.
    public var candidates: [Candidate] = []
    /// No more will come in this generation.
    public var complete = false

    public init() {}
  }
}

extension Wire.CandidateExchange: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.CandidateExchange: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__CandidateExchange>) {
    unsafe pnet__mesh__v1__candidate_exchange__init(message)
  }

  init(_ c: Pnet__Mesh__V1__CandidateExchange) throws(WireError) {
    generation = unsafe c.generation
    ufrag = unsafe try text(c.ufrag, max: 256, field: 2)
    password = unsafe try text(c.password, max: 256, field: 3)
    candidates = unsafe try read(c.n_candidates, c.candidates, max: 16, field: 4)
    complete = unsafe c.complete != 0
  }

  func fill(_ c: inout Pnet__Mesh__V1__CandidateExchange, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.generation = generation
    unsafe c.ufrag = try arena.bytes(ufrag.utf8)
    unsafe c.password = try arena.bytes(password.utf8)
    unsafe c.n_candidates = candidates.count
    unsafe c.candidates = try arena.messages(candidates)
    unsafe c.complete = complete ? 1 : 0
  }
}
