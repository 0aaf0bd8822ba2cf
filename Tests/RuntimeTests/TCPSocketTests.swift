import MeshPrimitives
import MeshRuntime
import Testing

@Suite("TCP sockets") struct TCPSocketTests {
  /// Waits until `descriptor` is ready, as the poller sees it.
  static func wait(_ poller: inout Poller, _ descriptor: Int32, _ interest: Poller.Interest) throws {
    try poller.add(descriptor, token: 1, interest: interest)
    poller.wait(until: MonotonicClock.now + .seconds(10))
    #expect(poller.count == 1)
    try poller.remove(descriptor)
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func `bytes go both ways, and the end is seen`(host: String) throws {
    var poller = try Poller()
    let listener = try TCPListener(port: 0)
    let target = SocketAddress(IPAddress(host)!, port: listener.local.port)
    func talk() throws {
      let client = try TCPSocket(connectingTo: target)
      try Self.wait(&poller, client.descriptor, .writable)
      #expect(client.connectError() == nil)
      try Self.wait(&poller, listener.descriptor, .readable)
      guard let server = listener.accept() else {
        Issue.record("nobody connected")
        return
      }
      #expect(server.peer.address == target.address)
      var received: [UInt8] = []
      #expect(server.read(into: &received) == .blocked)
      #expect(client.write([1, 2, 3].bytes) == .bytes(3))
      try Self.wait(&poller, server.descriptor, .readable)
      #expect(server.read(into: &received) == .bytes(3))
      #expect(server.write([4].bytes) == .bytes(1))
      try Self.wait(&poller, client.descriptor, .readable)
      #expect(client.read(into: &received) == .bytes(1))
      #expect(received == [1, 2, 3, 4])
      try end(server)
      try Self.wait(&poller, client.descriptor, .readable)
      #expect(client.read(into: &received) == .ended)
    }
    func end(_ socket: consuming TCPSocket) throws { _ = consume socket }
    try talk()
  }

  @Test func `a port that nobody listens on is told, and one in use`() throws {
    func freePort() throws -> UInt16 { try TCPListener(port: 0, address: IPAddress("127.0.0.1")!).local.port }
    let port = try freePort()
    var poller = try Poller()
    do {
      let client = try TCPSocket(connectingTo: SocketAddress(IPAddress("127.0.0.1")!, port: port))
      try Self.wait(&poller, client.descriptor, .writable)
      #expect(client.connectError() != nil)
    } catch {
      // Refused at once: as good.
    }
    let listener = try TCPListener(port: port, address: IPAddress("127.0.0.1")!)
    #expect(throws: SocketError.portInUse(port)) {
      _ = try TCPListener(port: port, address: IPAddress("127.0.0.1")!).local
    }
    #expect(listener.local.port == port)
  }
}
