internal import CMeshLinux
internal import Glibc
public import MeshPrimitives

/// The addresses of this machine.
public enum LocalAddress {
  /// The address that datagrams to `destination` leave from; `nil` where no route leads there. Sends nothing.
  public static func toward(_ destination: SocketAddress) -> IPAddress? {
    var to = cmesh_address(destination)
    var source = cmesh_address()
    guard unsafe cmesh_udp_route(&to, &source) == 0 else { return nil }
    return source.ipAddress
  }

  /// The addresses of interfaces that are up, without link-local ones; loopback only where there is nothing else. IPv6
  /// first, each family in the order of the interfaces.
  public static func all() -> [IPAddress] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard unsafe getifaddrs(&first) == 0 else { return [] }
    defer { unsafe freeifaddrs(first) }
    var found: [IPAddress] = []
    var loopback: [IPAddress] = []
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var next = unsafe first
    while let entry = unsafe next {
      defer { unsafe next = entry.pointee.ifa_next }
      guard let address = unsafe entry.pointee.ifa_addr,
        unsafe entry.pointee.ifa_flags & UInt32(IFF_UP) != 0
      else { continue }
      let length: socklen_t
      switch unsafe Int32(address.pointee.sa_family) {
      case AF_INET: length = socklen_t(MemoryLayout<sockaddr_in>.size)
      case AF_INET6: length = socklen_t(MemoryLayout<sockaddr_in6>.size)
      default: continue
      }
      guard unsafe getnameinfo(address, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else {
        continue
      }
      let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      // A scope behind `%` belongs to link-local addresses alone.
      guard !text.contains("%"), let host = IPAddress(text) else { continue }
      if host.family == .v4, host.low >> 16 == 0xA9FE { continue }
      if host.isLoopback { loopback.append(host) } else { found.append(host) }
    }
    let chosen = found.isEmpty ? loopback : found
    return chosen.filter { $0.family == .v6 } + chosen.filter { $0.family == .v4 }
  }
}
