/* 4 lanes, on every x86-64. */
#include "sha1.h"

#ifdef ENGINES_X86
#define LANES 4
#define SIGN sha1_sign_sse2
#define LAY frame_lay_sse2
#define TARGET
#define PIN(x) __asm__("" : "+x"(x))
#include "lanes.h"
#include "../text/lay.h"
#else
typedef int sha1_no_sse2;
#endif
