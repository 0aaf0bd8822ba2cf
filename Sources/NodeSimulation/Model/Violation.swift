internal import MeshPrimitives

/// What a node did that it must not do. It ends the run.
public struct Violation: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: String, CaseIterable, Sendable {
    /// Bytes of a stream that were never sent, are not in order, or came twice.
    case wrongBytes
    /// A stream ended before its end, or after it.
    case wrongEnd
    /// Something that came was never sent, or came to somebody else.
    case misdelivered
    /// Nothing moves although nothing is in the way.
    case stalled
    /// A connection ended although a way between its ends was open.
    case vanished
    /// A deadline that stays in the past.
    case spinning
    /// More memory, or more entries of a table, than the cap.
    case overCap
    /// More bytes to an address that has proved nothing than three times what came from there.
    case amplification
    /// Something that cannot happen, seen from outside.
    case impossible
  }

  public let kind: Kind
  public let seed: UInt64
  /// Since the start of the run.
  public let time: Duration
  public let host: Int
  public let text: String
  /// The last packets of the host as a Mermaid sequence diagram.
  public let diagram: String

  public var description: String {
    let seconds = Double(time.wholeNanoseconds) / 1e9
    return "seed \(seed), \(seconds) s, host \(host): \(kind.rawValue): \(text)"
  }
}
