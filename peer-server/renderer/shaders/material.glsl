// Instances, triangles, materials and textures: what a hit point is made of.
// Mirrored by src/layout.rs.

#include "glass.glsl"

// One instance: 11 vec4.
//   0..2 rows of object-to-world, 3..5 rows of the previous frame's, 6 addresses of vertices and triangles,
//   7 address of the first triangles of its geometries (geometry.glsl), 8..10 rows of world-to-object
const uint INSTANCE_VECTORS = 12u;
// One vertex: 2 uvec4 (position, normal; uv, tangent, tangent sign). One triangle: uvec4 (3 vertices, material).
// One material: 15 vec4.
//   0 base colour, alpha; 1 emissive, metallic; 2 roughness, normal scale, alpha cutoff, flags (bits)
//   3 texture indices (base, metal-rough, normal, emissive; ~0 = none)
//   4..9 rotation-scale of each slot (those of 3, transmission, thickness); 10..12 their offsets
//   13 transmission, index of refraction, texture indices (transmission, thickness); 14 absorption by metre
const uint MATERIAL_VECTORS = 15u;
const uint MATERIAL_GLASS = 13u;
const uint MATERIAL_ABSORPTION = 14u;
const uint MATERIAL_ALPHA = 1u;
const uint MATERIAL_TRANSFORMED = 2u;
const uint MATERIAL_EMISSIVE = 4u;
const uint MATERIAL_SAMPLED = 8u; // its triangles are in the table of lights
const uint MATERIAL_COVERED = 16u; // alpha is coverage: a share of rays passes
const uint MATERIAL_REFRACTS = 32u; // paths meet a body of glass where others look through
const uint MATERIAL_THIN = 64u; // glass that is a thin sheet, with MATERIAL_REFRACTS where its texture of thicknesses is 0
const uint NO_TEXTURE = 0xffffffffu;
// One texture: 5 uvec4. 0: address of its texels, width, height; 1..4: mip count, first texel of mip 1..15
const uint TEXTURE_QUADS = 5u;

uint64_t address(uvec2 words) {
    return packUint2x32(words);
}

struct Triangle {
    uvec4 indices; // w: material
    uint64_t vertices;
};

Triangle triangle_at(Params p, uint instance, uint primitive) {
    uvec4 addresses = Quads(p.instances).v[instance * INSTANCE_VECTORS + 6u];
    Triangle t;
    t.vertices = address(addresses.xy);
    t.indices = Quads(address(addresses.zw)).v[primitive];
    return t;
}

vec2 vertex_uv(uint64_t vertices, uint index) {
    return uintBitsToFloat(Halves(vertices + uint64_t(index) * 32ul + 16ul).v[0]);
}

vec2 triangle_uv(Triangle t, vec2 bary) {
    return vertex_uv(t.vertices, t.indices.x) * (1.0 - bary.x - bary.y)
        + vertex_uv(t.vertices, t.indices.y) * bary.x + vertex_uv(t.vertices, t.indices.z) * bary.y;
}

vec2 slot_uv(Params p, uint material, uint flags, uint slot, vec2 uv) {
    if ((flags & MATERIAL_TRANSFORMED) == 0u) {
        return uv;
    }
    vec4 m = Vectors(p.materials).v[material * MATERIAL_VECTORS + 4u + slot];
    vec4 offsets = Vectors(p.materials).v[material * MATERIAL_VECTORS + 10u + (slot >> 1u)];
    vec2 offset = (slot & 1u) == 0u ? offsets.xy : offsets.zw;
    return vec2(m.x * uv.x + m.y * uv.y, m.z * uv.x + m.w * uv.y) + offset;
}

uint texel_index(ivec2 at, ivec2 size) {
    return uint(at.y * size.x + at.x);
}

