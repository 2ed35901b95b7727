/* What moves in the generated city, moved by the engine: six cars, two drones, four lights. */
#ifndef SAMPLES_CITY_H
#define SAMPLES_CITY_H
#include <math.h>
#include <rayloom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARS = 6, MOVING = 8, MOVING_LIGHTS = 4 };

/* Ends the program where a call failed; "not now" is no failure. */
static inline void check(rayloom_result result) {
  if (result >= RAYLOOM_OK) return;
  fprintf(stderr, "%s\n", rayloom_last_error());
  exit(1);
}

/* A matrix at (x, y, z) whose -Z looks along yaw (0 = north, -z; grows to the left) and pitch (up). */
static inline void pose(float m[16], float x, float y, float z, float yaw, float pitch) {
  float s = sinf(yaw), c = cosf(yaw), sp = sinf(pitch), cp = cosf(pitch);
  float out[16] = { c, 0, -s, 0,  s * sp, cp, c * sp, 0,  s * cp, -sp, c * cp, 0,  x, y, z, 1 };
  memcpy(m, out, sizeof out);
}

/* Cars drive clockwise around their blocks (37 m to the streets' middle), drones circle. */
static inline void drive(int k, double t, float m[16]) {
  static const float cars[CARS][4] = { /* The block's x and z, metres a second, where on its way it starts. */
    { 37, -37, 9, .98f }, { 37, 37, 8, .06f }, { -37, 37, 10, .42f },
    { -37, -37, 8.5f, .36f }, { 37, 37, 8, .55f }, { -37, 37, 10, .88f } };
  /* Centre x and z, height, radius, turns a second. */
  static const float drones[2][5] = { { 0, 18, 9, 11, .05f }, { -4, -30, 20, 20, -.035f } };
  const float half = 33.4f, corner = 7, straight = 2 * (half - corner), side = straight + 1.5707963f * corner;
  if (k >= CARS) {
    const float *d = drones[k - CARS];
    float turn = (float)fmod(t * d[4], 1) * 6.2831853f;
    pose(m, d[0] + sinf(turn) * d[3], d[2], d[1] + cosf(turn) * d[3], turn + (d[4] > 0 ? -1.5707963f : 1.5707963f), 0);
    return;
  }
  const float *car = cars[k];
  float way = (float)fmod(t * car[2] + car[3] * 4 * side, 4 * side), rest = fmodf(way, side);
  float quarter = floorf(way / side) * -1.5707963f, x = -half, z = half - corner - rest, yaw = 0;
  if (rest > straight) {
    yaw = -(rest - straight) / corner;
    x = -half + corner - cosf(yaw) * corner; z = -half + corner + sinf(yaw) * corner;
  }
  float c = cosf(quarter), s = sinf(quarter);
  pose(m, car[0] + c * x + s * z, 0, car[1] - s * x + c * z, yaw + quarter, 0);
}

typedef struct { /* The city's movable objects; carriers of its lights: both drones, a headlight, a beacon. */
  uint32_t ids[MOVING], light_ids[MOVING_LIGHTS];
  rayloom_light_desc lights[MOVING_LIGHTS];
} City;

static inline void find_movable(rayloom_scene *scene, City *city) {
  for (uint32_t i = 0; i < MOVING; i++) check(rayloom_scene_find_instance(scene, i + 1, &city->ids[i]));
  for (uint32_t i = 0; i < MOVING_LIGHTS; i++) {
    city->lights[i] = (rayloom_light_desc)RAYLOOM_LIGHT_DESC_INIT;
    check(rayloom_scene_find_light(scene, i + 1, &city->light_ids[i]));
    check(rayloom_scene_describe_light(scene, city->light_ids[i], &city->lights[i]));
  }
}

static inline void animate(rayloom_scene *scene, City *city, double t) {
  static const int carriers[MOVING_LIGHTS] = { 6, 7, 0, 2 };
  static const float offsets[MOVING_LIGHTS][2] = { { -.6f, -.35f }, { -.6f, -.35f }, { .7f, -2.4f }, { 2.1f, 0 } };
  float matrices[MOVING][16];
  for (int k = 0; k < MOVING; k++) drive(k, t, matrices[k]);
  check(rayloom_scene_set_transforms(scene, MOVING, city->ids, matrices[0]));
  for (int i = 0; i < MOVING_LIGHTS; i++) {
    const float *m = matrices[carriers[i]];
    for (int axis = 0; axis < 3; axis++) {
      city->lights[i].position[axis] = m[12 + axis] + m[4 + axis] * offsets[i][0] + m[8 + axis] * offsets[i][1];
      if (i == 2) city->lights[i].direction[axis] = -m[8 + axis] - .12f * m[4 + axis];
    }
    check(rayloom_scene_set_light(scene, city->light_ids[i], &city->lights[i]));
  }
}

#endif
