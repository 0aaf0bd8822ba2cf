import MeshPrimitives
import Testing

@testable import MeshNode

/// Until it learns that we started again, a peer sends packets of its old connection, on the new keys.
@Suite("Node: a peer that takes us for who we were") struct RestartedPeerTests {
  private let now = Instant(nanoseconds: 0)

  private func hello(_ exchange: inout HelloExchange, mirrored: UInt64, own: UInt64 = 7) -> HelloExchange.Outcome {
    exchange.receive(
      incarnation: 3, mirrored: mirrored, peerHeard: true, peerSettled: false, own: own, now: now)
  }

  @Test func `its packets belong to us only once it names us as we are`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    #expect(!exchange.knowsUs)
    #expect(!hello(&exchange, mirrored: 6).completed)
    #expect(exchange.heard && !exchange.knowsUs)
    #expect(hello(&exchange, mirrored: 7).completed)
    #expect(exchange.knowsUs)
  }

  @Test func `a new key pair and the end of a connection begin that again`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    _ = hello(&exchange, mirrored: 7)
    exchange.connectionEnded()
    #expect(!exchange.knowsUs)
    _ = hello(&exchange, mirrored: 7)
    exchange.begin(now: now)
    #expect(!exchange.knowsUs)
    // We are called otherwise now.
    _ = hello(&exchange, mirrored: 7, own: 8)
    #expect(!exchange.knowsUs)
  }
}
