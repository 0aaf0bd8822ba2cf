import Foundation
import MeshPacket
import MeshPrimitives
import MeshWire
import Testing

/// The stock compiler as a third reader and writer of the same bytes.
enum Protoc {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized
  static let program: URL? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { URL(filePath: String($0)).appending(path: "protoc") }
    .first { FileManager.default.isExecutableFile(atPath: $0.path()) }

  /// Runs protoc on `input`; `nil` when it fails.
  static func run(_ mode: String, _ input: Data, proto: String, paths: [String] = []) throws -> Data? {
    let directory = FileManager.default.temporaryDirectory.appending(path: "pnet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let (source, target) = (directory.appending(path: "in"), directory.appending(path: "out"))
    try input.write(to: source)
    try Data().write(to: target)
    let process = Process()
    process.executableURL = program
    process.arguments = ["-I", root.appending(path: "proto").path()] + paths.flatMap { ["-I", $0] } + [mode, proto]
    process.standardInput = try FileHandle(forReadingFrom: source)
    process.standardOutput = try FileHandle(forWritingTo: target)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? try Data(contentsOf: target) : nil
  }

  static func decode(_ bytes: [UInt8]) throws -> Data? {
    try run("--decode=pnet.mesh.v1.Packet", Data(bytes), proto: "pnet/mesh/v1/packet.proto")
  }

  static func encode(_ text: Data) throws -> [UInt8]? {
    try run("--encode=pnet.mesh.v1.Packet", text, proto: "pnet/mesh/v1/packet.proto").map { Array($0) }
  }
}

@Suite(
  "Against protoc",
  .enabled(if: Protoc.program != nil, "protoc is not on the PATH: install protobuf-compiler, or run scripts/setup"))
struct ProtocTests {
  @Test func `protoc reads thousands of packets and writes the same bytes`() throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "pnet-batch-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let definition = """
      syntax = "proto3";
      import "pnet/mesh/v1/packet.proto";
      message Batch { repeated pnet.mesh.v1.Packet packets = 1; }
      """
    try Data(definition.utf8).write(to: directory.appending(path: "batch.proto"))
    var random = Xorshift(seed: 77)
    var batch: [UInt8] = []
    for _ in 0..<3000 {
      let packet = randomPacket(&random)
      let bytes = random.oneIn(2) ? writeHot(packet) : try packet.encoded()
      batch.append(0x0A)
      batch += Array(capacity: 10) { (output: inout OutputRawSpan) in Varint.write(UInt64(bytes.count), to: &output) }
      batch += bytes
    }
    let paths = [directory.path()]
    let text = try #require(try Protoc.run("--decode=Batch", Data(batch), proto: "batch.proto", paths: paths))
    #expect(text.count > batch.count)
    let again = try #require(try Protoc.run("--encode=Batch", text, proto: "batch.proto", paths: paths))
    #expect(again == Data(batch))
  }

  @Test func `a packet in text is what it says`() throws {
    let text = """
      number: 7
      ack { largest: 12 delay: 300 ranges: 3 ranges: 2 ranges: 2 ect0: 1 }
      streams { id: 4 fin: true service: "echo" data: "hi" }
      relay { label: 2864434397 ecn: 1 packet: "\\001\\002" }
      hello { incarnation: 1 frames: 1 frames: 300 limits { max_data: 9 } software: "pnet" relays: true }
      close { code: 3 field: 29 }
      candidates { candidates { kind: CANDIDATE_KIND_RELAYED address { ip: "\\300\\000\\002\\001" port: 5 } } }
      """
    let bytes = try #require(try Protoc.encode(Data(text.utf8)))
    let packet = try Wire.Packet(decoding: bytes.bytes)
    #expect(packet.number == 7)
    #expect(packet.ack?.acknowledged == [9...12, 3...5])
    #expect(packet.streams.first?.service == "echo")
    #expect(packet.streams.first?.data == Array("hi".utf8))
    #expect(packet.relay?.label == 0xAABB_CCDD)
    #expect(packet.relay?.ecn == .ect1)
    #expect(packet.hello?.frames == [1, 300])
    #expect(packet.hello?.limits.maxData == 9)
    #expect(packet.close?.code == .unsupported)
    #expect(packet.candidates?.candidates.first?.kind == .relayed)
    #expect(packet.candidates?.candidates.first?.address == SocketAddress("192.0.2.1:5"))
    #expect(try readHot(bytes) == packet)
  }

  @Test func `protoc reads another encoding of a packet as the same packet`() throws {
    var random = Xorshift(seed: 78)
    var scrambler = Scrambler(random: Xorshift(seed: 79))
    for _ in 0..<40 {
      let canonical = try randomPacket(&random).encoded()
      let text = try #require(try Protoc.decode(scrambler.scramble(canonical)))
      #expect(try Protoc.encode(text) == canonical)
    }
  }

  @Test func `what protoc refuses is refused here, and what is accepted here it reads as the same packet`() throws {
    var random = Xorshift(seed: 80)
    var (refused, same) = (0, 0)
    for _ in 0..<120 {
      var packet = randomPacket(&random)
      if random.oneIn(2) { packet.hello = nil }
      var bytes = try packet.encoded()
      guard bytes.count > 1 else { continue }
      for _ in 0...random.below(2) {
        let index = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[index] ^= 1 << UInt8(random.below(8))
        case 1: bytes[index] = UInt8(random.below(256))
        case 2: bytes.insert(UInt8(random.below(256)), at: index)
        default: bytes.remove(at: index)
        }
      }
      let ours = try? Wire.Packet(decoding: bytes.bytes)
      guard let text = try Protoc.decode(bytes) else {
        #expect(ours == nil, "\(bytes)")
        refused += 1
        continue
      }
      // Our reading skips unknown hints, which protoc prints by number and does not read back; and it checks values.
      guard var ours, let theirs = try Protoc.encode(text) else { continue }
      // Padding need not be zeros to be read.
      var canonical = try Wire.Packet(decoding: theirs.bytes)
      (ours.padding, canonical.padding) = (0, 0)
      #expect(ours == canonical, "\(bytes)")
      same += 1
    }
    #expect(refused > 10 && same > 10)
  }
}
