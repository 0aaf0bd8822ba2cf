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
func layer(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: "Mesh" + name, dependencies: dependencies, path: "Sources/" + name, swiftSettings: settings)
}

/// The tests of one layer: a target `Mesh<name>Tests` in `Tests/<name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "Mesh\(name)Tests", dependencies: [.target(name: "Mesh" + name)] + dependencies,
    path: "Tests/\(name)Tests",
    swiftSettings: [.enableExperimentalFeature("Lifetimes")])
}

func product(_ name: String) -> Product { .library(name: name, targets: [name]) }

let package = Package(
  name: "pnet-mesh",
  products: [
    product("MeshPrimitives"),
    product("MeshPacket"),
    product("MeshReliability"),
    product("MeshSimulation"),
  ],
  targets: [
    // Base: values that every layer speaks of.
    layer("Primitives"),

    // Wire: the packet definitions of proto/.
    layer("Packet", ["MeshPrimitives"]),

    // Layers.
    layer("Reliability", ["MeshPrimitives", "MeshPacket"]),

    // Virtual networks.
    layer("Simulation", ["MeshPrimitives"]),

    // Tests.
    tests("Primitives"),
    tests("Packet", ["MeshPrimitives"]),
    tests("Reliability", ["MeshPrimitives", "MeshPacket", "MeshSimulation"]),
    tests("Simulation", ["MeshPrimitives"]),
  ],
  swiftLanguageModes: [.v6]
)
