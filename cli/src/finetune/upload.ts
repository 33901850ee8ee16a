import type { AtelierClient, DatasetInput } from '@atelier/client';
import type { Dataset } from '@atelier/contracts';
import type { Context } from '../context';
import { bytes } from '../output';
import { Progress } from '../progress';
import { uploads, type LocalFiles } from './files';

/** Of what stays behind, how many are named one by one. */
const MOST_NAMED = 5;

/** Sends the files with a bar, and says what of the folder stayed behind. */
export async function upload(
  { out, interrupt }: Context,
  client: AtelierClient,
  input: DatasetInput,
  local: LocalFiles,
): Promise<Dataset> {
  if (local.ignored.length > 0) {
    const named = local.ignored.slice(0, MOST_NAMED).join(', ');
    const more = local.ignored.length - MOST_NAMED;
    out.note(`not uploaded, being neither pictures nor captions: ${named}${more > 0 ? ` and ${more} more` : ''}`);
  }
  for (const { name, reason } of local.unreadable.slice(0, MOST_NAMED)) out.note(`not uploaded: ${name} ${reason}`);
  const bar = new Progress(out, { label: 'upload', total: local.bytes, format: bytes });
  try {
    const dataset = await client.createDataset(
      { ...input, bytes: local.bytes, files: uploads(local, interrupt.signal) },
      (progress) => bar.update(progress.bytes, { details: `${progress.files}/${local.files.length} files` }),
    );
    bar.update(local.bytes, { details: `${local.files.length}/${local.files.length} files` });
    out.object({
      type: 'uploaded',
      dataset: dataset.id,
      name: dataset.name,
      files: local.files.length,
      bytes: local.bytes,
      not_uploaded: [
        ...local.unreadable.map(({ name, reason }) => ({ name, reason })),
        ...local.ignored.map((name) => ({ name, reason: 'is neither a picture nor a caption' })),
      ],
    });
    return dataset;
  } finally {
    bar.done();
  }
}
