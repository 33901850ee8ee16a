import type { Files } from '../../support/api';
import { Fault } from './patience';
import type { Work } from './work';

/** What a job comes to. */
export interface Results {
  samples: number;
  adapter: Buffer;
  pictures: string[];
}

/** What a job leaves behind, by its addresses, in the order in which it can be deleted. */
export type Left = Record<'run' | 'adapter' | 'drawing' | 'dataset', string>;

export interface Job {
  results: Results;
  left: Left;
}

/** The main job: pictures and captions in, an adapter out, with a drawing beside the training, by an adapter that was there before. */
export async function doJob(work: Work, name: string, files: Files, drawnBy: string): Promise<Job> {
  const [trained, drawing] = await Promise.all([train(work, name, files), work.draw(drawnBy)]);
  return {
    results: { samples: trained.samples, adapter: trained.adapter, pictures: drawing.pictures },
    left: { ...trained.left, drawing: `/v1/images/generations/${drawing.id}` },
  };
}

export async function train(
  work: Work,
  name: string,
  files: Files,
): Promise<{ samples: number; adapter: Buffer; left: Omit<Left, 'drawing'> }> {
  const { id: dataset } = await work.upload(name, files);
  const { id: run } = await work.start(name, dataset);
  const { status, samples, error } = await work.ingested(dataset);
  if (status !== 'ingested') throw new Fault(`data set ${name} is ${status}: ${error}`);
  const ended = await work.finished(run);
  if (ended.status !== 'finished') throw new Fault(`run ${name} is ${ended.status}: ${ended.error}`);
  const left = { run: `/v1/finetunes/${run}`, adapter: `/v1/adapters/${name}`, dataset: `/v1/datasets/${dataset}` };
  return { samples, adapter: await work.adapter(name), left };
}

/** In words, where two jobs of the same pictures did not come to the same. */
export function differences(name: string, got: Results, undisturbed: Results): string[] {
  const found: string[] = [];
  if (got.samples !== undisturbed.samples)
    found.push(`data set ${name} has ${got.samples} samples of ${undisturbed.samples}`);
  if (!got.adapter.equals(undisturbed.adapter)) found.push(`adapter ${name} has other bytes`);
  const same =
    got.pictures.length === undisturbed.pictures.length &&
    got.pictures.every((picture, at) => picture === undisturbed.pictures[at]);
  if (!same) found.push(`the drawing beside ${name} has other bytes`);
  return found;
}
