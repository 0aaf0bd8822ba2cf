internal import MeshCrypto
internal import MeshPrimitives
internal import MeshRouting

/// One reading of a `wg-quick` file.
struct WireGuardConfigParser {
  private enum Section { case none, interface, peer, unknown }

  /// A `[Peer]` section before it is known to have a key.
  private struct Draft {
    let line: Int
    var publicKey: PublicKey?
    /// The key is there but wrong, which is reported already.
    var isBroken = false
    var presharedKey: SecretBase64?
    var endpoint: String?
    var allowedIPs: [IPPrefix] = []
    var persistentKeepalive: Int?
  }

  private var config = WireGuardConfig()
  private var section = Section.none
  private var draft: Draft?
  private var lineOfPeer: [PublicKey: Int] = [:]
  private var line = 0
  private var issues: [ConfigError.Issue] = []
  private var issueCount = 0

  private static let interfaceKeys =
    "PrivateKey, ListenPort, Address, MTU, DNS, FwMark, Table, PreUp, PostUp, PreDown, PostDown, SaveConfig"
  private static let peerKeys = "PublicKey, PresharedKey, Endpoint, AllowedIPs, PersistentKeepalive"

  mutating func parse(_ bytes: [UInt8], file: String) throws(ConfigError) -> WireGuardConfig {
    guard bytes.count <= WireGuardConfig.maximumSize else {
      throw ConfigError(
        file: file,
        issues: [.init(line: 1, message: "the file is larger than \(WireGuardConfig.maximumSize >> 20) MiB")], more: 0)
    }
    var rest = bytes[...]
    if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
    while !rest.isEmpty {
      line += 1
      let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
      if end - rest.startIndex > WireGuardConfig.maximumLineLength {
        report("the line is longer than \(WireGuardConfig.maximumLineLength) bytes")
      } else {
        read(rest[rest.startIndex..<end])
      }
      rest = end == rest.endIndex ? [] : rest[(end + 1)...]
    }
    finishPeer()
    guard issueCount == 0 else {
      // A peer's missing key is found at its end and belongs to its first line.
      throw ConfigError(file: file, issues: issues.sorted { $0.line < $1.line }, more: issueCount - issues.count)
    }
    return config
  }

  private mutating func report(_ message: String, line: Int? = nil) {
    issueCount += 1
    if issues.count < WireGuardConfig.maximumIssues {
      issues.append(.init(line: line ?? self.line, message: message))
    }
  }

