import Foundation
import MeshPrimitives
import MeshSTUN
import Testing

/// A message that a standard gives, with what it says.
struct MessageVector: Decodable, CustomTestStringConvertible {
  let section: String
  let name: String
  let `class`: String
  let hex: String
  let password: String
  let username: String?
  let userhashOf: String?
  let realm: String?
  let nonce: String?
  let software: String?
  let mapped: String?
  let priority: UInt32?
  let iceControlled: String?
  let algorithm: UInt16?
  let fingerprint: Bool

  var testDescription: String { "§\(section) \(name)" }
  var bytes: [UInt8] { hexBytes(hex) }

  var key: IntegrityKey {
    guard let realm else { return IntegrityKey(shortTerm: password) }
    return IntegrityKey(
      longTerm: username ?? userhashOf ?? "", realm: realm, password: password,
      algorithm: PasswordAlgorithm(rawValue: algorithm ?? 1))
  }

  private struct File: Decodable { let messages: [MessageVector] }

  static func load(_ name: String) -> [MessageVector] {
    let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/\(name).json")
    return try! JSONDecoder().decode(File.self, from: Data(contentsOf: url)).messages
  }

  static let all = load("rfc5769") + load("rfc8489")
}

func hexBytes(_ text: String) -> [UInt8] {
  let digits = text.compactMap { $0.hexDigitValue.map(UInt8.init) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A message made by `body`.
func message(
  _ kind: MessageClass, _ method: MessageMethod = .binding, _ id: TransactionID = TransactionID(high: 1, low: 2),
  _ body: (inout MessageWriter, inout OutputRawSpan) -> Void = { _, _ in }
) -> [UInt8] {
  [UInt8](capacity: 4096) { output in
    var writer = MessageWriter(kind, method, id, to: &output)
    body(&writer, &output)
  }
}

func address(_ text: String) -> SocketAddress { SocketAddress(text)! }
