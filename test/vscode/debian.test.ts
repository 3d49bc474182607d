/** Debian's kernel in a real VS Code: recorded and stopped while it lives, then crashed, and back from the panic to what caused it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { needGuest } from '../support/guests.ts';
import { needVmlinux } from '../symbols/support/files.ts';
import { editorTest } from './steps.ts';

/** A kernel's folder as a developer has it. */
function kernelFolder(t: TestContext): string | null {
  const [cache, vmlinux] = [needGuest(t), needVmlinux(t)];
  if (!cache || !vmlinux) return null;
  const folder = join(mkdtempSync(join(tmpdir(), 'chronovisor-debian-')), 'linux');
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  for (const file of ['kernel', 'initrd-shell.gz', 'modules']) symlinkSync(join(cache, file), join(folder, file));
  symlinkSync(vmlinux, join(folder, 'vmlinux'));
  writeFileSync(join(folder, 'disk.img'), Buffer.alloc(2 ** 20, 'blocks of a disk\n'));
  const configuration = {
    ...{ type: 'chronovisor', request: 'launch', name: 'Record Debian' },
    ...{ kernel: 'kernel', initrd: 'initrd-shell.gz', append: 'console=ttyS0 quiet nokaslr' },
    ...{ harts: 2, disks: ['disk.img'], symbolFiles: ['vmlinux'], trace: 'crash.trace' },
  };
  writeFileSync(join(folder, '.vscode/launch.json'), JSON.stringify({ configurations: [configuration] }));
  return folder;
}

/** A line of the console, behind its position, in which nothing has been typed yet. */
const PROMPT = /^[\d,]*# $/;

/** A kernel boots in less, on a machine that is busy with other tests. */
const BOOT_MS = 150_000;

editorTest("Debian's kernel is recorded, crashed and taken back to the cause", kernelFolder, async (session) => {
  const { editor, step } = session;
  const { page } = editor;
  const rows = page.locator('.debug-call-stack .stack-frame');
  const frame = (name: string) => rows.filter({ hasText: new RegExp(`^${name}`) }).first();
  const stopsIn = (name: string, timeout?: number) => frame(name).waitFor(timeout === undefined ? {} : { timeout });

  await step('a configuration boots the kernel, and stops in start_kernel', async () => {
    await editor.command('View: Show Run and Debug');
    await editor.functionBreakpoint('start_kernel');
    // The button, because a key is not heard before the editor knows of debuggers.
    await page.locator('.start-debug-action-item .codicon-debug-start').click();
    await stopsIn('start_kernel', BOOT_MS);
    await frame('_start_kernel').waitFor();
    // More room for the stack: rows that cannot be seen are not there.
    for (const section of ['Watch', 'Variables']) await editor.toggleSection(section);
    await editor.picture('debian-start-kernel');
    assert.match(await editor.say('init_task.comm'), /"swapper"/);
    const here = await editor.position();
    const later = await editor.moved(() => editor.toolbar('Step Over'));
    assert.ok(later > here);
    while ((await editor.position()) > here) await editor.moved(() => editor.toolbar('Step Back'));
    assert.equal(await editor.position(), here);
    await editor.picture('debian-console');
  });

  await step("a module's interrupt handler stops, on the stack of what it interrupted", async () => {
    await editor.command('Remove All Breakpoints');
    await editor.functionBreakpoint('virtblk_done');
    await editor.toolbar('Continue');
    await editor.typeToGuest(/built-in commands/, 'while read m; do insmod /modules/$m; done </modules/order', BOOT_MS);
    await stopsIn('virtblk_done', BOOT_MS);
    for (const name of ['vring_interrupt', 'vm_interrupt', 'handle_irq_event', 'do_irq', 'handle_exception']) {
      await frame(name).waitFor();
    }
    await editor.picture('debian-interrupt');
  });

  await step('tasks are listed, and are threads under a switch', async () => {
    await editor.toggleSection('Breakpoints');
    assert.match(await editor.say('tasks'), / init\b.* insmod\b/s);
    await editor.command('Toggle Waiting Tasks as Threads');
    const threads = page.locator('.debug-call-stack .thread');
    await threads
      .filter({ hasText: /^kthreadd \(pid 2\), / })
      .first()
      .waitFor();
    await editor.picture('debian-tasks');
    await editor.command('Toggle Waiting Tasks as Threads');
    await threads
      .filter({ hasText: /kthreadd/ })
      .first()
      .waitFor({ state: 'hidden' });
  });

  let panic = 0;
  await step('the guest is crashed, and stops at its panic', async () => {
    await editor.command('Remove All Breakpoints');
    await editor.toolbar('Continue');
    await editor.typeToGuest(PROMPT, 'echo c >/proc/sysrq-trigger', BOOT_MS);
    await stopsIn('sysrq_handle_crash', BOOT_MS);
    panic = await editor.position();
    await editor.picture('debian-panic');
    await editor.toolbar('Stop');
  });

  await step('its trace opens at the panic, and goes back to the cause', async () => {
    await editor.openFile('crash.trace');
    const summary = await editor.frame('crash.trace');
    await summary.locator('button').filter({ hasText: 'Debug' }).click();
    await stopsIn('sysrq_handle_crash');
    // Running forward stops behind the step that says it, opening goes back to before it.
    assert.equal(await editor.position(), panic - 1);
    await editor.functionBreakpoint('panic');
    await editor.toggleSection('Breakpoints');
    const entered = await editor.moved(() => editor.toolbar('Reverse'));
    assert.ok(entered < panic);
    await stopsIn('panic');
    // The step before the call is the cause: someone has asked for it.
    await editor.moved(() => editor.toolbar('Step Back'));
    assert.match((await rows.first().textContent()) ?? '', /^sysrq_handle_crash/);
    await editor.moved(() => editor.toolbar('Reverse Step Out'));
    assert.match((await rows.first().textContent()) ?? '', /^__handle_sysrq/);
    await frame('write_sysrq_trigger').waitFor();
    await frame('busybox!').waitFor();
    await editor.picture('debian-cause');
  });
});
