// Small tensor sets in memory, in the safetensors format: a u64 header length, a JSON header, the tensors' bytes back to back.
// Used for what travels between services (latents, prompts) and for reading goldens; weights on disk are read by the native engine.
import { isUtf8 } from 'node:buffer';
import { CheckpointError } from './errors';

/** Row-major float32 values. `shape` has one entry per dimension; a scalar has none. */
export interface Tensor {
  shape: number[];
  data: Float32Array;
}

/** A tensor as it lies in a file. `bytes` is a view into the file, not a copy. */
export interface StoredTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export interface TensorFile {
  metadata: Record<string, string>;
  tensors: Map<string, StoredTensor>;
}

const ITEM_BYTES: Record<string, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};
export const HEADER_LIMIT = 100_000_000; // as the reference implementation

/**
 * Reads the header and checks every byte range.
 * @param source names the bytes in errors, for example a file's path
 * @throws CheckpointError DATA_LOSS when the bytes contradict themselves
 */
export function parseTensorFile(bytes: Uint8Array, source = 'tensor set'): TensorFile {
  const broken = (why: string) => new CheckpointError('DATA_LOSS', `${source}: ${why}; write the file again`);
  if (bytes.byteLength < 8) throw broken(`has ${bytes.byteLength} bytes, a safetensors file has at least 8`);
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > HEADER_LIMIT || headerLength > bytes.byteLength - 8) {
    throw broken(`claims a header of ${headerLength} bytes in a file of ${bytes.byteLength}`);
  }
  const header = parseHeader(Buffer.from(bytes.buffer, bytes.byteOffset + 8, headerLength), broken);
  const body = bytes.subarray(8 + headerLength);
  const tensors = new Map<string, StoredTensor>();
  const ranges: { name: string; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header.tensors)) {
    const { dtype, shape, begin, end } = checkEntry(name, entry, body.byteLength, broken);
    ranges.push({ name, begin, end });
    tensors.set(name, { dtype, shape, bytes: body.subarray(begin, end) });
  }
  const odd = uncountable(header.text);
  if (odd !== undefined) throw broken(`its header has ${odd.slice(0, 20)} where a whole number from 0 on is needed`);
  let covered = 0;
  for (const { name, begin, end } of ranges.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) throw broken(`tensor ${name} starts at byte ${begin}, the one before it ends at ${covered}`);
    covered = end;
  }
  if (covered !== body.byteLength) throw broken(`the tensors end at byte ${covered} of ${body.byteLength}`);
  return { metadata: header.metadata, tensors };
}

function parseHeader(json: Buffer, broken: (why: string) => CheckpointError) {
  if (!isUtf8(json)) throw broken('its header is not UTF-8');
  const text = json.toString('utf8');
  let parsed: unknown;
  try {
    parsed = parseStrictly(text);
  } catch (error) {
    throw broken(`its header is not JSON (${(error as Error).message})`);
  }
  if (!isObject(parsed)) throw broken('its header is not a JSON object');
  const { __metadata__: metadata = {}, ...tensors } = parsed;
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw broken('__metadata__ is not a map of strings');
  }
  return { text, metadata: metadata as Record<string, string>, tensors };
}

const HALF_OF_A_PAIR = /\p{Surrogate}/u;

/** As the engine and the reference implementation take JSON: without half of a surrogate pair, as escapes can write. */
function parseStrictly(text: string): unknown {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (key, value: unknown) => {
    const half = [key, value].find((part) => typeof part === 'string' && HALF_OF_A_PAIR.test(part));
    if (half !== undefined) throw new SyntaxError(`${JSON.stringify(half).slice(0, 80)} has half of a surrogate pair`);
    return value;
  });
}

/** A number that is no count as it is written, as 2.0 or -0: the engine refuses it. The text is known to be JSON. */
function uncountable(text: string): string | undefined {
  const withoutStrings = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return withoutStrings.match(/-\d[\d.eE+-]*|\d+[.eE][\d.eE+-]*/)?.[0];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkEntry(name: string, entry: unknown, available: number, broken: (why: string) => CheckpointError) {
  const {
    dtype,
    shape,
    data_offsets: offsets,
  } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (typeof dtype !== 'string' || ITEM_BYTES[dtype] === undefined)
    throw broken(`tensor ${name} has the unknown dtype ${String(dtype)}`);
  if (!isCounts(shape)) throw broken(`tensor ${name} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2) throw broken(`tensor ${name} has no valid data_offsets`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available) throw broken(`tensor ${name} lies at bytes ${begin} to ${end} of ${available}`);
  // A product too large for the engine is refused here too, also where a later 0 would hide it.
  const times = (product: number, n: number): number => (product > Number.MAX_SAFE_INTEGER ? NaN : product * n);
  const expected = shape.reduce(times, ITEM_BYTES[dtype]);
  if (expected !== end - begin)
    throw broken(`tensor ${name} of ${dtype} [${shape.join(', ')}] needs ${expected} bytes and has ${end - begin}`);
  return { dtype, shape, begin, end };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/**
 * The inverse of `encodeTensors`.
 * @throws CheckpointError DATA_LOSS for broken bytes, INVALID_ARGUMENT for a tensor that is not float32
 */
export function decodeTensors(bytes: Uint8Array, source = 'tensor set'): Record<string, Tensor> {
  const decoded: Record<string, Tensor> = {};
  for (const [name, stored] of parseTensorFile(bytes, source).tensors) {
    if (stored.dtype !== 'F32') {
      throw new CheckpointError(
        'INVALID_ARGUMENT',
        `${source}: tensor ${name} is ${stored.dtype}, expected F32; encode it as float32`,
      );
    }
    // A copy: float32 views need 4-byte alignment, and the tensor must not keep the whole message alive. (A Buffer's own slice is a view.)
    const copy = new Uint8Array(stored.bytes);
    decoded[name] = { shape: stored.shape, data: new Float32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4) };
  }
  return decoded;
}

/**
 * Encodes float32 tensors as safetensors bytes. Names are sorted, so equal sets give equal bytes.
 * @throws CheckpointError INVALID_ARGUMENT when a shape does not match its data
 */
export function encodeTensors(tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array {
  const names = Object.keys(tensors).sort();
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const name of names) {
    const { shape, data } = tensors[name]!;
    const count = shape.reduce((product, n) => product * n, 1);
    if (name === '__metadata__' || !isCounts(shape) || count !== data.length) {
      throw new CheckpointError(
        'INVALID_ARGUMENT',
        `tensor ${name}: shape [${shape.join(', ')}] holds ${count} values, the data ${data.length}`,
      );
    }
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const headerLength = Math.ceil(json.length / 8) * 8; // padded with spaces so that the data is aligned
  const file = new Uint8Array(8 + headerLength + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, 8 + json.length, 8 + headerLength);
  file.set(json, 8);
  let at = 8 + headerLength;
  for (const name of names) {
    const { data } = tensors[name]!;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}
