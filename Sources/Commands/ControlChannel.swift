/// One connection to or from a control socket: lines first, then perhaps frames.
///
/// One task reads at a time; writes of several tasks are kept apart.
final class ControlChannel: Sendable {
  let descriptor: Descriptor
  private let writing = TaskLock()
  private let input: InputBuffer

  init(_ descriptor: Descriptor) {
    self.descriptor = descriptor
    input = InputBuffer { count in try await descriptor.read(upTo: count) }
  }

  func close() { descriptor.close() }

  func send(line value: some Encodable & Sendable) async throws {
    let bytes = try JSON.line(value) + [0x0A]
    try await writing { try await descriptor.write(bytes) }
  }

  /// The next line; `nil` when the other side has closed. - Throws: `Failure` when it is longer than `limit`.
  func line(upTo limit: Int) async throws -> [UInt8]? { try await input.line(upTo: limit) }

  func send(_ frame: ControlFrame, _ bytes: [UInt8] = []) async throws {
    var rest = bytes[...]
    repeat {
      let piece = rest.prefix(ControlFrame.maximumLength)
      rest = rest.dropFirst(piece.count)
      var message: [UInt8] = []
      message.reserveCapacity(4 + piece.count)
      let length = UInt32(piece.count)
      message += [UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16), frame.rawValue]
      message += piece
      try await writing { [message] in try await descriptor.write(message) }
    } while !rest.isEmpty
  }

  /// The next frame; `nil` when the other side has closed.
  func frame() async throws -> (ControlFrame, [UInt8])? {
    guard let header = try await input.bytes(exactly: 4) else { return nil }
    let length = Int(header[0]) | Int(header[1]) << 8 | Int(header[2]) << 16
    guard let kind = ControlFrame(rawValue: header[3]), length <= ControlFrame.maximumLength else {
      throw Failure("the other end of the control socket speaks another protocol: is it another version of pnet?")
    }
    guard length > 0 else { return (kind, []) }
    guard let body = try await input.bytes(exactly: length) else { return nil }
    return (kind, body)
  }
}
