public import MeshPrimitives

/// The part of a candidate's priority that its own end chooses (RFC 8445 §5.1.2.1), for hosts with several addresses.
public enum LocalPreference {
  /// Preferences for addresses that are given most preferred first: IPv6 and IPv4 take turns, so that a family that does
  /// not work delays the other little (RFC 8421 §4).
  ///
  /// The family of the first address is the preferred one. With P of the preferred and O of the other family, one of the
  /// other comes after each (P + O) / O − 1 of the preferred. A host with one address gives it 65,535.
  /// - Returns: for each address its preference, in the order given.
  public static func assign(_ addresses: [IPAddress]) -> [UInt16] {
    guard let first = addresses.first else { return [] }
    var preferred = addresses.indices.filter { addresses[$0].family == first.family }[...]
    var other = addresses.indices.filter { addresses[$0].family != first.family }[...]
    let headStart = other.isEmpty ? Int.max : max((preferred.count + other.count) / other.count - 1, 1)
    var preferences = [UInt16](repeating: 0, count: addresses.count)
    var next = UInt16.max
    var run = 0
    while !preferred.isEmpty || !other.isEmpty {
      let index: Int
      if preferred.isEmpty || run == headStart && !other.isEmpty {
        index = other.removeFirst()
        run = 0
      } else {
        index = preferred.removeFirst()
        run += 1
      }
      preferences[index] = next
      if next > 0 { next -= 1 }
    }
    return preferences
  }
}
