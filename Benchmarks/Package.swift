// swift-tools-version: 6.2
// A package of its own, so that whoever uses the layers resolves and builds nothing of it.
import PackageDescription

let layers = [
  "Primitives", "Replay", "Crypto", "Session", "STUN", "TURN", "ICE", "Compression", "Packet", "Wire", "Reliability",
  "Routing",
  "Node", "Runtime", "Simulation",
]

let package = Package(
  name: "pnet-mesh-benchmarks",
  dependencies: [.package(name: "pnet-mesh", path: "..")],
  targets: [
    // Counts the allocations of each thread. Never to be linked into anything that runs under a sanitizer.
    .target(name: "CMeshAllocationCounter", path: "Sources/AllocationCounter"),
    // The C libraries as they are, to hold the layers against.
    .target(
      name: "CMeshBareCalls", path: "Sources/BareCalls",
      linkerSettings: [.linkedLibrary("sodium"), .linkedLibrary("crypto")]),
    .target(
      name: "MeshBenchmarks",
      dependencies: ["CMeshAllocationCounter", "CMeshBareCalls"]
        + layers.map { .product(name: "Mesh" + $0, package: "pnet-mesh") },
      path: "Sources/Benchmarks",
      swiftSettings: [.enableExperimentalFeature("Lifetimes")]),
    .executableTarget(name: "bench", dependencies: ["MeshBenchmarks"], path: "Sources/Bench"),
    .executableTarget(name: "allocation-gate", dependencies: ["MeshBenchmarks"], path: "Sources/AllocationGate"),
    // Load for a TURN server; see scripts/bench-relay.
    .executableTarget(
      name: "relay-load",
      dependencies: ["Primitives", "Crypto", "TURN", "Runtime"].map {
        .product(name: "Mesh" + $0, package: "pnet-mesh")
      },
      path: "Sources/RelayLoad"),
    // Messages through the async API; see scripts/bench.
    .executableTarget(
      name: "message-rate",
      dependencies: ["Primitives", "Runtime"].map { .product(name: "Mesh" + $0, package: "pnet-mesh") },
      path: "Sources/MessageRate"),
    // Congestion controllers on simulated links; see scripts/bench-congestion.
    .executableTarget(
      name: "congestion-plots",
      dependencies: ["Primitives", "Reliability", "Simulation"].map {
        .product(name: "Mesh" + $0, package: "pnet-mesh")
      },
      path: "Sources/CongestionPlots"),
  ],
  swiftLanguageModes: [.v6]
)
