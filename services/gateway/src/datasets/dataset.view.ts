import { z } from 'zod';
import { toDate, type Dataset } from '@atelier/contracts';
import { datasetStatus } from '@atelier/jobs';

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
  files: z.int().describe('Files as they were uploaded.'),
  samples: z.int().describe('Pictures with captions that were found in them.'),
  duplicates: z.int(),
  rejected: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
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
    files: dataset.files.length,
    samples: dataset.samples,
    duplicates: dataset.duplicates,
    rejected: dataset.rejected.map(({ name, reason }) => ({ name: name ?? '', reason: reason ?? '' })),
    error: dataset.error || null,
    created_at: unixSeconds(dataset.createdAt),
  };
}
