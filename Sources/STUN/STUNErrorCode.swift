/// The number of an error response: 300 to 699 (RFC 8489 §14.8, §18.4; RFC 8656 §19; RFC 8445 §16.2).
@frozen
public struct STUNErrorCode: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  /// - Precondition: `rawValue` is in 300...699.
  public init(rawValue: UInt16) {
    precondition(rawValue >= 300 && rawValue <= 699, "an error code is in 300...699")
    self.rawValue = rawValue
  }

  public static let tryAlternate = Self(rawValue: 300)
  public static let badRequest = Self(rawValue: 400)
  public static let unauthenticated = Self(rawValue: 401)
  public static let forbidden = Self(rawValue: 403)
  public static let mobilityForbidden = Self(rawValue: 405)
  public static let unknownAttribute = Self(rawValue: 420)
  public static let allocationMismatch = Self(rawValue: 437)
  public static let staleNonce = Self(rawValue: 438)
  public static let addressFamilyNotSupported = Self(rawValue: 440)
  public static let wrongCredentials = Self(rawValue: 441)
  public static let unsupportedTransportProtocol = Self(rawValue: 442)
  public static let peerAddressFamilyMismatch = Self(rawValue: 443)
  public static let connectionAlreadyExists = Self(rawValue: 446)
  public static let connectionTimeoutOrFailure = Self(rawValue: 447)
  public static let allocationQuotaReached = Self(rawValue: 486)
  public static let roleConflict = Self(rawValue: 487)
  public static let serverError = Self(rawValue: 500)
  public static let insufficientCapacity = Self(rawValue: 508)

  /// The phrase that goes with the number on the wire.
  public var reason: String {
    switch self {
    case .tryAlternate: "Try Alternate"
    case .badRequest: "Bad Request"
    case .unauthenticated: "Unauthenticated"
    case .forbidden: "Forbidden"
    case .mobilityForbidden: "Mobility Forbidden"
    case .unknownAttribute: "Unknown Attribute"
    case .allocationMismatch: "Allocation Mismatch"
    case .staleNonce: "Stale Nonce"
    case .addressFamilyNotSupported: "Address Family not Supported"
    case .wrongCredentials: "Wrong Credentials"
    case .unsupportedTransportProtocol: "Unsupported Transport Protocol"
    case .peerAddressFamilyMismatch: "Peer Address Family Mismatch"
    case .connectionAlreadyExists: "Connection Already Exists"
    case .connectionTimeoutOrFailure: "Connection Timeout or Failure"
    case .allocationQuotaReached: "Allocation Quota Reached"
    case .roleConflict: "Role Conflict"
    case .serverError: "Server Error"
    case .insufficientCapacity: "Insufficient Capacity"
    default: "Error"
    }
  }
}

extension STUNErrorCode: CustomStringConvertible {
  public var description: String { "\(rawValue) \(reason)" }
}
