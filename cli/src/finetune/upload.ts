import type { AtelierClient, DatasetInput } from '@atelier/client';
import type { Dataset } from '@atelier/contracts';
import type { Context } from '../context';
import { bytes } from '../output';
import { Progress } from '../progress';
import { uploads, type LocalFiles } from './files';

/** Sends the files with a bar, and says what of the folder stayed behind. */
export async function upload(
  { out, interrupt }: Context,
  client: AtelierClient,
  input: DatasetInput,
  local: LocalFiles,
): Promise<Dataset> {
  if (local.ignored.length > 0) {
    const named = local.ignored.slice(0, 5).join(', ');
    out.note(
      `not uploaded, being neither pictures nor captions: ${named}${local.ignored.length > 5 ? ` and ${local.ignored.length - 5} more` : ''}`,
    );
  }
  const bar = new Progress(out, { label: 'upload', total: local.bytes, format: bytes });
  try {
    const dataset = await client.createDataset(
      { ...input, bytes: local.bytes, files: uploads(local.files, interrupt.signal) },
      (progress) => bar.update(progress.bytes, { details: `${progress.files}/${local.files.length} files` }),
    );
    bar.update(local.bytes, { details: `${local.files.length}/${local.files.length} files` });
    out.object({
      type: 'uploaded',
      dataset: dataset.id,
      name: dataset.name,
      files: local.files.length,
      bytes: local.bytes,
    });
    return dataset;
  } finally {
    bar.done();
  }
}
