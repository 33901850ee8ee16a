import { backing, buckets, streams } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { AdapterStore, surveyBucket, surveyTensors } from '@atelier/store';
import { Generations } from '../generations';
import { kinds, ownerOf, pictureOf } from './rules';
import { Tally, type Counted } from './tally';

/** What takes how much of the store, by kind, the largest first. Nothing is read for it but names and sizes. */
export async function storeUsage(mesh: Mesh): Promise<Counted[]> {
  const tally = new Tally(true);
  for (const { kind, bytes } of await surveyTensors(mesh)) tally.count(kinds[kind], bytes);
  const named = new Set((await new AdapterStore(mesh).list()).map(({ blob }) => blob));
  const drawings = new Set((await new Generations(mesh).list()).map(({ id }) => id));
  for (const bucket of Object.values(buckets.blobs)) {
    const { objects, loose } = await surveyBucket(mesh, bucket);
    for (const object of objects) {
      const kind = {
        pictures: () => kinds[pictureOf(object.name).kind],
        manifests: () => kinds.manifests,
        adapters: () => (named.has(object.name) ? kinds.adapters : 'replaced adapters'),
        checkpoints: () => kinds.states,
        samples: () => (drawings.has(ownerOf(object)) ? kinds.drawings : kinds.previews),
      }[bucket]();
      tally.count(kind, object.bytes);
    }
    for (const { bytes } of loose) tally.count(kinds.loose, bytes);
  }
  const whole = [
    ...Object.values(buckets.state).map((bucket) => ['states', backing.stateStream(bucket)] as const),
    ['events', streams.EVENTS],
    ['queued work', streams.WORK],
    ['dead letters', streams.DEAD],
  ] as const;
  for (const [kind, stream] of whole) {
    const { state } = await mesh.jsm.streams.info(stream);
    tally.count(kind, state.bytes, state.messages);
  }
  return tally.counted.sort((a, b) => b.bytes - a.bytes);
}
