/// What a message is in its transaction (RFC 8489 §5).
@frozen
public enum MessageClass: UInt8, Sendable {
  case request = 0b00
  case indication = 0b01
  case success = 0b10
  case error = 0b11
}

/// What a message is about: 12 bits. Binding is STUN's own; the others are of TURN (RFC 8656 §17, RFC 6062).
@frozen
public struct MessageMethod: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  /// - Precondition: `rawValue` is below 4096.
  @inlinable public init(rawValue: UInt16) {
    precondition(rawValue < 0x1000, "a method has 12 bits")
    self.rawValue = rawValue
  }

  @inlinable init(unchecked rawValue: UInt16) { self.rawValue = rawValue }

  @inlinable public static var binding: MessageMethod { MessageMethod(unchecked: 0x001) }
  @inlinable public static var allocate: MessageMethod { MessageMethod(unchecked: 0x003) }
  @inlinable public static var refresh: MessageMethod { MessageMethod(unchecked: 0x004) }
  @inlinable public static var send: MessageMethod { MessageMethod(unchecked: 0x006) }
  @inlinable public static var data: MessageMethod { MessageMethod(unchecked: 0x007) }
  @inlinable public static var createPermission: MessageMethod { MessageMethod(unchecked: 0x008) }
  @inlinable public static var channelBind: MessageMethod { MessageMethod(unchecked: 0x009) }
}

/// The first two bytes of a message: the class's two bits between the method's twelve (RFC 8489 figure 3).
///
///     0 1 2 3 4 5 6 7 8 9 A B C D E F
///     0 0 M M M M M C M M M C M M M M
@frozen @usableFromInline
struct MessageType {
  @usableFromInline let bits: UInt16

  @inlinable init(bits: UInt16) { self.bits = bits }

  @inlinable init(_ messageClass: MessageClass, _ method: MessageMethod) {
    let (method, kind) = (method.rawValue, UInt16(messageClass.rawValue))
    bits = (method & 0xF80) << 2 | (method & 0x070) << 1 | method & 0x00F | (kind & 2) << 7 | (kind & 1) << 4
  }

  @inlinable var messageClass: MessageClass {
    switch (bits & 0x100 != 0, bits & 0x010 != 0) {
    case (false, false): .request
    case (false, true): .indication
    case (true, false): .success
    case (true, true): .error
    }
  }

  @inlinable var method: MessageMethod {
    MessageMethod(unchecked: (bits & 0x3E00) >> 2 | (bits & 0x00E0) >> 1 | bits & 0x000F)
  }
}
