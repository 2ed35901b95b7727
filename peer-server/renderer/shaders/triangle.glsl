// Where a ray meets a triangle, rounded alike in all front ends.

// Signed volumes, as in Embree's robust mode: the volume of an edge is exactly negated when the neighbour runs it the
// other way, so no ray slips between two triangles that share it.
bool bvh_triangle(
    vec3 origin, vec3 direction, vec3 v0, vec3 v1, vec3 v2, float t_min, float t_max, out float t,
    out vec2 barycentrics
) {
    v0 -= origin;
    v1 -= origin;
    v2 -= origin;
    vec3 e0 = v2 - v0;
    vec3 e1 = v0 - v1;
    vec3 e2 = v1 - v2;
    float u = dot(cross(e0, v2 + v0), direction);
    float v = dot(cross(e1, v0 + v1), direction);
    float w = dot(cross(e2, v1 + v2), direction);
    vec3 normal = cross(e1, e0);
    float sum = u + v + w;
    t = dot(v0, normal) / dot(normal, direction);
    barycentrics = vec2(u, v) / sum;
    bool inside = (u >= 0.0 && v >= 0.0 && w >= 0.0) || (u <= 0.0 && v <= 0.0 && w <= 0.0);
    // Comparisons that NaN fails: a degenerate triangle is never hit.
    return inside && t > t_min && t <= t_max && sum != 0.0;
}
