import CMeshBareCalls
import MeshCrypto
import MeshPrimitives

/// Seal and open of each backend, beside the bare calls of the same library in C, in the same process.
let cryptoCases: [Benchmark] = [64, 256, 1400, 16_384].flatMap { size in
  let backends = CipherBackend.allCases
  return backends.flatMap { backend in
    [
      Benchmark(
        "crypto/seal-\(size)/\(backend.rawValue)", bytes: size, against: "c-\(backend.rawValue)", allocationFree: true
      ) {
        seal(size, backend)
      },
      Benchmark("crypto/seal-\(size)/c-\(backend.rawValue)", bytes: size) { sealInC(size, backend) },
    ]
  } + [
    Benchmark("crypto/seal-\(size)/chosen", bytes: size, against: "libsodium", allocationFree: true) { seal(size, nil) }
  ]
    + backends.flatMap { backend in
      [
        Benchmark(
          "crypto/open-\(size)/\(backend.rawValue)", bytes: size, against: "c-\(backend.rawValue)", allocationFree: true
        ) {
          open(size, backend)
        },
        Benchmark("crypto/open-\(size)/c-\(backend.rawValue)", bytes: size) { openInC(size, backend) },
      ]
    } + [
      Benchmark("crypto/open-\(size)/chosen", bytes: size, against: "libsodium", allocationFree: true) {
        open(size, nil)
      }
    ]
}

/// Messages that take turns, so that none is found where the last one was.
let slots = 16

/// The distance between two of them.
func stride(_ size: Int) -> Int { (size + 16 + 63) & ~63 }

func provider(_ backend: CipherBackend?) -> CipherProvider? {
  if let backend, !CipherProvider.available.contains(backend) { return nil }
  return CipherProvider(preferring: backend)
}

func number(_ backend: CipherBackend) -> Int32 {
  switch backend {
  case .libsodium: 0
  case .libcrypto: 1
  case .ipsecMB: 2
  }
}

private func seal(_ size: Int, _ backend: CipherBackend?) -> Benchmark.Work? {
  guard let provider = provider(backend) else { return nil }
  let keys = Box(TransportPair(provider))
  let memory = memory(slots * stride(size))
  return .loop { count in
    for index in 0..<count {
      var message = MutableRawSpan(_unsafeBytes: place(index, in: memory, size + 16))
      do { use(try keys.value.left.sealing.seal(&message)) } catch { fatalError("the counter is exhausted") }
    }
  }
}

private func open(_ size: Int, _ backend: CipherBackend?) -> Benchmark.Work? {
  guard let provider = provider(backend) else { return nil }
  let keys = Box(TransportPair(provider))
  let sealed = memory(slots * stride(size))
  let memory = memory(slots * stride(size))
  for index in 0..<slots {
    var message = MutableRawSpan(_unsafeBytes: place(index, in: sealed, size + 16))
    _ = try! keys.value.left.sealing.seal(&message)
  }
  return .loop { count in
    for index in 0..<count {
      let target = place(index, in: memory, size + 16)
      target.copyMemory(from: UnsafeRawBufferPointer(place(index, in: sealed, size + 16)))
      precondition(opens(target, UInt64(index & (slots - 1)), keys.value.right.opening), "it was sealed with this key")
    }
  }
}

@inline(__always)
private func opens(_ place: UnsafeMutableRawBufferPointer, _ counter: UInt64, _ key: borrowing OpeningKey) -> Bool {
  var message = MutableRawSpan(_unsafeBytes: place)
  do { try key.open(&message, counter: counter) } catch { return false }
  return true
}

@inline(__always)
func place(_ index: Int, in memory: UnsafeMutableRawBufferPointer, _ count: Int) -> UnsafeMutableRawBufferPointer {
  let start = (index & (slots - 1)) * stride(count - 16)
  return UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + count])
}

private func sealInC(_ size: Int, _ backend: CipherBackend) -> Benchmark.Work? {
  guard let bare = mesh_bare_make(number(backend)) else { return nil }
  let memory = memory(slots * stride(size))
  var counter: UInt64 = 0
  return .loop { count in
    let good = mesh_bare_seal(
      bare, memory.baseAddress?.assumingMemoryBound(to: UInt8.self), stride(size), slots, size, counter, count)
    precondition(good == 1, "the library must seal")
    counter += UInt64(count)
  }
}

private func openInC(_ size: Int, _ backend: CipherBackend) -> Benchmark.Work? {
  guard let bare = mesh_bare_make(number(backend)) else { return nil }
  let sealed = memory(slots * stride(size))
  let memory = memory(slots * stride(size))
  let from = sealed.baseAddress?.assumingMemoryBound(to: UInt8.self)
  mesh_bare_seal(bare, from, stride(size), slots, size, 0, slots)
  return .loop { count in
    let good = mesh_bare_open(
      bare, memory.baseAddress?.assumingMemoryBound(to: UInt8.self), from, stride(size), slots, size, count)
    precondition(good == 1, "the library must open what it sealed")
  }
}
