import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

@Suite("Client transactions") struct TransactionTests {
  static let start = Instant(nanoseconds: 1_000_000_000_000)
  let server = address("192.0.2.1:3478")

  /// Sends what is due until the end, and returns the times in milliseconds and the time of the end.
  private func run(_ transaction: inout ClientTransaction) -> (sent: [Int64], end: Int64?) {
    var sent: [Int64] = []
    var now = Self.start
    while let deadline = transaction.deadline {
      now = max(now, deadline)
      transaction.handleTimeout(now: now)
      _ = [UInt8](capacity: 100) { output in
        if transaction.nextTransmit(into: &output, now: now) != nil {
          sent.append(now.nanoseconds(since: Self.start) / 1_000_000)
        }
      }
    }
    return (sent, transaction.state == .timedOut ? now.nanoseconds(since: Self.start) / 1_000_000 : nil)
  }

  @Test func `a request is sent seven times in 31_5 s and given up after 39_5 s`() {
    var transaction = ClientTransaction(TransactionID(high: 1, low: 1), [0], to: server, now: Self.start)
    let (sent, end) = run(&transaction)
    #expect(sent == [0, 500, 1500, 3500, 7500, 15_500, 31_500])
    #expect(end == 39_500)
  }

  @Test func `over a stream a request is sent once and given up after 39_5 s`() {
    var transaction = ClientTransaction(
      TransactionID(high: 1, low: 1), [0], to: server, over: .stream, now: Self.start)
    let (sent, end) = run(&transaction)
    #expect(sent == [0])
    #expect(end == 39_500)
  }

  @Test func `a finished transaction sends nothing more`() {
    var transaction = ClientTransaction(TransactionID(high: 1, low: 1), [0], to: server, now: Self.start)
    transaction.finish()
    #expect(run(&transaction).sent.isEmpty)
    #expect(transaction.state == .finished)
  }

  @Test func `only a response with the right ID from the right place matches`() throws {
    var transaction = ClientTransaction(TransactionID(high: 1, low: 1), [0], to: server, now: Self.start)
    let right = message(.success, .binding, TransactionID(high: 1, low: 1))
    #expect(try transaction.matches(STUNMessage(right.bytes), from: server) == false)
    _ = [UInt8](capacity: 100) { _ = transaction.nextTransmit(into: &$0, now: Self.start) }
    #expect(try transaction.matches(STUNMessage(right.bytes), from: server) == true)
    #expect(try transaction.matches(STUNMessage(right.bytes), from: address("192.0.2.1:3479")) == false)
    let wrong = message(.success, .binding, TransactionID(high: 1, low: 2))
    #expect(try transaction.matches(STUNMessage(wrong.bytes), from: server) == false)
    let request = message(.request, .binding, TransactionID(high: 1, low: 1))
    #expect(try transaction.matches(STUNMessage(request.bytes), from: server) == false)
  }
}
