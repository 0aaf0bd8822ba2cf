import MeshPrimitives
import Testing

@testable import MeshNode

@Suite("Hello exchange") struct HelloExchangeTests {
  private let now = Instant(nanoseconds: 1_000_000_000_000)

  private func hear(
    _ exchange: inout HelloExchange, _ incarnation: UInt64 = 7, mirrored: UInt64, heard: Bool
  ) -> HelloExchange.Outcome {
    exchange.receive(
      incarnation: incarnation, mirrored: mirrored, peerHeard: heard, peerSettled: false, own: 9, now: now)
  }

  @Test func `a Hello that was overtaken by the next one takes nothing back`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    let answer = hear(&exchange, mirrored: 9, heard: true)
    #expect(answer == HelloExchange.Outcome(completed: true) && exchange.knowsUs)
    let late = hear(&exchange, mirrored: 0, heard: false)
    #expect(late == HelloExchange.Outcome() && exchange.knowsUs && exchange.acknowledged)
  }

  @Test func `a peer that started again does not know us, one that has new keys does`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    _ = hear(&exchange, mirrored: 9, heard: true)
    let other = hear(&exchange, 8, mirrored: 0, heard: false)
    #expect(other.restarted && !exchange.knowsUs && !exchange.acknowledged)
    _ = hear(&exchange, 8, mirrored: 9, heard: true)
    #expect(exchange.knowsUs)
    exchange.begin(now: now)
    #expect(exchange.knowsUs && !exchange.acknowledged)
  }
}
