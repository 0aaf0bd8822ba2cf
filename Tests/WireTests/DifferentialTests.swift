import MeshPacket
import MeshPrimitives
import MeshWire
import Testing

@Suite("Two codecs, one format") struct DifferentialTests {
  @Test(arguments: 1...8 * soakFactor) func `both write the same bytes, and both read them`(seed: UInt64) throws {
    var random = Xorshift(seed: seed)
    for _ in 0..<500 {
      var packet = randomPacket(&random)
      let bytes = try packet.encoded()
      #expect(writeHot(packet) == bytes, "seed \(seed)")
      #expect(try Wire.Packet(decoding: bytes.bytes) == packet, "seed \(seed)")
      packet.padding = 0
      #expect(try readHot(bytes) == packet, "seed \(seed)")
    }
  }

  @Test(arguments: 1...8 * soakFactor) func `another encoding of a packet is the same packet`(seed: UInt64) throws {
    var random = Xorshift(seed: seed)
    var scrambler = Scrambler(random: Xorshift(seed: seed + 1000))
    var refused = 0
    for _ in 0..<500 {
      let packet = randomPacket(&random)
      let canonical = try packet.encoded()
      let bytes = scrambler.scramble(canonical)
      #expect(try Wire.Packet(decoding: bytes.bytes) == packet, "seed \(seed)")
      do {
        _ = try PacketReader.validate(bytes.bytes)
        var seen = packet
        seen.padding = 0
        // What is not canonical only inside a message for MeshWire passes.
        #expect(try readHot(bytes) == seen, "seed \(seed)")
      } catch PacketError.notCanonical {
        refused += 1
      }
    }
    #expect(refused > 100)
  }

  @Test(arguments: 1...8 * soakFactor) func `changed bytes get one answer, or an error from both`(seed: UInt64) throws {
    var random = Xorshift(seed: seed)
    var (accepted, refused, passedOn) = (0, 0, 0)
    for _ in 0..<1500 {
      var bytes = try randomPacket(&random).encoded()
      guard !bytes.isEmpty else { continue }
      for _ in 0...random.below(3) {
        let index = random.below(min(bytes.count, random.oneIn(2) ? 16 : bytes.count))
        switch random.below(5) {
        case 0: bytes[index] ^= 1 << UInt8(random.below(8))
        case 1: bytes[index] = UInt8(random.below(256))
        case 2: bytes.insert(UInt8(random.below(256)), at: index)
        case 3: bytes.remove(at: index)
        default: bytes.removeLast(random.below(bytes.count))
        }
        if bytes.isEmpty { break }
      }
      var wire = try? Wire.Packet(decoding: bytes.bytes)
      let hot: Wire.Packet?
      do {
        hot = try readHot(bytes)
      } catch PacketError.notCanonical {
        passedOn += 1
        // The answer in canonical form is one that both understand.
        if let wire {
          let canonical = try wire.encoded()
          var seen = wire
          seen.padding = 0
          #expect(try readHot(canonical) == seen, "seed \(seed)")
        }
        continue
      } catch {
        hot = nil
      }
      wire?.padding = 0
      #expect(hot == wire, "seed \(seed): \(bytes)")
      if hot == nil { refused += 1 } else { accepted += 1 }
    }
    #expect(accepted > 50 && refused > 50 && passedOn > 50)
  }

  @Test(arguments: 1...4 * soakFactor)
  func `a packet cut at any byte gets one answer, or an error from both`(seed: UInt64) throws {
    var random = Xorshift(seed: seed)
    for _ in 0..<10 {
      let bytes = try randomPacket(&random).encoded()
      for count in 0..<bytes.count {
        let cut = Array(bytes[..<count])
        var wire = try? Wire.Packet(decoding: cut.bytes)
        wire?.padding = 0
        #expect((try? readHot(cut)) == wire, "seed \(seed), \(count) bytes")
      }
    }
  }
}
