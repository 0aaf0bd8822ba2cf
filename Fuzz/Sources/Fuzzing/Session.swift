import MeshCrypto
import MeshPrimitives
import MeshSession
import MeshSimulation

/// What a session input consists of: one byte each, and their arguments.
enum SessionStep: UInt8, CaseIterable {
  /// The next bytes, as many as a word says, arrive at the device that a byte names; or, behind all messages held back, as a
  /// run whose segment size a word says.
  case raw
  /// The left device wants a handshake.
  case start
  /// A device sends one packet of data.
  case send
  /// All messages that are due go to the other side, unchanged.
  case settle
  /// The next message that is due is held back.
  case hold
  /// A message held back arrives, changed: which, how, where, by what.
  case mutate
  /// Time passes, in units of 0.1 s.
  case wait
  /// A message held back arrives 40 times at once: enough to be under load.
  case flood
}

extension Fuzzing {
  /// Two devices on a network that the input makes: messages arrive as they were, late, again, or changed, between bytes
  /// that are no messages at all.
  public static func session(_ input: [UInt8]) {
    var choices = Choices(input)
    let network = SessionNetwork()
    var steps = 0
    while !choices.isAtEnd, steps < 64 {
      steps += 1
      network.step(&choices)
    }
  }
}

/// Two devices with fixed keys, and the messages that are under way between them.
final class SessionNetwork {
  private static let provider = CipherProvider(preferring: .libsodium)
  static let leftAddress = SocketAddress(IPAddress(v4: 0xC000_0201), port: 51820)
  static let rightAddress = SocketAddress(IPAddress(v4: 0xC000_0202), port: 51820)
  static let heldLimit = 16

  struct Message {
    var bytes: [UInt8]
    let isForRight: Bool
  }

  var left: Device
  var right: Device
  let leftPeer: PeerID
  let rightPeer: PeerID
  var now = Instant(nanoseconds: 0)
  var held: [Message] = []
  /// The content of every packet that was sent. Nothing else may ever be received.
  private var sent: Set<[UInt8]> = []
  private var packets: UInt32 = 0

  init() {
    var configuration = Device.Configuration()
    configuration.acceptance = .any
    configuration.maximumStrangers = 2
    left = Self.device(1, Device.Configuration())
    right = Self.device(2, configuration)
    leftPeer = try! left.addPeer(
      PeerConfiguration(publicKey: right.publicKey, endpoint: Self.rightAddress, persistentKeepalive: .seconds(25)),
      now: now)
    rightPeer = try! right.addPeer(PeerConfiguration(publicKey: left.publicKey), now: now)
  }

  private static func device(_ seed: UInt64, _ configuration: Device.Configuration) -> Device {
    var entropy = SeededEntropy(seed: seed)
    return Device(
      privateKey: try! PrivateKey(generating: &entropy), configuration: configuration, entropy: entropy,
      provider: provider)
  }

  private var wall: TAI64N {
    TAI64N(
      secondsSince1970: 1_700_000_000 + now.nanoseconds / 1_000_000_000,
      nanoseconds: UInt32(now.nanoseconds % 1_000_000_000))
  }

  func step(_ choices: inout Choices) {
    switch SessionStep.allCases[Int(choices.byte()) % SessionStep.allCases.count] {
    case .raw:
      let kind = choices.byte()
      let bytes = choices.take(choices.word() % 2048)
      if kind & 6 == 6 {
        arrive(bytes, segmentSize: choices.word(), isForRight: kind & 1 == 0)
      } else {
        arrive(bytes, isForRight: kind & 1 == 0, isGenuine: false)
      }
    case .start: left.startHandshake(with: leftPeer, now: now)
    case .send: send(fromLeft: choices.byte() & 1 == 0, size: choices.word() % 1400)
    case .settle: settle()
    case .hold:
      if let message = next(), held.count < Self.heldLimit { held.append(message) }
    case .mutate: mutate(&choices)
    case .wait:
      now = now.advanced(nanoseconds: Int64(choices.word()) * 100_000_000)
      if let deadline = left.deadline, deadline <= now { left.handleTimeout(now: now) }
      if let deadline = right.deadline, deadline <= now { right.handleTimeout(now: now) }
      drain()
    case .flood:
      guard !held.isEmpty else { return }
      let message = held[Int(choices.byte()) % held.count]
      for _ in 0..<40 { arrive(message.bytes, isForRight: message.isForRight, isGenuine: true, serve: false) }
      serve()
    }
  }

