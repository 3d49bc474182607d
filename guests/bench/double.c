/* Bodies that attract each other, in double precision. */
#include "bench.h"

#define BODIES 8

const char work_name[] = "double";
const u64 work_rounds = 400000;
const int work_parallel = 0;

static double place[BODIES][3], speed[BODIES][3], mass[BODIES];

u64 work_once(u64 hart, u64 round)
{
    if (round == 0) {
        for (u32 i = 0; i < BODIES; i++) {
            mass[i] = 1.0 + i;
            for (u32 k = 0; k < 3; k++) {
                place[i][k] = (double)(i * 3 + k * k) - (double)hart;
                speed[i][k] = (double)(k + 1) / (i + 1);
            }
        }
    }
    const double step = 0.001;
    for (u32 i = 0; i < BODIES; i++) {
        for (u32 j = i + 1; j < BODIES; j++) {
            double d[3], square = 0.01;
            for (u32 k = 0; k < 3; k++) {
                d[k] = place[i][k] - place[j][k];
                square += d[k] * d[k];
            }
            double pull = step / (square * __builtin_sqrt(square));
            for (u32 k = 0; k < 3; k++) {
                speed[i][k] -= d[k] * mass[j] * pull;
                speed[j][k] += d[k] * mass[i] * pull;
            }
        }
    }
    for (u32 i = 0; i < BODIES; i++)
        for (u32 k = 0; k < 3; k++)
            place[i][k] += step * speed[i][k];
    return (u64)(i64)(place[1][2] * 1e6);
}
