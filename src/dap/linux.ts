/** Linux in the machine, for the protocol: the tasks that harts run and those that wait, as threads; symbols of modules and programs. */
import { UserError } from '../base/assert.ts';
import type { StopSpec } from '../debugger/session.ts';
import {
  currentTasks,
  type Found,
  type GuestFiles,
  GuestSymbols,
  Kernel,
  KernelImage,
  type Mapping,
  type Module,
  mappingsMark,
  mappingsOf,
  modulesMark,
  modulesOf,
  type Program,
  programAt,
  programsOf,
  type StackStart,
  satpOf,
  spaceOf,
  stackStart,
  type Task,
  taskOf,
  tasksOf,
  WrongKernel,
} from '../linux/index.ts';
import { inMemory, type Symbols, Unavailable } from '../symbols/index.ts';
import type { Moment } from './moment.ts';
import { registersByNumber } from './registers.ts';

/** A task is a thread by its number and this, so that the client sees it as the pid and 1000: harts have the numbers below. */
const TASK_THREADS = 999;
export const taskThread = (pid: number) => TASK_THREADS + pid;
export const isTaskThread = (thread: number) => thread > TASK_THREADS;

/** What every load and every unload of a module comes by, with the module in the kernel's list. */
const MODULE_FUNCTIONS = ['do_init_module', 'free_module'];
/** What a process comes by when it has a new program, which is in its memory. */
const PROGRAM_FUNCTION = 'start_thread';

/** Address spaces whose mappings are kept. */
const SPACES_MAX = 64;

/** What was found in the memory of a process, until it changes. */
interface Seen {
  readonly mark: string;
  readonly found: readonly Mapping[];
  readonly programs: readonly Program[];
}

/** For as long as something is debugged. */
export class LinuxView {
  readonly image: KernelImage;
  readonly guest: GuestSymbols;
  /** Whether tasks that no hart runs are threads, too. */
  tasksShown: boolean;
  /** Those that are loaded, as was seen last. */
  modules: readonly Module[] = [];
  #modulesMark: string | null = null;
  /** What was found in the memory of processes, by address space. */
  readonly mappings = new Map<string, Seen>();

  readonly #report: (problem: string) => void;
  #warned: string | null = null;

  private constructor(image: KernelImage, files: GuestFiles, tasksShown: boolean, report: (problem: string) => void) {
    this.#report = report;
    this.image = image;
    this.guest = new GuestSymbols(image, files, report);
    this.tasksShown = tasksShown;
  }

  /** Null if no symbol file is Linux's. `files`: for the kernel's file; `report` is told which of them are refused. */
  static of(
    symbols: Symbols,
    files: (kernel: string) => GuestFiles,
    tasksShown: boolean,
    report: (problem: string) => void,
  ): LinuxView | null {
    const image = KernelImage.of(symbols);
    return image && new LinuxView(image, files(image.module.file.name), tasksShown, report);
  }

  /** Says once what is wrong with the symbol file. */
  warn(problem: string): void {
    if (this.#warned !== problem) this.#report(problem);
    this.#warned = problem;
  }

  /** Where modules and programs come and go. */
  get arrivals(): StopSpec[] {
    return [
      ...MODULE_FUNCTIONS.flatMap((name) => this.#entryOf(name)),
      ...(this.guest.programs.length > 0 ? this.#entryOf(PROGRAM_FUNCTION, this.#ownEntries()) : []),
    ];
  }

  #entryOf(name: string, condition?: string): StopSpec[] {
    const { module } = this.image;
    const [symbol] = module.file.symbols?.named(name) ?? [];
    if (!symbol) return [];
    const address = inMemory(module, symbol.address);
    return [{ kind: 'breakpoint', address, ...(condition === undefined ? {} : { condition }) }];
  }

  /**
   * The new program's second argument is where it begins. Page by page that is as in its file, so that other programs can be passed over; not with a program
   * that another one loads, or a library.
   */
  #ownEntries(): string | undefined {
    const files = this.guest.programs.map(({ elf }) => elf);
    if (files.some((elf) => elf.section('.interp') || elf.entry === 0n)) return undefined;
    return files.map(({ entry }) => `(a1 & 4095) == ${entry & 4095n}`).join(' || ');
  }

  /** Takes over the symbols of what is there now; tells whether there are others than before. */
  async follow(moment: Moment): Promise<boolean> {
    const modules = await this.#followModules(moment);
    const programs = await this.#followProgram(moment);
    return modules || programs;
  }

  /** Addresses of programs are meant in the process that the machine stands in. */
  async #followProgram(moment: Moment): Promise<boolean> {
    const { linux } = moment;
    const { hart } = moment.event;
    const task = (await linux?.currents())?.[hart] ?? null;
    const { symbols } = this.image;
    if (!linux || !task || task.kernelThread) {
      symbols.here = undefined;
      return false;
    }
    symbols.here = (await linux.look((kernel) => spaceOf(kernel, task))) ?? undefined;
    return this.guest.programs.length > 0 && linux.placePrograms(hart, task);
  }

