// A primary hit as its planes describe it, and the divisors that take its material out of the light.
// rayloom_frame::demodulate is the other end of these lines; both read the same packed values and the same table.

#include "lighting.glsl"

const float MIN_DIVISOR = 1.0 / 255.0;
const float DIELECTRIC_F0 = 0.04;
const uint SPECULAR_TABLE_SIZE = 32u;
const uint SPECULAR_TABLE_START = 256u; // after the 256 values of the sRGB curve
const uint GLASS_TABLE_START = SPECULAR_TABLE_START + 2u * SPECULAR_TABLE_SIZE * SPECULAR_TABLE_SIZE;

struct Primary {
    bool hit;
    vec3 position;
    vec3 normal;
    vec3 geometric;
    vec3 view;      // towards the camera
    float distance; // to the camera, in metres
    vec3 base;
    float roughness;
    float metallic;
    vec3 albedo; // diffuse
    vec3 f0;
    vec2 ab; // preintegrated specular scale and bias
};

vec2 specular_scale_and_bias(Params p, float roughness, float n_dot_v) {
    float last = float(SPECULAR_TABLE_SIZE) - 0.5;
    float x = clamp(n_dot_v * float(SPECULAR_TABLE_SIZE) - 0.5, 0.0, last);
    float y = clamp(roughness * float(SPECULAR_TABLE_SIZE) - 0.5, 0.0, last);
    uint x0 = min(uint(x), SPECULAR_TABLE_SIZE - 2u);
    uint y0 = min(uint(y), SPECULAR_TABLE_SIZE - 2u);
    Pairs table = Pairs(p.tables + uint64_t(SPECULAR_TABLE_START) * 4ul);
    uint at = y0 * SPECULAR_TABLE_SIZE + x0;
    vec2 top = mix(table.v[at], table.v[at + 1u], x - float(x0));
    vec2 bottom = mix(table.v[at + SPECULAR_TABLE_SIZE], table.v[at + SPECULAR_TABLE_SIZE + 1u], x - float(x0));
    return mix(top, bottom, y - float(y0));
}

vec3 base_color_of(Params p, uint packed) {
    Floats curve = Floats(p.tables);
    return vec3(curve.v[packed & 255u], curve.v[(packed >> 8u) & 255u], curve.v[(packed >> 16u) & 255u]);
}

// `wanted` is false for lanes outside the layer: they get a surface that nothing lights.
Primary primary_at(Params p, uvec2 pixel, bool wanted) {
    uint i = wanted ? plane_index(p, pixel) : 0u;
    float depth = uintBitsToFloat(Words(p.depth).v[i]);
    Primary s;
    s.hit = wanted && !isinf(depth);
    depth = s.hit ? depth : 1.0;
    vec3 ray = pixel_ray(p, pixel);
    uint material = Words(p.material).v[i];
    s.position = p.ray_origin.xyz + ray * depth;
    s.distance = length(ray) * depth;
    s.view = -normalize(ray);
    s.normal = decode_normal(Words(p.normal).v[i]);
    s.geometric = decode_normal(Words(p.geometric_normal).v[i]);
    s.base = base_color_of(p, Words(p.base_color).v[i]);
    s.roughness = float(material & 255u) / 255.0;
    s.metallic = float((material >> 8u) & 255u) / 255.0;
    s.albedo = s.base * (1.0 - s.metallic);
    s.f0 = DIELECTRIC_F0 + (s.base - DIELECTRIC_F0) * s.metallic;
    s.ab = specular_scale_and_bias(p, s.roughness, dot(s.normal, s.view));
    return s;
}

// Where a ray that leaves a primary hit starts: planes of an engine are off by their depth's error too.
vec3 leave_primary(Params p, Primary s) {
    return leave(s.position, s.geometric, s.distance) + s.geometric * (s.distance * p.depth_error);
}

// The share of light that a dielectric's coat lets through to the diffuse base, over the albedo divisor: multiply
// irradiance / pi by it to get what the direct and indirect layers hold.
vec3 diffuse_over_divisor(Primary s) {
    float through = 1.0 - (DIELECTRIC_F0 * s.ab.x + s.ab.y);
    return s.albedo / max(s.albedo, vec3(MIN_DIVISOR)) * through;
}

// Multiple scattering between facets, over the specular divisor: Turquin, "Practical multiple scattering compensation
// for microfacet models", 2019. Multiply single-scattered light by it to get what the specular layer holds.
vec3 specular_over_divisor(Primary s) {
    float single = max(s.ab.x + s.ab.y, 0.05);
    vec3 compensation = 1.0 + s.f0 * (1.0 / single - 1.0);
    return compensation / max(s.f0 * s.ab.x + s.ab.y, vec3(MIN_DIVISOR));
}
