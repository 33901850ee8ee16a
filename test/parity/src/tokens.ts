// tokens.json: both tokenizers' ids, exactly.
import type { Subject } from './subject';
import { EXACT } from './table';

export async function tokens({ fixtures, table }: Subject): Promise<void> {
  const { clip, t5 } = await fixtures.checkpoint.tokenizers();
  for (const [i, expected] of (await fixtures.prompts()).entries()) {
    const name = `${i} ${JSON.stringify(expected.prompt.slice(0, 32))}`;
    table.values(`clip ids ${name}`, clip(expected.prompt), expected.clip, EXACT);
    table.values(`t5 ids ${name}`, t5(expected.prompt, expected.t5.length), expected.t5, EXACT);
    if (expected.t5_untruncated_length !== undefined) {
      const padding = 8;
      const uncut = t5(expected.prompt, expected.t5_untruncated_length + padding);
      table.values(
        `t5 untruncated length ${name}`,
        [withoutPadding(uncut).length],
        [expected.t5_untruncated_length],
        EXACT,
      );
    }
  }
}

function withoutPadding(ids: Int32Array): Int32Array {
  let length = ids.length;
  while (length > 0 && ids[length - 1] === 0) length--;
  return ids.subarray(0, length);
}
