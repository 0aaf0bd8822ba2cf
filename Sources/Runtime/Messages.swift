public import MeshPrimitives

/// A message, or a datagram, as it came.
public struct MeshMessage: Sendable, Equatable {
  /// The key of the node that sent it.
  public let peer: PublicKey
  public let bytes: [UInt8]

  public init(peer: PublicKey, bytes: [UInt8]) {
    self.peer = peer
    self.bytes = bytes
  }
}

/// The messages, or the datagrams, of all peers for one service, as they come. The sequence ends when the mesh is closed.
///
/// At most 1 MiB and 1,024 messages wait here; more wait with their senders, whose windows stay shut (datagrams are dropped
/// then). Several tasks may take from it: each message goes to one of them.
public struct Messages: AsyncSequence, Sendable {
  let box: MessageBox<MeshMessage>

  public struct AsyncIterator: AsyncIteratorProtocol {
    let box: MessageBox<MeshMessage>

    /// - Throws: `CancellationError`.
    public mutating func next() async throws -> MeshMessage? { try await box.pop() }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(box: box) }
}
