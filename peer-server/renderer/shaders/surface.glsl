// The surface at a hit: position, normals and the material's values, textures included.
// Includes the front end, which calls accept_hit() of material.glsl.

#include "params.glsl"
#include "invocation.glsl"
#include "sampling.glsl"
#include "material.glsl"
#include "front_end.glsl"

struct Surface {
    vec3 position;
    vec3 geometric; // faces the ray's origin
    vec3 normal;    // shading normal, on the same side
    vec3 base;      // linear
    vec3 emissive;
    float roughness;
    float metallic;
    float transmission; // of what is no metal
    bool thin;          // a sheet that bends nothing
    vec3 absorption;    // by metre, within the body behind it
    vec3 local_position; // in the mesh's space
    uint instance;
    uint material;
    bool behind; // the ray came from the back
    bool sampled; // its emission reaches others through the table of lights
};

vec3 vector_to_world(vec4 r0, vec4 r1, vec4 r2, vec3 v) {
    return vec3(dot(r0.xyz, v), dot(r1.xyz, v), dot(r2.xyz, v));
}

// `cone` is the radius of the ray's footprint at the hit, in metres; `normal_map` is false where a detail of the normal
// no longer matters (bounces).
Surface surface_at(Params p, Hit hit, vec3 origin, vec3 direction, float cone, bool normal_map) {
    uint base_vector = hit.instance * INSTANCE_VECTORS;
    vec4 r0 = Vectors(p.instances).v[base_vector];
    vec4 r1 = Vectors(p.instances).v[base_vector + 1u];
    vec4 r2 = Vectors(p.instances).v[base_vector + 2u];
    float side = dot(cross(r0.xyz, r1.xyz), r2.xyz) < 0.0 ? -1.0 : 1.0;
    Triangle t = triangle_at(p, hit.instance, hit.primitive);
    Quads vertices = Quads(t.vertices);
    uvec4 a0 = vertices.v[t.indices.x * 2u];
    uvec4 b0 = vertices.v[t.indices.y * 2u];
    uvec4 c0 = vertices.v[t.indices.z * 2u];
    vec3 w = vec3(1.0 - hit.barycentrics.x - hit.barycentrics.y, hit.barycentrics.x, hit.barycentrics.y);
    vec3 pa = uintBitsToFloat(a0.xyz);
    vec3 pb = uintBitsToFloat(b0.xyz);
    vec3 pc = uintBitsToFloat(c0.xyz);
    vec3 local_geometric = cross(pb - pa, pc - pa);

    Surface s;
    s.instance = hit.instance;
    s.material = t.indices.w;
    s.local_position = pa * w.x + pb * w.y + pc * w.z;
    s.position = origin + direction * hit.t;
    vec3 scaled_geometric = normal_to_world(r0, r1, r2, local_geometric) * side;
    float double_area = length(scaled_geometric);
    s.geometric = scaled_geometric / max(double_area, 1e-30);
    vec3 n = decode_normal(a0.w) * w.x + decode_normal(b0.w) * w.y + decode_normal(c0.w) * w.z;
    n = normal_to_world(r0, r1, r2, n) * side;
    float n_length = length(n);
    s.normal = n_length > 1e-20 ? n / n_length : s.geometric;

    uint m = t.indices.w * MATERIAL_VECTORS;
    vec4 base = Vectors(p.materials).v[m];
    vec4 emissive_metallic = Vectors(p.materials).v[m + 1u];
    vec4 rest = Vectors(p.materials).v[m + 2u];
    uvec4 slots = Quads(p.materials).v[m + 3u];
    uint flags = floatBitsToUint(rest.w);
    s.base = base.rgb;
    s.metallic = emissive_metallic.w;
    s.roughness = rest.x;
    s.emissive = emissive_metallic.rgb;
    s.sampled = (flags & MATERIAL_SAMPLED) != 0u;
    uvec4 glass = uvec4(0u, 0u, NO_TEXTURE, NO_TEXTURE);
    if ((flags & (MATERIAL_REFRACTS | MATERIAL_THIN)) != 0u) {
        glass = Quads(p.materials).v[m + MATERIAL_GLASS];
    }
    s.transmission = uintBitsToFloat(glass.x);
    s.thin = (flags & MATERIAL_REFRACTS) == 0u;
    uint any = slots.x & slots.y & slots.w & (normal_map ? slots.z : NO_TEXTURE) & glass.z & glass.w;
    if (any != NO_TEXTURE) {
        uvec4 a1 = vertices.v[t.indices.x * 2u + 1u];
        uvec4 b1 = vertices.v[t.indices.y * 2u + 1u];
        uvec4 c1 = vertices.v[t.indices.z * 2u + 1u];
        vec2 ua = uintBitsToFloat(a1.xy);
        vec2 ub = uintBitsToFloat(b1.xy);
        vec2 uc = uintBitsToFloat(c1.xy);
        vec2 uv = ua * w.x + ub * w.y + uc * w.z;
        vec2 e1 = ub - ua;
        vec2 e2 = uc - ua;
        // The ray cone's footprint in uv: Akenine-Moller et al., "Texture Level of Detail Strategies for Real-Time Ray
        // Tracing", Ray Tracing Gems, 2019.
        float uv_per_metre = sqrt(abs(e1.x * e2.y - e1.y * e2.x) / max(double_area, 1e-30));
        float cosine = max(abs(dot(normalize(direction), s.geometric)), 0.1);
        float footprint = 2.0 * cone / cosine * uv_per_metre;
        if (slots.x != NO_TEXTURE) {
            s.base *= texture_at(p, slots.x, slot_uv(p, t.indices.w, flags, 0u, uv), footprint, true).rgb;
        }
        if (slots.y != NO_TEXTURE) {
            vec2 rm = texture_at(p, slots.y, slot_uv(p, t.indices.w, flags, 1u, uv), footprint, false).yz;
            s.roughness *= rm.x;
            s.metallic *= rm.y;
        }
        if (slots.w != NO_TEXTURE && (flags & MATERIAL_EMISSIVE) != 0u) {
            s.emissive *= texture_at(p, slots.w, slot_uv(p, t.indices.w, flags, 3u, uv), footprint, true).rgb;
        }
        if ((glass.z & glass.w) != NO_TEXTURE) {
            Glass g = glass_at(p, t.indices.w, flags, glass, uv, footprint);
            s.transmission = g.transmission;
            s.thin = g.thin;
        }
        if (normal_map && slots.z != NO_TEXTURE) {
            vec3 tangent = decode_normal(a1.z) * w.x + decode_normal(b1.z) * w.y + decode_normal(c1.z) * w.z;
            float handed = uintBitsToFloat(a1.w) * side;
            tangent = vector_to_world(r0, r1, r2, tangent);
            tangent -= s.normal * dot(s.normal, tangent);
            float t_length = length(tangent);
            // A handedness of zero marks a mesh without tangents.
            if (t_length > 1e-20 && handed != 0.0) {
                tangent /= t_length;
                vec3 m3 = texture_at(p, slots.z, slot_uv(p, t.indices.w, flags, 2u, uv), footprint, false).xyz * 2.0 - 1.0;
                m3.xy *= rest.y;
                vec3 bitangent = cross(s.normal, tangent) * handed;
                s.normal = normalize(tangent * m3.x + bitangent * m3.y + s.normal * max(m3.z, 1e-3));
            }
        }
    }
    s.absorption = s.thin ? vec3(0.0) : Vectors(p.materials).v[m + MATERIAL_ABSORPTION].rgb;
    // Both normals on the side that the ray came from; every surface is lit from both sides.
    s.behind = dot(s.geometric, direction) > 0.0;
    if (s.behind) {
        s.geometric = -s.geometric;
        s.normal = -s.normal;
    }
    if (dot(s.normal, s.geometric) < 0.0) {
        s.normal = reflect(s.normal, s.geometric);
    }
    return s;
}