  private func send(fromLeft: Bool, size: Int) {
    packets += 1
    var content = [UInt8](repeating: 0x60, count: max(size, 8))
    for index in 0..<4 { content[index + 1] = UInt8(truncatingIfNeeded: packets >> (8 * index)) }
    sent.insert(content)
    if fromLeft {
      left.send(content.bytes, to: leftPeer, now: now)
    } else {
      right.send(content.bytes, to: rightPeer, now: now)
    }
  }

  private func settle() {
    var rounds = 0
    while let message = next(), rounds < 600 {
      arrive(message.bytes, isForRight: message.isForRight, isGenuine: true)
      rounds += 1
    }
  }

  /// The next message that a device sends.
  func next() -> Message? {
    if let bytes = Self.take(&left, now, wall) { return Message(bytes: bytes, isForRight: true) }
    return Self.take(&right, now, wall).map { Message(bytes: $0, isForRight: false) }
  }

  private static func take(_ device: inout Device, _ now: Instant, _ wall: TAI64N) -> [UInt8]? {
    var isSent = false
    let bytes = [UInt8](capacity: 2048) { isSent = device.nextTransmit(into: &$0, now: now, wall: wall) != nil }
    return isSent ? bytes : nil
  }

  private func mutate(_ choices: inout Choices) {
    guard !held.isEmpty else { return }
    let message = held[Int(choices.byte()) % held.count]
    var bytes = message.bytes
    let kind = choices.byte() % 6
    let position = choices.word() % max(bytes.count, 1)
    let value = choices.byte()
    switch kind {
    case 0: break
    case 1: bytes[position] ^= value
    case 2: bytes.removeLast(min(Int(value), bytes.count))
    case 3: bytes += Array(repeating: value, count: 16)
    case 4: bytes.swapAt(position, (position + Int(value)) % bytes.count)
    default: bytes.removeFirst(min(Int(value), bytes.count))
    }
    // To whom it was not sent, too.
    let isForRight = value & 0x80 == 0 ? message.isForRight : !message.isForRight
    arrive(bytes, isForRight: isForRight, isGenuine: bytes == message.bytes && isForRight == message.isForRight)
  }

  private func arrive(_ datagram: [UInt8], isForRight: Bool, isGenuine: Bool, serve serves: Bool = true) {
    var bytes = datagram
    let before = isForRight ? right.drops.total : left.drops.total
    var span = bytes.mutableBytes
    let received =
      isForRight
      ? right.handle(&span, from: Self.leftAddress, now: now) : left.handle(&span, from: Self.rightAddress, now: now)
    switch received {
    case .data(let peer, let payload):
      require(isGenuine, "bytes that nobody sealed were taken for a packet")
      require(payload.lowerBound >= 0 && payload.upperBound <= bytes.count, "a payload must lie in its datagram")
      require(sent.contains(Array(bytes[payload])), "a packet must hold what was sent")
      require(peer == (isForRight ? rightPeer : leftPeer), "a packet must be its sender's")
    case .keepalive: require(isGenuine, "bytes that nobody sealed were taken for a keepalive")
    case .queued: break
    case .dropped:
      let after = isForRight ? right.drops.total : left.drops.total
      require(after == before + 1, "what is dropped must be counted once")
    }
    if serves { serve() }
  }

  /// What one system call gives: all of it is worked off, and nothing but what was sent comes out.
  private func arrive(_ bytes: [UInt8], segmentSize: Int, isForRight: Bool) {
    var run = held.flatMap { $0.isForRight == isForRight ? $0.bytes : [] } + bytes
    var start = 0
    let size = run.count
    while start < size {
      var span = run.mutableBytes
      var rest = span._mutatingExtracting(start..<size)
      let source = isForRight ? Self.leftAddress : Self.rightAddress
      let opened =
        isForRight
        ? right.open(&rest, segmentSize: segmentSize, from: source, now: now)
        : left.open(&rest, segmentSize: segmentSize, from: source, now: now)
      guard let opened else { break }
      require(opened.bytes > 0 && opened.bytes <= size - start, "a run must be worked off")
      for payload in isForRight ? right.opened : left.opened {
        let content = Array(run[start + payload.lowerBound..<start + payload.upperBound])
        require(sent.contains(content), "a packet must hold what was sent")
      }
      start += opened.bytes
    }
    serve()
  }

  private func serve() {
    var served = 0
    while left.serveHandshake(now: now) { served += 1 }
    while right.serveHandshake(now: now) { served += 1 }
    require(served <= 512, "the queue of handshakes must be bounded")
    drain()
  }

  private func drain() {
    while let event = left.nextEvent() {
      if case .strangerAdded = event { fatalError("a device that takes listed peers only must add none") }
    }
    while right.nextEvent() != nil {}
  }
}
