import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { readUpload } from '../src/datasets/upload';

const part = (name: string): string => `--b\r\nContent-Disposition: form-data; name="files"; filename="${name}"\r\n\r\npixels\r\n`;

test('a form that is refused while a file of it waits to be read fails for its reader, and ends nothing else', async () => {
  const request = Object.assign(new PassThrough(), { headers: { 'content-type': 'multipart/form-data; boundary=b' } });
  const reading = readUpload(request as unknown as IncomingMessage, { uploadFileLimit: 1000, uploadTotalLimit: 1000, uploadFileCount: 1 });
  request.write(`${part('a.png')}--b\r\n`); // the whole of the first file
  const { files } = await reading;
  await new Promise((resolve) => setImmediate(resolve)); // it lies ready, and nobody listens to it any more
  // An error event without a listener would end the process here.
  request.end(`${part('b.png').slice('--b\r\n'.length)}--b--\r\n`);
  await new Promise((resolve) => setImmediate(resolve));
  await expect(files[Symbol.asyncIterator]().next()).rejects.toThrow('this upload has more than 1 files: send a .zip, a .tar or a .parquet instead');
});
