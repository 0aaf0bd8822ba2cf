internal import Glibc

/// Where a node keeps what must survive restarts.
public enum StatePath {
  /// `/var/lib/pnet` for root, else `$XDG_STATE_HOME/pnet` or `~/.local/state/pnet`; `nil` where there is no home.
  public static func directory() -> String? {
    if geteuid() == 0 { return "/var/lib/pnet" }
    if let state = environmentValue("XDG_STATE_HOME") { return state + "/pnet" }
    return environmentValue("HOME").map { $0 + "/.local/state/pnet" }
  }
}
