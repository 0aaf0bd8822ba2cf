import MeshPacket
import MeshPrimitives
import MeshSTUN
import MeshTURN
import MeshWire

/// The inputs that the fuzzers start from, made of valid messages.
public enum Seeds {
  /// Files of `Corpus`: folder, name, content.
  public static var all: [(target: String, name: String, bytes: [UInt8])] {
    session.map { ("session", $0.0, $0.1) } + stun.map { ("stun", $0.0, $0.1) } + turn.map { ("turn", $0.0, $0.1) }
      + packets.map { ("packet", $0.0, $0.1) }
      + messages.map { ("wire", $0.0, $0.1) } + connection.map { ("connection", $0.0, $0.1) }
      + ip.map { ("ip", $0.0, $0.1) } + text.enumerated().map { ("text", "text-\($0.offset)", Array($0.element.utf8)) }
      + ice.map { ("ice", $0.0, $0.1) }
      + candidates.enumerated().map { ("candidate", "line-\($0.offset)", Array($0.element.utf8)) }
      + config.map { ("config", $0.0, Array($0.1.utf8)) } + scenarios.map { ("scenario", $0.0, Array($0.1.utf8)) }
      + compression
  }

  private static let candidates = [
    "candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host",
    "a=candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 generation 0",
    "candidate:H+/9 2 UDP 1 2001:db8::1 9 typ relay", "candidate:1 1 UDP 1 5a9e.local 1 typ host",
  ]

  /// Steps of three bytes of source each: see `Fuzzing.ice`.
  private static var ice: [(String, [UInt8])] {
    let answer: [UInt8] = [0, 1, 198, 1, 9, 0xC0, 7, 4, 0, 0, 0, 0, 100, 2, 198, 1, 9, 0, 4, 0, 0, 0, 3, 0xE8]
    let conflict: [UInt8] = [1, 3, 198, 1, 9, 0, 50, 4, 0, 0, 0, 0, 60, 2, 198, 1, 9, 1, 1, 198, 1, 9, 0xC4, 3]
    var third: [UInt8] = [0]
    for number: UInt8 in 0..<20 { third += [3 | number << 3, 198, number, number + 1, 0, number] }
    third += [4, 0, 0, 0, 0xFF, 0xFF]
    let failure: [UInt8] = [0, 3, 198, 1, 9, 0, 1, 5, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0, 0, 0]
    return [("check-and-answer", answer), ("role-conflict", conflict), ("third-parties", third), ("failure", failure)]
  }

  private static func step(_ step: SessionStep, _ arguments: UInt8...) -> [UInt8] { [step.rawValue] + arguments }

