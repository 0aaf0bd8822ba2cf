internal import CMeshLinux
internal import MeshPrimitives

extension cmesh_address {
  init(_ address: IPAddress, port: UInt16 = 0, scope: UInt32 = 0) {
    let address = address.unmapped
    self.init(
      high: address.high, low: address.low, scope: scope, port: port, family: address.family == .v4 ? 4 : 6)
  }

  init(_ address: SocketAddress) { self.init(address.address, port: address.port, scope: address.scope) }

  /// `nil` where the system gave none.
  var ipAddress: IPAddress? {
    switch family {
    case 4: IPAddress(v4: UInt32(truncatingIfNeeded: low))
    case 6: IPAddress(v6High: high, low: low)
    default: nil
    }
  }

  var socketAddress: SocketAddress {
    SocketAddress(ipAddress ?? IPAddress(v4: 0), port: port, scope: scope)
  }
}
