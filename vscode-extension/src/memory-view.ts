/** Memory at an expression, in hexadecimal. */
import type * as vscode from 'vscode';
import { frameOf } from './commands.ts';
import type { Machine, Machines } from './machine.ts';
import { type FromPage, View } from './view.ts';

export class MemoryView extends View {
  constructor(context: vscode.ExtensionContext, machines: Machines) {
    super(context, machines, 'memory', 'Memory');
    // Registers and locals are those of the frame that is selected.
    context.subscriptions.push(machines.onDidSelect((machine) => void this.show(machine)));
  }

  /** The page tables by which the address is meant, as the adapter's reference has them behind it; empty for those of the hart. */
  #tables = '';

  protected override async show(machine: Machine | null): Promise<void> {
    if (!machine?.when) return this.post({ kind: 'nothing' });
    if (!machine.running) this.post({ kind: 'stopped', position: machine.when.position });
  }

  protected override async receive({ command, ...args }: FromPage, machine: Machine): Promise<void> {
    if (command === 'evaluate') {
      const evaluated = await machine.request<{ result: string; memoryReference?: string }>('evaluate', {
        expression: args.expression,
        context: 'watch',
        ...frameOf(machine),
      });
      const number = /^(0x[0-9a-f]+|\d+)/i.exec(evaluated.result)?.[1];
      const [address, tables] = (evaluated.memoryReference ?? number)?.split('@') ?? [];
      this.#tables = tables === undefined ? '' : `@${tables}`;
      if (address === undefined) throw new Error(`'${args.expression}' is neither in memory nor an address`);
      this.post({ kind: 'address', address: `0x${BigInt(address).toString(16)}` });
    }
    if (command === 'read') {
      const { address, count } = args;
      const answer = await machine.request<{ address: string; data?: string; unreadableBytes?: number }>('readMemory', {
        memoryReference: `${address}${this.#tables}`,
        count,
      });
      this.post({ kind: 'bytes', ...answer, address });
    }
    if (command === 'whoWrote') {
      const expression = `last-write *(unsigned char *)${args.address}`;
      await machine.request('evaluate', { expression, context: 'repl', ...frameOf(machine) });
    }
  }
}
