import MeshICE
import MeshPrimitives
import MeshSimulation
import Testing

func endpoint(_ text: String) -> SocketAddress { SocketAddress(text)! }

@Suite("Candidates") struct CandidateTests {
  @Test func `priorities are those of the formula`() {
    // RFC 8445 §5.1.2.1: 2^24 · type + 2^8 · local + (256 − component).
    #expect(Candidate.priority(kind: .host, localPreference: 65_535, component: 1) == 2_130_706_431)
    #expect(Candidate.priority(kind: .serverReflexive, localPreference: 65_535, component: 1) == 1_694_498_815)
    #expect(Candidate.priority(kind: .peerReflexive, localPreference: 65_535, component: 2) == 1_862_270_974)
    #expect(Candidate.priority(kind: .relayed, localPreference: 65_535, component: 256) == 16_776_960)
  }

  static let lines: [(String, Candidate)] = [
    (
      "candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host",
      Candidate(
        foundation: "1", priority: 2_130_706_431, address: endpoint("203.0.113.141:8998"), kind: .host)
    ),
    (
      "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
      Candidate(
        foundation: "2", priority: 1_694_498_815, address: endpoint("192.0.2.3:45664"), kind: .serverReflexive,
        related: endpoint("203.0.113.141:8998"))
    ),
    (
      "candidate:H+/9 2 UDP 1 2001:db8::1 0 typ relay",
      Candidate(foundation: "H+/9", component: 2, priority: 1, address: endpoint("[2001:db8::1]:0"), kind: .relayed)
    ),
  ]

  @Test(arguments: lines) func `a line is read and written as it was`(line: String, candidate: Candidate) throws {
    #expect(try Candidate(parsing: line) == candidate)
    #expect(candidate.description == line)
    #expect(try Candidate(parsing: "a=" + line + "\r\n") == candidate)
    #expect(try Candidate(parsing: line.dropFirst("candidate:".count)) == candidate)
  }

  @Test func `what others write is read`() throws {
    let theirs = [
      "candidate:842163049 1 udp 1677729535 198.51.100.7 50000 typ srflx raddr 0.0.0.0 rport 9 generation 0 ufrag EsAw network-cost 999",
      "6815297761 1 udp 659136 198.51.100.7 31102 typ host generation 0 ufrag b7l3",
      "candidate:1 1 udp 2 ::ffff:192.0.2.1 7 typ prflx raddr 10.0.0.1 rport 8",
    ]
    let read = try theirs.map { try Candidate(parsing: $0) }
    #expect(read.map(\.kind) == [.serverReflexive, .host, .peerReflexive])
    #expect(read[0].related == endpoint("0.0.0.0:9"))
    #expect(read[2].address == endpoint("192.0.2.1:7"))
  }

  static let malformed: [(String, CandidateError)] = [
    ("", .malformed(.foundation)),
    ("candidate:", .malformed(.foundation)),
    ("candidate:1", .missing(.component)),
    ("candidate:a-b 1 UDP 1 192.0.2.1 1 typ host", .malformed(.foundation)),
    ("candidate:\(String(repeating: "a", count: 33)) 1 UDP 1 192.0.2.1 1 typ host", .malformed(.foundation)),
    ("candidate:1 0 UDP 1 192.0.2.1 1 typ host", .malformed(.component)),
    ("candidate:1 257 UDP 1 192.0.2.1 1 typ host", .malformed(.component)),
    ("candidate:1 +1 UDP 1 192.0.2.1 1 typ host", .malformed(.component)),
    ("candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype active", .unsupportedTransport),
    ("candidate:1 1 UDP 0 192.0.2.1 1 typ host", .malformed(.priority)),
    ("candidate:1 1 UDP 2147483648 192.0.2.1 1 typ host", .malformed(.priority)),
    ("candidate:1 1 UDP 99999999999 192.0.2.1 1 typ host", .malformed(.priority)),
    ("candidate:1 1 UDP 1 192.0.2.256 1 typ host", .malformed(.address)),
    ("candidate:1 1 UDP 1 fe80::1%eth0 1 typ host", .malformed(.address)),
    ("candidate:1 1 UDP 1 5a9e.local 1 typ host", .hostName),
    ("candidate:1 1 UDP 1 192.0.2.1 65536 typ host", .malformed(.port)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 type host", .malformed(.type)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ", .missing(.type)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ HOST", .unsupportedType),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr", .missing(.relatedAddress)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr x.local rport 1", .malformed(.relatedAddress)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ srflx rport 1", .malformed(.relatedPort)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr 10.0.0.1 rport -1", .malformed(.relatedPort)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ host generation", .missing(.extension)),
    ("candidate:1  1 UDP 1 192.0.2.1 1 typ host", .malformed(.component)),
    ("candidate:1 1 UDP 1 192.0.2.1 1 typ host ", .malformed(.extension)),
    (String(repeating: "x", count: 513), .tooLong(513)),
  ]

