/// The streams of a connection by their number, and what each side may open.
struct StreamTable {
  private var streams: [UInt64: Stream] = [:]
  /// The stream asked for last: packets of a bulk transfer all ask for the same.
  private var recent: Stream?
  private var recentID = UInt64.max

  /// Whether the streams that this side opens are odd.
  let opensOdd: Bool
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

  init(opensOdd: Bool, mayOpen: UInt64, peerMayOpen: UInt64) {
    self.opensOdd = opensOdd
    self.mayOpen = mayOpen
    self.peerMayOpen = peerMayOpen
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
