import MeshPrimitives
import MeshRouting

extension Fuzzing {
  /// Text that people and files give: what is read must be written as text that reads the same.
  public static func text(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    if let address = IPAddress(text) {
      require(IPAddress(address.description) == address, "an address must be read as it is written")
    }
    if let address = SocketAddress(text) {
      require(SocketAddress(address.description) == address, "a socket address must be read as it is written")
    }
    if let key = PublicKey(text) {
      require(PublicKey(key.description) == key, "a key must be read as it is written")
    }
    if let prefix = IPPrefix(text) {
      require(IPPrefix(prefix.description) == prefix, "a prefix must be read as it is written")
      require(prefix.contains(prefix.address), "a prefix contains its first address")
    }
  }
}
