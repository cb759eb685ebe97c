/* Stands in for libnvidia-ml.so.1 of one driver; see script.h for what it answers.

   DRIVER is the version of the driver times 100: 53543 for R535.43. The library exports what that
   driver exported, with its layouts. NVML_REPLAY names a recording of a real driver: each call then
   answers as it did there, in the order of the recording; its last answer stays.

   Sources: the structures of nvidia-ml-py; for 535.43 to 535.85 reports to gpustat and nvitop. */
#include <stdarg.h>
#include <stdint.h>
#include "script.h"

enum { SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE,
       FUNCTION_NOT_FOUND = 13 };

typedef struct { void *to; const void *from; size_t size; } output;
#define OUT(to, from) ((output){to, &(from), sizeof(from)})

static int initialized;
static double begin;

/* ---- Replay ---- */

typedef struct { char *call, *key, *data; int code; long microseconds; } answer;
static answer *answers;
static int n_answers, *used;

static void read_recording(const char *path) {
  char *line = NULL;
  size_t size = 0;
  FILE *file = fopen(path, "r");
  if (!file) return;
  while (getline(&line, &size, file) > 0) {
    char *field[6] = {0}, *rest = line;
    if (*line == '#') continue;
    line[strcspn(line, "\n")] = 0;
    for (int i = 0; i < 6 && rest; i++) field[i] = strsep(&rest, "\t");
    if (!field[5]) continue;
    answers = realloc(answers, (n_answers + 1) * sizeof *answers);
    answers[n_answers++] = (answer){strdup(field[1]), strdup(field[2]), strdup(field[5]),
                                    atoi(field[3]), atol(field[4])};
  }
  fclose(file);
  free(line);
  used = calloc(n_answers + 1, sizeof *used);
}

static void copy(const char *hex, output *outs, int n) {
  for (int i = 0; i < n; i++) {
    unsigned byte;
    for (size_t at = 0; *hex && *hex != ' '; hex += 2, at++)
      if (sscanf(hex, "%2x", &byte) == 1 && outs[i].to) ((unsigned char *)outs[i].to)[at] = byte;
    if (*hex == ' ') hex++;
  }
}

static int replayed(const char *call, const char *key, output *outs, int n) {
  int last = -1;
  for (int i = 0; i < n_answers; i++) {
    if (strcmp(answers[i].call, call) || strcmp(answers[i].key, key)) continue;
    last = i;
    if (!used[i]) break;
  }
  if (last < 0) return FUNCTION_NOT_FOUND;
  used[last] = 1;
  copy(answers[last].data, outs, n);
  return answers[last].code;
}

/* ---- Answers ---- */

static int tell(const char *call, const char *key, int n, ...) {
  output outs[4];
  va_list list;
  va_start(list, n);
  for (int i = 0; i < n; i++) outs[i] = va_arg(list, output);
  va_end(list);
  if (!initialized) return UNINITIALIZED;
  int code = ruled(call);
  if (code) return code;
  if (answers) return replayed(call, key, outs, n);
  for (int i = 0; i < n; i++)
    if (outs[i].to) memcpy(outs[i].to, outs[i].from, outs[i].size);
  return SUCCESS;
}

static const char *key_of(const char *format, ...) {
  static _Thread_local char key[128];
  va_list list;
  va_start(list, format);
  vsnprintf(key, sizeof key, format, list);
  va_end(list);
  return key;
}

static const char *handle(device *d) { return key_of("%llu", (unsigned long long)(uintptr_t)d); }

/* An instance of MIG has no counters of its own but for memory. */
#define WHOLE_GPU(d) if (!answers && (d)->mig) return NOT_SUPPORTED

int nvmlInitWithFlags(unsigned flags) {
  read_script();
  int code = ruled("nvmlInitWithFlags");
  if (code) return code;
  if (getenv("NVML_REPLAY") && !answers) read_recording(getenv("NVML_REPLAY"));
  if (!begin) begin = now();
  initialized = 1;
  return SUCCESS;
}

int nvmlShutdown(void) { initialized = 0; return SUCCESS; }

const char *nvmlErrorString(int code) {
  static const char *texts[] = {
    [0] = "Success", [1] = "Uninitialized", [2] = "Invalid Argument", [3] = "Not Supported",
    [4] = "Insufficient Permissions", [6] = "Not Found", [7] = "Insufficient Size",
    [9] = "Driver Not Loaded", [10] = "Timeout", [12] = "NVML Shared Library Not Found",
    [13] = "Function Not Found", [15] = "GPU is lost", [18] = "Driver/library version mismatch",
  };
  int known = code >= 0 && code < (int)(sizeof texts / sizeof *texts) && texts[code];
  return known ? texts[code] : "Unknown Error";
}

