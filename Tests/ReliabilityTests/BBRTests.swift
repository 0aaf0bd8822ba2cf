import MeshPrimitives
import Testing

@testable import MeshReliability

@Suite("Delivery rates") struct DeliverySamplerTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private func at(_ milliseconds: Int64) -> Instant { start.advanced(nanoseconds: milliseconds * 1_000_000) }

  /// Sends a packet of 1,000 bytes each millisecond, which arrive `delay` ms later, `spacing` ms apart.
  private func run(_ packets: Int, spacing: Int64, delay: Int64, _ sampler: DeliverySampler) -> [RateSample] {
    var samples: [RateSample] = []
    var sent = 0
    var arrived = 0
    var time: Int64 = 0
    while arrived < packets {
      if sent < packets, time == Int64(sent) {
        sampler.sent(
          UInt64(sent), size: 1_000, inFlight: (sent - arrived + 1) * 1_000, base: UInt64(arrived), now: at(time))
        sent += 1
      }
      if arrived < sent, time == delay + Int64(arrived) * spacing {
        sampler.arrived(UInt64(arrived), sentAt: at(Int64(arrived)))
        let before = (sent - arrived) * 1_000
        if let sample = sampler.finish(
          inFlightBefore: before, inFlight: before - 1_000, leastRoundTrip: delay * 1_000_000, now: at(time))
        {
          samples.append(sample)
        }
        arrived += 1
      }
      time += 1
    }
    return samples
  }

  // draft-ietf-ccwg-bbr §4.1.1.3: no faster than was sent, nor than was acknowledged.
  @Test(arguments: [(1, 1_000_000.0), (4, 250_000.0)] as [(Int64, Double)])
  func `the rate is what arrives, and not more than was sent`(spacing: Int64, rate: Double) {
    let samples = run(400, spacing: spacing, delay: 20, DeliverySampler())
    #expect(samples.count == 400)
    let late = samples[200].rate
    #expect(abs(late - rate) < 0.06 * rate, "\(late)")
    for sample in samples { #expect(sample.rate <= 1_000_000 * 1.06, "\(sample.rate)") }
    #expect(samples[399].total == 400_000)
  }

  @Test func `what the application held back is said to be so, until it is delivered`() {
    let sampler = DeliverySampler()
    sampler.sent(0, size: 1_000, inFlight: 1_000, base: 0, now: at(0))
    sampler.applicationLimited(inFlight: 1_000)
    sampler.sent(1, size: 1_000, inFlight: 2_000, base: 0, now: at(1))
    func arrive(_ number: UInt64, _ sentAt: Int64, _ now: Int64) -> Bool? {
      sampler.arrived(number, sentAt: at(sentAt))
      return sampler.finish(inFlightBefore: 2_000, inFlight: 1_000, leastRoundTrip: 0, now: at(now))?
        .isApplicationLimited
    }
    #expect(arrive(0, 0, 20) == false)
    #expect(arrive(1, 1, 21) == true)
    sampler.sent(2, size: 1_000, inFlight: 2_000, base: 2, now: at(30))
    #expect(arrive(2, 30, 50) == false)
    #expect(sampler.finish(inFlightBefore: 0, inFlight: 0, leastRoundTrip: 0, now: at(60)) == nil)
  }

  @Test func `losses count from when a packet was sent`() {
    let sampler = DeliverySampler()
    for number in 0..<100 as Range<UInt64> {
      sampler.sent(number, size: 1_000, inFlight: Int(number + 1) * 1_000, base: 0, now: at(Int64(number)))
    }
    for number in [3, 7] as [UInt64] { sampler.lost(number) }
    let loss = sampler.loss(of: 7, packets: 2)
    #expect(loss.lost == 2_000 && loss.inFlightAtSend == 8_000 && loss.size == 1_000)
    sampler.sent(100, size: 1_000, inFlight: 99_000, base: 0, now: at(100))
    sampler.lost(50)
    sampler.arrived(100, sentAt: at(100))
    let sample = sampler.finish(inFlightBefore: 98_000, inFlight: 97_000, leastRoundTrip: 0, now: at(200))
    #expect(sample?.lost == 1_000)
  }
}

