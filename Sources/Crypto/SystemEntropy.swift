internal import CMeshSodium
public import MeshPrimitives

/// Random bytes from the operating system, by way of libsodium. Fit for keys.
public struct SystemEntropy: Entropy {
  public init() { Sodium.start() }

  public mutating func fill(_ bytes: inout MutableRawSpan) {
    unsafe bytes.withUnsafeMutableBytes { target in
      guard let address = target.baseAddress else { return }
      unsafe randombytes_buf(address, target.count)
    }
  }
}
