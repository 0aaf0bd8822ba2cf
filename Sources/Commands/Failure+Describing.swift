internal import Glibc
internal import MeshRuntime

extension Failure {
  /// Any error as one plain line and an exit code.
  public init(describing error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as ConfigError: self.init(error.description, .badInput)
    case is CancellationError: self.init("interrupted", .interrupted)
    case let error as DescriptorError: self.init("the connection broke: \(error)", .broken)
    case let error as MeshError: self.init(mesh: error)
    case let error as SocketError: self.init(error.description)
    default: self.init("\(error)")
    }
  }
}

extension Failure {
  private init(mesh error: MeshError) {
    let code: Code =
      switch error {
      case .unknownPeer, .unreachable, .plainWireGuard: .unreachable
      case .refused: .refused
      case .disconnected, .reset: .broken
      case .invalidPeer: .badInput
      default: .failed
      }
    self.init(error.description, code)
  }
}
