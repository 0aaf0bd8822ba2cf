/// Why bytes from the network were refused, or a message could not be sealed.
public enum CryptoError: Error, Equatable, Sendable {
  /// An authentication tag does not match, or there is no room for one. Says no more than that, on purpose.
  case forged
  /// A public key in the message gives the same secret to everybody (RFC 7748 §6.1).
  case lowOrderPoint
  /// The counter has reached `SealingKey.counterLimit`: the key must not be used any more.
  case counterExhausted
}
