/** Programs that tests compare with, asked for thousands of things at once. */
import { spawn } from 'node:child_process';

/** Runs a program with something to read, and returns what it prints. */
export function runWithInput(program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    const out: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else reject(new Error(`${program} ended with ${code}`));
    });
    child.stdin.end(input);
  });
}

/** Gives gdb commands for a file and core files; returns what it printed for each of them. */
export async function askGdb(
  elf: string,
  questions: readonly { readonly core: string; readonly commands: readonly string[] }[],
): Promise<string[]> {
  const mark = (text: string) => `echo \\n@@${text}\\n\n`;
  const script = questions.map(({ core, commands }, i) => {
    return `core-file ${core}\n${mark(`begin ${i}`)}${commands.join('\n')}\n${mark('end')}`;
  });
  const setup = [
    'set osabi GNU/Linux',
    'set width 0',
    'set height 0',
    'set confirm off',
    'set print elements 4',
    'set print entry-values no',
    'set print repeats unlimited',
  ];
  const args = ['-q', '-nx', ...setup.flatMap((line) => ['-ex', line]), '-ex', `file ${elf}`];
  const output = await runWithInput('gdb-multiarch', args, `set prompt\n${script.join('')}quit\n`);
  return questions.map((_, i) => {
    const from = output.indexOf(`\n@@begin ${i}\n`);
    return output.slice(from, output.indexOf('\n@@end', from)).split('\n').slice(2).join('\n');
  });
}
