internal import Glibc
internal import MeshPrimitives
internal import MeshTURN

/// A listening TCP socket that never blocks.
final class TCPListener {
  let descriptor: Int32

  /// `nil` with `errno` when the port or address is not to be had.
  init?(_ address: IPAddress, port: UInt16) {
    let isV4 = address.family == .v4
    descriptor = socket(
      isV4 ? AF_INET : AF_INET6,
      Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var on: Int32 = 1
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    // From here on `deinit` closes it.
    guard bind(isV4, address, port), listen(descriptor, 128) == 0 else { return nil }
  }

  deinit { close(descriptor) }

  private func bind(_ isV4: Bool, _ address: IPAddress, _ port: UInt16) -> Bool {
    if isV4 {
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = port.bigEndian
      name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
      return unsafe withUnsafePointer(to: &name) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
    }
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.bigEndian
    var halves = (address.high.bigEndian, address.low.bigEndian)
    unsafe withUnsafeMutableBytes(of: &name.sin6_addr) { target in
      unsafe withUnsafeBytes(of: &halves) { unsafe target.copyMemory(from: $0) }
    }
    return unsafe withUnsafePointer(to: &name) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
      }
    }
  }

  /// The next connection, if one waits: its descriptor and where it comes from.
  func accept() -> (descriptor: Int32, peer: SocketAddress)? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let accepted = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.accept(descriptor, $0, &length)
      }
    }
    guard accepted >= 0 else { return nil }
    _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    let family = Int32(storage.ss_family)
    let peer = unsafe withUnsafeBytes(of: &storage) { bytes -> SocketAddress in
      let raw = unsafe RawSpan(_unsafeBytes: bytes)
      // Both forms have the port at offset 2; the address is at 4, or at 8.
      let port = UInt16(raw.byte(at: 2)) << 8 | UInt16(raw.byte(at: 3))
      func number(_ offset: Int, _ count: Int) -> UInt64 {
        (offset..<offset + count).reduce(0) { $0 << 8 | UInt64(raw.byte(at: $1)) }
      }
      if family == AF_INET { return SocketAddress(IPAddress(v4: UInt32(number(4, 4))), port: port) }
      return SocketAddress(IPAddress(v6High: number(8, 8), low: number(16, 8)).unmapped, port: port)
    }
    var on: Int32 = 1
    unsafe setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    return (accepted, peer)
  }
}

/// One client's connection: what came and is no frame yet, and what could not be sent yet. Both are bounded.
final class TCPConnection {
  /// Bytes that may wait to be sent. Data beyond that is dropped, as a datagram would be; an answer ends the connection.
  static let sendLimit = 256 << 10

  let descriptor: Int32
  let path: ClientPath
  var deframer = StreamDeframer(limit: 16_384)
  let opened: Instant
  private var output: [UInt8] = []
  private var sent = 0

  init(_ descriptor: Int32, _ path: ClientPath, now: Instant) {
    self.descriptor = descriptor
    self.path = path
    opened = now
  }

  deinit { close(descriptor) }

  var hasOutput: Bool { sent < output.count }

  /// Reads once into `buffer`: the number of bytes, 0 when nothing is there, -1 when the connection has ended.
  func read(into buffer: inout [UInt8]) -> Int {
    let size = buffer.count
    let result = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, size, 0) }
    if result > 0 { return result }
    return result < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1
  }

  /// Sends or keeps a frame; `false` when there is no room for it.
  func send(_ frame: RawSpan) -> Bool {
    guard output.count - sent + frame.byteCount <= Self.sendLimit else { return false }
    unsafe frame.withUnsafeBytes { unsafe output.append(contentsOf: $0) }
    return true
  }

  /// Sends what the kernel takes; `false` when the connection has ended.
  func flush() -> Bool {
    while sent < output.count {
      let start = sent
      let result = unsafe output.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress! + start, $0.count - start, Int32(MSG_NOSIGNAL))
      }
      if result > 0 {
        sent += result
      } else if errno == EAGAIN {
        return true
      } else if errno != EINTR {
        return false
      }
    }
    output.removeAll(keepingCapacity: true)
    sent = 0
    return true
  }
}
