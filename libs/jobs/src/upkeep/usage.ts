import { backing, buckets, streams } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { AdapterStore, surveyBucket, surveyTensors } from '@atelier/store';
import { kinds, ownerOf, pictureOf } from './rules';
import { Tally, type Counted } from './tally';
import { Generations } from '../generations';

/** What takes how much of the store, by kind, the largest first. Nothing is read for it but names and sizes. */
export async function storeUsage(mesh: Mesh): Promise<Counted[]> {
  const tally = new Tally(true);
  const count = (kind: string, bytes: number): Promise<void> =>
    tally.clear(kind, [{ bytes, remove: () => Promise.resolve() }]);
  for (const { kind, bytes } of await surveyTensors(mesh)) await count(kinds[kind], bytes);
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
      await count(kind, object.bytes);
    }
    for (const { bytes } of loose) await count(kinds.loose, bytes);
  }
  const whole = [
    ...Object.values(buckets.state).map((bucket) => ['states', backing.stateStream(bucket)] as const),
    ['events', streams.EVENTS],
    ['queued work', streams.WORK],
    ['dead letters', streams.DEAD],
  ] as const;
  const streamed = new Map<string, Counted>();
  for (const [kind, stream] of whole) {
    const { state } = await mesh.jsm.streams.info(stream);
    const sum = streamed.get(kind) ?? { kind, count: 0, bytes: 0 };
    streamed.set(kind, { kind, count: sum.count + state.messages, bytes: sum.bytes + state.bytes });
  }
  const all = [...tally.cleared, ...streamed.values()];
  return all.sort((a, b) => b.bytes - a.bytes);
}
