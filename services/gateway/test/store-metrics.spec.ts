import { AtelierClient } from '@atelier/client';
import { Registry } from 'prom-client';
import { StoreMetrics } from '../src/store/store.metrics';

const MINUTE = 60_000;
type Usage = Awaited<ReturnType<AtelierClient['storeUsage']>>;

describe('the figures of the store', () => {
  afterEach(() => jest.restoreAllMocks());

  test('are measured once at a time and each half hour, and at the next scrape where that failed', async () => {
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    const answers: { give(usage: Usage): void; fail(error: Error): void }[] = [];
    const client = Object.create(AtelierClient.prototype) as AtelierClient;
    jest.spyOn(client, 'store').mockRejectedValue(new Error('it is not asked here'));
    jest
      .spyOn(client, 'storeUsage')
      .mockImplementation(() => new Promise((give, fail) => answers.push({ give, fail })));
    const registry = new Registry();
    expect(new StoreMetrics(client, registry)).toBeDefined();
    const scrapeAfter = (ms: number): Promise<string> => {
      now += ms;
      return registry.metrics();
    };

    await scrapeAfter(0);
    await scrapeAfter(31 * MINUTE);
    expect(answers).toHaveLength(1);
    answers[0]!.give([{ kind: 'latents', count: 2, bytes: 3 }]);
    await scrapeAfter(0);
    expect(await scrapeAfter(29 * MINUTE)).toContain('atelier_store_bytes{kind="latents"} 3');
    expect(answers).toHaveLength(1);
    await scrapeAfter(2 * MINUTE);
    expect(answers).toHaveLength(2);
    answers[1]!.fail(new Error('NATS is away'));
    await scrapeAfter(0);
    await scrapeAfter(0);
    expect(answers).toHaveLength(3);
  });
});
