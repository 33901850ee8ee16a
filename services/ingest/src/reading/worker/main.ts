// A reader process: reads the files of one data set and hands over what it finds. Everything in them is to be
// distrusted, and so is what the libraries make of it: this process may be ended at any moment, by itself or by the
// service, at the cost of one file.
import { writeFileSync } from 'node:fs';
import { inOrder } from '../../in-order';
import { encodePng } from '../../pictures/picture';
import { DatasetReader, Spool, type Found } from '../../readers';
import type { ReadingJob } from '../messages';
import { Channel } from './channel';
import { startGuard } from './guard';
import { prepare, type Prepared } from './prepare';
import { tokenCounter } from './token-counter';
import { uploadedFiles } from './uploaded-files';
import { WatchedHand } from './watched-hand';

const [memoryBytes = 0, parent = 0] = process.argv.slice(2).map(Number);
startGuard({ memoryBytes, parent });
try {
  // Where memory runs out, it is this process that the system takes, and neither the service nor its neighbours.
  writeFileSync('/proc/self/oom_score_adj', '1000');
} catch {
  // Not Linux, or not allowed: its own limit stands.
}
process.on('disconnect', () => process.exit(0));

const channel = new Channel((job) => {
  const hand = new WatchedHand((message) => channel.send(message), job.without);
  process.on('unhandledRejection', (error) => hand.stray(error));
  void read(job, hand)
    .then(
      () => channel.send({ kind: 'end' }),
      (error: Error) => channel.send({ kind: 'trouble', message: error.message }),
    )
    .then(() => process.disconnect());
});

async function read(job: ReadingJob, hand: WatchedHand): Promise<void> {
  const files = uploadedFiles(job.files, (file) => channel.fetch(file));
  const wanted = { column: job.column, captionless: job.trigger.trim() !== '' };
  const reader = new DatasetReader(new Spool(job.folder), job.limits, hand, wanted);
  const count = tokenCounter(job.checkpoint, job.textTokens);
  const prepared = inOrder(after(job.taken, reader.read(files)), job.parallel, (each) =>
    prepare(each, { ...job, count }, hand),
  );
  for await (const each of prepared) {
    if (each.kind === 'sample') await handOver(each);
    else await channel.send(each);
  }
  reader.close();
}

async function handOver({ kind: _kind, views, ...sample }: Prepared): Promise<void> {
  const keys = await channel.offer({ ...sample, views: views.map(({ picture: _pixels, ...view }) => view) });
  const pictures = [];
  for (const { key, picture } of views) {
    if (keys.includes(key)) pictures.push({ key, png: await encodePng(picture) });
  }
  await channel.send({ kind: 'pictures', pictures });
}

async function* after(count: number, found: AsyncIterable<Found>): AsyncGenerator<Found> {
  let passed = 0;
  for await (const each of found) if (passed++ >= count) yield each;
}
