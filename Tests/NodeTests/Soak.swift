import Glibc

/// How many times as many seeds the random tests try: `PNET_SOAK`, which `make soak` sets; 1 without it.
let soakFactor = getenv("PNET_SOAK").flatMap { UInt64(String(cString: $0)) }.map { max($0, 1) } ?? 1
