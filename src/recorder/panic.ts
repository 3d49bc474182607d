/** What Linux, the BSDs and many small kernels say on the console when they give up. */
export const PANIC_TEXTS = ['Kernel panic - not syncing', 'Unable to handle kernel', 'kernel BUG at', '\npanic: '];
