// What a surface does with light, for paths: the lobes of docs/shading.md, their values, densities and samples.

#include "gbuffer.glsl"

// Below this a lobe is a mirror or clear glass, which no light's direction falls into.
const float DELTA_ALPHA = 0.0015;

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
    float eta;       // index beyond the surface over the one before it
    float glass;     // its share of the surface
    vec3 choice;     // probabilities of specular, diffuse, glass
};

float fresnel_dielectric(float cosine, float eta) {
    float sin2 = (1.0 - cosine * cosine) / (eta * eta);
    if (sin2 >= 1.0) {
        return 1.0;
    }
    float beyond = sqrt(1.0 - sin2);
    float s = (cosine - eta * beyond) / (cosine + eta * beyond);
    float q = (eta * cosine - beyond) / (eta * cosine + beyond);
    return 0.5 * (s * s + q * q);
}

Scatter scatter_at(Params p, Surface s, vec3 view) {
    vec4 glass = Vectors(p.materials).v[s.material * MATERIAL_VECTORS + 10u];
    uint flags = floatBitsToUint(Vectors(p.materials).v[s.material * MATERIAL_VECTORS + 2u].w);
    float transmission = (flags & MATERIAL_REFRACTS) != 0u ? glass.x : 0.0;
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
    float f0 = (glass.y - 1.0) / (glass.y + 1.0);
    f0 *= f0;
    float opaque = (1.0 - metallic) * (1.0 - transmission);
    float multiple = 1.0 + f0 * lost;
    float coat = (f0 * ab.x + ab.y) * multiple;
    c.dielectric = vec3(f0, opaque * multiple, 0.0);
    c.metal = s.base;
    c.metal_factor = metallic * (1.0 + s.base * lost);
    c.diffuse = opaque * (1.0 - coat) * s.base;
    c.tint = s.base;
    c.eta = s.behind ? 1.0 / glass.y : glass.y;
    c.glass = (1.0 - metallic) * transmission;
    float specular = opaque * coat + luminance(c.metal_factor * (s.base * ab.x + ab.y));
    vec3 weights = vec3(specular, luminance(c.diffuse), c.glass);
    c.choice = weights / max(weights.x + weights.y + weights.z, 1e-20);
    return c;
}

bool is_delta(Scatter c) {
    return c.alpha < DELTA_ALPHA;
}

// Some of its light can be gathered from a light's direction.
bool gathers(Scatter c) {
    return c.choice.y > 0.0 || !is_delta(c);
}

// It refracts into more than one direction: lights behind it matter.
bool is_rough_glass(Scatter c) {
    return c.glass > 0.0 && !is_delta(c);
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
            float glass = c.glass > 0.0 ? fresnel_dielectric(vh, c.eta) : 0.0;
            sum.rgb += (coat_at(c, vh) + c.glass * glass) * (d * g / (4.0 * c.v.z));
            sum.w += (c.choice.x + c.choice.z * glass) * density;
        }
    } else if (!above && l.z < 0.0 && is_rough_glass(c)) {
        vec3 h = normalize(c.v + l * c.eta);
        h = h.z < 0.0 ? -h : h;
        float vh = dot(c.v, h);
        float lh = dot(l, h);
        if (vh > 0.0 && lh < 0.0) {
            float d = facets(h.z * h.z, dot(h.xy, h.xy), c.alpha);
            float bend = vh + c.eta * lh;
            float jacobian = c.eta * c.eta * abs(lh) / max(bend * bend, 1e-12);
            float through = 1.0 - fresnel_dielectric(vh, c.eta);
            float g = 1.0 / (1.0 + c.lambda_v + ggx_lambda(-l.z, c.alpha));
            sum.rgb = c.tint * (c.glass * through * d * g * vh * jacobian / c.v.z);
            sum.w = c.choice.z * through * d * vh * jacobian / (c.v.z * (1.0 + c.lambda_v));
        }
    }
    return sum;
}

struct Onward {
    vec3 direction;
    vec3 weight;     // value times cosine over density; 0 where the path ends
    float density;   // negative: a delta
    bool through;    // to the other side
};

Onward scatter(Scatter c, vec3 u) {
    Onward o = Onward(vec3(0.0), vec3(0.0), -1.0, false);
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
        float reflected = glass ? fresnel_dielectric(vh, c.eta) : 1.0;
        // What is left of the number that chose the lobe chooses between reflection and refraction.
        float rest = glass ? clamp((past - c.choice.x) / max(c.choice.z, 1e-9), 0.0, 1.0) : 0.0;
        o.through = glass && rest >= reflected;
        if (o.through) {
            float beyond = sqrt(max(1.0 - (1.0 - vh * vh) / (c.eta * c.eta), 0.0));
            l = -c.v / c.eta + h * (vh / c.eta - beyond);
        } else {
            l = reflect(-c.v, h);
        }
        if (delta) {
            o.weight = glass ? (o.through ? c.tint : vec3(1.0)) * (c.glass / c.choice.z) : coat_at(c, vh) / c.choice.x;
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
