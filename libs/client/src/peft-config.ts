import { AtelierError } from '@atelier/contracts';

/** Where diffusers keeps peft's settings in a file's metadata; each field's name begins with the component's. */
const KEY = 'lora_adapter_metadata';
const COMPONENT = 'transformer';
const LENGTH_BYTES = 8;

/**
 * The same adapter with the settings of peft's adapter_config.json in it, which decide its strength: from here on it is
 * one file. Bytes that are no safetensors file stay as they are, for the engine to say what they are.
 */
export function withPeftConfig(bytes: Uint8Array, config: string): Uint8Array {
  const settings = settingsOf(config);
  const header = headerOf(bytes);
  if (!header) return bytes;
  const { __metadata__: metadata, ...tensors } = header.entries;
  const own = typeof metadata === 'object' && metadata !== null ? metadata : {};
  const json = Buffer.from(JSON.stringify({ __metadata__: { ...own, [KEY]: settings }, ...tensors }));
  const length = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES; // padded with spaces, so that the data is aligned
  const start = Buffer.alloc(LENGTH_BYTES + length, ' ');
  start.writeBigUInt64LE(BigInt(length));
  start.set(json, LENGTH_BYTES);
  return Buffer.concat([start, bytes.subarray(header.end)]);
}

function settingsOf(config: string): string {
  let settings: unknown;
  try {
    settings = JSON.parse(config.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new AtelierError('INVALID_ARGUMENT', `adapter_config.json is not JSON (${(error as Error).message})`);
  }
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      'adapter_config.json is not a JSON object: take the one that peft wrote',
    );
  return JSON.stringify(
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${COMPONENT}.${key}`, value])),
  );
}

function headerOf(bytes: Uint8Array): { entries: Record<string, unknown>; end: number } | undefined {
  if (bytes.byteLength < LENGTH_BYTES) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(bytes.byteLength - LENGTH_BYTES)) return undefined;
  const end = LENGTH_BYTES + Number(length);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(LENGTH_BYTES, end));
    const entries: unknown = JSON.parse(text);
    return typeof entries === 'object' && entries !== null && !Array.isArray(entries)
      ? { entries: entries as Record<string, unknown>, end }
      : undefined;
  } catch {
    return undefined;
  }
}
