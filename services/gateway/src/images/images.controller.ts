import { Body, Controller, Delete, Get, HttpCode, Param, Post, Req, Res, type OnModuleDestroy } from '@nestjs/common';
import { AtelierClient, type GenerateRequest } from '@atelier/client';
import { AtelierError, BASE_MODEL, type Generation } from '@atelier/contracts';
import type { Request, Response } from 'express';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { listOf, unixSeconds } from '../datasets/dataset.view';
import { clientLeft } from '../client-left';
import { deletedView, viewDeleted } from '../deleted.view';
import { GatewayConfig } from '../gateway.config';
import { onceOf } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { publicAddress } from '../public-address';
import { sendFile } from '../send-file';
import { validated } from '../validated';
import { drawingView, GENERATION_HEADER, viewDrawing } from './drawing.view';
import { imageAnswer, imageBody } from './image.body';
import { isPictureName, pictureType, pictureUrl } from './picture-url';

/** When a stopping gateway says that a picture is not there yet, before connections are closed. */
const ANSWER_MS = 2000;
const RETRY_SECONDS = 5;

const modelView = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
});

@Controller('v1')
export class ImagesController implements OnModuleDestroy {
  private readonly closing = new AbortController();

  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
  ) {}

  /** Pictures that are drawn within the grace are answered with; of the others their askers learn the id. */
  onModuleDestroy(): void {
    setTimeout(() => this.closing.abort(), this.config.graceMs - ANSWER_MS).unref();
  }

  @Needs('draw')
  @Post('images/generations')
  @HttpCode(200)
  @Operation({
    summary:
      "Draw pictures. OpenAI's request and answer, with a seed, steps, guidance and adapters beside. With async or Prefer: " +
      'respond-async the answer is 202, the drawing as GET /v1/images/generations/{id} tells it, and its Location.',
    body: { type: 'application/json', schema: imageBody },
    answer: { schema: imageAnswer, description: 'The pictures.' },
    also: {
      status: 202,
      schema: drawingView,
      description: 'Of a request that does not wait: the drawing, with its Location.',
    },
    refusals: [404, 409, 503, 504, 507],
  })
  async createImage(
    @Body() body: unknown,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    const asked = validated(imageBody, body);
    const [width, height] = asked.size.split('x').map(Number);
    const once = onceOf(request, 'gen');
    const drawing = await this.client.generate(
      {
        prompt: asked.prompt,
        adapters: chosenAdapters(asked),
        width,
        height,
        steps: asked.steps,
        guidance: asked.guidance,
        seed: asked.seed,
        count: asked.n,
        fused: asked.fused,
        format: asked.output_format,
      },
      once,
    );
    const { id } = drawing;
    response.setHeader(GENERATION_HEADER, id);
    if (asked.async ?? prefersAsync(request)) {
      if (!asked.async) response.setHeader('preference-applied', 'respond-async');
      response.status(202).setHeader('location', `/v1/images/generations/${id}`);
      return viewDrawing(drawing, publicAddress(request, this.config));
    }
    const generation = await this.finished(id, response, once !== undefined);
    const data = await Promise.all(
      generation.images.map(async (image) =>
        asked.response_format === 'url'
          ? { url: pictureUrl(image, publicAddress(request, this.config)) }
          : { b64_json: (await buffer(await this.client.image(image))).toString('base64') },
      ),
    );
    const created = unixSeconds(generation.createdAt) ?? 0;
    const { size, output_format } = asked;
    const { preemptions } = generation;
    return { created, data, id, seed: generation.work?.seed ?? 0, size, output_format, preemptions };
  }

  @Needs('read')
  @Get('models')
  @Operation({
    summary: 'What `model` may be: the base, and every adapter.',
    answer: { schema: listOf(modelView), description: 'The models.' },
  })
  async listModels(): Promise<unknown> {
    const model = (id: string, created: number) => ({ id, object: 'model', created, owned_by: 'atelier' });
    // One that an earlier version let be named like the base is asked for as `adapter`.
    const adapters = (await this.client.adapters()).filter(({ name }) => name !== BASE_MODEL);
    return {
      object: 'list',
      data: [model(BASE_MODEL, 0), ...adapters.map(({ name, createdAt }) => model(name, unixSeconds(createdAt) ?? 0))],
    };
  }

  @Needs('read')
  @Get('pictures/*name')
  @Operation({
    summary: 'A drawn picture, or a validation picture of a run.',
    answer: { type: 'image/png', description: 'The picture (PNG, JPEG or WebP).' },
    refusals: [404],
  })
  async getPicture(@Param('name') segments: string | string[], @Res() response: Response): Promise<void> {
    const name = Array.isArray(segments) ? segments.join('/') : segments;
    if (!isPictureName(name))
      throw new AtelierError('NOT_FOUND', `there is no picture ${JSON.stringify(name.slice(0, 100))}`);
    await sendFile(response, await this.client.image(name), {
      type: pictureType(name),
      cache: 'private, max-age=86400, immutable',
    });
  }

  @Needs('draw', 'train')
  @Delete('pictures/*name')
  @Operation({
    summary: 'Delete one picture of a drawing, or one validation picture of a run, that is over.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
    refusals: [409],
  })
  async deletePicture(@Param('name') segments: string | string[]): Promise<unknown> {
    const name = Array.isArray(segments) ? segments.join('/') : segments;
    const gone = isPictureName(name) ? await this.client.delete('picture', name) : undefined;
    return viewDeleted('picture', name, gone);
  }

  /**
   * Waits for the end; a client that leaves, or a wait that gets too long, calls the drawing off. A gateway that stops
   * does not: what is drawn is there for whoever asks for it by its id. Nor does either where the request has a key, by
   * which it is asked for again.
   */
  private async finished(id: string, response: Response, comesBack: boolean): Promise<Generation> {
    const gone = clientLeft(response);
    const left = AbortSignal.any([gone, AbortSignal.timeout(this.config.generateTimeoutMs)]);
    try {
      return await this.client.finishedGeneration(id, { signal: AbortSignal.any([left, this.closing.signal]) });
    } catch (error) {
      if (left.aborted) throw await this.givenUp(id, gone.aborted, comesBack);
      if (!this.closing.signal.aborted) throw error;
      response.setHeader('retry-after', RETRY_SECONDS);
      throw new AtelierError(
        'UNAVAILABLE',
        `the gateway stops, and the drawing goes on without it: get it at /v1/images/generations/${id}`,
        { generation: id },
      );
    }
  }

  private async givenUp(id: string, clientIsGone: boolean, comesBack: boolean): Promise<AtelierError> {
    if (!comesBack) await this.client.cancelGeneration(id);
    const what = comesBack ? 'goes on: its key finds it' : 'was called off';
    if (clientIsGone) return new AtelierError('CANCELLED', `the client left, and drawing ${id} ${what}`);
    const seconds = Math.round(this.config.generateTimeoutMs / 1000);
    return new AtelierError(
      'DEADLINE_EXCEEDED',
      `drawing ${id} was not there within ${seconds} s and ${what}. Is the inference service running, or ask for fewer steps`,
    );
  }
}

/** RFC 7240: preferences are separated by commas, in one header or several. */
function prefersAsync({ headers }: Request): boolean {
  return /(^|,)\s*respond-async\s*(,|;|$)/i.test(String(headers.prefer ?? ''));
}

/** The adapters of a request, which may come as `model`, `adapter` or `adapters`; a name said twice counts once. */
function chosenAdapters({ model, adapter, adapters = [] }: z.output<typeof imageBody>): GenerateRequest['adapters'] {
  const single = [model === BASE_MODEL ? undefined : model, adapter].filter((name): name is string => Boolean(name));
  const others = [...new Set(single)].filter((name) => !adapters.some((given) => given.name === name));
  return [...others.map((name) => ({ name, weight: 1 })), ...adapters];
}
