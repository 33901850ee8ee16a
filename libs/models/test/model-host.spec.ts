import { ModelHost } from '@atelier/models';
import { tinyCheckpoint } from '@atelier/testing';

describe('models', () => {
  it('are loaded once, shared while used, and let go when nobody has used them for a while, after those who were made from them', async () => {
    const order: string[] = [];
    const freed = new Promise<void>((resolve) => {
      const host = new ModelHost({
        model: tinyCheckpoint(),
        compute: 'cpu',
        threads: 1,
        idleMs: 50,
        onFreed: async () => {
          order.push('freed');
          resolve();
        },
      });
      host.onRelease(async () => void order.push('dependents'));
      void Promise.all([1, 2].map(() => host.use((models) => models.vae()))).then(async ([first, second]) => {
        expect(first).toBe(second);
        expect(await host.use((models) => models.vae())).toBe(first);
        order.push('used');
      });
    });
    await freed;
    expect(order).toEqual(['used', 'dependents', 'freed']);
  });

  it('in use are not let go; later ones are loaded anew', async () => {
    const host = new ModelHost({ model: tinyCheckpoint(), compute: 'cpu', threads: 1, idleMs: 60_000 });
    const first = await host.use(async (models) => {
      const vae = await models.vae();
      await host.release();
      expect(await models.vae()).toBe(vae);
      return vae;
    });
    await host.release();
    await host.use(async (models) => expect(await models.vae()).not.toBe(first));
    await host.release();
  });

  it('of a folder that is put right are found at the next try', async () => {
    const options = { model: 'nowhere', compute: 'cpu', threads: 1, idleMs: 10 };
    const host = new ModelHost(options);
    await expect(host.use(async () => 1)).rejects.toThrow(/nowhere/);
    options.model = tinyCheckpoint();
    expect(await host.use(async () => 1)).toBe(1);
  });
});
