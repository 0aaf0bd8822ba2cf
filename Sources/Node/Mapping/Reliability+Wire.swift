internal import MeshPrimitives
internal import MeshReliability
internal import MeshWire

extension ConnectionLimits {
  /// What a peer's `Hello` allows us.
  init(_ limits: Wire.Limits) {
    self.init(data: limits.maxData, streamData: limits.maxStreamData, streams: limits.maxBidirectionalStreams)
  }
}

extension Wire.Limits {
  /// What our `Hello` allows the peer.
  init(_ configuration: MeshReliability.Configuration) {
    self.init()
    maxData = configuration.local.data
    maxStreamData = configuration.local.streamData
    maxBidirectionalStreams = configuration.local.streams
    maxPacket = 65_507
    maxAckDelay = UInt64(max(0, configuration.maximumAckDelay.wholeNanoseconds / 1000))
  }
}
