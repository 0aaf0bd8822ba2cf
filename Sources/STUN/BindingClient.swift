public import MeshPrimitives

/// Asks a server for the address that it sees: one Binding, with credentials and redirection if need be (RFC 8489 §2, §9,
/// §10).
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func ask(_ server: SocketAddress, _ entropy: any Entropy, now: Instant) -> BindingClient {
///   BindingClient(to: server, entropy: entropy, now: now)
/// }
///
/// func turn(_ client: inout BindingClient, _ datagram: [UInt8], from source: SocketAddress, now: Instant) {
///   client.handle(datagram.bytes, from: source, now: now)
///   while let event = client.nextEvent() {
///     if case .mapped(let mapping) = event { print("seen from outside as", mapping.address) }
///   }
///   // Then: send what `nextTransmit` gives, sleep until `deadline`, call `handleTimeout`.
/// }
/// ```
public struct BindingClient: Sendable {
  /// What a server answered.
  public struct Mapping: Equatable, Sendable {
    /// Our address as the server sees it.
    public var address: SocketAddress
    /// The server that answered.
    public var server: SocketAddress
    /// Where the server says that it answered from, and its other address: there with RFC 5780.
    public var responseOrigin: SocketAddress?
    public var otherAddress: SocketAddress?
    /// The time to the answer; `nil` when the request was sent more than once, so that nobody knows which was answered.
    public var roundTrip: Duration?
  }

  public enum Failure: Equatable, Sendable {
    /// No answer to any of the requests.
    case timedOut
    /// Answers came, but none with a right integrity code.
    case integrityCheckViolated
    /// The server's error.
    case rejected(STUNErrorCode)
    /// It could not be authenticated.
    case refused(ClientAuthentication.Refusal)
    /// The response has attributes that must be understood and are not.
    case unknownAttributes([AttributeType])
    /// The response has no address, or a malformed one.
    case malformed
    /// Redirected too often, in a circle, or to another address family.
    case badRedirection
  }

  public enum Event: Equatable, Sendable {
    case mapped(Mapping)
    case failed(Failure)
  }

  static let maximumRedirections = 3
  static let known = AttributeSet.stun

  private let credentials: STUNCredentials
  private let timing: RetransmissionTiming
  private let transport: STUNTransport
  private var entropy: any Entropy
  private var authentication: ClientAuthentication
  private var transaction: ClientTransaction
  private var sawForgery = false
  private var servers: [SocketAddress]
  private var event: Event?

  public init(
    to server: SocketAddress, credentials: STUNCredentials = .none, over transport: STUNTransport = .datagram,
    timing: RetransmissionTiming = RetransmissionTiming(), entropy: any Entropy, now: Instant
  ) {
    self.credentials = credentials
    self.timing = timing
    self.transport = transport
    self.entropy = entropy
    authentication = ClientAuthentication(credentials)
    servers = [server]
    transaction = Self.request(server, &self.entropy, &authentication, transport, timing, now)
  }

  private static func request(
    _ server: SocketAddress, _ entropy: inout any Entropy, _ authentication: inout ClientAuthentication,
    _ transport: STUNTransport, _ timing: RetransmissionTiming, _ now: Instant
  ) -> ClientTransaction {
    let id = TransactionID(random: &entropy)
    let message = [UInt8](capacity: STUNMessage.headerSize + ClientAuthentication.maximumSize + 8) { output in
      var writer = MessageWriter(.request, .binding, id, to: &output)
      authentication.append(to: &writer, &output)
      writer.appendFingerprint(to: &output)
    }
    return ClientTransaction(id, message, to: server, over: transport, timing: timing, now: now)
  }

  /// The server that is being asked.
  public var server: SocketAddress { transaction.destination }

  /// Bytes of the next request: the free capacity that ``nextTransmit(into:now:)`` needs.
  public var messageSize: Int { transaction.messageSize }

  public var deadline: Instant? { transaction.deadline }

  /// Takes in a datagram (or a message from the stream). Ignores what does not answer the request.
  public mutating func handle(_ bytes: RawSpan, from source: SocketAddress, now: Instant) {
    guard let message = try? STUNMessage(bytes), transaction.matches(message, from: source),
      message.fingerprint != .wrong
    else { return }
    switch authentication.judge(message) {
    case .ignore: sawForgery = true
    case .refuse(let refusal): fail(.refused(refusal))
    case .retry: retry(at: server, now)
    case .accept: message.messageClass == .success ? succeed(message, now) : reject(message, now)
    }
  }

  private mutating func succeed(_ message: borrowing STUNMessage, _ now: Instant) {
    let unknown = message.unknownAttributes(knowing: Self.known)
    guard unknown.isEmpty else { return fail(.unknownAttributes(unknown)) }
    do {
      guard let address = try message.value(.xorMappedAddress) ?? message.value(.mappedAddress) else {
        return fail(.malformed)
      }
      let roundTrip = transaction.requestsSent == 1 ? transaction.firstSent.map { now - $0 } : nil
      let mapping = Mapping(
        address: address, server: server, responseOrigin: try message.value(.responseOrigin),
        otherAddress: try message.value(.otherAddress), roundTrip: roundTrip)
      transaction.finish()
      event = .mapped(mapping)
    } catch { fail(.malformed) }
  }

  private mutating func reject(_ message: borrowing STUNMessage, _ now: Instant) {
    guard let code = try? message.errorCode() else { return fail(.malformed) }
    guard code == .tryAlternate else { return fail(.rejected(code)) }
    guard let alternate = try? message.value(.alternateServer), alternate.address.family == server.address.family,
      servers.count <= Self.maximumRedirections, !servers.contains(alternate)
    else { return fail(.badRedirection) }
    servers.append(alternate)
    authentication = ClientAuthentication(credentials)
    retry(at: alternate, now)
  }

  private mutating func retry(at server: SocketAddress, _ now: Instant) {
    transaction = Self.request(server, &entropy, &authentication, transport, timing, now)
  }

  private mutating func fail(_ failure: Failure) {
    transaction.finish()
    event = .failed(failure)
  }

  public mutating func handleTimeout(now: Instant) {
    transaction.handleTimeout(now: now)
    if transaction.state == .timedOut { fail(sawForgery ? .integrityCheckViolated : .timedOut) }
  }

  /// Appends the request to `output` and returns its destination, or `nil` when none is due at `now`.
  /// - Precondition: `output` has room for ``messageSize`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> SocketAddress? {
    transaction.nextTransmit(into: &output, now: now)
  }

  /// The one event there will be.
  public mutating func nextEvent() -> Event? { event.take() }
}
