public import MeshPrimitives

/// Answers Binding requests (RFC 8489), and with four addresses behaviour discovery as well (RFC 5780).
///
/// It holds no state per client but a bucket of its rate. A response is never more than 24 bytes longer than its request:
/// what RFC 5780 wants to say is left out when the request is too short for it. Answering allocates nothing.
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func answer(
///   _ server: inout BindingServer, _ datagram: [UInt8], from source: SocketAddress, now: Instant
/// ) -> (bytes: [UInt8], to: SocketAddress)? {
///   var reply: BindingServer.Reply?
///   let bytes = [UInt8](capacity: 1500) { output in
///     reply = server.respond(to: datagram.bytes, from: source, now: now, into: &output)
///   }
///   return reply.map { (bytes, $0.destination) }
/// }
/// ```
public struct BindingServer: Sendable {
  /// Bytes that a response may be longer than its request.
  public static let maximumGrowth = 24
  /// The free capacity that an answer needs, in bytes.
  public static let maximumSize = 1500

  public struct Configuration: Sendable {
    /// For RFC 5780: the addresses of four sockets, as clients see them: first address with first and second port, second
    /// address with first and second port. Empty without. All of one family.
    public var addresses: [SocketAddress] = []
    /// Requests per second and source, and how many may come at once.
    public var requestsPerSecond = 20
    public var burst = 40
    /// Sources that are told apart.
    public var sources = 4096

    public init() {}
  }

  /// Why a datagram was not answered, or with what error.
  public enum Drop: UInt8, CaseIterable, Sendable {
    /// Not a STUN message.
    case notSTUN
    /// STUN, but no Binding request: a response, an indication, another method.
    case notRequest
    /// The fingerprint is wrong.
    case wrongFingerprint
    /// The source has used up its rate.
    case rateLimited
    /// Answered with 400.
    case malformed
    /// Answered with 420.
    case unknownAttribute
    /// The answer would have gone to port 0.
    case badPort
  }

  /// Where an answer goes.
  public struct Reply: Equatable, Sendable {
    public var destination: SocketAddress
    /// The number of the socket to send from: 0, or one of four.
    public var socket: Int
  }

  public let configuration: Configuration
  /// Requests that were answered with success.
  public private(set) var answered: UInt64 = 0
  public private(set) var drops = ReasonCounters<Drop>()
  private var limiter: SourceRateLimiter
  private let known: AttributeSet
  private var hasAlternates: Bool { !configuration.addresses.isEmpty }

  public init(_ configuration: Configuration = Configuration(), entropy: inout some Entropy) {
    let addresses = configuration.addresses
    precondition(
      addresses.isEmpty
        || addresses.count == 4 && addresses[0].address == addresses[1].address
          && addresses[2].address == addresses[3].address && addresses[0].address != addresses[2].address
          && addresses[0].port == addresses[2].port && addresses[1].port == addresses[3].port
          && addresses[0].port != addresses[1].port && addresses[0].address.family == addresses[2].address.family,
      "behaviour discovery needs two addresses with two ports each")
    self.configuration = configuration
    limiter = SourceRateLimiter(
      perSecond: configuration.requestsPerSecond, burst: configuration.burst, capacity: configuration.sources,
      entropy: &entropy)
    known =
      addresses.isEmpty ? .stun : AttributeSet.stun.union([.changeRequest, .responsePort, .padding])
  }

  /// Appends the answer to `datagram` to `output` and says where it goes; `nil` when there is none.
  /// - Parameters:
  ///   - socket: the number of the socket that it came in by: 0, or with RFC 5780 its place in `addresses`.
  /// - Precondition: `output` has room for ``maximumSize`` bytes.
  public mutating func respond(
    to datagram: RawSpan, from source: SocketAddress, on socket: Int = 0, now: Instant, into output: inout OutputRawSpan
  ) -> Reply? {
    precondition(output.freeCapacity >= Self.maximumSize, "an answer needs a buffer of 1,500 bytes")
    precondition(socket == 0 || configuration.addresses.indices.contains(socket), "there are no other sockets")
    guard let request = try? STUNMessage(datagram) else { return drop(.notSTUN) }
    guard request.messageClass == .request, request.method == .binding else { return drop(.notRequest) }
    guard request.fingerprint != .wrong else { return drop(.wrongFingerprint) }
    guard source.port != 0 else { return drop(.badPort) }
    guard limiter.allow(source.address, now: now) else { return drop(.rateLimited) }
    let limit = datagram.byteCount + Self.maximumGrowth
    let unknown = request.unknownAttributes(knowing: known)
    guard unknown.isEmpty else {
      drops.count(.unknownAttribute)
      return error(.unknownAttribute, unknown, to: request, Reply(destination: source, socket: socket), &output)
    }
    var reply = Reply(destination: source, socket: socket)
    var padding = 0
    if hasAlternates {
      do {
        let change = try request.changeRequest() ?? []
        reply.socket ^= (change.contains(.changeIP) ? 2 : 0) ^ (change.contains(.changePort) ? 1 : 0)
        padding = try request.value(.padding)?.count ?? 0
        if let port = try request.responsePort() {
          // Both together would aim a long answer at somebody (RFC 5780 §7.6).
          guard padding == 0 else { throw STUNError.malformed(.padding) }
          guard port != 0 else { return drop(.badPort) }
          reply.destination = SocketAddress(source.address, port: port, scope: source.scope)
        }
      } catch {
        drops.count(.malformed)
        return self.error(.badRequest, [], to: request, Reply(destination: source, socket: socket), &output)
      }
    }
    success(request, source, socket, reply, padding, limit, &output)
    answered &+= 1
    return reply
  }

  private func success(
    _ request: borrowing STUNMessage, _ source: SocketAddress, _ socket: Int, _ reply: Reply, _ padding: Int,
    _ limit: Int, _ output: inout OutputRawSpan
  ) {
    let start = output.byteCount
    let mapped = source.address.unmapped
    let addressSize = mapped.family == .v4 ? 12 : 24
    var writer = MessageWriter(.success, .binding, request.transactionID, to: &output)
    writer.append(.xorMappedAddress, SocketAddress(mapped, port: source.port), to: &output)
    let fingerprintSize = request.fingerprint == .valid ? 8 : 0
    var room = limit - (output.byteCount - start) - fingerprintSize
    if hasAlternates {
      if room >= addressSize {
        writer.append(.otherAddress, configuration.addresses[socket ^ 3], to: &output)
        room -= addressSize
      }
      if room >= addressSize {
        writer.append(.responseOrigin, configuration.addresses[reply.socket], to: &output)
        room -= addressSize
      }
      // As long as the request's own at most.
      let length = min(padding, room - 4, output.freeCapacity - 4 - fingerprintSize) & ~3
      if length > 0 { writer.append(zeroPadding: length, to: &output) }
    }
    if fingerprintSize > 0 { writer.appendFingerprint(to: &output) }
  }

  private func error(
    _ code: STUNErrorCode, _ unknown: [AttributeType], to request: borrowing STUNMessage, _ reply: Reply,
    _ output: inout OutputRawSpan
  ) -> Reply {
    var writer = MessageWriter(.error, .binding, request.transactionID, to: &output)
    // Without its phrase, which would make it too long.
    writer.append(code, isPhrased: false, to: &output)
    if !unknown.isEmpty { writer.append(unknownAttributes: unknown, to: &output) }
    if request.fingerprint == .valid { writer.appendFingerprint(to: &output) }
    return reply
  }

  private mutating func drop(_ reason: Drop) -> Reply? {
    drops.count(reason)
    return nil
  }
}
