import MeshPrimitives
import MeshRouting
import Testing

@Suite("Path selection") struct PathSelectorTests {
  private func path(_ milliseconds: Int?, hops: Int = 0, v6: Bool = false, answers: Bool = true) -> PathEstimate {
    PathEstimate(
      roundTrip: milliseconds.map { .milliseconds($0) }, hops: hops, family: v6 ? .v6 : .v4, isAnswering: answers)
  }

  @Test func `what answers goes before what does not, however near`() {
    #expect(PathSelector.choose(among: [path(1, answers: false), path(300, hops: 3)], current: 0) == 1)
  }

  @Test func `a clearly shorter round trip wins, a little shorter one does not`() {
    #expect(PathSelector.choose(among: [path(50), path(30)], current: 0) == 1)
    #expect(PathSelector.choose(among: [path(50), path(46)], current: 0) == 0)
    #expect(PathSelector.choose(among: [path(300), path(280)], current: 0) == 0)
  }

  @Test func `among equals, direct goes before relayed, and IPv6 before IPv4`() {
    #expect(PathSelector.choose(among: [path(50, hops: 1), path(52)], current: 0) == 1)
    #expect(PathSelector.choose(among: [path(50), path(52, v6: true)], current: 0) == 1)
    #expect(PathSelector.choose(among: [path(nil, hops: 2), path(nil, hops: 1)], current: 0) == 1)
  }

  @Test func `two paths alike do not take turns`() {
    let paths = [path(50), path(50), path(49)]
    for current in paths.indices { #expect(PathSelector.choose(among: paths, current: current) == current) }
  }
}
