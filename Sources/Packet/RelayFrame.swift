public import MeshPrimitives

/// One end-to-end WireGuard packet on its way over a relay.
///
/// A relay rewrites label and ECN where they lie: ``PacketWriter/patchRelay(_:label:ecn:in:)``.
@frozen
public struct RelayFrame: Equatable, Sendable {
  /// The route on this link; never 0.
  public var label: UInt32 = 0
  /// Where the four bytes of the label lie.
  public var labelOffset = 0
  public var ecn = ECN.notECT
  /// Where the byte of the codepoint lies; `nil` when it is absent (``ECN/notECT``).
  public var ecnOffset: Int?
  /// A WireGuard packet of type 1 to 4 (its content is not checked here).
  public var packet: Range<Int> = 0..<0

  @inlinable public init() {}
}
