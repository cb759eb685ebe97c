/* Stands in for libcuda.so.1: the few functions that list devices; see script.h. No framework can
   train on it: they resolve some hundred more. */
#include "script.h"

static int initialized;

int cuInit(unsigned flags) {
  read_script();
  int code = ruled("cuInit");
  initialized = !code;
  return code ? code : n_devices ? 0 : 100;
}

int cuDeviceGetCount(int *count) {
  if (!initialized) return 3;
  int code = ruled("cuDeviceGetCount");
  *count = n_order ? n_order : n_gpus;
  return code;
}

int cuDeviceGet(int *device, int ordinal) {
  if (!initialized) return 3;
  *device = n_order ? order[ordinal] : ordinal;
  return ruled("cuDeviceGet");
}

/* The bytes of the UUID of the n-th device or instance, without the GPU- or MIG- of its text. */
static int uuid_bytes(unsigned char *bytes, int device) {
  if (!initialized) return 3;
  const char *text = devices[device].uuid + 4;
  for (int i = 0; i < 16; text += 2, i++) {
    unsigned byte = 0;
    if (*text == '-') text++;
    sscanf(text, "%2x", &byte);
    bytes[i] = byte;
  }
  return ruled("cuDeviceGetUuid");
}

#if DRIVER >= 47000
int cuDeviceGetUuid_v2(unsigned char *bytes, int device) { return uuid_bytes(bytes, device); }
#endif
int cuDeviceGetUuid(unsigned char *bytes, int device) { return uuid_bytes(bytes, device); }
