public import MeshPrimitives
public import MeshRouting

/// A `wg-quick` file.
///
/// It is read as `wg` and `wg-quick` read it: sections and keys in any case, `#` starts a comment, lists are separated by
/// commas, repeated `Address`, `AllowedIPs` and `DNS` add up, of another repeated key the last one counts. What
/// `wg-quick` does as root (DNS, routes, hooks) is recognised and reported in ``unused``.
///
/// Our own settings are comments to `wg-quick`, so that the same file works with both: `#pnet Accept = any`.
///
/// Reading is all or nothing, and finds every mistake in one go:
///
///     do {
///       let config = try WireGuardConfig(parsing: text, file: "wg0.conf")
///       for peer in config.peers { print(peer.publicKey, peer.endpoint ?? "-") }
///     } catch {
///       print(error)  // wg0.conf:7: ListenPort '70000' …
///     }
public struct WireGuardConfig: Equatable, Sendable {
  /// An address of the interface with the length of its network: `10.7.0.1/24`.
  public struct InterfaceAddress: Equatable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// Bits of the network.
    public let length: Int
    public var description: String { "\(address)/\(length)" }
  }

  public struct Peer: Equatable, Sendable {
    public let publicKey: PublicKey
    public var presharedKey: SecretBase64?
    /// `HOST:PORT`, not looked up.
    public var endpoint: String?
    public var allowedIPs: [IPPrefix] = []
    /// Seconds, 1 to 65,535; `nil` is off.
    public var persistentKeepalive: Int?
    /// Where its section begins.
    public let line: Int
  }

  /// A line that was understood but has no effect here.
  public struct Unused: Equatable, Sendable {
    public let line: Int
    /// As it is usually written, such as `PostUp`.
    public let key: String
    public let reason: String
  }

  /// Whom to accept (`#pnet Accept`).
  public enum Accept: String, Equatable, Sendable, CaseIterable { case listed, any }

  public var privateKey: SecretBase64?
  public var listenPort: UInt16?
  public var addresses: [InterfaceAddress] = []
  /// Bytes of an IP packet in the tunnel.
  public var mtu: Int?
  public var accept: Accept?
  /// The node's name, by which commands find it (`#pnet Name`).
  public var name: String?
  public var peers: [Peer] = []
  public var unused: [Unused] = []

  /// Bytes of a file at most.
  public static let maximumSize = 16 << 20
  /// Bytes of a line at most.
  public static let maximumLineLength = 65_536
  /// Mistakes that are reported at most; more are counted.
  public static let maximumIssues = 20

  /// - Parameter file: The name of the file for messages.
  public init(parsing text: String, file: String) throws(ConfigError) {
    try self.init(parsing: Array(text.utf8), file: file)
  }

  /// - Parameter file: The name of the file for messages.
  public init(parsing bytes: [UInt8], file: String) throws(ConfigError) {
    var parser = WireGuardConfigParser()
    self.init()
    self = try parser.parse(bytes, file: file)
  }

  init() {}

  /// A name that is also a file name: letters, digits, `-`, `_` and `.`, at most 32, not beginning with a point.
  public static func isName(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count) && !text.utf8.starts(with: [0x2E])
      && text.utf8.allSatisfy { TextScan.isAlphanumeric($0) || [0x2D, 0x2E, 0x5F].contains($0) }
  }
}
