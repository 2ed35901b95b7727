// What a surface does with light, for paths: the lobes of docs/shading.md, their values, densities and samples.

#include "gbuffer.glsl"

// The table of rough glass (src/glass_table.rs): columns are roots of cosines, then the side, roughness, and the index of
// refraction n by the root of (n-1)/(n+1), each from its first value to its last.
const uint GLASS_COSINES = 32u;
const uint GLASS_ROUGHNESSES = 24u;
const uint GLASS_INDICES = 20u;
const float GLASS_LAST = 0.2 * 361.0 / 121.0; // the last (n-1)/(n+1); 1.5 is the twelfth index

// The share of light from everywhere that one scattering at the facets of a rough face of glass sends towards `cosine`.
float scattered_once(Params p, float roughness, float ior, bool inside, float cosine) {
    float x = sqrt(clamp(cosine, 0.0, 1.0)) * float(GLASS_COSINES - 1u);
    float y = clamp(roughness, 0.0, 1.0) * float(GLASS_ROUGHNESSES - 1u);
    float z = min(sqrt((ior - 1.0) / ((ior + 1.0) * GLASS_LAST)), 1.0) * float(GLASS_INDICES - 1u);
    uvec3 low = min(uvec3(x, y, z), uvec3(GLASS_COSINES, GLASS_ROUGHNESSES, GLASS_INDICES) - 2u);
    vec3 f = vec3(x, y, z) - vec3(low);
    const uint ROUGHNESS_STRIDE = GLASS_COSINES * 2u;
    const uint INDEX_STRIDE = ROUGHNESS_STRIDE * GLASS_ROUGHNESSES;
    uint at = GLASS_TABLE_START + low.x + (inside ? GLASS_COSINES : 0u) + low.y * ROUGHNESS_STRIDE + low.z * INDEX_STRIDE;
    Floats table = Floats(p.tables);
    float sum = 0.0;
    for (uint corner = 0u; corner < 4u; corner++) {
        bool rougher = (corner & 1u) != 0u;
        bool denser = (corner & 2u) != 0u;
        uint i = at + (rougher ? ROUGHNESS_STRIDE : 0u) + (denser ? INDEX_STRIDE : 0u);
        sum += mix(table.v[i], table.v[i + 1u], f.x) * (rougher ? f.y : 1.0 - f.y) * (denser ? f.z : 1.0 - f.z);
    }
    return sum;
}

struct Scatter {
    mat3 frame;     // columns: tangent, bitangent, shading normal
    vec3 geometric;
    vec3 v;         // towards the viewer, in the frame
    float alpha;
    float lambda_v;
    vec3 dielectric; // f0 and factor of the coat of what is no metal: x f0, y factor
    vec3 metal;      // base colour, which is a metal's f0
    vec3 metal_factor;
    vec3 diffuse;
    vec3 tint;       // of refracted light
    float eta;       // index beyond the surface over the one before it; of a sheet, its own
    float glass;     // its share of the surface
    float glass_factor; // the same, with what scatters more than once between its facets
    bool thin;       // the glass is a sheet, whose faces are parallel
    float facing;    // cosine at the triangle, by which clear sheets reflect: shadow rays know no other
    vec3 choice;     // probabilities of specular, diffuse, glass
};

bool is_delta(Scatter c) {
    return c.alpha < DELTA_ALPHA;
}

