internal import MeshPacket
internal import MeshPrimitives

// Acknowledgements, loss and congestion (RFC 9002).
extension Connection {
  /// Stream bytes of consecutive packets, so that the buffer is told once per run and not per packet.
  private struct Run {
    var stream: UInt64 = 0
    var range: Range<UInt64> = 0..<0
  }

  /// What an acknowledgement has brought.
  private struct Arrival {
    var run = Run()
    /// Bytes of packets that count for the growth of the window.
    var bytes = 0
    var packets = 0
    var asked = false
    var marked: UInt64 = 0
    /// A number that was left out.
    var skipped: UInt64?
  }

  mutating func receive(_ ack: AckFrame, in message: RawSpan, now: Instant) throws(ConnectionError) {
    guard ack.largest < sent.next else { throw .acknowledgedUnsent(number: ack.largest) }
    counters.acksReceived += 1
    let inFlightBefore = bytesInFlight
    let isOfPath = ack.largest >= path.firstNumber
    let sampled = isOfPath && ack.largest >= sent.base && sent[ack.largest].state == .outstanding
    let sampledAt = sampled ? sent[ack.largest].sentAt : now
    var arrival = Arrival()
    var ranges = AckRanges(ack, in: message)
    while let range = try next(&ranges) {
      let end = range.upperBound &+ 1
      guard end > sent.base else { break }
      let begin = max(range.lowerBound, sent.base)
      var low = begin
      while low < end, let gap = ackedNumbers.firstGap(in: low..<end) {
        for number in gap { arrived(number, into: &arrival) }
        low = gap.upperBound
      }
      ackedNumbers.insert(begin..<end)
    }
    if let skipped = arrival.skipped { throw .acknowledgedUnsent(number: skipped) }
    finish(&arrival.run)
    guard arrival.packets > 0 else { return }
    if sampled, arrival.asked {
      if path.firstSampleAt == nil { path.firstSampleAt = now }
      let delay = min(ack.delayMicroseconds, UInt64(maximumAckDelay) / 1000)
      path.rtt.update(sample: now.nanoseconds(since: sampledAt), delay: Int64(delay) * 1000)
      acks.adapt(toRoundTrip: path.rtt.smoothed)
    }
    var delivery = Delivery(bytes: arrival.bytes, isLimited: isWindowUsed(inFlightBefore, ack.largest))
    if sampled {
      delivery.newestSentAt = sampledAt
      if arrival.asked { delivery.roundTrip = path.rtt.latestAdjusted }
    }
    if ack.largest > largestAcked {
      largestAcked = ack.largest
      if isOfPath {
        (delivery.ecnPackets, delivery.cePackets) = path.validateECN(
          ect0: ack.ect0, ect1: ack.ect1, ce: ack.ce, newlyMarked: arrival.marked)
      }
      counters.congestionMarks += delivery.cePackets
      if delivery.cePackets > 0 { congested(.marked, sentAt: sampledAt, now: now) }
    }
    if let sampler = path.sampler {
      delivery.rate = sampler.finish(
        inFlightBefore: inFlightBefore, inFlight: bytesInFlight, leastRoundTrip: path.rtt.minimum, now: now)
    }
    let window = path.congestion.window
    path.congestion.acknowledged(delivery, rtt: path.rtt, now: now)
    background?.acknowledged(delivery, largest: ack.largest, rtt: path.rtt, now: now)
    if delivery.cePackets > 0, path.congestion.window < window { counters.congestionEvents += 1 }
    detectLosses(now: now)
    forgetSettled(now: now)
    if arrival.asked {
      timeouts = 0
      probes = 0
      unansweredSince = unanswered > 0 ? now : nil
      waited = 0
    }
    path.updatePacer()
  }

  private func next(_ ranges: inout AckRanges) throws(ConnectionError) -> ClosedRange<UInt64>? {
    do { return try ranges.next() } catch { throw .packet(error) }
  }

  /// Whether the window, or the pacing that follows from it, was what held the sender back, so that it may grow (RFC 9002
  /// §7.8). In slow start a window that was half used counts.
  private func isWindowUsed(_ inFlightBefore: Int, _ largest: UInt64) -> Bool {
    inFlightBefore >= path.congestion.window / 2 && (path.congestion.isSlowStart || largest < limitedBelow)
  }

  // MARK: Arrivals

