import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceStatus } from '@atelier/mesh';
import { tinyCheckpoint } from '@atelier/testing';
import { TransformerStatus } from '../src';

describe('TransformerStatus', () => {
  const told = (model: string) => {
    const status = new ServiceStatus();
    new TransformerStatus(model, status);
    return status.transformer();
  };

  test('tells the sizes of the checkpoint that is there', () => {
    expect(told(tinyCheckpoint())).toMatchObject({
      inChannels: expect.any(Number),
      heads: expect.any(Number),
      axesDims: [expect.any(Number), expect.any(Number), expect.any(Number)],
    });
  });

  test('tells none where none is there, as before a download', () => {
    const empty = mkdtempSync(join(tmpdir(), 'no-checkpoint-'));
    expect(told(empty)).toBeUndefined();
    rmSync(empty, { recursive: true });
  });
});
