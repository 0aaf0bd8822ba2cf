import MeshPacket
import MeshPrimitives
import MeshReliability

/// One connection, and packets made by hand in the name of its peer, whose streams are odd.
final class Victim {
  var connection: Connection
  let pool: ChunkPool
  var now = Instant(nanoseconds: 1_000_000_000_000)
  var number: UInt64 = 0

  init(_ configuration: Configuration = Configuration(), pool: Int = 64 << 20) {
    self.pool = ChunkPool(capacity: pool)
    connection = Connection(configuration: configuration, opensOddStreams: false, pool: self.pool, now: now)
  }

  @discardableResult
  func take(number: UInt64? = nil, _ write: (inout OutputRawSpan) -> Void) throws -> PacketOutcome {
    if let number { self.number = number } else { self.number += 1 }
    let message = [UInt8](capacity: 2_000) {
      PacketWriter.writeNumber(self.number, to: &$0)
      write(&$0)
    }
    return try connection.handle(message.bytes, ecn: .notECT, now: now)
  }

  @discardableResult
  func stream(_ id: UInt64, offset: UInt64, _ data: [UInt8] = [], fin: Bool = false, service: String = "") throws
    -> PacketOutcome
  {
    try take {
      PacketWriter.writeStream(
        id: id, offset: offset, fin: fin, service: Array(service.utf8).bytes, dataLength: data.count, to: &$0)
      $0.append(data.bytes)
    }
  }

  func send() -> [UInt8]? {
    var sent = false
    let message = [UInt8](capacity: 1_400) { sent = connection.nextPacket(into: &$0, now: now) }
    return sent ? message : nil
  }

  var events: [ConnectionEvent] {
    var result: [ConnectionEvent] = []
    while let event = connection.nextEvent() { result.append(event) }
    return result
  }
}
