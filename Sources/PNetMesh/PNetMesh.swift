// The umbrella: `import PNetMesh` brings the async API and what its signatures speak of.
@_exported public import MeshNode
@_exported public import MeshRuntime
