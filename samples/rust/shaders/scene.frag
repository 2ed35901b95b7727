// Writes the G-buffer of a surface: the same surface that a ray through the pixel's centre finds.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_nonuniform_qualifier : require
#include "frame.glsl"

layout(constant_id = 0) const bool MASKED = false;
layout(set = 0, binding = 0) uniform sampler2D textures[];

layout(location = 0) in vec3 relative; // from the camera, world axes
layout(location = 1) in vec3 in_normal;
layout(location = 2) in vec3 in_tangent;
layout(location = 3) in vec2 uv;
layout(location = 4) in vec3 previous; // from the previous camera, along its axes
layout(location = 5) flat in uint id;
layout(location = 6) flat in vec2 sides;

layout(location = 0) out uint out_normal;
layout(location = 1) out uint out_geometric;
layout(location = 2) out vec4 out_albedo;
layout(location = 3) out vec2 out_roughness_metalness;
layout(location = 4) out uint out_emissive;
layout(location = 5) out vec2 out_motion;
layout(location = 6) out uint out_id;

// Octahedral, two 16-bit snorm: Cigolle et al., "A Survey of Efficient Representations for Independent Unit Vectors", 2014.
uint octahedral(vec3 n) {
    vec2 v = n.xy / (abs(n.x) + abs(n.y) + abs(n.z));
    if (n.z < 0.0) {
        v = (1.0 - abs(v.yx)) * mix(vec2(-1.0), vec2(1.0), greaterThanEqual(v, vec2(0.0)));
    }
    return packSnorm2x16(v);
}

// Three 9-bit mantissas with a shared exponent (EXT_texture_shared_exponent).
uint rgb9e5(vec3 light) {
    vec3 c = mix(vec3(0.0), min(light, vec3(65408.0)), greaterThan(light, vec3(0.0)));
    float largest = max(c.r, max(c.g, c.b));
    int exponent = int(max(floor(log2(max(largest, 1e-30))), -16.0)) + 16;
    if (largest * exp2(float(24 - exponent)) > 511.5) {
        exponent += 1;
    }
    uvec3 m = min(uvec3(c * exp2(float(24 - exponent)) + 0.5), uvec3(511u));
    return m.r | m.g << 9 | m.b << 18 | uint(exponent) << 27;
}

vec2 slot_uv(Material m, uint slot) {
    if ((m.flags & TRANSFORMED) == 0u) {
        return uv;
    }
    vec4 r = m.rotation_scale[slot];
    return vec2(dot(r.xy, uv), dot(r.zw, uv)) + m.offsets[slot];
}

// Bilinear in the mip nearest to a footprint given in texture coordinates.
vec4 sampled(Material m, uint slot, float footprint) {
    ivec2 size = textureSize(textures[m.textures[slot]], 0);
    float level = log2(max(footprint * float(max(size.x, size.y)), 1.0));
    return textureLod(textures[m.textures[slot]], slot_uv(m, slot), level);
}

void main() {
    Frame f = push.frame;
    Material m = push.materials.v[push.material];
    vec3 along_x = dFdx(relative);
    vec3 along_y = dFdy(relative);
    vec2 uv_x = dFdx(uv);
    vec2 uv_y = dFdy(uv);
    // The share of the surface that reflects: peers add what is seen through the rest.
    float met = 1.0;
    if (MASKED) {
        float alpha = m.base.a;
        if (m.textures.x != NO_TEXTURE) {
            alpha *= textureLod(textures[m.textures.x], slot_uv(m, 0u), 0.0).a;
        }
        if (alpha < m.cutoff) {
            discard;
        }
        met = (m.flags & COVERING) != 0u ? clamp(alpha, 0.0, 1.0) : 1.0;
    }
    vec3 direction = normalize(relative);
    vec3 area = cross(along_x, along_y);
    float area_length = max(length(area), 1e-30);
    vec3 geometric = area / area_length;
    geometric = dot(geometric, direction) > 0.0 ? -geometric : geometric;
    float length_squared = dot(in_normal, in_normal);
    // Front faces are counter-clockwise in the mesh; mirrored instances turn them round on screen.
    bool away = gl_FrontFacing == (sides.x < 0.0);
    vec3 normal = length_squared > 1e-40 ? in_normal * inversesqrt(length_squared) : (away ? -geometric : geometric);
    vec3 base = m.base.rgb;
    float roughness = m.roughness;
    float metallic = m.emissive_metallic.w;
    vec3 emissive = m.emissive_metallic.rgb;
    if ((m.textures.x & m.textures.y & m.textures.z & m.textures.w) != NO_TEXTURE) {
        // A ray cone's footprint (Akenine-Moller et al., "Texture Level of Detail Strategies for Real-Time Ray Tracing",
        // 2019), so that raster and rays read the same mip.
        float uv_per_metre = sqrt(abs(uv_x.x * uv_y.y - uv_x.y * uv_y.x) / area_length);
        float cone = f.extent.z * -dot(f.back.xyz, relative);
        float footprint = 2.0 * cone / max(abs(dot(direction, geometric)), 0.1) * uv_per_metre;
        if (m.textures.x != NO_TEXTURE) {
            base *= sampled(m, 0u, footprint).rgb;
        }
        if (m.textures.y != NO_TEXTURE) {
            vec2 rm = sampled(m, 1u, footprint).yz;
            roughness *= rm.x;
            metallic *= rm.y;
        }
        if (m.textures.w != NO_TEXTURE) {
            emissive *= sampled(m, 3u, footprint).rgb;
        }
        vec3 tangent = in_tangent - normal * dot(normal, in_tangent);
        float tangent_length = length(tangent);
        // A sign of zero marks a mesh without tangents.
        if (m.textures.z != NO_TEXTURE && tangent_length > 1e-20 && sides.y != 0.0) {
            vec3 detail = sampled(m, 2u, footprint).xyz * 2.0 - 1.0;
            detail.xy *= m.normal_scale;
            tangent /= tangent_length;
            vec3 bitangent = cross(normal, tangent) * sides.y;
            normal = normalize(tangent * detail.x + bitangent * detail.y + normal * max(detail.z, 1e-3));
        }
    }
    base *= met;
    emissive *= met;
    // Surfaces are seen from both sides; normals are on the viewer's.
    normal = away ? -normal : normal;
    if (dot(normal, geometric) < 0.0) {
        normal = reflect(normal, geometric);
    }
    out_normal = octahedral(normal);
    out_geometric = octahedral(geometric);
    out_albedo = vec4(base, 1.0);
    out_roughness_metalness = vec2(roughness, metallic);
    out_emissive = rgb9e5(emissive);
    out_motion = motion(f, previous);
    out_id = id;
}
