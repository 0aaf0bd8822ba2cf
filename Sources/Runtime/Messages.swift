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

/// The messages, or the datagrams, of all peers for one service, as they come. The service is open for as long as this
/// value, or an iterator of it, is held; the sequence ends when the mesh is closed.
///
/// At most 1 MiB and 1,024 messages wait here; more wait with their senders, whose windows stay shut (datagrams are dropped
/// then). Several tasks may take from it: each message goes to one of them.
public struct Messages: AsyncSequence, Sendable {
  private let subscription: Subscription

  init(box: MessageBox<MeshMessage>, onEnd: @escaping @Sendable () -> Void) {
    subscription = Subscription(box: box, onEnd: onEnd)
  }

  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let subscription: Subscription

    /// - Throws: `CancellationError`.
    public mutating func next() async throws -> MeshMessage? { try await subscription.box.pop() }

    /// - Throws: `CancellationError`.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> MeshMessage? {
      try await subscription.box.pop()
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: subscription) }
}

/// Lasts as long as somebody may take messages.
private final class Subscription: Sendable {
  let box: MessageBox<MeshMessage>
  private let onEnd: @Sendable () -> Void

  init(box: MessageBox<MeshMessage>, onEnd: @escaping @Sendable () -> Void) {
    self.box = box
    self.onEnd = onEnd
  }

  deinit { onEnd() }
}
