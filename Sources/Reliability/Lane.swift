/// Which traffic of a connection goes first. A lane with something to send goes before those after it; these get one packet
/// in sixteen all the same, so that none starves.
public enum Lane: UInt8, Sendable, CaseIterable {
  /// Heartbeats, commands: what is small and must not wait. It may use the last of the peer's window, which is kept from
  /// the other lanes.
  case control = 0
  /// Ordinary messages and requests. Datagrams go here, too.
  case message = 1
  /// Large transfers: streams, unless they are opened otherwise.
  case bulk = 2

  var index: Int { Int(rawValue) }

  /// The lane of a frame that this side has sent.
  init(of frame: SentFrame) { self = Lane(rawValue: UInt8(truncatingIfNeeded: frame.stream)) ?? .bulk }
}