// Bilinear within the mip nearest to `lod` (of a texture 1 uv unit wide: texels per unit are multiplied in here),
// repeating. Colours are stored as square roots, which take about as many bits as sRGB does and decode by one
// multiplication; they are decoded before they are weighted, so that filtering is linear in light.
vec4 texture_at(Params p, uint index, vec2 uv, float uv_footprint, bool color) {
    uvec4 head = Quads(p.textures).v[index * TEXTURE_QUADS];
    uvec4 first = Quads(p.textures).v[index * TEXTURE_QUADS + 1u];
    ivec2 size = ivec2(head.zw);
    int level = int(floor(log2(max(uv_footprint * float(max(size.x, size.y)), 1.0)) + 0.5));
    level = min(level, int(first.x) - 1);
    uint start = 0u;
    if (level > 0) {
        start = Words(p.textures).v[index * TEXTURE_QUADS * 4u + 4u + uint(level)];
        size = max(size >> level, ivec2(1));
    }
    vec2 at = fract(uv) * vec2(size) - 0.5;
    vec2 low = floor(at);
    vec2 f = at - low;
    ivec2 a = ivec2(low);
    ivec2 b = a + 1;
    a += mix(ivec2(0), size, lessThan(a, ivec2(0)));
    b -= mix(ivec2(0), size, greaterThanEqual(b, size));
    Words texels = Words(address(head.xy));
    vec4 aa = unpackUnorm4x8(texels.v[start + texel_index(a, size)]);
    vec4 ba = unpackUnorm4x8(texels.v[start + texel_index(ivec2(b.x, a.y), size)]);
    vec4 ab = unpackUnorm4x8(texels.v[start + texel_index(ivec2(a.x, b.y), size)]);
    vec4 bb = unpackUnorm4x8(texels.v[start + texel_index(b, size)]);
    if (color) {
        aa.rgb *= aa.rgb;
        ba.rgb *= ba.rgb;
        ab.rgb *= ab.rgb;
        bb.rgb *= bb.rgb;
    }
    return mix(mix(aa, ba, f.x), mix(ab, bb, f.x), f.y);
}

// 0: coverage is cut at one half, as layers with one surface a pixel need it. Else this ray meets a surface with the
// probability that is its coverage, drawn from these bits.
uint coverage_seed = 0u;

uint mixed(uint v) {
    v = (v ^ (v >> 16u)) * 0x7feb352du;
    v = (v ^ (v >> 15u)) * 0x846ca68bu;
    return v ^ (v >> 16u);
}

// Of a pixel and a stream: layers that trace the same pixel are unrelated.
uint pixel_seed(uvec2 pixel, uint stream) {
    return mixed(pixel.x + mixed(pixel.y + 0x9e3779b9u * (stream + 1u)));
}

// Normals transform by the cofactor matrix, whose rows are cross products of the rows of the linear part; it needs no
// division and keeps the side of mirrored instances (the determinant's sign is the caller's).
vec3 normal_to_world(vec4 r0, vec4 r1, vec4 r2, vec3 n) {
    return vec3(dot(cross(r1.xyz, r2.xyz), n), dot(cross(r2.xyz, r0.xyz), n), dot(cross(r0.xyz, r1.xyz), n));
}

// The share of what is no metal that lets light through, and whether it is a thin sheet, from the vector MATERIAL_GLASS.
struct Glass {
    float transmission;
    bool thin;
};

Glass glass_at(Params p, uint material, uint flags, uvec4 of, vec2 uv, float footprint) {
    Glass g = Glass(uintBitsToFloat(of.x), (flags & MATERIAL_REFRACTS) == 0u);
    if (of.z != NO_TEXTURE) {
        g.transmission *= texture_at(p, of.z, slot_uv(p, material, flags, 4u, uv), footprint, false).r;
    }
    if (of.w != NO_TEXTURE && !g.thin) {
        g.thin = texture_at(p, of.w, slot_uv(p, material, flags, 5u, uv), footprint, false).g < 0.5 / 255.0;
    }
    return g;
}

// Alpha of material `m` (its first vector) at a hit.
float alpha_at(Params p, Triangle t, uint m, uint flags, vec2 bary) {
    float alpha = Vectors(p.materials).v[m].w;
    uint texture = Quads(p.materials).v[m + 3u].x;
    if (texture != NO_TEXTURE) {
        alpha *= texture_at(p, texture, slot_uv(p, t.indices.w, flags, 0u, triangle_uv(t, bary)), 0.0, false).a;
    }
    return alpha;
}

// The share of light that meets a thin sheet, where there is one surface a pixel: the rest goes through.
float met_share(Params p, Triangle t, uint m, uint flags, vec2 bary) {
    vec2 uv = triangle_uv(t, bary);
    float metallic = Vectors(p.materials).v[m + 1u].w;
    uint texture = Quads(p.materials).v[m + 3u].y;
    if (texture != NO_TEXTURE) {
        metallic *= texture_at(p, texture, slot_uv(p, t.indices.w, flags, 1u, uv), 0.0, false).z;
    }
    Glass g = glass_at(p, t.indices.w, flags, Quads(p.materials).v[m + MATERIAL_GLASS], uv, 0.0);
    return g.thin ? 1.0 - g.transmission * (1.0 - clamp(metallic, 0.0, 1.0)) : 1.0;
}

