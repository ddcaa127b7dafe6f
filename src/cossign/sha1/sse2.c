/* 4 lanes, on every x86-64. */
#include "sha1.h"

#ifdef SHA1_X86
#define LANES 4
#define SIGN sha1_sign_sse2
#define LAY sha1_lay_sse2
#define TARGET
#define PIN(x) __asm__("" : "+x"(x))
#include "lanes.h"
#include "frame.h"
#else
typedef int sha1_no_sse2;
#endif
