import MeshPacket
import MeshPrimitives
import MeshWire

/// The span codec beside protobuf-c (as MeshWire uses it, with one arena), on the same bytes.
let packetCases: [Benchmark] =
  PacketSample.all.flatMap { sample in
    [
      Benchmark(
        "packet/encode-\(sample.name)/span", bytes: sample.bytes.count, against: "protobuf-c", allocationFree: true
      ) {
        let memory = memory(2048)
        return .loop { count in
          for _ in 0..<count {
            var output = OutputRawSpan(buffer: memory, initializedCount: 0)
            sample.write(&output)
            use(UInt64(output.byteCount))
          }
        }
      },
      Benchmark("packet/encode-\(sample.name)/protobuf-c", bytes: sample.bytes.count) {
        let memory = memory(2048)
        let arena = Box(WireArena())
        let packet = try! Wire.Packet(decoding: sample.bytes.bytes)
        return .loop { count in
          for _ in 0..<count {
            var output = OutputRawSpan(buffer: memory, initializedCount: 0)
            do { try packet.encode(into: &output, using: &arena.value) } catch {
              fatalError("the sample must be written")
            }
            use(UInt64(output.byteCount))
          }
        }
      },
      Benchmark(
        "packet/decode-\(sample.name)/span", bytes: sample.bytes.count, against: "protobuf-c", allocationFree: true
      ) {
        let bytes = sample.bytes
        return .loop { count in
          for _ in 0..<count { use(read(bytes.bytes)) }
        }
      },
      Benchmark("packet/decode-\(sample.name)/protobuf-c", bytes: sample.bytes.count) {
        let bytes = sample.bytes
        let arena = Box(WireArena())
        return .loop { count in
          for _ in 0..<count {
            do { use(try Wire.Packet(decoding: bytes.bytes, using: &arena.value).number) } catch {
              fatalError("the sample must be read")
            }
          }
        }
      },
    ]
  } + [
    Benchmark("packet/validate/data-and-ack", allocationFree: true) {
      let bytes = PacketSample.all[1].bytes
      return .loop { count in
        for _ in 0..<count {
          do { use(try PacketReader.validate(bytes.bytes).number) } catch { fatalError("the sample must be valid") }
        }
      }
    }
  ]

/// Reads a packet to its end, with what its acknowledgement says.
@inline(never)
private func read(_ message: RawSpan) -> UInt64 {
  var reader = PacketReader(message)
  var sum: UInt64 = 0
  do {
    while let frame = try reader.next() {
      switch frame {
      case .number(let number): sum &+= number
      case .ack(let ack):
        var ranges = AckRanges(ack, in: message)
        while let range = try ranges.next() { sum &+= range.lowerBound }
      case .stream(let stream): sum &+= UInt64(stream.data.count)
      case .datagram(let datagram): sum &+= UInt64(datagram.data.count)
      case .relay(let relay): sum &+= UInt64(relay.label)
      default: sum &+= 1
      }
    }
  } catch { fatalError("the sample must be read") }
  return sum
}

/// A packet as it goes over the wire.
struct PacketSample: Sendable {
  let name: String
  let write: @Sendable (inout OutputRawSpan) -> Void

  var bytes: [UInt8] { [UInt8](capacity: 2048) { write(&$0) } }

  static let payload = [UInt8](repeating: 0xA5, count: 1340)
  static let ranges: [ClosedRange<UInt64>] = [90_000...90_041, 89_990...89_997, 80_000...89_987]

  static let all = [
    // A full packet of a bulk stream.
    PacketSample(name: "data") { output in
      PacketWriter.writeNumber(90_123, to: &output)
      PacketWriter.writeStream(id: 4, offset: 1 << 28, fin: false, dataLength: payload.count, to: &output)
      output.append(payload.bytes)
    },
    PacketSample(name: "data-and-ack") { output in
      PacketWriter.writeNumber(90_123, to: &output)
      PacketWriter.writeAck(ranges, delayMicroseconds: 250, ect0: 90_000, to: &output)
      PacketWriter.writeStream(id: 4, offset: 1 << 28, fin: false, dataLength: 1300, to: &output)
      output.append(payload.bytes.extracting(first: 1300))
    },
    PacketSample(name: "ack") { output in
      PacketWriter.writeNumber(90_123, to: &output)
      PacketWriter.writeAck(ranges, delayMicroseconds: 250, ect0: 90_000, to: &output)
    },
    PacketSample(name: "datagram-64") { output in
      PacketWriter.writeNumber(90_123, to: &output)
      PacketWriter.writeDatagram(channel: 3, service: RawSpan(), dataLength: 64, to: &output)
      output.append(payload.bytes.extracting(first: 64))
    },
    PacketSample(name: "relay") { output in
      PacketWriter.writeRelay(label: 0xDEAD_BEEF, ecn: .ect0, packetLength: 1200, to: &output)
      output.append(payload.bytes.extracting(first: 1200))
    },
  ]
}
