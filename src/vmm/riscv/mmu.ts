/**
 * Virtual memory: address translation (privileged specification, 12.3 to 12.5), physical memory protection (3.7), and the slow
 * paths of loads, stores and fetches.
 *
 * Two TLBs of a hart are architectural: the guest can see what they hold, so they are machine state, filled by one rule. A
 * lookup that misses, or finds too little permission, walks and fills. Beside the data TLB lie fast entries with host
 * addresses, one set for each way of looking at data (U, S, S with SUM, M): they only ever allow what the
 * architectural entry allows, so they can vanish at any time without the guest noticing.
 *
 * A fast entry: tag of the page for loads (i64), for stores (i64), and what `FAST` names (i32).
 */
import { type Expr, i32, i64, load, type Value } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import type { Func, ModuleBuilder } from '../codegen/module.ts';
import {
  DECODED_TABLE_BASE,
  G,
  HAS_REGIONS_OFFSET,
  PAGE_FLAG,
  PAGE_FLAGS_BASE,
  PAGE_TABLE_BASE,
  PATIENCE_OFFSET,
  RAM_BASE,
  RECORD_BYTES,
} from '../layout.ts';
import {
  CAUSE,
  DTLB_ENTRIES,
  FAST_ENTRY_BYTES,
  FAST_FETCH_BYTES,
  FAST_MODE_BYTES,
  H,
  ITLB_ENTRIES,
  MSTATUS,
  PRIV,
  SUPERPAGES_BYTES,
  TLB_ENTRY_BYTES,
} from './hart.ts';
import type { HostFns } from './runtime.ts';
import type { TrapFns } from './trap.ts';
import { WATCH, type WatchFns } from './watch.ts';

export interface MmuFns {
  /** (hart, address, size) -> value, zero-extended. An exception is pending where it failed. */
  readonly loadSlow: Func;
  /** (hart, address, size, value). */
  readonly storeSlow: Func;
  /**
   * (hart, address, size, conditional) -> host address of a word that may be read and written; 0 with an exception pending. One with a
   * condition is written only, and only if the hart's reservation holds.
   */
  readonly atomicSlow: Func;
  /**
   * (hart, address, length, need) -> host address of a range of memory, the first access to which is sure to come: for loads where bit 0 of `need` is set,
   * for stores where bit 1 is; 0 where a walk, a fault or a device is due. Changes nothing that a guest can see. The address holds until the hart
   * executes what it has not executed before.
   */
  readonly reach: Func;
  /** (hart, address) -> physical address, for one that a load or store has just translated. */
  readonly physicalOf: Func;
  /** (hart, pc) -> address of the decoded page; 0 with an exception pending. */
  readonly enterPage: Func;
  /** (hart) -> address of the decoded page that `fetchPhysical` names. */
  readonly decodedOf: Func;
  /** (hart, address) -> the 16 bits there, for the second half of an instruction; checks and raises as a fetch does. */
  readonly fetchHalf: Func;
  /** (hart): forgets all translations. */
  readonly flushTlb: Func;
  /** (hart, address): forgets those of one page. */
  readonly flushTlbPage: Func;
  /** (hart): forgets the host addresses only. */
  readonly flushFast: Func;
}

/** In a fast entry: host address minus virtual address; ACCESS as bits, as translation and protection allow it; number of the RAM page. */
const FAST = { host: 16, allowed: 20, page: 24 } as const;

const ACCESS = { read: 0, write: 1, fetch: 2 } as const;
const PTE = { V: 1n, R: 2n, W: 4n, X: 8n, U: 16n, G: 32n, A: 64n, D: 128n } as const;
const PPN_MASK = (1n << 44n) - 1n;
const PAGE_MASK = -4096n;
const GIB = 1n << 30n;
/** A TLB entry holds a page table entry, with the page number of its own 4 KiB and the level of the leaf in the top bits. */
const LEVEL_SHIFT = 56n;
const physical = (pte: Expr, va: Expr) => pte.shrU(10n).and(PPN_MASK).shl(12n).or(va.and(4095n));

