import MeshCrypto
import MeshPrimitives
import MeshSession
import MeshSimulation

/// A device at an address, with what it received and what happened to it.
final class Host {
  var device: Device
  var address: SocketAddress
  var received: [(peer: PeerID, payload: [UInt8])] = []
  var keepalives = 0
  var events: [Device.Event] = []
  var sent: [Transmit.Kind] = []

  init(_ device: consuming Device, at address: SocketAddress) {
    self.device = device
    self.address = address
  }

  /// The handle of the only peer, or of the first.
  var peer: PeerID!

  // The test macros take no call on a noncopyable value: these ask for them.
  var endpoint: SocketAddress? { device.endpoint(of: peer) }
  var statistics: PeerStatistics? { device.statistics(of: peer) }
  func canSend(at now: Instant) -> Bool { device.canSend(to: peer, now: now) }
  func find(_ key: PublicKey) -> PeerID? { device.peer(for: key) }
  func key(of id: PeerID) -> PublicKey? { device.publicKey(of: id) }
  func isStranger(_ id: PeerID) -> Bool { device.isStranger(id) }

  func established() -> Int {
    events.count { if case .established = $0 { true } else { false } }
  }
}

/// Hosts on a network without delay, under a clock that is moved by hand.
final class Lab {
  /// What the network does with a datagram: the copies that arrive, each after a delay.
  typealias Network = (_ datagram: [UInt8], _ kind: Transmit.Kind) -> [Duration]

  var now = Instant(nanoseconds: 0)
  /// The time of day at `now` = 0, in seconds.
  var epoch: Int64 = 1_700_000_000
  var hosts: [Host] = []
  var network: Network = { _, _ in [.zero] }
  /// Every datagram that was sent.
  var wire: [(datagram: [UInt8], from: SocketAddress, to: SocketAddress, kind: Transmit.Kind)] = []
  private var flying: [(at: Instant, order: Int, datagram: [UInt8], from: SocketAddress, to: SocketAddress)] = []
  private var order = 0

  var wall: TAI64N {
    TAI64N(
      secondsSince1970: epoch + now.nanoseconds / 1_000_000_000, nanoseconds: UInt32(now.nanoseconds % 1_000_000_000))
  }

  static func key(_ seed: UInt64) -> PrivateKey {
    var entropy = SeededEntropy(seed: seed)
    return try! PrivateKey(generating: &entropy)
  }

  func addHost(
    _ seed: UInt64, configuration: Device.Configuration = Device.Configuration()
  ) -> Host {
    let device = Device(
      privateKey: Self.key(seed), configuration: configuration, entropy: SeededEntropy(seed: seed &* 7919),
      provider: CipherProvider(preferring: .libsodium))
    let host = Host(device, at: SocketAddress(IPAddress(v4: 0xC000_0200 + UInt32(seed)), port: 51820))
    hosts.append(host)
    return host
  }

  /// Two hosts that list each other; only the first knows the other's address.
  static func pair(presharedKey: [UInt8]? = nil) throws -> (Lab, Host, Host) {
    let lab = Lab()
    let left = lab.addHost(1)
    let right = lab.addHost(2)
    func key() throws -> PresharedKey { try presharedKey.map { try PresharedKey(copying: $0.bytes) } ?? PresharedKey() }
    left.peer = try left.device.addPeer(
      PeerConfiguration(publicKey: right.device.publicKey, presharedKey: key(), endpoint: right.address), now: lab.now)
    right.peer = try right.device.addPeer(
      PeerConfiguration(publicKey: left.device.publicKey, presharedKey: key()), now: lab.now)
    return (lab, left, right)
  }

  /// Collects what all hosts want to send, and delivers what is due, until nothing more happens at this instant.
  func settle() {
    var busy = true
    while busy {
      busy = false
      for host in hosts {
        while true {
          var transmit: Transmit?
          let datagram = Array(capacity: 2048) {
            transmit = host.device.nextTransmit(into: &$0, now: now, wall: wall)
          }
          guard let transmit else { break }
          busy = true
          host.sent.append(transmit.kind)
          guard let destination = transmit.destination else { continue }
          transfer(datagram, from: host.address, to: destination, kind: transmit.kind)
        }
      }
      while let next = flying.indices.min(by: { (flying[$0].at, flying[$0].order) < (flying[$1].at, flying[$1].order) }
      ),
        flying[next].at <= now
      {
        busy = true
        let arrived = flying.remove(at: next)
        guard let host = hosts.first(where: { $0.address == arrived.to }) else { continue }
        inject(arrived.datagram, into: host, from: arrived.from)
      }
      for host in hosts {
        while host.device.serveHandshake(now: now) { busy = true }
        while let event = host.device.nextEvent() { host.events.append(event) }
      }
    }
  }

  func transfer(_ datagram: [UInt8], from: SocketAddress, to: SocketAddress, kind: Transmit.Kind) {
    wire.append((datagram, from, to, kind))
    for delay in network(datagram, kind) {
      order += 1
      flying.append((now + delay, order, datagram, from, to))
    }
  }

  @discardableResult
  func inject(_ datagram: [UInt8], into host: Host, from source: SocketAddress) -> Device.Received {
    var datagram = datagram
    var bytes = datagram.mutableBytes
    let result = host.device.handle(&bytes, from: source, now: now)
    switch result {
    case .data(let peer, let payload): host.received.append((peer, Array(datagram[payload])))
    case .keepalive: host.keepalives += 1
    case .queued, .dropped: break
    }
    return result
  }

  /// Moves the clock to `instant`, stopping at each deadline and arrival.
  func run(until instant: Instant) {
    settle()
    while true {
      var next = flying.map(\.at).min()
      for host in hosts { next = earliest(next, host.device.deadline) }
      guard let next, next <= instant else { break }
      now = max(now, next)
      for host in hosts where host.device.deadline.map({ $0 <= now }) ?? false { host.device.handleTimeout(now: now) }
      settle()
    }
    now = instant
  }

  func run(for duration: Duration) { run(until: now + duration) }

  func send(_ bytes: [UInt8], from host: Host) {
    host.device.send(bytes.bytes, to: host.peer, now: now)
    settle()
  }
}
