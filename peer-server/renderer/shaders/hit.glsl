// What a ray hits, alike in all front ends.

struct Hit {
    float t;             // in lengths of the ray's direction
    uint instance;       // index among the scene's instances
    uint primitive;      // index of the triangle in its mesh
    vec2 barycentrics;   // weights of the second and third corner
};
