/**
 * Compresses to an LZ4 block (LZ4 Block Format Description, 1.6), by generated code: the package's compressor takes a third longer, and copies
 * what it makes twice.
 *
 * A table knows for each hash of five bytes where they were last. A match is taken as soon as one is found; the longer none is, the
 * larger are the steps.
 */
import { type Expr, i32, type Local, load } from '../vmm/codegen/expr.ts';
import type { Label } from '../vmm/codegen/fn.ts';
import { ModuleBuilder } from '../vmm/codegen/module.ts';

const WASM_PAGE_BYTES = 65536;
const TABLE = 0;
const TABLE_BITS = 12;
const TABLE_BYTES = 4 << TABLE_BITS;
const INPUT = TABLE + TABLE_BYTES;
/** Copies and comparisons go up to so far beyond what they are of. */
const SLACK = 32;

/** Bytes at the end that are literals, and before which no match begins (end of block conditions). */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;
const MATCH_MIN = 4;
const DISTANCE_MAX = 65535;
/** After so many failures to find a match, steps become one byte longer. */
const SKIP_SHIFT = 6;
/** Spreads five bytes over the table: the fraction of the golden ratio. */
const SPREAD = 0x9e3779b97f4a7c15n;

/** Where in the table the place of these bytes is. */
const slotOf = (word: Expr) =>
  word
    .shl(24n)
    .mul(SPREAD)
    .shrU(BigInt(64 - TABLE_BITS))
    .wrap()
    .shl(2);

