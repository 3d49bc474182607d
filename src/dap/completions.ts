/** What can come next in the debug console: commands, names, members, registers. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import { evaluate, registerName, scopesOf, stripped } from '../symbols/index.ts';
import { COMMANDS } from './commands.ts';
import type { Debuggee } from './debuggee.ts';
import type { FrameReference } from './moment.ts';

const NAMES_MAX = 200;
const REGISTERS = ['pc', ...Array.from({ length: 64 }, (_, n) => registerName(n))];

/** Ways on from a text up to the cursor. */
export async function completions(
  { variables, symbols }: Debuggee,
  reference: FrameReference,
  text: string,
): Promise<{ targets: DebugProtocol.CompletionItem[] }> {
  const moment = variables.now;
  const frame = await moment.frame(reference);
  const member = /([\w$.[\]>-]+)(?:\.|->)(\w*)$/.exec(text);
  if (member) {
    const names = await members(member[1]);
    return targets(names, member[2], 'field');
  }
  const register = /\$(\w*)$/.exec(text);
  if (register) return targets(REGISTERS, register[1], 'value');
  const word = /[A-Za-z_]\w*(-\w*)?$/.exec(text)?.[0] ?? '';
  const commands = text.trim() === word ? targets(Object.keys(COMMANDS), word, 'keyword').targets : [];
  const locals = await moment.settle(() => scopesOf(frame).flatMap((s) => s.variables.map(({ name }) => name)));
  const globals =
    word === ''
      ? []
      : symbols.modules.flatMap(({ file }) => file.names.complete(word, NAMES_MAX, ['variable', 'function']));
  const named = targets([...locals, ...globals], word, 'variable').targets;
  return { targets: [...commands, ...named].slice(0, NAMES_MAX) };

  async function members(expression: string): Promise<string[]> {
    try {
      return await moment.settle(() => {
        const plain = evaluate(expression, frame).value.plain;
        const type = plain.kind === 'pointer' ? stripped(plain.target) : plain;
        return type.kind === 'struct' ? type.members.map(({ name }) => name).filter((name) => name !== '') : [];
      });
    } catch (error) {
      if (error instanceof UserError) return [];
      throw error;
    }
  }
}

function targets(names: readonly string[], prefix: string, type: DebugProtocol.CompletionItemType) {
  const found = [...new Set(names)].filter((name) => name.startsWith(prefix));
  return { targets: found.map((label) => ({ label, type, length: prefix.length })) };
}
