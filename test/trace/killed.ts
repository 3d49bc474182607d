/** Records a little, flushes, and is killed in the middle of more. Run by the writer's test. */
import { TraceWriter } from '../../src/trace/writer.ts';
import { HEADER, makeSample, sourceOf } from './sample.ts';

const writer = new TraceWriter(process.argv[2], HEADER);
writer.checkpoint(sourceOf(makeSample(5).checkpoints[0]));
for (let i = 0; i < 10; i++) writer.input(i, { kind: 'console', device: 'uart0', data: Uint8Array.of(i) });
writer.flush(1000, 2000);
// The disk gets what comes now only in part: events, but no flush after them.
for (let i = 0; i < 5000; i++) writer.input(1000 + i, { kind: 'console', device: 'uart0', data: Uint8Array.of(1) });
await writer.drain();
process.kill(process.pid, 'SIGKILL');
