// swift-tools-version: 6.2
// A package of its own: fuzzers need flags that a package for others must not have.
import PackageDescription

let layers = [
  "Primitives", "Crypto", "Session", "STUN", "TURN", "ICE", "Compression", "Packet", "Wire", "Reliability", "Routing",
  "Commands", "NodeSimulation",
  "Simulation",
]

/// A libFuzzer program for `function` of MeshFuzzing: `fuzz-<name>`, its corpus in `Corpus/<name>`.
func fuzzer(_ name: String, _ folder: String) -> Target {
  .executableTarget(
    name: "fuzz-" + name, dependencies: ["MeshFuzzing"], path: "Sources/" + folder,
    swiftSettings: [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
  name: "pnet-mesh-fuzz",
  dependencies: [.package(name: "pnet-mesh", path: "..")],
  targets: [
    // What the fuzzers do with an input, and the valid messages that they start from.
    .target(
      name: "MeshFuzzing", dependencies: layers.map { .product(name: "Mesh" + $0, package: "pnet-mesh") },
      path: "Sources/Fuzzing", swiftSettings: [.enableExperimentalFeature("Lifetimes")]),
    // Writes the corpus anew. Has a `main` of its own: not to be built with --sanitize fuzzer.
    .executableTarget(name: "make-corpus", dependencies: ["MeshFuzzing"], path: "Sources/Corpus"),
    fuzzer("session", "Session"),
    fuzzer("stun", "STUN"),
    fuzzer("turn", "TURN"),
    fuzzer("packet", "Packet"),
    fuzzer("wire", "Wire"),
    fuzzer("connection", "Connection"),
    fuzzer("ip", "IP"),
    fuzzer("text", "Text"),
    fuzzer("candidate", "Candidate"),
    fuzzer("ice", "ICE"),
    fuzzer("config", "Config"),
    fuzzer("scenario", "Scenario"),
    fuzzer("decompress", "Decompress"),
    fuzzer("decompress-stream", "DecompressStream"),
    fuzzer("dictionary", "Dictionary"),
    fuzzer("dictionary-diff", "DictionaryDiff"),
  ],
  swiftLanguageModes: [.v6]
)
