import MeshICE
import MeshPrimitives
import MeshSimulation

private let line = "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998"

let iceCases: [Benchmark] = [
  Benchmark("ice/parse/candidate-line") {
    .loop { count in
      for _ in 0..<count { use(UInt64((try? Candidate(parsing: line))?.priority ?? 0)) }
    }
  },
  // A check of the peer on the selected pair: read, authenticated, answered.
  Benchmark("ice/answer/check", allocationFree: true) {
    let pair = AgentPair()
    pair.connect()
    let check = pair.lastCheck
    let output = memory(ICEAgent.maximumDatagram)
    return .loop { count in
      for _ in 0..<count {
        let received = pair.right.handle(check.bytes, from: pair.leftBase, on: pair.rightBase, now: pair.now)
        if received != .consumed { use(1) }
        var span = OutputRawSpan(buffer: output, initializedCount: 0)
        use(pair.right.nextTransmit(into: &span, now: pair.now) == nil ? 0 : UInt64(span.byteCount))
        _ = span.finalize(for: output)
      }
    }
  },
  // Two agents from their candidates to a selected pair.
  Benchmark("ice/session/two-agents") {
    .loop { count in
      for _ in 0..<count {
        let pair = AgentPair()
        pair.connect()
        use(pair.right.state == .completed ? 1 : 0)
      }
    }
  },
]

/// Two agents on one network, without delay.
private final class AgentPair {
  let leftBase = SocketAddress(IPAddress(v4: 0xCB00_7101), port: 5000)
  let rightBase = SocketAddress(IPAddress(v4: 0xCB00_7102), port: 5000)
  var left: ICEAgent
  var right: ICEAgent
  var now = VirtualClock().now
  private(set) var lastCheck: [UInt8] = []

  init() {
    var entropy = SeededEntropy(seed: 1)
    left = ICEAgent(role: .controlling, credentials: ICECredentials(random: &entropy), entropy: entropy.fork())
    right = ICEAgent(role: .controlled, credentials: ICECredentials(random: &entropy), entropy: entropy.fork())
    let ours = left.addLocalCandidate(.host, address: leftBase, base: leftBase)!
    let theirs = right.addLocalCandidate(.host, address: rightBase, base: rightBase)!
    left.setRemote(right.credentials, now: now)
    right.setRemote(left.credentials, now: now)
    _ = try? left.addRemoteCandidate(theirs, now: now)
    _ = try? right.addRemoteCandidate(ours, now: now)
    left.endOfLocalCandidates(now: now)
    left.endOfRemoteCandidates(now: now)
    right.endOfLocalCandidates(now: now)
    right.endOfRemoteCandidates(now: now)
  }

  func connect() {
    for _ in 0..<100 where left.state != .completed || right.state != .completed {
      while let (_, bytes) = left.nextTransmit(now: now) {
        if bytes[0] == 0, bytes[1] == 1 { lastCheck = bytes }
        _ = right.handle(bytes.bytes, from: leftBase, on: rightBase, now: now)
      }
      while let (_, bytes) = right.nextTransmit(now: now) {
        _ = left.handle(bytes.bytes, from: rightBase, on: leftBase, now: now)
      }
      now = now + .milliseconds(20)
      left.handleTimeout(now: now)
      right.handleTimeout(now: now)
    }
    while right.nextTransmit(now: now) != nil {}
    while right.nextEvent() != nil {}
  }
}
