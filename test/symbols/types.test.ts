/** Types compared with gdb's: sizes, offsets and types of all members of many structs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type StructType, SymbolFile, sourceOf, typeName } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';
import { runWithInput } from './support/oracle.ts';
import { buildVariant, needCompiler, VARIANTS } from './support/variants.ts';

interface Question {
  readonly command: string;
  readonly answer: string;
}

/** What is known of a struct, as questions that gdb can answer. */
function questionsOf(type: StructType): Question[] {
  const name = typeName(type);
  const questions = [{ command: `output sizeof(${name})`, answer: String(type.size) }];
  for (const member of type.members) {
    if (member.name === '') continue;
    const place = `((${name} *)0)->${member.name}`;
    questions.push({ command: `whatis ${place}`, answer: `type = ${typeName(member.type)}` });
    if (!member.bits) questions.push({ command: `output (unsigned long)&${place}`, answer: String(member.offset) });
  }
  return questions;
}

/** Asks gdb all of it. Bit-fields have no address; that they are read right is for the tests of values. */
async function compare(t: TestContext, elf: string, file: SymbolFile, names: readonly string[]): Promise<void> {
  const structs = names.flatMap((name) => {
    const [entry] = [...file.names.find(name, ['struct', 'union'])];
    const type = entry ? file.types.read(file.info.die(entry.offset)) : null;
    return type?.kind === 'struct' && type.name !== null && type.size !== null ? [type] : [];
  });
  const questions = structs.flatMap(questionsOf);
  const script = questions.map(({ command }) => `echo \\n@@\n${command}\n`).join('');
  const args = ['-q', '-nx', '-ex', 'set width 0', '-ex', 'set confirm off', '-ex', `file ${elf}`];
  const answers = (await runWithInput('gdb-multiarch', args, `set prompt\n${script}quit\n`)).split('\n@@').slice(1);
  assert.equal(answers.length, questions.length);
  const different: string[] = [];
  questions.forEach(({ command, answer }, i) => {
    const theirs = answers[i].trim();
    if (theirs !== answer) different.push(`${command}\n  ours   ${answer}\n  theirs ${theirs}`);
  });
  t.diagnostic(`${structs.length} structs, ${questions.length} questions`);
  assert.equal(
    different.length,
    0,
    `${different.length} of ${questions.length}:\n${different.slice(0, 15).join('\n')}`,
  );
  assert.deepEqual(file.problems, []);
}

const needGdb = (t: TestContext) => needTool(t, 'gdb-multiarch', 'gdb-multiarch');
const isStruct = (file: SymbolFile) => file.names.complete('', 1e6, ['struct', 'union']);

test('the committed guest', async (t) => {
  if (!needGdb(t)) return;
  const file = new SymbolFile(sourceOf('kernel.elf', readFileSync(EMBEDDED_KERNEL)));
  await compare(t, EMBEDDED_KERNEL, file, isStruct(file));
});

for (const variant of VARIANTS) {
  test(variant.name, async (t) => {
    if (!needCompiler(t, variant) || !needGdb(t)) return;
    const elf = await buildVariant(t, variant);
    const file = new SymbolFile(sourceOf(variant.name, readFileSync(elf)));
    await compare(t, elf, file, isStruct(file));
  });
}
