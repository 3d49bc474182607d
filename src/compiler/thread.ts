/**
 * Compiles regions in a thread of its own, while the guest goes on in the interpreter: the results of a run do not depend on when its code is
 * compiled. Until the thread has come up, which takes longer than compiling the first regions, they are compiled here.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { type CompiledRegions, ImmediateCompiler, type RegionCompiler } from '../vmm/riscv/compiler.ts';
import type { RegionPlan } from '../vmm/riscv/region.ts';
import { type CompileReply, type CompileRequest, packPlan } from './protocol.ts';

export class CompilerThread implements RegionCompiler {
  #started: MessagePort | null = null;
  #worker: Worker | null = null;
  #isUp = false;
  readonly #here = new ImmediateCompiler();

  get slicesToWait(): number {
    return this.#hasComeUp() ? this.#here.slicesToWait : 1;
  }

  begin(plans: readonly RegionPlan[], counting: boolean): void {
    if (!this.#hasComeUp()) {
      this.#here.begin(plans, counting);
      return;
    }
    this.#port.postMessage({ plans: plans.map(packPlan), counting } satisfies CompileRequest);
  }

  #hasComeUp(): boolean {
    this.#isUp ||= this.#receive()?.kind === 'up';
    return this.#isUp;
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
    // What was compiled here was begun before all else.
    const here = this.#here.take();
    if (here || !this.#hasComeUp()) return here;
    const reply = this.#receive();
    if (!reply) return null;
    assert(reply.kind === 'compiled', reply.kind === 'failed' ? `the compiler's thread: ${reply.stack}` : '');
    return reply;
  }

  /** Without going back to the event loop: the machine runs for long without doing so. */
  #receive(): CompileReply | undefined {
    return receiveMessageOnPort(this.#port)?.message as CompileReply | undefined;
  }
}
