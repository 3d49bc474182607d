/**
 * The code that is generated for small pieces of guest code is what it was: each has its guest code, the blocks found in it and the WebAssembly
 * under regions/. A change of the generator shows there what it does; `npm run accept` takes it.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PAGE_BYTES } from '../../src/vmm/layout.ts';
import { type Block, type BlockEnd, findBlocks, pageOf } from '../../src/vmm/riscv/blocks.ts';
import { disassemble } from '../../src/vmm/riscv/disassembler.ts';
import { interpreterFunctions } from '../../src/vmm/riscv/interpreter.ts';
import { generateRegions } from '../../src/vmm/riscv/region.ts';
import { assertGolden } from '../support/golden.ts';
import { assemble } from './support/assembly.ts';
import { wasmText } from './support/wasm-text.ts';

const FOLDER = fileURLToPath(new URL('../../../test/riscv/regions', import.meta.url));
/** Stands for the address of a decoded page. */
const RECORDS = 0x1000000;

/**
 * Guest code by name. The region begins at the label `entry`, or else at the start of the first page; code behind a label that begins
 * with `cold` was never executed, and a function whose label begins with `rare` is called too seldom. In cases named `beside-code` there are programs that
 * write beside their code; in those named `hot` much time is spent.
 */
const CASES: { readonly [name: string]: string } = {
  arithmetic: 'add a0, a1, a2\naddi a0, a0, -1\nsubw a3, a0, a1\nsltu a4, a0, a3\nlui a5, 0x12345\nauipc a6, 1\necall',
  'arithmetic-x0': 'add zero, a1, a2\naddi a0, zero, 5\nor a1, a0, zero\necall',
  shifts: 'sll a0, a1, a2\nsrliw a3, a0, 5\nsraw a4, a0, a1\nslliw a5, a0, 31\necall',
  m: 'mul a0, a1, a2\nmulhsu a3, a1, a2\nmulh a3, a1, a2\ndiv a4, a1, a2\nremuw a5, a1, a2\necall',
  b: 'sh3add a0, a1, a2\nandn a1, a1, a2\nclzw a2, a1\nrev8 a3, a1\nbext a4, a1, a2\nrori a5, a1, 13\nmaxu a6, a1, a2\nadd.uw a7, a1, a2\necall',
  compressed: 'c.addi a0, 1\nc.mv a1, a0\nc.lw a2, 8(a0)\nc.sdsp a2, 16(sp)\nc.addi16sp sp, -64\nc.slli a2, 3\necall',
  load: 'ld a0, 16(a1)\necall',
  loads: 'lb a0, 0(a1)\nlhu a2, 2(a1)\nlw a3, 4(a1)\nlwu a4, 8(a1)\nld a5, 16(a1)\necall',
  store: 'sw a0, -4(a1)\necall',
  'store-beside-code': 'sw a0, -4(a1)\nloop:\nld a2, 0(a1)\nsd a2, 8(a1)\naddi a1, a1, 8\nbnez a2, loop\necall',
  'load-overwrites-base': 'ld a1, 8(a1)\nld a1, 8(a1)\necall',
  prologue:
    'addi sp, sp, -64\nsd ra, 56(sp)\nsd s0, 48(sp)\nsd s1, 40(sp)\naddi s0, sp, 64\nsd a0, -56(s0)\nld a1, -56(s0)\necall',
  'group-reads-and-writes': 'ld a0, 0(s0)\naddi a0, a0, 1\nsd a0, 0(s0)\nld a1, 8(s0)\nsd a1, 16(s0)\necall',
  'group-too-wide': 'ld a0, 0(s0)\nld a1, 400(s0)\nld a2, 8(s0)\necall',
  'group-base-moves':
    'ld a0, 0(s0)\naddi s0, s0, 32\nld a1, 0(s0)\nmv s1, s0\nld a2, -16(s1)\nadd s0, s0, a0\nld a3, 0(s0)\necall',
  'two-bases': 'ld a0, 0(s0)\nld a1, 0(s1)\nsd a0, 0(s1)\nsd a1, 0(s0)\necall',
  branch: 'beq a0, a1, there\naddi a2, a2, 1\nthere:\naddi a3, a3, 1\necall',
  'branch-cold': 'bltu a0, a1, cold\naddi a2, a2, 1\necall\ncold:\naddi a3, a3, 1\necall',
  diamond: 'beqz a0, right\naddi a1, a1, 1\nj meet\nright:\naddi a1, a1, 2\nmeet:\nadd a2, a1, a1\necall',
  loop: 'loop:\nadd a0, a0, a1\naddi a1, a1, -1\nbnez a1, loop\necall',
  'loop-copies-memory': 'loop:\nld a3, 0(a1)\nsd a3, 0(a0)\naddi a1, a1, 8\naddi a0, a0, 8\nbltu a0, a2, loop\necall',
  'loop-hot': 'loop:\nadd a0, a0, a1\naddi a1, a1, -1\nbnez a1, loop\necall',
  'loop-reads-array-hot':
    'mv a4, a1\nj middle\nloop:\nlw a3, 0(a1)\naddi a1, a1, 4\nbeq a3, a4, out\nmiddle:\naddw a0, a0, a3\nsb a0, 0(a2)\naddi a2, a2, 1\nbnez a0, loop\nout:\necall',
  'loop-follows-list': 'loop:\nld a0, 8(a0)\nlw a1, 0(a0)\nadd a2, a2, a1\nbnez a0, loop\necall',
  'loops-nested': 'outer:\nmv a2, a3\ninner:\naddi a2, a2, -1\nbnez a2, inner\naddi a1, a1, -1\nbnez a1, outer\necall',
  'loop-two-exits': 'loop:\nbeqz a0, out\naddi a1, a1, 1\nbltu a1, a2, loop\necall\nout:\naddi a3, a3, 1\necall',
  irreducible: 'beqz a0, second\nfirst:\naddi a1, a1, 1\nsecond:\naddi a2, a2, -1\nbnez a2, first\necall',
  call: 'jal ra, function\nadd a0, a0, a1\necall\nfunction:\naddi a1, a1, 1\nret',
  'call-twice': 'jal ra, function\nadd a0, a0, a1\njal ra, function\necall\nfunction:\naddi a1, a1, 1\nret',
  'call-rare': 'jal ra, rare\nadd a0, a0, a1\necall\nrare:\naddi a1, a1, 1\nret',
  'call-in-loop': 'loop:\njal ra, function\naddi a0, a0, -1\nbnez a0, loop\necall\nfunction:\nld a1, 0(a2)\nret',
  'call-nested': 'jal ra, outer\necall\nouter:\nmv s1, ra\njal ra, inner\nmv ra, s1\nret\ninner:\naddi a0, a0, 1\nret',
  'call-far': 'call function\naddi a0, a0, 1\necall\n.page\nfunction:\naddi a1, a1, 1\nret',
  'call-far-x0': 'auipc zero, 0\njalr ra, 16(zero)\necall',
  'tail-call': 'addi a0, a0, 1\nj function\n.page\nfunction:\naddi a1, a1, 1\nret',
  'jump-indirect': 'add a0, a0, a1\njr a0',
  'page-crossing':
    'entry:\naddi a0, a0, 1\nj near_end\n.page-end 4\nnear_end:\naddi a1, a1, 1\naddi a2, a2, 1\nbnez a2, near_end\necall',
  'page-end-straddled': 'j near_end\n.page-end 6\nnear_end:\naddi a1, a1, 1\naddi a2, a2, 1\necall',
  'loop-over-pages': 'j loop\n.page-end 4\nloop:\naddi a0, a0, -1\naddi a1, a1, 1\nbnez a0, loop\necall',
  amo: 'amoadd.w a0, a1, (a2)\namoswap.d a3, a4, (a2)\namomaxu.w.aqrl a5, a6, (a2)\necall',
  'lr-sc': 'again:\nlr.w a0, (a1)\naddi a0, a0, 1\nsc.w a2, a0, (a1)\nbnez a2, again\necall',
  'float-double': 'fld fa0, 0(a0)\nfmul.d fa1, fa0, fa0\nfadd.d fa2, fa1, fa0, rtz\nfsd fa2, 8(a0)\necall',
  'float-single': 'flw fa0, 0(a0)\nfsub.s fa1, fa0, fa0\nfsgnjn.s fa2, fa1, fa0\nfsw fa2, 4(a0)\necall',
  'float-fused': 'fmadd.d fa0, fa1, fa2, fa3\nfnmsub.s fa4, fa5, fa6, fa7\necall',
  'float-to-integer':
    'fcvt.l.d a0, fa0, rtz\nfcvt.d.l fa1, a0\nfmv.x.d a1, fa1\nfeq.d a2, fa0, fa1\nfclass.d a3, fa0\necall',
  'ends-in-csr': 'addi a0, a0, 1\ncsrrs a1, time, zero\naddi a0, a0, 1',
  'ends-in-wfi': 'addi a0, a0, 1\nwfi',
  'ends-in-illegal': 'addi a0, a0, 1\n.word 0xffffffff',
  'ends-in-fence-i': 'sw a0, 0(a1)\nfence.i\necall',
  narrow:
    'lw a0, 0(a1)\nagain:\naddw a2, a0, a3\nsrliw a4, a2, 7\nslliw a5, a2, 25\nor a4, a4, a5\nxor a0, a0, a4\nbltu a0, a2, again\nadd a0, a0, a1\nxor a0, a0, a2\necall',
  fence: 'fence rw, rw\naddi a0, a0, 1\necall',
  'budget-of-a-long-way': `${'add a0, a0, a1\n'.repeat(40)}beqz a0, cold\n${'add a0, a0, a1\n'.repeat(40)}ecall\ncold:\necall`,
};

