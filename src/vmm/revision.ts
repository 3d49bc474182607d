/**
 * Where the emulated hardware was wrong and was mended, guests run differently from then on. A trace says on which revision of the hardware
 * it was recorded, and replays on that.
 *
 * - 0: `csrrs` and `csrrc` of mip wrote what drives SEIP from outside into the bit that software writes, where it stayed. The PLIC
 *   withdrew a request whose line fell before it was claimed.
 * - 1: those instructions leave it as it is (privileged specification, 3.1.9), and the request stays (PLIC specification, "Interrupt Gateways").
 */
export const MACHINE_REVISION = 1;
