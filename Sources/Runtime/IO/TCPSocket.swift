internal import CMeshLinux
internal import Glibc
public import MeshPrimitives

/// A TCP connection that never blocks: a client's, or one that a ``TCPListener`` took.
public struct TCPSocket: ~Copyable, Sendable {
  /// What became of reading or writing.
  public enum Outcome: Equatable, Sendable {
    /// So many bytes were moved: at least one.
    case bytes(Int)
    /// Nothing now: wait until it is readable, or writable.
    case blocked
    /// The peer writes no more.
    case ended
    /// The connection is broken.
    case failed
  }

  /// To wait on; the socket owns it.
  public let descriptor: Int32
  public let peer: SocketAddress

  /// Begins to connect. When the socket is writable, ``connectError()`` tells how it went.
  /// - Throws: `.system` when that is hopeless at once.
  public init(connectingTo peer: SocketAddress) throws(SocketError) {
    var address = cmesh_address(peer)
    let descriptor = unsafe cmesh_tcp_connect(&address)
    guard descriptor >= 0 else { throw SocketError(.connect, descriptor) }
    self.descriptor = descriptor
    self.peer = peer
  }

  init(descriptor: Int32, peer: SocketAddress) {
    self.descriptor = descriptor
    self.peer = peer
  }

  deinit { cmesh_close(descriptor) }

  /// Why connecting failed; `nil` when it did not.
  public func connectError() -> SocketError? {
    let result = cmesh_tcp_error(descriptor)
    return result == 0 ? nil : SocketError(.connect, result)
  }

  /// Appends up to `count` bytes that have come to `buffer`.
  public func read(into buffer: inout [UInt8], atMost count: Int = 65_536) -> Outcome {
    var result: Int64 = 0
    buffer += unsafe [UInt8](unsafeUninitializedCapacity: count) { room, used in
      result = unsafe cmesh_tcp_read(descriptor, room.baseAddress, count)
      used = Int(max(0, result))
    }
    return Self.outcome(result, end: .ended)
  }

  /// Writes as much of `bytes` as is taken now.
  public func write(_ bytes: RawSpan) -> Outcome {
    let result = unsafe bytes.withUnsafeBytes { unsafe cmesh_tcp_write(descriptor, $0.baseAddress, $0.count) }
    return Self.outcome(result, end: .blocked)
  }

  private static func outcome(_ result: Int64, end: Outcome) -> Outcome {
    if result > 0 { return .bytes(Int(result)) }
    if result == 0 { return end }
    return -result == Int64(EAGAIN) || -result == Int64(EINTR) ? .blocked : .failed
  }
}

/// A TCP port, on which connections are taken without blocking.
public struct TCPListener: ~Copyable, Sendable {
  public let descriptor: Int32
  public let local: SocketAddress

  /// - Parameters:
  ///   - port: 0 for any free one.
  ///   - address: `nil` for all addresses of this machine.
  /// - Throws: `.portInUse`, `.notPermitted`, `.addressNotAvailable` or `.system`.
  public init(port: UInt16, address: IPAddress? = nil) throws(SocketError) {
    var bound = address.map { cmesh_address($0) } ?? cmesh_address()
    bound.port = port
    let descriptor = unsafe cmesh_tcp_listen(&bound)
    guard descriptor >= 0 else { throw SocketError(.listen, descriptor, port: port) }
    var name = cmesh_address()
    let result = unsafe cmesh_udp_local(descriptor, &name)
    guard result == 0 else {
      cmesh_close(descriptor)
      throw SocketError(.readAddress, result)
    }
    self.descriptor = descriptor
    local = name.socketAddress
  }

  deinit { cmesh_close(descriptor) }

  /// The next connection; `nil` when none waits.
  public func accept() -> TCPSocket? {
    var peer = cmesh_address()
    let connection = unsafe cmesh_tcp_accept(descriptor, &peer)
    return connection < 0 ? nil : TCPSocket(descriptor: connection, peer: peer.socketAddress)
  }
}
