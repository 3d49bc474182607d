/** What `chronovisor info` says of a trace. */
export interface Summary {
  readonly file: string;
  readonly header: {
    readonly productVersion: string;
    readonly createdMs: number;
    readonly machine: {
      readonly isa: string;
      readonly harts: number;
      readonly memoryBytes: number;
      readonly schedule: string;
      readonly clockMode: string;
      readonly boot: {
        readonly kind: string;
        readonly kernel: string;
        readonly append: string;
        readonly bios: string;
      };
      readonly disks: readonly { readonly name: string; readonly sizeBytes: number; readonly readOnly: boolean }[];
    };
    readonly notes: readonly (readonly [string, string])[];
  };
  readonly end: { readonly reason: string; readonly exitCode?: number } | null;
  readonly replayableTo: number;
  readonly guestTimeNs: number;
  readonly inputs: Readonly<Record<string, number>>;
  readonly journal: Readonly<Record<string, number>>;
  readonly checkpoints: { readonly count: number };
  readonly fileBytes: number;
}
