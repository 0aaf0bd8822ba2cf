// swift-tools-version: 6.2
// The map of the stack. A layer imports only what its target lists here; `make lint` checks it.
import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// One layer: a target `Mesh<name>` in `Sources/<name>`.
func layer(_ name: String, _ dependencies: [Target.Dependency] = [], _ more: [SwiftSetting] = []) -> Target {
  .target(name: "Mesh" + name, dependencies: dependencies, path: "Sources/" + name, swiftSettings: settings + more)
}

/// The tests of one layer: a target `Mesh<name>Tests` in `Tests/<name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "Mesh\(name)Tests", dependencies: [.target(name: "Mesh" + name)] + dependencies,
    path: "Tests/\(name)Tests", exclude: name == "NodeSimulation" ? ["Seeds.txt"] : [],
    swiftSettings: [.enableExperimentalFeature("Lifetimes")])
}

func product(_ name: String) -> Product { .library(name: name, targets: [name]) }

let package = Package(
  name: "pnet-mesh",
  products: [
    product("PNetMesh"),
    product("MeshPrimitives"),
    product("MeshReplay"),
    product("MeshCrypto"),
    product("MeshSession"),
    product("MeshSTUN"),
    product("MeshICE"),
    product("MeshTURN"),
    product("MeshPacket"),
    product("MeshWire"),
    product("MeshReliability"),
    product("MeshRouting"),
    product("MeshCompression"),
    product("MeshDictionaryFiles"),
    product("MeshNode"),
    product("MeshRuntime"),
    product("MeshTraversal"),
    product("MeshSimulation"),
    product("MeshNodeSimulation"),
    product("MeshCommands"),
    .executable(name: "pnet", targets: ["pnet"]),
    .plugin(name: "GenerateWire", targets: ["GenerateWire"]),
    .plugin(name: "CheckWire", targets: ["CheckWire"]),
  ],
  dependencies: [
    // From Runtime upwards only.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    // Base: values that every layer speaks of.
    layer("Primitives"),

    // C libraries, and the C code generated from proto/.
    .systemLibrary(
      name: "CMeshSodium", path: "Sources/CSodium", pkgConfig: "libsodium",
      providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
    .systemLibrary(
      name: "CMeshLibcrypto", path: "Sources/CLibcrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
    .systemLibrary(
      name: "CMeshLibssl", path: "Sources/CLibssl", pkgConfig: "libssl",
      providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
    .systemLibrary(name: "CMeshIPsecMB", path: "Sources/CIPsecMB"),
    .systemLibrary(
      name: "CMeshProtobufC", path: "Sources/CProtobufC", pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
    .systemLibrary(
      name: "CMeshZstd", path: "Sources/CZstd", pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .target(name: "CMeshProto", dependencies: ["CMeshProtobufC"], path: "Sources/CProto"),

    // Layers, without I/O: bytes, time and randomness are arguments.
    layer("Replay"),
    layer("Crypto", ["MeshPrimitives", "CMeshSodium", "CMeshLibcrypto", "CMeshIPsecMB"]),
    layer("Session", ["MeshPrimitives", "MeshCrypto", "MeshReplay"]),
    layer("STUN", ["MeshPrimitives", "CMeshLibcrypto"]),
    layer("ICE", ["MeshPrimitives", "MeshSTUN"]),
    layer("TURN", ["MeshPrimitives", "MeshSTUN"]),
    layer("Packet", ["MeshPrimitives"]),
    layer("Wire", ["MeshPrimitives", "MeshPacket", "CMeshProto", "CMeshProtobufC"]),
    layer("Reliability", ["MeshPrimitives", "MeshPacket"]),
    layer("Routing", ["MeshPrimitives"]),
    layer("Compression", ["MeshPrimitives", "CMeshZstd", "CMeshSodium"]),

    // Composition: a whole node, still without I/O.
    layer(
      "Node",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshPacket", "MeshWire", "MeshReliability", "MeshRouting",
      ]),
    // I/O.
    layer("DictionaryFiles", ["MeshCompression"]),
    .target(name: "CMeshLinux", path: "Sources/CLinux"),
    layer(
      "Runtime",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshPacket", "MeshReliability", "MeshRouting", "MeshNode",
        "CMeshLinux", .product(name: "Logging", package: "swift-log"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      // An async call stays on its caller's actor: no change of threads per message or chunk.
      [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
    // STUN, TURN and ICE on sockets.
    layer(
      "Traversal", ["MeshPrimitives", "MeshCrypto", "MeshSTUN", "MeshTURN", "MeshICE", "MeshRuntime", "CMeshLibssl"]),
    .target(
      name: "PNetMesh",
      dependencies: [
        "MeshPrimitives", "MeshPacket", "MeshReliability", "MeshRouting", "MeshNode", "MeshRuntime",
      ],
      path: "Sources/PNetMesh", swiftSettings: settings),

    .executableTarget(name: "Echo", dependencies: ["PNetMesh"], path: "Examples/Echo", swiftSettings: settings),

    // The command line: what can be tested of it, and the program.
    layer(
      "Commands",
      [
        "MeshPrimitives", "MeshCrypto", "MeshRouting", "MeshNode", "MeshRuntime", "MeshSTUN", "MeshTraversal",
        "MeshCompression", "MeshDictionaryFiles", "MeshSimulation", "MeshNodeSimulation",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .executableTarget(
      name: "pnet",
      dependencies: [
        "MeshCommands", "MeshCompression", "MeshPrimitives", "MeshRouting", "MeshRuntime", "MeshTURN", "MeshICE",
        "MeshTraversal", "MeshNodeSimulation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/pnet", swiftSettings: settings),

    // Virtual networks.
    layer("Simulation", ["MeshPrimitives"]),
    // Whole nodes in them. Apart, so that the tests of small layers do not build the node.
    layer(
      "NodeSimulation",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshPacket", "MeshReliability", "MeshNode", "MeshSimulation",
      ]),

    // Regenerate the C code from proto/, and check that it is fresh.
    .plugin(
      name: "GenerateWire",
      capability: .command(
        intent: .custom(verb: "generate-wire", description: "Regenerate Sources/CProto from proto/ with protoc-c"),
        permissions: [.writeToPackageDirectory(reason: "It writes the generated C code to Sources/CProto.")])),
    .plugin(
      name: "CheckWire",
      capability: .command(
        intent: .custom(verb: "check-wire", description: "Fail when Sources/CProto is not what proto/ says"))),

    // Tests.
    tests("Primitives"),
    tests("Replay"),
    tests("Crypto", ["MeshPrimitives"]),
    tests("Session", ["MeshPrimitives", "MeshCrypto", "MeshSimulation"]),
    tests("STUN", ["MeshPrimitives", "MeshSimulation"]),
    tests("ICE", ["MeshPrimitives", "MeshSTUN", "MeshSimulation"]),
    tests("TURN", ["MeshPrimitives", "MeshSTUN", "MeshSimulation"]),
    tests("Packet", ["MeshPrimitives"]),
    tests("Wire", ["MeshPrimitives", "MeshPacket"]),
    tests("Reliability", ["MeshPrimitives", "MeshPacket", "MeshSimulation"]),
    tests("Routing", ["MeshPrimitives"]),
    tests(
      "Runtime",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshNode", "MeshPacket",
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ]),
    tests("Traversal", ["MeshPrimitives", "MeshCrypto", "MeshSTUN", "MeshTURN", "MeshRuntime"]),
    tests("Compression", ["MeshPrimitives", "MeshSimulation"]),
    tests("DictionaryFiles", ["MeshPrimitives", "MeshCompression", "MeshSimulation"]),
    tests("Simulation", ["MeshPrimitives"]),
    tests(
      "Node",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshPacket", "MeshReliability", "MeshRouting", "MeshSimulation",
      ]),
    tests(
      "NodeSimulation",
      [
        "MeshPrimitives", "MeshCrypto", "MeshSession", "MeshPacket", "MeshReliability", "MeshNode", "MeshSimulation",
      ]),
    tests("Commands", ["MeshPrimitives", "MeshRouting", "MeshRuntime", "MeshCompression"]),
  ],
  swiftLanguageModes: [.v6]
)

// What `make docs` needs; nobody else resolves it.
if Context.environment["PNET_DOCS"] != nil {
  package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"))
}