export function defineMmu(m: ModuleBuilder, host: HostFns, traps: TrapFns, watch: WatchFns): MmuFns {
  const status = (hart: Expr) => load('i64', hart, H.mstatus);
  const pageIndex = (pa: Expr) => pa.sub(BigInt(RAM_BASE)).shrU(12n).wrap();
  const isRam = (pa: Expr) => pa.sub(BigInt(RAM_BASE)).ltU(load('i64', i32(0), G.ramBytes));

  /** (access) raises the access or page fault that belongs to it. */
  const fault = m.define('fault', ['i32', 'i32', 'i64', 'i32'], null, (f, hart, access, address, isAccessFault) => {
    const page = access.eq(ACCESS.fetch).select(i32(CAUSE.instructionPage), access.select(i32(15), i32(13)));
    const denied = access
      .eq(ACCESS.fetch)
      .select(i32(CAUSE.instructionAccess), access.select(i32(CAUSE.storeAccess), i32(CAUSE.loadAccess)));
    f.do(traps.raise, hart, isAccessFault.select(denied, page).extU(), address);
  });

  /**
   * (hart, pa, size, privilege) -> permissions as bits R=1 W=2 X=4 by physical memory protection (3.7). What decided last is kept, with the addresses
   * around it for which it decides as well.
   */
  const protection = m.define('protection', ['i32', 'i64', 'i32', 'i32'], 'i32', (f, hart, pa, size, privilege) => {
    const end = f.let(pa.add(size.extU()));
    const config = f.local('i32');
    f.block((decided) => {
      const known = pa.geU(load('i64', hart, H.pmpLow)).and(end.leU(load('i64', hart, H.pmpHigh)));
      f.if(known, () => {
        f.set(config, load('i32', hart, H.pmpDecides));
        f.br(decided);
      });
      // Behind the last entry that is in use there is nothing to see.
      const [first, second] = [f.let(load('i64', hart, H.pmpcfg)), f.let(load('i64', hart, H.pmpcfg + 8))];
      const bytes = (configs: Expr) => i32(8).sub(configs.clz().wrap().shrU(3));
      const used = f.let(second.eqz().select(bytes(first), bytes(second).add(8)));
      const index = f.let(i32(0));
      const register = f.let(i64(0));
      const low = f.local('i64');
      const high = f.local('i64');
      // No entry before this one reaches into these addresses.
      const freeLow = f.let(i64(0));
      const freeHigh = f.let(i64(-1));
      f.if(used, () =>
        f.loop((again) => {
          f.set(config, load('u8', hart.add(index), H.pmpcfg));
          f.set(low, register.shl(2n));
          f.set(register, load('i64', hart.add(index.shl(3)), H.pmpaddr));
          f.if(config.and(0x18).ne(0), () => {
            f.set(high, register.shl(2n));
            f.if(config.and(0x18).eq(0x10), () => {
              f.set(low, register.shl(2n));
              f.set(high, low.add(4n));
            });
            f.if(config.and(0x18).eq(0x18), () => {
              // NAPOT: trailing ones give the size, 2^(ones + 3) bytes.
              const ones = f.let(register.not().ctz());
              const mask = f.let(i64(-1).shl(ones.add(1n)));
              f.set(low, ones.geU(61n).select(i64(0), register.and(mask).shl(2n)));
              f.set(high, ones.geU(58n).select(i64(-1), low.add(i64(8).shl(ones))));
            });
            f.if(end.gtU(low).and(pa.ltU(high)), () => {
              // An access that lies in it only in part fails, whoever makes it.
              f.if(pa.ltU(low).or(end.gtU(high)), () => f.return(0));
              f.store('i64', hart, H.pmpLow, low.gtU(freeLow).select(low, freeLow));
              f.store('i64', hart, H.pmpHigh, high.ltU(freeHigh).select(high, freeHigh));
              f.store('i32', hart, H.pmpDecides, config);
              f.br(decided);
            });
            f.if(
              high.leU(pa),
              () => f.set(freeLow, high.gtU(freeLow).select(high, freeLow)),
              () => f.set(freeHigh, low.ltU(freeHigh).select(low, freeHigh)),
            );
          });
          f.set(index, index.add(1));
          f.brIf(again, index.ltU(used));
        }),
      );
      f.return(privilege.eq(PRIV.M).select(i32(7), 0));
    });
    f.return(privilege.eq(PRIV.M).and(config.and(0x80).eqz()).select(i32(7), config.and(7)));
  });

  /** Privilege that data accesses have (mstatus.MPRV, 3.1.6.3). */
  const dataPrivilege = m.define('dataPrivilege', ['i32'], 'i32', (f, hart) => {
    const privilege = f.let(load('i32', hart, H.privilege));
    const saved = status(hart).shrU(11n).and(3n).wrap();
    const modified = privilege.eq(PRIV.M).and(status(hart).and(MSTATUS.MPRV).ne(0n));
    f.return(modified.select(saved, privilege));
  });

  /** Whether a page table entry allows the access; says nothing of A and D. */
  const permits = m.define('permits', ['i32', 'i64', 'i32', 'i32'], 'i32', (f, hart, pte, access, privilege) => {
    const user = f.let(pte.and(PTE.U).ne(0n));
    f.if(privilege.eq(PRIV.U), () => f.if(user.eqz(), () => f.return(0)));
    f.if(privilege.eq(PRIV.S).and(user), () => {
      f.if(access.eq(ACCESS.fetch).or(status(hart).and(MSTATUS.SUM).eqz()), () => f.return(0));
    });
    f.if(access.eq(ACCESS.fetch), () => f.return(pte.and(PTE.X).ne(0n)));
    f.if(access.eq(ACCESS.write), () => f.return(pte.and(PTE.W).ne(0n)));
    const readable = status(hart)
      .and(MSTATUS.MXR)
      .ne(0n)
      .select(i64(PTE.R | PTE.X), PTE.R);
    f.return(pte.and(readable).ne(0n));
  });

  /** RAM page -> host address, allocated if need be. */
  const hostPage = m.define('hostPage', ['i32'], 'i32', (f, page) => {
    const address = f.let(load('i32', page.shl(2), PAGE_TABLE_BASE));
    f.if(address.eqz(), () => {
      f.do(host.touch, page);
      f.set(address, load('i32', page.shl(2), PAGE_TABLE_BASE));
    });
    f.return(address);
  });

  /** Addresses of the first and last record that a store to a page of code concerns: of the halfwords written, and of an instruction that began two bytes before. */
  const recordsFor = (f: Fn, records: Expr, offset: Expr, size: Expr) => {
    const first = f.let(offset.shrU(1));
    f.set(first, records.add(first.eqz().select(i32(0), first.sub(1)).mul(RECORD_BYTES)));
    const last = f.let(records.add(offset.add(size).sub(1).shrU(1).mul(RECORD_BYTES)));
    return [first, last] as const;
  };

  /** Readies a RAM page for a store of `size` bytes at `pa`; returns the host address. */
  const hostForStore = m.define('hostForStore', ['i64', 'i32'], 'i32', (f, pa, size) => {
    const page = f.let(pageIndex(pa));
    const address = f.let(hostPage.call(page));
    const flags = f.let(load('u8', page, PAGE_FLAGS_BASE));
    f.if(flags.and(PAGE_FLAG.protected), () => f.do(host.unprotect, page));
    f.if(flags.and(PAGE_FLAG.decoded), () => {
      const records = f.let(load('i32', page.shl(2), DECODED_TABLE_BASE));
      const [first, last] = recordsFor(f, records, f.let(pa.wrap().and(4095)), size);
      // They are decoded anew. Halfwords without a record were never code: data beside code may change freely.
      const decoded = f.local('i32');
      f.set(decoded, 0);
      f.loop((again) => {
        f.set(decoded, decoded.or(load('u8', last)));
        f.store('i32', last, 0, 0);
        f.set(last, last.sub(RECORD_BYTES));
        f.brIf(again, last.geU(first));
      });
      f.if(decoded.eqz(), () => {
        const patience = f.let(load('i32', records, PATIENCE_OFFSET).sub(1));
        f.store('i32', records, PATIENCE_OFFSET, patience);
        f.if(patience.eqz(), () => f.do(host.looksLikeData, page));
      });
      f.if(decoded.ne(0).and(load('i32', records, HAS_REGIONS_OFFSET)), () => f.do(host.codeChanged, records));
    });
    f.return(address.add(pa.wrap().and(4095)));
  });

  const walk = m.define('walk', ['i32', 'i64', 'i32', 'i32'], 'i64', (f, hart, va, access, privilege) => {
    const satp = f.let(load('i64', hart, H.satp));
    // Modes 8, 9 and 10 are Sv39, Sv48 and Sv57: three, four and five levels.
    const level = f.let(satp.shrU(60n).sub(5n));
    const unused = f.let(i64(52).sub(level.mul(9n)));
    const table = f.let(satp.and(PPN_MASK).shl(12n));
    const address = f.local('i64');
    const pte = f.local('i64');
    const pageFault = () => {
      f.do(fault, hart, access, va, 0);
      f.return(0n);
    };
    f.if(va.shl(unused).shrS(unused).ne(va), pageFault);
    f.loop((again) => {
      f.set(level, level.sub(1n));
      const shift = level.mul(9n).add(12n);
      f.set(address, table.add(va.shrU(shift).and(511n).shl(3n)));
      f.if(
        isRam(address)
          .eqz()
          .or(protection.call(hart, address, 8, PRIV.S).and(1).eqz()),
        () => {
          f.do(fault, hart, access, va, 1);
          f.return(0n);
        },
      );
      f.set(pte, load('i64', hostPage.call(pageIndex(address)).add(address.wrap().and(4095))));
      // Bits 54 to 63 belong to extensions that are not here (Svnapot, Svpbmt) and must be zero; W without R is reserved.
      f.if(pte.and(PTE.V).eqz().or(pte.shrU(54n).ne(0n)), pageFault);
      f.if(pte.and(PTE.R | PTE.W).eq(PTE.W), pageFault);
      f.if(pte.and(PTE.R | PTE.X).eqz(), () => {
        f.if(
          pte
            .and(PTE.A | PTE.D | PTE.U)
            .ne(0n)
            .or(level.eqz()),
          pageFault,
        );
        f.set(table, pte.shrU(10n).shl(12n));
        f.br(again);
      });
    });
    f.if(permits.call(hart, pte, access, privilege).eqz(), pageFault);
    const offsetMask = f.let(i64(1).shl(level.mul(9n)).sub(1n));
    const ppn = f.let(pte.shrU(10n));
    f.if(ppn.and(offsetMask).ne(0n), pageFault);
    // Svadu: the hardware sets A, and D for a store.
    const wanted = f.let(access.eq(ACCESS.write).select(i64(PTE.A | PTE.D), PTE.A));
    f.if(pte.and(wanted).ne(wanted), () => {
      f.if(protection.call(hart, address, 8, PRIV.S).and(2).eqz(), () => {
        f.do(fault, hart, access, va, 1);
        f.return(0n);
      });
      f.set(pte, pte.or(wanted));
      f.store('i64', hostForStore.call(address, 8), 0, pte);
      watch.entryWritten(f, address);
    });
    f.set(ppn, ppn.or(va.shrU(12n).and(offsetMask)));
    // The level stays with the entry, above the page number: a flush must know superpages.
    f.return(ppn.shl(10n).or(pte.and(0xffn)).or(level.shl(LEVEL_SHIFT)));
  });

  const forgetFast = (f: Fn, hart: Expr, index: Expr) => {
    const entry = f.let(hart.add(index.mul(FAST_ENTRY_BYTES)));
    for (let mode = 0; mode < 3; mode++) {
      f.store('i64', entry, H.fast + mode * FAST_MODE_BYTES, -1n);
      f.store('i64', entry, H.fast + mode * FAST_MODE_BYTES + 8, -1n);
    }
  };

  const superpageBits = (hart: Expr, va: Expr) =>
    hart.add(
      va
        .shrU(24n)
        .wrap()
        .and(SUPERPAGES_BYTES - 1),
    );
  const superpageBit = (va: Expr) => i32(1).shl(va.shrU(21n).wrap().and(7));
  const noteSuperpage = (f: Fn, hart: Expr, va: Expr, level: Expr) => {
    f.if(level.eq(1n), () => {
      const bits = f.let(superpageBits(hart, va));
      f.store('i8', bits, H.superpages, load('u8', bits, H.superpages).or(superpageBit(va)));
    });
    f.if(level.gtU(1n), () => {
      const gib = i32(1).shl(va.shrU(30n).wrap().and(3));
      const places = f.let(level.eq(2n).select(gib, i32(15)));
      const noted = f.let(load('i32', hart, H.gibSuperpages));
      f.if(places.and(noted).ne(places), () => {
        f.store('i32', hart, H.gibSuperpages, noted.or(places));
        f.if(
          level.eq(2n),
          () => f.fill(superpageBits(hart, va.and(-GIB)).add(H.superpages), 0xff, Number(GIB >> 24n)),
          () => f.fill(hart.add(H.superpages), 0xff, SUPERPAGES_BYTES),
        );
      });
    });
  };

  const tag = (va: Expr) => va.shrU(12n).shl(1n).or(1n);
  const slot = (va: Expr, entries: number) =>
    va
      .shrU(12n)
      .wrap()
      .and(entries - 1);
  const isBare = (hart: Expr, privilege: Expr) => privilege.eq(PRIV.M).or(load('i64', hart, H.satp).shrU(60n).eqz());

  /** (hart, va, access, size) -> physical address, or -1 with an exception pending. The range lies within one page. */
  const translate = m.define('translate', ['i32', 'i64', 'i32', 'i32'], 'i64', (f, hart, va, access, size) => {
    const fetch = f.let(access.eq(ACCESS.fetch));
    const privilege = f.let(fetch.select(load('i32', hart, H.privilege), dataPrivilege.call(hart)));
    const pa = f.local('i64');
    f.if(
      isBare(hart, privilege),
      () => f.set(pa, va),
      () => {
        const index = f.let(fetch.select(slot(va, ITLB_ENTRIES), slot(va, DTLB_ENTRIES)));
        const entry = f.let(hart.add(fetch.select(i32(H.itlb), i32(H.dtlb))).add(index.mul(TLB_ENTRY_BYTES)));
        const pte = f.let(load('i64', entry, 8));
        const usable = load('i64', entry)
          .eq(tag(va))
          .and(permits.call(hart, pte, access, privilege));
        const clean = access.eq(ACCESS.write).and(pte.and(PTE.D).eqz());
        f.if(usable.eqz().or(clean), () => {
          f.set(pte, walk.call(hart, va, access, privilege));
          f.if(pte.eqz(), () => f.return(-1n));
          f.store('i64', entry, 0, tag(va));
          f.store('i64', entry, 8, pte);
          const level = f.let(pte.shrU(LEVEL_SHIFT));
          f.if(level.ne(0n), () => noteSuperpage(f, hart, va, level));
          f.if(
            fetch,
            () => f.store('i64', hart.add(index.mul(FAST_ENTRY_BYTES)), H.fastFetch, -1n),
            () => forgetFast(f, hart, index),
          );
        });
        f.set(pa, physical(pte, va));
      },
    );
    const need = f.let(i32(1).shl(access));
    f.if(
      pa
        .shrU(56n)
        .ne(0n)
        .or(protection.call(hart, pa, size, privilege).and(need).eqz()),
      () => {
        f.do(fault, hart, access, va, 1);
        f.return(-1n);
      },
    );
    f.return(pa);
  });

  /** (hart, va, pa) -> what translation and protection allow to be done with all of a page that is in the TLB: ACCESS as bits. */
  const allowedOf = m.define('allowedOf', ['i32', 'i64', 'i64'], 'i32', (f, hart, va, pa) => {
    const privilege = f.let(dataPrivilege.call(hart));
    const allowed = f.let(protection.call(hart, pa.and(PAGE_MASK), 4096, privilege));
    const index = f.let(slot(va, DTLB_ENTRIES));
    f.if(isBare(hart, privilege).eqz(), () => {
      const pte = f.let(load('i64', hart.add(index.mul(TLB_ENTRY_BYTES)), H.dtlb + 8));
      f.if(permits.call(hart, pte, ACCESS.read, privilege).eqz(), () => f.set(allowed, allowed.and(~1)));
      const writable = permits.call(hart, pte, ACCESS.write, privilege).and(pte.and(PTE.D).ne(0n));
      f.if(writable.eqz(), () => f.set(allowed, allowed.and(~2)));
    });
    f.return(allowed);
  });

  /** (hart, va, pa): after a translated access to RAM, lets the next ones to the page pass quickly. */
  const fillFast = m.define('fillFast', ['i32', 'i64', 'i64'], null, (f, hart, va, pa) => {
    const allowed = f.let(allowedOf.call(hart, va, pa));
    const page = f.let(pageIndex(pa));
    f.if(load('i32', i32(0), G.probeRanges), () => {
      // An atomic operation reads through the entry for stores.
      const watched = f.let(watch.watchedPage.call(va, pa));
      f.if(watched.and(WATCH.read), () => f.set(allowed, 0));
      f.if(watched.and(WATCH.write), () => f.set(allowed, allowed.and(~2)));
    });
    const storable = f.let(load('u8', page, PAGE_FLAGS_BASE).eqz().and(allowed.shrU(1)));
    const entry = f.let(load('i32', hart, H.fastTlb).add(slot(va, DTLB_ENTRIES).mul(FAST_ENTRY_BYTES)));
    const base = f.let(va.and(PAGE_MASK));
    f.store('i64', entry, 0, allowed.and(1).select(base, -1n));
    f.store('i64', entry, 8, storable.select(base, -1n));
    f.store('i32', entry, FAST.host, hostPage.call(page).sub(base.wrap()));
    f.store('i32', entry, FAST.allowed, allowed);
    f.store('i32', entry, FAST.page, page);
  });

  const crosses = (va: Expr, size: Value) => va.wrap().and(4095).add(size).gtU(4096);

  /** Tells whether a fast entry lets pass what is needed, of ACCESS as bits. */
  const passes = (hart: Expr, va: Expr, need: Expr) => {
    const entry = load('i32', hart, H.fastTlb).add(slot(va, DTLB_ENTRIES).mul(FAST_ENTRY_BYTES));
    const misses = (bit: number, tag: number) =>
      need
        .and(bit)
        .ne(0)
        .and(load('i64', entry, tag).ne(va.and(PAGE_MASK)));
    return misses(1, 0).or(misses(2, 8)).eqz();
  };

  const reach = m.define('reach', ['i32', 'i64', 'i32', 'i32'], 'i32', (f, hart, va, length, need) => {
    f.if(crosses(va, length), () => f.return(0));
    f.if(load('i32', i32(0), G.probeRanges), () => f.return(0));
    const entry = f.let(load('i32', hart, H.fastTlb).add(slot(va, DTLB_ENTRIES).mul(FAST_ENTRY_BYTES)));
    const page = f.local('i32');
    f.block((besideCode) => {
      // What is left when it is there are stores to a page that has code somewhere.
      const goOnIfThere = () =>
        f.if(load('i64', entry).eq(va.and(PAGE_MASK)), () => {
          f.set(page, load('i32', entry, FAST.page));
          f.brIf(besideCode, load('u8', page, PAGE_FLAGS_BASE).eq(PAGE_FLAG.decoded));
        });
      goOnIfThere();
      const pa = f.let(va);
      f.if(isBare(hart, f.let(dataPrivilege.call(hart))).eqz(), () => {
        const translation = f.let(hart.add(slot(va, DTLB_ENTRIES).mul(TLB_ENTRY_BYTES)));
        f.if(load('i64', translation, H.dtlb).ne(tag(va)), () => f.return(0));
        f.set(pa, physical(load('i64', translation, H.dtlb + 8), va));
      });
      f.if(isRam(pa).eqz(), () => f.return(0));
      f.do(fillFast, hart, va, pa);
      f.if(passes(hart, va, need), () => f.return(va.wrap().add(load('i32', entry, FAST.host))));
      goOnIfThere();
      f.return(0);
    });
    f.if(load('i32', entry, FAST.allowed).and(need).ne(need), () => f.return(0));
    // Where no code is they change nothing but data.
    const records = f.let(load('i32', page.shl(2), DECODED_TABLE_BASE));
    const [first, last] = recordsFor(f, records, va.wrap().and(4095), length);
    f.loop((again) => {
      f.if(load('u8', last), () => f.return(0));
      f.set(last, last.sub(RECORD_BYTES));
      f.brIf(again, last.geU(first));
    });
    // A store that uses up the page's patience is the interpreter's.
    const patience = f.let(load('i32', records, PATIENCE_OFFSET).sub(1));
    f.if(patience.eqz(), () => f.return(0));
    f.store('i32', records, PATIENCE_OFFSET, patience);
    f.return(va.wrap().add(load('i32', entry, FAST.host)));
  });

  const readHost = (f: Fn, size: Expr, address: Expr) => {
    f.if(size.eq(1), () => f.return(load('u8x64', address)));
    f.if(size.eq(2), () => f.return(load('u16x64', address)));
    f.if(size.eq(4), () => f.return(load('u32x64', address)));
    f.return(load('i64', address));
  };

  /** (hart, pa, size, va): reads RAM or a device, within one page. */
  const physicalLoad = m.define('physicalLoad', ['i32', 'i64', 'i32', 'i64'], 'i64', (f, hart, pa, size, va) => {
    f.if(isRam(pa), () => readHost(f, size, f.let(hostPage.call(pageIndex(pa)).add(pa.wrap().and(4095)))));
    const aligned = pa.wrap().and(size.sub(1)).eqz();
    f.if(pa.shrU(32n).eqz().and(aligned), () => {
      f.if(host.mmioRead.call(pa.wrap(), size), () => f.return(load('i64', i32(0), G.mmioValue)));
    });
    f.do(fault, hart, ACCESS.read, va, 1);
    f.return(0n);
  });

  const physicalStore = m.define(
    'physicalStore',
    ['i32', 'i64', 'i32', 'i64', 'i64'],
    null,
    (f, hart, pa, size, value, va) => {
      f.if(isRam(pa), () => {
        const address = f.let(hostForStore.call(pa, size));
        f.if(size.eq(1), () => f.store('i64to8', address, 0, value));
        f.if(size.eq(2), () => f.store('i64to16', address, 0, value));
        f.if(size.eq(4), () => f.store('i64to32', address, 0, value));
        f.if(size.eq(8), () => f.store('i64', address, 0, value));
        f.if(load('u8', pageIndex(pa), PAGE_FLAGS_BASE).and(PAGE_FLAG.watched), () => f.do(host.watched));
        f.return();
      });
      const aligned = pa.wrap().and(size.sub(1)).eqz();
      f.if(pa.shrU(32n).eqz().and(aligned), () => {
        f.store('i64', i32(0), G.mmioValue, value);
        f.if(host.mmioWrite.call(pa.wrap(), size), () => f.return());
      });
      f.do(fault, hart, ACCESS.write, va, 1);
    },
  );

  /** An access, or the part of one in a page, is over; a device may have refused it. */
  const reportPart = (f: Fn, hart: Expr, va: Expr, pa: Expr, size: Expr, kind: number) => {
    const done = isRam(pa).or(load('i32', hart, H.trapPending).eqz());
    f.if(load('i32', i32(0), G.probeRanges), () => f.if(done, () => watch.accessed(f, va, pa, size, kind)));
  };

  const loadSlow = m.define('loadSlow', ['i32', 'i64', 'i32'], 'i64', (f, hart, va, size) => {
    const value = f.local('i64');
    f.if(crosses(va, size), () => {
      const next = f.let(va.or(4095n).add(1n));
      const head = f.let(next.sub(va).wrap());
      const first = f.let(translate.call(hart, va, ACCESS.read, head));
      f.if(first.eq(-1n), () => f.return(0n));
      const second = f.let(translate.call(hart, next, ACCESS.read, size.sub(head)));
      f.if(second.eq(-1n), () => f.return(0n));
      const count = f.let(size);
      f.set(value, 0n);
      f.loop((again) => {
        f.set(count, count.sub(1));
        const inFirst = f.let(count.ltU(head));
        const pa = inFirst.select(first.add(count.extU()), second.add(count.sub(head).extU()));
        f.set(value, value.shl(8n).or(physicalLoad.call(hart, pa, 1, va)));
        f.brIf(again, count.ne(0));
      });
      reportPart(f, hart, va, first, head, WATCH.read);
      reportPart(f, hart, next, second, size.sub(head), WATCH.read);
      f.return(value);
    });
    const pa = f.let(translate.call(hart, va, ACCESS.read, size));
    f.if(pa.eq(-1n), () => f.return(0n));
    f.set(value, physicalLoad.call(hart, pa, size, va));
    reportPart(f, hart, va, pa, size, WATCH.read);
    f.if(isRam(pa), () => f.do(fillFast, hart, va, pa));
    f.return(value);
  });

  const storeSlow = m.define('storeSlow', ['i32', 'i64', 'i32', 'i64'], null, (f, hart, va, size, value) => {
    f.if(crosses(va, size), () => {
      // Both pages must be writable before the first byte is written.
      const next = f.let(va.or(4095n).add(1n));
      const head = f.let(next.sub(va).wrap());
      const first = f.let(translate.call(hart, va, ACCESS.write, head));
      f.if(first.eq(-1n), () => f.return());
      const second = f.let(translate.call(hart, next, ACCESS.write, size.sub(head)));
      f.if(second.eq(-1n), () => f.return());
      const count = f.local('i32');
      f.set(count, 0);
      f.loop((again) => {
        const pa = count.ltU(head).select(first.add(count.extU()), second.add(count.sub(head).extU()));
        f.do(physicalStore, hart, pa, 1, value.shrU(count.shl(3).extU()), va);
        f.set(count, count.add(1));
        f.brIf(again, count.ltU(size));
      });
      reportPart(f, hart, va, first, head, WATCH.write);
      reportPart(f, hart, next, second, size.sub(head), WATCH.write);
      f.return();
    });
    const pa = f.let(translate.call(hart, va, ACCESS.write, size));
    f.if(pa.eq(-1n), () => f.return());
    f.do(physicalStore, hart, pa, size, value, va);
    reportPart(f, hart, va, pa, size, WATCH.write);
    f.if(isRam(pa), () => f.do(fillFast, hart, va, pa));
  });

  const atomicSlow = m.define('atomicSlow', ['i32', 'i64', 'i32', 'i32'], 'i32', (f, hart, va, size, conditional) => {
    f.if(va.wrap().and(size.sub(1)).ne(0), () => {
      f.do(traps.raise, hart, BigInt(CAUSE.storeMisaligned), va);
      f.return(0);
    });
    const pa = f.let(translate.call(hart, va, ACCESS.write, size));
    f.if(pa.eq(-1n), () => f.return(0));
    f.if(isRam(pa).eqz(), () => {
      // Devices have no atomic operations (AMONone, 3.6.3).
      f.do(fault, hart, ACCESS.write, va, 1);
      f.return(0);
    });
    const address = f.let(hostForStore.call(pa, size));
    f.if(conditional.eqz(), () => watch.accessed(f, va, pa, size, WATCH.read));
    const writes = conditional.eqz().or(load('i64', hart, H.reservation).eq(pa));
    f.if(writes, () => watch.accessed(f, va, pa, size, WATCH.write));
    f.do(fillFast, hart, va, pa);
    f.return(address);
  });

  const physicalOf = m.define('physicalOf', ['i32', 'i64'], 'i64', (f, hart, va) => {
    f.if(isBare(hart, f.let(dataPrivilege.call(hart))), () => f.return(va));
    const pte = load('i64', hart.add(slot(va, DTLB_ENTRIES).mul(TLB_ENTRY_BYTES)), H.dtlb + 8);
    f.return(physical(f.let(pte), va));
  });

  const decodedOf = m.define('decodedOf', ['i32'], 'i32', (f, hart) => {
    const page = f.let(pageIndex(load('i64', hart, H.fetchPhysical)));
    const records = f.let(load('i32', page.shl(2), DECODED_TABLE_BASE));
    f.if(records.eqz(), () => {
      f.do(hostPage, page);
      f.set(records, host.decodePage.call(page));
    });
    f.return(records);
  });

  const enterPage = m.define('enterPage', ['i32', 'i64'], 'i32', (f, hart, pc) => {
    f.store('i64', hart, H.pc, pc);
    const pa = f.let(translate.call(hart, pc, ACCESS.fetch, 2));
    f.if(pa.eq(-1n), () => f.return(0));
    f.if(isRam(pa).eqz(), () => {
      f.do(fault, hart, ACCESS.fetch, pc, 1);
      f.return(0);
    });
    const privilege = f.let(load('i32', hart, H.privilege));
    const whole = f.let(protection.call(hart, pa.and(PAGE_MASK), 4096, privilege).and(4));
    f.if(whole.eqz(), () => {
      // Protection lets only a part of the page be executed: every instruction enters it anew, so the slice ends with this one.
      const offset = f.let(pc.wrap().and(4095));
      const low = load('u16', hostPage.call(pageIndex(pa)).add(offset));
      f.if(low.and(3).eq(3).and(offset.ne(4094)), () => {
        f.if(translate.call(hart, pc.add(2n), ACCESS.fetch, 2).eq(-1n), () => f.return(0));
      });
      f.store('i32', hart, H.leave, 1);
    });
    f.store('i64', hart, H.fetchPage, whole.select(pc.and(PAGE_MASK), -1n));
    f.store('i64', hart, H.fetchPhysical, pa.and(PAGE_MASK));
    const records = f.let(decodedOf.call(hart));
    f.if(load('i32', i32(0), G.probeCode), () => f.do(host.pageEntered, pc, pageIndex(pa)));
    f.if(whole.eqz(), () => f.return(records));
    const entry = f.let(fastFetchEntry(hart, pc));
    f.store('i64', entry, H.fastFetch, fastFetchKey(hart, pc));
    f.store('i64', entry, H.fastFetch + 8, pa.and(PAGE_MASK));
    f.store('i32', entry, H.fastFetch + 16, records);
    f.return(records);
  });

  const fetchHalf = m.define('fetchHalf', ['i32', 'i64'], 'i32', (f, hart, pc) => {
    const pa = f.let(translate.call(hart, pc, ACCESS.fetch, 2));
    f.if(pa.eq(-1n), () => f.return(0));
    f.if(isRam(pa).eqz(), () => {
      f.do(fault, hart, ACCESS.fetch, pc, 1);
      f.return(0);
    });
    f.return(load('u16', hostPage.call(pageIndex(pa)).add(pa.wrap().and(4095))));
  });

  const flushFast = m.define('flushFast', ['i32'], null, (f, hart) => {
    f.fill(hart.add(H.fast), 0xff, 4 * FAST_MODE_BYTES + FAST_FETCH_BYTES);
    f.store('i64', hart, H.pmpLow, 0n);
    f.store('i64', hart, H.pmpHigh, 0n);
  });

  const flushTlb = m.define('flushTlb', ['i32'], null, (f, hart) => {
    f.fill(hart.add(H.dtlb), 0, (DTLB_ENTRIES + ITLB_ENTRIES) * TLB_ENTRY_BYTES);
    f.fill(hart.add(H.superpages), 0, SUPERPAGES_BYTES);
    f.store('i32', hart, H.gibSuperpages, 0);
    // M-mode's own entries translate nothing, and stay.
    f.fill(hart.add(H.fast), 0xff, 3 * FAST_MODE_BYTES);
    f.fill(hart.add(H.fastFetch), 0xff, FAST_FETCH_BYTES);
    f.store('i64', hart, H.fetchPage, -1n);
  });

  const flushTlbPage = m.define('flushTlbPage', ['i32', 'i64'], null, (f, hart, va) => {
    f.store('i64', hart, H.fetchPage, -1n);
    const flushData = (entry: Expr, index: Expr) => {
      f.store('i64', entry, H.dtlb, 0n);
      forgetFast(f, hart, index);
    };
    const flushFetch = (entry: Expr, index: Expr) => {
      f.store('i64', entry, H.itlb, 0n);
      f.store('i64', hart.add(index.mul(FAST_ENTRY_BYTES)), H.fastFetch, -1n);
    };
    f.if(load('u8', superpageBits(hart, va), H.superpages).and(superpageBit(va)).eqz(), () => {
      const data = f.let(slot(va, DTLB_ENTRIES));
      const dataEntry = f.let(hart.add(data.mul(TLB_ENTRY_BYTES)));
      f.if(load('i64', dataEntry, H.dtlb).eq(tag(va)), () => flushData(dataEntry, data));
      const fetch = f.let(slot(va, ITLB_ENTRIES));
      const fetchEntry = f.let(hart.add(fetch.mul(TLB_ENTRY_BYTES)));
      f.if(load('i64', fetchEntry, H.itlb).eq(tag(va)), () => flushFetch(fetchEntry, fetch));
      f.return();
    });
    // An entry of a superpage goes if the address lies anywhere in the superpage.
    const flushAll = (offset: number, entries: number, flush: (entry: Expr, index: Expr) => void) => {
      const entry = f.let(hart);
      const end = f.let(hart.add(entries * TLB_ENTRY_BYTES));
      f.loop((again) => {
        const held = f.let(load('i64', entry, offset));
        const span = load('i64', entry, offset + 8)
          .shrU(LEVEL_SHIFT)
          .mul(9n)
          .add(1n);
        const index = entry.sub(hart).shrU(4);
        f.if(held.ne(0n).and(held.xor(tag(va)).shrU(span).eqz()), () => flush(entry, f.let(index)));
        f.set(entry, entry.add(TLB_ENTRY_BYTES));
        f.brIf(again, entry.ltU(end));
      });
    };
    flushAll(H.dtlb, DTLB_ENTRIES, flushData);
    flushAll(H.itlb, ITLB_ENTRIES, flushFetch);
  });

  return {
    loadSlow,
    storeSlow,
    atomicSlow,
    reach,
    physicalOf,
    enterPage,
    decodedOf,
    fetchHalf,
    flushTlb,
    flushTlbPage,
    flushFast,
  };
}

/** Base of the fast entry for a fetch (its fields lie at H.fastFetch), and what its tag must be. */
export function fastFetchEntry(hart: Expr, pc: Expr): Expr {
  return hart.add(
    pc
      .shrU(12n)
      .wrap()
      .and(ITLB_ENTRIES - 1)
      .mul(FAST_ENTRY_BYTES),
  );
}
export function fastFetchKey(hart: Expr, pc: Expr): Expr {
  return pc.and(PAGE_MASK).or(load('u32x64', hart, H.privilege));
}
