/** Linux in the machine, for the protocol: the tasks that harts run and those that wait, as threads; symbols of modules and programs. */
import { UserError } from '../base/assert.ts';
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
  programAt,
  type StackStart,
  satpOf,
  spaceOf,
  stackStart,
  type Task,
  taskOf,
  tasksOf,
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
  readonly mappings = new Map<string, { readonly mark: string; readonly found: readonly Mapping[] }>();

  private constructor(image: KernelImage, files: GuestFiles, tasksShown: boolean) {
    this.image = image;
    this.guest = new GuestSymbols(image, files);
    this.tasksShown = tasksShown;
  }

  /** Null if no symbol file is Linux's. `files`: for the kernel's file. */
  static of(symbols: Symbols, files: (kernel: string) => GuestFiles, tasksShown: boolean): LinuxView | null {
    const image = KernelImage.of(symbols);
    return image && new LinuxView(image, files(image.module.file.name), tasksShown);
  }

  /** Addresses of code at which other modules may come to be there. */
  get moduleCode(): bigint[] {
    const { module } = this.image;
    return MODULE_FUNCTIONS.flatMap((name) => {
      const [symbol] = module.file.symbols?.named(name) ?? [];
      return symbol ? [inMemory(module, symbol.address)] : [];
    });
  }

  /** Looks which modules there are; tells whether symbols have changed with them. */
  async followModules(moment: Moment): Promise<boolean> {
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
  /** By thread, of those whose stacks were asked for. */
  readonly #tasks = new Map<number, { readonly task: Task; readonly satp: bigint }>();
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
      if (error instanceof Unavailable) return null;
      throw error;
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
    return isTaskThread(thread) ? this.#tasks.get(thread)?.satp : undefined;
  }

  /** Where a thread's stack begins; null for a hart of which Linux tells nothing. */
  async stackStart(thread: number): Promise<StackStart | null> {
    const task = isTaskThread(thread)
      ? await this.ask((kernel) => taskOf(kernel, thread - TASK_THREADS))
      : ((await this.currents())[thread] ?? null);
    // Firmware has memory of its own.
    if (!task || this.#moment.harts[thread]?.privilege === 'M') return null;
    this.#tasks.set(thread, await this.ask((kernel) => ({ task, satp: satpOf(kernel, task) })));
    return this.ask((kernel) => stackStart(kernel, task));
  }

  /** Puts symbols where a thread's programs are; tells whether that changed anything. */
  async placePrograms(thread: number): Promise<boolean> {
    const known = this.#tasks.get(thread);
    if (!known) return false;
    const { task } = known;
    const space = spaceOf(task);
    const mark = await this.ask(() => mappingsMark(task));
    let mappings = this.#view.mappings.get(space);
    if (mappings?.mark !== mark) {
      const { items } = await this.ask((kernel) => mappingsOf(kernel, task));
      mappings = { mark, found: items };
      this.#view.mappings.set(space, mappings);
    }
    this.#mappings.set(thread, mappings.found);
    return this.#view.guest.placePrograms(task, mappings.found);
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
