import { open } from 'node:fs/promises';
import { CheckpointError } from './errors';
import { missing } from './json-file';
import { HEADER_LIMIT } from './tensors';

/**
 * Whether a safetensors file is as long as its header says, without reading the tensors: a download or a copy that was
 * cut short is not, and neither is one that is still being written.
 * @throws CheckpointError DATA_LOSS with the numbers, NOT_FOUND where it cannot be opened
 */
export async function checkWeightSize(file: string): Promise<void> {
  const broken = (why: string) => new CheckpointError('DATA_LOSS', `${file}: ${why}; download the file again`);
  const handle = await open(file).catch((error: unknown) => {
    throw missing(file, 'weights', error);
  });
  try {
    const { size } = await handle.stat();
    const start = Buffer.alloc(8);
    if ((await handle.read(start, 0, 8, 0)).bytesRead < 8) throw broken(`has ${size} bytes, and no header`);
    const headerLength = Number(start.readBigUInt64LE());
    if (headerLength > HEADER_LIMIT || headerLength > size - 8)
      throw broken(`claims a header of ${headerLength} bytes in a file of ${size}`);
    const header = Buffer.alloc(headerLength);
    await handle.read(header, 0, headerLength, 8);
    const wanted = 8 + headerLength + endOfTensors(header, broken);
    if (size !== wanted) throw broken(`has ${size} bytes where its header says ${wanted}`);
  } finally {
    await handle.close();
  }
}

function endOfTensors(header: Buffer, broken: (why: string) => CheckpointError): number {
  let entries: ({ data_offsets?: unknown[] } | null)[];
  try {
    const { __metadata__, ...tensors } = JSON.parse(header.toString('utf8')) as Record<
      string,
      { data_offsets?: unknown[] } | null
    >;
    entries = Object.values(tensors);
  } catch (error) {
    throw broken(`its header is not JSON (${(error as Error).message})`);
  }
  const ends = entries.map((entry) => Number(entry?.data_offsets?.[1]));
  if (!ends.every(Number.isSafeInteger)) throw broken('its header does not say where its tensors end');
  return ends.reduce((last, end) => Math.max(last, end), 0);
}
