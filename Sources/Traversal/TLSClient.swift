internal import CMeshLibssl
internal import MeshPrimitives

/// The client's side of TLS without a socket: bytes of the connection go in and come out (libssl, with memory in between).
@safe
final class TLSClient {
  enum Failure: Error { case handshake(String), closed }

  private let context: OpaquePointer
  private let session: OpaquePointer
  /// What came from the server, and what goes to it. Owned by the session.
  private let input: OpaquePointer
  private let output: OpaquePointer
  private(set) var isConnected = false

  /// - Parameters:
  ///   - host: whose certificate is expected: a name, or an address.
  ///   - isVerifying: whether the certificate must lead to an authority that this machine trusts.
  init?(host: String, isVerifying: Bool) {
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { return nil }
    guard let session = unsafe SSL_new(context), let input = unsafe BIO_new(BIO_s_mem()),
      let output = unsafe BIO_new(BIO_s_mem())
    else {
      unsafe SSL_CTX_free(context)
      return nil
    }
    unsafe self.context = context
    unsafe self.session = session
    unsafe self.input = input
    unsafe self.output = output
    unsafe SSL_set_bio(session, input, output)
    unsafe SSL_set_connect_state(session)
    // Each of these can fail for want of memory: then nothing is connected, rather than without a check.
    var isReady = unsafe cmesh_ssl_require_tls12(session) == 1
    if IPAddress(host) == nil {
      isReady = unsafe isReady && cmesh_ssl_set_server_name(session, host) == 1 && SSL_set1_host(session, host) == 1
    } else {
      isReady = unsafe isReady && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1
    }
    if isVerifying {
      isReady = unsafe isReady && SSL_CTX_set_default_verify_paths(context) == 1
      unsafe SSL_set_verify(session, SSL_VERIFY_PEER, nil)
    }
    guard isReady else { return nil }
  }

  deinit {
    unsafe SSL_free(session)
    unsafe SSL_CTX_free(context)
  }

  /// Takes in what came on the connection, and appends what it says to `plaintext`.
  func receive(_ bytes: [UInt8], into plaintext: inout [UInt8]) throws(Failure) {
    if !bytes.isEmpty {
      unsafe bytes.withUnsafeBytes { _ = unsafe BIO_write(input, $0.baseAddress, Int32($0.count)) }
    }
    if !isConnected {
      let result = unsafe SSL_do_handshake(session)
      if result == 1 { isConnected = true } else { return try check(result) }
    }
    while true {
      var result: Int32 = 0
      plaintext += unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { room, used in
        result = unsafe SSL_read(session, room.baseAddress, 16_384)
        used = Int(max(0, result))
      }
      if result <= 0 { return try check(result) }
    }
  }

  /// Encrypts `bytes`; nothing happens before the handshake is done.
  func send(_ bytes: [UInt8]) {
    guard isConnected, !bytes.isEmpty else { return }
    unsafe bytes.withUnsafeBytes { _ = unsafe SSL_write(session, $0.baseAddress, Int32($0.count)) }
  }

  /// What is to be written to the connection, taken away.
  func outgoing() -> [UInt8] {
    var result: [UInt8] = []
    while true {
      let piece = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { room, used in
        used = unsafe Int(max(0, BIO_read(output, room.baseAddress, 16_384)))
      }
      if piece.isEmpty { return result }
      result += piece
    }
  }

  private func check(_ result: Int32) throws(Failure) {
    switch unsafe SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
    case SSL_ERROR_ZERO_RETURN: throw .closed
    default:
      let verdict = unsafe SSL_get_verify_result(session)
      if verdict != 0, let text = unsafe X509_verify_cert_error_string(verdict) {
        throw .handshake("its certificate is not accepted: \(unsafe String(cString: text))")
      }
      throw .handshake("it does not speak TLS as we do")
    }
  }
}
