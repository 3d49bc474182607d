/*
 * Spin locks. Whoever holds one runs with interrupts off, so that a handler on the same hart never
 * spins for a lock that its own hart holds. lock() returns what unlock() needs to undo that.
 */
#pragma once

#include "hart.h"
#include "riscv.h"

struct lock {
    u32 taken;
    u32 holder; /* hart number, for people */
};

static inline void lock_spin(struct lock *lock)
{
    while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED))
            ;
    lock->holder = this_hart()->id;
}

static inline void lock_release(struct lock *lock)
{
    __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

static inline u64 lock(struct lock *lock)
{
    u64 interrupts = irq_save();
    lock_spin(lock);
    return interrupts;
}

static inline void unlock(struct lock *lock, u64 interrupts)
{
    lock_release(lock);
    irq_restore(interrupts);
}
