/* A host that loads the library, lets go of it while a session lives, and goes on: its threads have their code. */
#include <dlfcn.h>
#include <rayloom.h>
#include <stdio.h>
#include <string.h>

/* ISO C has no way from an object's address to a function's. */
static void find(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return puts(dlerror()), 1;
  rayloom_result (*create)(const rayloom_session_desc *, rayloom_session **);
  rayloom_result (*destroy)(rayloom_session *), (*poll)(rayloom_session *, rayloom_event *);
  find(library, "rayloom_session_create", &create);
  find(library, "rayloom_session_destroy", &destroy);
  find(library, "rayloom_session_poll_event", &poll);
  rayloom_peer_address nobody = RAYLOOM_PEER_ADDRESS_INIT;
  nobody.url = "http://127.0.0.1:9";
  rayloom_session_desc desc = RAYLOOM_SESSION_DESC_INIT;
  desc.peers = &nobody;
  desc.peer_count = 1;
  desc.embedded = RAYLOOM_EMBEDDED_NEVER;
  rayloom_session *session = NULL;
  if (create(&desc, &session) != RAYLOOM_OK) return 1;
  if (dlclose(library)) return puts(dlerror()), 1;
  void *again = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
  if (!again) return puts("it was unloaded"), 1;
  dlclose(again);
  /* Its network thread has something to tell. */
  rayloom_event event = RAYLOOM_EVENT_INIT;
  rayloom_result polled;
  do polled = poll(session, &event); while (polled == RAYLOOM_NOT_READY);
  if (polled != RAYLOOM_OK || event.kind != RAYLOOM_EVENT_PEER_UNREACHABLE) return 1;
  return destroy(session) != RAYLOOM_OK;
}
