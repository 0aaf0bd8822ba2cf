import MeshCommands
import MeshPrimitives
import MeshRouting
import Testing

@Suite("wg-quick files") struct WireGuardConfigTests {
  static let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
  static let peerA = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
  static let peerB = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

  static func issues(_ text: String) -> [String] {
    do {
      _ = try WireGuardConfig(parsing: text, file: "wg0.conf")
      return []
    } catch {
      return error.description.split(separator: "\n").map(String.init)
    }
  }

  @Test func `a whole file is read as wg reads it`() throws {
    let text = """
      # My network\r
      [interface]\r
      \tPRIVATEKEY=\(Self.key)   # mine\r
      ListenPort = 51820\r
      Address = 10.7.0.1/24, fd00:7::1/64
      Address = 10.8.0.1
      DNS = 1.1.1.1
      MTU = 1380
      PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo a=b
      SaveConfig = true
      Table = off
      #pnet Accept = any
      #pnet Name = office

      [Peer]
      PublicKey = \(Self.peerA)
      PresharedKey = \(Self.key)
      AllowedIPs = 10.7.0.2/32, fd00:7::2/128
      allowedips = 192.168.3.7/24
      Endpoint = vpn.example.org:51820
      PersistentKeepalive = 25
      [Peer]
      PublicKey = \(Self.peerB)
      Endpoint=[2001:db8::1]:2552
      AllowedIPs =
      PersistentKeepalive = off
      """
    let config = try WireGuardConfig(parsing: text, file: "wg0.conf")
    #expect(config.privateKey?.base64 == Self.key)
    #expect(config.listenPort == 51820)
    #expect(config.addresses.map(\.description) == ["10.7.0.1/24", "fd00:7::1/64", "10.8.0.1/32"])
    #expect(config.mtu == 1380)
    #expect(config.accept == .any)
    #expect(config.name == "office")
    #expect(config.unused.map(\.key) == ["DNS", "PostUp", "SaveConfig", "Table"])
    #expect(config.unused.map(\.line) == [7, 9, 10, 11])
    try #require(config.peers.count == 2)
    #expect(config.peers[0].publicKey.description == Self.peerA)
    #expect(config.peers[0].allowedIPs.map(\.description) == ["10.7.0.2/32", "fd00:7::2/128", "192.168.3.0/24"])
    #expect(config.peers[0].endpoint == "vpn.example.org:51820")
    #expect(config.peers[0].persistentKeepalive == 25)
    #expect(config.peers[0].presharedKey?.base64 == Self.key)
    #expect(config.peers[1].endpoint == "[2001:db8::1]:2552")
    #expect(config.peers[1].allowedIPs.isEmpty)
    #expect(config.peers[1].persistentKeepalive == nil)
  }

  static let mistakes: [(String, String)] = [
    ("[Interface]\nListenPort = 70000", "wg0.conf:2: ListenPort '70000' is not a number from 0 to 65535"),
    ("[Interface]\nListenPort = ", "wg0.conf:2: ListenPort '' is not a number from 0 to 65535"),
    ("[Interface]\nMTU = 12", "wg0.conf:2: MTU '12' is not a number of bytes from 576 to 65535"),
    ("[Interface]\nAddress = 10.0.0.1/33", "wg0.conf:2: Address '10.0.0.1/33' is not like 10.7.0.1/24 or fd00::1/64"),
    ("[Interface]\nEndpoint = a:1", "wg0.conf:2: 'Endpoint' is not known in [Interface]: it belongs into a [Peer]"),
    ("ListenPort = 1", "wg0.conf:1: 'ListenPort' stands before the first [Interface] or [Peer]"),
    ("[Network]\nName = x", "wg0.conf:1: there is no section '[Network]'; there are [Interface] and [Peer]"),
    ("[Peer]\nAllowedIPs = 10.0.0.0/8", "wg0.conf:1: this [Peer] has no PublicKey"),
    ("[Interface]\nhello", "wg0.conf:2: 'hello' is neither 'Key = value', nor [Interface], nor [Peer]"),
    ("[Interface]\n#pnet Accept = all", "wg0.conf:2: Accept 'all' is neither 'listed' nor 'any'"),
    (
      "[Interface]\n#pnet Colour = red", "wg0.conf:2: '#pnet Colour' is not known; allowed are Accept, Name"
    ),
    (
      "[Interface]\nPrivateKey = abc",
      "wg0.conf:2: this PrivateKey is not 44 characters of base64 as 'pnet genkey' prints them"
    ),
  ]

