/** A real VS Code (code-server) with the extension installed, in a browser without a display. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT } from '../cli/small.ts';

const OWN = join(CHECKOUT, 'test/vscode');
const NODE = join(OWN, 'node_modules/node/bin/node');
const SERVER = join(OWN, 'node_modules/code-server/out/node/entry.js');
const CHROMIUM = '/usr/bin/chromium';
export const VSIX = join(CHECKOUT, 'dist/chronovisor.vsix');
/** Screenshots are kept here, as files of the run. */
export const PICTURES = join(CHECKOUT, 'dist/pictures');

/** What is not there of the things that a test with an editor needs; null if all is. */
export function missing(): string | null {
  if (!existsSync(NODE) || !existsSync(SERVER)) return "code-server ('npm ci' in test/vscode)";
  if (!existsSync(CHROMIUM)) return "Debian's chromium";
  return existsSync(VSIX) ? null : "dist/chronovisor.vsix ('npm run package')";
}

/** The parts of Playwright's interface that are used here. */
export interface Locator {
  click(options?: { button?: 'right'; position?: { x: number; y: number }; timeout?: number }): Promise<void>;
  dblclick(): Promise<void>;
  hover(options?: { position?: { x: number; y: number } }): Promise<void>;
  waitFor(options?: { state?: 'visible' | 'hidden' | 'attached'; timeout?: number }): Promise<void>;
  textContent(): Promise<string | null>;
  allTextContents(): Promise<string[]>;
  getAttribute(name: string): Promise<string | null>;
  boundingBox(): Promise<{ x: number; y: number; width: number; height: number } | null>;
  count(): Promise<number>;
  first(): Locator;
  last(): Locator;
  nth(index: number): Locator;
  locator(selector: string): Locator;
  filter(options: { hasText: string | RegExp }): Locator;
  focus(): Promise<void>;
  fill(text: string, options?: { timeout: number }): Promise<void>;
  press(key: string, options?: { timeout: number }): Promise<void>;
  evaluate<T>(read: (element: never) => T): Promise<T>;
}
export interface Frame {
  title(): Promise<string>;
  locator(selector: string): Locator;
}
interface Page {
  locator(selector: string): Locator;
  frames(): Frame[];
  setDefaultTimeout(ms: number): void;
  goto(url: string): Promise<unknown>;
  screenshot(options: { path: string }): Promise<unknown>;
  waitForTimeout(ms: number): Promise<void>;
  waitForFunction(
    condition: string | (() => unknown),
    argument?: unknown,
    options?: { timeout: number },
  ): Promise<unknown>;
  close(): Promise<void>;
  readonly keyboard: {
    press(key: string): Promise<void>;
    type(text: string, options?: { delay: number }): Promise<void>;
  };
  readonly mouse: { move(x: number, y: number): Promise<void>; click(x: number, y: number): Promise<void> };
}
interface Browser {
  newPage(options: { viewport: { width: number; height: number } }): Promise<Page>;
  close(): Promise<void>;
}

const SETTINGS = {
  'workbench.colorTheme': 'Default Dark Modern',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'security.workspace.trust.enabled': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'editor.minimap.enabled': false,
  'window.commandCenter': false,
  'files.simpleDialog.enable': true,
};

export class Editor {
  readonly page: Page;
  readonly #browser: Browser;
  readonly #server: ChildProcess;
  readonly #folder: string;

  private constructor(page: Page, browser: Browser, server: ChildProcess, folder: string) {
    this.page = page;
    this.#browser = browser;
    this.#server = server;
    this.#folder = folder;
  }

