/// The streams of a connection by their number, and what each side may open.
struct StreamTable {
  private var streams: [UInt64: Stream] = [:]
  /// The stream asked for last: packets of a bulk transfer all ask for the same.
  private var recent: Stream?
  private var recentID = UInt64.max

  /// Whether the streams that this side opens are odd.
  let opensOdd: Bool
  /// How many streams of one kind there are, and may be.
  struct Quota {
    /// Streams that this side has opened.
    var opened: UInt64 = 0
    /// Streams that this side may open in all.
    var mayOpen: UInt64
    /// Streams that the peer has opened.
    var peerOpened: UInt64 = 0
    /// Streams that the peer may open in all.
    var peerMayOpen: UInt64
    /// Streams of the peer that have ended.
    var peerEnded: UInt64 = 0
    /// Streams of the peer that may be open at once.
    let window: UInt64

    init(mayOpen: UInt64, window: UInt64) {
      self.mayOpen = mayOpen
      peerMayOpen = window
      self.window = window
    }

    /// Whether enough streams of the peer have ended for it to be told that it may open more.
    var isWorthTelling: Bool { peerEnded + window - peerMayOpen >= max(window / 4, 1) }
  }

  private var bidirectional: Quota
  private var oneWay: Quota

  init(opensOdd: Bool, local: ConnectionLimits, peer: ConnectionLimits) {
    self.opensOdd = opensOdd
    bidirectional = Quota(mayOpen: peer.streams, window: local.streams)
    oneWay = Quota(mayOpen: peer.oneWayStreams, window: local.oneWayStreams)
  }

  subscript(isOneWay isOneWay: Bool) -> Quota {
    get { isOneWay ? oneWay : bidirectional }
    _modify { if isOneWay { yield &oneWay } else { yield &bidirectional } }
  }

  var count: Int { streams.count }

  mutating func find(_ id: UInt64) -> Stream? {
    if id == recentID { return recent }
    let found = streams[id]
    if let found {
      recent = found
      recentID = id
    }
    return found
  }

  mutating func add(_ stream: Stream) { streams[stream.id.rawValue] = stream }

  mutating func remove(_ stream: Stream) {
    streams[stream.id.rawValue] = nil
    if recentID == stream.id.rawValue {
      recent = nil
      recentID = .max
    }
  }

  /// All streams, by ascending number: an order that is the same in every process.
  var all: [Stream] { streams.keys.sorted().map { streams[$0]! } }
}
