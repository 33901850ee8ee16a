import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { UploadFile } from '@atelier/client';
import { readUpload } from '../src/datasets/upload';

const part = (name: string): string =>
  `--b\r\nContent-Disposition: form-data; name="files"; filename="${name}"\r\n\r\npixels\r\n`;

const limits = { uploadFileLimit: 1000, uploadTotalLimit: 1000, uploadFileCount: 1 };
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * The first file of a form has come, or a part of it, and nobody reads yet. An error event without a listener ends the
 * process.
 */
async function waitingFile(
  sent = `${part('a.png')}--b\r\n`,
): Promise<{ request: PassThrough; files: AsyncIterator<UploadFile>; data: Readable }> {
  const request = Object.assign(new PassThrough(), { headers: { 'content-type': 'multipart/form-data; boundary=b' } });
  const reading = readUpload(request as unknown as IncomingMessage, limits);
  request.write(sent);
  const files = (await reading).files[Symbol.asyncIterator]();
  const { value } = (await files.next()) as IteratorYieldResult<UploadFile>;
  return { request, files, data: value.data as Readable };
}

test('a form that is refused while a file waits to be read fails for its reader, and for nobody else', async () => {
  const { request, files } = await waitingFile();
  request.end(`${part('b.png').slice('--b\r\n'.length)}--b--\r\n`);
  await nextTurn();
  await expect(files.next()).rejects.toThrow(
    'this upload has more than 1 files: send a .zip, a .tar or a .parquet instead',
  );
});

test('so does one whose connection breaks while a file of it waits to be read', async () => {
  const { request, data, files } = await waitingFile(part('a.png').slice(0, -'els\r\n'.length));
  request.destroy(new Error('cut'));
  await nextTurn();
  await expect(buffer(data)).rejects.toThrow('the connection closed before all was sent');
  await expect(files.next()).rejects.toThrow('the connection closed before all was sent');
});

test('a file that is not read is passed over, and its stream ends', async () => {
  const { request, files, data } = await waitingFile();
  const over = files.next();
  request.end('Content-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--b--');
  await expect(over).rejects.toThrow('this upload has more than 1 files');
  expect(await buffer(data)).toHaveLength(0);
});
