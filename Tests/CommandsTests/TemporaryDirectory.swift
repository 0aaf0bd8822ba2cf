import MeshCommands

/// A directory that goes with the value.
final class TemporaryDirectory: Sendable {
  private let folder = try! TemporaryFolder()
  var path: String { folder.path }

  deinit { folder.remove() }
}
