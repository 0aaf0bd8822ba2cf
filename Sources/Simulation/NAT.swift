public import MeshPrimitives

/// A network address translator for UDP by RFC 4787: it says what becomes of a packet, and moves no bytes.
///
/// ```swift
/// var nat = NAT(.portRestricted, external: [IPAddress("203.0.113.1")!], seed: 1)
/// switch nat.outbound(source: inside, destination: server, now: now) {
/// case .forwarded(let source, let destination): …   // to the outside
/// case .hairpinned(let source, let destination): …  // back to the inside
/// case .dropped(let reason): …
/// }
/// ```
///
/// Mappings and filters expire when they are looked at: there is nothing to be called when time passes. All chance comes
/// from the seed. NATs are stacked by giving what one forwards to the next; ``NATNetwork`` does that.
public struct NAT: Sendable {
  public enum Outcome: Equatable, Sendable {
    /// To the other side, with these endpoints.
    case forwarded(source: SocketAddress, destination: SocketAddress)
    /// From inside back to the inside, with these endpoints.
    case hairpinned(source: SocketAddress, destination: SocketAddress)
    case dropped(DropReason)
  }

  /// Why a packet did not pass.
  public enum DropReason: UInt8, CaseIterable, Error, Sendable {
    /// UDP does not pass at all.
    case blocked
    /// From outside, to an endpoint that nothing inside is mapped to.
    case noMapping
    /// From outside, by somebody whom the filter does not let in.
    case filtered
    /// From inside to the NAT's own address outside, and it does not hairpin.
    case noHairpin
    /// ``NATBehaviour/maximumMappings`` are in use.
    case tableFull
    /// All ports outside are in use.
    case noPort
  }

  private struct Key: Hashable, Sendable {
    let inside: SocketAddress
    let remote: SocketAddress?
  }

  private struct Filter: Sendable {
    let remote: SocketAddress
    var expiry: Instant
  }

  private struct Mapping: Sendable {
    let key: Key
    let outside: SocketAddress
    var expiry: Instant
    /// Oldest first.
    var filters: [Filter] = []
  }

  /// Holds from the next packet on.
  public var behaviour: NATBehaviour
  /// The addresses outside; none when it does not translate.
  public let external: [IPAddress]
  /// Packets that did not pass, by reason.
  public private(set) var drops = ReasonCounters<DropReason>()

  private var entropy: SeededEntropy
  private var slots: [Mapping?] = []
  private var free: [Int] = []
  private var byKey: [Key: Int] = [:]
  private var byOutside: [SocketAddress: Int] = [:]
  /// Which address outside each address inside has, where that is paired.
  private var pairs: [IPAddress: Int] = [:]
  private var lastPort: UInt16

  /// - Parameter external: the addresses outside, one at least when `behaviour` translates.
  public init(_ behaviour: NATBehaviour, external: [IPAddress], seed: UInt64) {
    precondition(!behaviour.translates || !external.isEmpty, "a NAT that translates has an address outside")
    self.behaviour = behaviour
    self.external = external
    entropy = SeededEntropy(seed: seed)
    lastPort = UInt16(truncatingIfNeeded: 20_000 + entropy.upTo(20_000))
  }

  /// Mappings that live at `now`.
  public func mappings(now: Instant) -> Int { slots.count { $0.map { now < $0.expiry } ?? false } }

  /// What becomes of a packet from inside.
  public mutating func outbound(source: SocketAddress, destination: SocketAddress, now: Instant) -> Outcome {
    guard behaviour.passesUDP else { return drop(.blocked) }
    let key = Key(inside: source, remote: scope(destination, behaviour.mapping))
    let slot: Int
    if let known = live(byKey[key], now: now) {
      slot = known
      if behaviour.refreshesOutbound { slots[slot]!.expiry = now + behaviour.timeout }
    } else {
      switch makeMapping(key, now: now) {
      case .success(let made): slot = made
      case .failure(let reason): return drop(reason)
      }
    }
    permit(destination, in: slot, now: now)
    let outside = slots[slot]!.outside
    guard external.contains(destination.address) else {
      return .forwarded(source: outside, destination: destination)
    }
    let hairpinSource: SocketAddress
    switch behaviour.hairpinning {
    case .none: return drop(.noHairpin)
    case .internalSource: hairpinSource = source
    case .externalSource: hairpinSource = outside
    }
    // The filter of the receiver judges the sender by its endpoint outside in any case.
    switch admit(source: outside, destination: destination, now: now) {
    case .success(let inside): return .hairpinned(source: hairpinSource, destination: inside)
    case .failure(let reason): return drop(reason)
    }
  }

  /// What becomes of a packet from outside.
  public mutating func inbound(source: SocketAddress, destination: SocketAddress, now: Instant) -> Outcome {
    guard behaviour.passesUDP else { return drop(.blocked) }
    switch admit(source: source, destination: destination, now: now) {
    case .success(let inside): return .forwarded(source: source, destination: inside)
    case .failure(let reason): return drop(reason)
    }
  }