static int text(const char *call, const char *key, char *to, unsigned size, const char *from) {
  if (!initialized) return UNINITIALIZED;
  if (strlen(from) >= size) return INSUFFICIENT_SIZE;
  char padded[96] = "";
  snprintf(padded, sizeof padded, "%s", from);
  return tell(call, key, 1, ((output){to, padded, strlen(from) + 1}));
}

int nvmlSystemGetDriverVersion(char *to, unsigned size) {
  char version[32];
  snprintf(version, 32, "%d.%02d.05", DRIVER / 100, DRIVER % 100);
  return text("nvmlSystemGetDriverVersion", key_of("%u", size), to, size, version);
}

int nvmlSystemGetCudaDriverVersion(int *to) {
  int version = DRIVER >= 58000 ? 13000 : DRIVER >= 53500 ? 12020 : DRIVER >= 51000 ? 11060 : 11040;
  return tell("nvmlSystemGetCudaDriverVersion", "", 1, OUT(to, version));
}

int nvmlDeviceGetCount_v2(unsigned *to) {
  return tell("nvmlDeviceGetCount_v2", "", 1, OUT(to, n_gpus));
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **to) {
  device *found = NULL;
  for (int i = 0; i < n_devices; i++)
    if (!devices[i].mig && devices[i].index == (int)index) found = &devices[i];
  if (initialized && !answers && !found) return INVALID_ARGUMENT;
  return tell("nvmlDeviceGetHandleByIndex_v2", key_of("%u", index), 1, OUT(to, found));
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device **to) {
  device *found = NULL;
  for (int i = 0; i < n_devices; i++)
    if (!strcmp(devices[i].uuid, uuid)) found = &devices[i];
  int code = tell("nvmlDeviceGetHandleByUUID", uuid, 1, OUT(to, found));
  return code || answers || found ? code : NOT_FOUND;
}

int nvmlDeviceGetUUID(device *d, char *to, unsigned size) {
  const char *key = key_of("%llu %u", (unsigned long long)(uintptr_t)d, size);
  return text("nvmlDeviceGetUUID", key, to, size, answers ? "" : d->uuid);
}

int nvmlDeviceGetName(device *d, char *to, unsigned size) {
  const char *key = key_of("%llu %u", (unsigned long long)(uintptr_t)d, size);
  return text("nvmlDeviceGetName", key, to, size, answers ? "" : d->name);
}

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci;
int nvmlDeviceGetPciInfo_v3(device *d, pci *to) {
  pci p = {0};
  if (!answers) snprintf(p.bus_id, 32, "00000000:%02X:00.0", 0x17 + d->index);
  return tell("nvmlDeviceGetPciInfo_v3", handle(d), 1, OUT(to, p));
}

typedef struct { unsigned long long total, free, used; } memory;
int nvmlDeviceGetMemoryInfo(device *d, memory *to) {
  memory m = {get_value("memory_total"), 0, get_value("memory_used")};
  m.free = m.total - m.used;
  return tell("nvmlDeviceGetMemoryInfo", handle(d), 1, OUT(to, m));
}

int nvmlDeviceGetUtilizationRates(device *d, unsigned to[2]) {
  WHOLE_GPU(d);
  unsigned rates[2] = {get_value("utilization"), get_value("controller")};
  return tell("nvmlDeviceGetUtilizationRates", handle(d), 1, OUT(to, rates));
}

#define NUMBER(name, type, expression)                     \
  int name(device *d, type *to) {                          \
    WHOLE_GPU(d);                                          \
    type value = (expression);                             \
    return tell(#name, handle(d), 1, OUT(to, value));      \
  }

NUMBER(nvmlDeviceGetPowerUsage, unsigned, get_value("milliwatts"))
/* The counter moves every 100 ms. */
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long,
       get_value("millijoules") + get_value("counted_milliwatts") * (long long)((now() - begin) * 10) / 10)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, get_value("reasons"))
#if DRIVER >= 53500
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, get_value("reasons"))
#endif
NUMBER(nvmlDeviceGetPersistenceMode, unsigned, get_value("persistence"))
NUMBER(nvmlDeviceGetArchitecture, unsigned, get_value("architecture"))

int nvmlDeviceGetIndex(device *d, unsigned *to) {
  unsigned index = answers ? 0 : d->index;
  return tell("nvmlDeviceGetIndex", handle(d), 1, OUT(to, index));
}

