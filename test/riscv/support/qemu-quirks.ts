/** Where QEMU 7.2 is wrong, or one of two right answers: its result is replaced by the right one, or by ours if both are. */
import type { Result } from '../../../scripts/insn-batch.ts';
import { CAUSE } from '../../../src/vmm/riscv/hart.ts';

type Settle = (ours: Result, theirs: Result) => void;

const FS = 0x6000n;
const SD = 1n << 63n;

interface Quirk {
  readonly name: RegExp;
  readonly settle: (ours: Result, theirs: Result, bits: number, x: readonly bigint[]) => void;
}

const QUIRKS: readonly Quirk[] = [
  {
    // Atomic operations raise store/AMO exceptions, never load exceptions (unprivileged specification, 14.4). QEMU reports
    // those of the load half first.
    name: /^amo/,
    settle: (ours, theirs) => {
      // The load half can find that nothing is there before the store half finds that it may not write.
      const early = theirs.cause === BigInt(CAUSE.loadAccess) && ours.cause === BigInt(CAUSE.storePage);
      if (early || theirs.cause === BigInt(CAUSE.loadPage)) theirs.cause = BigInt(CAUSE.storePage);
      if (theirs.cause === BigInt(CAUSE.loadMisaligned)) theirs.cause = BigInt(CAUSE.storeMisaligned);
      if (theirs.cause === BigInt(CAUSE.loadAccess)) theirs.cause = BigInt(CAUSE.storeAccess);
    },
  },
  {
    // tval is the address of the access, or of the part of it that fails (privileged specification, 3.1.16). QEMU splits a
    // misaligned load in two aligned ones and reports the first's address, which lies before the access.
    name: /^(c\.)?f?l[hwd]/,
    settle: (ours, theirs) => {
      const before = ours.tval - theirs.tval;
      if (ours.cause === BigInt(CAUSE.loadAccess) && before > 0n && before < 8n) theirs.tval = ours.tval;
    },
  },
  {
    // The count of trailing zeros of a zero word is 32 (unprivileged specification, 28.4). QEMU goes on in the upper half.
    name: /^ctzw$/,
    settle: (_, theirs, bits, x) => {
      const [rd, rs1] = [(bits >>> 7) & 31, (bits >>> 15) & 31];
      if (rd !== 0 && BigInt.asUintN(32, x[rs1]) === 0n) theirs.x[rd] = 32n;
    },
  },
  {
    // Accrued flags are floating-point state too: FS becomes dirty (privileged specification, 3.1.6.6). QEMU leaves it.
    name: /^(f(eq|lt|le)\.|fcvt\.[wl]u?\.)/,
    settle: (ours, theirs) => {
      if (theirs.completed && (ours.mstatus & FS) === FS) theirs.mstatus |= FS | SD;
    },
  },
];

/** What to do with the results of an instruction before they are compared. */
export function settleQemu(name: string, bits: number, x: readonly bigint[]): Settle {
  const quirks = QUIRKS.filter((quirk) => quirk.name.test(name));
  return (ours, theirs) => {
    for (const quirk of quirks) quirk.settle(ours, theirs, bits, x);
  };
}
