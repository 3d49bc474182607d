/** The conversation, packet by packet, with a machine small enough to be written down (see toy-target.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { encodePacket, PacketReader } from '../../src/gdb/codec.ts';
import { GdbConnection } from '../../src/gdb/connection.ts';
import { GdbSession } from '../../src/gdb/session.ts';
import { CODE, END, ToyTarget, WORDS } from './toy-target.ts';

interface Talk {
  readonly target: ToyTarget;
  readonly session: GdbSession;
  readonly notes: string[];
  /** Sends packets one after the other; gives back the replies. */
  say(...packets: readonly string[]): Promise<(string | null)[]>;
}

function talk(): Talk {
  const target = new ToyTarget();
  const notes: string[] = [];
  const session = new GdbSession(target, (note) => notes.push(note));
  return {
    target,
    session,
    notes,
    say: async (...packets) => {
      const replies: (string | null)[] = [];
      for (const packet of packets) replies.push((await session.handle(packet)).payload);
      return replies;
    },
  };
}

const hex = (text: string) => Buffer.from(text).toString('hex');
const little = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.toString('hex');
};
/** What a stop reply says beside registers. */
const stopOf = (reply: string | null) => reply?.replaceAll(/(?<=;)[0-9a-f]+:[0-9a-f]+;/g, '');
const GDB = 'qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+';

test('what is offered', async () => {
  const { say } = talk();
  const [supported] = await say(GDB);
  const offered = new Set(supported!.split(';'));
  for (const feature of ['ReverseStep+', 'ReverseContinue+', 'swbreak+', 'hwbreak+', 'QStartNoAckMode+']) {
    assert.ok(offered.has(feature), feature);
  }
  for (const object of ['features', 'memory-map', 'threads']) assert.ok(offered.has(`qXfer:${object}:read+`), object);
  assert.match(supported!, /PacketSize=10000(;|$)/);
  assert.deepEqual(await say('vCont?', '!', 'qAttached', 'QNonStop:0'), ['vCont;c;C;s;S;r', 'OK', '1', 'OK']);
  assert.match((await say('QNonStop:1'))[0]!, /^E\./);
});

test('packets that nobody knows are answered empty, those that make no sense with an error', async () => {
  const { say } = talk();
  const unknown = [
    'vMustReplyEmpty',
    'qTStatus',
    'qSymbol::',
    'qOffsets',
    'Qbtrace:off',
    'vFile:setfs:0',
    'Z9,0,4',
    'bx',
    'A',
    '',
    'jX',
  ];
  unknown.push(
    'qXfer:auxv:read::0,100',
    'qXfer:osdata:read:x:0,10',
    'qL1',
    'vAttach;1',
    'B',
    '\xff\x00',
    'Hx0',
    'qSearch:disk:0;1;a',
  );
  for (const packet of unknown) assert.deepEqual(await say(packet), [''], packet);
  const wrong = [
    'Z0,xyz,4',
    'Z0,1',
    'Z2,0,0',
    'm1',
    'mzz,4',
    'm,',
    'vCont;q',
    'vCont;',
    'vCont;s:9',
    'vCont;s:q',
    'Hg9',
    'Hgx',
    'T9',
  ];
  wrong.push(
    'p4000',
    'pz',
    'Z0,0,4;X9,00',
    'Z0,0,4;Y',
    'qXfer:features:read:other.xml:0,10',
    'qXfer:threads:read::x,1',
  );
  wrong.push(
    'qCRC:x',
    'qSearch:memory:0;1;',
    'vRun;00;0',
    'qThreadExtraInfo,9',
    'qThreadExtraInfo,0',
    'X1,1',
    'qRcmd,1',
  );
  for (const packet of wrong) assert.match((await say(packet))[0]!, /^E\.[ -~]+$/, packet);
});

test('what is recorded cannot be written', async () => {
  const { say } = talk();
  for (const packet of ['G00', 'P20=00', 'M1000,1:00', 'X1000,1:a', 'c80000000', 's80000000', 'C05;80000000']) {
    assert.match((await say(packet))[0]!, /^E\.a recording cannot be changed/, packet);
  }
  // gdb asks by this whether X is known.
  assert.deepEqual(await say('X1000,0:', 'M1000,0:'), ['OK', 'OK']);
});

