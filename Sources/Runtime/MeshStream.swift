internal import MeshNode
public import MeshPacket
public import MeshPrimitives

/// An ordered, reliable, encrypted stream of bytes to a peer, both ways. Each direction ends by itself.
///
/// One task may read while another one writes. A stream that is let go of without ``finish()`` is given up.
public final class MeshStream: Sendable {
  /// The key of the node at the other end.
  public let peer: PublicKey
  /// The name that the stream was opened with.
  public let service: String
  let pipe: StreamPipe
  /// Settled when the peer has all that was written, and the end.
  let delivery: Gate<Void>

  init(peer: PublicKey, service: String, pipe: StreamPipe, delivery: Gate<Void>) {
    self.peer = peer
    self.service = service
    self.pipe = pipe
    self.delivery = delivery
  }

  deinit { pipe.abandon(code: ErrorCode.cancelled.rawValue) }

  /// Appends to `output` what has come, at least one byte; waits until there is one. Allocates nothing.
  /// - Returns: the number of bytes; 0 at the end of the stream.
  /// - Throws: ``MeshError``, behind all bytes that came before it; `CancellationError`.
  public func read(into output: inout OutputRawSpan) async throws -> Int {
    do { return try await pipe.read(into: &output) } catch let failure as StreamFailure { throw explain(failure) }
  }

  /// What has come, up to `count` bytes; waits until there is something. `nil` at the end of the stream.
  public func read(upTo count: Int = 65_536) async throws -> [UInt8]? {
    do { return try await pipe.read(upTo: count) } catch let failure as StreamFailure { throw explain(failure) }
  }

  /// Writes all of `bytes`; waits for room as often as it takes, and so goes no faster than the peer reads.
  /// - Throws: ``MeshError``; `CancellationError`, after which some of the bytes may have been written.
  public func write(_ bytes: RawSpan) async throws {
    do { try await pipe.write(bytes) } catch let failure as StreamFailure { throw explain(failure) }
  }

  public func write(_ bytes: [UInt8]) async throws { try await write(bytes.bytes) }

  public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

  /// Says that all is written: the peer reads what there is and then the end. Reading goes on.
  public func finish() async throws { pipe.finish() }

  /// Waits until the peer has everything that was written, and the end (``finish()`` comes first).
  public func flushed() async throws { try await delivery.value() }

  /// Gives up both directions: what is queued is dropped, and the peer gets `code`.
  public func reset(code: ErrorCode = .cancelled) { pipe.reset(code: code.rawValue) }

  private func explain(_ failure: StreamFailure) -> MeshError {
    failure == .reset(code: ErrorCode.refused.rawValue)
      ? .refused(service: service) : Self.error(failure, peer: peer)
  }

  static func error(_ failure: StreamFailure, peer: PublicKey) -> MeshError {
    switch failure {
    case .reset(let code): .reset(code: code)
    case .disconnected(let reason): .disconnected(peer, reason)
    case .finished: .notWritable
    case .notReadable: .notReadable
    case .busy: .busy
    }
  }
}

extension MeshStream: AsyncSequence {
  public struct AsyncIterator: AsyncIteratorProtocol {
    let stream: MeshStream

    public func next() async throws -> [UInt8]? { try await stream.read() }

    public func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? { try await stream.read() }
  }

  /// The chunks that come, up to the end.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }
}