  private static var session: [(String, [UInt8])] {
    let handshake = step(.start) + step(.settle)
    let data = step(.send, 0, 0, 64) + step(.settle) + step(.send, 1, 4, 0) + step(.settle)
    // The genuine messages of these devices, for the fuzzer to change byte by byte.
    let network = SessionNetwork()
    var start = Choices(step(.start))
    network.step(&start)
    let initiation = network.next()?.bytes ?? []
    func raw(_ bytes: [UInt8], to right: Bool = true) -> [UInt8] {
      step(.raw, right ? 0 : 1, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)) + bytes
    }
    return [
      ("handshake-and-data", handshake + data),
      ("staged-data", step(.send, 0, 0, 100) + step(.settle) + data),
      (
        "replay",
        handshake + step(.send, 0, 0, 32) + step(.hold) + step(.mutate, 0, 0, 0, 0, 0) + step(.mutate, 0, 0, 0, 0, 0)
      ),
      (
        "flipped-bit",
        handshake + step(.send, 0, 0, 32) + step(.hold) + step(.mutate, 0, 1, 0, 20, 1) + step(.mutate, 0, 0, 0, 0, 0)
      ),
      ("truncated", step(.start) + step(.hold) + step(.mutate, 0, 2, 0, 0, 1) + step(.mutate, 0, 5, 0, 0, 4)),
      (
        "lost-initiation",
        step(.start) + step(.hold) + step(.wait, 0, 60) + step(.settle) + step(.mutate, 0, 0, 0, 0, 0)
      ),
      ("rekey", handshake + data + step(.wait, 4, 200) + data + step(.settle) + data),
      ("expiry", handshake + data + step(.wait, 7, 20) + step(.wait, 20, 0) + data + step(.wait, 30, 0)),
      ("flood", step(.start) + step(.hold) + step(.flood, 0) + step(.settle) + step(.wait, 0, 50) + handshake + data),
      ("initiation", raw(initiation) + step(.settle)),
      ("response", raw([2, 0, 0, 0] + Array(repeating: 0, count: 88), to: false)),
      ("cookie", raw([3, 0, 0, 0] + Array(repeating: 0, count: 60))),
      ("transport", raw([4, 0, 0, 0] + Array(repeating: 0, count: 60))),
    ]
  }

  private static func message(
    _ kind: MessageClass, _ method: MessageMethod, _ body: (inout MessageWriter, inout OutputRawSpan) -> Void
  ) -> [UInt8] {
    [UInt8](capacity: 2048) { output in
      var writer = MessageWriter(kind, method, TransactionID(high: 1, low: 2), to: &output)
      body(&writer, &output)
    }
  }

  private static var stun: [(String, [UInt8])] {
    let key = IntegrityKey(shortTerm: "VOkJxbRl1RmTxUk/WvJxBt")
    let address = SocketAddress(IPAddress(v4: 0xC000_0201), port: 3478)
    return [
      ("binding-request", message(.request, .binding) { _, _ in }),
      (
        "binding-response",
        message(.success, .binding) { writer, output in
          writer.append(.xorMappedAddress, address, to: &output)
          writer.append(.mappedAddress, address, to: &output)
          writer.append(.otherAddress, address, to: &output)
          writer.appendFingerprint(to: &output)
        }
      ),
      (
        "ice-check",
        message(.request, .binding) { writer, output in
          writer.append(.username, "evtj:h6vY", to: &output)
          writer.append(.priority, 1_845_501_695, to: &output)
          writer.append(.iceControlling, 7, to: &output)
          writer.append(.useCandidate, to: &output)
          writer.appendIntegrity(.sha1, key, to: &output)
          writer.appendIntegrity(.sha256, size: 16, key, to: &output)
          writer.appendFingerprint(to: &output)
        }
      ),
      (
        "challenge",
        message(.error, .binding) { writer, output in
          writer.append(.unauthenticated, to: &output)
          writer.append(.realm, "example.org", to: &output)
          writer.append(.nonce, "obMatJos2wAAA0123", to: &output)
          writer.append(passwordAlgorithms: [.sha256, .md5], to: &output)
          writer.append(unknownAttributes: [.priority, .useCandidate], to: &output)
        }
      ),
      (
        "discovery",
        message(.request, .binding) { writer, output in
          writer.append(ChangeRequest.changeIP, to: &output)
          writer.append(responsePort: 4000, to: &output)
          writer.append(zeroPadding: 16, to: &output)
        }
      ),
    ]
  }

  private static var turn: [(String, [UInt8])] {
    func piece(_ place: UInt8, _ bytes: [UInt8]) -> [UInt8] {
      [place, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
    }
    let peer = SocketAddress(IPAddress(v4: 0xCB00_7107), port: 9000)
    func indication(_ method: MessageMethod) -> [UInt8] {
      message(.indication, method) { writer, output in
        writer.append(.xorPeerAddress, peer, to: &output)
        writer.append(.data, [1, 2, 3].bytes, to: &output)
      }
    }
    let allocate = message(.request, .allocate) { $0.append(.requestedTransport, 17 << 24, to: &$1) }
    return [
      ("channel-data", piece(0, [0x40, 0, 0, 3, 1, 2, 3]) + piece(3, [0x40, 0, 0, 3, 1, 2, 3])),
      ("send", piece(0, indication(.send)) + piece(1, indication(.send))),
      ("data", piece(3, indication(.data)) + piece(2, [1, 2, 3, 4])),
      ("allocate", piece(0, allocate) + piece(1, allocate)),
      ("stream", piece(4, allocate + [0x40, 0, 0, 3, 1, 2, 3, 0]) + [5]),
    ]
  }

  private static func packet(_ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
    [UInt8](capacity: 4096, writing: body)
  }

  private static var packets: [(String, [UInt8])] {
    let ranges: [ClosedRange<UInt64>] = [90...99, 70...80, 1...3]
    let plain = [
      ("empty", []),
      ("number-only", packet { PacketWriter.writeNumber(1, to: &$0) }),
      (
        "ack-and-stream",
        packet { output in
          PacketWriter.writeNumber(300, to: &output)
          PacketWriter.writeAck(ranges, delayMicroseconds: 250, ect0: 90, ect1: 1, ce: 2, to: &output)
          PacketWriter.writeStream(
            id: 4, offset: 0, fin: true, service: [101, 99, 104, 111].bytes, lane: 2, compression: 1, dataLength: 5,
            to: &output)
          output.append([1, 2, 3, 4, 5].bytes)
        }
      ),
      (
        "message-and-datagram",
        packet { output in
          var frame = MessageFrame()
          (frame.id, frame.offset, frame.size, frame.lane, frame.sequence, frame.channel) = (7, 2, 9, 1, 3, 4)
          PacketWriter.writeMessage(frame, service: [97].bytes, dataLength: 3, to: &output)
          output.append([1, 2, 3].bytes)
          PacketWriter.writeDatagram(channel: 1, service: [98].bytes, compression: 2, dataLength: 2, to: &output)
          output.append([8, 9].bytes)
        }
      ),
      (
        "limits",
        packet { output in
          PacketWriter.writeNumber(9, to: &output)
          PacketWriter.writeMaxData(1 << 20, to: &output)
          PacketWriter.writeStreamMaxData(StreamMaxData(id: 4, max: 1 << 18), to: &output)
          PacketWriter.writeResetStream(ResetStream(id: 8, code: .cancelled, finalSize: 100), to: &output)
          PacketWriter.writeStopSending(StopSending(id: 12, code: .refused), to: &output)
          PacketWriter.writePing(to: &output)
          PacketWriter.writeMaxStreams(MaxStreams(bidirectional: 300, unidirectional: 2), to: &output)
          PacketWriter.writeDataBlocked(1 << 20, to: &output)
          PacketWriter.writeStreamDataBlocked(StreamDataBlocked(id: 4, limit: 9), to: &output)
          PacketWriter.writeStreamsBlocked(StreamsBlocked(bidirectional: 256), to: &output)
        }
      ),
      (
        "paths",
        packet { output in
          PacketWriter.writePathProbe(0x0123_4567_89AB_CDEF, to: &output)
          PacketWriter.writePathReply(
            PathReply(data: 5, observed: SocketAddress(IPAddress(v4: 0xC000_0201), port: 2552)), to: &output)
          PacketWriter.writeRelay(label: 77, ecn: .ce, packetLength: 4, to: &output)
          output.append([4, 0, 0, 0].bytes)
          PacketWriter.writeFragment(id: 3, offset: 8, size: 20, dataLength: 2, to: &output)
          output.append([6, 6].bytes)
          _ = PacketWriter.writePadding(9, to: &output)
        }
      ),
      ("everything", (try? everything.encoded()) ?? []),
      // Not canonical: number after ack, an overlong varint, ranges that are not packed.
      ("out-of-order", [0x12, 0x04, 0x08, 5, 0x1A, 0, 0x08, 1]),
      ("overlong", [0x08, 0x81, 0x00]),
      ("unpacked", [0x08, 1, 0x12, 4, 0x08, 5, 0x18, 0]),
    ]
    // The same as the body of a payload.
    return plain
      + plain.filter { !$0.1.isEmpty }.prefix(2).map { name, bytes in
        (
          "payload-" + name,
          packet { output in
            PayloadKind.writeTypedHeader(to: &output)
            output.append(bytes.bytes)
            PayloadKind.pad(to: output.byteCount + 5, from: 0, in: &output)
          }
        )
      }
  }

  private static var hello: Wire.Hello {
    var hello = Wire.Hello()
    hello.incarnation = 0x0123_4567_89AB_CDEF
    hello.heard = true
    hello.frames = Array(FieldNumber.all)
    hello.limits.maxData = 8 << 20
    hello.observed = SocketAddress(IPAddress(v6High: 0x2001_0DB8_0000_0000, low: 1), port: 2552)
    hello.software = "pnet"
    hello.compressions = [1]
    return hello
  }

  /// One of each message that has a home in `Packet`.
  private static var everything: Wire.Packet {
    var packet = Wire.Packet()
    packet.number = 5
    packet.hello = hello
    var close = Wire.Close()
    (close.code, close.reason, close.incarnation) = (.goingAway, "bye", 9)
    packet.close = close
    var candidate = Wire.Candidate(
      kind: .host, address: SocketAddress(IPAddress(v4: 0x0A00_0001), port: 1), related: nil, priority: 100,
      foundation: "1")
    candidate.related = SocketAddress(IPAddress(v4: 0x0A00_0002), port: 2)
    var exchange = Wire.CandidateExchange()
    (exchange.generation, exchange.ufrag, exchange.password) = (1, "abcd", "0123456789012345678901")
    exchange.candidates = [candidate]
    packet.candidates = exchange
    var discover = Wire.Discover()
    (discover.hopsLeft, discover.ring) = (3, 2)
    discover.target = Array(repeating: 7, count: 10)
    discover.initiation = [1, 0, 0, 0] + Array(repeating: 9, count: 144)
    packet.discover = discover
    var found = Wire.Found()
    found.discover = Array(repeating: 7, count: 16)
    (found.label, found.hops, found.maxPacket) = (3, 1, 1280)
    found.response = [2, 0, 0, 0] + Array(repeating: 9, count: 88)
    packet.found = found
    packet.padding = 3
    return packet
  }

  private static var messages: [(String, [UInt8])] {
    func seed<Message: WireMessage>(_ kind: WireKind, _ message: Message?) -> (String, [UInt8]) {
      ("\(kind)", [kind.rawValue] + ((try? message?.encoded()) ?? []))
    }
    var stream = Wire.StreamFrame()
    (stream.id, stream.offset, stream.fin, stream.service, stream.data) = (4, 9, true, "echo", [1, 2, 3])
    var message = Wire.MessageFrame()
    (message.id, message.channel, message.service, message.data) = (1, 2, "chat", [1, 2, 3])
    var ack = Wire.Ack()
    (ack.largest, ack.delay, ack.ranges) = (99, 250, [9, 8, 3])
    var dictionary = Wire.Dictionary()
    (dictionary.id, dictionary.hash, dictionary.size) = (7, Array(repeating: 1, count: 32), 65_536)
    var offer = Wire.DictionaryOffer()
    (offer.service, offer.dictionaries) = ("chat", [dictionary])
    let whole = everything
    return [
      seed(.packet, whole), seed(.hello, hello), seed(.limits, hello.limits), seed(.close, whole.close),
      seed(.ack, ack), seed(.stream, stream), seed(.message, message), seed(.candidates, whole.candidates),
      seed(.discover, whole.discover), seed(.found, whole.found), seed(.dictionary, dictionary),
      seed(.dictionaryOffer, offer),
      // Too short for what they are: for the fuzzer to complete.
      ("relay", [WireKind.relay.rawValue, 0x0D, 1, 0, 0, 0, 0x1A, 1, 4]),
      ("relayTooBig", [WireKind.relayTooBig.rawValue, 0x0D, 1, 0, 0, 0, 0x10, 0x80, 0x0A]),
      ("routeError", [WireKind.routeError.rawValue, 0x0D, 1, 0, 0, 0]),
      ("ipFragment", [WireKind.ipFragment.rawValue, 0x08, 1, 0x10, 8, 0x18, 20, 0x7A, 2, 6, 6]),
    ]
  }

  private static func step(_ step: ConnectionStep, _ isB: UInt8 = 0, _ arguments: UInt8...) -> [UInt8] {
    [step.rawValue, isB] + arguments
  }

  private static var connection: [(String, [UInt8])] {
    let open = step(.open) + step(.write, 0, 0, 16, 0) + step(.settle) + step(.read, 1)
    return [
      (
        "one-stream",
        open + step(.end, 0, 0, 0) + step(.settle) + step(.wait, 0, 0, 30) + step(.settle) + step(.read, 1)
      ),
      ("both-ways", open + step(.write, 1, 0, 31, 255) + step(.settle) + step(.read, 0)),
      (
        "loss",
        open + step(.write, 0, 0, 16, 0) + step(.hold) + step(.hold) + step(.settle) + step(.wait, 0, 1, 0)
          + step(.settle)
          + step(.deliver, 0, 0) + step(.read, 1)
      ),
      ("duplicate", open + step(.write, 0, 0, 1, 0) + step(.hold) + step(.deliver, 0, 0) + step(.deliver, 0, 0)),
      ("reset", open + step(.end, 0, 0, 2) + step(.settle) + step(.end, 1, 0, 3) + step(.settle)),
      ("silence", open + step(.write, 0, 0, 1, 0) + step(.wait, 0, 10, 0) + step(.wait, 0, 255, 0) + step(.settle)),
      (
        "window",
        open + Array(repeating: step(.write, 0, 0, 31, 255) + step(.settle), count: 20).flatMap { $0 } + step(.read, 1)
          + step(.settle)
      ),
      ("hostile-ack", open + step(.hostile, 1, 0, 5, 7, 1, 0, 9, 7, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
      ("hostile-stream", open + step(.hostile, 0, 0, 9, 7, 130, 4, 1, 2, 3, 4, 0, 3, 7, 0, 0, 2)),
      (
        "hostile-all",
        open + step(.hostile, 0, 0, 9, 7, 124, 0, 1, 2, 0, 3, 7, 1, 1, 1, 0, 3, 7, 0, 9, 7, 0, 3, 7, 2, 2, 2)
      ),
      ("raw", open + step(.raw, 0, 0, 7) + [0x08, 9, 0x1A, 3, 0x08, 4, 0x7A]),
      ("one-way", step(.openOneWay, 0, 2) + step(.write, 0, 0, 16, 0) + step(.settle) + step(.read, 1)),
      (
        "messages",
        step(.message, 0, 0, 8, 0) + step(.message, 0, 128, 31, 0) + step(.settle) + step(.receive, 1)
          + step(.message, 0, 128, 1, 0) + step(.settle) + step(.discard, 1, 0) + step(.receive, 1)
      ),
      ("datagrams", step(.datagram, 0, 1, 4, 0) + step(.settle) + step(.receive, 1)),
      (
        "moves",
        open + step(.write, 0, 0, 16, 0) + step(.hold) + step(.path, 0, 0, 30, 0) + step(.packetSize, 0, 4, 0)
          + step(.settle) + step(.wait, 0, 1, 0) + step(.packetSize, 0, 0, 0) + step(.settle) + step(.read, 1)
      ),
    ]
  }

  /// What `pnet sim` reads.
  private static let scenarios: [(String, String)] = [
    (
      "faults",
      """
      name Two homes
      seed 7
      duration 1.5m
      nodes 6
      topology random degree 3
      nat 1-2 symmetric timeout 20s cgnat
      messages 300B every 250ms as unordered
      clock 1 skew -200 wall -1h
      at 10s partition 0-2
      at 20s heal
      at 21s crash 3,4
      at 27s link loss 5%
      at 28s path 0 > 1 loss 100%

      """
    ),
    (
      "links",
      """
      topology grid # and a comment
      link delay 20ms jitter 2ms reorders loss 1% rate 1.5M queue 64k mark 30k mtu 1392 icmp burst 2% length 5 aqm codel
      path 2 > 3 rate none
      access 3,5 up rate 1M
      congestion prague
      attacker
      at 5s transfer 0 > 1 2M

      """
    ),
  ]

  private static var ip: [(String, [UInt8])] {
    [
      (
        "ipv4", [0x45, 0x02, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2] + Array(repeating: 0, count: 8)
      ),
      ("ipv4-options", [0x46, 0, 0, 24, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 0]),
      ("ipv6", [0x60, 0x10, 0, 0, 0, 8, 58, 64] + Array(repeating: 0xFD, count: 32) + Array(repeating: 0, count: 8)),
    ]
  }

  private static var text: [String] {
    [
      "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "192.0.2.1:51820", "[2001:db8::1]:2552", "[fe80::1%3]:2552",
      "10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
    ]
  }

  private static var config: [(String, String)] {
    let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
    let peer = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
    return [
      (
        "interface",
        """
        [Interface]
        PrivateKey = \(key)
        ListenPort = 51820
        Address = 10.7.0.1/24, fd00:7::1/64
        DNS = 1.1.1.1
        MTU = 1380
        FwMark = 0x1
        Table = off
        PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo a=b
        SaveConfig = true
        #pnet Accept = any
        #pnet Name = office
        """
      ),
      (
        "peers",
        """
        [Peer]
        PublicKey = \(peer)
        PresharedKey = \(key)
        AllowedIPs = 10.7.0.2/32, fd00:7::2/128 # home
        Endpoint = vpn.example.org:51820
        PersistentKeepalive = 25\r
        [peer]
        publickey=\(key)
        Endpoint=[2001:db8::1]:2552
        AllowedIPs =
        PersistentKeepalive = off
        """
      ),
      (
        "wrong",
        "[Interface]\nPrivateKey = no\nListenPort = 70000\nAddress = 10/8\n[Peer]\nAllowedIPs = x/1\n[Other]\n=\n"
      ),
    ]
  }
}
