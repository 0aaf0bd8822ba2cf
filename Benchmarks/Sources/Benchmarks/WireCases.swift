import MeshPacket
import MeshPrimitives
import MeshWire

/// Messages that only protobuf-c reads and writes: a few per connection or search.
let wireCases: [Benchmark] = [
  encode("hello", hello),
  decode("hello", hello),
  encode("discover", discover),
  decode("discover", discover),
]

private let hello: Wire.Hello = {
  var hello = Wire.Hello()
  hello.incarnation = 0x0123_4567_89AB_CDEF
  hello.peerIncarnation = 0xFEDC_BA98_7654_3210
  hello.heard = true
  hello.frames = Array(FieldNumber.all)
  hello.limits.maxData = 8 << 20
  hello.limits.maxStreamData = 4 << 20
  hello.limits.maxBidirectionalStreams = 256
  hello.observed = SocketAddress(IPAddress(v4: 0xC000_0201), port: 2552)
  hello.software = "pnet/0.1"
  return hello
}()

private let discover: Wire.Discover = {
  var discover = Wire.Discover()
  discover.hopsLeft = 3
  discover.ring = 2
  discover.target = Array(repeating: 7, count: 10)
  discover.initiation = [1, 0, 0, 0] + Array(repeating: 9, count: 144)
  discover.sealed = Array(repeating: 5, count: 200)
  return discover
}()

private func encode<Message: WireMessage>(_ label: String, _ message: Message) -> Benchmark {
  Benchmark("wire/encode/\(label)", bytes: try! message.encoded().count) {
    let memory = memory(4096)
    let arena = Box(WireArena())
    return .loop { count in
      for _ in 0..<count {
        var output = OutputRawSpan(buffer: memory, initializedCount: 0)
        do { try message.encode(into: &output, using: &arena.value) } catch { fatalError("the sample must be written") }
        use(UInt64(output.byteCount))
      }
    }
  }
}

private func decode<Message: WireMessage>(_ label: String, _ message: Message) -> Benchmark {
  let bytes = try! message.encoded()
  return Benchmark("wire/decode/\(label)", bytes: bytes.count) {
    let arena = Box(WireArena())
    return .loop { count in
      for _ in 0..<count {
        guard let read = try? Message(decoding: bytes.bytes, using: &arena.value), read == message else {
          fatalError("the sample must be read")
        }
      }
    }
  }
}
