/*
 * vectors: see vectors.h. The C library asked the processor already; the compiler's own question would be asked at each start of the program, and in a
 * virtual machine each CPUID goes to the hypervisor: 0.1 ms in all.
 */
#include "common/vectors.h"

#ifndef __x86_64__
enum vectors vectors_here(void)
{
    return VECTORS_NONE;
}
#elif __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>

enum vectors vectors_here(void)
{
    if (!CPU_FEATURE_ACTIVE(AVX2) || !CPU_FEATURE_ACTIVE(POPCNT) || !CPU_FEATURE_ACTIVE(BMI1))
        return VECTORS_NONE;
    return CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(AVX512BW) ? VECTORS_AVX512 : VECTORS_AVX2;
}
#else
enum vectors vectors_here(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("popcnt") || !__builtin_cpu_supports("bmi"))
        return VECTORS_NONE;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") ? VECTORS_AVX512 : VECTORS_AVX2;
}
#endif
