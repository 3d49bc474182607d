/* A program of two functions deep, that waits for ever, or crashes the kernel: what stacks through a system call look like. */
static long syscall3(long number, long a, long b, long c) {
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a7 __asm__("a7") = number;
  register long a3 __asm__("a3") = 0;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a7) : "memory");
  return a0;
}

struct wish {
  char file[24];
  char text[8];
  long bytes;
};

struct wish last_wish = {"/proc/sysrq-trigger", "c", 1};

__attribute__((noinline)) long fulfil(struct wish *wish) {
  long file = syscall3(56, -100, (long)wish->file, 1);
  long written = syscall3(64, file, (long)wish->text, wish->bytes);
  return written + 1;
}

__attribute__((noinline)) long wait_for(long seconds) {
  long time[2] = {seconds, 0};
  return syscall3(101, (long)time, 0, 0) + 1;
}

__attribute__((noinline)) long choose(long count, char **words) {
  if (count > 1 && words[1][0] == 'c') return fulfil(&last_wish) + 1;
  return wait_for(1000000) + 1;
}

__attribute__((used)) void begin(long *stack) {
  syscall3(93, choose(stack[0], (char **)(stack + 1)), 0, 0);
}

__asm__(".globl _start\n_start:\n.cfi_startproc\n.cfi_undefined ra\nmv a0, sp\nandi sp, sp, -16\ncall begin\n.cfi_endproc\n");
