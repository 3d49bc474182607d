/** The thread that compiles regions (see thread.ts). */
import { type MessagePort, workerData } from 'node:worker_threads';
import { NICENESS, yieldThisThread } from '../base/priority.ts';
import { ImmediateCompiler } from '../vmm/riscv/compiler.ts';
import { type CompileReply, type CompileRequest, unpackPlan } from './protocol.ts';

yieldThisThread(NICENESS.compiler);
const port = workerData as MessagePort;
const compiler = new ImmediateCompiler();

function compile({ plans, counting }: CompileRequest): CompileReply {
  try {
    compiler.begin(plans.map(unpackPlan), counting);
    return { kind: 'compiled', ...compiler.take()! };
  } catch (error) {
    return { kind: 'failed', stack: String((error as Error).stack) };
  }
}

port.postMessage({ kind: 'up' } satisfies CompileReply);
port.on('message', (request: CompileRequest) => port.postMessage(compile(request)));
