import { Controller, Get } from '@nestjs/common';
import { AtelierClient, type ServiceState } from '@atelier/client';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { Operation } from '../openapi/operation';

const computing = z.strictObject({
  device: z.string().describe('"cuda: NVIDIA GeForce RTX 4090, 24 GB", or "cpu".'),
  card_bytes: z.int().describe("The card's memory; 0: the CPU computes."),
  engine: z.string().describe('What of CUDA is in the engine: "CUDA 13.0 for 8.9", or "no CUDA".'),
  note: z.string().nullable().describe('Why the CPU computes although a card is there.'),
});
const service = z.strictObject({
  name: z.string(),
  state: z.enum(['ready', 'not_ready', 'not_running']),
  version: z.string().nullable(),
  detail: z.string().nullable().describe('In its own words, or why it did not answer.'),
  computing: computing.nullable().describe('Of services that compute.'),
});
const info = z.strictObject({
  object: z.literal('info'),
  services: z.array(service),
  notes: z.array(z.string()).describe('What whoever looks after this should know, each once.'),
});

@Controller('v1/info')
export class InfoController {
  constructor(private readonly client: AtelierClient) {}

  @Needs('read')
  @Get()
  @Operation({
    summary: 'What is running, and on what it computes.',
    answer: { schema: info, description: 'Every service; one that does not answer is said to be not running.' },
  })
  async getInfo(): Promise<z.output<typeof info>> {
    const services = (await this.client.status()).map(viewService);
    const notes = new Set(services.flatMap(({ computing: on }) => on?.note ?? []));
    return { object: 'info', services, notes: [...notes] };
  }
}

function viewService({ service: name, running, ready, version, detail, computing: on }: ServiceState) {
  return {
    name,
    state: ready ? ('ready' as const) : running ? ('not_ready' as const) : ('not_running' as const),
    version: version || null,
    detail: detail || null,
    computing: on ? { device: on.device, card_bytes: on.cardBytes, engine: on.engine, note: on.note || null } : null,
  };
}