  @Test(arguments: mistakes) func `a mistake is named with its line and what is allowed`(text: String, message: String)
  {
    #expect(Self.issues(text) == [message])
  }

  static let peerMistakes: [(String, String)] = [
    ("Endpoint = host", "Endpoint 'host' is not HOST:PORT or [IPv6]:PORT: there is no ':PORT'"),
    (
      "Endpoint = fd00::1:51820",
      "Endpoint 'fd00::1:51820' is not HOST:PORT or [IPv6]:PORT: an IPv6 address goes between [ and ]"
    ),
    (
      "Endpoint = host:0",
      "Endpoint 'host:0' is not HOST:PORT or [IPv6]:PORT: the port '0' is not a number from 1 to 65535"
    ),
    ("AllowedIPs = 10.0.0.0/8, ten", "AllowedIPs: 'ten' is not like 10.7.0.0/24 or fd00::/8"),
    (
      "PersistentKeepalive = -1",
      "PersistentKeepalive '-1' is neither a number of seconds from 0 to 65535 nor 'off'"
    ),
  ]

  @Test(arguments: peerMistakes) func `a mistake in a peer is named too`(line: String, message: String) {
    #expect(Self.issues("[Peer]\nPublicKey = \(Self.peerA)\n\(line)") == ["wg0.conf:3: \(message)"])
  }

  @Test func `all mistakes are found in one go, in order, up to a cap`() {
    let many = "[Interface]\n" + String(repeating: "MTU = x\n", count: 25) + "[Peer]\n"
    let found = Self.issues(many)
    #expect(found.count == WireGuardConfig.maximumIssues + 1)
    #expect(found.first == "wg0.conf:2: MTU 'x' is not a number of bytes from 576 to 65535")
    #expect(found.last == "wg0.conf: and 6 more")
  }

  @Test func `one key in two peers is a mistake`() {
    let text = "[Peer]\nPublicKey = \(Self.peerA)\n[Peer]\nPublicKey = \(Self.peerA)\n"
    #expect(
      Self.issues(text) == ["wg0.conf:3: this [Peer] has the PublicKey of the one in line 1: make them one"])
  }

  @Test func `secrets are in no message and no description`() throws {
    #expect(!Self.issues("[Interface]\nPrivateKey = geheim").joined().contains("geheim"))
    let config = try WireGuardConfig(parsing: "[Interface]\nPrivateKey = \(Self.key)", file: "f")
    var dumped = ""
    dump(config, to: &dumped)
    #expect(!"\(config)".contains(Self.key))
  }

  @Test func `a line that is too long and a file that is too large are refused`() {
    let long = String(repeating: "a", count: WireGuardConfig.maximumLineLength + 1)
    #expect(Self.issues("[Interface]\n# \(long)") == ["wg0.conf:2: the line is longer than 65536 bytes"])
    let large = String(repeating: "#\n", count: WireGuardConfig.maximumSize / 2 + 1)
    #expect(Self.issues(large) == ["wg0.conf:1: the file is larger than 16 MiB"])
  }

  @Test func `changing bytes of a good file at random never traps`() {
    let good = Array(
      "[Interface]\nPrivateKey = \(Self.key)\nAddress=10.0.0.1/8\n#pnet Accept = any\n[Peer]\nPublicKey = \(Self.peerA)\nEndpoint = [::1]:5\nAllowedIPs = 0.0.0.0/0,::/0\n"
        .utf8)
    var seed: UInt64 = 7
    func next() -> UInt64 {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return seed >> 33
    }
    var accepted = 0
    for _ in 0..<2000 {
      var bytes = good
      for _ in 0..<(1 + next() % 6) { bytes[Int(next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: next()) }
      if (try? WireGuardConfig(parsing: bytes, file: "f")) != nil { accepted += 1 }
    }
    #expect(accepted < 2000)
  }
}
