internal import Glibc
package import MeshPrimitives

/// Host names to addresses, on a thread of its own: `getaddrinfo` waits.
package enum Resolver {
  /// Resolves `HOST:PORT`; addresses need no look-up.
  package static func resolve(_ endpoint: String) async throws(MeshError) -> SocketAddress {
    if let address = SocketAddress(endpoint) { return address }
    guard let colon = endpoint.lastIndex(of: ":"), let port = UInt16(endpoint[endpoint.index(after: colon)...]),
      colon > endpoint.startIndex
    else { throw .invalidPeer("\"\(endpoint)\" is no endpoint; write HOST:PORT or [IPV6]:PORT") }
    let host = String(endpoint[..<colon])
    let gate = Gate<IPAddress?>()
    do {
      let thread = try EngineThread(name: "pnet-resolver") { gate.settle(.success(lookUp(host))) }
      guard let address = try await gate.value() else {
        throw MeshError.invalidPeer("no address is known for the host \"\(host)\"")
      }
      await thread.finished()
      return SocketAddress(address, port: port)
    } catch let error as MeshError { throw error } catch { throw .system("\(error)") }
  }

  private static func lookUp(_ host: String) -> IPAddress? {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(host, nil, &hints, &found) == 0 else { return nil }
    defer { unsafe freeaddrinfo(found) }
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var next = unsafe found
    while let entry = unsafe next {
      let result = unsafe getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
      let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if result == 0, let address = IPAddress(text) { return address }
      unsafe next = entry.pointee.ai_next
    }
    return nil
  }
}
