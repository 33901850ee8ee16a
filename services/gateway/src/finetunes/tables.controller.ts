import { Controller, Get, Param } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { adaptersOf, picturesOf } from '@atelier/jobs';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { listOf } from '../datasets/dataset.view';
import { Operation } from '../openapi/operation';

const adapterOfRun = z.strictObject({
  step: z.int().nullable().describe('null: the moving average of all steps.'),
  name: z.string().describe('What it is downloaded and drawn with by.'),
  bytes: z.int(),
  held_out_loss: z.number().nullable().describe('Where that step was scored.'),
  best: z.boolean().describe('It has the lowest held-out loss.'),
});

const share = 'as a share of what all pictures have at the same noise levels';
const pictureTable = z.strictObject({
  object: z.literal('list'),
  step: z.int().describe('As of which step.'),
  data: z.array(
    z.strictObject({
      name: z.string(),
      visits: z.int(),
      loss: z.number().describe(`Its loss ${share}; 1: like the others.`),
      first: z.number().describe('Of its first visits.'),
      latest: z.number().describe('Of its latest.'),
      standing: z.enum(['new', 'learning', 'learnt', 'stuck', 'memorised']),
      caption_gain: z
        .number()
        .nullable()
        .describe(
          "How much lower its loss is under its own caption than under others', as a share; null: not compared.",
        ),
    }),
  ),
});

/** Tables of one run. */
@Controller('v1/finetunes')
export class FinetuneTablesController {
  constructor(private readonly client: AtelierClient) {}

  @Needs('read')
  @Get(':id/adapters')
  @Operation({
    summary: 'The adapters that a run made: by step, its average, its last.',
    answer: { schema: listOf(adapterOfRun), description: 'The adapters, the earliest step first.' },
    refusals: [404],
  })
  async finetuneAdapters(@Param('id') id: string): Promise<unknown> {
    const [run, all] = await Promise.all([this.client.run(id), this.client.adapters()]);
    return { object: 'list', data: adaptersOf(run, all) };
  }

  @Needs('read')
  @Get(':id/pictures')
  @Operation({
    summary: 'How the pictures fare that a run is trained on, the most suspicious first.',
    answer: { schema: pictureTable, description: 'Empty before the first training state is saved.' },
    refusals: [404],
  })
  async finetunePictures(@Param('id') id: string): Promise<unknown> {
    const { step, pictures } = picturesOf(await this.client.run(id));
    return { object: 'list', step, data: pictures };
  }
}
