import sharp from 'sharp';
import { completeTrainOptions, DatasetState, RunState, TrainOptions, trainOptionsMessage } from '@atelier/contracts';
import { Harness } from './harness';

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.start({ ATELIER_TEXT_TOKENS: '16' });
});
afterAll(() => harness.stop());

const picture = (background: string): Promise<Buffer> =>
  sharp({ create: { width: 100, height: 80, channels: 3, background } })
    .png()
    .toBuffer();

describe('what became of the files of a data set', () => {
  it('is noted: how many pictures are used and left out, which of the rest are none, and what was made of others', async () => {
    await harness.upload('told', {
      'a.png': await picture('#a01010'),
      'a.txt': Buffer.from('un caf\u00e9', 'latin1'),
      'b.png': await picture('#10a010'),
      'b.txt': 'a house '.repeat(20),
      'cut.png': (await picture('#1010a0')).subarray(0, 60),
      'cut.txt': 'cut',
      'silent.png': await picture('#1010a0'),
      'notes.txt': 'of nothing',
    });
    const dataset = await harness.ingest('told');
    expect(dataset).toMatchObject({ samples: 2, pictures: 4, leftOut: 2, duplicates: 0 });
    expect(dataset?.rejected.map(({ name, picture }) => [name, picture])).toEqual([
      ['notes.txt', false],
      ['cut.png', true],
      ['silent.png', true],
    ]);
    expect(dataset?.notes.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      expect.stringMatching(
        /^: 1 caption is longer than the 16 T5 tokens that are read; .*: b\.png with \d+\. .*ATELIER_TEXT_TOKENS/,
      ),
      expect.stringMatching(/^a\.png: has a caption \(a\.txt\) that is not in UTF-8 and was read as Windows-1252/),
    ]);
  });

  it('is noted too where nothing can be used', async () => {
    await harness.upload('nothing', { 'silent.png': await picture('#1010a0') });
    expect(await harness.ingest('nothing')).toMatchObject({
      state: DatasetState.DATASET_STATE_FAILED,
      pictures: 1,
      leftOut: 1,
      rejected: [{ name: 'silent.png', picture: true }],
    });
  });

  it('ends a run that is to fail for it, and no other', async () => {
    await harness.upload('partly', {
      'a.png': await picture('#a01010'),
      'a.txt': 'a',
      'silent.png': await picture('#1010a0'),
    });
    const options = TrainOptions.create(trainOptionsMessage(completeTrainOptions({ onBadSample: 'fail' })));
    await harness.createRun('strict', 'partly', { options });
    await harness.createRun('lenient', 'partly');
    await harness.ingest('partly', 'strict');
    await harness.ingest('partly', 'lenient');
    expect((await harness.runs.get('strict'))?.value).toMatchObject({
      state: RunState.RUN_STATE_FAILED,
      error: expect.stringMatching(/^data set partly: 1 of 2 pictures; 1 left out, .*: silent\.png \(has no caption/),
    });
    expect((await harness.runs.get('lenient'))?.value.state).toBe(RunState.RUN_STATE_ENCODING);
  });
});

describe('samples', () => {
  it('one picture with two captions is two of one key, the same with one caption is one', async () => {
    const same = await picture('#a0a010');
    const files = {
      'a.png': same,
      'a.txt': 'first',
      'b.png': same,
      'b.txt': 'second',
      'c.png': same,
      'c.txt': 'first',
    };
    await harness.upload('two', files);
    const dataset = await harness.ingest('two');
    expect(dataset).toMatchObject({ samples: 2, pictures: 3, duplicates: 1, leftOut: 0 });
    expect(dataset?.notes).toMatchObject([
      { name: 'b.png', text: 'is the same picture as a.png with another caption: both captions are used' },
    ]);
    const { samples } = await harness.manifest(dataset);
    expect(samples.map(({ name, caption }) => [name, caption])).toEqual([
      ['a.png', 'first'],
      ['b.png', 'second'],
    ]);
    expect(new Set(samples.map(({ latentsKey }) => latentsKey)).size).toBe(1);
  });

  it("stand in the manifest as often as kohya's folders say, in the smallest numbers", async () => {
    const files = {
      '10_tower/1.png': await picture('#a01010'),
      '4_house/2.png': await picture('#10a010'),
      '4_house/2.txt': 'mine',
    };
    await harness.upload('kohya', files);
    const dataset = await harness.ingest('kohya');
    expect(dataset).toMatchObject({ samples: 2, pictures: 2 });
    const captions = (await harness.manifest(dataset)).samples.map(({ caption }) => caption);
    expect(captions).toEqual([...Array<string>(5).fill('tower'), ...Array<string>(2).fill('mine')]);
  });
});
