import MeshPacket
import MeshPrimitives

/// Writes the same packet in another encoding that proto3 allows.
struct Scrambler {
  var random: Xorshift

  /// Fields of `Packet` and of its frames that are messages, by number; what is not here is a leaf.
  private static let messages: [UInt32: [UInt32: Bool]] = [
    2: [:], 3: [:], 4: [:], 5: [:], 7: [:], 8: [:], 9: [:], 10: [:], 11: [2: true], 12: [:], 13: [5: true, 6: true],
    14: [:], 16: [:], 18: [:], 19: [:], 20: [:], 21: [:], 22: [:], 23: [:], 24: [:], 25: [:], 26: [:], 27: [:], 28: [:],
  ]

  private struct Field {
    var tag: UInt64
    var scalar: UInt64 = 0
    var bytes: [UInt8] = []
  }

  mutating func scramble(_ packet: [UInt8]) -> [UInt8] { rewrite(packet, field: 0, depth: 0) }

  private mutating func rewrite(_ message: [UInt8], field parent: UInt32, depth: Int) -> [UInt8] {
    var fields = Self.split(message)
    // A singular scalar that comes twice: the last one counts.
    if random.oneIn(4), let first = fields.first, first.tag & 7 == 0, depth == 1 || first.tag >> 3 == 1 {
      var decoy = first
      decoy.scalar = random.number(20)
      fields.insert(decoy, at: 0)
    } else if random.oneIn(3) {
      // Another order, in which fields of one number stay in theirs.
      var groups: [[Field]] = []
      for field in fields {
        if groups.last?.last?.tag == field.tag {
          groups[groups.count - 1].append(field)
        } else {
          groups.append([field])
        }
      }
      fields = groups.shuffled(using: &random).flatMap { $0 }
    }
    var output: [UInt8] = []
    for field in fields {
      let number = UInt32(field.tag >> 3)
      if parent == 2, number == 3, random.oneIn(2) {
        // Packed numbers one by one, or in two parts.
        let numbers = Self.varints(field.bytes)
        let cut = random.below(numbers.count + 1)
        if cut > 0 {
          let part = numbers[..<cut].flatMap { varint($0, max: 10) }
          output += varint(3 << 3 | 2, max: 5) + varint(UInt64(part.count), max: 5) + part
        }
        for value in numbers[cut...] { output += varint(3 << 3, max: 5) + varint(value, max: 10) }
        continue
      }
      output += varint(field.tag, max: 5)
      switch field.tag & 7 {
      case 0: output += varint(field.scalar, max: 10)
      case 2:
        let isMessage = depth == 0 ? Self.messages[number] != nil : depth == 1 && Self.messages[parent]?[number] == true
        let content = isMessage ? rewrite(field.bytes, field: number, depth: depth + 1) : field.bytes
        output += varint(UInt64(content.count), max: 5) + content
      default: output += field.bytes
      }
    }
    return output
  }

  /// `value` in its shortest form, or now and then in a longer one.
  private mutating func varint(_ value: UInt64, max: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    repeat {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    } while rest > 0
    if random.oneIn(6) { while bytes.count < max, random.oneIn(2) { bytes.append(0x80) } }
    bytes[bytes.count - 1] &= 0x7F
    return bytes
  }

  private static func varints(_ bytes: [UInt8]) -> [UInt64] {
    var offset = 0
    var values: [UInt64] = []
    while offset < bytes.count { values.append(try! Varint.read(bytes.bytes, at: &offset)) }
    return values
  }

  private static func split(_ message: [UInt8]) -> [Field] {
    var offset = 0
    var fields: [Field] = []
    while offset < message.count {
      var field = Field(tag: try! Varint.read(message.bytes, at: &offset))
      switch field.tag & 7 {
      case 0: field.scalar = try! Varint.read(message.bytes, at: &offset)
      case 1, 5:
        let count = field.tag & 7 == 1 ? 8 : 4
        field.bytes = Array(message[offset..<offset + count])
        offset += count
      default:
        let count = Int(try! Varint.read(message.bytes, at: &offset))
        field.bytes = Array(message[offset..<offset + count])
        offset += count
      }
      fields.append(field)
    }
    return fields
  }
}
