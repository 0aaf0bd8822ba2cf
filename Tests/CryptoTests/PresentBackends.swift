import Glibc

/// What this machine has, found out without the code under test.
enum PresentBackends {
  static let hasIPsecMB: Bool = {
    #if arch(x86_64)
    access("/usr/include/intel-ipsec-mb.h", R_OK) == 0 && dlopen("libIPSec_MB.so.1", RTLD_NOW) != nil
    #else
    false
    #endif
  }()
}
