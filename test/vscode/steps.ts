/** Tests with an editor, which are a row of steps. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Editor, missing } from './editor.ts';

export interface Session {
  readonly editor: Editor;
  readonly folder: string;
  readonly step: (title: string, work: () => Promise<void>) => Promise<void>;
}

/**
 * A test with an editor, and its steps: each begins where the one before has led to, so that nothing follows a failure. The folder that is opened goes away with the
 * one that it is in; where there is none to be made, the test is skipped.
 */
export function editorTest(
  name: string,
  folder: (t: TestContext) => string | null | Promise<string | null>,
  body: (session: Session) => Promise<void>,
): void {
  test(name, async (t) => {
    const lacking = missing();
    if (lacking !== null) {
      if (process.env.CHRONOVISOR_NO_SKIP === '1') throw new Error(`${lacking} is not there`);
      return t.skip(`${lacking} is not there`);
    }
    const made = await folder(t);
    if (made === null) return;
    t.after(() => rmSync(dirname(made), { recursive: true, force: true }));
    const editor = await Editor.open(made);
    t.after(() => editor.close());
    const step: Session['step'] = async (title, work) => {
      let failure: unknown = null;
      await t.test(title, async () => {
        try {
          await work();
        } catch (error) {
          await editor.picture('failed');
          failure = error;
          throw error;
        }
      });
      if (failure) throw failure;
    };
    await body({ editor, folder: made, step });
  });
}

/** A number as it is shown. */
export const number = (text: string | null) => Number((text ?? '').replaceAll(',', ''));
