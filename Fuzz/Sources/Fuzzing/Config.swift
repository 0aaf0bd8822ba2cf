import MeshCommands

extension Fuzzing {
  /// A `wg-quick` file: it is read as a whole or refused with lines and reasons, and a comment more changes nothing.
  public static func config(_ input: [UInt8]) {
    let lines = input.count { $0 == 0x0A } + 1
    let config: WireGuardConfig
    do throws(ConfigError) { config = try WireGuardConfig(parsing: input, file: "f") } catch {
      require(!error.issues.isEmpty, "a refusal must have a reason")
      require(error.issues.count <= WireGuardConfig.maximumIssues, "reasons must be bounded")
      require(error.issues.allSatisfy { (1...lines).contains($0.line) }, "a reason must name a line of the file")
      require(!error.description.isEmpty, "a refusal must say something")
      return
    }
    require(Set(config.peers.map(\.publicKey)).count == config.peers.count, "a peer must be there once")
    require(config.peers.allSatisfy { (1...65_535).contains($0.persistentKeepalive ?? 1) }, "a keepalive has its range")
    require(config.addresses.allSatisfy { (0...128).contains($0.length) }, "a network has its length")
    require(config.unused.allSatisfy { (1...lines).contains($0.line) }, "what is unused must name its line")
    require((try? WireGuardConfig(parsing: input + Array("\n# more\n".utf8), file: "g")) == config, "a comment is none")
  }
}
