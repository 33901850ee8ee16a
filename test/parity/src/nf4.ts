// nf4.safetensors: the code book, the dynamic maps, and tensors through NF4, once and double-quantised.
import type { Tensor } from '@atelier/checkpoint';
import { dequantizeNf4, dynamicMap, nf4Code, quantizeNf4 } from './pieces';
import type { Nf4Quantized } from './testing-addon';
import { codesDiffer } from './codes';
import type { Goldens } from './goldens';
import type { Subject } from './subject';
import { EXACT, FLOAT, type Table } from './table';

const BLOCK = 64;
const NESTED_BLOCK = 256;
const LANES = 16; // floats in a register of bitsandbytes' CPU kernel

export async function nf4({ fixtures, table }: Subject): Promise<void> {
  const goldens = await fixtures.goldens('nf4.safetensors');
  table.values('nf4_code', nf4Code(), goldens.tensor('nf4_code').data, EXACT);
  table.values('map_signed', dynamicMap(true), goldens.tensor('map_signed').data, EXACT);
  table.values('map_unsigned', dynamicMap(false), goldens.tensor('map_unsigned').data, EXACT);
  for (const which of goldens.names(/^(.+)_in$/)) {
    once(table, goldens, which);
    twice(table, goldens, which);
  }
}

function once(table: Table, goldens: Goldens, which: string): void {
  const { data } = goldens.tensor(`${which}_in`);
  const quantized = quantizeNf4(data);
  table.values(`${which}_packed`, quantized.packed, goldens.bytes(`${which}_packed`), EXACT);
  table.values(`${which}_absmax`, quantized.absmax, goldens.tensor(`${which}_absmax`).data, EXACT);
  table.values(
    `${which}_out`,
    dequantized(quantized, goldens.tensor(`${which}_in`)),
    goldens.tensor(`${which}_out`).data,
    EXACT,
  );
}

function twice(table: Table, goldens: Goldens, which: string): void {
  const { data } = goldens.tensor(`${which}_in`);
  const quantized = quantizeNf4(data, { doubleQuant: true });
  const { absmax } = quantizeNf4(data);
  const exact = (i: number) =>
    (absmax[i]! - quantized.nestedOffset) / (quantized.nestedAbsmax[Math.floor(i / NESTED_BLOCK)] || 1);
  table.values(`${which}_packed double-quantised`, quantized.packed, goldens.bytes(`${which}_packed`), EXACT);
  table.fact(
    `${which}_dq_absmax`,
    codesDiffer(quantized.absmax8, goldens.bytes(`${which}_dq_absmax`), dynamicMap(true), exact),
  );
  table.values(`${which}_dq_offset`, [quantized.nestedOffset], goldens.tensor(`${which}_dq_offset`).data, FLOAT);
  table.values(
    `${which}_dq_nested_absmax`,
    quantized.nestedAbsmax,
    goldens.tensor(`${which}_dq_nested_absmax`).data,
    FLOAT,
  );
  table.values(
    `${which}_dq_out`,
    dequantized(quantized, goldens.tensor(`${which}_in`)),
    goldens.tensor(`${which}_dq_out`).data,
    FLOAT,
  );
}

/**
 * As bitsandbytes' CPU kernel: where rows are a multiple of 16 elements but not whole blocks, it counts a row's blocks from the row's
 * start, so that each row is dequantised on its own, with the scales from block (row · whole blocks in a row) on.
 */
function dequantized(quantized: Nf4Quantized, { shape, data }: Tensor): Float32Array {
  const width = shape[shape.length - 1]!;
  if (width % BLOCK === 0 || width % LANES !== 0) return dequantizeNf4(quantized, data.length);
  const scales = dequantizeNf4(scalesOf(quantized), BLOCK * Math.ceil(data.length / BLOCK)).filter(
    (_, i) => i % BLOCK === 0,
  );
  const result = new Float32Array(data.length);
  for (let begin = 0, row = 0; begin < data.length; begin += width, row++) {
    const first = row * Math.floor(width / BLOCK);
    const own = {
      packed: quantized.packed.slice(begin / 2, (begin + width) / 2),
      absmax: scales.slice(first, first + Math.ceil(width / BLOCK)),
      ...SINGLE,
    };
    result.set(dequantizeNf4(own, width), begin);
  }
  return result;
}

const SINGLE = { absmax8: new Uint8Array(), nestedAbsmax: new Float32Array(), nestedOffset: 0 };
const ONE = 0xff; // two codes of the value 1

/** A tensor whose values are its blocks' scales. */
function scalesOf(quantized: Nf4Quantized): Nf4Quantized {
  const blocks = quantized.absmax.length || quantized.absmax8.length;
  return { ...quantized, packed: new Uint8Array((blocks * BLOCK) / 2).fill(ONE) };
}
