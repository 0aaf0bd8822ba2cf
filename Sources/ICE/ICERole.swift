/// Which end decides on the pair (RFC 8445 §6.1.1).
public enum ICERole: UInt8, Sendable {
  case controlling, controlled

  var opposite: ICERole { self == .controlling ? .controlled : .controlling }
}
