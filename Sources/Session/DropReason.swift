/// Why an inbound packet was dropped. Nothing that a stranger sends changes state; it is counted here.
public enum DropReason: UInt8, CaseIterable, Error, Sendable {
  /// The first four bytes are none of `01..04 00 00 00`.
  case unknownType
  /// Not 148, 92 or 64 bytes for types 1 to 3, or below 32 for type 4.
  case wrongLength
  /// No session has the receiver index.
  case unknownReceiver
  /// MAC1 does not verify: whoever sent this does not know our public key.
  case invalidMAC1
  /// Under load and without a valid MAC2: answered with a cookie reply.
  case cookieRequired
  /// Under load, and the source prefix has used up its rate of handshakes.
  case rateLimited
  /// The queue of handshake messages was full: this one, or one that had to make room for another source's.
  case handshakeQueueFull
  /// An AEAD tag does not verify.
  case forged
  /// The static key of an initiation is not a listed peer and the policy takes no strangers.
  case unknownPeer
  /// The table of strangers or of peers is full.
  case tableFull
  /// The timestamp of an initiation is not newer than the last accepted one.
  case replayedTimestamp
  /// Less than 20 ms after the last accepted initiation of this peer.
  case initiationFlood
  /// A response or cookie reply to a handshake that is not under way.
  case noHandshake
  /// The counter was received before.
  case replayed
  /// The counter is older than the replay window.
  case tooOld
  /// The key pair is older than REJECT_AFTER_TIME, or the counter at or above REJECT_AFTER_MESSAGES.
  case expired
}
