import MeshPrimitives
import MeshRuntime
import MetricsTestKit
import Testing

/// What a node reports to swift-metrics.
@Suite("Metrics") struct MetricsTests {
  @Test func `traffic, drops and peers are reported, at the latest when the mesh closes`() async throws {
    let metrics = TestMetrics()
    let identity = Identity.generate()
    var configuration = Mesh.Configuration()
    configuration.metrics = metrics
    configuration.metricsInterval = .seconds(3600)
    let server = try await Mesh(
      identity: .generate(), peers: [Peer(identity.publicKey), Peer(Identity.generate().publicKey)],
      configuration: configuration)
    let peer = Peer(server.publicKey, at: "127.0.0.1:\(server.port)")
    let client = try await Mesh(identity: identity, peers: [peer])
    let stranger = try await Mesh(identity: .generate(), peers: [peer])
    await #expect(throws: MeshError.self) {
      _ = try await stranger.ping(server.publicKey, timeout: .milliseconds(100))
    }
    _ = try await client.ping(server.publicKey)
    let status = try await server.status()
    await server.close()
    await client.close()
    await stranger.close()

    let received = metrics.counterTotal(label: "pnet_received_bytes")
    #expect(received >= Int64(status.peers.map(\.receivedBytes).reduce(0, +)) && received > 0)
    #expect(metrics.counterTotal(label: "pnet_handshakes") == 1)
    #expect(metrics.counterTotal(label: "pnet_drops", dimensions: [("reason", "session.unknownPeer")]) >= 1)
    #expect(metrics.counterTotal(label: "pnet_drops", dimensions: [("reason", "session.forged")]) == 0)
    #expect(try metrics.expectGauge("pnet_peers").lastValue == 2)
    #expect(try metrics.expectGauge("pnet_connected_peers").lastValue == 1)
  }

  @Test(.timeLimit(.minutes(1)))
  func `figures are reported again and again, as what was added`() async throws {
    let metrics = TestMetrics()
    let identity = Identity.generate()
    var configuration = Mesh.Configuration()
    configuration.metrics = metrics
    configuration.metricsInterval = .milliseconds(1)
    let server = try await Mesh(identity: .generate(), peers: [Peer(identity.publicKey)], configuration: configuration)
    let client = try await Mesh(identity: identity, peers: [Peer(server.publicKey, at: "127.0.0.1:\(server.port)")])
    repeat {
      _ = try await client.ping(server.publicKey)
    } while (try? metrics.expectGauge("pnet_peers").values.count) ?? 0 <= 1
    await client.close()
    let status = try await server.status()
    await server.close()
    #expect(try metrics.expectGauge("pnet_peers").values.count > 1)
    #expect(metrics.counterTotal(label: "pnet_received_bytes") == Int64(status.peers[0].receivedBytes))
  }
}
