import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Req, UseInterceptors } from '@nestjs/common';
import { AtelierClient, checkDataset, datasetSchema } from '@atelier/client';
import type { Request } from 'express';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { UploadInterceptor } from '../access/upload.interceptor';
import { deletedView, viewDeleted } from '../deleted.view';
import { GatewayConfig } from '../gateway.config';
import { onceOf } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { renameBody } from '../rename.body';
import { validated } from '../validated';
import { datasetView, listOf, viewDataset } from './dataset.view';
import { readUpload } from './upload';

@Controller('v1/datasets')
export class DatasetsController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
  ) {}

  @Needs('train')
  @Post()
  @UseInterceptors(UploadInterceptor)
  @HttpCode(202)
  @Operation({
    summary:
      'Upload pictures with their captions: image and .txt files, metadata.jsonl, .zip, .tar or .parquet. Fields come before files.',
    body: { type: 'multipart/form-data', schema: datasetSchema },
    answer: { status: 202, schema: datasetView, description: 'Everything is on disk and will be read.' },
    refusals: [413, 503, 507],
  })
  async createDataset(@Req() request: Request): Promise<z.output<typeof datasetView>> {
    const { fields, files, abandon } = await readUpload(request, this.config);
    try {
      const bytes = Number(request.headers['content-length'] ?? 0);
      const asked = { ...fromForm(fields), files, bytes };
      return viewDataset(await this.client.createDataset(asked, undefined, onceOf(request, 'dataset')));
    } catch (error) {
      throw abandon(error as Error);
    }
  }

  @Needs('read')
  @Get()
  @Operation({
    summary: 'All data sets, the newest first.',
    answer: { schema: listOf(datasetView), description: 'The data sets.' },
  })
  async listDatasets(): Promise<unknown> {
    return { object: 'list', data: (await this.client.datasets()).map(viewDataset) };
  }

  @Needs('read')
  @Get(':id')
  @Operation({
    summary: 'One data set by id, or the newest of a name.',
    answer: { schema: datasetView, description: 'The data set.' },
    refusals: [404],
  })
  async getDataset(@Param('id') id: string): Promise<unknown> {
    return viewDataset(await this.client.dataset(id));
  }

  @Needs('train')
  @Post(':id/cancel')
  @HttpCode(202)
  @Operation({
    summary: 'End a data set that is not read yet; runs that wait for it fail. One that is over stays as it is.',
    answer: { status: 202, schema: datasetView, description: 'The data set as it is now.' },
    refusals: [404],
  })
  async cancelDataset(@Param('id') id: string): Promise<unknown> {
    return viewDataset(await this.client.cancelDataset(id));
  }

  @Needs('train')
  @Patch(':id')
  @Operation({
    summary: 'Give a data set another name.',
    body: { type: 'application/json', schema: renameBody },
    answer: { schema: datasetView, description: 'The data set as it is now.' },
    refusals: [404],
  })
  async renameDataset(@Param('id') id: string, @Body() body: unknown): Promise<unknown> {
    return viewDataset(await this.client.renameDataset(id, validated(renameBody, body).name));
  }

  @Needs('train')
  @Delete(':id')
  @Operation({
    summary: 'Delete a data set and its files. By name only where one alone has it. Refused while a run uses it.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
    refusals: [409],
  })
  async deleteDataset(@Param('id') id: string): Promise<unknown> {
    return viewDeleted('dataset', id, await this.client.delete('dataset', id));
  }
}

/** A form has only text: numbers and yes/no are read from it before the fields are checked as everyone's are. */
function fromForm(fields: Record<string, string>): z.output<typeof datasetSchema> {
  const typed: Record<string, unknown> = { ...fields };
  for (const field of ['width', 'height'])
    if (fields[field] !== undefined) typed[field] = fields[field].trim() === '' ? NaN : Number(fields[field]);
  for (const field of ['buckets', 'flip']) {
    if (['true', 'on', '1'].includes(fields[field]!)) typed[field] = true;
    else if (['false', 'off', '0', ''].includes(fields[field]!)) typed[field] = false;
  }
  return checkDataset(typed);
}
