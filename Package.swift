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
    product("MeshReplay"),
    product("MeshRouting"),
    product("MeshCrypto"),
  ],
  targets: [
    // Base: values that every layer speaks of.
    layer("Primitives"),
    layer("Replay"),
    layer("Routing", ["MeshPrimitives"]),

    // C libraries.
    .systemLibrary(
      name: "CMeshSodium", path: "Sources/CSodium", pkgConfig: "libsodium",
      providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]),
    .systemLibrary(
      name: "CMeshLibcrypto", path: "Sources/CLibcrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
    .systemLibrary(name: "CMeshIPsecMB", path: "Sources/CIPsecMB"),
    layer("Crypto", ["MeshPrimitives", "CMeshSodium", "CMeshLibcrypto", "CMeshIPsecMB"]),

    // Tests.
    tests("Primitives"),
    tests("Replay"),
    tests("Routing", ["MeshPrimitives"]),
    tests("Crypto", ["MeshPrimitives"]),
  ],
  swiftLanguageModes: [.v6]
)
