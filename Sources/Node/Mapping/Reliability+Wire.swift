internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshWire

extension ConnectionLimits {
  /// What a peer's `Hello` allows us.
  /// - Parameter frames: the fields of `Packet` that the peer understands, as bits.
  init(_ limits: Wire.Limits, frames: UInt64) {
    func understands(_ field: UInt32) -> Bool { frames >> UInt64(field) & 1 == 1 }
    self.init(
      data: min(limits.maxData, PacketLimits.maxOffset), streamData: min(limits.maxStreamData, PacketLimits.maxOffset),
      streams: min(limits.maxBidirectionalStreams, 1 << 60),
      oneWayStreams: min(limits.maxUnidirectionalStreams, 1 << 60),
      message: understands(FieldNumber.messages) ? limits.maxMessage : 0,
      datagram: understands(FieldNumber.datagrams) ? limits.maxDatagram : 0)
    refusals = understands(FieldNumber.refusedChannels)
  }
}

extension Wire.Limits {
  /// What our `Hello` allows the peer.
  init(_ configuration: MeshReliability.Configuration) {
    self.init()
    maxData = configuration.local.data
    maxStreamData = configuration.local.streamData
    maxBidirectionalStreams = configuration.local.streams
    maxUnidirectionalStreams = configuration.local.oneWayStreams
    maxMessage = configuration.local.message
    maxDatagram = configuration.local.datagram
    idleTimeout = configuration.idleTimeout.map { UInt64(max(1, $0.wholeNanoseconds / 1_000_000)) } ?? 0
    maxAckDelay = UInt64(max(0, configuration.maximumAckDelay.wholeNanoseconds / 1000))
  }
}