test('registers, general and one by one', async () => {
  const { say } = talk();
  const [general] = await say('g');
  assert.equal(general!.length, 33 * 16);
  // Position 100: hart 0 has taken 50 steps, five rounds.
  assert.equal(general!.slice(16, 32), little(5n));
  assert.equal(general!.slice(32 * 16), little(CODE));
  assert.equal(general!.slice(6 * 16, 7 * 16), 'x'.repeat(16), 'what the target does not know');
  const xml = (await say('qXfer:features:read:target.xml:0,ffff'))[0]!;
  const numberOf = (name: string) =>
    Number(/regnum="(\d+)"/.exec(xml.split('\n').find((l) => l.includes(`"${name}"`))!)![1]);
  assert.deepEqual(await say(`p${numberOf('satp').toString(16)}`), [little(0x8123n)]);
  assert.deepEqual(await say(`p${numberOf('fcsr').toString(16)}`), ['21000000']);
  assert.deepEqual(await say(`p${numberOf('mstatus').toString(16)}`), ['x'.repeat(16)]);
  assert.deepEqual(await say('Hg2', `p${numberOf('pc').toString(16)}`), ['OK', little(CODE)]);
});

test('documents come in pieces of any size', async () => {
  const { say } = talk();
  for (const [name, pattern] of [
    ['features:read:target.xml', /org\.gnu\.gdb\.riscv\.csr[\s\S]*<\/target>/],
    ['memory-map:read:', /<\/memory-map>/],
    ['threads:read:', /<thread id="2" core="1" name="hart 1">at &lt;80000000&gt;<\/thread>/],
  ] as const) {
    const whole = (await say(`qXfer:${name}:0,ffff`))[0]!;
    assert.match(whole, pattern);
    assert.equal(whole[0], 'l');
    let pieces = '';
    for (let more = true; more; ) {
      const piece = (await say(`qXfer:${name}:${pieces.length.toString(16)},65`))[0]!;
      more = piece[0] === 'm';
      assert.ok(piece.length <= 0x66);
      pieces += piece.slice(1);
    }
    assert.equal(pieces, whole.slice(1));
    assert.deepEqual(await say(`qXfer:${name}:ffffff,10`), ['l']);
  }
});

test('memory: as much as there is, an error where there is nothing', async () => {
  const { say } = talk();
  const at = WORDS.toString(16);
  assert.deepEqual(await say(`m${at},8`), [little(5n)]);
  assert.equal((await say(`m${(WORDS + 0x2ff0n).toString(16)},100`))[0]!.length, 32);
  // Older versions of gdb take words for bytes here.
  assert.deepEqual(await say('m0,8', `m${at},0`), ['E0e', '']);
  assert.match((await say(`${GDB};error-message+`, 'm0,8'))[1]!, /^E\.nothing can be read/);
});

test('search and checksum', async () => {
  const { say, target } = talk();
  const at = WORDS.toString(16);
  assert.deepEqual(await say(`qSearch:memory:${at};3000;needle`), [`1,${(WORDS + 0x2ffan).toString(16)}`]);
  assert.deepEqual(await say(`qSearch:memory:${at};2fff;needle`), ['0']);
  assert.match((await say(`qSearch:memory:${at};3001;nothing`))[0]!, /^E\.memory at 0x90003000/);
  // The manual's sum of "123456789" is that of CRC-32/MPEG-2; here over zeros and a known word.
  const reference = (bytes: Uint8Array) => {
    let sum = 0xffffffff;
    for (const byte of bytes) {
      for (let bit = 7; bit >= 0; bit--) {
        const top = (sum >>> 31) ^ ((byte >> bit) & 1);
        sum = ((sum << 1) ^ (top ? 0x04c11db7 : 0)) >>> 0;
      }
    }
    return sum.toString(16).padStart(8, '0');
  };
  const bytes = await target.memory(0, WORDS, 0x3000);
  assert.equal(reference(Buffer.from('123456789')), '0376e6e7');
  assert.deepEqual(await say(`qCRC:${at},3000`), [`C${reference(bytes)}`]);
  assert.match((await say(`qCRC:${at},3001`))[0]!, /^E\./);
});

test('threads are harts', async () => {
  const { say } = talk();
  assert.deepEqual(await say('qfThreadInfo', 'qsThreadInfo', 'T1', 'T2'), ['m1,2', 'l', 'OK', 'OK']);
  assert.deepEqual(await say('qC', 'Hg2', 'qC', 'Hgp1.1', 'qC', 'Hg0', 'qC'), [
    'QC1',
    'OK',
    'QC2',
    'OK',
    'QC1',
    'OK',
    'QC1',
  ]);
  assert.deepEqual(await say('qThreadExtraInfo,2'), [hex('hart 1: at <80000000>')]);
});