/** `compress(source, length, target)` gives the length of the block; 0 if it would not be shorter than what it is made of. */
function buildModule(): Uint8Array {
  const m = new ModuleBuilder();
  const compress = m.define('compress', ['i32', 'i32', 'i32'], 'i32', (f, source, length, target) => {
    const end = f.let(source.add(length));
    const matchesEnd = f.let(end.sub(MATCH_LIMIT));
    const comparesEnd = f.let(end.sub(LAST_LITERALS));
    const limit = f.let(target.add(length));
    const at = f.let(source);
    const anchor = f.let(source);
    const out = f.let(target);
    const reference = f.local('i32');
    const token = f.local('i32');
    const slot = f.local('i32');
    const tries = f.local('i32');
    f.fill(i32(TABLE), 0, TABLE_BYTES);
    /** What does not fit in the token's four bits: bytes of 255, and the rest. */
    const extend = (rest: Local) => {
      f.loop((again) => {
        f.if(rest.geU(255), () => {
          f.store('i8', out, 0, 255);
          f.set(out, out.add(1));
          f.set(rest, rest.sub(255));
          f.br(again);
        });
      });
      f.store('i8', out, 0, rest);
      f.set(out, out.add(1));
    };
    /** The token's high half, and the bytes from `anchor` up to `to`; nothing where they would not fit. */
    const literals = (to: Expr, room: number) => {
      const count = f.let(to.sub(anchor));
      f.if(out.add(count).add(count.shrU(7)).add(room).geU(limit), () => f.return(0));
      f.set(token, out);
      f.set(out, out.add(1));
      f.if(
        count.ltU(15),
        () => f.store('i8', token, 0, count.shl(4)),
        () => {
          f.store('i8', token, 0, 15 << 4);
          const rest = f.let(count.sub(15));
          extend(rest);
        },
      );
      const copied = f.let(i32(0));
      f.loop((again) => {
        f.store('i64', out.add(copied), 0, load('i64', anchor.add(copied), 0));
        f.store('i64', out.add(copied), 8, load('i64', anchor.add(copied), 8));
        f.set(copied, copied.add(16));
        f.brIf(again, copied.ltU(count));
      });
      f.set(out, out.add(count));
    };
    f.block((done: Label) => {
      f.loop((next) => {
        // Finds a match.
        f.set(tries, 1 << SKIP_SHIFT);
        f.loop((search) => {
          f.brIf(done, at.gtU(matchesEnd));
          const word = f.let(load('i64', at, 0));
          f.set(slot, slotOf(word));
          f.set(reference, load('i32', slot, TABLE).add(source));
          f.store('i32', slot, TABLE, at.sub(source));
          const found = load('i32', reference, 0).eq(word.wrap()).and(at.sub(reference).sub(1).ltU(DISTANCE_MAX));
          f.if(found.eqz(), () => {
            f.set(at, at.add(tries.shrU(SKIP_SHIFT)));
            f.set(tries, tries.add(1));
            f.br(search);
          });
        });
        // It may begin earlier.
        f.loop((again) => {
          f.if(at.gtU(anchor).and(reference.gtU(source)), () => {
            f.if(load('u8', at.sub(1), 0).eq(load('u8', reference.sub(1), 0)), () => {
              f.set(at, at.sub(1));
              f.set(reference, reference.sub(1));
              f.br(again);
            });
          });
        });
        literals(at, SLACK);
        f.store('i16', out, 0, at.sub(reference));
        f.set(out, out.add(2));
        // How long it is.
        f.set(at, at.add(MATCH_MIN));
        f.set(reference, reference.add(MATCH_MIN));
        const start = f.let(at);
        f.block((measured) => {
          f.loop((again) => {
            f.if(at.add(8).leU(comparesEnd), () => {
              const different = f.let(load('i64', at, 0).xor(load('i64', reference, 0)));
              f.if(different.eqz(), () => {
                f.set(at, at.add(8));
                f.set(reference, reference.add(8));
                f.br(again);
              });
              f.set(at, at.add(different.ctz().shrU(3n).wrap()));
              f.br(measured);
            });
          });
          f.loop((again) => {
            f.if(at.ltU(comparesEnd), () => {
              f.if(load('u8', at, 0).eq(load('u8', reference, 0)), () => {
                f.set(at, at.add(1));
                f.set(reference, reference.add(1));
                f.br(again);
              });
            });
          });
        });
        f.set(anchor, at);
        const matched = f.let(at.sub(start));
        f.if(
          matched.ltU(15),
          () => f.store('i8', token, 0, load('u8', token, 0).or(matched)),
          () => {
            f.if(out.add(matched.shrU(7)).add(SLACK).geU(limit), () => f.return(0));
            f.store('i8', token, 0, load('u8', token, 0).or(15));
            const rest = f.let(matched.sub(15));
            extend(rest);
          },
        );
        f.brIf(done, at.gtU(matchesEnd));
        // What comes next may be found from here.
        f.store('i32', slotOf(load('i64', at.sub(2), 0)), TABLE, at.sub(2).sub(source));
        f.br(next);
      });
    });
    literals(end, 1);
    f.return(out.sub(target));
  });
  m.export(compress);
  return m.finish();
}

const memory = new WebAssembly.Memory({ initial: 8 });
const instance = new WebAssembly.Instance(new WebAssembly.Module(buildModule()), { host: { memory } });
const compress = instance.exports.compress as (source: number, length: number, target: number) => number;
let bytes = new Uint8Array(memory.buffer);

/**
 * The bytes as a block, if that is shorter, else as they are, behind room for a header. They lie in memory that the next call uses
 * again.
 */
export function compressed(raw: Uint8Array, room: number): { bytes: Uint8Array; isBlock: boolean } {
  const source = INPUT + room;
  const target = source + raw.length + SLACK + room;
  const needed = target + raw.length + SLACK;
  if (needed > bytes.length) {
    memory.grow(Math.ceil((needed - bytes.length) / WASM_PAGE_BYTES));
    bytes = new Uint8Array(memory.buffer);
  }
  bytes.set(raw, source);
  const length = compress(source, raw.length, target);
  const [from, to] = length === 0 ? [source, source + raw.length] : [target, target + length];
  return { bytes: bytes.subarray(from - room, to), isBlock: length !== 0 };
}
