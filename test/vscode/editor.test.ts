/** A real VS Code with the extension: from F5 to the write that did the damage, and through the views. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bookmarks } from '../../src/debugger/bookmarks.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { CHECKOUT, MAIN } from '../cli/small.ts';
import { editorTest, number } from './steps.ts';

/** The guest's folder as a person has it. */
function guest(): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'chronovisor-guest-')), 'kernel');
  cpSync(join(CHECKOUT, 'guests/embedded'), folder, { recursive: true });
  return folder;
}

/** The same with the trace of a run that failed. */
function failedRun(): string {
  const folder = guest();
  execFileSync(process.execPath, [MAIN, 'demo', '-o', join(folder, 'heisenbug.trace')], { stdio: 'pipe' });
  return folder;
}

/** The line of a file that has a text. */
function lineOf(folder: string, file: string, text: string): number {
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes(text));
  assert.ok(at >= 0, `${file} has '${text}'`);
  return at + 1;
}

editorTest(
  'a trace is debugged in VS Code, back to the write that did the damage',
  failedRun,
  async ({ editor, folder, step }) => {
    const { page } = editor;
    const frame = (name: string) => page.locator('.debug-call-stack .stack-frame').filter({ hasText: name }).first();
    const variable = (name: string) =>
      page
        .locator('.debug-variables .monaco-list-row')
        .filter({ hasText: new RegExp(`^${name}\\b`) })
        .first();
    const unfold = async (name: string, part: string) => {
      const click = async () => {
        await variable(name).click();
        await page.keyboard.press('ArrowRight');
      };
      await editor.again(click, variable(part));
    };
    const trace = TraceReader.open(join(folder, 'heisenbug.trace'));
    const end = trace.replayableTo;
    trace.close();
    const takesSample = lineOf(folder, 'work.c', 'sample->kind = MESSAGE_SAMPLE');

    await step('a click on a trace shows what it holds', async () => {
      await editor.openFile('heisenbug.trace');
      const summary = await editor.frame('heisenbug.trace');
      await summary.locator('h1').filter({ hasText: 'heisenbug.trace' }).waitFor();
      assert.match((await summary.locator('dl').textContent()) ?? '', /4 harts, 64 MiB.*power-off, exit code 1/s);
      await editor.picture('trace');
    });

    await step('F5 without a configuration opens it at its panic, with the stack', async () => {
      await editor.openFile('work.c', takesSample);
      await page.keyboard.press('F9');
      await editor.command('View: Show Run and Debug');
      await page.keyboard.press('F5');
      await editor.choose('Open heisenbug.trace');
      await editor.position();
      // More room for the stack: rows that cannot be seen are not there.
      for (const section of ['Watch', 'Breakpoints']) await editor.toggleSection(section);
      await frame('mailbox_receive').waitFor();
      await editor.frame('Timeline');
      await editor.picture('panic');
    });

    let [panic, hit] = [0, 0];
    await step('Reverse goes back to the breakpoint, where variables are those of that moment', async () => {
      panic = await editor.position();
      hit = await editor.moved(() => editor.toolbar('Reverse'));
      assert.ok(hit < panic);
      await editor.at(`work.c:${takesSample}`);
      await frame('timer_interrupt').waitFor();
      await variable('sample').waitFor();
      await editor.picture('breakpoint');
    });

    await step('Step Back goes to the line before', async () => {
      const before = await editor.moved(() => editor.toolbar('Step Back'));
      assert.ok(before < hit);
      await editor.at(`work.c:${takesSample - 2}`);
    });

    await step('Reverse Step Into goes to the end of what was called, Reverse Step Out to the call', async () => {
      const inside = await editor.moved(() => editor.toolbar('Reverse Step Into'));
      await frame('message_take_now').waitFor();
      await editor.at(`message.c:${lineOf(folder, 'message.c', 'struct message *message_take_now') + 3}`);
      const call = await editor.moved(() => editor.toolbar('Reverse Step Out'));
      assert.ok(call < inside);
      await editor.at(`work.c:${takesSample - 3}`);
    });

    await step('a click on a line of the console goes to its moment', async () => {
      const console = await editor.frame('Console');
      const line = console.locator('.line').filter({ hasText: 'panic: corrupt message' });
      const at = await editor.moved(() => line.click());
      assert.equal(at, number(await line.locator('.position').textContent()));
      await editor.picture('console');
    });

    await step('Who Wrote This? of a variable lands on the line that did', async () => {
      await editor.again(() => frame('mailbox_receive').click(), variable('box'));
      await unfold('Locals', 'message');
      await unfold('message', 'serial');
      await variable('serial').click({ button: 'right' });
      await editor.menu('Who Wrote This?').waitFor();
      await editor.picture('who-wrote-this');
      const written = await editor.moved(() => editor.pick('Who Wrote This?'));
      assert.ok(written < panic);
      await editor.at(`work.c:${takesSample + 1}`);
      await frame('timer_interrupt').waitFor();
      await editor.picture('written');
    });

    await step('Run Back to Cursor, and the changes of a variable before and after', async () => {
      await editor.openFile('work.c', takesSample);
      await page.keyboard.press('F9');
      await editor.openFile('work.c', takesSample + 3);
      await page.keyboard.press('Shift+F10');
      await editor.menu('Run Back to Cursor').waitFor();
      const here = await editor.moved(() => editor.pick('Run Back to Cursor'));
      await editor.at(`work.c:${takesSample + 3}`);
      await unfold('sample', 'serial');
      await variable('serial').click({ button: 'right' });
      const changed = await editor.moved(() => editor.pick('Go to Previous Change'));
      assert.ok(changed < here);
      await editor.at(`work.c:${takesSample + 1}`);
      // Going back stops before the step that changes it, going forward behind it.
      const next = await editor.moved(async () => {
        await editor.command('Go to Next Change');
        await editor.type('sample->serial');
      });
      assert.equal(next, changed + 1);
      await editor.moved(() => editor.goTo(String(changed)));
    });

    await step('values are shown in hexadecimal, and back', async () => {
      await unfold('sample', 'serial');
      const shown = async () => /= ?(\w+)/.exec((await variable('serial').textContent()) ?? '')?.[1] ?? '';
      const before = await shown();
      assert.match(before, /^\d+$/);
      await editor.command('Toggle Hexadecimal Values');
      await variable('serial').filter({ hasText: '0x' }).waitFor();
      assert.equal(Number(await shown()), Number(before));
      await editor.command('Toggle Hexadecimal Values');
      await variable('serial')
        .filter({ hasText: new RegExp(`${before}$`) })
        .waitFor();
    });

    await step('a data breakpoint stops going back where the value changes', async () => {
      await unfold('sample', 'serial');
      await variable('serial').click({ button: 'right' });
      await editor.pick('Break on Value Change');
      const here = await editor.position();
      const changed = await editor.moved(() => editor.toolbar('Reverse'));
      assert.ok(changed < here);
      await page
        .locator('.debug-call-stack')
        .filter({ hasText: /data breakpoint/i })
        .waitFor();
      await editor.picture('data-breakpoint');
    });

    await step('a log point tells of the whole recording at once, and each line leads to its moment', async () => {
      await editor.toggleSection('Moments');
      await editor.openFile('work.c', takesSample);
      await editor.command('Debug: Add Logpoint');
      // What is typed before the box has the focus would go into the file.
      await page.locator('.breakpoint-widget .monaco-editor.focused').waitFor();
      await page.keyboard.type('serial {sample->serial}');
      await page.keyboard.press('Enter');
      const rows = page.locator('.pane').filter({ hasText: 'Moments' }).last().locator('.monaco-list-row');
      const said = rows.filter({ hasText: /^serial \d+/ });
      await said.nth(1).waitFor();
      await rows.filter({ hasText: 'Log points' }).waitFor();
      const wanted = number(
        (await said.nth(1).locator('.label-description').textContent())?.replace(/, hart.*/, '') ?? '',
      );
      assert.equal(await editor.moved(() => said.nth(1).click()), wanted);
      await editor.at(`work.c:${takesSample}`);
      await editor.picture('log-points');
      await editor.toggleSection('Moments');
    });

    await step('a click in the timeline goes there', async () => {
      const timeline = await editor.frame('Timeline');
      const canvas = timeline.locator('canvas');
      const { width, height } = (await canvas.boundingBox())!;
      // The ruler has no events: the place itself counts.
      const left = 92;
      const at = await editor.moved(() => canvas.click({ position: { x: left + (width - left) / 2, y: 6 } }));
      assert.ok(Math.abs(at / end - 0.5) < 0.02, `position ${at}`);
      await canvas.hover({ position: { x: left + (width - left) * 0.8, y: height / 4 } });
      await timeline.locator('.tip').waitFor();
      await editor.picture('timeline');
      await canvas.press('Home');
      for (const key of ['+', '+', '+', 'ArrowDown', 'ArrowRight', 'ArrowRight']) await canvas.press(key);
      const chosen = number(
        /position ([\d,]+)/.exec((await timeline.locator('.spoken').textContent()) ?? '')?.[1] ?? '',
      );
      assert.equal(await editor.moved(() => canvas.press('Enter')), chosen);
      await editor.picture('timeline-keys');
    });

    await step('the timeline over guest time leads to the same moments', async () => {
      const timeline = await editor.frame('Timeline');
      const canvas = timeline.locator('canvas');
      const axis = timeline.locator('button').filter({ hasText: 'Guest time' });
      await axis.click();
      assert.equal(await axis.getAttribute('aria-pressed'), 'true');
      const { width } = (await canvas.boundingBox())!;
      await canvas.press('0');
      const left = 92;
      for (const share of [0.25, 0.75]) {
        const at = await editor.moved(() => canvas.click({ position: { x: left + (width - left) * share, y: 6 } }));
        // This guest is never idle: a share of its time is the same share of its steps.
        assert.ok(Math.abs(at / end - share) < 0.02, `position ${at}`);
      }
      await editor.picture('timeline-time');
      await timeline.locator('button').filter({ hasText: 'Position' }).click();
    });

    await step('memory follows an expression and marks what has changed', async () => {
      await editor.moved(() => editor.goTo('end'));
      await editor.command('Guest Memory: Focus on Memory View');
      const memory = await editor.frame('Memory');
      const address = memory.locator('.bar input');
      await address.fill('&work');
      await address.press('Enter');
      await memory.locator('.row.origin').waitFor();
      const before = await memory.locator('.grid').textContent();
      await editor.moved(() => editor.goTo('50%'));
      await memory.locator('.changed').first().waitFor();
      assert.notEqual(await memory.locator('.grid').textContent(), before);
      await editor.picture('memory');
      const here = await editor.position();
      assert.ok((await editor.moved(() => memory.locator('.cell.at').first().dblclick())) < here, 'who wrote the byte');
    });

    await step('a bookmark is set, listed and gone to', async () => {
      const here = await editor.position();
      await editor.command('Add Bookmark');
      await editor.type('middle');
      await editor.command('View: Show Chronovisor');
      const bookmark = page.locator('.tree-explorer-viewlet-tree-view .monaco-list-row').filter({ hasText: 'middle' });
      await bookmark.waitFor();
      await editor.moved(() => editor.goTo('start'));
      assert.equal(await editor.moved(() => bookmark.click()), here);
      await editor.picture('bookmarks');
    });

    await step('a bookmark is renamed, and deleted', async () => {
      const tree = page.locator('.tree-explorer-viewlet-tree-view .monaco-list-row');
      const act = async (name: string, label: string) => {
        await tree.filter({ hasText: name }).hover();
        await tree.filter({ hasText: name }).locator(`.action-label[aria-label^="${label}"]`).click();
      };
      await act('middle', 'Rename Bookmark');
      await editor.type('halfway');
      await tree.filter({ hasText: 'halfway' }).waitFor();
      assert.equal(await tree.filter({ hasText: 'middle' }).count(), 0);
      await editor.moved(() => editor.goTo('end'));
      await editor.moved(() => editor.goTo('halfway'));
      await act('halfway', 'Delete Bookmark');
      await tree.filter({ hasText: 'halfway' }).waitFor({ state: 'hidden' });
      assert.deepEqual(new Bookmarks(join(folder, 'heisenbug.trace')).list(), []);
    });
  },
);

