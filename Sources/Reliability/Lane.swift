/// Which traffic of a connection goes first. A lane with something to send goes before those after it. Message and bulk get
/// one packet in sixteen all the same, and the background one in sixty-four, so that none starves.
public enum Lane: UInt8, Sendable, CaseIterable {
  /// Heartbeats, commands: what is small and must not wait. It may use the last of the peer's window, which is kept from
  /// the other lanes.
  case control = 0
  /// Ordinary messages and requests. Datagrams go here, too.
  case message = 1
  /// Large transfers: streams, unless they are opened otherwise.
  case bulk = 2
  /// Backups, prefetching: what takes only what others leave, on this connection and on the path. Besides the connection's
  /// own controller, LEDBAT++ limits what is in flight of it.
  case background = 3

  var index: Int { Int(rawValue) }
  /// The lane in a set of lanes.
  var bit: UInt8 { 1 << rawValue }

  /// The lane of a frame that this side has sent.
  init(of frame: SentFrame) { self = Lane(rawValue: UInt8(truncatingIfNeeded: frame.stream)) ?? .bulk }
}