@Suite("BBR") struct BBRTests {
  /// A path of 1,000 packets of 1,000 bytes per second and 50 ms, which delivers what the window and the pace give.
  private struct Path {
    var controller = BBR(packetSize: 1_000)
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var rate = 1_000_000.0
    var total: Int64 = 0
    private var rtt = RTTEstimator()
    private let base: Int64 = 50_000_000

    /// A round trip at a time, in ten acknowledgements.
    mutating func run(_ rounds: Int, lost: Double = 0) {
      for _ in 0..<rounds {
        let held = Double(controller.window)
        let paced = controller.pacingRate ?? .infinity
        let product = rate * Double(base) / 1e9
        let inFlight = min(held, max(paced / rate, 1) * product, paced * Double(base) / 1e9 + 2_000)
        let roundTrip = Int64(max(inFlight / rate, Double(base) / 1e9) * 1e9)
        let arrived = inFlight * (1 - lost)
        let prior = total
        for step in 1...10 as ClosedRange<Int64> {
          let at = now.advanced(nanoseconds: roundTrip * step / 10)
          if step == 1, lost > 0 {
            controller.lost(
              LossSample(
                packets: Int(inFlight * lost / 1_000) + 1, size: 1_000, inFlightAtSend: Int64(inFlight),
                lost: Int64(inFlight * lost)), now: at)
          }
          total += Int64(arrived / 10)
          var sample = RateSample()
          sample.rate = arrived * 1e9 / Double(roundTrip)
          sample.delivered = Int64(arrived)
          sample.priorDelivered = step == 1 ? prior : prior - 1
          sample.total = total
          sample.inFlightAtSend = Int64(inFlight)
          sample.lost = Int64(inFlight * lost)
          sample.acknowledged = Int64(arrived / 10)
          sample.inFlightBefore = Int64(inFlight)
          sample.inFlight = Int64(inFlight * 0.9)
          rtt.update(sample: roundTrip, delay: 0)
          controller.acknowledged(
            Delivery(bytes: Int(arrived / 10), newestSentAt: now, roundTrip: roundTrip, rate: sample), rtt: rtt, now: at
          )
        }
        now = now.advanced(nanoseconds: roundTrip)
      }
    }
  }

  @Test func `it starts, drains and then cruises at the rate of the path`() {
    var path = Path()
    #expect(path.controller.phase == .startup)
    var phases: [BBR.Phase] = [.startup]
    for _ in 0..<200 {
      path.run(1)
      if path.controller.phase != phases.last { phases.append(path.controller.phase) }
    }
    #expect(phases.prefix(3) == [.startup, .drain, .down] || phases.prefix(3) == [.startup, .drain, .cruise])
    for phase in [BBR.Phase.cruise, .refill, .up, .probeRTT] { #expect(phases.contains(phase), "\(phases)") }
    #expect(abs((path.controller.pacingRate ?? 0) - 1_000_000) < 300_000)
  }

  @Test func `one packet lost in a hundred changes nothing, five do while it probes`() {
    var path = Path()
    path.run(60)
    path.run(100, lost: 0.01)
    #expect(path.controller.window > 45_000, "\(path.controller.window)")
    path.run(200, lost: 0.1)
    #expect(path.controller.window < 45_000, "\(path.controller.window)")
    #expect(path.controller.window >= 4_000)
  }

  @Test func `a path that has become faster is found out within some probes`() {
    var path = Path()
    path.run(100)
    path.rate = 4_000_000
    path.run(1_000)
    #expect((path.controller.pacingRate ?? 0) > 3_000_000)
  }

  @Test func `the window never falls below four packets, nor to nothing after an outage`() {
    var path = Path()
    path.run(40)
    path.controller.persistentCongestion(now: path.now)
    #expect(path.controller.window == 4_000)
    path.run(20)
    #expect(path.controller.window > 40_000)
    path.run(300, lost: 0.5)
    #expect(path.controller.window >= 4_000)
  }

  @Test func `only who models the path measures rates`() {
    var configuration = Configuration()
    configuration.congestion = .bbr
    #expect(PathState(configuration).sampler != nil)
    configuration.congestion = .cubic
    #expect(PathState(configuration).sampler == nil)
  }
}