int nvmlDeviceIsMigDeviceHandle(device *d, unsigned *to) {
  unsigned is_mig = answers ? 0 : d->mig;
  return tell("nvmlDeviceIsMigDeviceHandle", handle(d), 1, OUT(to, is_mig));
}

int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *to) {
  WHOLE_GPU(d);
  unsigned value = get_value("temperature");
  const char *key = key_of("%llu %d", (unsigned long long)(uintptr_t)d, sensor);
  return tell("nvmlDeviceGetTemperature", key, 1, OUT(to, value));
}

#if DRIVER >= 56500
typedef struct { unsigned version, sensor; int value; } temperature;
int nvmlDeviceGetTemperatureV(device *d, temperature *to) {
  WHOLE_GPU(d);
  temperature t = {to->version, to->sensor, get_value("temperature")};
  if (to->version != 0x100000C) return INVALID_ARGUMENT;
  return tell("nvmlDeviceGetTemperatureV", handle(d), 1, OUT(to, t));
}
#endif

int nvmlDeviceGetClockInfo(device *d, int kind, unsigned *to) {
  WHOLE_GPU(d);
  long long locked = get_value("locked");
  unsigned value = kind == 2 ? get_value("memory_clock") : locked ? locked : get_value("clock");
  const char *key = key_of("%llu %d", (unsigned long long)(uintptr_t)d, kind);
  return tell("nvmlDeviceGetClockInfo", key, 1, OUT(to, value));
}

int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
  int values[2] = {get_value("capability") / 10, get_value("capability") % 10};
  return tell("nvmlDeviceGetCudaComputeCapability", handle(d), 2, OUT(major, values[0]),
              OUT(minor, values[1]));
}

int nvmlDeviceGetCpuAffinity(device *d, unsigned size, unsigned long *to) {
  WHOLE_GPU(d);
  unsigned long mask = get_value("near_cpus");
  if (!answers) memset(to, 0, size * sizeof *to);
  const char *key = key_of("%llu %u", (unsigned long long)(uintptr_t)d, size);
  return tell("nvmlDeviceGetCpuAffinity", key, 1, OUT(to, mask));
}

static int lock(const char *call, device *d, unsigned mhz) {
  int code = tell(call, handle(d), 0);
  if (!code) set_value("locked", mhz);
  return code;
}

int nvmlDeviceSetGpuLockedClocks(device *d, unsigned least, unsigned most) {
  return lock("nvmlDeviceSetGpuLockedClocks", d, most);
}

int nvmlDeviceResetGpuLockedClocks(device *d) {
  return lock("nvmlDeviceResetGpuLockedClocks", d, 0);
}

/* ---- Processes: three versions of the function, three layouts ---- */

typedef struct { unsigned pid; unsigned long long used; } process_v1;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } process_v2;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute;
                 unsigned long long protected_memory; } process_535;

static int list(const char *call, device *d, unsigned *count, void *to, int size) {
  int draws = strstr(call, "Graphics") != NULL, n = draws ? n_drawing : n_computing;
  const unsigned *pids = draws ? drawing : computing;
  unsigned room = *count;
  const char *key = key_of("%llu%s", (unsigned long long)(uintptr_t)d, to ? "" : " null");
  char table[MOST * sizeof(process_535)];
  memset(table, 0xff, sizeof table);
  for (int i = 0; i < n; i++) {
    unsigned long long used = 1ull << 30;
    memcpy(table + i * size, &pids[i], sizeof pids[i]);
    memcpy(table + i * size + 8, &used, sizeof used);
  }
  if (answers) return tell(call, key, 2, ((output){count, NULL, 0}), ((output){to, NULL, 0}));
  int code = tell(call, key, 1, OUT(count, n));
  if (code || !n) return code;
  if (!to || room < (unsigned)n) return INSUFFICIENT_SIZE;
  memcpy(to, table, n * size);
  return SUCCESS;
}

#define LIST(name, layout)                                                \
  int nvmlDeviceGet##name(device *d, unsigned *count, layout *to) {       \
    return list("nvmlDeviceGet" #name, d, count, to, sizeof(layout));     \
  }

LIST(ComputeRunningProcesses, process_v1)
LIST(GraphicsRunningProcesses, process_v1)
LIST(ComputeRunningProcesses_v2, process_v2)
LIST(GraphicsRunningProcesses_v2, process_v2)
#if DRIVER >= 53543 && DRIVER < 53586
LIST(ComputeRunningProcesses_v3, process_535)
LIST(GraphicsRunningProcesses_v3, process_535)
#elif DRIVER >= 51000
LIST(ComputeRunningProcesses_v3, process_v2)
LIST(GraphicsRunningProcesses_v3, process_v2)
#endif
