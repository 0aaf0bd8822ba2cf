public import MeshPrimitives
internal import MeshRuntime

/// Host names to addresses.
public enum NameResolver {
  /// Resolves `HOST:PORT`; addresses need no look-up.
  public static func resolve(_ endpoint: String) async throws -> SocketAddress { try await Resolver.resolve(endpoint) }
}
