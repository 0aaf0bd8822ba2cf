import MeshFuzzing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes the seeds to the folder of the argument: `swift run --package-path Fuzz make-corpus Fuzz/Corpus`.
@main struct MakeCorpus {
  static func main() {
    guard CommandLine.arguments.count == 2 else { return fail("usage: make-corpus FOLDER") }
    let folder = CommandLine.arguments[1]
    for seed in Seeds.all {
      mkdir("\(folder)/\(seed.target)", 0o777)
      let path = "\(folder)/\(seed.target)/\(seed.name)"
      guard let file = fopen(path, "wb") else { return fail("make-corpus: cannot write \(path)") }
      let count = fwrite(seed.bytes, 1, seed.bytes.count, file)
      guard fclose(file) == 0, count == seed.bytes.count else { return fail("make-corpus: cannot write \(path)") }
    }
  }

  static func fail(_ message: String) {
    print(message)
    exit(1)
  }
}
