// Motion of what is infinitely far away: only the cameras' turning moves it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "frame.glsl"

layout(location = 5) out vec2 out_motion;

void main() {
    Frame f = push.frame;
    vec2 at = (gl_FragCoord.xy + f.lens.zw) / f.extent.xy;
    vec2 ndc = vec2(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0) - f.lens.xy;
    vec3 ray = f.right.xyz * (ndc.x * f.right.w) + f.up.xyz * (ndc.y * f.up.w) - f.back.xyz;
    out_motion = motion(f, vec3(dot(f.previous_right.xyz, ray), dot(f.previous_up.xyz, ray), dot(f.previous_back.xyz, ray)));
}
