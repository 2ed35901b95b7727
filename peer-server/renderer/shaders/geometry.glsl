// Triangles of a bottom-level structure as triangles of its mesh. Masked and opaque runs of a mesh's triangles are
// geometries of their own there, and the API counts triangles within a geometry.

// Index in the mesh. A mesh that is one geometry has no table of first triangles.
uint mesh_primitive(uint instance, int geometry, int primitive) {
    Params p = Params(push.params);
    uint64_t firsts = packUint2x32(Quads(p.instances).v[instance * INSTANCE_VECTORS + 7u].xy);
    return uint(primitive) + (firsts == 0ul ? 0u : Words(firsts).v[geometry]);
}
