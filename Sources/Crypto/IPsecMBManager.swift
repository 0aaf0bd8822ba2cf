internal import CMeshIPsecMB

/// One manager of intel-ipsec-mb, some 4 MiB, which one caller at a time may use.
@safe struct IPsecMBManager: ~Copyable, @unchecked Sendable {
  let address: UnsafeMutableRawPointer

  /// `nil` when the library was not there at build time, is not there now, or is another release.
  init?() {
    guard let address = unsafe mesh_ipsec_mb_make() else { return nil }
    unsafe self.address = address
  }

  deinit { unsafe mesh_ipsec_mb_free(address) }
}
