internal import Glibc
internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN
public import MeshTURN

/// Asks servers what the network does to UDP. Each call waits in the kernel: for a thread of its own.
public enum NetCheck {
  /// What one STUN server showed.
  public struct STUNResult: Sendable {
    public var server: SocketAddress
    /// Our own address towards it.
    public var local: SocketAddress?
    public var report: BehaviorReport
    public var lifetime: BindingLifetimeDiscovery.Report?
  }

  /// What a TURN server showed: two allocations, and data through both.
  public struct TURNResult: Sendable {
    public var server: SocketAddress
    public var relayed: [SocketAddress] = []
    public var mapped: SocketAddress?
    /// From one allocation to the other and back.
    public var roundTrip: Duration?
    public var failure: TURNClient.Failure?
  }

  /// - Throws: when there are no sockets or no memory.
  public static func stun(
    _ server: SocketAddress, lifetime: Bool, stop: StopFlag = StopFlag()
  ) throws(SocketError) -> STUNResult {
    let loop = try ClientLoop(sockets: 1, stop)
    let local = sourceAddress(towards: server).map { SocketAddress($0, port: loop.port(0)) }
    var discovery = BehaviorDiscovery(
      to: server, local: local, entropy: SystemEntropy(), now: MonotonicClock.now)
    var report: BehaviorReport?
    loop.run { loop in
      while let destination = loop.send(on: 0, { discovery.nextTransmit(into: &$0, now: loop.now) }) { _ = destination }
      report = discovery.nextReport()
      return report == nil ? discovery.deadline ?? loop.now : nil
    } receive: { bytes, source, _, now in
      discovery.handle(bytes, from: source, now: now)
    } timeout: {
      discovery.handleTimeout(now: $0)
    }
    var result = STUNResult(server: server, local: local, report: report ?? BehaviorReport())
    if lifetime, result.report.isTranslated == true {
      result.lifetime = try bindingLifetime(server, stop)
    }
    return result
  }

  private static func bindingLifetime(
    _ server: SocketAddress, _ stop: StopFlag
  ) throws(SocketError) -> BindingLifetimeDiscovery.Report? {
    var discovery = BindingLifetimeDiscovery(
      to: server, waits: BindingLifetimeDiscovery.usualWaits, entropy: SystemEntropy(), now: MonotonicClock.now)
    let loop = try ClientLoop(sockets: discovery.socketCount, stop)
    var report: BindingLifetimeDiscovery.Report?
    loop.run { loop in
      while true {
        var transmit: BindingLifetimeDiscovery.Transmit?
        let bytes = [UInt8](capacity: 256) { transmit = discovery.nextTransmit(into: &$0, now: loop.now) }
        guard let transmit else { break }
        loop.send(bytes, on: transmit.socket, to: transmit.destination)
      }
      report = discovery.nextReport()
      return report == nil ? discovery.deadline ?? loop.now : nil
    } receive: { bytes, source, socket, now in
      discovery.handle(bytes, from: source, on: socket, now: now)
    } timeout: {
      discovery.handleTimeout(now: $0)
    }
    return report
  }

  /// Makes two allocations, lets each send to the other's relayed address, and measures the way there and back.
  public static func turn(
    _ server: SocketAddress, username: String, password: String, stop: StopFlag = StopFlag()
  ) throws(SocketError) -> TURNResult {
    let loop = try ClientLoop(sockets: 2, stop)
    var configuration = TURNClient.Configuration(server: server, username: username, password: password)
    configuration.timing = RetransmissionTiming(initialTimeout: .milliseconds(500), requests: 5, lastTimeoutFactor: 4)
    var clients = (0..<2).map { _ in
      TURNClient(configuration, entropy: SystemEntropy(), now: MonotonicClock.now)
    }
    var result = TURNResult(server: server)
    var permitted = 0
    var started: Instant?
    var nextProbe: Instant?
    let giveUp = MonotonicClock.now + .seconds(30)
    loop.run { loop in
      for index in 0..<2 {
        while let event = clients[index].nextEvent() {
          switch event {
          case .allocated(let relayed):
            if index == 0 { (result.relayed, result.mapped) = (relayed.addresses, relayed.mappedAddress) }
            if let first = clients[0].relayed?.addresses[0], let second = clients[1].relayed?.addresses[0] {
              clients[0].permit(second.address, now: loop.now)
              clients[1].permit(first.address, now: loop.now)
            }
          case .permitted: permitted += 1
          case .failed(let failure): result.failure = failure
          case .refusedPeer(_, let code): result.failure = .rejected(code)
          default: break
          }
        }
        while let destination = loop.send(on: index, { clients[index].nextTransmit(into: &$0, now: loop.now) }) {
          _ = destination
        }
      }
      if result.failure != nil || result.roundTrip != nil || giveUp <= loop.now {
        if result.failure == nil, result.roundTrip == nil { result.failure = .timedOut }
        return nil
      }
      if permitted >= 2, nextProbe.map({ $0 <= loop.now }) ?? true, let peer = clients[1].relayed?.addresses[0] {
        started = loop.now
        nextProbe = loop.now + .milliseconds(500)
        loop.wrap(&clients[0], [0x70, 0x6E, 0x65, 0x74], for: peer, on: 0)
      }
      return earliest(earliest(clients[0].deadline, clients[1].deadline), earliest(nextProbe, giveUp)) ?? giveUp
    } receive: { bytes, source, socket, now in
      guard case .data(let range, let peer) = clients[socket].handle(bytes, from: source, now: now) else { return }
      if socket == 1 {
        loop.wrap(&clients[1], Array(copying: bytes.extracting(range)), for: peer, on: 1)
      } else if let started {
        result.roundTrip = now - started
      }
    } timeout: { now in
      for index in 0..<2 where clients[index].deadline.map({ $0 <= now }) ?? false {
        clients[index].handleTimeout(now: now)
      }
    }
    // Given back, at one try: what is lost runs out.
    for index in 0..<2 {
      clients[index].free(now: MonotonicClock.now)
      _ = loop.send(on: index) { clients[index].nextTransmit(into: &$0, now: MonotonicClock.now) }
    }
    loop.flush()
    return result
  }

  /// The address that this machine sends to `server` from: the kernel's choice, without sending anything.
  static func sourceAddress(towards server: SocketAddress) -> IPAddress? {
    let isV4 = server.address.family == .v4
    let descriptor = socket(isV4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    if isV4 {
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = server.port.bigEndian
      name.sin_addr.s_addr = UInt32(truncatingIfNeeded: server.address.low).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let result = unsafe withUnsafeMutablePointer(to: &name) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
          unsafe connect(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
        }
      }
      return result == 0 ? IPAddress(v4: UInt32(bigEndian: name.sin_addr.s_addr)) : nil
    }
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = server.port.bigEndian
    name.sin6_scope_id = server.scope
    var halves = (server.address.high.bigEndian, server.address.low.bigEndian)
    unsafe withUnsafeMutableBytes(of: &name.sin6_addr) { target in
      unsafe withUnsafeBytes(of: &halves) { unsafe target.copyMemory(from: $0) }
    }
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let result = unsafe withUnsafeMutablePointer(to: &name) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe connect(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
      }
    }
    guard result == 0 else { return nil }
    unsafe withUnsafeMutableBytes(of: &halves) { target in
      unsafe withUnsafeBytes(of: &name.sin6_addr) { unsafe target.copyMemory(from: $0) }
    }
    return IPAddress(v6High: UInt64(bigEndian: halves.0), low: UInt64(bigEndian: halves.1))
  }
}
