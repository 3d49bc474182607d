/** Requests of views: they look at the whole recording, move nothing, and say where code is by its name. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CHECKOUT } from '../cli/small.ts';
import { type Body, Client } from './client.ts';

/** A client that has entered a copy of the golden trace, beside which bookmarks may lie. */
async function entered(t: TestContext): Promise<Client> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-views-'));
  const trace = join(folder, 'copy.trace');
  copyFileSync(join(CHECKOUT, 'traces/heisenbug-v2.trace'), trace);
  const client = await Client.open(t, { trace });
  t.after(() => rmSync(folder, { recursive: true }));
  await client.move('configurationDone');
  return client;
}

test('the timeline names what happened where, and moves nothing', async (t) => {
  const client = await entered(t);
  const before = await client.position();
  const { lanes, end, clock, ...rest } = await client.ask('chronovisor/timeline', { itemsMax: 100 });
  assert.deepEqual(rest, { axis: 'position', from: 0, to: end + 1, buckets: 500, harts: 4, endNs: clock.at(-1)[1] });
  const lane = (kind: string, hart: number | null): Body =>
    lanes.find((one: Body) => one.kind === kind && one.hart === hart);
  const interrupts = lane('interrupt', 0);
  assert.equal(interrupts.count, interrupts.items.length);
  assert.match(interrupts.items[0].text, /^supervisor (timer|software|external) interrupt in \w+/);
  assert.match(lane('input', null).items[1].text, /typed at uart0: "work 400 1\\n"/);
  assert.ok(lane('console', null).items.some(({ text }: Body) => text.startsWith('panic: corrupt pool')));
  assert.equal(lane('checkpoint', null).items.at(-1).position, end);
  assert.equal(await client.position(), before);
  // Guest time, and a part of it.
  const half = Math.floor(rest.endNs / 2);
  const part = await client.ask('chronovisor/timeline', { axis: 'time', from: half, buckets: 20, itemsMax: 0 });
  assert.deepEqual([part.from, part.to], [half, rest.endNs + 1]);
  assert.ok(part.lanes.every(({ buckets }: Body) => buckets.length <= 20));
  const few = part.lanes.find((one: Body) => one.kind === 'interrupt' && one.hart === 0);
  assert.ok(few.count > 0 && few.count < interrupts.count);
});

test('a range that is none is refused', async (t) => {
  const client = await entered(t);
  assert.match(
    await client.ask('chronovisor/timeline', { from: 9, to: 3 }),
    /a range of position from 0 to \d+ is needed/,
  );
  assert.match(await client.ask('chronovisor/timeline', { axis: 'space' }), /one of position, time/);
});

test("the console's text says how much of it there is by now", async (t) => {
  const client = await entered(t);
  const { lines, shown, whole } = await client.ask('chronovisor/consoleText');
  assert.equal(whole, true);
  const panic = lines.findIndex(({ text }: Body) => text.startsWith('panic:'));
  // The trace is entered where the guest has just said that it fails.
  assert.deepEqual(shown, { lines: panic, characters: 'panic:'.length });
  await client.move('chronovisor/seek', { position: lines[panic].position });
  const before = await client.ask('chronovisor/consoleText');
  assert.deepEqual(before.shown, { lines: panic, characters: 0 });
});

test('bookmarks are told to everyone when they change', async (t) => {
  const client = await entered(t);
  const position = await client.position();
  assert.deepEqual(await client.ask('chronovisor/bookmarks'), { bookmarks: [] });
  const told = client.next('chronovisor/bookmarks');
  await client.ask('chronovisor/setBookmark', { name: 'panic', note: 'here it says so' });
  assert.deepEqual(await told, { bookmarks: [{ name: 'panic', position, note: 'here it says so' }] });
  const again = client.next('chronovisor/bookmarks');
  await client.ask('evaluate', { expression: 'bookmark delete panic', context: 'repl' });
  assert.deepEqual(await again, { bookmarks: [] });
  assert.match(await client.ask('chronovisor/removeBookmark', { name: 'panic' }), /there is no bookmark 'panic'/);
  await client.ask('chronovisor/setBookmark', { name: 'start', position: '0' });
  assert.deepEqual((await client.ask('chronovisor/bookmarks')).bookmarks[0].position, 0);
});

test('what a console command finds can be gone to', async (t) => {
  const client = await entered(t);
  for (const [expression, title] of [
    ['history pool.first', 'values of pool.first'],
    ['calls message_take_now', 'calls of message_take_now'],
    ['last-write pool.first', 'last write of pool.first'],
  ]) {
    const told = client.next('chronovisor/moments');
    const { result } = await client.ask('evaluate', { expression, context: 'repl' });
    const { title: named, moments } = await told;
    assert.equal(named, title);
    assert.ok(moments.length > 0, result);
    for (const { position, timeNs, hart, text } of moments) {
      assert.ok(position > 0 && timeNs > 0 && hart >= 0 && text.length > 0);
    }
  }
});
