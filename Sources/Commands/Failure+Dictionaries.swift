internal import Glibc
internal import MeshCompression
internal import MeshDictionaryFiles

extension Failure {
  /// What is wrong with `subject`, which is or should be a dictionary or diff.
  init(_ subject: String, _ error: DictionaryError) {
    let reason: String
    var code = Code.badInput
    switch error {
    case .tooSmall(let size, let minimum): reason = "it has \(size) bytes, and a dictionary at least \(minimum)"
    case .tooLarge(let size, let limit): reason = "it has \(size) bytes, and at most \(limit) are allowed"
    case .notADictionary: reason = "it is no zstd dictionary: make one with 'pnet dict train' or 'zstd --train'"
    case .corrupt: reason = "it is a damaged zstd dictionary: get it again"
    case .wrongHash(let expected, let found):
      reason = "its BLAKE2b-256 is \(found.prefix)…, not \(expected.prefix)… as it should be: it is damaged or forged"
    case .wrongReference(let expected, let found):
      reason = "it starts from the dictionary \(expected.prefix)…, and the given one is \(found.prefix)…"
    case .corruptDiff: reason = "it is no diff of dictionaries, or a damaged one: make it with 'pnet dict diff'"
    case .storeFull: reason = "there is no room for it in memory: a directory may hold 64 dictionaries of 8 MiB in all"
    case .tooFewSamples(let count, let minimum):
      reason = "there are \(count) samples, and at least \(minimum) are needed: give more files, or --split them"
    case .tooFewSampleBytes(let count, let minimum):
      reason = "the samples to train with have \(count) bytes, and at least \(minimum) are needed"
    case .trainingFailed: reason = "zstd finds nothing that the samples have in common"
    case .outOfMemory: (reason, code) = ("there is not enough memory", .failed)
    }
    self.init("\(subject): \(reason)", code)
  }

  /// What is wrong with the file `path`.
  init(_ path: String, _ error: DictionaryFileError) {
    switch error {
    case .system(EEXIST): self.init("\(path) exists and is not overwritten: remove it first", .badInput)
    case .system(let code): self.init("\(path): \(systemMessage(code))", .badInput)
    case .notARegularFile: self.init("\(path) is not a regular file", .badInput)
    case .tooLarge(let limit): self.init("\(path) has more than \(limit) bytes", .badInput)
    case .dictionary(let error): self.init(path, error)
    case .misnamed: self.init("\(path) is named after another dictionary: it was renamed, damaged or forged", .badInput)
    case .tooMany(let limit): self.init("\(path) holds more than \(limit) files", .badInput)
    }
  }
}
