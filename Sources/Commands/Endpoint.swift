internal import MeshPrimitives

/// `HOST:PORT` as text: checked for its form, not looked up.
enum EndpointText {
  /// What is wrong with `text`; `nil` when it may be an endpoint.
  static func problem(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else { return "there is no ':PORT'" }
    let port = String(decoding: bytes[(colon + 1)...], as: UTF8.self)
    guard let number = TextScan.decimal(port, upTo: 65_535), number > 0 else {
      return "the port \(TextScan.quoted(port)) is not a number from 1 to 65535"
    }
    let host = bytes[..<colon]
    if host.first == UInt8(ascii: "[") {
      guard host.last == UInt8(ascii: "]"),
        let address = IPAddress(String(decoding: host.dropFirst().dropLast(), as: UTF8.self)),
        address.family == .v6
      else { return "between [ and ] there must be an IPv6 address" }
      return nil
    }
    if host.contains(UInt8(ascii: ":")) { return "an IPv6 address goes between [ and ]" }
    guard (1...253).contains(host.count),
      host.allSatisfy({ TextScan.isAlphanumeric($0) || [0x2D, 0x2E, 0x5F].contains($0) })
    else { return "the host is neither an IP address nor a name" }
    return nil
  }
}
