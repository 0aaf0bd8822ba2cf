import Foundation
import PackagePlugin

/// `swift package check-wire`: fails unless Sources/CProto is what `generate-wire` makes of proto/.
@main
struct CheckWire: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) async throws {
    let generator = try WireGenerator(context)
    let wanted = try generator.generate(in: context.pluginWorkDirectoryURL)
    let present = try generator.committed()
    let umbrella = "include/CMeshProto.h"
    // Another protoc-c writes other code for the same definitions; then only the definitions' stamp can be compared.
    let sameCompiler = compiler(in: wanted) == compiler(in: present)
    let names = sameCompiler ? Set(wanted.keys).union(present.keys).sorted() : [umbrella]
    let stale = names.filter { wanted[$0] != present[$0] }
    for name in stale {
      Diagnostics.error("Sources/CProto/\(name) is not what proto/ says: run `make proto` and commit")
    }
    if stale.isEmpty {
      print(
        "check-wire: Sources/CProto is up to date" + (sameCompiler ? "" : " (by its stamp: another protoc-c made it)"))
    }
  }

  /// The line that names the version of protoc-c.
  private func compiler(in files: [String: Data]) -> String? {
    for (name, content) in files.sorted(by: { $0.key < $1.key }) where name.hasSuffix(".pb-c.h") {
      return String(decoding: content, as: UTF8.self).split(separator: "\n").first {
        $0.contains("PROTOBUF_C_MIN_COMPILER_VERSION")
      }.map(String.init)
    }
    return nil
  }
}
