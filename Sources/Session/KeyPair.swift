internal import MeshCrypto
internal import MeshPrimitives
internal import MeshReplay

/// The keys that one handshake gave, for both directions.
final class KeyPair {
  private var sealing: SealingKey
  private let opening: OpeningKey
  private var replay: ReplayWindow
  let localIndex: UInt32
  let remoteIndex: UInt32
  /// When the initiation was sent, by us, or came.
  let began: Instant
  let created: Instant
  /// Whether we sent the initiation: the initiator alone rekeys by age.
  let isInitiator: Bool

  init(
    keys: consuming TransportKeys, localIndex: UInt32, remoteIndex: UInt32, isInitiator: Bool, window: Int,
    began: Instant,
    now: Instant
  ) {
    sealing = keys.sealing
    opening = keys.opening
    replay = ReplayWindow(capacity: window)
    self.localIndex = localIndex
    self.remoteIndex = remoteIndex
    self.isInitiator = isInitiator
    self.began = began
    created = now
  }

  /// Nanoseconds since the handshake.
  func age(at now: Instant) -> Int64 { now.nanoseconds(since: created) }

  /// Whether so many packets may still be sent (rule 3 of the timers).
  func canSend(_ packets: Int = 1, at now: Instant) -> Bool {
    age(at: now) < WireGuard.rejectAfter && sealing.counter < WireGuard.rejectAfterMessages
      && WireGuard.rejectAfterMessages - sealing.counter >= UInt64(packets)
  }

  /// Counters that the replay window spans, from now on.
  func widenWindow(to capacity: Int) { replay.widen(to: capacity) }

  /// Makes packets of `run` in place: one of each `segmentSize` bytes, the last one shorter, each with 16 bytes for the
  /// header, the plaintext, and 16 for the tag. ``canSend(_:at:)`` has been asked for as many.
  /// - Returns: the counter of the last one.
  func seal(_ run: inout MutableRawSpan, segmentSize: Int) -> UInt64 {
    Self.seal(&run, segmentSize: segmentSize, with: &sealing, for: remoteIndex)
  }

  // One access to the key for the whole run.
  private static func seal(
    _ run: inout MutableRawSpan, segmentSize: Int, with key: inout SealingKey, for index: UInt32
  ) -> UInt64 {
    var start = 0
    while start < run.byteCount {
      let end = min(start + segmentSize, run.byteCount)
      var packet = run._mutatingExtracting(start..<end)
      let size = packet.byteCount
      let counter = key.counter
      do {
        var body = packet._mutatingExtracting(WireGuard.transportHeaderSize..<size)
        // What is not encrypted must not leave.
        guard (try? key.seal(&body)) != nil else { preconditionFailure("more packets than may be sent") }
      }
      packet.store(MessageType.transport.rawValue, at: 0, .little)
      packet.store(index, at: 4, .little)
      packet.store(counter, at: 8, .little)
      start = end
    }
    return key.counter - 1
  }

  /// What became of a run.
  struct Opened {
    /// Packets that were authentic, and their bytes.
    var packets = 0
    var bytes = 0
    /// Whether one of them has the highest counter so far.
    var isNewest = false
    /// Where the first segment begins that is not for this key pair, or the run ends.
    var end = 0
  }

  static func isData(_ datagram: RawSpan) -> Bool {
    datagram.byteCount >= WireGuard.transportOverhead
      && datagram.uint32(at: 0) == MessageType.transport.rawValue
  }

  /// Opens the packets at the start of `run` that are for this key pair, in place: one of each `segmentSize` bytes, the last
  /// one shorter. Appends where the plaintexts lie that are not empty; counts what was refused.
  func open(
    _ run: inout MutableRawSpan, segmentSize: Int, writing plaintexts: inout [Range<Int>],
    counting drops: inout ReasonCounters<DropReason>
  ) -> Opened {
    Self.open(
      &run, segmentSize: segmentSize, of: localIndex, with: opening, &replay, writing: &plaintexts, counting: &drops)
  }

  // One access to the window for the whole run.
  private static func open(
    _ run: inout MutableRawSpan, segmentSize: Int, of index: UInt32, with key: borrowing OpeningKey,
    _ replay: inout ReplayWindow,
    writing plaintexts: inout [Range<Int>], counting drops: inout ReasonCounters<DropReason>
  ) -> Opened {
    var opened = Opened()
    while opened.end < run.byteCount {
      let start = opened.end
      let end = min(start + segmentSize, run.byteCount)
      var packet = run._mutatingExtracting(start..<end)
      guard isData(packet.bytes), packet.bytes.uint32(at: 4) == index else { break }
      do throws(DropReason) {
        if try open(&packet, with: key, &replay) { opened.isNewest = true }
        opened.packets += 1
        opened.bytes += end - start
        if end - start > WireGuard.transportOverhead {
          plaintexts.append(start + WireGuard.transportHeaderSize..<end - WireGuard.tagSize)
        }
      } catch { drops.count(error) }
      opened.end = end
    }
    return opened
  }

  /// Opens one packet in place.
  /// - Returns: whether its counter is the highest so far.
  func open(_ packet: inout MutableRawSpan) throws(DropReason) -> Bool {
    try Self.open(&packet, with: opening, &replay)
  }

  /// A packet is checked, authenticated and only then entered into the window, so that a forged counter moves nothing.
  private static func open(
    _ packet: inout MutableRawSpan, with key: borrowing OpeningKey, _ replay: inout ReplayWindow
  ) throws(DropReason) -> Bool {
    let counter = packet.bytes.uint64(at: 8)
    switch replay.check(counter) {
    case .fresh: break
    case .replayed: throw .replayed
    case .tooOld: throw .tooOld
    case .exhausted: throw .expired
    }
    let size = packet.byteCount
    do throws(CryptoError) {
      var body = packet._mutatingExtracting(WireGuard.transportHeaderSize..<size)
      try key.open(&body, counter: counter)
    } catch { throw .forged }
    _ = replay.commit(counter)
    return counter == replay.highest
  }
}
