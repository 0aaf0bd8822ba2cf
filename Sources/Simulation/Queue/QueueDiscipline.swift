/// Who waits in the queue of a link, who is marked and who is dropped.
///
/// Indirect, so that a link with the default is small.
public indirect enum QueueDiscipline: Sendable, Equatable {
  /// First in, first out; what does not fit is dropped.
  case dropTail
  /// Controlled Delay (RFC 8289): marks packets of ECN-capable transports, drops others.
  case coDel(CoDel.Parameters = CoDel.Parameters())
  /// Dual queues, coupled (RFC 9332): ECT(1) and CE in a queue of low latency, all else in a classic one.
  case dualPI2(DualPI2.Parameters = DualPI2.Parameters())
}
