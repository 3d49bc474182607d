/**
 * The registers that gdb is shown, and the target description that names them (gdb manual, "RISC-V Features"). A register's
 * number in packets is its place in the list.
 */

export interface Register {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly type: string;
  readonly feature: string;
}

const CPU = 'org.gnu.gdb.riscv.cpu';
const FPU = 'org.gnu.gdb.riscv.fpu';
const CSR = 'org.gnu.gdb.riscv.csr';
const VIRTUAL = 'org.gnu.gdb.riscv.virtual';
/** A feature that gdb has never heard of: it shows its registers all the same. */
const TIMELINE = 'org.chronovisor.timeline';

export const X_NAMES =
  'zero ra sp gp tp t0 t1 t2 fp s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');
export const F_NAMES =
  'ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11'.split(
    ' ',
  );
const FLOAT_CSRS = ['fflags', 'frm', 'fcsr'];
const X_TYPES: Record<string, string> = {
  ra: 'code_ptr',
  sp: 'data_ptr',
  gp: 'data_ptr',
  tp: 'data_ptr',
  fp: 'data_ptr',
};

/** Registers of the `g` packet: the general ones and pc. The others are asked for one by one. */
export const GENERAL_COUNT = 33;

/** All registers of a hart that has these control registers. */
export function registerList(csrs: readonly string[]): Register[] {
  const row = (feature: string, bits: 32 | 64, type: string) => (name: string) => ({ name, bits, type, feature });
  return [
    ...X_NAMES.map((name) => row(CPU, 64, X_TYPES[name] ?? 'int')(name)),
    row(CPU, 64, 'code_ptr')('pc'),
    ...F_NAMES.map(row(FPU, 64, 'riscv_double')),
    ...FLOAT_CSRS.map(row(FPU, 32, 'int')),
    ...csrs.filter((name) => !FLOAT_CSRS.includes(name)).map(row(CSR, 64, 'uint64')),
    row(VIRTUAL, 64, 'int')('priv'),
    row(TIMELINE, 64, 'uint64')('position'),
  ];
}

/** The name of the register with a number in expressions of conditions (replay/expression.ts); null if they do not know it. */
export function expressionName(register: Register, number: number): string | null {
  if (register.feature === CPU) return number < 32 ? `x${number}` : 'pc';
  if (register.type === 'riscv_double') return `f${number - GENERAL_COUNT}`;
  return register.feature === TIMELINE ? null : register.name;
}

/**
 * The target description. It says that there is no operating system below: gdb would take a Linux kernel for a Linux program, and
 * step by breakpoints of its own instead of asking.
 */
export function targetXml(registers: readonly Register[]): string {
  const features = [...new Set(registers.map((r) => r.feature))].map((feature) => {
    const types =
      feature === FPU
        ? '<union id="riscv_double"><field name="float" type="ieee_single"/><field name="double" type="ieee_double"/></union>\n'
        : '';
    const rows = registers.flatMap((r, number) =>
      r.feature === feature
        ? [`<reg name="${r.name}" bitsize="${r.bits}" type="${r.type}" regnum="${number}" group="${groupOf(r)}"/>\n`]
        : [],
    );
    return `<feature name="${feature}">\n${types}${rows.join('')}</feature>\n`;
  });
  return `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>riscv:rv64</architecture>
<osabi>none</osabi>
${features.join('')}</target>
`;
}

function groupOf(register: Register): string {
  switch (register.feature) {
    case CPU:
      return 'general';
    case FPU:
      return 'float';
    case CSR:
      return 'csr';
    default:
      return 'system';
  }
}

/**
 * The memory map. Addresses are virtual, so RAM's place on the board says nothing: any address may be mapped to it. What is not
 * mapped is refused when it is read. Two halves, because the length of the whole does not fit in 64 bits.
 */
export const MEMORY_MAP_XML = `<?xml version="1.0"?>
<!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" "http://sourceware.org/gdb/gdb-memory-map.dtd">
<memory-map>
<memory type="ram" start="0x0" length="0x8000000000000000"/>
<memory type="ram" start="0x8000000000000000" length="0x8000000000000000"/>
</memory-map>
`;
