internal import CMeshProto
internal import CMeshProtobufC
public import MeshPrimitives

extension Wire {
  /// One ICE candidate.
  public struct Candidate: Equatable, Sendable {
    public enum Kind: UInt32, Sendable { case host, serverReflexive, peerReflexive, relayed }

    public var kind: Kind
    public var address: SocketAddress
    /// The base, for kinds other than `.host`.
    public var related: SocketAddress?
    public var priority: UInt32
    /// 1 to 32 ice-chars.
    public var foundation: String

    public init(
      kind: Kind, address: SocketAddress, related: SocketAddress? = nil, priority: UInt32, foundation: String
    ) {
      self.kind = kind
      self.address = address
      self.related = related
      self.priority = priority
      self.foundation = foundation
    }
  }
}

extension Wire.Candidate: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Candidate>) {
    unsafe pnet__mesh__v1__candidate__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Candidate) throws(WireError) {
    guard let kind = unsafe Kind(rawValue: UInt32(truncatingIfNeeded: c.kind.rawValue)) else {
      throw .invalid(field: 1)
    }
    guard let address: SocketAddress = unsafe try read(c.address) else { throw .invalid(field: 2) }
    self.kind = kind
    self.address = address
    related = unsafe try read(c.related)
    priority = unsafe c.priority
    foundation = unsafe try text(c.foundation, max: 32, field: 5)
  }

  func fill(_ c: inout Pnet__Mesh__V1__Candidate, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.kind = Pnet__Mesh__V1__CandidateKind(rawValue: numericCast(kind.rawValue))
    unsafe c.address = try arena.make(address)
    unsafe c.related = try arena.message(related)
    unsafe c.priority = priority
    unsafe c.foundation = try arena.bytes(foundation.utf8)
  }
}
