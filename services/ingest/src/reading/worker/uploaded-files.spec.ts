import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uploadedFiles } from './uploaded-files';

describe('uploaded files', () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'uploaded-spec-'))));
  afterEach(() => rm(folder, { recursive: true }));

  it('can be read again and again, though each is gone from the disk when it was read', async () => {
    const path = join(folder, '0');
    // As the service does it: what lies there is not fetched.
    const fetch = async (): Promise<string> => {
      const there = await access(path).then(
        () => true,
        () => false,
      );
      if (!there) await writeFile(path, 'content');
      return path;
    };
    const [file] = uploadedFiles([{ name: 'a.csv', size: 7 }], fetch);
    for (let time = 0; time < 50; time += 1) {
      let text = '';
      for await (const chunk of await file!.open()) text += String(chunk);
      expect(text).toBe('content');
    }
  });
});
