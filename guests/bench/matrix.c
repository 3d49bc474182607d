/* Products of matrices, in integers and in double precision. */
#include "bench.h"

#define SIZE 128

const char work_name[] = "matrix";
const u64 work_rounds = 160;
const int work_parallel = 0;

static i64 a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
static double x[SIZE][SIZE], y[SIZE][SIZE], z[SIZE][SIZE];

u64 work_once(u64 hart, u64 round)
{
    for (u32 i = 0; i < SIZE; i++) {
        for (u32 j = 0; j < SIZE; j++) {
            a[i][j] = (i64)(i * j + round);
            b[i][j] = (i64)(i ^ j) - (i64)hart;
            x[i][j] = (double)a[i][j] / 3.0;
            y[i][j] = (double)b[i][j] / 7.0;
        }
    }
    u64 sum = 0;
    for (u32 i = 0; i < SIZE; i++) {
        for (u32 j = 0; j < SIZE; j++) {
            i64 whole = 0;
            double fraction = 0;
            for (u32 k = 0; k < SIZE; k++) {
                whole += a[i][k] * b[k][j];
                fraction += x[i][k] * y[k][j];
            }
            c[i][j] = whole;
            z[i][j] = fraction;
            sum += (u64)whole + (u64)(i64)fraction;
        }
    }
    return sum + (u64)c[3][5] + (u64)(i64)z[5][3];
}
