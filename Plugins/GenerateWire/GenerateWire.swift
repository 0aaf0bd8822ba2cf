import Foundation
import PackagePlugin

/// `swift package --allow-writing-to-package-directory generate-wire`: writes Sources/CProto.
@main
struct GenerateWire: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) async throws {
    let generator = try WireGenerator(context)
    let wanted = try generator.generate(in: context.pluginWorkDirectoryURL)
    let present = try generator.committed()
    for name in present.keys.sorted() where wanted[name] == nil {
      try FileManager.default.removeItem(at: generator.target.appending(path: name))
      print("removed Sources/CProto/\(name)")
    }
    for (name, content) in wanted.sorted(by: { $0.key < $1.key }) where present[name] != content {
      let file = generator.target.appending(path: name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try content.write(to: file)
      print("wrote Sources/CProto/\(name)")
    }
  }
}
