/// The streams that peers open to a service, as they come. The service is open for as long as this value is iterated or
/// held; the sequence ends when the mesh is closed.
public struct IncomingStreams: AsyncSequence, Sendable {
  /// Streams that wait to be taken; more are refused.
  static let backlog = 256

  let streams: AsyncStream<MeshStream>

  public struct AsyncIterator: AsyncIteratorProtocol {
    var base: AsyncStream<MeshStream>.AsyncIterator

    public mutating func next() async -> MeshStream? { await next(isolation: #isolation) }

    public mutating func next(isolation actor: isolated (any Actor)?) async -> MeshStream? {
      await base.next(isolation: actor)
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: streams.makeAsyncIterator()) }
}
