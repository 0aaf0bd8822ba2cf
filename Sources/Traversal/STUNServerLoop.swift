internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN

/// A STUN server on UDP sockets: ``BindingServer`` and the loop around it.
///
/// ```swift
/// import MeshRuntime
/// import MeshTraversal
///
/// func serve() throws {
///   let loop = try STUNServerLoop(port: 3478)
///   let thread = try EngineThread(name: "stun-server") { loop.run() }
///   thread.join()
/// }
/// ```
public final class STUNServerLoop {
  private let sockets: [LoopSocket]
  private var server: BindingServer
  private var poller: Poller
  private var received: ReceiveBatch
  private let flag: StopFlag

  /// One socket on a port of all addresses, or of `address`.
  public convenience init(
    port: UInt16, address: IPAddress? = nil, _ configuration: BindingServer.Configuration = .init(),
    stop: StopFlag = StopFlag()
  ) throws(SocketError) {
    try self.init([try LoopSocket(address, port: port)], configuration, stop)
  }

  /// Four sockets, for RFC 5780: two addresses with two ports each.
  /// - Precondition: the addresses differ and are of one family; so do the ports.
  public convenience init(
    addresses: (IPAddress, IPAddress), ports: (UInt16, UInt16), _ configuration: BindingServer.Configuration = .init(),
    stop: StopFlag = StopFlag()
  ) throws(SocketError) {
    var configuration = configuration
    configuration.addresses = [
      SocketAddress(addresses.0, port: ports.0), SocketAddress(addresses.0, port: ports.1),
      SocketAddress(addresses.1, port: ports.0), SocketAddress(addresses.1, port: ports.1),
    ]
    var sockets: [LoopSocket] = []
    for address in configuration.addresses { sockets.append(try LoopSocket(address.address, port: address.port)) }
    try self.init(sockets, configuration, stop)
  }

  private init(
    _ sockets: [LoopSocket], _ configuration: BindingServer.Configuration, _ stop: StopFlag
  ) throws(SocketError) {
    self.sockets = sockets
    var entropy = SystemEntropy()
    server = BindingServer(configuration, entropy: &entropy)
    poller = try Poller()
    received = try ReceiveBatch()
    flag = stop
    for (index, socket) in sockets.enumerated() { try poller.add(socket.socket.descriptor, token: UInt64(index)) }
  }

  /// Where it listens.
  public var localAddresses: [SocketAddress] { sockets.map { $0.socket.local } }

  /// Requests answered, and what was dropped.
  public var answered: UInt64 { server.answered }
  public var drops: ReasonCounters<BindingServer.Drop> { server.drops }

  /// Serves until the flag is set. Waits in the kernel: for a thread of its own.
  public func run() {
    flag.attach(poller.doorbell)
    while !flag.isSet {
      poller.wait(until: nil)
      for event in 0..<poller.count {
        let index = Int(poller.event(at: event).token)
        var rounds = 0
        while rounds < 4, sockets[index].socket.receive(into: &received) > 0 {
          answer(on: index)
          rounds += 1
        }
      }
      for socket in sockets { socket.flush() }
    }
  }

  private func answer(on index: Int) {
    let now = MonotonicClock.now
    received.forEachDatagram { message, datagram in
      let answer = [UInt8](capacity: BindingServer.maximumSize) { output in
        reply = server.respond(to: datagram.bytes, from: message.source, on: index, now: now, into: &output)
      }
      guard let reply else { return }
      // From the address that was asked, unless another one was asked for.
      let source = reply.socket == index ? message.local : nil
      sockets[reply.socket].send(answer.bytes, Transmit(to: reply.destination, from: source))
    }
  }

  private var reply: BindingServer.Reply?
}

// Made on one thread and run on another: never used by two at a time but for the flag.
extension STUNServerLoop: @unchecked Sendable {}
