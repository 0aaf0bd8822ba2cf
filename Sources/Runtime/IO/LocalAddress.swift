internal import CMeshLinux
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
}