  private mutating func arrived(_ number: UInt64, into arrival: inout Arrival) {
    let packet = sent[number]
    guard packet.state != .acknowledged else {
      if packet.isSkipped { arrival.skipped = number }
      return
    }
    sent[number].state = .acknowledged
    arrival.packets += 1
    if packet.isBackground {
      background?.arrived(
        number, size: Int(packet.size), sentAt: packet.sentAt, wasLost: packet.state == .lost)
    }
    if packet.state == .lost {
      if packet.size > 0 { cameLate(number) }
    } else if packet.asksForAck {
      bytesInFlight -= Int(packet.size)
      if let sampler = path.sampler, number >= path.firstNumber { sampler.arrived(number, sentAt: packet.sentAt) }
      if packet.size > Self.alwaysCarried { path.longLost = 0 }
      unanswered -= 1
      arrival.asked = true
      if let start = path.congestion.recoveryStart, packet.sentAt <= start {} else { arrival.bytes += Int(packet.size) }
    }
    if packet.ecnMarked {
      arrival.marked += 1
      path.markedArrived = true
      path.markedLost = 0
    } else if packet.state != .lost, packet.asksForAck, number >= path.firstNumber {
      path.unmarkedArrived = true
    }
    if packet.acknowledges > 0 { acks.confirmed(through: packet.acknowledges, by: number) }
    arrived(packet.frame, into: &arrival.run)
    var more = packet.more
    while more >= 0 {
      let (frame, after) = sent.further(more)
      arrived(frame, into: &arrival.run)
      more = after
    }
  }

  private mutating func arrived(_ frame: SentFrame, into run: inout Run) {
    switch frame.kind {
    case .none, .maxData, .streamMaxData, .maxStreams, .stop, .refusal: break
    case .message: delivered(frame)
    case .datagram: if frame.fin { channelBound(UInt32(truncatingIfNeeded: frame.stream)) }
    case .stream:
      let range = frame.offset..<frame.offset &+ UInt64(frame.length)
      let isPlain = !frame.fin && frame.offset != 0
      if isPlain, frame.stream == run.stream, range.lowerBound == run.range.upperBound {
        run.range = run.range.lowerBound..<range.upperBound
        return
      }
      finish(&run)
      if isPlain {
        run = Run(stream: frame.stream, range: range)
      } else {
        delivered(frame, range)
      }
    case .reset:
      guard let stream = table.find(frame.stream) else { return }
      stream.isResetAcknowledged = true
      removeIfDone(stream)
    }
  }

  private mutating func finish(_ run: inout Run) {
    guard !run.range.isEmpty else { return }
    if let stream = table.find(run.stream) { delivered(stream, run.range) }
    run.range = 0..<0
  }

  /// A frame that begins or ends a stream.
  private mutating func delivered(_ frame: SentFrame, _ range: Range<UInt64>) {
    guard let stream = table.find(frame.stream) else { return }
    if frame.offset == 0 {
      stream.isOpeningAcknowledged = true
      stream.needsOpening = false
    }
    if frame.fin {
      stream.isFinAcknowledged = true
      stream.needsFin = false
    }
    delivered(stream, range)
  }

  private mutating func delivered(_ stream: Stream, _ range: Range<UInt64>) {
    guard stream.resetCode == nil else { return }
    stream.send.acknowledge(range, pool: pool)
    offerRoom(in: stream)
    if stream.isSendDone, !stream.isFinishReported {
      stream.isFinishReported = true
      events.append(.streamFinished(stream.id))
      removeIfDone(stream)
    }
  }

  /// A packet that was taken for lost has come after all.
  private mutating func cameLate(_ number: UInt64) {
    counters.spuriousLosses += 1
    // The path reorders: wait longer next time (RFC 9002 §6.1.1 allows it).
    if largestAcked > number { path.packetThreshold = min(max(path.packetThreshold, largestAcked - number + 1), 256) }
    // What an earlier event lost says nothing of the last one.
    if path.lostInEvent > 0, number >= path.eventBegin {
      path.lostInEvent -= 1
      if path.lostInEvent == 0 { path.congestion.undo() }
    }
  }

  private enum Sign { case lost, marked }

  private mutating func congested(_ sign: Sign, sentAt: Instant, now: Instant) {
    let before = path.congestion.recoveryStart
    switch sign {
    case .lost: path.congestion.lost(sentAt: sentAt, now: now)
    case .marked: path.congestion.marked(sentAt: sentAt, now: now)
    }
    if path.congestion.recoveryStart != before {
      counters.congestionEvents += 1
      path.lostInEvent = 0
    }
  }

  // MARK: Loss

