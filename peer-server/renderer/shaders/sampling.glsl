// Random numbers that depend on the pixel, the frame and the sample only, and the directions drawn from them.

const float PI = 3.14159265;

// PCG4D: Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 2020.
uvec4 pcg4d(uvec4 v) {
    v = v * 1664525u + 1013904223u;
    v += v.yzxy * v.wxyz;
    v ^= v >> 16u;
    v += v.yzxy * v.wxyz;
    return v;
}

// Eight dimensions of an additive recurrence (Roberts' R_d, d = 8) over (frame, sample), shifted per pixel by a hash
// (Cranley and Patterson 1976): successive frames of a pixel fill the unit cube evenly, neighbours are unrelated.
struct Random {
    uvec4 low;
    uvec4 high;
};

// Powers of 1/1.08507025, the root of x^9 = x + 1, in 32-bit fixed point (odd, for the full period).
const uvec4 STEP_LOW = uvec4(3958238937u, 3647910313u, 3361911661u, 3098335501u);
const uvec4 STEP_HIGH = uvec4(2855423889u, 2631556713u, 2425240877u, 2235100341u);

Random random_at(uvec2 pixel, uint frame, uint samples, uint index, uint stream) {
    uint n = frame * samples + index;
    Random r;
    r.low = pcg4d(uvec4(pixel, stream, 1u)) + STEP_LOW * n;
    r.high = pcg4d(uvec4(pixel, stream, 2u)) + STEP_HIGH * n;
    return r;
}

vec4 unit(uvec4 v) {
    return vec4(v >> 8u) * (1.0 / 16777216.0);
}

// Duff et al., "Building an Orthonormal Basis, Revisited", JCGT 2017.
mat3 basis(vec3 n) {
    float s = n.z >= 0.0 ? 1.0 : -1.0;
    float a = -1.0 / (s + n.z);
    float b = n.x * n.y * a;
    return mat3(vec3(1.0 + s * n.x * n.x * a, s * b, -s * n.x), vec3(b, s + n.y * n.y * a, -n.y), n);
}

// Cosine-distributed about n.
vec3 cosine_direction(vec3 n, vec2 u) {
    float phi = 2.0 * PI * u.x;
    float r = sqrt(u.y);
    return normalize(basis(n) * vec3(r * cos(phi), r * sin(phi), sqrt(max(1.0 - u.y, 0.0))));
}

// Uniform within a cone of this half angle about `axis`.
vec3 cone_direction(vec3 axis, float cos_angle, vec2 u) {
    float z = 1.0 - u.y * (1.0 - cos_angle);
    float r = sqrt(max(1.0 - z * z, 0.0));
    float phi = 2.0 * PI * u.x;
    return normalize(basis(axis) * vec3(r * cos(phi), r * sin(phi), z));
}

// A microfacet normal visible from v (tangent space) under GGX with this alpha: Dupuy and Benyoub, "Sampling Visible
// GGX Normals with Spherical Caps", 2023.
vec3 visible_normal(vec3 v, float alpha, vec2 u) {
    vec3 w = normalize(vec3(alpha * v.xy, v.z));
    float phi = 2.0 * PI * u.x;
    float z = (1.0 - u.y) * (1.0 + w.z) - w.z;
    float r = sqrt(clamp(1.0 - z * z, 0.0, 1.0));
    vec3 h = vec3(r * cos(phi), r * sin(phi), z) + w;
    return normalize(vec3(alpha * h.xy, max(h.z, 1e-6)));
}