Scatter scatter_at(Params p, Surface s, vec3 view) {
    float ior = Vectors(p.materials).v[s.material * MATERIAL_VECTORS + MATERIAL_GLASS].y;
    float transmission = clamp(s.transmission, 0.0, 1.0);
    Scatter c;
    c.frame = basis(s.normal);
    c.geometric = s.geometric;
    vec3 v = view * c.frame;
    // A shading normal may turn away from the viewer; grazing is the nearest that makes sense.
    c.v = normalize(vec3(v.xy, max(v.z, 1e-3)));
    float roughness = clamp(s.roughness, 0.0, 1.0);
    float metallic = clamp(s.metallic, 0.0, 1.0);
    c.alpha = roughness * roughness;
    c.lambda_v = ggx_lambda(c.v.z, c.alpha);
    vec2 ab = specular_scale_and_bias(p, roughness, c.v.z);
    float lost = 1.0 / max(ab.x + ab.y, 0.05) - 1.0;
    float f0 = (ior - 1.0) / (ior + 1.0);
    f0 *= f0;
    float opaque = (1.0 - metallic) * (1.0 - transmission);
    float multiple = 1.0 + f0 * lost;
    float coat = (f0 * ab.x + ab.y) * multiple;
    c.dielectric = vec3(f0, opaque * multiple, 0.0);
    c.metal = s.base;
    c.metal_factor = metallic * (1.0 + s.base * lost);
    c.diffuse = opaque * (1.0 - coat) * s.base;
    c.tint = s.base;
    c.thin = s.thin;
    c.facing = min(abs(dot(view, s.geometric)), 1.0);
    c.eta = s.behind && !c.thin ? 1.0 / ior : ior;
    c.glass = (1.0 - metallic) * transmission;
    c.glass_factor = c.glass;
    if (c.glass > 0.0 && !is_delta(c)) {
        // A sheet sends what its facets let through where they would reflect it, mirrored.
        float once = c.thin ? ab.x + ab.y : scattered_once(p, roughness, ior, s.behind, c.v.z);
        c.glass_factor /= max(once, 0.02);
    }
    float specular = opaque * coat + luminance(c.metal_factor * (s.base * ab.x + ab.y));
    vec3 weights = vec3(specular, luminance(c.diffuse), c.glass);
    c.choice = weights / max(weights.x + weights.y + weights.z, 1e-20);
    return c;
}

// Some of its light can be gathered from a light's direction.
bool gathers(Scatter c) {
    return c.choice.y > 0.0 || !is_delta(c);
}

// It lets light through in more than one direction: lights behind it matter.
bool is_rough_glass(Scatter c) {
    return c.glass > 0.0 && !is_delta(c);
}

// Of the glass's share, at a facet that is seen at this cosine.
float glass_reflectance(Scatter c, float cosine) {
    if (c.thin) {
        return sheet_reflectance(is_delta(c) ? c.facing : cosine, c.eta);
    }
    return fresnel_dielectric(cosine, c.eta);
}

vec3 coat_at(Scatter c, float cosine) {
    return fresnel(vec3(c.dielectric.x), cosine) * c.dielectric.y + fresnel(c.metal, cosine) * c.metal_factor;
}

float facets(float nh2, float off2, float alpha) {
    float a2 = alpha * alpha;
    float q = off2 + a2 * nh2;
    return a2 / (PI * q * q);
}

