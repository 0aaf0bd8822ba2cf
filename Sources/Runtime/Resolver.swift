internal import Glibc
public import MeshPrimitives

/// Host names to addresses, on a thread of its own: `getaddrinfo` waits.
public enum Resolver {
  /// Resolves `HOST:PORT` to the first address; addresses need no look-up.
  /// - Throws: ``MeshError``: `.invalidPeer` with words for people; `CancellationError`.
  public static func resolve(_ endpoint: String) async throws -> SocketAddress {
    try await addresses(of: endpoint)[0]
  }

  /// All addresses of `HOST:PORT`, at least one, in the order that the system prefers.
  /// - Throws: ``MeshError``: `.invalidPeer` with words for people; `CancellationError`.
  public static func addresses(of endpoint: String) async throws -> [SocketAddress] {
    if let address = SocketAddress(endpoint) { return [address] }
    guard let colon = endpoint.lastIndex(of: ":"), let port = UInt16(endpoint[endpoint.index(after: colon)...]),
      colon > endpoint.startIndex
    else { throw MeshError.invalidPeer("\"\(endpoint)\" is no endpoint; write HOST:PORT or [IPV6]:PORT") }
    let host = String(endpoint[..<colon])
    let gate = Gate<[IPAddress]>()
    do {
      _ = try EngineThread(name: "pnet-resolver") { gate.settle(.success(lookUp(host))) }
    } catch { throw MeshError.system("\(error)") }
    let found = try await gate.value()
    guard !found.isEmpty else { throw MeshError.invalidPeer("no address is known for the host \"\(host)\"") }
    return found.map { SocketAddress($0, port: port) }
  }

  private static func lookUp(_ host: String) -> [IPAddress] {
    var addresses: [IPAddress] = []
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(host, nil, &hints, &found) == 0 else { return [] }
    defer { unsafe freeaddrinfo(found) }
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var next = unsafe found
    while let entry = unsafe next {
      let result = unsafe getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
      let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if result == 0, let address = IPAddress(text), !addresses.contains(address) { addresses.append(address) }
      unsafe next = entry.pointee.ai_next
    }
    return addresses
  }
}