  /** Installs the extension into a fresh editor, and opens a folder in it. */
  static async open(folder: string, settings: object = {}): Promise<Editor> {
    const home = mkdtempSync(join(tmpdir(), 'chronovisor-editor-'));
    const at = (...parts: string[]) => join(home, ...parts);
    mkdirSync(at('data/User'), { recursive: true });
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(at('data/User/settings.json'), JSON.stringify({ ...SETTINGS, ...settings }));
    writeFileSync(at('config.yaml'), '');
    const common = ['--user-data-dir', at('data'), '--extensions-dir', at('extensions'), '--config', at('config.yaml')];
    const env = {
      ...process.env,
      HOME: home,
      XDG_CACHE_HOME: at('cache'),
      XDG_CONFIG_HOME: at('xdg'),
      XDG_DATA_HOME: at('share'),
    };
    execFileSync(NODE, [SERVER, ...common, '--install-extension', VSIX], { env, stdio: 'pipe' });
    const port = await freePort();
    const server = spawn(
      NODE,
      [
        SERVER,
        ...common,
        ...['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`],
        ...[
          '--disable-telemetry',
          '--disable-update-check',
          '--disable-workspace-trust',
          '--disable-getting-started-override',
        ],
      ],
      { env, stdio: 'ignore' },
    );
    try {
      const address = `http://127.0.0.1:${port}/`;
      await answering(`${address}healthz`);
      const { chromium } = createRequire(join(OWN, 'package.json'))('playwright-core') as {
        chromium: { launch(options: object): Promise<Browser> };
      };
      const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
      const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
      page.setDefaultTimeout(STEP_MS);
      await page.goto(`${address}?folder=${encodeURIComponent(folder)}`);
      await page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: STARTING_MS });
      return new Editor(page, browser, server, home);
    } catch (error) {
      server.kill();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
    const gone = new Promise((resolve) => this.#server.once('exit', resolve));
    this.#server.kill();
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs a command by its title. */
  async command(title: string): Promise<void> {
    await this.#ask('F1', `>${title}`, title);
  }

  /** Opens the box of a key, types into it, and takes the entry that it leads to. A page that is just being drawn does not hear keys. */
  async #ask(key: string, text: string, entry: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget .quick-input-box input');
    const row = this.page.locator('.quick-input-list .monaco-list-row.focused').filter({ hasText: entry });
    const until = performance.now() + STEP_MS;
    for (;;) {
      await this.again(() => this.page.keyboard.press(key), input);
      try {
        await input.fill(text, { timeout: SOON_MS });
        await row.waitFor({ timeout: SOON_MS });
        await input.press('Enter', { timeout: SOON_MS });
        // What is typed next is not for this box, which is the same one that asks the next question.
        await row.waitFor({ state: 'hidden' });
        return;
      } catch (error) {
        // A stop may have taken the focus, and closed the box.
        if (performance.now() > until) throw error;
      }
    }
  }

  /** Takes an entry of the context menu that is open. A menu that has just opened does not hear the mouse. */
  async pick(text: string): Promise<void> {
    const item = this.menu(text);
    await this.again(() => item.click({ timeout: 2000 }).catch(() => {}), item, 'hidden');
  }

  /** Clicks until something shows: lists are made anew while one clicks on them. */
  async again(click: () => Promise<void>, shown: Locator, state: 'visible' | 'hidden' = 'visible'): Promise<void> {
    const until = performance.now() + STEP_MS;
    for (;;) {
      await click();
      const seen = await shown.waitFor({ state, timeout: 2000 }).then(
        () => true,
        () => false,
      );
      if (seen) return;
      if (performance.now() > until) throw new Error('a click does not show what it should');
    }
  }

  /** Presses a button of the debug toolbar. */
  async toolbar(label: string): Promise<void> {
    await this.page.locator(`.debug-toolbar .action-label[aria-label^="${label}"]`).first().click();
  }

  /** An entry of the context menu that is open. */
  menu(text: string): Locator {
    return this.page
      .locator('.context-view .action-menu-item, .monaco-menu .action-menu-item')
      .filter({ hasText: text })
      .first();
  }

  /** Folds or unfolds a section of the side bar. */
  async toggleSection(title: string): Promise<void> {
    await this.page.locator('.sidebar .pane-header').filter({ hasText: title }).first().click();
  }

  /** Takes what a list offers. */
  async choose(text: string): Promise<void> {
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: text }).first().click();
  }

  /** Answers the input box that is open. */
  async type(text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget .quick-input-box input');
    await input.fill(text);
    await input.press('Enter');
    await input.waitFor({ state: 'hidden' });
  }

  /** Goes to a position, or whatever else the command takes. */
  async goTo(place: string): Promise<void> {
    await this.command('Go to Position');
    await this.type(place);
  }

  /** Opens a file by its name, at a line if one is given. */
  async openFile(name: string, line?: number): Promise<void> {
    await this.#ask('Control+P', name, name);
    await this.page.locator('.tab.active').filter({ hasText: name }).waitFor();
    if (line === undefined) return;
    await this.page.keyboard.press('Control+G');
    await this.type(`:${line}`);
    await this.at(`${name}:${line}`);
  }

  /** Sets a breakpoint on a function, in the list of breakpoints. */
  async functionBreakpoint(name: string): Promise<void> {
    await this.command('Add Function Breakpoint');
    const input = this.page.locator('.debug-breakpoints .monaco-inputbox input');
    await input.fill(name);
    await input.press('Enter');
    await input.waitFor({ state: 'hidden' });
    await this.page.locator('.debug-breakpoints .breakpoint').filter({ hasText: name }).first().waitFor();
  }

  /** What the debug console answers. Its rows are there only as far as they can be seen: the last one always can. */
  async say(text: string): Promise<string> {
    await this.command('Debug Console: Focus on Debug Console View');
    const last = this.page.locator('.repl .monaco-list-row[data-last-element="true"]');
    const index = async () => ((await last.count()) === 0 ? -1 : Number(await last.getAttribute('data-index')));
    const before = await index();
    await this.page.locator('.repl-input-wrapper .monaco-editor.focused').waitFor();
    await this.page.keyboard.type(text);
    await this.page.keyboard.press('Enter');
    const until = performance.now() + STEP_MS;
    // What was said is a row of its own.
    while ((await index()) < before + 2) {
      if (performance.now() > until) throw new Error(`the debug console does not answer '${text}'`);
      await this.page.waitForTimeout(50);
    }
    return (await last.textContent()) ?? '';
  }

  /** Types at the guest's console when it has said something. */
  async typeToGuest(said: RegExp, text: string, timeout?: number): Promise<void> {
    await this.command('Chronovisor: Focus on Console View');
    const console = await this.frame('Console');
    const line = console.locator('.line').filter({ hasText: said }).last();
    await line.waitFor(timeout === undefined ? {} : { timeout });
    const input = console.locator('form input');
    await input.fill(text);
    await input.press('Enter');
  }

  /** The page of a view or an editor of ours, by its title. */
  async frame(title: string): Promise<Frame> {
    const until = performance.now() + STEP_MS;
    for (;;) {
      for (const frame of this.page.frames()) {
        // A frame that is just being made or thrown away has no title to tell.
        if ((await frame.title().catch(() => null)) === title) return frame;
      }
      if (performance.now() > until) throw new Error(`there is no page with the title ${title}`);
      await this.page.waitForTimeout(100);
    }
  }

  /** The machine's position by the status bar, once it stands; or runs, if that is what is asked for. */
  async position(state: RegExp = /past|live/, running = false): Promise<number> {
    const item = this.#status;
    await item.filter({ hasText: /\d · / }).filter({ hasText: state }).waitFor();
    if (!running) await item.locator('.codicon-loading').waitFor({ state: 'hidden' });
    return Number(/([\d,]+) ·/.exec(await this.status())![1].replaceAll(',', ''));
  }

  get #status(): Locator {
    return this.page.locator('[id="chronovisor.chronovisor.chronovisor.position"]');
  }

  async status(): Promise<string> {
    return (await this.#status.textContent()) ?? '';
  }

  /** Does something that moves the machine, and waits until it stands elsewhere. */
  async moved(action: () => Promise<void>): Promise<number> {
    const before = await this.position();
    await action();
    const until = performance.now() + STEP_MS;
    for (;;) {
      const now = await this.position();
      if (now !== before) {
        await this.#quiet();
        return now;
      }
      if (performance.now() > until) throw new Error(`the machine still stands at ${before}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Waits until the place that the editor shows has not changed for a while. */
  async #quiet(): Promise<void> {
    let last = await this.#place();
    for (let since = performance.now(); performance.now() - since < QUIET_MS; await this.page.waitForTimeout(50)) {
      const place = await this.#place();
      if (place !== last) since = performance.now();
      last = place;
    }
  }

  /** File and line of the cursor. */
  async #place(): Promise<string> {
    const file = await this.page.locator('.tab.active').first().getAttribute('data-resource-name');
    const line = await this.page.locator('[id="status.editor.selection"]').textContent();
    return `${file}:${/Ln (\d+)/.exec(line ?? '')?.[1]}`;
  }

  /** Waits until the editor shows a place: the file, and the line of the cursor, such as `work.c:93`. */
  async at(place: string): Promise<void> {
    const until = performance.now() + STEP_MS;
    for (;;) {
      const here = await this.#place();
      if (here === place) return;
      if (performance.now() > until) throw new Error(`the editor shows ${here}, not ${place}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Keeps a picture of the whole window, when what is drawn late has been drawn. */
  async picture(name: string): Promise<void> {
    await this.page.waitForTimeout(SETTLE_MS);
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`) });
  }
}

/** A machine that is busy with other tests takes a while. */
const STARTING_MS = 120_000;
const STEP_MS = 40_000;
/** What VS Code has in hand already. */
const SOON_MS = 3000;
/** After a stop it reads the stack, and then shows the place. */
const QUIET_MS = 400;
const SETTLE_MS = 1000;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answering(url: string): Promise<void> {
  const until = performance.now() + STARTING_MS;
  for (;;) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    if (performance.now() > until) throw new Error(`${url}: no answer`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
