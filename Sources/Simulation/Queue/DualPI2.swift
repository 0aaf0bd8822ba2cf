internal import MeshPrimitives

/// The coupled dual-queue AQM of RFC 9332, as in its appendix A: a proportional-integral controller holds the classic queue
/// at a target, with the square of its output for classic packets and `coupling` times its output for those of L4S, which
/// have a queue of their own that marks from a step on and goes first.
public struct DualPI2: Sendable {
  public struct Parameters: Sendable, Equatable {
    /// The wait of classic packets that is aimed at.
    public var target = Duration.milliseconds(15)
    /// How often the controller looks.
    public var interval = Duration.milliseconds(16)
    /// Integral and proportional gain, in Hz: right for round trips up to 100 ms.
    public var alpha = 0.16
    public var beta = 3.2
    /// k: how much more often L4S packets are marked than classic ones are, before the square.
    public var coupling = 2.0
    /// L4S packets that have waited longer are marked.
    public var step = Duration.milliseconds(1)
    /// The part of the capacity that the classic queue always has.
    public var classicShare = 0.1
    /// Bytes; a shorter L4S queue is not marked by the step.
    public var packetSize = 1_514

    public init() {}
  }

  private let parameters: Parameters
  private let target: Int64
  private let interval: Int64
  private let step: Int64
  /// p′: the controller's output, 0 to 1.
  private(set) var probability = 0.0
  private var lastDelay: Int64 = 0
  private var nextUpdate: Int64?
  /// Marks owed to the L4S queue, in packets.
  private var owed = 0.0
  /// Below zero: the classic queue has had more than its share.
  private var classicCredit = 0.0

  init(_ parameters: Parameters) {
    self.parameters = parameters
    target = parameters.target.wholeNanoseconds
    interval = max(parameters.interval.wholeNanoseconds, 1_000)
    step = parameters.step.wholeNanoseconds
  }

  /// The next packet to leave at `now`; those in front of it that were dropped are counted.
  mutating func next(
    classic: inout PacketRing, scalable: inout PacketRing, at now: Int64, entropy: inout SeededEntropy,
    counts: inout Link.Counts
  ) -> QueuedPacket? {
    update(classic, scalable, until: now)
    let coupled = min(parameters.coupling * probability, 1)
    let squared = probability * probability
    let isOverloaded = coupled >= 1
    while true {
      if !scalable.isEmpty, classic.isEmpty || classicCredit <= 0 {
        let delay = scalable.delay(at: now)
        guard var packet = scalable.popFirst() else { return nil }
        if !classic.isEmpty { classicCredit += parameters.classicShare * Double(packet.bytes.count) }
        if isOverloaded, entropy.chance(squared) {
          counts.dropped += 1
          continue
        }
        let isAboveStep = delay > step && scalable.bytes >= parameters.packetSize
        owed += isAboveStep ? 1 : coupled
        if owed >= 1 {
          owed -= 1
          if packet.ecn != .ce { counts.marked += 1 }
          packet.ecn = .ce
        }
        return packet
      }
      guard var packet = classic.popFirst() else {
        classicCredit = 0
        return nil
      }
      if !scalable.isEmpty { classicCredit -= (1 - parameters.classicShare) * Double(packet.bytes.count) }
      if entropy.chance(squared) {
        guard packet.ecn != .notECT, !isOverloaded else {
          counts.dropped += 1
          continue
        }
        packet.ecn = .ce
        counts.marked += 1
      }
      return packet
    }
  }

  private mutating func update(_ classic: borrowing PacketRing, _ scalable: borrowing PacketRing, until now: Int64) {
    guard var time = nextUpdate else {
      nextUpdate = now + interval
      return
    }
    while time <= now {
      let delay = max(classic.delay(at: time), scalable.delay(at: time))
      if delay == 0, lastDelay == 0, probability == 0 {
        // A long rest: nothing changes until now.
        time += (now - time) / interval * interval + interval
        break
      }
      probability +=
        parameters.alpha * Double(delay - target) / 1e9 + parameters.beta * Double(delay - lastDelay) / 1e9
      probability = min(max(probability, 0), 1)
      lastDelay = delay
      time += interval
    }
    nextUpdate = time
  }
}
