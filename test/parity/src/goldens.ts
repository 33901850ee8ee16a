// One golden file: tensors by name, converted from whatever type they are stored in; remembers which were asked for.
import { parseTensorFile, type StoredTensor, type Tensor } from '@atelier/checkpoint';

const NUMBERS: Record<string, (view: DataView, index: number) => number> = {
  F64: (view, i) => view.getFloat64(8 * i, true),
  F32: (view, i) => view.getFloat32(4 * i, true),
  F16: (view, i) => half(view.getUint16(2 * i, true)),
  BF16: (view, i) => brain(view.getUint16(2 * i, true)),
  I64: (view, i) => Number(view.getBigInt64(8 * i, true)),
  U64: (view, i) => Number(view.getBigUint64(8 * i, true)),
  I32: (view, i) => view.getInt32(4 * i, true),
  I16: (view, i) => view.getInt16(2 * i, true),
  I8: (view, i) => view.getInt8(i),
  U8: (view, i) => view.getUint8(i),
  BOOL: (view, i) => view.getUint8(i),
};

export class Goldens {
  readonly metadata: Record<string, string>;
  private readonly stored: Map<string, StoredTensor>;
  private readonly read = new Set<string>();

  constructor(
    readonly file: string,
    bytes: Uint8Array,
  ) {
    ({ metadata: this.metadata, tensors: this.stored } = parseTensorFile(bytes, file));
  }

  /** All names, or the rest of those that a pattern matches, in the file's order. */
  names(pattern: RegExp = /^(.*)$/): string[] {
    return [...this.stored.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? []);
  }

  has(name: string): boolean {
    return this.stored.has(name);
  }

  /** In safetensors' spelling: F32, U8, … */
  dtype(name: string): string {
    return (this.stored.get(name) ?? this.missing(name)).dtype;
  }

  /** As float32. @throws Error when there is no such tensor */
  tensor(name: string): Tensor {
    const { dtype, shape, bytes } = this.stored.get(name) ?? this.missing(name);
    this.read.add(name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const number = NUMBERS[dtype]!;
    return {
      shape,
      data: Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, (_, i) => number(view, i)),
    };
  }

  /** Whole numbers below 2^24: ids, indices, codes. */
  integers(name: string): number[] {
    return [...this.tensor(name).data];
  }

  bytes(name: string): Uint8Array {
    const { dtype, bytes } = this.stored.get(name) ?? this.missing(name);
    if (dtype !== 'U8') throw new Error(`${this.file}: ${name} is ${dtype}, expected U8`);
    this.read.add(name);
    return bytes;
  }

  /** Entry `index` of the first axis. */
  row(name: string, index: number): Tensor {
    return row(this.tensor(name), index);
  }

  rows(name: string): Tensor[] {
    const tensor = this.tensor(name);
    return Array.from({ length: tensor.shape[0]! }, (_, i) => row(tensor, i));
  }

  unread(): string[] {
    return this.names().filter((name) => !this.read.has(name));
  }

  private missing(name: string): never {
    throw new Error(`${this.file} holds no ${name}`);
  }
}

export function row({ shape: [count, ...shape], data }: Tensor, index: number): Tensor {
  const each = data.length / count!;
  return { shape, data: data.slice(index * each, (index + 1) * each) };
}

function brain(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
