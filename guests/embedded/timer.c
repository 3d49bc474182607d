/* The supervisor's own timer (Sstc). A busy hart is interrupted at the end of each slice, an idle one
   only when a sleeper is due. */
#include "timer.h"
#include "hart.h"
#include "riscv.h"
#include "task.h"
#include "work.h"

u64 timer_frequency = 10000000;

u64 time_now(void)
{
    return csr_read(time);
}

u64 time_from_ms(u64 ms)
{
    return ms * timer_frequency / 1000;
}

void timer_start_slice(void)
{
    csr_write(stimecmp, time_now() + timer_frequency / SLICES_PER_SECOND);
}

void timer_start_idle(void)
{
    csr_write(stimecmp, wake_sleepers(time_now()));
}

void timer_interrupt(void)
{
    struct hart *hart = this_hart();
    hart->ticks++;
    wake_sleepers(time_now());
    if (current() == hart->idle_task) {
        csr_write(stimecmp, TIME_NEVER); /* the idle loop sets it anew */
        return;
    }
    timer_start_slice();
    work_sample();
}