  private mutating func drop(_ reason: DropReason) -> Outcome {
    drops.count(reason)
    return .dropped(reason)
  }

  private mutating func admit(
    source: SocketAddress, destination: SocketAddress, now: Instant
  ) -> Result<SocketAddress, DropReason> {
    guard let slot = live(byOutside[destination], now: now) else { return .failure(.noMapping) }
    if behaviour.filtering != .endpointIndependent {
      let scoped = scope(source, behaviour.filtering)
      guard
        let index = slots[slot]!.filters.firstIndex(where: {
          scope($0.remote, behaviour.filtering) == scoped && now < $0.expiry
        })
      else { return .failure(.filtered) }
      if behaviour.refreshesInbound { slots[slot]!.filters[index].expiry = now + behaviour.timeout }
    }
    if behaviour.refreshesInbound { slots[slot]!.expiry = now + behaviour.timeout }
    return .success(slots[slot]!.key.inside)
  }

  /// The part of a remote endpoint that counts; `nil`: none of it.
  private func scope(_ remote: SocketAddress, _ dependence: NATBehaviour.Dependence) -> SocketAddress? {
    switch dependence {
    case .endpointIndependent: nil
    case .addressDependent: SocketAddress(remote.address, port: 0)
    case .addressAndPortDependent: remote
    }
  }

  private mutating func permit(_ remote: SocketAddress, in slot: Int, now: Instant) {
    let expiry = now + behaviour.timeout
    if let index = slots[slot]!.filters.firstIndex(where: { $0.remote == remote }) {
      var filter = slots[slot]!.filters.remove(at: index)
      if behaviour.refreshesOutbound || filter.expiry <= now { filter.expiry = expiry }
      slots[slot]!.filters.append(filter)
      return
    }
    slots[slot]!.filters.removeAll { $0.expiry <= now }
    if slots[slot]!.filters.count >= max(behaviour.maximumFilters, 1) { slots[slot]!.filters.removeFirst() }
    slots[slot]!.filters.append(Filter(remote: remote, expiry: expiry))
  }

  // MARK: Mappings

  private mutating func live(_ slot: Int?, now: Instant) -> Int? {
    guard let slot, let mapping = slots[slot] else { return nil }
    guard mapping.expiry <= now else { return slot }
    remove(slot)
    return nil
  }

  private mutating func remove(_ slot: Int) {
    guard let mapping = slots[slot] else { return }
    byKey[mapping.key] = nil
    byOutside[mapping.outside] = nil
    slots[slot] = nil
    free.append(slot)
  }

  private mutating func makeMapping(_ key: Key, now: Instant) -> Result<Int, DropReason> {
    if byKey.count >= behaviour.maximumMappings {
      for slot in slots.indices { _ = live(slot, now: now) }
      guard byKey.count < behaviour.maximumMappings else { return .failure(.tableFull) }
    }
    guard let outside = assign(key.inside, now: now) else { return .failure(.noPort) }
    let mapping = Mapping(key: key, outside: outside, expiry: now + behaviour.timeout)
    let slot: Int
    if let reused = free.popLast() {
      slot = reused
      slots[slot] = mapping
    } else {
      slot = slots.count
      slots.append(mapping)
    }
    byKey[key] = slot
    byOutside[outside] = slot
    return .success(slot)
  }

  private mutating func assign(_ inside: SocketAddress, now: Instant) -> SocketAddress? {
    // A mapping that depends on the remote endpoint is, without translation, one of several of the same outside.
    guard behaviour.translates else { return live(byOutside[inside], now: now) == nil ? inside : nil }
    let address = pool(inside.address)
    let step: UInt16 = behaviour.preservesParity ? 2 : 1
    let parity = inside.port & 1
    var port: UInt16
    switch behaviour.portAssignment {
    case .preserving:
      let same = SocketAddress(address, port: inside.port)
      if live(byOutside[same], now: now) == nil { return same }
      port = inside.port
    case .sequential: port = lastPort
    case .random: port = UInt16(truncatingIfNeeded: 1024 + entropy.upTo(64_511)) &- step
    }
    if behaviour.preservesParity && port & 1 != parity { port &-= 1 }
    // 1,024 to 65,535, round and round.
    for _ in 0..<65_536 / Int(step) {
      port &+= step
      if port < 1024 { port = 1024 + (behaviour.preservesParity ? parity : 0) }
      let outside = SocketAddress(address, port: port)
      if live(byOutside[outside], now: now) == nil {
        lastPort = port
        return outside
      }
    }
    return nil
  }

  private mutating func pool(_ inside: IPAddress) -> IPAddress {
    guard external.count > 1 else { return external[0] }
    switch behaviour.pooling {
    case .arbitrary: return external[Int(entropy.upTo(Int64(external.count - 1)))]
    case .paired:
      if let index = pairs[inside] { return external[index] }
      let index = pairs.count % external.count
      pairs[inside] = index
      return external[index]
    }
  }
}
