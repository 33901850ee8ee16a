import { AtelierError } from '@atelier/contracts';

const MAX_HEADER_BYTES = 100 * 1024 * 1024;
const DTYPE_BYTES: Record<string, number> = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 };
const DOWN = /\.(lora_A\.weight|lora_down\.weight)$/;
const UP = /\.(lora_B\.weight|lora_up\.weight)$/;

interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/**
 * What a LoRA file says of itself, from its safetensors header alone, after checking that the header does not lie.
 * Whether it fits a checkpoint is for the engine to say, which knows one.
 */
export function describeAdapter(label: string, bytes: Uint8Array): { rank: number; alpha: number } {
  const { entries, metadata, dataStart } = readHeader(label, bytes);
  const down = entries.filter(({ name }) => DOWN.test(name));
  const up = entries.filter(({ name }) => UP.test(name));
  if (down.length === 0 || down.length !== up.length) {
    throw refusal(label, `it has ${down.length} lora_A (or lora_down) and ${up.length} lora_B (or lora_up) tensors where pairs are needed: is it a FLUX LoRA?`);
  }
  for (const { name, shape } of [...down, ...up]) {
    if (shape.length !== 2) throw refusal(label, `${name} has shape [${shape}] where a matrix is needed`);
  }
  const rank = Math.max(...down.map(({ shape }) => shape[0]));
  return { rank, alpha: alphaOf(entries, metadata, bytes, dataStart) ?? rank };
}

/** kohya writes an alpha tensor for every module, diffusers one in its metadata; neither means alpha = rank. */
function alphaOf(entries: Entry[], metadata: Record<string, string>, bytes: Uint8Array, dataStart: number): number | undefined {
  const scalar = entries.find(({ name, dtype }) => name.endsWith('.alpha') && dtype === 'F32');
  if (scalar) return new DataView(bytes.buffer, bytes.byteOffset + dataStart + scalar.begin, 4).getFloat32(0, true);
  try {
    const config = JSON.parse(metadata.lora_adapter_metadata ?? '{}') as Record<string, unknown>;
    const alpha = config['transformer.lora_alpha'] ?? config.lora_alpha;
    return typeof alpha === 'number' ? alpha : undefined;
  } catch {
    return undefined;
  }
}

function readHeader(label: string, bytes: Uint8Array): { entries: Entry[]; metadata: Record<string, string>; dataStart: number } {
  if (bytes.byteLength < 10) throw refusal(label, `it is ${bytes.byteLength} bytes long, too short for a safetensors file`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || length + 8 > bytes.byteLength) {
    throw refusal(label, `its header claims ${length} bytes of ${bytes.byteLength - 8}: it is cut short or not a safetensors file`);
  }
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + 8, length).toString('utf8'));
  } catch {
    throw refusal(label, 'its header is not JSON: it is not a safetensors file');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw refusal(label, 'its header is not an object');
  const { __metadata__: metadata = {}, ...tensors } = header as Record<string, unknown>;
  const room = bytes.byteLength - 8 - length;
  const entries = Object.entries(tensors).map(([name, value]) => checkedEntry(label, name, value, room));
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) throw refusal(label, `${name} begins at ${begin} where ${covered} was expected: tensors overlap or leave a gap`);
    covered = end;
  }
  if (covered !== room) throw refusal(label, `its tensors cover ${covered} of ${room} bytes`);
  return { entries, metadata: metadata as Record<string, string>, dataStart: 8 + length };
}

function checkedEntry(label: string, name: string, value: unknown, room: number): Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const whole = (list: unknown): list is number[] => Array.isArray(list) && list.every((item) => Number.isSafeInteger(item) && item >= 0);
  if (typeof dtype !== 'string' || !whole(shape) || !whole(offsets) || offsets.length !== 2) {
    throw refusal(label, `${name} has no valid dtype, shape and offsets`);
  }
  const size = DTYPE_BYTES[dtype];
  if (size === undefined) throw refusal(label, `${name} has dtype ${dtype}, which is not known`);
  const [begin, end] = offsets;
  const expected = shape.reduce((product, dimension) => product * dimension, size);
  if (end > room || begin > end || end - begin !== expected) {
    throw refusal(label, `${name} claims bytes ${begin} to ${end} of ${room}; shape [${shape}] of ${dtype} needs ${expected}`);
  }
  return { name, dtype, shape, begin, end };
}

function refusal(label: string, reason: string): AtelierError {
  return new AtelierError('INVALID_ARGUMENT', `adapter file ${label} cannot be used: ${reason}`);
}