// The share of light that meets the surface, where there is one a pixel.
float coverage_at(Params p, Triangle t, uint m, uint flags, vec2 bary) {
    float alpha = alpha_at(p, t, m, flags, bary);
    bool sheet = (flags & MATERIAL_COVERED) != 0u && (flags & MATERIAL_THIN) != 0u;
    return sheet ? alpha * met_share(p, t, m, flags, bary) : alpha;
}

// Set for shadow rays: clear thin sheets let them pass and take their share, by channel, of `passage`.
bool passes = false;
vec3 passing_direction = vec3(0.0);
vec3 passage = vec3(1.0);

// What light that goes straight on loses at a sheet; true where nothing passes.
bool stops_at_sheet(Params p, Triangle t, uint instance, uint m, uint flags, vec2 bary) {
    vec2 uv = triangle_uv(t, bary);
    vec3 base = Vectors(p.materials).v[m].rgb;
    float metallic = Vectors(p.materials).v[m + 1u].w;
    float roughness = Vectors(p.materials).v[m + 2u].x;
    uvec4 slots = Quads(p.materials).v[m + 3u];
    if (slots.y != NO_TEXTURE) {
        vec2 rm = texture_at(p, slots.y, slot_uv(p, t.indices.w, flags, 1u, uv), 0.0, false).yz;
        roughness *= rm.x;
        metallic *= rm.y;
    }
    uvec4 of = Quads(p.materials).v[m + MATERIAL_GLASS];
    Glass g = glass_at(p, t.indices.w, flags, of, uv, 0.0);
    float share = g.transmission * (1.0 - clamp(metallic, 0.0, 1.0));
    if (!g.thin || share <= 0.0 || roughness * roughness >= DELTA_ALPHA) {
        return true;
    }
    if (slots.x != NO_TEXTURE) {
        base *= texture_at(p, slots.x, slot_uv(p, t.indices.w, flags, 0u, uv), 0.0, true).rgb;
    }
    uint row = instance * INSTANCE_VECTORS;
    Vectors rows = Vectors(p.instances);
    Quads vertices = Quads(t.vertices);
    vec3 pa = uintBitsToFloat(vertices.v[t.indices.x * 2u].xyz);
    vec3 pb = uintBitsToFloat(vertices.v[t.indices.y * 2u].xyz);
    vec3 pc = uintBitsToFloat(vertices.v[t.indices.z * 2u].xyz);
    vec3 normal = normal_to_world(rows.v[row], rows.v[row + 1u], rows.v[row + 2u], cross(pb - pa, pc - pa));
    float cosine = abs(dot(normalize(normal), normalize(passing_direction)));
    passage *= base * (share * (1.0 - sheet_reflectance(min(cosine, 1.0), uintBitsToFloat(of.y))));
    return max(max(passage.r, passage.g), passage.b) <= 0.0;
}

// Called by the traversal for triangles that are not opaque: false where the material has a hole. `any_hit` is a constant
// where it is inlined: what only shadow rays do then costs others nothing.
bool accept_hit(uint instance, uint primitive, vec2 bary, bool any_hit) {
    Params p = Params(push.params);
    Triangle t = triangle_at(p, instance, primitive);
    uint m = t.indices.w * MATERIAL_VECTORS;
    vec4 surface = Vectors(p.materials).v[m + 2u];
    uint flags = floatBitsToUint(surface.w);
    float cutoff = surface.z;
    float alpha = alpha_at(p, t, m, flags, bary);
    if ((flags & MATERIAL_COVERED) != 0u) {
        if (coverage_seed != 0u) {
            // Never 0, so that nothing is met where nothing is.
            cutoff = (float(mixed(mixed(coverage_seed ^ primitive) + instance) >> 8u) + 1.0) * (1.0 / 16777216.0);
        } else if (!any_hit && (flags & MATERIAL_THIN) != 0u) {
            // Paths and shadow rays meet the sheets that one surface a pixel looks through.
            alpha *= met_share(p, t, m, flags, bary);
        }
    }
    if (alpha < cutoff) {
        return false;
    }
    return !any_hit || !passes || (flags & MATERIAL_THIN) == 0u || stops_at_sheet(p, t, instance, m, flags, bary);
}
