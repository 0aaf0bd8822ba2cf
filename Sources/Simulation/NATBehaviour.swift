/// How a ``NAT`` behaves, in the words of RFC 4787. The default is what its requirements ask for, with
/// port-dependent filtering.
public struct NATBehaviour: Sendable, Equatable {
  /// What a mapping (§4.1) or a filter (§5) depends on besides the endpoint inside.
  public enum Dependence: Sendable, CaseIterable {
    case endpointIndependent, addressDependent, addressAndPortDependent
  }

  /// How the port outside is chosen (§4.2.1).
  public enum PortAssignment: Sendable, CaseIterable {
    /// The port of the inside where it is free, else the next free one above it.
    case preserving
    /// The next free one after the last that was given.
    case sequential
    case random
  }

  /// Which address outside an endpoint inside gets, where there are several (§4.1).
  public enum Pooling: Sendable, CaseIterable {
    /// All endpoints of one address inside get the same.
    case paired
    /// Any.
    case arbitrary
  }

  /// What becomes of a packet from inside to an address outside that is the NAT's own (§6).
  public enum Hairpinning: Sendable, CaseIterable {
    /// It is dropped.
    case none
    /// It arrives with the sender's endpoint inside as its source.
    case internalSource
    /// It arrives with the sender's endpoint outside as its source, as REQ-9 asks for.
    case externalSource
  }

  public var mapping = Dependence.endpointIndependent
  public var filtering = Dependence.addressAndPortDependent
  public var portAssignment = PortAssignment.preserving
  /// Whether an even port gets an even one, and an odd one an odd (§4.2.2).
  public var preservesParity = false
  public var pooling = Pooling.paired
  public var hairpinning = Hairpinning.none
  /// How long a mapping, and what a filter lets in, lives without a refresh (§4.3). REQ-5 asks for 120 s at least.
  public var timeout = Duration.seconds(300)
  /// Whether packets from inside refresh the mapping; REQ-6 says so.
  public var refreshesOutbound = true
  /// Whether packets from outside, where they are let in, refresh it too.
  public var refreshesInbound = false
  /// Whether addresses change at all; without it this is a firewall that filters.
  public var translates = true
  /// Whether UDP passes at all.
  public var passesUDP = true
  /// Mappings at one time; further ones are not made until one has expired.
  public var maximumMappings = 4096
  /// Remote endpoints that a mapping lets in at one time; a further one takes the place of the oldest.
  public var maximumFilters = 256

  public init() {}

  /// Endpoint-independent mapping and filtering, with hairpin.
  public static var fullCone: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.filtering = .endpointIndependent
    behaviour.hairpinning = .externalSource
    return behaviour
  }

  /// Endpoint-independent mapping, address-dependent filtering.
  public static var addressRestricted: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.filtering = .addressDependent
    return behaviour
  }

  /// Endpoint-independent mapping, address and port-dependent filtering.
  public static var portRestricted: NATBehaviour { NATBehaviour() }

  /// Address and port-dependent mapping and filtering, with random ports.
  public static var symmetric: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.mapping = .addressAndPortDependent
    behaviour.portAssignment = .random
    return behaviour
  }

  /// Port-restricted, and mappings live for 10 s only.
  public static var shortTimeouts: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.timeout = .seconds(10)
    return behaviour
  }

  /// UDP does not pass.
  public static var blocked: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.passesUDP = false
    return behaviour
  }

  /// Translates nothing, and lets in only whom the inside has sent to.
  public static var firewall: NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.translates = false
    return behaviour
  }
}
