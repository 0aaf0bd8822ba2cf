internal import MeshPrimitives
internal import MeshRuntime

/// UDP sockets that one thread waits on together, with one set of buffers for all of them.
///
/// Each socket has a number, the lowest that is free. What is sent is gathered into runs and leaves when another socket
/// has its turn, when the buffers are full, or with the next ``wait(until:)``. A socket that takes no more loses what
/// it was to send: whoever uses UDP sends it again.
final class SocketGroup {
  private final class Member {
    var socket: UDPSocket
    init(_ socket: consuming UDPSocket) { self.socket = socket }
  }

  private var members: [Member?] = []
  private var poller: Poller
  private var received: ReceiveBatch
  private var outgoing: SendBatch
  /// The socket that what waits in `outgoing` goes to.
  private var turn = 0
  /// Datagrams that no socket took.
  private(set) var lost: UInt64 = 0

  init() throws(SocketError) {
    poller = try Poller()
    received = try ReceiveBatch()
    outgoing = try SendBatch()
  }

  /// Wakes the thread that waits.
  var doorbell: Doorbell { poller.doorbell }

  // MARK: - Others

  /// Something else that is waited on, such as a TCP connection: its events come by ``others(_:)``.
  /// - Parameter token: 2^32 or more; smaller ones are the numbers of sockets.
  func watch(_ descriptor: Int32, token: UInt64, _ interest: Poller.Interest = .readable) throws(SocketError) {
    precondition(token >= 1 << 32, "the lower tokens are those of UDP sockets")
    try poller.add(descriptor, token: token, interest: interest)
  }

  func rewatch(_ descriptor: Int32, token: UInt64, _ interest: Poller.Interest) {
    try? poller.update(descriptor, token: token, interest: interest)
  }

  func unwatch(_ descriptor: Int32) { try? poller.remove(descriptor) }

  /// The events of the last wait that are not about UDP sockets.
  func others(_ body: (Poller.Event) -> Void) {
    for index in 0..<poller.count where poller.event(at: index).token >= 1 << 32 { body(poller.event(at: index)) }
  }

  // MARK: - Sockets

  /// Opens a socket and returns its number.
  func open(port: UInt16 = 0, address: IPAddress? = nil) throws(SocketError) -> Int {
    let number = members.firstIndex { $0 == nil } ?? members.count
    let member = Member(try UDPSocket(port: port, address: address))
    try poller.add(member.socket.descriptor, token: UInt64(number))
    if number == members.count { members.append(member) } else { members[number] = member }
    return number
  }

  func close(_ number: Int) {
    guard let member = members[number] else { return }
    if turn == number { flush() }
    try? poller.remove(member.socket.descriptor)
    members[number] = nil
  }

  /// What the socket is bound to.
  func local(_ number: Int) -> SocketAddress { members[number]!.socket.local }

  /// Sends one datagram from the socket. Nothing happens when it was closed.
  ///
  /// - Parameter source: the local address to send from, where the socket has several.
  func send(_ bytes: RawSpan, from number: Int, to destination: SocketAddress, source: IPAddress? = nil) {
    if number != turn { flush() }
    turn = number
    let transmit = Transmit(to: destination, from: source)
    if !outgoing.append(bytes, transmit) {
      flush()
      _ = outgoing.append(bytes, transmit)
    }
  }

  /// Sends what was gathered.
  func flush() {
    guard !outgoing.isEmpty else { return }
    if turn < members.count, let member = members[turn], member.socket.flush(&outgoing) == .done { return }
    lost += 1
    outgoing.removeAll()
  }

  /// Sends what was gathered, and waits for datagrams, the deadline or the doorbell.
  func wait(until deadline: Instant?) {
    flush()
    poller.wait(until: deadline)
  }

  /// Hands each datagram that the sockets have got to `body`, to be worked on in place.
  func receive(_ body: (_ number: Int, _ message: ReceivedMessage, _ datagram: inout MutableRawSpan) -> Void) {
    for index in 0..<poller.count where poller.event(at: index).token < 1 << 32 {
      let number = Int(poller.event(at: index).token)
      // Up to four batches: then the others have their turn.
      for _ in 0..<4 {
        guard number < members.count, let member = members[number], member.socket.receive(into: &received) > 0 else {
          break
        }
        received.forEachDatagram { message, datagram in body(number, message, &datagram) }
      }
    }
  }
}
