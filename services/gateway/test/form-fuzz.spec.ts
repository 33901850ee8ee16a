import { buckets } from '@atelier/contracts';
import { BlobStore } from '@atelier/store';
import { waitFor } from '@atelier/testing';
import { z } from 'zod';
import { datasetView } from '../src/datasets/dataset.view';
import { BOUNDARY, inPieces, mutated, Random, randomForm, sendForm, type Sent } from './forms';
import { startGateway, type TestGateway } from './harness';

const refusal = z.strictObject({
  error: z.strictObject({
    message: z.string().min(10),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
    details: z.record(z.string(), z.string()).optional(),
  }),
});

/**
 * An error event or a rejected promise that nobody hears fails the test that runs; in a gateway of its own it would end
 * the process.
 */
describe('whatever form comes, the gateway answers it and goes on', () => {
  let gateway: TestGateway;
  let blobs: BlobStore;
  /** Files of the forms that were accepted: as many blobs there must be, and no more. */
  let accepted = 0;
  let refused = 0;

  beforeAll(async () => {
    gateway = await startGateway({
      ATELIER_UPLOAD_FILE_MIB: '0.07',
      ATELIER_UPLOAD_TOTAL_MIB: '0.2',
      ATELIER_UPLOAD_FILES: '3',
    });
    blobs = new BlobStore(gateway.mesh);
  });
  beforeEach(() => (refused = 0));
  afterEach(async () => {
    const health = await fetch(`${gateway.url}/healthz`);
    expect(await health.json()).toMatchObject({ status: 'ok', nats: 'connected' });
    await waitFor(
      'blobs of refused forms to be gone',
      async () => (await blobs.list(buckets.blobs.pictures)).length === accepted,
    );
  });
  afterAll(() => gateway?.stop());

  async function send(form: Buffer, pieces: Buffer[] = [form], type?: string): Promise<Sent> {
    const sent = await sendForm(gateway.url, pieces, { type }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(form.toString('latin1'))}`);
    });
    if (!sent) throw new Error('it was not cut');
    const body: unknown = JSON.parse(sent.text);
    if (sent.status === 202) accepted += datasetView.parse(body).files;
    else {
      refused++;
      refusal.parse(body);
      if (sent.status < 400 || sent.status >= 500)
        throw new Error(`${sent.status} ${sent.text} for ${JSON.stringify(form.toString('latin1'))}`);
    }
    return sent;
  }

  const head = (disposition: string): string =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
  const form = (...text: string[]): Buffer => Buffer.from(text.join(''));

  test('69 bytes: a file whose name is no name, in a form that ends early', async () => {
    const crash = form(head('name="files"; filename=".."'), 'x');
    expect(crash).toHaveLength(69);
    expect((await send(crash)).status).toBe(400);
  });

  test.each<[string, Buffer]>([
    [
      'a file without content or a line break before the last boundary',
      form(head('name="files"; filename="a.png"'), `--${BOUNDARY}--\r\n`),
    ],
    [
      'a file without a name or a line break before what is no boundary',
      form(head('name="files"; filename=""'), `--${BOUNDARY}\r\n--c--`),
    ],
    [
      'a large part that is no part of a form',
      form(`--b\r\nContent-Disposition: attachment; name="files"\r\n\r\n`, 'x'.repeat(70_000), '\r\n--b--\r\n'),
    ],
    [
      'a name that is not UTF-8 by its own encoding',
      form(`--b\r\nContent-Disposition: form-data; name="files"; filename*=utf-8''%e9%zz\r\n\r\nx\r\n--b--\r\n`),
    ],
    [
      'a field named as what every object has',
      form(
        head('name="__proto__"'),
        'x\r\n',
        head('name="name"'),
        'herons\r\n',
        head('name="files"; filename="a.png"'),
        'x\r\n--b--\r\n',
      ),
    ],
    ['bytes before the first part without an end', form('x'.repeat(1_000_000))],
    ['a header without an end', form('--b\r\n', 'x'.repeat(1_000_000))],
    ['parts without an end', form(head('name="files"; filename=""').repeat(5000))],
    ['nothing', form('')],
  ])('%s is refused', async (_what, bytes) => {
    const { status } = await send(bytes);
    expect([400, 413]).toContain(status);
  });

  test.each([
    ['multipart/form-data', 'multipart/form-data'],
    ['with an empty boundary', 'multipart/form-data; boundary='],
    ['with an empty boundary in quotes', 'multipart/form-data; boundary=""'],
    ["with a boundary that is not the form's", 'multipart/form-data; boundary=c'],
    ['with a boundary of 5000 letters', `multipart/form-data; boundary=${'b'.repeat(5000)}`],
    ['multipart/mixed', 'multipart/mixed; boundary=b'],
    ['with a boundary in half a pair of quotes', 'multipart/form-data; boundary="b'],
    ['text/plain', 'text/plain'],
    ['that says nothing', ';'],
  ])('content-type %s is refused', async (_what, type) => {
    const whole = form(head('name="name"'), 'herons\r\n', head('name="files"; filename="a.png"'), 'x\r\n--b--\r\n');
    expect((await send(whole, [whole], type)).status).toBe(400);
  });

  const small = form(
    head('name="name"'),
    'herons\r\n',
    head('name="files"; filename="a.png"'),
    'x\r\n',
    head('name="files"; filename=""'),
    '\r\n--b--',
  );

  test('a form that is cut at any of its bytes is refused; whole it is accepted', async () => {
    for (let length = 0; length < small.length; length++)
      expect((await send(small.subarray(0, length))).status).toBe(400);
    expect((await send(small)).status).toBe(202);
  });

  test('a connection that is cut in any place of a form leaves nothing', async () => {
    const before = accepted;
    for (let length = 0; length < small.length; length += 5)
      await sendForm(gateway.url, [small.subarray(0, length)], { hangUp: true });
    expect(accepted).toBe(before);
  });

  test.each([1, 2, 3, 4])('a few hundred random forms, seed %i', async (seed) => {
    const random = new Random(seed);
    const before = accepted;
    for (let count = 0; count < 150; count++) {
      const made = randomForm(random);
      const bytes = random.chance(0.3) ? mutated(random, made) : made;
      const pieces = inPieces(random, bytes);
      if (random.chance(0.1))
        await sendForm(gateway.url, inPieces(random, bytes.subarray(0, random.below(bytes.length))), { hangUp: true });
      else await send(bytes, pieces);
    }
    // Neither all refused nor all accepted: the grammar reaches both.
    expect(accepted - before).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(10);
  });
});
