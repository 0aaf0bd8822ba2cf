/// Why a candidate was not taken.
public enum CandidateError: Error, Equatable, Sendable {
  /// A part of a candidate line.
  public enum Field: String, Sendable {
    case foundation, component, transport, priority, address, port, type, relatedAddress, relatedPort, `extension`
  }

  /// The line has more bytes than ``Candidate/maximumLineLength``.
  case tooLong(Int)
  /// The line ends before this part.
  case missing(Field)
  /// This part is not of the form that RFC 8839 §5.1 gives, or out of its range.
  case malformed(Field)
  /// The transport is not UDP.
  case unsupportedTransport
  /// The address is a name, such as those ending in `.local`. Looking it up is I/O.
  case hostName
  /// The type is none of host, srflx, prflx and relay.
  case unsupportedType
  /// The address is unspecified, multicast, broadcast, reserved, that of a metadata service, or its port is 0.
  case forbiddenAddress
  /// The component is not among those that the agent sets up.
  case unknownComponent
  /// As many as the configuration allows are there.
  case tooMany
}
