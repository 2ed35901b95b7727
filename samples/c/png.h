/* Outputs as PNG files. */
#ifndef SAMPLES_PNG_H
#define SAMPLES_PNG_H
#include <rayloom.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <direct.h>
#define PNG_MKDIR(path) _mkdir(path)
#else
#include <sys/stat.h>
#define PNG_MKDIR(path) mkdir(path, 0777)
#endif

/* Makes a folder where it is not there, with those above it. */
static inline void make_folder(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s", folder);
  for (char *at = path + 1; path[0]; at++) {
    if (*at && *at != '/') continue;
    const char end = *at;
    *at = 0;
    if (PNG_MKDIR(path) && errno != EEXIST && !end) { perror(path); exit(2); }
    *at = end;
    if (!end) break;
  }
}

static inline void png_chunk(FILE *file, const char *type, const uint8_t *data, size_t size) {
  uint8_t head[8] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size };
  memcpy(head + 4, type, 4);
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size + 4; i++) {
    crc ^= i < 4 ? head[4 + i] : data[i - 4];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  uint8_t tail[4] = { (uint8_t)(~crc >> 24), (uint8_t)(~crc >> 16), (uint8_t)(~crc >> 8), (uint8_t)~crc };
  fwrite(head, 1, 8, file); fwrite(data, 1, size, file); fwrite(tail, 1, 4, file);
}

/* PNG without compression: each row is one stored deflate block. */
static inline void write_png(const char *folder, const rayloom_output_info *info) {
  char path[4096];
  snprintf(path, sizeof path, "%s/frame-%06llu.png", folder, (unsigned long long)info->frame_id);
  uint32_t w = info->width, h = info->height, row = w * 4 + 1, a = 1, b = 0;
  uint8_t *z = (uint8_t *)malloc((size_t)h * (row + 5) + 6), *p = z;
  FILE *file = fopen(path, "wb");
  if (!z || !file || row > 65535) { perror(path); exit(1); }
  *p++ = 0x78; *p++ = 1;
  for (uint32_t y = 0; y < h; y++) {
    uint8_t last = y + 1 == h, low = (uint8_t)row, high = (uint8_t)(row >> 8);
    uint8_t head[6] = { last, low, high, (uint8_t)~low, (uint8_t)~high, 0 }; /* 0: the row has no PNG filter. */
    memcpy(p, head, 6);
    memcpy(p + 6, info->color + y * info->color_row_pitch, row - 1);
    for (uint32_t i = 0; i < row; i++) { a = (a + p[5 + i]) % 65521; b = (b + a) % 65521; }
    p += 5 + row;
  }
  uint8_t adler[4] = { (uint8_t)(b >> 8), (uint8_t)b, (uint8_t)(a >> 8), (uint8_t)a };
  memcpy(p, adler, 4);
  uint8_t size[13] = { (uint8_t)(w >> 24), (uint8_t)(w >> 16), (uint8_t)(w >> 8), (uint8_t)w,
                       (uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h, 8, 6, 0, 0, 0 };
  fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
  png_chunk(file, "IHDR", size, 13); png_chunk(file, "IDAT", z, (size_t)(p + 4 - z)); png_chunk(file, "IEND", z, 0);
  fclose(file); free(z);
}

#endif
