internal import MeshCrypto
internal import MeshPrimitives
internal import MeshRuntime
internal import MeshTURN

extension NetCheckRun {
  /// Proves a relay: makes two allocations, lets one send to the other's relayed address, and measures the way there and
  /// back.
  func relay(
    _ server: NetCheck.TURNServer, over transport: TURNTransport, _ stop: WorkerThread.Stop
  ) -> NetReport.Relay {
    var result = NetReport.Relay(server: server.name, transport: transport.rawValue)
    guard let address = server.addresses.first(where: { LocalAddress.toward($0) != nil }),
      let local = LocalAddress.toward(address)
    else {
      result.problem = "no route leads there"
      return result
    }
    var configuration = TURNClient.Configuration(
      server: address, username: server.username, password: server.password)
    configuration.timing = NetCheck.timing
    configuration.families = address.address.family == .v4 ? .v4 : .v6
    var connections: [TURNConnection] = []
    var sockets: [Int] = []
    defer { for socket in sockets { group.close(socket) } }
    do throws(SocketError) {
      for index in 0..<2 {
        let socket = try group.open(address: local)
        sockets.append(socket)
        connections.append(
          try TURNConnection(
            group, configuration, over: transport, socket: socket, token: 3 << 32 + UInt64(index),
            host: server.host, isVerifying: server.isVerifying, now: MonotonicClock.now))
      }
    } catch {
      result.problem = "\(error)"
      return result
    }
    prove(connections, &result, stop)
    for connection in connections {
      connection.free(now: MonotonicClock.now)
      connection.step(now: MonotonicClock.now)
    }
    group.flush()
    return result
  }

  private func prove(
    _ connections: [TURNConnection], _ result: inout NetReport.Relay, _ stop: WorkerThread.Stop
  ) {
    let giveUp = MonotonicClock.now + .seconds(15)
    var addresses = [SocketAddress?](repeating: nil, count: 2)
    var permitted = 0
    var probe: (sent: Instant, next: Instant)?
    drive(stop) { now in
      for (index, connection) in connections.enumerated() {
        connection.step(now: now)
        if let problem = connection.problem { result.problem = problem }
        while let event = connection.nextEvent() {
          switch event {
          case .allocated(let relayed):
            addresses[index] = relayed.addresses[0]
            if index == 0 {
              result.relayedAddress = relayed.addresses[0].description
              result.lifetimeSeconds = Double(relayed.lifetime.wholeNanoseconds) / 1e9
            }
            if let first = addresses[0], let second = addresses[1] {
              connections[0].permit(second.address, now: now)
              connections[1].permit(first.address, now: now)
              for connection in connections { connection.step(now: now) }
            }
          case .permitted: permitted += 1
          case .failed(let failure): result.problem = Self.words(failure)
          case .refusedPeer(_, let code): result.problem = "it does not relay to itself: error \(code.rawValue)"
          case .channelBound, .freed, .unreachable: break
          }
        }
      }
      while let (bytes, peer) = connections[1].nextData() { connections[1].send(bytes.bytes, to: peer, now: now) }
      while connections[0].nextData() != nil {
        if let probe, result.roundTripMilliseconds == nil {
          result.roundTripMilliseconds = Double((now - probe.sent).wholeNanoseconds) / 1e6
        }
      }
      guard result.problem == nil, result.roundTripMilliseconds == nil else { return .done }
      guard now < giveUp else {
        result.problem = permitted < 2 ? "no answer" : "data does not come through"
        return .done
      }
      if permitted >= 2, let peer = addresses[1], probe.map({ $0.next <= now }) ?? true {
        probe = (now, now + .milliseconds(500))
        connections[0].send(Array("pnet".utf8).bytes, to: peer, now: now)
      }
      return .waiting(connections.reduce(earliest(giveUp, probe?.next)) { earliest($0, $1.deadline) })
    } receive: { number, message, datagram, now in
      for connection in connections
      where connection.handle(datagram.bytes, from: message.source, on: number, now: now) { return }
    } other: { event, now in
      for connection in connections where connection.handle(event, now: now) { return }
    }
  }

  private static func words(_ failure: TURNClient.Failure) -> String {
    switch failure {
    case .timedOut: "no answer"
    case .integrityCheckViolated: "only forged answers"
    case .rejected(let code): "the server answers with error \(code.rawValue)"
    case .refused: "user name or password are wrong"
    case .malformed: "the answer is malformed"
    case .unknownAttributes: "the answer asks for what is not understood"
    case .badRedirection: "the server redirects in circles"
    }
  }
}
