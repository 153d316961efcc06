/*
 * vectors: which vector instructions of x86-64 the processor has, for the few inner loops that have code for them.
 */
#ifndef COMMON_VECTORS_H
#define COMMON_VECTORS_H

enum vectors {
    VECTORS_NONE,    /* another machine, or an old one: portable code */
    VECTORS_AVX2,    /* with POPCNT and BMI1 */
    VECTORS_AVX512,  /* F and BW besides */
    VECTORS_BEST = VECTORS_AVX512
};

/* The best there is. Asked once by each who wants to know: it is not remembered here. */
enum vectors vectors_here(void);

#endif
