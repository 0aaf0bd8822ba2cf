/// What a frame carries beside the compressed bytes (RFC 8878 §3.1.1). Both ends must agree on whether there is a magic
/// number; a decompressor reads all else from the frame.
public struct FrameOptions: Equatable, Sendable {
  /// Four bytes that tell a zstd frame. Without them nobody but who knows can read it: the `zstd` tool does not.
  public var magic: Bool
  /// The size of the content, where it is known beforehand: at most 8 bytes.
  public var contentSize: Bool
  /// Four bytes of XXH64 at the end. What travels inside an authenticated packet needs none.
  public var checksum: Bool
  /// zstd's id of the dictionary: at most 4 bytes.
  public var dictionaryID: Bool

  public init(magic: Bool, contentSize: Bool, checksum: Bool, dictionaryID: Bool) {
    self.magic = magic
    self.contentSize = contentSize
    self.checksum = checksum
    self.dictionaryID = dictionaryID
  }

  /// Nothing that the receiver knows anyhow: two bytes of header, three per block.
  public static let compact = FrameOptions(magic: false, contentSize: false, checksum: false, dictionaryID: false)

  /// What the `zstd` tool writes.
  public static let standard = FrameOptions(magic: true, contentSize: true, checksum: true, dictionaryID: true)
}
