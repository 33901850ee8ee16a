import { DeliveryState, enumNames, toDate, WebhookState, type Delivery, type Webhook } from '@atelier/contracts';
import { z } from 'zod';
import { unixSeconds } from '../datasets/dataset.view';

const webhookStates = enumNames(WebhookState, 'WEBHOOK_STATE');
const deliveryStates = enumNames(DeliveryState, 'DELIVERY_STATE');

export const webhookBody = z.strictObject({
  url: z.string().max(2000).describe('Where events are posted: http:// or https://.'),
  types: z
    .array(z.string().max(80))
    .max(50)
    .default([])
    .describe('Such as run.finished, or drawing.*; none: all. A type that is none is refused with those that are.'),
});

export const webhookView = z.strictObject({
  id: z.string(),
  object: z.literal('webhook'),
  url: z.string(),
  types: z.array(z.string()),
  status: z.enum(['active', 'disabled', 'unspecified']),
  reason: z.string().describe('Why it is disabled.'),
  owner: z.string().nullable().describe('Whose token made it, where tokens are told apart.'),
  created_at: z.int().nullable(),
});

export const newWebhookView = webhookView.extend({
  secret: z.string().describe('Deliveries are signed with it. It is told here alone.'),
});

export function viewWebhook({
  id,
  url,
  types,
  state,
  reason,
  owner,
  createdAt,
}: Webhook): z.output<typeof webhookView> {
  const status = (webhookStates.read(state) ?? 'unspecified') as z.output<typeof webhookView>['status'];
  return {
    id,
    object: 'webhook',
    url,
    types,
    status,
    reason,
    owner: owner || null,
    created_at: unixSeconds(createdAt),
  };
}

export const deliveryView = z.strictObject({
  id: z.string().describe('By which it is replayed.'),
  object: z.literal('delivery'),
  message: z.string().describe('Its webhook-id, and the id of its CloudEvent.'),
  type: z.string(),
  subject: z.string(),
  status: z.enum(['pending', 'delivered', 'dead', 'unspecified']),
  tries: z.int(),
  http_status: z.int().nullable().describe('Of the last try; null: there was no answer.'),
  error: z.string(),
  tried_at: z.string().nullable(),
  next_try_at: z.string().nullable(),
});

export function viewDelivery(delivery: Delivery): z.output<typeof deliveryView> {
  const { sequence, messageId, type, subject, state, tries, status, error, triedAt, nextTryAt } = delivery;
  return {
    id: String(sequence),
    object: 'delivery',
    message: messageId,
    type,
    subject,
    status: (deliveryStates.read(state) ?? 'unspecified') as z.output<typeof deliveryView>['status'],
    tries,
    http_status: status || null,
    error,
    tried_at: toDate(triedAt)?.toISOString() ?? null,
    next_try_at: toDate(nextTryAt)?.toISOString() ?? null,
  };
}
