internal import Glibc
internal import MeshNodeSimulation

/// A file that a simulation writes, from the beginning, in large pieces. Readable for all: nothing in it is secret.
@safe final class SimulationFile {
  private let descriptor: Int32
  private let name: String
  private var buffer: [UInt8] = []
  private var failure: Int32 = 0

  init(_ name: String) throws(Failure) {
    self.name = name
    descriptor = unsafe open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure("cannot write \(name): \(systemMessage(errno))", .badInput) }
  }

  deinit { Glibc.close(descriptor) }

  static func write(_ text: String, to name: String) throws(Failure) {
    let file = try SimulationFile(name)
    file.append(text)
    try file.finish()
  }

  func append(_ text: String) {
    buffer += text.utf8
    if buffer.count > 1 << 20 { flush() }
  }

  /// One line of JSON.
  func append(_ entry: TraceEntry) {
    let time = entry.time.components.seconds * 1_000_000_000 + entry.time.components.attoseconds / 1_000_000_000
    append(
      "{\"ns\":\(time),\"event\":\"\(entry.kind.name)\",\"from\":\(entry.sender),\"to\":\(entry.receiver),"
        + "\"bytes\":\(entry.size),\"type\":\(entry.type),\"ecn\":\(entry.ecn.rawValue),"
        + "\"hash\":\"\(String(entry.hash, radix: 16))\"}\n")
  }

  private func flush() {
    var start = 0
    while start < buffer.count, failure == 0 {
      let count = unsafe buffer.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start)
      }
      if count > 0 { start += count } else if count == 0 || errno != EINTR { failure = count == 0 ? ENOSPC : errno }
    }
    buffer.removeAll(keepingCapacity: true)
  }

  func finish() throws(Failure) {
    flush()
    if failure != 0 { throw Failure("cannot write \(name): \(systemMessage(failure))", .badInput) }
  }
}
