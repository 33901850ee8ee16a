import { parseTensorFile, type StoredTensor, type TensorFile } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';

const DOWN = /\.(lora_A|lora_down)\.weight$/;
const UP = /\.(lora_B|lora_up)\.weight$/;

/** The exponent bits of a number that is NaN or infinite, by dtype. Words are read from a copy, which is aligned where a file's part need not be. */
const NOT_FINITE: Record<string, { mask: number; words: (bytes: Uint8Array) => Uint16Array | Uint32Array }> = {
  F32: { mask: 0x7f800000, words: (bytes) => new Uint32Array(new Uint8Array(bytes).buffer) },
  F16: { mask: 0x7c00, words: (bytes) => new Uint16Array(new Uint8Array(bytes).buffer) },
  BF16: { mask: 0x7f80, words: (bytes) => new Uint16Array(new Uint8Array(bytes).buffer) },
};

/**
 * What a LoRA file says of itself (diffusers or kohya keys), after checking that its bytes agree with its header and that
 * its matrices come in pairs of finite numbers. Whether it fits a checkpoint is for the engine to say, which knows one.
 */
export function describeAdapter(label: string, bytes: Uint8Array): { rank: number; alpha: number } {
  const file = parsed(label, bytes);
  const matrices = [...file.tensors].filter(([name]) => DOWN.test(name) || UP.test(name));
  const down = matrices.filter(([name]) => DOWN.test(name));
  if (down.length === 0 || down.length * 2 !== matrices.length) {
    throw refusal(
      label,
      `it has ${down.length} lora_A (or lora_down) and ${matrices.length - down.length} lora_B (or lora_up) tensors where pairs are needed: is it a FLUX LoRA?`,
    );
  }
  for (const [name, tensor] of matrices) checkMatrix(label, name, tensor);
  for (const [name] of matrices) {
    if (!file.tensors.has(partnerOf(name))) throw refusal(label, `${name} has no partner ${partnerOf(name)}`);
  }
  const rank = Math.max(...down.map(([, { shape }]) => shape[0]!));
  return { rank, alpha: alphaOf(label, file) ?? rank };
}

function parsed(label: string, bytes: Uint8Array): TensorFile {
  try {
    return parseTensorFile(bytes, 'the safetensors file');
  } catch (error) {
    throw refusal(label, (error as Error).message);
  }
}

const PARTNERS: Record<string, string> = {
  lora_A: 'lora_B',
  lora_B: 'lora_A',
  lora_down: 'lora_up',
  lora_up: 'lora_down',
};

function partnerOf(name: string): string {
  return name.replace(/(lora_A|lora_B|lora_down|lora_up)\.weight$/, (_, part: string) => `${PARTNERS[part]}.weight`);
}

function checkMatrix(label: string, name: string, { dtype, shape, bytes }: StoredTensor): void {
  if (shape.length !== 2) throw refusal(label, `${name} has shape [${shape.join(', ')}] where a matrix is needed`);
  const kind = NOT_FINITE[dtype];
  if (!kind) throw refusal(label, `${name} is ${dtype} where F32, F16 or BF16 is needed`);
  const bad = kind.words(bytes).findIndex((word) => (word & kind.mask) === kind.mask);
  if (bad >= 0)
    throw refusal(label, `${name} is not a finite number at element ${bad}: the training that made it diverged`);
}

/** kohya writes an alpha tensor for every module, diffusers one in its metadata; neither means alpha = rank. */
function alphaOf(label: string, { tensors, metadata }: TensorFile): number | undefined {
  const scalar = [...tensors].find(([name, { dtype }]) => name.endsWith('.alpha') && dtype === 'F32')?.[1];
  if (scalar && scalar.bytes.byteLength === 4)
    return new DataView(new Uint8Array(scalar.bytes).buffer).getFloat32(0, true);
  const alpha = settingsOf(label, metadata.lora_adapter_metadata);
  return typeof alpha === 'number' ? alpha : undefined;
}

/** The engine refuses settings that it cannot read, so they are refused before anyone relies on them. */
function settingsOf(label: string, text = '{}'): unknown {
  try {
    const config = JSON.parse(text) as Record<string, unknown> | null;
    return config?.['transformer.lora_alpha'] ?? config?.lora_alpha;
  } catch (error) {
    throw refusal(label, `its metadata lora_adapter_metadata is not JSON (${(error as Error).message})`);
  }
}

function refusal(label: string, reason: string): AtelierError {
  return new AtelierError('INVALID_ARGUMENT', `adapter file ${label} cannot be used: ${reason}`);
}
