import { encodeTensors } from '@atelier/checkpoint';
import type { ISample, TensorKind } from '@atelier/contracts';
import type { Sample } from '@atelier/engine';
import { SampleFlow, type SampleFlowOptions } from './sample-flow';
import { SampleOrder } from './sample-order';
import { EncodingMissing, SampleSource } from './sample-source';

const never = new AbortController().signal;

function flowOf(count: number, fetch: SampleFlowOptions['fetch'], more: Partial<SampleFlowOptions> = {}): SampleFlow {
  return new SampleFlow({
    order: new SampleOrder(count, 5),
    fetch,
    depth: 4,
    ended: never,
    stopping: never,
    ...more,
  });
}

const pause = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('samples', () => {
  /** Tensor sets whose every value is the number in their key, which come in a disorder of their own. */
  class Jumbled {
    asked = 0;
    async get(kind: TensorKind, key: string): Promise<Uint8Array> {
      await pause((this.asked++ * 7) % 5);
      const fill = (shape: number[]) => ({
        shape,
        data: new Float32Array(shape.reduce((a, b) => a * b)).fill(Number(key.split('-')[1])),
      });
      return kind === 'latents'
        ? encodeTensors({ mean: fill([16, 4, 4]), logvar: fill([16, 4, 4]) })
        : encodeTensors({ prompt_embeds: fill([3, 8]), pooled: fill([8]) });
    }
  }

  it('keep each caption with its own picture, in every epoch and however they arrive', async () => {
    const manifest: ISample[] = Array.from({ length: 23 }, (_, i) => ({
      name: `${i}.png`,
      latentsKey: `l-${i}`,
      promptsKey: `p-${1000 + i}`,
      width: 32,
      height: 32,
    }));
    const source = new SampleSource(manifest, new Jumbled());
    const flow = flowOf(manifest.length, (index, signal) => source.get(index, signal));
    const visits: number[] = [];
    for (let visit = 0; visit < 4 * manifest.length; visit++) {
      const { mean, logvar, promptEmbeds, pooled, sampleId } = await flow.next();
      const picture = mean[0]!;
      expect([...new Set([...mean, ...logvar])]).toEqual([picture]);
      expect([...new Set([...promptEmbeds, ...pooled])]).toEqual([1000 + picture]);
      expect(sampleId).toBe(picture);
      visits.push(picture);
    }
    await flow.close();
    const order = new SampleOrder(manifest.length, 5);
    expect(visits).toEqual(visits.map((_, position) => order.at(position)));
  });

  it.each([10, 10_000])(
    'of a set of %i take the memory of a few',
    async (count) => {
      const SAMPLE_BYTES = 256 * 1024;
      let held = 0;
      let most = 0;
      let mostBytes = 0;
      const flow = flowOf(count, async () => {
        most = Math.max(most, ++held);
        await pause();
        return { mean: new Float32Array(SAMPLE_BYTES / 4) } as unknown as Sample;
      });
      for (let visit = 0; visit < count; visit++) {
        await flow.next();
        held--;
        if (visit % 50 === 0) mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
      }
      await flow.close();
      // Four ahead, and the one that is being trained on while they are fetched.
      expect(most).toBeLessThanOrEqual(5);
      // What is collected comes late; 10,000 samples at once would be 2.6 GB.
      expect(mostBytes).toBeLessThan(300 * 2 ** 20);
    },
    120_000,
  );

  const numbered = async (index: number): Promise<Sample> => ({ sampleId: index }) as unknown as Sample;
  const take = async (flow: SampleFlow, count: number): Promise<unknown[]> => {
    const ids = [];
    for (let i = 0; i < count; i++) ids.push((await flow.next()).sampleId);
    return ids;
  };

  it('go on after a resumption as if there had been none, without those that are left out', async () => {
    const whole = flowOf(5, numbered, { skipped: [2] });
    const ids = await take(whole, 20);
    expect(new Set(ids)).toEqual(new Set([0, 1, 3, 4]));
    const first = flowOf(5, numbered, { skipped: [2] });
    const before = await take(first, 7);
    const second = flowOf(5, numbered, { position: first.position, skipped: [...first.skipped] });
    expect([...before, ...(await take(second, 13))]).toEqual(ids);
  });

  it.each<TensorKind>(['latents', 'prompts'])('whose %s are gone are not waited for', async (gone) => {
    const there = new Jumbled();
    const get = async (kind: TensorKind, key: string) => (kind === gone ? null : there.get(kind, key));
    const manifest = [{ name: 'heron.png', latentsKey: 'l-0', promptsKey: 'p-0', width: 32, height: 32 }];
    const source = new SampleSource(manifest, { get });
    const flow = flowOf(1, (index, signal) => source.get(index, signal));
    const refused = await flow.next().catch((error: Error) => error);
    expect(refused).toBeInstanceOf(EncodingMissing);
    expect((refused as Error).message).toContain('heron.png');
    await flow.close();
  });

  it('that are waited for are given up at the end of the run, and a moment after the service is to stop', async () => {
    const ended = new AbortController();
    const waiting = flowOf(1, () => new Promise(() => undefined), { ended: ended.signal }).next();
    ended.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');

    const stopping = new AbortController();
    let arrive: (sample: Sample) => void = () => undefined;
    const soon = flowOf(1, () => new Promise((resolve) => (arrive = resolve)), {
      stopping: stopping.signal,
      depth: 1,
    }).next();
    stopping.abort();
    arrive(await numbered(0));
    expect((await soon).sampleId).toBe(0); // the step in hand can be completed
    await expect(flowOf(1, () => new Promise(() => undefined), { stopping: stopping.signal }).next()).rejects.toThrow(
      'the service stops',
    );
  });
});
