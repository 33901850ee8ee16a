import { adapterWords, datasetDigest } from './adapter-words';

describe('what an adapter says of itself', () => {
  const origin = { baseFingerprint: 'f', guidance: true, datasetDigest: 'd' };

  test('in the words that others look for', () => {
    expect(adapterWords({ rank: 16, alpha: 8.5 }, origin)).toEqual({
      base_fingerprint: 'f',
      dataset_digest: 'd',
      'modelspec.sai_model_spec': '1.0.0',
      'modelspec.architecture': 'flux-1-dev/lora',
      ss_base_model_version: 'flux1',
      ss_network_dim: '16',
      ss_network_alpha: '8.5',
    });
    const schnell = adapterWords({ rank: 1, alpha: 1 }, { ...origin, guidance: false });
    expect(schnell['modelspec.architecture']).toBe('flux-1-schnell/lora');
  });

  test("a data set's digest is of what is in it, not of names or order", () => {
    const a = { name: 'a', latentsKey: 'l1', promptsKey: 'p1' };
    const b = { name: 'b', latentsKey: 'l2', promptsKey: 'p2' };
    expect(datasetDigest([a, b])).toBe(datasetDigest([b, { ...a, name: 'c' }]));
    expect(datasetDigest([a])).not.toBe(datasetDigest([a, b]));
    expect(datasetDigest([a])).not.toBe(datasetDigest([{ ...a, promptsKey: 'p2' }]));
  });
});
