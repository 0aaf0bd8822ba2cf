// The umbrella: `import PNetMesh` brings the async API and what its signatures speak of.
@_exported public import MeshNode
@_exported public import MeshRuntime

@_exported public import struct MeshPacket.ErrorCode
@_exported public import struct MeshPrimitives.IPAddress
@_exported public import struct MeshPrimitives.PublicKey
@_exported public import struct MeshPrimitives.SocketAddress
@_exported public import enum MeshReliability.CongestionAlgorithm
@_exported public import enum MeshReliability.Lane
@_exported public import struct MeshReliability.StreamOptions
@_exported public import struct MeshRouting.IPPrefix
