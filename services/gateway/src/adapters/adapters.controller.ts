import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Put, Query, Req, Res } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { adapterFormats } from '@atelier/contracts';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { listOf } from '../datasets/dataset.view';
import { deletedView, viewDeleted } from '../deleted.view';
import { GatewayConfig } from '../gateway.config';
import { firstTryAt } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { readBody } from '../read-body';
import { renameBody } from '../rename.body';
import { sendFile } from '../send-file';
import { validated } from '../validated';
import { adapterView, viewAdapter } from './adapter.view';
import { KohyaConverter } from './kohya.converter';

const downloadQuery = z.object({
  format: z
    .enum(adapterFormats)
    .default('diffusers')
    .describe('Key names: of diffusers and PEFT, or of kohya and ComfyUI.'),
  token: z.string().optional(),
});
const uploadQuery = z.object({
  replace: z.enum(['true', 'false']).default('false').describe('Take the place of one of the same name.'),
});

@Controller('v1/adapters')
export class AdaptersController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
    private readonly kohya: KohyaConverter,
  ) {}

  @Get()
  @Operation({
    summary: 'All adapters, the newest first.',
    answer: { schema: listOf(adapterView), description: 'The adapters.' },
  })
  async listAdapters(): Promise<unknown> {
    return { object: 'list', data: (await this.client.adapters()).map(viewAdapter) };
  }

  @Get(':name')
  @Operation({
    summary: "An adapter's file.",
    query: downloadQuery.omit({ token: true }),
    answer: { type: 'application/octet-stream', description: 'A safetensors file.' },
    refusals: [404, 409, 501],
  })
  async downloadAdapter(
    @Param('name') name: string,
    @Query() query: unknown,
    @Res() response: Response,
  ): Promise<void> {
    const { format } = validated(downloadQuery, query, 'query');
    const { name: known } = await this.client.adapter(name);
    const file = await this.client.adapterFile(known);
    const data = format === 'kohya' ? await this.kohya.convert(known, file) : file;
    const label = format === 'kohya' ? `${known}.kohya.safetensors` : `${known}.safetensors`;
    await sendFile(response, data, { type: 'application/octet-stream', attachment: label });
  }

  @Put(':name')
  @HttpCode(201)
  @Operation({
    summary: 'Bring in a LoRA made elsewhere, with the keys of diffusers or of kohya.',
    body: { type: 'application/octet-stream' },
    query: uploadQuery,
    answer: { status: 201, schema: adapterView, description: 'It can be used.' },
    refusals: [409, 413, 503, 507],
  })
  async uploadAdapter(@Param('name') name: string, @Query() query: unknown, @Req() request: Request): Promise<unknown> {
    const { replace } = validated(uploadQuery, query, 'query');
    await this.client.requireRoom(Number(request.headers['content-length'] ?? 0));
    const bytes = await readBody(request, this.config.adapterLimit);
    const options = { replace: replace === 'true', since: firstTryAt(request) };
    return viewAdapter(await this.client.importAdapter(name, bytes, options));
  }

  @Patch(':name')
  @Operation({
    summary: 'Give an adapter another name. Refused while a drawing that is not over uses it.',
    body: { type: 'application/json', schema: renameBody },
    answer: { schema: adapterView, description: 'The adapter as it is now.' },
    refusals: [404, 409],
  })
  async renameAdapter(@Param('name') name: string, @Body() body: unknown): Promise<unknown> {
    return viewAdapter(await this.client.renameAdapter(name, validated(renameBody, body).name));
  }

  @Delete(':name')
  @Operation({
    summary: 'Delete an adapter. Refused while a drawing that is not over uses it.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
    refusals: [409],
  })
  async deleteAdapter(@Param('name') name: string): Promise<unknown> {
    return viewDeleted('adapter', name, await this.client.delete('adapter', name));
  }
}
