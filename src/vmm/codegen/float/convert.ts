/** Conversions to and from integers, and between the formats (IEEE 754, sections 5.4.1, 5.4.2 and 5.8). */
import { coerce, type Expr, i64, type Local } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { F32, F64, Flag, type Format, raise } from './format.ts';
import { hostRounds, safelyNormal } from './host.ts';
import { type Core, unpack } from './round.ts';

/** An integer type, as a conversion sees it. */
class IntegerType {
  readonly name: 'I32' | 'U32' | 'I64' | 'U64';
  readonly signed: boolean;
  readonly width: 32 | 64;
  constructor(name: IntegerType['name']) {
    this.name = name;
    this.signed = name[0] === 'I';
    this.width = name.endsWith('32') ? 32 : 64;
  }
  /** The range as numbers: from `least` to below `limit`, both powers of two or zero, and so exact in either format. */
  get least(): number {
    return this.signed ? -(2 ** (this.width - 1)) : 0;
  }
  get limit(): number {
    return 2 ** (this.signed ? this.width - 1 : this.width);
  }
  /** A value of the type as conversions give it: an i64, extended by sign from 32 bits even where unsigned. */
  result(value: bigint): Expr {
    return i64(BigInt.asIntN(this.width, value));
  }
}

const INTEGER_TYPES = (['I32', 'U32', 'I64', 'U64'] as const).map((name) => new IntegerType(name));

type Conversion = `${'to' | 'from'}${IntegerType['name']}`;
export type IntegerConversions = Readonly<Record<Conversion, Func>>;

export function defineIntegerConversions(m: ModuleBuilder, core: Core): IntegerConversions {
  const conversions: Partial<Record<Conversion, Func>> = {};
  for (const type of INTEGER_TYPES) {
    conversions[`to${type.name}`] = defineTo(m, core.format, type);
    conversions[`from${type.name}`] = defineFrom(m, core, type);
  }
  return conversions as IntegerConversions;
}

/** The host rounds to an integer exactly and in every direction but one, and the difference tells whether that was inexact. */
function defineTo(m: ModuleBuilder, format: Format, type: IntegerType): Func {
  const { host, bits } = format;
  return m.define(`${host}.to${type.name}`, ['i32', bits, 'i32'], 'i64', (f, flags, a, rm) => {
    const x = f.let(format.toHost(a));
    const whole = f.local(host);
    f.switch(rm, [
      () => f.set(whole, x.nearest()),
      () => f.set(whole, x.trunc()),
      () => f.set(whole, x.floor()),
      () => f.set(whole, x.ceil()),
      () => f.set(whole, nearestAway(f, x)),
    ]);
    // A NaN is not in range either.
    f.if(whole.ge(type.least).and(whole.lt(type.limit)), () => {
      f.if(whole.ne(x), () => raise(f, flags, Flag.NX));
      f.return(toInteger(whole, type));
    });
    // RISC-V: the nearest value of the type, the largest for a NaN, and NV instead of NX.
    raise(f, flags, Flag.NV);
    f.if(x.lt(0), () => f.return(type.result(BigInt(type.least))));
    f.return(type.result(BigInt(type.limit) - 1n));
  });
}

/** To the nearest integer, ties away from zero. */
function nearestAway(f: Fn, x: Local): Expr {
  const whole = f.let(x.trunc());
  const one = coerce(1, x.type).copysign(x);
  return x.sub(whole).abs().ge(0.5).select(whole.add(one), whole);
}

function toInteger(whole: Expr, type: IntegerType): Expr {
  // Whatever fits in 32 bits fits in a signed i64.
  if (type.width === 32) return type.signed ? whole.truncSatS('i32').extS() : whole.truncSatS('i64').ext32();
  return type.signed ? whole.truncSatS('i64') : whole.truncSatU('i64');
}

function defineFrom(m: ModuleBuilder, core: Core, type: IntegerType): Func {
  const { format } = core;
  const { host, bits } = format;
  return m.define(`${host}.from${type.name}`, ['i32', 'i64', 'i32'], bits, (f, flags, value, rm) => {
    if (type.width === 32) f.set(value, type.signed ? value.ext32() : value.and(0xffffffffn));
    const converted = (type.signed ? value.toFloatS(host) : value.toFloatU(host)).reinterpret();
    if (type.width === 32 && host === 'f64') {
      // Every integer of 32 bits is an f64.
      f.return(converted);
      return;
    }
    // No integer is so large or small that its conversion could raise anything but NX, and those that fit do not even do that.
    const fits = 1n << BigInt(format.fractionBits + 1);
    const small = type.signed ? value.add(fits).leU(2n * fits) : value.leU(fits);
    f.if(hostRounds(flags, rm).or(small), () => f.return(converted));
    const sign = f.let(type.signed ? value.shrU(63).wrap() : coerce(0, 'i32'));
    const magnitude = f.let(sign.select(i64(0).sub(value), value));
    const zeros = f.let(magnitude.clz());
    f.return(core.round.call(flags, sign, coerce(63, 'i32').sub(zeros.wrap()), magnitude.shl(zeros), rm));
  });
}

/** (flags, an f64, rm): the f32 nearest to it. */
export function defineDemote(m: ModuleBuilder, single: Core): Func {
  return m.define('f64.demote', ['i32', 'i64', 'i32'], 'i32', (f, flags, a, rm) => {
    const demoted = f.let(F64.toHost(a).demote());
    const bits = f.let(demoted.reinterpret());
    const certain = hostRounds(flags, rm).and(safelyNormal(F32, bits));
    f.if(certain.or(demoted.promote().eq(F64.toHost(a))), () => f.return(bits));
    f.if(F64.isOrdinary(a), () => {
      const { sign, exponent, significand } = unpack(f, F64, a);
      f.return(single.round.call(flags, sign, exponent, significand, rm));
    });
    f.if(F64.isNaN(a), () => {
      f.if(F64.isSignalling(a), () => raise(f, flags, Flag.NV));
      f.return(F32.constant(F32.nan));
    });
    f.return(F32.signed(F64.signOf(a), F64.isZero(a).select(F32.constant(0n), F32.infinity)));
  });
}

/** (flags, an f32): the same as an f64. Exact, so that only NaNs need care. */
export function definePromote(m: ModuleBuilder): Func {
  return m.define('f32.promote', ['i32', 'i32'], 'i64', (f, flags, a) => {
    f.if(F32.isNaN(a), () => {
      f.if(F32.isSignalling(a), () => raise(f, flags, Flag.NV));
      f.return(F64.constant(F64.nan));
    });
    f.return(F32.toHost(a).promote().reinterpret());
  });
}
