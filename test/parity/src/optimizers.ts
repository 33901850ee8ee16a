// optim.safetensors: the parameters after every update, and the states after the last.
import { dynamicMap, Optimizer } from './pieces';
import type { OptimizerKind } from '@atelier/engine';
import { codesDiffer } from './codes';
import type { Goldens } from './goldens';
import type { Subject } from './subject';
import { FLOAT, type Table } from './table';

const BLOCK = 256;
const KINDS: OptimizerKind[] = ['adamw8bit_all', 'adamw8bit', 'adamw'];

type States = ReturnType<Optimizer['states']>;

export async function optimizers({ fixtures, table }: Subject): Promise<void> {
  const goldens = await fixtures.goldens('optim.safetensors');
  const rates = fixtures.settings.training;
  for (const which of goldens.names(/^(.+)_p0$/)) {
    let param = goldens.tensor(`${which}_p0`).data;
    const gradients = goldens.rows(`${which}_grads`);
    const optimizer = Optimizer.create(KINDS.find((kind) => which.startsWith(kind)) ?? 'adamw', param.length, rates);
    let before = optimizer.states();
    for (const [i, gradient] of gradients.entries()) {
      before = optimizer.states();
      param = optimizer.step(param, gradient.data);
      const name = `${which}_p${i + 1}`;
      if (goldens.has(name)) table.values(name, param, goldens.tensor(name).data, FLOAT);
    }
    const last = gradients[gradients.length - 1]!.data;
    compareStates(table, goldens, which, optimizer.states(), (state, code) => moment(state, code, before, last, rates));
    await optimizer.dispose();
  }
}

function compareStates(
  table: Table,
  goldens: Goldens,
  which: string,
  { values, codes }: States,
  exact: (state: string, index: number) => number,
): void {
  for (const state of goldens.names(new RegExp(`^${which}_state_(.+)$`))) {
    const name = `${which}_state_${state}`;
    const found = codes[state];
    if (goldens.dtype(name) !== 'U8') {
      table.values(name, values[state]?.data ?? [], goldens.tensor(name).data, FLOAT);
    } else if (!found) {
      table.fail(name, 'the engine keeps no 8-bit codes here');
    } else {
      const { data: absmax } = values[state.replace('state', 'absmax')]!;
      table.fact(
        name,
        codesDiffer(
          found,
          goldens.bytes(name),
          dynamicMap(state === 'state1'),
          (i) => exact(state, i) / absmax[Math.floor(i / BLOCK)]!,
        ),
      );
    }
  }
}

/** An 8-bit moment before it was rounded to a code: from the state one update ago. */
function moment(
  state: string,
  index: number,
  { values, codes }: States,
  gradient: Float32Array,
  { beta1, beta2 }: { beta1: number; beta2: number },
): number {
  const first = state === 'state1';
  const old =
    dynamicMap(first)[codes[state]![index]!]! *
    values[state.replace('state', 'absmax')]!.data[Math.floor(index / BLOCK)]!;
  const beta = first ? beta1 : beta2;
  return beta * old + (1 - beta) * (first ? gradient[index]! : gradient[index]! ** 2);
}
