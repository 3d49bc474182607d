/**
 * Compiles regions in a thread of its own, while the guest goes on in the interpreter: the results of a run do not depend on when its code is
 * compiled.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { CompiledRegions, RegionCompiler } from '../vmm/riscv/compiler.ts';
import type { RegionPlan } from '../vmm/riscv/region.ts';
import { type CompileReply, type CompileRequest, packPlan } from './protocol.ts';

export class CompilerThread implements RegionCompiler {
  #started: MessagePort | null = null;
  #worker: Worker | null = null;

  begin(plans: readonly RegionPlan[], counting: boolean): void {
    this.#port.postMessage({ plans: plans.map(packPlan), counting } satisfies CompileRequest);
  }

  /** Starts the thread, which needs a tenth of a second or more until it can compile. */
  start(): void {
    void this.#port;
  }

  /** The thread does not keep the process alive. */
  get #port(): MessagePort {
    if (!this.#started) {
      const { port1, port2 } = new MessageChannel();
      const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: port2, transferList: [port2] });
      worker.on('error', (error) => {
        throw error;
      });
      worker.unref();
      port1.unref();
      this.#started = port1;
      this.#worker = worker;
    }
    return this.#started;
  }

  /** Ends the thread: the machine will not run any more. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  take(): CompiledRegions | null {
    // Taken without going back to the event loop: the machine runs for long without doing so.
    const received = receiveMessageOnPort(this.#port);
    if (!received) return null;
    const reply = received.message as CompileReply;
    assert(reply.kind === 'compiled', reply.kind === 'failed' ? `the compiler's thread: ${reply.stack}` : '');
    return reply;
  }
}