// Value times cosine (rgb) and density (w) of the direction `light`, over all lobes that are no deltas.
vec4 scattered(Scatter c, vec3 light) {
    vec3 l = light * c.frame;
    bool above = dot(light, c.geometric) > 0.0;
    vec4 sum = vec4(0.0);
    if (above && l.z > 0.0) {
        sum = vec4(c.diffuse, c.choice.y) * (l.z / PI);
        if (!is_delta(c)) {
            vec3 h = normalize(c.v + l);
            float vh = max(dot(c.v, h), 0.0);
            float d = facets(h.z * h.z, dot(h.xy, h.xy), c.alpha);
            float g = 1.0 / (1.0 + c.lambda_v + ggx_lambda(l.z, c.alpha));
            float density = d / ((1.0 + c.lambda_v) * 4.0 * c.v.z);
            float glass = c.glass > 0.0 ? glass_reflectance(c, vh) : 0.0;
            sum.rgb += (coat_at(c, vh) + c.glass_factor * glass) * (d * g / (4.0 * c.v.z));
            sum.w += (c.choice.x + c.choice.z * glass) * density;
        }
    } else if (!above && l.z < 0.0 && is_rough_glass(c)) {
        vec3 h = c.thin ? normalize(c.v + vec3(l.xy, -l.z)) : normalize(c.v + l * c.eta);
        h = h.z < 0.0 ? -h : h;
        float vh = dot(c.v, h);
        float lh = dot(l, h);
        if (vh > 0.0 && (c.thin || lh < 0.0)) {
            float d = facets(h.z * h.z, dot(h.xy, h.xy), c.alpha);
            float bend = vh + c.eta * lh;
            // Solid angle of facets over that of directions, times v.h.
            float spread = c.thin ? 0.25 : vh * c.eta * c.eta * abs(lh) / max(bend * bend, 1e-12);
            float through = (1.0 - glass_reflectance(c, vh)) * d * spread / c.v.z;
            float g = 1.0 / (1.0 + c.lambda_v + ggx_lambda(-l.z, c.alpha));
            sum.rgb = c.tint * (c.glass_factor * through * g);
            sum.w = c.choice.z * through / (1.0 + c.lambda_v);
        }
    }
    return sum;
}

struct Onward {
    vec3 direction;
    vec3 weight;     // value times cosine over density; 0 where the path ends
    float density;   // negative: a delta
    bool through;    // to the other side
    bool straight;   // through a clear sheet, as if nothing were there but what it takes
};

// Where the facet `h` lets light through to.
vec3 through_facet(Scatter c, vec3 h) {
    if (c.thin) {
        vec3 l = is_delta(c) ? c.v : reflect(-c.v, h);
        return is_delta(c) ? -l : vec3(l.xy, -l.z);
    }
    float vh = dot(c.v, h);
    float beyond = sqrt(max(1.0 - (1.0 - vh * vh) / (c.eta * c.eta), 0.0));
    return -c.v / c.eta + h * (vh / c.eta - beyond);
}

Onward scatter(Scatter c, vec3 u) {
    Onward o = Onward(vec3(0.0), vec3(0.0), -1.0, false, false);
    bool delta = is_delta(c);
    vec3 l;
    if (u.z < c.choice.y) {
        vec3 d = cosine_direction(vec3(0.0, 0.0, 1.0), u.xy);
        l = d;
    } else {
        vec3 h = delta ? vec3(0.0, 0.0, 1.0) : visible_normal(c.v, c.alpha, u.xy);
        float vh = dot(c.v, h);
        float past = u.z - c.choice.y;
        bool glass = past >= c.choice.x && c.glass > 0.0;
        float reflected = glass ? glass_reflectance(c, vh) : 1.0;
        // What is left of the number that chose the lobe chooses between reflection and refraction.
        float rest = glass ? clamp((past - c.choice.x) / max(c.choice.z, 1e-9), 0.0, 1.0) : 0.0;
        o.through = glass && rest >= reflected;
        o.straight = o.through && delta && c.thin;
        l = o.through ? through_facet(c, h) : reflect(-c.v, h);
        if (delta) {
            o.weight = glass ? (o.through ? c.tint : vec3(1.0)) * (c.glass / c.choice.z) : coat_at(c, vh) / c.choice.x;
        }
        if (o.straight) {
            return o;
        }
        if (delta && o.weight != vec3(0.0)) {
            o.direction = normalize(c.frame * l);
            bool right_side = (dot(o.direction, c.geometric) > 0.0) != o.through;
            o.weight = right_side ? o.weight : vec3(0.0);
            return o;
        }
    }
    o.direction = normalize(c.frame * l);
    // A facet may reflect to the other side or refract to this one: the density of what else lies there is not theirs.
    vec4 value = (l.z < 0.0) == o.through ? scattered(c, o.direction) : vec4(0.0);
    o.density = value.w;
    o.weight = value.w > 0.0 ? value.rgb / value.w : vec3(0.0);
    return o;
}
