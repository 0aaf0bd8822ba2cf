internal import MeshPrimitives

/// How a transfer went, over time.
public struct Series: Sendable {
  /// How it stood at one moment.
  public struct Sample: Sendable {
    /// Since the start of the run.
    public let time: Duration
    /// Bytes.
    public let congestionWindow: Int
    /// Bytes that were sent and neither acknowledged nor lost.
    public let bytesInFlight: Int
    /// What the sender believes.
    public let smoothedRTT: Duration
    public let minimumRTT: Duration
    /// Bytes that wait in the queues between the two.
    public let queuedBytes: Int
    /// Bytes that have come out at the other end.
    public let received: UInt64
  }

  let flow: Int
  public let sender: Int
  public let receiver: Int
  public internal(set) var samples: [Sample] = []

  init(flow: Int, sender: Int, receiver: Int) {
    (self.flow, self.sender, self.receiver) = (flow, sender, receiver)
  }
}

extension SimulatedNetwork {
  /// Notes how the transfers stand; at most 16 are watched.
  func sample() {
    let interval = max(scenario.duration.wholeNanoseconds / 500, 1_000_000)
    sampleAt = now.advanced(nanoseconds: interval)
    for index in series.indices.prefix(16) {
      let flow = flows[series[index].flow]
      guard flow.receiving == .open, !flow.isBroken else { continue }
      let host = hosts[flow.sender]
      guard let peer = flow.senderStream?.peer, let connection = host.node.status(of: peer)?.connection else {
        continue
      }
      series[index].samples.append(
        Series.Sample(
          time: now - start, congestionWindow: connection.congestionWindow, bytesInFlight: connection.bytesInFlight,
          smoothedRTT: connection.smoothedRTT, minimumRTT: connection.minimumRTT,
          queuedBytes: links.queuedBytes(from: flow.sender, to: flow.receiver, now: now), received: flow.received))
    }
  }
}
