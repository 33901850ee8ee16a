import { encodeTensors } from '@atelier/checkpoint';
import { describeAdapter } from '@atelier/engine';

const matrix = (rows: number, columns: number) => ({
  shape: [rows, columns],
  data: new Float32Array(rows * columns).fill(0.5),
});
const pair = (path: string, rank = 2) => ({
  [`transformer.${path}.lora_A.weight`]: matrix(rank, 8),
  [`transformer.${path}.lora_B.weight`]: matrix(8, rank),
});

describe('describeAdapter', () => {
  it('tells blocks that have the same modules together, and what is outside of them', async () => {
    const tensors = Object.assign(
      {},
      ...[0, 1, 2, 7].map((block) => pair(`transformer_blocks.${block}.attn.to_q`)),
      ...[0, 7].map((block) => pair(`transformer_blocks.${block}.attn.to_k`)),
      pair('single_transformer_blocks.3.proj_out', 4),
      pair('x_embedder'),
    ) as ReturnType<typeof pair>;
    const { rank, alpha, contents } = await describeAdapter(encodeTensors(tensors), 'x');
    expect([rank, alpha]).toEqual([2, 2]);
    expect(contents.ranks).toEqual([
      { rank: 2, alpha: 2, modules: 7 },
      { rank: 4, alpha: 4, modules: 1 },
    ]);
    expect(contents.modules).toEqual(
      expect.arrayContaining([
        { blocks: 'transformer_blocks 0, 7', names: ['attn.to_k', 'attn.to_q'] },
        { blocks: 'transformer_blocks 1-2', names: ['attn.to_q'] },
        { blocks: 'single_transformer_blocks 3', names: ['proj_out'] },
        { blocks: '', names: ['x_embedder'] },
      ]),
    );
    expect(contents.modules).toHaveLength(4);
  });

  it("tells the file's short words, on one line, and nothing that a terminal would obey", async () => {
    const { contents } = await describeAdapter(
      encodeTensors(pair('x_embedder'), {
        'modelspec.architecture': 'flux-1-dev/lora',
        ss_tag_frequency: 'x'.repeat(10_000),
        ss_output_name: 'a\u001b[31m\nname',
        ss_vae: 'None',
        trigger_word: 'ink',
        'modelspec.trigger_phrase': 'ink',
        other: 'not of training',
      }),
      'x',
    );
    expect(contents).toMatchObject({ base: 'flux-1-dev/lora', triggerWords: ['ink'] });
    expect(contents.training).toEqual({
      'modelspec.architecture': 'flux-1-dev/lora',
      'modelspec.trigger_phrase': 'ink',
      ss_output_name: 'a [31m name',
    });
  });

  it('says that peft saved its strength elsewhere', async () => {
    const tensors = Object.fromEntries(
      Object.entries(pair('x_embedder')).map(([name, value]) => [
        name.replace('transformer.', 'base_model.model.'),
        value,
      ]),
    );
    const { contents } = await describeAdapter(encodeTensors(tensors), 'x');
    expect(contents.notes).toEqual([expect.stringMatching(/adapter_config\.json is not with it/)]);
    const settings = { lora_adapter_metadata: '{"transformer.lora_alpha": 1}' };
    expect((await describeAdapter(encodeTensors(tensors, settings), 'x')).contents.notes).toEqual([]);
  });
});