const BASE = 0x10000;

/** What is generated for a case. */
function generated(source: string, name: string): string {
  const { bytes, labels, starts } = assemble(source, BASE);
  const image = new DataView(new Uint8Array(bytes.length + PAGE_BYTES).buffer);
  new Uint8Array(image.buffer).set(bytes);
  const sorted = [...labels].sort((a, b) => a[1] - b[1]);
  /** The label that an offset stands behind. */
  const under = (offset: number) => sorted.findLast(([, address]) => address <= BASE + offset)?.[0] ?? '';
  const pages = Math.ceil(bytes.length / PAGE_BYTES);
  const entry = (labels.get('entry') ?? BASE) - BASE;
  const blocks = findBlocks({
    leaves: () => false,
    entry,
    page: (number) =>
      number < 0 || number >= pages
        ? null
        : {
            read: (offset) => image.getUint16(number * PAGE_BYTES + offset, true),
            executed: (offset) => !under(number * PAGE_BYTES + offset).startsWith('cold'),
            frequent: (offset) => !under(number * PAGE_BYTES + offset).startsWith('rare'),
            stops: () => false,
          },
  });
  assert.ok(blocks.length > 0, 'there is something to compile');
  const records = new Map(blocks.map(({ start }) => [pageOf(start), RECORDS * (pageOf(start) + 1)]));
  const besideCode = name.endsWith('beside-code');
  const hot = name.endsWith('hot') ? blocks.map(({ start }) => start) : [];
  // Without the host's fused multiply-add, whether it has one or not: the text is the same anywhere.
  const { rt, float, functions } = interpreterFunctions(false);
  const module = generateRegions([{ blocks, records, besideCode, hot }], {
    rt,
    float,
    exported: functions,
    counting: false,
  });
  assert.ok(WebAssembly.validate(new Uint8Array(module.bytes)), 'V8 takes the module');
  const names = new Map(sorted.map(([name, address]) => [address - BASE, name]));
  const code = starts.map((at) => {
    const { text, bits, length } = disassemble(image.getUint32(at, true), BigInt(at));
    const label = names.get(at);
    const hex = bits
      .toString(16)
      .padStart(2 * length, '0')
      .padEnd(8);
    return `${label ? `${label}:\n` : ''}  ${at.toString(16).padStart(4)}  ${hex}  ${text.replace('\t', ' ')}`;
  });
  return [
    ...['guest code', '', ...code, ''],
    ...['blocks', '', ...blocks.map(blockText), ''],
    ...['WebAssembly', '', wasmText(module.bytes, ['hart', 'budget', 'page'])],
  ].join('\n');
}

function blockText({ start, instructions, end }: Block): string {
  return `  ${start.toString(16).padStart(4)}  ${instructions.length} instructions, then ${endText(end)}`;
}

function endText(end: BlockEnd): string {
  const { kind, ...to } = end;
  const hex = (value: number | readonly number[]) =>
    [value]
      .flat()
      .map((offset) => offset.toString(16))
      .join(' ');
  return [kind, ...Object.entries(to).map(([name, value]) => `${name} ${hex(value)}`)].join(', ');
}

for (const [name, source] of Object.entries(CASES)) {
  test(`generated code: ${name}`, () => {
    assertGolden(join(FOLDER, `${name}.txt`), generated(source, name));
  });
}

test('every text under regions/ belongs to a case', () => {
  const files = readdirSync(FOLDER).sort();
  assert.deepEqual(
    files,
    Object.keys(CASES)
      .map((name) => `${name}.txt`)
      .sort(),
  );
});
