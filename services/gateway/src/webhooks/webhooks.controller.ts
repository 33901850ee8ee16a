import { Body, Controller, Delete, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Request } from 'express';
import { z } from 'zod';
import { listOf } from '../datasets/dataset.view';
import { deletedView, viewDeleted } from '../deleted.view';
import { onceOf } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { validated } from '../validated';
import { deliveryView, newWebhookView, viewDelivery, viewWebhook, webhookBody, webhookView } from './webhook.view';

const askedView = z.strictObject({ id: z.string(), object: z.literal('webhook'), asked: z.literal(true) });

@Controller('v1/webhooks')
export class WebhooksController {
  constructor(private readonly client: AtelierClient) {}

  @Post()
  @HttpCode(201)
  @Operation({
    summary: 'Have events posted to an address from now on, as CloudEvents with a signature of Standard Webhooks.',
    body: { type: 'application/json', schema: webhookBody },
    answer: { status: 201, schema: newWebhookView, description: 'The webhook, with the secret that is told once.' },
    refusals: [429, 507],
  })
  async createWebhook(@Body() body: unknown, @Req() request: Request): Promise<z.output<typeof newWebhookView>> {
    const webhook = await this.client.webhooks.create(validated(webhookBody, body), onceOf(request, 'webhook'));
    return { ...viewWebhook(webhook), secret: webhook.secret };
  }

  @Get()
  @Operation({
    summary: 'All webhooks, the newest first.',
    answer: { schema: listOf(webhookView), description: 'Them.' },
  })
  async listWebhooks(): Promise<unknown> {
    return { object: 'list', data: (await this.client.webhooks.list()).map(viewWebhook) };
  }

  @Get(':id')
  @Operation({
    summary: 'One webhook.',
    answer: { schema: webhookView, description: 'The webhook.' },
    refusals: [404],
  })
  async getWebhook(@Param('id') id: string): Promise<z.output<typeof webhookView>> {
    return viewWebhook(await this.client.webhooks.get(id));
  }

  @Delete(':id')
  @Operation({
    summary: 'Delete a webhook. What was not delivered by then is not.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
  })
  async deleteWebhook(@Param('id') id: string): Promise<unknown> {
    return viewDeleted('webhook', id, await this.client.webhooks.delete(id));
  }

  @Post(':id/test')
  @HttpCode(202)
  @Operation({
    summary: 'Send a ping (dev.atelier.webhook.ping), as events are sent; see what became of it among the deliveries.',
    answer: { status: 202, schema: askedView, description: 'It is on its way.' },
    refusals: [404],
  })
  async testWebhook(@Param('id') id: string): Promise<z.output<typeof askedView>> {
    await this.client.webhooks.test(id);
    return { id, object: 'webhook', asked: true };
  }

  @Get(':id/deliveries')
  @Operation({
    summary: 'What became of the last 14 days of deliveries, those of the newest events first.',
    answer: { schema: listOf(deliveryView), description: 'Each with its last try.' },
    refusals: [404],
  })
  async listDeliveries(@Param('id') id: string): Promise<unknown> {
    return { object: 'list', data: (await this.client.webhooks.deliveries(id)).map(viewDelivery) };
  }

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
  ): Promise<z.output<typeof deliveryView>> {
    if (!/^[1-9]\d{0,15}$/.test(delivery)) throw new AtelierError('NOT_FOUND', 'a delivery has a number: list them');
    return viewDelivery(await this.client.webhooks.replay(id, Number(delivery)));
  }
}