  private mutating func read(_ raw: ArraySlice<UInt8>) {
    let trimmed = TextScan.trimmed(raw)
    if let own = Self.ownSetting(trimmed) { return readOwn(own) }
    let content = TextScan.trimmed(trimmed.prefix { $0 != UInt8(ascii: "#") })
    guard let first = content.first else { return }
    if first == UInt8(ascii: "[") { return begin(TextScan.lowercased(content), content) }
    guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
      return report("\(TextScan.quoted(TextScan.text(content))) is neither 'Key = value', nor [Interface], nor [Peer]")
    }
    let key = TextScan.trimmed(content[content.startIndex..<equals])
    let value = TextScan.text(TextScan.trimmed(content[(equals + 1)...]))
    switch section {
    case .none: report("\(TextScan.quoted(TextScan.text(key))) stands before the first [Interface] or [Peer]")
    case .unknown: break
    case .interface: readInterface(TextScan.lowercased(key), TextScan.text(key), value)
    case .peer: readPeer(TextScan.lowercased(key), TextScan.text(key), value)
    }
  }

  /// What follows `#pnet` and a blank.
  private static func ownSetting(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard line.count > 5, TextScan.lowercased(line.prefix(5)) == "#pnet" else { return nil }
    let rest = line.dropFirst(5)
    guard let first = rest.first, TextScan.isBlank(first) else { return nil }
    return TextScan.trimmed(rest)
  }

  private mutating func begin(_ name: String, _ content: ArraySlice<UInt8>) {
    finishPeer()
    switch name {
    case "[interface]": section = .interface
    case "[peer]":
      section = .peer
      draft = Draft(line: line)
    default:
      section = .unknown
      report("there is no section \(TextScan.quoted(TextScan.text(content))); there are [Interface] and [Peer]")
    }
  }

  private mutating func finishPeer() {
    guard let draft = draft.take() else { return }
    guard let key = draft.publicKey else {
      if !draft.isBroken { report("this [Peer] has no PublicKey", line: draft.line) }
      return
    }
    if let other = lineOfPeer[key] {
      return report("this [Peer] has the PublicKey of the one in line \(other): make them one", line: draft.line)
    }
    lineOfPeer[key] = draft.line
    var peer = WireGuardConfig.Peer(publicKey: key, line: draft.line)
    peer.presharedKey = draft.presharedKey
    peer.endpoint = draft.endpoint
    peer.allowedIPs = draft.allowedIPs
    peer.persistentKeepalive = draft.persistentKeepalive
    config.peers.append(peer)
  }

  // MARK: - [Interface]

  private mutating func readInterface(_ key: String, _ written: String, _ value: String) {
    switch key {
    case "privatekey": readPrivateKey(value)
    case "listenport":
      guard let port = TextScan.decimal(value, upTo: 65_535) else {
        return report("ListenPort \(TextScan.quoted(value)) is not a number from 0 to 65535")
      }
      config.listenPort = UInt16(port)
    case "address":
      for item in items(value) { readAddress(item) }
    case "mtu":
      guard let mtu = TextScan.decimal(value, upTo: 65_535), mtu >= 576 else {
        return report("MTU \(TextScan.quoted(value)) is not a number of bytes from 576 to 65535")
      }
      config.mtu = mtu
    case "dns": unused("DNS", "changing the system's resolver needs root")
    case "fwmark": unused("FwMark", "packets are not marked for the firewall")
    case "table": unused("Table", "no system routes are set: traffic goes over streams, not over a network device")
    case "preup": unused("PreUp", "commands of the file are not run")
    case "postup": unused("PostUp", "commands of the file are not run")
    case "predown": unused("PreDown", "commands of the file are not run")
    case "postdown": unused("PostDown", "commands of the file are not run")
    case "saveconfig": unused("SaveConfig", "the file is never written")
    default:
      let hint = Self.peerKeys.lowercased().split(separator: ", ").contains { $0 == key }
      report(
        "\(TextScan.quoted(written)) is not known in [Interface]"
          + (hint ? ": it belongs into a [Peer]" : "; allowed are \(Self.interfaceKeys)"))
    }
  }

  private mutating func unused(_ key: String, _ reason: String) {
    config.unused.append(.init(line: line, key: key, reason: reason))
  }

  private mutating func readPrivateKey(_ value: String) {
    // The value is a secret: it is not repeated in the message.
    do { _ = try PrivateKey(base64: value) } catch .malformedText {
      return report("this PrivateKey is not 44 characters of base64 as 'pnet genkey' prints them")
    } catch {
      return report("no locked memory left for the PrivateKey; raise 'ulimit -l'")
    }
    config.privateKey = SecretBase64(value)
  }

  private mutating func readAddress(_ item: String) {
    guard IPPrefix(item) != nil, let address = IPAddress(item.prefix { $0 != "/" }) else {
      return report("Address \(TextScan.quoted(item)) is not like 10.7.0.1/24 or fd00::1/64")
    }
    config.addresses.append(.init(address: address, length: IPPrefix(item)?.length ?? address.bitWidth))
  }

  // MARK: - [Peer]

  private mutating func readPeer(_ key: String, _ written: String, _ value: String) {
    switch key {
    case "publickey":
      guard value.utf8.count == 44, let parsed = PublicKey(value) else {
        draft?.isBroken = true
        return report("PublicKey \(TextScan.quoted(value)) is not 44 characters of base64 as 'pnet pubkey' prints them")
      }
      draft?.publicKey = parsed
    case "presharedkey":
      do { _ = try PresharedKey(base64: value) } catch {
        return report("this PresharedKey is not 44 characters of base64 as 'wg genpsk' prints them")
      }
      draft?.presharedKey = SecretBase64(value)
    case "endpoint":
      if let problem = EndpointText.problem(value) {
        return report("Endpoint \(TextScan.quoted(value)) is not HOST:PORT or [IPv6]:PORT: \(problem)")
      }
      draft?.endpoint = value
    case "allowedips":
      for item in items(value) {
        guard let prefix = IPPrefix(item) else {
          report("AllowedIPs: \(TextScan.quoted(item)) is not like 10.7.0.0/24 or fd00::/8")
          continue
        }
        draft?.allowedIPs.append(prefix)
      }
    case "persistentkeepalive":
      if value.utf8.count == 3, value.lowercased() == "off" {
        draft?.persistentKeepalive = nil
      } else if let seconds = TextScan.decimal(value, upTo: 65_535) {
        draft?.persistentKeepalive = seconds == 0 ? nil : seconds
      } else {
        report("PersistentKeepalive \(TextScan.quoted(value)) is neither a number of seconds from 0 to 65535 nor 'off'")
      }
    default:
      let hint = Self.interfaceKeys.lowercased().split(separator: ", ").contains { $0 == key }
      report(
        "\(TextScan.quoted(written)) is not known in [Peer]"
          + (hint ? ": it belongs into [Interface]" : "; allowed are \(Self.peerKeys)"))
    }
  }

  /// The items of a list; an empty list has none.
  private func items(_ value: String) -> [String] {
    value.utf8.split(separator: UInt8(ascii: ",")).compactMap {
      let item = TextScan.text(TextScan.trimmed(Array($0)[...]))
      return item.isEmpty ? nil : item
    }
  }

  // MARK: - Our own settings

  private mutating func readOwn(_ content: ArraySlice<UInt8>) {
    guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
      return report("'#pnet' must be followed by 'Key = value'; write '# pnet' for a comment")
    }
    let key = TextScan.trimmed(content[content.startIndex..<equals])
    let value = TextScan.text(TextScan.trimmed(content[(equals + 1)...].prefix { $0 != UInt8(ascii: "#") }))
    guard section == .interface else {
      return report("\(TextScan.quoted("#pnet " + TextScan.text(key))) belongs into [Interface]")
    }
    switch TextScan.lowercased(key) {
    case "accept":
      guard let accept = WireGuardConfig.Accept(rawValue: value.lowercased()) else {
        return report("Accept \(TextScan.quoted(value)) is neither 'listed' nor 'any'")
      }
      config.accept = accept
    case "name":
      guard WireGuardConfig.isName(value) else {
        return report("Name \(TextScan.quoted(value)) is not 1 to 32 letters, digits, '-', '_' or '.'")
      }
      config.name = value
    default:
      report("\(TextScan.quoted("#pnet " + TextScan.text(key))) is not known; allowed are Accept, Name")
    }
  }
}
