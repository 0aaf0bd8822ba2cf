import Foundation
import MeshCrypto
import MeshPrimitives
import MeshRuntime
import Testing

/// What a node keeps across restarts.
@Suite("State across restarts") struct StateTests {
  /// A clock of the year 2106 or so: later than that of any machine that runs this.
  static let future = "@400000010000000020000000"

  /// A directory for `body`, removed afterwards.
  static func withDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("pnet-state-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await body(directory.path)
  }

  static func path(_ directory: String, _ key: PublicKey) -> String { "\(directory)/\(key.urlDescription).timestamp" }

  static func write(_ text: String, _ path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  static func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  static func timestamp(_ path: String) throws -> TAI64N {
    try #require(TAI64N(String(read(path).dropLast())))
  }

  static func mesh(_ identity: Identity, _ server: Mesh, state: String?) async throws -> Mesh {
    var configuration = Mesh.Configuration()
    configuration.stateDirectory = state
    return try await Mesh(
      identity: identity, peers: [Peer(server.publicKey, at: "127.0.0.1:\(server.port)")],
      configuration: configuration)
  }

  @Test func `a node whose clock went back is known again by the timestamp that it kept`() async throws {
    try await Self.withDirectory { directory in
      let state = directory + "/made/when missing"
      let identity = Identity.generate()
      let server = try await Mesh(identity: .generate(), peers: [Peer(identity.publicKey)])
      let path = Self.path(state, identity.publicKey)
      try await Self.mesh(identity, server, state: state).close()
      // The node has sent a timestamp of the future, as it would with a clock that is put right later.
      try Self.write(Self.future + "\n", path)
      for _ in 0..<2 {
        let before = try Self.timestamp(path)
        let node = try await Self.mesh(identity, server, state: state)
        _ = try await node.ping(server.publicKey)
        await node.close()
        #expect(try Self.timestamp(path) > before)
      }
      let forgetful = try await Self.mesh(identity, server, state: nil)
      await #expect(throws: MeshError.self) {
        _ = try await forgetful.ping(server.publicKey, timeout: .milliseconds(300))
      }
      #expect(try await server.status().drops["session.replayedTimestamp", default: 0] > 0)
      await forgetful.close()
      await server.close()
    }
  }

  @Test func `a file of something else, and a directory that cannot be made, are errors that say so`() async throws {
    try await Self.withDirectory { directory in
      let identity = Identity.generate()
      let path = Self.path(directory, identity.publicKey)
      try Self.write("yesterday\n", path)
      let server = try await Mesh(identity: .generate())
      await #expect(throws: MeshError.state("\(path) holds no timestamp of a handshake: remove it")) {
        _ = try await Self.mesh(identity, server, state: directory)
      }
      #expect(try Self.read(path) == "yesterday\n")
      await #expect(throws: MeshError.state("cannot make the state directory \(path)/below: Not a directory")) {
        _ = try await Self.mesh(identity, server, state: path + "/below")
      }
      await server.close()
    }
  }
}
