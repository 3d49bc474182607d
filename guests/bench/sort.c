/* Quicksort with insertion sort for short pieces, of random words. */
#include "bench.h"

#define COUNT 100000

const char work_name[] = "sort";
const u64 work_rounds = 240;
const int work_parallel = 0;

static u32 words[COUNT];

static void sort(i64 low, i64 high)
{
    while (high - low > 12) {
        u32 pivot = words[(low + high) / 2];
        i64 i = low, j = high;
        while (i <= j) {
            while (words[i] < pivot)
                i++;
            while (words[j] > pivot)
                j--;
            if (i <= j) {
                u32 swapped = words[i];
                words[i++] = words[j];
                words[j--] = swapped;
            }
        }
        if (j - low < high - i) {
            sort(low, j);
            low = i;
        } else {
            sort(i, high);
            high = j;
        }
    }
    for (i64 i = low + 1; i <= high; i++) {
        u32 word = words[i];
        i64 j = i;
        for (; j > low && words[j - 1] > word; j--)
            words[j] = words[j - 1];
        words[j] = word;
    }
}

u64 work_once(u64 hart, u64 round)
{
    u64 state = 88172645463325252ul + round + hart;
    for (u32 i = 0; i < COUNT; i++)
        words[i] = (u32)next_random(&state);
    sort(0, COUNT - 1);
    u64 sum = 0;
    for (u32 i = 0; i < COUNT; i++)
        sum += words[i] * (u64)i;
    return sum;
}
