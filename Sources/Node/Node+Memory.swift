extension Node {
  /// Bytes of stream data, sent or received, that all connections hold now; at most ``Configuration/bufferMemory``.
  public var bufferedBytes: Int { pool.used * type(of: pool).chunkSize }
}