  /// RFC 9002 §6.1: what is far enough behind the largest acknowledged packet, in number or in time, is lost.
  private mutating func detectLosses(now: Instant) {
    lossTime = nil
    let delay = path.rtt.lossDelay
    let marked = path.marksECN
    var number = max(firstOpen, sent.base)
    // The oldest of the packets that took another path and may still arrive: those of this path are not judged by them.
    var oldestElsewhere: UInt64?
    var lastLost: Instant?
    var firstLost: UInt64 = 0
    var lastLostNumber: UInt64 = 0
    var lostPackets = 0
    var lostBackground = (first: UInt64(0), packets: 0, sentAt: now)
    // A run of packets all lost, for persistent congestion.
    var runStart: Instant?
    var longestRun: Int64 = 0
    while number < largestAcked {
      let packet = sent[number]
      if packet.state == .outstanding {
        let isOfPath = number >= path.firstNumber
        // One that took another path may be overtaken by any number.
        let patience = isOfPath ? delay : max(delay, path.lateness)
        guard
          isOfPath && largestAcked - number >= path.packetThreshold
            || now.nanoseconds(since: packet.sentAt) >= patience
        else {
          lossTime = earliest(lossTime, packet.sentAt.advanced(nanoseconds: patience))
          if isOfPath { break }
          if oldestElsewhere == nil { oldestElsewhere = number }
          number += 1
          continue
        }
        lose(number, packet)
        if packet.asksForAck, isOfPath {
          if lastLost == nil { firstLost = number }
          lastLost = packet.sentAt
          lostPackets += 1
          lastLostNumber = number
          path.sampler?.lost(number)
          if packet.isBackground {
            if lostBackground.packets == 0 { lostBackground.first = number }
            lostBackground.packets += 1
            lostBackground.sentAt = packet.sentAt
          }
          if let firstSampleAt = path.firstSampleAt, packet.sentAt > firstSampleAt {
            let start = runStart ?? packet.sentAt
            runStart = start
            longestRun = max(longestRun, packet.sentAt.nanoseconds(since: start))
          }
        }
      } else if packet.state == .acknowledged, !packet.isSkipped {
        // Whatever came shows that the path was there.
        runStart = nil
      }
      number += 1
    }
    firstOpen = oldestElsewhere ?? number
    // What was lost for its mark says nothing of congestion.
    guard let lastLost, path.marksECN == marked else { return }
    congested(.lost, sentAt: lastLost, now: now)
    if let sampler = path.sampler {
      path.congestion.lost(sampler.loss(of: lastLostNumber, packets: lostPackets), now: now)
    }
    if path.lostInEvent == 0 { path.eventBegin = firstLost }
    path.lostInEvent += lostPackets
    if lostBackground.packets > 0 {
      background?.congested(
        first: lostBackground.first, packets: lostBackground.packets, sentAt: lostBackground.sentAt, now: now)
    }
    if longestRun > 3 * path.rtt.probeTimeout(maximumAckDelay: maximumAckDelay) {
      path.congestion.persistentCongestion(now: now)
      background?.persistentCongestion(now: now)
      path.rtt.persistentCongestion()
    }
  }

  mutating func lose(_ number: UInt64, _ packet: SentPacket) {
    sent[number].state = .lost
    guard packet.asksForAck else { return }
    counters.packetsLost += 1
    if packet.size > Self.alwaysCarried { path.longLost += 1 }
    bytesInFlight -= Int(packet.size)
    if packet.isBackground { background?.lost(Int(packet.size)) }
    unanswered -= 1
    if packet.ecnMarked, number >= path.marksTestedFrom { path.lostMarked() }
    repair(packet)
  }

  /// Lets what `packet` carried be sent again.
  private mutating func repair(_ packet: SentPacket) {
    repair(packet.frame)
    var more = packet.more
    while more >= 0 {
      let (frame, after) = sent.further(more)
      repair(frame)
      more = after
    }
  }

  private mutating func repair(_ frame: SentFrame) {
    switch frame.kind {
    case .none, .datagram: return
    case .message:
      let lane = Lane(of: frame)
      messages[lane.index].lose(frame.offset..<frame.offset &+ UInt64(frame.length))
      repairMessages(of: lane)
      return
    case .maxData:
      needsMaxData = true
      return
    case .maxStreams:
      needsMaxStreams = true
      return
    case .refusal:
      guard let channel = incomingChannels.numbered(frame.stream) else { return }
      return refuse(channel, frame.fin ? .datagrams : .messages)
    case .stream, .streamMaxData, .reset, .stop: break
    }
    guard let stream = table.find(frame.stream) else { return }
    switch frame.kind {
    case .stream:
      guard stream.resetCode == nil else { return }
      stream.send.lose(frame.offset..<frame.offset &+ UInt64(frame.length))
      if frame.fin, !stream.isFinAcknowledged { stream.needsFin = true }
      if frame.offset == 0, frame.length == 0, stream.isLocal, !stream.isOpeningAcknowledged {
        stream.needsOpening = true
      }
      repair(stream)
    case .streamMaxData: if stream.finalSize == nil, stream.stopCode == nil { tell(.windowUpdate, of: stream) }
    case .reset: if !stream.isResetAcknowledged { tell(.reset, of: stream) }
    case .stop: if stream.finalSize == nil { tell(.stop, of: stream) }
    case .none, .message, .datagram, .maxData, .maxStreams, .refusal: break
    }
  }

