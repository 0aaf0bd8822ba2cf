/// A secret key in base64 on its way from a file to the node: never printed.
public struct SecretBase64: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
  public let base64: String

  public init(_ base64: String) { self.base64 = base64 }

  public var description: String { "(hidden)" }
  public var debugDescription: String { "(hidden)" }
}
