internal import CMeshProto
internal import CMeshProtobufC
public import MeshPrimitives

extension Wire {
  /// Makes a WireGuard peer a mesh peer. Unknown fields are skipped.
  public struct Hello: Equatable, Sendable {
    /// Random, drawn when the node started; never 0.
    public var incarnation: UInt64 = 0
    /// The receiver's, as last heard; 0: not heard yet.
    public var peerIncarnation: UInt64 = 0
    /// A `Hello` of the receiver has come on this key pair.
    public var heard = false
    /// Numbers of the fields of `Packet` that the sender understands (``FieldNumber``).
    public var frames: [UInt32] = []
    public var limits: Limits = Limits()
    /// Where the receiver's packets come from.
    public var observed: SocketAddress?
    /// For people; at most 64 bytes of UTF-8.
    public var software: String = ""
    /// 1: zstd.
    public var compressions: [UInt32] = []
    /// Post-quantum key encapsulations. 1: ML-KEM-768.
    public var encapsulations: [UInt32] = []
    /// The sender forwards `Relay` and `Discover` for the receiver.
    public var relays = false
    /// The sender knows that its own was heard on this key pair: this one needs no answer.
    public var settled = false
    /// Of the packets of the sender's present connection; lower numbers are of an earlier one. 0: as 1.
    public var firstNumber: UInt64 = 0

    public init() {}
  }
}

extension Wire.Hello: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Hello: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Hello>) {
    unsafe pnet__mesh__v1__hello__init(message)
  }

  static var isLenient: Bool { true }

  init(_ c: Pnet__Mesh__V1__Hello) throws(WireError) {
    incarnation = unsafe c.incarnation
    peerIncarnation = unsafe c.peer_incarnation
    heard = unsafe c.heard != 0
    frames = unsafe try read(c.n_frames, c.frames, max: 256, field: 4)
    limits = unsafe try read(c.limits) ?? Wire.Limits()
    observed = unsafe try read(c.observed)
    software = unsafe try text(c.software, max: 64, field: 7)
    compressions = unsafe try read(c.n_compressions, c.compressions, max: 16, field: 8)
    encapsulations = unsafe try read(c.n_encapsulations, c.encapsulations, max: 16, field: 9)
    relays = unsafe c.relays != 0
    settled = unsafe c.settled != 0
    firstNumber = unsafe c.first_number
    guard incarnation != 0 else { throw .invalid(field: 1) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__Hello, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.incarnation = incarnation
    unsafe c.peer_incarnation = peerIncarnation
    unsafe c.heard = heard ? 1 : 0
    unsafe c.n_frames = frames.count
    unsafe c.frames = try arena.numbers(frames)
    unsafe c.limits = try limits == Wire.Limits() ? nil : arena.make(limits)
    unsafe c.observed = try arena.message(observed)
    unsafe c.software = try arena.bytes(software.utf8)
    unsafe c.n_compressions = compressions.count
    unsafe c.compressions = try arena.numbers(compressions)
    unsafe c.n_encapsulations = encapsulations.count
    unsafe c.encapsulations = try arena.numbers(encapsulations)
    unsafe c.relays = relays ? 1 : 0
    unsafe c.settled = settled ? 1 : 0
    unsafe c.first_number = firstNumber
  }
}
