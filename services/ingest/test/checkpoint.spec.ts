import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { calls, DatasetState, subjects } from '@atelier/contracts';
import { callService } from '@atelier/mesh';
import { tinyCheckpoint, waitFor } from '@atelier/testing';
import { Harness } from './harness';

test('ingest waits while there is no whole checkpoint, fails of that neither at once nor for good, and goes on when there is', async () => {
  const harness = await Harness.withoutService();
  try {
    const model = join(harness.folder, 'model');
    cpSync(tinyCheckpoint(), model, { recursive: true });
    const weights = join(model, 'vae', 'diffusion_pytorch_model.safetensors');
    const whole = readFileSync(weights);
    truncateSync(weights, whole.length - 1); // as in the middle of a download
    await harness.startService({ ATELIER_MODEL: model });
    const picture = await sharp({ create: { width: 100, height: 80, channels: 3, background: '#a01010' } })
      .png()
      .toBuffer();
    await harness.upload('flowers', { 'a.png': picture, 'a.txt': 'a red field' });
    await harness.ask('flowers');
    const status = await waitFor('the reason', async () => {
      const reply = await callService(harness.test.mesh, calls.status('ingest'), {}, {});
      return !reply.ready && reply;
    });
    expect(status.detail).toMatch(/^its checkpoint: .*vae.* bytes where its header says/);
    expect([await harness.queued(subjects.work.ingest), await harness.inHand()]).toEqual([1, 0]);
    writeFileSync(weights, whole);
    expect((await harness.settled('flowers')).state).toBe(DatasetState.DATASET_STATE_INGESTED);
    expect(await harness.deadLetters()).toEqual([]);
  } finally {
    await harness.stop();
  }
});
