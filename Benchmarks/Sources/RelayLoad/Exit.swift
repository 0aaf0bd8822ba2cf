#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Ends the process with code 2.
func exit(saying message: String) -> Never {
  let line = message + "\n"
  _ = line.withCString { unsafe write(2, $0, line.utf8.count) }
  exit(2)
}