editorTest('a kernel is recorded and debugged while it lives', guest, async ({ editor, step }) => {
  const { page } = editor;
  await step('F5 boots the kernel of the folder, and the console shows what it says', async () => {
    await editor.openFile('shell.c');
    await page.keyboard.press('F5');
    const console = await editor.frame('Console');
    await console.locator('.line').filter({ hasText: 'chronovisor guest: 1 hart' }).waitFor();
  });

  await step('what is typed reaches the guest', async () => {
    const console = await editor.frame('Console');
    const input = console.locator('form input');
    await input.fill('help');
    await input.press('Enter');
    await console.locator('.line').filter({ hasText: 'poweroff' }).waitFor();
    await editor.picture('live');
  });

  await step('paused, it goes back, and forward into the present', async () => {
    await editor.toolbar('Pause');
    await page.locator('.debug-toolbar [aria-label^="Continue"]').waitFor();
    const now = await editor.position();
    assert.match(await editor.status(), /live/);
    const line = (await editor.frame('Console')).locator('.line').filter({ hasText: 'poweroff' });
    const past = await editor.moved(() => line.click());
    assert.ok(past < now);
    assert.match(await editor.status(), /past/);
    await editor.picture('live-past');
    await editor.toolbar('Continue');
    await editor.position(/live/, true);
  });
});
