import MeshPrimitives

/// One of the addresses of a host, and the interface that it belongs to.
struct HostWay {
  /// Where the host is inside its realm, and whether others reach it there.
  var address: SocketAddress
  /// The interface is down: nothing leaves by it or comes in, and datagrams leave by another one if the host has it.
  var isCut = false
  /// When that last changed, in true time.
  var since: Instant
}
