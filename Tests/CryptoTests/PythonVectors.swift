/// Computed with Python 3.11: `hashlib.blake2s` and `hmac.new(…, hashlib.blake2s)`.
enum PythonVectors {
  static let selfTest = "40661f4ce40fdac4f490636e521b1c6fc7d109d9bf8aea0a6ef75983ebfe2165"
  /// Lengths of key (00 01 02 …) and input (07 08 09 …), and the HMAC.
  static let hmac: [(Int, Int, String)] = [
    (0, 0, "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd"),
    (1, 5, "9328196d75c3171a6dd5a5e3a33c8158f2db5d6d831c1b317658535191355a47"),
    (32, 32, "3e84e2398964d3ebda3f3dde3ab0e5c1fcf36075fa14dbdb231199bdac9335a9"),
    (63, 64, "9aceb4c38463606bdc120b9ca0322263d4ffc6e8aaee3b84593fc1faeb80c91f"),
    (64, 65, "910400cd038114b415e016cd812c6ee41f7f565e4d257904418e3736784d0480"),
    (65, 128, "1ed8780bc008facf4248801fdc05acc9759a61d67582733dc4da7aefa641fd34"),
    (200, 200, "2fdd4a19ed2843deeabcdc24c93c62928e4055c16afac9ba7a0aa9c57e765f84"),
  ]
}
