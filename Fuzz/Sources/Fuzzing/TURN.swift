import MeshPrimitives
import MeshSTUN
import MeshSimulation
import MeshTURN

extension Fuzzing {
  /// A server with an allocation and its client: the input is cut into pieces, which arrive in all places where bytes can.
  public static func turn(_ input: [UInt8]) {
    var choices = Choices(input)
    let pair = TURNPair()
    while !choices.isAtEnd {
      let place = choices.byte() % 5
      let size = choices.word() % 1500
      let bytes = choices.take(size)
      switch place {
      case 0: pair.toServer(bytes, from: pair.path)
      case 1: pair.toServer(bytes, from: ClientPath(SocketAddress(IPAddress(v4: 0x0102_0304), port: 9)))
      case 2: pair.fromPeer(bytes)
      case 3: pair.toClient(bytes)
      default: pair.stream(bytes, cut: Int(choices.byte()))
      }
    }
    require(pair.server.allocationCount <= 1, "nobody without credentials makes an allocation")
  }
}

final class TURNPair {
  static let address = SocketAddress(IPAddress(v4: 0xC000_0201), port: 3478)
  static let peer = SocketAddress(IPAddress(v4: 0xCB00_7107), port: 9000)
  let path = ClientPath(SocketAddress(IPAddress(v4: 0xC633_6401), port: 5000))
  let now = Instant(nanoseconds: 1_000_000_000)
  var server: TURNServer
  var client: TURNClient
  private var relay: RelayID?

  init() {
    var configuration = TURNServer.Configuration()
    configuration.relayV4 = IPAddress(v4: 0xC000_0201)
    configuration.sources = 16
    var users = UserDirectory(realm: "r")
    users.add("u", password: "p")
    server = TURNServer(configuration, users: users, entropy: SeededEntropy(seed: 1), now: now)
    client = TURNClient(
      TURNClient.Configuration(server: Self.address, username: "u", password: "p"), entropy: SeededEntropy(seed: 2),
      now: now)
    settle()
    client.permit(Self.peer.address, now: now)
    client.bindChannel(to: Self.peer, now: now)
    settle()
    require(client.isAllocated, "there must be an allocation to begin with")
  }

  private func settle() {
    for _ in 0..<16 {
      var isSent = false
      let request = [UInt8](capacity: TURNClient.maximumSize) {
        isSent = client.nextTransmit(into: &$0, now: now) != nil
      }
      if isSent { toServer(request, from: path) }
      while client.nextEvent() != nil {}
    }
  }

  func toServer(_ bytes: [UInt8], from source: ClientPath) {
    let room = TURNServer.headroom
    var buffer = [UInt8](repeating: 0, count: room) + bytes + [0, 0, 0]
    var span = buffer.mutableBytes
    let action = server.handleClient(&span, room..<room + bytes.count, from: source, now: now, wallSeconds: 0)
    if case .toPeer(let range, let from, let to) = action {
      require(source == path, "only who has an allocation may send")
      require(from == relay && to.address == Self.peer.address, "only to whom there is permission")
      require(range.lowerBound >= room && range.upperBound <= room + bytes.count, "data must lie in its datagram")
    }
    drain()
  }

  private func drain() {
    while let event = server.nextEvent() {
      if case .open(let id, _) = event {
        relay = id
        server.opened(id, now: now)
      }
    }
    for _ in 0..<64 {
      var isAnswer = false
      let answer = [UInt8](capacity: TURNServer.maximumSize) { isAnswer = server.nextTransmit(into: &$0) == path }
      guard isAnswer else { return }
      _ = client.handle(answer.bytes, from: Self.address, now: now)
    }
  }

  func fromPeer(_ bytes: [UInt8]) {
    guard let relay else { return }
    let room = TURNServer.headroom
    var buffer = [UInt8](repeating: 0, count: room) + bytes + [0, 0, 0]
    var span = buffer.mutableBytes
    let other = SocketAddress(Self.peer.address, port: 7)
    for peer in [Self.peer, other] where bytes.count > 0 {
      span.copy(bytes.bytes, at: room)
      let action = server.handlePeer(&span, room..<room + bytes.count, from: peer, to: relay, now: now)
      guard case .toClient(let range, _) = action else { continue }
      let wrapped = Array(copying: span.bytes.extracting(range))
      let received = client.handle(wrapped.bytes, from: Self.address, now: now)
      guard case .data(let place, let from) = received else { continue }
      require(from == peer, "data must keep its source")
      require(Array(wrapped[place]) == bytes, "data must arrive as it was sent")
    }
  }

  func toClient(_ bytes: [UInt8]) {
    if case .data(let range, let from) = client.handle(bytes.bytes, from: Self.address, now: now) {
      require(range.upperBound <= bytes.count, "data must lie in its datagram")
      require(from.address == Self.peer.address, "data comes from whom there is permission for")
    }
    while client.nextEvent() != nil {}
  }

  func stream(_ bytes: [UInt8], cut: Int) {
    var deframer = StreamDeframer(limit: 2048)
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + cut + 1)
      guard let taken = try? deframer.append(bytes.bytes.extracting(offset..<end)) else { return }
      offset += taken
      do {
        while let frame = try deframer.nextFrame() { require(frame.count <= 2048, "a frame must keep its limit") }
      } catch { return }
      require(deframer.pending <= 2052, "a deframer must be bounded")
    }
  }
}
