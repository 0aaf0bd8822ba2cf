/// An IP address and a UDP or TCP port.
@frozen
public struct SocketAddress: Hashable, Sendable {
  public let address: IPAddress
  public let port: UInt16
  /// The interface index of a link-local IPv6 address (RFC 4007); 0 otherwise.
  public let scope: UInt32

  @inlinable public init(_ address: IPAddress, port: UInt16, scope: UInt32 = 0) {
    self.address = address
    self.port = port
    self.scope = scope
  }

  /// Reads `192.0.2.1:51820` or `[2001:db8::1]:51820`; `nil` unless all of `text` is one such address.
  ///
  /// Host names are not looked up: that is I/O.
  public init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard let address = IPAddress(host), address.family == .v6 else { return nil }
      self.init(address, port: port)
    } else {
      guard let address = IPAddress(host), address.family == .v4 else { return nil }
      self.init(address, port: port)
    }
  }
}

extension SocketAddress: CustomStringConvertible {
  public var description: String {
    switch address.family {
    case .v4: "\(address):\(port)"
    case .v6: scope == 0 ? "[\(address)]:\(port)" : "[\(address)%\(scope)]:\(port)"
    }
  }
}

extension SocketAddress: Comparable {
  @inlinable public static func < (left: SocketAddress, right: SocketAddress) -> Bool {
    left.address == right.address
      ? (left.port, left.scope) < (right.port, right.scope) : left.address < right.address
  }
}
