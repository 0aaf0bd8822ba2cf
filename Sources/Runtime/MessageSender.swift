internal import MeshNode
public import MeshPrimitives
public import MeshReliability
internal import Synchronization

/// A message that is to be sent on a channel.
struct OutgoingMessage: Sendable {
  let bytes: [UInt8]
  let isOrdered: Bool
}

/// Sends messages and datagrams to one service of a peer, for as long as the connection lasts.
///
/// At most 1 MiB and 1,024 messages wait here, besides what the connection holds.
public final class MessageSender: Sendable {
  public let peer: PublicKey
  public let service: String
  public let lane: Lane
  let box: MessageBox<OutgoingMessage>
  /// Apart from the messages: a datagram does not wait behind them.
  let datagrams: MessageBox<[UInt8]>
  /// Bytes of the longest message that the peer takes.
  public let longestMessage: Int
  /// Bytes of the longest datagram; it follows the path.
  let datagramLimit: Atomic<Int>

  init(
    peer: PublicKey, service: String, lane: Lane, box: MessageBox<OutgoingMessage>, datagrams: MessageBox<[UInt8]>,
    longestMessage: Int, longestDatagram: Int
  ) {
    self.peer = peer
    self.service = service
    self.lane = lane
    self.box = box
    self.datagrams = datagrams
    self.longestMessage = longestMessage
    datagramLimit = Atomic(longestDatagram)
  }

  /// Bytes of the longest datagram that the path carries, as far as is known now.
  public var longestDatagram: Int { datagramLimit.load(ordering: .relaxed) }

  /// Sends a whole message; it arrives once, whatever the path loses. Waits while there is no room. That it was delivered,
  /// ``Mesh/delivered(to:)`` tells.
  /// - Parameter ordered: whether it comes after the ordered ones that were sent before it on this service and lane.
  /// - Throws: ``MeshError``: `.tooLarge`, `.disconnected`, and `.refused`, once, when the peer has dropped what was sent
  ///   before: it has no such service, or not for us. `CancellationError`. Nothing was sent then.
  public func send(_ bytes: [UInt8], ordered: Bool = true) async throws {
    guard longestMessage > 0 else { throw MeshError.unsupported(peer, "messages") }
    guard bytes.count <= longestMessage else { throw MeshError.tooLarge(bytes: bytes.count, limit: longestMessage) }
    try await box.push(OutgoingMessage(bytes: bytes, isOrdered: ordered), bytes: bytes.count)
  }

  /// Sends a datagram: it arrives once or not at all, in whatever order, in one packet.
  /// - Throws: ``MeshError``: `.tooLarge` with what fits, `.disconnected`, `.refused` as ``send(_:ordered:)``;
  ///   `CancellationError`.
  public func sendDatagram(_ bytes: [UInt8]) async throws {
    let limit = longestDatagram
    guard limit > 0 else { throw MeshError.unsupported(peer, "datagrams") }
    guard bytes.count <= limit else { throw MeshError.tooLarge(bytes: bytes.count, limit: limit) }
    try await datagrams.push(bytes, bytes: bytes.count)
  }
}