  /// Forgets the records at the front whose fate is known. Lost ones stay a while, to recognise packets that come late.
  private mutating func forgetSettled(now: Instant) {
    let keep = path.rtt.probeTimeout(maximumAckDelay: 0)
    let base = sent.base
    while sent.count > 0 {
      let packet = sent[sent.base]
      switch packet.state {
      case .acknowledged: break
      case .lost:
        if now.nanoseconds(since: packet.sentAt) < keep, sent.count < Self.mostRecords / 2 { return settle(from: base) }
      case .outstanding: return settle(from: base)
      }
      sent.removeFirst()
    }
    settle(from: base)
  }

  private mutating func settle(from base: UInt64) {
    guard sent.base != base else { return }
    ackedNumbers.removeAll(below: sent.base)
    firstOpen = max(firstOpen, sent.base)
  }

  /// Forgets packets of acknowledgements only: nothing needs to be repaired when they are lost.
  mutating func forgetSilentPackets() {
    let base = sent.base
    while sent.count > 0, sent[sent.base].state != .outstanding || !sent[sent.base].asksForAck { sent.removeFirst() }
    settle(from: base)
  }

  // MARK: Timers

  /// When the loss timer or the probe timer runs out (RFC 9002 §6.2).
  var recoveryDeadline: Instant? {
    if let lossTime { return lossTime }
    guard unanswered > 0 else { return nil }
    let timeout = path.rtt.probeTimeout(maximumAckDelay: maximumAckDelay)
    // RFC 9002 §6.2.1 counts from the last packet that asks. What is sent steadily would so put it off until the window is
    // full: it counts from what came last, and one timeout, at the latest.
    var begin = probeTimerBegin
    if timeouts == 0, let unansweredSince { begin = max(begin, unansweredSince.advanced(nanoseconds: timeout)) }
    begin = min(begin, lastAskedAt)
    // Doubling ends at sixteen times, and between one and three seconds, so that a path that comes back is noticed.
    let longest = max(timeout, min(max(timeout << 4, 1_000_000_000), 3_000_000_000))
    return begin.advanced(nanoseconds: min(timeout << Int64(min(timeouts, 16)), longest))
  }

  mutating func recoveryTimeout(now: Instant) {
    if lossTime != nil {
      detectLosses(now: now)
      forgetSettled(now: now)
      path.updatePacer()
      return
    }
    timeouts += 1
    probeTimerBegin = now
    counters.probeTimeouts += 1
    probes = timeouts == 1 ? 1 : 2
    // It may have begun to drop marked packets. What was lost until now was perhaps lost with all others.
    if timeouts == 2, path.markedArrived { path.testMarks(from: sent.next) }
  }

  /// Lets the oldest packet without an answer be sent again, without counting it as lost. For a probe that has nothing new;
  /// and when that was not answered, for one with the oldest bytes of its stream or lane, in whatever packet they are.
  mutating func repairOldest() {
    var number = max(firstOpen, sent.base)
    while number < sent.next {
      let packet = sent[number]
      if packet.state == .outstanding, packet.asksForAck {
        repair(packet)
        if timeouts >= 2 { repairOldestBytes(packet.frame) }
        return
      }
      number += 1
    }
  }

  /// Puts a stream that has lost something before those of its lane that have not.
  private mutating func repair(_ stream: Stream) {
    guard stream.hasLost, !stream.isRepairing else { return }
    stream.isRepairing = true
    lanes[stream.lane.index].appendRepair(.stream(stream))
  }

  private mutating func repairMessages(of lane: Lane) {
    guard messages[lane.index].hasLost, !messages[lane.index].isRepairing else { return }
    messages[lane.index].isRepairing = true
    lanes[lane.index].appendRepair(.messages)
  }

  private mutating func repairOldestBytes(_ frame: SentFrame) {
    switch frame.kind {
    case .stream:
      guard let stream = table.find(frame.stream), stream.resetCode == nil else { return }
      let start = stream.send.start
      stream.send.lose(start..<min(start + UInt64(packetCapacity), stream.send.sent))
      repair(stream)
    case .message:
      let lane = Lane(of: frame)
      messages[lane.index].loseOldest(packetCapacity)
      repairMessages(of: lane)
    case .none, .datagram, .maxData, .streamMaxData, .maxStreams, .reset, .stop, .refusal: break
    }
  }
}
