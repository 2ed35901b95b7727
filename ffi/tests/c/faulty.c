/* Faults that valgrind and the sanitizers must find: a session that is lost, and a text that the library writes beyond its
 * end. They show that those who watch are awake. */
#include <rayloom.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (!strcmp(argv[1], "leak")) {
    char *volatile lost = malloc(100);
    if (!lost) return 2;
    strcpy(lost, rayloom_version());
    lost = NULL;
    return 0;
  }
  rayloom_convention_desc *small = malloc(sizeof *small - 8);
  if (!small) return 2;
  memset(small, 0, sizeof *small - 8);
  small->struct_type = RAYLOOM_STRUCT_CONVENTION_DESC; small->struct_size = sizeof *small;
  rayloom_result result = rayloom_convention_init(RAYLOOM_CONVENTION_UNREAL, small);
  volatile uint32_t last = ((const uint32_t *)small)[sizeof *small / 4 - 1];
  free(small);
  return result != RAYLOOM_OK || last == 12345;
}