test('stepping, both ways, of either hart', async () => {
  const { say, target } = talk();
  assert.match((await say('?'))[0]!, /^T05thread:1;.*20:0000008000000000;/);
  assert.equal(stopOf((await say('vCont;s:1;c'))[0]), 'T05thread:1;');
  assert.equal(target.position, 101);
  await say('vCont;s:1');
  assert.equal(target.position, 103);
  await say('Hc2', 's');
  assert.equal(target.position, 104);
  await say('bs');
  assert.equal(target.position, 103);
  await say('Hc1', 'bs');
  assert.equal(target.position, 102);
  await say('vCont;r80000000,8000000c:1');
  assert.equal(target.position, 105, 'from the second to behind the third instruction');
  assert.equal((await say('g'))[0]!.slice(32 * 16), little(CODE + 12n));
});

test('breakpoints, both ways, and the ends', async () => {
  const { say, target } = talk();
  await say(GDB);
  const at = (CODE + 8n).toString(16);
  assert.deepEqual(await say(`Z0,${at},4`, `Z0,${at},4`), ['OK', 'OK']);
  assert.equal(stopOf((await say('vCont;c'))[0]), 'T05swbreak:;thread:1;');
  assert.equal(target.position, 104);
  assert.equal(stopOf((await say('c'))[0]), 'T05swbreak:;thread:2;');
  assert.equal(target.position, 105);
  assert.equal(stopOf((await say('bc'))[0]), 'T05swbreak:;thread:1;');
  assert.equal(target.position, 104);
  assert.deepEqual(await say(`z0,${at},4`, `z0,${at},4`, `Z1,${at},2`), ['OK', 'OK', 'OK']);
  assert.equal(stopOf((await say('bc'))[0]), 'T05hwbreak:;thread:2;');
  assert.equal(target.position, 85);
  await say(`z1,${at},2`);
  assert.equal(stopOf((await say('bc'))[0]), 'T05replaylog:begin;thread:1;');
  assert.equal(stopOf((await say('bs'))[0]), 'T05replaylog:begin;thread:1;');
  assert.equal(stopOf((await say('c'))[0]), 'T05replaylog:end;thread:1;');
  assert.equal(target.position, END);
});

test('a client that has not heard of reasons gets none', async () => {
  const { say } = talk();
  await say('qSupported', `Z0,${(CODE + 8n).toString(16)},4`);
  assert.equal(stopOf((await say('c'))[0]), 'T05thread:1;');
});

test('conditions', async () => {
  const { say, target } = talk();
  const at = CODE.toString(16);
  // ra == 7, ra being the rounds of the hart.
  const equals = (n: number) => `X7,260001220${n}1327`;
  await say(`Z0,${at},4;${equals(7)}`);
  await say('c');
  assert.equal(target.position, 140);
  // The same breakpoint with others replaces them; either will do.
  await say(`Z0,${at},4;${equals(9)}${equals(8)};cmds:1,X3,000000`);
  await say('c');
  assert.equal(target.position, 160);
});

test('watchpoints stop before the access, in the direction of the motion', async () => {
  const { say, target } = talk();
  const at = (WORDS + 8n).toString(16);
  await say(`Z2,${at},8`);
  assert.equal(stopOf((await say('c'))[0]), `T05watch:${at};thread:2;`);
  assert.equal(target.position, 119);
  assert.equal(stopOf((await say('vCont;s:2'))[0]), `T05watch:${at};thread:2;`, 'a step does not pass it either');
  await say(`z2,${at},8`, 'vCont;s:2', `Z4,${at},1`);
  assert.equal(target.position, 120);
  assert.equal(stopOf((await say('bc'))[0]), `T05awatch:${at};thread:2;`);
  assert.equal(target.position, 120);
});

test('from the start again, or to where one says', async () => {
  const { say, target } = talk();
  assert.equal(stopOf((await say('vRun;'))[0]), 'T05thread:1;');
  assert.equal(target.position, 0);
  await say(`vRun;${hex('kernel')};${hex('77')}`);
  assert.equal(target.position, 77);
  assert.deepEqual(await say('R00', '?').then((r) => [r[0], stopOf(r[1])]), [null, 'T05thread:1;']);
  assert.equal(target.position, 0);
  assert.match((await say(`vRun;;${hex('nowhere')}`))[0]!, /^E\.there is no such place/);
  assert.deepEqual(await say('vKill;a410'), ['OK']);
});

