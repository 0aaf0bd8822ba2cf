internal import MeshNode
internal import MeshPrimitives

// What is held against the nodes, besides the bytes that come.
extension SimulatedNetwork {
  func fail(_ kind: Violation.Kind, host: Int, _ text: String) {
    guard violation == nil else { return }
    note("violation", host: host)
    violation = Violation(
      kind: kind, seed: scenario.seed, time: now - start, host: host, text: text,
      diagram: SequenceDiagram(memory.all, about: host).text)
  }

  /// Once in a second.
  func check() {
    openFlows.removeAll { number in
      let flow = flows[number]
      let sent = flow.isAcknowledged || flow.sending == .broken
      return sent && flow.receiving != .open
    }
    if let recovery = scenario.recovery, now - start > scenario.lastFault + recovery { checkProgress(recovery) }
    // The whole of a node's state takes longer to look at: a tenth of the nodes each time.
    let second = Int((now - start).components.seconds)
    for host in hosts where host.index % 10 == second % 10 && host.state == .up { checkMemory(of: host) }
  }

  private func checkProgress(_ recovery: Duration) {
    checkLetters(recovery)
    for number in openFlows where violation == nil {
      let flow = flows[number]
      guard !flow.isBroken, hosts[flow.sender].state == .up, hosts[flow.receiver].state == .up else { continue }
      switch flow.kind {
      case .messages, .oneMessage:
        // A queue that only grows is no fault, as long as something comes.
        guard let oldest = flow.oldest, now - oldest.sent > recovery, now - flow.progress > recovery / 2 else {
          continue
        }
        stalled(number, since: oldest.sent)
      case .transfer:
        guard flow.receiving == .open, now - flow.progress > recovery else { continue }
        stalled(number, since: flow.progress)
      }
    }
  }

  private func stalled(_ number: Int, since: Instant) {
    let flow = flows[number]
    let statistics = flow.senderStream.flatMap { hosts[flow.sender].node.status(of: $0.peer)?.connection }
    fail(
      .stalled, host: flow.sender,
      """
      flow \(number) to host \(flow.receiver) has waited for \(now - since) and nothing is in the way: \(flow.offered) bytes \
      offered, \(flow.written) written, \(flow.received) received; \
      \(statistics.map { "\($0)" } ?? "the sender has no connection")
      """)
  }

  private func checkMemory(of host: SimulatedHost) {
    let totals = host.node.totals
    if totals.peers > host.conversations.count || totals.strangers > 0 {
      fail(.overCap, host: host.index, "\(totals.peers) peers where \(host.conversations.count) are listed")
    }
    if totals.streams > 512 * max(host.conversations.count, 1) {
      fail(.overCap, host: host.index, "\(totals.streams) streams")
    }
    if host.node.bufferedBytes > host.node.configuration.bufferMemory {
      fail(.overCap, host: host.index, "\(host.node.bufferedBytes) bytes in buffers")
    }
  }

  /// When all is over: every pair of neighbours has talked since the last fault.
  func checkEnd() {
    guard let recovery = scenario.recovery, let messages = scenario.messages, scenario.connects,
      scenario.duration >= scenario.lastFault + recovery + messages.interval * 4, !isSilent,
      !hosts.contains(where: { $0.side != 0 })
    else { return }
    let since = start + scenario.lastFault
    for host in hosts where host.state == .up && violation == nil {
      for conversation in host.conversations where hosts[conversation.other].state == .up {
        guard !(host.isBehindNAT && hosts[conversation.other].isBehindNAT) else { continue }
        guard messages.interval * (host.conversations.count + 2) < recovery else { continue }
        if conversation.deliveredSent < since {
          return fail(
            .stalled, host: host.index,
            "no message to host \(conversation.other) arrived in the \(scenario.duration - scenario.lastFault) after the last fault"
          )
        }
      }
    }
  }
}
