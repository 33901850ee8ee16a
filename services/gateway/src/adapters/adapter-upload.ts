import { buffer } from 'node:stream/consumers';
import { AtelierError } from '@atelier/contracts';
import type { Request } from 'express';
import { z } from 'zod';
import { readUpload } from '../datasets/upload';
import { PayloadTooLarge } from '../http-error';
import { readBody } from '../read-body';

const CONFIG = 'adapter_config.json';
/** peft's settings name a module a line at most. */
const CONFIG_LIMIT = 1024 * 1024;

export const adapterForm = z.object({
  file: z.string().describe('The adapter: a safetensors file.'),
  config: z
    .string()
    .optional()
    .describe(`peft's ${CONFIG}, as a file of that name or as a field in front of the file.`),
});

export interface UploadedAdapter {
  bytes: Buffer;
  /** The text of peft's settings. */
  config?: string;
}

/** The file alone, or a form of the file and peft's settings. */
export async function readAdapter(request: Request, limit: number): Promise<UploadedAdapter> {
  if (!request.is('multipart/form-data')) return { bytes: await readBody(request, limit) };
  const total = limit + CONFIG_LIMIT;
  const upload = await readUpload(request, { uploadFileLimit: limit, uploadTotalLimit: total, uploadFileCount: 2 });
  try {
    let bytes: Buffer | undefined;
    let { config } = upload.fields;
    for await (const { name, data } of upload.files) {
      const content = data instanceof Uint8Array ? Buffer.from(data) : await buffer(data);
      if (name.endsWith(CONFIG)) config = configText(content);
      else if (bytes)
        throw new AtelierError('INVALID_ARGUMENT', `this form has two adapters: send one, and its ${CONFIG}`);
      else bytes = content;
    }
    if (!bytes)
      throw new AtelierError('INVALID_ARGUMENT', 'this form has no adapter: send the file as its field "file"');
    return { bytes, ...(config !== undefined && { config }) };
  } catch (error) {
    throw upload.abandon(error as Error);
  }
}

function configText(content: Buffer): string {
  if (content.byteLength > CONFIG_LIMIT) throw new PayloadTooLarge(`${CONFIG} is over ${CONFIG_LIMIT / 1024} KiB`);
  return content.toString();
}
