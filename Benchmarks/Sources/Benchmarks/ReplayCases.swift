import MeshReplay

let replayCases: [Benchmark] = [
  // One operation: check, then commit.
  Benchmark("replay/commit/in-order", allocationFree: true) {
    replay { window, next, count in
      for _ in 0..<count {
        accept(&window, next)
        next &+= 1
      }
    }
  },
  // By turns two above the highest counter, and the oldest that the window still takes.
  Benchmark("replay/commit/window-edge", allocationFree: true) {
    replay { window, next, count in
      let span = UInt64(window.capacity)
      for index in 0..<count {
        if index & 1 == 0 {
          next &+= 2
          accept(&window, next)
        } else {
          accept(&window, next &- span &+ 1)
        }
      }
    }
  },
  // Blocks of 64 counters in an order that is scrambled within each.
  Benchmark("replay/commit/scrambled", allocationFree: true) {
    replay { window, next, count in
      for index in 0..<count {
        accept(&window, next &+ UInt64(index &* 37 & 63))
        if index & 63 == 63 { next &+= 64 }
      }
      next &+= 64
    }
  },
  Benchmark("replay/check/replayed", allocationFree: true) {
    replay { window, next, count in
      var replayed: UInt64 = 0
      for index in 0..<count where window.check(next &- 1 &- UInt64(index & 4095)) == .replayed { replayed &+= 1 }
      use(replayed)
    }
  },
]

/// A window in which the counters below `next` were accepted.
private func replay(_ body: @escaping (inout ReplayWindow, inout UInt64, Int) -> Void) -> Benchmark.Work {
  let window = Box(ReplayWindow())
  let next = Box<UInt64>(0)
  while next.value < 65_536 {
    accept(&window.value, next.value)
    next.value += 1
  }
  return .loop { body(&window.value, &next.value, $0) }
}

@inline(__always)
private func accept(_ window: inout ReplayWindow, _ counter: UInt64) {
  if window.check(counter) == .fresh { use0(window.commit(counter)) }
}

/// The verdict is looked at, as a receiver does.
@inline(__always)
private func use0(_ verdict: ReplayWindow.Verdict) {
  if verdict != .fresh { use(1) }
}
