/* What both libraries answer is in a text file, whose path is in NVML_SCRIPT; a line per statement:

     gpu UUID NAME            a device, in PCI order; its instances of MIG follow
     mig UUID NAME            such an instance of the last device
     process PID              a process that computes on every device
     drawing PID              one that draws
     set NAME NUMBER          one of the values in tests/nvml.py
     fail CALL CODE [FROM]    what a call returns, from its n-th on; CALL may end in *
     delay CALL MICROSECONDS  how long a call takes
     order N N ...            CUDA's order of the devices, fastest first; without it, as in PCI
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 64
#define LINE 4096

typedef struct { char uuid[80], name[64]; int index, mig; } device;
typedef struct { char call[64]; int code, from; long microseconds; } rule;

static device devices[MOST];
static rule rules[MOST];
static unsigned computing[MOST], drawing[MOST];
static int n_devices, n_gpus, n_rules, n_computing, n_drawing, order[MOST], n_order;
static struct { char name[64]; long long value; } values[MOST];
static int n_values;
static struct { char call[64]; int count; } counted[MOST];

static void set_value(const char *name, long long value) {
  for (int i = 0; i < n_values; i++)
    if (!strcmp(values[i].name, name)) { values[i].value = value; return; }
  snprintf(values[n_values].name, 64, "%s", name);
  values[n_values++].value = value;
}

static long long get_value(const char *name) {
  for (int i = 0; i < n_values; i++)
    if (!strcmp(values[i].name, name)) return values[i].value;
  return 0;
}

static void read_line(char *line) {
  char word[64], text[80], rest[64] = "";
  long long number = 0;
  int from = 1, at = 0;
  rule *r = &rules[n_rules];
  if (sscanf(line, "gpu %79s %63[^\n]", text, rest) == 2 || sscanf(line, "mig %79s %63[^\n]", text, rest) == 2) {
    device *d = &devices[n_devices++];
    d->mig = line[0] == 'm';
    d->index = d->mig ? n_gpus - 1 : n_gpus++;
    strcpy(d->uuid, text);
    strcpy(d->name, rest);
  } else if (sscanf(line, "process %lld", &number) == 1) computing[n_computing++] = number;
  else if (sscanf(line, "drawing %lld", &number) == 1) drawing[n_drawing++] = number;
  else if (sscanf(line, "set %63s %lld", word, &number) == 2) set_value(word, number);
  else if (sscanf(line, "fail %63s %lld %d", word, &number, &from) >= 2) {
    strcpy(r->call, word); r->code = number; r->from = from; r->microseconds = 0; n_rules++;
  } else if (sscanf(line, "delay %63s %lld", word, &number) == 2) {
    strcpy(r->call, word); r->code = 0; r->from = 1; r->microseconds = number; n_rules++;
  } else if (sscanf(line, "order%n", &at) == 0 && at) {
    for (char *p = line + at, *end; n_order < MOST; p = end) {
      long place = strtol(p, &end, 10);
      if (end == p) break;
      order[n_order++] = place;
    }
  }
}

/* A test calls it where the script has changed. */
void read_script(void) {
  char line[LINE], *path = getenv("NVML_SCRIPT");
  n_devices = n_gpus = n_rules = n_computing = n_drawing = n_order = 0;
  memset(counted, 0, sizeof counted);
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return;
  while (fgets(line, LINE, file)) read_line(line);
  fclose(file);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int count_of(const char *call) {
  int i = 0;
  while (i < MOST - 1 && counted[i].count && strcmp(counted[i].call, call)) i++;
  snprintf(counted[i].call, 64, "%s", call);
  return ++counted[i].count;
}

static int matches(const char *pattern, const char *call) {
  size_t n = strlen(pattern);
  return n && pattern[n - 1] == '*' ? !strncmp(pattern, call, n - 1) : !strcmp(pattern, call);
}

/* Wait as long as the call takes; return what it fails with, or 0. */
static int ruled(const char *call) {
  int count = count_of(call), code = 0;
  for (int i = 0; i < n_rules; i++) {
    if (!matches(rules[i].call, call) || count < rules[i].from) continue;
    if (rules[i].microseconds)
      for (double end = now() + rules[i].microseconds * 1e-6; now() < end;) {}
    if (rules[i].code) code = rules[i].code;
  }
  return code;
}
