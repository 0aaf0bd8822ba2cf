import MeshCrypto
import MeshPrimitives
import MeshSession

/// Two devices with a session between them, a clock that is moved by hand, and no network.
final class DevicePair {
  var left: Device
  var right: Device
  let leftPeer: PeerID
  let rightPeer: PeerID
  let leftAddress = SocketAddress(IPAddress(v4: 0xC000_0201), port: 51820)
  let rightAddress = SocketAddress(IPAddress(v4: 0xC000_0202), port: 51820)
  var now = Instant(nanoseconds: 0)
  /// CPU time of each side in the handshakes so far, in nanoseconds.
  var leftTime: Int64 = 0
  var rightTime: Int64 = 0
  private let datagram = memory(2048)

  init(_ provider: CipherProvider) {
    var entropy = SystemEntropy()
    left = Device(privateKey: try! PrivateKey(generating: &entropy), entropy: SystemEntropy(), provider: provider)
    right = Device(privateKey: try! PrivateKey(generating: &entropy), entropy: SystemEntropy(), provider: provider)
    leftPeer = try! left.addPeer(
      PeerConfiguration(publicKey: right.publicKey, endpoint: rightAddress), now: Instant(nanoseconds: 0))
    rightPeer = try! right.addPeer(PeerConfiguration(publicKey: left.publicKey), now: Instant(nanoseconds: 0))
    handshake()
  }

  private var wall: TAI64N {
    TAI64N(
      secondsSince1970: 1_700_000_000 + now.nanoseconds / 1_000_000_000,
      nanoseconds: UInt32(now.nanoseconds % 1_000_000_000))
  }

  /// Initiation, response, and the first packet, which confirms the keys.
  func handshake() {
    // Later than any spacing of handshakes.
    now = now.advanced(nanoseconds: 6_000_000_000)
    let start = cpuTime()
    left.startHandshake(with: leftPeer, now: now)
    let initiation = Self.take(&left, datagram, now, wall)
    let initiated = cpuTime()
    let response = Self.answer(&right, initiation, datagram, from: leftAddress, now, wall)
    let responded = cpuTime()
    let confirmation = Self.answer(&left, response, datagram, from: rightAddress, now, wall)
    let confirmed = cpuTime()
    var packet = MutableRawSpan(_unsafeBytes: confirmation)
    guard case .keepalive = right.handle(&packet, from: leftAddress, now: now) else {
      fatalError("the first packet must confirm the keys")
    }
    while right.nextEvent() != nil {}
    let end = cpuTime()
    leftTime += initiated - start + confirmed - responded
    rightTime += responded - initiated + end - confirmed
  }

  private static func take(
    _ device: inout Device, _ datagram: UnsafeMutableRawBufferPointer, _ now: Instant, _ wall: TAI64N
  ) -> UnsafeMutableRawBufferPointer {
    var output = OutputRawSpan(buffer: datagram, initializedCount: 0)
    guard device.nextTransmit(into: &output, now: now, wall: wall) != nil else {
      fatalError("a handshake message must be due")
    }
    return UnsafeMutableRawBufferPointer(rebasing: datagram[..<output.byteCount])
  }

  private static func answer(
    _ device: inout Device, _ message: UnsafeMutableRawBufferPointer, _ datagram: UnsafeMutableRawBufferPointer,
    from source: SocketAddress, _ now: Instant, _ wall: TAI64N
  ) -> UnsafeMutableRawBufferPointer {
    var bytes = MutableRawSpan(_unsafeBytes: message)
    _ = device.handle(&bytes, from: source, now: now)
    while device.serveHandshake(now: now) {}
    while device.nextEvent() != nil {}
    return take(&device, datagram, now, wall)
  }

  /// Sends `count` packets of `size` bytes of plaintext from left to right, with one of 32 bytes back for every eight, at
  /// a microsecond each. Every 64 packets, what a caller does between batches is done.
  func exchangeData(_ count: Int, size: Int) {
    for index in 0..<count {
      Self.send(datagram, size, from: &left, leftPeer, leftAddress, to: &right, now)
      if index & 7 == 7 { Self.send(datagram, 32, from: &right, rightPeer, rightAddress, to: &left, now) }
      now = now.advanced(nanoseconds: 1000)
      if index & 63 == 63 {
        Self.tend(&left, now)
        Self.tend(&right, now)
      }
    }
  }

  private static func send(
    _ datagram: UnsafeMutableRawBufferPointer, _ size: Int, from sender: inout Device, _ peer: PeerID,
    _ source: SocketAddress, to receiver: inout Device, _ now: Instant
  ) {
    var packet = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: datagram[..<(size + 32)]))
    do { try sender.seal(&packet, to: peer, now: now) } catch { fatalError("the session must hold") }
    guard case .data(_, let payload) = receiver.handle(&packet, from: source, now: now), payload.count == size else {
      fatalError("the packet must arrive")
    }
  }

  private static func tend(_ device: inout Device, _ now: Instant) {
    if let deadline = device.deadline, deadline <= now { device.handleTimeout(now: now) }
    while device.nextEvent() != nil {}
  }

  /// Gives `count` copies of `message` to the right device.
  func drop(_ count: Int, _ message: [UInt8]) {
    for _ in 0..<count {
      message.withUnsafeBytes { datagram.copyMemory(from: $0) }
      var bytes = MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: datagram[..<message.count]))
      guard case .dropped = right.handle(&bytes, from: leftAddress, now: now) else {
        fatalError("what is no message must be dropped")
      }
    }
  }
}
