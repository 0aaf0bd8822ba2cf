import MeshPrimitives
import MeshTraversal
import Testing

// As in docs/layers.md.
private func askMyself() async throws -> NetReport {
  var configuration = STUNService.Configuration()
  configuration.port = 0  // any free one
  configuration.addresses = [IPAddress("127.0.0.1")!]
  let service = try STUNService(configuration)
  let check = NetCheck(servers: [NetCheck.Server("mine", service.addresses)])
  let report = try await check.run()
  await service.close()
  return report  // .udp, .ipv4?.isTranslated, .mapping, .filtering, .hairpins
}

@Suite("Example") struct ExampleTests {
  @Test func `the example of docs/layers.md finds no NAT on loopback`() async throws {
    let report = try await askMyself()
    #expect(report.udp == true && report.ipv4?.isTranslated == false)
  }
}