test('monitor commands', async () => {
  const { say, target, notes } = talk();
  assert.deepEqual(await say(`qRcmd,${hex('help me')}`, `qRcmd,${hex('fail')}`), ['OK', 'OK']);
  assert.deepEqual(target.commands, ['help me', 'fail']);
  assert.deepEqual(notes, [`O${hex('did help me\n')}`, `O${hex('this fails\n')}`]);
  // After one that moves the machine, registers are read anew, and the hart that gdb looks at is the same.
  await say('Hg2', 'g', `qRcmd,${hex('last')}`);
  assert.equal((await say('g'))[0]!.slice(16, 32), little(20n));
  assert.deepEqual(await say('qC'), ['QC2']);
});

test('leaving', async () => {
  const { session } = talk();
  assert.deepEqual(await session.handle('D'), { payload: 'OK', after: 'close' });
  assert.deepEqual(await session.handle('k'), { payload: null, after: 'close' });
});

/** A client's end of a connection. */
function connect() {
  const target = new ToyTarget();
  const sent: Buffer[] = [];
  const closed: (string | null)[] = [];
  const failed: unknown[] = [];
  const connection = new GdbConnection(
    {
      send: (bytes) => sent.push(Buffer.from(bytes)),
      close: (reason) => closed.push(reason),
      failed: (error) => failed.push(error),
    },
    (notify) => new GdbSession(target, notify),
  );
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
  return {
    target,
    connection,
    closed,
    failed,
    /** Sends bytes; gives back what has come when all is quiet. */
    async send(text: string): Promise<string> {
      connection.receive(Buffer.from(text, 'latin1'));
      await settle();
      const all = Buffer.concat(sent).toString('latin1');
      sent.length = 0;
      return all;
    },
  };
}

test('acknowledgements, and their end', async () => {
  const { send } = connect();
  assert.equal(await send('$qAttached#8f'), '+$1#31');
  assert.equal(await send('-'), '$1#31', 'once more');
  assert.equal(await send('$qAttached#8e'), '-');
  assert.equal(await send('+$QStartNoAckMode#b0'), '+$OK#9a');
  assert.equal(await send('+$qAttached#8f'), '$1#31');
  assert.equal(await send('-'), '');
  assert.match(await send('$qAttached#8e'), /^\$E\.wrong checksum#/);
  assert.match(await send(encodePacket('a'.repeat(0x10001)).toString('latin1')), /^\$E\.packet too large#/);
});

test('an interrupt ends what runs, wherever it comes in', async () => {
  const { send, target } = connect();
  target.endless = true;
  assert.match(await send('$vCont;c#a8'), new RegExp(`^\\+\\$O${hex('running\n')}#`));
  assert.match(await send('\x03'), /^\$T02thread:2;/);
  // In one piece with the packet, before it has begun.
  assert.match(await send('+$vCont;s:1#23\x03'), /T02thread:2;/);
  assert.equal(await send('\x03'), '', 'nothing runs, nothing is said');
});

test('the end of a connection', async () => {
  const { send, closed, target } = connect();
  target.endless = true;
  assert.equal(await send('$D#44'), '+$OK#9a');
  assert.deepEqual(closed, [null]);
  assert.equal(await send('$g#67'), '');
  const flooded = connect();
  flooded.target.endless = true;
  await flooded.send(`$c#63${'$g#67'.repeat(300)}`);
  assert.match(flooded.closed[0] ?? '', /wait for an answer/);
});

test('random packets always get an answer', async () => {
  const words =
    'qSupported:,g,m80000000,10,Z0,80000008,4;X3,2201,27,vCont;s:1,vCont;c,bs,bc,qXfer:features:read:target.xml:0,10,Hg1,p20,qRcmd,68,z2,vRun;,T1,qCRC:,qSearch:memory:';
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const { send, failed } = connect();
    await send('$QStartNoAckMode#b0');
    const parts = words.split(/(?<=[;:,])/);
    for (let n = 0; n < 30; n++) {
      let packet = '';
      for (let i = random.below(5); i >= 0; i--) packet += random.pick(parts);
      if (random.below(2) === 0) packet = packet.slice(0, random.below(packet.length + 1));
      if (packet[0] === 'D' || packet[0] === 'k' || packet[0] === 'R') continue;
      const answer = await send(encodePacket(packet).toString('latin1'));
      const items = new PacketReader().push(Buffer.from(answer, 'latin1'));
      const replies = items.filter((item) => item.kind === 'packet' && !/^O[0-9a-f]/.test(item.payload));
      assert.equal(replies.length, 1, `seed ${seed}: ${packet} -> ${answer}`);
    }
    assert.deepEqual(failed, []);
  }
});
