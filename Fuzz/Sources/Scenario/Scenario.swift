import MeshFuzzing

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  Fuzzing.scenario(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}
