public import MeshNode
public import MeshPrimitives
public import MeshReliability

extension Mesh {
  /// Sends a whole message to a service of a peer, connecting first if need be: it arrives once, whatever the path loses.
  /// Returns when it is queued; waits while too much is. ``delivered(to:)`` tells when the peer has it.
  ///
  /// ```swift
  /// try await mesh.send(Array("hello".utf8), to: key, service: "chat")
  /// ```
  /// - Parameters:
  ///   - lane: what goes first; see `Lane`.
  ///   - ordered: whether it comes after the ordered ones that were sent before it to this service on this lane.
  /// - Throws: ``MeshError``: `.tooLarge`; `.refused`, once, when the peer has dropped what was sent before; and what
  ///   ``open(_:at:timeout:)`` throws; `CancellationError`.
  public func send(
    _ bytes: [UInt8], to key: PublicKey, service: String, lane: Lane = .message, ordered: Bool = true
  ) async throws {
    try await sender(service, to: key, lane: lane).send(bytes, ordered: ordered)
  }

  /// Sends a datagram, connecting first if need be: it arrives once or not at all, in whatever order.
  /// - Throws: ``MeshError``: `.tooLarge` with what fits into one packet, and what ``open(_:at:timeout:)`` throws.
  public func sendDatagram(_ bytes: [UInt8], to key: PublicKey, service: String) async throws {
    try await sender(service, to: key).sendDatagram(bytes)
  }

  /// The messages that peers send to `service`, as they come. A service that nobody asks for is refused: what comes for it
  /// is dropped, counted, and the sender told. Asking again ends the sequence that was asked for before.
  /// - Parameter access: who may send; listed peers unless said otherwise. It holds for all of the service.
  public func messages(_ service: String, from access: ServiceAccess = .peers) -> Messages {
    inbox(service, access, datagrams: false)
  }

  /// The datagrams that peers send to `service`; as ``messages(_:from:)``.
  public func datagrams(_ service: String, from access: ServiceAccess = .peers) -> Messages {
    inbox(service, access, datagrams: true)
  }

  private func inbox(_ service: String, _ access: ServiceAccess, datagrams: Bool) -> Messages {
    let box = MessageBox<MeshMessage>(ready: readyList)
    let key = InboxKey(service: service, isForDatagrams: datagrams)
    let isOpen = mailbox.post { core in core.receive(key, access: access, box: box) }
    if !isOpen { box.end() }
    return Messages(box: box) { [mailbox] in
      mailbox.post { core in core.stopReceiving(key, box: box) }
    }
  }

  /// Waits until the peer has every message that was sent to it: before this call, and by others until then.
  /// - Throws: ``MeshError`` when there is no connection or it ends before, and `.refused` when the peer dropped some of them
  ///   because it has no such service, or not for us; `CancellationError`.
  public func delivered(to key: PublicKey) async throws {
    let gate = Gate<Void>()
    guard post({ core in core.awaitDelivery(to: key, gate: gate) }) else { throw MeshError.closed }
    try await gate.value()
  }
}
