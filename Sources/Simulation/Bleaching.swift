internal import MeshPrimitives

/// What a path does to the ECN field behind its queue, against RFC 3168.
public enum Bleaching: UInt8, Sendable, Equatable, CaseIterable {
  /// The field arrives as the queue left it.
  case none
  /// All becomes Not-ECT.
  case clearsField
  /// CE becomes Not-ECT; all else passes.
  case clearsCE
  /// ECT(1) becomes ECT(0).
  case remarksECT1
  /// ECT(0) and ECT(1) become CE.
  case marksAll

  /// The field at the far end.
  func apply(_ ecn: ECN) -> ECN {
    switch self {
    case .none: ecn
    case .clearsField: .notECT
    case .clearsCE: ecn == .ce ? .notECT : ecn
    case .remarksECT1: ecn == .ect1 ? .ect0 : ecn
    case .marksAll: ecn == .notECT ? .notECT : .ce
    }
  }
}
