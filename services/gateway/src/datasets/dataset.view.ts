import { z } from 'zod';
import { toDate, type Dataset } from '@atelier/contracts';
import { datasetStatus, datasetUse } from '@atelier/jobs';

export const unixSeconds = (time: Parameters<typeof toDate>[0]): number | null => {
  const date = toDate(time);
  return date ? Math.floor(date.getTime() / 1000) : null;
};

export const listOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ object: z.literal('list'), data: z.array(item) });

export const datasetView = z.strictObject({
  id: z.string(),
  object: z.literal('dataset'),
  name: z.string(),
  trigger: z.string(),
  status: z.enum(['unspecified', 'uploaded', 'ingested', 'failed', 'cancelled']),
  width: z.int(),
  height: z.int(),
  buckets: z.boolean(),
  flip: z.boolean(),
  caption_column: z.string(),
  files: z.int().describe('Files as they were uploaded.'),
  pictures: z.int().describe('Pictures that were found in them, used or not.'),
  used: z.int().describe('Of these, those that are trained on.'),
  left_out: z.int().describe('Of these, those that are not; `rejected` says which and why.'),
  samples: z.int().describe('Pairs of a picture and a caption; mirrored ones count.'),
  duplicates: z.int().describe('Pictures that are there twice, with the same caption.'),
  rejected: z
    .array(z.strictObject({ name: z.string(), reason: z.string(), picture: z.boolean() }))
    .describe('What cannot be used, and why: pictures, captions, archives, lines of a list.'),
  notes: z
    .array(z.strictObject({ name: z.string(), text: z.string() }))
    .describe('What was made of files where one might not expect it; without a name: of all of them.'),
  error: z.string().nullable(),
  created_at: z.int().nullable().describe('Unix time, seconds.'),
});

export function viewDataset(dataset: Dataset): z.output<typeof datasetView> {
  const { transform } = dataset;
  return {
    id: dataset.id,
    object: 'dataset',
    name: dataset.name,
    trigger: dataset.trigger,
    status: datasetStatus(dataset.state) as z.output<typeof datasetView>['status'],
    width: transform?.width ?? 0,
    height: transform?.height ?? 0,
    buckets: transform?.buckets ?? false,
    flip: transform?.flip ?? false,
    caption_column: dataset.captionColumn,
    files: dataset.files.length,
    ...useOf(dataset),
    samples: dataset.samples,
    duplicates: dataset.duplicates,
    rejected: dataset.rejected.map(({ name, reason, picture }) => ({
      name: name ?? '',
      reason: reason ?? '',
      picture: picture ?? false,
    })),
    notes: dataset.notes.map(({ name, text }) => ({ name: name ?? '', text: text ?? '' })),
    error: dataset.error || null,
    created_at: unixSeconds(dataset.createdAt),
  };
}

function useOf(dataset: Dataset): { pictures: number; used: number; left_out: number } {
  const { pictures, used, leftOut } = datasetUse(dataset);
  return { pictures, used, left_out: leftOut };
}
