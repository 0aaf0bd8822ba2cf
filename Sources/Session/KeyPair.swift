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

  /// Opens a packet in place. It is checked, authenticated and only then entered into the window, so that a forged counter
  /// moves nothing.
  /// - Returns: whether its counter is the highest so far.
  func open(_ packet: inout MutableRawSpan) throws(DropReason) -> Bool {
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
      try opening.open(&body, counter: counter)
    } catch { throw .forged }
    _ = replay.commit(counter)
    return counter == replay.highest
  }
}