  async #followModules(moment: Moment): Promise<boolean> {
    const mark = (await moment.linux?.look(modulesMark)) ?? null;
    if (mark !== null && mark === this.#modulesMark) return false;
    this.#modulesMark = mark;
    const found = await moment.linux?.look(modulesOf);
    this.modules = found?.items ?? [];
    return this.guest.placeModules(this.modules);
  }
}

/** Linux as it stands. */
export class LinuxMoment {
  readonly #view: LinuxView;
  readonly #moment: Moment;
  #kernel: Promise<Kernel> | null = null;
  #currents: Promise<readonly (Task | null)[]> | null = null;
  /** Page tables by thread, of those whose stacks were asked for. */
  readonly #satps = new Map<number, bigint>();
  readonly #mappings = new Map<number, readonly Mapping[]>();

  constructor(view: LinuxView, moment: Moment) {
    this.#view = view;
    this.#moment = moment;
  }

  /** `Unavailable` where Linux is not there yet. */
  async ask<T>(work: (kernel: Kernel) => T): Promise<T> {
    this.#kernel ??= this.#find();
    const kernel = await this.#kernel;
    return this.#moment.settle(() => work(kernel));
  }

  /** The same; null where Linux is not there yet. */
  async look<T>(work: (kernel: Kernel) => T): Promise<T | null> {
    try {
      return await this.ask(work);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (error instanceof WrongKernel) this.#view.warn(error.message);
      return null;
    }
  }

  async #find(): Promise<Kernel> {
    const moment = this.#moment;
    const harts = await Promise.all(moment.harts.map(({ hart }) => moment.registers(hart)));
    const machine = {
      harts: harts.map((one) => ({ privilege: one.privilege, registers: registersByNumber(one) })),
      memory: (satp: bigint) => moment.memory(satp),
    };
    return moment.settle(() => new Kernel(this.#view.image, machine));
  }

  /** The tasks that harts run, by hart; empty where Linux is not there yet. */
  currents(): Promise<readonly (Task | null)[]> {
    this.#currents ??= this.look(currentTasks).then((tasks) => tasks ?? []);
    return this.#currents;
  }

  /** The tasks that are threads of their own: those that no hart runs, where they are wanted. */
  async waiting(): Promise<readonly Task[]> {
    if (!this.#view.tasksShown) return [];
    const found: Found<Task> | null = await this.look(tasksOf);
    return found?.items.filter(({ hart }) => hart === null) ?? [];
  }

  /** Page tables of a thread that is a task; undefined for others. */
  spaceOf(thread: number): bigint | undefined {
    return isTaskThread(thread) ? this.#satps.get(thread) : undefined;
  }

  /** What a thread is about: a task that waits, or the one that a hart runs; null where Linux tells nothing of it. */
  async #taskOf(thread: number): Promise<Task | null> {
    if (isTaskThread(thread)) return this.ask((kernel) => taskOf(kernel, thread - TASK_THREADS));
    // Firmware has memory of its own.
    if (this.#moment.harts[thread]?.privilege === 'M') return null;
    return (await this.currents())[thread] ?? null;
  }

  /** Where a thread's stack begins; null for a hart of which Linux tells nothing. */
  async stackStart(thread: number): Promise<{ readonly task: Task; readonly start: StackStart } | null> {
    const task = await this.#taskOf(thread);
    if (!task) return null;
    this.#satps.set(thread, await this.ask((kernel) => satpOf(kernel, task)));
    return { task, start: await this.ask((kernel) => stackStart(kernel, task)) };
  }

  /** Puts symbols where a thread's programs are; tells whether that changed anything. */
  async placePrograms(thread: number, task: Task): Promise<boolean> {
    const { mappings, guest } = this.#view;
    const seen = await this.look((kernel) => ({ space: spaceOf(kernel, task), mark: mappingsMark(task) }));
    if (!seen) return false;
    const { space, mark } = seen;
    let known = mappings.get(space);
    if (known?.mark !== mark) {
      const found = await this.ask((kernel) => {
        const { items } = mappingsOf(kernel, task);
        return { items, programs: programsOf(kernel, task, items, (path) => guest.wants(path)) };
      });
      known = { mark, found: found.items, programs: found.programs };
      mappings.delete(space);
      mappings.set(space, known);
      if (mappings.size > SPACES_MAX) mappings.delete(mappings.keys().next().value!);
    }
    this.#mappings.set(thread, known.found);
    return guest.placePrograms(space, known.programs);
  }

  /** Name of the program that an address in a thread's stack belongs to; null for the kernel's. */
  programAt(thread: number, address: bigint): string | null {
    return programAt(this.#mappings.get(thread) ?? [], address);
  }
}

/** Of a client that asks for Linux where there is none. */
export function noLinux(): UserError {
  return new UserError("no symbol file is a Linux kernel's vmlinux with debug information");
}
