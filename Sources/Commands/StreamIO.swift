/// Small messages in JSON, each behind its length (`UInt32`, little-endian), and bytes in between: what the services of
/// `pnet` speak on a stream.
final class StreamIO: Sendable {
  let stream: any NodeStream
  private let input: InputBuffer
  /// Bytes of a message at most.
  static let maximumLength = 65_536

  init(_ stream: any NodeStream) {
    self.stream = stream
    input = InputBuffer { count in try await stream.read(upTo: count) }
  }

  func send(_ message: some Encodable) async throws {
    let body = try JSON.line(message)
    let length = UInt32(body.count)
    try await stream.write((0..<4).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + body)
  }

  /// The next message; `nil` at the end of the stream.
  func message<Value: Decodable>(_ type: Value.Type) async throws -> Value? {
    guard let header = try await input.bytes(exactly: 4) else { return nil }
    let length = Int(header[0]) | Int(header[1]) << 8 | Int(header[2]) << 16 | Int(header[3]) << 24
    guard length <= Self.maximumLength else { throw Failure("the peer sends a message that is too long", .broken) }
    guard let body = try await input.bytes(exactly: length), let value = try? JSON.parse(type, body) else {
      throw Failure("the peer sends what makes no sense: is it another version of pnet?", .broken)
    }
    return value
  }

  /// Bytes between messages: at least one and at most `count`; `nil` at the end.
  func bytes(upTo count: Int) async throws -> [UInt8]? { try await input.some(upTo: count) }
}
