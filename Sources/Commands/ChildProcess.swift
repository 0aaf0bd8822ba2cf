internal import Glibc
internal import Synchronization

/// A command that was started, in a process group of its own.
@safe public final class ChildProcess: Sendable {
  /// How it ended.
  public struct Exit: Equatable, Sendable {
    /// The exit code, or 128 and the signal's number.
    public var code: Int32
    /// User and system time.
    public var cpuSeconds: Double
  }
  private struct State {
    var exit: Exit?
    var waiting: [CheckedContinuation<Exit, Never>] = []
  }

  public let process: Int32
  /// What the command reads; `nil` when it was not piped.
  public let input: Descriptor?
  /// What the command writes; `nil` when it was not piped.
  public let output: Descriptor?
  private let state = Mutex(State())

  /// Which of the command's ends are pipes; the others are ours, or /dev/null.
  public struct Pipes: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let input = Pipes(rawValue: 1)
    public static let output = Pipes(rawValue: 2)
  }

  /// Starts `command`, looked for on the PATH, with our environment and what is in `environment`.
  /// - Throws: `Failure` when there is no such command.
  public init(_ command: [String], environment: [String] = [], pipes: Pipes) throws(Failure) {
    guard let program = command.first else { throw Failure("there is no command to run", .badInput) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    var toChild: [Int32] = [-1, -1]
    var fromChild: [Int32] = [-1, -1]
    if pipes.contains(.input) { toChild = try Self.pipe() }
    if pipes.contains(.output) { fromChild = try Self.pipe() }
    if pipes.contains(.input) {
      unsafe posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    } else {
      unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    if pipes.contains(.output) { unsafe posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1) }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t(), defaults = sigset_t()
    unsafe sigemptyset(&none)
    unsafe sigemptyset(&defaults)
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = unsafe Self.environment(adding: environment) + [nil]
    defer {
      for index in unsafe arguments.indices { unsafe free(arguments[index]) }
      for index in unsafe variables.indices { unsafe free(variables[index]) }
    }
    var process: pid_t = 0
    let failure = unsafe posix_spawnp(&process, program, &actions, &attributes, &arguments, &variables)
    for end in [toChild[0], fromChild[1]] where end >= 0 { close(end) }
    guard failure == 0 else {
      for end in [toChild[1], fromChild[0]] where end >= 0 { close(end) }
      throw Failure("cannot run \(program): \(systemMessage(failure))", .badInput)
    }
    self.process = process
    input = toChild[1] >= 0 ? Descriptor(owning: toChild[1]) : nil
    output = fromChild[0] >= 0 ? Descriptor(owning: fromChild[0]) : nil
    startThread { [self] in reap() }
  }

  private static func pipe() throws(Failure) -> [Int32] {
    var ends: [Int32] = [-1, -1]
    guard unsafe Glibc.pipe(&ends) == 0 else { throw Failure("cannot make a pipe: \(systemMessage(errno))") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return ends
  }

  private static func environment(adding more: [String]) -> [UnsafeMutablePointer<CChar>?] {
    var variables: [UnsafeMutablePointer<CChar>?] = unsafe []
    let names = more.map { $0.prefix { $0 != "=" } + "=" }
    var cursor = unsafe environ
    while let entry = unsafe cursor.pointee {
      let text = unsafe String(cString: entry)
      if !names.contains(where: { text.hasPrefix($0) }) { unsafe variables.append(strdup(text)) }
      unsafe cursor += 1
    }
    for text in more { unsafe variables.append(strdup(text)) }
    return unsafe variables
  }

  private func reap() {
    var status: Int32 = 0
    var usage = rusage()
    while unsafe wait4(process, &status, 0, &usage) < 0, errno == EINTR {}
    let signal = status & 0x7F
    let exit = Exit(code: signal == 0 ? status >> 8 & 0xFF : 128 + signal, cpuSeconds: ProcessUsage.seconds(usage))
    let waiting = state.withLock { state -> [CheckedContinuation<Exit, Never>] in
      state.exit = exit
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume(returning: exit) }
  }

  /// Sends a signal to the command and all that it started, unless it has ended.
  public func signal(_ number: Int32) {
    // Under the lock, so that the number cannot belong to another process yet.
    state.withLock { state in if state.exit == nil { kill(-process, number) } }
  }

  /// How it ended; `nil` while it runs.
  public var exitIfEnded: Exit? { state.withLock { $0.exit } }

  /// Waits for the end. Not ended by cancellation: signal the process first.
  public func exit() async -> Exit {
    await withCheckedContinuation { continuation in
      let exit = state.withLock { state -> Exit? in
        if state.exit == nil { state.waiting.append(continuation) }
        return state.exit
      }
      if let exit { continuation.resume(returning: exit) }
    }
  }

  /// Asks the process to end, and kills it when it does not within two seconds.
  public func stop() async -> Exit {
    signal(SIGTERM)
    let watch = Task {
      try await Task.sleep(for: .seconds(2))
      signal(SIGKILL)
    }
    let exit = await exit()
    watch.cancel()
    return exit
  }
}
