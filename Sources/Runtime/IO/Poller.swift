internal import CMeshLinux
public import MeshPrimitives

/// Waits for descriptors, a deadline or a doorbell, whichever comes first: epoll, of one thread.
@safe
public struct Poller: ~Copyable {
  public struct Interest: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let readable = Interest(rawValue: 1)
    public static let writable = Interest(rawValue: 2)
  }

  public struct Event: Equatable, Sendable {
    /// The one given with the descriptor.
    public let token: UInt64
    public let isReadable: Bool
    public let isWritable: Bool
    /// The descriptor has an error or its other end is gone.
    public let isFailed: Bool
  }

  private static let capacity = 64
  private static let doorbellToken = UInt64.max

  /// Wakes this poller.
  public let doorbell: Doorbell
  private let epoll: Int32
  private let events: UnsafeMutablePointer<cmesh_event>
  /// The events of the last wait, the doorbell's not among them.
  public private(set) var count = 0
  /// What the last wait waited for.
  public private(set) var lastDeadline: Instant?
  /// Whether the doorbell was among what ended the last wait.
  public private(set) var wasRung = false

  /// - Throws: `.system` when descriptors have run out.
  public init() throws(SocketError) {
    let doorbell = try Doorbell()
    let epoll = cmesh_epoll_create()
    guard epoll >= 0 else { throw SocketError(.epoll, epoll) }
    let added = cmesh_epoll_control(epoll, 0, doorbell.descriptor, Self.doorbellToken, 1, 0)
    guard added == 0 else {
      cmesh_close(epoll)
      throw SocketError(.epoll, added)
    }
    self.doorbell = doorbell
    self.epoll = epoll
    unsafe events = .allocate(capacity: Self.capacity)
  }

  deinit {
    cmesh_close(epoll)
    unsafe events.deallocate()
  }

  /// Watches `descriptor`. It is reported for as long as it is ready (level-triggered).
  ///
  /// - Parameter token: Comes back with its events; any but `UInt64.max`.
  public mutating func add(_ descriptor: Int32, token: UInt64, interest: Interest = .readable) throws(SocketError) {
    precondition(token != Self.doorbellToken, "the last token is the doorbell's")
    try control(0, descriptor, token, interest)
  }

  /// Changes what is waited for, such as for room to send.
  public mutating func update(_ descriptor: Int32, token: UInt64, interest: Interest) throws(SocketError) {
    precondition(token != Self.doorbellToken, "the last token is the doorbell's")
    try control(1, descriptor, token, interest)
  }

  /// Forgets `descriptor`; before it is closed.
  public mutating func remove(_ descriptor: Int32) throws(SocketError) { try control(2, descriptor, 0, []) }

  private func control(_ change: Int32, _ fd: Int32, _ token: UInt64, _ interest: Interest) throws(SocketError) {
    let result = cmesh_epoll_control(
      epoll, change, fd, token, interest.contains(.readable) ? 1 : 0, interest.contains(.writable) ? 1 : 0)
    guard result == 0 else { throw SocketError(.epoll, result) }
  }

  /// Waits until a descriptor is ready, the doorbell was rung, or `deadline` of ``MonotonicClock`` has come (`nil`: none).
  /// A deadline in the past does not wait. A signal may end the wait early.
  ///
  /// - Returns: the number of events.
  @discardableResult
  public mutating func wait(until deadline: Instant?) -> Int {
    var timeout: Int64 = -1
    lastDeadline = deadline
    if let deadline, deadline != .distantFuture {
      timeout = max(0, deadline.nanoseconds(since: MonotonicClock.now))
    }
    let ready = unsafe Int(cmesh_epoll_wait(epoll, events, Int32(Self.capacity), timeout))
    count = 0
    wasRung = false
    for index in 0..<max(0, ready) {
      let event = unsafe events[index]
      if event.token == Self.doorbellToken {
        wasRung = true
        doorbell.answer()
      } else {
        unsafe events[count] = event
        count += 1
      }
    }
    return count
  }

  /// An event of the last wait, below ``count``.
  public func event(at index: Int) -> Event {
    precondition((0..<count).contains(index), "the last wait gave fewer events")
    let event = unsafe events[index]
    return Event(
      token: event.token, isReadable: event.readable != 0, isWritable: event.writable != 0,
      isFailed: event.failed != 0)
  }
}

// The storage has one owner, and exclusive access to a value of this type is exclusive access to it.
extension Poller: @unchecked Sendable {}
