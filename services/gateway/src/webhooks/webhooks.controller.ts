import { Body, Controller, Delete, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { AtelierClient, type WebhookRequests } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Request } from 'express';
import { z } from 'zod';
import { holderOf } from '../access/holder';
import { Needs } from '../access/needs';
import { listOf } from '../datasets/dataset.view';
import { deletedView, viewDeleted } from '../deleted.view';
import { GatewayConfig } from '../gateway.config';
import { onceOf } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { validated } from '../validated';
import { requirePublicUrl } from './post';
import { deliveryView, newWebhookView, viewDelivery, viewWebhook, webhookBody, webhookView } from './webhook.view';

const askedView = z.strictObject({ id: z.string(), object: z.literal('webhook'), asked: z.literal(true) });

@Controller('v1/webhooks')
export class WebhooksController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
  ) {}

  /** Of the token that asks; where none is asked for, and for who may do everything, all. */
  private of(request: Request): WebhookRequests {
    const { name = '', scopes = ['admin'] } = holderOf(request) ?? {};
    return this.client.webhooks.of({ name, seesAll: scopes.includes('admin') });
  }

  @Needs('read')
  @Post()
  @HttpCode(201)
  @Operation({
    summary: 'Have events posted to an address from now on, as CloudEvents with a signature of Standard Webhooks.',
    body: { type: 'application/json', schema: webhookBody },
    answer: { status: 201, schema: newWebhookView, description: 'The webhook, with the secret that is told once.' },
    refusals: [429, 507],
  })
  async createWebhook(@Body() body: unknown, @Req() request: Request): Promise<z.output<typeof newWebhookView>> {
    const asked = validated(webhookBody, body);
    const requests = this.of(request);
    if (!this.config.webhooks.toPrivate) await requirePublicUrl(asked.url);
    const webhook = await requests.create(asked, onceOf(request, 'webhook'));
    return { ...viewWebhook(webhook), secret: webhook.secret };
  }

  @Needs('read')
  @Get()
  @Operation({
    summary: 'Webhooks of the token that asks, the newest first; of a token for admin, and without tokens, all.',
    answer: { schema: listOf(webhookView), description: 'Them.' },
  })
  async listWebhooks(@Req() request: Request): Promise<unknown> {
    return { object: 'list', data: (await this.of(request).list()).map(viewWebhook) };
  }

  @Needs('read')
  @Get(':id')
  @Operation({
    summary: 'One webhook.',
    answer: { schema: webhookView, description: 'The webhook.' },
    refusals: [404],
  })
  async getWebhook(@Param('id') id: string, @Req() request: Request): Promise<z.output<typeof webhookView>> {
    return viewWebhook(await this.of(request).get(id));
  }

  @Needs('read')
  @Delete(':id')
  @Operation({
    summary: 'Delete a webhook. What was not delivered by then is not.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
  })
  async deleteWebhook(@Param('id') id: string, @Req() request: Request): Promise<unknown> {
    return viewDeleted('webhook', id, await this.of(request).delete(id));
  }

  @Needs('read')
  @Post(':id/test')
  @HttpCode(202)
  @Operation({
    summary: 'Send a ping (dev.atelier.webhook.ping), as events are sent; see what became of it among the deliveries.',
    answer: { status: 202, schema: askedView, description: 'It is on its way.' },
    refusals: [404],
  })
  async testWebhook(@Param('id') id: string, @Req() request: Request): Promise<z.output<typeof askedView>> {
    await this.of(request).test(id);
    return { id, object: 'webhook', asked: true };
  }

  @Needs('read')
  @Get(':id/deliveries')
  @Operation({
    summary: 'What became of the last 14 days of deliveries, those of the newest events first.',
    answer: { schema: listOf(deliveryView), description: 'Each with its last try.' },
    refusals: [404],
  })
  async listDeliveries(@Param('id') id: string, @Req() request: Request): Promise<unknown> {
    return { object: 'list', data: (await this.of(request).deliveries(id)).map(viewDelivery) };
  }

  @Needs('read')
  @Post(':id/deliveries/:delivery/replay')
  @HttpCode(202)
  @Operation({
    summary: 'Deliver an event once more, under its former id.',
    answer: {
      status: 202,
      schema: deliveryView,
      description: 'The delivery as it is now; the next try is on its way.',
    },
    refusals: [404],
  })
  async replayDelivery(
    @Param('id') id: string,
    @Param('delivery') delivery: string,
    @Req() request: Request,
  ): Promise<z.output<typeof deliveryView>> {
    if (!/^[1-9]\d{0,15}$/.test(delivery)) throw new AtelierError('NOT_FOUND', 'a delivery has a number: list them');
    return viewDelivery(await this.of(request).replay(id, Number(delivery)));
  }
}