  @Test(arguments: malformed) func `a malformed line is refused with its cause`(line: String, error: CandidateError) {
    #expect(throws: error) { try Candidate(parsing: line) }
  }

  @Test func `every line with one byte changed is read or refused, and never traps`() {
    for (line, _) in Self.lines {
      for index in line.utf8.indices.map({ line.utf8.distance(from: line.utf8.startIndex, to: $0) }) {
        for byte in UInt8.min...UInt8.max {
          var bytes = Array(line.utf8)
          bytes[index] = byte
          if let read = try? Candidate(parsing: String(decoding: bytes, as: UTF8.self)) {
            #expect(try! Candidate(parsing: read.description) == read)
          }
        }
      }
    }
  }

  @Test func `names and passwords are of their form`() {
    var entropy = SeededEntropy(seed: 1)
    let fresh = ICECredentials(random: &entropy)
    #expect(ICECredentials(ufrag: fresh.ufrag, password: fresh.password) != nil)
    #expect(ICECredentials(random: &entropy).ufrag != fresh.ufrag)
    let password = String(repeating: "p", count: 22)
    #expect(ICECredentials(ufrag: "abc", password: password) == nil)
    #expect(ICECredentials(ufrag: "ab:c", password: password) == nil)
    #expect(ICECredentials(ufrag: "abcd", password: String(password.dropLast())) == nil)
    #expect(ICECredentials(ufrag: "abcd", password: password + "-") == nil)
    #expect(ICECredentials(ufrag: String(repeating: "u", count: 257), password: password) == nil)
  }
}

@Suite("Local preferences") struct LocalPreferenceTests {
  private func order(_ families: [IPAddress.Family]) -> [IPAddress.Family] {
    let addresses = families.enumerated().map { index, family in
      family == .v4 ? IPAddress(v4: UInt32(index)) : IPAddress(v6High: 1, low: UInt64(index))
    }
    let preferences = LocalPreference.assign(addresses)
    #expect(Set(preferences).count == preferences.count)
    return addresses.indices.sorted { preferences[$0] > preferences[$1] }.map { families[$0] }
  }

  @Test func `one address has the greatest preference`() {
    #expect(LocalPreference.assign([IPAddress("192.0.2.1")!]) == [65_535])
    #expect(LocalPreference.assign([]) == [])
  }

  @Test func `the families take turns in the proportion of their numbers`() {
    // RFC 8421 §4: of two IPv4 and six IPv6 addresses, an IPv4 one follows each three IPv6 ones.
    #expect(
      order([.v6, .v6, .v6, .v6, .v6, .v6, .v4, .v4]) == [.v6, .v6, .v6, .v4, .v6, .v6, .v6, .v4])
    #expect(order([.v6, .v4]) == [.v6, .v4])
    #expect(order([.v4, .v6, .v6]) == [.v4, .v6, .v6])
    #expect(order([.v6, .v4, .v4, .v4]) == [.v6, .v4, .v4, .v4])
  }
}
